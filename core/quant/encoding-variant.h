/* SPDX-License-Identifier: MIT */
/* Encodings as values that can be written to a file of our own and read back without loss. */
#pragma once

#include <halftone/encoding.h>

#define HT_ENCODING_VARIANT_TYPE "(uubbitituadaxadau)"

/* A floating reference. */
GVariant *ht_encoding_to_variant (HtEncoding *self);
HtEncoding *ht_encoding_from_variant (GVariant *variant, GError **error);
