/* SPDX-License-Identifier: MIT */
/* The constants of a graph in the wide sense: initializers, and whatever operators compute from constants and from
 * declared static shapes. Results are kept with the graph; each remembers what it was computed from, and is only used
 * while that still stands, so that editing needs no notice. */
#include "graph/constants.h"

#include "graph/fold.h"
#include "graph/graph-private.h"
#include "graph/shape-propagation.h"

#include <string.h>

#define MAX_BYTES ((gsize) 256 << 20)
/* A chain of constants longer than this is none that a model has; the recursion has to end before the stack does. */
#define MAX_DEPTH 512

/* One value computed once, and its provenance. */
typedef struct
{
  HtNode *node;          /* counted, so that its address is not taken by another one */
  GPtrArray *attributes; /* HtAttribute: immutable, so the same pointers say the same */
  GPtrArray *inputs;     /* HtTensor or NULL */
  GPtrArray *shapes;     /* HtShape or NULL, of inputs that are not constant */
  gint64 opset;
  HtTensor *tensor;      /* NULL: looked at, not a constant */
} Memo;

/* One question: what was answered on the way. The same name is never followed twice. */
typedef struct
{
  GHashTable *answers; /* name, in the graph that defines it, -> HtTensor or NULL */
  guint depth;
} Query;

static GMutex memo_lock;

static void
unref_nullable_tensor (gpointer tensor)
{
  if (tensor)
    ht_tensor_unref (tensor);
}

static void
unref_nullable_shape (gpointer shape)
{
  if (shape)
    ht_shape_unref (shape);
}

static void
memo_free (gpointer data)
{
  Memo *memo = data;
  ht_node_unref (memo->node);
  g_ptr_array_unref (memo->attributes);
  g_ptr_array_unref (memo->inputs);
  g_ptr_array_unref (memo->shapes);
  g_clear_pointer (&memo->tensor, ht_tensor_unref);
  g_free (memo);
}

static GHashTable *
get_memos (HtGraph *graph)
{
  static GQuark quark;
  if (quark == 0)
    quark = g_quark_from_static_string ("ht-graph-constants");
  GHashTable *memos = g_object_get_qdata (G_OBJECT (graph), quark);
  if (memos == NULL)
    {
      memos = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, memo_free);
      g_object_set_qdata_full (G_OBJECT (graph), quark, memos, (GDestroyNotify) g_hash_table_unref);
    }
  return memos;
}

static gboolean
same_pointers (const GPtrArray *a, const GPtrArray *b)
{
  return a->len == b->len && (a->len == 0 || memcmp (a->pdata, b->pdata, a->len * sizeof (gpointer)) == 0);
}

static gboolean
same_shapes (const GPtrArray *a, const GPtrArray *b)
{
  for (guint i = 0; i < a->len && i < b->len; i++)
    {
      HtShape *x = g_ptr_array_index (a, i), *y = g_ptr_array_index (b, i);
      if (x != y && (x == NULL || y == NULL || !ht_shape_equal (x, y)))
        return FALSE;
    }
  return a->len == b->len;
}

/* What a node's inputs are, as far as that makes its outputs. */
static Memo *
memo_new (HtGraph *graph, HtNode *node)
{
  Memo *memo = g_new0 (Memo, 1);
  memo->node = ht_node_ref (node);
  memo->attributes = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_attribute_unref);
  memo->inputs = g_ptr_array_new_with_free_func (unref_nullable_tensor);
  memo->shapes = g_ptr_array_new_with_free_func (unref_nullable_shape);
  memo->opset = ht_graph_get_opset (graph, node->domain);
  for (guint i = 0; i < node->attributes->len; i++)
    g_ptr_array_add (memo->attributes, ht_attribute_ref (g_ptr_array_index (node->attributes, i)));
  return memo;
}

/* The kept answer for `name`, when it came from exactly this. */
static gboolean
recall (HtGraph *graph, const char *name, const Memo *now, HtTensor **tensor)
{
  gboolean found = FALSE;
  g_mutex_lock (&memo_lock);
  Memo *memo = g_hash_table_lookup (get_memos (graph), name);
  if (memo && memo->node == now->node && memo->opset == now->opset && same_pointers (memo->attributes, now->attributes)
      && same_pointers (memo->inputs, now->inputs) && same_shapes (memo->shapes, now->shapes))
    {
      *tensor = memo->tensor ? ht_tensor_ref (memo->tensor) : NULL;
      found = TRUE;
    }
  g_mutex_unlock (&memo_lock);
  return found;
}

