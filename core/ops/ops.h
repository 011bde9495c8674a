/* SPDX-License-Identifier: MIT */
/* The families of operators. Each file of this room registers its own table here; ops.c calls them all, once. */
#pragma once

#include "graph/operator.h"

/* Registers a static array. */
#define HT_OPS_REGISTER(table) ht_operator_register ((table), G_N_ELEMENTS (table))

/* One declaration a file, one call in ops.c: void ht_ops_register_FAMILY (void); */
void ht_ops_register_activation (void);
void ht_ops_register_argmax (void);
void ht_ops_register_bitwise (void);
void ht_ops_register_cast (void);
void ht_ops_register_compare (void);
void ht_ops_register_concat_split (void);
void ht_ops_register_constant (void);
void ht_ops_register_control_flow (void);
void ht_ops_register_conv (void);
void ht_ops_register_det (void);
void ht_ops_register_dropout (void);
void ht_ops_register_einsum (void);
void ht_ops_register_elementwise (void);
void ht_ops_register_expand (void);
void ht_ops_register_gather (void);
void ht_ops_register_gemm (void);
void ht_ops_register_generate (void);
void ht_ops_register_grid_sample (void);
void ht_ops_register_integer (void);
void ht_ops_register_lp_norm (void);
void ht_ops_register_lrn (void);
void ht_ops_register_norm (void);
void ht_ops_register_one_hot (void);
void ht_ops_register_optional (void);
void ht_ops_register_pad (void);
void ht_ops_register_pool (void);
void ht_ops_register_quantize_linear (void);
void ht_ops_register_reduce (void);
void ht_ops_register_resize (void);
void ht_ops_register_reverse_sequence (void);
void ht_ops_register_rms_norm (void);
void ht_ops_register_rnn (void);
void ht_ops_register_scan (void);
void ht_ops_register_scatter (void);
void ht_ops_register_select (void);
void ht_ops_register_sequence (void);
void ht_ops_register_sequence_split (void);
void ht_ops_register_shape (void);
void ht_ops_register_slice (void);
void ht_ops_register_softmax (void);
void ht_ops_register_transpose (void);
void ht_ops_register_unary (void);
