/* SPDX-License-Identifier: MIT */
/* The step that runs one node through its operator's own forward function, in the plain layout. It alone serves nodes
 * whose shapes are only known by running, and those with subgraphs. */
#include "exec/exec-build.h"
#include "exec/executor-private.h"
#include "graph/tensor-private.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

/* The child runs on its own copy of the subgraph, with the captured values as given tensors. */
static HtExecutor *
find_child (HtExecState *state, const HtExecStep *step, HtGraph *subgraph)
{
  HtExecutor *child = g_hash_table_lookup (state->executor->children, subgraph);

  if (child == NULL)
    {
      g_autoptr (GHashTable) constants = g_hash_table_new (g_str_hash, g_str_equal);
      for (guint i = 0; i < step->n_captures; i++)
        {
          HtExecValue *value = ht_exec_plan_value (state->plan, step->captures[i]);
          if (value->place == HT_EXEC_CONSTANT)
            g_hash_table_insert (constants, value->name, value->constant);
        }
      child = ht_executor_new_child (state->executor, subgraph, constants);
    }
  return child;
}

static gboolean
run_subgraph (const HtOpCall *call, HtGraph *subgraph, GHashTable *inputs, HtTensor **outputs, GError **error)
{
  const HtExecCall *runner = call->runner;
  HtExecState *state = runner->run;
  HtExecutor *child = find_child (state, runner->step, subgraph);
  g_autoptr (GHashTable) given = g_hash_table_new (g_str_hash, g_str_equal);
  const char *const *names = ht_graph_get_outputs (subgraph);
  GHashTableIter iter;
  gpointer name, tensor;

  for (guint i = 0; i < runner->step->n_captures; i++)
    {
      guint index = runner->step->captures[i];
      const char *captured = ht_exec_plan_value (state->plan, index)->name;
      if (g_hash_table_contains (child->captures, captured) && !ht_graph_get_initializer (child->snapshot, captured))
        g_hash_table_insert (given, (gpointer)captured, state->plan->tensors[index]);
    }
  if (inputs)
    {
      g_hash_table_iter_init (&iter, inputs);
      while (g_hash_table_iter_next (&iter, &name, &tensor))
        g_hash_table_insert (given, name, tensor);
    }
  HtExecRun run = *state->run;
  run.given = given;
  run.outputs = names;
  g_autoptr (GHashTable) results = ht_executor_run_unchecked (child, &run, error);
  if (results == NULL)
    return FALSE;
  for (gsize i = 0; names && names[i]; i++)
    outputs[i] = ht_tensor_ref (g_hash_table_lookup (results, names[i]));
  return TRUE;
}

static gboolean
points_into_arena (HtExecState *state, HtTensor *tensor)
{
  const char *data = ht_tensor_get_data (tensor);
  const char *arena = state->executor->arena;
  return arena && data >= arena && data < arena + state->executor->arena_size;
}

/* What the caller gets is his alone: no input that an operator hands on, no element of a list. */
static gboolean
is_shared (HtTensor *tensor)
{
  return !g_atomic_ref_count_compare (&tensor->ref_count, 1);
}

static gboolean
has_shape (HtTensor *tensor, const HtExecValue *value)
{
  if (ht_tensor_get_data_type (tensor) != value->type || ht_tensor_get_n_dims (tensor) != value->n_dims)
    return FALSE;
  for (guint i = 0; i < value->n_dims; i++)
    if (ht_tensor_get_dim (tensor, i) != value->dims[i])
      return FALSE;
  return TRUE;
}

/* Takes over what an operator made by itself. It may have handed on its input, whose memory is not to be kept, and
 * later steps count on the shape that inference promised. */
static gboolean
adopt_output (HtExecState *state, const HtOpCall *call, guint index, HtTensor *made /* transfer full */, GError **error)
{
  HtExecValue *value = ht_exec_plan_value (state->plan, index);
  g_autoptr (HtTensor) tensor = made;

  if (tensor == NULL)
    return ht_op_fail (call, error, "it made no output '%s'", value->name);
  if (value->is_static && !has_shape (tensor, value))
    {
      g_autofree char *found = ht_tensor_describe (tensor);
      return ht_op_fail (call, error, "output '%s' became %s, which is not the shape inferred before", value->name,
                         found);
    }
  if (points_into_arena (state, tensor) || (value->is_wanted && is_shared (tensor)))
    {
      HtTensor *copy = ht_tensor_copy (tensor, error);
      if (copy == NULL)
        return FALSE;
      ht_tensor_unref (tensor);
      tensor = copy;
    }
  state->plan->tensors[index] = g_steal_pointer (&tensor);
  return TRUE;
}

/* What a rule may know of a tensor that is there. */
static void
describe_input (HtTensor *tensor, HtInferValue *value)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);

  value->type = ht_tensor_get_data_type (tensor);
  value->shape = ht_shape_new (dims, NULL, n_dims);
  if (ht_data_type_is_list (value->type))
    value->element = ht_tensor_get_element_type (tensor);
  else
    value->constant = ht_tensor_ref (tensor);
}

