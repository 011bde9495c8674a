/* SPDX-License-Identifier: MIT */
/* Chains of nodes that are quantized as one: a layer or an Add, a constant bias, a live batch norm, clamps. */
#pragma once

#include <halftone/graph.h>

/* The nodes of the chain that starts at `head`, at least one. Element type HtNode, not owned. */
GPtrArray *ht_supergroup_collect (HtGraph *graph, HtNode *head);
