/* SPDX-License-Identifier: MIT */
/* Describes a technique or a calibrator, from its class, or a model, from its graph. */
#include "cli/cli.h"

#include <string.h>

static JsonNode *
rules_to_json (HtPassClass *klass)
{
  g_autoptr (GEnumClass) kinds = g_type_class_ref (ht_rule_kind_get_type ());
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < ht_pass_class_get_n_rules (klass); i++)
    {
      const char *subject, *reason, *reference, *when;
      HtRuleKind kind = ht_pass_class_get_rule (klass, i, &subject, &reason, &reference, &when);
      JsonObject *rule = json_object_new ();
      json_object_set_string_member (rule, "kind", g_enum_get_value (kinds, (gint) kind)->value_nick);
      json_object_set_string_member (rule, "subject", subject);
      json_object_set_string_member (rule, "reason", reason);
      if (reference != NULL)
        json_object_set_string_member (rule, "reference", reference);
      if (when != NULL)
        json_object_set_string_member (rule, "when", when);
      json_array_add_object_element (array, rule);
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

static JsonNode *
params_to_json (GObjectClass *klass)
{
  g_autoptr (GPtrArray) params = ht_object_list_params (klass);
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < params->len; i++)
    {
      GParamSpec *pspec = g_ptr_array_index (params, i);
      g_autofree char *type = ht_param_spec_describe_type (pspec);
      g_autofree char *fallback = ht_param_spec_describe_default (pspec);
      JsonObject *param = json_object_new ();
      json_object_set_string_member (param, "name", g_param_spec_get_name (pspec));
      json_object_set_string_member (param, "type", type);
      json_object_set_string_member (param, "default", fallback);
      json_object_set_string_member (param, "description", g_param_spec_get_blurb (pspec));
      if (ht_param_spec_get_unit (pspec) != NULL)
        json_object_set_string_member (param, "unit", ht_param_spec_get_unit (pspec));
      json_array_add_object_element (array, param);
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

static JsonNode *
strings_to_json (const char *const *strings)
{
  JsonArray *array = json_array_new ();
  for (; strings != NULL && *strings != NULL; strings++)
    json_array_add_string_element (array, *strings);
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

static void
append_reads (GString *text, HtPassReads reads, const char *when)
{
  g_autoptr (GFlagsClass) flags = g_type_class_ref (ht_pass_reads_get_type ());
  for (guint i = 0; i < flags->n_values; i++)
    if (flags->values[i].value != 0 && (reads & flags->values[i].value) != 0)
      {
        g_string_append_printf (text, "%s%s", text->len > 0 ? ", " : "", flags->values[i].value_nick);
        if (when != NULL)
          g_string_append_printf (text, " (when %s)", when);
      }
}

static void
print_reads (HtPassClass *klass)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const char *when;
  HtPassReads added;
  append_reads (text, ht_pass_class_get_reads (klass), NULL);
  for (guint i = 0; (added = ht_pass_class_get_added_reads (klass, i, &when)) != 0; i++)
    append_reads (text, added, when);
  g_print ("\nreads besides the model: %s\n", text->len > 0 ? text->str : "nothing");
}

static void
print_params (GObjectClass *klass)
{
  g_autoptr (GPtrArray) params = ht_object_list_params (klass);
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  g_print ("\nparameters%s\n", params->len == 0 ? ": none" : "");
  for (guint i = 0; i < params->len; i++)
    {
      GParamSpec *pspec = g_ptr_array_index (params, i);
      g_autofree char *type = ht_param_spec_describe_type (pspec);
      g_autofree char *fallback = ht_param_spec_describe_default (pspec);
      const char *unit = ht_param_spec_get_unit (pspec);
      char **cells = g_new0 (char *, 5);
      cells[0] = g_strdup_printf ("  %s", g_param_spec_get_name (pspec));
      cells[1] = g_strdup_printf ("%s%s%s", type, unit ? " " : "", unit ? unit : "");
      cells[2] = g_strdup_printf ("default %s", fallback);
      cells[3] = g_strdup (g_param_spec_get_blurb (pspec));
      g_ptr_array_add (rows, cells);
    }
  cli_print_table (rows);
}

static void
print_rules (HtPassClass *klass)
{
  g_autoptr (GEnumClass) kinds = g_type_class_ref (ht_rule_kind_get_type ());
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  g_print ("\nrules\n");
  for (guint i = 0; i < ht_pass_class_get_n_rules (klass); i++)
    {
      const char *subject, *reason, *reference, *when;
      HtRuleKind kind = ht_pass_class_get_rule (klass, i, &subject, &reason, &reference, &when);
      char **cells = g_new0 (char *, 4);
      cells[0] = g_strdup_printf ("  %s", g_enum_get_value (kinds, (gint) kind)->value_nick);
      cells[1] = g_strdup (subject);
      cells[2] = g_strdup_printf ("%s%s%s%s", reason, when ? " (when " : "", when ? when : "", when ? ")" : "");
      g_ptr_array_add (rows, cells);
    }
  cli_print_table (rows);
}

static int
inspect_pass (HtPassRegistry *registry, const char *id, GType type, gboolean json)
{
  g_autoptr (HtPassClass) klass = g_type_class_ref (type);
  HtPlugin *plugin = ht_pass_registry_get_plugin (registry, id);
  const char *const *references = ht_pass_class_get_references (klass);
  if (json)
    {
      JsonObject *object = json_object_new ();
      json_object_set_string_member (object, "id", id);
      json_object_set_string_member (object, "summary", ht_pass_class_get_summary (klass));
      json_object_set_string_member (object, "description", ht_pass_class_get_description (klass));
      json_object_set_member (object, "parameters", params_to_json (G_OBJECT_CLASS (klass)));
      json_object_set_member (object, "rules", rules_to_json (klass));
      json_object_set_member (object, "references", strings_to_json (references));
      if (plugin != NULL)
        json_object_set_string_member (object, "plugin", ht_plugin_get_path (plugin));
      g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
      json_node_take_object (node, object);
      cli_print_json (node);
      return CLI_DONE;
    }
  g_print ("%s: %s\n", id, ht_pass_class_get_summary (klass));
  if (ht_pass_class_get_description (klass) != NULL)
    g_print ("\n%s\n", ht_pass_class_get_description (klass));
  print_params (G_OBJECT_CLASS (klass));
  print_rules (klass);
  print_reads (klass);
  for (; references != NULL && *references != NULL; references++)
    g_print ("reference: %s\n", *references);
  if (plugin != NULL)
    g_print ("plugin: %s %s, %s, %s\n", ht_plugin_get_name (plugin), ht_plugin_get_version (plugin),
             ht_plugin_get_license (plugin), ht_plugin_get_path (plugin));
  return CLI_DONE;
}

/* NULL: the calibrator is the library's own. */
static HtPlugin *
find_calibrator_plugin (HtPassRegistry *registry, const char *id)
{
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  for (guint i = 0; i < plugins->len; i++)
    if (g_strv_contains (ht_plugin_get_calibrator_ids (g_ptr_array_index (plugins, i)), id))
      return g_object_ref (g_ptr_array_index (plugins, i));
  return NULL;
}

static int
inspect_calibrator (HtPassRegistry *registry, const char *id, GType type, gboolean json)
{
  g_autoptr (HtCalibratorClass) klass = g_type_class_ref (type);
  g_autoptr (HtPlugin) plugin = find_calibrator_plugin (registry, id);
  const char *description = ht_calibrator_class_get_description (klass);
  const char *const *references = ht_calibrator_class_get_references (klass);
  if (json)
    {
      JsonObject *object = json_object_new ();
      json_object_set_string_member (object, "id", id);
      json_object_set_string_member (object, "kind", "calibrator");
      json_object_set_string_member (object, "summary", ht_calibrator_class_get_summary (klass));
      json_object_set_string_member (object, "description", description);
      json_object_set_member (object, "parameters", params_to_json (G_OBJECT_CLASS (klass)));
      json_object_set_member (object, "references", strings_to_json (references));
      if (plugin != NULL)
        json_object_set_string_member (object, "plugin", ht_plugin_get_path (plugin));
      g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
      json_node_take_object (node, object);
      cli_print_json (node);
      return CLI_DONE;
    }
  g_print ("%s, a calibrator: %s\n", id, ht_calibrator_class_get_summary (klass));
  if (description != NULL)
    g_print ("\n%s\n", description);
  print_params (G_OBJECT_CLASS (klass));
  for (; *references != NULL; references++)
    g_print ("reference: %s\n", *references);
  if (plugin != NULL)
    g_print ("plugin: %s %s, %s, %s\n", ht_plugin_get_name (plugin), ht_plugin_get_version (plugin),
             ht_plugin_get_license (plugin), ht_plugin_get_path (plugin));
  return CLI_DONE;
}

static void
describe_values (HtGraph *graph, const char *what, const char *const *names)
{
  for (; *names != NULL; names++)
    {
      HtShape *shape = ht_graph_get_shape (graph, *names);
      g_autofree char *text = shape != NULL ? ht_shape_to_string (shape) : g_strdup ("of unknown rank");
      g_print ("%s '%s': %s %s\n", what, *names, ht_data_type_get_name (ht_graph_get_data_type (graph, *names)), text);
    }
}

static gint
compare_counts (gconstpointer a, gconstpointer b, gpointer counts)
{
  const char *first = *(const char *const *) a, *second = *(const char *const *) b;
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (counts, first));
  guint m = GPOINTER_TO_UINT (g_hash_table_lookup (counts, second));
  return n != m ? (n < m ? 1 : -1) : strcmp (first, second);
}

static GHashTable *
count_operators (HtGraph *graph)
{
  GHashTable *counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      const char *op = ht_node_get_op_type (ht_graph_get_node (graph, i));
      guint n = GPOINTER_TO_UINT (g_hash_table_lookup (counts, op));
      g_hash_table_insert (counts, g_strdup (op), GUINT_TO_POINTER (n + 1));
    }
  return counts;
}

