/* SPDX-License-Identifier: MIT */
/* Convolutions with constant weights in the plain layout, with what follows them in their epilogue: those whose groups
 * or few channels do not fill blocks. */
#include "exec/exec-codes.h"
#include "exec/exec-packed.h"
#include "exec/lower.h"

#include "base/thread-pool.h"
#include "exec/executor-private.h"
#include "graph/tensor-private.h"
#include "ops/window.h"

#include <string.h>

typedef struct
{
  HtConvGeometry geometry;
  HtExecParam weight;
  const float *w; /* the executor's */
  gsize slice;
  HtExecChain *chain;
} PlainConv;

static void
plain_conv_free (gpointer data)
{
  PlainConv *self = data;
  ht_exec_param_clear (&self->weight);
  ht_exec_chain_free (self->chain);
  g_free (self);
}

static gsize
count_weights (const PlainConv *self)
{
  const HtConvGeometry *g = &self->geometry;
  return g->out_channels * (g->in_channels / g->groups) * ht_conv_volume (g->kernel);
}

static void
pack (gconstpointer how, const float *weight, float *packed)
{
  memcpy (packed, weight, count_weights (how) * sizeof (float));
}

static gsize
plain_conv_constant_size (const HtExecStep *step)
{
  const PlainConv *self = step->data;
  return self->weight.as_codes ? count_weights (self) * sizeof (float) : 0;
}

static gboolean
plain_conv_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  PlainConv *self = step->data;

  if (!ht_exec_chain_prepare (self->chain, executor, error))
    return FALSE;
  if (self->weight.as_codes)
    {
      self->w
          = ht_executor_get_packed (executor, &self->weight, "plain codes", count_weights (self), pack, self, error);
      return self->w && ht_exec_codes_prepare (self->chain, executor, plan, step, &self->weight, error);
    }
  HtTensor *weight = ht_executor_get_quantized_constant (executor, self->weight.name, self->weight.tensor, error);
  self->w = weight ? ht_tensor_get_data (weight) : NULL;
  return weight != NULL;
}

static gboolean
plain_conv_forward (const HtExecCall *call, GError **error)
{
  const PlainConv *self = call->step->data;
  HtEpilogue epilogue = ht_exec_chain_get_epilogue (self->chain, call->step->n_inputs > 1 ? call->inputs[1] : NULL);
  guint n_slices = self->slice ? (guint)(call->step->workspace_size / self->slice) : HT_THREAD_POOL_MAX_SIZE;
  float *y = call->outputs[0]->data;

  ht_kernel_conv_with_epilogue (&self->geometry, ht_tensor_get_data (call->inputs[0]), self->w, &epilogue, y,
                                call->workspace, n_slices);
  ht_exec_chain_finish (self->chain, y, ht_exec_plan_value (call->plan, call->step->outputs[0])->size / sizeof (float));
  return TRUE;
}

static const HtExecKind plain_conv_kind = { .name = "plain conv",
                                            .forward = plain_conv_forward,
                                            .prepare = plain_conv_prepare,
                                            .constant_size = plain_conv_constant_size,
                                            .free = plain_conv_free,
                                            .quantizes = TRUE };

static HtExecChain *
make_chain (HtExecBuilder *builder, HtNode *node)
{
  const char *bias = ht_node_get_n_inputs (node) > 2 ? ht_node_get_input (node, 2) : "";
  g_autoptr (HtExecChain) chain = ht_exec_chain_new (builder, ht_node_get_output (node, 0), HT_EXEC_LAYOUT_PLAIN, 1,
                                                     HT_CHAIN_ALL | HT_CHAIN_NEXT);

  if (chain == NULL || (bias[0] && !ht_exec_chain_add_shift (chain, builder, bias)))
    return NULL;
  ht_exec_chain_extend (chain, builder);
  return g_steal_pointer (&chain);
}

gboolean
ht_exec_lower_plain_conv (HtExecBuilder *builder, HtNode *node, const HtConvGeometry *geometry, gboolean *taken,
                          GError **error)
{
  guint inputs[2], n_inputs = 1;

  if (builder->request->mode != HT_EXEC_FUSED || geometry->groups == geometry->in_channels)
    return TRUE;
  HtExecChain *chain = make_chain (builder, node);
  if (chain == NULL)
    return TRUE;
  PlainConv *self = g_new0 (PlainConv, 1);
  self->geometry = *geometry;
  self->chain = chain;
  ht_exec_param_init (&self->weight, builder, ht_node_get_input (node, 1));
  self->weight.as_codes = ht_exec_codes_suit_chain (builder, node, chain);
  gboolean codes = self->weight.as_codes;
  const char *output = ht_exec_chain_get_end (chain)->output, *residual = chain->residual;
  gboolean on_residual_codes = codes && residual && ht_exec_builder_has (builder, residual, HT_EXEC_LAYOUT_PLAIN_CODES);
  if (!ht_exec_builder_read (builder, node, ht_node_get_input (node, 0),
                             codes ? HT_EXEC_LAYOUT_PLAIN_CODES : HT_EXEC_LAYOUT_PLAIN, &inputs[0], error)
      || (residual
          && !ht_exec_builder_read (builder, node, residual,
                                    on_residual_codes ? HT_EXEC_LAYOUT_PLAIN_CODES : HT_EXEC_LAYOUT_PLAIN,
                                    &inputs[n_inputs++], error)))
    {
      plain_conv_free (self);
      return FALSE;
    }
  HtExecLayout layout
      = codes && ht_exec_codes_suit_tensor (builder, output) ? HT_EXEC_LAYOUT_PLAIN_CODES : HT_EXEC_LAYOUT_PLAIN;
  HtExecStep *step = ht_exec_builder_add_step (builder, node, &plain_conv_kind, self, inputs, n_inputs, output, layout);
  self->slice = ht_kernel_conv_slice (geometry);
  step->workspace_size = ht_window_workspace (self->slice, ht_thread_pool_get_size ());
  *taken = TRUE;
  return TRUE;
}
