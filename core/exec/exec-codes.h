/* SPDX-License-Identifier: MIT */
/* Layers on integers. Where the input of a convolution, its weight, its bias and what it makes all have grids, a device
 * sums products of codes in integers, adds an int32 bias and multiplies by one float for each channel. So does the
 * plan: a float holds such sums exactly up to 2^24, and the result is then the device's to the bit, whatever the order
 * of the sum. */
#pragma once

#include "exec/exec-chain.h"

/* A layer's own grids: its input's, its weight's (8 bits at most) and, if it has a bias, an int32 one for that. */
gboolean ht_exec_codes_suit_node (HtExecBuilder *builder, HtNode *node);
/* Is a tensor to be kept as codes: on a grid of 8 bits at most, and read by a layer on integers, itself or behind steps
 * that move codes as they are? */
gboolean ht_exec_codes_suit_tensor (HtExecBuilder *builder, const char *name);
/* The layout in which a step that can leave either had better make a tensor. */
HtExecLayout ht_exec_codes_choose_layout (HtExecBuilder *builder, const char *name);
/* What the codes of `value` are multiples of; 0: it holds values. */
float ht_exec_codes_get_unit (const HtExecValue *value);
/* Does the sum of `chain`, which starts at the output of `node`, meet a grid of 8 bits at most before anything is
 * added? */
gboolean ht_exec_codes_suit_chain (HtExecBuilder *builder, HtNode *node, const HtExecChain *chain);

/* The weights' integers, in place of their values. */
gboolean ht_exec_codes_from_weight (HtExecutor *executor, const char *name, HtTensor *weight, float *values,
                                    GError **error);
/* Turns the prepared epilogue into one of a sum of codes. `step` reads the layer's input first and the residual second.
 */
gboolean ht_exec_codes_prepare (HtExecChain *chain, HtExecutor *executor, HtExecPlan *plan, const HtExecStep *step,
                                const HtExecParam *weight, GError **error);
