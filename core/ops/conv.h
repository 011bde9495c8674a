/* SPDX-License-Identifier: MIT */
/* What the convolutions of floats and of integers have in common: their rule and their geometry. */
#pragma once

#include "ops/window.h"

/* Shapes of X and W as arrays. */
typedef struct
{
  guint n_axes;
  gint64 batch, channels, group;
  gint64 in[HT_WINDOW_MAX_AXES], kernel[HT_WINDOW_MAX_AXES];
} HtConvOperands;

/* Dimensions may be -1. Returns NULL, or what is wrong (transfer full). */
char *ht_conv_check_operands (HtNode *node, gboolean transposed, const gint64 *x, guint n_x, const gint64 *w, guint n_w,
                              HtConvOperands *o);
/* Output 0 becomes the convolution of input `x_input` by input `w_input`; `bias_input` may be absent. */
gboolean ht_infer_conv (HtInfer *infer, guint x_input, guint w_input, guint bias_input, gboolean transposed,
                        HtDataType type, GError **error);
void ht_conv_make_geometry (const HtWindow *window, const HtConvOperands *o, gint64 in_channels,
                            HtConvGeometry *geometry);
