/* SPDX-License-Identifier: MIT */
#include "ops/backward.h"

#include "graph/tensor-private.h"
#include "ops/rules.h"

#include <string.h>

HtTensor *
ht_backward_get (HtTensor *const *tensors, guint n_tensors, guint index)
{
  return index < n_tensors ? tensors[index] : NULL;
}

gboolean
ht_backward_get_type (const HtOpCall *call, HtTensor *const *output_gradients, gboolean *is_double, GError **error)
{
  HtDataType type = HT_DATA_TYPE_UNDEFINED;
  for (guint i = 0; i < call->n_outputs && type == HT_DATA_TYPE_UNDEFINED; i++)
    if (output_gradients[i])
      type = ht_tensor_get_data_type (output_gradients[i]);
  *is_double = type == HT_DATA_TYPE_DOUBLE;
  return type == HT_DATA_TYPE_FLOAT || type == HT_DATA_TYPE_DOUBLE || ht_op_fail_type (call, type, error);
}

void
ht_backward_zero (HtTensor *tensor)
{
  if (ht_tensor_get_size (tensor) > 0)
    memset (ht_tensor_get_writable_data (tensor), 0, ht_tensor_get_size (tensor));
}

void
ht_backward_copy (HtTensor *to, HtTensor *from)
{
  if (ht_tensor_get_size (to) > 0)
    memcpy (ht_tensor_get_writable_data (to), ht_tensor_get_data (from), ht_tensor_get_size (to));
}

gsize
ht_backward_output_workspace (const HtInfer *infer)
{
  HtDims out;
  gsize size;
  gint64 n = ht_dims_read (infer->outputs[0].shape, &out) ? ht_dims_product (&out, 0, out.n) : 0;
  if (n < 0 || __builtin_mul_overflow ((gsize)n, sizeof (double), &size))
    return G_MAXSIZE;
  return infer->outputs[0].type == HT_DATA_TYPE_DOUBLE ? size : size / 2;
}

/* Moved elements */

typedef struct
{
  guint n_dims; /* outer ones */
  gint64 dims[HT_TENSOR_MAX_DIMS], strides[HT_TENSOR_MAX_DIMS];
  gsize row, size;
  gint64 row_stride;
  char *out;
  const char *in;
} Spread;

static void
spread_rows (gsize begin, gsize end, gpointer user_data)
{
  const Spread *self = user_data;
  for (gsize row = begin; row < end; row++)
    {
      gsize rest = row;
      gint64 offset = 0, step = self->row_stride;
      for (guint d = self->n_dims; d-- > 0;)
        {
          offset += (gint64)(rest % (gsize)self->dims[d]) * self->strides[d];
          rest /= (gsize)self->dims[d];
        }
      const char *in = self->in + row * self->row * self->size;
      char *out = self->out + offset * (gint64)self->size;
      if (step == 1)
        memcpy (out, in, self->row * self->size);
      else if (self->size == sizeof (guint32))
        for (gsize i = 0; i < self->row; i++)
          ((guint32 *)out)[(gint64)i * step] = ((const guint32 *)in)[i];
      else
        for (gsize i = 0; i < self->row; i++)
          memcpy (out + (gint64)i * step * (gint64)self->size, in + i * self->size, self->size);
    }
}

void
ht_backward_spread (gpointer out, gconstpointer in, gsize element_size, guint n_dims, const gint64 *dims,
                    const gint64 *strides)
{
  Spread self = { .row = 1, .size = element_size, .row_stride = 1, .out = out, .in = in };
  gsize rows = 1;

  if (n_dims > 0)
    {
      self.n_dims = n_dims - 1;
      self.row = (gsize)dims[n_dims - 1];
      self.row_stride = strides[n_dims - 1];
    }
  for (guint d = 0; d < self.n_dims; d++)
    {
      self.dims[d] = dims[d];
      self.strides[d] = strides[d];
      rows *= (gsize)dims[d];
    }
  if (self.row > 0)
    ht_loop_range (rows, self.row, spread_rows, &self);
}

