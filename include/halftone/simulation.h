/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/dataset.h>
#include <halftone/evaluator.h>
#include <halftone/executor.h>
#include <halftone/model-state.h>
#include <halftone/quantization.h>

G_BEGIN_DECLS

/**
 * HtQdqWeights:
 * @HT_QDQ_WEIGHTS_INTEGER: as integers, with a DequantizeLinear behind them
 * @HT_QDQ_WEIGHTS_FLOAT: as values of their grids, with QuantizeLinear and DequantizeLinear behind them
 *
 * How a Q/DQ file stores constants.
 */
typedef enum
{
  HT_QDQ_WEIGHTS_INTEGER,
  HT_QDQ_WEIGHTS_FLOAT,
} HtQdqWeights;

/**
 * HtArithmetic:
 * @HT_ARITHMETIC_DEVICE: as integer devices and Q/DQ files compute: biases are int32, sums of integers are sums of
 *   integers, halves are rounded to the even code
 * @HT_ARITHMETIC_AIMET: as AIMET simulates: biases and sums are floating point, halves are rounded up
 *
 * What a simulation computes between its grids.
 */
typedef enum
{
  HT_ARITHMETIC_DEVICE,
  HT_ARITHMETIC_AIMET,
} HtArithmetic;

/* Graph + a quantizer for each tensor that the target's rules quantize. Quantizers are not nodes. */
#define HT_TYPE_SIMULATION (ht_simulation_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSimulation, ht_simulation, HT, SIMULATION, GObject)

HT_API HtSimulation *ht_simulation_new (HtGraph *graph, HtQuantizationConfig *config, GError **error);
HT_API HtGraph *ht_simulation_get_graph (HtSimulation *self);
HT_API HtQuantizationConfig *ht_simulation_get_config (HtSimulation *self);
HT_API GPtrArray *ht_simulation_list_quantizers (HtSimulation *self);
HT_API HtQuantizer *ht_simulation_get_quantizer (HtSimulation *self, const char *tensor);
HT_API char **ht_simulation_list_skipped (HtSimulation *self);
HT_API char **ht_simulation_explain_tensor (HtSimulation *self, const char *tensor, GError **error);
HT_API HtEncoding *ht_simulation_get_encoding (HtSimulation *self, const char *tensor);
HT_API gboolean ht_simulation_set_encoding (HtSimulation *self, const char *tensor, HtEncoding *encoding,
                                            GError **error);
HT_API HtArithmetic ht_simulation_get_arithmetic (HtSimulation *self);
HT_API void ht_simulation_set_arithmetic (HtSimulation *self, HtArithmetic arithmetic);
HT_API gboolean ht_simulation_calibrate_weights (HtSimulation *self, GError **error);
HT_API gboolean ht_simulation_calibrate (HtSimulation *self, HtDataset *dataset, guint batch, HtProgressFunc progress,
                                         gpointer user_data, GCancellable *cancellable, GError **error);
HT_API gboolean ht_simulation_measure_loss (HtSimulation *self, const char *tensor, double *clip_ratio, double *sqnr);
HT_API char **ht_simulation_list_unreached (HtSimulation *self);
HT_API HtExecutor *ht_simulation_create_executor (HtSimulation *self, GError **error);
HT_API gboolean ht_simulation_store (HtSimulation *self, HtModelState *state, GError **error);
HT_API gboolean ht_simulation_load_state (HtSimulation *self, HtModelState *state, GError **error);

/* Files */
HT_API gboolean ht_simulation_save_encodings (HtSimulation *self, const char *path, const char *version,
                                              GError **error);
HT_API gboolean ht_simulation_check_encodings_version (HtSimulation *self, const char *version, GError **error);
HT_API gboolean ht_simulation_load_encodings (HtSimulation *self, const char *path, gboolean partial, GError **error);
HT_API HtGraph *ht_simulation_to_qdq (HtSimulation *self, GError **error);
HT_API HtGraph *ht_simulation_to_qdq_full (HtSimulation *self, HtQdqWeights weights, GError **error);

G_END_DECLS
