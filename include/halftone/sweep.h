/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/layer-moments.h>
#include <halftone/pass-context.h>

G_BEGIN_DECLS

/**
 * HtSweepInput:
 * @HT_SWEEP_INPUT_QUANTIZED: of the network quantized so far, weights and activations
 * @HT_SWEEP_INPUT_WEIGHTS_ONLY: of the network whose weights are quantized so far, activations in floating point
 * @HT_SWEEP_INPUT_FLOAT: of the reference network
 *
 * What a layer of a sweep reads.
 */
typedef enum
{
  HT_SWEEP_INPUT_QUANTIZED,
  HT_SWEEP_INPUT_WEIGHTS_ONLY,
  HT_SWEEP_INPUT_FLOAT,
} HtSweepInput;

/**
 * HtSweepTarget:
 * @HT_SWEEP_TARGET_REFERENCE: its output in the reference network, which makes up for the errors before it
 * @HT_SWEEP_TARGET_LAYER: its own output on the same input, its weight as it is now
 *
 * What a layer of a sweep should return.
 */
typedef enum
{
  HT_SWEEP_TARGET_REFERENCE,
  HT_SWEEP_TARGET_LAYER,
} HtSweepTarget;

/* A walk over the layers of a model state and of its reference network in lock step. */
#define HT_TYPE_SWEEP (ht_sweep_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSweep, ht_sweep, HT, SWEEP, GObject)

HT_API HtSweep *ht_sweep_new (HtPassContext *context, HtModelState *state, HtSweepInput input, guint n_samples,
                              GError **error);
HT_API HtSimulation *ht_sweep_get_simulation (HtSweep *self);
HT_API guint ht_sweep_get_n_layers (HtSweep *self);
HT_API guint ht_sweep_get_n_samples (HtSweep *self, gboolean held_out);
HT_API HtLayer *ht_sweep_next (HtSweep *self);
HT_API gboolean ht_sweep_go_on (HtSweep *self, HtLayer **layer, GError **error);
HT_API gboolean ht_sweep_skip_failed (HtSweep *self, GError **failure, GError **error);
HT_API gboolean ht_sweep_report_progress (HtSweep *self, double fraction, GError **error);
HT_API guint ht_sweep_get_n_batches (HtSweep *self);
HT_API gboolean ht_sweep_is_held_out (HtSweep *self, guint batch);
HT_API gboolean ht_sweep_get_batch (HtSweep *self, guint batch, HtTensor **input, HtTensor **target, GError **error);
HT_API gboolean ht_sweep_collect_moments (HtSweep *self, HtSweepTarget target, guint64 max_positions,
                                          HtMoments **fitting, HtMoments **held_out, GError **error);

G_END_DECLS
