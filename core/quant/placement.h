/* SPDX-License-Identifier: MIT */
/* Where a target puts quantizers. */
#pragma once

#include <halftone/quantization.h>

typedef struct
{
  GPtrArray *quantizers; /* HtQuantizer, in graph order: network inputs, then per node its constants and outputs */
  GHashTable *grids;     /* tensor -> the tensor whose quantizer's grid its values lie on */
  GPtrArray *skipped;    /* char *: what stays in floating point, and why */
  GHashTable *groups;  /* HtNode -> GPtrArray of HtNode: the nodes that are quantized as one with it, itself included */
  GHashTable *reasons; /* tensor -> char *: why it has no quantizer of its own */
} HtPlacement;

HtPlacement *ht_placement_new (HtGraph *graph, HtQuantizationConfig *config, GError **error);
void ht_placement_free (HtPlacement *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtPlacement, ht_placement_free)