/* Allocates by the shapes that hold now; leaves what the operator makes by itself. */
static gboolean
infer_now (HtExecState *state, const HtExecStep *step, HtOpCall *call, gsize *workspace_size, GError **error)
{
  g_autofree HtInferValue *values = g_new0 (HtInferValue, step->n_inputs + 1);
  g_autofree const HtInferValue **inputs = g_new0 (const HtInferValue *, step->n_inputs + 1);
  g_autofree HtInferValue *outputs = g_new0 (HtInferValue, step->n_outputs + 1);
  gboolean makes_outputs = (step->op->flags & HT_OP_MAKES_OUTPUTS) != 0;

  for (guint i = 0; i < step->n_inputs; i++)
    if (call->inputs[i])
      {
        describe_input (call->inputs[i], &values[i]);
        inputs[i] = &values[i];
      }
  gboolean fine = ht_infer_node (state->executor->snapshot, step->node, inputs, outputs, error);
  if (fine && step->op->workspace)
    {
      HtInfer infer = { .graph = state->executor->snapshot,
                        .node = step->node,
                        .opset = step->opset,
                        .n_inputs = step->n_inputs,
                        .inputs = inputs,
                        .n_outputs = step->n_outputs,
                        .outputs = outputs };
      *workspace_size = step->op->workspace (&infer);
    }
  for (guint i = 0; i < step->n_outputs && fine && !makes_outputs; i++)
    {
      gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 };
      if (step->outputs[i] == HT_EXEC_NONE || ht_data_type_is_list (outputs[i].type))
        continue;
      fine = outputs[i].shape && ht_shape_is_static (outputs[i].shape) && outputs[i].type != HT_DATA_TYPE_UNDEFINED;
      if (!fine)
        {
          ht_op_fail (call, error, "the shape of its output '%s' cannot be told from its inputs",
                      ht_node_get_output (step->node, i));
          break;
        }
      for (guint k = 0; k < ht_shape_get_n_dims (outputs[i].shape); k++)
        dims[k] = ht_shape_get_dim (outputs[i].shape, k);
      call->outputs[i] = ht_tensor_new (outputs[i].type, dims, ht_shape_get_n_dims (outputs[i].shape), error);
      fine = call->outputs[i] != NULL;
    }
  for (guint i = 0; i < step->n_inputs; i++)
    ht_infer_value_clear (&values[i]);
  for (guint i = 0; i < step->n_outputs; i++)
    ht_infer_value_clear (&outputs[i]);
  return fine;
}

static gboolean
run_dynamic (const HtExecCall *exec_call, HtOpCall *call, GError **error)
{
  HtExecState *state = exec_call->run;
  const HtExecStep *step = exec_call->step;
  gsize workspace_size = 0;
  gpointer workspace = NULL;

  gboolean fine = infer_now (state, step, call, &workspace_size, error);
  if (fine && workspace_size > 0)
    {
      workspace = workspace_size < G_MAXSSIZE / 2 ? aligned_alloc (64, (workspace_size + 63) & ~(gsize)63) : NULL;
      if (workspace == NULL)
        fine = ht_op_fail (call, error, "there is no memory for %" G_GSIZE_FORMAT " bytes of scratch", workspace_size);
    }
  call->workspace = workspace;
  call->workspace_size = workspace_size;
  fine = fine && step->op->forward (call, error);
  free (workspace);
  for (guint i = 0; i < step->n_outputs; i++)
    {
      HtTensor *made = g_steal_pointer (&call->outputs[i]);
      if (fine && step->outputs[i] != HT_EXEC_NONE)
        fine = adopt_output (state, call, step->outputs[i], made, error);
      else
        g_clear_pointer (&made, ht_tensor_unref);
    }
  return fine;
}

static gboolean
forward (const HtExecCall *exec_call, GError **error)
{
  const HtExecStep *step = exec_call->step;
  HtOpCall call = {
    .node = step->node,
    .opset = step->opset,
    .n_inputs = step->n_inputs,
    .inputs = exec_call->inputs,
    .n_outputs = step->n_outputs,
    .outputs = exec_call->outputs,
    .workspace = exec_call->workspace,
    .workspace_size = step->workspace_size,
    .cancellable = exec_call->cancellable,
    .run_subgraph = run_subgraph,
    .runner = (gpointer)exec_call,
  };
  return step->is_static ? step->op->forward (&call, error) : run_dynamic (exec_call, &call, error);
}

