/* SPDX-License-Identifier: MIT */
/* The output files of a run. They are written to a hidden folder beside their place and moved at the end, so that a run
 * that fails leaves nothing half-written. */
#include "pass/scratch-folder.h"
#include "report/report-html.h"
#include "report/report-json.h"
#include "report/report-quantizers.h"
#include "search/run-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static gboolean
fail_errno (GError **error, const char *what, const char *path)
{
  int code = errno;
  g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "cannot %s '%s': %s; choose another one with --output", what, path,
               g_strerror (code));
  return FALSE;
}

gboolean
ht_run_check_folder (HtRun *self, GError **error)
{
  g_autofree char *path = g_canonicalize_filename (self->output_folder, NULL);
  while (!g_file_test (path, G_FILE_TEST_EXISTS) && strlen (path) > 1)
    {
      char *parent = g_path_get_dirname (path);
      g_free (path);
      path = parent;
    }
  errno = ENOTDIR;
  return (g_file_test (path, G_FILE_TEST_IS_DIR) && access (path, W_OK | X_OK) == 0)
         || fail_errno (error, "write to the output folder", self->output_folder);
}

gboolean
ht_run_check_formats (HtRun *self, HtSimulation *simulation, GError **error)
{
  const char *const *formats = ht_recipe_get_output_formats (self->inputs.recipe);
  for (const char *const *format = formats; *format != NULL; format++)
    if (g_str_has_prefix (*format, "encodings-")
        && !ht_simulation_check_encodings_version (simulation, *format + strlen ("encodings-"), error))
      {
        g_prefix_error (error, "the output format '%s' cannot hold these settings: ", *format);
        return FALSE;
      }
  if (!g_strv_contains (formats, "onnx-qdq"))
    return TRUE;
  g_autoptr (HtGraph) qdq
      = ht_simulation_to_qdq_full (simulation, ht_recipe_get_qdq_weights (self->inputs.recipe), error);
  if (qdq == NULL)
    g_prefix_error (error, "the output format 'onnx-qdq' cannot hold these settings: ");
  return qdq != NULL;
}

char *
ht_run_name_file (HtRecipe *recipe, const char *folder, const char *format)
{
  const char *version = g_str_has_prefix (format, "encodings-") ? format + strlen ("encodings-") : NULL;
  g_autoptr (GString) name = g_string_new (ht_recipe_get_name (recipe));
  guint n = 0;
  for (const char *const *other = ht_recipe_get_output_formats (recipe); *other != NULL; other++)
    n += g_str_has_prefix (*other, "encodings-");
  if (version != NULL && n > 1)
    g_string_append_printf (name, "-%s", version);
  g_string_append (name, version != NULL ? ".encodings" : g_str_equal (format, "onnx-qdq") ? "-qdq.onnx" : ".onnx");
  return g_build_filename (folder, name->str, NULL);
}

static gboolean
write_format (HtRun *self, const char *format, const char *folder, GError **error)
{
  g_autofree char *path = ht_run_name_file (self->inputs.recipe, folder, format);
  if (g_str_equal (format, "onnx"))
    return ht_graph_save (ht_model_state_get_graph (self->state), path, error);
  if (g_str_equal (format, "onnx-qdq"))
    {
      g_autoptr (HtGraph) qdq
          = ht_simulation_to_qdq_full (self->simulation, ht_recipe_get_qdq_weights (self->inputs.recipe), error);
      return qdq != NULL && ht_graph_save (qdq, path, error);
    }
  if (g_str_has_prefix (format, "encodings-"))
    return ht_simulation_save_encodings (self->simulation, path, format + strlen ("encodings-"), error);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "cannot write the output format '%s'", format);
  return FALSE;
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
list_folder (const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  if (dir == NULL)
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir))
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_strings);
  return names;
}

static JsonNode *
describe_files (const char *folder, GError **error)
{
  g_autoptr (GPtrArray) names = list_folder (folder, error);
  g_autoptr (JsonArray) array = json_array_new ();
  for (guint i = 0; names != NULL && i < names->len; i++)
    {
      g_autofree char *path = g_build_filename (folder, g_ptr_array_index (names, i), NULL);
      JsonNode *file = ht_report_file (path, error);
      if (file == NULL)
        return NULL;
      json_array_add_element (array, file);
    }
  if (names == NULL)
    return NULL;
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, g_steal_pointer (&array));
  return node;
}

