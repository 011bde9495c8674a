/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/graph.h>

/* Takes away the node that makes `name`, and the constant nodes and initializers that only served it: the tensor is about
 * to become an initializer. A node with other outputs only loses this one. */
void ht_graph_release_producer (HtGraph *self, const char *name);
