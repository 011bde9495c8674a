/* SPDX-License-Identifier: MIT */
/* Pieces of finished work in files, by name: written whole or not at all, read only as they were written. */
#pragma once

#include <gio/gio.h>

typedef struct _HtCheckpoints HtCheckpoints;

/* The folder is made with the first piece. */
HtCheckpoints *ht_checkpoints_new (const char *folder);
void ht_checkpoints_free (HtCheckpoints *self);
gboolean ht_checkpoints_store (HtCheckpoints *self, const char *name, GBytes *data, GError **error);
/* NULL without an error where there is none; with HT_ERROR_INVALID_DATA where the file is damaged. */
GBytes *ht_checkpoints_fetch (HtCheckpoints *self, const char *name, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtCheckpoints, ht_checkpoints_free)
