/* SPDX-License-Identifier: MIT */
#include "exec/exec-plan.h"

#include "base/thread-pool.h"
#include "graph/shape-propagation.h"

#include <halftone/error.h>
#include <string.h>

typedef struct
{
  const HtExecRequest *request;
  HtExecPlan *plan;
  HtValueTable *table;
  GHashTable *needed;   /* names that something wanted depends on */
  GHashTable *tainted;  /* constants that depend on an encoded constant: computed, not read */
  GHashTable *index_of; /* name -> index of value + 1 */
} Builder;

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static void
append_names (GString *text, char separator, const char *const *names)
{
  g_string_append_c (text, separator);
  for (gsize i = 0; names && names[i]; i++)
    g_string_append_printf (text, "%s\x1f", names[i]);
}

char *
ht_exec_request_make_signature (const HtExecRequest *request)
{
  GString *text = g_string_new (NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, request->given);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, name);
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    {
      HtTensor *tensor = g_hash_table_lookup (request->given, g_ptr_array_index (names, i));
      guint n_dims;
      const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
      g_string_append_printf (text, "%s\x1f%d", (const char *)g_ptr_array_index (names, i),
                              (int)ht_tensor_get_data_type (tensor));
      for (guint k = 0; k < n_dims; k++)
        g_string_append_printf (text, ",%" G_GINT64_FORMAT, dims[k]);
      g_string_append_c (text, '\x1f');
    }
  append_names (text, '\x1d', request->outputs);
  append_names (text, '\x1e', request->taps);
  /* Scratch memory is cut into one slice for each thread. */
  g_string_append_printf (text, "\x1c%u", ht_thread_pool_get_size ());
  return g_string_free (text, FALSE);
}

static gboolean
is_given (Builder *self, const char *name)
{
  return g_hash_table_contains (self->request->given, name);
}

/* The content behind a name where no run is needed to know it. */
static HtTensor *
find_constant (Builder *self, const char *name)
{
  if (is_given (self, name) || g_hash_table_contains (self->tainted, name))
    return NULL;
  const HtInferValue *value = ht_value_table_lookup (self->table, name);
  return value ? value->constant : NULL;
}

/* A folded value forgets the encodings of what it was folded from; where there are any, its nodes run. What follows
 * from shapes alone does not depend on them. */
static void
find_tainted (Builder *self)
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
is_needed_node (Builder *self, HtNode *node)
{
  for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
    {
      const char *name = ht_node_get_output (node, k);
      if (name[0] && g_hash_table_contains (self->needed, name) && !is_given (self, name)
          && !find_constant (self, name))
        return TRUE;
    }
  return FALSE;
}

static void
add_inputs_and_captures (HtNode *node, GHashTable *names)
{
  for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
    if (ht_node_get_input (node, k)[0])
      g_hash_table_add (names, g_strdup (ht_node_get_input (node, k)));
  ht_exec_add_node_captures (node, names);
}

/* Walks backwards from what is wanted; given tensors and constants end the walk. Returns the nodes in order. */
static GPtrArray *
select_nodes (Builder *self)
{
  GPtrArray *nodes = g_ptr_array_new ();
  HtGraph *graph = self->request->graph;

  for (gsize i = 0; self->request->outputs && self->request->outputs[i]; i++)
    g_hash_table_add (self->needed, g_strdup (self->request->outputs[i]));
  for (gsize i = 0; self->request->taps && self->request->taps[i]; i++)
    g_hash_table_add (self->needed, g_strdup (self->request->taps[i]));
  for (guint i = ht_graph_get_n_nodes (graph); i-- > 0;)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      if (is_needed_node (self, node))
        {
          g_ptr_array_add (nodes, node);
          add_inputs_and_captures (node, self->needed);
        }
    }
  for (guint i = 0; i < nodes->len / 2; i++)
    {
      gpointer swap = nodes->pdata[i];
      nodes->pdata[i] = nodes->pdata[nodes->len - 1 - i];
      nodes->pdata[nodes->len - 1 - i] = swap;
    }
  return nodes;
}

