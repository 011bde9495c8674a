/* SPDX-License-Identifier: MIT */
/* Reading the located tree: children, places, typed values. */
#include <errno.h>
#include <string.h>

#include "base/located-private.h"

HtLocatedKind
ht_located_node_get_kind (HtLocatedNode *self)
{
  return self->kind;
}

guint
ht_located_node_get_line (HtLocatedNode *self)
{
  guint line, column;

  ht_source_text_locate (self->document->source, self->offset, &line, &column);
  return line;
}

guint
ht_located_node_get_column (HtLocatedNode *self)
{
  guint line, column;

  ht_source_text_locate (self->document->source, self->offset, &line, &column);
  return column;
}

guint
ht_located_node_get_n_children (HtLocatedNode *self)
{
  return self->children != NULL ? self->children->len : 0;
}

HtLocatedNode *
ht_located_node_get_child (HtLocatedNode *self, guint index)
{
  g_return_val_if_fail (index < ht_located_node_get_n_children (self), NULL);
  return g_ptr_array_index (self->children, index);
}

HtLocatedNode *
ht_located_node_get_key_node (HtLocatedNode *self, guint index)
{
  g_return_val_if_fail (self->kind == HT_LOCATED_MAPPING, NULL);
  return ht_located_node_get_child (self, index)->key;
}

const char *
ht_located_node_get_key (HtLocatedNode *self, guint index)
{
  HtLocatedNode *key = ht_located_node_get_key_node (self, index);

  return key != NULL ? key->text : NULL;
}

HtLocatedNode *
ht_located_node_get_own_key (HtLocatedNode *self)
{
  return self->parent != NULL && self->parent->kind == HT_LOCATED_MAPPING ? self->key : NULL;
}

HtLocatedNode *
ht_located_node_lookup (HtLocatedNode *self, const char *key, HtLocatedNode **key_node)
{
  HtLocatedNode *value = NULL;

  if (self->kind == HT_LOCATED_MAPPING && self->by_key != NULL)
    value = g_hash_table_lookup (self->by_key, key);
  else if (self->kind == HT_LOCATED_MAPPING)
    {
      for (guint i = 0; value == NULL && i < self->children->len; i++)
        {
          HtLocatedNode *child = g_ptr_array_index (self->children, i);

          if (strcmp (child->key->text, key) == 0)
            value = child;
        }
    }
  if (key_node != NULL)
    *key_node = value != NULL ? value->key : NULL;
  return value;
}

const char *
ht_located_node_get_text (HtLocatedNode *self)
{
  return self->kind < HT_LOCATED_SEQUENCE ? self->text : NULL;
}

gboolean
ht_located_node_is_quoted (HtLocatedNode *self)
{
  return self->quoted;
}

char *
ht_located_node_get_path (HtLocatedNode *self)
{
  g_autoptr (GPtrArray) chain = g_ptr_array_new ();
  GString *path = g_string_new (NULL);

  for (HtLocatedNode *node = self; node->parent != NULL; node = node->parent)
    g_ptr_array_add (chain, node);
  for (guint i = chain->len; i-- > 0;)
    {
      HtLocatedNode *node = g_ptr_array_index (chain, i);

      if (node->parent->kind == HT_LOCATED_SEQUENCE)
        g_string_append_printf (path, "[%u]", node->index);
      else
        g_string_append_printf (path, "%s%s", path->len > 0 ? "." : "", (node->key != NULL ? node->key : node)->text);
    }
  return g_string_free (path, FALSE);
}

char *
ht_located_node_get_name (HtLocatedNode *self)
{
  if (self->parent == NULL)
    return g_strdup ("the text");
  if (self->parent->kind == HT_LOCATED_MAPPING)
    return g_strdup_printf ("'%s'", (self->key != NULL ? self->key : self)->text);
  if (self->parent->key != NULL)
    return g_strdup_printf ("item %u of '%s'", self->index + 1, self->parent->key->text);
  return g_strdup_printf ("item %u", self->index + 1);
}

char *
ht_located_node_describe (HtLocatedNode *self)
{
  switch (self->kind)
    {
    case HT_LOCATED_NULL:
      return g_strdup (self->text == NULL || *self->text == '\0' ? "empty" : "null");
    case HT_LOCATED_BOOLEAN:
      return g_strdup (self->text);
    case HT_LOCATED_INTEGER:
    case HT_LOCATED_NUMBER:
      return g_strdup_printf ("the number %s", self->text);
    case HT_LOCATED_SEQUENCE:
      return g_strdup ("a list");
    case HT_LOCATED_MAPPING:
      return g_strdup ("a mapping");
    case HT_LOCATED_STRING:
    default:
      if (g_utf8_strlen (self->text, -1) > 60)
        {
          g_autofree char *start = g_utf8_substring (self->text, 0, 60);

          return g_strdup_printf ("the text '%s…'", start);
        }
      return g_strdup_printf ("the text '%s'", self->text);
    }
}

static gboolean
wrong_type (HtLocatedNode *self, const char *expected, GError **error)
{
  g_autofree char *name = ht_located_node_get_name (self);
  g_autofree char *found = ht_located_node_describe (self);

  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "%s is %s, must be %s", name, found, expected);
  return FALSE;
}

const char *
ht_located_node_get_string (HtLocatedNode *self, GError **error)
{
  if (self->kind == HT_LOCATED_STRING)
    return self->text;
  wrong_type (self,
              self->kind == HT_LOCATED_BOOLEAN || self->kind == HT_LOCATED_INTEGER || self->kind == HT_LOCATED_NUMBER
                  ? "text: put it in quotes"
                  : "text",
              error);
  return NULL;
}

