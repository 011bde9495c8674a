/* SPDX-License-Identifier: MIT */
/* Who runs an exported file: onnxruntime, or our own operators. */
#pragma once

#include <halftone/verification.h>

typedef struct _HtVerifyRuntime HtVerifyRuntime;
typedef struct _HtVerifyProgram HtVerifyProgram; /* a network, ready to run */

/* `kind` is what was asked for. */
HtVerifyRuntime *ht_verify_runtime_open (HtVerificationRuntime kind, GError **error);
void ht_verify_runtime_free (HtVerifyRuntime *self);
gboolean ht_verify_runtime_is_own (HtVerifyRuntime *self);
char *ht_verify_runtime_describe (HtVerifyRuntime *self);

/* `path`: the file that `graph` was loaded from, or NULL where it is in memory only. `optimize` is onnxruntime's. */
HtVerifyProgram *ht_verify_program_new (HtVerifyRuntime *runtime, HtGraph *graph, const char *path, gboolean optimize,
                                        GError **error);
void ht_verify_program_free (HtVerifyProgram *self);
GHashTable *ht_verify_program_run (HtVerifyProgram *self, GHashTable *inputs, const char *const *outputs,
                                   GCancellable *cancellable, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtVerifyRuntime, ht_verify_runtime_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtVerifyProgram, ht_verify_program_free)
