/* SPDX-License-Identifier: MIT */
#include "ops/product.h"

#include <string.h>

/* A vector becomes a matrix: a row on the left, a column on the right. */
static void
promote (HtDims *dims, gboolean left)
{
  if (dims->n != 1)
    return;
  HtDims matrix = { 0 };
  if (left)
    ht_dims_append (&matrix, 1, NULL);
  ht_dims_append (&matrix, dims->dim[0], dims->symbol[0]);
  if (!left)
    ht_dims_append (&matrix, 1, NULL);
  *dims = matrix;
}

gboolean
ht_infer_product (HtInfer *infer, guint left, guint right, HtDataType type, GError **error)
{
  HtDims a, b, batch, out = { 0 };

  ht_infer_set_output (infer, 0, type, NULL);
  if (!ht_infer_check_rank (infer, left, 1, HT_TENSOR_MAX_DIMS, error)
      || !ht_infer_check_rank (infer, right, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, left, &a) || !ht_infer_read_dims (infer, right, &b))
    return TRUE;
  gboolean row = a.n == 1, column = b.n == 1;
  promote (&a, TRUE);
  promote (&b, FALSE);
  gint64 k_a = a.dim[a.n - 1], k_b = b.dim[b.n - 2];
  if (k_a >= 0 && k_b >= 0 && k_a != k_b)
    return ht_infer_fail (infer, error,
                          "the left operand has %" G_GINT64_FORMAT " columns and the right one %" G_GINT64_FORMAT
                          " rows, they must be the same",
                          k_a, k_b);
  HtDims a_batch = a, b_batch = b;
  a_batch.n -= 2;
  b_batch.n -= 2;
  if (!ht_infer_broadcast (infer, &a_batch, &b_batch, &batch, error))
    return FALSE;
  out = batch;
  if (!row)
    ht_dims_append (&out, a.dim[a.n - 2], a.symbol[a.n - 2]);
  if (!column)
    ht_dims_append (&out, b.dim[b.n - 1], b.symbol[b.n - 1]);
  ht_infer_put_dims (infer, 0, type, &out);
  return TRUE;
}

/* Where each product of a broadcast batch reads, in elements; one operand. */
static gsize *
offsets_of (const HtDims *batch, const gint64 *dims, guint n_dims, gsize matrix, gsize n_batch)
{
  gsize *offsets = g_new (gsize, MAX (n_batch, 1));

  for (gsize i = 0; i < n_batch; i++)
    {
      gsize rest = i, stride = matrix, offset = 0;
      for (guint k = 0; k < batch->n; k++)
        {
          guint axis = batch->n - 1 - k;
          gsize index = rest % (gsize)batch->dim[axis];
          rest /= (gsize)batch->dim[axis];
          if (k >= n_dims)
            continue;
          gsize size = (gsize)dims[n_dims - 1 - k];
          offset += size > 1 ? index * stride : 0;
          stride *= size;
        }
      offsets[i] = offset;
    }
  return offsets;
}

void
ht_product_read (HtTensor *a_tensor, HtTensor *b_tensor, HtProduct *p)
{
  guint n_a, n_b;
  const gint64 *a = ht_tensor_get_dims (a_tensor, &n_a), *b = ht_tensor_get_dims (b_tensor, &n_b);

  memset (p, 0, sizeof *p);
  for (guint i = 0; i < n_a; i++)
    ht_dims_append (&p->a, a[i], NULL);
  for (guint i = 0; i < n_b; i++)
    ht_dims_append (&p->b, b[i], NULL);
  promote (&p->a, TRUE);
  promote (&p->b, FALSE);
  p->m = (gsize)p->a.dim[p->a.n - 2];
  p->k = (gsize)p->a.dim[p->a.n - 1];
  p->n = (gsize)p->b.dim[p->b.n - 1];
  p->a.n -= 2;
  p->b.n -= 2;
  p->n_batch = 1;
  for (guint i = 0; i < MAX (p->a.n, p->b.n); i++)
    {
      guint n = MAX (p->a.n, p->b.n);
      gint64 left = i + p->a.n >= n ? p->a.dim[i + p->a.n - n] : 1;
      gint64 right = i + p->b.n >= n ? p->b.dim[i + p->b.n - n] : 1;
      ht_dims_append (&p->batch, left == 1 ? right : left, NULL);
      p->n_batch *= (gsize)p->batch.dim[i];
    }
  /* One matrix on the right of all: the left ones are one tall matrix. */
  if (p->n_batch > 0 && ht_dims_product (&p->b, 0, p->b.n) == 1
      && (gsize)ht_dims_product (&p->a, 0, p->a.n) == p->n_batch)
    {
      p->m *= p->n_batch;
      p->n_batch = 1;
      p->a.n = p->b.n = p->batch.n = 0;
    }
}

gsize *
ht_product_left_offsets (const HtProduct *p)
{
  return offsets_of (&p->batch, p->a.dim, p->a.n, p->m * p->k, p->n_batch);
}

gsize *
ht_product_right_offsets (const HtProduct *p)
{
  return offsets_of (&p->batch, p->b.dim, p->b.n, p->k * p->n, p->n_batch);
}
