/* SPDX-License-Identifier: MIT */
/* What the rooms of the engine know of encodings beyond the public functions. */
#pragma once

#include <halftone/encoding.h>

#include "kernels/grid-blocks.h"
#include "quant/number-format.h"

/* How the grids of a tensor are to be made and laid out, before their scales are known. */
typedef struct
{
  HtNumberFormat format;
  guint bits;
  gboolean symmetric, strict, unsigned_symmetric;
  gint axis;                  /* of channels; -1: none */
  gsize n_channels;           /* 1 without an axis */
  gint block_axis;            /* -1: no blocks */
  gsize block_size, n_blocks; /* 0 and 1 without blocks */
  guint scale_bits;           /* LPBQ; 0: none */
} HtGridForm;

struct _HtEncoding
{
  gatomicrefcount n_refs;
  HtGridForm form;
  gsize n_grids;
  double *scales;
  gint64 *offsets;
  double *channel_scales; /* LPBQ only: scale of grid = channel scale * block scale */
  guint *block_scales;
  float *narrow; /* scales, then offsets, as the kernels read them */
  gboolean rounds_up; /* halves go up, as in AIMET, and not to the even neighbour; no part of what the grid is */
};

/* The grids of given ranges: minima and maxima channel by channel, by blocks within a channel. */
HtEncoding *ht_encoding_new_with_form (const HtGridForm *form, const double *minima, const double *maxima,
                                       GError **error);
gsize ht_grid_form_count (const HtGridForm *form);
/* The tensor as its grids see it; FALSE where it has not the shape that the form counts on. */
gboolean ht_grid_form_cut (const HtGridForm *form, const gint64 *dims, guint n_dims, HtKernelBlocks *blocks);

/* Fake quantization of raw values; the encoding has to fit `dims`. x and y may be the same array. */
void ht_encoding_apply (HtEncoding *self, const float *x, float *y, const gint64 *dims, guint n_dims);
/* A copy that rounds halves up; only what executors are given. */
HtEncoding *ht_encoding_copy_rounding_up (HtEncoding *self);
/* Feeds all parts of an encoding to a checksum. */
void ht_encoding_digest (HtEncoding *self, GChecksum *checksum);
