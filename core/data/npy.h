/* SPDX-License-Identifier: MIT */
/* NumPy's array formats: what a header says, and arrays over memory that holds a whole file. */
#pragma once

#include <halftone/tensor.h>

/* `what` names the file (or the member of an archive) in errors. The tensor refers to `bytes` and copies nothing. */
HtTensor *ht_npy_parse (GBytes *bytes, const char *what, GError **error);
/* The same for an archive: name without ".npy" -> HtTensor. */
GHashTable *ht_npz_parse (GBytes *bytes, const char *what, GError **error);
/* The bytes that come before the elements; NULL for a type that the format does not have. */
GByteArray *ht_npy_make_header (HtDataType type, const gint64 *dims, guint n_dims);
