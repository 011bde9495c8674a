// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

extern "C"
{
#include "kernels/blocked.h"
#include "kernels/fake-quantize.h"
#include "kernels/isa.h"
}

namespace
{

struct Aligned
{
  explicit Aligned (gsize n) : data ((float *)aligned_alloc (64, (n * sizeof (float) + 63) / 64 * 64)) {}
  ~Aligned () { free (data); }
  float *data;
};

void
check (gsize batch, gsize channels, gsize positions, const HtEpilogue *e)
{
  gsize block = ht_isa_get_block (), n = batch * channels * positions;
  std::vector<float> x (n), back (n);
  Aligned y (ht_blocked_floats (batch, channels, positions, block));
  for (gsize i = 0; i < n; i++)
    x[i] = (float)((int)(i * 7919 % 2001) - 1000) * 0.013f;
  ht_blocked_from_plain (batch, channels, positions, x.data (), y.data, e);
  std::vector<float> expected = x;
  if (e)
    ht_kernel_fake_quantize (x.data (), expected.data (), n, e->grid->scale, e->grid->offset, e->grid->n_steps);
  for (gsize b = 0; b < batch; b++)
    for (gsize c = 0; c < channels; c++)
      for (gsize p = 0; p < positions; p++)
        {
          gsize blocks = (channels + block - 1) / block;
          float found = y.data[((b * blocks + c / block) * positions + p) * block + c % block];
          ASSERT_EQ (found, expected[(b * channels + c) * positions + p]) << b << " " << c << " " << p;
        }
  ht_blocked_to_plain (batch, channels, positions, y.data, back.data (), nullptr);
  EXPECT_EQ (back, expected);
}

TEST (BlockedReorder, ThereAndBack)
{
  check (1, 1, 1, nullptr);
  check (2, 16, 9, nullptr);
  check (3, 3, 50, nullptr);
  check (2, 37, 7, nullptr);
  check (1, 130, 33, nullptr);
  check (2, 40, 1037, nullptr);
  check (1, 3, 2048, nullptr);
}

TEST (BlockedReorder, QuantizesLikeTheKernel)
{
  HtGrid grids[]
      = { { 0.05f, -128.0f, 255.0f, 0.0f }, { 0.1f, 0.0f, 15.0f, 0.0f }, { 0.0003f, -20000.0f, 65535.0f, 0.0f } };
  for (const HtGrid &grid : grids)
    {
      HtEpilogue e = {};
      e.grid = &grid;
      check (2, 37, 7, &e);
      check (1, 16, 64, &e);
    }
}

} // namespace
