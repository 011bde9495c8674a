/* SPDX-License-Identifier: MIT */
/* How the settings of one tensor come about, and what a configuration is made of. */
#pragma once

#include "quant/target-settings.h"

struct _HtQuantizationConfig
{
  GObject parent_instance;

  char *word; /* what the user calls the target */
  HtTarget *target;
  HtQuantizerSettings *weights;
  HtQuantizerSettings *activations;
  GHashTable *places[2]; /* of weights and of activations: key -> "file:line:column" */
  GPtrArray *rules;      /* HtRule */
};

/* A word between the target's general ones and those of the recipe: an exception for this very tensor. */
typedef struct
{
  char *key;
  JsonNode *value;
  char *origin;
} HtSettingException;

void ht_setting_exception_free (gpointer exception);

/* Settings of a tensor: the target's words for it, its exceptions, the explicit keys of the configuration, not fewer
 * bits than `least_bits`, then the rules that match any of its nodes, in order. `origins` (nullable) receives, for each
 * key that somebody spoke of, who had the last word. */
HtQuantizerSettings *ht_quantization_config_resolve_use (HtQuantizationConfig *self, const HtTargetUse *use,
                                                         GPtrArray *exceptions, guint least_bits, HtNode *const *nodes,
                                                         gsize n_nodes, GHashTable *origins, GError **error);
/* Where a recipe wrote a key of `weights` or `activations`: "file:line:column". */
void ht_quantization_config_set_place (HtQuantizationConfig *self, gboolean weights, const char *key,
                                       const char *place);
/* A target under the word that a recipe has for it. */
void ht_quantization_config_take_target (HtQuantizationConfig *self, const char *word, HtTarget *target);
/* The rule that leaves a node in floating point, as "rule 2 (recipe.yaml:9:7)", or NULL. */
char *ht_quantization_config_find_skip (HtQuantizationConfig *self, HtNode *node);

/* A copy with the target, what the rules match and skip, and the settings of the chosen kinds; those of the other kinds
 * are the target's. quantization-digest.c */
HtQuantizationConfig *ht_quantization_config_restrict (HtQuantizationConfig *self, gboolean weights,
                                                       gboolean activations);
/* The SHA-256, in hexadecimal, of all that the restricted copy says. Where it is written does not count. */
char *ht_quantization_config_hash (HtQuantizationConfig *self, gboolean weights, gboolean activations);
