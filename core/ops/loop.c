/* SPDX-License-Identifier: MIT */
#include "ops/loop.h"

#include "base/thread-pool.h"

#include <halftone/error.h>

#include <string.h>

typedef struct
{
  guint n_inputs;
  guint n_dims; /* outer dimensions; the innermost is `row` */
  gsize row;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gint64 strides[HT_LOOP_MAX_INPUTS][HT_TENSOR_MAX_DIMS]; /* in elements */
  gint64 row_stride[HT_LOOP_MAX_INPUTS];
  const char *in[HT_LOOP_MAX_INPUTS];
  gsize in_size[HT_LOOP_MAX_INPUTS];
  char *out;
  gsize out_size;
  HtLoop loop;
  gconstpointer user_data;
} Broadcast;

void
ht_strides (const gint64 *dims, guint n_dims, gint64 *strides)
{
  gint64 stride = 1;
  for (guint i = n_dims; i-- > 0;)
    {
      strides[i] = stride;
      stride *= dims[i];
    }
}

gsize
ht_element_size (HtDataType type)
{
  guint bits = type == HT_DATA_TYPE_STRING ? 0 : ht_data_type_get_bits (type);
  return bits % 8 == 0 ? bits / 8 : 0;
}

/* Strides of `tensor` seen as `dims`: 0 where it is stretched. */
static void
broadcast_strides (HtTensor *tensor, const gint64 *dims, guint n_dims, gint64 *strides)
{
  guint rank;
  const gint64 *own = ht_tensor_get_dims (tensor, &rank);
  gint64 stride = 1;
  for (guint i = 0; i < n_dims; i++)
    strides[i] = 0;
  for (guint i = rank; i-- > 0;)
    {
      if (own[i] != 1)
        strides[n_dims - rank + i] = stride;
      stride *= own[i];
    }
}

/* Joins neighbouring dimensions that every operand walks without a jump. */
static void
coalesce (Broadcast *self, guint n_dims)
{
  guint kept = 0;
  for (guint i = 0; i < n_dims; i++)
    {
      gboolean joins = kept > 0;
      if (self->dims[i] == 1)
        continue;
      for (guint k = 0; k < self->n_inputs; k++)
        joins = joins && self->strides[k][kept - 1] == self->strides[k][i] * self->dims[i];
      guint to = joins ? kept - 1 : kept++;
      self->dims[to] = joins ? self->dims[to] * self->dims[i] : self->dims[i];
      for (guint k = 0; k < self->n_inputs; k++)
        self->strides[k][to] = self->strides[k][i];
    }
  self->n_dims = kept > 0 ? kept - 1 : 0;
  self->row = kept > 0 ? (gsize) self->dims[kept - 1] : 1;
  for (guint k = 0; k < self->n_inputs; k++)
    self->row_stride[k] = kept > 0 ? self->strides[k][kept - 1] : 0;
}

static void
broadcast_run (gsize begin, gsize end, gpointer user_data)
{
  const Broadcast *self = user_data;
  gint64 index[HT_TENSOR_MAX_DIMS] = { 0 };
  gint64 offset[HT_LOOP_MAX_INPUTS] = { 0 };
  gsize row = begin / self->row, column = begin % self->row;

  for (guint d = self->n_dims; d-- > 0;)
    {
      index[d] = (gint64) (row % (gsize) self->dims[d]);
      row /= (gsize) self->dims[d];
      for (guint k = 0; k < self->n_inputs; k++)
        offset[k] += index[d] * self->strides[k][d];
    }
  while (begin < end)
    {
      gsize n = MIN (self->row - column, end - begin);
      const char *in[HT_LOOP_MAX_INPUTS];
      for (guint k = 0; k < self->n_inputs; k++)
        in[k] = self->in[k] + (offset[k] + (gint64) column * self->row_stride[k]) * (gint64) self->in_size[k];
      self->loop (n, in, self->row_stride, self->out + begin * self->out_size, self->user_data);
      begin += n;
      column = 0;
      for (guint d = self->n_dims; d-- > 0;)
        {
          for (guint k = 0; k < self->n_inputs; k++)
            offset[k] += self->strides[k][d];
          if (++index[d] < self->dims[d])
            break;
          for (guint k = 0; k < self->n_inputs; k++)
            offset[k] -= self->dims[d] * self->strides[k][d];
          index[d] = 0;
        }
    }
}

