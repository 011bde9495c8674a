/* SPDX-License-Identifier: MIT */
/* lock.json pins what a result follows from (recipe, network, data, plugins, seed, processor) and the result itself. */
#include <halftone/lock.h>

#include "report/report-json.h"
#include "report/report-read.h"
#include "search/run-private.h"

#include <halftone/error.h>

/**
 * HtLock:
 *
 * A lock.json that a run or a search wrote beside its result: it makes the same result again, or says what differs.
 */
struct _HtLock
{
  GObject parent_instance;
  JsonNode *root; /* an object with an object `recipe` */
  HtRecipe *recipe;
};

G_DEFINE_FINAL_TYPE (HtLock, ht_lock, G_TYPE_OBJECT)

static void
ht_lock_finalize (GObject *object)
{
  HtLock *self = HT_LOCK (object);
  g_clear_pointer (&self->root, json_node_unref);
  g_clear_object (&self->recipe);
  G_OBJECT_CLASS (ht_lock_parent_class)->finalize (object);
}

static void
ht_lock_class_init (HtLockClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_lock_finalize;
}

static void
ht_lock_init (HtLock *self)
{
}

/* The file that a technique came from; a technique of the program itself has none. */
static const char *
find_binary (HtPass *pass)
{
  GTypePlugin *plugin = g_type_get_plugin (G_OBJECT_TYPE (pass));
  return plugin != NULL && G_IS_TYPE_MODULE (plugin) ? G_TYPE_MODULE (plugin)->name : NULL;
}

static JsonArray *
describe_steps (HtRun *run, GError **error)
{
  g_autoptr (JsonArray) array = json_array_new ();
  HtPlan *plan = ht_recipe_get_plan (run->inputs.recipe);
  for (guint i = 0; i < ht_plan_get_n_steps (plan); i++)
    {
      JsonObject *step = json_object_new ();
      JsonObject *report = json_node_get_object (((HtRunStep *)g_ptr_array_index (run->steps, i))->report);
      const char *binary = find_binary (ht_plan_get_step_pass (plan, i));
      JsonNode *file = binary != NULL ? ht_report_file (binary, error) : NULL;
      json_array_add_object_element (array, step);
      json_object_set_string_member (step, "id", ht_plan_get_step_id (plan, i));
      json_object_set_string_member (step, "pass", ht_report_get_string (report, "pass", ""));
      json_object_set_string_member (step, "version", ht_report_get_string (report, "version", ""));
      if (file != NULL)
        json_object_set_member (step, "binary", file);
      else if (binary != NULL)
        return NULL;
    }
  return g_steal_pointer (&array);
}

static JsonObject *
describe_environment (JsonObject *report)
{
  static const char *const names[] = { "halftone", "cpu", "blas-core" };
  JsonObject *environment = ht_report_get_object (report, "environment"), *object = json_object_new ();
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    json_object_set_string_member (object, names[i], ht_report_get_string (environment, names[i], ""));
  return object;
}

JsonNode *
ht_run_describe_lock (HtRun *run, GError **error)
{
  g_autoptr (JsonObject) object = json_object_new ();
  JsonObject *report = json_node_get_object (run->report), *results = ht_report_get_object (report, "results");
  JsonObject *model = json_object_new (), *made = json_object_new ();
  g_autofree char *path = g_canonicalize_filename (run->inputs.model_path, NULL);
  json_object_set_string_member (object, "lock", "1.0");
  json_object_set_member (object, "recipe", json_object_dup_member (report, "recipe"));
  json_object_set_member (object, "recipe-folder", json_object_dup_member (report, "recipe-folder"));
  json_object_set_object_member (object, "model", model);
  json_object_set_string_member (model, "path", path);
  json_object_set_member (model, "prepared-sha256",
                          json_object_dup_member (ht_report_get_object (report, "model"), "prepared-sha256"));
  json_object_set_member (object, "data", json_object_dup_member (report, "data"));
  json_object_set_boolean_member (object, "holds-out", run->inputs.holds_out);
  json_object_set_int_member (object, "memory-budget", (gint64)run->inputs.memory_budget);
  json_object_set_object_member (object, "environment", describe_environment (report));
  JsonArray *steps = describe_steps (run, error);
  if (steps == NULL)
    return NULL;
  json_object_set_array_member (object, "steps", steps);
  json_object_set_object_member (object, "result", made);
  json_object_set_member (made, "state-sha256", json_object_dup_member (results, "state-sha256"));
  json_object_set_member (made, "files", json_object_dup_member (results, "files"));
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, g_steal_pointer (&object));
  return node;
}

