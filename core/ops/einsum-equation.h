/* SPDX-License-Identifier: MIT */
/* The equation of an Einsum, such as "bij,bjk->bik". */
#pragma once

#include "graph/operator.h"

/* A label is a letter, A to Z before a to z, or a dimension of the ellipsis, counted so that the last ones align. */
#define HT_EINSUM_LETTERS 52
#define HT_EINSUM_LABELS  (HT_EINSUM_LETTERS + HT_TENSOR_MAX_DIMS)

typedef struct
{
  guint n;
  guint8 label[HT_TENSOR_MAX_DIMS];
} HtEinsumTerm;

typedef struct
{
  guint n_inputs;
  HtEinsumTerm *inputs;
  HtEinsumTerm output;
} HtEinsumEquation;

/* `ranks` are the numbers of dimensions of the inputs. Returns NULL, or what is wrong (transfer full). */
char *ht_einsum_parse (HtEinsumEquation *self, const char *text, const guint *ranks, guint n_inputs);
void ht_einsum_clear (HtEinsumEquation *self);