/* Fills in what inference knows. Strings have no fixed size. */
static void
set_static (HtExecValue *value, HtDataType type, const gint64 *dims, guint n_dims)
{
  gsize size = ht_data_type_get_bits (type);

  if (size == 0 || type == HT_DATA_TYPE_STRING)
    return;
  for (guint i = 0; i < n_dims; i++)
    if (dims[i] < 0 || !g_size_checked_mul (&size, size, (gsize)dims[i]))
      return;
  if (size > G_MAXSIZE / 2)
    return;
  value->type = type;
  value->n_dims = n_dims;
  value->dims = g_memdup2 (dims, MAX (n_dims, 1) * sizeof (gint64));
  value->size = (size + 7) / 8;
  value->is_static = TRUE;
}

static void
set_static_from_infer (HtExecValue *value, const HtInferValue *known)
{
  gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 };

  if (known == NULL || known->shape == NULL || known->type == HT_DATA_TYPE_UNDEFINED
      || !ht_shape_is_static (known->shape) || ht_shape_get_n_dims (known->shape) > HT_TENSOR_MAX_DIMS)
    return;
  for (guint i = 0; i < ht_shape_get_n_dims (known->shape); i++)
    dims[i] = ht_shape_get_dim (known->shape, i);
  set_static (value, known->type, dims, ht_shape_get_n_dims (known->shape));
}

static guint
get_value (Builder *self, const char *name)
{
  gpointer index = g_hash_table_lookup (self->index_of, name);
  if (index)
    return GPOINTER_TO_UINT (index) - 1;

  HtExecValue value = { .name = g_strdup (name), .place = HT_EXEC_DYNAMIC };
  HtTensor *given = g_hash_table_lookup (self->request->given, name);
  HtTensor *constant = find_constant (self, name);
  guint n_dims;

  if (given)
    {
      const gint64 *dims = ht_tensor_get_dims (given, &n_dims);
      value.is_given = TRUE;
      set_static (&value, ht_tensor_get_data_type (given), dims, n_dims);
      /* An encoded input becomes a copy: the caller's tensor is never written. */
      value.place
          = value.is_static && g_hash_table_contains (self->request->encodings, name) ? HT_EXEC_ARENA : HT_EXEC_GIVEN;
    }
  else if (constant)
    {
      const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
      value.constant = ht_tensor_ref (constant);
      value.place = HT_EXEC_CONSTANT;
      set_static (&value, ht_tensor_get_data_type (constant), dims, n_dims);
    }
  else
    {
      set_static_from_infer (&value, ht_value_table_lookup (self->table, name));
    }
  g_array_append_val (self->plan->values, value);
  g_hash_table_insert (self->index_of, ht_exec_plan_value (self->plan, self->plan->values->len - 1)->name,
                       GUINT_TO_POINTER (self->plan->values->len));
  return self->plan->values->len - 1;
}

static gboolean
fail_missing (Builder *self, HtNode *reader, const char *name, GError **error)
{
  HtGraph *graph = self->request->graph;
  g_autofree char *who = reader ? ht_node_describe (reader) : g_strdup ("the caller");

  if (ht_graph_is_input (graph, name))
    {
      HtShape *shape = ht_graph_get_shape (graph, name);
      g_autofree char *expected = shape ? ht_shape_to_string (shape) : g_strdup ("of any shape");
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "running graph '%s': input '%s' (%s %s) is missing, %s needs it; give a tensor of that name",
                   ht_graph_get_name (graph), name, ht_data_type_get_name (ht_graph_get_data_type (graph, name)),
                   expected, who);
    }
  else
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                   "running graph '%s': %s needs tensor '%s', which no input, initializer or node before it provides",
                   ht_graph_get_name (graph), who, name);
    }
  return FALSE;
}

/* Everything a step reads must exist by then: given, constant or made by a step before. */
static gboolean
resolve_read (Builder *self, HtNode *reader, const char *name, GHashTable *made, guint *index, GError **error)
{
  *index = HT_EXEC_NONE;
  if (name[0] == '\0')
    return TRUE;
  if (!g_hash_table_contains (made, name) && !is_given (self, name) && !find_constant (self, name))
    return fail_missing (self, reader, name, error);
  *index = get_value (self, name);
  return TRUE;
}

static gboolean
resolve_captures (Builder *self, HtExecStep *step, GHashTable *made, GError **error)
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
      if (!resolve_read (self, step->node, g_ptr_array_index (sorted, i), made, &step->captures[i], error))
        return FALSE;
      step->n_captures++;
    }
  return TRUE;
}

