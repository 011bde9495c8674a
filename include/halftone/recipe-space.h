/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/objective.h>
#include <halftone/recipe.h>
#include <halftone/search-settings.h>

G_BEGIN_DECLS

/* One point of a space: an index or a number for each axis that counts there. Immutable, counted. */
#define HT_TYPE_COMBINATION (ht_combination_get_type ())
typedef struct _HtCombination HtCombination;

HT_API GType ht_combination_get_type (void) G_GNUC_CONST;
HT_API HtCombination *ht_combination_ref (HtCombination *self);
HT_API void ht_combination_unref (HtCombination *self);
HT_API gboolean ht_combination_is_active (HtCombination *self, guint axis);
HT_API guint ht_combination_get_index (HtCombination *self, guint axis);
HT_API double ht_combination_get_number (HtCombination *self, guint axis);
HT_API gboolean ht_combination_equal (gconstpointer a, gconstpointer b);
HT_API guint ht_combination_hash (gconstpointer self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtCombination, ht_combination_unref)

/* The recipes that one text with choices stands for. A recipe without choices is a space of one combination. */
#define HT_TYPE_RECIPE_SPACE (ht_recipe_space_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtRecipeSpace, ht_recipe_space, HT, RECIPE_SPACE, GObject)

HT_API HtRecipeSpace *ht_recipe_space_load (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics,
                                            GError **error);
HT_API HtRecipeSpace *ht_recipe_space_parse (const char *text, gssize length, const char *file,
                                             HtPassRegistry *registry, GPtrArray *diagnostics, GError **error);
HT_API HtRecipeSpace *ht_recipe_space_parse_set (const char *text, gssize length, const char *file,
                                                 const char *const *settings, HtPassRegistry *registry,
                                                 GPtrArray *diagnostics, GError **error);
HT_API HtRecipe *ht_recipe_space_get_recipe (HtRecipeSpace *self);
HT_API HtObjective *ht_recipe_space_get_objective (HtRecipeSpace *self);
HT_API HtSearchSettings *ht_recipe_space_get_settings (HtRecipeSpace *self);
HT_API void ht_recipe_space_learn_from_graph (HtRecipeSpace *self, HtGraph *graph);

/* Axes, in the order of the enumeration */
HT_API guint ht_recipe_space_get_n_axes (HtRecipeSpace *self);
HT_API const char *ht_recipe_space_get_axis_name (HtRecipeSpace *self, guint axis);
HT_API guint ht_recipe_space_find_axis (HtRecipeSpace *self, const char *name);
HT_API gboolean ht_recipe_space_is_step_axis (HtRecipeSpace *self, guint axis);
HT_API guint ht_recipe_space_get_axis_n_values (HtRecipeSpace *self, guint axis);
HT_API gint ht_recipe_space_get_axis_none (HtRecipeSpace *self, guint axis);
HT_API gint ht_recipe_space_get_axis_parent (HtRecipeSpace *self, guint axis, guint *value);
HT_API gboolean ht_recipe_space_get_axis_range (HtRecipeSpace *self, guint axis, double *low, double *high,
                                                gboolean *log, double *step);
HT_API char *ht_recipe_space_format_axis_value (HtRecipeSpace *self, guint axis, guint index);

/* Combinations */
HT_API guint64 ht_recipe_space_get_n_combinations (HtRecipeSpace *self);
HT_API HtCombination *ht_recipe_space_get_nth (HtRecipeSpace *self, guint64 n);
HT_API HtCombination *ht_recipe_space_random (HtRecipeSpace *self, GRand *random);
HT_API HtCombination *ht_recipe_space_vary (HtRecipeSpace *self, HtCombination *combination, guint axis, guint index);
HT_API HtCombination *ht_recipe_space_vary_number (HtRecipeSpace *self, HtCombination *combination, guint axis,
                                                   double number);
HT_API char *ht_recipe_space_format_value (HtRecipeSpace *self, HtCombination *combination, guint axis);
HT_API char *ht_recipe_space_describe (HtRecipeSpace *self, HtCombination *combination);
HT_API JsonNode *ht_recipe_space_combination_to_json (HtRecipeSpace *self, HtCombination *combination);
HT_API HtCombination *ht_recipe_space_combination_from_json (HtRecipeSpace *self, JsonNode *node, GError **error);

/* What a combination is as a recipe. Passes and settings of the plans are shared: same object, same meaning. */
HT_API HtPlan *ht_recipe_space_create_plan (HtRecipeSpace *self, HtCombination *combination);
HT_API HtQuantizationConfig *ht_recipe_space_get_quantization (HtRecipeSpace *self, HtCombination *combination);
HT_API gboolean ht_recipe_space_is_legal (HtRecipeSpace *self, HtCombination *combination, char **law);
HT_API HtCombination *ht_recipe_space_find_legal (HtRecipeSpace *self, GError **error);
HT_API HtRecipe *ht_recipe_space_instantiate (HtRecipeSpace *self, HtCombination *combination, GError **error);

G_END_DECLS