static JsonNode *
read_root (const char *path, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  return json_parser_load_from_file (parser, path, error) ? json_parser_steal_root (parser) : NULL;
}

static JsonObject *
get_lock (JsonNode *root)
{
  JsonObject *object = root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  return ht_report_get_string (object, "lock", NULL) != NULL ? object : NULL;
}

/**
 * ht_lock_is_lock:
 * @path: (type filename): a file
 *
 * Returns: whether it is JSON with a member `lock`, not a recipe
 */
gboolean
ht_lock_is_lock (const char *path)
{
  g_return_val_if_fail (path != NULL, FALSE);
  if (!g_str_has_suffix (path, ".json"))
    return FALSE;
  g_autoptr (JsonNode) root = read_root (path, NULL);
  return get_lock (root) != NULL;
}

static gboolean
fail_damaged (const char *path, const char *what, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "'%s' is damaged: it has no %s; take the lock.json that 'halftone run' or 'halftone search' wrote", path,
               what);
  return FALSE;
}

/**
 * ht_lock_load:
 * @path: (type filename): a lock.json
 * @registry: the techniques there are
 * @diagnostics: (element-type HtDiagnostic): receives the problems of the recipe in it
 * @error: return location for an error
 *
 * Reads a lock and the recipe that it pins.
 *
 * Returns: (transfer full) (nullable): the lock, or %NULL with @error set
 */
HtLock *
ht_lock_load (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics, GError **error)
{
  g_return_val_if_fail (path != NULL && HT_IS_PASS_REGISTRY (registry) && diagnostics != NULL, NULL);
  g_autoptr (HtLock) self = g_object_new (HT_TYPE_LOCK, NULL);
  self->root = read_root (path, error);
  if (self->root == NULL)
    return NULL;
  JsonObject *lock = get_lock (self->root);
  const char *folder = ht_report_get_string (lock, "recipe-folder", NULL);
  static const char *const parts[] = { "recipe", "model", "environment", "result" };
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (ht_report_get_object (lock, parts[i]) == NULL && !fail_damaged (path, parts[i], error))
      return NULL;
  if (folder == NULL || ht_report_get_string (ht_report_get_object (lock, "model"), "path", NULL) == NULL)
    {
      fail_damaged (path, folder == NULL ? "recipe-folder" : "model.path", error);
      return NULL;
    }
  /* Paths of the recipe are relative to where it stood. */
  g_autofree char *text = json_to_string (json_object_get_member (lock, "recipe"), TRUE);
  g_autofree char *file = g_build_filename (folder, "lock.json", NULL);
  self->recipe = ht_recipe_parse (text, -1, file, registry, diagnostics, error);
  return self->recipe != NULL ? g_steal_pointer (&self) : NULL;
}

/**
 * ht_lock_create_run:
 * @self: a lock
 *
 * Returns: (transfer full): a run, not begun, of what the lock pins
 */
HtRun *
ht_lock_create_run (HtLock *self)
{
  g_return_val_if_fail (HT_IS_LOCK (self), NULL);
  JsonObject *lock = json_node_get_object (self->root);
  HtRun *run = ht_run_new (self->recipe);
  ht_run_set_model_path (run, ht_report_get_string (ht_report_get_object (lock, "model"), "path", NULL));
  ht_run_set_memory_budget (run, (guint64)CLAMP (ht_report_get_number (lock, "memory-budget", 0), 0, 1e18));
  run->inputs.holds_out = ht_report_get_flag (lock, "holds-out");
  return run;
}

static void
compare_text (GStrvBuilder *lines, const char *what, const char *locked, const char *found)
{
  g_autofree char *line = g_strdup_printf ("%s: locked '%s', here '%s'", what, locked != NULL ? locked : "nothing",
                                           found != NULL ? found : "nothing");
  if (g_strcmp0 (locked, found) != 0)
    g_strv_builder_add (lines, line);
}

