/* SPDX-License-Identifier: MIT */
/* Positions are cut into parts, each of which makes a partial gradient in the order of the kernels; these are added up
 * and dealt out in plain order. */
#include "kernels/blocked-conv-weight-backward.h"

#include "base/thread-pool.h"
#include "kernels/blocked-backward.h"
#include "kernels/vectorize.h"

#include <string.h>

/* Pieces of work that are enough for any number of threads, and what they may cost in floats. */
#define ENOUGH_ITEMS   ((gsize)32)
#define MAX_PARTS      ((gsize)16)
#define PART_FLOATS    ((gsize)1024 * 1024)
#define PART_POSITIONS ((gsize)128)
/* x of one tile of positions should stay in the second-level cache, and there should be enough positions to make up for
 * loading and storing the tile of weights. */
#define TILE_FLOATS      ((gsize)96 * 1024)
#define MIN_TILE         ((gsize)64)
#define MAX_TILE         ((gsize)256)
#define MAX_MERGED_WIDTH ((gsize)256)

static gsize
ceil_div (gsize a, gsize b)
{
  return (a + b - 1) / b;
}

typedef enum
{
  BLOCKED,
  DEPTHWISE,
  PLAIN
} Kind;

/* How one gradient is cut: a function of the geometry alone. */
typedef struct
{
  HtConvGeometry g; /* of the kernels: a pointwise one may have other axes */
  Kind kind;
  gsize block, n_taps;
  gsize in_blocks, out_blocks; /* of a group; depthwise: of all */
  gsize in_channels, out_channels;
  gsize n_triples;     /* sets of at most HT_WEIGHT_BLOCKS output blocks in a group */
  gsize row_floats;    /* of the gradient of one output block */
  gsize n_floats;      /* of one partial gradient */
  gsize copied_floats; /* of the positions of x that are copied together; 0: none */
  gsize n_rows, n_parts, rows_of_part, rows_of_tile;
  gsize n_out_chunks, n_in_chunks;                  /* of sets and of input blocks */
  gsize in_rows, in_width, in_depth, buffer_floats; /* of the padded tile of a plain input */
} Cut;

static gboolean
is_depthwise (const HtConvGeometry *g)
{
  return g->groups > 1 && g->groups == g->in_channels && g->groups == g->out_channels;
}

/* A pointwise convolution with strides sees some positions only, far apart: they are copied together first. */
static gboolean
is_spread (const HtConvGeometry *g)
{
  gboolean spread = FALSE;

  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    {
      if (g->kernel[axis] != 1 || g->pad[axis] != 0)
        return FALSE;
      spread = spread || g->stride[axis] != 1;
    }
  return spread;
}

/* Positions of a pointwise convolution have no neighbours: rows may be as long as is handy. */
static void
merge_rows (HtConvGeometry *g)
{
  gsize positions = ht_conv_volume (g->out), width = 1;

  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    if (g->kernel[axis] != 1 || g->stride[axis] != 1 || g->pad[axis] != 0 || g->in[axis] != g->out[axis])
      return;
  if (g->out[2] >= MIN_TILE)
    return;
  for (gsize i = 1; i <= MIN (positions, MAX_MERGED_WIDTH); i++)
    if (positions % i == 0)
      width = i;
  g->in[0] = g->out[0] = 1;
  g->in[1] = g->out[1] = positions / MAX (width, 1);
  g->in[2] = g->out[2] = width;
}

/* Padded rows of a plain input that `rows_of_tile` rows of outputs of one image read. */
static void
size_buffer (Cut *cut)
{
  const HtConvGeometry *g = &cut->g;

  cut->in_depth = g->kernel[0];
  cut->in_rows = (cut->rows_of_tile - 1) * g->stride[1] + (g->kernel[1] - 1) * g->dilation[1] + 1;
  cut->in_width = (MAX (g->out[2], 1) - 1) * g->stride[2] + (g->kernel[2] - 1) * g->dilation[2] + 1;
  cut->buffer_floats = (cut->in_channels * cut->in_depth * cut->in_rows * cut->in_width + 15) / 16 * 16;
}

