/* SPDX-License-Identifier: MIT */
#include "graph/shape-propagation.h"

#include "graph/fold.h"
#include "graph/graph-private.h"

#include <halftone/error.h>

#include <string.h>

/* A fold while propagating makes at most 64 Ki elements of 8 bytes: enough for shapes, index tables and small weights. */
#define MAX_FOLD_BYTES ((gsize) 64 * 1024 * 8)

struct _HtValueTable
{
  HtGraph *graph;
  HtValueTable *outer; /* (unowned) the scope around a subgraph */
  gboolean concrete;   /* for one run: the run's inputs decide, declared shapes do not */
  GHashTable *values;  /* name -> HtInferValue */
  GHashTable *inner;   /* HtGraph -> HtValueTable, of subgraphs that were propagated */
};

void
ht_infer_value_clear (HtInferValue *value)
{
  g_clear_pointer (&value->shape, ht_shape_unref);
  g_clear_pointer (&value->constant, ht_tensor_unref);
  g_clear_pointer (&value->elements, g_free);
  g_clear_pointer (&value->element, ht_element_type_unref);
  value->n_elements = 0;
  value->type = HT_DATA_TYPE_UNDEFINED;
}

void
ht_infer_value_copy (HtInferValue *to, const HtInferValue *from)
{
  HtInferValue copy = *from;
  if (copy.shape)
    ht_shape_ref (copy.shape);
  if (copy.constant)
    ht_tensor_ref (copy.constant);
  if (copy.element)
    ht_element_type_ref (copy.element);
  copy.elements = from->elements ? g_memdup2 (from->elements, MAX (from->n_elements, 1) * sizeof (HtSymbolicInt)) : NULL;
  ht_infer_value_clear (to);
  *to = copy;
}

static void
infer_value_free (gpointer value)
{
  ht_infer_value_clear (value);
  g_free (value);
}

void
ht_value_table_free (HtValueTable *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->values);
  g_hash_table_unref (self->inner);
  g_object_unref (self->graph);
  g_free (self);
}

static HtValueTable *
value_table_new (HtGraph *graph, HtValueTable *outer, gboolean concrete)
{
  HtValueTable *self = g_new0 (HtValueTable, 1);
  self->graph = g_object_ref (graph);
  self->outer = outer;
  self->concrete = concrete;
  self->values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, infer_value_free);
  self->inner = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) ht_value_table_free);
  return self;
}

const HtInferValue *
ht_value_table_lookup (HtValueTable *self, const char *name)
{
  for (HtValueTable *table = self; table; table = table->outer)
    {
      const HtInferValue *value = g_hash_table_lookup (table->values, name);
      if (value)
        return value;
    }
  return NULL;
}

/* The value of that name in this very table, made when it is not there. */
static HtInferValue *
own_value (HtValueTable *self, const char *name)
{
  HtInferValue *value = g_hash_table_lookup (self->values, name);
  if (value == NULL)
    {
      value = g_new0 (HtInferValue, 1);
      g_hash_table_insert (self->values, g_strdup (name), value);
    }
  return value;
}

/* What is declared of the elements of a list, (transfer full). For one run only their types: declared shapes may hold the
 * batch size of the export. */
static HtElementType *
copy_element (HtElementType *declared, gboolean concrete)
{
  if (declared == NULL || !concrete)
    return declared ? ht_element_type_ref (declared) : NULL;
  g_autoptr (HtElementType) inner = copy_element (declared->element, TRUE);
  return ht_element_type_new (declared->type, NULL, inner);
}

/* Of a given list only the kind is taken: its length and its elements may be others in every run. */
static void
set_tensor (HtInferValue *value, HtTensor *tensor, gboolean use_content)
{
  HtElementType *element = g_steal_pointer (&value->element);
  ht_infer_value_clear (value);
  value->type = ht_tensor_get_data_type (tensor);
  if (ht_data_type_is_list (value->type))
    {
      value->element = element;
      return;
    }
  g_clear_pointer (&element, ht_element_type_unref);
  value->shape = ht_shape_new (ht_tensor_get_dims (tensor, NULL), NULL, ht_tensor_get_n_dims (tensor));
  if (use_content)
    value->constant = ht_tensor_ref (tensor);
}

