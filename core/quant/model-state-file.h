/* SPDX-License-Identifier: MIT */
/* Model states on disk, without loss: what is read has the hash of what was written. */
#pragma once

#include <halftone/model-state.h>

/* Writes a sealed state into an empty folder: graph.onnx, reference.onnx where there are two networks (weights over
 * 2 GiB beside them), and state.bin. Fails with HT_ERROR_NOT_SUPPORTED where an artifact cannot be written; nothing is
 * written then. */
gboolean ht_model_state_write (HtModelState *self, const char *folder, GError **error);
/* Reads a state back, sealed. Its networks may stay mapped from the files, which must not be changed in place. */
HtModelState *ht_model_state_read (const char *folder, GError **error);