static JsonObject *
describe_data (HtDataset *dataset, GError **error)
{
  g_autofree char *hash = ht_dataset_hash (dataset, error);
  if (hash == NULL)
    return NULL;
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "sha256", hash);
  json_object_set_int_member (object, "samples", ht_dataset_get_n_samples (dataset));
  return object;
}

static gboolean
add_inputs (HtRun *self, JsonObject *report, GError **error)
{
  JsonObject *model = json_object_new ();
  JsonObject *data = json_object_new ();
  g_autofree char *hash = ht_graph_hash (self->inputs.given);
  json_object_set_object_member (report, "model", model);
  json_object_set_object_member (report, "data", data);
  json_object_set_string_member (model, "path", self->inputs.model_path);
  json_object_set_string_member (model, "prepared-sha256", hash);
  json_object_set_member (model, "preparation", ht_report_strings ((const char *const *)self->inputs.preparation));
  struct
  {
    const char *key;
    HtDataset *dataset;
  } roles[] = { { "calibration", self->inputs.calibration }, { "evaluation", self->inputs.evaluation } };
  for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
    {
      JsonObject *role = roles[i].dataset != NULL ? describe_data (roles[i].dataset, error) : NULL;
      if (role != NULL)
        json_object_set_object_member (data, roles[i].key, role);
      else if (roles[i].dataset != NULL)
        return FALSE;
    }
  return TRUE;
}

static JsonObject *
describe_steps (HtRun *self)
{
  JsonArray *steps = json_array_new ();
  JsonObject *seconds = json_object_new ();
  HtPlan *plan = ht_recipe_get_plan (self->inputs.recipe);
  JsonObject *both = json_object_new (), *tables = json_object_new ();
  for (guint i = 0; i < ht_plan_get_n_steps (plan); i++)
    {
      const HtRunStep *step = g_ptr_array_index (self->steps, i);
      json_array_add_element (steps, json_node_copy (step->report));
      json_object_set_double_member (seconds, ht_plan_get_step_id (plan, i), step->seconds);
      if (step->timings != NULL && json_object_get_size (json_node_get_object (step->timings)) > 0)
        json_object_set_member (tables, ht_plan_get_step_id (plan, i), json_node_copy (step->timings));
    }
  json_object_set_array_member (both, "steps", steps);
  json_object_set_object_member (both, "seconds", seconds);
  json_object_set_object_member (both, "tables", tables);
  return both;
}

static gboolean
add_results (HtRun *self, JsonObject *report, const char *folder, GError **error)
{
  JsonObject *results = json_object_new ();
  json_object_set_object_member (report, "results", results);
  JsonObject *metrics = json_object_new ();
  g_auto (GStrv) stages = ht_run_list_stages (self);
  for (char **stage = stages; *stage != NULL; stage++)
    json_object_set_member (metrics, *stage, ht_metrics_to_json (ht_run_get_metrics (self, *stage)));
  json_object_set_object_member (results, "metrics", metrics);
  g_autoptr (JsonObject) steps = describe_steps (self);
  json_object_set_member (results, "steps", json_object_dup_member (steps, "steps"));
  json_object_set_member (self->timings, "steps", json_object_dup_member (steps, "seconds"));
  json_object_set_member (self->timings, "tables", json_object_dup_member (steps, "tables"));
  gboolean draws = g_strv_contains (ht_recipe_get_report_formats (self->inputs.recipe), "html");
  JsonArray *quantizers
      = ht_report_describe_quantizers (self->simulation, draws ? self->inputs.given : NULL, self->inputs.calibration,
                                       self->inputs.batch[HT_DATA_CALIBRATION], error);
  if (quantizers == NULL)
    return FALSE;
  json_object_set_array_member (results, "quantizers", quantizers);
  g_auto (GStrv) skipped = ht_simulation_list_skipped (self->simulation);
  json_object_set_member (results, "unquantized", ht_report_strings ((const char *const *)skipped));
  g_auto (GStrv) unreached = ht_simulation_list_unreached (self->simulation);
  json_object_set_member (results, "unreached", ht_report_strings ((const char *const *)unreached));
  g_autofree char *hash = ht_model_state_hash (self->state);
  json_object_set_string_member (results, "state-sha256", hash);
  JsonNode *files = describe_files (folder, error);
  if (files == NULL)
    return FALSE;
  json_object_set_member (results, "files", files);
  return TRUE;
}