gboolean
ht_backward_pass (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                  GError **error)
{
  for (guint i = 1; i < call->n_inputs; i++)
    if (input_gradients[i])
      return ht_op_fail_gradient (call, i, error);
  if (input_gradients[0] && output_gradients[0])
    ht_backward_copy (input_gradients[0], output_gradients[0]);
  else if (input_gradients[0])
    ht_backward_zero (input_gradients[0]);
  return TRUE;
}

gsize
ht_backward_moved_workspace (const HtInfer *infer)
{
  HtDims in, out;
  gsize size;
  if (!ht_infer_read_dims (infer, 0, &in) || !ht_dims_read (infer->outputs[0].shape, &out))
    return 0;
  gint64 n_in = ht_dims_product (&in, 0, in.n), n_out = ht_dims_product (&out, 0, out.n);
  if (n_in < 0 || n_out < 0 || __builtin_mul_overflow ((gsize)n_in + (gsize)n_out, sizeof (gint64), &size))
    return G_MAXSIZE;
  return size;
}

gboolean
ht_backward_moved (const HtOpCall *call, HtForward forward, HtTensor *const *output_gradients,
                   HtTensor *const *input_gradients, GError **error)
{
  gboolean is_double;
  HtTensor *dy = output_gradients[0], *dx = input_gradients[0];

  for (guint i = 1; i < call->n_inputs; i++)
    if (input_gradients[i])
      return ht_op_fail_gradient (call, i, error);
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL)
    return TRUE;
  ht_backward_zero (dx);
  if (dy == NULL || ht_tensor_get_n_elements (dy) == 0)
    return TRUE;
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (dx, &n_dims);
  gsize n = ht_tensor_get_n_elements (dx), n_out = ht_tensor_get_n_elements (dy);
  gint64 *from = call->workspace, *moved = from + n;
  g_autoptr (HtTensor) in = _ht_tensor_new_view (HT_DATA_TYPE_INT64, dims, n_dims, from);
  dims = ht_tensor_get_dims (dy, &n_dims);
  g_autoptr (HtTensor) out = _ht_tensor_new_view (HT_DATA_TYPE_INT64, dims, n_dims, moved);
  g_autofree HtTensor **inputs = g_memdup2 (call->inputs, call->n_inputs * sizeof (HtTensor *));
  g_autofree HtTensor **outputs = g_new0 (HtTensor *, call->n_outputs);
  HtOpCall positions = *call;
  positions.inputs = inputs;
  positions.outputs = outputs;
  inputs[0] = in;
  outputs[0] = out;
  for (gsize i = 0; i < n; i++)
    from[i] = (gint64)i;
  if (!forward (&positions, error))
    return FALSE;
  gpointer to = ht_tensor_get_writable_data (dx);
  gconstpointer g = ht_tensor_get_data (dy);
  for (gsize i = 0; i < n_out; i++)
    if (is_double)
      ((double *)to)[moved[i]] += ((const double *)g)[i];
    else
      ((float *)to)[moved[i]] += ((const float *)g)[i];
  return TRUE;
}

/* Element by element */

typedef struct
{
  HtUnaryBackwardLoop loop;
  const HtUnaryParameters *parameters;
  const char *source, *dy;
  char *dx;
  gsize element_size;
} Unary;

static void
unary_range (gsize begin, gsize end, gpointer user_data)
{
  const Unary *work = user_data;
  gsize offset = begin * work->element_size;
  work->loop (end - begin, work->source + offset, work->dy + offset, work->dx + offset, work->parameters);
}

gboolean
ht_backward_unary (const HtOpCall *call, HtTensor *source, HtTensor *const *output_gradients,
                   HtTensor *const *input_gradients, HtUnaryBackwardLoop in_float, HtUnaryBackwardLoop in_double,
                   const HtUnaryParameters *parameters, gsize cost, GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0] == NULL)
    return TRUE;
  Unary work = { is_double ? in_double : in_float,
                 parameters,
                 ht_tensor_get_data (source),
                 ht_tensor_get_data (output_gradients[0]),
                 ht_tensor_get_writable_data (input_gradients[0]),
                 is_double ? sizeof (double) : sizeof (float) };
  ht_loop_range (ht_tensor_get_n_elements (source), cost, unary_range, &work);
  return TRUE;
}

