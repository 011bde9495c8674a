/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <string.h>

static const char *const formats[] = { "onnx", "onnx-qdq", "encodings-0.6.1", "encodings-1.0.0", "encodings-2.0.0", NULL };

static gboolean
export (const char *model, const char *encodings, const char *format, const char *output, GError **error)
{
  g_autoptr (HtGraph) graph = ht_graph_load (model, error);
  if (graph == NULL)
    return FALSE;
  if (g_str_equal (format, "onnx"))
    return ht_graph_save (graph, output, error);
  if (!ht_graph_infer_shapes (graph, error))
    return FALSE;
  ht_graph_seal (graph);
  g_autoptr (HtSimulation) simulation = cli_open_simulation (graph, encodings, error);
  if (simulation == NULL)
    return FALSE;
  if (g_str_has_prefix (format, "encodings-"))
    return ht_simulation_save_encodings (simulation, output, format + strlen ("encodings-"), error);
  g_autoptr (HtGraph) qdq = ht_simulation_to_qdq (simulation, error);
  return qdq != NULL && ht_graph_save (qdq, output, error);
}

int
cli_export (int argc, char **argv)
{
  g_autofree char *encodings = NULL, *format = NULL, *output = NULL;
  GOptionEntry entries[]
      = { { "encodings", 'e', 0, G_OPTION_ARG_FILENAME, &encodings, "The encodings of the simulation", "FILE" },
          { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "onnx, onnx-qdq, encodings-0.6.1, encodings-1.0.0 or encodings-2.0.0", "FORMAT" },
          { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "The file to write", "FILE" },
          { NULL } };
  int code = cli_parse (&argc, &argv, "export", "MODEL", "write a network in another format", entries, NULL, 1);
  if (code >= 0)
    return code;
  if (format == NULL || output == NULL)
    return cli_usage ("export", "%s is missing", format == NULL ? "--format" : "--output");
  if (!g_strv_contains (formats, format))
    {
      const char *nearest = ht_suggest (format, formats);
      return cli_usage ("export", "there is no format '%s'%s%s%s", format, nearest ? "; did you mean '" : "",
                        nearest ? nearest : "", nearest ? "'?" : "");
    }
  if (encodings == NULL && !g_str_equal (format, "onnx"))
    return cli_usage ("export", "--encodings is missing: format '%s' needs the grids", format);
  g_autoptr (GError) error = NULL;
  if (!export (argv[1], encodings, format, output, &error))
    return cli_fail (error);
  g_print ("wrote %s\n", output);
  return CLI_DONE;
}
