/* SPDX-License-Identifier: MIT */
/* Convolutions with constant weights in the blocked layout, with what follows them in their epilogue. */
#include "exec/exec-codes.h"
#include "exec/exec-packed.h"
#include "exec/lower.h"

#include "base/thread-pool.h"
#include "graph/tensor-private.h"
#include "kernels/isa.h"
#include "ops/conv.h"

#include <string.h>

typedef struct
{
  const char *source; /* what it reads: the node's input, or what a Pad before it read; only while planning */
  HtConvGeometry geometry;
  gboolean plain_input;
  HtExecParam weight;
  gboolean scaled;     /* the chain's scale is in the packed weight */
  const float *packed; /* the executor's */
  gsize slice;
  HtExecChain *chain;
} Conv;

static void
conv_free (gpointer data)
{
  Conv *self = data;
  ht_exec_param_clear (&self->weight);
  ht_exec_chain_free (self->chain);
  g_free (self);
}

static void
pack (gconstpointer how, const float *weight, float *packed)
{
  const Conv *self = how;
  const HtConvGeometry *g = &self->geometry;
  const float *scale = self->chain->epilogue.scale;

  if (!self->scaled)
    {
      ht_blocked_conv_pack (g, self->plain_input, weight, packed);
      return;
    }
  gsize n = g->in_channels / g->groups * ht_conv_volume (g->kernel);
  g_autofree float *product = g_new (float, MAX (g->out_channels * n, 1));
  for (gsize c = 0; c < g->out_channels; c++)
    for (gsize i = c * n; i < (c + 1) * n; i++)
      product[i] = weight[i] * scale[c];
  ht_blocked_conv_pack (g, self->plain_input, product, packed);
}

static gsize
conv_constant_size (const HtExecStep *step)
{
  const Conv *self = step->data;
  return sizeof (float) * ht_blocked_conv_packed_floats (&self->geometry, self->plain_input);
}

static gboolean
conv_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  Conv *self = step->data;
  const HtConvGeometry *g = &self->geometry;

  if (!ht_exec_chain_prepare (self->chain, executor, error))
    return FALSE;
  /* The kernels are quickest without a scale: a batch norm's goes into the weights, unless it may change. */
  self->scaled = !self->weight.as_codes && self->chain->epilogue.scale
                 && !ht_exec_chain_has_encoded_constants (self->chain, executor);
  g_autofree char *form
      = g_strdup_printf ("conv %d %d %zu %zu %s", self->weight.as_codes, self->plain_input, g->groups,
                         ht_blocked_conv_packed_form (g, self->plain_input), self->scaled ? self->chain->output : "");
  self->packed = ht_executor_get_packed (executor, &self->weight, form,
                                         ht_blocked_conv_packed_floats (g, self->plain_input), pack, self, error);
  if (self->packed == NULL)
    return FALSE;
  if (self->scaled)
    self->chain->epilogue.scale = NULL;
  return !self->weight.as_codes || ht_exec_codes_prepare (self->chain, executor, plan, step, &self->weight, error);
}

static gboolean
conv_forward (const HtExecCall *call, GError **error)
{
  const Conv *self = call->step->data;
  HtEpilogue epilogue = ht_exec_chain_get_epilogue (self->chain, call->step->n_inputs > 1 ? call->inputs[1] : NULL);
  /* Without scratch memory nothing limits the workers. */
  guint n_slices = self->slice ? (guint)(call->step->workspace_size / self->slice) : HT_THREAD_POOL_MAX_SIZE;
  float *y = call->outputs[0]->data;

  ht_blocked_conv (&self->geometry, self->plain_input, ht_tensor_get_data (call->inputs[0]), self->packed, &epilogue, y,
                   call->workspace, n_slices);
  ht_exec_chain_finish (self->chain, y, ht_exec_plan_value (call->plan, call->step->outputs[0])->size / sizeof (float));
  return TRUE;
}

static const HtExecKind conv_kind = { .name = "conv",
                                      .forward = conv_forward,
                                      .prepare = conv_prepare,
                                      .constant_size = conv_constant_size,
                                      .free = conv_free,
                                      .quantizes = TRUE };

