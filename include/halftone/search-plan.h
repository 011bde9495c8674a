/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/recipe-space.h>

G_BEGIN_DECLS

/* What a search over a space would do, known before any work: combinations, laws, distinct steps. */
#define HT_TYPE_SEARCH_PLAN (ht_search_plan_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSearchPlan, ht_search_plan, HT, SEARCH_PLAN, GObject)

HT_API HtSearchPlan *ht_search_plan_new (HtRecipeSpace *space);
HT_API guint64 ht_search_plan_get_n_looked_at (HtSearchPlan *self);
HT_API gboolean ht_search_plan_is_complete (HtSearchPlan *self);
HT_API guint64 ht_search_plan_get_n_legal (HtSearchPlan *self);
HT_API guint ht_search_plan_get_n_laws (HtSearchPlan *self);
HT_API const char *ht_search_plan_get_law (HtSearchPlan *self, guint index, guint64 *n_excluded);
HT_API guint64 ht_search_plan_get_n_steps (HtSearchPlan *self);
HT_API guint64 ht_search_plan_get_n_steps_apart (HtSearchPlan *self);
HT_API guint64 ht_search_plan_get_n_evaluations (HtSearchPlan *self);
HT_API guint ht_search_plan_get_depth (HtSearchPlan *self);
HT_API char **ht_search_plan_list_dead (HtSearchPlan *self);
HT_API char **ht_search_plan_list_tree (HtSearchPlan *self, guint max_lines);
HT_API JsonNode *ht_search_plan_to_json (HtSearchPlan *self);

G_END_DECLS