void
ht_loop_broadcast (HtTensor *out, HtTensor *const *inputs, guint n_inputs, HtLoop loop, gconstpointer user_data)
{
  Broadcast self = { .n_inputs = n_inputs, .loop = loop, .user_data = user_data };
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (out, &n_dims);
  gsize n = ht_tensor_get_n_elements (out);

  if (n == 0)
    return;
  if (n_dims > 0)
    memcpy (self.dims, dims, n_dims * sizeof (gint64));
  for (guint k = 0; k < n_inputs; k++)
    {
      broadcast_strides (inputs[k], dims, n_dims, self.strides[k]);
      self.in[k] = ht_tensor_get_data (inputs[k]);
      self.in_size[k] = ht_element_size (ht_tensor_get_data_type (inputs[k]));
    }
  self.out = ht_tensor_get_writable_data (out);
  self.out_size = ht_element_size (ht_tensor_get_data_type (out));
  coalesce (&self, n_dims);
  ht_loop_range (n, 1, broadcast_run, &self);
}

typedef struct
{
  HtRangeFunc func;
  gpointer user_data;
} Range;

static void
range_items (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Range *range = user_data;
  range->func (begin, end, range->user_data);
}

void
ht_loop_range (gsize n, gsize cost, HtRangeFunc func, gpointer user_data)
{
  Range range = { func, user_data };
  cost = MAX (cost, 1);
  if (n == 0)
    return;
  if (n < HT_LOOP_PARALLEL_FROM / cost)
    func (0, n, user_data);
  else
    ht_parallel_for (n, MAX (HT_LOOP_GRAIN / cost, 1), range_items, &range);
}

typedef struct
{
  guint n_dims; /* outer dimensions */
  gsize element_size;
  gint64 dims[HT_TENSOR_MAX_DIMS + 1];
  gint64 strides[HT_TENSOR_MAX_DIMS + 1];
  gsize row;
  gint64 row_stride;
  const char *in;
  char *out;
} StridedCopy;

#define COPY_ROW(T)                                                                                                    \
  static inline void copy_row_##T (T *restrict out, const T *restrict in, gsize n, gint64 stride)                      \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      out[i] = in[(gint64) i * stride];                                                                                \
  }
COPY_ROW (guint8)
COPY_ROW (guint16)
COPY_ROW (guint32)
COPY_ROW (guint64)

static void
copy_row (const StridedCopy *self, char *out, const char *in)
{
  gsize n = self->row, size = self->element_size;
  gint64 stride = self->row_stride;

  if (stride == 1)
    memcpy (out, in, n * size);
  else if (size == 4)
    copy_row_guint32 ((guint32 *) out, (const guint32 *) in, n, stride);
  else if (size == 8)
    copy_row_guint64 ((guint64 *) out, (const guint64 *) in, n, stride);
  else if (size == 2)
    copy_row_guint16 ((guint16 *) out, (const guint16 *) in, n, stride);
  else if (size == 1)
    copy_row_guint8 ((guint8 *) out, (const guint8 *) in, n, stride);
  else
    for (gsize i = 0; i < n; i++)
      memcpy (out + i * size, in + (gint64) i * stride * (gint64) size, size);
}

static void
copy_rows (gsize begin, gsize end, gpointer user_data)
{
  const StridedCopy *self = user_data;
  gint64 index[HT_TENSOR_MAX_DIMS + 1] = { 0 };
  gint64 offset = 0;
  gsize rest = begin;

  for (guint d = self->n_dims; d-- > 0;)
    {
      index[d] = (gint64) (rest % (gsize) self->dims[d]);
      rest /= (gsize) self->dims[d];
      offset += index[d] * self->strides[d];
    }
  for (gsize row = begin; row < end; row++)
    {
      copy_row (self, self->out + row * self->row * self->element_size,
                self->in + offset * (gint64) self->element_size);
      for (guint d = self->n_dims; d-- > 0;)
        {
          offset += self->strides[d];
          if (++index[d] < self->dims[d])
            break;
          offset -= self->dims[d] * self->strides[d];
          index[d] = 0;
        }
    }
}

void
ht_copy_strided (gpointer out, gconstpointer in, gsize element_size, guint n_dims, const gint64 *dims,
                 const gint64 *strides)
{
  StridedCopy self = { .element_size = element_size, .in = in, .out = out };
  guint kept = 0;
  gsize rows = 1;

  for (guint i = 0; i < n_dims; i++)
    {
      if (dims[i] == 0)
        return;
      if (dims[i] == 1)
        continue;
      if (kept > 0 && self.strides[kept - 1] == strides[i] * dims[i])
        {
          self.dims[kept - 1] *= dims[i];
          self.strides[kept - 1] = strides[i];
          continue;
        }
      self.dims[kept] = dims[i];
      self.strides[kept++] = strides[i];
    }
  if (kept == 0)
    {
      self.dims[kept] = 1;
      self.strides[kept++] = 1;
    }
  self.n_dims = kept - 1;
  self.row = (gsize) self.dims[kept - 1];
  self.row_stride = self.strides[kept - 1];
  for (guint i = 0; i < self.n_dims; i++)
    rows *= (gsize) self.dims[i];
  if (rows == 1 && self.row_stride == 1)
    memcpy (out, in, self.row * element_size);
  else
    ht_loop_range (rows, self.row, copy_rows, &self);
}

