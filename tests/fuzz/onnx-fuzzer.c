/* SPDX-License-Identifier: MIT */
/* Whatever the bytes are, loading them ends with a graph or an error; a graph survives everything done to it. */
#include "onnx/writer.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What was written must be readable, and must be the same. */
static void
round_trip (HtGraph *graph)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  if (!ht_onnx_serialize (graph, &bytes, &error))
    return;
  g_autoptr (HtGraph) again = ht_graph_load_bytes (bytes, NULL, &error);
  if (!again)
    g_error ("a written model does not load: %s", error->message);
  g_autofree char *hash = ht_graph_hash (graph);
  g_autofree char *hash_again = ht_graph_hash (again);
  if (!g_str_equal (hash, hash_again))
    g_error ("a written model loads as another one");
  g_autoptr (GBytes) bytes_again = NULL;
  if (!ht_onnx_serialize (again, &bytes_again, &error) || !g_bytes_equal (bytes, bytes_again))
    g_error ("a model written twice gives other bytes");
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (HtGraph) graph = ht_graph_load_bytes (bytes, NULL, NULL);
  if (!graph)
    return 0;
  g_autoptr (GError) error = NULL;
  if (!ht_graph_verify (graph, &error))
    g_error ("a loaded model does not verify: %s", error->message);
  round_trip (graph);
  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  if (ht_graph_infer_shapes (copy, NULL))
    round_trip (copy);
  g_auto (GStrv) folded = ht_graph_prepare (graph, &error);
  if (folded)
    round_trip (graph);
  return 0;
}
