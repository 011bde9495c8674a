/* SPDX-License-Identifier: MIT */
/* Types and shapes of values from and to their messages. */
#pragma once

#include "onnx/message.h"

#include <halftone/graph.h>

/* Tensor types only: any other gives UNDEFINED and NULL. `what` names the value. */
gboolean ht_type_from_proto (const Onnx__TypeProto *proto, const char *what, HtDataType *type, HtShape **shape,
                             GError **error);
/* NULL where nothing is known. */
Onnx__TypeProto *ht_type_to_proto (HtArena *arena, HtDataType type, HtShape *shape);
