/* SPDX-License-Identifier: MIT */
/* Operators that keep a tensor's shape: activations, normalization with constants, arithmetic. They work on blocked
 * tensors, values or codes; normalization, and what follows it, also on plain ones. */
#include "exec/exec-codes.h"
#include "exec/lower.h"

#include "graph/tensor-private.h"

#include <string.h>

typedef enum
{
  AFFINE,
  AFFINE_PLAIN,
  MULTIPLY,
  MULTIPLY_CHANNELS, /* the second factor has one value for each image and channel */
} Form;

typedef struct
{
  Form form;
  gsize batch, channels, positions;
  HtExecChain *chain;
  float unit; /* of the codes that x holds; 0: it holds values */
} Elementwise;

static void
elementwise_free (gpointer data)
{
  Elementwise *self = data;
  ht_exec_chain_free (self->chain);
  g_free (self);
}

static gboolean
elementwise_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  Elementwise *self = step->data;
  const HtExecValue *last = ht_exec_plan_value (plan, step->inputs[step->n_inputs - 1]);

  if (!ht_exec_chain_prepare (self->chain, executor, error))
    return FALSE;
  self->unit = ht_exec_codes_get_unit (ht_exec_plan_value (plan, step->inputs[0]));
  self->chain->epilogue.residual_unit = self->chain->residual ? ht_exec_codes_get_unit (last) : 0.0f;
  if (ht_exec_plan_value (plan, step->outputs[0])->layout == HT_EXEC_LAYOUT_BLOCKED_CODES)
    ht_exec_chain_get_end (self->chain)->grid.unit = 1.0f;
  return TRUE;
}

static gboolean
elementwise_forward (const HtExecCall *call, GError **error)
{
  const Elementwise *self = call->step->data;
  guint residual = self->form == AFFINE || self->form == AFFINE_PLAIN ? 1 : 2;
  HtEpilogue epilogue
      = ht_exec_chain_get_epilogue (self->chain, call->step->n_inputs > residual ? call->inputs[residual] : NULL);
  const float *x = ht_tensor_get_data (call->inputs[0]);
  float *y = call->outputs[0]->data;

  if (self->unit != 0.0f)
    ht_blocked_affine_of_codes (self->batch, self->channels, self->positions, x, self->unit, &epilogue, y);
  else if (self->form == AFFINE)
    ht_blocked_affine (self->batch, self->channels, self->positions, x, &epilogue, y);
  else if (self->form == AFFINE_PLAIN)
    ht_plain_affine (self->batch, self->channels, self->positions, x, &epilogue, y);
  else
    ht_blocked_multiply (self->batch, self->channels, self->positions, x, ht_tensor_get_data (call->inputs[1]),
                         self->form == MULTIPLY_CHANNELS, &epilogue, y);
  ht_exec_chain_finish (self->chain, y, ht_exec_plan_value (call->plan, call->step->outputs[0])->size / sizeof (float));
  return TRUE;
}

static const HtExecKind elementwise_kind = { .name = "elementwise",
                                             .forward = elementwise_forward,
                                             .prepare = elementwise_prepare,
                                             .free = elementwise_free,
                                             .quantizes = TRUE };

/* Reads x, perhaps the second factor, perhaps the residual; takes the chain. */
static gboolean
add_elementwise (HtExecBuilder *builder, HtNode *node, Form form, const char *x, const char *factor, HtExecChain *chain,
                 GError **error)
{
  Elementwise *self = g_new0 (Elementwise, 1);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  HtExecLayout layout = form == AFFINE_PLAIN ? HT_EXEC_LAYOUT_PLAIN : HT_EXEC_LAYOUT_BLOCKED;
  HtExecLayout x_layout = layout, residual_layout = layout;
  const char *output = ht_exec_chain_get_end (chain)->output;
  guint inputs[3], n_inputs = 0, n_dims = 0;

  self->form = form;
  self->chain = chain;
  ht_exec_builder_get_float_dims (builder, x, dims, &n_dims);
  self->batch = (gsize)dims[0];
  self->channels = (gsize)dims[1];
  self->positions = 1;
  for (guint i = 2; i < n_dims; i++)
    self->positions *= (gsize)dims[i];
  if (form == AFFINE && ht_exec_builder_is_coded (builder, x))
    x_layout = HT_EXEC_LAYOUT_BLOCKED_CODES;
  if (layout == HT_EXEC_LAYOUT_BLOCKED && chain->residual && ht_exec_builder_is_coded (builder, chain->residual))
    residual_layout = HT_EXEC_LAYOUT_BLOCKED_CODES;
  if (layout == HT_EXEC_LAYOUT_BLOCKED)
    layout = ht_exec_codes_choose_layout (builder, output);
  if (!ht_exec_builder_read (builder, node, x, x_layout, &inputs[n_inputs++], error)
      || (factor && !ht_exec_builder_read (builder, node, factor, x_layout, &inputs[n_inputs++], error))
      || (chain->residual
          && !ht_exec_builder_read (builder, node, chain->residual, residual_layout, &inputs[n_inputs++], error)))
    {
      elementwise_free (self);
      return FALSE;
    }
  HtExecStep *step
      = ht_exec_builder_add_step (builder, node, &elementwise_kind, self, inputs, n_inputs, output, layout);
  step->in_place = (1u << n_inputs) - 1;
  return TRUE;
}