static Cut
cut_of (const HtConvGeometry *g, gboolean plain_input)
{
  Cut cut = { .g = *g, .block = ht_isa_get_block (), .n_taps = ht_conv_volume (g->kernel) };
  gsize block = cut.block;

  cut.kind = plain_input ? PLAIN : is_depthwise (g) ? DEPTHWISE : BLOCKED;
  cut.in_channels = g->in_channels / g->groups;
  cut.out_channels = g->out_channels / g->groups;
  if (cut.kind == BLOCKED && is_spread (g))
    {
      cut.copied_floats = ht_blocked_floats (g->batch, g->in_channels, ht_conv_volume (g->out), block);
      for (int axis = 0; axis < HT_CONV_AXES; axis++)
        {
          cut.g.in[axis] = g->out[axis];
          cut.g.stride[axis] = 1;
        }
    }
  if (cut.kind == BLOCKED)
    merge_rows (&cut.g);
  cut.in_blocks = ceil_div (cut.kind == DEPTHWISE ? g->in_channels : cut.in_channels, block);
  cut.out_blocks = cut.kind == DEPTHWISE ? 1 : ceil_div (cut.out_channels, block);
  cut.n_triples = ceil_div (cut.out_blocks, HT_WEIGHT_BLOCKS);
  if (cut.kind == PLAIN)
    cut.row_floats = ceil_div (cut.in_channels * cut.n_taps, HT_WEIGHT_TAPS) * HT_WEIGHT_TAPS * block;
  else
    cut.row_floats = cut.in_blocks * cut.n_taps * block * (cut.kind == DEPTHWISE ? 1 : block);
  gsize groups = cut.kind == DEPTHWISE ? 1 : g->groups;
  cut.n_floats = MAX (groups * cut.out_blocks * cut.row_floats, 1);

  gsize width = MAX (cut.g.out[2], 1);
  cut.n_rows = g->batch * cut.g.out[0] * cut.g.out[1];
  cut.n_parts = MIN (cut.n_rows * width / PART_POSITIONS, PART_FLOATS / cut.n_floats);
  cut.n_parts = CLAMP (cut.n_parts, 1, MAX_PARTS);
  cut.rows_of_part = MAX (ceil_div (cut.n_rows, cut.n_parts), 1);
  cut.n_parts = MAX (ceil_div (cut.n_rows, cut.rows_of_part), 1);
  cut.n_out_chunks = MIN (groups * cut.n_triples, ceil_div (ENOUGH_ITEMS, cut.n_parts));
  cut.n_in_chunks
      = cut.kind == PLAIN ? 1 : MIN (cut.in_blocks, ceil_div (ENOUGH_ITEMS, cut.n_parts * cut.n_out_chunks));
  gsize stride = cut.g.stride[1] * cut.g.stride[2];
  gsize of_x = cut.kind == PLAIN ? 1 : ceil_div (cut.in_blocks, cut.n_in_chunks) * block * stride;
  cut.rows_of_tile = ceil_div (CLAMP (TILE_FLOATS / MAX (of_x, 1), MIN_TILE, MAX_TILE), width);
  if (cut.kind == PLAIN)
    {
      cut.rows_of_tile = CLAMP (cut.rows_of_tile, 1, MAX (cut.g.out[1], 1));
      size_buffer (&cut);
    }
  return cut;
}

typedef struct
{
  const HtBlockedConvWeightKernels *kernels;
  Cut cut;
  const float *x, *dy;
  float *dw, *parts, *buffers;
  gsize *offsets; /* in a padded tile, of the taps of a plain input */
} Work;

static float *
part_at (const Work *work, gsize part)
{
  return work->parts + part * work->cut.n_floats;
}

static gsize
x_image (const Cut *cut)
{
  const HtConvGeometry *g = &cut->g;
  if (cut->kind == PLAIN)
    return g->in_channels * ht_conv_volume (g->in);
  return (cut->kind == DEPTHWISE ? 1 : g->groups) * cut->in_blocks * ht_conv_volume (g->in) * cut->block;
}

static gsize
dy_image (const Cut *cut)
{
  gsize blocks = cut->kind == DEPTHWISE ? cut->in_blocks : cut->g.groups * cut->out_blocks;
  return blocks * ht_conv_volume (cut->g.out) * cut->block;
}

/* The first output block of set `triple`; sets are as even as can be. */
static gsize
triple_begin (const Cut *cut, gsize triple)
{
  return triple * cut->out_blocks / cut->n_triples;
}

