/* SPDX-License-Identifier: MIT */
/* onnxruntime, where it is installed: found and loaded at run time, never linked. */
#pragma once

#include <gio/gio.h>
#include <halftone/tensor.h>

typedef struct _HtOrt HtOrt; /* counted */
typedef struct _HtOrtSession HtOrtSession;

/* Looks where the environment variable HALFTONE_ONNXRUNTIME says, a file or a folder, or else among the system's
 * libraries. NULL without an error: there is none, or the variable is empty. */
HtOrt *ht_ort_open (GError **error);
HtOrt *ht_ort_ref (HtOrt *self);
void ht_ort_unref (HtOrt *self);
const char *ht_ort_get_version (HtOrt *self);

/* `optimize`: with the graph optimizations that are its default, or without any. */
HtOrtSession *ht_ort_session_new (HtOrt *ort, const char *path, gboolean optimize, GError **error);
void ht_ort_session_free (HtOrtSession *self);
/* `inputs` and the result: name -> HtTensor. */
GHashTable *ht_ort_session_run (HtOrtSession *self, GHashTable *inputs, const char *const *outputs, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtOrt, ht_ort_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtOrtSession, ht_ort_session_free)
