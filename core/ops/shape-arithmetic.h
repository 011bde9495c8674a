/* SPDX-License-Identifier: MIT */
/* Integer arithmetic on partly known shapes: what is certain of "N + 0" or "N == -1". */
#pragma once

#include "ops/rules.h"

typedef enum
{
  HT_INT_ADD,
  HT_INT_SUB,
  HT_INT_MUL,
  HT_INT_DIV,
  HT_INT_MOD,
  HT_INT_MIN,
  HT_INT_MAX,
  HT_INT_EQUAL,
  HT_INT_LESS,
  HT_INT_GREATER,
  HT_INT_LESS_EQUAL,
  HT_INT_GREATER_EQUAL,
  HT_INT_NONE,
} HtIntOp;

/* Sets the elements of output 0, whose shape is in place, from the elements of inputs 0 and 1. */
void ht_infer_int_binary (HtInfer *infer, HtIntOp op);
/* Where: input 0 chooses between 1 and 2. */
void ht_infer_int_where (HtInfer *infer);
/* Truncating division and modulo as ONNX has them; FALSE where undefined. */
gboolean ht_int_divide (gint64 a, gint64 b, gint64 *quotient);
gboolean ht_int_modulo (gint64 a, gint64 b, gboolean fmod, gint64 *rest);
