/* SPDX-License-Identifier: MIT */
/* A plugin with a calibrator: TYPE_NAME and CALIBRATOR_ID are set before, and perhaps WITHOUT_OBSERVE. */
#pragma once

#include <halftone/halftone.h>

static void
calibrator_reset (HtCalibrator *self)
{
}

#ifndef WITHOUT_OBSERVE
static void
calibrator_observe (HtCalibrator *self, const float *values, gsize n_values, double minimum, double maximum)
{
}
#endif

static gboolean
calibrator_finish (HtCalibrator *self, HtQuantizerSettings *settings, double *minimum, double *maximum, GError **error)
{
  *minimum = 0;
  *maximum = 1;
  return TRUE;
}

static void
calibrator_class_init (gpointer klass, gpointer data)
{
  HT_CALIBRATOR_CLASS (klass)->reset = calibrator_reset;
#ifndef WITHOUT_OBSERVE
  HT_CALIBRATOR_CLASS (klass)->observe = calibrator_observe;
#endif
  HT_CALIBRATOR_CLASS (klass)->finish = calibrator_finish;
  ht_calibrator_class_set_info (klass, CALIBRATOR_ID, "From zero to one", NULL);
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  GTypeQuery query;
  g_type_query (HT_TYPE_CALIBRATOR, &query);
  GTypeInfo info = { .class_size = (guint16)query.class_size,
                     .class_init = calibrator_class_init,
                     .instance_size = (guint16)query.instance_size };
  ht_plugin_add_calibrator (plugin, g_type_module_register_type (module, HT_TYPE_CALIBRATOR, TYPE_NAME, &info, 0));
  return TRUE;
}

HT_PLUGIN_DEFINE (CALIBRATOR_ID "-calibrator", "1.0", "MIT", "A plugin of the tests", "The Halftone authors",
                  "halftone", NULL, register_types, TYPE_NAME)