gboolean
ht_op_check_movable (const HtOpCall *call, HtTensor *tensor, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (tensor);
  return ht_element_size (type) > 0 || ht_op_fail_type (call, type, error);
}

gboolean
ht_op_copy_through (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  if (ht_tensor_get_data_type (in) == HT_DATA_TYPE_STRING)
    return ht_op_fail_type (call, HT_DATA_TYPE_STRING, error);
  if (ht_tensor_get_size (in) > 0 && ht_tensor_get_data (in) != ht_tensor_get_data (out))
    memcpy (ht_tensor_get_writable_data (out), ht_tensor_get_data (in),
            MIN (ht_tensor_get_size (in), ht_tensor_get_size (out)));
  return TRUE;
}

gboolean
ht_op_fail_type (const HtOpCall *call, HtDataType type, GError **error)
{
  g_autofree char *described = ht_node_describe (call->node);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "running %s: element type %s is not supported by this operator; convert the model to float", described,
               ht_data_type_get_name (type));
  return FALSE;
}

static gboolean
is_half (HtTensor *tensor)
{
  HtDataType type = tensor ? ht_tensor_get_data_type (tensor) : HT_DATA_TYPE_UNDEFINED;
  return type == HT_DATA_TYPE_FLOAT16 || type == HT_DATA_TYPE_BFLOAT16;
}

gboolean
ht_op_is_half (const HtOpCall *call)
{
  for (guint i = 0; i < call->n_inputs; i++)
    if (is_half (call->inputs[i]))
      return TRUE;
  for (guint i = 0; i < call->n_outputs; i++)
    if (is_half (call->outputs[i]))
      return TRUE;
  return FALSE;
}

static gboolean
widen_tensors (HtTensor *const *from, guint n, gboolean copy, HtTensor **wide, GError **error)
{
  for (guint i = 0; i < n; i++)
    {
      if (from[i] == NULL)
        continue;
      if (!is_half (from[i]))
        wide[i] = from[i]; /* not counted: a tensor that is written has one owner */
      else if (copy)
        wide[i] = ht_tensor_cast (from[i], HT_DATA_TYPE_FLOAT, error);
      else
        wide[i] = ht_tensor_new (HT_DATA_TYPE_FLOAT, ht_tensor_get_dims (from[i], NULL),
                                 ht_tensor_get_n_dims (from[i]), error);
      if (wide[i] == NULL)
        return FALSE;
    }
  return TRUE;
}

static void
free_wide (HtTensor *const *from, guint n, HtTensor **wide)
{
  for (guint i = 0; i < n; i++)
    if (wide[i] && wide[i] != from[i])
      ht_tensor_unref (wide[i]);
  g_free (wide);
}

static gboolean
narrow_outputs (const HtOpCall *call, HtTensor **wide, GError **error)
{
  for (guint i = 0; i < call->n_outputs; i++)
    if (is_half (call->outputs[i]))
      {
        g_autoptr (HtTensor) narrow = ht_tensor_cast (wide[i], ht_tensor_get_data_type (call->outputs[i]), error);
        if (narrow == NULL)
          return FALSE;
        if (ht_tensor_get_size (narrow) > 0)
          memcpy (ht_tensor_get_writable_data (call->outputs[i]), ht_tensor_get_data (narrow),
                  ht_tensor_get_size (narrow));
      }
  return TRUE;
}

gboolean
ht_op_widen (const HtOpCall *call, HtForward forward, GError **error)
{
  HtTensor **inputs = g_new0 (HtTensor *, call->n_inputs + 1);
  HtTensor **outputs = g_new0 (HtTensor *, call->n_outputs + 1);
  HtOpCall wide = *call;

  wide.inputs = inputs;
  wide.outputs = outputs;
  gboolean done = widen_tensors (call->inputs, call->n_inputs, TRUE, inputs, error)
                  && widen_tensors (call->outputs, call->n_outputs, FALSE, outputs, error) && forward (&wide, error)
                  && narrow_outputs (call, outputs, error);
  free_wide (call->inputs, call->n_inputs, inputs);
  free_wide (call->outputs, call->n_outputs, outputs);
  return done;
}

gboolean
ht_op_run_loops (const HtOpCall *call, guint n_inputs, const HtLoop loops[HT_LOOP_TYPES], HtForward forward,
                 GError **error)
{
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  HtLoop loop = (guint) type < HT_LOOP_TYPES ? loops[type] : NULL;

  if (ht_op_is_half (call))
    return ht_op_widen (call, forward, error);
  if (loop == NULL)
    return ht_op_fail_type (call, type, error);
  ht_loop_broadcast (call->outputs[0], call->inputs, n_inputs, loop, NULL);
  return TRUE;
}
