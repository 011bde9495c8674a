/* SPDX-License-Identifier: MIT */
#include "quant/model-state-file.h"

#include "base/map-file.h"
#include "quant/encoding-variant.h"
#include "quant/model-state-private.h"

#include <halftone/batchnorm-statistics.h>
#include <halftone/error.h>

#define MAGIC "halftone model state 1"
/* The magic words, the hash of the state, whether the reference is a network of its own; encodings by tensor, with
 * their status; artifacts by name, with the names of their types. */
#define STATE_TYPE "(ssba(su" HT_ENCODING_VARIANT_TYPE ")a(ssv))"

static GVariant *
collect_encodings (HtModelState *self)
{
  g_auto (GStrv) tensors = ht_model_state_list_encodings (self);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(su" HT_ENCODING_VARIANT_TYPE ")"));
  for (gsize i = 0; tensors[i] != NULL; i++)
    {
      HtEncodingStatus status;
      HtEncoding *encoding = ht_model_state_get_encoding (self, tensors[i], &status);
      g_variant_builder_add (&builder, "(su@" HT_ENCODING_VARIANT_TYPE ")", tensors[i], (guint)status,
                             ht_encoding_to_variant (encoding));
    }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

static GVariant *
collect_artifacts (HtModelState *self, GError **error)
{
  g_auto (GStrv) names = ht_model_state_list_artifacts (self);
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(ssv)"));

  for (gsize i = 0; names[i] != NULL; i++)
    {
      HtArtifact *artifact = HT_ARTIFACT (ht_model_state_get_artifact (self, names[i]));
      g_autoptr (GVariant) content = ht_artifact_serialize (artifact);
      if (content == NULL)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                       "writing a model state: artifact '%s' is a %s, which does not implement serialize(); have its "
                       "plugin do so, or the state cannot be kept on disk",
                       names[i], G_OBJECT_TYPE_NAME (artifact));
          return NULL;
        }
      g_variant_builder_add (&builder, "(ssv)", names[i], G_OBJECT_TYPE_NAME (artifact), content);
    }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

static gboolean
save_graph (HtGraph *graph, const char *folder, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  return ht_graph_save (graph, path, error);
}

gboolean
ht_model_state_write (HtModelState *self, const char *folder, GError **error)
{
  HtGraph *graph = ht_model_state_get_graph (self), *reference = ht_model_state_get_reference (self);
  g_autoptr (GVariant) encodings = NULL, artifacts = NULL, state = NULL;
  g_autofree char *hash = ht_model_state_hash (self), *path = g_build_filename (folder, "state.bin", NULL);

  g_return_val_if_fail (ht_model_state_is_sealed (self), FALSE);

  artifacts = collect_artifacts (self, error);
  if (artifacts == NULL)
    return FALSE;
  encodings = collect_encodings (self);
  state = g_variant_ref_sink (g_variant_new ("(ssb@a(su" HT_ENCODING_VARIANT_TYPE ")@a(ssv))", MAGIC, hash,
                                             reference != graph, encodings, artifacts));
  return save_graph (graph, folder, "graph.onnx", error)
         && (reference == graph || save_graph (reference, folder, "reference.onnx", error))
         && g_file_set_contents_full (path, g_variant_get_data (state), (gssize)g_variant_get_size (state),
                                      G_FILE_SET_CONTENTS_CONSISTENT, 0644, error);
}

static HtGraph *
load_graph (const char *folder, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  return ht_graph_load (path, error);
}

static gboolean
read_encodings (HtModelState *self, GVariant *list, GError **error)
{
  gsize n_encodings = g_variant_n_children (list);

  for (gsize i = 0; i < n_encodings; i++)
    {
      g_autoptr (GVariant) content = NULL;
      const char *tensor;
      guint status;
      g_autoptr (GVariant) entry = g_variant_get_child_value (list, i);
      g_variant_get (entry, "(&su@" HT_ENCODING_VARIANT_TYPE ")", &tensor, &status, &content);
      g_autoptr (HtEncoding) encoding = ht_encoding_from_variant (content, error);
      if (encoding == NULL || status > HT_ENCODING_PINNED
          || !ht_model_state_set_encoding (self, tensor, encoding, (HtEncodingStatus)status, error))
        {
          if (error != NULL && *error == NULL)
            g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "tensor '%s': %u is no status of an encoding", tensor,
                         status);
          return FALSE;
        }
    }
  return TRUE;
}

