/* SPDX-License-Identifier: MIT */
/* What the files lower-FAMILY.c offer to the table of lower.c: rules as exec-build.h describes them. */
#pragma once

#include "exec/exec-build.h"
#include "kernels/convolution.h"

gboolean ht_exec_lower_attention (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_concat (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_conv (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_elementwise (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_gemm (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_global_pool (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_layer_norm (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_matmul (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_mul (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_pad (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_pool (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_reduce_mean (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
/* What convolutions do that the blocked layout does not suit; `node` has constant weights and this geometry. */
gboolean ht_exec_lower_plain_conv (HtExecBuilder *builder, HtNode *node, const HtConvGeometry *geometry,
                                   gboolean *taken, GError **error);
gboolean ht_exec_lower_shuffle (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
gboolean ht_exec_lower_slice (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);

/* The tensor at the end of a channel shuffle (Reshape, Transpose, Reshape) that begins with `node` and whose inner
 * tensors nobody sees; NULL: it begins none. */
const char *ht_exec_find_shuffled (HtExecBuilder *builder, HtNode *node);

/* The begins and ends of a Pad with zeros, 2 * n_dims of them; FALSE: it is none, or they are not constant. */
gboolean ht_exec_read_pads (HtExecBuilder *builder, HtNode *node, guint n_dims, gint64 *pads);
