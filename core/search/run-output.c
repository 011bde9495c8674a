/* SPDX-License-Identifier: MIT */
/* What a run wrote, read again: its report says by which recipe, its files give the simulation of the result. */
#include <halftone/run-output.h>

#include "base/located.h"
#include "search/run-private.h"

#include <halftone/error.h>
#include <string.h>

/**
 * HtRunOutput:
 *
 * The folder that ht_run_execute() wrote, opened again: the recipe, and the simulation of the result.
 */
struct _HtRunOutput
{
  GObject parent_instance;

  char *folder;
  HtRecipe *recipe;
  HtSimulation *simulation;
};

G_DEFINE_FINAL_TYPE (HtRunOutput, ht_run_output, G_TYPE_OBJECT)

static void
ht_run_output_finalize (GObject *object)
{
  HtRunOutput *self = HT_RUN_OUTPUT (object);
  g_clear_object (&self->recipe);
  g_clear_object (&self->simulation);
  g_free (self->folder);
  G_OBJECT_CLASS (ht_run_output_parent_class)->finalize (object);
}

static void
ht_run_output_class_init (HtRunOutputClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_run_output_finalize;
}

static void
ht_run_output_init (HtRunOutput *self)
{
}

static gboolean
fail_report (const char *path, const char *problem, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "'%s': %s; give the folder that 'halftone run' wrote, with a recipe whose output has 'report: [json]'",
               path, problem);
  return FALSE;
}

static char *
describe_first (GPtrArray *problems)
{
  return problems->len > 0 ? ht_diagnostic_format (g_ptr_array_index (problems, 0)) : g_strdup ("it is no report");
}

/* The recipe without its steps, which have been carried out: no technique has to be installed to read the result. */
static gboolean
parse_recipe (HtRunOutput *self, const char *path, JsonNode *node, const char *folder, GError **error)
{
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtPassRegistry) registry = ht_pass_registry_new ();
  JsonObject *object = json_node_get_object (node);
  if (json_object_has_member (object, "pipeline"))
    json_object_set_array_member (object, "pipeline", json_array_new ());
  if (json_object_has_member (object, "quantization")
      && JSON_NODE_HOLDS_OBJECT (json_object_get_member (object, "quantization")))
    json_object_remove_member (json_object_get_object_member (object, "quantization"), "encodings");
  g_autofree char *text = json_to_string (node, TRUE);
  g_autofree char *file = g_build_filename (folder, "recipe.json", NULL);
  g_autoptr (GError) unread = NULL;
  self->recipe = ht_recipe_parse (text, -1, file, registry, problems, &unread);
  if (self->recipe != NULL)
    return TRUE;
  g_autofree char *first = problems->len > 0 ? describe_first (problems) : g_strdup (unread->message);
  g_autofree char *problem = g_strdup_printf ("its recipe cannot be read: %s", first);
  return fail_report (path, problem, error);
}

static gboolean
read_report (HtRunOutput *self, GError **error)
{
  g_autofree char *path = g_build_filename (self->folder, "report.json", NULL);
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return fail_report (path, "there is no such file", error);
  g_autoptr (HtLocatedDocument) document = ht_located_document_load (path, problems, error);
  if (document == NULL && problems->len == 0)
    return FALSE;
  g_clear_error (error);
  HtLocatedNode *root = document != NULL ? ht_located_document_get_root (document) : NULL;
  gboolean is_mapping = root != NULL && ht_located_node_get_kind (root) == HT_LOCATED_MAPPING;
  HtLocatedNode *recipe = is_mapping ? ht_located_node_lookup (root, "recipe", NULL) : NULL;
  HtLocatedNode *where = is_mapping ? ht_located_node_lookup (root, "recipe-folder", NULL) : NULL;
  if (recipe == NULL || ht_located_node_get_kind (recipe) != HT_LOCATED_MAPPING)
    {
      g_autofree char *problem = describe_first (problems);
      return fail_report (path, problem, error);
    }
  const char *folder = where != NULL ? ht_located_node_get_string (where, error) : self->folder;
  g_autoptr (JsonNode) node = folder != NULL ? ht_located_node_to_json (recipe, error) : NULL;
  return node != NULL && parse_recipe (self, path, node, folder, error);
}

