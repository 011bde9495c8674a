/* SPDX-License-Identifier: MIT */
/* Reading nodes. They are changed through the graph that holds them, see graph-edit.c. */
#include "graph/graph-private.h"

#include <string.h>

/**
 * HtNode:
 *
 * One application of an operator. A node belongs to one graph; a reference keeps it readable after its removal, but it
 * is edited only through the graph that holds it. Names are never %NULL: "" is an absent input or output.
 */
G_DEFINE_BOXED_TYPE (HtNode, ht_node, ht_node_ref, ht_node_unref)

const char *
ht_canonical_domain (const char *domain)
{
  return domain == NULL || strcmp (domain, "ai.onnx") == 0 ? "" : domain;
}

HtNode *
ht_node_new (const char *op_type, const char *domain, const char *name)
{
  HtNode *self = g_new0 (HtNode, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->op_type = g_ref_string_new_intern (op_type);
  self->domain = g_ref_string_new_intern (ht_canonical_domain (domain));
  self->name = g_ref_string_new_intern (name != NULL ? name : "");
  /* With room reserved the list is NULL-terminated even while it is empty. */
  self->inputs = g_ptr_array_new_null_terminated (3, (GDestroyNotify) g_ref_string_release, TRUE);
  self->outputs = g_ptr_array_new_null_terminated (1, (GDestroyNotify) g_ref_string_release, TRUE);
  self->attributes = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_attribute_unref);
  return self;
}

void
ht_node_set_name_list (GPtrArray *list, const char *const *names)
{
  g_ptr_array_set_size (list, 0);
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    g_ptr_array_add (list, g_ref_string_new_intern (names[i]));
}

/**
 * ht_node_ref:
 * @self: a node
 *
 * Returns: (transfer full): @self
 */