/* What is known before the first node: inputs, initializers, and what the caller knows better. */
static void
seed_table (HtValueTable *self, GHashTable *known, gboolean use_content)
{
  const char *const *inputs = ht_graph_get_inputs (self->graph);
  g_auto (GStrv) initializers = ht_graph_list_initializers (self->graph);
  GHashTableIter iter;
  gpointer name, given;

  for (gsize i = 0; inputs && inputs[i]; i++)
    {
      HtInferValue *value = own_value (self, inputs[i]);
      HtShape *shape = ht_graph_get_shape (self->graph, inputs[i]);
      if (value->type == HT_DATA_TYPE_UNDEFINED)
        value->type = ht_graph_get_data_type (self->graph, inputs[i]);
      if (value->shape == NULL && shape)
        value->shape = ht_shape_ref (shape);
      if (value->element == NULL)
        value->element = copy_element (ht_graph_get_element_type (self->graph, inputs[i]), self->concrete);
    }
  for (gsize i = 0; initializers && initializers[i]; i++)
    {
      HtTensor *tensor = ht_graph_get_initializer (self->graph, initializers[i]);
      if (tensor)
        set_tensor (own_value (self, initializers[i]), tensor, TRUE);
    }
  if (known == NULL)
    return;
  g_hash_table_iter_init (&iter, known);
  while (g_hash_table_iter_next (&iter, &name, &given))
    set_tensor (own_value (self, name), given, use_content);
}

static gboolean
contradict (HtNode *node, const char *name, const char *found, const char *declared, GError **error)
{
  g_autofree char *described = ht_node_describe (node);
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
               "inferring the shape of '%s', made by %s: found %s, but the model declares %s; one of them is wrong, "
               "remove the declaration or correct the node",
               name, described, found, declared);
  return FALSE;
}

/* One dimension from what was found and what is declared: a number wins over a symbol, anything over nothing.
 * FALSE: two different numbers. */
static gboolean
merge_dim (HtShape *found, HtShape *declared, guint axis, gint64 *dim, const char **symbol)
{
  gint64 a = ht_shape_get_dim (found, axis), b = ht_shape_get_dim (declared, axis);
  *symbol = NULL;
  *dim = a >= 0 ? a : b;
  if (a >= 0 && b >= 0)
    return a == b;
  if (*dim < 0)
    {
      *dim = HT_DIM_UNKNOWN;
      *symbol = ht_shape_get_symbol (declared, axis);
      if (*symbol == NULL)
        *symbol = ht_shape_get_symbol (found, axis);
    }
  return TRUE;
}

static HtShape *
merge_shapes (HtShape *found, HtShape *declared)
{
  guint n_dims = ht_shape_get_n_dims (found);
  if (n_dims != ht_shape_get_n_dims (declared))
    return NULL;
  g_autofree gint64 *dims = g_new (gint64, MAX (n_dims, 1));
  g_autofree const char **symbols = g_new0 (const char *, n_dims + 1);
  for (guint i = 0; i < n_dims; i++)
    if (!merge_dim (found, declared, i, &dims[i], &symbols[i]))
      return NULL;
  return ht_shape_new (dims, symbols, n_dims);
}

static gboolean
merge_element (HtValueTable *self, HtNode *node, const char *name, HtInferValue *value, GError **error)
{
  HtElementType *declared = ht_graph_get_element_type (self->graph, name);

  if (value->element == NULL)
    value->element = copy_element (declared, self->concrete);
  else if (!self->concrete && ht_element_type_contradicts (value->element, declared))
    {
      g_autofree char *found = g_strconcat ("elements of type ", ht_data_type_get_name (value->element->type), NULL);
      g_autofree char *other = g_strconcat ("elements of type ", ht_data_type_get_name (declared->type), NULL);
      return contradict (node, name, found, other, error);
    }
  return TRUE;
}

/* Adds what the model declares of a node's output. For one run only the type of what no rule knew is taken: declared
 * shapes may hold the batch size of the export. */
static gboolean
merge_declared (HtValueTable *self, HtNode *node, const char *name, HtInferValue *value, GError **error)
{
  HtDataType type = ht_graph_get_data_type (self->graph, name);
  HtShape *shape = ht_graph_get_shape (self->graph, name);

  if (value->type == HT_DATA_TYPE_UNDEFINED)
    value->type = type;
  else if (type != HT_DATA_TYPE_UNDEFINED && type != value->type && !self->concrete)
    return contradict (node, name, ht_data_type_get_name (value->type), ht_data_type_get_name (type), error);
  if (ht_data_type_is_list (value->type) && !merge_element (self, node, name, value, error))
    return FALSE;
  if (shape == NULL || self->concrete)
    return TRUE;
  if (value->shape == NULL)
    {
      value->shape = ht_shape_ref (shape);
      return TRUE;
    }
  HtShape *merged = merge_shapes (value->shape, shape);
  if (merged == NULL)
    {
      g_autofree char *found = ht_shape_to_string (value->shape);
      g_autofree char *declared = ht_shape_to_string (shape);
      return contradict (node, name, found, declared, error);
    }
  ht_shape_unref (value->shape);
  value->shape = merged;
  return TRUE;
}

