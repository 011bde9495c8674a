/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/evaluator.h>
#include <halftone/recipe-space.h>

G_BEGIN_DECLS

/* AutoQuant: searches the legal combinations of a recipe with choices. */
#define HT_TYPE_SEARCH (ht_search_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSearch, ht_search, HT, SEARCH, GObject)

HT_API HtSearch *ht_search_new (HtRecipeSpace *space);
HT_API void ht_search_set_model_path (HtSearch *self, const char *path);
HT_API void ht_search_set_output_folder (HtSearch *self, const char *path);
HT_API void ht_search_set_memory_budget (HtSearch *self, guint64 bytes);
HT_API void ht_search_override_data (HtSearch *self, HtDataRole role, const char *path, const char *labels);
HT_API void ht_search_drop_preprocessing (HtSearch *self);
HT_API void ht_search_set_progress (HtSearch *self, HtProgressFunc func, gpointer user_data, GDestroyNotify destroy);
HT_API gboolean ht_search_execute (HtSearch *self, GCancellable *cancellable, GError **error);

/* After ht_search_execute(), cancelled ones included */
HT_API gboolean ht_search_has_best (HtSearch *self);
HT_API gboolean ht_search_is_target_met (HtSearch *self);
HT_API char *ht_search_get_best_folder (HtSearch *self);
HT_API JsonNode *ht_search_get_report (HtSearch *self);

G_END_DECLS
