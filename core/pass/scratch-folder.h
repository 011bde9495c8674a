/* SPDX-License-Identifier: MIT */
/* A folder for files that are of use only while a step runs. */
#pragma once

#include <glib.h>

typedef struct _HtScratchFolder HtScratchFolder;

/* Below `parent`, which is made too where it is missing; NULL: where the system keeps temporary files. */
HtScratchFolder *ht_scratch_folder_new (const char *parent);
/* Removes the folder and all that is in it. */
void ht_scratch_folder_free (HtScratchFolder *self);
/* Makes the folder when it is asked for first. */
const char *ht_scratch_folder_get_path (HtScratchFolder *self, GError **error);

/* Removes a folder and all that is in it; links are removed, not followed. */
void ht_remove_folder (const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtScratchFolder, ht_scratch_folder_free)