static guint64
count_parameters (HtGraph *graph)
{
  guint64 n = 0;
  g_auto (GStrv) names = ht_graph_list_initializers (graph);
  for (char **name = names; *name != NULL; name++)
    {
      HtTensor *tensor = ht_graph_get_initializer (graph, *name);
      if (tensor != NULL && ht_data_type_is_float (ht_tensor_get_data_type (tensor)))
        n += ht_tensor_get_n_elements (tensor);
    }
  return n;
}

static JsonNode *
values_to_json (HtGraph *graph, const char *const *names)
{
  JsonArray *array = json_array_new ();
  for (; *names != NULL; names++)
    {
      HtShape *shape = ht_graph_get_shape (graph, *names);
      g_autofree char *text = shape != NULL ? ht_shape_to_string (shape) : NULL;
      JsonObject *value = json_object_new ();
      json_object_set_string_member (value, "name", *names);
      json_object_set_string_member (value, "type", ht_data_type_get_name (ht_graph_get_data_type (graph, *names)));
      json_object_set_string_member (value, "shape", text);
      json_array_add_object_element (array, value);
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

/* A line for each node whose operator cannot be run, subgraphs included: which, of what operator and opset. */
static char **
list_unsupported (HtGraph *graph, GError **error)
{
  g_autoptr (GPtrArray) findings = ht_graph_validate (graph, error);
  g_autoptr (GStrvBuilder) lines = g_strv_builder_new ();

  if (findings == NULL)
    return NULL;
  for (guint i = 0; i < findings->len; i++)
    {
      HtFinding *finding = g_ptr_array_index (findings, i);
      if (g_str_equal (ht_finding_get_kind (finding), "unsupported-operator"))
        g_strv_builder_add (lines, ht_finding_get_message (finding));
    }
  return g_strv_builder_end (lines);
}

typedef struct
{
  guint batch; /* 0: not asked for */
  guint64 weights, prepared, activations, transfers, bookkeeping;
} Memory;

static gboolean
estimate_memory (HtGraph *graph, Memory *memory, GError **error)
{
  if (memory->batch == 0)
    return TRUE;
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, error);
  return executor != NULL
         && ht_executor_estimate_memory (executor, memory->batch, NULL, NULL, &memory->weights, &memory->prepared,
                                         &memory->activations, &memory->transfers, &memory->bookkeeping, error);
}

static void
print_memory (const Memory *memory)
{
  const guint64 parts[] = { memory->weights, memory->prepared, memory->activations, memory->transfers,
                            memory->bookkeeping };
  const char *const names[] = { "weights", "prepared weights", "activations", "inputs and outputs", "bookkeeping" };
  guint64 sum = 0;
  if (memory->batch == 0)
    return;
  g_print ("memory of a run at batch %u\n", memory->batch);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *size = g_format_size_full (parts[i], G_FORMAT_SIZE_IEC_UNITS);
      g_print ("  %-18s %s\n", names[i], size);
      sum += parts[i];
    }
  g_autofree char *peak = g_format_size_full (sum, G_FORMAT_SIZE_IEC_UNITS);
  g_print ("  %-18s %s\n", "peak", peak);
}

