/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

static const char *
state_name (HtPlugin *plugin)
{
  g_autoptr (GEnumClass) states = g_type_class_ref (ht_plugin_state_get_type ());
  return g_enum_get_value (states, (gint) ht_plugin_get_state (plugin))->value_nick;
}

static void
print_json (GPtrArray *plugins)
{
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < plugins->len; i++)
    {
      HtPlugin *plugin = g_ptr_array_index (plugins, i);
      const GError *error = ht_plugin_get_error (plugin);
      const char *const *ids = ht_plugin_get_pass_ids (plugin);
      JsonObject *object = json_object_new ();
      JsonArray *passes = json_array_new ();
      json_object_set_string_member (object, "name", ht_plugin_get_name (plugin));
      json_object_set_string_member (object, "version", ht_plugin_get_version (plugin));
      json_object_set_string_member (object, "license", ht_plugin_get_license (plugin));
      json_object_set_string_member (object, "state", state_name (plugin));
      json_object_set_string_member (object, "path", ht_plugin_get_path (plugin));
      for (; ids != NULL && *ids != NULL; ids++)
        json_array_add_string_element (passes, *ids);
      json_object_set_array_member (object, "passes", passes);
      JsonArray *calibrators = json_array_new ();
      for (ids = ht_plugin_get_calibrator_ids (plugin); *ids != NULL; ids++)
        json_array_add_string_element (calibrators, *ids);
      json_object_set_array_member (object, "calibrators", calibrators);
      if (error != NULL)
        json_object_set_string_member (object, "error", error->message);
      json_array_add_object_element (array, object);
    }
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  cli_print_json (node);
}

static const char *
or_dash (const char *text)
{
  return text != NULL && *text != '\0' ? text : "-";
}

static void
print_list (GPtrArray *plugins)
{
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  static const char *const head[] = { "plugin", "version", "state", "techniques", "calibrators", "file", NULL };
  g_ptr_array_add (rows, g_strdupv ((char **) head));
  for (guint i = 0; i < plugins->len; i++)
    {
      HtPlugin *plugin = g_ptr_array_index (plugins, i);
      const char *const *ids = ht_plugin_get_pass_ids (plugin);
      g_autofree char *joined = ids != NULL ? g_strjoinv (", ", (char **) ids) : NULL;
      g_autofree char *calibrators = g_strjoinv (", ", (char **)ht_plugin_get_calibrator_ids (plugin));
      const char *cells[] = { or_dash (ht_plugin_get_name (plugin)), or_dash (ht_plugin_get_version (plugin)),
                              state_name (plugin), or_dash (joined), or_dash (calibrators),
                              ht_plugin_get_path (plugin), NULL };
      g_ptr_array_add (rows, g_strdupv ((char **) cells));
    }
  cli_print_table (rows);
  for (guint i = 0; i < plugins->len; i++)
    {
      const GError *error = ht_plugin_get_error (g_ptr_array_index (plugins, i));
      if (error != NULL)
        g_print ("%s\n", error->message);
    }
}

/* The library's own and those of plugins. */
static void
print_calibrators (void)
{
  g_auto (GStrv) ids = ht_calibrator_list ();
  g_autofree char *joined = g_strjoinv (", ", ids);
  g_print ("calibrators: %s\n", joined);
}

int
cli_plugins (int argc, char **argv)
{
  gboolean json = FALSE;
  GOptionEntry entries[]
      = { { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the list as JSON", NULL }, { NULL } };
  int code = cli_parse (&argc, &argv, "plugins", "list", "list the plugins and what they provide", entries, NULL, 1);
  if (code >= 0)
    return code;
  if (!g_str_equal (argv[1], "list"))
    return cli_usage ("plugins", "there is no '%s', only 'list'", argv[1]);
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  if (json)
    print_json (plugins);
  else if (plugins->len > 0)
    print_list (plugins);
  else
    g_print ("no plugins were found: install them, or name their folder in HALFTONE_PLUGIN_PATH\n");
  if (!json)
    print_calibrators ();
  return CLI_DONE;
}
