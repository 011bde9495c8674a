/* SPDX-License-Identifier: MIT */
/* What a target says of the settings of one tensor. */
#pragma once

#include "quant/target-private.h"

#include <halftone/quantization.h>

/* What a tensor is to its nodes. */
typedef struct
{
  gboolean is_weight;
  const char *kind;           /* of a weight: "weight", "bias", …; NULL: no parameter */
  const char *op_type;        /* whose parameter it is, or what makes it; NULL: nothing does */
  const char *const *readers; /* of an activation: the operator types that read it; NULL: not known */
} HtTargetUse;

/* Sets what nobody has set explicitly. `origins` (nullable): name of a setting -> which word of the file it follows. */
void ht_target_apply (HtTarget *self, const HtTargetUse *use, HtQuantizerSettings *settings, GHashTable *origins);
/* Whether what nodes of this type read is to be quantized. */
gboolean ht_target_quantizes_inputs (HtTarget *self, const char *op_type);
/* Whether parameters of this kind are quantized at all. `origin` (nullable) receives the word of the file. */
gboolean ht_target_quantizes_param (HtTarget *self, const char *op_type, const char *kind, char **origin);
/* "target 'default': params.bias (default.json:11:3)"; with line 0 that the file does not have it. */
char *ht_target_describe_word (HtTarget *self, guint line, guint column, const char *format, ...) G_GNUC_PRINTF (4, 5);
