/* SPDX-License-Identifier: MIT */
/* What the reader and the writer do with messages of any type, by their descriptors. */
#pragma once

#include "onnx/external-data.h"

/* What the reader keeps no other record of, unknown fields included: a copy of the message, sharing its parts, without
 * the fields numbered in the zero-terminated `taken`. To be freed with g_free(). */
gpointer ht_message_without (gconstpointer message, const guint32 *taken);
/* NULL: nothing is in it. Tensors that lie in external files are embedded (in the message too), since the bytes may be
 * written elsewhere. */
gboolean ht_message_pack_carried (gpointer message, HtExternalData *external, GBytes **bytes, GError **error);
GBytes *ht_message_pack (const ProtobufCMessage *message);
gboolean ht_message_equal (const ProtobufCMessage *a, const ProtobufCMessage *b);

/* Memory for messages that are put together from borrowed parts: freed as a whole. */
typedef struct _HtArena HtArena;
HtArena *ht_arena_new (void);
void ht_arena_free (HtArena *self);
gpointer ht_arena_alloc (HtArena *self, gsize size); /* zeroed, 16-byte aligned */
gpointer ht_arena_alloc_array (HtArena *self, gsize n, gsize size);
char *ht_arena_strdup (HtArena *self, const char *text);
/* A message of this type: what ht_message_pack_carried() made, or empty where `carried` is NULL. */
gpointer ht_arena_message (HtArena *self, const ProtobufCMessageDescriptor *type, GBytes *carried);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtArena, ht_arena_free)