static JsonObject *
memory_to_json (const Memory *memory)
{
  JsonObject *object = json_object_new ();
  json_object_set_int_member (object, "batch", memory->batch);
  json_object_set_int_member (object, "weights", (gint64)memory->weights);
  json_object_set_int_member (object, "prepared", (gint64)memory->prepared);
  json_object_set_int_member (object, "activations", (gint64)memory->activations);
  json_object_set_int_member (object, "transfers", (gint64)memory->transfers);
  json_object_set_int_member (object, "bookkeeping", (gint64) memory->bookkeeping);
  json_object_set_int_member (object, "peak",
                              (gint64) (memory->weights + memory->prepared + memory->activations + memory->transfers
                                        + memory->bookkeeping));
  return object;
}

static void
print_model_json (HtGraph *graph, GHashTable *counts, char **ops, char **unsupported, guint n_layers,
                  const Memory *memory)
{
  JsonObject *object = json_object_new ();
  JsonObject *operators = json_object_new ();
  JsonArray *missing = json_array_new ();
  g_autofree char *hash = ht_graph_hash (graph);
  for (char **op = ops; *op != NULL; op++)
    json_object_set_int_member (operators, *op, GPOINTER_TO_UINT (g_hash_table_lookup (counts, *op)));
  json_object_set_int_member (object, "opset", ht_graph_get_opset (graph, ""));
  json_object_set_member (object, "inputs", values_to_json (graph, ht_graph_get_inputs (graph)));
  json_object_set_member (object, "outputs", values_to_json (graph, ht_graph_get_outputs (graph)));
  json_object_set_int_member (object, "nodes", ht_graph_get_n_nodes (graph));
  json_object_set_int_member (object, "layers", n_layers);
  json_object_set_int_member (object, "parameters", (gint64) count_parameters (graph));
  json_object_set_object_member (object, "operators", operators);
  for (char **line = unsupported; *line != NULL; line++)
    json_array_add_string_element (missing, *line);
  json_object_set_array_member (object, "unsupported", missing);
  json_object_set_string_member (object, "sha256", hash);
  if (memory->batch > 0)
    json_object_set_object_member (object, "memory", memory_to_json (memory));
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  cli_print_json (node);
}

