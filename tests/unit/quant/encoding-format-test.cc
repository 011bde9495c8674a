// SPDX-License-Identifier: MIT
// Encodings in blocks, those of LPBQ, and those of floating-point numbers.
#include "net.h"

#include <cmath>
#include <vector>

namespace
{

HtTensor *
tensor_of (const std::vector<gint64> &dims)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims.data (), dims.size (), nullptr);
  float *data = (float *)ht_tensor_get_writable_data (tensor);
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    data[i] = (float)std::sin ((double)i * 1.7) * (1 + (float)(i % 5));
  return tensor;
}

// The index of an element along an axis.
gsize
along (const std::vector<gint64> &dims, gsize element, gint axis)
{
  for (gsize i = dims.size (); i-- > (gsize)axis + 1;)
    element /= (gsize)dims[i];
  return element % (gsize)dims[(gsize)axis];
}

struct Layout
{
  std::vector<gint64> dims;
  gint axis, block_axis;
  gsize block_size;
};

// Convolution, transposed convolution, Gemm both ways, batched MatMul, blocks alone; with a last block that is shorter.
const std::vector<Layout> layouts = {
  { { 4, 6, 3, 3 }, 0, 1, 2 }, { { 4, 6, 3, 3 }, 0, 1, 4 }, { { 6, 4, 2, 2 }, 1, 0, 4 }, { { 5, 8 }, 0, 1, 3 },
  { { 8, 5 }, 1, 0, 3 },       { { 2, 8, 5 }, 2, 1, 4 },    { { 3, 2, 7 }, 0, 2, 2 },    { { 7, 2, 3 }, 2, 0, 2 },
  { { 3, 8 }, -1, 1, 3 },      { { 4, 6 }, 0, 1, 64 },
};

gsize
count_blocks (const Layout &layout)
{
  return ((gsize)layout.dims[(gsize)layout.block_axis] + layout.block_size - 1) / layout.block_size;
}

gsize
count_channels (const Layout &layout)
{
  return layout.axis < 0 ? 1 : (gsize)layout.dims[(gsize)layout.axis];
}

gsize
grid_of (const Layout &layout, gsize element)
{
  gsize channel = layout.axis < 0 ? 0 : along (layout.dims, element, layout.axis);
  return channel * count_blocks (layout) + along (layout.dims, element, layout.block_axis) / layout.block_size;
}

HtEncoding *
in_blocks (const Layout &layout, guint bits, bool symmetric, GError **error)
{
  std::vector<double> scales;
  std::vector<gint64> offsets;
  for (gsize i = 0; i < count_channels (layout) * count_blocks (layout); i++)
    {
      scales.push_back (0.1 + 0.03 * (double)i);
      offsets.push_back (symmetric ? -(1 << (bits - 1)) : -(gint64)(i % (1u << bits)));
    }
  return ht_encoding_new_blocks (bits, symmetric, FALSE, layout.axis, count_channels (layout), layout.block_axis,
                                 layout.block_size, scales.data (), offsets.data (), scales.size (), error);
}

const float *
floats (HtTensor *tensor)
{
  return (const float *)ht_tensor_get_data (tensor);
}

}

TEST (EncodingBlocks, EachElementHasTheGridOfItsBlock)
{
  g_autoptr (GError) error = nullptr;
  for (const Layout &layout : layouts)
    for (bool symmetric : { true, false })
      {
        g_autoptr (HtEncoding) encoding = in_blocks (layout, 4, symmetric, &error);
        ASSERT_NO_GERROR (error);
        g_autofree char *text = ht_encoding_to_string (encoding);
        SCOPED_TRACE (text);
        g_autoptr (HtTensor) x = tensor_of (layout.dims);
        g_autoptr (HtTensor) y = ht_encoding_fake_quantize (encoding, x, &error);
        ASSERT_NO_GERROR (error);
        g_autoptr (HtTensor) q = ht_encoding_quantize (encoding, x, &error);
        g_autoptr (HtTensor) spread = ht_encoding_spread_scales (encoding, layout.dims.data (), layout.dims.size (), &error);
        ASSERT_NO_GERROR (error);
        EXPECT_EQ (ht_tensor_get_data_type (q), symmetric ? HT_DATA_TYPE_INT8 : HT_DATA_TYPE_UINT8);
        for (gsize i = 0; i < ht_tensor_get_n_elements (x); i++)
          {
            gsize grid = grid_of (layout, i);
            float scale = (float)ht_encoding_get_scales (encoding, nullptr)[grid];
            float offset = (float)ht_encoding_get_offsets (encoding, nullptr)[grid];
            float code = std::fmin (std::fmax (std::nearbyint (floats (x)[i] / scale) - offset, 0.0f), 15.0f);
            ASSERT_EQ (floats (y)[i], (code + offset) * scale) << i;
            ASSERT_EQ ((float)(ht_tensor_get_int64 (q, i) - ht_encoding_get_zero_point (encoding, grid)), code + offset)
                << i;
            ASSERT_EQ (floats (spread)[i], scale) << i;
          }
      }
}

