/* SPDX-License-Identifier: MIT */
/* Properties to recipe values. */
#include "base/param-family.h"
#include "base/param-private.h"

#include <halftone/error.h>

#include <math.h>

static JsonNode *
integer_to_json (const GValue *value)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);

  if (G_VALUE_HOLDS_INT (value))
    json_node_set_int (node, g_value_get_int (value));
  else if (G_VALUE_HOLDS_UINT (value))
    json_node_set_int (node, g_value_get_uint (value));
  else if (G_VALUE_HOLDS_INT64 (value))
    json_node_set_int (node, g_value_get_int64 (value));
  else if (g_value_get_uint64 (value) <= (guint64)G_MAXINT64)
    json_node_set_int (node, (gint64)g_value_get_uint64 (value));
  else
    g_clear_pointer (&node, json_node_unref);
  return node;
}

static JsonNode *
text_to_json (const char *text)
{
  JsonNode *node = json_node_new (text != NULL ? JSON_NODE_VALUE : JSON_NODE_NULL);
  if (text != NULL)
    json_node_set_string (node, text);
  return node;
}

static JsonNode *
flags_to_json (GParamSpec *pspec, const GValue *value)
{
  GFlagsClass *klass = G_PARAM_SPEC_FLAGS (pspec)->flags_class;
  guint left = g_value_get_flags (value);
  JsonArray *list = json_array_new ();

  for (guint i = 0; i < klass->n_values; i++)
    {
      guint bits = klass->values[i].value;
      if (bits != 0 && (left & bits) == bits)
        {
          json_array_add_string_element (list, klass->values[i].value_nick);
          left &= ~bits;
        }
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, list);
  if (left != 0)
    g_clear_pointer (&node, json_node_unref);
  return node;
}

static JsonNode *
list_to_json (HtParamKind kind, const GValue *value)
{
  JsonArray *list = json_array_new ();
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);

  json_node_take_array (node, list);
  if (kind == HT_PARAM_KIND_TEXTS)
    {
      const char *const *texts = g_value_get_boxed (value);
      for (gsize i = 0; texts != NULL && texts[i] != NULL; i++)
        json_array_add_string_element (list, texts[i]);
      return node;
    }
  GVariant *variant = g_value_get_variant (value);
  for (gsize i = 0; variant != NULL && i < g_variant_n_children (variant); i++)
    {
      g_autoptr (GVariant) item = g_variant_get_child_value (variant, i);
      if (kind == HT_PARAM_KIND_LIST_INTEGER)
        json_array_add_int_element (list, g_variant_get_int32 (item));
      else if (kind == HT_PARAM_KIND_LIST_NUMBER)
        json_array_add_double_element (list, g_variant_get_double (item));
      else
        json_array_add_string_element (list, g_variant_get_string (item, NULL));
    }
  return node;
}

JsonNode *
ht_param_value_to_json (GParamSpec *pspec, const GValue *value)
{
  HtParamKind kind = ht_param_spec_get_kind (pspec);
  JsonNode *node;
  GEnumValue *enum_value;

  pspec = ht_param_spec_resolve (pspec);
  switch (kind)
    {
    case HT_PARAM_KIND_BOOLEAN:
      node = json_node_new (JSON_NODE_VALUE);
      json_node_set_boolean (node, g_value_get_boolean (value));
      return node;
    case HT_PARAM_KIND_INTEGER:
      return integer_to_json (value);
    case HT_PARAM_KIND_NUMBER:
      if (!isfinite (g_value_get_double (value)))
        return NULL;
      node = json_node_new (JSON_NODE_VALUE);
      json_node_set_double (node, g_value_get_double (value));
      return node;
    case HT_PARAM_KIND_TEXT:
      return text_to_json (g_value_get_string (value));
    case HT_PARAM_KIND_ENUM:
      enum_value = g_enum_get_value (G_PARAM_SPEC_ENUM (pspec)->enum_class, g_value_get_enum (value));
      return enum_value != NULL ? text_to_json (enum_value->value_nick) : NULL;
    case HT_PARAM_KIND_FLAGS:
      return flags_to_json (pspec, value);
    case HT_PARAM_KIND_TEXTS:
    case HT_PARAM_KIND_LIST_INTEGER:
    case HT_PARAM_KIND_LIST_NUMBER:
    case HT_PARAM_KIND_LIST_TEXT:
      return list_to_json (kind, value);
    case HT_PARAM_KIND_FAMILY:
      return ht_param_family_to_json (ht_param_family_get (pspec), g_value_get_object (value));
    case HT_PARAM_KIND_UNSUPPORTED:
    default:
      return NULL;
    }
}

/**
 * ht_object_get_param:
 * @object: an object with parameters
 * @name: the name of a parameter
 * @error: return location for an error
 *
 * Reads a parameter, in the form that ht_object_set_param() takes. Fails with %HT_ERROR_NOT_FOUND where there is no
 * such parameter and with %HT_ERROR_FAILED where its value has no JSON form.
 *
 * Returns: (transfer full) (nullable): the value, or %NULL on failure
 */
JsonNode *
ht_object_get_param (GObject *object, const char *name, GError **error)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_return_val_if_fail (G_IS_OBJECT (object), NULL);
  g_return_val_if_fail (name != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  GParamSpec *pspec = ht_object_find_param (G_OBJECT_GET_CLASS (object), name);
  if (pspec == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND, "%s has no parameter '%s'", G_OBJECT_TYPE_NAME (object), name);
      return NULL;
    }
  g_value_init (&value, G_PARAM_SPEC_VALUE_TYPE (pspec));
  g_object_get_property (object, pspec->name, &value);
  JsonNode *node = ht_param_value_to_json (pspec, &value);
  if (node == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "the value of parameter '%s' of %s has no JSON form", pspec->name,
                 G_OBJECT_TYPE_NAME (object));
  return node;
}

/**
 * ht_object_params_to_json:
 * @object: an object with parameters
 *
 * Collects all parameters with their values, defaults included, in the order of ht_object_list_params(). A value
 * without a JSON form is null.
 *
 * Returns: (transfer full): a JSON object
 */
JsonNode *
ht_object_params_to_json (GObject *object)
{
  g_autoptr (GPtrArray) params = NULL;

  g_return_val_if_fail (G_IS_OBJECT (object), NULL);

  params = ht_object_list_params (G_OBJECT_GET_CLASS (object));
  JsonObject *members = json_object_new ();
  for (guint i = 0; i < params->len; i++)
    {
      GParamSpec *pspec = g_ptr_array_index (params, i);
      JsonNode *value = ht_object_get_param (object, pspec->name, NULL);
      json_object_set_member (members, pspec->name, value != NULL ? value : json_node_new (JSON_NODE_NULL));
    }
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, members);
  return node;
}
