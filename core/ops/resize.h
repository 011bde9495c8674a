/* SPDX-License-Identifier: MIT */
/* How Resize computes each dimension from the one before: a sum of weighted neighbours. */
#pragma once

#include "graph/operator.h"

/* What the output positions along a dimension are made of: `n` neighbours each, from first[position] on (clamped to the
 * dimension), times weights[position * n ...]. */
typedef struct
{
  gsize n;
  gint64 *first;
  double *weights;
  guint8 *outside; /* tf_crop_and_resize: takes the extrapolation value */
} HtResizeTaps;

typedef struct
{
  guint rank;
  gint64 in[HT_TENSOR_MAX_DIMS], out[HT_TENSOR_MAX_DIMS];
  gboolean is_resized[HT_TENSOR_MAX_DIMS];
  HtResizeTaps taps[HT_TENSOR_MAX_DIMS]; /* of those that are */
} HtResizePlan;

/* Fills a zeroed plan, which is to be cleared even after a failure. */
gboolean ht_resize_plan (const HtOpCall *call, HtResizePlan *plan, GError **error);
void ht_resize_plan_clear (HtResizePlan *plan);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (HtResizePlan, ht_resize_plan_clear)