/* All kernel positions of input blocks [in_begin, in_end) and one set of output blocks, over one tile of rows. */
static void
run_blocked_tile (const Work *work, HtWeightTile *tile, gsize group, gsize triple, gsize in_begin, gsize in_end,
                  float *part)
{
  const Cut *cut = &work->cut;
  const HtConvGeometry *g = &cut->g;
  gsize out = triple_begin (cut, triple), n_out = triple_begin (cut, triple + 1) - out;
  gsize in_plane = ht_conv_volume (g->in) * cut->block, square = cut->block * cut->block;

  tile->dy_block = ht_conv_volume (g->out) * cut->block;
  tile->dy = work->dy + (group * cut->out_blocks + out) * tile->dy_block;
  for (gsize in = in_begin; in < in_end; in++)
    {
      float *dw = part + (group * cut->out_blocks + out) * cut->row_floats + in * cut->n_taps * square;
      tile->x = work->x + (group * cut->in_blocks + in) * in_plane;
      for (gsize tap = 0; tap < cut->n_taps; tap++, dw += square)
        {
          tile->tap[0] = tap / g->kernel[2] / g->kernel[1];
          tile->tap[1] = tap / g->kernel[2] % g->kernel[1];
          tile->tap[2] = tap % g->kernel[2];
          work->kernels->blocked[n_out - 1](tile, dw, cut->row_floats);
        }
    }
}

static void
run_depthwise_tile (const Work *work, HtWeightTile *tile, gsize in_begin, gsize in_end, float *part)
{
  const Cut *cut = &work->cut;
  const HtConvGeometry *g = &cut->g;

  for (gsize in = in_begin; in < in_end; in++)
    {
      float *dw = part + in * cut->n_taps * cut->block;
      tile->x = work->x + in * ht_conv_volume (g->in) * cut->block;
      tile->dy = work->dy + in * ht_conv_volume (g->out) * cut->block;
      for (gsize tap = 0; tap < g->kernel[0] * g->kernel[1]; tap++, dw += g->kernel[2] * cut->block)
        {
          tile->tap[0] = tap / g->kernel[1];
          tile->tap[1] = tap % g->kernel[1];
          work->kernels->depthwise (tile, dw);
        }
    }
}

/* Copies the input rows that a tile of outputs reads, with zeros around. */
static void
fill_buffer (const Work *work, gsize image, gsize d, gsize h, float *buffer)
{
  const Cut *cut = &work->cut;
  const HtConvGeometry *g = &cut->g;
  gint64 left = -g->pad[2], right = left + (gint64)cut->in_width, width = (gint64)g->in[2];
  gint64 begin = CLAMP (0, left, right), end = CLAMP (width, begin, right);

  for (gsize c = 0; c < cut->in_channels; c++)
    for (gsize i = 0; i < cut->in_depth; i++)
      for (gsize j = 0; j < cut->in_rows; j++, buffer += cut->in_width)
        {
          gint64 at_d = (gint64)(d * g->stride[0] + i * g->dilation[0]) - g->pad[0];
          gint64 at_h = (gint64)(h * g->stride[1] + j) - g->pad[1];
          if (at_d < 0 || at_d >= (gint64)g->in[0] || at_h < 0 || at_h >= (gint64)g->in[1])
            {
              memset (buffer, 0, cut->in_width * sizeof (float));
              continue;
            }
          const float *x
              = work->x + image * x_image (cut) + ((c * g->in[0] + (gsize)at_d) * g->in[1] + (gsize)at_h) * g->in[2];
          memset (buffer, 0, (gsize)(begin - left) * sizeof (float));
          memcpy (buffer + (begin - left), x + begin, (gsize)(end - begin) * sizeof (float));
          memset (buffer + (end - left), 0, (gsize)(right - end) * sizeof (float));
        }
}

