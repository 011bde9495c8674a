/* SPDX-License-Identifier: MIT */
/* Parameters in a recipe: their names, types, ranges and defaults are those of the GParamSpecs, here is only the place. */
#include <string.h>

#include "recipe/recipe-private.h"

#include "base/param-family.h"

gboolean
ht_recipe_set_object_param (gpointer object, const char *name, JsonNode *value, GError **error)
{
  return ht_object_set_param (G_OBJECT (object), name, value, error);
}

static void
report_unknown_param (HtRecipeReader *reader, HtLocatedNode *key_node, const char *prefix, GObjectClass *klass)
{
  g_autoptr (GPtrArray) params = ht_object_list_params (klass);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *what = g_strdup_printf ("%sunknown parameter", prefix);

  for (guint i = 0; i < params->len; i++)
    g_ptr_array_add (names, (gpointer) ((GParamSpec *) g_ptr_array_index (params, i))->name);
  g_ptr_array_add (names, NULL);
  ht_recipe_report_unknown (reader, key_node, HT_RECIPE_ERROR_UNKNOWN_KEY, what, ht_located_node_get_text (key_node),
                            (const char *const *) names->pdata);
}

/* An error of one item of a list begins "'name[2]'": then the item is marked. */
static HtLocatedNode *
find_culprit (HtLocatedNode *value, const char *message)
{
  const char *bracket = strchr (message, '[');
  const char *quote = message[0] == '\'' ? strchr (message + 1, '\'') : NULL;
  guint64 index;

  if (ht_located_node_get_kind (value) != HT_LOCATED_SEQUENCE || bracket == NULL || quote == NULL || bracket > quote)
    return value;
  index = g_ascii_strtoull (bracket + 1, NULL, 10);
  return index < ht_located_node_get_n_children (value) ? ht_located_node_get_child (value, (guint) index) : value;
}

/* {name: {parameter: value}}: each part is checked where it stands. FALSE: something was reported, or it is of another
 * form, which the check of the whole value reports. */
static gboolean
check_member (HtRecipeReader *reader, HtLocatedNode *value, const char *prefix, const char *name,
              const HtParamFamily *family)
{
  guint n_before = reader->problems->len;
  HtLocatedNode *key_node, *params;
  g_autoptr (GObject) member = NULL;
  g_autofree char *member_prefix = NULL;
  GError *error = NULL;

  if (ht_located_node_get_kind (value) != HT_LOCATED_MAPPING || ht_located_node_get_n_children (value) != 1)
    return TRUE;
  key_node = ht_located_node_get_key_node (value, 0);
  params = ht_located_node_get_child (value, 0);
  member = ht_param_family_create (family, ht_located_node_get_text (key_node), &error);
  if (member == NULL)
    {
      g_prefix_error (&error, "%s'%s' ", prefix, name);
      ht_located_node_report_error (key_node, reader->problems, HT_RECIPE_ERROR_UNKNOWN_VALUE, error);
      return FALSE;
    }
  if (ht_located_node_get_kind (params) == HT_LOCATED_NULL)
    return TRUE;
  member_prefix = g_strdup_printf ("%s%s '%s': ", prefix, name, ht_located_node_get_text (key_node));
  ht_recipe_read_params (reader, params, member_prefix, G_OBJECT_GET_CLASS (member), ht_recipe_set_object_param,
                         member);
  return reader->problems->len == n_before;
}

static void
read_param (HtRecipeReader *reader, HtLocatedNode *value, const char *prefix, GParamSpec *pspec, HtRecipeSetFunc set,
            gpointer target)
{
  const HtParamFamily *family = ht_param_family_get (pspec);
  const char *name = pspec->name;
  g_autoptr (JsonNode) json = NULL;
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, value)
      || (family != NULL && !check_member (reader, value, prefix, name, family)))
    return;
  json = ht_located_node_to_json (value, &error);
  if (json != NULL && set (target, name, json, &error))
    return;
  value = find_culprit (value, error->message);
  g_prefix_error (&error, "%s", prefix);
  ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_UNKNOWN_VALUE, error);
}

void
ht_recipe_read_params (HtRecipeReader *reader, HtLocatedNode *node, const char *prefix, GObjectClass *klass,
                       HtRecipeSetFunc set, gpointer target)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  if (ht_recipe_refuse_search (reader, node))
    return;
  if (ht_located_node_get_kind (node) != HT_LOCATED_MAPPING)
    {
      g_autofree char *found = ht_located_node_describe (node);

      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                              "%sthis is %s, must be a mapping of parameters", prefix, found);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *key_node = ht_located_node_get_key_node (node, i);
      HtLocatedNode *value = ht_located_node_get_child (node, i);
      const char *key = ht_located_node_get_text (key_node);
      GParamSpec *pspec = ht_object_find_param (klass, key);
      HtLocatedNode *other;

      if (pspec == NULL)
        {
          report_unknown_param (reader, key_node, prefix, klass);
          continue;
        }
      if (ht_located_node_lookup (node, key, NULL) != value)
        continue; /* a repeated key, reported already */
      other = g_hash_table_lookup (seen, pspec->name);
      if (other != NULL)
        {
          ht_located_node_report (key_node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY,
                                  "%s'%s' and '%s' (line %u) are one parameter: remove one", prefix, key,
                                  ht_located_node_get_text (other), ht_located_node_get_line (other));
          continue;
        }
      g_hash_table_insert (seen, (gpointer) pspec->name, key_node);
      read_param (reader, value, prefix, pspec, set, target);
    }
}
