/* SPDX-License-Identifier: MIT */
#include "ops/ops.h"

/* One line a family, in the order of the alphabet. */
void
ht_operator_load_builtin (void)
{
  ht_ops_register_activation ();
  ht_ops_register_argmax ();
  ht_ops_register_bitwise ();
  ht_ops_register_cast ();
  ht_ops_register_compare ();
  ht_ops_register_concat_split ();
  ht_ops_register_constant ();
  ht_ops_register_control_flow ();
  ht_ops_register_conv ();
  ht_ops_register_det ();
  ht_ops_register_dropout ();
  ht_ops_register_einsum ();
  ht_ops_register_elementwise ();
  ht_ops_register_expand ();
  ht_ops_register_gather ();
  ht_ops_register_gemm ();
  ht_ops_register_generate ();
  ht_ops_register_grid_sample ();
  ht_ops_register_integer ();
  ht_ops_register_lp_norm ();
  ht_ops_register_lrn ();
  ht_ops_register_norm ();
  ht_ops_register_one_hot ();
  ht_ops_register_optional ();
  ht_ops_register_pad ();
  ht_ops_register_pool ();
  ht_ops_register_quantize_linear ();
  ht_ops_register_reduce ();
  ht_ops_register_resize ();
  ht_ops_register_reverse_sequence ();
  ht_ops_register_rms_norm ();
  ht_ops_register_rnn ();
  ht_ops_register_scan ();
  ht_ops_register_scatter ();
  ht_ops_register_select ();
  ht_ops_register_sequence ();
  ht_ops_register_sequence_split ();
  ht_ops_register_shape ();
  ht_ops_register_slice ();
  ht_ops_register_softmax ();
  ht_ops_register_transpose ();
  ht_ops_register_unary ();
}
