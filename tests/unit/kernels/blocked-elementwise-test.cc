// SPDX-License-Identifier: MIT
#include "blocked-support.h"

extern "C"
{
#include "kernels/fake-quantize.h"
}

#include <cmath>
#include <limits>
#include <random>

namespace
{

TEST (BlockedElementwise, AffineWithResidualAndActivation)
{
  for (gsize channels : { 1, 16, 37 })
    for (gsize positions : { 1, 50, 1100 })
      {
        const gsize batch = 2, n = batch * channels * positions;
        std::vector<float> x = random_floats (n, 1), r = random_floats (n, 2);
        Aligned scale = per_channel (channels, 3), shift = per_channel (channels, 4);
        Aligned blocked = to_blocked (batch, channels, positions, x);
        Aligned residual = to_blocked (batch, channels, positions, r);
        Aligned y (blocked.n);
        for (HtActivation activation : { HT_ACTIVATION_NONE, HT_ACTIVATION_CLAMP, HT_ACTIVATION_TANH })
          {
            std::vector<double> expected;
            for (gsize i = 0; i < n; i++)
              {
                gsize c = i / positions % channels;
                double v = (double)x[i] * scale.data ()[c] + shift.data ()[c] + r[i];
                if (activation == HT_ACTIVATION_CLAMP)
                  v = std::min (std::max (v, 0.0), 1.0);
                else if (activation == HT_ACTIVATION_TANH)
                  v = std::tanh (v);
                expected.push_back (v);
              }
            HtEpilogue e = {};
            e.scale = scale.data ();
            e.shift = shift.data ();
            e.residual = residual.data ();
            e.activation = activation;
            e.high = 1.0f;
            ht_blocked_affine (batch, channels, positions, blocked.data (), &e, y.data ());
            expect_near (to_plain (batch, channels, positions, y), expected);
          }
        Aligned in_place = to_blocked (batch, channels, positions, x);
        ht_blocked_affine (batch, channels, positions, in_place.data (), nullptr, in_place.data ());
        EXPECT_EQ (to_plain (batch, channels, positions, in_place), x);
      }
}

TEST (BlockedElementwise, QuantizesLikeTheKernel)
{
  const gsize batch = 2, channels = 19, positions = 77, n = batch * channels * positions;
  std::vector<float> x = random_floats (n, 1), expected (n);
  HtGrid grid = { 0.031f, -100.0f, 255.0f, 0.0f };
  HtEpilogue e = {};
  e.grid = &grid;
  Aligned y = to_blocked (batch, channels, positions, x);
  ht_blocked_affine (batch, channels, positions, y.data (), &e, y.data ());
  ht_kernel_fake_quantize (x.data (), expected.data (), n, grid.scale, grid.offset, grid.n_steps);
  EXPECT_EQ (to_plain (batch, channels, positions, y), expected);
}

// The blocked kernels do not divide. Values that lie in the middle of two codes, and the floats next to them, show
// whether what they do instead is the quotient, rounded.
TEST (BlockedElementwise, QuantizesLikeADivision)
{
  const float infinity = std::numeric_limits<float>::infinity (), nan = std::numeric_limits<float>::quiet_NaN ();
  std::mt19937 random (5);
  std::uniform_real_distribution<float> mantissa (1.0f, 2.0f);
  for (int round = 0; round < 2000; round++)
    {
      HtGrid grid = { std::ldexp (mantissa (random), (int)(random () % 222) - 120), 0.0f, 255.0f, 0.0f };
      if (round % 3 == 0)
        grid.n_steps = 4194303.0f;
      grid.offset = -std::floor (grid.n_steps * (float)(random () % 5) / 4.0f);
      std::vector<float> x = { infinity, -infinity, nan, 0.0f, -0.0f, 3e38f, -3e38f, 1e-38f };
      for (int i = 0; i < 150; i++)
        {
          float code = grid.offset + (float)(random () % (unsigned)grid.n_steps) + 0.5f * (float)(random () % 2);
          x.push_back (code * grid.scale);
          for (int k = 0; k < 3; k++)
            x.push_back (std::nextafter (x.back (), random () % 2 ? infinity : -infinity));
        }
      x.push_back (grid.scale);
      std::vector<float> expected (x.size ());
      HtEpilogue e = {};
      e.grid = &grid;
      if (round % 2)
        {
          e.activation = HT_ACTIVATION_CLAMP;
          e.low = grid.scale * (float)((int)(random () % 5) - 2);
          e.high = grid.scale * 120.0f;
        }
      for (gsize i = 0; i < x.size (); i++)
        {
          float value = x[i];
          value = e.activation && value < e.low ? e.low : value;
          expected[i] = e.activation && value > e.high ? e.high : value;
        }
      ht_kernel_fake_quantize (expected.data (), expected.data (), x.size (), grid.scale, grid.offset, grid.n_steps);
      Aligned y = to_blocked (1, 1, x.size (), x);
      ht_blocked_affine (1, 1, x.size (), y.data (), &e, y.data ());
      ASSERT_EQ (to_plain (1, 1, x.size (), y), expected) << grid.scale << " " << grid.offset << " " << e.low;
      ht_plain_affine (1, 1, x.size (), x.data (), &e, x.data ());
      ASSERT_EQ (x, expected) << grid.scale << " " << grid.offset << " " << e.low;
    }
}

// One epilogue after the other, in the cache, is what separate passes are.
TEST (BlockedElementwise, FollowsTheList)
{
  const gsize batch = 2, channels = 19, positions = 150, n = batch * channels * positions;
  std::vector<float> x = random_floats (n, 1);
  Aligned scale = per_channel (channels, 3), shift = per_channel (channels, 4);
  HtGrid grids[] = { { 0.031f, -100.0f, 255.0f, 0.0f }, { 0.07f, -30.0f, 60.0f, 0.0f }, { 0.05f, 0.0f, 255.0f, 1.0f } };
  HtEpilogue e[3] = {};
  for (int i = 0; i < 3; i++)
    {
      e[i].grid = &grids[i];
      e[i].scale = i == 1 ? nullptr : scale.data ();
      e[i].shift = i == 0 ? nullptr : shift.data ();
    }
  e[1].activation = HT_ACTIVATION_TANH;
  Aligned apart = to_blocked (batch, channels, positions, x), together = to_blocked (batch, channels, positions, x);
  std::vector<float> plain_apart = x, plain_together = x;
  for (int i = 0; i < 3; i++)
    {
      ht_blocked_affine (batch, channels, positions, apart.data (), &e[i], apart.data ());
      ht_plain_affine (batch, channels, positions, plain_apart.data (), &e[i], plain_apart.data ());
    }
  e[0].next = &e[1];
  e[1].next = &e[2];
  ht_blocked_affine (batch, channels, positions, together.data (), &e[0], together.data ());
  ht_plain_affine (batch, channels, positions, plain_together.data (), &e[0], plain_together.data ());
  EXPECT_EQ (to_plain (batch, channels, positions, together), to_plain (batch, channels, positions, apart));
  EXPECT_EQ (plain_together, plain_apart);
}

TEST (BlockedElementwise, Codes)
{
  const gsize batch = 2, channels = 19, positions = 77, n = batch * channels * positions;
  std::vector<float> codes (n), values (n);
  for (gsize i = 0; i < n; i++)
    {
      codes[i] = (float)((gint64)(i * 7919 % 256) - 128);
      values[i] = codes[i] * 0.031f;
    }
  Aligned shift = per_channel (channels, 4);
  HtGrid grid = { 0.07f, -100.0f, 255.0f, 0.0f };
  HtEpilogue e = {};
  e.shift = shift.data ();
  e.grid = &grid;
  Aligned x = to_blocked (batch, channels, positions, codes), y = to_blocked (batch, channels, positions, values);
  ht_blocked_affine_of_codes (batch, channels, positions, x.data (), 0.031f, &e, x.data ());
  ht_blocked_affine (batch, channels, positions, y.data (), &e, y.data ());
  EXPECT_EQ (to_plain (batch, channels, positions, x), to_plain (batch, channels, positions, y));
}

TEST (BlockedElementwise, Multiply)
{
  for (gsize channels : { 5, 16, 33 })
    for (gsize positions : { 1, 49, 1500 })
      {
        const gsize batch = 3, n = batch * channels * positions;
        std::vector<float> a = random_floats (n, 1), b = random_floats (n, 2), f = random_floats (batch * channels, 3);
        std::vector<double> products, scaled;
        for (gsize i = 0; i < n; i++)
          {
            products.push_back ((double)a[i] * b[i]);
            scaled.push_back (std::max (0.0, (double)a[i] * f[i / positions]));
          }
        Aligned blocked_a = to_blocked (batch, channels, positions, a);
        Aligned blocked_b = to_blocked (batch, channels, positions, b), blocked_f = to_blocked (batch, channels, 1, f);
        Aligned y (blocked_a.n);
        ht_blocked_multiply (batch, channels, positions, blocked_a.data (), blocked_b.data (), FALSE, nullptr,
                             y.data ());
        expect_near (to_plain (batch, channels, positions, y), products);
        HtEpilogue e = {};
        e.activation = HT_ACTIVATION_CLAMP;
        e.high = INFINITY;
        ht_blocked_multiply (batch, channels, positions, blocked_a.data (), blocked_f.data (), TRUE, &e, y.data ());
        expect_near (to_plain (batch, channels, positions, y), scaled);
      }
}

TEST (BlockedElementwise, ConcatenationAtAnyChannel)
{
  std::mt19937 engine (5);
  for (int round = 0; round < 60; round++)
    {
      gsize batch = 1 + engine () % 3, positions = 1 + engine () % 30, n_pieces = 1 + engine () % 5, total = 0;
      std::vector<gsize> sizes;
      for (gsize i = 0; i < n_pieces; i++)
        {
          sizes.push_back (1 + engine () % 40);
          total += sizes.back ();
        }
      std::vector<float> expected (batch * total * positions);
      Aligned y (ht_blocked_floats (batch, total, positions, ht_isa_get_block ()));
      std::vector<gsize> order (n_pieces);
      std::vector<gsize> firsts;
      for (gsize i = 0, first = 0; i < n_pieces; first += sizes[i++])
        {
          order[i] = i;
          firsts.push_back (first);
        }
      std::shuffle (order.begin (), order.end (), engine);
      for (gsize i : order)
        {
          std::vector<float> x = random_floats (batch * sizes[i] * positions, (unsigned)engine ());
          for (gsize b = 0; b < batch; b++)
            std::copy_n (x.begin () + (gssize)(b * sizes[i] * positions), sizes[i] * positions,
                         expected.begin () + (gssize)((b * total + firsts[i]) * positions));
          Aligned blocked = to_blocked (batch, sizes[i], positions, x);
          ht_blocked_copy_channels (batch, sizes[i], positions, blocked.data (), firsts[i], total, y.data ());
        }
      ASSERT_EQ (to_plain (batch, total, positions, y), expected) << round;
    }
}

TEST (BlockedElementwise, SliceAndPadChannels)
{
  std::mt19937 engine (6);
  for (int round = 0; round < 60; round++)
    {
      auto pick = [&engine] (gsize low, gsize high) { return low + engine () % (high - low + 1); };
      HtBlockedSlice slice = {};
      slice.batch = pick (1, 3);
      slice.channels = pick (1, 40);
      slice.first = pick (0, 20);
      slice.y_channels = slice.first + slice.channels + pick (0, 20);
      for (int axis = 0; axis < 3; axis++)
        {
          slice.in[axis] = axis == 0 ? pick (1, 2) : pick (1, 12);
          slice.step[axis] = pick (1, 3);
          slice.start[axis] = pick (0, slice.in[axis] - 1);
          slice.out[axis] = (slice.in[axis] - slice.start[axis] - 1) / slice.step[axis] + 1;
        }
      gsize in = ht_conv_volume (slice.in), out = ht_conv_volume (slice.out);
      std::vector<float> x = random_floats (slice.batch * slice.channels * in, (unsigned)round);
      std::vector<float> expected (slice.batch * slice.y_channels * out, 0.0f);
      for (gsize b = 0; b < slice.batch; b++)
        for (gsize c = 0; c < slice.channels; c++)
          for (gsize p = 0; p < out; p++)
            {
              gsize i = p / slice.out[2] / slice.out[1], j = p / slice.out[2] % slice.out[1], k = p % slice.out[2];
              gsize at = ((slice.start[0] + i * slice.step[0]) * slice.in[1] + slice.start[1] + j * slice.step[1])
                             * slice.in[2]
                         + slice.start[2] + k * slice.step[2];
              expected[(b * slice.y_channels + slice.first + c) * out + p] = x[(b * slice.channels + c) * in + at];
            }
      Aligned blocked = to_blocked (slice.batch, slice.channels, in, x);
      Aligned y (ht_blocked_floats (slice.batch, slice.y_channels, out, ht_isa_get_block ()));
      ht_blocked_slice (&slice, blocked.data (), y.data ());
      ASSERT_EQ (to_plain (slice.batch, slice.y_channels, out, y), expected) << round;
    }
}

TEST (BlockedElementwise, EnlargesByWholeFactors)
{
  const gsize batch = 2, channels = 21, in[2] = { 3, 5 }, factor[2] = { 2, 3 }, out = 6 * 15;
  std::vector<float> x = random_floats (batch * channels * 15, 1), expected;
  for (gsize plane = 0; plane < batch * channels; plane++)
    for (gsize h = 0; h < 6; h++)
      for (gsize w = 0; w < 15; w++)
        expected.push_back (x[plane * 15 + h / 2 * 5 + w / 3]);
  Aligned blocked = to_blocked (batch, channels, 15, x);
  Aligned y (ht_blocked_floats (batch, channels, out, ht_isa_get_block ()));
  ht_blocked_upsample_nearest (batch, channels, in, factor, blocked.data (), y.data ());
  EXPECT_EQ (to_plain (batch, channels, out, y), expected);
}

} // namespace
