/* SPDX-License-Identifier: MIT */
/* The inside of a plan: plan.c keeps it, plan-check.c finds out about it, plan-explain.c tells. */
#pragma once

#include "pass/facts.h"
#include "pass/pass-private.h"

#include <halftone/diagnostic.h>

/* How a fact came to be what it is. */
typedef enum
{
  HT_FACT_IS_INITIAL,
  HT_FACT_IS_PROVIDED,
  HT_FACT_IS_ENDED,
  HT_FACT_IS_ASSUMED, /* a step is legal only with it so */
} HtFactOrigin;

typedef struct
{
  HtFactValue value;
  HtFactOrigin origin;
  guint step; /* where it is not initial */
} HtFact;

typedef struct
{
  char *id;
  HtPass *pass;
  HtPassMeta *meta; /* of the pass's class */
  HtPassScope scope;
  HtFactValue *applies; /* each rule; from the check */
  GHashTable *facts;    /* name -> HtFact, after the step; from the check */
} HtPlanStep;

typedef struct
{
  HtSeverity severity;
  HtRecipeError code;
  guint step;
  gint other_step;
  char *message;
  char *reference;
} HtPlanFinding;

struct _HtPlan
{
  GObject parent_instance;

  HtQuantizationConfig *config;
  GPtrArray *steps;
  GHashTable *initial; /* name -> HtFactValue, as set */
  GHashTable *before;  /* name -> HtFact, before the first step; from the check */
  GPtrArray *findings;
  gboolean checked;
};

HtPlanStep *ht_plan_get_step (HtPlan *self, guint index);
HtPassRule *ht_plan_step_get_rule (HtPlanStep *step, guint index);
/* "step 'round' (adaround)" */
char *ht_plan_describe_step (HtPlan *self, guint index);
/* What is known of a fact in a table of the check. */
HtFact ht_plan_lookup_fact (GHashTable *facts, const char *name);
/* "the model has live batch norms", "'polished' is true" */
char *ht_fact_describe (const char *name, HtFactValue value);
void ht_plan_simulate (HtPlan *self);
/* Checks the plan unless that has been done since it was last changed. */
void ht_plan_ensure_checked (HtPlan *self);
/* Whether any rule of this kind and subject (NULL: any) applies to a step, or may. */
gboolean ht_plan_step_may (HtPlanStep *step, HtRuleKind kind, const char *subject);
