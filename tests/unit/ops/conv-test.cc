// SPDX-License-Identifier: MIT
// Convolutions against sums in double precision that follow the definition.
#include "one-node.h"

using support::Array;
using support::OneNode;

namespace
{

struct Shape
{
  int axes;
  gint64 batch, groups, in_per_group, out_per_group;
  std::vector<gint64> in, kernel, stride, dilation, begin, end;
};

std::string
describe (const Shape &s)
{
  std::string text = "batch " + std::to_string (s.batch) + " groups " + std::to_string (s.groups) + " channels "
                     + std::to_string (s.in_per_group) + "->" + std::to_string (s.out_per_group);
  for (int i = 0; i < s.axes; i++)
    text += " axis " + std::to_string (s.in[i]) + " k" + std::to_string (s.kernel[i]) + " s"
            + std::to_string (s.stride[i]) + " d" + std::to_string (s.dilation[i]) + " p" + std::to_string (s.begin[i])
            + "," + std::to_string (s.end[i]);
  return text;
}

std::vector<gint64>
joined (const std::vector<gint64> &a, const std::vector<gint64> &b)
{
  std::vector<gint64> all = a;
  all.insert (all.end (), b.begin (), b.end ());
  return all;
}

// Calls visit (output position, kernel position, input position or -1, flat) for every pair on all axes.
template <typename Visit>
void
for_pairs (const std::vector<gint64> &from, const std::vector<gint64> &kernel, const std::vector<gint64> &to,
           const Shape &s, Visit visit)
{
  gint64 n_from = 1, n_kernel = 1;
  for (size_t i = 0; i < from.size (); i++)
    {
      n_from *= from[i];
      n_kernel *= kernel[i];
    }
  for (gint64 p = 0; p < n_from; p++)
    for (gint64 k = 0; k < n_kernel; k++)
      {
        gint64 flat = 0, rest_p = p, rest_k = k, weight = 1;
        bool inside = true;
        for (size_t j = from.size (); j-- > 0;)
          {
            gint64 position = rest_p % from[j] * s.stride[j] + rest_k % kernel[j] * s.dilation[j] - s.begin[j];
            inside = inside && position >= 0 && position < to[j];
            flat += position * weight;
            weight *= to[j];
            rest_p /= from[j];
            rest_k /= kernel[j];
          }
        if (inside)
          visit (p, k, flat);
      }
}

void
check_conv (const Shape &s, std::mt19937 &engine, bool with_bias)
{
  std::vector<gint64> out;
  gint64 n_in = 1, n_out = 1, n_kernel = 1;
  for (int i = 0; i < s.axes; i++)
    {
      out.push_back ((s.in[i] + s.begin[i] + s.end[i] - (s.kernel[i] - 1) * s.dilation[i] - 1) / s.stride[i] + 1);
      n_in *= s.in[i];
      n_out *= out[i];
      n_kernel *= s.kernel[i];
    }
  gint64 channels = s.groups * s.in_per_group, filters = s.groups * s.out_per_group;
  Array x = support::random_array (joined ({ s.batch, channels }, s.in), engine);
  Array w = support::random_array (joined ({ filters, s.in_per_group }, s.kernel), engine);
  Array b = support::random_array ({ filters }, engine);
  std::vector<double> expected (s.batch * filters * n_out), magnitude (expected.size ());
  for (gint64 n = 0; n < s.batch; n++)
    for (gint64 o = 0; o < filters; o++)
      {
        double *sums = &expected[(n * filters + o) * n_out], *sizes = &magnitude[(n * filters + o) * n_out];
        for (gint64 p = 0; p < n_out; p++)
          {
            sums[p] = with_bias ? b.values[o] : 0;
            sizes[p] = 1;
          }
        for (gint64 c = 0; c < s.in_per_group; c++)
          {
            const float *plane = &x.values[(n * channels + o / s.out_per_group * s.in_per_group + c) * n_in];
            const float *weights = &w.values[(o * s.in_per_group + c) * n_kernel];
            for_pairs (out, s.kernel, s.in, s, [&] (gint64 p, gint64 k, gint64 flat) {
              double term = static_cast<double> (plane[flat]) * weights[k];
              sums[p] += term;
              sizes[p] += std::abs (term);
            });
          }
      }
  OneNode node ("Conv", 11);
  node.input (x).input (w);
  if (with_bias)
    node.input (b);
  node.number ("group", s.groups).ints ("strides", s.stride).ints ("dilations", s.dilation);
  node.ints ("pads", joined (s.begin, s.end));
  GError *error = nullptr;
  std::vector<Array> found = node.run (&error);
  ASSERT_NO_GERROR (error);
  support::expect_close (found[0], joined ({ s.batch, filters }, out), expected, magnitude, 1e-6, describe (s));
}

gint64
draw (std::mt19937 &engine, gint64 low, gint64 high)
{
  return std::uniform_int_distribution<gint64> (low, high) (engine);
}

Shape
random_shape (std::mt19937 &engine, int axes, gint64 groups, gint64 in_per_group, gint64 out_per_group)
{
  Shape s{ axes, draw (engine, 1, 4), groups, in_per_group, out_per_group, {}, {}, {}, {}, {}, {} };
  for (int i = 0; i < axes; i++)
    {
      s.kernel.push_back (draw (engine, 1, 4));
      s.stride.push_back (draw (engine, 1, 3));
      s.dilation.push_back (draw (engine, 1, 3));
      s.begin.push_back (draw (engine, 0, 3));
      s.end.push_back (draw (engine, 0, 3));
      gint64 extent = (s.kernel[i] - 1) * s.dilation[i] + 1;
      s.in.push_back (std::max<gint64> (1, extent - s.begin[i] - s.end[i]) + draw (engine, 0, axes == 3 ? 4 : 17));
    }
  return s;
}

class ConvAxes : public testing::TestWithParam<int>
{
};

TEST_P (ConvAxes, GeneralAndGrouped)
{
  std::mt19937 engine (GetParam ());
  for (int i = 0; i < 60; i++)
    check_conv (random_shape (engine, GetParam (), draw (engine, 1, 3), draw (engine, 1, 5), draw (engine, 1, 6)),
                engine, i % 2);
}

TEST_P (ConvAxes, Depthwise)
{
  std::mt19937 engine (100 + GetParam ());
  for (int i = 0; i < 60; i++)
    check_conv (random_shape (engine, GetParam (), draw (engine, 2, 9), 1, draw (engine, 1, 3)), engine, i % 2);
}

INSTANTIATE_TEST_SUITE_P (Conv, ConvAxes, testing::Values (1, 2, 3));

// Sizes at which the kernel cuts tiles, merges images, or splits channels.
TEST (Conv, TileBoundaries)
{
  std::mt19937 engine (5);
  auto square = [&] (gint64 batch, gint64 in, gint64 out, gint64 size, gint64 kernel, gint64 stride) {
    gint64 pad = kernel / 2;
    check_conv ({ 2,
                  batch,
                  1,
                  in,
                  out,
                  { size, size },
                  { kernel, kernel },
                  { stride, stride },
                  { 1, 1 },
                  { pad, pad },
                  { pad, pad } },
                engine, true);
  };
  square (1, 3, 16, 67, 3, 2);
  square (2, 70, 40, 33, 3, 1);
  square (33, 40, 130, 3, 1, 1);
  square (33, 12, 130, 3, 3, 1);
  square (3, 300, 20, 7, 3, 1);
  square (1, 64, 200, 40, 1, 1);
  square (5, 16, 8, 14, 1, 2);
  square (70, 8, 8, 1, 1, 1);
}

TEST (Conv, NegativePadsCrop)
{
  std::mt19937 engine (6);
  check_conv ({ 2, 2, 1, 3, 4, { 9, 8 }, { 3, 2 }, { 1, 2 }, { 1, 1 }, { -1, -2 }, { -2, 1 } }, engine, true);
  check_conv ({ 2, 2, 3, 1, 1, { 9, 8 }, { 3, 2 }, { 2, 1 }, { 1, 1 }, { -1, -2 }, { -2, 1 } }, engine, true);
}

TEST (Conv, AutoPadFollowsTheSpecification)
{
  // ones with a kernel of ones count the positions inside: [2 3 3 ... 2] with one pad on each side.
  Array x{ { 1, 1, 5 }, std::vector<float> (5, 1.0f) }, even{ { 1, 1, 2 }, { 1, 1 } };
  GError *error = nullptr;
  auto upper = OneNode ("Conv", 11).input (x).input (even).text ("auto_pad", "SAME_UPPER").run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (upper[0].values, (std::vector<float>{ 2, 2, 2, 2, 1 }));
  auto lower = OneNode ("Conv", 11).input (x).input (even).text ("auto_pad", "SAME_LOWER").run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (lower[0].values, (std::vector<float>{ 1, 2, 2, 2, 2 }));
  auto valid
      = OneNode ("Conv", 11).input (x).input (even).text ("auto_pad", "VALID").ints ("strides", { 2 }).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (valid[0].values, (std::vector<float>{ 2, 2 }));
}

TEST (Conv, MistakesAreNamed)
{
  std::mt19937 engine (1);
  Array x = support::random_array ({ 1, 4, 6, 6 }, engine), w = support::random_array ({ 8, 4, 3, 3 }, engine);
  Array thin = support::random_array ({ 8, 3, 3, 3 }, engine), wide = support::random_array ({ 8, 4, 9, 3 }, engine);
  Array bias = support::random_array ({ 7 }, engine), flat = support::random_array ({ 8, 4, 3 }, engine);
  GError *error = nullptr;
  OneNode ("Conv", 11).input (x).input (thin).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "4 channels");
  OneNode ("Conv", 11).input (x).input (wide).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "kernel spans 9");
  OneNode ("Conv", 11).input (x).input (w).input (bias).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "8 elements");
  OneNode ("Conv", 11).input (x).input (flat).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "dimensions");
  OneNode ("Conv", 11).input (x).input (w).ints ("strides", { 1, 0 }).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "strides");
  OneNode ("Conv", 11).input (x).input (w).ints ("pads", { 1, 1 }).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "pads");
  OneNode ("Conv", 11).input (x).input (w).number ("group", 0).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "group");
  OneNode ("Conv", 11).input (x).input (w).text ("auto_pad", "SAME").run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "auto_pad");
}

