/* SPDX-License-Identifier: MIT */
/* BatchNormalization, LayerNormalization, InstanceNormalization, GroupNormalization. */
#include "graph/tensor-private.h"
#include "kernels/channel-statistics.h"
#include "kernels/double-precision.h"
#include "kernels/normalize.h"
#include "ops/loop.h"
#include "ops/backward.h"
#include "ops/norm.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* Inputs [first, last) must be vectors of `channels` elements. */
static gboolean
check_vectors (const HtInfer *infer, guint first, guint last, gint64 channels, GError **error)
{
  HtDims dims;

  for (guint i = first; i < last; i++)
    if (ht_infer_read_dims (infer, i, &dims)
        && (dims.n != 1 || (dims.dim[0] >= 0 && channels >= 0 && dims.dim[0] != channels)))
      {
        g_autofree char *found = ht_shape_to_string (ht_infer_get_shape (infer, i));
        return ht_infer_fail (infer, error, "input %u ('%s') has shape %s, expected one dimension of %" G_GINT64_FORMAT,
                              i, ht_node_get_input (infer->node, i), found, channels);
      }
  return TRUE;
}

/* BatchNormalization */

static gboolean
batch_norm_infer (HtInfer *infer, GError **error)
{
  HtDims x;

  if (!ht_infer_check_arity (infer, 5, 5, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  for (guint i = 1; i < infer->n_outputs; i++)
    ht_infer_copy_input (infer, i, i % 2 ? 3 : 4, FALSE);
  /* The form of opset 7 and 8 without `spatial` has statistics for each element. */
  if (ht_node_get_int (infer->node, "spatial", 1) == 0 && infer->opset < 9)
    return TRUE;
  return !ht_infer_read_dims (infer, 0, &x) || check_vectors (infer, 1, 5, x.n > 1 ? x.dim[1] : 1, error);
}

static void
copy_vector (const HtOpCall *call, guint output, guint input)
{
  if (output < call->n_outputs && call->outputs[output])
    memcpy (ht_tensor_get_writable_data (call->outputs[output]), ht_tensor_get_data (call->inputs[input]),
            ht_tensor_get_size (call->inputs[input]));
}

static double *
read_vector (HtTensor *tensor)
{
  gsize n = ht_tensor_get_n_elements (tensor);
  double *values = g_new (double, MAX (n, 1));
  for (gsize i = 0; i < n; i++)
    values[i] = ht_tensor_get_double (tensor, i);
  return values;
}

void
ht_batch_norm_clear (HtBatchNorm *self)
{
  g_free (self->scale);
  g_free (self->bias);
  g_free (self->mean);
  g_free (self->variance);
}

gboolean
ht_batch_norm_read (const HtOpCall *call, HtBatchNorm *self, GError **error)
{
  gboolean spatial = call->opset >= 9 || ht_node_get_int (call->node, "spatial", 1) != 0;
  double **vectors[] = { &self->scale, &self->bias, &self->mean, &self->variance };
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);

  self->outer = self->channels = self->inner = 1;
  for (guint i = 0; i < n_dims; i++)
    *(i == 0 ? &self->outer : i == 1 || !spatial ? &self->channels : &self->inner) *= (gsize)dims[i];
  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      HtTensor *vector = call->inputs[i + 1];
      if (ht_tensor_get_n_elements (vector) != self->channels)
        return ht_op_fail (call, error, "input %u has %" G_GSIZE_FORMAT " elements, expected %" G_GSIZE_FORMAT, i + 1,
                           ht_tensor_get_n_elements (vector), self->channels);
      *vectors[i] = read_vector (vector);
    }
  return TRUE;
}

gboolean
ht_batch_norm_trains (const HtOpCall *call)
{
  return call->opset >= 14 && ht_node_get_int (call->node, "training_mode", 0) != 0;
}

