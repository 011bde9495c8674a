/* SPDX-License-Identifier: MIT */
#include "quant/model-state-private.h"

#include "quant/encoding-private.h"

#include <halftone/error.h>

#include <string.h>

typedef struct
{
  HtEncoding *encoding;
  HtEncodingStatus status;
} Entry;

typedef struct
{
  HtArtifact *object;
  gboolean owned; /* no other state holds it, so it may be changed in place */
} ArtifactEntry;

struct _HtModelState
{
  GObject parent_instance;

  HtGraph *graph;
  HtGraph *reference; /* the same object as graph until they are split */
  GHashTable *encodings;
  GHashTable *artifacts;
  gboolean sealed;
  gboolean in_step;
  gboolean moves_fixed;
  GMutex hash_lock;
  char *hash; /* of a sealed state, once asked for */
};

/**
 * HtModelState:
 *
 * What a pass takes and returns: the graph, the floating-point reference network, the encodings and named artifacts.
 *
 * A sealed state never changes again and may be read by several threads. ht_model_state_edit() makes an editable copy
 * of it, which shares what it does not change; failing, a step drops the copy and nothing has happened.
 */
G_DEFINE_FINAL_TYPE (HtModelState, ht_model_state, G_TYPE_OBJECT)

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  ht_encoding_unref (entry->encoding);
  g_free (entry);
}

static void
artifact_entry_free (gpointer data)
{
  ArtifactEntry *entry = data;
  g_object_unref (entry->object);
  g_free (entry);
}

static void
ht_model_state_init (HtModelState *self)
{
  self->encodings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, entry_free);
  self->artifacts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, artifact_entry_free);
  g_mutex_init (&self->hash_lock);
}

static void
ht_model_state_finalize (GObject *object)
{
  HtModelState *self = HT_MODEL_STATE (object);

  g_clear_object (&self->graph);
  g_clear_object (&self->reference);
  g_clear_pointer (&self->encodings, g_hash_table_unref);
  g_clear_pointer (&self->artifacts, g_hash_table_unref);
  g_mutex_clear (&self->hash_lock);
  g_clear_pointer (&self->hash, g_free);
  G_OBJECT_CLASS (ht_model_state_parent_class)->finalize (object);
}

static void
ht_model_state_class_init (HtModelStateClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_model_state_finalize;
}

/**
 * ht_model_state_new:
 * @graph: the network
 *
 * Makes an editable state around @graph, which is also its own reference network. The state shares @graph: it is not
 * copied, and sealing the state seals it.
 *
 * Returns: (transfer full): a new state
 */
HtModelState *
ht_model_state_new (HtGraph *graph)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);

  return ht_model_state_new_with_reference (graph, graph);
}

HtModelState *
ht_model_state_new_with_reference (HtGraph *graph, HtGraph *reference)
{
  HtModelState *self = g_object_new (HT_TYPE_MODEL_STATE, NULL);
  self->graph = g_object_ref (graph);
  self->reference = g_object_ref (reference);
  return self;
}

/**
 * ht_model_state_edit:
 * @self: a state
 *
 * Makes an editable copy. Tensors and artifacts are shared until they are changed. While graph and reference network
 * are the same graph it is copied once and both names mean the one copy.
 *
 * Returns: (transfer full): an editable state
 */
HtModelState *
ht_model_state_edit (HtModelState *self)
{
  GHashTableIter iter;
  gpointer key, value;

  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);

  HtModelState *copy = g_object_new (HT_TYPE_MODEL_STATE, NULL);
  copy->graph = ht_graph_copy (self->graph);
  copy->reference = self->reference == self->graph ? g_object_ref (copy->graph) : ht_graph_copy (self->reference);
  g_hash_table_iter_init (&iter, self->encodings);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      Entry *entry = g_new0 (Entry, 1);
      entry->encoding = ht_encoding_ref (((Entry *)value)->encoding);
      entry->status = ((Entry *)value)->status;
      g_hash_table_insert (copy->encodings, g_strdup (key), entry);
    }
  g_hash_table_iter_init (&iter, self->artifacts);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      ArtifactEntry *entry = g_new0 (ArtifactEntry, 1);
      /* An unsealed state may still change its own in place, so only a sealed one shares. */
      entry->object = self->sealed ? g_object_ref (((ArtifactEntry *)value)->object)
                                   : ht_artifact_copy (((ArtifactEntry *)value)->object);
      entry->owned = !self->sealed;
      g_hash_table_insert (copy->artifacts, g_strdup (key), entry);
    }
  return copy;
}

