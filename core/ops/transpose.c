/* SPDX-License-Identifier: MIT */
/* Transpose, and the two that are a transpose between two reshapes: DepthToSpace, SpaceToDepth. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/packed.h"
#include "ops/rules.h"

#include <string.h>

/* The permutation; FALSE: the attribute is none. */
static gboolean
read_permutation (HtNode *node, guint rank, guint *permutation)
{
  gboolean seen[HT_TENSOR_MAX_DIMS] = { FALSE };
  gsize n = 0;
  const gint64 *perm = ht_node_get_ints (node, "perm", &n);

  for (guint i = 0; i < rank; i++)
    permutation[i] = rank - 1 - i;
  if (!ht_node_has_attribute (node, "perm"))
    return TRUE;
  if (n != rank)
    return FALSE;
  for (guint i = 0; i < rank; i++)
    {
      if (!ht_axis_normalize (perm[i], rank, &permutation[i]) || seen[permutation[i]])
        return FALSE;
      seen[permutation[i]] = TRUE;
    }
  return TRUE;
}

static gboolean
transpose_infer (HtInfer *infer, GError **error)
{
  HtDims in, out = { 0 };
  guint permutation[HT_TENSOR_MAX_DIMS];

  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!read_permutation (infer->node, in.n, permutation))
    return ht_infer_fail (infer, error, "the attribute 'perm' is no permutation of %u dimensions", in.n);
  for (guint i = 0; i < in.n; i++)
    ht_dims_append (&out, in.dim[permutation[i]], in.symbol[permutation[i]]);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

/* Copies `in` of `dims` so that dimension i of the result is dimension permutation[i] of the source. */
static void
copy_permuted (HtTensor *out, HtTensor *in, const gint64 *dims, guint rank, const guint *permutation)
{
  gint64 strides[HT_TENSOR_MAX_DIMS], out_dims[HT_TENSOR_MAX_DIMS], out_strides[HT_TENSOR_MAX_DIMS];
  ht_strides (dims, rank, strides);
  for (guint i = 0; i < rank; i++)
    {
      out_dims[i] = dims[permutation[i]];
      out_strides[i] = strides[permutation[i]];
    }
  ht_copy_strided (ht_tensor_get_writable_data (out), ht_tensor_get_data (in),
                   ht_element_size (ht_tensor_get_data_type (in)), rank, out_dims, out_strides);
}

/* The inverse: `out` has `dims`, and `in` is what copy_permuted() made of such a tensor. */
static void
copy_permuted_back (HtTensor *out, HtTensor *in, const gint64 *dims, guint rank, const guint *permutation)
{
  gint64 permuted[HT_TENSOR_MAX_DIMS];
  guint inverse[HT_TENSOR_MAX_DIMS];
  for (guint i = 0; i < rank; i++)
    {
      permuted[i] = dims[permutation[i]];
      inverse[permutation[i]] = i;
    }
  copy_permuted (out, in, permuted, rank, inverse);
}

static gboolean
transpose_forward (const HtOpCall *call, GError **error)
{
  guint rank, permutation[HT_TENSOR_MAX_DIMS];
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);

  if (ht_op_is_packed (call))
    return ht_op_run_spread (call, transpose_forward, error);
  if (!ht_op_check_movable (call, call->inputs[0], error))
    return FALSE;
  if (!read_permutation (call->node, rank, permutation))
    return ht_op_fail (call, error, "the attribute 'perm' is no permutation of %u dimensions", rank);
  copy_permuted (call->outputs[0], call->inputs[0], dims, rank, permutation);
  return TRUE;
}

static gboolean
transpose_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  guint rank, permutation[HT_TENSOR_MAX_DIMS];
  if (input_gradients[0] == NULL)
    return TRUE;
  const gint64 *dims = ht_tensor_get_dims (input_gradients[0], &rank);
  if (!read_permutation (call->node, rank, permutation))
    return ht_op_fail (call, error, "the attribute 'perm' is no permutation of %u dimensions", rank);
  copy_permuted_back (input_gradients[0], output_gradients[0], dims, rank, permutation);
  return TRUE;
}

