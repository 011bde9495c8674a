/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

static const char *
severity_name (HtFinding *finding)
{
  g_autoptr (GEnumClass) severities = g_type_class_ref (ht_severity_get_type ());
  return g_enum_get_value (severities, (gint)ht_finding_get_severity (finding))->value_nick;
}

static guint
count_errors (GPtrArray *findings)
{
  guint n = 0;
  for (guint i = 0; i < findings->len; i++)
    n += ht_finding_get_severity (g_ptr_array_index (findings, i)) == HT_SEVERITY_ERROR;
  return n;
}

static void
print_json (GPtrArray *findings)
{
  JsonObject *object = json_object_new ();
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < findings->len; i++)
    {
      HtFinding *finding = g_ptr_array_index (findings, i);
      JsonObject *entry = json_object_new ();
      json_object_set_string_member (entry, "severity", severity_name (finding));
      json_object_set_string_member (entry, "kind", ht_finding_get_kind (finding));
      json_object_set_string_member (entry, "message", ht_finding_get_message (finding));
      json_object_set_string_member (entry, "remedy", ht_finding_get_remedy (finding));
      json_array_add_object_element (array, entry);
    }
  json_object_set_boolean_member (object, "fit", count_errors (findings) == 0);
  json_object_set_array_member (object, "findings", array);
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  cli_print_json (node);
}

/* Findings of one kind share a remedy, which is said once, behind the last of them; of many of a kind a few are shown.
 */
static void
print_findings (GPtrArray *findings)
{
  const guint shown = 6;
  for (guint first = 0, end; first < findings->len; first = end)
    {
      HtFinding *finding = g_ptr_array_index (findings, first);
      for (end = first + 1; end < findings->len; end++)
        if (!g_str_equal (ht_finding_get_kind (g_ptr_array_index (findings, end)), ht_finding_get_kind (finding)))
          break;
      guint n = end - first > shown ? shown - 1 : end - first;
      for (guint i = first; i < first + n; i++)
        g_print ("%s: %s\n", severity_name (finding), ht_finding_get_message (g_ptr_array_index (findings, i)));
      if (n < end - first)
        g_print ("%s: %u more of this kind, all of which --json lists\n", severity_name (finding), end - first - n);
      g_print ("  → %s\n", ht_finding_get_remedy (finding));
    }
}

static gboolean
fix (HtGraph *graph, const char *path, gboolean quiet, GError **error)
{
  g_auto (GStrv) lines = ht_graph_prepare (graph, error);
  if (lines == NULL || !ht_graph_save (graph, path, error))
    return FALSE;
  if (!quiet)
    g_print ("wrote %s (%u things mended)\n", path, g_strv_length (lines));
  return TRUE;
}

int
cli_validate (int argc, char **argv)
{
  g_autofree char *output = NULL;
  gboolean json = FALSE;
  GOptionEntry entries[]
      = { { "fix", 0, 0, G_OPTION_ARG_FILENAME, &output, "Write the model with all repaired that can be", "OUT.onnx" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the findings as JSON", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "validate", "MODEL", "say whether a model is fit for quantization, and repair it",
                        entries, NULL, 1);
  if (code >= 0)
    return code;
  g_autoptr (GError) error = NULL;
  g_autoptr (HtGraph) graph = ht_graph_load (argv[1], &error);
  if (graph == NULL)
    return cli_fail (error);
  g_autoptr (GPtrArray) findings = ht_graph_validate (graph, &error);
  if (findings == NULL)
    return cli_fail (error);
  guint n_errors = count_errors (findings);
  if (json)
    print_json (findings);
  else
    {
      print_findings (findings);
      g_print ("%s: %s (opset %" G_GINT64_FORMAT ", %u nodes)\n", argv[1],
               n_errors == 0 ? "fit for quantization" : "not fit for quantization: see the errors",
               ht_graph_get_opset (graph, ""), ht_graph_get_n_nodes (graph));
    }
  if (output != NULL && !fix (graph, output, json, &error))
    return cli_fail (error);
  return n_errors == 0 ? CLI_DONE : CLI_INVALID;
}