// Scratch memory must not grow with strides and paddings that only a broken file has.
TEST (Conv, AbsurdAttributesFailCleanly)
{
  std::mt19937 engine (1);
  Array x = support::random_array ({ 1, 4, 6, 6 }, engine), w = support::random_array ({ 4, 1, 1, 1 }, engine);
  const gint64 large = G_MAXINT32;
  GError *error = nullptr;
  auto found
      = OneNode ("Conv", 11).input (x).input (w).number ("group", 4).ints ("strides", { large, large }).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (found[0].dims, (std::vector<gint64>{ 1, 4, 1, 1 }));
  OneNode ("Conv", 11)
      .input (x)
      .input (w)
      .number ("group", 4)
      .ints ("pads", { large, large, large, large })
      .run (&error);
  ASSERT_NE (error, nullptr);
  g_clear_error (&error);
  OneNode ("Conv", 11)
      .input (x)
      .input (w)
      .number ("group", 4)
      .ints ("pads", { large, large, large, large })
      .ints ("strides", { large, large })
      .run (&error);
  ASSERT_NE (error, nullptr);
  g_clear_error (&error);
}

void
check_transposed (const Shape &s, const std::vector<gint64> &output_padding, std::mt19937 &engine, bool with_bias)
{
  std::vector<gint64> out;
  gint64 n_in = 1, n_out = 1, n_kernel = 1;
  for (int i = 0; i < s.axes; i++)
    {
      out.push_back (s.stride[i] * (s.in[i] - 1) + output_padding[i] + (s.kernel[i] - 1) * s.dilation[i] + 1
                     - s.begin[i] - s.end[i]);
      if (out[i] <= 0)
        return;
      n_in *= s.in[i];
      n_out *= out[i];
      n_kernel *= s.kernel[i];
    }
  gint64 channels = s.groups * s.in_per_group, filters = s.groups * s.out_per_group;
  Array x = support::random_array (joined ({ s.batch, channels }, s.in), engine);
  Array w = support::random_array (joined ({ channels, s.out_per_group }, s.kernel), engine);
  Array b = support::random_array ({ filters }, engine);
  std::vector<double> expected (s.batch * filters * n_out), magnitude (expected.size ());
  for (gint64 n = 0; n < s.batch; n++)
    for (gint64 o = 0; o < filters; o++)
      {
        double *sums = &expected[(n * filters + o) * n_out], *sizes = &magnitude[(n * filters + o) * n_out];
        for (gint64 p = 0; p < n_out; p++)
          {
            sums[p] = with_bias ? b.values[o] : 0;
            sizes[p] = 1;
          }
        for (gint64 c = 0; c < s.in_per_group; c++)
          {
            gint64 channel = o / s.out_per_group * s.in_per_group + c;
            const float *plane = &x.values[(n * channels + channel) * n_in];
            const float *weights = &w.values[(channel * s.out_per_group + o % s.out_per_group) * n_kernel];
            for_pairs (s.in, s.kernel, out, s, [&] (gint64 p, gint64 k, gint64 flat) {
              double term = static_cast<double> (plane[p]) * weights[k];
              sums[flat] += term;
              sizes[flat] += std::abs (term);
            });
          }
      }
  OneNode node ("ConvTranspose", 11);
  node.input (x).input (w);
  if (with_bias)
    node.input (b);
  node.number ("group", s.groups).ints ("strides", s.stride).ints ("dilations", s.dilation);
  node.ints ("pads", joined (s.begin, s.end)).ints ("output_padding", output_padding);
  GError *error = nullptr;
  std::vector<Array> found = node.run (&error);
  ASSERT_NO_GERROR (error);
  support::expect_close (found[0], joined ({ s.batch, filters }, out), expected, magnitude, 1e-6, describe (s));
}

TEST_P (ConvAxes, Transposed)
{
  std::mt19937 engine (200 + GetParam ());
  for (int i = 0; i < 60; i++)
    {
      Shape s = random_shape (engine, GetParam (), draw (engine, 1, 3), draw (engine, 1, 5), draw (engine, 1, 4));
      std::vector<gint64> output_padding;
      for (int axis = 0; axis < s.axes; axis++)
        output_padding.push_back (draw (engine, 0, s.stride[axis] - 1));
      check_transposed (s, output_padding, engine, i % 2);
    }
}

TEST (ConvTranspose, LargeEnoughToBeCut)
{
  std::mt19937 engine (9);
  check_transposed ({ 2, 2, 1, 5, 70, { 40, 40 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, { 1, 1 } }, { 1, 1 }, engine,
                    true);
}

}