/* Rows of a few elements are quicker through the operator. */
#define MIN_PLAIN_POSITIONS 16

static gboolean
is_plain_normalization (HtExecBuilder *builder, HtNode *node)
{
  gint64 dims[HT_TENSOR_MAX_DIMS], positions = 1;
  guint n_dims;

  if (builder->request->mode != HT_EXEC_FUSED || strcmp (ht_node_get_op_type (node), "BatchNormalization") != 0
      || !ht_exec_builder_is_made (builder, ht_node_get_input (node, 0))
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), dims, &n_dims))
    return FALSE;
  for (guint i = 2; i < n_dims && positions < MIN_PLAIN_POSITIONS; i++)
    positions *= dims[i];
  return n_dims > 2 && positions >= MIN_PLAIN_POSITIONS;
}

gboolean
ht_exec_lower_elementwise (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  const char *x = NULL;

  for (guint i = 0; i < MIN (ht_node_get_n_inputs (node), 2) && x == NULL; i++)
    if (ht_exec_builder_is_blocked (builder, ht_node_get_input (node, i)))
      x = ht_node_get_input (node, i);
  HtExecLayout layout = HT_EXEC_LAYOUT_BLOCKED;
  if (x == NULL && is_plain_normalization (builder, node))
    {
      x = ht_node_get_input (node, 0);
      layout = HT_EXEC_LAYOUT_PLAIN;
    }
  HtExecChainParts parts = HT_CHAIN_ALL | (layout == HT_EXEC_LAYOUT_BLOCKED ? HT_CHAIN_NEXT : 0);
  HtExecChain *chain = x ? ht_exec_chain_new (builder, x, layout, 1, parts) : NULL;
  if (chain == NULL)
    return TRUE;
  if (!ht_exec_chain_append (chain, builder, node))
    {
      ht_exec_chain_free (chain);
      return TRUE;
    }
  ht_exec_chain_extend (chain, builder);
  *taken = TRUE;
  return add_elementwise (builder, node, layout == HT_EXEC_LAYOUT_PLAIN ? AFFINE_PLAIN : AFFINE, x, NULL, chain, error);
}

/* The same shape, or one value for each image and channel. */
static gboolean
get_form (HtExecBuilder *builder, const char *x, const char *factor, Form *form)
{
  gint64 dims[HT_TENSOR_MAX_DIMS], factor_dims[HT_TENSOR_MAX_DIMS];
  guint n_dims, n_factor;
  gboolean is_same = TRUE, is_channel = TRUE;

  if (!ht_exec_builder_can_block (builder, factor) || !ht_exec_builder_get_float_dims (builder, x, dims, &n_dims)
      || !ht_exec_builder_get_float_dims (builder, factor, factor_dims, &n_factor) || n_dims != n_factor)
    return FALSE;
  for (guint i = 0; i < n_dims; i++)
    {
      is_same = is_same && dims[i] == factor_dims[i];
      is_channel = is_channel && factor_dims[i] == (i < 2 ? dims[i] : 1);
    }
  *form = is_same ? MULTIPLY : MULTIPLY_CHANNELS;
  return is_same || is_channel;
}

gboolean
ht_exec_lower_mul (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  const char *a = ht_node_get_input (node, 0), *b = ht_node_get_input (node, 1);
  Form form;

  if (!ht_exec_lower_elementwise (builder, node, taken, error))
    return FALSE;
  if (*taken || ht_exec_builder_get_constant (builder, a) || ht_exec_builder_get_constant (builder, b)
      || !ht_exec_builder_is_made (builder, a) || !ht_exec_builder_is_made (builder, b))
    return TRUE;
  if (!ht_exec_builder_is_blocked (builder, a) || !get_form (builder, a, b, &form))
    {
      const char *swap = a;
      a = b;
      b = swap;
      if (!ht_exec_builder_is_blocked (builder, a) || !get_form (builder, a, b, &form))
        return TRUE;
    }
  HtExecChain *chain = ht_exec_chain_new (builder, ht_node_get_output (node, 0), HT_EXEC_LAYOUT_BLOCKED, 1,
                                          HT_CHAIN_ALL | HT_CHAIN_NEXT);
  if (chain == NULL)
    return TRUE;
  ht_exec_chain_extend (chain, builder);
  *taken = TRUE;
  return add_elementwise (builder, node, form, a, b, chain, error);
}
