// SPDX-License-Identifier: MIT
#include "blocked-support.h"

extern "C"
{
#include "kernels/blocked-backward.h"
}

namespace
{

enum class Kind
{
  DENSE,
  GROUPS,
  DEPTHWISE,
  PLAIN,
};

HtConvGeometry
random_geometry (std::mt19937 &engine, Kind kind)
{
  auto pick = [&engine] (gsize low, gsize high) { return std::uniform_int_distribution<gsize> (low, high) (engine); };
  HtConvGeometry g = {};
  gsize axes = pick (0, 3) == 0 ? pick (1, 3) : 2, block = ht_isa_get_block ();

  g.batch = pick (1, 3);
  g.groups = kind == Kind::DEPTHWISE ? pick (2, 40) : kind == Kind::GROUPS ? pick (2, 3) : 1;
  g.in_channels = kind == Kind::PLAIN ? pick (1, 4) : pick (1, 70);
  g.out_channels = pick (1, 120);
  if (kind == Kind::DEPTHWISE)
    g.in_channels = g.out_channels = g.groups;
  if (kind == Kind::GROUPS)
    {
      g.in_channels = g.groups * block * pick (1, 2);
      g.out_channels = g.groups * block * pick (1, 3);
    }
  gsize longest = axes == 3 ? 4 : pick (0, 4) == 0 ? 40 : 9;
  gboolean pointwise = pick (0, 4) == 0;
  for (gsize axis = 0; axis < 3; axis++)
    {
      gboolean used = axis + axes >= 3;
      g.kernel[axis] = used && !pointwise ? pick (1, pick (0, 3) == 0 ? 7 : 3) : 1;
      g.stride[axis] = used ? pick (1, pick (0, 1) == 0 ? 3 : 1) : 1;
      g.dilation[axis] = used && pick (0, 3) == 0 ? 2 : 1;
      gsize extent = (g.kernel[axis] - 1) * g.dilation[axis] + 1, end = 0;
      if (used && !pointwise)
        {
          g.pad[axis] = (gint64)pick (0, extent - 1);
          end = pick (0, extent - 1);
        }
      gsize padded = extent + (used ? pick (0, longest) : 0);
      if (padded <= (gsize)g.pad[axis] + end)
        padded = (gsize)g.pad[axis] + end + 1;
      g.in[axis] = padded - (gsize)g.pad[axis] - end;
      g.out[axis] = (padded - extent) / g.stride[axis] + 1;
    }
  return g;
}

// Calls visit (image, input channel, input position, output channel, output position, index of the weight).
template <typename Visit>
void
walk (const HtConvGeometry &g, Visit visit)
{
  gsize in_group = g.in_channels / g.groups, out_group = g.out_channels / g.groups, taps = ht_conv_volume (g.kernel);
  for (gsize y = 0; y < ht_conv_volume (g.out); y++)
    for (gsize tap = 0; tap < taps; tap++)
      {
        const gsize out[3] = { y / g.out[2] / g.out[1], y / g.out[2] % g.out[1], y % g.out[2] };
        const gsize k[3] = { tap / g.kernel[2] / g.kernel[1], tap / g.kernel[2] % g.kernel[1], tap % g.kernel[2] };
        gint64 x = 0;
        gboolean inside = TRUE;
        for (int axis = 0; axis < 3; axis++)
          {
            gint64 at = (gint64)(out[axis] * g.stride[axis] + k[axis] * g.dilation[axis]) - g.pad[axis];
            inside = inside && at >= 0 && at < (gint64)g.in[axis];
            x = x * (gint64)g.in[axis] + at;
          }
        for (gsize b = 0; inside && b < g.batch; b++)
          for (gsize o = 0; o < g.out_channels; o++)
            for (gsize i = 0; i < in_group; i++)
              visit (b, o / out_group * in_group + i, (gsize)x, o, y, (o * in_group + i) * taps + tap);
      }
}

struct Case
{
  Case (const HtConvGeometry &geometry, gboolean plain, unsigned seed)
      : g (geometry), plain_input (plain), in (ht_conv_volume (g.in)), out (ht_conv_volume (g.out)),
        x (random_floats (g.batch * g.in_channels * in, seed)),
        dy (random_floats (g.batch * g.out_channels * out, seed + 1)),
        w (random_floats (g.out_channels * (g.in_channels / g.groups) * ht_conv_volume (g.kernel), seed + 2)),
        blocked_x (to_blocked (g.batch, g.in_channels, in, x)),
        blocked_dy (to_blocked (g.batch, g.out_channels, out, dy))
  {
  }
  HtConvGeometry g;
  gboolean plain_input;
  gsize in, out;
  std::vector<float> x, dy, w;
  Aligned blocked_x, blocked_dy;

