/* SPDX-License-Identifier: MIT */
/* Rules for single nodes: what they match, what they override. */
#pragma once

#include <halftone/quantization.h>

typedef struct
{
  char *op_type;
  char *glob;
  GPatternSpec *glob_spec;
  char **pattern; /* operator types of a chain; NULL: none */
  HtRulePosition position;
  gboolean skip;
  char *place;           /* "file:line:column", or NULL */
  GHashTable *values[2]; /* overrides of single keys, of weights and of activations: name -> JsonNode, checked */
} HtRule;

HtRule *ht_rule_new (const char *op_type, const char *glob, gboolean skip);
/* With the overrides of the chosen kinds only. */
HtRule *ht_rule_copy (HtRule *self, gboolean weights, gboolean activations);
void ht_rule_free (gpointer rule);
gboolean ht_rule_matches (HtRule *self, HtNode *node);
/* "rule 2 (recipe.yaml:9:7)" */
char *ht_rule_describe (HtRule *self, guint number);
