/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/executor.h>
#include <halftone/simulation.h>

G_BEGIN_DECLS

/**
 * HtQuantizerKinds:
 * @HT_QUANTIZERS_WEIGHTS: those of weights
 * @HT_QUANTIZERS_ACTIVATIONS: those of network inputs, of what nodes produce and of constant operands
 *
 * Quantizers by whose settings they have.
 */
typedef enum /*< flags >*/
{
  HT_QUANTIZERS_WEIGHTS = 1 << 0,
  HT_QUANTIZERS_ACTIVATIONS = 1 << 1,
} HtQuantizerKinds;

#define HT_QUANTIZERS_ALL (HT_QUANTIZERS_WEIGHTS | HT_QUANTIZERS_ACTIVATIONS)

/* Which quantizers of a simulation are on: what an executor is made with, beside the simulation itself. */
#define HT_TYPE_SIMULATION_PARTS (ht_simulation_parts_get_type ())
typedef struct _HtSimulationParts HtSimulationParts;

HT_API GType ht_simulation_parts_get_type (void) G_GNUC_CONST;
HT_API HtSimulationParts *ht_simulation_parts_new (HtSimulation *simulation, HtQuantizerKinds kinds);
HT_API HtSimulationParts *ht_simulation_parts_copy (HtSimulationParts *self);
HT_API void ht_simulation_parts_free (HtSimulationParts *self);
HT_API HtSimulation *ht_simulation_parts_get_simulation (HtSimulationParts *self);
HT_API gboolean ht_simulation_parts_is_on (HtSimulationParts *self, const char *tensor);
HT_API gboolean ht_simulation_parts_switch (HtSimulationParts *self, const char *tensor, gboolean on, GError **error);
HT_API gboolean ht_simulation_parts_switch_layer (HtSimulationParts *self, const char *layer, HtQuantizerKinds kinds,
                                                  gboolean on, GError **error);
HT_API char **ht_simulation_list_layer_quantizers (HtSimulation *self, const char *layer, HtQuantizerKinds kinds,
                                                   GError **error);
HT_API HtExecutor *ht_simulation_parts_create_executor (HtSimulationParts *self, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSimulationParts, ht_simulation_parts_free)

G_END_DECLS