static gboolean
find_operator (Builder *self, HtExecStep *step, GError **error)
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
ask_workspace (Builder *self, HtExecStep *step)
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
choose_places (Builder *self, HtExecStep *step)
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
mark_wanted (Builder *self)
{
  HtExecPlan *plan = self->plan;

  for (gsize i = 0; self->request->outputs && self->request->outputs[i]; i++)
    ht_exec_plan_value (plan, get_value (self, self->request->outputs[i]))->is_wanted = TRUE;
  for (gsize i = 0; self->request->taps && self->request->taps[i]; i++)
    ht_exec_plan_value (plan, get_value (self, self->request->taps[i]))->is_tapped = TRUE;
}

static void
step_clear (gpointer data)
{
  HtExecStep *step = data;
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

static gboolean
add_step (Builder *self, HtNode *node, GHashTable *made, GError **error)
{
  HtExecStep empty = { .node = node };

  g_array_append_val (self->plan->steps, empty);
  HtExecStep *step = ht_exec_plan_step (self->plan, self->plan->steps->len - 1);
  step->n_inputs = ht_node_get_n_inputs (node);
  step->n_outputs = ht_node_get_n_outputs (node);
  step->inputs = g_new0 (guint, MAX (step->n_inputs, 1));
  step->outputs = g_new0 (guint, MAX (step->n_outputs, 1));
  if (!find_operator (self, step, error))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    if (!resolve_read (self, node, ht_node_get_input (node, i), made, &step->inputs[i], error))
      return FALSE;
  if (!resolve_captures (self, step, made, error))
    return FALSE;
  for (guint i = 0; i < step->n_outputs; i++)
    {
      const char *name = ht_node_get_output (node, i);
      /* What the caller gives, or what is read as a constant, is not made again. */
      if (name[0] == '\0' || is_given (self, name) || find_constant (self, name))
        step->outputs[i] = HT_EXEC_NONE;
      else
        step->outputs[i] = get_value (self, name);
      g_hash_table_add (made, (gpointer)name);
    }
  choose_places (self, step);
  return TRUE;
}

static gboolean
build (Builder *self, GError **error)
{
  g_autoptr (GHashTable) made = g_hash_table_new (g_str_hash, g_str_equal);
  guint unused;

  find_tainted (self);
  g_autoptr (GPtrArray) nodes = select_nodes (self);
  mark_wanted (self);
  for (guint i = 0; i < nodes->len; i++)
    if (!add_step (self, g_ptr_array_index (nodes, i), made, error))
      return FALSE;
  for (gsize i = 0; self->request->outputs && self->request->outputs[i]; i++)
    if (!resolve_read (self, NULL, self->request->outputs[i], made, &unused, error))
      return FALSE;
  for (gsize i = 0; self->request->taps && self->request->taps[i]; i++)
    if (!resolve_read (self, NULL, self->request->taps[i], made, &unused, error))
      return FALSE;
  for (guint i = 0; i < self->plan->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (self->plan, i);
      if (value->is_given && value->place == HT_EXEC_ARENA && value->is_wanted)
        value->place = HT_EXEC_HEAP;
    }
  ht_exec_plan_lay_out (self->plan, self->request->encodings);
  return TRUE;
}

HtExecPlan *
ht_exec_plan_new (const HtExecRequest *request, GError **error)
{
  g_autoptr (HtValueTable) table = ht_shape_propagate (request->graph, request->given, FALSE, error);
  if (table == NULL)
    return NULL;
  g_autoptr (HtExecPlan) plan = g_new0 (HtExecPlan, 1);
  g_autoptr (GHashTable) needed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) tainted = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) index_of = g_hash_table_new (g_str_hash, g_str_equal);
  plan->values = g_array_new (FALSE, TRUE, sizeof (HtExecValue));
  plan->steps = g_array_new (FALSE, TRUE, sizeof (HtExecStep));
  g_array_set_clear_func (plan->values, value_clear);
  g_array_set_clear_func (plan->steps, step_clear);
  Builder builder = { request, plan, table, needed, tainted, index_of };
  if (!build (&builder, error))
    return NULL;
  return g_steal_pointer (&plan);
}

void
ht_exec_plan_free (HtExecPlan *self)
{
  if (self == NULL)
    return;
  g_free (self->signature);
  g_clear_pointer (&self->values, g_array_unref);
  g_clear_pointer (&self->steps, g_array_unref);
  g_free (self);
}