/* Rows of one image at most. */
static void
run_plain_tile (const Work *work, const HtWeightTile *rows_of, gsize triple_first, gsize triple_end, float *buffer,
                float *part)
{
  const Cut *cut = &work->cut;
  const HtConvGeometry *g = &cut->g;
  gsize rows = g->out[0] * g->out[1], begin = rows_of->begin;
  gsize image = begin / rows, d = begin % rows / g->out[1], h = begin % g->out[1];
  gsize out_plane = ht_conv_volume (g->out) * cut->block, n_taps = cut->in_channels * cut->n_taps;
  HtWeightPlainTile tile = { .n_rows = rows_of->end - begin,
                             .width = g->out[2],
                             .x = buffer,
                             .x_row = g->stride[1] * cut->in_width,
                             .x_step = g->stride[2],
                             .dy_block = out_plane,
                             .add = rows_of->add };

  fill_buffer (work, image, d, h, buffer);
  for (gsize triple = triple_first; triple < triple_end; triple++)
    {
      gsize out = triple_begin (cut, triple), n_out = triple_begin (cut, triple + 1) - out;
      tile.dy = work->dy + image * dy_image (cut) + out * out_plane + (d * g->out[1] + h) * g->out[2] * cut->block;
      for (gsize tap = 0; tap < n_taps; tap += HT_WEIGHT_TAPS)
        {
          tile.offsets = work->offsets + tap;
          work->kernels->plain[n_out - 1](&tile, part + out * cut->row_floats + tap * cut->block, cut->row_floats);
        }
    }
}

static void
run_items (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const Cut *cut = &work->cut;
  gsize n_chunks = cut->n_out_chunks * cut->n_in_chunks;
  gsize n_sets = (cut->kind == DEPTHWISE ? 1 : cut->g.groups) * cut->n_triples;

  for (gsize item = begin; item < end; item++)
    {
      gsize part = item / n_chunks, out_chunk = item % n_chunks / cut->n_in_chunks, in_chunk = item % cut->n_in_chunks;
      gsize set_begin = out_chunk * n_sets / cut->n_out_chunks, set_end = (out_chunk + 1) * n_sets / cut->n_out_chunks;
      gsize in_begin = in_chunk * cut->in_blocks / cut->n_in_chunks;
      gsize in_end = (in_chunk + 1) * cut->in_blocks / cut->n_in_chunks;
      gsize first_row = part * cut->rows_of_part, last_row = MIN (first_row + cut->rows_of_part, cut->n_rows);
      HtWeightTile tile = { .g = &cut->g, .x_image = x_image (cut), .dy_image = dy_image (cut) };
      /* One set after the other: its weights stay in the cache from tile to tile. */
      gsize n_rounds = cut->kind == BLOCKED ? set_end - set_begin : 1;
      for (gsize round = 0; round < n_rounds; round++)
        for (gsize row = first_row; row < last_row; row = tile.end)
          {
            gsize set = set_begin + round;
            tile.begin = row;
            tile.end = MIN (row + cut->rows_of_tile, last_row);
            tile.add = row > first_row;
            if (cut->kind == PLAIN)
              {
                /* Not across the end of a slice of rows. */
                tile.end = MIN (tile.end, (row / cut->g.out[1] + 1) * cut->g.out[1]);
                run_plain_tile (work, &tile, set_begin, set_end, work->buffers + item * cut->buffer_floats,
                                part_at (work, part));
              }
            else if (cut->kind == DEPTHWISE)
              run_depthwise_tile (work, &tile, in_begin, in_end, part_at (work, part));
            else
              run_blocked_tile (work, &tile, set / cut->n_triples, set % cut->n_triples, in_begin, in_end,
                                part_at (work, part));
          }
    }
}

/* Items are the squares of one output and one input block with all their taps; parts are added in their order. */
static void
run_deal_blocked (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const Cut *cut = &work->cut;
  gsize n = cut->n_taps * cut->block * cut->block;

  for (gsize item = begin; item < end; item++)
    {
      gsize in = item % cut->in_blocks, out_block = item / cut->in_blocks;
      gsize group = out_block / cut->out_blocks, out = out_block % cut->out_blocks;
      float *sum = work->parts + out_block * cut->row_floats + in * n;
      for (gsize part = 1; part < cut->n_parts; part++)
        work->kernels->add (n, sum + part * cut->n_floats, sum);
      gsize n_in = MIN (cut->in_channels - in * cut->block, cut->block);
      gsize n_out = MIN (cut->out_channels - out * cut->block, cut->block);
      float *dw = work->dw
                  + ((group * cut->out_channels + out * cut->block) * cut->in_channels + in * cut->block) * cut->n_taps;
      for (gsize o = 0; o < n_out; o++)
        for (gsize i = 0; i < n_in; i++)
          for (gsize tap = 0; tap < cut->n_taps; tap++)
            dw[(o * cut->in_channels + i) * cut->n_taps + tap] = sum[(tap * cut->block + i) * cut->block + o];
    }
}