/* Sums over what was broadcast. Dimensions are kept (the target has them) or reduced. One item is a block of at most
 * BLOCK elements along the innermost dimension when that is kept, one element of the target when it is reduced. Where
 * there are few items, the outermost reduced dimension is cut in PIECES, whose sums are added in order. */
#define BLOCK       256
#define LANES       8
#define MAX_PIECES  16
#define FEW_ITEMS   8
#define PIECES_FROM 65536

typedef struct
{
  guint n_dims; /* outer ones */
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gboolean kept[HT_TENSOR_MAX_DIMS];
  gint64 strides[HT_LOOP_MAX_INPUTS][HT_TENSOR_MAX_DIMS];
  gint64 inner;
  gboolean inner_kept;
  gint64 inner_stride[HT_LOOP_MAX_INPUTS];
  guint n_operands;
  const char *in[HT_LOOP_MAX_INPUTS];
  gsize in_size[HT_LOOP_MAX_INPUTS];
  gsize size;
  gboolean is_double;
  HtLoop loop;
  gconstpointer user_data;
  gsize blocks; /* items of one combination of kept outer indices */
  gsize n_items;
  gsize pieces;
  gint cut; /* the dimension that is cut, -1: none */
  gpointer out;
  double *partial; /* [pieces][items][BLOCK or 1]; NULL with one piece */
} Sum;

static void
store (const Sum *self, gsize at, const double *sums, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (self->is_double)
      ((double *)self->out)[at + i] = sums[i];
    else
      ((float *)self->out)[at + i] = (float)sums[i];
}

static void
add_terms (const Sum *self, gconstpointer terms, gsize n, double *sums)
{
  if (self->is_double)
    for (gsize i = 0; i < n; i++)
      sums[i] += ((const double *)terms)[i];
  else
    for (gsize i = 0; i < n; i++)
      sums[i] += ((const float *)terms)[i];
}

/* n terms from `offset` on into sums: one sum each, or LANES of them. */
static void
add_segment (const Sum *self, const gint64 *offset, gint64 from, gsize n, double *sums)
{
  double terms[BLOCK];
  const char *in[HT_LOOP_MAX_INPUTS];
  gsize k = 0;
  for (guint i = 0; i < self->n_operands; i++)
    in[i] = self->in[i] + (offset[i] + from * self->inner_stride[i]) * (gint64)self->in_size[i];
  self->loop (n, in, self->inner_stride, (char *)terms, self->user_data);
  if (self->inner_kept)
    {
      add_terms (self, terms, n, sums);
      return;
    }
  for (; k + LANES <= n; k += LANES)
    add_terms (self, (const char *)terms + k * self->size, LANES, sums);
  add_terms (self, (const char *)terms + k * self->size, n - k, sums);
}

/* Where item `item` writes, and the offsets of its first terms. */
static gsize
locate (const Sum *self, gsize item, gint64 *offset)
{
  gsize target = item / self->blocks, rest = target;
  memset (offset, 0, HT_LOOP_MAX_INPUTS * sizeof (gint64));
  for (guint d = self->n_dims; d-- > 0;)
    if (self->kept[d])
      {
        gint64 index = (gint64)(rest % (gsize)self->dims[d]);
        rest /= (gsize)self->dims[d];
        for (guint i = 0; i < self->n_operands; i++)
          offset[i] += index * self->strides[i][d];
      }
  return self->inner_kept ? target * (gsize)self->inner + item % self->blocks * BLOCK : target;
}