/**
 * ht_model_state_seal:
 * @self: a state
 *
 * Ends the editing, of the graphs too. A sealed state is immutable.
 */
void
ht_model_state_seal (HtModelState *self)
{
  g_return_if_fail (HT_IS_MODEL_STATE (self));

  ht_graph_seal (self->graph);
  ht_graph_seal (self->reference);
  self->in_step = FALSE;
  self->moves_fixed = FALSE;
  self->sealed = TRUE;
}

/**
 * ht_model_state_is_sealed:
 * @self: a state
 *
 * Says whether a state is immutable.
 *
 * Returns: whether it is sealed
 */
gboolean
ht_model_state_is_sealed (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), FALSE);
  return self->sealed;
}

void
ht_model_state_begin_step (HtModelState *self, gboolean moves_fixed)
{
  g_return_if_fail (HT_IS_MODEL_STATE (self));
  g_return_if_fail (!self->sealed);

  self->in_step = TRUE;
  self->moves_fixed = moves_fixed;
}

static void
digest_text (GChecksum *checksum, const char *text)
{
  /* The terminator keeps neighbours apart. */
  g_checksum_update (checksum, (const guchar *)text, (gssize)strlen (text) + 1);
}

static void
digest_integer (GChecksum *checksum, gint64 value)
{
  guint64 bytes = GUINT64_TO_LE ((guint64)value);
  g_checksum_update (checksum, (const guchar *)&bytes, sizeof bytes);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static char **
list_keys (GHashTable *table)
{
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, table);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (names, g_strdup (key));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (names, FALSE);
}

static char *
compute_hash (HtModelState *self)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree char *graph_hash = ht_graph_hash (self->graph);
  g_auto (GStrv) encodings = list_keys (self->encodings);
  g_auto (GStrv) artifacts = list_keys (self->artifacts);

  digest_text (checksum, "halftone model state 1");
  digest_text (checksum, graph_hash);
  if (self->reference != self->graph)
    {
      g_autofree char *reference_hash = ht_graph_hash (self->reference);
      digest_text (checksum, reference_hash);
    }
  digest_text (checksum, "encodings");
  digest_integer (checksum, g_hash_table_size (self->encodings));
  for (gsize i = 0; encodings[i] != NULL; i++)
    {
      Entry *entry = g_hash_table_lookup (self->encodings, encodings[i]);
      digest_text (checksum, encodings[i]);
      digest_integer (checksum, entry->status);
      ht_encoding_digest (entry->encoding, checksum);
    }
  digest_text (checksum, "artifacts");
  for (gsize i = 0; artifacts[i] != NULL; i++)
    {
      ArtifactEntry *entry = g_hash_table_lookup (self->artifacts, artifacts[i]);
      digest_text (checksum, artifacts[i]);
      digest_text (checksum, G_OBJECT_TYPE_NAME (entry->object));
      ht_artifact_digest (entry->object, checksum);
    }
  return g_strdup (g_checksum_get_string (checksum));
}

/**
 * ht_model_state_hash:
 * @self: a state
 *
 * Hashes the content: graph, reference network, encodings with their status, artifacts. Equal content has equal hashes,
 * on every machine; whether the state is sealed does not count.
 *
 * Returns: (transfer full): a SHA-256, in hexadecimal
 */
char *
ht_model_state_hash (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);

  if (!self->sealed)
    return compute_hash (self);
  g_mutex_lock (&self->hash_lock);
  if (self->hash == NULL)
    self->hash = compute_hash (self);
  char *hash = g_strdup (self->hash);
  g_mutex_unlock (&self->hash_lock);
  return hash;
}

/**
 * ht_model_state_get_graph:
 * @self: a state
 *
 * Gets the network as it stands. It is editable while the state is.
 *
 * Returns: (transfer none): the graph
 */
HtGraph *
ht_model_state_get_graph (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);
  return self->graph;
}