const HtExecKind ht_exec_operator_kind = { .name = "operator", .forward = forward };

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static gboolean
resolve_captures (HtExecBuilder *self, HtExecStep *step, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;

  if (!ht_exec_add_node_captures (step->node, names))
    return TRUE;
  g_hash_table_iter_init (&iter, names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (sorted, name);
  g_ptr_array_sort (sorted, compare_names);
  step->captures = g_new (guint, MAX (sorted->len, 1));
  for (guint i = 0; i < sorted->len; i++)
    {
      if (!ht_exec_builder_read (self, step->node, g_ptr_array_index (sorted, i), HT_EXEC_LAYOUT_PLAIN,
                                 &step->captures[i], error))
        return FALSE;
      step->n_captures++;
    }
  return TRUE;
}

static gboolean
find_operator (HtExecBuilder *self, HtExecStep *step, GError **error)
{
  HtNode *node = step->node;

  step->opset = ht_graph_get_opset (self->request->graph, ht_node_get_domain (node));
  step->op = ht_operator_find (ht_node_get_domain (node), ht_node_get_op_type (node), step->opset);
  if (step->op && step->op->forward)
    return TRUE;
  g_autofree char *described = ht_node_describe (node);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "running %s: operator '%s' of domain '%s' at opset %" G_GINT64_FORMAT
               " cannot be run by this version; stop before it (name other outputs) or replace it",
               described, ht_node_get_op_type (node),
               ht_node_get_domain (node)[0] ? ht_node_get_domain (node) : "ai.onnx", step->opset);
  return FALSE;
}

static gsize
ask_workspace (HtExecBuilder *self, HtExecStep *step)
{
  g_autofree const HtInferValue **inputs = g_new0 (const HtInferValue *, MAX (step->n_inputs, 1));
  g_autofree HtInferValue *outputs = g_new0 (HtInferValue, MAX (step->n_outputs, 1));

  if (step->op->workspace == NULL)
    return 0;
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i] != HT_EXEC_NONE)
      inputs[i] = ht_value_table_lookup (self->table, ht_node_get_input (step->node, i));
  for (guint i = 0; i < step->n_outputs; i++)
    {
      const HtInferValue *known = ht_value_table_lookup (self->table, ht_node_get_output (step->node, i));
      if (known)
        outputs[i] = *known; /* borrowed */
    }
  HtInfer infer = { .graph = self->request->graph,
                    .node = step->node,
                    .opset = step->opset,
                    .n_inputs = step->n_inputs,
                    .inputs = inputs,
                    .n_outputs = step->n_outputs,
                    .outputs = outputs };
  return step->op->workspace (&infer);
}

/* Memory is chosen beforehand where all shapes around the node are known and the operator lets us. */
static void
choose_places (HtExecBuilder *self, HtExecStep *step)
{
  step->is_static = !(step->op->flags & HT_OP_MAKES_OUTPUTS) && step->n_captures == 0;
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i] != HT_EXEC_NONE && !ht_exec_plan_value (self->plan, step->inputs[i])->is_static)
      step->is_static = FALSE;
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE && !ht_exec_plan_value (self->plan, step->outputs[i])->is_static)
      step->is_static = FALSE;
  for (guint i = 0; i < step->n_outputs && step->is_static; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      {
        HtExecValue *value = ht_exec_plan_value (self->plan, step->outputs[i]);
        value->place = value->is_wanted ? HT_EXEC_HEAP : HT_EXEC_ARENA;
      }
  if (step->is_static)
    step->workspace_size = ask_workspace (self, step);
}

static void
free_step (HtExecStep *step)
{
  g_free (step->inputs);
  g_free (step->outputs);
  g_free (step->captures);
}

static gboolean
fill_step (HtExecBuilder *self, HtExecStep *step, GError **error)
{
  HtNode *node = step->node;

  step->n_inputs = ht_node_get_n_inputs (node);
  step->n_outputs = ht_node_get_n_outputs (node);
  step->inputs = g_new0 (guint, MAX (step->n_inputs, 1));
  step->outputs = g_new0 (guint, MAX (step->n_outputs, 1));
  if (!find_operator (self, step, error))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    if (!ht_exec_builder_read (self, node, ht_node_get_input (node, i), HT_EXEC_LAYOUT_PLAIN, &step->inputs[i], error))
      return FALSE;
  if (!resolve_captures (self, step, error))
    return FALSE;
  for (guint i = 0; i < step->n_outputs; i++)
    {
      const char *name = ht_node_get_output (node, i);
      /* What the caller gives, or what is read as a constant, is not made again. */
      if (name[0] == '\0' || ht_exec_builder_is_given (self, name) || ht_exec_builder_get_constant (self, name))
        step->outputs[i] = HT_EXEC_NONE;
      else
        step->outputs[i] = ht_exec_builder_get_value (self, name, HT_EXEC_LAYOUT_PLAIN);
      g_hash_table_add (self->made, (gpointer)name);
    }
  choose_places (self, step);
  return TRUE;
}

gboolean
ht_exec_builder_add_operator (HtExecBuilder *self, HtNode *node, GError **error)
{
  HtExecStep step = { .kind = &ht_exec_operator_kind, .node = node };

  if (!fill_step (self, &step, error))
    {
      free_step (&step);
      return FALSE;
    }
  step.in_place = step.op->flags & HT_OP_IN_PLACE ? G_MAXUINT32 : 0;
  g_array_append_val (self->plan->steps, step);
  ht_exec_builder_take (self, node);
  return TRUE;
}