/* What the paths of the recipe are relative to. */
static void
add_recipe_folder (HtRun *self, JsonObject *report)
{
  const char *path = ht_recipe_get_path (self->inputs.recipe);
  g_autofree char *absolute = path != NULL ? g_canonicalize_filename (path, NULL) : NULL;
  g_autofree char *folder = absolute != NULL ? g_path_get_dirname (absolute) : g_get_current_dir ();
  json_object_set_string_member (report, "recipe-folder", folder);
}

static JsonNode *
build_report (HtRun *self, const char *folder, GError **error)
{
  g_autoptr (JsonObject) report = json_object_new ();
  json_object_set_string_member (report, "report", "1.0");
  json_object_set_member (report, "environment", ht_report_environment ());
  json_object_set_member (report, "recipe", ht_recipe_to_json (self->inputs.recipe));
  add_recipe_folder (self, report);
  if (!add_inputs (self, report, error) || !add_results (self, report, folder, error))
    return NULL;
  json_object_set_object_member (report, "timings", json_object_ref (self->timings));
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, g_steal_pointer (&report));
  return node;
}

/* What stands in the way of a rename is found before the first file is moved. */
static gboolean
check_targets (HtRun *self, GPtrArray *names, GError **error)
{
  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *target = g_build_filename (self->output_folder, g_ptr_array_index (names, i), NULL);
      if (!g_file_test (target, G_FILE_TEST_IS_DIR))
        continue;
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "cannot write '%s': there is a folder of that name; remove it or choose another output folder",
                   target);
      return FALSE;
    }
  return TRUE;
}

static gboolean
move_files (HtRun *self, const char *from, GError **error)
{
  g_autoptr (GPtrArray) names = list_folder (from, error);
  if (names == NULL || !check_targets (self, names, error))
    return FALSE;
  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *source = g_build_filename (from, g_ptr_array_index (names, i), NULL);
      g_autofree char *target = g_build_filename (self->output_folder, g_ptr_array_index (names, i), NULL);
      if (g_rename (source, target) != 0)
        return fail_errno (error, "move a finished file to", target);
      g_ptr_array_add (self->files, g_steal_pointer (&target));
    }
  return TRUE;
}

static gboolean
fill_folder (HtRun *self, const char *folder, GError **error)
{
  for (const char *const *format = ht_recipe_get_output_formats (self->inputs.recipe); *format != NULL; format++)
    if (!write_format (self, *format, folder, error))
      {
        g_prefix_error (error, "writing '%s': ", *format);
        return FALSE;
      }
  self->report = build_report (self, folder, error);
  if (self->report == NULL)
    return FALSE;
  for (const char *const *format = ht_recipe_get_report_formats (self->inputs.recipe); *format != NULL; format++)
    {
      gboolean is_html = g_str_equal (*format, "html");
      g_autofree char *path = g_build_filename (folder, is_html ? "report.html" : "report.json", NULL);
      if (!(is_html ? ht_report_save_html (self->report, NULL, path, error)
                    : ht_report_save (self->report, path, error)))
        return FALSE;
    }
  g_autofree char *path = g_build_filename (folder, "lock.json", NULL);
  g_autoptr (JsonNode) lock = ht_run_describe_lock (self, error);
  return lock != NULL && ht_report_save (lock, path, error);
}

gboolean
ht_run_write (HtRun *self, GError **error)
{
  g_autofree char *hidden = g_build_filename (self->output_folder, ".halftone-XXXXXX", NULL);
  gboolean fresh = !g_file_test (self->output_folder, G_FILE_TEST_EXISTS);
  if (g_mkdir_with_parents (self->output_folder, 0755) != 0)
    return fail_errno (error, "make the output folder", self->output_folder);
  if (g_mkdtemp_full (hidden, 0755) == NULL)
    return fail_errno (error, "write to the output folder", self->output_folder);
  gboolean done = fill_folder (self, hidden, error) && move_files (self, hidden, error);
  ht_remove_folder (hidden);
  if (!done && fresh)
    g_rmdir (self->output_folder);
  return done;
}
