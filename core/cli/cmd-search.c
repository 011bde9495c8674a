/* SPDX-License-Identifier: MIT */
/* `search` and `resume`. What a search was started with stands in its folder, so that `resume` needs no more than that.
 */
#include "cli/cli.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#define START_FILE "search.json"

/* How a search was started: the recipe as it was, and what the command line put in its place. */
typedef struct
{
  char *recipe, *text, *model, *output;
  char **settings; /* KEY=VALUE; NULL: none */
  CliDataOptions data;
  int jobs;
} Start;

static void
start_clear (Start *self)
{
  g_free (self->recipe);
  g_free (self->text);
  g_free (self->model);
  g_free (self->output);
  g_strfreev (self->settings);
  cli_data_options_clear (&self->data);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Start, start_clear)

static void
add_row (GPtrArray *rows, const char *mark, const char *number, const char *text, const char *value,
         const char *difference)
{
  const char *cells[] = { mark, number, text, value, difference, NULL };
  g_ptr_array_add (rows, g_strdupv ((char **)cells));
}

static void
print_best (HtSearch *search)
{
  JsonObject *results = json_object_get_object_member (json_node_get_object (ht_search_get_report (search)), "search");
  JsonArray *candidates = json_object_get_array_member (results, "candidates");
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  JsonObject *objective = json_object_get_object_member (results, "objective");
  const char *metric = json_object_has_member (objective, "maximize")
                           ? json_object_get_string_member (objective, "maximize")
                           : json_object_get_string_member (objective, "minimize");
  gint64 best = json_object_get_int_member (results, "best");
  JsonArray *ties = json_object_get_array_member (results, "ties");
  add_row (rows, "", "number", "combination", metric, "difference to best (95 %)");
  for (guint i = 0; i < json_array_get_length (candidates); i++)
    {
      JsonObject *candidate = json_array_get_object_element (candidates, i);
      gint64 number = json_object_get_int_member (candidate, "number");
      g_autofree char *name = g_strdup_printf ("%" G_GINT64_FORMAT, number), *value = NULL, *difference = NULL;
      const char *mark = number == best ? "*" : "";
      for (guint k = 0; number != best && k < json_array_get_length (ties); k++)
        mark = json_array_get_int_element (ties, k) == number ? "=" : mark;
      if (json_object_has_member (candidate, "metrics"))
        {
          JsonNode *node = json_object_get_member (json_object_get_object_member (candidate, "metrics"), metric);
          value = node == NULL ? g_strdup ("")
                  : json_node_get_value_type (node) == G_TYPE_STRING
                      ? json_node_dup_string (node)
                      : g_strdup_printf ("%.4f", json_node_get_double (node));
        }
      if (json_object_has_member (candidate, "difference-to-best"))
        {
          JsonObject *pair = json_object_get_object_member (candidate, "difference-to-best");
          difference
              = g_strdup_printf ("%+.4f (%+.4f … %+.4f)", json_object_get_double_member_with_default (pair, "value", 0),
                                 json_object_get_double_member_with_default (pair, "low", -G_MAXDOUBLE),
                                 json_object_get_double_member_with_default (pair, "high", G_MAXDOUBLE));
        }
      add_row (rows, mark, name, json_object_get_string_member (candidate, "description"),
               value != NULL ? value : json_object_get_string_member (candidate, "status"),
               difference != NULL ? difference : "");
    }
  cli_print_table (rows);
  g_print ("* best   = not to be told apart from the best in the metric; of these the cheapest is kept\n");
}

static void
print_end (HtSearch *search)
{
  g_autofree char *folder = ht_search_get_best_folder (search);
  JsonObject *results = json_object_get_object_member (json_node_get_object (ht_search_get_report (search)), "search");
  print_best (search);
  g_print ("%s: %s; %s\n", json_object_get_string_member (results, "strategy"),
           json_object_get_string_member (results, "strategy-because"),
           json_object_get_string_member (results, "ended-because"));
  if (json_object_has_member (results, "evaluation"))
    {
      JsonObject *figure = json_object_get_object_member (results, "evaluation");
      JsonObject *result = json_object_get_object_member (figure, "result");
      JsonObject *given = json_object_get_object_member (figure, "float");
      if (json_object_has_member (result, "top1"))
        g_print ("on the evaluation set: top1 %.2f %%, floating point %.2f %%\n",
                 100 * json_object_get_double_member (result, "top1"),
                 100 * json_object_get_double_member (given, "top1"));
    }
  g_print ("best in %s\n", folder);
}