HtNode *
ht_node_ref (HtNode *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * ht_node_unref:
 * @self: (transfer full): a node
 */
void
ht_node_unref (HtNode *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_ref_string_release (self->op_type);
  g_ref_string_release (self->domain);
  g_ref_string_release (self->name);
  g_ptr_array_unref (self->inputs);
  g_ptr_array_unref (self->outputs);
  g_ptr_array_unref (self->attributes);
  g_clear_pointer (&self->captures, g_hash_table_unref);
  g_clear_pointer (&self->extra, g_bytes_unref);
  g_free (self);
}

/**
 * ht_node_get_name:
 * @self: a node
 *
 * Returns: (transfer none): the name, "" for a node without
 */
const char *
ht_node_get_name (HtNode *self)
{
  g_return_val_if_fail (self != NULL, "");
  return self->name;
}

/**
 * ht_node_get_op_type:
 * @self: a node
 *
 * Returns: (transfer none): the operator, such as "Conv"
 */
const char *
ht_node_get_op_type (HtNode *self)
{
  g_return_val_if_fail (self != NULL, "");
  return self->op_type;
}

/**
 * ht_node_get_domain:
 * @self: a node
 *
 * Returns: (transfer none): the operator's domain, "" for ONNX's own
 */
const char *
ht_node_get_domain (HtNode *self)
{
  g_return_val_if_fail (self != NULL, "");
  return self->domain;
}

/**
 * ht_node_is_op:
 * @self: a node
 * @op_type: an operator of ONNX's own domain
 *
 * Returns: %TRUE when the node applies that operator
 */
gboolean
ht_node_is_op (HtNode *self, const char *op_type)
{
  g_return_val_if_fail (self != NULL && op_type != NULL, FALSE);
  return *self->domain == '\0' && strcmp (self->op_type, op_type) == 0;
}

/**
 * ht_node_get_n_inputs:
 * @self: a node
 *
 * Returns: the number of inputs, absent ones among them included
 */
guint
ht_node_get_n_inputs (HtNode *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->inputs->len;
}

/**
 * ht_node_get_n_outputs:
 * @self: a node
 *
 * Returns: the number of outputs, absent ones among them included
 */
guint
ht_node_get_n_outputs (HtNode *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->outputs->len;
}

/**
 * ht_node_get_input:
 * @self: a node
 * @index: which input
 *
 * Returns: (transfer none): the tensor's name, "" when the input is absent or beyond the last
 */
const char *
ht_node_get_input (HtNode *self, guint index)
{
  g_return_val_if_fail (self != NULL, "");
  return index < self->inputs->len ? g_ptr_array_index (self->inputs, index) : "";
}

/**
 * ht_node_get_output:
 * @self: a node
 * @index: which output
 *
 * Returns: (transfer none): the tensor's name, "" when the output is absent or beyond the last
 */
const char *
ht_node_get_output (HtNode *self, guint index)
{
  g_return_val_if_fail (self != NULL, "");
  return index < self->outputs->len ? g_ptr_array_index (self->outputs, index) : "";
}

/**
 * ht_node_get_inputs:
 * @self: a node
 *
 * Returns: (array zero-terminated=1) (transfer none): the names of all inputs, valid until the node is edited
 */
const char *const *
ht_node_get_inputs (HtNode *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return (const char *const *) self->inputs->pdata;
}

/**
 * ht_node_get_outputs:
 * @self: a node
 *
 * Returns: (array zero-terminated=1) (transfer none): the names of all outputs, valid until the node is edited
 */
const char *const *
ht_node_get_outputs (HtNode *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return (const char *const *) self->outputs->pdata;
}

char *
ht_node_label (HtNode *self)
{
  if (*self->name != '\0')
    return g_strdup_printf ("node '%s' (%s)", self->name, self->op_type);
  for (guint i = 0; i < self->outputs->len; i++)
    if (*ht_node_get_output (self, i) != '\0')
      return g_strdup_printf ("the %s node that makes '%s'", self->op_type, ht_node_get_output (self, i));
  return g_strdup_printf ("a %s node without name and outputs", self->op_type);
}

static void
append_names (GString *text, GPtrArray *names)
{
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", (const char *) g_ptr_array_index (names, i));
}

/**
 * ht_node_describe:
 * @self: a node
 *
 * Writes a node in one line for messages: its name, operator, inputs and outputs.
 *
 * Returns: (transfer full): a text such as "conv1: Conv (x, w) -> (y)"
 */
char *
ht_node_describe (HtNode *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  GString *text = g_string_new (NULL);
  if (*self->name != '\0')
    g_string_append_printf (text, "%s: ", self->name);
  if (*self->domain != '\0')
    g_string_append_printf (text, "%s.", self->domain);
  g_string_append_printf (text, "%s (", self->op_type);
  append_names (text, self->inputs);
  g_string_append (text, ") -> (");
  append_names (text, self->outputs);
  g_string_append_c (text, ')');
  return g_string_free (text, FALSE);
}

HtAttribute *
ht_node_find_attribute (HtNode *self, const char *name)
{
  for (guint i = 0; i < self->attributes->len; i++)
    {
      HtAttribute *attribute = g_ptr_array_index (self->attributes, i);
      if (strcmp (attribute->name, name) == 0)
        return attribute;
    }
  return NULL;
}

static HtAttribute *
find_typed (HtNode *self, const char *name, HtAttributeType type)
{
  HtAttribute *attribute = ht_node_find_attribute (self, name);
  return attribute != NULL && attribute->type == type ? attribute : NULL;
}

/**
 * ht_node_list_attributes:
 * @self: a node
 *
 * Returns: (array zero-terminated=1) (transfer full): the names of the attributes that the node carries
 */
char **
ht_node_list_attributes (HtNode *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  char **names = g_new0 (char *, self->attributes->len + 1);
  for (guint i = 0; i < self->attributes->len; i++)
    names[i] = g_strdup (((HtAttribute *) g_ptr_array_index (self->attributes, i))->name);
  return names;
}

/**
 * ht_node_has_attribute:
 * @self: a node
 * @name: an attribute
 *
 * Says whether the node carries an attribute. An absent one has the default of its operator: ask for the value with
 * that default instead of branching on the presence.
 *
 * Returns: %TRUE when it does
 */
gboolean
ht_node_has_attribute (HtNode *self, const char *name)
{
  g_return_val_if_fail (self != NULL && name != NULL, FALSE);
  return ht_node_find_attribute (self, name) != NULL;
}

/**
 * ht_node_get_attribute_type:
 * @self: a node
 * @name: an attribute
 *
 * Returns: the type of its value, %HT_ATTRIBUTE_UNDEFINED when the node does not carry it
 */
HtAttributeType
ht_node_get_attribute_type (HtNode *self, const char *name)
{
  g_return_val_if_fail (self != NULL && name != NULL, HT_ATTRIBUTE_UNDEFINED);
  HtAttribute *attribute = ht_node_find_attribute (self, name);
  return attribute != NULL ? attribute->type : HT_ATTRIBUTE_UNDEFINED;
}

/**
 * ht_node_get_int:
 * @self: a node
 * @name: an attribute
 * @fallback: the operator's default
 *
 * Returns: the value, @fallback where the node has no integer of this name
 */
gint64
ht_node_get_int (HtNode *self, const char *name, gint64 fallback)
{
  g_return_val_if_fail (self != NULL && name != NULL, fallback);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_INT);
  return attribute != NULL ? attribute->i : fallback;
}