  void run_weights (float *dw) const
  {
    Aligned workspace (ht_blocked_conv_weight_backward_workspace (&g, plain_input) / sizeof (float) + 1);
    ht_blocked_conv_weight_backward (&g, plain_input, plain_input ? x.data () : blocked_x.data (), blocked_dy.data (),
                                     dw, workspace.data ());
    EXPECT_TRUE (std::isnan (workspace.data ()[workspace.n - 1]));
  }
  void run_data (float *dx) const
  {
    guint n_slices = ht_thread_pool_get_size ();
    Aligned workspace (ht_blocked_conv_data_backward_workspace (&g, plain_input, n_slices) / sizeof (float) + 1);
    ht_blocked_conv_data_backward (&g, plain_input, blocked_dy.data (), w.data (), dx, workspace.data (), n_slices);
    EXPECT_TRUE (std::isnan (workspace.data ()[workspace.n - 1]));
  }
};

void
check_weights (const HtConvGeometry &g, gboolean plain_input, unsigned seed)
{
  Case c (g, plain_input, seed);
  std::vector<double> expected (c.w.size (), 0.0);
  walk (g, [&] (gsize b, gsize i, gsize x, gsize o, gsize y, gsize w) {
    expected[w] += (double)c.x[(b * g.in_channels + i) * c.in + x] * c.dy[(b * g.out_channels + o) * c.out + y];
  });
  std::vector<float> dw (c.w.size (), NAN);
  c.run_weights (dw.data ());
  expect_near (dw, expected);
}

void
check_data (const HtConvGeometry &g, gboolean plain_input, unsigned seed)
{
  Case c (g, plain_input, seed);
  std::vector<double> expected (c.x.size (), 0.0);
  walk (g, [&] (gsize b, gsize i, gsize x, gsize o, gsize y, gsize w) {
    expected[(b * g.in_channels + i) * c.in + x] += (double)c.w[w] * c.dy[(b * g.out_channels + o) * c.out + y];
  });
  std::vector<float> dx (plain_input ? c.x.size () : 0);
  Aligned blocked_dx (c.blocked_x.n);
  c.run_data (plain_input ? dx.data () : blocked_dx.data ());
  expect_near (plain_input ? dx : to_plain (g.batch, g.in_channels, c.in, blocked_dx), expected);
}

TEST (BlockedConvBackward, DataOfRandomGeometries)
{
  std::mt19937 engine (12);
  for (int round = 0; round < 60; round++)
    for (Kind kind : { Kind::DENSE, Kind::GROUPS, Kind::DEPTHWISE, Kind::PLAIN })
      {
        HtConvGeometry g = random_geometry (engine, kind);
        SCOPED_TRACE (round);
        check_data (g, kind == Kind::PLAIN, (unsigned)round);
        if (HasFatalFailure ())
          return;
      }
}

TEST (BlockedConvBackward, WeightsOfRandomGeometries)
{
  std::mt19937 engine (11);
  for (int round = 0; round < 60; round++)
    for (Kind kind : { Kind::DENSE, Kind::GROUPS, Kind::DEPTHWISE, Kind::PLAIN })
      {
        HtConvGeometry g = random_geometry (engine, kind);
        SCOPED_TRACE (round);
        ASSERT_TRUE (ht_blocked_conv_backward_supports (&g, kind == Kind::PLAIN));
        check_weights (g, kind == Kind::PLAIN, (unsigned)round);
        if (HasFatalFailure ())
          return;
      }
}

TEST (BlockedConvBackward, WeightsFromPositionsInManyParts)
{
  check_weights ({ 5, 1, 20, 40, { 1, 40, 41 }, { 1, 40, 41 }, { 1, 3, 3 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 1, 1 } },
                 FALSE, 1);
  check_weights ({ 4, 1, 3, 70, { 1, 61, 61 }, { 1, 31, 31 }, { 1, 7, 7 }, { 1, 2, 2 }, { 1, 1, 1 }, { 0, 3, 3 } },
                 TRUE, 2);
  check_weights ({ 4, 33, 33, 33, { 1, 61, 61 }, { 1, 31, 31 }, { 1, 3, 3 }, { 1, 2, 2 }, { 1, 1, 1 }, { 0, 1, 1 } },
                 FALSE, 3);
}

TEST (BlockedConvBackward, ThreadCountDoesNotShow)
{
  Case dense ({ 3, 1, 40, 70, { 1, 20, 20 }, { 1, 20, 20 }, { 1, 3, 3 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 1, 1 } }, FALSE,
              1);
  Case plain ({ 3, 1, 3, 40, { 1, 60, 60 }, { 1, 30, 30 }, { 1, 7, 7 }, { 1, 2, 2 }, { 1, 1, 1 }, { 0, 3, 3 } }, TRUE,
              1);
  Case depthwise ({ 3, 40, 40, 40, { 1, 30, 30 }, { 1, 30, 30 }, { 1, 3, 3 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 1, 1 } },
                  FALSE, 1);
  for (const Case *c : { &dense, &plain, &depthwise })
    expect_same_at_any_thread_count (c->w.size (), [c] (float *dw) { c->run_weights (dw); });
  for (const Case *c : { &dense, &plain, &depthwise })
    expect_same_at_any_thread_count (c->plain_input ? c->x.size () : c->blocked_x.n,
                                     [c] (float *dx) { c->run_data (dx); });
}

} // namespace
