/* SPDX-License-Identifier: MIT */
/* Parts of a tensor along an axis. Elements of whole bytes; `part` has the type and, but for the axis, the dimensions of
 * `whole` (the axis may be missing in it where its length is 1). */
#pragma once

#include <halftone/tensor.h>

/* Copies whole[..., begin ..., ...] to the part. */
void ht_split_part (HtTensor *whole, guint axis, gint64 begin, HtTensor *part);
/* Copies the part to whole[..., begin ..., ...]. */
void ht_join_part (HtTensor *whole, guint axis, gint64 begin, HtTensor *part);
