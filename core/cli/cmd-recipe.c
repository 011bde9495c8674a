/* SPDX-License-Identifier: MIT */
/* `recipe`: the schema of recipes, and tidying one. */
#include "cli/cli.h"

#include <string.h>

static int
write_text (const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;

  /* To a temporary name, then renamed. */
  if (g_file_set_contents (path, text, -1, &error))
    return CLI_DONE;
  return cli_fail (error);
}

static int
write_schema (int argc, char **argv)
{
  g_autofree char *output = NULL, *json = NULL, *text = NULL;
  GOptionEntry entries[]
      = { { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "Write it to this file", "FILE" }, { NULL } };
  int code = cli_parse (&argc, &argv, "recipe schema", "", "write the JSON Schema of recipes, with all loaded plugins",
                        entries, NULL, 0);

  if (code >= 0)
    return code;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (JsonNode) schema = ht_recipe_schema (registry);
  json = json_to_string (schema, TRUE);
  text = g_strconcat (json, "\n", NULL);
  if (output != NULL)
    return write_text (output, text);
  g_print ("%s", text);
  return CLI_DONE;
}

static int
format_recipe (int argc, char **argv)
{
  g_autofree char *text = NULL, *tidy = NULL;
  gboolean check = FALSE;
  GOptionEntry entries[]
      = { { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Change nothing; fail where the file is not tidy", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "recipe fmt", "RECIPE", "tidy the text of a recipe in place; comments stay",
                        entries, NULL, 1);

  if (code >= 0)
    return code;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  if (!g_file_get_contents (argv[1], &text, NULL, &error))
    return cli_fail (error);
  tidy = ht_recipe_format (text, argv[1], diagnostics, &error);
  if (tidy == NULL && diagnostics->len > 0)
    {
      cli_print_diagnostics (diagnostics);
      return CLI_INVALID;
    }
  if (tidy == NULL)
    return cli_fail (error);
  if (strcmp (text, tidy) == 0)
    return CLI_DONE;
  if (!check)
    return write_text (argv[1], tidy);
  g_printerr ("halftone recipe fmt: %s is not tidy\n", argv[1]);
  return CLI_FAILED;
}

int
cli_recipe (int argc, char **argv)
{
  if (argc > 1 && g_str_equal (argv[1], "schema"))
    return write_schema (argc - 1, argv + 1);
  if (argc > 1 && g_str_equal (argv[1], "fmt"))
    return format_recipe (argc - 1, argv + 1);
  if (argc > 1 && (g_str_equal (argv[1], "--help") || g_str_equal (argv[1], "-h")))
    {
      g_print ("Usage:\n  halftone recipe schema [-o FILE]    write the JSON Schema of recipes, for editors\n"
               "  halftone recipe fmt RECIPE [--check]   tidy a recipe in place; comments stay\n");
      return CLI_DONE;
    }
  return cli_usage ("recipe", argc > 1 ? "there is no '%s': write schema or fmt" : "schema or fmt is missing",
                    argc > 1 ? argv[1] : "");
}