static GObject *
create_artifact (const char *name, const char *type_name, GError **error)
{
  GType type = g_type_from_name (type_name);

  if (type == G_TYPE_INVALID || !g_type_is_a (type, HT_TYPE_ARTIFACT) || !G_TYPE_IS_INSTANTIATABLE (type)
      || G_TYPE_IS_ABSTRACT (type))
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "artifact '%s' is a %s, and no loaded plugin has artifacts of that type; load the plugin that wrote it", name,
          type_name);
      return NULL;
    }
  return g_object_new (type, NULL);
}

static gboolean
read_artifacts (HtModelState *self, GVariant *list, GError **error)
{
  gsize n_artifacts = g_variant_n_children (list);

  for (gsize i = 0; i < n_artifacts; i++)
    {
      g_autoptr (GVariant) content = NULL;
      const char *name, *type_name;
      g_autoptr (GVariant) entry = g_variant_get_child_value (list, i);
      g_variant_get (entry, "(&s&sv)", &name, &type_name, &content);
      g_autoptr (GObject) artifact = create_artifact (name, type_name, error);
      if (artifact == NULL)
        return FALSE;
      if (!ht_artifact_deserialize (HT_ARTIFACT (artifact), content, error))
        {
          g_prefix_error (error, "artifact '%s': ", name);
          return FALSE;
        }
      ht_model_state_set_artifact (self, name, artifact);
    }
  return TRUE;
}

static GVariant *
load_variant (const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "state.bin", NULL);
  g_autoptr (GBytes) bytes = ht_map_file (path, "model state", error);
  const char *magic;

  if (bytes == NULL)
    return NULL;
  g_autoptr (GVariant) state
      = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (STATE_TYPE), bytes, FALSE));
  if (!g_variant_is_normal_form (state))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' is damaged", path);
      return NULL;
    }
  g_variant_get_child (state, 0, "&s", &magic);
  if (!g_str_equal (magic, MAGIC))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' does not begin with '%s'", path, MAGIC);
      return NULL;
    }
  return g_steal_pointer (&state);
}

HtModelState *
ht_model_state_read (const char *folder, GError **error)
{
  g_autoptr (GVariant) encodings = NULL, artifacts = NULL, state = NULL;
  g_autoptr (HtGraph) graph = NULL, reference = NULL;
  g_autoptr (HtModelState) self = NULL;
  const char *expected;
  gboolean is_split;

  g_type_ensure (HT_TYPE_BATCHNORM_STATISTICS);
  state = load_variant (folder, error);
  if (state == NULL)
    return NULL;
  g_variant_get (state, "(&s&sb@a(su" HT_ENCODING_VARIANT_TYPE ")@a(ssv))", NULL, &expected, &is_split, &encodings,
                 &artifacts);
  graph = load_graph (folder, "graph.onnx", error);
  if (graph == NULL)
    return NULL;
  if (is_split)
    {
      reference = load_graph (folder, "reference.onnx", error);
      if (reference == NULL)
        return NULL;
    }
  self = ht_model_state_new_with_reference (graph, is_split ? reference : graph);
  if (!read_encodings (self, encodings, error) || !read_artifacts (self, artifacts, error))
    {
      g_prefix_error (error, "reading the model state '%s': ", folder);
      return NULL;
    }
  ht_model_state_seal (self);
  g_autofree char *found = ht_model_state_hash (self);
  if (!g_str_equal (found, expected))
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_INVALID_DATA,
          "reading the model state '%s': found content with the hash %.16s…; expected %.16s…: its files do not "
          "belong together",
          folder, found, expected);
      return NULL;
    }
  return g_steal_pointer (&self);
}