/* Items are output blocks; of each, rows of `cut->block` lanes go to as many rows of dw. */
static void
run_deal_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const Cut *cut = &work->cut;
  gsize n_rows = cut->kind == DEPTHWISE ? cut->n_taps : cut->in_channels * cut->n_taps;
  gsize n = cut->kind == DEPTHWISE ? cut->n_taps * cut->block : cut->row_floats;

  for (gsize item = begin; item < end; item++)
    {
      float *sum = work->parts + item * n;
      for (gsize part = 1; part < cut->n_parts; part++)
        work->kernels->add (n, sum + part * cut->n_floats, sum);
      for (gsize o = 0; o < MIN (cut->g.out_channels - item * cut->block, cut->block); o++)
        for (gsize row = 0; row < n_rows; row++)
          work->dw[(item * cut->block + o) * n_rows + row] = sum[row * cut->block + o];
    }
}

static gsize
n_items (const Cut *cut)
{
  return cut->n_parts * cut->n_out_chunks * cut->n_in_chunks;
}

static gsize
offsets_bytes (const Cut *cut)
{
  gsize n = ceil_div (cut->in_channels * cut->n_taps, HT_WEIGHT_TAPS) * HT_WEIGHT_TAPS;
  return cut->kind == PLAIN ? (n * sizeof (gsize) + 63) / 64 * 64 : 0;
}

gsize
ht_blocked_conv_weight_backward_workspace (const HtConvGeometry *g, gboolean plain_input)
{
  Cut cut = cut_of (g, plain_input);
  gsize parts = (cut.n_parts * cut.n_floats + 15) / 16 * 16;
  return offsets_bytes (&cut)
         + (cut.copied_floats + parts + (cut.kind == PLAIN ? n_items (&cut) * cut.buffer_floats : 0)) * sizeof (float);
}

void
ht_blocked_conv_weight_backward (const HtConvGeometry *g, gboolean plain_input, const float *x, const float *dy,
                                 float *dw, gpointer workspace)
{
  Work work = { .kernels = HT_ISA_PICK (ht_blocked_conv_weight_kernels),
                .cut = cut_of (g, plain_input),
                .x = x,
                .dy = dy,
                .dw = dw,
                .offsets = workspace };
  const Cut *cut = &work.cut;

  if (cut->n_rows == 0 || g->out[2] == 0)
    {
      memset (dw, 0, g->out_channels * cut->in_channels * cut->n_taps * sizeof (float));
      return;
    }
  float *copied = (float *)(gpointer)((char *)workspace + offsets_bytes (cut));
  if (cut->copied_floats > 0)
    {
      HtBlockedSlice slice = { .batch = g->batch, .channels = g->in_channels, .y_channels = g->in_channels };
      memcpy (slice.in, g->in, sizeof slice.in);
      memcpy (slice.out, g->out, sizeof slice.out);
      memcpy (slice.step, g->stride, sizeof slice.step);
      ht_blocked_slice (&slice, x, copied);
      work.x = copied;
    }
  work.parts = copied + cut->copied_floats;
  work.buffers = work.parts + (cut->n_parts * cut->n_floats + 15) / 16 * 16;
  if (cut->kind == PLAIN)
    for (gsize i = 0; i < offsets_bytes (cut) / sizeof (gsize); i++)
      {
        /* Past the last tap: any that is there. */
        gsize tap = i < cut->in_channels * cut->n_taps ? i : 0, w = tap % g->kernel[2], rest = tap / g->kernel[2];
        gsize row = (rest / g->kernel[1]) * cut->in_rows + rest % g->kernel[1] * g->dilation[1];
        work.offsets[i] = row * cut->in_width + w * g->dilation[2];
      }
  ht_parallel_for (n_items (cut), 1, run_items, &work);
  if (cut->kind == BLOCKED)
    {
      gsize square = cut->n_taps * cut->block * cut->block * cut->n_parts;
      ht_parallel_for (g->groups * cut->out_blocks * cut->in_blocks, MAX (HT_KERNEL_GRAIN / square, 1),
                       run_deal_blocked, &work);
    }
  else
    {
      gsize block_floats = cut->row_floats * cut->n_parts;
      ht_parallel_for (ceil_div (g->out_channels, cut->block), MAX (HT_KERNEL_GRAIN / block_floats, 1), run_deal_rows,
                       &work);
    }
}