static gboolean
save_start (const Start *start, const char *folder, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  struct
  {
    const char *name, *value;
  } members[] = { { "recipe", start->recipe },
                  { "text", start->text },
                  { "model", start->model },
                  { "calibration", start->data.calibration },
                  { "evaluation", start->data.evaluation },
                  { "labels", start->data.labels } };
  json_builder_begin_object (builder);
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i].value != NULL)
      {
        json_builder_set_member_name (builder, members[i].name);
        json_builder_add_string_value (builder, members[i].value);
      }
  json_builder_set_member_name (builder, "set");
  json_builder_begin_array (builder);
  for (char **setting = start->settings; setting != NULL && *setting != NULL; setting++)
    json_builder_add_string_value (builder, *setting);
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "raw");
  json_builder_add_boolean_value (builder, start->data.raw);
  json_builder_end_object (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *text = json_to_string (root, TRUE);
  g_autofree char *path = g_build_filename (folder, START_FILE, NULL);
  g_autofree char *before = NULL, *journal = g_build_filename (folder, "journal.jsonl", NULL);
  gboolean has_begun = g_file_test (journal, G_FILE_TEST_EXISTS); /* a recipe that was refused leaves none */
  gboolean is_there = g_file_get_contents (path, &before, NULL, NULL);
  if (has_begun && is_there && !g_str_equal (before, text))
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_CONFLICT,
          "'%s' is the folder of another search; go on with it by 'halftone resume %s', or choose another one with "
          "--output",
          folder, folder);
      return FALSE;
    }
  if (is_there && g_str_equal (before, text))
    return TRUE;
  if (g_mkdir_with_parents (folder, 0755) != 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED,
                   "cannot make the output folder '%s'; choose another one with --output", folder);
      return FALSE;
    }
  return g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644,
                                   error);
}

static char *
dup_member (JsonObject *object, const char *name)
{
  return g_strdup (json_object_get_string_member_with_default (object, name, NULL));
}

static gboolean
load_start (Start *start, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, START_FILE, NULL);
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "'%s' is no folder of a search: there is no '%s' in it; give the folder that 'halftone search' writes to",
          folder, START_FILE);
      return FALSE;
    }
  if (!json_parser_load_from_file (parser, path, error))
    return FALSE;
  JsonNode *root = json_parser_get_root (parser);
  JsonObject *object = root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  if (object == NULL || json_object_get_string_member_with_default (object, "text", NULL) == NULL
      || json_object_get_string_member_with_default (object, "recipe", NULL) == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "'%s' is damaged: it names no recipe; start the search again", path);
      return FALSE;
    }
  start->recipe = dup_member (object, "recipe");
  start->text = dup_member (object, "text");
  start->model = dup_member (object, "model");
  start->data.calibration = dup_member (object, "calibration");
  start->data.evaluation = dup_member (object, "evaluation");
  start->data.labels = dup_member (object, "labels");
  start->settings = cli_read_strings (object, "set");
  start->data.raw = json_object_get_boolean_member_with_default (object, "raw", FALSE);
  return TRUE;
}

/* Reads `text` as the recipe that `path` was. */
static int
search (Start *start, const char *folder, guint64 memory, gboolean json, gboolean is_new)
{
  g_autoptr (GError) error = NULL;
  GCancellable *cancellable = cli_watch_interrupts ();
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtRecipeSpace) space = ht_recipe_space_parse_set (
      start->text, -1, start->recipe, (const char *const *)start->settings, registry, diagnostics, &error);
  cli_print_diagnostics (diagnostics);
  if (space == NULL)
    return cli_fail_recipe (registry, diagnostics, error);
  g_autofree char *output
      = g_strdup (folder != NULL ? folder : ht_recipe_get_output_folder (ht_recipe_space_get_recipe (space)));
  if (is_new && !save_start (start, output, &error))
    return cli_fail (error);
  g_autofree char *jobs = g_strdup_printf ("%d", start->jobs);
  if (start->jobs > 0
      && !ht_object_set_param_string (G_OBJECT (ht_recipe_space_get_settings (space)), "jobs", jobs, &error))
    return cli_usage (is_new ? "search" : "resume", "%s", error->message);
  if (ht_search_settings_get_prune (ht_recipe_space_get_settings (space)))
    g_printerr ("halftone: warning: 'search.prune' has no effect yet: every candidate is worked on\n");
  g_autoptr (HtSearch) self = ht_search_new (space);
  if (start->model != NULL)
    ht_search_set_model_path (self, start->model);
  ht_search_set_output_folder (self, output);
  if (memory > 0)
    ht_search_set_memory_budget (self, memory);
  if (start->data.calibration != NULL)
    ht_search_override_data (self, HT_DATA_CALIBRATION, start->data.calibration, NULL);
  if (start->data.evaluation != NULL)
    ht_search_override_data (self, HT_DATA_EVALUATION, start->data.evaluation, start->data.labels);
  if (start->data.raw)
    ht_search_drop_preprocessing (self);
  CliProgress *progress = cli_progress_new ();
  ht_search_set_progress (self, cli_progress_update, progress, NULL);
  gboolean done = ht_search_execute (self, cancellable, &error);
  cli_progress_free (progress);
  ht_search_set_progress (self, NULL, NULL, NULL);
  if (!done && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_printerr ("halftone: interrupted; %s; 'halftone resume %s' goes on\n",
                  ht_search_has_best (self) ? "the best so far is on disk" : "there is no result yet", output);
      return CLI_INTERRUPTED;
    }
  if (!done)
    return cli_fail (error);
  if (json)
    cli_print_json (ht_search_get_report (self));
  else
    print_end (self);
  return ht_search_is_target_met (self) ? CLI_DONE : CLI_MISSED;
}

