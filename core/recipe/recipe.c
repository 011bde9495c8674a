/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "recipe/recipe-private.h"

/**
 * HtRecipe:
 *
 * A checked recipe: model, data, quantization settings, pipeline and output. It exists only where the text had no error.
 */
G_DEFINE_FINAL_TYPE (HtRecipe, ht_recipe, G_TYPE_OBJECT)

static void
ht_recipe_finalize (GObject *object)
{
  HtRecipe *self = HT_RECIPE (object);

  g_free (self->path);
  g_free (self->folder);
  g_free (self->name);
  g_free (self->model);
  g_free (self->model_path);
  g_clear_object (&self->preprocess);
  for (guint i = 0; i < HT_RECIPE_N_ROLES; i++)
    {
      g_ptr_array_unref (self->sources[i].inputs);
      g_ptr_array_unref (self->sources[i].paths);
      g_free (self->sources[i].labels);
      g_strfreev (self->sources[i].command);
    }
  g_clear_object (&self->plan);
  g_clear_object (&self->quantization);
  g_clear_pointer (&self->rules, json_node_unref);
  g_free (self->encodings);
  g_free (self->encodings_path);
  g_ptr_array_unref (self->steps);
  g_free (self->output);
  g_free (self->output_folder);
  g_strfreev (self->formats);
  g_strfreev (self->reports);
  g_ptr_array_unref (self->forbidden);
  g_clear_object (&self->objective);
  g_clear_object (&self->search);
  G_OBJECT_CLASS (ht_recipe_parent_class)->finalize (object);
}

static void
ht_recipe_class_init (HtRecipeClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_recipe_finalize;
}

/* What a recipe need not say. */
static void
ht_recipe_init (HtRecipe *self)
{
  static const char *const formats[] = { "onnx", "onnx-qdq", "encodings-1.0.0", NULL };
  static const char *const reports[] = { "json", NULL };

  self->preprocess = ht_preprocess_new ();
  for (guint i = 0; i < HT_RECIPE_N_ROLES; i++)
    {
      self->sources[i].inputs = g_ptr_array_new_with_free_func (g_free);
      self->sources[i].paths = g_ptr_array_new_with_free_func (g_free);
      self->sources[i].batch = HT_RECIPE_BATCH;
      self->sources[i].timeout = HT_RECIPE_TIMEOUT;
    }
  self->quantization = ht_quantization_config_new ();
  self->plan = ht_plan_new (self->quantization);
  self->steps = g_ptr_array_new_with_free_func (ht_recipe_step_free);
  self->output = g_strdup ("out");
  self->formats = g_strdupv ((char **) formats);
  self->reports = g_strdupv ((char **) reports);
  self->forbidden = g_ptr_array_new_with_free_func (ht_forbid_rule_free);
}

HtRecipe *
ht_recipe_new_for_file (const char *file)
{
  HtRecipe *self = g_object_new (HT_TYPE_RECIPE, NULL);
  g_autofree char *base = g_path_get_basename (file);
  char *dot = strrchr (base, '.');

  if (dot != NULL && dot != base)
    *dot = '\0';
  self->path = g_strdup (file);
  self->folder = g_path_get_dirname (file);
  self->name = g_utf8_make_valid (base, -1);
  return self;
}

void
ht_recipe_read_tree (HtRecipeReader *reader, HtLocatedNode *root)
{
  HtRecipe *self = reader->recipe;

  ht_recipe_read_root (reader, root);
  self->output_folder = ht_recipe_resolve (self, self->output);
  /* The nodes end with the document. */
  for (guint i = 0; i < self->steps->len; i++)
    {
      HtRecipeStep *step = g_ptr_array_index (self->steps, i);

      step->node = step->id_node = step->with = NULL;
    }
  for (guint i = 0; i < self->forbidden->len; i++)
    ((HtForbidRule *)g_ptr_array_index (self->forbidden, i))->node = NULL;
}

