/* SPDX-License-Identifier: MIT */
/* One run of a plan of gradients. */
#include "exec/gradient-run.h"

#include "graph/tensor-private.h"

/* The memory of the last result, if nobody holds that any more: fresh pages cost more than writing to them. */
static HtTensor *
take_result (HtGradientBuffer *buffer, GError **error)
{
  HtTensor *last = g_steal_pointer (&buffer->view);
  if (last && g_atomic_ref_count_compare (&last->ref_count, 1) && !g_atomic_int_get (&last->kept))
    return last;
  g_clear_pointer (&last, ht_tensor_unref);
  return ht_tensor_new (buffer->type, buffer->dims, buffer->n_dims, error);
}

static HtTensor *
find_tensor (HtGradientRun *run, HtGradientBuffer *buffer, GError **error)
{
  switch (buffer->place)
    {
    case HT_GRADIENT_GIVEN:
      return ht_tensor_ref (g_hash_table_lookup (run->given, buffer->name));
    case HT_GRADIENT_CONSTANT:
      return ht_tensor_ref (buffer->constant);
    case HT_GRADIENT_ARENA:
      return ht_tensor_ref (buffer->view);
    case HT_GRADIENT_RESULT:
      return take_result (buffer, error);
    }
  return NULL;
}

static GHashTable *
collect (HtGradientRun *run, GArray *list)
{
  GHashTable *table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  for (guint i = 0; i < list->len; i++)
    {
      const HtGradientNamed *named = &g_array_index (list, HtGradientNamed, i);
      g_hash_table_replace (table, g_strdup (named->name), ht_tensor_ref (run->tensors[named->buffer]));
    }
  return table;
}

static void
collect_ranges (HtGradientRun *run, HtGradientResult *result)
{
  for (guint i = 0; i < run->plan->ranges->len; i++)
    {
      const HtGradientRange *range = &g_array_index (run->plan->ranges, HtGradientRange, i);
      HtEncoding *encoding = g_hash_table_lookup (run->encodings, range->name);
      ht_gradient_result_add_range (result, range->name, encoding, run->tensors[range->scale],
                                    run->tensors[range->offset]);
    }
}

HtGradientResult *
ht_gradient_run_plan (HtGradientRun *run, GError **error)
{
  HtGradientPlan *plan = run->plan;
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_tensor_unref);

  for (guint i = 0; i < plan->buffers->len; i++)
    {
      HtTensor *tensor = find_tensor (run, ht_gradient_plan_buffer (plan, i), error);
      if (tensor == NULL)
        return NULL;
      g_ptr_array_add (tensors, tensor);
    }
  run->tensors = (HtTensor **)tensors->pdata;
  run->loss = 0.0;
  for (guint i = 0; i < plan->tasks->len; i++)
    {
      const HtGradientTask *task = ht_gradient_plan_task (plan, i);
      if (g_cancellable_set_error_if_cancelled (run->cancellable, error) || !task->kind->run (run, task, error))
        return NULL;
    }
  HtGradientResult *result = ht_gradient_result_new (run->loss, collect (run, plan->gradients),
                                                     collect (run, plan->outputs), collect (run, plan->statistics));
  collect_ranges (run, result);
  for (guint i = 0; i < plan->buffers->len; i++)
    {
      HtGradientBuffer *buffer = ht_gradient_plan_buffer (plan, i);
      if (buffer->place == HT_GRADIENT_RESULT)
        buffer->view = ht_tensor_ref (run->tensors[i]);
    }
  return result;
}
