/* SPDX-License-Identifier: MIT */
/* Graphs as messages, put together in an arena; names and contents are borrowed from the graph. */
#pragma once

#include "graph/graph-private.h"
#include "onnx/message.h"

Onnx__ModelProto *ht_build_model (HtArena *arena, HtGraph *graph);
Onnx__GraphProto *ht_build_graph (HtArena *arena, HtGraph *graph);
/* `rest`: a TensorProto of the arena to fill, or NULL for a new one. */
Onnx__TensorProto *ht_build_tensor (HtArena *arena, HtTensor *tensor, Onnx__TensorProto *rest);
