// SPDX-License-Identifier: MIT
// Encodings against the vectors that AIMET 2.42 was observed to give, and against ONNX's own arithmetic.
#include "support.h"

#include <cmath>
#include <limits>
#include <vector>

namespace
{

struct Vector
{
  guint bits;
  double minimum, maximum;
  const char *mode; // s: symmetric, t: strict, u: unsigned symmetric
  double scale;
  gint64 offset;
  double new_minimum, new_maximum;
};

// AIMET 1.3, with the row of two bits as 2.42 has it, and the rows that 2.42 adds.
const Vector vectors[] = {
  { 8, -1, 2, "", 0.0117647059, -85, -1, 2 },
  { 8, 0, 6, "", 0.0235294118, 0, 0, 6 },
  { 8, -0.5, 0, "", 0.00196078431, -255, -0.5, 0 },
  { 8, -1, 2, "s", 0.0157480315, -128, -2.01574803, 2 },
  { 8, -1, 2, "st", 0.0157480315, -127, -2, 2 },
  { 8, 0, 2, "su", 0.00784313725, 0, 0, 2 },
  { 8, 0, 2, "s", 0.0157480315, -128, -2.01574803, 2 },
  { 4, -1, 2, "", 0.2, -5, -1, 2 },
  { 4, -1, 2, "s", 0.285714286, -8, -2.28571429, 2 },
  { 4, -0.7, 0.7, "st", 0.1, -7, -0.7, 0.7 },
  { 16, -1, 2, "", 4.57770657e-05, -21845, -1, 2 },
  { 8, -2, 1, "s", 0.015625, -128, -2, 1.984375 },
  { 4, -2, 1, "s", 0.25, -8, -2, 1.75 },
  { 2, -1, 1, "s", 0.5, -2, -1, 0.5 },
  { 2, -1, 1, "st", 1, -1, -1, 1 },
  { 8, 0, 2, "stu", 0.00787401575, 0, 0, 2 },
  { 8, -1, 2, "stu", 0.0157480315, -127, -2, 2 },
  { 8, 0, 0, "", 1.1920929e-07, 0, 0, 3.0398369e-05 },
  { 8, 0, 0, "s", 1.1920929e-07, -128, -1.5258789e-05, 1.513958e-05 },
  { 8, -1e-6, 1e-6, "", 1.1920929e-07, -8, -9.5367432e-07, 2.9444695e-05 },
  { 8, 1, 3, "", 0.0117647059, 0, 0, 3 },
  { 8, -3, -1, "", 0.0117647059, -255, -3, 0 },
};

bool
has (const char *mode, char letter)
{
  return std::string (mode).find (letter) != std::string::npos;
}

HtEncoding *
from_range (guint bits, double minimum, double maximum, const char *mode, GError **error)
{
  return ht_encoding_new_from_ranges (bits, has (mode, 's'), has (mode, 't'), has (mode, 'u'), -1, &minimum, &maximum, 1,
                                      error);
}

HtTensor *
tensor_of (const std::vector<float> &values, const std::vector<gint64> &dims)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims.data (), dims.size (), nullptr);
  float *data = (float *) ht_tensor_get_writable_data (tensor);
  std::copy (values.begin (), values.end (), data);
  return tensor;
}

std::vector<float>
fake (HtEncoding *encoding, const std::vector<float> &values)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) tensor = tensor_of (values, { (gint64) values.size () });
  g_autoptr (HtTensor) result = ht_encoding_fake_quantize (encoding, tensor, &error);
  EXPECT_NO_GERROR (error);
  const float *data = (const float *) ht_tensor_get_data (result);
  return std::vector<float> (data, data + values.size ());
}

}

TEST (Encoding, ReproducesTheVectorsOfAimet)
{
  for (const Vector &v : vectors)
    {
      SCOPED_TRACE (testing::Message () << v.bits << " bits, [" << v.minimum << ", " << v.maximum << "] " << v.mode);
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtEncoding) encoding = from_range (v.bits, v.minimum, v.maximum, v.mode, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_NEAR (ht_encoding_get_scales (encoding, nullptr)[0], v.scale, 1e-8 * v.scale);
      EXPECT_EQ (ht_encoding_get_offsets (encoding, nullptr)[0], v.offset);
      EXPECT_NEAR (ht_encoding_get_minimum (encoding, 0), v.new_minimum, 2e-6 * std::fabs (v.new_minimum));
      EXPECT_NEAR (ht_encoding_get_maximum (encoding, 0), v.new_maximum, 2e-6 * std::fabs (v.new_maximum));
    }
}

