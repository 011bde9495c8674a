/* SPDX-License-Identifier: MIT */
/* Compress and Unique: how many elements are left is known from the data alone. */
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

/* The input as [outer, length, inner] around the axis; without the attribute all of it is one axis. */
typedef struct
{
  gsize outer, length, inner;
  gint64 dims[HT_TENSOR_MAX_DIMS]; /* of the result; that of the axis is filled in later */
  guint rank, axis;
} Lines;

static void
read_lines (const HtOpCall *call, Lines *lines)
{
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);

  *lines = (Lines){ 1, ht_tensor_get_n_elements (call->inputs[0]), 1, { 0 }, 1, 0 };
  if (!ht_node_has_attribute (call->node, "axis")
      || !ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &lines->axis))
    return;
  lines->rank = rank;
  lines->length = (gsize)dims[lines->axis];
  for (guint i = 0; i < rank; i++)
    {
      lines->dims[i] = dims[i];
      if (i != lines->axis)
        *(i < lines->axis ? &lines->outer : &lines->inner) *= (gsize)dims[i];
    }
}

/* The elements of the axis at `chosen`, in that order. */
static HtTensor *
take (const HtOpCall *call, Lines *lines, const gint64 *chosen, gsize n, GError **error)
{
  HtTensor *in = call->inputs[0];
  gsize run = lines->inner * ht_element_size (ht_tensor_get_data_type (in));

  lines->dims[lines->axis] = (gint64)n;
  HtTensor *out = ht_tensor_new (ht_tensor_get_data_type (in), lines->dims, lines->rank, error);
  if (out == NULL || ht_tensor_get_n_elements (out) == 0)
    return out;
  char *to = ht_tensor_get_writable_data (out);
  const char *from = ht_tensor_get_data (in);
  for (gsize i = 0; i < lines->outer; i++)
    for (gsize k = 0; k < n; k++, to += run)
      memcpy (to, from + (i * lines->length + (gsize)chosen[k]) * run, run);
  return out;
}

static gboolean
infer_axis (HtInfer *infer, GError **error)
{
  HtDims in;
  guint axis = 0;
  gint64 one = HT_DIM_UNKNOWN;
  gboolean flat = !ht_node_has_attribute (infer->node, "axis");

  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (flat)
    ht_infer_set_output_dims (infer, 0, ht_infer_get_type (infer, 0), &one, 1);
  if (flat || !ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), in.n, &axis, error))
    return FALSE;
  in.dim[axis] = HT_DIM_UNKNOWN;
  in.symbol[axis] = NULL;
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &in);
  return TRUE;
}

static gboolean
compress_infer (HtInfer *infer, GError **error)
{
  return ht_infer_check_arity (infer, 2, 2, error) && ht_infer_check_type (infer, 1, HT_TYPE_BIT (BOOL), error)
         && ht_infer_check_rank (infer, 1, 1, 1, error) && infer_axis (infer, error);
}

static gboolean
compress_forward (const HtOpCall *call, GError **error)
{
  HtTensor *condition = call->inputs[1];
  const guint8 *wanted = ht_tensor_get_data (condition);
  gsize n = 0;
  Lines lines;

  if (!ht_op_check_movable (call, call->inputs[0], error))
    return FALSE;
  read_lines (call, &lines);
  /* A condition may end early; what it has beyond the axis stands for nothing. */
  gsize length = MIN (ht_tensor_get_n_elements (condition), lines.length);
  g_autofree gint64 *chosen = g_new (gint64, MAX (length, 1));
  for (gsize i = 0; i < length; i++)
    if (wanted[i])
      chosen[n++] = (gint64)i;
  call->outputs[0] = take (call, &lines, chosen, n, error);
  return call->outputs[0] != NULL;
}

/* Unique */
static gboolean
unique_infer (HtInfer *infer, GError **error)
{
  gint64 one = HT_DIM_UNKNOWN;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !infer_axis (infer, error))
    return FALSE;
  for (guint i = 1; i < infer->n_outputs; i++)
    ht_infer_set_output_dims (infer, i, HT_DATA_TYPE_INT64, &one, 1);
  return TRUE;
}

/* Elements in an order that 64-bit integers have: those of floats are their bits with the sign folded in. NaN is the
 * largest, and all NaNs are the same. */
