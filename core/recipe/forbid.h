/* SPDX-License-Identifier: MIT */
/* The rules of a recipe's `forbid`: conditions over the steps of a pipeline and the quantization settings. */
#pragma once

#include "base/located.h"
#include "pass/condition.h"

typedef struct
{
  HtCondition *condition;
  char *why;
  char *place;         /* "recipe.yaml:9:12" */
  HtLocatedNode *node; /* of the condition; only while reading */
} HtForbidRule;

void ht_forbid_rule_free (gpointer rule);

/* A step that there is, or may be. */
typedef struct
{
  const char *id;
  HtPass *pass;
} HtForbidStep;

/* Names in conditions: on(ID), param(ID.NAME), weights.KEY, activations.KEY, target. `known`: the steps that names may
 * mean, `present`: those of the pipeline in question; arrays of HtForbidStep. */
gboolean ht_forbid_rule_check (const HtForbidRule *self, GArray *known, GError **error);
/* The first rule that forbids it, as a sentence, or NULL. `index` (nullable): which rule. */
char *ht_forbid_find (GPtrArray *rules, GArray *known, GArray *present, HtQuantizationConfig *config, guint *index);