/**
 * ht_run_output_find_file:
 * @self: an output
 * @format: one of the recipe's output formats: `onnx`, `onnx-qdq`, `encodings-` with a version
 * @error: return location for an error
 *
 * Finds a file that the run wrote.
 *
 * Returns: (transfer full) (nullable) (type filename): its path, or %NULL with %HT_ERROR_NOT_FOUND when it is not there
 */
char *
ht_run_output_find_file (HtRunOutput *self, const char *format, GError **error)
{
  g_return_val_if_fail (HT_IS_RUN_OUTPUT (self) && format != NULL, NULL);
  g_autofree char *path = ht_run_name_file (self->recipe, self->folder, format);
  if (g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return g_steal_pointer (&path);
  g_set_error (
      error, HT_ERROR, HT_ERROR_NOT_FOUND,
      "there is no '%s': the run did not write it, or it was moved; let the recipe's 'output.formats' have '%s' and "
      "run it again",
      path, format);
  return NULL;
}

/* All versions hold the same grids, but 2.0.0 leaves out those of float16. */
static const char *
choose_encodings (HtRecipe *recipe)
{
  static const char *const versions[] = { "encodings-1.0.0", "encodings-0.6.1", "encodings-2.0.0" };
  for (guint i = 0; i < G_N_ELEMENTS (versions); i++)
    if (g_strv_contains (ht_recipe_get_output_formats (recipe), versions[i]))
      return versions[i];
  return versions[0];
}

static gboolean
open_simulation (HtRunOutput *self, GError **error)
{
  g_autofree char *model = ht_run_output_find_file (self, "onnx", error);
  g_autofree char *encodings
      = model != NULL ? ht_run_output_find_file (self, choose_encodings (self->recipe), error) : NULL;
  g_autoptr (HtGraph) graph = encodings != NULL ? ht_graph_load (model, error) : NULL;
  if (graph == NULL)
    return FALSE;
  self->simulation = ht_simulation_new (graph, ht_recipe_get_quantization (self->recipe), error);
  /* Tensors that no sample reached have no encoding, in the run as here. */
  return self->simulation != NULL && ht_simulation_load_encodings (self->simulation, encodings, TRUE, error);
}

/**
 * ht_run_output_open:
 * @folder: (type filename): a folder that a run wrote
 * @error: return location for an error
 *
 * Reads report, network and encodings of a run. Its techniques need not be installed, its data need not be there.
 *
 * Returns: (transfer full) (nullable): the output, or %NULL with @error set when a file is missing or damaged
 */
HtRunOutput *
ht_run_output_open (const char *folder, GError **error)
{
  g_return_val_if_fail (folder != NULL, NULL);
  g_autoptr (HtRunOutput) self = g_object_new (HT_TYPE_RUN_OUTPUT, NULL);
  self->folder = g_strdup (folder);
  if (!read_report (self, error) || !open_simulation (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * ht_run_output_get_recipe:
 * @self: an output
 *
 * Gets what the run was told, without the pipeline's steps.
 *
 * Returns: (transfer none): the recipe
 */
HtRecipe *
ht_run_output_get_recipe (HtRunOutput *self)
{
  g_return_val_if_fail (HT_IS_RUN_OUTPUT (self), NULL);
  return self->recipe;
}

/**
 * ht_run_output_get_simulation:
 * @self: an output
 *
 * Gets the simulation of the result, with the encodings that the run found.
 *
 * Returns: (transfer none): the simulation
 */
HtSimulation *
ht_run_output_get_simulation (HtRunOutput *self)
{
  g_return_val_if_fail (HT_IS_RUN_OUTPUT (self), NULL);
  return self->simulation;
}
