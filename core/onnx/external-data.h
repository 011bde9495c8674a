/* SPDX-License-Identifier: MIT */
/* Tensor contents that lie in files beside the model: found inside its folder only, mapped once, never copied. */
#pragma once

#include "onnx/onnx.pb-c.h"

#include <gio/gio.h>

typedef struct _HtExternalData HtExternalData;

/* `folder`: where the model lies; NULL: the model came without a place and may not have external data. */
HtExternalData *ht_external_data_new (const char *folder);
void ht_external_data_free (HtExternalData *self);
/* The `size` bytes that `proto` points to; `what` names the tensor. */
GBytes *ht_external_data_get (HtExternalData *self, const Onnx__TensorProto *proto, gsize size, const char *what,
                              GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtExternalData, ht_external_data_free)
