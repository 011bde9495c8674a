/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/param.h>

G_BEGIN_DECLS

typedef struct _HtQuantizerSettings HtQuantizerSettings;

#define HT_TYPE_CALIBRATOR (ht_calibrator_get_type ())
HT_API
G_DECLARE_DERIVABLE_TYPE (HtCalibrator, ht_calibrator, HT, CALIBRATOR, GObject)

/**
 * HtCalibratorClass:
 * @reset: forgets all values
 * @observe: takes a batch of values of the grid: finite, @n_values of them, the least @minimum, the greatest @maximum
 * @finish: finds the range of the grid, of what was observed since the last reset
 *
 * The base of every calibrator. Its parameters are its GObject properties.
 */
struct _HtCalibratorClass
{
  GObjectClass parent_class;

  void (*reset) (HtCalibrator *self);
  void (*observe) (HtCalibrator *self, const float *values, gsize n_values, double minimum, double maximum);
  gboolean (*finish) (HtCalibrator *self, HtQuantizerSettings *settings, double *minimum, double *maximum,
                      GError **error);

  /*< private >*/
  gpointer reserved[13];
};

/* Class metadata, called from class_init */
HT_API void ht_calibrator_class_set_info (HtCalibratorClass *klass, const char *id, const char *summary,
                                          const char *description);
HT_API void ht_calibrator_class_add_reference (HtCalibratorClass *klass, const char *reference);

HT_API const char *ht_calibrator_class_get_id (HtCalibratorClass *klass);
HT_API const char *ht_calibrator_class_get_summary (HtCalibratorClass *klass);
HT_API const char *ht_calibrator_class_get_description (HtCalibratorClass *klass);
HT_API const char *const *ht_calibrator_class_get_references (HtCalibratorClass *klass);

HT_API HtCalibrator *ht_calibrator_new (const char *id, GError **error);
HT_API HtCalibrator *ht_calibrator_copy (HtCalibrator *self);
HT_API const char *ht_calibrator_get_id (HtCalibrator *self);
HT_API void ht_calibrator_reset (HtCalibrator *self);
HT_API gboolean ht_calibrator_observe (HtCalibrator *self, const float *values, gsize n_values, GError **error);
HT_API gsize ht_calibrator_get_n_values (HtCalibrator *self);
HT_API gboolean ht_calibrator_finish (HtCalibrator *self, HtQuantizerSettings *settings, double *minimum,
                                      double *maximum, GError **error);

/* The calibrators of this process */
HT_API gboolean ht_calibrator_register (GType type, GError **error);
HT_API GType ht_calibrator_find (const char *id, GError **error);
HT_API char **ht_calibrator_list (void);

G_END_DECLS