static gint64
order_of (HtTensor *tensor, gsize index)
{
  HtDataType type = ht_tensor_get_data_type (tensor);
  gint64 bits;

  if (type == HT_DATA_TYPE_UINT64)
    return (gint64)(((const guint64 *)ht_tensor_get_data (tensor))[index] ^ ((guint64)1 << 63));
  if (!ht_data_type_is_float (type))
    return ht_tensor_get_int64 (tensor, index);
  double value = ht_tensor_get_double (tensor, index);
  if (value != value)
    return G_MAXINT64;
  value += 0.0; /* -0 is 0 */
  memcpy (&bits, &value, sizeof bits);
  return bits >= 0 ? bits : (gint64)(~(guint64)bits ^ ((guint64)1 << 63));
}

/* The slices across the axis, one behind the other. */
typedef struct
{
  gint64 *keys;
  gsize n; /* elements of a slice */
} Slices;

static gint
compare_slices (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const Slices *slices = user_data;
  const gint64 *left = slices->keys + (gsize) * (const gint64 *)a * slices->n;
  const gint64 *right = slices->keys + (gsize) * (const gint64 *)b * slices->n;

  for (gsize i = 0; i < slices->n; i++)
    if (left[i] != right[i])
      return left[i] < right[i] ? -1 : 1;
  return 0;
}

static gint
compare_numbers (gconstpointer a, gconstpointer b, gpointer first)
{
  gint64 left = ((const gint64 *)first)[*(const gint64 *)a], right = ((const gint64 *)first)[*(const gint64 *)b];
  return (left > right) - (left < right);
}

static gboolean
put_numbers (const HtOpCall *call, guint output, const gint64 *numbers, gsize n)
{
  if (output < call->n_outputs && *ht_node_get_output (call->node, output) != '\0')
    call->outputs[output] = ht_tensor_new_int64s (numbers, n);
  return TRUE;
}

static gboolean
unique_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0];
  Lines lines;

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  read_lines (call, &lines);
  gsize n = lines.length, n_unique = 0;
  Slices slices = { g_try_new (gint64, MAX (ht_tensor_get_n_elements (in), 1)), lines.outer * lines.inner };
  g_autofree gint64 *keys = slices.keys, *numbers = g_try_new (gint64, 6 * MAX (n, 1));
  if (keys == NULL || numbers == NULL || n > G_MAXINT)
    return ht_op_fail (call, error, "no memory to sort %" G_GSIZE_FORMAT " elements", n);
  for (gsize i = 0; i < ht_tensor_get_n_elements (in); i++)
    {
      gsize slice = i / lines.inner % n, within = i / lines.inner / n * lines.inner + i % lines.inner;
      keys[slice * slices.n + within] = order_of (in, i);
    }
  /* Equal slices keep the order they have: the sort is stable. */
  gint64 *sorted = numbers, *group_of = sorted + n, *first = group_of + n, *rank = first + n, *place = rank + n,
         *count = place + n;
  for (gsize i = 0; i < n; i++)
    sorted[i] = (gint64)i;
  g_qsort_with_data (sorted, (gint)n, sizeof *sorted, compare_slices, &slices);
  for (gsize i = 0; i < n; i++)
    {
      if (i == 0 || compare_slices (&sorted[i - 1], &sorted[i], &slices) != 0)
        {
          first[n_unique] = sorted[i];
          rank[n_unique] = (gint64)n_unique;
          n_unique++;
        }
      group_of[sorted[i]] = (gint64)n_unique - 1;
    }
  if (ht_node_get_int (call->node, "sorted", 1) == 0)
    g_qsort_with_data (rank, (gint)n_unique, sizeof *rank, compare_numbers, first);
  for (gsize i = 0; i < n_unique; i++)
    place[rank[i]] = (gint64)i;
  for (gsize i = 0; i < n_unique; i++)
    {
      sorted[i] = first[rank[i]];
      count[i] = 0;
    }
  for (gsize i = 0; i < n; i++)
    {
      group_of[i] = place[group_of[i]];
      count[group_of[i]]++;
    }
  if (*ht_node_get_output (call->node, 0) != '\0')
    call->outputs[0] = take (call, &lines, sorted, n_unique, error);
  return (call->outputs[0] != NULL || *ht_node_get_output (call->node, 0) == '\0')
         && put_numbers (call, 1, sorted, n_unique) && put_numbers (call, 2, group_of, n)
         && put_numbers (call, 3, count, n_unique);
}

static const HtOperator operators[] = {
  { "", "Compress", 9, HT_OP_MAKES_OUTPUTS | HT_OP_KEEPS_GRID, compress_infer, compress_forward },
  { "", "Unique", 11, HT_OP_MAKES_OUTPUTS | HT_OP_KEEPS_GRID, unique_infer, unique_forward },
};

void
ht_ops_register_select (void)
{
  HT_OPS_REGISTER (operators);
}