static gboolean
block_infer (HtInfer *infer, gboolean to_space, GError **error)
{
  HtDims in, out = { 0 };
  gint64 block = ht_node_get_int (infer->node, "blocksize", 0), area;
  const char *mode = ht_node_get_string (infer->node, "mode", "DCR");

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_rank (infer, 0, 4, 4, error))
    return FALSE;
  if (block < 1 || __builtin_mul_overflow (block, block, &area))
    return ht_infer_fail (infer, error, "the attribute 'blocksize' is %" G_GINT64_FORMAT ", expected 1 or more", block);
  if (to_space && !g_str_equal (mode, "DCR") && !g_str_equal (mode, "CRD"))
    return ht_infer_fail (infer, error, "the attribute 'mode' is '%s', expected 'DCR' or 'CRD'", mode);
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  ht_dims_append (&out, in.dim[0], in.symbol[0]);
  for (guint i = 1; i < 4; i++)
    {
      gint64 factor = i == 1 ? area : block, dim = in.dim[i];
      gboolean divides = (i == 1) == to_space;
      if (dim >= 0 && divides && dim % factor != 0)
        return ht_infer_fail (infer, error, "dimension %u is %" G_GINT64_FORMAT ", no multiple of %" G_GINT64_FORMAT, i,
                              dim, factor);
      if (dim >= 0 && divides)
        dim /= factor;
      else if (dim >= 0 && __builtin_mul_overflow (dim, factor, &dim))
        return ht_infer_fail (infer, error, "dimension %u would overflow", i);
      ht_dims_append (&out, dim, block == 1 ? in.symbol[i] : NULL);
    }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
depth_to_space_infer (HtInfer *infer, GError **error)
{
  return block_infer (infer, TRUE, error);
}

static gboolean
space_to_depth_infer (HtInfer *infer, GError **error)
{
  return block_infer (infer, FALSE, error);
}

/* Both cut the channels or the image into six dimensions and permute them. */
typedef struct
{
  gint64 dims[6];
  const guint *permutation;
} Blocks;

static Blocks
depth_to_space_blocks (HtNode *node, const gint64 *d)
{
  static const guint dcr[] = { 0, 3, 4, 1, 5, 2 }, crd[] = { 0, 1, 4, 2, 5, 3 };
  gint64 block = ht_node_get_int (node, "blocksize", 1), depth = d[1] / (block * block);
  if (g_str_equal (ht_node_get_string (node, "mode", "DCR"), "CRD"))
    return (Blocks){ { d[0], depth, block, block, d[2], d[3] }, crd };
  return (Blocks){ { d[0], block, block, depth, d[2], d[3] }, dcr };
}

static Blocks
space_to_depth_blocks (HtNode *node, const gint64 *d)
{
  static const guint permutation[] = { 0, 3, 5, 1, 2, 4 };
  gint64 block = ht_node_get_int (node, "blocksize", 1);
  return (Blocks){ { d[0], d[1], d[2] / block, block, d[3] / block, block }, permutation };
}

static gboolean
depth_to_space_forward (const HtOpCall *call, GError **error)
{
  Blocks blocks = depth_to_space_blocks (call->node, ht_tensor_get_dims (call->inputs[0], NULL));
  if (!ht_op_check_movable (call, call->inputs[0], error))
    return FALSE;
  copy_permuted (call->outputs[0], call->inputs[0], blocks.dims, 6, blocks.permutation);
  return TRUE;
}

static gboolean
space_to_depth_forward (const HtOpCall *call, GError **error)
{
  Blocks blocks = space_to_depth_blocks (call->node, ht_tensor_get_dims (call->inputs[0], NULL));
  if (!ht_op_check_movable (call, call->inputs[0], error))
    return FALSE;
  copy_permuted (call->outputs[0], call->inputs[0], blocks.dims, 6, blocks.permutation);
  return TRUE;
}

static gboolean
depth_to_space_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                         GError **error)
{
  Blocks blocks = depth_to_space_blocks (call->node, ht_tensor_get_dims (call->inputs[0], NULL));
  if (input_gradients[0])
    copy_permuted_back (input_gradients[0], output_gradients[0], blocks.dims, 6, blocks.permutation);
  return TRUE;
}

static gboolean
space_to_depth_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                         GError **error)
{
  Blocks blocks = space_to_depth_blocks (call->node, ht_tensor_get_dims (call->inputs[0], NULL));
  if (input_gradients[0])
    copy_permuted_back (input_gradients[0], output_gradients[0], blocks.dims, 6, blocks.permutation);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Transpose", 1, HT_OP_KEEPS_GRID, transpose_infer, transpose_forward, transpose_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
  { "", "DepthToSpace", 1, HT_OP_KEEPS_GRID, depth_to_space_infer, depth_to_space_forward, depth_to_space_backward },
  { "", "SpaceToDepth", 1, HT_OP_KEEPS_GRID, space_to_depth_infer, space_to_depth_forward, space_to_depth_backward },
};

void
ht_ops_register_transpose (void)
{
  HT_OPS_REGISTER (operators);
}
