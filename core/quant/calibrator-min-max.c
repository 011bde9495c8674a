/* SPDX-License-Identifier: MIT */
/* The calibrator min-max: the range is that of the values, so that none is clipped. */
#include "quant/calibrator-private.h"

typedef struct
{
  HtCalibrator parent_instance;

  gboolean seen;
  double minimum, maximum;
} HtMinMaxCalibrator;

typedef HtCalibratorClass HtMinMaxCalibratorClass;

G_DEFINE_TYPE (HtMinMaxCalibrator, ht_min_max_calibrator, HT_TYPE_CALIBRATOR)

static void
ht_min_max_calibrator_reset (HtCalibrator *calibrator)
{
  ((HtMinMaxCalibrator *)calibrator)->seen = FALSE;
}

static void
ht_min_max_calibrator_observe (HtCalibrator *calibrator, const float *values, gsize n_values, double minimum,
                               double maximum)
{
  HtMinMaxCalibrator *self = (HtMinMaxCalibrator *)calibrator;

  self->minimum = self->seen ? MIN (self->minimum, minimum) : minimum;
  self->maximum = self->seen ? MAX (self->maximum, maximum) : maximum;
  self->seen = TRUE;
}

static gboolean
ht_min_max_calibrator_finish (HtCalibrator *calibrator, HtQuantizerSettings *settings, double *minimum, double *maximum,
                              GError **error)
{
  HtMinMaxCalibrator *self = (HtMinMaxCalibrator *)calibrator;

  *minimum = self->minimum;
  *maximum = self->maximum;
  return TRUE;
}

static void
ht_min_max_calibrator_class_init (HtMinMaxCalibratorClass *klass)
{
  klass->reset = ht_min_max_calibrator_reset;
  klass->observe = ht_min_max_calibrator_observe;
  klass->finish = ht_min_max_calibrator_finish;
  ht_calibrator_class_set_info (klass, "min-max", "The least and the greatest value: nothing is clipped", NULL);
}

static void
ht_min_max_calibrator_init (HtMinMaxCalibrator *self)
{
}
