/* SPDX-License-Identifier: MIT */
/* What backward functions share. */
#pragma once

#include "ops/loop.h"
#include "ops/unary.h"

/* Float or double by the type of output gradient 0 (or of the first that is there); fails on other types. */
gboolean ht_backward_get_type (const HtOpCall *call, HtTensor *const *output_gradients, gboolean *is_double,
                               GError **error);
/* NULL where the index lies outside, or nothing is there. */
HtTensor *ht_backward_get (HtTensor *const *tensors, guint n_tensors, guint index);
void ht_backward_zero (HtTensor *tensor);
/* Copies the elements of `from`, which has the same number of them. */
void ht_backward_copy (HtTensor *to, HtTensor *from);

/* The gradient of one operand of a broadcast operation: `loop` computes its terms from `operands`, which broadcast to
 * the shape of `like`, and those that fall on one element of `gradient` are summed in a fixed order. */
void ht_backward_broadcast (HtTensor *gradient, HtTensor *like, HtTensor *const *operands, guint n_operands,
                            HtLoop loop, gconstpointer user_data);
/* `factor` times the sum of `from` over what was stretched to get from `gradient`'s shape to its shape. */
void ht_backward_sum_to (HtTensor *gradient, HtTensor *from, double factor);

/* Writes `in`, contiguous elements of `dims`, to `out`, where element (i, j, ...) lies at i*stride[0] + j*stride[1] ...
 * elements; no two of them at one place. Strides may be negative. */
void ht_backward_spread (gpointer out, gconstpointer in, gsize element_size, guint n_dims, const gint64 *dims,
                         const gint64 *strides);
/* The gradient of an operator that moves elements of input 0, each any number of times, to output 0: forward() is run
 * on their positions. For operators that no inner loop needs; the workspace is ht_backward_moved_workspace(). */
gboolean ht_backward_moved (const HtOpCall *call, HtForward forward, HtTensor *const *output_gradients,
                            HtTensor *const *input_gradients, GError **error);
gsize ht_backward_moved_workspace (const HtInfer *infer);
/* backward() of operators whose output 0 is input 0 with other dimensions, or itself. */
gboolean ht_backward_pass (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                           GError **error);

/* backward_workspace(): as many bytes as output 0 has. */
gsize ht_backward_output_workspace (const HtInfer *infer);

/* dx from x (or y) and dy, element by element. */
typedef void (*HtUnaryBackwardLoop) (gsize n, gconstpointer source, gconstpointer dy, gpointer dx,
                                     const HtUnaryParameters *parameters);
gboolean ht_backward_unary (const HtOpCall *call, HtTensor *source, HtTensor *const *output_gradients,
                            HtTensor *const *input_gradients, HtUnaryBackwardLoop in_float,
                            HtUnaryBackwardLoop in_double, const HtUnaryParameters *parameters, gsize cost,
                            GError **error);

#define HT_UNARY_BACKWARD_LOOP(NAME, T, EXPRESSION)                                                                    \
  static void NAME##_backward_##T (gsize n, gconstpointer source_, gconstpointer dy_, gpointer dx_,                    \
                                   const HtUnaryParameters *p)                                                         \
  {                                                                                                                    \
    const T *source = source_, *dy = dy_;                                                                              \
    T *dx = dx_;                                                                                                       \
    (void)p;                                                                                                           \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T x = source[i], g = dy[i];                                                                                    \
        (void)x, (void)g;                                                                                              \
        dx[i] = (T)(EXPRESSION);                                                                                       \
      }                                                                                                                \
  }

/* NAME_backward from two expressions, in float and in double, of g, the output's gradient, and x, an element of SOURCE,
 * which is `inputs`, `outputs` or, where x does not
 * matter, `output_gradients`. */
#define HT_UNARY_BACKWARD(NAME, SOURCE, COST, FLOAT_EXPRESSION, DOUBLE_EXPRESSION, PARAMETERS)                         \
  HT_UNARY_BACKWARD_LOOP (NAME, float, FLOAT_EXPRESSION)                                                               \
  HT_UNARY_BACKWARD_LOOP (NAME, double, DOUBLE_EXPRESSION)                                                             \
  static gboolean NAME##_backward (const HtOpCall *call, HtTensor *const *output_gradients,                            \
                                   HtTensor *const *input_gradients, GError **error)                                   \
  {                                                                                                                    \
    HtUnaryParameters parameters = PARAMETERS;                                                                         \
    HtTensor *const *inputs = call->inputs, *const *outputs = call->outputs;                                           \
    (void)inputs, (void)outputs;                                                                                       \
    return ht_backward_unary (call, SOURCE[0], output_gradients, input_gradients, NAME##_backward_float,               \
                              NAME##_backward_double, &parameters, COST, error);                                       \
  }

/* The backward functions that stand in a file of their own. */
#define HT_BACKWARD(FAMILY)                                                                                            \
  gboolean ht_op_##FAMILY##_backward (const HtOpCall *call, HtTensor *const *output_gradients,                         \
                                      HtTensor *const *input_gradients, GError **error)
HT_BACKWARD (add);
HT_BACKWARD (sub);
HT_BACKWARD (mul);
HT_BACKWARD (div);
HT_BACKWARD (mod); /* of floating-point numbers: fmod */
HT_BACKWARD (pow);
HT_BACKWARD (mean);
HT_BACKWARD (extreme); /* Min and Max */
HT_BACKWARD (where);
HT_BACKWARD (gemm);
HT_BACKWARD (matmul);
HT_BACKWARD (conv);
HT_BACKWARD (conv_transpose);
gsize ht_op_conv_backward_workspace (const HtInfer *infer);
gsize ht_op_conv_transpose_backward_workspace (const HtInfer *infer);
HT_BACKWARD (batch_norm);
gsize ht_op_batch_norm_backward_workspace (const HtInfer *infer);
HT_BACKWARD (layer_norm);
gsize ht_op_layer_norm_backward_workspace (const HtInfer *infer);
HT_BACKWARD (instance_norm);
gsize ht_op_instance_norm_backward_workspace (const HtInfer *infer);
HT_BACKWARD (group_norm);
gsize ht_op_group_norm_backward_workspace (const HtInfer *infer);
HT_BACKWARD (reduce_sum);
HT_BACKWARD (reduce_mean);
HT_BACKWARD (reduce_extreme);
HT_BACKWARD (reduce_sum_square);
HT_BACKWARD (reduce_l1);
HT_BACKWARD (reduce_l2);
HT_BACKWARD (reduce_log_sum);
HT_BACKWARD (reduce_log_sum_exp);
HT_BACKWARD (reduce_prod);
/* Which dimensions a Reduce node reduces: reduce.c */
void ht_reduce_read_flags (const HtOpCall *call, guint rank, gboolean *flags);
HT_BACKWARD (rnn);
gsize ht_op_rnn_backward_workspace (const HtInfer *infer);
HT_BACKWARD (resize);
