/* SPDX-License-Identifier: MIT */
/* Finds the activation function GELU where it is written out as small nodes. */
#pragma once

#include <halftone/graph.h>

/* The nodes of the GELU around this Tanh or Erf, in order, the end last; NULL where there is none. Element type HtNode,
 * not owned. */
GPtrArray *ht_gelu_collect (HtGraph *graph, HtNode *anchor);
