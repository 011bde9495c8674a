/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/simulation.h>

G_BEGIN_DECLS

/**
 * HtVerificationRuntime:
 * @HT_VERIFICATION_RUNTIME_AUTO: onnxruntime where it is installed, else the operators of Halftone
 * @HT_VERIFICATION_RUNTIME_ONNXRUNTIME: onnxruntime
 * @HT_VERIFICATION_RUNTIME_OWN: the operators of Halftone
 *
 * Who runs an exported file.
 */
typedef enum
{
  HT_VERIFICATION_RUNTIME_AUTO,
  HT_VERIFICATION_RUNTIME_ONNXRUNTIME,
  HT_VERIFICATION_RUNTIME_OWN,
} HtVerificationRuntime;

/* What was found out about one tensor. Immutable, counted. */
#define HT_TYPE_VERIFIED_TENSOR (ht_verified_tensor_get_type ())
typedef struct _HtVerifiedTensor HtVerifiedTensor;

HT_API GType ht_verified_tensor_get_type (void) G_GNUC_CONST;
HT_API HtVerifiedTensor *ht_verified_tensor_ref (HtVerifiedTensor *self);
HT_API void ht_verified_tensor_unref (HtVerifiedTensor *self);
HT_API const char *ht_verified_tensor_get_name (HtVerifiedTensor *self);
HT_API const char *ht_verified_tensor_get_layer (HtVerifiedTensor *self);
HT_API gboolean ht_verified_tensor_is_constant (HtVerifiedTensor *self);
HT_API double ht_verified_tensor_get_maximum (HtVerifiedTensor *self);
HT_API double ht_verified_tensor_get_mean (HtVerifiedTensor *self);
HT_API double ht_verified_tensor_get_whole_maximum (HtVerifiedTensor *self);
HT_API double ht_verified_tensor_get_whole_mean (HtVerifiedTensor *self);
HT_API const char *ht_verified_tensor_get_problem (HtVerifiedTensor *self);
HT_API gboolean ht_verified_tensor_agrees (HtVerifiedTensor *self);

/* An exported Q/DQ file against the simulation that it was written from. */
#define HT_TYPE_VERIFICATION (ht_verification_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtVerification, ht_verification, HT, VERIFICATION, GObject)

HT_API HtVerification *ht_verification_new (HtSimulation *simulation, const char *path, HtVerificationRuntime runtime,
                                            GError **error);
HT_API gboolean ht_verification_run (HtVerification *self, HtDataset *dataset, guint batch, HtProgressFunc progress,
                                     gpointer user_data, GCancellable *cancellable, GError **error);

/* After ht_verification_run() */
HT_API const char *ht_verification_get_runtime (HtVerification *self);
HT_API gboolean ht_verification_agrees (HtVerification *self);
HT_API GPtrArray *ht_verification_list_tensors (HtVerification *self);
HT_API HtVerifiedTensor *ht_verification_get_first_difference (HtVerification *self);
HT_API guint ht_verification_get_n_samples (HtVerification *self);
HT_API double ht_verification_get_agreement (HtVerification *self, gboolean optimized);
HT_API double ht_verification_get_output_difference (HtVerification *self, gboolean optimized);
HT_API JsonNode *ht_verification_to_json (HtVerification *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtVerifiedTensor, ht_verified_tensor_unref)

G_END_DECLS
