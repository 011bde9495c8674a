/* SPDX-License-Identifier: MIT */
/* One run of a plan. */
#include "exec/executor-private.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>
#include <string.h>

static gboolean
is_owned (const HtExecValue *value)
{
  return value->place == HT_EXEC_HEAP || value->place == HT_EXEC_DYNAMIC;
}

static void
drop_tensor (HtExecState *state, guint index)
{
  if (is_owned (ht_exec_plan_value (state->plan, index)))
    g_clear_pointer (&state->plan->tensors[index], ht_tensor_unref);
}

static void
show (HtExecState *state, guint index)
{
  const HtExecValue *value = ht_exec_plan_value (state->plan, index);
  if (value->is_tapped && state->run->tap)
    state->run->tap (value->name, state->plan->tensors[index], state->run->tap_data);
}

/* Operators say "running NODE" themselves; the rest of the library does not know where it is called from. */
static void
prefix_error (const HtExecStep *step, GError **error)
{
  if (step->node == NULL || error == NULL || *error == NULL)
    return;
  g_autofree char *described = ht_node_describe (step->node);
  if (strstr ((*error)->message, described) == NULL)
    g_prefix_error (error, "running %s: ", described);
}

static gboolean
take_given (HtExecState *state, guint index, GError **error)
{
  const HtExecValue *value = ht_exec_plan_value (state->plan, index);
  HtTensor *given = g_hash_table_lookup (state->run->given, value->name);
  HtTensor **tensor = &state->plan->tensors[index];

  if (value->place == HT_EXEC_GIVEN)
    {
      *tensor = given;
      /* Only strings stay here with an encoding, which the call refuses. */
      return value->encoding == NULL || ht_exec_fake_quantize (value->name, value->encoding, given, NULL, error);
    }
  *tensor = value->place == HT_EXEC_HEAP ? ht_tensor_new (value->type, value->dims, value->n_dims, error) : value->view;
  return *tensor
         && ht_exec_fake_quantize (value->name, value->encoding, given, ht_tensor_get_writable_data (*tensor), error);
}

gboolean
ht_exec_state_enter (HtExecState *state, GError **error)
{
  for (guint i = 0; i < state->plan->entries->len; i++)
    {
      guint index = g_array_index (state->plan->entries, guint, i);
      if (ht_exec_plan_value (state->plan, index)->is_given && !take_given (state, index, error))
        return FALSE;
      show (state, index);
    }
  return TRUE;
}

static gboolean
quantize_output (HtExecState *state, guint index, gboolean in_place, GError **error)
{
  const HtExecValue *value = ht_exec_plan_value (state->plan, index);
  HtTensor *tensor = state->plan->tensors[index];
  guint n_dims;

  if (value->encoding == NULL)
    return TRUE;
  if (value->layout == HT_EXEC_LAYOUT_BLOCKED)
    {
      ht_exec_fake_quantize_floats (value->encoding, tensor->data, value->size / sizeof (float));
      return TRUE;
    }
  if (in_place)
    return ht_exec_fake_quantize (value->name, value->encoding, tensor, tensor->data, error);
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  g_autoptr (HtTensor) copy = ht_tensor_new (ht_tensor_get_data_type (tensor), dims, n_dims, error);
  if (copy == NULL
      || !ht_exec_fake_quantize (value->name, value->encoding, tensor, ht_tensor_get_writable_data (copy), error))
    return FALSE;
  ht_tensor_unref (tensor);
  state->plan->tensors[index] = g_steal_pointer (&copy);
  return TRUE;
}

/* Outputs of steps whose shapes were not known before are made by the step itself. */
static gboolean
provide_outputs (HtExecState *state, const HtExecStep *step, HtTensor **outputs, GError **error)
{
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      {
        const HtExecValue *value = ht_exec_plan_value (state->plan, step->outputs[i]);
        if (value->place == HT_EXEC_HEAP)
          state->plan->tensors[step->outputs[i]] = ht_tensor_new (value->type, value->dims, value->n_dims, error);
        outputs[i] = state->plan->tensors[step->outputs[i]];
        if (outputs[i] == NULL)
          return FALSE;
      }
  return TRUE;
}