static int
inspect_model (const char *path, guint batch, gboolean json)
{
  Memory memory = { .batch = batch };
  g_autoptr (GError) error = NULL;
  g_autoptr (HtGraph) graph = ht_graph_load (path, &error);
  if (graph == NULL || !ht_graph_infer_shapes (graph, &error) || !estimate_memory (graph, &memory, &error))
    return cli_fail (error);
  g_auto (GStrv) unsupported = list_unsupported (graph, &error);
  if (unsupported == NULL)
    return cli_fail (error);
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph);
  g_autoptr (GHashTable) counts = count_operators (graph);
  guint n;
  g_autofree char **ops = (char **) g_hash_table_get_keys_as_array (counts, &n);
  g_qsort_with_data (ops, (gint) n, sizeof *ops, compare_counts, counts);
  if (json)
    {
      print_model_json (graph, counts, ops, unsupported, layers->len, &memory);
      return CLI_DONE;
    }
  g_print ("%s: '%s', opset %" G_GINT64_FORMAT "\n", path, ht_graph_get_name (graph), ht_graph_get_opset (graph, ""));
  describe_values (graph, "input", ht_graph_get_inputs (graph));
  describe_values (graph, "output", ht_graph_get_outputs (graph));
  g_print ("%u nodes, %u weighted layers, %" G_GUINT64_FORMAT " parameters\n", ht_graph_get_n_nodes (graph), layers->len,
           count_parameters (graph));
  for (char **op = ops; *op != NULL; op++)
    g_print ("%6u %s\n", GPOINTER_TO_UINT (g_hash_table_lookup (counts, *op)), *op);
  for (char **line = unsupported; *line != NULL; line++)
    g_print ("cannot be run: %s\n", *line);
  print_memory (&memory);
  return CLI_DONE;
}

int
cli_inspect (int argc, char **argv)
{
  gboolean json = FALSE;
  int batch = 0;
  GOptionEntry entries[]
      = { { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Tell the memory that a run of a model with this batch takes", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the description as JSON", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "inspect", "PASS|CALIBRATOR|MODEL", "describe a technique, a calibrator or a model", entries, NULL, 1);
  if (code >= 0)
    return code;
  if (batch < 0)
    return cli_usage ("inspect", "--batch must be positive");
  if (g_file_test (argv[1], G_FILE_TEST_EXISTS) || g_str_has_suffix (argv[1], ".onnx"))
    return inspect_model (argv[1], (guint)batch, json);
  g_autoptr (GError) error = NULL;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  GType type = ht_pass_registry_find (registry, argv[1], &error);
  if (type != 0)
    return inspect_pass (registry, argv[1], type, json);
  GType calibrator = ht_calibrator_find (argv[1], NULL);
  return calibrator != 0 ? inspect_calibrator (registry, argv[1], calibrator, json) : cli_fail (error);
}
