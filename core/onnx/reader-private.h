/* SPDX-License-Identifier: MIT */
/* The parts of the reader: the model, its graphs, the attributes of their nodes. */
#pragma once

#include "graph/graph-private.h"
#include "onnx/external-data.h"

/* All take content out of the messages, which their owner frees as ever. */
HtGraph *ht_read_graph (Onnx__GraphProto *proto, HtExternalData *external, GError **error);
gboolean ht_read_attributes (HtGraph *graph, HtNode *node, Onnx__NodeProto *proto, HtExternalData *external,
                             GError **error);
/* The carried rest of a TensorProto; NULL: there is none. */
GBytes *ht_read_tensor_rest (const Onnx__TensorProto *proto, gboolean with_name);