/**
 * ht_node_get_float:
 * @self: a node
 * @name: an attribute
 * @fallback: the operator's default
 *
 * Returns: the value, @fallback where the node has no float of this name
 */
double
ht_node_get_float (HtNode *self, const char *name, double fallback)
{
  g_return_val_if_fail (self != NULL && name != NULL, fallback);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_FLOAT);
  return attribute != NULL ? (double) attribute->f : fallback;
}

/**
 * ht_node_get_string:
 * @self: a node
 * @name: an attribute
 * @fallback: (nullable): the operator's default
 *
 * Returns: (transfer none) (nullable): the value, @fallback where the node has no string of this name
 */
const char *
ht_node_get_string (HtNode *self, const char *name, const char *fallback)
{
  g_return_val_if_fail (self != NULL && name != NULL, fallback);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_STRING);
  return attribute != NULL ? attribute->strings[0].data : fallback;
}

/**
 * ht_node_get_ints:
 * @self: a node
 * @name: an attribute
 * @n_values: (out): return location for the number of values
 *
 * Returns: (array length=n_values) (transfer none) (nullable): the values, %NULL where the node has no list of integers
 *   of this name
 */
const gint64 *
ht_node_get_ints (HtNode *self, const char *name, gsize *n_values)
{
  g_return_val_if_fail (self != NULL && name != NULL, NULL);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_INTS);
  if (n_values != NULL)
    *n_values = attribute != NULL ? attribute->n_values : 0;
  return attribute != NULL ? attribute->ints : NULL;
}

/**
 * ht_node_get_floats:
 * @self: a node
 * @name: an attribute
 * @n_values: (out): return location for the number of values
 *
 * Returns: (array length=n_values) (transfer none) (nullable): the values, %NULL where the node has no list of floats of
 *   this name
 */
const float *
ht_node_get_floats (HtNode *self, const char *name, gsize *n_values)
{
  g_return_val_if_fail (self != NULL && name != NULL, NULL);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_FLOATS);
  if (n_values != NULL)
    *n_values = attribute != NULL ? attribute->n_values : 0;
  return attribute != NULL ? attribute->floats : NULL;
}

/**
 * ht_node_get_strings:
 * @self: a node
 * @name: an attribute
 *
 * Returns: (array zero-terminated=1) (transfer none) (nullable): the values, %NULL where the node has no list of strings
 *   of this name
 */
const char *const *
ht_node_get_strings (HtNode *self, const char *name)
{
  g_return_val_if_fail (self != NULL && name != NULL, NULL);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_STRINGS);
  return attribute != NULL ? (const char *const *) attribute->string_list : NULL;
}

/**
 * ht_node_get_tensor:
 * @self: a node
 * @name: an attribute
 *
 * Returns: (transfer none) (nullable): the value, %NULL where the node has no tensor of this name
 */
HtTensor *
ht_node_get_tensor (HtNode *self, const char *name)
{
  g_return_val_if_fail (self != NULL && name != NULL, NULL);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_TENSOR);
  return attribute != NULL ? attribute->tensors[0] : NULL;
}

/**
 * ht_node_get_subgraph:
 * @self: a node
 * @name: an attribute
 *
 * The body of an If, Loop or Scan. It may be edited like any graph unless it is sealed.
 *
 * Returns: (transfer none) (nullable): the graph, %NULL where the node has no graph of this name
 */
HtGraph *
ht_node_get_subgraph (HtNode *self, const char *name)
{
  g_return_val_if_fail (self != NULL && name != NULL, NULL);
  HtAttribute *attribute = find_typed (self, name, HT_ATTRIBUTE_GRAPH);
  return attribute != NULL ? attribute->graphs[0] : NULL;
}

void
ht_node_foreach_subgraph (HtNode *self, void (*func) (HtGraph *subgraph, gpointer user_data), gpointer user_data)
{
  for (guint i = 0; i < self->attributes->len; i++)
    {
      HtAttribute *attribute = g_ptr_array_index (self->attributes, i);
      for (gsize k = 0; ht_attribute_has_graphs (attribute) && k < attribute->n_values; k++)
        func (attribute->graphs[k], user_data);
    }
}
