/* SPDX-License-Identifier: MIT */
/* The content of a graph as one number. What cannot change a result or a decision stays out: doc strings, metadata, the
 * producer, and the types and shapes of tensors inside, which follow from the rest. */
#include "graph/graph-private.h"

#include <string.h>

static void hash_graph (GChecksum *sum, HtGraph *self);

/* Every part is preceded by its length, so that no two contents give the same bytes. */
static void
put_bytes (GChecksum *sum, gconstpointer data, gsize length)
{
  guint64 size = GUINT64_TO_LE ((guint64) length);
  g_checksum_update (sum, (const guchar *) &size, sizeof size);
  while (length > 0)
    {
      gsize now = MIN (length, (gsize) 1 << 30);
      g_checksum_update (sum, data, (gssize) now);
      data = (const guchar *) data + now;
      length -= now;
    }
}

static void
put_text (GChecksum *sum, const char *text)
{
  put_bytes (sum, text, strlen (text));
}

static void
put_number (GChecksum *sum, guint64 number)
{
  guint64 bytes = GUINT64_TO_LE (number);
  g_checksum_update (sum, (const guchar *) &bytes, sizeof bytes);
}

static void
put_gbytes (GChecksum *sum, GBytes *bytes)
{
  gsize size = 0;
  gconstpointer data = g_bytes_get_data (bytes, &size);
  put_bytes (sum, data, size);
}

static void
put_names (GChecksum *sum, GPtrArray *names)
{
  /* Absent names at the end say nothing. */
  guint length = names->len;
  while (length > 0 && *(const char *) g_ptr_array_index (names, length - 1) == '\0')
    length--;
  put_number (sum, length);
  for (guint i = 0; i < length; i++)
    put_text (sum, g_ptr_array_index (names, i));
}

static void
hash_attribute (GChecksum *sum, const HtAttribute *attribute)
{
  put_text (sum, attribute->name);
  put_number (sum, attribute->type);
  put_number (sum, attribute->n_values);
  guint32 bits = 0;
  switch (attribute->type)
    {
    case HT_ATTRIBUTE_INT:
      put_number (sum, (guint64) attribute->i);
      break;
    case HT_ATTRIBUTE_FLOAT:
      memcpy (&bits, &attribute->f, sizeof bits);
      put_number (sum, bits);
      break;
    case HT_ATTRIBUTE_INTS:
      put_bytes (sum, attribute->ints, attribute->n_values * sizeof (gint64));
      break;
    case HT_ATTRIBUTE_FLOATS:
      put_bytes (sum, attribute->floats, attribute->n_values * sizeof (float));
      break;
    case HT_ATTRIBUTE_STRING:
    case HT_ATTRIBUTE_STRINGS:
      for (gsize i = 0; i < attribute->n_values; i++)
        put_bytes (sum, attribute->strings[i].data, attribute->strings[i].length);
      break;
    case HT_ATTRIBUTE_TENSOR:
    case HT_ATTRIBUTE_TENSORS:
      for (gsize i = 0; i < attribute->n_values; i++)
        put_text (sum, ht_tensor_get_digest (attribute->tensors[i]));
      break;
    case HT_ATTRIBUTE_GRAPH:
    case HT_ATTRIBUTE_GRAPHS:
      for (gsize i = 0; i < attribute->n_values; i++)
        hash_graph (sum, attribute->graphs[i]);
      break;
    case HT_ATTRIBUTE_OPAQUE:
      put_gbytes (sum, attribute->opaque);
      break;
    case HT_ATTRIBUTE_UNDEFINED:
      break;
    }
}

static int
compare_attributes (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(HtAttribute *const *) a)->name, (*(HtAttribute *const *) b)->name);
}

static void
hash_node (GChecksum *sum, const HtNode *node)
{
  put_text (sum, node->domain);
  put_text (sum, node->op_type);
  put_text (sum, node->name);
  put_names (sum, node->inputs);
  put_names (sum, node->outputs);
  g_autoptr (GPtrArray) attributes = g_ptr_array_new ();
  for (guint i = 0; i < node->attributes->len; i++)
    g_ptr_array_add (attributes, g_ptr_array_index (node->attributes, i));
  g_ptr_array_sort (attributes, compare_attributes);
  put_number (sum, attributes->len);
  for (guint i = 0; i < attributes->len; i++)
    hash_attribute (sum, g_ptr_array_index (attributes, i));
}

