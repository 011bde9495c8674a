/* SPDX-License-Identifier: MIT */
/* From a request to a plan: which nodes run, and which rule makes the step of each. */
#include "exec/exec-build.h"

#include "base/thread-pool.h"
#include "graph/tensor-private.h"

#include <halftone/error.h>
#include <string.h>

/* A folded value forgets the encodings of what it was folded from; where there are any, its nodes run. What follows
 * from shapes alone does not depend on them. */
static void
find_tainted (HtExecBuilder *self)
{
  GHashTable *encodings = self->request->encodings;
  guint n_nodes = ht_graph_get_n_nodes (self->request->graph);

  if (g_hash_table_size (encodings) == 0)
    return;
  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self->request->graph, i);
      gboolean tainted = FALSE;
      for (guint k = 0; k < ht_node_get_n_inputs (node) && !tainted; k++)
        {
          const char *name = ht_node_get_input (node, k);
          const HtInferValue *value = ht_value_table_lookup (self->table, name);
          tainted = g_hash_table_contains (self->tainted, name)
                    || (value && value->constant && g_hash_table_contains (encodings, name));
        }
      for (guint k = 0; tainted && k < ht_node_get_n_outputs (node); k++)
        {
          const char *name = ht_node_get_output (node, k);
          const HtInferValue *value = ht_value_table_lookup (self->table, name);
          if (value && value->constant)
            g_hash_table_add (self->tainted, (gpointer)name);
        }
    }
}

static gboolean
is_needed_node (HtExecBuilder *self, HtNode *node)
{
  for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
    {
      const char *name = ht_node_get_output (node, k);
      if (name[0] && g_hash_table_contains (self->needed, name) && !ht_exec_builder_is_given (self, name)
          && !ht_exec_builder_get_constant (self, name))
        return TRUE;
    }
  return FALSE;
}

static void
add_use (HtExecBuilder *self, const char *name, HtNode *node)
{
  GPtrArray *uses = g_hash_table_lookup (self->uses, name);

  g_hash_table_add (self->needed, g_strdup (name));
  if (uses == NULL)
    {
      uses = g_ptr_array_new ();
      g_hash_table_insert (self->uses, g_strdup (name), uses);
    }
  g_ptr_array_insert (uses, 0, node); /* nodes come from last to first */
}

static void
add_uses (HtExecBuilder *self, HtNode *node)
{
  g_autoptr (GHashTable) captures = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer name;

  for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
    if (ht_node_get_input (node, k)[0])
      add_use (self, ht_node_get_input (node, k), node);
  ht_exec_add_node_captures (node, captures);
  g_hash_table_iter_init (&iter, captures);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    add_use (self, name, node);
}

static void
add_visible (HtExecBuilder *self, const char *const *names, guint how)
{
  for (gsize i = 0; names && names[i]; i++)
    {
      guint seen = GPOINTER_TO_UINT (g_hash_table_lookup (self->visible, names[i]));
      g_hash_table_insert (self->visible, (gpointer)names[i], GUINT_TO_POINTER (seen | how));
      g_hash_table_add (self->needed, g_strdup (names[i]));
    }
}

/* Walks backwards from what is wanted; given tensors and constants end the walk. */
static void
select_nodes (HtExecBuilder *self)
{
  HtGraph *graph = self->request->graph;

  add_visible (self, self->request->outputs, HT_EXEC_SEEN_WANTED);
  add_visible (self, self->request->taps, HT_EXEC_SEEN_TAPPED);
  for (guint i = ht_graph_get_n_nodes (graph); i-- > 0;)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      if (is_needed_node (self, node))
        {
          g_ptr_array_add (self->nodes, node);
          add_uses (self, node);
        }
    }
  for (guint i = 0; i < self->nodes->len / 2; i++)
    {
      gpointer swap = self->nodes->pdata[i];
      self->nodes->pdata[i] = self->nodes->pdata[self->nodes->len - 1 - i];
      self->nodes->pdata[self->nodes->len - 1 - i] = swap;
    }
}