TEST (Encoding, ReproducesTheValuesOfAimet)
{
  g_autoptr (HtEncoding) encoding = from_range (8, -1, 2, "", nullptr);
  std::vector<float> result = fake (encoding, { -1.5f, -0.006f, 0.005f, 1.234f, 9.0f });
  const float expected[] = { -1.0f, -0.0117647059f, 0.0f, 1.23529412f, 2.0f };
  for (int i = 0; i < 5; i++)
    EXPECT_NEAR (result[i], expected[i], 2e-7) << i;
}

TEST (Encoding, UsesTheStoredGridAndRoundsHalvesToEven)
{
  const double scale = 1;
  const gint64 offset = -8;
  g_autoptr (HtEncoding) encoding = ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
  EXPECT_EQ (fake (encoding, { 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 100.0f, -100.0f }),
             (std::vector<float>{ 0, 2, 2, 0, -2, -2, 7, -8 }));
}

TEST (Encoding, IsIdempotentMonotoneAndKeepsZero)
{
  for (const Vector &v : vectors)
    {
      g_autoptr (HtEncoding) encoding = from_range (v.bits, v.minimum, v.maximum, v.mode, nullptr);
      std::vector<float> x;
      for (int i = -300; i <= 300; i++)
        x.push_back ((float) (i * ht_encoding_get_scales (encoding, nullptr)[0] * 0.49));
      std::vector<float> once = fake (encoding, x);
      EXPECT_EQ (fake (encoding, once), once);
      EXPECT_EQ (once[300], 0.0f);
      for (size_t i = 1; i < once.size (); i++)
        EXPECT_LE (once[i - 1], once[i]);
    }
}

TEST (Encoding, StoresIntegersThatDequantizeToTheSameValues)
{
  for (const char *mode : { "", "s", "st", "su" })
    for (guint bits : { 2u, 4u, 8u, 16u })
      {
        SCOPED_TRACE (testing::Message () << bits << mode);
        const double minima[] = { has (mode, 'u') ? 0 : -0.3, has (mode, 'u') ? 0 : -2.0, 0 };
        const double maxima[] = { 0.7, 0.9, 0 };
        g_autoptr (HtEncoding) encoding = ht_encoding_new_from_ranges (bits, has (mode, 's'), has (mode, 't'),
                                                                       has (mode, 'u'), 1, minima, maxima, 3, nullptr);
        std::vector<float> values;
        for (int i = 0; i < 2 * 3 * 5; i++)
          values.push_back (0.11f * (float) ((i * 7) % 23) - 1.1f);
        g_autoptr (HtTensor) tensor = tensor_of (values, { 2, 3, 5 });
        g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (encoding, tensor, nullptr);
        g_autoptr (HtTensor) integers = ht_encoding_quantize (encoding, tensor, nullptr);
        bool with_sign = has (mode, 's') && !has (mode, 'u');
        EXPECT_EQ (ht_tensor_get_data_type (integers), bits > 8 ? (with_sign ? HT_DATA_TYPE_INT16 : HT_DATA_TYPE_UINT16)
                                                                : (with_sign ? HT_DATA_TYPE_INT8 : HT_DATA_TYPE_UINT8));
        for (gsize i = 0; i < 30; i++)
          {
            gsize channel = i / 5 % 3;
            gint64 zero = ht_encoding_get_zero_point (encoding, channel);
            float scale = (float) ht_encoding_get_scales (encoding, nullptr)[channel];
            if (with_sign)
              {
                EXPECT_EQ (zero, 0);
              }
            EXPECT_EQ ((float) (ht_tensor_get_int64 (integers, i) - zero) * scale,
                       ((const float *) ht_tensor_get_data (rounded))[i]);
          }
      }
}

