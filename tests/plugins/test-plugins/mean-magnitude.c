/* SPDX-License-Identifier: MIT */
/* A calibrator of a third party: to each side of zero a multiple of the mean magnitude. With `fail` it breaks the
 * protocol in one of the ways there are. Written against the installed headers, as any plugin is. */
#include <halftone/halftone.h>

#include <math.h>

typedef enum
{
  FAIL_NO,
  FAIL_MUTE,
  FAIL_TURNED,
  FAIL_INFINITE,
} Fail;

struct _MeanMagnitude
{
  HtCalibrator parent_instance;
  double factor;
  Fail fail;
  double sum;
  gsize n_values;
};

#define TYPE_MEAN_MAGNITUDE (mean_magnitude_get_type ())
GType mean_magnitude_get_type (void);
G_DECLARE_FINAL_TYPE (MeanMagnitude, mean_magnitude, MEAN, MAGNITUDE, HtCalibrator)
G_DEFINE_DYNAMIC_TYPE (MeanMagnitude, mean_magnitude, HT_TYPE_CALIBRATOR)

static GType fail_type;

enum
{
  PROP_0,
  PROP_FACTOR,
  PROP_FAIL,
};

static void
register_fail (GTypeModule *module)
{
  static const GEnumValue values[] = { { FAIL_NO, "FAIL_NO", "no" },
                                       { FAIL_MUTE, "FAIL_MUTE", "mute" },
                                       { FAIL_TURNED, "FAIL_TURNED", "turned" },
                                       { FAIL_INFINITE, "FAIL_INFINITE", "infinite" },
                                       { 0, NULL, NULL } };
  fail_type = g_type_module_register_enum (module, "MeanMagnitudeFail", values);
}

static void
mean_magnitude_reset (HtCalibrator *calibrator)
{
  MeanMagnitude *self = MEAN_MAGNITUDE (calibrator);

  self->sum = 0;
  self->n_values = 0;
}

static void
mean_magnitude_observe (HtCalibrator *calibrator, const float *values, gsize n_values, double minimum, double maximum)
{
  MeanMagnitude *self = MEAN_MAGNITUDE (calibrator);

  for (gsize i = 0; i < n_values; i++)
    self->sum += fabs ((double)values[i]);
  self->n_values += n_values;
}

static gboolean
mean_magnitude_finish (HtCalibrator *calibrator, HtQuantizerSettings *settings, double *minimum, double *maximum,
                       GError **error)
{
  MeanMagnitude *self = MEAN_MAGNITUDE (calibrator);
  double reach = self->factor * self->sum / (double)self->n_values;

  if (self->fail == FAIL_MUTE)
    return FALSE;
  *minimum = self->fail == FAIL_TURNED ? reach : -reach;
  *maximum = self->fail == FAIL_INFINITE ? INFINITY : self->fail == FAIL_TURNED ? -reach : reach;
  return TRUE;
}

static void
mean_magnitude_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  if (id == PROP_FACTOR)
    MEAN_MAGNITUDE (object)->factor = g_value_get_double (value);
  else
    MEAN_MAGNITUDE (object)->fail = (Fail)g_value_get_enum (value);
}

static void
mean_magnitude_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  if (id == PROP_FACTOR)
    g_value_set_double (value, MEAN_MAGNITUDE (object)->factor);
  else
    g_value_set_enum (value, (gint)MEAN_MAGNITUDE (object)->fail);
}

static void
mean_magnitude_init (MeanMagnitude *self)
{
}

static void
mean_magnitude_class_init (MeanMagnitudeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  HtCalibratorClass *calibrator_class = HT_CALIBRATOR_CLASS (klass);

  object_class->set_property = mean_magnitude_set_property;
  object_class->get_property = mean_magnitude_get_property;
  calibrator_class->reset = mean_magnitude_reset;
  calibrator_class->observe = mean_magnitude_observe;
  calibrator_class->finish = mean_magnitude_finish;
  g_object_class_install_property (
      object_class, PROP_FACTOR,
      g_param_spec_double ("factor", "Factor", "How many mean magnitudes the range reaches", 0.5, 100, 4, HT_PARAM_RW));
  g_object_class_install_property (object_class, PROP_FAIL,
                                   g_param_spec_enum ("fail", "Fail", "How to fail", fail_type, FAIL_NO, HT_PARAM_RW));
  ht_calibrator_class_set_info (calibrator_class, "mean-magnitude", "A multiple of the mean magnitude", NULL);
}

static void
mean_magnitude_class_finalize (MeanMagnitudeClass *klass)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  register_fail (module);
  mean_magnitude_register_type (module);
  ht_plugin_add_calibrator (plugin, TYPE_MEAN_MAGNITUDE);
  return TRUE;
}

HT_PLUGIN_DEFINE ("mean-magnitude", "0.1", "MIT", "A calibrator of the tests", "The Halftone authors", "halftone", NULL,
                  register_types, "MeanMagnitude", "MeanMagnitudeFail")
