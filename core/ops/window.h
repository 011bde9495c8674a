/* SPDX-License-Identifier: MIT */
/* Sliding windows: the attributes and the output size that convolutions and pools have in common. */
#pragma once

#include "kernels/convolution.h"
#include "ops/rules.h"

#define HT_WINDOW_MAX_AXES (HT_TENSOR_MAX_DIMS - 2)

typedef struct
{
  guint n_axes;
  /* -1: not known. Where a pad is not known, out is not either. */
  gint64 in[HT_WINDOW_MAX_AXES], out[HT_WINDOW_MAX_AXES], kernel[HT_WINDOW_MAX_AXES];
  gint64 stride[HT_WINDOW_MAX_AXES], dilation[HT_WINDOW_MAX_AXES];
  gint64 pad_begin[HT_WINDOW_MAX_AXES], pad_end[HT_WINDOW_MAX_AXES];
} HtWindow;

typedef enum
{
  HT_WINDOW_CONV,
  HT_WINDOW_POOL, /* honours ceil_mode; padding is smaller than the kernel and not negative */
  HT_WINDOW_TRANSPOSED,
} HtWindowKind;

/* Reads the node's attributes. `in` and `kernel` may hold -1. Returns NULL, or what is wrong (transfer full). */
char *ht_window_read (HtWindow *self, HtNode *node, HtWindowKind kind, guint n_axes, const gint64 *in,
                      const gint64 *kernel);
/* kernel_shape as the node has it; FALSE when absent or of another length. */
gboolean ht_window_read_kernel (HtNode *node, guint n_axes, gint64 *kernel);
/* Appends the output axes; symbols of axes that keep their size pass. */
void ht_window_append_out (const HtWindow *self, const HtDims *input, HtDims *output);

/* The first axes filled up with 1 to three; at most three. */
void ht_window_to_geometry (const HtWindow *self, HtConvGeometry *geometry);
/* n_slices scratch slices of that size, saturating. */
gsize ht_window_workspace (gsize slice, guint n_slices);
