/* SPDX-License-Identifier: MIT */
/* The means that all sections of a recipe are read with: mappings by tables of keys, typed values, parameters. */
#include <string.h>

#include "recipe/recipe-private.h"

void
ht_recipe_report_unknown (HtRecipeReader *reader, HtLocatedNode *node, gint code, const char *what, const char *word,
                          const char *const *known)
{
  const char *near = ht_suggest (word, known);
  g_autofree char *all = g_strjoinv (", ", (char **) known);
  g_autofree char *hint = near != NULL ? g_strdup_printf ("; did you mean '%s'?", near) : g_strdup ("");

  ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, code, "%s '%s'%s (known: %s)", what, word, hint,
                          *all != '\0' ? all : "none");
}

gboolean
ht_recipe_refuse_search (HtRecipeReader *reader, HtLocatedNode *node)
{
  static const char *const known[] = { "$choice", "$int", "$float", NULL };
  const char *key;

  if (ht_located_node_get_kind (node) != HT_LOCATED_MAPPING || ht_located_node_get_n_children (node) == 0)
    return FALSE;
  key = ht_located_node_get_key (node, 0);
  if (key[0] != '$')
    return FALSE;
  if (g_strv_contains (known, key))
    ht_located_node_report (ht_located_node_get_key_node (node, 0), reader->problems, HT_SEVERITY_ERROR,
                            HT_RECIPE_ERROR_NOT_SUPPORTED,
                            "values for a search ('%s') stand in 'quantization' and in the parameters of steps of a "
                            "recipe for 'halftone search'; here, write one value",
                            key);
  else
    ht_recipe_report_unknown (reader, ht_located_node_get_key_node (node, 0), HT_RECIPE_ERROR_UNKNOWN_KEY,
                              "unknown key", key, known);
  return TRUE;
}

static const HtRecipeKey *
find_key (const HtRecipeKey *keys, const char *name)
{
  for (; keys->name != NULL; keys++)
    {
      if (strcmp (keys->name, name) == 0)
        return keys;
    }
  return NULL;
}

static void
report_unknown_key (HtRecipeReader *reader, HtLocatedNode *key_node, const char *what, const HtRecipeKey *keys)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *subject = g_strdup_printf ("unknown key in %s:", what);

  for (; keys->name != NULL; keys++)
    g_ptr_array_add (names, (gpointer) keys->name);
  g_ptr_array_add (names, NULL);
  ht_recipe_report_unknown (reader, key_node, HT_RECIPE_ERROR_UNKNOWN_KEY, subject, ht_located_node_get_text (key_node),
                            (const char *const *) names->pdata);
}

/* Never called: a mark that ht_recipe_read_mapping() knows, as the key is what is reported. */
void
ht_recipe_key_for_search (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
}

gboolean
ht_recipe_read_mapping (HtRecipeReader *reader, HtLocatedNode *node, const char *what, const HtRecipeKey *keys,
                        gpointer section)
{
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, node))
    return FALSE;
  if (!ht_located_node_check_kind (node, HT_LOCATED_MAPPING, &error))
    {
      ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return FALSE;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *key_node = ht_located_node_get_key_node (node, i);
      HtLocatedNode *value = ht_located_node_get_child (node, i);
      const HtRecipeKey *key = find_key (keys, ht_located_node_get_text (key_node));

      if (key == NULL)
        report_unknown_key (reader, key_node, what, keys);
      else if (key->read == NULL)
        ht_located_node_report (key_node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_NOT_SUPPORTED,
                                "'%s' is not yet supported here: leave it out", key->name);
      else if (key->read == ht_recipe_key_for_search)
        ht_located_node_report (key_node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_NOT_SUPPORTED,
                                "'%s' makes several recipes of this one: give it to 'halftone search', or leave it out",
                                key->name);
      /* Of a key that is given twice, which is reported already, the first value counts. */
      else if (ht_located_node_lookup (node, key->name, NULL) == value)
        key->read (reader, value, section);
    }
  return TRUE;
}

const char *
ht_recipe_read_text (HtRecipeReader *reader, HtLocatedNode *node)
{
  GError *error = NULL;
  const char *text;

  if (ht_recipe_refuse_search (reader, node))
    return NULL;
  text = ht_located_node_get_string (node, &error);
  if (text == NULL)
    ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
  else if (*text == '\0')
    {
      g_autofree char *name = ht_located_node_get_name (node);

      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "%s is empty",
                              name);
      return NULL;
    }
  return text;
}

gboolean
ht_recipe_read_enum (HtRecipeReader *reader, HtLocatedNode *node, GType type, const char *what, gint *value)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (type);
  const char *word = ht_recipe_read_text (reader, node);
  const GEnumValue *found = word != NULL ? g_enum_get_value_by_nick (klass, word) : NULL;
  g_autoptr (GPtrArray) known = g_ptr_array_new ();

  if (found != NULL)
    *value = found->value;
  if (word == NULL || found != NULL)
    return found != NULL;
  for (guint i = 0; i < klass->n_values; i++)
    g_ptr_array_add (known, (gpointer) klass->values[i].value_nick);
  g_ptr_array_add (known, NULL);
  ht_recipe_report_unknown (reader, node, HT_RECIPE_ERROR_UNKNOWN_VALUE, what, word, (const char *const *) known->pdata);
  return FALSE;
}

gboolean
ht_recipe_read_boolean (HtRecipeReader *reader, HtLocatedNode *node, gboolean *value)
{
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, node))
    return FALSE;
  if (ht_located_node_get_boolean (node, value, &error))
    return TRUE;
  ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
  return FALSE;
}

gboolean
ht_recipe_read_count (HtRecipeReader *reader, HtLocatedNode *node, guint maximum, guint *value)
{
  GError *error = NULL;
  guint64 number;

  if (ht_recipe_refuse_search (reader, node))
    return FALSE;
  if (!ht_located_node_get_uint64 (node, 1, maximum, &number, &error))
    {
      ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return FALSE;
    }
  *value = (guint) number;
  return TRUE;
}

char *
ht_recipe_resolve (HtRecipe *recipe, const char *path)
{
  if (g_path_is_absolute (path) || strcmp (recipe->folder, ".") == 0)
    return g_strdup (path);
  return g_build_filename (recipe->folder, path, NULL);
}

char *
ht_recipe_read_path (HtRecipeReader *reader, HtLocatedNode *node, gboolean must_exist)
{
  const char *text = ht_recipe_read_text (reader, node);
  g_autofree char *resolved = NULL;

  if (text == NULL)
    return NULL;
  resolved = ht_recipe_resolve (reader->recipe, text);
  if (must_exist && !g_file_test (resolved, G_FILE_TEST_EXISTS))
    ht_located_node_report (node, reader->problems, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "there is no file '%s' (paths are relative to the recipe)", resolved);
  return g_strdup (text);
}
