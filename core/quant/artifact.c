/* SPDX-License-Identifier: MIT */
#include <halftone/model-state.h>

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