static gboolean
read_geometry (HtExecBuilder *builder, HtNode *node, HtConvGeometry *geometry)
{
  gint64 x[HT_TENSOR_MAX_DIMS];
  guint n_x, n_w;
  HtConvOperands operands;
  HtWindow window;
  HtTensor *weight = ht_exec_builder_get_constant (builder, ht_node_get_input (node, 1));

  if (weight == NULL || ht_tensor_get_data_type (weight) != HT_DATA_TYPE_FLOAT
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), x, &n_x) || n_x > 2 + HT_CONV_AXES)
    return FALSE;
  const gint64 *w = ht_tensor_get_dims (weight, &n_w);
  g_autofree char *problem = ht_conv_check_operands (node, FALSE, x, n_x, w, n_w, &operands);
  if (problem == NULL)
    problem = ht_window_read (&window, node, HT_WINDOW_CONV, operands.n_axes, operands.in, operands.kernel);
  if (problem)
    return FALSE;
  ht_conv_make_geometry (&window, &operands, x[1], geometry);
  return TRUE;
}

/* The kernels pad by themselves. */
static gboolean
crop_input (HtExecBuilder *builder, const char *source, const gint64 *pads, HtConvGeometry *geometry)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (pads == NULL)
    return TRUE;
  if (!ht_exec_builder_get_float_dims (builder, source, dims, &n_dims))
    return FALSE;
  for (guint i = 2; i < n_dims; i++)
    {
      guint axis = HT_CONV_AXES - n_dims + i;
      if (pads[i] < 0 || pads[n_dims + i] < 0)
        return FALSE;
      geometry->in[axis] = (gsize)dims[i];
      geometry->pad[axis] += pads[i];
    }
  return pads[0] == 0 && pads[1] == 0 && pads[n_dims] == 0 && pads[n_dims + 1] == 0;
}

/* Few channels leave most lanes of a block idle: then the plain kernel does less work. */
static gboolean
is_worth_blocking (const HtConvGeometry *geometry, gboolean plain_input)
{
  gsize block = ht_isa_get_block ();
  gsize out = (geometry->out_channels + block - 1) / block * block;
  gsize in = plain_input || geometry->groups > 1 ? geometry->in_channels
                                                 : (geometry->in_channels + block - 1) / block * block;
  return out * in <= 4 * geometry->out_channels * geometry->in_channels;
}

/* Which layout to read: blocked where the tensor is blocked already, plain where the channels do not fill a block. */
static gboolean
choose_input (HtExecBuilder *builder, Conv *self)
{
  const char *x = self->source;
  const HtConvGeometry *geometry = &self->geometry;
  gboolean blocked = ht_exec_builder_can_block (builder, x) && ht_blocked_conv_supports (geometry, FALSE)
                     && is_worth_blocking (geometry, FALSE);
  gboolean plain = ht_blocked_conv_supports (geometry, TRUE) && is_worth_blocking (geometry, TRUE);

  if (blocked && ht_exec_builder_is_blocked (builder, x))
    plain = FALSE;
  else if (plain && geometry->in_channels < ht_isa_get_block ())
    blocked = FALSE;
  self->plain_input = !blocked;
  return blocked || plain;
}

static HtExecLayout
choose_input_layout (const Conv *self)
{
  if (self->weight.as_codes)
    return self->plain_input ? HT_EXEC_LAYOUT_PLAIN_CODES : HT_EXEC_LAYOUT_BLOCKED_CODES;
  return self->plain_input ? HT_EXEC_LAYOUT_PLAIN : HT_EXEC_LAYOUT_BLOCKED;
}

/* A layer on integers adds a residual of either form; others want values. */
static gboolean
read_inputs (HtExecBuilder *builder, HtNode *node, const Conv *self, guint *inputs, guint *n_inputs, GError **error)
{
  const char *residual = self->chain->residual;
  HtExecLayout layout = HT_EXEC_LAYOUT_BLOCKED;

  *n_inputs = residual ? 2 : 1;
  if (!ht_exec_builder_read (builder, node, self->source, choose_input_layout (self), &inputs[0], error))
    return FALSE;
  if (residual && self->weight.as_codes && ht_exec_builder_has (builder, residual, HT_EXEC_LAYOUT_BLOCKED_CODES))
    layout = HT_EXEC_LAYOUT_BLOCKED_CODES;
  return residual == NULL || ht_exec_builder_read (builder, node, residual, layout, &inputs[1], error);
}

