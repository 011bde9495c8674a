/* SPDX-License-Identifier: MIT */
/* The inside of calibrators, for the registry and for who loads plugins. */
#pragma once

#include <halftone/calibrator.h>

#include "base/class-info.h"
#include "kernels/min-max.h"

#define HT_CALIBRATOR_DEFAULT "min-max"

HtClassInfo *ht_calibrator_class_get_info (HtCalibratorClass *klass);
/* Everything that can be wrong with a calibrator's class, in one error. */
gboolean ht_calibrator_type_lint (GType type, GError **error);
/* ht_calibrator_observe() for who knows the range of the values already. */
gboolean ht_calibrator_observe_range (HtCalibrator *self, const float *values, gsize n_values,
                                      const HtKernelRange *range, GError **error);
/* Makes properties of this type parameters that choose a calibrator. */
void ht_calibrator_family_register (GType base);
/* Where the calibrator of this name comes from; NULL: there is none of this name, or it is this very type. */
char *ht_calibrator_find_conflict (GType type);
/* `source`: the file of a plugin. The type was checked, and there is no conflict. */
void ht_calibrator_add (GType type, const char *source);
/* Says why there is no calibrator of this name: a plugin that failed to load would have had it. */
void ht_calibrator_add_missing (const char *id, const char *reason);

/* The calibrators of the library. */
GType ht_entropy_calibrator_get_type (void);
GType ht_min_max_calibrator_get_type (void);
GType ht_mse_calibrator_get_type (void);
GType ht_percentile_calibrator_get_type (void);
GType ht_tf_enhanced_calibrator_get_type (void);
