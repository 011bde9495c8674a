/* SPDX-License-Identifier: MIT */
/* What each input of a node is to quantization. */
#pragma once

#include <halftone/graph.h>

typedef enum
{
  HT_OPERAND_ACTIVATION, /* data: quantized; a constant there too, as an activation */
  HT_OPERAND_WEIGHT,     /* a constant that the weight settings are for */
  HT_OPERAND_BIAS,       /* a constant that stays in floating point in the simulation */
  HT_OPERAND_PARAMETER,  /* norm parameters, slopes, limits, exponents, recurrent states: left in floating point */
  HT_OPERAND_ARGUMENT,   /* shapes, scales, fill values: says how, is not data */
} HtOperandKind;

/* `axis` (nullable) receives the axis of the output channels of a weight, -1 where it has one grid in all. */
HtOperandKind ht_operand_classify (HtGraph *graph, HtNode *node, guint index, gint *axis);
/* The axis of a weight that blocks are cut along, that of its input channels, as the first layer reads it; -1: none. */
gint ht_operand_find_block_axis (HtGraph *graph, const char *tensor);
/* Whether all uses of a tensor ask only for its shape. */
gboolean ht_tensor_is_shape_only (HtGraph *graph, const char *tensor);
/* Whether the values of output 0 are values of the data inputs, so that no grid of its own is needed when those share
 * one. */
gboolean ht_node_keeps_grid (HtGraph *graph, HtNode *node);
