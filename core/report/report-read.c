/* SPDX-License-Identifier: MIT */
#include "report/report-read.h"

#include <math.h>

static JsonNode *
find (JsonObject *object, const char *name)
{
  return object != NULL ? json_object_get_member (object, name) : NULL;
}

static double
read_number (JsonNode *node, double fallback)
{
  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node))
    return fallback;
  switch (json_node_get_value_type (node))
    {
    case G_TYPE_INT64:
      return (double)json_node_get_int (node);
    case G_TYPE_DOUBLE:
      return json_node_get_double (node);
    case G_TYPE_STRING:
      if (g_str_equal (json_node_get_string (node), "infinite"))
        return INFINITY;
      if (g_str_equal (json_node_get_string (node), "-infinite"))
        return -INFINITY;
      return fallback;
    default:
      return fallback;
    }
}

double
ht_report_get_number (JsonObject *object, const char *name, double fallback)
{
  return read_number (find (object, name), fallback);
}

const char *
ht_report_get_string (JsonObject *object, const char *name, const char *fallback)
{
  JsonNode *node = find (object, name);
  gboolean is_string = node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
  return is_string ? json_node_get_string (node) : fallback;
}

gboolean
ht_report_get_flag (JsonObject *object, const char *name)
{
  JsonNode *node = find (object, name);
  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN
         && json_node_get_boolean (node);
}

JsonObject *
ht_report_get_object (JsonObject *object, const char *name)
{
  JsonNode *node = find (object, name);
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonArray *
ht_report_get_array (JsonObject *object, const char *name)
{
  JsonNode *node = find (object, name);
  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

guint
ht_report_get_length (JsonArray *array)
{
  return array != NULL ? json_array_get_length (array) : 0;
}

JsonObject *
ht_report_get_element (JsonArray *array, guint index)
{
  JsonNode *node = index < ht_report_get_length (array) ? json_array_get_element (array, index) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

double
ht_report_get_element_number (JsonArray *array, guint index, double fallback)
{
  return index < ht_report_get_length (array) ? read_number (json_array_get_element (array, index), fallback)
                                              : fallback;
}

GList *
ht_report_list_members (JsonObject *object)
{
  return object != NULL ? json_object_get_members (object) : NULL;
}

char *
ht_report_format_value (JsonNode *node)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  if (JSON_NODE_HOLDS_NULL (node))
    return g_strdup ("–");
  if (!JSON_NODE_HOLDS_VALUE (node))
    return json_to_string (node, FALSE);
  switch (json_node_get_value_type (node))
    {
    case G_TYPE_INT64:
      return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
    case G_TYPE_DOUBLE:
      return g_strdup (g_ascii_formatd (text, sizeof text, "%.5g", json_node_get_double (node)));
    case G_TYPE_BOOLEAN:
      return g_strdup (json_node_get_boolean (node) ? "yes" : "no");
    default:
      return g_strdup (json_node_get_string (node));
    }
}
