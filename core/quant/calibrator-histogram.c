/* SPDX-License-Identifier: MIT */
#include "quant/calibrator-histogram.h"

G_DEFINE_ABSTRACT_TYPE (HtHistogramCalibrator, ht_histogram_calibrator, HT_TYPE_CALIBRATOR)

static GType
histogram_kind_get_type (void)
{
  static const GEnumValue values[] = {
    { HT_HISTOGRAM_DOUBLING, "HT_HISTOGRAM_DOUBLING", "doubling" },
    { HT_HISTOGRAM_AIMET, "HT_HISTOGRAM_AIMET", "aimet" },
    { 0, NULL, NULL },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("HtHistogramKind", values));
  return (GType)type;
}

static void
ht_histogram_calibrator_reset (HtCalibrator *calibrator)
{
  HtHistogramCalibrator *self = (HtHistogramCalibrator *)calibrator;

  ht_histogram_clear (self->histogram, self->kind);
}

static void
ht_histogram_calibrator_observe (HtCalibrator *calibrator, const float *values, gsize n_values, double minimum,
                                 double maximum)
{
  ht_histogram_add (((HtHistogramCalibrator *)calibrator)->histogram, values, n_values, minimum, maximum);
}

/* Nothing but zeros has no range of its own: as in AIMET it is one to each side. */
static gboolean
ht_histogram_calibrator_finish (HtCalibrator *calibrator, HtQuantizerSettings *settings, double *minimum,
                                double *maximum, GError **error)
{
  HtHistogramCalibrator *self = (HtHistogramCalibrator *)calibrator;
  HtHistogram *histogram = self->histogram;
  g_autofree HtHistogramBins *bins = NULL;

  if (!histogram->seen || (histogram->minimum == 0 && histogram->maximum == 0))
    {
      *minimum = -1;
      *maximum = 1;
      return TRUE;
    }
  bins = g_new (HtHistogramBins, 1);
  ht_histogram_list (histogram, bins);
  *minimum = histogram->minimum;
  *maximum = histogram->maximum;
  /* AIMET knows the range no better than its bins do, by their left edges. */
  if (histogram->kind == HT_HISTOGRAM_AIMET)
    {
      *minimum = bins->low + bins->used[0] * bins->width;
      *maximum = bins->low + bins->used[bins->n_used - 1] * bins->width;
    }
  ((HtHistogramCalibratorClass *)G_OBJECT_GET_CLASS (self))->find_range (calibrator, bins, settings, minimum, maximum);
  return TRUE;
}

void
ht_histogram_calibrator_sample (HtCalibrator *self)
{
  if (G_TYPE_CHECK_INSTANCE_TYPE (self, HT_TYPE_HISTOGRAM_CALIBRATOR))
    ((HtHistogramCalibrator *)self)->histogram->is_sampled
        = !((HtHistogramCalibratorClass *)G_OBJECT_GET_CLASS (self))->needs_all;
}

static void
ht_histogram_calibrator_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  if (id == HT_HISTOGRAM_CALIBRATOR_PROP_HISTOGRAM)
    g_value_set_enum (value, (gint)((HtHistogramCalibrator *)object)->kind);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
ht_histogram_calibrator_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtHistogramCalibrator *self = (HtHistogramCalibrator *)object;

  if (id != HT_HISTOGRAM_CALIBRATOR_PROP_HISTOGRAM)
    {
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      return;
    }
  self->kind = (HtHistogramKind)g_value_get_enum (value);
  ht_histogram_clear (self->histogram, self->kind);
  g_object_notify_by_pspec (object, pspec);
}

static void
ht_histogram_calibrator_finalize (GObject *object)
{
  g_free (((HtHistogramCalibrator *)object)->histogram);
  G_OBJECT_CLASS (ht_histogram_calibrator_parent_class)->finalize (object);
}

static void
ht_histogram_calibrator_class_init (HtHistogramCalibratorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = ht_histogram_calibrator_get_property;
  object_class->set_property = ht_histogram_calibrator_set_property;
  object_class->finalize = ht_histogram_calibrator_finalize;
  klass->parent_class.reset = ht_histogram_calibrator_reset;
  klass->parent_class.observe = ht_histogram_calibrator_observe;
  klass->parent_class.finish = ht_histogram_calibrator_finish;
  g_object_class_install_property (object_class, HT_HISTOGRAM_CALIBRATOR_PROP_HISTOGRAM,
                                   g_param_spec_enum ("histogram", "Histogram",
                                                      "Bins that double as needed, or the 1536 fixed ones of AIMET",
                                                      histogram_kind_get_type (), HT_HISTOGRAM_DOUBLING, HT_PARAM_RW));
}

static void
ht_histogram_calibrator_init (HtHistogramCalibrator *self)
{
  self->histogram = g_new0 (HtHistogram, 1);
  ht_histogram_clear (self->histogram, HT_HISTOGRAM_DOUBLING);
}
