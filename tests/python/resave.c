/* SPDX-License-Identifier: MIT */
/* resave IN OUT [MAX_SIZE]: loads a model and writes it again; over MAX_SIZE bytes with external data. */
#include "onnx/writer.h"

#include <stdio.h>

int
main (int argc, char **argv)
{
  guint64 max_size = HT_ONNX_MAX_SIZE;
  if (argc < 3 || argc > 4
      || (argc == 4 && !g_ascii_string_to_unsigned (argv[3], 10, 0, HT_ONNX_MAX_SIZE, &max_size, NULL)))
    {
      fprintf (stderr, "usage: resave IN.onnx OUT.onnx [MAX_SIZE]\n");
      return 2;
    }
  g_autoptr (GError) error = NULL;
  g_autoptr (HtGraph) graph = ht_graph_load (argv[1], &error);
  if (graph && ht_onnx_save (graph, argv[2], (gsize) max_size, &error))
    return 0;
  fprintf (stderr, "%s\n", error->message);
  return 1;
}
