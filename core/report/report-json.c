/* SPDX-License-Identifier: MIT */
#include "report/report-json.h"

#include <halftone/executor.h>
#include <halftone/init.h>
#include <halftone/version.h>

#include <string.h>

/* Where the report was made: what may change the last bits of a result, and what never does (threads). */
JsonNode *
ht_report_environment (void)
{
  JsonObject *object = json_object_new ();
  g_autofree char *glib = g_strdup_printf ("%u.%u.%u", glib_major_version, glib_minor_version, glib_micro_version);
  json_object_set_string_member (object, "halftone", ht_get_version ());
  json_object_set_string_member (object, "cpu", ht_get_cpu ());
  json_object_set_string_member (object, "blas-core", ht_get_blas_core ());
  json_object_set_string_member (object, "glib", glib);
  json_object_set_int_member (object, "threads", ht_get_n_threads ());
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  return node;
}

JsonNode *
ht_report_strings (const char *const *strings)
{
  JsonArray *array = json_array_new ();
  for (; strings != NULL && *strings != NULL; strings++)
    json_array_add_string_element (array, *strings);
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

/* Name, size in bytes and SHA-256 of a file. */
JsonNode *
ht_report_file (const char *path, GError **error)
{
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, error);
  if (file == NULL)
    return NULL;
  g_autoptr (GBytes) bytes = g_mapped_file_get_bytes (file);
  g_autofree char *digest = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, bytes);
  g_autofree char *name = g_path_get_basename (path);
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "name", name);
  json_object_set_int_member (object, "bytes", (gint64) g_bytes_get_size (bytes));
  json_object_set_string_member (object, "sha256", digest);
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  return node;
}

gboolean
ht_report_save (JsonNode *report, const char *path, GError **error)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  json_generator_set_root (generator, report);
  json_generator_set_pretty (generator, TRUE);
  gsize length;
  g_autofree char *text = json_generator_to_data (generator, &length);
  return g_file_set_contents (path, text, (gssize) length, error);
}
