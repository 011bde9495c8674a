/* SPDX-License-Identifier: MIT */
#include "recipe/recipe-set.h"

#include "base/located-substitute.h"

#include <halftone/error.h>
#include <string.h>

typedef struct
{
  HtLocatedNode *place;
  HtLocatedNode *value;
} Setting;

static gboolean
is_single (HtLocatedNode *node)
{
  HtLocatedKind kind = ht_located_node_get_kind (node);
  return kind != HT_LOCATED_MAPPING && kind != HT_LOCATED_SEQUENCE;
}

static HtLocatedNode *
find_place (HtLocatedDocument *document, const char *path, GError **error)
{
  HtLocatedNode *node = ht_located_document_get_root (document);
  g_auto (GStrv) keys = g_strsplit (path, ".", -1);
  for (char **key = keys; *key != NULL && node != NULL; key++)
    node = ht_located_node_get_kind (node) == HT_LOCATED_MAPPING ? ht_located_node_lookup (node, *key, NULL) : NULL;
  if (node != NULL && is_single (node))
    return node;
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND, "cannot set '%s': '%s' has no single value there; %s", path,
               ht_located_document_get_file (document),
               node != NULL ? "name the key of one value" : "write a value there, which is then replaced");
  return NULL;
}

static HtLocatedNode *
replace (HtLocatedDocument *copy, HtLocatedNode *node, gpointer user_data)
{
  Setting *setting = user_data;
  if (node != setting->place)
    return node;
  return ht_located_document_add_scalar (copy, node, ht_located_node_get_kind (setting->value),
                                         ht_located_node_get_text (setting->value));
}

static HtLocatedDocument *
set_value (HtLocatedDocument *document, const char *text, GError **error)
{
  const char *equals = strchr (text, '=');
  g_autofree char *path = equals != NULL ? g_strndup (text, (gsize)(equals - text)) : NULL;
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtLocatedDocument) value
      = equals != NULL ? ht_located_document_parse (equals + 1, -1, path, problems) : NULL;
  HtLocatedNode *root = value != NULL ? ht_located_document_get_root (value) : NULL;
  if (root == NULL || !is_single (root) || ht_located_node_get_text (root) == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "cannot set '%s': it is no KEY=VALUE with a single value, as in quantization.weights.bits=4", text);
      return NULL;
    }
  Setting setting = { find_place (document, path, error), root };
  return setting.place != NULL
             ? ht_located_node_substitute (ht_located_document_get_root (document), replace, &setting)
             : NULL;
}

HtLocatedDocument *
ht_recipe_set_values (HtLocatedDocument *document, const char *const *settings, GError **error)
{
  HtLocatedDocument *current = ht_located_document_ref (document);
  for (; settings != NULL && *settings != NULL; settings++)
    {
      HtLocatedDocument *next = set_value (current, *settings, error);
      ht_located_document_unref (current);
      if (next == NULL)
        return NULL;
      current = next;
    }
  return current;
}