TEST (EncodingBlocks, FitsWhatItHasGridsFor)
{
  g_autoptr (GError) error = nullptr;
  const Layout layout = { { 4, 6 }, 0, 1, 4 };
  g_autoptr (HtEncoding) encoding = in_blocks (layout, 4, true, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_encoding_get_axis (encoding), 0);
  EXPECT_EQ (ht_encoding_get_n_channels (encoding), 4u);
  EXPECT_EQ (ht_encoding_get_block_axis (encoding), 1);
  EXPECT_EQ (ht_encoding_get_block_size (encoding), 4u);
  const gint64 same[] = { 4, 6 }, as_many[] = { 4, 8, 3 }, more[] = { 4, 9 }, fewer[] = { 4, 4 }, other[] = { 5, 6 };
  EXPECT_TRUE (ht_encoding_fits (encoding, same, 2));
  EXPECT_TRUE (ht_encoding_fits (encoding, as_many, 3));
  EXPECT_FALSE (ht_encoding_fits (encoding, more, 2));
  EXPECT_FALSE (ht_encoding_fits (encoding, fewer, 2));
  EXPECT_FALSE (ht_encoding_fits (encoding, other, 2));
  EXPECT_FALSE (ht_encoding_fits (encoding, same, 1));
  g_autoptr (HtTensor) x = tensor_of ({ 4, 9 });
  EXPECT_EQ (ht_encoding_fake_quantize (encoding, x, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "[4, 9]");
}

TEST (EncodingBlocks, RefusesWhatCannotBe)
{
  g_autoptr (GError) error = nullptr;
  const double scales[] = { 1, 1, 1, 1, 1, 1 };
  const gint64 offsets[6] = {};
  EXPECT_EQ (ht_encoding_new_blocks (4, FALSE, FALSE, 0, 4, 1, 2, scales, offsets, 6, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "6 grids for 4 channels");
  EXPECT_EQ (ht_encoding_new_blocks (4, FALSE, FALSE, 1, 2, 1, 2, scales, offsets, 6, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "two axes");
  EXPECT_EQ (ht_encoding_new_blocks (4, FALSE, FALSE, 0, 2, 1, 0, scales, offsets, 6, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "blocks of 0");
  EXPECT_EQ (ht_encoding_new_blocks (24, FALSE, FALSE, 0, 2, 1, 2, scales, offsets, 6, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "2 to 16");
  EXPECT_EQ (ht_encoding_new_blocks (4, FALSE, FALSE, -1, 2, 1, 2, scales, offsets, 6, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "whole tensor");
}

TEST (EncodingLpbq, TheExampleOfAimet)
{
  g_autoptr (GError) error = nullptr;
  const double first[] = { 1, 1, 1, 1 }, scales[] = { 0.010, 0.020, 0.0049, 0.040 }, gamma = 1;
  const guint ones[] = { 1, 1, 1, 1 }, expected[] = { 4, 8, 2, 16 };
  g_autoptr (HtEncoding) form = ht_encoding_new_lpbq (4, 4, 0, 1, 2, &gamma, 1, ones, 4, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_encoding_get_scales (form, nullptr)[0], first[0]);
  g_autoptr (HtEncoding) encoding = ht_encoding_with_scales (form, scales, nullptr, 4, &error);
  ASSERT_NO_GERROR (error);
  gsize n_channels, n_grids;
  const double *channel_scales = ht_encoding_get_channel_scales (encoding, &n_channels);
  const guint *block_scales = ht_encoding_get_block_scales (encoding, &n_grids);
  ASSERT_EQ (n_channels, 1u);
  ASSERT_EQ (n_grids, 4u);
  EXPECT_EQ (ht_encoding_get_scale_bits (encoding), 4u);
  EXPECT_DOUBLE_EQ (channel_scales[0], 0.0025);
  for (gsize i = 0; i < 4; i++)
    {
      EXPECT_EQ (block_scales[i], expected[i]);
      EXPECT_EQ (ht_encoding_get_scales (encoding, nullptr)[i], (double)((float)expected[i] * 0.0025f));
      EXPECT_EQ (ht_encoding_get_offsets (encoding, nullptr)[i], -8);
    }
  EXPECT_FALSE (ht_encoding_equal (form, encoding));
  // Half of each factor twice as large: the same grid from other numbers is another encoding.
  const double doubled = 0.005;
  const guint halves[] = { 2, 4, 1, 8 };
  g_autoptr (HtEncoding) other = ht_encoding_new_lpbq (4, 4, 0, 1, 2, &doubled, 1, halves, 4, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FALSE (ht_encoding_equal (other, encoding));
  const guint beyond[] = { 2, 4, 1, 17 }, zero[] = { 0, 4, 1, 16 };
  EXPECT_EQ (ht_encoding_new_lpbq (4, 4, 0, 1, 2, &gamma, 1, beyond, 4, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "block scale 17");
  EXPECT_EQ (ht_encoding_new_lpbq (4, 4, 0, 1, 2, &gamma, 1, zero, 4, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "block scale 0");
}

// Two channels of a Gemm that AIMET 2.42 quantized (set_lpbq_for_params, 4 bits, blocks of 4).
TEST (EncodingLpbq, AgreesWithAimet)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  for (auto [key, value] : { std::pair{ "bits", "4" }, { "granularity", "lpbq" }, { "block-size", "4" } })
    ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (ht_quantization_config_get_weights (config)), key, value, &error));
  quant::Net net;
  net.input ("x", { 1, 16 })
      .values_of ("w", { 2, 16 },
                  { 0.0681860447f, -0.0716431439f, 0.347314179f,  0.0568894595f, -0.539125025f, 0.363927752f,
                    1.31241238f,   0.953190684f,   -0.593118012f, -1.06651521f,  -0.525304556f, 0.0348301195f,
                    -3.89097381f,  -0.366151124f,  -2.08505058f,  -1.22546041f,  0.20140852f,   -0.158308566f,
                    0.96946615f,   0.808378398f,   0.471764743f,  -1.64132631f,  0.0387547724f, 0.509256661f,
                    1.57745194f,   -0.970872521f,  2.86279416f,   -2.07469726f,  -0.627367973f, 0.886765778f,
                    0.0465215296f, 1.8989929f });
  net.set (net.node ("Gemm", { "x", "w" }, { "y" }), "transB", 1);
  net.output ("y");
  g_autoptr (HtSimulation) simulation = quant::simulate (net, config);
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  HtEncoding *encoding = ht_simulation_get_encoding (simulation, "w");
  gsize n_channels, n_grids;
  const double *channel_scales = ht_encoding_get_channel_scales (encoding, &n_channels);
  const guint *block_scales = ht_encoding_get_block_scales (encoding, &n_grids);
  const double expected_scales[] = { 0.030398232862353325, 0.025560662150382996 };
  const guint expected[] = { 2, 6, 4, 16, 5, 8, 16, 11 };
  ASSERT_EQ (n_channels, 2u);
  ASSERT_EQ (n_grids, 8u);
  for (gsize i = 0; i < 2; i++)
    EXPECT_NEAR (channel_scales[i] / expected_scales[i], 1, 1e-6);
  for (gsize i = 0; i < 8; i++)
    EXPECT_EQ (block_scales[i], expected[i]);
}

TEST (EncodingFloat, RoundsAsACastDoes)
{
  g_autoptr (GError) error = nullptr;
  const std::pair<HtNumberFormat, HtDataType> formats[]
      = { { HT_NUMBER_FORMAT_FLOAT16, HT_DATA_TYPE_FLOAT16 }, { HT_NUMBER_FORMAT_BFLOAT16, HT_DATA_TYPE_BFLOAT16 } };
  for (auto [format, type] : formats)
    {
      g_autoptr (HtEncoding) encoding = ht_encoding_new_float (format, -1, 1, -1, 0, nullptr, 0, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_FALSE (ht_encoding_is_integer (encoding));
      EXPECT_EQ (ht_encoding_get_bits (encoding), 16u);
      g_autoptr (HtTensor) x = tensor_of ({ 7, 5 });
      g_autoptr (HtTensor) y = ht_encoding_fake_quantize (encoding, x, &error);
      g_autoptr (HtTensor) q = ht_encoding_quantize (encoding, x, &error);
      ASSERT_NO_GERROR (error);
      g_autoptr (HtTensor) there = ht_tensor_cast (x, type, &error), back = ht_tensor_cast (there, HT_DATA_TYPE_FLOAT, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_TRUE (ht_tensor_equal (y, back));
      EXPECT_TRUE (ht_tensor_equal (q, there));
    }
}

TEST (EncodingFloat, EightBitsHaveAScale)
{
  g_autoptr (GError) error = nullptr;
  const double scales[] = { 0.01, 0.02, 0.5 };
  for (HtNumberFormat format : { HT_NUMBER_FORMAT_FLOAT8E4M3FN, HT_NUMBER_FORMAT_FLOAT8E5M2 })
    {
      g_autoptr (HtEncoding) encoding = ht_encoding_new_float (format, 0, 3, -1, 0, scales, 3, &error);
      ASSERT_NO_GERROR (error);
      double largest = format == HT_NUMBER_FORMAT_FLOAT8E4M3FN ? 448 : 57344;
      EXPECT_EQ (ht_encoding_get_maximum (encoding, 1), 0.02 * largest);
      EXPECT_EQ (ht_encoding_get_minimum (encoding, 1), -0.02 * largest);
      g_autoptr (HtTensor) x = tensor_of ({ 3, 8 });
      g_autoptr (HtTensor) y = ht_encoding_fake_quantize (encoding, x, &error);
      g_autoptr (HtTensor) q = ht_encoding_quantize (encoding, x, &error);
      ASSERT_NO_GERROR (error);
      for (gsize i = 0; i < 24; i++)
        ASSERT_EQ (floats (y)[i], (float)ht_tensor_get_double (q, i) * (float)scales[i / 8]) << i;
    }
  EXPECT_EQ (ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT8E5M2, -1, 3, -1, 0, scales, 3, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "whole tensor");
}

TEST (EncodingFloat, BlocksOfFloats)
{
  g_autoptr (GError) error = nullptr;
  for (const Layout &layout : layouts)
    {
      std::vector<double> scales;
      for (gsize i = 0; i < count_channels (layout) * count_blocks (layout); i++)
        scales.push_back (0.001 * (double)(i + 1));
      g_autoptr (HtEncoding) encoding
          = ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT8E4M3FN, layout.axis, count_channels (layout), layout.block_axis,
                                   layout.block_size, scales.data (), scales.size (), &error);
      ASSERT_NO_GERROR (error);
      g_autoptr (HtTensor) x = tensor_of (layout.dims);
      g_autoptr (HtTensor) y = ht_encoding_fake_quantize (encoding, x, &error);
      g_autoptr (HtTensor) q = ht_encoding_quantize (encoding, x, &error);
      ASSERT_NO_GERROR (error);
      for (gsize i = 0; i < ht_tensor_get_n_elements (x); i++)
        ASSERT_EQ (floats (y)[i], (float)ht_tensor_get_double (q, i) * (float)scales[grid_of (layout, i)]) << i;
    }
}

TEST (EncodingWide, OneBitWiderIsTwiceAsFine)
{
  g_autoptr (GError) error = nullptr;
  for (guint bits = 17; bits <= 31; bits++)
    {
      const double minimum = -1, maximum = 1;
      g_autoptr (HtEncoding) encoding
          = ht_encoding_new_from_ranges (bits, FALSE, FALSE, FALSE, -1, &minimum, &maximum, 1, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (ht_encoding_get_n_steps (encoding), ((gint64)1 << bits) - 1);
      // Around zero: ONNX has no zero points of 32 bits.
      EXPECT_EQ (ht_encoding_get_data_type (encoding), HT_DATA_TYPE_INT32);
      EXPECT_EQ (ht_encoding_get_zero_point (encoding, 0), 0);
      g_autoptr (HtTensor) x = ht_tensor_new_floats (std::vector<float>{ -1.5f, -0.3f, 0.1f, 0.7f, 2 }.data (), 5);
      g_autoptr (HtTensor) y = ht_encoding_fake_quantize (encoding, x, &error);
      ASSERT_NO_GERROR (error);
      // Beyond 24 bits the quotient of two floats is coarser than the grid.
      double step = ht_encoding_get_scales (encoding, nullptr)[0], slack = MAX (step / 2, 0x1p-24) * 1.001;
      EXPECT_NEAR (floats (y)[0], -1, 2 * step);
      for (int i = 1; i < 4; i++)
        EXPECT_NEAR (floats (y)[i], floats (x)[i], slack) << bits;
      EXPECT_NEAR (floats (y)[4], 1, 2 * step + 0x1p-23);
    }
}
