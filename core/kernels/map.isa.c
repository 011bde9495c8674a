/* SPDX-License-Identifier: MIT */
#include "kernels/map.h"

#include "kernels/epilogue.h"
#include "kernels/exp.h"

#include <string.h>

/* The last elements go through a register filled up with zeros, so that every element takes the same way wherever it
 * stands. */
#define MAP(name, expression)                                                                                          \
  static void map_##name (gsize n, const float *in, float *out)                                                        \
  {                                                                                                                    \
    gsize i = 0;                                                                                                       \
    for (; i + HT_ISA_BLOCK <= n; i += HT_ISA_BLOCK)                                                                   \
      {                                                                                                                \
        HtBlock x = *(const HtBlockUnaligned *)(in + i);                                                               \
        *(HtBlockUnaligned *)(out + i) = (expression);                                                                 \
      }                                                                                                                \
    if (i < n)                                                                                                         \
      {                                                                                                                \
        HtBlock x = { 0.0f };                                                                                          \
        memcpy (&x, in + i, (n - i) * sizeof (float));                                                                 \
        x = (expression);                                                                                              \
        memcpy (out + i, &x, (n - i) * sizeof (float));                                                                \
      }                                                                                                                \
  }

static const HtEpilogue gelu = { .activation = HT_ACTIVATION_GELU };
static const HtEpilogue gelu_tanh = { .activation = HT_ACTIVATION_GELU_TANH };

MAP (erf, ht_block_erf (x))
MAP (tanh, ht_block_select (x == x, ht_block_tanh (x), x))
MAP (sigmoid, ht_block_select (x == x, ht_block_sigmoid (x), x))
MAP (gelu, ht_block_activate (x, &gelu))
MAP (gelu_tanh, ht_block_activate (x, &gelu_tanh))

/* The exponential of the epilogues does not reach the subnormal numbers. */
static void
map_exp (gsize n, const float *x, float *y)
{
  for (gsize i = 0; i < n; i++)
    y[i] = ht_exp (x[i]);
}

static void
map_swish (gsize n, const float *x, float *y, float alpha)
{
  gsize i = 0;

  for (; i + HT_ISA_BLOCK <= n; i += HT_ISA_BLOCK)
    {
      HtBlock v = *(const HtBlockUnaligned *)(x + i);
      *(HtBlockUnaligned *)(y + i) = v * ht_block_sigmoid (v * alpha);
    }
  if (i < n)
    {
      HtBlock v = { 0.0f };
      memcpy (&v, x + i, (n - i) * sizeof (float));
      v = v * ht_block_sigmoid (v * alpha);
      memcpy (y + i, &v, (n - i) * sizeof (float));
    }
}

const HtMapKernels HT_ISA_NAME (ht_map_kernels) = {
  .exp = map_exp,
  .erf = map_erf,
  .tanh = map_tanh,
  .sigmoid = map_sigmoid,
  .gelu = map_gelu,
  .gelu_tanh = map_gelu_tanh,
  .swish = map_swish,
};
