/* SPDX-License-Identifier: MIT */
/* Convolutions of the blocked layout: which way each goes follows from its geometry. */
#include "kernels/blocked-depthwise.h"
#include "kernels/blocked-product.h"

#include <string.h>

static gboolean
is_depthwise (const HtConvGeometry *g)
{
  return g->groups > 1 && g->groups == g->in_channels && g->groups == g->out_channels;
}

static gboolean
is_pointwise (const HtConvGeometry *g)
{
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    if (g->kernel[axis] != 1 || g->stride[axis] != 1 || g->pad[axis] != 0 || g->in[axis] != g->out[axis])
      return FALSE;
  return TRUE;
}

static void
describe (const HtConvGeometry *g, gboolean plain_input, HtProduct *p)
{
  gsize block = ht_isa_get_block (), channels = g->in_channels / g->groups, positions = ht_conv_volume (g->in);
  gsize out_positions = ht_conv_volume (g->out);

  memset (p, 0, sizeof *p);
  p->g = *g;
  p->block = block;
  p->in_blocks = (channels + block - 1) / block;
  p->last_lanes = channels - (MAX (p->in_blocks, 1) - 1) * block;
  p->out_blocks = (g->out_channels / g->groups + block - 1) / block;
  p->n_taps = ht_conv_volume (g->kernel);
  p->y_column = p->y_last_lanes = block;
  p->y_block = out_positions * block;
  p->y_image = g->groups * p->out_blocks * p->y_block;
  p->x_column = plain_input ? 1 : block;
  p->x_block = positions * p->x_column;
  p->x_image = plain_input ? g->in_channels * positions : g->groups * p->in_blocks * p->x_block;
  p->input = plain_input ? HT_PRODUCT_PLAIN : HT_PRODUCT_WINDOW;
  if (is_pointwise (g) && !plain_input)
    {
      p->input = HT_PRODUCT_DIRECT;
      if (positions == 1)
        {
          /* Images are columns. */
          p->input = HT_PRODUCT_COLUMNS;
          p->x_column = p->x_image;
          p->y_column = p->y_image;
          p->g.batch = 1;
          positions = g->batch;
        }
      p->g.in[0] = p->g.in[1] = p->g.out[0] = p->g.out[1] = 1;
      p->g.in[2] = p->g.out[2] = positions;
    }
  ht_product_choose_tiles (p, p->g.out[2]);
  ht_product_cut (p);
}

gboolean
ht_blocked_conv_supports (const HtConvGeometry *g, gboolean plain_input)
{
  gsize block = ht_isa_get_block ();

  if (g->groups == 0 || g->in_channels == 0 || g->out_channels == 0)
    return FALSE;
  if (plain_input)
    return g->groups == 1 && g->in_channels <= block;
  if (g->groups == 1 || is_depthwise (g))
    return TRUE;
  return g->in_channels % (g->groups * block) == 0 && g->out_channels % (g->groups * block) == 0;
}

gsize
ht_blocked_conv_packed_form (const HtConvGeometry *g, gboolean plain_input)
{
  HtProduct product;

  if (is_depthwise (g))
    return 0;
  describe (g, plain_input, &product);
  return product.n_tiles;
}

gsize
ht_blocked_conv_packed_floats (const HtConvGeometry *g, gboolean plain_input)
{
  HtProduct product;

  if (is_depthwise (g))
    return ht_blocked_depthwise_packed_floats (g);
  describe (g, plain_input, &product);
  return ht_product_packed_floats (&product);
}

void
ht_blocked_conv_pack_order (const HtConvGeometry *g, gboolean plain_input, const HtWeightOrder *order, float *packed)
{
  HtProduct product;

  if (is_depthwise (g))
    {
      ht_blocked_depthwise_pack (g, order, packed);
      return;
    }
  describe (g, plain_input, &product);
  ht_product_pack (&product, g->out_channels / g->groups, order, packed);
}

void
ht_blocked_conv_pack (const HtConvGeometry *g, gboolean plain_input, const float *w, float *packed)
{
  gsize n_taps = ht_conv_volume (g->kernel), depth = g->in_channels / g->groups * n_taps;
  HtWeightOrder order
      = { .w = w, .group_step = g->out_channels / g->groups * depth, .out_step = depth, .in_step = n_taps };

  ht_blocked_conv_pack_order (g, plain_input, &order, packed);
}

gsize
ht_blocked_conv_slice (const HtConvGeometry *g, gboolean plain_input)
{
  HtProduct product;

  if (is_depthwise (g))
    return 0;
  describe (g, plain_input, &product);
  return ht_product_slice (&product);
}

void
ht_blocked_conv (const HtConvGeometry *g, gboolean plain_input, const float *x, const float *packed,
                 const HtEpilogue *e, float *y, gpointer scratch, guint n_slices)
{
  HtProduct product;

  if (is_depthwise (g))
    {
      ht_blocked_depthwise (g, x, packed, e, y);
      return;
    }
  describe (g, plain_input, &product);
  ht_product_run (&product, x, packed, e, y, scratch, n_slices);
}
