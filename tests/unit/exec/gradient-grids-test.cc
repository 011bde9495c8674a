// SPDX-License-Identifier: MIT
// Gradients of fake quantization in blocks and to floating-point numbers: against the definition, element by element.
#include "small-graph.h"

#include <algorithm>
#include <cmath>

using small::Builder;
using small::floats;
using small::Table;
using small::values;

namespace
{

struct Layout
{
  std::vector<gint64> dims;
  gint axis, block_axis;
  gsize block_size;
};

const std::vector<Layout> layouts = {
  { { 4, 6, 3, 3 }, 0, 1, 4 }, { { 6, 4, 2, 2 }, 1, 0, 4 }, { { 5, 8 }, 0, 1, 3 },    { { 8, 5 }, 1, 0, 3 },
  { { 2, 8, 5 }, 2, 1, 4 },    { { 3, 2, 7 }, 0, 2, 2 },    { { 7, 2, 3 }, 2, 0, 2 }, { { 3, 8 }, -1, 1, 3 },
};

gsize
along (const std::vector<gint64> &dims, gsize element, gint axis)
{
  for (gsize i = dims.size (); i-- > (gsize)axis + 1;)
    element /= (gsize)dims[i];
  return element % (gsize)dims[(gsize)axis];
}

HtTensor *
wave (const std::vector<gint64> &dims, float frequency)
{
  HtTensor *tensor = floats (dims, {});
  float *data = static_cast<float *> (ht_tensor_get_writable_data (tensor));
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    data[i] = std::sin ((float)(i + 1) * frequency) * (1 + (float)(i % 3));
  return tensor;
}

// y = x * w, so that the gradient behind the quantizer of w is x times that of y.
HtGradient *
product (Builder &graph, const std::vector<gint64> &dims)
{
  const char *const names[] = { "w", nullptr };
  graph.input ("x", dims).constant ("w", wave (dims, 0.7f)).output ("y");
  graph.node ("Mul", { "x", "w" }, { "y" });
  GError *error = nullptr;
  HtGradient *gradient = ht_gradient_new (graph.graph (), names, &error);
  EXPECT_NE (gradient, nullptr) << (error ? error->message : "");
  g_clear_error (&error);
  return gradient;
}

}

TEST (GradientGrids, EachBlockCollectsWhatItsElementsGive)
{
  for (const Layout &layout : layouts)
    {
      g_autoptr (GError) error = nullptr;
      gsize n_channels = layout.axis < 0 ? 1 : (gsize)layout.dims[(gsize)layout.axis];
      gsize n_blocks = ((gsize)layout.dims[(gsize)layout.block_axis] + layout.block_size - 1) / layout.block_size;
      std::vector<double> scales, by_scale (n_channels * n_blocks), by_offset (n_channels * n_blocks);
      std::vector<gint64> offsets;
      for (gsize i = 0; i < n_channels * n_blocks; i++)
        {
          scales.push_back (0.11 + 0.02 * (double)i);
          offsets.push_back (-7);
        }
      g_autoptr (HtEncoding) encoding
          = ht_encoding_new_blocks (4, FALSE, FALSE, layout.axis, n_channels, layout.block_axis, layout.block_size,
                                    scales.data (), offsets.data (), scales.size (), &error);
      ASSERT_NO_GERROR (error);
      g_autofree char *text = ht_encoding_to_string (encoding);
      SCOPED_TRACE (text);
      Builder graph;
      g_autoptr (HtGradient) gradient = product (graph, layout.dims);
      const char *const names[] = { "w", nullptr };
      ht_gradient_set_encoding (gradient, "w", encoding);
      ht_gradient_set_ranges (gradient, names);
      Table in, seeds;
      in.add ("x", wave (layout.dims, 1.3f));
      seeds.add ("y", wave (layout.dims, 2.1f));
      g_autoptr (HtGradientResult) result = ht_gradient_run (gradient, in, seeds, nullptr, nullptr, &error);
      ASSERT_NO_GERROR (error);
      g_autoptr (HtTensor) weight = wave (layout.dims, 0.7f);
      std::vector<float> w = values (weight), x = values (in["x"]), dy = values (seeds["y"]);
      std::vector<float> dw = values (ht_gradient_result_get_gradient (result, "w"));
      for (gsize i = 0; i < w.size (); i++)
        {
          gsize channel = layout.axis < 0 ? 0 : along (layout.dims, i, layout.axis);
          gsize grid = channel * n_blocks + along (layout.dims, i, layout.block_axis) / layout.block_size;
          float scale = (float)scales[grid], t = w[i] / scale, code = std::nearbyint (t), g = x[i] * dy[i];
          bool inside = code >= -7 && code <= 8;
          ASSERT_EQ (dw[i], inside ? g : 0.0f) << i;
          by_scale[grid] += g * (inside ? code - t : code > 8 ? 8 : -7);
          by_offset[grid] += inside ? 0 : g * scale;
        }
      std::vector<float> scale = values (ht_gradient_result_get_range_gradient (result, "w", HT_RANGE_PART_SCALE));
      std::vector<float> offset = values (ht_gradient_result_get_range_gradient (result, "w", HT_RANGE_PART_OFFSET));
      ASSERT_EQ (scale.size (), by_scale.size ());
      for (gsize i = 0; i < by_scale.size (); i++)
        {
          EXPECT_NEAR (scale[i], by_scale[i], 1e-5 * (1 + std::fabs (by_scale[i]))) << i;
          EXPECT_NEAR (offset[i], by_offset[i], 1e-5 * (1 + std::fabs (by_offset[i]))) << i;
        }
    }
}

