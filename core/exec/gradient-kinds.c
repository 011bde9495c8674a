/* SPDX-License-Identifier: MIT */
/* The tasks that know nothing of layouts: operators, sums, taps, seeds. */
#include "exec/gradient-kinds.h"

#include "base/thread-pool.h"

#include <halftone/error.h>
#include <string.h>

#define GRAIN ((gsize)16384)

static gboolean
run_subgraph (const HtOpCall *call, HtGraph *subgraph, GHashTable *inputs, HtTensor **outputs, GError **error)
{
  return ht_op_fail (call, error, "gradients are not planned through networks with subgraphs");
}

/* Operators say "running NODE" themselves; the rest of the library does not know where it is called from. */
static gboolean
explain (const HtGradientTask *task, gboolean fine, const char *what, GError **error)
{
  g_autofree char *described = ht_node_describe (task->step->node);
  if (!fine && error && *error && strstr ((*error)->message, described) == NULL)
    g_prefix_error (error, "running %s%s: ", what, described);
  return fine;
}

static HtOpCall
make_call (HtGradientRun *run, const HtGradientTask *task, HtTensor **tensors)
{
  const HtExecStep *step = task->step;

  for (guint i = 0; i < task->n_slots; i++)
    tensors[i] = ht_gradient_run_tensor (run, task, i);
  return (HtOpCall){
    .node = step->node,
    .opset = step->opset,
    .n_inputs = step->n_inputs,
    .inputs = tensors,
    .n_outputs = step->n_outputs,
    .outputs = tensors + step->n_inputs,
    .workspace = ht_gradient_run_workspace (run, task),
    .workspace_size = task->workspace_size,
    .cancellable = run->cancellable,
    .run_subgraph = run_subgraph,
  };
}

static gboolean
run_forward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  g_autofree HtTensor **tensors = g_new (HtTensor *, task->n_slots + 1);
  HtOpCall call = make_call (run, task, tensors);
  return task->step->op->forward (&call, error) || explain (task, FALSE, "", error);
}

static gboolean
run_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  g_autofree HtTensor **tensors = g_new (HtTensor *, task->n_slots + 1);
  HtOpCall call = make_call (run, task, tensors);
  HtTensor *const *output_gradients = tensors + call.n_inputs + call.n_outputs;
  return task->step->op->backward (&call, output_gradients, output_gradients + call.n_outputs, error)
         || explain (task, FALSE, "backward ", error);
}

const HtGradientKind ht_gradient_forward_kind = { "forward", run_forward };
const HtGradientKind ht_gradient_backward_kind = { "backward", run_backward };

static gboolean
run_reshape (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  gconstpointer from = ht_gradient_run_data (run, task, 0);
  gpointer to = ht_gradient_run_data (run, task, 1);
  gsize size = ht_tensor_get_size (ht_gradient_run_tensor (run, task, 1));
  if (from != to && size > 0)
    memcpy (to, from, size);
  return TRUE;
}

const HtGradientKind ht_gradient_reshape_kind = { "reshape", run_reshape };

typedef struct
{
  gconstpointer a, b;
  gpointer sum;
} Addition;

static void
add_floats (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Addition *work = user_data;
  const float *a = work->a, *b = work->b;
  float *sum = work->sum;
  for (gsize i = begin; i < end; i++)
    sum[i] = a[i] + b[i];
}

static void
add_doubles (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Addition *work = user_data;
  const double *a = work->a, *b = work->b;
  double *sum = work->sum;
  for (gsize i = begin; i < end; i++)
    sum[i] = a[i] + b[i];
}

static gboolean
run_add (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  Addition work = { ht_gradient_run_data (run, task, 0), ht_gradient_run_data (run, task, 1),
                    ht_gradient_run_data (run, task, 2) };
  HtTensor *sum = ht_gradient_run_tensor (run, task, 2);
  gboolean is_double = ht_tensor_get_data_type (sum) == HT_DATA_TYPE_DOUBLE;
  ht_parallel_for (ht_tensor_get_n_elements (sum), GRAIN, is_double ? add_doubles : add_floats, &work);
  return TRUE;
}

const HtGradientKind ht_gradient_add_kind = { "add", run_add };

static gboolean
run_zero (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  gsize size = ht_tensor_get_size (ht_gradient_run_tensor (run, task, 0));
  if (size > 0)
    memset (ht_gradient_run_data (run, task, 0), 0, size);
  return TRUE;
}

const HtGradientKind ht_gradient_zero_kind = { "zero", run_zero };

static gboolean
run_tap (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  if (run->tap)
    run->tap (ht_gradient_plan_buffer (run->plan, task->slots[0].buffer)->name, ht_gradient_run_tensor (run, task, 0),
              run->tap_data);
  return TRUE;
}

const HtGradientKind ht_gradient_tap_kind = { "tap", run_tap };

static gboolean
run_seed (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  return run->seed (ht_gradient_plan_buffer (run->plan, task->slots[0].buffer)->name,
                    ht_gradient_run_tensor (run, task, 0), ht_gradient_run_tensor (run, task, 1), &run->loss,
                    run->seed_data, error);
}

const HtGradientKind ht_gradient_seed_kind = { "seed", run_seed };
