/* SPDX-License-Identifier: MIT */
/* A network cut in two between two nodes. */
#pragma once

#include <halftone/graph.h>

/* The names of what nodes from `cut` on read of what comes before. Optional outputs nobody computes are none of it. */
GHashTable *ht_graph_find_live (HtGraph *graph, guint cut);
