/* SPDX-License-Identifier: MIT */
/* The section `data`. */
#include <string.h>

#include "recipe/recipe-private.h"

static void
read_preprocess (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtPreprocess *preprocess = reader->recipe->preprocess;

  ht_recipe_read_params (reader, value, "preprocess: ", G_OBJECT_GET_CLASS (preprocess), ht_recipe_set_object_param,
                         preprocess);
}

static void
add_file (HtRecipeReader *reader, HtRecipeSource *source, const char *input, HtLocatedNode *node)
{
  const char *text = ht_located_node_get_text (node);
  gboolean is_text = text != NULL && ht_located_node_get_kind (node) == HT_LOCATED_STRING && *text != '\0';
  gboolean is_npz = is_text && g_str_has_suffix (text, ".npz");
  char *path;

  if (is_text && !is_npz && !g_str_has_suffix (text, ".npy"))
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "'%s' is no data file: arrays are read from .npy and .npz files", text);
  else if (is_npz && *input != '\0')
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "input '%s' needs a .npy file: an .npz file holds the arrays of all inputs and is given "
                            "alone, as path: %s",
                            input, text);
  else if ((path = ht_recipe_read_path (reader, node, TRUE)) != NULL)
    {
      g_ptr_array_add (source->inputs, g_strdup (input));
      g_ptr_array_add (source->paths, path);
    }
}

static void
read_path (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipeSource *source = section;

  if (ht_recipe_refuse_search (reader, value))
    return;
  if (ht_located_node_get_kind (value) != HT_LOCATED_MAPPING)
    {
      add_file (reader, source, "", value);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (value); i++)
    {
      const char *input = ht_located_node_get_key (value, i);
      HtLocatedNode *file = ht_located_node_get_child (value, i);

      if (ht_located_node_lookup (value, input, NULL) != file)
        continue; /* a repeated key, reported already */
      if (*input == '\0')
        ht_located_node_report (ht_located_node_get_key_node (value, i), reader->problems, HT_SEVERITY_ERROR,
                                HT_RECIPE_ERROR_UNKNOWN_VALUE, "the name of the input is empty");
      else
        add_file (reader, source, input, file);
    }
  if (ht_located_node_get_n_children (value) == 0)
    ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "'path' names no file: write path: file.npy, or {input: file.npy, …}");
}

static void
read_labels (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipeSource *source = section;

  g_free (source->labels);
  source->labels = ht_recipe_read_path (reader, value, TRUE);
}

static void
read_samples (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ht_recipe_read_count (reader, value, G_MAXINT32, &((HtRecipeSource *) section)->samples);
}

static void
read_batch (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ht_recipe_read_count (reader, value, HT_RECIPE_MAX_BATCH, &((HtRecipeSource *) section)->batch);
}

/* A path of the program that is not absolute is the recipe's, where such a file is there; else the shell's. */
static void
read_command (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipeSource *source = section;
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  gboolean has_model = FALSE;
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, value))
    return;
  if (!ht_located_node_check_kind (value, HT_LOCATED_SEQUENCE, &error))
    {
      ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (value); i++)
    {
      const char *word = ht_recipe_read_text (reader, ht_located_node_get_child (value, i));

      if (word == NULL)
        return;
      has_model |= strstr (word, "{model}") != NULL;
      g_ptr_array_add (words, g_strdup (word));
    }
  if (words->len == 0 || !has_model)
    {
      ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                              words->len == 0
                                  ? "'command' is empty: give a program and its arguments, as in [./judge, \"{model}\"]"
                                  : "'command' never says \"{model}\": the program must be told which file to judge");
      return;
    }
  g_ptr_array_add (words, NULL);
  source->command = (char **)g_ptr_array_steal (words, NULL);
}

static void
read_timeout (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ht_recipe_read_duration (reader, value, &((HtRecipeSource *)section)->timeout);
}

/* A program has its own data. */
static void
check_command (HtRecipeReader *reader, HtLocatedNode *node)
{
  static const char *const others[] = { "path", "labels", "samples", "batch" };
  HtLocatedNode *key = NULL;

  if (ht_located_node_lookup (node, "command", NULL) == NULL)
    {
      if (ht_located_node_lookup (node, "timeout", &key) != NULL)
        ht_located_node_report (key, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                                "'timeout' is for a 'command', and there is none: leave it out");
      return;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    if (ht_located_node_lookup (node, others[i], &key) != NULL)
      ht_located_node_report (key, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                              "'%s' and 'command' exclude each other: the program has its own data", others[i]);
}

static void
read_source (HtRecipeReader *reader, HtLocatedNode *node, HtDataRole role, const HtRecipeKey *keys, const char *what)
{
  HtRecipeSource *source = &reader->recipe->sources[role];

  source->given = TRUE;
  if (!ht_recipe_read_mapping (reader, node, what, keys, source))
    return;
  if (ht_located_node_lookup (node, "path", NULL) == NULL && ht_located_node_lookup (node, "command", NULL) == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "%s has no 'path': give the file with its arrays", what);
}

static void
read_calibration (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "path", read_path },
    { "labels", read_labels },
    { "samples", read_samples },
    { "batch", read_batch },
    { NULL, NULL },
  };

  read_source (reader, value, HT_DATA_CALIBRATION, keys, "'calibration'");
}

static void
read_evaluation (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "path", read_path },
    { "labels", read_labels },
    { "samples", read_samples },
    { "batch", read_batch },
    { "command", read_command },
    { "timeout", read_timeout },
    { NULL, NULL },
  };

  read_source (reader, value, HT_DATA_EVALUATION, keys, "'evaluation'");
  check_command (reader, value);
}

static void
read_training (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "path", read_path },
    { "labels", read_labels },
    { "samples", read_samples },
    { "batch", read_batch },
    { "augment", NULL },
    { NULL, NULL },
  };

  read_source (reader, value, HT_DATA_TRAINING, keys, "'training'");
}

void
ht_recipe_read_data (HtRecipeReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "preprocess", read_preprocess },
    { "calibration", read_calibration },
    { "evaluation", read_evaluation },
    { "training", read_training },
    { NULL, NULL },
  };

  ht_recipe_read_mapping (reader, node, "'data'", keys, NULL);
}
