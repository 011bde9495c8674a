/* SPDX-License-Identifier: MIT */
/* BatchNormalization (inference), LayerNormalization, InstanceNormalization, GroupNormalization. */
#include "kernels/normalize.h"
#include "ops/loop.h"
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

static gboolean
batch_norm_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0];
  gsize outer = 1, channels = 1, inner = 1;
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (x, &n_dims);

  if (ht_op_is_half (call))
    return ht_op_widen (call, batch_norm_forward, error);
  if (ht_node_get_int (call->node, "training_mode", 0) != 0)
    return ht_op_fail (call, error,
                       "it is in training mode, only inference can be run; export the model for inference");
  for (guint i = 0; i < 5; i++)
    if (ht_tensor_get_data_type (call->inputs[i]) != HT_DATA_TYPE_FLOAT)
      return ht_op_fail_type (call, ht_tensor_get_data_type (call->inputs[i]), error);
  gboolean spatial = call->opset >= 9 || ht_node_get_int (call->node, "spatial", 1) != 0;
  for (guint i = 0; i < n_dims; i++)
    if (i == 0)
      outer = (gsize)dims[i];
    else if (i == 1 || !spatial)
      channels *= (gsize)dims[i];
    else
      inner *= (gsize)dims[i];
  for (guint i = 1; i < 5; i++)
    if (ht_tensor_get_n_elements (call->inputs[i]) != channels)
      return ht_op_fail (call, error, "input %u has %" G_GSIZE_FORMAT " elements, expected %" G_GSIZE_FORMAT, i,
                         ht_tensor_get_n_elements (call->inputs[i]), channels);
  const float *scale = ht_tensor_get_data (call->inputs[1]), *bias = ht_tensor_get_data (call->inputs[2]);
  const float *mean = ht_tensor_get_data (call->inputs[3]), *variance = ht_tensor_get_data (call->inputs[4]);
  float epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5);
  g_autofree float *factor = g_new (float, 2 * MAX (channels, 1));
  float *term = factor + channels;
  for (gsize i = 0; i < channels; i++)
    {
      factor[i] = scale[i] / sqrtf (variance[i] + epsilon);
      term[i] = bias[i] - mean[i] * factor[i];
    }
  ht_kernel_affine_channels (ht_tensor_get_data (x), ht_tensor_get_writable_data (call->outputs[0]), outer, channels,
                             inner, factor, term);
  for (guint i = 1; i < call->n_outputs; i++)
    copy_vector (call, i, i % 2 ? 3 : 4);
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

static float *
optional_output (const HtOpCall *call, guint index)
{
  return index < call->n_outputs && call->outputs[index] ? ht_tensor_get_writable_data (call->outputs[index]) : NULL;
}

static gboolean
check_float (const HtOpCall *call, GError **error)
{
  for (guint i = 0; i < call->n_inputs; i++)
    if (call->inputs[i] && ht_tensor_get_data_type (call->inputs[i]) != HT_DATA_TYPE_FLOAT)
      return ht_op_fail_type (call, ht_tensor_get_data_type (call->inputs[i]), error);
  for (guint i = 0; i < call->n_outputs; i++)
    if (call->outputs[i] && ht_tensor_get_data_type (call->outputs[i]) != HT_DATA_TYPE_FLOAT)
      return ht_op_fail_type (call, ht_tensor_get_data_type (call->outputs[i]), error);
  return TRUE;
}

static gboolean
layer_norm_forward (const HtOpCall *call, GError **error)
{
  HtRowNorm norm = { .n_rows = 1, .n = 1, .factor_rows = 1 };
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  gint64 axis = ht_node_get_int (call->node, "axis", -1);

  if (ht_op_is_half (call))
    return ht_op_widen (call, layer_norm_forward, error);
  if (!check_float (call, error))
    return FALSE;
  if (axis < 0)
    axis += n_dims;
  for (guint i = 0; i < n_dims; i++)
    *((gint64)i < axis ? &norm.n_rows : &norm.n) *= (gsize)dims[i];
  norm.factor_count = norm.n;
  norm.factor = ht_tensor_get_data (call->inputs[1]);
  norm.term = call->n_inputs > 2 && call->inputs[2] ? ht_tensor_get_data (call->inputs[2]) : NULL;
  norm.epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5);
  norm.means = optional_output (call, 1);
  norm.inverses = optional_output (call, 2);
  ht_kernel_row_norm (&norm, ht_tensor_get_data (call->inputs[0]), ht_tensor_get_writable_data (call->outputs[0]));
  return TRUE;
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

static gboolean
instance_norm_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0];

  if (ht_op_is_half (call))
    return ht_op_widen (call, instance_norm_forward, error);
  if (!check_float (call, error))
    return FALSE;
  gsize rows = (gsize)ht_tensor_get_dim (x, 0) * (gsize)ht_tensor_get_dim (x, 1);
  if (ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  HtRowNorm norm = {
    .n_rows = rows,
    .n = ht_tensor_get_n_elements (x) / rows,
    .factor_rows = (gsize)ht_tensor_get_dim (x, 1),
    .factor_count = 1,
    .factor = ht_tensor_get_data (call->inputs[1]),
    .term = ht_tensor_get_data (call->inputs[2]),
    .epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5),
  };
  ht_kernel_row_norm (&norm, ht_tensor_get_data (x), ht_tensor_get_writable_data (call->outputs[0]));
  return TRUE;
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

static gboolean
group_norm_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0];
  gsize groups = (gsize)ht_node_get_int (call->node, "num_groups", 1);

  if (ht_op_is_half (call))
    return ht_op_widen (call, group_norm_forward, error);
  if (!check_float (call, error))
    return FALSE;
  if (ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  gsize rows = (gsize)ht_tensor_get_dim (x, 0) * groups;
  HtRowNorm norm = {
    .n_rows = rows,
    .n = ht_tensor_get_n_elements (x) / rows,
    .factor_rows = groups,
    .factor_count = call->opset >= 21 ? (gsize)ht_tensor_get_dim (x, 1) / groups : 1,
    .factor = ht_tensor_get_data (call->inputs[1]),
    .term = ht_tensor_get_data (call->inputs[2]),
    .epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5),
  };
  ht_kernel_row_norm (&norm, ht_tensor_get_data (x), ht_tensor_get_writable_data (call->outputs[0]));
  return TRUE;
}

/* Not in place where an input of the size of x is read after y is begun: the factors of a later row. With rows of x the
 * size of the factors there is only one row, so none is later. */
static const HtOperator operators[] = {
  { .op_type = "BatchNormalization",
    .since_version = 7,
    .flags = HT_OP_IN_PLACE,
    .infer = batch_norm_infer,
    .forward = batch_norm_forward },
  { .op_type = "GroupNormalization", .since_version = 18, .infer = group_norm_infer, .forward = group_norm_forward },
  { .op_type = "InstanceNormalization",
    .since_version = 6,
    .flags = HT_OP_IN_PLACE,
    .infer = instance_norm_infer,
    .forward = instance_norm_forward },
  { .op_type = "LayerNormalization",
    .since_version = 17,
    .flags = HT_OP_IN_PLACE,
    .infer = layer_norm_infer,
    .forward = layer_norm_forward },
};

void
ht_ops_register_norm (void)
{
  HT_OPS_REGISTER (operators);
}
