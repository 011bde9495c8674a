/* SPDX-License-Identifier: MIT */
#include "onnx/message.h"
#include "base/map-file.h"
#include "onnx/reader-private.h"
#include "onnx/wire-scan.h"

#include <halftone/error.h>
#include <string.h>

#define OLDEST_OPSET 7
#define NEWEST_OPSET 23

static gboolean
read_opsets (HtGraph *graph, const Onnx__ModelProto *proto, const char *what, GError **error)
{
  if (proto->n_opset_import == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading '%s': it does not say which operator set it uses; the file is incomplete, or older than "
                   "opset %d",
                   what, OLDEST_OPSET);
      return FALSE;
    }
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  for (gsize i = 0; i < proto->n_opset_import; i++)
    {
      const Onnx__OperatorSetIdProto *import = proto->opset_import[i];
      const char *domain = ht_canonical_domain (import->domain ? import->domain : "");
      gboolean again = !g_hash_table_add (seen, (gpointer) domain);
      if (again && ht_graph_get_opset (graph, domain) != import->version)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                       "Loading '%s': it imports two versions of the operator set '%s', %" G_GINT64_FORMAT
                       " and %" G_GINT64_FORMAT,
                       what, domain, ht_graph_get_opset (graph, domain), import->version);
          return FALSE;
        }
      if (*domain == '\0' && (import->version < OLDEST_OPSET || import->version > NEWEST_OPSET))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                       "Loading '%s': it uses opset %" G_GINT64_FORMAT ", opsets %d to %d are supported; convert it "
                       "with onnx.version_converter or export it anew",
                       what, import->version, OLDEST_OPSET, NEWEST_OPSET);
          return FALSE;
        }
      if (import->version < 1)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                       "Loading '%s': version %" G_GINT64_FORMAT " of the operator set '%s' cannot be, versions start "
                       "at 1",
                       what, import->version, domain);
          return FALSE;
        }
      ht_graph_set_opset (graph, domain, import->version);
    }
  return TRUE;
}

static gboolean
read_model_info (HtGraph *graph, Onnx__ModelProto *proto, HtExternalData *external, GError **error)
{
  static const guint32 taken[] = { 1, 2, 3, 4, 5, 7, 8, 25, 0 };
  HtModelInfo *info = ht_graph_get_model_info (graph);
  info->ir_version = proto->ir_version;
  info->producer_name = g_strdup (proto->producer_name);
  info->producer_version = g_strdup (proto->producer_version);
  info->domain = g_strdup (proto->domain);
  info->model_version = proto->model_version;
  for (gsize i = 0; i < proto->n_functions; i++)
    {
      GBytes *function;
      if (!ht_message_pack_carried (proto->functions[i], external, &function, error))
        return FALSE;
      if (function)
        g_ptr_array_add (info->functions, function);
    }
  g_autofree Onnx__ModelProto *rest = ht_message_without (proto, taken);
  return ht_message_pack_carried (rest, external, &info->extra, error);
}

static HtGraph *
read_model (Onnx__ModelProto *proto, const char *folder, const char *what, GError **error)
{
  if (!proto->has_ir_version || proto->ir_version < 1 || !proto->graph)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading '%s': it has no %s; the file is incomplete or no ONNX model", what,
                   proto->graph ? "IR version" : "graph");
      return NULL;
    }
  g_autoptr (HtExternalData) external = ht_external_data_new (folder);
  g_autoptr (HtGraph) graph = ht_read_graph (proto->graph, external, error);
  if (!graph || !read_opsets (graph, proto, what, error) || !read_model_info (graph, proto, external, error))
    return NULL;
  /* Nodes in another order than they run are against the format, but some tools write them. */
  if (!ht_graph_sort (graph, error) || !ht_graph_verify (graph, error))
    return NULL;
  return g_steal_pointer (&graph);
}

static HtGraph *
load (GBytes *bytes, gboolean is_mapped, const char *folder, const char *what, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  if (size == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "Loading '%s': it is empty", what);
      return NULL;
    }
  Onnx__ModelProto *proto
      = (Onnx__ModelProto *) ht_wire_unpack (data, size, &onnx__model_proto__descriptor, what, is_mapped ? bytes : NULL, error);
  if (!proto)
    return NULL;
  g_autoptr (GError) cause = NULL;
  HtGraph *graph = read_model (proto, folder, what, &cause);
  /* What is wrong inside names the place there, not the file. */
  if (cause && !strstr (cause->message, what))
    g_prefix_error (&cause, "Model '%s': ", what);
  if (cause)
    g_propagate_error (error, g_steal_pointer (&cause));
  onnx__model_proto__free_unpacked (proto, NULL);
  return graph;
}

/**
 * ht_graph_load:
 * @path: (type filename): an ONNX file
 * @error: return location for an error
 *
 * Reads a model. Nothing is rewritten: unknown operators, functions, metadata and all that Halftone does not interpret
 * stay with the graph and are saved with it; only nodes that stand before what they need are sorted. Weights in external
 * files stay mapped until they are changed; these files must lie in the folder of @path or below. Opsets 7 to 23 are
 * read.
 *
 * A file that is damaged or breaks the specification fails with %HT_ERROR_INVALID_MODEL, one that is not there with
 * %HT_ERROR_NOT_FOUND, another opset with %HT_ERROR_NOT_SUPPORTED.
 *
 * Returns: (transfer full): the graph, or %NULL with @error set
 */
HtGraph *
ht_graph_load (const char *path, GError **error)
{
  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  g_autoptr (GBytes) bytes = ht_map_file (path, "model", error);
  if (!bytes)
    return NULL;
  g_autofree char *folder = g_path_get_dirname (path);
  return load (bytes, TRUE, folder, path, error);
}

/**
 * ht_graph_load_bytes:
 * @bytes: a serialized ONNX model
 * @folder: (type filename) (nullable): where its external data lies; %NULL: it may have none
 * @error: return location for an error
 *
 * Reads a model from memory, as ht_graph_load() does from a file.
 *
 * Returns: (transfer full): the graph, or %NULL with @error set
 */
HtGraph *
ht_graph_load_bytes (GBytes *bytes, const char *folder, GError **error)
{
  g_return_val_if_fail (bytes != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  return load (bytes, FALSE, folder, "model in memory", error);
}
