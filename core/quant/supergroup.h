/* SPDX-License-Identifier: MIT */
/* Groups of nodes that are quantized as one: a layer or an Add, a constant bias, a live batch norm, clamps; or a layer
 * normalization written out as ten small nodes. */
#pragma once

#include <halftone/graph.h>

/* The nodes of the group that starts at `head`, at least one, in order: all but the last one's output stay inside. Element type HtNode, not owned. */
GPtrArray *ht_supergroup_collect (HtGraph *graph, HtNode *head);