static gint64
find_opset (HtGraph *graph, HtValueTable *scope, const char *domain)
{
  gint64 opset = ht_graph_get_opset (graph, domain);
  for (HtValueTable *table = scope; opset <= 0 && table; table = table->outer)
    opset = ht_graph_get_opset (table->graph, domain);
  return opset;
}

/* A rule may only say what a tensor can be: at most 16 dimensions and a size that can be counted. */
static gboolean
check_outputs (const HtInfer *infer, GError **error)
{
  for (guint i = 0; i < infer->n_outputs; i++)
    {
      HtShape *shape = infer->outputs[i].shape;
      guint n_dims = shape ? ht_shape_get_n_dims (shape) : 0;
      gsize n_elements = 8;
      if (n_dims > HT_TENSOR_MAX_DIMS)
        return ht_infer_fail (infer, error, "output '%s' would have %u dimensions, at most %d are possible",
                              ht_node_get_output (infer->node, i), n_dims, HT_TENSOR_MAX_DIMS);
      for (guint d = 0; d < n_dims; d++)
        {
          gint64 dim = ht_shape_get_dim (shape, d);
          if (dim > 0 && (!g_size_checked_mul (&n_elements, n_elements, (gsize) dim) || n_elements > G_MAXSSIZE))
            {
              g_autofree char *text = ht_shape_to_string (shape);
              return ht_infer_fail (infer, error, "output '%s' would have the shape %s, too large for any memory",
                                    ht_node_get_output (infer->node, i), text);
            }
        }
    }
  return TRUE;
}

static gboolean
refuse_lists (const HtInfer *infer, GError **error)
{
  for (guint i = 0; i < infer->n_inputs; i++)
    if (ht_data_type_is_list (ht_infer_get_type (infer, i)))
      return ht_infer_fail (infer, error, "input %u ('%s') is a value of type %s, this operator takes tensors", i,
                            ht_node_get_input (infer->node, i), ht_data_type_get_name (ht_infer_get_type (infer, i)));
  return TRUE;
}

static gboolean
infer_node (HtGraph *graph, HtNode *node, HtValueTable *scope, const HtInferValue *const *inputs, HtInferValue *outputs,
            gboolean fold, GError **error)
{
  HtInfer infer = {
    .graph = graph,
    .node = node,
    .scope = scope,
    .opset = find_opset (graph, scope, ht_node_get_domain (node)),
    .n_inputs = ht_node_get_n_inputs (node),
    .inputs = inputs,
    .n_outputs = ht_node_get_n_outputs (node),
    .outputs = outputs,
  };
  const HtOperator *op = ht_operator_find (ht_node_get_domain (node), ht_node_get_op_type (node), infer.opset);

  if (op == NULL || op->infer == NULL)
    return TRUE;
  if ((!(op->flags & HT_OP_LISTS) && !refuse_lists (&infer, error)) || !op->infer (&infer, error)
      || !check_outputs (&infer, error))
    return FALSE;
  if (fold && !ht_fold_node (op, &infer, MAX_FOLD_BYTES))
    ht_fold_moved_elements (op, &infer);
  for (guint i = 0; i < infer.n_outputs; i++)
    ht_fold_normalize (&outputs[i]);
  return TRUE;
}

gboolean
ht_infer_node (HtGraph *graph, HtNode *node, const HtInferValue *const *inputs, HtInferValue *outputs, GError **error)
{
  return infer_node (graph, node, NULL, inputs, outputs, FALSE, error);
}

/* TRUE when there is nothing to find out about a node: the caller knows all it makes. */
static gboolean
is_known (GHashTable *known, HtNode *node)
{
  guint n_outputs = ht_node_get_n_outputs (node);
  if (known == NULL || n_outputs == 0)
    return FALSE;
  for (guint i = 0; i < n_outputs; i++)
    if (*ht_node_get_output (node, i) && !g_hash_table_contains (known, ht_node_get_output (node, i)))
      return FALSE;
  return TRUE;
}

static gboolean
propagate_node (HtValueTable *self, HtNode *node, GHashTable *known, GError **error)
{
  static const HtInferValue nothing = { HT_DATA_TYPE_UNDEFINED, NULL, NULL, NULL, 0, NULL };
  guint n_inputs = ht_node_get_n_inputs (node), n_outputs = ht_node_get_n_outputs (node);
  g_autofree const HtInferValue **inputs = g_new0 (const HtInferValue *, MAX (n_inputs, 1));
  g_autofree HtInferValue *outputs = g_new0 (HtInferValue, MAX (n_outputs, 1));

  for (guint i = 0; i < n_inputs; i++)
    {
      const char *name = ht_node_get_input (node, i);
      if (*name == '\0')
        continue;
      inputs[i] = ht_value_table_lookup (self, name);
      if (inputs[i] == NULL)
        inputs[i] = &nothing;
    }
  gboolean fine = infer_node (self->graph, node, self, inputs, outputs, TRUE, error);
  for (guint i = 0; i < n_outputs; i++)
    {
      const char *name = ht_node_get_output (node, i);
      fine = fine && (*name == '\0' || merge_declared (self, node, name, &outputs[i], error));
      if (fine && *name && !(known && g_hash_table_contains (known, name)))
        ht_infer_value_copy (own_value (self, name), &outputs[i]);
      ht_infer_value_clear (&outputs[i]);
    }
  return fine;
}

