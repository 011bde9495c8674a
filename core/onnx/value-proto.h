/* SPDX-License-Identifier: MIT */
/* Files of the ONNX project's cases that hold one value, which may be a list. */
#pragma once

#include <halftone/tensor.h>

/* A SequenceProto where `type` is SEQUENCE, an OptionalProto where it is OPTIONAL, else a TensorProto. */
HtTensor *ht_value_load_pb (const char *path, HtDataType type, GError **error);
