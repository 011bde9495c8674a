/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* Maps a plain file that a user named; `what` says in errors what it is for ("model", "array"). The file must not be
 * changed in place while the bytes live. */
GBytes *ht_map_file (const char *path, const char *what, GError **error);
/* Gives the memory of a mapped file back to the system; its bytes are read again when they are needed. Only for what
 * ht_map_file() returned, as a whole. */
void ht_map_let_go (GBytes *bytes);