static gboolean
do_step (HtExecState *state, const HtExecStep *step, const HtExecCall *call, GError **error)
{
  if (step->is_static && !provide_outputs (state, step, call->outputs, error))
    return FALSE;
  if (!step->kind->forward (call, error))
    return FALSE;
  for (guint i = 0; i < step->n_outputs && !step->kind->quantizes; i++)
    if (step->outputs[i] != HT_EXEC_NONE && !quantize_output (state, step->outputs[i], step->is_static, error))
      return FALSE;
  return TRUE;
}

gboolean
ht_exec_state_run_step (HtExecState *state, guint index, GError **error)
{
  const HtExecStep *step = ht_exec_plan_step (state->plan, index);
  HtTensor *inline_tensors[16];
  g_autofree HtTensor **many = NULL;
  HtTensor **tensors = inline_tensors;

  if (state->run->cancellable && g_cancellable_set_error_if_cancelled (state->run->cancellable, error))
    return FALSE;
  if (step->n_inputs + step->n_outputs > G_N_ELEMENTS (inline_tensors))
    tensors = many = g_new (HtTensor *, step->n_inputs + step->n_outputs);
  for (guint i = 0; i < step->n_inputs; i++)
    tensors[i] = step->inputs[i] == HT_EXEC_NONE ? NULL : state->plan->tensors[step->inputs[i]];
  memset (tensors + step->n_inputs, 0, step->n_outputs * sizeof *tensors);
  HtExecCall call = { .executor = state->executor,
                      .plan = state->plan,
                      .step = step,
                      .inputs = tensors,
                      .outputs = tensors + step->n_inputs,
                      .cancellable = state->run->cancellable,
                      .run = state };
  if (step->workspace_size > 0)
    call.workspace = (char *)state->executor->arena + step->workspace_offset;
  if (!do_step (state, step, &call, error))
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

GHashTable *
ht_exec_state_collect (HtExecState *state, GError **error)
{
  g_autoptr (GHashTable) results
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);

  for (guint i = 0; i < state->plan->values->len; i++)
    {
      const HtExecValue *value = ht_exec_plan_value (state->plan, i);
      if (!value->is_wanted)
        continue;
      HtTensor *result = is_owned (value) ? g_steal_pointer (&state->plan->tensors[i])
                                          : ht_tensor_copy (state->plan->tensors[i], error);
      if (result == NULL)
        return NULL;
      g_hash_table_insert (results, g_strdup (value->name), result);
    }
  return g_steal_pointer (&results);
}

void
ht_exec_state_leave (HtExecState *state)
{
  for (guint i = 0; i < state->plan->values->len; i++)
    drop_tensor (state, i);
}

GHashTable *
ht_executor_run_unchecked (HtExecutor *self, const HtExecRun *run, GError **error)
{
  g_autoptr (GPtrArray) taps = NULL;
  GHashTable *results = NULL;

  if (run->taps && run->taps[0])
    {
      taps = g_ptr_array_new ();
      for (gsize i = 0; run->taps[i]; i++)
        if (ht_exec_graph_defines (self->snapshot, run->taps[i]))
          g_ptr_array_add (taps, (gpointer)run->taps[i]);
      g_ptr_array_add (taps, NULL);
    }
  HtExecPlan *plan = ht_executor_get_plan (self, run, taps ? (const char *const *)taps->pdata : NULL, error);
  if (plan == NULL)
    return NULL;
  HtExecState state = { self, run, plan };
  gboolean fine = ht_exec_state_enter (&state, error);
  for (guint i = 0; i < plan->steps->len && fine; i++)
    fine = ht_exec_state_run_step (&state, i, error);
  if (fine)
    results = ht_exec_state_collect (&state, error);
  ht_exec_state_leave (&state);
  return results;
}