static int
compare_values (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(HtValue *const *) a)->name, (*(HtValue *const *) b)->name);
}

static void
hash_initializers (GChecksum *sum, GPtrArray *list)
{
  g_autoptr (GPtrArray) values = g_ptr_array_new ();
  for (guint i = 0; i < list->len; i++)
    g_ptr_array_add (values, g_ptr_array_index (list, i));
  g_ptr_array_sort (values, compare_values);
  put_number (sum, values->len);
  for (guint i = 0; i < values->len; i++)
    {
      HtValue *value = g_ptr_array_index (values, i);
      put_text (sum, value->name);
      if (value->initializer != NULL)
        put_text (sum, ht_tensor_get_digest (value->initializer));
      else
        put_gbytes (sum, value->sparse_initializer);
    }
}

static void
hash_element_type (GChecksum *sum, const HtElementType *element)
{
  for (; element; element = element->element)
    {
      g_autofree char *shape = ht_shape_to_string (element->shape);
      put_number (sum, element->type);
      put_text (sum, shape);
    }
}

static void
hash_interface (GChecksum *sum, HtGraph *self, const char *const *names)
{
  guint length = g_strv_length ((char **) names);
  put_number (sum, length);
  for (guint i = 0; i < length; i++)
    {
      HtValue *value = g_hash_table_lookup (self->values, names[i]);
      g_autofree char *shape = ht_shape_to_string (value->shape);
      put_text (sum, names[i]);
      put_number (sum, value->type);
      put_text (sum, shape);
      hash_element_type (sum, value->element);
    }
}

static void
hash_graph (GChecksum *sum, HtGraph *self)
{
  hash_interface (sum, self, ht_graph_get_inputs (self));
  hash_interface (sum, self, ht_graph_get_outputs (self));
  hash_initializers (sum, self->initializers);
  hash_initializers (sum, self->sparse_initializers);
  put_number (sum, self->nodes->len);
  for (guint i = 0; i < self->nodes->len; i++)
    hash_node (sum, g_ptr_array_index (self->nodes, i));
}

static int
compare_opsets (gconstpointer a, gconstpointer b)
{
  return strcmp (((const HtOpset *) a)->domain, ((const HtOpset *) b)->domain);
}

static void
hash_model (GChecksum *sum, HtGraph *self)
{
  g_autoptr (GArray) opsets = g_array_copy (self->opsets);
  g_array_set_clear_func (opsets, NULL);
  g_array_sort (opsets, compare_opsets);
  put_number (sum, opsets->len);
  for (guint i = 0; i < opsets->len; i++)
    {
      HtOpset *opset = &g_array_index (opsets, HtOpset, i);
      put_text (sum, opset->domain);
      put_number (sum, (guint64) opset->version);
    }
  put_number (sum, self->model.functions->len);
  for (guint i = 0; i < self->model.functions->len; i++)
    put_gbytes (sum, g_ptr_array_index (self->model.functions, i));
}

/**
 * ht_graph_hash:
 * @self: a graph
 *
 * Computes SHA-256 over the content: operator sets, functions, inputs and outputs with type and shape, nodes in order
 * with names and attributes, and the constants. Equal for a copy and for what comes back from a file; doc strings,
 * metadata, the graph's name, the order of initializers and attributes, and the types and shapes of tensors inside do not
 * count. Digests of tensors are kept with them, so that it is cheap after a small edit.
 *
 * Returns: (transfer full): 64 hexadecimal digits
 */
char *
ht_graph_hash (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);

  const char *known = g_atomic_pointer_get (&self->hash);
  if (known != NULL)
    return g_strdup (known);
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  hash_model (sum, ht_graph_get_root (self));
  hash_graph (sum, self);
  char *hash = g_strdup (g_checksum_get_string (sum));
  if (self->sealed)
    {
      char *kept = g_strdup (hash);
      if (!g_atomic_pointer_compare_and_exchange (&self->hash, NULL, kept))
        g_free (kept);
    }
  return hash;
}