/* Fills a recipe from its tree and settles all problems. */
static HtRecipe *
read_document (HtLocatedDocument *document, const char *file, HtPassRegistry *registry, GPtrArray *problems,
               GPtrArray *diagnostics, GError **error)
{
  g_autoptr (HtRecipe) self = ht_recipe_new_for_file (file);
  HtRecipeReader reader = { .recipe = self, .registry = registry, .problems = problems };

  if (document != NULL)
    ht_recipe_read_tree (&reader, ht_located_document_get_root (document));
  if (!ht_diagnostic_list_finish (problems, diagnostics, 0, 0, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * ht_recipe_load:
 * @path: a recipe, YAML or JSON
 * @registry: (nullable): the techniques; %NULL leaves the pipeline unresolved and the plan empty
 * @diagnostics: (nullable) (element-type HtDiagnostic): where all problems are added, in order of place, warnings and
 *   notes too; its free function must be ht_diagnostic_unref()
 * @error: return location for an error
 *
 * Reads and checks a recipe: the text, its keys, values and paths, the parameters of every step, and the legality of the
 * pipeline. No model and no data is opened; files that are missing are warnings. All problems are found in one go. The
 * error is the first of them, of %HT_RECIPE_ERROR; a file that cannot be read at all is of %HT_ERROR.
 *
 * Returns: (transfer full) (nullable): the recipe, or %NULL where there is any error
 */
HtRecipe *
ht_recipe_load (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics, GError **error)
{
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  g_autoptr (HtLocatedDocument) document = NULL;
  GError *local = NULL;

  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (registry == NULL || HT_IS_PASS_REGISTRY (registry), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  document = ht_located_document_load (path, problems, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return NULL;
    }
  return read_document (document, path, registry, problems, diagnostics, error);
}

/**
 * ht_recipe_parse:
 * @text: (array length=length) (element-type gchar): a recipe, YAML or JSON
 * @length: its length in bytes, or -1 where it ends with a NUL
 * @file: (nullable): the name that problems carry and whose folder paths are relative to
 * @registry: (nullable): the techniques; %NULL leaves the pipeline unresolved and the plan empty
 * @diagnostics: (nullable) (element-type HtDiagnostic): where all problems are added, see ht_recipe_load()
 * @error: return location for an error
 *
 * Reads and checks a recipe as ht_recipe_load() does, from memory.
 *
 * Returns: (transfer full) (nullable): the recipe, or %NULL where there is any error
 */
HtRecipe *
ht_recipe_parse (const char *text, gssize length, const char *file, HtPassRegistry *registry, GPtrArray *diagnostics,
                 GError **error)
{
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  g_autoptr (HtLocatedDocument) document = NULL;

  g_return_val_if_fail (text != NULL, NULL);
  g_return_val_if_fail (registry == NULL || HT_IS_PASS_REGISTRY (registry), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (file == NULL)
    file = "recipe";
  document = ht_located_document_parse (text, length, file, problems);
  return read_document (document, file, registry, problems, diagnostics, error);
}

/**
 * ht_recipe_get_name:
 * @self: a recipe
 *
 * Gets its name; that of its file where it has none.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_recipe_get_name (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->name;
}

/**
 * ht_recipe_get_path:
 * @self: a recipe
 *
 * Gets the file it was read from.
 *
 * Returns: (transfer none): the path, as it was given
 */
const char *
ht_recipe_get_path (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->path;
}

/**
 * ht_recipe_get_model_path:
 * @self: a recipe
 *
 * Gets the path of the model, resolved against the folder of the recipe.
 *
 * Returns: (transfer none) (nullable): the path, or %NULL where the recipe names no model
 */
const char *
ht_recipe_get_model_path (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->model_path;
}

/**
 * ht_recipe_get_quantization:
 * @self: a recipe
 *
 * Gets the quantization settings.
 *
 * Returns: (transfer none): the settings
 */
HtQuantizationConfig *
ht_recipe_get_quantization (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->quantization;
}

/**
 * ht_recipe_get_encodings_path:
 * @self: a recipe
 *
 * Gets the encodings file that the run starts from, resolved against the folder of the recipe.
 *
 * Returns: (transfer none) (nullable): the path, or %NULL where the recipe names none
 */
const char *
ht_recipe_get_encodings_path (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->encodings_path;
}

/**
 * ht_recipe_get_encodings_freeze:
 * @self: a recipe
 *
 * Gets which of the given encodings nobody moves.
 *
 * Returns: what is pinned
 */
HtFreeze
ht_recipe_get_encodings_freeze (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), HT_FREEZE_NONE);
  return self->freeze;
}

/**
 * ht_recipe_get_encodings_partial:
 * @self: a recipe
 *
 * Tells whether the encodings file may differ from what the settings ask for.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_recipe_get_encodings_partial (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), FALSE);
  return self->partial;
}

/**
 * ht_recipe_get_plan:
 * @self: a recipe
 *
 * Gets the checked plan; it has no steps where the recipe was read without a registry.
 *
 * Returns: (transfer none): the plan
 */
HtPlan *
ht_recipe_get_plan (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->plan;
}

/**
 * ht_recipe_get_evaluation_command:
 * @self: a recipe
 * @timeout: (out) (optional): how long it may take, in seconds
 *
 * Gets the program that judges the result, from `data.evaluation.command`. A word "{model}" in it stands for the path of
 * the exported model.
 *
 * Returns: (transfer none) (nullable) (array zero-terminated=1): program and arguments, or %NULL where there is none
 */
const char *const *
ht_recipe_get_evaluation_command (HtRecipe *self, double *timeout)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);

  if (timeout != NULL)
    *timeout = self->sources[HT_DATA_EVALUATION].timeout;
  return (const char *const *)self->sources[HT_DATA_EVALUATION].command;
}

/**
 * ht_recipe_get_output_folder:
 * @self: a recipe
 *
 * Gets the folder that results go to, resolved against the folder of the recipe.
 *
 * Returns: (transfer none): the path
 */
const char *
ht_recipe_get_output_folder (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return self->output_folder;
}

/**
 * ht_recipe_get_output_formats:
 * @self: a recipe
 *
 * Gets the formats of the results: "onnx", "onnx-qdq", "encodings-1.0.0".
 *
 * Returns: (transfer none) (array zero-terminated=1): the formats, in the order of the recipe
 */
const char *const *
ht_recipe_get_output_formats (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return (const char *const *) self->formats;
}

/**
 * ht_recipe_get_qdq_weights:
 * @self: a recipe
 *
 * Gets how a Q/DQ file stores constants.
 *
 * Returns: as integers, or as values of their grids
 */
HtQdqWeights
ht_recipe_get_qdq_weights (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), HT_QDQ_WEIGHTS_INTEGER);

  return self->qdq_weights;
}

/**
 * ht_recipe_get_report_formats:
 * @self: a recipe
 *
 * Gets the formats of the report: "html", "json".
 *
 * Returns: (transfer none) (array zero-terminated=1): the formats, in the order of the recipe
 */
const char *const *
ht_recipe_get_report_formats (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  return (const char *const *) self->reports;
}

/**
 * ht_recipe_get_seed:
 * @self: a recipe
 *
 * Gets the seed that all random streams are derived from.
 *
 * Returns: the seed
 */
guint64
ht_recipe_get_seed (HtRecipe *self)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), 0);
  return self->seed;
}
