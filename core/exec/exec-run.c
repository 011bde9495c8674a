/* SPDX-License-Identifier: MIT */
/* One run of a plan. */
#include "exec/executor-private.h"

#include "graph/shape-propagation.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  HtExecutor *executor;
  const HtExecRun *run;
  HtExecPlan *plan;
  HtTensor **tensors; /* by value; heap and dynamic ones are owned, the others are borrowed */
} State;

typedef struct
{
  State *state;
  const HtExecStep *step;
} Runner;

static gboolean
is_owned (const HtExecValue *value)
{
  return value->place == HT_EXEC_HEAP || value->place == HT_EXEC_DYNAMIC;
}

static void
drop_tensor (State *state, guint index)
{
  if (is_owned (ht_exec_plan_value (state->plan, index)))
    g_clear_pointer (&state->tensors[index], ht_tensor_unref);
  state->tensors[index] = NULL;
}

static void
show (State *state, guint index)
{
  HtExecValue *value = ht_exec_plan_value (state->plan, index);
  if (value->is_tapped && state->run->tap)
    state->run->tap (value->name, state->tensors[index], state->run->tap_data);
}

/* Operators say "running NODE" themselves; the rest of the library does not know where it is called from. */
static void
prefix_error (const HtExecStep *step, GError **error)
{
  g_autofree char *described = ht_node_describe (step->node);
  if (error && *error && strstr ((*error)->message, described) == NULL)
    g_prefix_error (error, "running %s: ", described);
}

static gboolean
take_given (State *state, guint index, GError **error)
{
  HtExecValue *value = ht_exec_plan_value (state->plan, index);
  HtTensor *given = g_hash_table_lookup (state->run->given, value->name);
  HtEncoding *encoding = g_hash_table_lookup (state->executor->encodings, value->name);

  if (value->place == HT_EXEC_GIVEN)
    {
      state->tensors[index] = given;
      /* Only strings stay here with an encoding, which the call refuses. */
      return encoding == NULL || ht_exec_fake_quantize (value->name, encoding, given, NULL, error);
    }
  state->tensors[index]
      = value->place == HT_EXEC_HEAP ? ht_tensor_new (value->type, value->dims, value->n_dims, error) : value->view;
  return state->tensors[index]
         && ht_exec_fake_quantize (value->name, encoding, given, ht_tensor_get_writable_data (state->tensors[index]),
                                   error);
}

/* What exists before the first node. */
static gboolean
prepare_values (State *state, GError **error)
{
  for (guint i = 0; i < state->plan->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (state->plan, i);
      if (value->is_given)
        {
          if (!take_given (state, i, error))
            return FALSE;
          show (state, i);
        }
      else if (value->place == HT_EXEC_CONSTANT)
        {
          state->tensors[i] = ht_executor_get_quantized_constant (state->executor, value->name, value->constant, error);
          if (state->tensors[i] == NULL)
            return FALSE;
          show (state, i);
        }
    }
  return TRUE;
}

static HtTensor *
tensor_of (State *state, guint index)
{
  return index == HT_EXEC_NONE ? NULL : state->tensors[index];
}

/* The child runs on its own copy of the subgraph, with the captured values as given tensors. */
static HtExecutor *
find_child (State *state, const HtExecStep *step, HtGraph *subgraph)
{
  HtExecutor *child = g_hash_table_lookup (state->executor->children, subgraph);

  if (child == NULL)
    {
      g_autoptr (GHashTable) captures = ht_exec_find_captures (subgraph);
      g_autoptr (GHashTable) constants = g_hash_table_new (g_str_hash, g_str_equal);
      for (guint i = 0; i < step->n_captures; i++)
        {
          HtExecValue *value = ht_exec_plan_value (state->plan, step->captures[i]);
          if (value->place == HT_EXEC_CONSTANT && g_hash_table_contains (captures, value->name))
            g_hash_table_insert (constants, value->name, value->constant);
        }
      child = ht_executor_new_child (state->executor, subgraph, constants);
    }
  return child;
}

