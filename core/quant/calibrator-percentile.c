/* SPDX-License-Identifier: MIT */
/* The calibrator percentile: the range without the same share of the values at either end. */
#include "quant/calibrator-histogram.h"

typedef struct
{
  HtHistogramCalibrator parent_instance;
  double value;
} HtPercentileCalibrator;

typedef HtHistogramCalibratorClass HtPercentileCalibratorClass;

G_DEFINE_TYPE (HtPercentileCalibrator, ht_percentile_calibrator, HT_TYPE_HISTOGRAM_CALIBRATOR)

enum
{
  PROP_VALUE = HT_HISTOGRAM_CALIBRATOR_N_PROPS
};

static void
find_range (HtCalibrator *calibrator, const HtHistogramBins *bins, HtQuantizerSettings *settings, double *minimum,
            double *maximum)
{
  double value = ((HtPercentileCalibrator *)calibrator)->value, kept = value / 100, sum = 0;
  double observed = *maximum;
  gboolean has_low = FALSE;
  double low = *minimum, high = low;

  /* AIMET has it in float32, which decides where the share of a bin makes it exactly. */
  if (((HtHistogramCalibrator *)calibrator)->kind == HT_HISTOGRAM_AIMET)
    kept = (double)((float)value / 100.0f);
  if (kept >= 1)
    return;
  for (gint i = 0; i < bins->n_used; i++)
    {
      double left = bins->low + bins->used[i] * bins->width;

      /* Bins up to here hold `sum`, those between the used ones too. */
      if (sum < kept && i > 0)
        high = left;
      sum += bins->shares[i];
      if (!has_low && sum >= 1 - kept)
        {
          low = left;
          has_low = TRUE;
        }
      if (sum < kept && left < observed)
        high = left + bins->width;
    }
  if (low >= high)
    high = low + bins->width;
  *minimum = MAX (low, *minimum);
  *maximum = MAX (MIN (high, *maximum), *minimum);
}

static void
ht_percentile_calibrator_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  if (id == PROP_VALUE)
    g_value_set_double (value, ((HtPercentileCalibrator *)object)->value);
  else
    G_OBJECT_CLASS (ht_percentile_calibrator_parent_class)->get_property (object, id, value, pspec);
}

static void
ht_percentile_calibrator_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  if (id != PROP_VALUE)
    {
      G_OBJECT_CLASS (ht_percentile_calibrator_parent_class)->set_property (object, id, value, pspec);
      return;
    }
  ((HtPercentileCalibrator *)object)->value = g_value_get_double (value);
  g_object_notify_by_pspec (object, pspec);
}

static void
ht_percentile_calibrator_class_init (HtPercentileCalibratorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = ht_percentile_calibrator_get_property;
  object_class->set_property = ht_percentile_calibrator_set_property;
  klass->find_range = find_range;
  klass->needs_all = TRUE;
  g_object_class_install_property (
      object_class, PROP_VALUE,
      g_param_spec_double ("value", "Value", "How many percent lie below the upper end", 50, 100, 99.99, HT_PARAM_RW));
  ht_calibrator_class_set_info (&klass->parent_class, "percentile",
                                "The range without the same share of the values at either end", NULL);
}

static void
ht_percentile_calibrator_init (HtPercentileCalibrator *self)
{
}
