/* SPDX-License-Identifier: MIT */
#include "pass/facts.h"

#include <string.h>

/* Which effect breaks which fact is said here and nowhere else. */
static const HtFactInfo vocabulary[] = {
  { HT_FACT_BATCHNORM_LIVE, HT_FACT_UNKNOWN, "the model has live batch norms", "the model has no live batch norms",
    FALSE, 0, FALSE, NULL },
  { HT_FACT_BATCHNORM_STATISTICS, HT_FACT_FALSE, "batch-norm statistics are at hand",
    "batch-norm statistics are not at hand", FALSE, 0, FALSE, NULL },
  { HT_FACT_EQUALIZED, HT_FACT_FALSE, "the layers are equalized", "the layers are not equalized", FALSE, 0, FALSE,
    NULL },
  { HT_FACT_WEIGHTS_ROUNDED, HT_FACT_FALSE, "the weights are rounded", "the weights are floating point", TRUE,
    HT_EFFECT_CHANGES_WEIGHTS, TRUE, "it would undo the rounding" },
  { HT_FACT_BIAS_CORRECTED, HT_FACT_FALSE, "the biases are corrected", "the biases are not corrected", FALSE,
    HT_EFFECT_CHANGES_WEIGHTS | HT_EFFECT_CHANGES_WEIGHT_GRID, FALSE,
    "the correction holds only for the weights and grids it was made for" },
  { HT_FACT_RANGES_LEARNED, HT_FACT_FALSE, "the ranges are learned", "the ranges are not learned", FALSE, 0, FALSE,
    NULL },
  { HT_FACT_WEIGHT_ENCODINGS_FIXED, HT_FACT_FALSE, "the weight encodings are fixed",
    "the weight encodings are not fixed", FALSE, HT_EFFECT_CHANGES_WEIGHT_GRID | HT_EFFECT_RESCALES_CHANNELS, TRUE,
    "the fixed grids would no longer fit the weights" },
};

static const HtFactInfo unknown_word = { NULL, HT_FACT_FALSE, NULL, NULL, FALSE, 0, FALSE, NULL };

/* In the order of the bits of HtEffect. */
static const char *const effects[]
    = { "changes-weights", "changes-biases", "changes-weight-grid", "changes-topology", "rescales-channels", NULL };

const HtFactInfo *
ht_fact_get_info (const char *fact)
{
  for (gsize i = 0; i < G_N_ELEMENTS (vocabulary); i++)
    if (g_str_equal (vocabulary[i].name, fact))
      return &vocabulary[i];
  return &unknown_word;
}

const HtFactInfo *
ht_fact_get_nth (guint index)
{
  return index < G_N_ELEMENTS (vocabulary) ? &vocabulary[index] : NULL;
}

HtEffect
ht_effect_from_name (const char *name)
{
  for (guint i = 0; effects[i] != NULL; i++)
    if (g_str_equal (effects[i], name))
      return (HtEffect)(1u << i);
  return (HtEffect)0;
}

const char *
ht_effect_get_name (HtEffect effect)
{
  for (guint i = 0; effects[i] != NULL; i++)
    if (effect == 1u << i)
      return effects[i];
  return NULL;
}

const char *const *
ht_effect_list_names (void)
{
  return effects;
}
