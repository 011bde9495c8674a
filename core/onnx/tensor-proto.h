/* SPDX-License-Identifier: MIT */
/* Tensors from and to their messages, and the test cases' files that hold one tensor message each. */
#pragma once

#include "onnx/external-data.h"

#include <halftone/tensor.h>

/* `what` names the tensor in errors. The message's raw data is taken out of it, not copied. */
HtTensor *ht_tensor_from_proto (Onnx__TensorProto *proto, HtExternalData *external, const char *what, GError **error);
/* One serialized TensorProto, as in `input_0.pb` of the ONNX project's operator cases; `name` may be NULL. */
HtTensor *ht_tensor_load_pb (const char *path, char **name, GError **error);