static gboolean
propagate_nodes (HtValueTable *self, GHashTable *known, GError **error)
{
  guint n_nodes = ht_graph_get_n_nodes (self->graph);
  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);
      if (!is_known (known, node) && !propagate_node (self, node, known, error))
        return FALSE;
    }
  return TRUE;
}

HtValueTable *
ht_shape_propagate (HtGraph *graph, GHashTable *known, gboolean use_content, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);

  g_autoptr (HtValueTable) self = value_table_new (graph, NULL, known != NULL);
  seed_table (self, known, use_content);
  if (!propagate_nodes (self, known, error))
    return NULL;
  return g_steal_pointer (&self);
}

HtValueTable *
ht_shape_propagate_subgraph (HtInfer *infer, HtGraph *subgraph, GHashTable *inputs, GError **error)
{
  HtValueTable *scope = infer->scope;
  GHashTableIter iter;
  gpointer name, value;

  if (scope == NULL)
    return NULL;
  g_autoptr (HtValueTable) self = value_table_new (subgraph, scope, scope->concrete);
  seed_table (self, NULL, FALSE);
  if (inputs)
    {
      g_hash_table_iter_init (&iter, inputs);
      while (g_hash_table_iter_next (&iter, &name, &value))
        ht_infer_value_copy (own_value (self, name), value);
    }
  if (!propagate_nodes (self, NULL, error))
    return NULL;
  g_hash_table_replace (scope->inner, subgraph, self);
  return g_steal_pointer (&self);
}

/* Whether writing `value` over what the graph declares would say more. */
static gboolean
says_more (HtGraph *graph, const char *name, const HtInferValue *value)
{
  HtShape *declared = ht_graph_get_shape (graph, name);
  if (value->type == HT_DATA_TYPE_UNDEFINED || (ht_data_type_is_list (value->type) && value->element == NULL))
    return FALSE;
  if (ht_graph_get_data_type (graph, name) != value->type)
    return TRUE;
  if (ht_data_type_is_list (value->type))
    return !ht_element_type_equal (ht_graph_get_element_type (graph, name), value->element);
  return value->shape && (declared == NULL || !ht_shape_equal (declared, value->shape));
}

/* The length of a list is no part of its declared type. */
static void
write_value (HtGraph *graph, const char *name, const HtInferValue *value)
{
  gboolean list = ht_data_type_is_list (value->type);
  ht_graph_set_shape (graph, name, value->type, list ? NULL : value->shape);
  if (list)
    ht_graph_set_element_type (graph, name, value->element);
}

/* Subgraphs belong to one node alone (copies of a graph copy them), so they are written in place. */
static void
write_table (HtValueTable *self)
{
  GHashTableIter iter;
  gpointer inner;
  guint n_nodes = ht_graph_get_n_nodes (self->graph);

  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        {
          const char *name = ht_node_get_output (node, k);
          const HtInferValue *value = g_hash_table_lookup (self->values, name);
          if (value && *name && says_more (self->graph, name, value))
            write_value (self->graph, name, value);
        }
    }
  g_hash_table_iter_init (&iter, self->inner);
  while (g_hash_table_iter_next (&iter, NULL, &inner))
    write_table (inner);
}

/**
 * ht_graph_infer_shapes:
 * @self: a graph that is not sealed
 * @error: return location for an error
 *
 * Fills in the element types and shapes of all values that nodes make, in subgraphs too.
 *
 * What the model declares is kept and completed: a number replaces a symbol, a symbol replaces an unknown dimension.
 * Values made by operators Halftone does not know keep what is declared. Fails with %HT_ERROR_SHAPE where a declared type
 * or shape contradicts what the node makes, and with %HT_ERROR_INVALID_MODEL where a node breaks its operator's
 * specification; the graph is unchanged then.
 *
 * Returns: %TRUE on success
 */
gboolean
ht_graph_infer_shapes (HtGraph *self, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), FALSE);
  g_return_val_if_fail (!ht_graph_is_sealed (self), FALSE);

  g_autoptr (HtValueTable) table = ht_shape_propagate (self, NULL, FALSE, error);
  if (table == NULL)
    return FALSE;
  write_table (table);
  return TRUE;
}