/* The statistics of the batch take the place of the given ones, which move towards them in the outputs. */
static gboolean
batch_norm_train (const HtOpCall *call, HtBatchNorm *self, GError **error)
{
  double momentum = ht_node_get_float (call->node, "momentum", 0.9f);
  g_autofree double *mean = g_steal_pointer (&self->mean), *variance = g_steal_pointer (&self->variance);
  const double *running[] = { mean, variance };
  gconstpointer x = ht_tensor_get_data (call->inputs[0]);

  self->mean = g_new0 (double, MAX (self->channels, 1));
  self->variance = g_new0 (double, MAX (self->channels, 1));
  if (self->outer * self->inner == 0)
    return ht_op_fail (call, error, "the batch is empty, it has no mean");
  if (ht_tensor_get_data_type (call->inputs[0]) == HT_DATA_TYPE_DOUBLE)
    ht_kernel_channel_statistics_double (x, self->outer, self->channels, self->inner, self->mean, self->variance);
  else
    ht_kernel_channel_statistics_float (x, self->outer, self->channels, self->inner, self->mean, self->variance);
  for (guint i = 0; i < 2; i++)
    {
      HtTensor *out = i + 1 < call->n_outputs ? call->outputs[i + 1] : NULL;
      const double *batch = i == 0 ? self->mean : self->variance;
      for (gsize c = 0; out && c < self->channels; c++)
        ht_scalar_store (ht_tensor_get_data_type (out), ht_tensor_get_writable_data (out), c,
                         running[i][c] * momentum + batch[c] * (1.0 - momentum));
    }
  return TRUE;
}

static void
batch_norm_apply (const HtOpCall *call, const HtBatchNorm *self)
{
  double epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5);
  gconstpointer x = ht_tensor_get_data (call->inputs[0]);
  gpointer y = ht_tensor_get_writable_data (call->outputs[0]);

  if (ht_tensor_get_data_type (call->inputs[0]) == HT_DATA_TYPE_DOUBLE)
    {
      g_autofree double *factor = g_new (double, 2 * MAX (self->channels, 1));
      double *term = factor + self->channels;
      for (gsize i = 0; i < self->channels; i++)
        {
          factor[i] = self->scale[i] / sqrt (self->variance[i] + epsilon);
          term[i] = self->bias[i] - self->mean[i] * factor[i];
        }
      ht_kernel_affine_channels_double (x, y, self->outer, self->channels, self->inner, factor, term);
      return;
    }
  g_autofree float *factor = g_new (float, 2 * MAX (self->channels, 1));
  float *term = factor + self->channels;
  for (gsize i = 0; i < self->channels; i++)
    {
      factor[i] = (float)self->scale[i] / sqrtf ((float)self->variance[i] + (float)epsilon);
      term[i] = (float)self->bias[i] - (float)self->mean[i] * factor[i];
    }
  ht_kernel_affine_channels (x, y, self->outer, self->channels, self->inner, factor, term);
}

static gboolean
batch_norm_forward (const HtOpCall *call, GError **error)
{
  g_auto (HtBatchNorm) norm = { 0 };

  if (ht_op_is_half (call))
    return ht_op_widen (call, batch_norm_forward, error);
  if (!ht_batch_norm_read (call, &norm, error))
    return FALSE;
  if (ht_batch_norm_trains (call))
    {
      if (!batch_norm_train (call, &norm, error))
        return FALSE;
    }
  else
    {
      for (guint i = 1; i < call->n_outputs; i++)
        copy_vector (call, i, i % 2 ? 3 : 4);
    }
  batch_norm_apply (call, &norm);
  return TRUE;
}

/* LayerNormalization */

