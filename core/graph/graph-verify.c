/* SPDX-License-Identifier: MIT */
/* Whether a graph keeps the rules of ONNX, and if not, where it does not. */
#include "graph/graph-private.h"

#include <halftone/error.h>

#include <string.h>

static gboolean fail (HtGraph *self, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
fail (HtGraph *self, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "%s '%s' is not valid: %s",
               self->parent != NULL ? "Subgraph" : "Graph", self->name, text);
  return FALSE;
}

/* "input of the graph", … : what else defines the name; NULL: nothing but a node. */
static const char *
name_definition (const HtValue *value)
{
  if (value->listed_input)
    return "an input of the graph";
  return value->initializer != NULL || value->sparse_initializer != NULL ? "an initializer" : NULL;
}

static gboolean
check_outputs_of_node (HtGraph *self, HtNode *node, GHashTable *available, GError **error)
{
  for (guint i = 0; i < node->outputs->len; i++)
    {
      const char *output = g_ptr_array_index (node->outputs, i);
      if (*output == '\0')
        continue;
      HtValue *value = g_hash_table_lookup (self->values, output);
      const char *definition = name_definition (value);
      if (definition != NULL || g_hash_table_contains (available, output))
        {
          g_autofree char *label = ht_node_label (node);
          g_autofree char *other = definition == NULL ? ht_node_label (value->producer) : NULL;
          return fail (self, error, "tensor '%s' is made by %s and is also %s%s; each tensor may be made once, rename one",
                       output, label, definition != NULL ? definition : "made by ", other != NULL ? other : "");
        }
      g_hash_table_add (available, (gpointer) output);
    }
  return TRUE;
}

static gboolean
check_input (HtGraph *self, HtNode *node, const char *input, gboolean captured, GHashTable *available, GError **error)
{
  if (*input == '\0')
    return TRUE;
  HtValue *value = g_hash_table_lookup (self->values, input);
  gboolean is_local = value != NULL && ht_value_is_defined (value);
  if (is_local && (name_definition (value) != NULL || g_hash_table_contains (available, input)))
    return TRUE;
  if (!is_local && self->parent != NULL && ht_graph_find_scope (self->parent, input) != NULL)
    return TRUE;
  g_autofree char *label = ht_node_label (node);
  const char *how = captured ? "takes, in a subgraph," : "reads";
  if (!is_local)
    return fail (self, error,
                 "%s %s tensor '%s', which no node, input or initializer provides; add it or rewire the node", label, how,
                 input);
  if (value->producer == node)
    return fail (self, error, "%s %s tensor '%s', which it makes itself: a cycle; rewire that input", label, how, input);
  g_autofree char *producer = ht_node_label (value->producer);
  return fail (self, error,
               "%s %s tensor '%s' before %s makes it; sort the nodes ('halftone validate --fix' does, unless they form a "
               "cycle)",
               label, how, input, producer);
}

static gboolean
check_node (HtGraph *self, HtNode *node, GHashTable *available, GError **error)
{
  if (*node->op_type == '\0')
    {
      g_autofree char *label = ht_node_label (node);
      return fail (self, error, "%s names no operator; set its op_type", label);
    }
  for (guint i = 0; i < node->inputs->len; i++)
    if (!check_input (self, node, g_ptr_array_index (node->inputs, i), FALSE, available, error))
      return FALSE;
  if (node->captures != NULL)
    {
      g_autoptr (GList) names = g_list_sort (g_hash_table_get_keys (node->captures), (GCompareFunc) strcmp);
      for (GList *name = names; name != NULL; name = name->next)
        if (!check_input (self, node, name->data, TRUE, available, error))
          return FALSE;
    }
  return check_outputs_of_node (self, node, available, error);
}

static gboolean
check_names (HtGraph *self, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < self->nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->nodes, i);
      if (*node->name != '\0' && !g_hash_table_add (names, node->name))
        return fail (self, error,
                     "two nodes are named '%s'; give each another name or none ('halftone validate --fix' does)",
                     node->name);
    }
  g_hash_table_remove_all (names);
  for (guint i = 0; i < self->listed_inputs->len; i++)
    if (!g_hash_table_add (names, g_ptr_array_index (self->listed_inputs, i)))
      return fail (self, error, "input '%s' is listed twice; remove one", (char *) g_ptr_array_index (self->listed_inputs, i));
  return TRUE;
}

static gboolean
check_initializers (HtGraph *self, GError **error)
{
  for (guint i = 0; i < self->initializers->len; i++)
    {
      HtValue *value = g_ptr_array_index (self->initializers, i);
      gsize n_elements = 0, size = 0;
      g_autoptr (GError) why = NULL;
      HtTensor *tensor = value->initializer;
      if (!ht_tensor_check_dims (tensor->type, tensor->dims, tensor->n_dims, &n_elements, &size, &why))
        return fail (self, error, "initializer '%s': %s", value->name, why->message);
      if (size != tensor->size || n_elements != tensor->n_elements)
        return fail (self, error, "initializer '%s' holds %" G_GSIZE_FORMAT " bytes where its dimensions take %"
                     G_GSIZE_FORMAT "; write it anew", value->name, tensor->size, size);
    }
  return TRUE;
}

static gboolean
check_outputs (HtGraph *self, GHashTable *available, GError **error)
{
  for (guint i = 0; i < self->outputs->len; i++)
    {
      const char *output = g_ptr_array_index (self->outputs, i);
      HtValue *value = g_hash_table_lookup (self->values, output);
      gboolean is_known = name_definition (value) != NULL || g_hash_table_contains (available, output)
                          || (self->parent != NULL && ht_graph_find_scope (self->parent, output) != NULL);
      if (!is_known)
        return fail (self, error, "output '%s' is made by no node and is no input or initializer; make it or remove it",
                     output);
    }
  return TRUE;
}

typedef struct
{
  GError **error;
  gboolean ok;
} VerifyJob;

static void
verify_one (HtGraph *self, gpointer user_data)
{
  VerifyJob *job = user_data;
  if (!job->ok)
    return;
  ht_graph_refresh (self);
  g_autoptr (GHashTable) available = g_hash_table_new (g_str_hash, g_str_equal);
  job->ok = check_names (self, job->error) && check_initializers (self, job->error);
  for (guint i = 0; job->ok && i < self->nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->nodes, i);
      job->ok = check_node (self, node, available, job->error);
      ht_node_foreach_subgraph (node, verify_one, job);
    }
  job->ok = job->ok && check_outputs (self, available, job->error);
}

/**
 * ht_graph_verify:
 * @self: a graph
 * @error: return location for an error
 *
 * Checks the rules of ONNX that hold for every operator: each tensor is made once, by a node, an input or an initializer;
 * each input of a node exists in scope, before it in order; the outputs exist; the names of nodes are unique or empty;
 * initializers are as large as their dimensions say. A tensor may be input and initializer at once, as in files before IR
 * version 4, and a subgraph may have a name of its surroundings again. Subgraphs are checked too. The first breach is reported with %HT_ERROR_INVALID_MODEL, naming node and tensor and what to do.
 *
 * Returns: %TRUE when the graph is valid, else %FALSE with @error set
 */
gboolean
ht_graph_verify (HtGraph *self, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  VerifyJob job = { error, TRUE };
  verify_one (self, &job);
  return job.ok;
}