/**
 * ht_model_state_get_reference:
 * @self: a state
 *
 * Gets the floating-point network that the quantized one is compared with. Until ht_model_state_split_reference() it is
 * the graph itself.
 *
 * Returns: (transfer none): the reference network
 */
HtGraph *
ht_model_state_get_reference (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);
  return self->reference;
}

/**
 * ht_model_state_list_networks:
 * @self: a state
 *
 * Lists the distinct networks, the graph first. A pass that preserves the function, or that rescales channels, does to
 * each of them what it does to the graph.
 *
 * Returns: (transfer container) (element-type HtGraph): one graph, or graph and reference
 */
GPtrArray *
ht_model_state_list_networks (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);

  GPtrArray *networks = g_ptr_array_new_with_free_func (g_object_unref);
  g_ptr_array_add (networks, g_object_ref (self->graph));
  if (self->reference != self->graph)
    g_ptr_array_add (networks, g_object_ref (self->reference));
  return networks;
}

/**
 * ht_model_state_split_reference:
 * @self: an editable state
 *
 * Gives the reference network a life of its own. A pass that quantizes calls this before it changes the graph, so that
 * every later step still has its teacher. Done once; later calls do nothing.
 */
void
ht_model_state_split_reference (HtModelState *self)
{
  g_return_if_fail (HT_IS_MODEL_STATE (self));
  g_return_if_fail (!self->sealed);

  if (self->reference != self->graph)
    return;
  g_object_unref (self->reference);
  self->reference = ht_graph_copy (self->graph);
}

/**
 * ht_model_state_list_encodings:
 * @self: a state
 *
 * Lists the tensors that have an encoding.
 *
 * Returns: (transfer full) (array zero-terminated=1): names of tensors, sorted
 */
char **
ht_model_state_list_encodings (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);
  return list_keys (self->encodings);
}

/**
 * ht_model_state_get_encoding:
 * @self: a state
 * @tensor: the name of a tensor
 * @status: (out) (optional): who may move it; %HT_ENCODING_OPEN where there is none
 *
 * Gets the encoding of a tensor.
 *
 * Returns: (transfer none) (nullable): the encoding, or %NULL where the tensor has none yet
 */
HtEncoding *
ht_model_state_get_encoding (HtModelState *self, const char *tensor, HtEncodingStatus *status)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);
  g_return_val_if_fail (tensor != NULL, NULL);

  Entry *entry = g_hash_table_lookup (self->encodings, tensor);
  if (status != NULL)
    *status = entry != NULL ? entry->status : HT_ENCODING_OPEN;
  return entry != NULL ? entry->encoding : NULL;
}

static gboolean
check_movable (HtModelState *self, const char *tensor, HtEncodingStatus status, const char *action, GError **error)
{
  if (status == HT_ENCODING_PINNED && self->in_step)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "cannot %s the encoding of '%s': the user pinned it, and no step may touch it; leave the tensor out",
                   action, tensor);
      return FALSE;
    }
  if (status == HT_ENCODING_FIXED && self->in_step && !self->moves_fixed)
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_CONFLICT,
          "cannot %s the encoding of '%s': an earlier step fixed it, and this one declares neither to continue "
          "it nor to carry encodings along",
          action, tensor);
      return FALSE;
    }
  return TRUE;
}

/**
 * ht_model_state_set_encoding:
 * @self: an editable state
 * @tensor: the name of a tensor
 * @encoding: its encoding
 * @status: who may move it from now on
 * @error: return location for an error
 *
 * Sets the encoding of a tensor. Setting what is already there again is always allowed and never loosens its status.
 * A pinned encoding is otherwise moved by nobody, and a fixed one not by calibration (an %HT_ENCODING_OPEN one), nor by
 * a step that neither continues it nor carries encodings along; a step cannot pin. These fail with %HT_ERROR_CONFLICT.
 *
 * Returns: whether it was set
 */
