/* SPDX-License-Identifier: MIT */
/* Groups of nodes that are quantized as one: a layer or an Add, a constant bias, a live batch norm, clamps; or a
 * function written out as small nodes, as a layer normalization or a GELU is. All but the last one's output stay
 * inside. */
#pragma once

#include <halftone/graph.h>

/* The nodes of the group that starts at `head`, at least one, in order. Element type HtNode, not owned. */
GPtrArray *ht_supergroup_collect (HtGraph *graph, HtNode *head);

/* The nodes of the written-out function that this one stands for, in order: its first ReduceMean for a layer
 * normalization, its Tanh or Erf for a GELU. NULL for other nodes. Element type HtNode, not owned. */
GPtrArray *ht_supergroup_collect_function (HtGraph *graph, HtNode *anchor);
