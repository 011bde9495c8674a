/* SPDX-License-Identifier: MIT */
/* Concatenation of blocked tensors over their channels, values or codes, with the grid of the result. */
#include "exec/exec-codes.h"
#include "exec/executor-private.h"
#include "exec/lower.h"

#include "graph/tensor-private.h"
#include "kernels/blocked.h"

/* How an input comes into the result. */
typedef struct
{
  float unit;       /* of the codes that it holds; 0: it holds values */
  gboolean rounded; /* to the grid of the result */
} Part;

typedef struct
{
  HtGrid grid;
  HtEncoding *wide; /* of the result, where the kernel cannot apply it */
  Part *parts;
} Concat;

static void
concat_free (gpointer data)
{
  Concat *self = data;
  g_free (self->parts);
  g_free (self);
}

static gboolean
concat_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  Concat *self = step->data;
  const HtExecValue *y = ht_exec_plan_value (plan, step->outputs[0]);
  gboolean leaves_codes = y->layout == HT_EXEC_LAYOUT_BLOCKED_CODES;
  gboolean fused = y->encoding && ht_exec_can_fuse_grid (y->encoding);

  self->wide = y->encoding && !fused ? y->encoding : NULL;
  if (fused)
    self->grid = ht_exec_read_grid (y->encoding);
  if (leaves_codes)
    self->grid.unit = 1.0f;
  for (guint i = 0; i < step->n_inputs; i++)
    {
      const HtExecValue *x = ht_exec_plan_value (plan, step->inputs[i]);
      gboolean same_form = x->layout == y->layout && x->encoding == y->encoding;
      self->parts[i].unit = same_form ? 0.0f : ht_exec_codes_get_unit (x);
      self->parts[i].rounded = fused && !same_form;
    }
  return TRUE;
}

static gboolean
concat_forward (const HtExecCall *call, GError **error)
{
  const Concat *self = call->step->data;
  const HtExecValue *y = ht_exec_plan_value (call->plan, call->step->outputs[0]);
  gsize positions = 1, first = 0;

  for (guint i = 2; i < y->n_dims; i++)
    positions *= (gsize)y->dims[i];
  for (guint i = 0; i < call->step->n_inputs; i++)
    {
      gsize channels = (gsize)ht_exec_plan_value (call->plan, call->step->inputs[i])->dims[1];
      ht_blocked_quantize_channels ((gsize)y->dims[0], channels, positions, ht_tensor_get_data (call->inputs[i]),
                                    self->parts[i].unit, self->parts[i].rounded ? &self->grid : NULL, first,
                                    (gsize)y->dims[1], call->outputs[0]->data);
      first += channels;
    }
  if (self->wide)
    ht_exec_fake_quantize_floats (self->wide, call->outputs[0]->data, y->size / sizeof (float));
  return TRUE;
}

static const HtExecKind concat_kind = {
  .name = "concat", .forward = concat_forward, .prepare = concat_prepare, .free = concat_free, .quantizes = TRUE
};

static gboolean
is_over_channels (HtExecBuilder *builder, HtNode *node)
{
  gint64 dims[HT_TENSOR_MAX_DIMS], axis = ht_node_get_int (node, "axis", 1);
  const char *output = ht_node_get_output (node, 0);
  guint n_dims;

  return ht_exec_builder_can_block (builder, output) && ht_exec_builder_get_float_dims (builder, output, dims, &n_dims)
         && (axis < 0 ? axis + n_dims : axis) == 1;
}

gboolean
ht_exec_lower_concat (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  guint n_inputs = ht_node_get_n_inputs (node), n_blocked = 0;
  const char *output = ht_node_get_output (node, 0);

  if (!is_over_channels (builder, node))
    return TRUE;
  for (guint i = 0; i < n_inputs; i++)
    {
      if (!ht_exec_builder_can_block (builder, ht_node_get_input (node, i))
          || !ht_exec_builder_is_made (builder, ht_node_get_input (node, i)))
        return TRUE;
      n_blocked += ht_exec_builder_is_blocked (builder, ht_node_get_input (node, i));
    }
  if (2 * n_blocked < n_inputs)
    return TRUE;
  g_autofree guint *inputs = g_new (guint, n_inputs);
  for (guint i = 0; i < n_inputs; i++)
    {
      const char *input = ht_node_get_input (node, i);
      HtExecLayout layout
          = ht_exec_builder_is_coded (builder, input) ? HT_EXEC_LAYOUT_BLOCKED_CODES : HT_EXEC_LAYOUT_BLOCKED;
      if (!ht_exec_builder_read (builder, node, input, layout, &inputs[i], error))
        return FALSE;
    }
  Concat *self = g_new0 (Concat, 1);
  self->parts = g_new0 (Part, MAX (n_inputs, 1));
  ht_exec_builder_add_step (builder, node, &concat_kind, self, inputs, n_inputs, output,
                            ht_exec_codes_choose_layout (builder, output));
  *taken = TRUE;
  return TRUE;
}
