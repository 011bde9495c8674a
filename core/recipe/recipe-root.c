/* SPDX-License-Identifier: MIT */
/* The keys of a recipe itself, and its `output`. */
#include <string.h>

#include "recipe/recipe-private.h"

#include <halftone/enums.h>

static void
read_version (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  const char *text = ht_located_node_get_text (value);

  if (text == NULL || strcmp (text, HT_RECIPE_VERSION) != 0)
    ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_VERSION,
                            "this recipe is of format version '%s', this program reads \"" HT_RECIPE_VERSION "\"",
                            text != NULL ? text : "?");
  else
    ht_recipe_read_text (reader, value);
}

/* The output files bear the name: it may lead to no other folder, hide none of them, and fit with what is appended. */
static gboolean
is_file_name (const char *text)
{
  gboolean plain = *text != '.' && strlen (text) <= 200;

  for (const char *c = text; *c != '\0'; c++)
    plain &= !G_IS_DIR_SEPARATOR (*c) && !g_ascii_iscntrl (*c);
  return plain;
}

static void
read_name (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  const char *text = ht_recipe_read_text (reader, value);

  if (text == NULL)
    return;
  if (!is_file_name (text))
    {
      ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                              "the output files take this name: it must not begin with '.', hold '/' or control "
                              "characters, or have more than 200 bytes; 'output: {directory: …}' says where they go");
      return;
    }
  g_free (reader->recipe->name);
  reader->recipe->name = g_strdup (text);
}

static void
read_model (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipe *recipe = reader->recipe;

  recipe->model = ht_recipe_read_path (reader, value, TRUE);
  if (recipe->model != NULL)
    recipe->model_path = ht_recipe_resolve (recipe, recipe->model);
}

static void
read_seed (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, value))
    return;
  /* What JSON writers hold. */
  if (!ht_located_node_get_uint64 (value, 0, G_MAXINT64, &reader->recipe->seed, &error))
    ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
}

const char *const ht_recipe_output_formats[]
    = { "onnx", "onnx-qdq", "encodings-0.6.1", "encodings-1.0.0", "encodings-2.0.0", NULL };
const char *const ht_recipe_report_formats[] = { "html", "json", NULL };

/* A list of words out of `known`, each at most once. */
static char **
read_words (HtRecipeReader *reader, HtLocatedNode *node, const char *what, const char *const *known)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, node))
    return NULL;
  if (!ht_located_node_check_kind (node, HT_LOCATED_SEQUENCE, &error))
    {
      ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return NULL;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *item = ht_located_node_get_child (node, i);
      const char *word = ht_recipe_read_text (reader, item);

      if (word == NULL)
        continue;
      if (!g_strv_contains (known, word))
        {
          g_autofree char *subject = g_strdup_printf ("unknown %s", what);

          ht_recipe_report_unknown (reader, item, HT_RECIPE_ERROR_UNKNOWN_VALUE, subject, word, known);
        }
      else if (g_ptr_array_find_with_equal_func (words, word, g_str_equal, NULL))
        ht_located_node_report (item, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY,
                                "the %s '%s' is given twice: remove one", what, word);
      else
        g_ptr_array_add (words, (gpointer) word);
    }
  g_ptr_array_add (words, NULL);
  return g_strdupv ((char **) words->pdata);
}

static void
read_directory (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  char *path = ht_recipe_read_path (reader, value, FALSE);

  if (path == NULL)
    return;
  g_free (reader->recipe->output);
  reader->recipe->output = path;
}

static void
read_formats (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  char **words = read_words (reader, value, "output format", ht_recipe_output_formats);

  if (words == NULL)
    return;
  g_strfreev (reader->recipe->formats);
  reader->recipe->formats = words;
}

static void
read_reports (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  char **words = read_words (reader, value, "report format", ht_recipe_report_formats);

  if (words == NULL)
    return;
  g_strfreev (reader->recipe->reports);
  reader->recipe->reports = words;
}

static void
read_qdq_weights (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  gint weights;

  if (ht_recipe_read_enum (reader, value, HT_TYPE_QDQ_WEIGHTS, "unknown way of storing weights", &weights))
    reader->recipe->qdq_weights = (HtQdqWeights) weights;
}

static void
read_qdq (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "weights", read_qdq_weights },
    { NULL, NULL },
  };

  ht_recipe_read_mapping (reader, value, "'output.qdq'", keys, NULL);
}

void
ht_recipe_read_output (HtRecipeReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "directory", read_directory },
    { "formats", read_formats },
    { "qdq", read_qdq },
    { "report", read_reports },
    { NULL, NULL },
  };

  ht_recipe_read_mapping (reader, node, "'output'", keys, NULL);
}

void
ht_recipe_read_root (HtRecipeReader *reader, HtLocatedNode *root)
{
  static const HtRecipeKey keys[] = {
    { "recipe", read_version },
    { "name", read_name },
    { "model", read_model },
    { "seed", read_seed },
    { "data", ht_recipe_read_data },
    { "quantization", ht_recipe_read_quantization },
    { "pipeline", ht_recipe_read_pipeline },
    { "output", ht_recipe_read_output },
    { "forbid", ht_recipe_read_forbid },
    { "objective", ht_recipe_read_objective },
    { "search", ht_recipe_read_search },
    { NULL, NULL },
  };

  if (ht_located_node_get_kind (root) != HT_LOCATED_MAPPING)
    {
      g_autofree char *found = ht_located_node_describe (root);

      ht_located_node_report (root, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                              "this is %s, not a recipe: a recipe is a mapping that begins with recipe: \"%s\"", found,
                              HT_RECIPE_VERSION);
      return;
    }
  if (ht_located_node_lookup (root, "recipe", NULL) == NULL)
    ht_located_node_report (root, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "the key 'recipe' is missing: begin with recipe: \"%s\"", HT_RECIPE_VERSION);
  ht_recipe_read_mapping (reader, root, "the recipe", keys, NULL);
  ht_recipe_check_plan (reader);
  ht_recipe_check_objective (reader);
  if (!reader->in_space)
    ht_recipe_check_forbid (reader, reader->recipe->steps);
}