static void
keep (HtGraph *graph, const char *name, Memo *memo, HtTensor *tensor)
{
  memo->tensor = tensor ? ht_tensor_ref (tensor) : NULL;
  g_mutex_lock (&memo_lock);
  g_hash_table_replace (get_memos (graph), g_strdup (name), memo);
  g_mutex_unlock (&memo_lock);
}

static HtTensor *find_constant (HtGraph *graph, const char *name, Query *query);

/* Runs the rule, and the operator itself where the rule does not say the value. */
static HtTensor *
compute (HtGraph *graph, const HtOperator *op, const Memo *memo, const char *name)
{
  HtNode *node = memo->node;
  guint n_inputs = memo->inputs->len, n_outputs = ht_node_get_n_outputs (node);
  g_autofree HtInferValue *values = g_new0 (HtInferValue, MAX (n_inputs, 1));
  g_autofree const HtInferValue **inputs = g_new0 (const HtInferValue *, MAX (n_inputs, 1));
  g_autofree HtInferValue *outputs = g_new0 (HtInferValue, MAX (n_outputs, 1));
  HtInfer infer = { graph, node, NULL, memo->opset, n_inputs, inputs, n_outputs, outputs };
  HtTensor *result = NULL;

  for (guint i = 0; i < n_inputs; i++)
    {
      HtTensor *tensor = g_ptr_array_index (memo->inputs, i);
      HtShape *shape = g_ptr_array_index (memo->shapes, i);
      if (*ht_node_get_input (node, i) == '\0')
        continue;
      values[i].constant = tensor ? ht_tensor_ref (tensor) : NULL;
      values[i].shape = shape ? ht_shape_ref (shape) : NULL;
      ht_fold_normalize (&values[i]);
      inputs[i] = &values[i];
    }
  if (op->infer (&infer, NULL))
    ht_fold_node (op, &infer, MAX_BYTES);
  for (guint i = 0; i < n_outputs; i++)
    {
      ht_fold_normalize (&outputs[i]);
      if (result == NULL && outputs[i].constant && g_str_equal (ht_node_get_output (node, i), name))
        result = ht_tensor_ref (outputs[i].constant);
      ht_infer_value_clear (&outputs[i]);
    }
  for (guint i = 0; i < n_inputs; i++)
    ht_infer_value_clear (&values[i]);
  return result;
}

/* FALSE: an input is neither constant nor of known static shape, so there is nothing to compute. */
static gboolean
gather_inputs (HtGraph *graph, Memo *memo, Query *query)
{
  guint n_inputs = ht_node_get_n_inputs (memo->node);
  for (guint i = 0; i < n_inputs; i++)
    {
      const char *input = ht_node_get_input (memo->node, i);
      HtTensor *tensor = *input ? find_constant (graph, input, query) : NULL;
      HtShape *shape = NULL;
      if (*input && tensor == NULL)
        {
          /* Only operators of one input (Shape, Size) know their result from a shape alone. */
          HtGraph *scope = n_inputs == 1 ? ht_graph_find_scope (graph, input) : NULL;
          shape = scope ? ht_graph_get_shape (scope, input) : NULL;
          if (shape == NULL || !ht_shape_is_static (shape))
            return FALSE;
        }
      g_ptr_array_add (memo->inputs, tensor);
      g_ptr_array_add (memo->shapes, shape ? ht_shape_ref (shape) : NULL);
    }
  return TRUE;
}

static HtTensor *
constant_of_node (HtGraph *graph, HtNode *node, const char *name, Query *query)
{
  gint64 opset = ht_graph_get_opset (graph, node->domain);
  const HtOperator *op = ht_operator_find (node->domain, node->op_type, opset);
  HtTensor *tensor = NULL;

  if (op == NULL || op->infer == NULL || (op->flags & HT_OP_NON_DETERMINISTIC) || query->depth >= MAX_DEPTH)
    return NULL;
  Memo *now = memo_new (graph, node);
  query->depth++;
  gboolean complete = gather_inputs (graph, now, query);
  query->depth--;
  if (!complete || recall (graph, name, now, &tensor))
    {
      memo_free (now);
      return tensor;
    }
  tensor = compute (graph, op, now, name);
  keep (graph, name, now, tensor);
  return tensor;
}

