/* SPDX-License-Identifier: MIT */
#include "base/param-family.h"

#include "base/param-private.h"

#include <halftone/error.h>

static GQuark
family_quark (void)
{
  return g_quark_from_static_string ("halftone-param-family");
}

void
ht_param_family_register (GType base, const HtParamFamily *family)
{
  g_type_set_qdata (base, family_quark (), (gpointer)family);
}

const HtParamFamily *
ht_param_family_get (GParamSpec *pspec)
{
  pspec = ht_param_spec_resolve (pspec);
  return G_IS_PARAM_SPEC_OBJECT (pspec) ? g_type_get_qdata (pspec->value_type, family_quark ()) : NULL;
}

static void
report_unknown (const HtParamFamily *family, const char *name, const char *reason, GError **error)
{
  g_auto (GStrv) known = family->list ();
  g_autofree char *list = g_strjoinv (", ", known);
  g_autofree char *shown = ht_param_describe_text (name);
  const char *near = ht_suggest (name, (const char *const *)known);

  if (reason != NULL)
    g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_OPEN, "is %s, %s", shown, reason);
  else
    g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "is %s, must be one of %s (default %s)%s%s%s",
                 shown, list, family->fallback, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                 near != NULL ? "'?" : "");
}

GObject *
ht_param_family_create (const HtParamFamily *family, const char *name, GError **error)
{
  g_autofree char *reason = NULL;
  GType type = family->find (name, &reason);

  if (type != G_TYPE_INVALID)
    return g_object_new (type, NULL);
  report_unknown (family, name, reason, error);
  return NULL;
}

static gboolean
set_params (GObject *object, const char *name, JsonNode *params, GError **error)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  if (JSON_NODE_HOLDS_NULL (params))
    return TRUE;
  if (!JSON_NODE_HOLDS_OBJECT (params))
    {
      g_autofree char *found = ht_param_describe_json (params);
      g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                   "has %s behind '%s', must be a mapping of parameters", found, name);
      return FALSE;
    }
  json_object_iter_init_ordered (&iter, json_node_get_object (params));
  while (json_object_iter_next_ordered (&iter, &key, &value))
    if (!ht_object_set_param (object, key, value, error))
      {
        g_prefix_error (error, "'%s': ", name);
        return FALSE;
      }
  return TRUE;
}

GObject *
ht_param_family_from_json (const HtParamFamily *family, JsonNode *node, GError **error)
{
  g_autoptr (GObject) object = NULL;
  g_autoptr (GList) names = NULL;

  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    return ht_param_family_create (family, json_node_get_string (node), error);
  if (!JSON_NODE_HOLDS_OBJECT (node) || json_object_get_size (json_node_get_object (node)) != 1)
    {
      g_auto (GStrv) known = family->list ();
      g_autofree char *list = g_strjoinv (", ", known);
      g_autofree char *found = ht_param_describe_json (node);
      gboolean several = JSON_NODE_HOLDS_OBJECT (node);
      g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                   "is %s%s, must be one of %s (default %s), or {name: {parameter: value}}", found,
                   several ? " with another number of keys than one" : "", list, family->fallback);
      return NULL;
    }
  names = json_object_get_members (json_node_get_object (node));
  object = ht_param_family_create (family, names->data, error);
  if (object == NULL
      || !set_params (object, names->data, json_object_get_member (json_node_get_object (node), names->data), error))
    return NULL;
  return g_steal_pointer (&object);
}

JsonNode *
ht_param_family_to_json (const HtParamFamily *family, GObject *object)
{
  const char *name = object != NULL ? family->get_name (G_OBJECT_TYPE (object)) : family->fallback;
  g_autoptr (JsonNode) params = object != NULL ? ht_object_params_to_json (object) : NULL;
  JsonNode *node;

  if (params == NULL || json_object_get_size (json_node_get_object (params)) == 0)
    {
      node = json_node_new (JSON_NODE_VALUE);
      json_node_set_string (node, name);
      return node;
    }
  JsonObject *members = json_object_new ();
  json_object_set_member (members, name, g_steal_pointer (&params));
  node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, members);
  return node;
}