static void
sum_item (const Sum *self, gsize item, gsize piece)
{
  gint64 offset[HT_LOOP_MAX_INPUTS], index[HT_TENSOR_MAX_DIMS] = { 0 }, end[HT_TENSOR_MAX_DIMS] = { 0 };
  double sums[BLOCK] = { 0 };
  gsize at = locate (self, item, offset);
  gint64 from = self->inner_kept ? (gint64)(item % self->blocks) * BLOCK : 0;
  gsize width = self->inner_kept ? (gsize)MIN (self->inner - from, BLOCK) : 1;

  for (guint d = 0; d < self->n_dims; d++)
    end[d] = self->kept[d] ? 1 : self->dims[d];
  if (self->cut >= 0)
    {
      gint64 all = self->dims[self->cut];
      index[self->cut] = all * (gint64)piece / (gint64)self->pieces;
      end[self->cut] = all * (gint64)(piece + 1) / (gint64)self->pieces;
      for (guint i = 0; i < self->n_operands; i++)
        offset[i] += index[self->cut] * self->strides[i][self->cut];
    }
  gint64 first = self->cut >= 0 ? index[self->cut] : 0;
  for (gboolean more = TRUE; more;)
    {
      if (self->inner_kept)
        add_segment (self, offset, from, width, sums);
      else
        for (gint64 k = 0; k < self->inner; k += BLOCK)
          add_segment (self, offset, k, (gsize)MIN (self->inner - k, BLOCK), sums);
      more = FALSE;
      for (guint d = self->n_dims; d-- > 0 && !more;)
        {
          gint64 start = (gint)d == self->cut ? first : 0;
          if (++index[d] < end[d])
            {
              more = TRUE;
              for (guint i = 0; i < self->n_operands; i++)
                offset[i] += self->strides[i][d];
              continue;
            }
          for (guint i = 0; i < self->n_operands; i++)
            offset[i] -= (end[d] - 1 - start) * self->strides[i][d];
          index[d] = start;
        }
    }
  if (!self->inner_kept)
    for (gsize i = 1; i < LANES; i++)
      sums[0] += sums[i];
  if (self->partial)
    memcpy (self->partial + (piece * self->n_items + item) * BLOCK, sums, width * sizeof (double));
  else
    store (self, at, sums, width);
}

static void
sum_range (gsize begin, gsize end, gpointer user_data)
{
  const Sum *self = user_data;
  for (gsize i = begin; i < end; i++)
    sum_item (self, i % self->n_items, i / self->n_items);
}

static void
join_pieces (const Sum *self)
{
  for (gsize item = 0; item < self->n_items; item++)
    {
      gint64 offset[HT_LOOP_MAX_INPUTS];
      gsize at = locate (self, item, offset);
      gsize width = self->inner_kept ? MIN ((gsize)self->inner - item % self->blocks * BLOCK, BLOCK) : 1;
      double *sums = self->partial + item * BLOCK;
      for (gsize piece = 1; piece < self->pieces; piece++)
        for (gsize i = 0; i < width; i++)
          sums[i] += self->partial[(piece * self->n_items + item) * BLOCK + i];
      store (self, at, sums, width);
    }
}

/* Strides of `tensor` seen as `n_dims` dimensions: 0 where it is stretched. */
static void
stretched_strides (HtTensor *tensor, guint n_dims, gint64 *strides)
{
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (tensor, &rank);
  gint64 stride = 1;
  memset (strides, 0, HT_TENSOR_MAX_DIMS * sizeof (gint64));
  for (guint i = rank; i-- > 0;)
    {
      if (dims[i] != 1)
        strides[n_dims - rank + i] = stride;
      stride *= dims[i];
    }
}

/* Fills the dimensions, neighbours joined where all walk them without a jump. */
static void
lay_out (Sum *self, HtTensor *gradient, HtTensor *like, HtTensor *const *operands)
{
  gint64 strides[HT_LOOP_MAX_INPUTS][HT_TENSOR_MAX_DIMS];
  guint n, rank = ht_tensor_get_n_dims (gradient), count = 0;
  const gint64 *dims = ht_tensor_get_dims (like, &n);

  for (guint i = 0; i < self->n_operands; i++)
    stretched_strides (operands[i], n, strides[i]);
  for (guint d = 0; d < n; d++)
    {
      gboolean kept = d + rank >= n && ht_tensor_get_dim (gradient, d + rank - n) == dims[d];
      gboolean joins = count > 0 && self->kept[count - 1] == kept;
      if (dims[d] == 1)
        continue;
      for (guint i = 0; i < self->n_operands; i++)
        joins = joins && self->strides[i][count - 1] == strides[i][d] * dims[d];
      guint to = joins ? count - 1 : count++;
      self->dims[to] = joins ? self->dims[to] * dims[d] : dims[d];
      self->kept[to] = kept;
      for (guint i = 0; i < self->n_operands; i++)
        self->strides[i][to] = strides[i][d];
    }
  self->n_dims = count > 0 ? count - 1 : 0;
  self->inner = count > 0 ? self->dims[count - 1] : 1;
  self->inner_kept = count > 0 ? self->kept[count - 1] : TRUE;
  for (guint i = 0; i < self->n_operands; i++)
    self->inner_stride[i] = count > 0 ? self->strides[i][count - 1] : 0;
}