static gboolean
run_subgraph (const HtOpCall *call, HtGraph *subgraph, GHashTable *inputs, HtTensor **outputs, GError **error)
{
  const Runner *runner = call->runner;
  State *state = runner->state;
  HtExecutor *child = find_child (state, runner->step, subgraph);
  g_autoptr (GHashTable) captures = ht_exec_find_captures (subgraph);
  g_autoptr (GHashTable) given = g_hash_table_new (g_str_hash, g_str_equal);
  const char *const *names = ht_graph_get_outputs (subgraph);
  GHashTableIter iter;
  gpointer name, tensor;

  for (guint i = 0; i < runner->step->n_captures; i++)
    {
      guint index = runner->step->captures[i];
      const char *captured = ht_exec_plan_value (state->plan, index)->name;
      if (g_hash_table_contains (captures, captured) && !ht_graph_get_initializer (child->snapshot, captured))
        g_hash_table_insert (given, (gpointer)captured, state->tensors[index]);
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
points_into_arena (State *state, HtTensor *tensor)
{
  const char *data = ht_tensor_get_data (tensor);
  const char *arena = state->executor->arena;
  return arena && data >= arena && data < arena + state->executor->arena_size;
}

static gboolean
is_among (HtTensor *tensor, HtTensor *const *tensors, guint n_tensors)
{
  for (guint i = 0; i < n_tensors; i++)
    if (tensors[i] == tensor)
      return TRUE;
  return FALSE;
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
adopt_output (State *state, const HtOpCall *call, guint index, HtTensor *made /* transfer full */, GError **error)
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
  if (points_into_arena (state, tensor) || (value->is_wanted && is_among (tensor, call->inputs, call->n_inputs)))
    {
      HtTensor *copy = ht_tensor_copy (tensor, error);
      if (copy == NULL)
        return FALSE;
      ht_tensor_unref (tensor);
      tensor = copy;
    }
  state->tensors[index] = g_steal_pointer (&tensor);
  return TRUE;
}

static gboolean
quantize_output (State *state, guint index, gboolean in_place, GError **error)
{
  HtExecValue *value = ht_exec_plan_value (state->plan, index);
  HtEncoding *encoding = g_hash_table_lookup (state->executor->encodings, value->name);
  HtTensor *tensor = state->tensors[index];
  guint n_dims;

  if (encoding == NULL)
    return TRUE;
  if (in_place)
    return ht_exec_fake_quantize (value->name, encoding, tensor, (float *)ht_tensor_get_data (tensor), error);
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  g_autoptr (HtTensor) copy = ht_tensor_new (ht_tensor_get_data_type (tensor), dims, n_dims, error);
  if (copy == NULL || !ht_exec_fake_quantize (value->name, encoding, tensor, ht_tensor_get_writable_data (copy), error))
    return FALSE;
  ht_tensor_unref (tensor);
  state->tensors[index] = g_steal_pointer (&copy);
  return TRUE;
}

/* Allocates by the shapes that hold now; leaves what the operator makes by itself. */
static gboolean
infer_now (State *state, const HtExecStep *step, HtOpCall *call, gsize *workspace_size, GError **error)
{
  g_autofree HtInferValue *values = g_new0 (HtInferValue, step->n_inputs + 1);
  g_autofree const HtInferValue **inputs = g_new0 (const HtInferValue *, step->n_inputs + 1);
  g_autofree HtInferValue *outputs = g_new0 (HtInferValue, step->n_outputs + 1);
  gboolean makes_outputs = (step->op->flags & HT_OP_MAKES_OUTPUTS) != 0;

  for (guint i = 0; i < step->n_inputs; i++)
    if (call->inputs[i])
      {
        guint n_dims;
        const gint64 *dims = ht_tensor_get_dims (call->inputs[i], &n_dims);
        values[i].type = ht_tensor_get_data_type (call->inputs[i]);
        values[i].shape = ht_shape_new (dims, NULL, n_dims);
        values[i].constant = call->inputs[i]; /* borrowed */
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
      if (step->outputs[i] == HT_EXEC_NONE)
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
    g_clear_pointer (&values[i].shape, ht_shape_unref);
  for (guint i = 0; i < step->n_outputs; i++)
    ht_infer_value_clear (&outputs[i]);
  return fine;
}

static gboolean
run_dynamic_step (State *state, const HtExecStep *step, HtOpCall *call, GError **error)
{
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
        fine = adopt_output (state, call, step->outputs[i], made, error)
               && quantize_output (state, step->outputs[i], FALSE, error);
      else
        g_clear_pointer (&made, ht_tensor_unref);
    }
  return fine;
}

static gboolean
run_static_step (State *state, const HtExecStep *step, HtOpCall *call, GError **error)
{
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      {
        HtExecValue *value = ht_exec_plan_value (state->plan, step->outputs[i]);
        HtTensor *tensor = value->view;
        if (value->place == HT_EXEC_HEAP)
          tensor = ht_tensor_new (value->type, value->dims, value->n_dims, error);
        if (tensor == NULL)
          return FALSE;
        state->tensors[step->outputs[i]] = tensor;
        call->outputs[i] = tensor;
      }
  if (step->workspace_size > 0)
    {
      call->workspace = (char *)state->executor->arena + step->workspace_offset;
      call->workspace_size = step->workspace_size;
    }
  if (!step->op->forward (call, error))
    return FALSE;
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE && !quantize_output (state, step->outputs[i], TRUE, error))
      return FALSE;
  return TRUE;
}

static gboolean
run_step (State *state, guint index, GError **error)
{
  HtExecStep *step = ht_exec_plan_step (state->plan, index);
  HtTensor *inline_tensors[16];
  g_autofree HtTensor **many = NULL;
  HtTensor **tensors = inline_tensors;
  Runner runner = { state, step };

  if (g_cancellable_set_error_if_cancelled (state->run->cancellable, error))
    return FALSE;
  if (step->n_inputs + step->n_outputs > G_N_ELEMENTS (inline_tensors))
    tensors = many = g_new (HtTensor *, step->n_inputs + step->n_outputs);
  memset (tensors, 0, (step->n_inputs + step->n_outputs) * sizeof *tensors);
  for (guint i = 0; i < step->n_inputs; i++)
    tensors[i] = tensor_of (state, step->inputs[i]);
  HtOpCall call = {
    .node = step->node,
    .opset = step->opset,
    .n_inputs = step->n_inputs,
    .inputs = tensors,
    .n_outputs = step->n_outputs,
    .outputs = tensors + step->n_inputs,
    .cancellable = state->run->cancellable,
    .run_subgraph = run_subgraph,
    .runner = &runner,
  };
  if (!(step->is_static ? run_static_step (state, step, &call, error) : run_dynamic_step (state, step, &call, error)))
    {
      prefix_error (step, error);
      return FALSE;
    }
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      show (state, step->outputs[i]);
  for (guint i = 0; step->released && i < step->released->len; i++)
    drop_tensor (state, g_array_index (step->released, guint, i));
  return TRUE;
}

static GHashTable *
collect_results (State *state, GError **error)
{
  g_autoptr (GHashTable) results
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);

  for (guint i = 0; i < state->plan->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (state->plan, i);
      if (!value->is_wanted)
        continue;
      HtTensor *result
          = is_owned (value) ? g_steal_pointer (&state->tensors[i]) : ht_tensor_copy (state->tensors[i], error);
      if (result == NULL)
        return NULL;
      g_hash_table_insert (results, g_strdup (value->name), result);
    }
  return g_steal_pointer (&results);
}

GHashTable *
ht_executor_run_unchecked (HtExecutor *self, const HtExecRun *run, GError **error)
{
  g_autoptr (GPtrArray) taps = g_ptr_array_new ();
  GHashTable *results = NULL;

  for (gsize i = 0; run->taps && run->taps[i]; i++)
    if (ht_exec_graph_defines (self->snapshot, run->taps[i]))
      g_ptr_array_add (taps, (gpointer)run->taps[i]);
  g_ptr_array_add (taps, NULL);
  HtExecPlan *plan = ht_executor_get_plan (self, run, (const char *const *)taps->pdata, error);
  if (plan == NULL)
    return NULL;
  g_autofree HtTensor **tensors = g_new0 (HtTensor *, plan->values->len + 1);
  State state = { self, run, plan, tensors };
  gboolean fine = prepare_values (&state, error);
  for (guint i = 0; i < plan->steps->len && fine; i++)
    fine = run_step (&state, i, error);
  if (fine)
    results = collect_results (&state, error);
  for (guint i = 0; i < plan->values->len; i++)
    if (is_owned (ht_exec_plan_value (plan, i)))
      g_clear_pointer (&tensors[i], ht_tensor_unref);
  return results;
}
