/* SPDX-License-Identifier: MIT */
/* Raises the opset of a model without changing what it computes. Sources: 7 and later; targets: up to 21. */
#pragma once

#include <halftone/graph.h>

#define HT_OPSET_UPGRADE_MAX 21

/* Nothing happens when the opset is `target` already or above. On failure the graph may be half rewritten. Nodes may have to
 * be sorted afterwards. */
gboolean ht_graph_upgrade_opset (HtGraph *graph, gint64 target, GError **error);

/* One node, between two versions. */
typedef struct
{
  HtGraph *graph;
  HtNode *node;
  gint64 source, target;
} HtOpsetStep;

/* A rewrite that the operator needs when the opset passes a version; see the table in opset-upgrade.c. */
typedef gboolean (*HtOpsetRewrite) (const HtOpsetStep *step, GError **error);

gboolean ht_rewrite_batch_norm (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_batch_norm_outputs (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_axes (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_clip (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_dropout (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_dropout_mask (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_pad (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_grid_sample (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_resize (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_resize_mode (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_roi_align (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_scatter (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_slice (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_softmax (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_split (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_split_count (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_top_k (const HtOpsetStep *step, GError **error);
gboolean ht_rewrite_upsample (const HtOpsetStep *step, GError **error);