/* `pads` (begin and end of each axis) lie around `source` before the node's own padding. */
static gboolean
lower (HtExecBuilder *builder, HtNode *node, const char *source, const gint64 *pads, gboolean *taken, GError **error)
{
  g_autofree Conv *self = g_new0 (Conv, 1);
  const char *bias = ht_node_get_n_inputs (node) > 2 ? ht_node_get_input (node, 2) : "";
  guint inputs[2], n_inputs;

  self->source = source;
  if (!read_geometry (builder, node, &self->geometry) || !crop_input (builder, source, pads, &self->geometry))
    return TRUE;
  if (!choose_input (builder, self))
    return pads || ht_exec_lower_plain_conv (builder, node, &self->geometry, taken, error);
  self->chain = ht_exec_chain_new (builder, ht_node_get_output (node, 0), HT_EXEC_LAYOUT_BLOCKED, 1,
                                   HT_CHAIN_ALL | HT_CHAIN_NEXT);
  if (self->chain == NULL)
    return TRUE;
  if (bias[0] && !ht_exec_chain_add_shift (self->chain, builder, bias))
    {
      ht_exec_chain_free (self->chain);
      return TRUE;
    }
  ht_exec_param_init (&self->weight, builder, ht_node_get_input (node, 1));
  ht_exec_chain_extend (self->chain, builder);
  self->weight.as_codes = ht_exec_codes_suit_chain (builder, node, self->chain);
  Conv *conv = g_steal_pointer (&self);
  const char *output = ht_exec_chain_get_end (conv->chain)->output;
  HtExecLayout layout = conv->weight.as_codes ? ht_exec_codes_choose_layout (builder, output) : HT_EXEC_LAYOUT_BLOCKED;
  if (!read_inputs (builder, node, conv, inputs, &n_inputs, error))
    {
      conv_free (conv);
      return FALSE;
    }
  HtExecStep *step = ht_exec_builder_add_step (builder, node, &conv_kind, conv, inputs, n_inputs, output, layout);
  conv->slice = ht_blocked_conv_slice (&conv->geometry, conv->plain_input);
  step->workspace_size = ht_window_workspace (conv->slice, ht_thread_pool_get_size ());
  step->in_place = n_inputs > 1 ? 2 : 0;
  *taken = TRUE;
  return TRUE;
}

gboolean
ht_exec_lower_conv (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  return lower (builder, node, ht_node_get_input (node, 0), NULL, taken, error);
}

/* Zero lies on every grid: a grid that the values had before changes nothing. */
static gboolean
keeps_values (HtExecBuilder *builder, HtNode *pad)
{
  const char *padded = ht_node_get_output (pad, 0);
  return ht_exec_builder_get_encoding (builder, padded) == NULL
         || ht_exec_builder_has_same_encoding (builder, ht_node_get_input (pad, 0), padded);
}

/* A Pad that only a convolution reads becomes part of it. */
gboolean
ht_exec_lower_pad (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  const char *padded = ht_node_get_output (node, 0);
  gint64 pads[2 * HT_TENSOR_MAX_DIMS], dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (!ht_exec_lower_slice (builder, node, taken, error))
    return FALSE;
  HtNode *next = ht_exec_builder_get_use (builder, padded, 0);
  if (*taken || builder->request->mode != HT_EXEC_FUSED || !ht_exec_builder_is_inner (builder, padded, 1)
      || !keeps_values (builder, node) || g_hash_table_contains (builder->taken, next)
      || ht_exec_find_rule (next) == NULL || ht_exec_find_rule (next)->lower != ht_exec_lower_conv
      || strcmp (ht_node_get_input (next, 0), padded) != 0
      || !ht_exec_builder_is_made (builder, ht_node_get_input (node, 0))
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), dims, &n_dims)
      || !ht_exec_read_pads (builder, node, n_dims, pads))
    return TRUE;
  if (!lower (builder, next, ht_node_get_input (node, 0), pads, taken, error))
    return FALSE;
  if (*taken)
    ht_exec_builder_take (builder, node);
  return TRUE;
}
