/* SPDX-License-Identifier: MIT */
#include <halftone/model-state.h>

#include <halftone/error.h>

/**
 * HtArtifact:
 *
 * An object that travels in a model state under a name, such as #HtBatchnormStatistics.
 */
G_DEFINE_INTERFACE (HtArtifact, ht_artifact, G_TYPE_OBJECT)

static void
ht_artifact_default_init (HtArtifactInterface *iface)
{
}

/**
 * ht_artifact_copy:
 * @self: an artifact
 *
 * Copies an artifact, so that a later step can change its copy.
 *
 * Returns: (transfer full): an independent copy
 */
HtArtifact *
ht_artifact_copy (HtArtifact *self)
{
  g_return_val_if_fail (HT_IS_ARTIFACT (self), NULL);
  g_return_val_if_fail (HT_ARTIFACT_GET_IFACE (self)->copy != NULL, NULL);
  return HT_ARTIFACT_GET_IFACE (self)->copy (self);
}

/**
 * ht_artifact_digest:
 * @self: an artifact
 * @checksum: takes the content in
 *
 * Adds the content of an artifact to a checksum. Equal content gives equal bytes, on every machine.
 */
void
ht_artifact_digest (HtArtifact *self, GChecksum *checksum)
{
  g_return_if_fail (HT_IS_ARTIFACT (self));
  g_return_if_fail (checksum != NULL);
  g_return_if_fail (HT_ARTIFACT_GET_IFACE (self)->digest != NULL);
  HT_ARTIFACT_GET_IFACE (self)->digest (self, checksum);
}

/**
 * ht_artifact_serialize:
 * @self: an artifact
 *
 * Puts the content of an artifact into a value that can be written to a file.
 *
 * Returns: (transfer full) (nullable): the content, or %NULL where artifacts of this type cannot be written
 */
GVariant *
ht_artifact_serialize (HtArtifact *self)
{
  g_return_val_if_fail (HT_IS_ARTIFACT (self), NULL);

  HtArtifactInterface *iface = HT_ARTIFACT_GET_IFACE (self);
  if (iface->serialize == NULL || iface->deserialize == NULL)
    return NULL;
  GVariant *content = iface->serialize (self);
  return content != NULL ? g_variant_take_ref (content) : NULL;
}

/**
 * ht_artifact_deserialize:
 * @self: an artifact that was just made
 * @content: what ht_artifact_serialize() returned for one of this type
 * @error: return location for an error
 *
 * Fills an artifact. Where @content is not of the right form it fails with %HT_ERROR_INVALID_DATA.
 *
 * Returns: whether it was filled
 */
gboolean
ht_artifact_deserialize (HtArtifact *self, GVariant *content, GError **error)
{
  g_return_val_if_fail (HT_IS_ARTIFACT (self), FALSE);
  g_return_val_if_fail (content != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  HtArtifactInterface *iface = HT_ARTIFACT_GET_IFACE (self);
  if (iface->deserialize != NULL)
    return iface->deserialize (self, content, error);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "a %s does not implement deserialize()",
               G_OBJECT_TYPE_NAME (self));
  return FALSE;
}
