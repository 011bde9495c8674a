/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/encoding.h>
#include <halftone/graph.h>

G_BEGIN_DECLS

/**
 * HtEncodingStatus:
 * @HT_ENCODING_OPEN: calibration computes it
 * @HT_ENCODING_FIXED: set by a pass; only a pass that continues it may move it
 * @HT_ENCODING_PINNED: set by the user; nobody moves it
 */
typedef enum
{
  HT_ENCODING_OPEN,
  HT_ENCODING_FIXED,
  HT_ENCODING_PINNED,
} HtEncodingStatus;

/**
 * HtArtifactInterface:
 * @copy: makes an independent copy
 * @digest: feeds everything that the artifact says into @checksum, in a fixed order and byte order
 * @serialize: (nullable): puts everything that the artifact says into a new value
 * @deserialize: (nullable): fills an object that was just made from such a value; it may come from a damaged file
 *
 * What an object needs to travel in a model state under a name. Without @serialize and @deserialize a search cannot
 * keep the states that have it on disk: it computes them again when it is resumed.
 */
#define HT_TYPE_ARTIFACT (ht_artifact_get_type ())
HT_API
G_DECLARE_INTERFACE (HtArtifact, ht_artifact, HT, ARTIFACT, GObject)

struct _HtArtifactInterface
{
  GTypeInterface parent_iface;

  HtArtifact *(*copy) (HtArtifact *self);
  void (*digest) (HtArtifact *self, GChecksum *checksum);
  GVariant *(*serialize) (HtArtifact *self);
  gboolean (*deserialize) (HtArtifact *self, GVariant *content, GError **error);

  /*< private >*/
  gpointer reserved[2];
};

HT_API HtArtifact *ht_artifact_copy (HtArtifact *self);
HT_API void ht_artifact_digest (HtArtifact *self, GChecksum *checksum);
HT_API GVariant *ht_artifact_serialize (HtArtifact *self);
HT_API gboolean ht_artifact_deserialize (HtArtifact *self, GVariant *content, GError **error);

/* What a pass takes and returns: graph, reference network, encodings, artifacts. A sealed state is immutable. */
#define HT_TYPE_MODEL_STATE (ht_model_state_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtModelState, ht_model_state, HT, MODEL_STATE, GObject)

HT_API HtModelState *ht_model_state_new (HtGraph *graph);
HT_API HtModelState *ht_model_state_edit (HtModelState *self);
HT_API void ht_model_state_seal (HtModelState *self);
HT_API gboolean ht_model_state_is_sealed (HtModelState *self);
HT_API char *ht_model_state_hash (HtModelState *self);
HT_API HtGraph *ht_model_state_get_graph (HtModelState *self);
HT_API HtGraph *ht_model_state_get_reference (HtModelState *self);
HT_API GPtrArray *ht_model_state_list_networks (HtModelState *self);
HT_API void ht_model_state_split_reference (HtModelState *self);

HT_API char **ht_model_state_list_encodings (HtModelState *self);
HT_API HtEncoding *ht_model_state_get_encoding (HtModelState *self, const char *tensor, HtEncodingStatus *status);
HT_API gboolean ht_model_state_set_encoding (HtModelState *self, const char *tensor, HtEncoding *encoding,
                                             HtEncodingStatus status, GError **error);
HT_API gboolean ht_model_state_drop_encoding (HtModelState *self, const char *tensor, GError **error);

HT_API char **ht_model_state_list_artifacts (HtModelState *self);
HT_API GObject *ht_model_state_get_artifact (HtModelState *self, const char *name);
HT_API void ht_model_state_set_artifact (HtModelState *self, const char *name, GObject *artifact);

G_END_DECLS
