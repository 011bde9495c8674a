/* SPDX-License-Identifier: MIT */
/* What a technique's class says of itself. */
#pragma once

#include "base/class-info.h"
#include "pass/condition.h"

#include <halftone/pass.h>

typedef struct
{
  HtRuleKind kind;
  char *subject;
  char *reason;
  char *reference;
  char *when;
  HtCondition *condition;  /* NULL: always, or the text is wrong */
  GError *condition_error; /* why it is wrong */
} HtPassRule;

/* What a technique reads besides, where the condition holds. */
typedef struct
{
  HtPassReads reads;
  char *when;
  HtCondition *condition;
  GError *condition_error;
} HtPassAddedReads;

typedef struct
{
  HtClassInfo info;
  HtPassReads reads;
  GPtrArray *added_reads; /* HtPassAddedReads */
  GPtrArray *rules; /* HtPassRule */
  char *version;    /* of the plugin it came from */
} HtPassMeta;

HtPassMeta *ht_pass_class_get_meta (HtPassClass *klass);

/* The names that the rules of a technique may use: its parameters, `weights.KEY`, `activations.KEY`, `target`. Without
 * `pass` or `config` their values are unknown. */
typedef struct
{
  HtConditionScope scope;
  HtPassClass *klass;
  HtPass *pass;
  HtQuantizationConfig *config;
} HtPassScope;

void ht_pass_scope_init (HtPassScope *self, HtPassClass *klass, HtPass *pass, HtQuantizationConfig *config);
/* Whether the rule applies. The condition of HT_RULE_REQUIRES_SETTING is its demand: such a rule always applies. */
HtFactValue ht_pass_rule_applies (const HtPassRule *rule, const HtPassScope *scope);
const char *ht_rule_kind_get_words (HtRuleKind kind);

/* Everything that can be wrong with a technique's class, in one error. */
gboolean ht_pass_type_lint (GType type, GError **error);