// As many grids, but sums of more pieces: what was planned for the first encoding has no room for them.
TEST (GradientGrids, BlocksOfAnotherSizeArePlannedAnew)
{
  const std::vector<gint64> dims = { 120, 40 };
  const char *const names[] = { "y", nullptr };
  std::vector<double> scales (80, 0.3);
  std::vector<gint64> offsets (80, -7);
  guint64 peaks[2] = { 0, 0 };
  g_autoptr (GError) error = nullptr;
  Table in, seeds;
  in.add ("x", wave (dims, 1.3f));
  seeds.add ("y", wave (dims, 2.1f));
  auto encode = [&] (HtGradient *gradient, gsize block_size) {
    g_autoptr (HtEncoding) encoding = ht_encoding_new_blocks (4, FALSE, FALSE, 1, 40, 0, block_size, scales.data (),
                                                              offsets.data (), scales.size (), &error);
    ASSERT_NO_GERROR (error);
    ht_gradient_set_encoding (gradient, "y", encoding);
  };
  std::vector<float> by_scale[2];
  for (bool change : { false, true })
    {
      Builder graph;
      g_autoptr (HtGradient) gradient = product (graph, dims);
      ht_gradient_set_ranges (gradient, names);
      for (gsize block_size : change ? std::vector<gsize>{ 60, 119 } : std::vector<gsize>{ 119 })
        {
          encode (gradient, block_size);
          ASSERT_TRUE (ht_gradient_measure (gradient, in, names, names, &peaks[change], nullptr, &error));
          g_autoptr (HtGradientResult) result = ht_gradient_run (gradient, in, seeds, names, nullptr, &error);
          ASSERT_NO_GERROR (error);
          by_scale[change] = values (ht_gradient_result_get_range_gradient (result, "y", HT_RANGE_PART_SCALE));
        }
    }
  EXPECT_EQ (peaks[true], peaks[false]);
  EXPECT_EQ (by_scale[true], by_scale[false]);
}

TEST (GradientGrids, FloatingPointNumbersPassAllButWhatSaturates)
{
  for (HtNumberFormat format : { HT_NUMBER_FORMAT_FLOAT16, HT_NUMBER_FORMAT_BFLOAT16, HT_NUMBER_FORMAT_FLOAT8E4M3FN })
    {
      g_autoptr (GError) error = nullptr;
      const double scale = 2.0 / 448;
      g_autoptr (HtEncoding) encoding = ht_encoding_new_float (format, -1, 1, -1, 0, &scale, 1, &error);
      ASSERT_NO_GERROR (error);
      Builder graph;
      g_autoptr (HtGradient) gradient = product (graph, { 4, 9 });
      ht_gradient_set_encoding (gradient, "w", encoding);
      Table in, seeds;
      in.add ("x", wave ({ 4, 9 }, 1.3f));
      seeds.add ("y", wave ({ 4, 9 }, 2.1f));
      g_autoptr (HtGradientResult) result = ht_gradient_run (gradient, in, seeds, nullptr, nullptr, &error);
      ASSERT_NO_GERROR (error);
      g_autoptr (HtTensor) weight = wave ({ 4, 9 }, 0.7f);
      std::vector<float> w = values (weight), x = values (in["x"]), dy = values (seeds["y"]);
      std::vector<float> dw = values (ht_gradient_result_get_gradient (result, "w"));
      gsize n_saturated = 0;
      for (gsize i = 0; i < w.size (); i++)
        {
          bool saturated = format == HT_NUMBER_FORMAT_FLOAT8E4M3FN && std::fabs (w[i]) > 2;
          n_saturated += saturated;
          ASSERT_EQ (dw[i], saturated ? 0.0f : x[i] * dy[i]) << i;
        }
      EXPECT_EQ (n_saturated > 0, format == HT_NUMBER_FORMAT_FLOAT8E4M3FN);
    }
}

TEST (GradientGrids, RangesThatCannotBeLearntAreRefused)
{
  g_autoptr (GError) error = nullptr;
  const double gamma = 0.1;
  const guint ones[] = { 3, 16, 1 };
  g_autoptr (HtEncoding) half = ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT16, -1, 1, -1, 0, nullptr, 0, &error);
  g_autoptr (HtEncoding) lpbq = ht_encoding_new_lpbq (4, 4, -1, 1, 3, &gamma, 1, ones, 3, &error);
  ASSERT_NO_GERROR (error);
  for (HtEncoding *encoding : { half, lpbq })
    {
      Builder graph;
      g_autoptr (HtGradient) gradient = product (graph, { 4, 9 });
      const char *const names[] = { "w", nullptr };
      ht_gradient_set_encoding (gradient, "w", encoding);
      ht_gradient_set_ranges (gradient, names);
      Table in, seeds;
      in.add ("x", wave ({ 4, 9 }, 1.3f));
      seeds.add ("y", wave ({ 4, 9 }, 2.1f));
      g_autoptr (HtGradientResult) result = ht_gradient_run (gradient, in, seeds, nullptr, nullptr, &error);
      EXPECT_EQ (result, nullptr);
      EXPECT_TRUE (error && strstr (error->message, encoding == half ? "floating-point" : "block scales"))
          << (error ? error->message : "no error");
      g_clear_error (&error);
    }
}