/* (transfer full) */
static HtTensor *
find_constant (HtGraph *graph, const char *name, Query *query)
{
  gpointer known;
  HtGraph *scope = ht_graph_find_scope (graph, name);

  if (scope == NULL)
    return NULL;
  HtTensor *initializer = ht_graph_get_initializer (scope, name);
  if (initializer)
    return ht_tensor_ref (initializer);
  g_autofree char *key = g_strdup_printf ("%p/%s", (gpointer) scope, name);
  if (g_hash_table_lookup_extended (query->answers, key, NULL, &known))
    return known ? ht_tensor_ref (known) : NULL;
  g_hash_table_insert (query->answers, g_strdup (key), NULL); /* a cycle is not a constant */
  HtNode *producer = ht_graph_get_producer (scope, name);
  HtTensor *tensor = producer ? constant_of_node (scope, producer, name, query) : NULL;
  if (tensor)
    g_hash_table_insert (query->answers, g_steal_pointer (&key), ht_tensor_ref (tensor));
  return tensor;
}

/**
 * ht_graph_get_constant:
 * @self: a graph
 * @tensor: the name of a tensor
 *
 * Finds the value of a tensor that is the same in every run: an initializer, or what deterministic operators (Constant,
 * Identity, Cast, Transpose, Reshape, shape arithmetic, ...) make of constants and of declared static shapes. Names from
 * around a subgraph are seen. Values above 256 MiB are not computed. What was computed is kept with the graph.
 *
 * Returns: (transfer full) (nullable): the value, %NULL when the tensor is not constant
 */
HtTensor *
ht_graph_get_constant (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  g_return_val_if_fail (tensor != NULL, NULL);

  if (*tensor == '\0')
    return NULL;
  Query query = { g_hash_table_new_full (g_str_hash, g_str_equal, g_free, unref_nullable_tensor), 0 };
  HtTensor *found = find_constant (self, tensor, &query);
  g_hash_table_unref (query.answers);
  return found;
}

/**
 * ht_graph_is_constant:
 * @self: a graph
 * @tensor: the name of a tensor
 *
 * Returns: whether ht_graph_get_constant() would give a value
 */
gboolean
ht_graph_is_constant (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), FALSE);
  g_return_val_if_fail (tensor != NULL, FALSE);

  g_autoptr (HtTensor) found = ht_graph_get_constant (self, tensor);
  return found != NULL;
}

static gboolean
makes_only (HtNode *node, const char *name)
{
  for (guint i = 0; i < ht_node_get_n_outputs (node); i++)
    if (*ht_node_get_output (node, i) && !g_str_equal (ht_node_get_output (node, i), name))
      return FALSE;
  return TRUE;
}

void
ht_graph_release_producer (HtGraph *self, const char *name)
{
  HtNode *producer = ht_graph_get_producer (self, name);
  g_autoptr (GPtrArray) pending = NULL;

  if (producer == NULL)
    return;
  g_mutex_lock (&memo_lock);
  g_hash_table_remove (get_memos (self), name);
  g_mutex_unlock (&memo_lock);
  if (!makes_only (producer, name))
    {
      for (guint i = 0; i < ht_node_get_n_outputs (producer); i++)
        if (g_str_equal (ht_node_get_output (producer, i), name))
          ht_graph_set_node_output (self, producer, i, "");
      return;
    }
  pending = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < ht_node_get_n_inputs (producer); i++)
    if (ht_graph_is_constant (self, ht_node_get_input (producer, i)))
      g_ptr_array_add (pending, g_strdup (ht_node_get_input (producer, i)));
  ht_graph_remove_node (self, producer);
  for (guint i = 0; i < pending->len; i++)
    {
      const char *input = g_ptr_array_index (pending, i);
      if (ht_graph_count_uses (self, input) > 0 || ht_graph_is_output (self, input))
        continue;
      HtNode *node = ht_graph_get_producer (self, input);
      if (node == NULL)
        {
          HtValue *value = ht_graph_lookup_value (self, input);
          if (value && !value->listed_input) /* a listed one would turn into an input of the model */
            ht_graph_remove_initializer (self, input);
          continue;
        }
      if (!makes_only (node, input))
        continue;
      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        if (ht_graph_is_constant (self, ht_node_get_input (node, k)))
          g_ptr_array_add (pending, g_strdup (ht_node_get_input (node, k)));
      ht_graph_remove_node (self, node);
    }
}
