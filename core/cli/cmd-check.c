/* SPDX-License-Identifier: MIT */
/* `check`: every problem of a recipe, before any work is done. */
#include "cli/cli.h"

static JsonNode *
diagnostics_to_json (GPtrArray *diagnostics)
{
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < diagnostics->len; i++)
    {
      HtDiagnostic *diagnostic = g_ptr_array_index (diagnostics, i);
      JsonObject *object = json_object_new ();
      g_autoptr (GEnumClass) severities = g_type_class_ref (ht_severity_get_type ());
      GEnumValue *severity = g_enum_get_value (severities, (gint) ht_diagnostic_get_severity (diagnostic));
      json_object_set_string_member (object, "severity", severity->value_nick);
      json_object_set_string_member (object, "file", ht_diagnostic_get_file (diagnostic));
      json_object_set_int_member (object, "line", ht_diagnostic_get_line (diagnostic));
      json_object_set_int_member (object, "column", ht_diagnostic_get_column (diagnostic));
      json_object_set_string_member (object, "message", ht_diagnostic_get_message (diagnostic));
      json_array_add_object_element (array, object);
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

int
cli_check (int argc, char **argv)
{
  gboolean json = FALSE;
  GOptionEntry entries[]
      = { { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the problems as JSON", NULL }, { NULL } };
  int code = cli_parse (&argc, &argv, "check", "RECIPE", "find every problem of a recipe; no model is touched", entries,
                        NULL, 1);
  if (code >= 0)
    return code;
  g_autoptr (GError) error = NULL;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
  /* With or without choices for a search. */
  g_autoptr (HtRecipeSpace) space = ht_recipe_space_load (argv[1], registry, diagnostics, &error);
  if (json)
    {
      g_autoptr (JsonNode) node = diagnostics_to_json (diagnostics);
      cli_print_json (node);
    }
  else
    cli_print_diagnostics (diagnostics);
  if (space == NULL)
    return cli_fail_recipe (registry, diagnostics, error);
  guint64 n = ht_recipe_space_get_n_combinations (space);
  if (!json && ht_recipe_space_get_n_axes (space) == 0)
    g_print ("%s: valid\n", argv[1]);
  else if (!json && n == G_MAXUINT64)
    g_print ("%s: valid, for a search\n", argv[1]);
  else if (!json)
    g_print ("%s: valid, for a search over %" G_GUINT64_FORMAT " combinations\n", argv[1], n);
  return CLI_DONE;
}
