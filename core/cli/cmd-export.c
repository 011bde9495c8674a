/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <halftone/enums.h>
#include <string.h>

static const char *const formats[] = { "onnx", "onnx-qdq", "encodings-0.6.1", "encodings-1.0.0", "encodings-2.0.0", NULL };

static gboolean
export (const char *model, const char *encodings, const char *format, HtQdqWeights weights, const char *output,
        GError **error)
{
  g_autoptr (HtGraph) graph = ht_graph_load (model, error);
  if (graph == NULL)
    return FALSE;
  if (g_str_equal (format, "onnx"))
    return ht_graph_save (graph, output, error);
  if (!ht_graph_infer_shapes (graph, error))
    return FALSE;
  ht_graph_seal (graph);
  g_autoptr (HtSimulation) simulation = cli_open_simulation (graph, encodings, NULL, error);
  if (simulation == NULL)
    return FALSE;
  if (g_str_has_prefix (format, "encodings-"))
    return ht_simulation_save_encodings (simulation, output, format + strlen ("encodings-"), error);
  g_autoptr (HtGraph) qdq = ht_simulation_to_qdq_full (simulation, weights, error);
  return qdq != NULL && ht_graph_save (qdq, output, error);
}

static gboolean
read_qdq_weights (const char *word, HtQdqWeights *weights)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (HT_TYPE_QDQ_WEIGHTS);
  GEnumValue *found = g_enum_get_value_by_nick (klass, word);

  if (found == NULL)
    return FALSE;
  *weights = (HtQdqWeights)found->value;
  return TRUE;
}

int
cli_export (int argc, char **argv)
{
  g_autofree char *encodings = NULL, *format = NULL, *output = NULL, *weights = NULL;
  GOptionEntry entries[]
      = { { "encodings", 'e', 0, G_OPTION_ARG_FILENAME, &encodings, "The encodings of the simulation", "FILE" },
          { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "onnx, onnx-qdq, encodings-0.6.1, encodings-1.0.0 or encodings-2.0.0", "FORMAT" },
          { "qdq-weights", 0, 0, G_OPTION_ARG_STRING, &weights, "How onnx-qdq stores weights: integer or float", "HOW" },
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
  HtQdqWeights how = HT_QDQ_WEIGHTS_INTEGER;
  if (weights != NULL && !g_str_equal (format, "onnx-qdq"))
    return cli_usage ("export", "--qdq-weights is for format 'onnx-qdq' only");
  if (weights != NULL && !read_qdq_weights (weights, &how))
    return cli_usage ("export", "--qdq-weights is '%s'; expected 'integer' or 'float'", weights);
  if (encodings == NULL && !g_str_equal (format, "onnx"))
    return cli_usage ("export", "--encodings is missing: format '%s' needs the grids", format);
  g_autoptr (GError) error = NULL;
  if (!export (argv[1], encodings, format, how, output, &error))
    return cli_fail (error);
  g_print ("wrote %s\n", output);
  return CLI_DONE;
}
