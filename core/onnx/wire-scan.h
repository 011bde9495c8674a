/* SPDX-License-Identifier: MIT */
/* Looks through serialized protocol buffers before anything is unpacked: the unpacker itself recurses without a limit. */
#pragma once

#include <gio/gio.h>
#include <protobuf-c/protobuf-c.h>

#define HT_WIRE_MAX_DEPTH 100

/* Nesting, lengths, varints, wire types, text and the memory that unpacking would take. `what` names the input. */
gboolean ht_wire_scan (const guint8 *data, gsize size, const ProtobufCMessageDescriptor *type, const char *what,
                       GError **error);
/* Scans, then unpacks with the C library's allocator: byte fields may be taken out of the message and freed. `mapped` is
 * what ht_map_file() returned where the data are all of that, else NULL. */
ProtobufCMessage *ht_wire_unpack (const guint8 *data, gsize size, const ProtobufCMessageDescriptor *type,
                                  const char *what, GBytes *mapped, GError **error);