static gboolean
layer_norm_infer (HtInfer *infer, GError **error)
{
  HtDims x;
  guint axis;

  if (!ht_infer_check_arity (infer, 2, 3, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_same_type (infer, 0, 1, error)
      || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  HtDataType stash = (HtDataType)ht_node_get_int (infer->node, "stash_type", HT_DATA_TYPE_FLOAT);
  for (guint i = 1; i < infer->n_outputs; i++)
    ht_infer_set_output (infer, i, stash, NULL);
  if (!ht_infer_read_dims (infer, 0, &x))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", -1), x.n, &axis, error))
    return FALSE;
  gint64 n = ht_dims_product (&x, axis, x.n);
  for (guint i = 1; i < infer->n_inputs; i++)
    {
      HtDims scale;
      if (!ht_infer_read_dims (infer, i, &scale) || n < 0 || !ht_dims_is_static (&scale))
        continue;
      if (ht_dims_product (&scale, 0, scale.n) != n)
        return ht_infer_fail (infer, error,
                              "input %u has %" G_GINT64_FORMAT
                              " elements, expected one for each of the %" G_GINT64_FORMAT
                              " that are normalized together",
                              i, ht_dims_product (&scale, 0, scale.n), n);
    }
  for (guint i = axis; i < x.n; i++)
    {
      x.dim[i] = 1;
      x.symbol[i] = NULL;
    }
  for (guint i = 1; i < infer->n_outputs; i++)
    ht_infer_put_dims (infer, i, stash, &x);
  return TRUE;
}

static gpointer
optional_output (const HtOpCall *call, guint index)
{
  return index < call->n_outputs && call->outputs[index] ? ht_tensor_get_writable_data (call->outputs[index]) : NULL;
}

/* A tensor as the kernel of `type` reads it: itself, or converted and kept in *owned. NULL: absent, or an error. */
static gconstpointer
as_type (const HtOpCall *call, guint index, HtDataType type, HtTensor **owned, GError **error)
{
  HtTensor *tensor = index < call->n_inputs ? call->inputs[index] : NULL;

  if (tensor == NULL)
    return NULL;
  *owned = ht_tensor_cast (tensor, type, error);
  return *owned ? ht_tensor_get_data (*owned) : NULL;
}

static void
run_float_rows (const HtOpCall *call, const HtNormRows *rows, gconstpointer factor, gconstpointer term, float *means,
                float *inverses)
{
  HtRowNorm norm = {
    .n_rows = rows->n_rows,
    .n = rows->n,
    .factor_rows = rows->factor_rows,
    .factor_count = rows->factor_count,
    .factor = factor,
    .term = term,
    .epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5),
    .means = means,
    .inverses = inverses,
  };
  ht_kernel_row_norm (&norm, ht_tensor_get_data (call->inputs[0]), ht_tensor_get_writable_data (call->outputs[0]));
}

static void
run_double_rows (const HtOpCall *call, const HtNormRows *rows, gconstpointer factor, gconstpointer term, double *means,
                 double *inverses)
{
  HtRowNormDouble norm = {
    .n_rows = rows->n_rows,
    .n = rows->n,
    .factor_rows = rows->factor_rows,
    .factor_count = rows->factor_count,
    .factor = factor,
    .term = term,
    .epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5),
    .means = means,
    .inverses = inverses,
  };
  ht_kernel_row_norm_double (&norm, ht_tensor_get_data (call->inputs[0]),
                             ht_tensor_get_writable_data (call->outputs[0]));
}

/* Statistics are wanted in outputs 1 and 2, in any floating-point type. */
static gboolean
run_rows (const HtOpCall *call, const HtNormRows *rows, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  g_autoptr (HtTensor) owned_factor = NULL, owned_term = NULL, means = NULL, inverses = NULL;
  HtTensor **statistics[] = { &means, &inverses };
  gint64 n_rows = (gint64)rows->n_rows;
  gpointer wanted[2] = { NULL, NULL };

  if (rows->n_rows * rows->n == 0)
    return TRUE;
  gconstpointer factor = as_type (call, 1, type, &owned_factor, error);
  gconstpointer term = factor ? as_type (call, 2, type, &owned_term, error) : NULL;
  if (factor == NULL || (term == NULL && call->n_inputs > 2 && call->inputs[2]))
    return FALSE;
  for (guint i = 0; i < 2; i++)
    {
      HtTensor *out = i + 1 < call->n_outputs ? call->outputs[i + 1] : NULL;
      if (out && ht_tensor_get_data_type (out) == type)
        wanted[i] = optional_output (call, i + 1);
      else if (out && (*statistics[i] = ht_tensor_new (type, &n_rows, 1, error)) == NULL)
        return FALSE;
      else if (out)
        wanted[i] = ht_tensor_get_writable_data (*statistics[i]);
    }
  if (type == HT_DATA_TYPE_DOUBLE)
    run_double_rows (call, rows, factor, term, wanted[0], wanted[1]);
  else
    run_float_rows (call, rows, factor, term, wanted[0], wanted[1]);
  for (guint i = 0; i < 2; i++)
    if (*statistics[i])
      ht_tensor_cast_into (*statistics[i], call->outputs[i + 1], TRUE, HT_ROUND_UP);
  return TRUE;
}

HtNormRows
ht_layer_norm_rows (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims)
{
  HtNormRows rows = { .n_rows = 1, .n = 1, .factor_rows = 1 };
  gint64 axis = ht_node_get_int (node, "axis", -1);

  if (axis < 0)
    axis += n_dims;
  for (guint i = 0; i < n_dims; i++)
    *((gint64)i < axis ? &rows.n_rows : &rows.n) *= (gsize)dims[i];
  rows.factor_count = rows.n;
  return rows;
}

