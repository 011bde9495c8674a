/* SPDX-License-Identifier: MIT */
/* Types and shapes of values from and to their messages. */
#pragma once

#include "onnx/message.h"

#include "graph/element-type.h"

/* Tensors, sequences and optional values: any other type gives UNDEFINED and NULL. `what` names the value; `shape` and
 * `element` (of a list) receive new references. */
gboolean ht_type_from_proto (const Onnx__TypeProto *proto, const char *what, HtDataType *type, HtShape **shape,
                             HtElementType **element, GError **error);
/* NULL where nothing is known. */
Onnx__TypeProto *ht_type_to_proto (HtArena *arena, HtDataType type, HtShape *shape, const HtElementType *element);
