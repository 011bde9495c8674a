/* SPDX-License-Identifier: MIT */
/* Conditions: "weights.granularity = channel && !(iterations < 2000)".
 *
 *   expression = term { "||" term }            term    = factor { "&&" factor }
 *   factor     = "!" factor | "(" expression ")" | name [ operator literal ]
 *   operator   = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="
 *   name       = word | word "(" word ")"      literal = number [unit] | word | "text" | true | false
 *
 * A bare name is a switch that must be on. Words are [A-Za-z_][A-Za-z0-9_.-]*. What a name means is the scope's
 * business: a step's own parameters and the quantization settings for the rules of a technique. */
#pragma once

#include <halftone/plan.h>

typedef struct _HtCondition HtCondition;
typedef struct _HtConditionScope HtConditionScope;

struct _HtConditionScope
{
  /* The type of what a name stands for; NULL and an error where it stands for nothing. */
  GParamSpec *(*find) (const HtConditionScope *scope, const char *name, GError **error);
  /* Fills in `value`, initialized with the type of the GParamSpec; FALSE: it is not known yet. */
  gboolean (*get) (const HtConditionScope *scope, const char *name, GValue *value);
};

HtCondition *ht_condition_parse (const char *text, GError **error);
void ht_condition_free (HtCondition *self);
const char *ht_condition_get_text (const HtCondition *self);
/* Checks that every name stands for something and is compared with a literal of its kind. */
gboolean ht_condition_check (const HtCondition *self, const HtConditionScope *scope, GError **error);
/* Evaluates a condition that ht_condition_check() passed: unknown values make it unknown where they matter. */
HtFactValue ht_condition_evaluate (const HtCondition *self, const HtConditionScope *scope);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtCondition, ht_condition_free)
