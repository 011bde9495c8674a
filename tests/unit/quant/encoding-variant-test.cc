// SPDX-License-Identifier: MIT
// Encodings of every form as bytes and back.
#include "support.h"

extern "C"
{
#include "quant/encoding-variant.h"
}

TEST (EncodingVariant, ComesBackEqual)
{
  g_autoptr (GError) error = nullptr;
  const double scales[] = { 0.1, 0.3, 1e-7, 12.0 };
  const gint64 offsets[] = { -3, -8, 0, -15 }, middles[] = { -8, -8, -8, -8 };
  const guint blocks[] = { 1, 16, 3, 7 };
  HtEncoding *encodings[] = {
    ht_encoding_new (4, FALSE, FALSE, -1, scales, offsets, 1, &error),
    ht_encoding_new (4, FALSE, FALSE, 1, scales, offsets, 4, &error),
    ht_encoding_new (4, TRUE, FALSE, 0, scales, middles, 4, &error),
    ht_encoding_new_blocks (4, FALSE, FALSE, 0, 2, 1, 8, scales, offsets, 4, &error),
    ht_encoding_new_lpbq (4, 4, 0, 1, 8, scales, 2, blocks, 4, &error),
    ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT8E4M3FN, 0, 4, -1, 0, scales, 4, &error),
    ht_encoding_new_float (HT_NUMBER_FORMAT_BFLOAT16, -1, 1, -1, 0, nullptr, 1, &error),
  };
  for (HtEncoding *encoding : encodings)
    {
      ASSERT_NE (encoding, nullptr) << error->message;
      g_autofree char *text = ht_encoding_to_string (encoding);
      SCOPED_TRACE (text);
      g_autoptr (GVariant) variant = g_variant_ref_sink (ht_encoding_to_variant (encoding));
      EXPECT_STREQ (g_variant_get_type_string (variant), HT_ENCODING_VARIANT_TYPE);
      g_autoptr (HtEncoding) back = ht_encoding_from_variant (variant, &error);
      ASSERT_NE (back, nullptr) << error->message;
      EXPECT_TRUE (ht_encoding_equal (encoding, back));
      EXPECT_EQ (ht_encoding_get_scale_bits (encoding), ht_encoding_get_scale_bits (back));
      ht_encoding_unref (encoding);
    }
}
