/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/tensor.h>

/* A tensor over memory that somebody else keeps alive at least as long: the arena of an execution plan. */
HtTensor *_ht_tensor_new_view (HtDataType type, const gint64 *dims, guint n_dims, gpointer data);
