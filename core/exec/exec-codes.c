/* SPDX-License-Identifier: MIT */
#include "exec/exec-codes.h"

#include "exec/executor-private.h"
#include "exec/lower.h"
#include "kernels/isa.h"
#include "quant/encoding-private.h"

#include <math.h>
#include <string.h>

#define MAX_BITS 8

static gboolean
is_narrow (HtEncoding *encoding, gboolean one_grid)
{
  gsize n_grids;

  if (encoding == NULL || !ht_encoding_is_integer (encoding) || ht_encoding_get_bits (encoding) > MAX_BITS
      || encoding->rounds_up || ht_encoding_get_block_axis (encoding) >= 0)
    return FALSE;
  ht_encoding_get_scales (encoding, &n_grids);
  return n_grids == 1 || (!one_grid && ht_encoding_get_axis (encoding) == 0);
}

static const char *
get_bias (HtNode *node)
{
  return ht_node_get_n_inputs (node) > 2 ? ht_node_get_input (node, 2) : "";
}

gboolean
ht_exec_codes_suit_node (HtExecBuilder *builder, HtNode *node)
{
  const char *bias = get_bias (node), *weight = ht_node_get_input (node, 1);
  HtEncoding *bias_encoding = bias[0] ? ht_exec_builder_get_encoding (builder, bias) : NULL;

  return builder->request->mode == HT_EXEC_FUSED && strcmp (ht_node_get_op_type (node), "Conv") == 0
         && is_narrow (ht_exec_builder_get_encoding (builder, ht_node_get_input (node, 0)), TRUE)
         && is_narrow (ht_exec_builder_get_encoding (builder, weight), FALSE)
         && ht_exec_builder_get_constant (builder, weight)
         && (bias[0] == '\0' || (bias_encoding && ht_encoding_get_bits (bias_encoding) == 32));
}

/* What a node's step makes by moving the codes of the tensor as they are, if both have one grid; NULL: it does not. */
static const char *
find_moved (HtExecBuilder *builder, HtNode *node, const char *name)
{
  if (ht_node_is_op (node, "Concat"))
    return ht_node_get_output (node, 0);
  if (strcmp (ht_node_get_input (node, 0), name) != 0)
    return NULL;
  if (ht_node_is_op (node, "Reshape"))
    return ht_exec_find_shuffled (builder, node);
  return ht_node_is_op (node, "Pad") || ht_node_is_op (node, "MaxPool") ? ht_node_get_output (node, 0) : NULL;
}

gboolean
ht_exec_codes_suit_tensor (HtExecBuilder *builder, const char *name)
{
  if (!is_narrow (ht_exec_builder_get_encoding (builder, name), TRUE))
    return FALSE;
  for (guint i = 0; i < ht_exec_builder_get_n_uses (builder, name); i++)
    {
      HtNode *reader = ht_exec_builder_get_use (builder, name, i);
      if (ht_exec_codes_suit_node (builder, reader) && strcmp (ht_node_get_input (reader, 0), name) == 0)
        return TRUE;
      const char *moved = find_moved (builder, reader, name);
      if (moved && ht_exec_builder_has_same_encoding (builder, name, moved)
          && ht_exec_codes_suit_tensor (builder, moved))
        return TRUE;
    }
  return FALSE;
}

HtExecLayout
ht_exec_codes_choose_layout (HtExecBuilder *builder, const char *name)
{
  return ht_exec_codes_suit_tensor (builder, name) ? HT_EXEC_LAYOUT_BLOCKED_CODES : HT_EXEC_LAYOUT_BLOCKED;
}

float
ht_exec_codes_get_unit (const HtExecValue *value)
{
  return value->layout >= HT_EXEC_LAYOUT_PLAIN_CODES ? ht_exec_read_grid (value->encoding).scale : 0.0f;
}

gboolean
ht_exec_codes_suit_chain (HtExecBuilder *builder, HtNode *node, const HtExecChain *chain)
{
  if (!ht_exec_codes_suit_node (builder, node) || ht_exec_chain_count_affines (chain) > (get_bias (node)[0] ? 1 : 0))
    return FALSE;
  if (chain->inner)
    return is_narrow (ht_exec_builder_get_encoding (builder, chain->inner), TRUE);
  return chain->residual == NULL && chain->epilogue.activation <= HT_ACTIVATION_CLAMP
         && is_narrow (ht_exec_builder_get_encoding (builder, chain->output), TRUE);
}

gboolean
ht_exec_codes_from_weight (HtExecutor *executor, const char *name, HtTensor *weight, float *values, GError **error)
{
  HtEncoding *encoding = g_hash_table_lookup (executor->encodings, name);
  gsize n_grids, n = ht_tensor_get_n_elements (weight);
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);

  if (!ht_exec_fake_quantize (name, encoding, weight, values, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    values[i] = rintf (values[i] / (float)scales[i / (n / n_grids)]);
  return TRUE;
}

/* input scale * weight scale / output scale, in float and in this order, as devices have it. */
static void
set_factors (HtExecChain *chain, const HtGrid *input, HtEncoding *weight, const HtGrid *output)
{
  gsize n_grids, block = ht_isa_get_block (), n_padded = (chain->channels + block - 1) / block * block;
  const double *scales = ht_encoding_get_scales (weight, &n_grids);

  g_clear_pointer (&chain->scale, g_aligned_free);
  chain->scale = g_aligned_alloc0 (MAX (n_padded, 1), sizeof (float), 64);
  for (gsize c = 0; c < chain->channels; c++)
    {
      float step = input->scale * (float)scales[n_grids > 1 ? c : 0];
      chain->scale[c] = step / output->scale;
      if (chain->shift)
        chain->shift[c] = rintf (chain->shift[c] / step);
    }
}

/* Rounding keeps the order, so clamping may as well come after it. */
static void
clamp_grid (HtGrid *grid, float low, float high)
{
  float first = grid->offset, last = grid->offset + grid->n_steps;
  float begin = CLAMP (rintf (low), first, last), end = CLAMP (rintf (high), first, last);

  grid->offset = begin;
  grid->n_steps = MAX (end - begin, 0.0f);
}

gboolean
ht_exec_codes_prepare (HtExecChain *chain, HtExecutor *executor, HtExecPlan *plan, const HtExecStep *step,
                       const HtExecParam *weight, GError **error)
{
  HtEpilogue *e = &chain->epilogue;
  HtGrid *first = chain->inner ? &chain->inner_grid : &chain->grid;
  HtGrid input = ht_exec_read_grid (ht_exec_plan_value (plan, step->inputs[0])->encoding), output = *first;
  gboolean leaves_codes = ht_exec_plan_value (plan, step->outputs[0])->layout >= HT_EXEC_LAYOUT_PLAIN_CODES;

  set_factors (chain, &input, g_hash_table_lookup (executor->encodings, weight->name), &output);
  first->unit = first->scale;
  first->scale = 1.0f;
  if (!chain->inner && e->activation == HT_ACTIVATION_CLAMP)
    clamp_grid (first, e->low / output.scale, e->high / output.scale);
  chain->clamp_in_grid = chain->inner == NULL;
  if (leaves_codes)
    ht_exec_chain_get_end (chain)->grid.unit = 1.0f;
  e->scale = chain->scale;
  e->shift = chain->shift;
  e->shift_first = TRUE;
  e->residual_unit = step->n_inputs > 1 ? ht_exec_codes_get_unit (ht_exec_plan_value (plan, step->inputs[1])) : 0.0f;
  return TRUE;
}
