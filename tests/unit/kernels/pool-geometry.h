// SPDX-License-Identifier: MIT
// Random pooling geometries, and a walk over their windows that knows nothing of blocks.
#pragma once

#include <random>

extern "C"
{
#include "kernels/pool.h"
}

inline HtPoolGeometry
random_pool (std::mt19937 &engine)
{
  auto pick = [&engine] (gsize low, gsize high) { return std::uniform_int_distribution<gsize> (low, high) (engine); };
  HtPoolGeometry pool = {};
  HtConvGeometry &g = pool.geometry;
  gsize axes = pick (1, 3);

  g.batch = pick (1, 3);
  g.in_channels = g.out_channels = pick (1, 40);
  for (gsize axis = 0; axis < 3; axis++)
    {
      gboolean used = axis + axes >= 3;
      g.kernel[axis] = used ? pick (1, 3) : 1;
      g.stride[axis] = used ? pick (1, 3) : 1;
      g.dilation[axis] = used ? pick (1, 2) : 1;
      gsize extent = (g.kernel[axis] - 1) * g.dilation[axis] + 1;
      g.pad[axis] = used ? (gint64)pick (0, g.kernel[axis] - 1) : 0;
      pool.pad_end[axis] = used ? pick (0, g.kernel[axis] - 1) : 0;
      g.in[axis] = used ? extent + pick (0, 9) : 1;
      gsize padded = g.in[axis] + (gsize)g.pad[axis] + pool.pad_end[axis];
      // As in ceil mode, where the last window still begins inside.
      g.out[axis] = (padded - extent + g.stride[axis] - 1) / g.stride[axis] + 1;
      while ((g.out[axis] - 1) * g.stride[axis] >= g.in[axis] + (gsize)g.pad[axis])
        g.out[axis]--;
    }
  pool.count_padding = pick (0, 1) == 1;
  return pool;
}

// Calls visit (output position, input position or -1 in the padding that counts) for one plane, in row-major order.
template <typename Visit>
void
walk_windows (const HtPoolGeometry &pool, Visit visit)
{
  const HtConvGeometry &g = pool.geometry;
  gsize output = 0;
  for (gsize a = 0; a < g.out[0]; a++)
    for (gsize b = 0; b < g.out[1]; b++)
      for (gsize c = 0; c < g.out[2]; c++, output++)
        for (gsize i = 0; i < g.kernel[0]; i++)
          for (gsize j = 0; j < g.kernel[1]; j++)
            for (gsize k = 0; k < g.kernel[2]; k++)
              {
                const gsize out[3] = { a, b, c }, kernel[3] = { i, j, k };
                gint64 position = 0;
                gboolean inside = TRUE, counts = TRUE;
                for (int axis = 0; axis < 3; axis++)
                  {
                    gint64 at = (gint64)(out[axis] * g.stride[axis] + kernel[axis] * g.dilation[axis]) - g.pad[axis];
                    inside = inside && at >= 0 && at < (gint64)g.in[axis];
                    counts = counts && at < (gint64)(g.in[axis] + pool.pad_end[axis]);
                    position = position * (gint64)g.in[axis] + at;
                  }
                if (inside)
                  visit (output, position);
                else if (counts)
                  visit (output, -1);
              }
}
