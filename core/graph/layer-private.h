/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/layer.h>

struct _HtLayer
{
  gint ref_count;
  HtGraph *graph;
  HtNode *node;
  HtNode *bias_node; /* MatMul only: the Add behind it; NULL without a bias */
  guint bias_index;  /* the input of bias_node that is the bias */
  HtLayerKind kind;
  guint n_groups, inputs_per_group, outputs_per_group;
  gsize n_positions; /* of the kernel */
  gboolean weight_transposed; /* [outputs, inputs] instead of [inputs, outputs]; products only */
  double alpha;               /* Gemm's factor; unused elsewhere */
};

gsize ht_layer_weight_index (const HtLayer *self, guint output, guint input, gsize position);

/* Reads a constant as doubles, g_free() after; NULL where it is none. */
double *ht_graph_dup_constant_values (HtGraph *graph, const char *name, gsize *n_values);
/* Stores values under `name` with the type and dims of `like`, or under a new name when others read `name` too; returns
 * the name that holds them. */
char *ht_graph_store_values (HtGraph *graph, const char *name, HtTensor *like, const double *values, GError **error);
