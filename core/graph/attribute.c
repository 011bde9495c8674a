/* SPDX-License-Identifier: MIT */
/* Attribute values. They never change, so that copies of a graph share them; subgraphs are the exception and are copied
 * with the graph that holds them. */
#include "graph/graph-private.h"

#include <string.h>

static HtAttribute *
attribute_new (const char *name, HtAttributeType type, gsize n_values)
{
  HtAttribute *self = g_new0 (HtAttribute, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->name = g_ref_string_new_intern (name);
  self->type = type;
  self->n_values = n_values;
  return self;
}

HtAttribute *
ht_attribute_new_int (const char *name, gint64 value)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_INT, 1);
  self->i = value;
  return self;
}

HtAttribute *
ht_attribute_new_float (const char *name, float value)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_FLOAT, 1);
  self->f = value;
  return self;
}

HtAttribute *
ht_attribute_new_ints (const char *name, const gint64 *values, gsize n_values)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_INTS, n_values);
  self->ints = g_new0 (gint64, n_values + 1);
  if (n_values > 0)
    memcpy (self->ints, values, n_values * sizeof *values);
  return self;
}

HtAttribute *
ht_attribute_new_floats (const char *name, const float *values, gsize n_values)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_FLOATS, n_values);
  self->floats = g_new0 (float, n_values + 1);
  if (n_values > 0)
    memcpy (self->floats, values, n_values * sizeof *values);
  return self;
}

static HtAttributeString
copy_string (const char *data, gsize length)
{
  HtAttributeString copy = { g_malloc (length + 1), length };
  if (length > 0)
    memcpy (copy.data, data, length);
  copy.data[length] = '\0';
  return copy;
}

HtAttribute *
ht_attribute_new_string (const char *name, const char *data, gsize length)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_STRING, 1);
  self->strings = g_new0 (HtAttributeString, 1);
  self->strings[0] = copy_string (data, length);
  return self;
}

HtAttribute *
ht_attribute_new_strings (const char *name, const HtAttributeString *values, gsize n_values)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_STRINGS, n_values);
  self->strings = g_new0 (HtAttributeString, n_values + 1);
  self->string_list = g_new0 (char *, n_values + 1);
  for (gsize i = 0; i < n_values; i++)
    {
      self->strings[i] = copy_string (values[i].data, values[i].length);
      self->string_list[i] = self->strings[i].data;
    }
  return self;
}

HtAttribute *
ht_attribute_new_tensors (const char *name, gboolean plural, HtTensor *const *tensors, gsize n_values)
{
  HtAttribute *self = attribute_new (name, plural ? HT_ATTRIBUTE_TENSORS : HT_ATTRIBUTE_TENSOR, n_values);
  self->tensors = g_new0 (HtTensor *, n_values + 1);
  for (gsize i = 0; i < n_values; i++)
    self->tensors[i] = ht_tensor_keep (tensors[i]);
  return self;
}

HtAttribute *
ht_attribute_new_graphs (const char *name, gboolean plural, HtGraph *const *graphs, gsize n_values)
{
  HtAttribute *self = attribute_new (name, plural ? HT_ATTRIBUTE_GRAPHS : HT_ATTRIBUTE_GRAPH, n_values);
  self->graphs = g_new0 (HtGraph *, n_values + 1);
  for (gsize i = 0; i < n_values; i++)
    self->graphs[i] = g_object_ref (graphs[i]);
  return self;
}

HtAttribute *
ht_attribute_new_opaque (const char *name, GBytes *bytes)
{
  HtAttribute *self = attribute_new (name, HT_ATTRIBUTE_OPAQUE, 1);
  self->opaque = g_bytes_ref (bytes);
  return self;
}

void
ht_attribute_set_extra (HtAttribute *self, GBytes *extra)
{
  g_clear_pointer (&self->extra, g_bytes_unref);
  self->extra = extra != NULL ? g_bytes_ref (extra) : NULL;
}

HtAttribute *
ht_attribute_ref (HtAttribute *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
free_values (HtAttribute *self)
{
  switch (self->type)
    {
    case HT_ATTRIBUTE_INTS:
      g_free (self->ints);
      break;
    case HT_ATTRIBUTE_FLOATS:
      g_free (self->floats);
      break;
    case HT_ATTRIBUTE_STRING:
    case HT_ATTRIBUTE_STRINGS:
      for (gsize i = 0; i < self->n_values; i++)
        g_free (self->strings[i].data);
      g_free (self->strings);
      g_free (self->string_list);
      break;
    case HT_ATTRIBUTE_TENSOR:
    case HT_ATTRIBUTE_TENSORS:
      for (gsize i = 0; i < self->n_values; i++)
        ht_tensor_unref (self->tensors[i]);
      g_free (self->tensors);
      break;
    case HT_ATTRIBUTE_GRAPH:
    case HT_ATTRIBUTE_GRAPHS:
      for (gsize i = 0; i < self->n_values; i++)
        g_object_unref (self->graphs[i]);
      g_free (self->graphs);
      break;
    case HT_ATTRIBUTE_OPAQUE:
      g_bytes_unref (self->opaque);
      break;
    case HT_ATTRIBUTE_UNDEFINED:
    case HT_ATTRIBUTE_INT:
    case HT_ATTRIBUTE_FLOAT:
      break;
    }
}

void
ht_attribute_unref (HtAttribute *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  free_values (self);
  g_ref_string_release (self->name);
  g_clear_pointer (&self->extra, g_bytes_unref);
  g_free (self);
}

gboolean
ht_attribute_has_graphs (const HtAttribute *self)
{
  return self->type == HT_ATTRIBUTE_GRAPH || self->type == HT_ATTRIBUTE_GRAPHS;
}
