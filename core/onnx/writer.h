/* SPDX-License-Identifier: MIT */
/* Graphs to ONNX files. */
#pragma once

#include <halftone/graph.h>

/* The largest message that readers of protocol buffers accept. */
#define HT_ONNX_MAX_SIZE ((gsize) G_MAXINT32)

/* The whole model as one message, all weights inside; fails with LIMIT_EXCEEDED when that is larger than allowed. The
 * same graph always gives the same bytes. */
gboolean ht_onnx_serialize (HtGraph *graph, GBytes **bytes, GError **error);
/* ht_graph_save(), with another size from which on weights go to an external file. */
gboolean ht_onnx_save (HtGraph *graph, const char *path, gsize max_size, GError **error);
