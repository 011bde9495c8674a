/* SPDX-License-Identifier: MIT */
/* The vocabulary of combination: what core knows of facts and effects. It knows no technique. */
#pragma once

#include <halftone/plan.h>

typedef enum
{
  HT_EFFECT_CHANGES_WEIGHTS = 1 << 0,
  HT_EFFECT_CHANGES_BIASES = 1 << 1,
  HT_EFFECT_CHANGES_WEIGHT_GRID = 1 << 2,
  HT_EFFECT_CHANGES_TOPOLOGY = 1 << 3,
  HT_EFFECT_RESCALES_CHANNELS = 1 << 4,
} HtEffect;

typedef struct
{
  const char *name;
  HtFactValue initial; /* of a model that nobody has looked at */
  const char *if_true; /* "the model has live batch norms" */
  const char *if_false;
  gboolean one_provider; /* two steps of a pipeline may not both provide it, unless the later one continues it */
  guint broken_by;       /* effects that a later step may not have, unless it continues the fact ... */
  gboolean can_carry;    /* ... or, where this says so, carries the encodings along with each such effect */
  const char *why;       /* what those effects would do to it */
} HtFactInfo;

/* Facts of other names are false at first and are broken by nothing. (transfer none); never NULL. */
const HtFactInfo *ht_fact_get_info (const char *fact);
/* The facts of the vocabulary; NULL behind the last one. */
const HtFactInfo *ht_fact_get_nth (guint index);

/* 0: no effect of this name. */
HtEffect ht_effect_from_name (const char *name);
const char *ht_effect_get_name (HtEffect effect);
const char *const *ht_effect_list_names (void);