/* A tensor that the caller sees becomes plain as soon as it exists: its other forms may then go. */
static gboolean
show_outputs (HtExecBuilder *self, guint first_step, GError **error)
{
  guint unused;

  for (guint i = first_step; i < self->plan->steps->len; i++)
    {
      HtExecStep *step = ht_exec_plan_step (self->plan, i);
      HtExecValue *value = step->outputs[0] == HT_EXEC_NONE ? NULL : ht_exec_plan_value (self->plan, step->outputs[0]);
      if (value && value->layout != HT_EXEC_LAYOUT_PLAIN && g_hash_table_contains (self->visible, value->name)
          && !ht_exec_builder_shows_blocked (self, value->name)
          && !ht_exec_builder_read (self, NULL, value->name, HT_EXEC_LAYOUT_PLAIN, &unused, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
lower_node (HtExecBuilder *self, HtNode *node, GError **error)
{
  guint first_step = self->plan->steps->len;
  const HtExecRule *rule = self->request->mode == HT_EXEC_PLAIN ? NULL : ht_exec_find_rule (node);
  gboolean taken = FALSE;

  if (rule && !rule->lower (self, node, &taken, error))
    return FALSE;
  if (!taken && !ht_exec_builder_add_operator (self, node, error))
    return FALSE;
  return show_outputs (self, first_step, error);
}

static gboolean
read_all (HtExecBuilder *self, const char *const *names, GError **error)
{
  guint unused;

  for (gsize i = 0; names && names[i]; i++)
    if (!ht_exec_builder_shows_blocked (self, names[i])
        && !ht_exec_builder_read (self, NULL, names[i], HT_EXEC_LAYOUT_PLAIN, &unused, error))
      return FALSE;
  return TRUE;
}

static gboolean
build (HtExecBuilder *self, GError **error)
{
  find_tainted (self);
  select_nodes (self);
  for (guint i = 0; i < self->nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->nodes, i);
      if (!g_hash_table_contains (self->taken, node) && !lower_node (self, node, error))
        return FALSE;
    }
  if (!read_all (self, self->request->outputs, error) || !read_all (self, self->request->taps, error))
    return FALSE;
  for (guint i = 0; i < self->plan->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (self->plan, i);
      if (value->is_given || (value->place == HT_EXEC_CONSTANT && value->is_tapped))
        g_array_append_val (self->plan->entries, i);
    }
  ht_exec_plan_lay_out (self->plan, self->request->encodings);
  self->plan->tensors = g_new0 (HtTensor *, self->plan->values->len + 1);
  return TRUE;
}

static void
step_clear (gpointer data)
{
  HtExecStep *step = data;
  if (step->kind && step->kind->free && step->data)
    step->kind->free (step->data);
  g_free (step->inputs);
  g_free (step->outputs);
  g_free (step->captures);
  g_clear_pointer (&step->released, g_array_unref);
}

static void
value_clear (gpointer data)
{
  HtExecValue *value = data;
  g_free (value->name);
  g_free (value->dims);
  g_clear_pointer (&value->constant, ht_tensor_unref);
  g_clear_pointer (&value->view, ht_tensor_unref);
}

static void
given_clear (gpointer data)
{
  HtExecGiven *given = data;
  g_free (given->name);
  g_free (given->dims);
}

/* The dimensions that a plan is made for: one plan serves lists of every length. */
static const gint64 *
get_fixed_dims (HtTensor *tensor, guint *n_dims)
{
  const gint64 *dims = ht_tensor_get_dims (tensor, n_dims);
  if (ht_data_type_is_list (ht_tensor_get_data_type (tensor)))
    *n_dims = 0;
  return dims;
}

static void
remember_request (HtExecPlan *self, const HtExecRequest *request)
{
  GHashTableIter iter;
  gpointer name, tensor;

  g_hash_table_iter_init (&iter, request->given);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    {
      HtExecGiven given = { .name = g_strdup (name), .type = ht_tensor_get_data_type (tensor) };
      const gint64 *dims = get_fixed_dims (tensor, &given.n_dims);
      given.dims = g_memdup2 (dims, given.n_dims * sizeof (gint64));
      g_array_append_val (self->given, given);
    }
  self->outputs = g_strdupv ((char **)request->outputs);
  self->taps = g_strdupv ((char **)request->taps);
  self->n_threads = ht_thread_pool_get_size ();
}

static gboolean
same_names (const char *const *a, const char *const *b)
{
  gsize i = 0;
  if (a == NULL || b == NULL)
    return (a == NULL || a[0] == NULL) && (b == NULL || b[0] == NULL);
  for (; a[i] && b[i]; i++)
    if (strcmp (a[i], b[i]) != 0)
      return FALSE;
  return a[i] == b[i];
}

/* Scratch memory is cut into one slice for each thread, so their number counts. */
gboolean
ht_exec_plan_serves (const HtExecPlan *self, const HtExecRequest *request)
{
  if (self->n_threads != ht_thread_pool_get_size () || self->given->len != g_hash_table_size (request->given)
      || !same_names ((const char *const *)self->outputs, request->outputs)
      || !same_names ((const char *const *)self->taps, request->taps))
    return FALSE;
  for (guint i = 0; i < self->given->len; i++)
    {
      const HtExecGiven *given = &g_array_index (self->given, HtExecGiven, i);
      HtTensor *tensor = g_hash_table_lookup (request->given, given->name);
      guint n_dims;
      if (tensor == NULL || ht_tensor_get_data_type (tensor) != given->type)
        return FALSE;
      const gint64 *dims = get_fixed_dims (tensor, &n_dims);
      if (n_dims != given->n_dims || (n_dims > 0 && memcmp (dims, given->dims, n_dims * sizeof *dims) != 0))
        return FALSE;
    }
  return TRUE;
}

static GArray *
new_array (gsize element_size, GDestroyNotify clear)
{
  GArray *array = g_array_new (FALSE, TRUE, (guint)element_size);
  if (clear)
    g_array_set_clear_func (array, clear);
  return array;
}

HtExecPlan *
ht_exec_plan_new (const HtExecRequest *request, GError **error)
{
  g_autoptr (HtValueTable) table = ht_shape_propagate (request->graph, request->given, FALSE, error);
  if (table == NULL)
    return NULL;
  g_autoptr (HtExecPlan) plan = g_new0 (HtExecPlan, 1);
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  g_autoptr (GHashTable) needed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) visible = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) tainted = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) uses
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  g_autoptr (GHashTable) made = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) taken = g_hash_table_new (NULL, NULL);
  plan->given = new_array (sizeof (HtExecGiven), given_clear);
  plan->values = new_array (sizeof (HtExecValue), value_clear);
  plan->steps = new_array (sizeof (HtExecStep), step_clear);
  plan->entries = new_array (sizeof (guint), NULL);
  remember_request (plan, request);
  HtExecBuilder builder = { .request = request,
                            .plan = plan,
                            .table = table,
                            .nodes = nodes,
                            .needed = needed,
                            .visible = visible,
                            .tainted = tainted,
                            .uses = uses,
                            .made = made,
                            .taken = taken };
  for (guint i = 0; i < HT_EXEC_N_LAYOUTS; i++)
    builder.values[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gboolean fine = build (&builder, error);
  for (guint i = 0; i < HT_EXEC_N_LAYOUTS; i++)
    g_hash_table_unref (builder.values[i]);
  return fine ? g_steal_pointer (&plan) : NULL;
}

gsize
ht_exec_plan_constant_size (const HtExecPlan *self)
{
  gsize size = 0;

  for (guint i = 0; i < self->steps->len; i++)
    {
      const HtExecStep *step = ht_exec_plan_step (self, i);
      if (step->kind->constant_size)
        size += step->kind->constant_size (step);
    }
  return size;
}

void
ht_exec_plan_free (HtExecPlan *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->given, g_array_unref);
  g_strfreev (self->outputs);
  g_strfreev (self->taps);
  g_clear_pointer (&self->steps, g_array_unref);
  g_clear_pointer (&self->values, g_array_unref);
  g_clear_pointer (&self->entries, g_array_unref);
  g_free (self->tensors);
  g_free (self);
}