static void
compare_members (GStrvBuilder *lines, const char *what, JsonObject *locked, JsonObject *found, const char *const *names)
{
  for (; *names != NULL; names++)
    {
      g_autofree char *name = g_strdup_printf ("%s %s", what, *names);
      compare_text (lines, name, ht_report_get_string (locked, *names, NULL),
                    ht_report_get_string (found, *names, NULL));
    }
}

static void
compare_steps (GStrvBuilder *lines, JsonArray *locked, JsonArray *found)
{
  static const char *const names[] = { "pass", "version", NULL }, *const file_names[] = { "sha256", NULL };
  for (guint i = 0; i < MAX (ht_report_get_length (locked), ht_report_get_length (found)); i++)
    {
      JsonObject *a = ht_report_get_element (locked, i), *b = ht_report_get_element (found, i);
      g_autofree char *what = g_strdup_printf ("step '%s'", ht_report_get_string (a, "id", "?"));
      g_autofree char *binary = g_strdup_printf ("%s: the plugin's file,", what);
      compare_members (lines, what, a, b, names);
      compare_members (lines, binary, ht_report_get_object (a, "binary"), ht_report_get_object (b, "binary"),
                       file_names);
    }
}

static JsonObject *
find_file (JsonArray *files, const char *name)
{
  for (guint i = 0; i < ht_report_get_length (files); i++)
    {
      JsonObject *file = ht_report_get_element (files, i);
      if (g_strcmp0 (ht_report_get_string (file, "name", NULL), name) == 0)
        return file;
    }
  return NULL;
}

static gboolean
compare_files (GStrvBuilder *lines, JsonArray *locked, JsonArray *found)
{
  gboolean same = ht_report_get_length (locked) == ht_report_get_length (found);
  for (guint i = 0; i < ht_report_get_length (locked); i++)
    {
      JsonObject *file = ht_report_get_element (locked, i);
      const char *name = ht_report_get_string (file, "name", ""), *hash = ht_report_get_string (file, "sha256", NULL);
      const char *other = ht_report_get_string (find_file (found, name), "sha256", NULL);
      g_autofree char *what = g_strdup_printf ("result '%s', SHA-256", name);
      compare_text (lines, what, hash, other);
      same = same && hash != NULL && g_strcmp0 (hash, other) == 0;
    }
  return same;
}

/**
 * ht_lock_compare:
 * @self: a lock
 * @run: a run of it that was executed
 * @same: (out): whether all files of the result are the same, byte by byte
 * @error: return location for an error
 *
 * Tells where a run differs from what the lock pins: what it was made of, then what came out.
 *
 * Returns: (transfer full) (nullable) (array zero-terminated=1): a line for each difference, or %NULL with @error set
 */
char **
ht_lock_compare (HtLock *self, HtRun *run, gboolean *same, GError **error)
{
  static const char *const environment[] = { "halftone", "cpu", "blas-core", NULL };
  static const char *const model[] = { "prepared-sha256", NULL }, *const data[] = { "sha256", NULL };
  static const char *const roles[] = { "calibration", "evaluation" };
  g_return_val_if_fail (HT_IS_LOCK (self) && HT_IS_RUN (run) && run->report != NULL && same != NULL, NULL);
  g_autoptr (JsonNode) node = ht_run_describe_lock (run, error);
  if (node == NULL)
    return NULL;
  JsonObject *locked = json_node_get_object (self->root), *found = json_node_get_object (node);
  g_autoptr (GStrvBuilder) lines = g_strv_builder_new ();
  compare_members (lines, "environment", ht_report_get_object (locked, "environment"),
                   ht_report_get_object (found, "environment"), environment);
  compare_members (lines, "model", ht_report_get_object (locked, "model"), ht_report_get_object (found, "model"),
                   model);
  for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
    compare_members (lines, roles[i], ht_report_get_object (ht_report_get_object (locked, "data"), roles[i]),
                     ht_report_get_object (ht_report_get_object (found, "data"), roles[i]), data);
  compare_steps (lines, ht_report_get_array (locked, "steps"), ht_report_get_array (found, "steps"));
  *same = compare_files (lines, ht_report_get_array (ht_report_get_object (locked, "result"), "files"),
                         ht_report_get_array (ht_report_get_object (found, "result"), "files"));
  return g_strv_builder_end (lines);
}
