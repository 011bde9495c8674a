// SPDX-License-Identifier: MIT
#include "cast-tables.h"
#include "support.h"

#include "graph/tensor-private.h"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

namespace
{

const double infinity = std::numeric_limits<double>::infinity ();
const double nan = std::numeric_limits<double>::quiet_NaN ();

float
float_of (uint32_t bits)
{
  float value;
  std::memcpy (&value, &bits, sizeof value);
  return value;
}

HtTensor *
table_inputs (bool absolute = false)
{
  std::vector<float> values;
  for (uint32_t bits : cast_inputs)
    values.push_back (absolute ? std::fabs (float_of (bits)) : float_of (bits));
  return ht_tensor_new_floats (values.data (), values.size ());
}

template <typename T, size_t N>
void
expect_codes (const T (&expected)[N], HtDataType type, bool saturate = true)
{
  static_assert (N == std::size (cast_inputs), "one expectation for each input");
  g_autoptr (HtTensor) source = table_inputs ();
  g_autoptr (HtTensor) result = ht_tensor_cast_full (source, type, saturate, HT_ROUND_UP, nullptr);
  ASSERT_NE (result, nullptr);
  for (size_t i = 0; i < N; i++)
    {
      unsigned code;
      auto *bytes = static_cast<const uint8_t *> (ht_tensor_get_data (result));
      if (ht_data_type_get_bits (type) == 4)
        code = bytes[i / 2] >> (i % 2 * 4) & 0xf;
      else
        code = reinterpret_cast<const T *> (bytes)[i];
      EXPECT_EQ (code, expected[i]) << ht_data_type_get_name (type) << " of " << float_of (cast_inputs[i]);
    }
}

TEST (Cast, NarrowFloatsAsTheReferenceRounds)
{
  expect_codes (cast_float16, HT_DATA_TYPE_FLOAT16);
  expect_codes (cast_bfloat16, HT_DATA_TYPE_BFLOAT16);
  expect_codes (cast_float4e2m1, HT_DATA_TYPE_FLOAT4E2M1);
  expect_codes (cast_float8e4m3fn_saturated, HT_DATA_TYPE_FLOAT8E4M3FN);
  expect_codes (cast_float8e4m3fnuz_saturated, HT_DATA_TYPE_FLOAT8E4M3FNUZ);
  expect_codes (cast_float8e5m2_saturated, HT_DATA_TYPE_FLOAT8E5M2);
  expect_codes (cast_float8e5m2fnuz_saturated, HT_DATA_TYPE_FLOAT8E5M2FNUZ);
}

TEST (Cast, NarrowFloatsWithoutSaturation)
{
  expect_codes (cast_float8e4m3fn_plain, HT_DATA_TYPE_FLOAT8E4M3FN, false);
  expect_codes (cast_float8e4m3fnuz_plain, HT_DATA_TYPE_FLOAT8E4M3FNUZ, false);
  expect_codes (cast_float8e5m2_plain, HT_DATA_TYPE_FLOAT8E5M2, false);
  expect_codes (cast_float8e5m2fnuz_plain, HT_DATA_TYPE_FLOAT8E5M2FNUZ, false);
}

TEST (Cast, ScalesAsTheReferenceRounds)
{
  // The reference treats zero, subnormal and infinite values otherwise than the operator's own table: see the next test.
  const uint8_t *tables[2][3] = {
    { cast_float8e8m0_up_plain, cast_float8e8m0_down_plain, cast_float8e8m0_nearest_plain },
    { cast_float8e8m0_up_saturated, cast_float8e8m0_down_saturated, cast_float8e8m0_nearest_saturated },
  };
  g_autoptr (HtTensor) source = table_inputs (true);
  for (int saturate = 0; saturate < 2; saturate++)
    for (int mode = 0; mode < 3; mode++)
      {
        g_autoptr (HtTensor) result = ht_tensor_cast_full (source, HT_DATA_TYPE_FLOAT8E8M0, saturate,
                                                           static_cast<HtScaleRounding> (mode), nullptr);
        auto *codes = static_cast<const uint8_t *> (ht_tensor_get_data (result));
        for (size_t i = 0; i < std::size (cast_inputs); i++)
          {
            uint8_t expected = std::isnormal (float_of (cast_inputs[i])) ? tables[saturate][mode][i] : codes[i];
            EXPECT_EQ (codes[i], expected) << mode << " of " << float_of (cast_inputs[i]);
          }
      }
}

uint8_t
scale_of (double value, bool saturate, HtScaleRounding mode)
{
  g_autoptr (HtTensor) source = ht_tensor_new_scalar (value, HT_DATA_TYPE_DOUBLE, nullptr);
  g_autoptr (HtTensor) result = ht_tensor_cast_full (source, HT_DATA_TYPE_FLOAT8E8M0, saturate, mode, nullptr);
  return *static_cast<const uint8_t *> (ht_tensor_get_data (result));
}

TEST (Cast, ScalesAtTheirBounds)
{
  // The table of the Cast operator, version 24 and later.
  EXPECT_EQ (scale_of (0, true, HT_ROUND_UP), 0);
  EXPECT_EQ (scale_of (0, false, HT_ROUND_NEAREST), 0xff);
  EXPECT_EQ (scale_of (nan, true, HT_ROUND_UP), 0xff);
  EXPECT_EQ (scale_of (infinity, true, HT_ROUND_UP), 0xfe);
  EXPECT_EQ (scale_of (infinity, false, HT_ROUND_NEAREST), 0xff);
  EXPECT_EQ (scale_of (std::ldexp (1.5, 127), true, HT_ROUND_UP), 0xfe);
  EXPECT_EQ (scale_of (std::ldexp (1.5, 127), false, HT_ROUND_NEAREST), 0xff);
  EXPECT_EQ (scale_of (std::ldexp (1, -140), true, HT_ROUND_UP), 0);
  EXPECT_EQ (scale_of (std::ldexp (1, -140), false, HT_ROUND_NEAREST), 0xff);
  EXPECT_EQ (scale_of (std::ldexp (1, -127), true, HT_ROUND_UP), 0) << "exactly the smallest";
}

template <size_t N>
void
expect_values (const uint32_t (&expected)[N], HtDataType type)
{
  std::vector<uint8_t> codes;
  for (size_t i = 0; i < N; i++)
    if (ht_data_type_get_bits (type) == 8)
      codes.push_back (uint8_t (i));
    else if (i % 2 == 0)
      codes.push_back (uint8_t (i | (i + 1) << 4));
  const gint64 dims[] = { N };
  g_autoptr (GBytes) bytes = g_bytes_new (codes.data (), codes.size ());
  g_autoptr (HtTensor) source = ht_tensor_new_from_bytes (type, dims, 1, bytes, nullptr);
  g_autoptr (HtTensor) result = ht_tensor_cast (source, HT_DATA_TYPE_FLOAT, nullptr);
  auto *values = static_cast<const float *> (ht_tensor_get_data (result));
  for (size_t i = 0; i < N; i++)
    {
      float value = float_of (expected[i]);
      if (std::isnan (value))
        EXPECT_TRUE (std::isnan (values[i])) << i;
      else
        EXPECT_EQ (std::memcmp (&values[i], &value, 4), 0) << ht_data_type_get_name (type) << " code " << i;
    }
}

TEST (Cast, EveryCodeOfTheNarrowFloats)
{
  expect_values (decoded_float8e4m3fn, HT_DATA_TYPE_FLOAT8E4M3FN);
  expect_values (decoded_float8e4m3fnuz, HT_DATA_TYPE_FLOAT8E4M3FNUZ);
  expect_values (decoded_float8e5m2, HT_DATA_TYPE_FLOAT8E5M2);
  expect_values (decoded_float8e5m2fnuz, HT_DATA_TYPE_FLOAT8E5M2FNUZ);
  expect_values (decoded_float8e8m0fnu, HT_DATA_TYPE_FLOAT8E8M0);
  expect_values (decoded_float4e2m1fn, HT_DATA_TYPE_FLOAT4E2M1);
}

// Every 16-bit code, by the definition of the formats, and back.
TEST (Cast, EverySixteenBitCode)
{
  struct
  {
    HtDataType type;
    int mantissa, bias;
  } formats[] = { { HT_DATA_TYPE_FLOAT16, 10, 15 }, { HT_DATA_TYPE_BFLOAT16, 7, 127 } };
  std::vector<uint16_t> codes (65536);
  for (size_t i = 0; i < codes.size (); i++)
    codes[i] = uint16_t (i);
  for (auto &format : formats)
    {
      const gint64 dims[] = { 65536 };
      g_autoptr (GBytes) bytes = g_bytes_new_static (codes.data (), 2 * codes.size ());
      g_autoptr (HtTensor) source = ht_tensor_new_from_bytes (format.type, dims, 1, bytes, nullptr);
      g_autoptr (HtTensor) wide = ht_tensor_cast (source, HT_DATA_TYPE_DOUBLE, nullptr);
      g_autoptr (HtTensor) back = ht_tensor_cast (wide, format.type, nullptr);
      auto *values = static_cast<const double *> (ht_tensor_get_data (wide));
      auto *again = static_cast<const uint16_t *> (ht_tensor_get_data (back));
      int top = (1 << (15 - format.mantissa)) - 1;
      for (int i = 0; i < 65536; i++)
        {
          int exponent = (i & 0x7fff) >> format.mantissa, mantissa = i & ((1 << format.mantissa) - 1);
          double expected = exponent == 0 ? std::ldexp (mantissa, 1 - format.bias - format.mantissa)
                                          : std::ldexp (mantissa + (1 << format.mantissa),
                                                        exponent - format.bias - format.mantissa);
          if (exponent == top && mantissa != 0)
            {
              ASSERT_TRUE (std::isnan (values[i]));
              continue;
            }
          if (exponent == top)
            expected = infinity;
          ASSERT_EQ (values[i], i & 0x8000 ? -expected : expected) << i;
          ASSERT_EQ (again[i], i);
        }
    }
}

HtTensor *
cast_one (double value, HtDataType from, HtDataType to)
{
  g_autoptr (HtTensor) source = ht_tensor_new_scalar (value, from, nullptr);
  return ht_tensor_cast (source, to, nullptr);
}

gint64
integer_of (double value, HtDataType to)
{
  g_autoptr (HtTensor) result = cast_one (value, HT_DATA_TYPE_DOUBLE, to);
  return ht_tensor_get_int64 (result, 0);
}

TEST (Cast, RealsToIntegersTruncate)
{
  const HtDataType types[] = { HT_DATA_TYPE_INT8, HT_DATA_TYPE_INT16, HT_DATA_TYPE_INT32,
                               HT_DATA_TYPE_INT64, HT_DATA_TYPE_INT4 };
  for (HtDataType type : types)
    {
      EXPECT_EQ (integer_of (2.9, type), 2);
      EXPECT_EQ (integer_of (-2.9, type), -2);
      EXPECT_EQ (integer_of (-0.5, type), 0);
      EXPECT_EQ (integer_of (nan, type), 0);
      int bits = int (ht_data_type_get_bits (type));
      EXPECT_EQ (integer_of (infinity, type), gint64 (G_MAXUINT64 >> (65 - bits)));
      EXPECT_EQ (integer_of (-infinity, type), -gint64 (G_MAXUINT64 >> (65 - bits)) - 1);
      EXPECT_EQ (integer_of (-std::ldexp (1, bits - 1), type), -gint64 (G_MAXUINT64 >> (65 - bits)) - 1);
    }
  EXPECT_EQ (integer_of (300, HT_DATA_TYPE_UINT8), 255);
  EXPECT_EQ (integer_of (-3, HT_DATA_TYPE_UINT8), 0);
  EXPECT_EQ (integer_of (15.9, HT_DATA_TYPE_UINT4), 15);
  EXPECT_EQ (integer_of (16, HT_DATA_TYPE_UINT4), 15);
  EXPECT_EQ (integer_of (1.9, HT_DATA_TYPE_INT2), 1);
  EXPECT_EQ (integer_of (-5, HT_DATA_TYPE_INT2), -2);
  EXPECT_EQ (integer_of (9, HT_DATA_TYPE_UINT2), 3);
  EXPECT_EQ (integer_of (4294967295.0, HT_DATA_TYPE_UINT32), 4294967295);
  EXPECT_EQ (guint64 (integer_of (18446744073709551615.0, HT_DATA_TYPE_UINT64)), G_MAXUINT64);
  EXPECT_EQ (guint64 (integer_of (9223372036854775808.0, HT_DATA_TYPE_UINT64)), guint64 (1) << 63);
}

TEST (Cast, RealsToBool)
{
  EXPECT_EQ (integer_of (0.1, HT_DATA_TYPE_BOOL), 1);
  EXPECT_EQ (integer_of (-0.0, HT_DATA_TYPE_BOOL), 0);
  EXPECT_EQ (integer_of (nan, HT_DATA_TYPE_BOOL), 1);
}

template <typename To>
To
from_int64 (gint64 value, HtDataType from, HtDataType to)
{
  g_autoptr (GBytes) bytes = g_bytes_new (&value, 8);
  g_autoptr (HtTensor) source = ht_tensor_new_from_bytes (from, nullptr, 0, bytes, nullptr);
  g_autoptr (HtTensor) result = ht_tensor_cast (source, to, nullptr);
  return *static_cast<const To *> (ht_tensor_get_data (result));
}

TEST (Cast, IntegersDropUpperBits)
{
  EXPECT_EQ (from_int64<int8_t> (200, HT_DATA_TYPE_INT64, HT_DATA_TYPE_INT8), -56); // the specification's example
  EXPECT_EQ (from_int64<uint8_t> (-1, HT_DATA_TYPE_INT64, HT_DATA_TYPE_UINT8), 255);
  EXPECT_EQ (from_int64<int32_t> (G_GINT64_CONSTANT (0x1ffffffff), HT_DATA_TYPE_INT64, HT_DATA_TYPE_INT32), -1);
  EXPECT_EQ (from_int64<uint8_t> (0x17, HT_DATA_TYPE_INT64, HT_DATA_TYPE_INT4) & 0xf, 0x7);
  EXPECT_EQ (from_int64<uint8_t> (256, HT_DATA_TYPE_INT64, HT_DATA_TYPE_BOOL), 1) << "not the lowest bits";
}

TEST (Cast, LargeIntegersAreRoundedOnce)
{
  // 2^24 + 1 is a tie in float; 2^60 + 2^36 + 1 is just above one that double would turn into a tie.
  EXPECT_EQ (from_int64<float> ((1 << 24) + 1, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT), 16777216.0f);
  gint64 above = (gint64 (1) << 60) + (gint64 (1) << 36) + 1;
  EXPECT_EQ (from_int64<float> (above, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT), std::ldexp (1 + std::ldexp (1, -23), 60));
  EXPECT_EQ (from_int64<float> (above - 1, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT), std::ldexp (1, 60));
  EXPECT_EQ (from_int64<float> (-1, HT_DATA_TYPE_UINT64, HT_DATA_TYPE_FLOAT), std::ldexp (1, 64));
  // bfloat16 keeps 8 bits: 2^62 + 2^54 is a tie.
  gint64 tie = (gint64 (1) << 62) + (gint64 (1) << 54);
  EXPECT_EQ (from_int64<uint16_t> (tie, HT_DATA_TYPE_INT64, HT_DATA_TYPE_BFLOAT16), 0x5e80);
  EXPECT_EQ (from_int64<uint16_t> (tie + 1, HT_DATA_TYPE_INT64, HT_DATA_TYPE_BFLOAT16), 0x5e81);
  EXPECT_EQ (from_int64<uint16_t> (-tie - 1, HT_DATA_TYPE_INT64, HT_DATA_TYPE_BFLOAT16), 0xde81);
  EXPECT_EQ (from_int64<uint16_t> (65519, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT16), 0x7bff);
  EXPECT_EQ (from_int64<uint16_t> (65520, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT16), 0x7c00);
  EXPECT_EQ (from_int64<uint8_t> (G_MININT64, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT8E4M3FN), 0xfe);
}

TEST (Cast, DoubleIsRoundedOnce)
{
  // 1 + 2^-11 + 2^-40 is above the tie of float16; by way of float it would be the tie and go down.
  g_autoptr (HtTensor) half
      = cast_one (1 + std::ldexp (1, -11) + std::ldexp (1, -40), HT_DATA_TYPE_DOUBLE, HT_DATA_TYPE_FLOAT16);
  EXPECT_EQ (*static_cast<const uint16_t *> (ht_tensor_get_data (half)), 0x3c01);
  g_autoptr (HtTensor) over = cast_one (1e300, HT_DATA_TYPE_DOUBLE, HT_DATA_TYPE_FLOAT);
  EXPECT_EQ (ht_tensor_get_double (over, 0), infinity);
}

TEST (Cast, PackedTypesKeepTheirNeighbours)
{
  const float values[] = { 1, -2, 3, -4, 5 };
  g_autoptr (HtTensor) source = ht_tensor_new_floats (values, 5);
  g_autoptr (HtTensor) packed = ht_tensor_cast (source, HT_DATA_TYPE_INT4, nullptr);
  ASSERT_EQ (ht_tensor_get_size (packed), 3u);
  auto *bytes = static_cast<const uint8_t *> (ht_tensor_get_data (packed));
  EXPECT_EQ (bytes[0], 0xe1); // 1 in the low half
  EXPECT_EQ (bytes[1], 0xc3);
  EXPECT_EQ (bytes[2], 0x05);
  for (int i = 0; i < 5; i++)
    EXPECT_EQ (ht_tensor_get_double (packed, gsize (i)), values[i]);
  const float small[] = { 1, -2, 0, -1, 1 };
  g_autoptr (HtTensor) source2 = ht_tensor_new_floats (small, 5);
  g_autoptr (HtTensor) packed2 = ht_tensor_cast (source2, HT_DATA_TYPE_INT2, nullptr);
  ASSERT_EQ (ht_tensor_get_size (packed2), 2u);
  EXPECT_EQ (static_cast<const uint8_t *> (ht_tensor_get_data (packed2))[0], 0xc9); // 01, 10, 00, 11 from the right
  for (int i = 0; i < 5; i++)
    EXPECT_EQ (ht_tensor_get_int64 (packed2, gsize (i)), small[i]);
}

TEST (Cast, LongTensorsInRuns)
{
  std::vector<float> values (3001);
  for (size_t i = 0; i < values.size (); i++)
    values[i] = float (int (i % 16) - 8);
  g_autoptr (HtTensor) source = ht_tensor_new_floats (values.data (), values.size ());
  for (HtDataType type : { HT_DATA_TYPE_INT4, HT_DATA_TYPE_INT8, HT_DATA_TYPE_FLOAT16, HT_DATA_TYPE_FLOAT8E4M3FN })
    {
      g_autoptr (HtTensor) there = ht_tensor_cast (source, type, nullptr);
      g_autoptr (HtTensor) back = ht_tensor_cast (there, HT_DATA_TYPE_FLOAT, nullptr);
      EXPECT_TRUE (ht_tensor_equal (source, back)) << ht_data_type_get_name (type);
    }
}

TEST (Cast, StringsBothWays)
{
  const char *texts[] = { "3.14", "1e-5", "+INF", "-inf", "NaN" };
  const gint64 dims[] = { 5 };
  g_autoptr (HtTensor) source = ht_tensor_new_strings (texts, dims, 1, nullptr);
  g_autoptr (HtTensor) values = ht_tensor_cast (source, HT_DATA_TYPE_FLOAT, nullptr);
  EXPECT_EQ (ht_tensor_get_double (values, 0), double (3.14f));
  EXPECT_EQ (ht_tensor_get_double (values, 1), double (1e-5f));
  EXPECT_EQ (ht_tensor_get_double (values, 2), infinity);
  EXPECT_EQ (ht_tensor_get_double (values, 3), -infinity);
  EXPECT_TRUE (std::isnan (ht_tensor_get_double (values, 4)));
  g_autoptr (HtTensor) written = ht_tensor_cast (values, HT_DATA_TYPE_STRING, nullptr);
  EXPECT_STREQ (ht_tensor_get_strings (written)[0], "3.14");
  EXPECT_STREQ (ht_tensor_get_strings (written)[4], "NaN");

  const char *numbers[] = { "9223372036854775807", "-9223372036854775808", "100.5", "18446744073709551615", "0" };
  g_autoptr (HtTensor) integers = ht_tensor_new_strings (numbers, dims, 1, nullptr);
  g_autoptr (HtTensor) parsed = ht_tensor_cast (integers, HT_DATA_TYPE_INT64, nullptr);
  EXPECT_EQ (ht_tensor_get_int64 (parsed, 0), G_MAXINT64);
  EXPECT_EQ (ht_tensor_get_int64 (parsed, 1), G_MININT64);
  EXPECT_EQ (ht_tensor_get_int64 (parsed, 2), 100);

  const char *bad[] = { "1", "Hello", "2", "", "3" };
  g_autoptr (HtTensor) words = ht_tensor_new_strings (bad, dims, 1, nullptr);
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_tensor_cast (words, HT_DATA_TYPE_FLOAT, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "element 1");
}

TEST (Cast, RefusesComplexAndUnknown)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) pair = ht_tensor_new (HT_DATA_TYPE_COMPLEX64, nullptr, 0, &error);
  ASSERT_NE (pair, nullptr);
  EXPECT_EQ (ht_tensor_cast (pair, HT_DATA_TYPE_FLOAT, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "complex64[]");
  g_autoptr (HtTensor) one = ht_tensor_new_scalar (1, HT_DATA_TYPE_FLOAT, &error);
  EXPECT_EQ (ht_tensor_cast (one, static_cast<HtDataType> (99), &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "undefined");
  g_autoptr (HtTensor) same = ht_tensor_cast (one, HT_DATA_TYPE_FLOAT, &error);
  EXPECT_EQ (same, one);
}

}