static gboolean
layer_norm_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, layer_norm_forward, error);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  HtNormRows rows = ht_layer_norm_rows (call->node, call->opset, dims, n_dims);
  return run_rows (call, &rows, error);
}

/* InstanceNormalization */

static gboolean
instance_norm_infer (HtInfer *infer, GError **error)
{
  HtDims x;

  if (!ht_infer_check_arity (infer, 3, 3, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_same_type (infer, 0, 1, error) || !ht_infer_check_same_type (infer, 0, 2, error)
      || !ht_infer_check_rank (infer, 0, 3, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  return !ht_infer_read_dims (infer, 0, &x) || check_vectors (infer, 1, 3, x.dim[1], error);
}

HtNormRows
ht_instance_norm_rows (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims)
{
  HtNormRows rows = { (gsize)dims[0] * (gsize)dims[1], 1, (gsize)dims[1], 1 };
  for (guint i = 2; i < n_dims; i++)
    rows.n *= (gsize)dims[i];
  return rows;
}

static gboolean
instance_norm_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, instance_norm_forward, error);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  HtNormRows rows = ht_instance_norm_rows (call->node, call->opset, dims, n_dims);
  return run_rows (call, &rows, error);
}

/* GroupNormalization: scale and bias are one for each group in opset 18, one for each channel since 21. */

static gboolean
group_norm_infer (HtInfer *infer, GError **error)
{
  gint64 groups = ht_node_get_int (infer->node, "num_groups", 0);
  HtDims x;

  if (!ht_infer_check_arity (infer, 3, 3, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_same_type (infer, 0, 1, error) || !ht_infer_check_same_type (infer, 0, 2, error)
      || !ht_infer_check_rank (infer, 0, 2, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  if (groups < 1)
    return ht_infer_fail (infer, error, "the attribute num_groups is %" G_GINT64_FORMAT ", expected at least 1",
                          groups);
  if (!ht_infer_read_dims (infer, 0, &x))
    return TRUE;
  if (x.dim[1] >= 0 && x.dim[1] % groups != 0)
    return ht_infer_fail (infer, error,
                          "%" G_GINT64_FORMAT " channels cannot be cut into %" G_GINT64_FORMAT " equal groups",
                          x.dim[1], groups);
  return check_vectors (infer, 1, 3, infer->opset >= 21 ? x.dim[1] : groups, error);
}

HtNormRows
ht_group_norm_rows (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims)
{
  gsize groups = (gsize)ht_node_get_int (node, "num_groups", 1), channels = (gsize)dims[1] / groups;
  HtNormRows rows = { (gsize)dims[0] * groups, channels, groups, opset >= 21 ? channels : 1 };
  for (guint i = 2; i < n_dims; i++)
    rows.n *= (gsize)dims[i];
  return rows;
}

static gboolean
group_norm_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, group_norm_forward, error);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  HtNormRows rows = ht_group_norm_rows (call->node, call->opset, dims, n_dims);
  return run_rows (call, &rows, error);
}

/* Not in place where an input of the size of x is read after y is begun: the factors of a later row. With rows of x the
 * size of the factors there is only one row, so none is later. */
static const HtOperator operators[] = {
  { .op_type = "BatchNormalization",
    .since_version = 7,
    .flags = HT_OP_IN_PLACE,
    .infer = batch_norm_infer,
    .forward = batch_norm_forward,
    .backward = ht_op_batch_norm_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) | HT_OP_KEEPS (3) | HT_OP_KEEPS (4),
    .backward_workspace = ht_op_batch_norm_backward_workspace },
  { .op_type = "GroupNormalization",
    .since_version = 18,
    .infer = group_norm_infer,
    .forward = group_norm_forward,
    .backward = ht_op_group_norm_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1),
    .backward_workspace = ht_op_group_norm_backward_workspace },
  { .op_type = "InstanceNormalization",
    .since_version = 6,
    .flags = HT_OP_IN_PLACE,
    .infer = instance_norm_infer,
    .forward = instance_norm_forward,
    .backward = ht_op_instance_norm_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1),
    .backward_workspace = ht_op_instance_norm_backward_workspace },
  { .op_type = "LayerNormalization",
    .since_version = 17,
    .flags = HT_OP_IN_PLACE,
    .infer = layer_norm_infer,
    .forward = layer_norm_forward,
    .backward = ht_op_layer_norm_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1),
    .backward_workspace = ht_op_layer_norm_backward_workspace },
};

void
ht_ops_register_norm (void)
{
  HT_OPS_REGISTER (operators);
}
