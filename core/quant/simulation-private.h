/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/simulation.h>

#include "quant/placement.h"
#include "quant/quantizer.h"
#include "quant/simulation-parts-private.h"
#include "quant/value-statistics.h"

typedef enum
{
  HT_ORIGIN_NONE,     /* no encoding yet */
  HT_ORIGIN_COMPUTED, /* by calibration, which may compute it again */
  HT_ORIGIN_GIVEN,    /* by a caller, a file or a state: calibration leaves it */
} HtEncodingOrigin;

struct _HtSimulation
{
  GObject parent_instance;

  HtGraph *graph; /* sealed, shapes inferred */
  HtQuantizationConfig *config;
  HtPlacement *placement;
  GHashTable *by_name;   /* tensor -> HtQuantizer, owned by the placement */
  GHashTable *encodings; /* tensor -> HtEncoding */
  GHashTable *given;     /* names of tensors whose encoding calibration leaves */
  GHashTable *losses;    /* activation -> HtGridLoss, as calibration found it */
  HtArithmetic arithmetic;
};

/* The encoding whose grid the values of a tensor lie on: its own, or one that operators before it kept. NULL: none.
 * `parts` may be NULL: all quantizers are on. */
HtEncoding *ht_simulation_find_grid (HtSimulation *self, const HtSimulationParts *parts, const char *tensor);
/* The same, but only where it was kept: one grid for the whole tensor, and not the tensor's own quantizer. */
HtEncoding *ht_simulation_find_kept_grid (HtSimulation *self, const HtSimulationParts *parts, const char *tensor);
HtEncodingOrigin ht_simulation_get_origin (HtSimulation *self, const char *tensor);
/* Takes over all encodings of a state that ht_simulation_store() filled: those that calibration computed too. */
gboolean ht_simulation_restore (HtSimulation *self, HtModelState *state, GError **error);
/* Bytes of the constants, and multiply-accumulates of one sample times the bits of both operands. */
void ht_simulation_measure_costs (HtSimulation *self, double *size, double *bit_operations);
/* The same of the network in floating point; shapes must have been inferred. */
void ht_graph_measure_costs (HtGraph *graph, double *size, double *bit_operations);
/* Checks that an encoding fits the tensor of a quantizer: rank and channels. */
gboolean ht_simulation_check_encoding (HtSimulation *self, HtQuantizer *quantizer, HtEncoding *encoding,
                                       GError **error);
void ht_simulation_take_encoding (HtSimulation *self, const char *tensor, HtEncoding *encoding,
                                  HtEncodingOrigin origin);
/* A quantizer that the target does not ask for but a file does. */
HtQuantizer *ht_simulation_add_quantizer (HtSimulation *self, const char *tensor, gboolean is_weight,
                                          const char *reason);
void ht_simulation_note (HtSimulation *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
