/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/pass-registry.h>
#include <halftone/quantization.h>

G_BEGIN_DECLS

typedef enum
{
  HT_FACT_FALSE,
  HT_FACT_TRUE,
  HT_FACT_UNKNOWN,
} HtFactValue;

/* An ordered list of steps and what the planner finds about them: problems, assumptions ("legal if ..."), advice. */
#define HT_TYPE_PLAN (ht_plan_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtPlan, ht_plan, HT, PLAN, GObject)

HT_API HtPlan *ht_plan_new (HtQuantizationConfig *config);
HT_API void ht_plan_add_step (HtPlan *self, const char *id, HtPass *pass);
HT_API guint ht_plan_get_n_steps (HtPlan *self);
HT_API const char *ht_plan_get_step_id (HtPlan *self, guint step);
HT_API HtPass *ht_plan_get_step_pass (HtPlan *self, guint step);
HT_API void ht_plan_set_initial_fact (HtPlan *self, const char *fact, HtFactValue value);
HT_API HtFactValue ht_plan_get_initial_fact (HtPlan *self, const char *fact);
HT_API void ht_plan_learn_from_graph (HtPlan *self, HtGraph *graph);
HT_API gboolean ht_plan_check (HtPlan *self, GError **error);

/* After ht_plan_check() */
HT_API guint ht_plan_get_n_findings (HtPlan *self);
HT_API const char *ht_plan_get_finding (HtPlan *self, guint index, gint *severity, guint *step, gint *other_step,
                                        const char **reference);
HT_API HtFactValue ht_plan_get_fact (HtPlan *self, guint step, const char *fact);
HT_API char **ht_plan_explain_step (HtPlan *self, guint step);

G_END_DECLS