gboolean
ht_located_node_get_boolean (HtLocatedNode *self, gboolean *value, GError **error)
{
  if (self->kind != HT_LOCATED_BOOLEAN)
    return wrong_type (self, "true or false", error);
  *value = strcmp (self->text, "true") == 0;
  return TRUE;
}

static gboolean
out_of_range (HtLocatedNode *self, const char *range, GError **error)
{
  g_autofree char *name = ht_located_node_get_name (self);

  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "%s is %s, must be %s", name, self->text, range);
  return FALSE;
}

gboolean
ht_located_node_get_int64 (HtLocatedNode *self, gint64 minimum, gint64 maximum, gint64 *value, GError **error)
{
  gint64 number;

  if (self->kind != HT_LOCATED_INTEGER)
    return wrong_type (self, "an integer", error);
  errno = 0;
  number = g_ascii_strtoll (self->text, NULL, 10);
  if (errno != 0 || number < minimum || number > maximum)
    {
      g_autofree char *range = g_strdup_printf ("%" G_GINT64_FORMAT " … %" G_GINT64_FORMAT, minimum, maximum);

      return out_of_range (self, range, error);
    }
  *value = number;
  return TRUE;
}

gboolean
ht_located_node_get_uint64 (HtLocatedNode *self, guint64 minimum, guint64 maximum, guint64 *value, GError **error)
{
  guint64 number;

  if (self->kind != HT_LOCATED_INTEGER)
    return wrong_type (self, "an integer", error);
  errno = 0;
  number = g_ascii_strtoull (self->text, NULL, 10);
  /* strtoull() wraps negative numbers around. */
  if (errno != 0 || (self->text[0] == '-' && number != 0) || number < minimum || number > maximum)
    {
      g_autofree char *range = g_strdup_printf ("%" G_GUINT64_FORMAT " … %" G_GUINT64_FORMAT, minimum, maximum);

      return out_of_range (self, range, error);
    }
  *value = number;
  return TRUE;
}

gboolean
ht_located_node_get_double (HtLocatedNode *self, double minimum, double maximum, double *value, GError **error)
{
  double number;

  if (self->kind != HT_LOCATED_INTEGER && self->kind != HT_LOCATED_NUMBER)
    return wrong_type (self, "a number", error);
  number = g_ascii_strtod (self->text, NULL);
  if (!(number >= minimum && number <= maximum))
    {
      g_autofree char *range = g_strdup_printf ("%g … %g", minimum, maximum);

      return out_of_range (self, range, error);
    }
  *value = number;
  return TRUE;
}

gboolean
ht_located_node_check_kind (HtLocatedNode *self, HtLocatedKind kind, GError **error)
{
  static const char *const words[] = { "null", "true or false", "an integer", "a number", "text", "a list", "a mapping" };

  return self->kind == kind || wrong_type (self, words[kind], error);
}

static JsonNode *
scalar_to_json (HtLocatedNode *self, GError **error)
{
  JsonNode *node = json_node_new (self->kind == HT_LOCATED_NULL ? JSON_NODE_NULL : JSON_NODE_VALUE);
  gint64 integer;

  switch (self->kind)
    {
    case HT_LOCATED_NULL:
      break;
    case HT_LOCATED_BOOLEAN:
      json_node_set_boolean (node, strcmp (self->text, "true") == 0);
      break;
    case HT_LOCATED_INTEGER:
      if (!ht_located_node_get_int64 (self, G_MININT64, G_MAXINT64, &integer, error))
        {
          json_node_unref (node);
          return NULL;
        }
      json_node_set_int (node, integer);
      break;
    case HT_LOCATED_NUMBER:
      json_node_set_double (node, g_ascii_strtod (self->text, NULL));
      break;
    default:
      json_node_set_string (node, self->text);
    }
  return node;
}

/* The depth is bounded by the parser. */
JsonNode *
ht_located_node_to_json (HtLocatedNode *self, GError **error)
{
  g_autoptr (JsonNode) node = NULL;

  if (self->kind < HT_LOCATED_SEQUENCE)
    return scalar_to_json (self, error);
  node = json_node_new (self->kind == HT_LOCATED_SEQUENCE ? JSON_NODE_ARRAY : JSON_NODE_OBJECT);
  if (self->kind == HT_LOCATED_SEQUENCE)
    json_node_take_array (node, json_array_new ());
  else
    json_node_take_object (node, json_object_new ());
  for (guint i = 0; i < self->children->len; i++)
    {
      HtLocatedNode *child = g_ptr_array_index (self->children, i);
      JsonNode *value = ht_located_node_to_json (child, error);

      if (value == NULL)
        return NULL;
      if (self->kind == HT_LOCATED_SEQUENCE)
        json_array_add_element (json_node_get_array (node), value);
      else
        json_object_set_member (json_node_get_object (node), child->key->text, value);
    }
  return g_steal_pointer (&node);
}

void
ht_located_node_report (HtLocatedNode *self, GPtrArray *problems, HtSeverity severity, gint code, const char *format,
                        ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  if (self->broken)
    return;
  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  ht_source_text_report_message (self->document->source, problems, severity, code, self->offset, self->length, message);
}

void
ht_located_node_report_error (HtLocatedNode *self, GPtrArray *problems, gint code, GError *error)
{
  ht_located_node_report (self, problems, HT_SEVERITY_ERROR, error->domain == HT_RECIPE_ERROR ? error->code : code, "%s",
                          error->message);
  g_error_free (error);
}

void
ht_located_node_prefix_error (HtLocatedNode *self, GError **error)
{
  guint line, column;

  ht_source_text_locate (self->document->source, self->offset, &line, &column);
  g_prefix_error (error, "%s:%u:%u: ", self->document->source->file, line, column);
}