TEST (Encoding, StoresABiasIn32Bits)
{
  const double scale = 1e-6;
  const gint64 offset = -G_GINT64_CONSTANT (2147483648);
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtEncoding) encoding = ht_encoding_new (32, TRUE, FALSE, -1, &scale, &offset, 1, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) tensor = tensor_of ({ 1.5f, -3.0f, 1e9f, -1e9f }, { 4 });
  g_autoptr (HtTensor) integers = ht_encoding_quantize (encoding, tensor, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_EQ (ht_tensor_get_data_type (integers), HT_DATA_TYPE_INT32);
  EXPECT_EQ (ht_tensor_get_int64 (integers, 0), 1500000);
  EXPECT_EQ (ht_tensor_get_int64 (integers, 1), -3000000);
  EXPECT_EQ (ht_tensor_get_int64 (integers, 2), G_MAXINT32);
  EXPECT_EQ (ht_tensor_get_int64 (integers, 3), G_MININT32);
}

TEST (Encoding, RefusesWhatIsNoGrid)
{
  g_autoptr (GError) error = nullptr;
  const double nan = std::numeric_limits<double>::quiet_NaN (), inf = std::numeric_limits<double>::infinity ();
  EXPECT_EQ (from_range (8, nan, 1, "", &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "finite");
  EXPECT_EQ (from_range (8, 0, inf, "s", &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "finite");
  EXPECT_EQ (from_range (8, -1e300, 1e300, "", &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "float32");
  EXPECT_EQ (from_range (8, 2, 1, "", &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "[2, 1]");
  for (guint bits : { 0u, 1u, 33u, 64u })
    {
      EXPECT_EQ (from_range (bits, 0, 1, "", &error), nullptr);
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "2 to 31");
    }
  const double scales[] = { 1, -1 };
  const gint64 offsets[] = { 0, 0 }, wrong[] = { 1, 0 }, odd[] = { -100, -100 };
  EXPECT_EQ (ht_encoding_new (8, FALSE, FALSE, 0, scales, offsets, 2, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "scale -1");
  EXPECT_EQ (ht_encoding_new (8, FALSE, FALSE, -1, scales, offsets, 2, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "2 grids");
  EXPECT_EQ (ht_encoding_new (8, FALSE, FALSE, -1, scales, wrong, 1, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "offset 1");
  EXPECT_EQ (ht_encoding_new (8, TRUE, FALSE, -1, scales, odd, 1, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "-128");
}

TEST (Encoding, RefusesTensorsThatDoNotFit)
{
  g_autoptr (GError) error = nullptr;
  const double minima[] = { -1, -2 }, maxima[] = { 1, 2 };
  g_autoptr (HtEncoding) encoding = ht_encoding_new_from_ranges (8, TRUE, FALSE, FALSE, 0, minima, maxima, 2, nullptr);
  g_autoptr (HtTensor) three = tensor_of ({ 1, 2, 3 }, { 3 });
  EXPECT_EQ (ht_encoding_fake_quantize (encoding, three, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "2 channels");
  g_autoptr (HtTensor) bad = tensor_of ({ 1, std::nanf ("") }, { 2 });
  EXPECT_EQ (ht_encoding_quantize (encoding, bad, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "not a number");
  const gint64 numbers[] = { 1, 2 };
  g_autoptr (HtTensor) integers = ht_tensor_new_int64s (numbers, 2);
  EXPECT_EQ (ht_encoding_quantize (encoding, integers, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "int64");
}

TEST (Encoding, IsComparedExactly)
{
  g_autoptr (HtEncoding) a = from_range (8, -1, 2, "", nullptr);
  g_autoptr (HtEncoding) b = from_range (8, -1, 2, "", nullptr);
  g_autoptr (HtEncoding) c = from_range (8, -1, 2.0000001, "", nullptr);
  g_autoptr (HtEncoding) d = from_range (8, -1, 2, "s", nullptr);
  EXPECT_TRUE (ht_encoding_equal (a, b));
  EXPECT_FALSE (ht_encoding_equal (a, c));
  EXPECT_FALSE (ht_encoding_equal (a, d));
  g_autofree char *text = ht_encoding_to_string (a);
  EXPECT_NE (std::string (text).find ("offset -85"), std::string::npos) << text;
}
