/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/dataset.h>
#include <halftone/diagnostic.h>
#include <halftone/pass-registry.h>
#include <halftone/plan.h>
#include <halftone/quantization.h>
#include <halftone/simulation.h>

G_BEGIN_DECLS

/* A checked recipe. Paths are resolved against the recipe's folder. */
#define HT_TYPE_RECIPE (ht_recipe_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtRecipe, ht_recipe, HT, RECIPE, GObject)

/**
 * HtDataRole:
 * @HT_DATA_CALIBRATION: `data.calibration`
 * @HT_DATA_EVALUATION: `data.evaluation`
 * @HT_DATA_TRAINING: `data.training`
 */
typedef enum
{
  HT_DATA_CALIBRATION,
  HT_DATA_EVALUATION,
  HT_DATA_TRAINING,
} HtDataRole;

/**
 * HtFreeze:
 * @HT_FREEZE_NONE: given encodings stay, unless a step that continues them moves them
 * @HT_FREEZE_PARAMETERS: those of weights are pinned
 * @HT_FREEZE_ALL: all are pinned
 *
 * What `quantization.encodings` says of the encodings it gives.
 */
typedef enum
{
  HT_FREEZE_NONE,
  HT_FREEZE_PARAMETERS,
  HT_FREEZE_ALL,
} HtFreeze;

HT_API HtRecipe *ht_recipe_load (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics, GError **error);
HT_API HtRecipe *ht_recipe_parse (const char *text, gssize length, const char *file, HtPassRegistry *registry,
                                  GPtrArray *diagnostics, GError **error);
HT_API const char *ht_recipe_get_name (HtRecipe *self);
HT_API const char *ht_recipe_get_path (HtRecipe *self);
HT_API const char *ht_recipe_get_model_path (HtRecipe *self);
HT_API HtQuantizationConfig *ht_recipe_get_quantization (HtRecipe *self);
HT_API const char *ht_recipe_get_encodings_path (HtRecipe *self);
HT_API HtFreeze ht_recipe_get_encodings_freeze (HtRecipe *self);
HT_API gboolean ht_recipe_get_encodings_partial (HtRecipe *self);
HT_API HtPlan *ht_recipe_get_plan (HtRecipe *self);
HT_API gboolean ht_recipe_has_data (HtRecipe *self, HtDataRole role);
HT_API HtDataset *ht_recipe_open_data (HtRecipe *self, HtDataRole role, GError **error);
HT_API void ht_recipe_override_data (HtRecipe *self, HtDataRole role, const char *path, const char *labels);
HT_API void ht_recipe_drop_preprocessing (HtRecipe *self);
HT_API guint ht_recipe_get_batch (HtRecipe *self, HtDataRole role);
HT_API const char *const *ht_recipe_get_evaluation_command (HtRecipe *self, double *timeout);
HT_API const char *ht_recipe_get_output_folder (HtRecipe *self);
HT_API const char *const *ht_recipe_get_output_formats (HtRecipe *self);
HT_API HtQdqWeights ht_recipe_get_qdq_weights (HtRecipe *self);
HT_API const char *const *ht_recipe_get_report_formats (HtRecipe *self);
HT_API guint64 ht_recipe_get_seed (HtRecipe *self);
HT_API JsonNode *ht_recipe_to_json (HtRecipe *self);

/* For editors */
HT_API JsonNode *ht_recipe_schema (HtPassRegistry *registry);
HT_API char *ht_recipe_format (const char *text, const char *file, GPtrArray *diagnostics, GError **error);

G_END_DECLS