void
ht_backward_broadcast (HtTensor *gradient, HtTensor *like, HtTensor *const *operands, guint n_operands, HtLoop loop,
                       gconstpointer user_data)
{
  Sum self = { .n_operands = n_operands, .loop = loop, .user_data = user_data, .pieces = 1, .cut = -1 };
  gsize n_target = ht_tensor_get_n_elements (gradient), n = ht_tensor_get_n_elements (like);

  if (n == 0)
    {
      ht_backward_zero (gradient);
      return;
    }
  if (n_target == n)
    {
      /* `like` may have ones in front. */
      guint n_dims;
      const gint64 *dims = ht_tensor_get_dims (like, &n_dims);
      g_autoptr (HtTensor) out = _ht_tensor_new_view (ht_tensor_get_data_type (gradient), dims, n_dims,
                                                      ht_tensor_get_writable_data (gradient));
      ht_loop_broadcast (out, operands, n_operands, loop, user_data);
      return;
    }
  self.is_double = ht_tensor_get_data_type (gradient) == HT_DATA_TYPE_DOUBLE;
  self.size = self.is_double ? sizeof (double) : sizeof (float);
  self.out = ht_tensor_get_writable_data (gradient);
  for (guint i = 0; i < n_operands; i++)
    {
      self.in[i] = ht_tensor_get_data (operands[i]);
      self.in_size[i] = ht_element_size (ht_tensor_get_data_type (operands[i]));
    }
  lay_out (&self, gradient, like, operands);
  self.blocks = self.inner_kept ? ((gsize)self.inner + BLOCK - 1) / BLOCK : 1;
  self.n_items = self.blocks;
  for (guint d = 0; d < self.n_dims; d++)
    if (self.kept[d])
      self.n_items *= (gsize)self.dims[d];
    else if (self.cut < 0)
      self.cut = (gint)d;
  if (self.n_items >= FEW_ITEMS || n < PIECES_FROM)
    self.cut = -1;
  g_autofree double *partial = NULL;
  if (self.cut >= 0)
    {
      self.pieces = (gsize)MIN (self.dims[self.cut], MAX_PIECES);
      self.partial = partial = g_new (double, self.pieces *self.n_items *BLOCK);
    }
  ht_loop_range (self.n_items * self.pieces, n / (self.n_items * self.pieces), sum_range, &self);
  if (self.partial)
    join_pieces (&self);
}

#define SCALE_LOOP(T)                                                                                                  \
  static void scale_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)     \
  {                                                                                                                    \
    const T *from = (const T *)in[0], factor = (T) * (const double *)user_data;                                        \
    for (gsize i = 0; i < n; i++)                                                                                      \
      ((T *)out)[i] = factor * from[(gint64)i * stride[0]];                                                            \
  }
SCALE_LOOP (float)
SCALE_LOOP (double)

void
ht_backward_sum_to (HtTensor *gradient, HtTensor *from, double factor)
{
  gboolean is_double = ht_tensor_get_data_type (gradient) == HT_DATA_TYPE_DOUBLE;
  if (factor == 1.0 && ht_tensor_get_n_elements (gradient) == ht_tensor_get_n_elements (from))
    ht_backward_copy (gradient, from);
  else
    ht_backward_broadcast (gradient, from, &from, 1, is_double ? scale_double : scale_float, &factor);
}
