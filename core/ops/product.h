/* SPDX-License-Identifier: MIT */
/* The shapes of a matrix product with broadcast batches: vectors, matrices and stacks of matrices. */
#pragma once

#include "ops/rules.h"

typedef struct
{
  HtDims a, b, batch; /* batch dimensions of both sides and of the result */
  gsize m, n, k, n_batch;
} HtProduct;

/* Output 0 becomes the product of inputs `left` and `right`. */
gboolean ht_infer_product (HtInfer *infer, guint left, guint right, HtDataType type, GError **error);

/* Operands that fit. One matrix on the right of all makes the left ones one tall matrix. */
void ht_product_read (HtTensor *a_tensor, HtTensor *b_tensor, HtProduct *p);
/* Where product i of n_batch reads its matrix, in elements (transfer full). */
gsize *ht_product_left_offsets (const HtProduct *p);
gsize *ht_product_right_offsets (const HtProduct *p);