gboolean
ht_model_state_set_encoding (HtModelState *self, const char *tensor, HtEncoding *encoding, HtEncodingStatus status,
                             GError **error)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), FALSE);
  g_return_val_if_fail (tensor != NULL, FALSE);
  g_return_val_if_fail (encoding != NULL, FALSE);
  g_return_val_if_fail (!self->sealed, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (status == HT_ENCODING_PINNED && self->in_step)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "cannot pin the encoding of '%s': only the user pins, a step fixes", tensor);
      return FALSE;
    }
  Entry *old = g_hash_table_lookup (self->encodings, tensor);
  if (old != NULL && ht_encoding_equal (old->encoding, encoding))
    {
      old->status = MAX (old->status, status);
      return TRUE;
    }
  if (old != NULL && !check_movable (self, tensor, old->status, "move", error))
    return FALSE;
  if (old != NULL
      && (old->status == HT_ENCODING_PINNED || (old->status == HT_ENCODING_FIXED && status == HT_ENCODING_OPEN)))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "cannot move the encoding of '%s': it is %s; drop it first to have it computed anew", tensor,
                   old->status == HT_ENCODING_PINNED ? "pinned" : "fixed, and calibration leaves it");
      return FALSE;
    }
  Entry *entry = g_new0 (Entry, 1);
  entry->encoding = ht_encoding_ref (encoding);
  entry->status = status;
  g_hash_table_insert (self->encodings, g_strdup (tensor), entry);
  return TRUE;
}

/**
 * ht_model_state_drop_encoding:
 * @self: an editable state
 * @tensor: the name of a tensor
 * @error: return location for an error
 *
 * Removes an encoding, so that calibration computes it. Nothing happens where there is none. A step may not drop what
 * it may not move (%HT_ERROR_CONFLICT); outside of a step anything can be dropped.
 *
 * Returns: whether the tensor has no encoding now
 */
gboolean
ht_model_state_drop_encoding (HtModelState *self, const char *tensor, GError **error)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), FALSE);
  g_return_val_if_fail (tensor != NULL, FALSE);
  g_return_val_if_fail (!self->sealed, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  Entry *old = g_hash_table_lookup (self->encodings, tensor);
  if (old != NULL && !check_movable (self, tensor, old->status, "drop", error))
    return FALSE;
  g_hash_table_remove (self->encodings, tensor);
  return TRUE;
}

/**
 * ht_model_state_list_artifacts:
 * @self: a state
 *
 * Lists the artifacts.
 *
 * Returns: (transfer full) (array zero-terminated=1): their names, sorted
 */
char **
ht_model_state_list_artifacts (HtModelState *self)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);
  return list_keys (self->artifacts);
}

/**
 * ht_model_state_get_artifact:
 * @self: a state
 * @name: the name of an artifact
 *
 * Gets an artifact. An editable state gives one that may be changed in place; that of a sealed state is to be read
 * only.
 *
 * Returns: (transfer none) (nullable): the artifact, or %NULL where there is none of this name
 */
GObject *
ht_model_state_get_artifact (HtModelState *self, const char *name)
{
  g_return_val_if_fail (HT_IS_MODEL_STATE (self), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  ArtifactEntry *entry = g_hash_table_lookup (self->artifacts, name);
  if (entry == NULL)
    return NULL;
  if (!self->sealed && !entry->owned)
    {
      HtArtifact *shared = entry->object;
      entry->object = ht_artifact_copy (shared);
      entry->owned = TRUE;
      g_object_unref (shared);
    }
  return G_OBJECT (entry->object);
}

/**
 * ht_model_state_set_artifact:
 * @self: an editable state
 * @name: a name
 * @artifact: (nullable): an object that implements #HtArtifact, or %NULL to remove it
 *
 * Stores an artifact under a name. The state takes it over: nobody else changes it from now on.
 */
void
ht_model_state_set_artifact (HtModelState *self, const char *name, GObject *artifact)
{
  g_return_if_fail (HT_IS_MODEL_STATE (self));
  g_return_if_fail (name != NULL);
  g_return_if_fail (artifact == NULL || HT_IS_ARTIFACT (artifact));
  g_return_if_fail (!self->sealed);

  if (artifact == NULL)
    {
      g_hash_table_remove (self->artifacts, name);
      return;
    }
  ArtifactEntry *entry = g_new0 (ArtifactEntry, 1);
  entry->object = HT_ARTIFACT (g_object_ref (artifact));
  entry->owned = TRUE;
  g_hash_table_insert (self->artifacts, g_strdup (name), entry);
}