int
cli_search (int argc, char **argv)
{
  g_auto (Start) start = { NULL };
  g_autofree char *memory = NULL;
  guint64 budget;
  gboolean json = FALSE;
  int threads = 0;
  GOptionEntry entries[]
      = { { "model", 'm', 0, G_OPTION_ARG_FILENAME, &start.model, "Take this model instead of the recipe's", "FILE" },
          { "output", 'o', 0, G_OPTION_ARG_FILENAME, &start.output, "Write to this folder instead of the recipe's",
            "FOLDER" },
          { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &start.settings,
            "Take this value instead of the recipe's, as in quantization.weights.bits=4; may be given several times",
            "KEY=VALUE" },
          { "jobs", 'j', 0, G_OPTION_ARG_INT, &start.jobs, "Candidates worked on at once, instead of the recipe's",
            "N" },
          { "memory", 0, 0, G_OPTION_ARG_STRING, &memory, "Keep less in memory where this would be exceeded", "SIZE" },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the report as JSON", NULL },
          { NULL } };
  g_autoptr (GError) error = NULL;
  int code = cli_parse (&argc, &argv, "search", "RECIPE", "search the legal combinations of a recipe with choices",
                        entries, cli_data_options_group (&start.data), 1);
  if (code < 0)
    code = cli_set_threads ("search", threads);
  if (code < 0)
    code = cli_data_options_check (&start.data, "search");
  if (code < 0 && start.jobs < 0)
    code = cli_usage ("search", "--jobs is %d, must be at least 1", start.jobs);
  if (code < 0)
    code = cli_read_memory ("search", memory, &budget);
  if (code >= 0)
    return code;
  start.recipe = g_canonicalize_filename (argv[1], NULL);
  if (start.model != NULL)
    {
      char *absolute = g_canonicalize_filename (start.model, NULL);
      g_free (start.model);
      start.model = absolute;
    }
  if (!g_file_get_contents (argv[1], &start.text, NULL, &error))
    {
      g_printerr ("halftone: error: %s\n", error->message);
      return CLI_INVALID;
    }
  return search (&start, start.output, budget, json, TRUE);
}

int
cli_resume (int argc, char **argv)
{
  g_auto (Start) start = { NULL };
  g_autofree char *memory = NULL;
  guint64 budget;
  gboolean json = FALSE;
  int threads = 0, jobs = 0;
  GOptionEntry entries[]
      = { { "jobs", 'j', 0, G_OPTION_ARG_INT, &jobs, "Candidates worked on at once, instead of the recipe's", "N" },
          { "memory", 0, 0, G_OPTION_ARG_STRING, &memory, "Keep less in memory where this would be exceeded", "SIZE" },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the report as JSON", NULL },
          { NULL } };
  g_autoptr (GError) error = NULL;
  int code = cli_parse (&argc, &argv, "resume", "FOLDER", "go on with a search that was interrupted", entries, NULL, 1);
  if (code < 0)
    code = cli_set_threads ("resume", threads);
  if (code < 0 && jobs < 0)
    code = cli_usage ("resume", "--jobs is %d, must be at least 1", jobs);
  if (code < 0)
    code = cli_read_memory ("resume", memory, &budget);
  if (code >= 0)
    return code;
  if (!load_start (&start, argv[1], &error))
    return cli_fail (error);
  if (jobs > 0)
    start.jobs = jobs;
  return search (&start, argv[1], budget, json, FALSE);
}
