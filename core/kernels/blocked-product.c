/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-elementwise.h"
#include "kernels/blocked-product.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <string.h>

/* Floats of the inputs and of the weights that should stay in the second-level cache while they are used again. */
#define CACHE_FLOATS ((gsize)48 * 1024)
/* With fewer positions than this, reading weights takes longer than multiplying. */
#define ENOUGH_POSITIONS ((gsize)112)
#define MAX_POSITIONS    ((gsize)1024)
#define MAX_COLUMNS      ((gsize)512)
/* The pool gets at least so many items, unless they would be shorter than so many multiplications of vectors. */
#define ENOUGH_ITEMS ((gsize)24)
#define MIN_WORK     ((gsize)32768)
/* Small products are worth that for a few threads from less on. */
#define FEW_ITEMS    ((gsize)4)
#define MIN_WORK_FEW ((gsize)8192)

static gsize
ceil_div (gsize a, gsize b)
{
  return (a + b - 1) / b;
}

static gsize
align (gsize n_floats)
{
  return ceil_div (n_floats, 16) * 16;
}

static gsize
greatest_divisor (gsize a, gsize b)
{
  while (b > 0)
    {
      gsize rest = a % b;
      a = b;
      b = rest;
    }
  return a;
}

/* Remainders repeat after so many taps. */
static gsize
get_period (const HtConvGeometry *g, int axis)
{
  return g->stride[axis] / greatest_divisor (g->stride[axis], g->dilation[axis]);
}

static gsize
count_slots (const HtConvGeometry *g, int axis)
{
  return MIN (g->kernel[axis], get_period (g, axis));
}

/* How far the last tap reaches beyond the first, in outputs. */
static gsize
get_reach (const HtConvGeometry *g, int axis)
{
  return (g->kernel[axis] - 1) * g->dilation[axis] / g->stride[axis];
}

static gsize
get_tile_begin (const HtProduct *p, gsize tile)
{
  return tile * p->out_blocks / p->n_tiles;
}

void
ht_product_choose_tiles (HtProduct *p, gsize columns)
{
  const HtBlockedTileKernels *kernels = HT_ISA_PICK (ht_blocked_tile_kernels);
  gsize best = G_MAXSIZE;

  for (gsize blocks = 1; blocks <= MIN (kernels->max_blocks, p->out_blocks); blocks++)
    {
      /* The multiplications are the same in each case; what differs are the loads: of x, of weights, from afar. */
      gsize n_tiles = ceil_div (p->out_blocks, blocks);
      gsize n_columns = ceil_div (columns, kernels->max_columns[blocks - 1]);
      gsize cost = n_tiles * columns + n_columns * p->out_blocks * 5 + n_tiles * n_columns * 4;
      if (cost < best)
        {
          best = cost;
          p->tile_blocks = blocks;
          p->n_tiles = n_tiles;
        }
    }
}

static void
measure_buffer (HtProduct *p)
{
  const HtConvGeometry *g = &p->g;

  p->buffer_rows = p->rows;
  p->buffer_columns = p->columns;
  p->row_floats = p->columns * p->block;
  p->block_floats = p->rows * p->row_floats;
  if (p->input == HT_PRODUCT_WINDOW || p->input == HT_PRODUCT_PLAIN)
    {
      p->buffer_rows = p->rows + get_reach (g, 1);
      p->buffer_columns = p->columns + get_reach (g, 2);
      p->row_floats = p->buffer_columns * count_slots (g, 2) * p->block;
      p->block_floats = g->kernel[0] * p->buffer_rows * count_slots (g, 1) * p->row_floats;
    }
}

static void
count_items (HtProduct *p)
{
  const HtConvGeometry *g = &p->g;

  p->n_images = ceil_div (g->batch, p->images);
  p->n_rows = ceil_div (g->out[1], p->rows);
  p->n_columns = ceil_div (g->out[2], p->columns);
  p->n_ranges = ceil_div (p->n_tiles, p->tiles);
  /* Pieces of about one size */
  p->images = ceil_div (g->batch, p->n_images);
  p->rows = ceil_div (g->out[1], p->n_rows);
  p->columns = ceil_div (g->out[2], p->n_columns);
  p->tiles = ceil_div (p->n_tiles, p->n_ranges);
  p->n_items = p->n_images * g->groups * g->out[0] * p->n_rows * p->n_columns * p->n_ranges;
  measure_buffer (p);
}

static gsize
halve_columns (const HtProduct *p)
{
  gsize half = ceil_div (p->columns, 2);
  return half > p->tile_columns ? ceil_div (half, p->tile_columns) * p->tile_columns : half;
}

void
ht_product_cut (HtProduct *p)
{
  const HtConvGeometry *g = &p->g;
  gsize positions = ht_conv_volume (g->out);

  p->tile_columns = HT_ISA_PICK (ht_blocked_tile_kernels)->max_columns[p->tile_blocks - 1];
  p->images = p->rows = p->columns = p->tiles = 1;
  p->chunk = MAX (p->in_blocks, 1);
  p->n_items = 0;
  p->buffer_floats = p->partial_floats = 0;
  if (g->batch == 0 || positions == 0 || p->out_blocks == 0 || g->groups == 0)
    return;

  p->rows = g->out[1];
  p->columns = ceil_div (g->out[2], ceil_div (g->out[2], MAX_COLUMNS));
  p->tiles = p->n_tiles;
  measure_buffer (p);
  while (p->rows > 1
         && (p->rows * p->columns > MAX_POSITIONS
             || (p->in_blocks * p->block_floats > CACHE_FLOATS && p->rows * p->columns >= 2 * ENOUGH_POSITIONS)))
    {
      p->rows = ceil_div (p->rows, 2);
      measure_buffer (p);
    }
  while (p->in_blocks * p->block_floats > CACHE_FLOATS && p->columns >= 2 * ENOUGH_POSITIONS)
    {
      p->columns = halve_columns (p);
      measure_buffer (p);
    }
  if (p->rows * p->columns == positions)
    p->images = CLAMP (ENOUGH_POSITIONS / positions, 1, g->batch);
  count_items (p);
  gsize depth = MAX (p->in_blocks, 1) * p->block * p->n_taps;
  while (p->n_items < ENOUGH_ITEMS)
    {
      gsize n = p->rows * p->columns;
      if (MAX (p->images * n, 8) * p->tiles * p->tile_blocks * depth
          < 2 * (p->n_items < FEW_ITEMS ? MIN_WORK_FEW : MIN_WORK))
        break;
      if (p->images > 1)
        p->images = ceil_div (p->images, 2);
      else if (p->rows > 1 && n >= 2 * ENOUGH_POSITIONS)
        p->rows = ceil_div (p->rows, 2);
      else if (p->columns >= 2 * ENOUGH_POSITIONS)
        p->columns = halve_columns (p);
      else if (p->tiles > 1)
        p->tiles = ceil_div (p->tiles, 2);
      else if (p->rows > 1)
        p->rows = ceil_div (p->rows, 2);
      else if (p->columns > p->tile_columns)
        p->columns = halve_columns (p);
      else
        break;
      count_items (p);
    }

  /* Few input channels at a time, if what they need would not stay in the cache otherwise. */
  gsize n = p->images * p->rows * p->columns;
  gsize most = CACHE_FLOATS * 5 / 4 / MAX (p->images * p->block_floats, 1);
  if (n > p->tile_columns)
    most = MIN (most, CACHE_FLOATS * 3 / 2 / (p->n_taps * p->block * p->block * p->tile_blocks));
  p->chunk = CLAMP (p->chunk, 1, MAX (most, 1));
  p->chunk = ceil_div (MAX (p->in_blocks, 1), ceil_div (MAX (p->in_blocks, 1), p->chunk));
  if (p->input != HT_PRODUCT_DIRECT)
    p->buffer_floats = align (p->images * p->chunk * p->block_floats);
  if (p->chunk < p->in_blocks)
    p->partial_floats = align (n * p->tiles * p->tile_blocks * p->block);
}

static gsize
get_depth (const HtProduct *p)
{
  return p->in_blocks > 0 ? ((p->in_blocks - 1) * p->block + p->last_lanes) * p->n_taps : 0;
}

gsize
ht_product_packed_floats (const HtProduct *p)
{
  return p->g.groups * p->out_blocks * p->block * get_depth (p);
}

/* Where in the packed weights the value of a channel of a group, tap and output channel of a group lies. */
static gsize
packed_index (const HtProduct *p, gsize group, gsize in, gsize tap, gsize out)
{
  gsize out_block = out / p->block, in_block = in / p->block;
  gsize tile = MIN (((out_block + 1) * p->n_tiles - 1) / p->out_blocks, p->n_tiles - 1);
  gsize begin = get_tile_begin (p, tile), width = (get_tile_begin (p, tile + 1) - begin) * p->block;
  gsize lanes = in_block + 1 < p->in_blocks ? p->block : p->last_lanes;
  gsize row = in_block * p->block * p->n_taps + tap * lanes + in % p->block;
  return (group * p->out_blocks + begin) * p->block * get_depth (p) + row * width + out - begin * p->block;
}

typedef struct
{
  const HtProduct *p;
  const HtWeightOrder *order;
  gsize out_channels;
  float *packed;
} Packing;

/* Items are an output and an input block each, with all taps: rows of as many lanes as a block has lie side by side. */
static void
run_packing (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Packing *work = user_data;
  const HtProduct *p = work->p;
  const HtWeightOrder *order = work->order;

  for (gsize item = begin; item < end; item++)
    {
      gsize in_block = item % p->in_blocks, out = item / p->in_blocks % p->out_blocks * p->block;
      gsize group = item / p->in_blocks / p->out_blocks, in = in_block * p->block;
      gsize n_in = in_block + 1 < p->in_blocks ? p->block : p->last_lanes;
      gsize n_out = MIN (work->out_channels - out, p->block);
      gsize base = packed_index (p, group, in, 0, out);
      gsize in_step = n_in > 1 ? packed_index (p, group, in + 1, 0, out) - base : 0;
      gsize tap_step = p->n_taps > 1 ? packed_index (p, group, in, 1, out) - base : 0;
      for (gsize tap = 0; tap < p->n_taps; tap++)
        for (gsize i = 0; i < n_in; i++)
          {
            const float *w = order->w + group * order->group_step + out * order->out_step + (in + i) * order->in_step
                             + (order->taps ? order->taps[tap] : tap);
            float *row = work->packed + base + tap * tap_step + i * in_step;
            for (gsize lane = 0; lane < n_out; lane++)
              row[lane] = w[lane * order->out_step];
            for (gsize lane = n_out; lane < p->block; lane++)
              row[lane] = 0.0f;
          }
    }
}

void
ht_product_pack (const HtProduct *p, gsize out_channels, const HtWeightOrder *order, float *packed)
{
  Packing work = { p, order, out_channels, packed };
  ht_parallel_for (p->g.groups * p->out_blocks * p->in_blocks,
                   MAX (HT_KERNEL_GRAIN / MAX (p->n_taps * p->block * p->block, 1), 1), run_packing, &work);
}

gsize
ht_product_slice (const HtProduct *p)
{
  return (p->buffer_floats + p->partial_floats) * sizeof (float);
}

typedef struct
{
  const HtProduct *p;
  const HtBlockedTileKernels *kernels;
  const gsize *taps; /* offsets in the buffer */
  const float *x, *packed;
  const HtEpilogue *e;
  float *y;
  guint8 *scratch;
} Work;

/* The item's part of each axis. */
typedef struct
{
  gsize group, plane;
  gsize image, n_images, row, n_rows, column, n_columns, tile, n_tiles;
} Item;

static gsize
take (gsize *item, gsize n)
{
  gsize index = *item % n;
  *item /= n;
  return index;
}

static Item
get_item (const HtProduct *p, gsize index)
{
  Item item;

  item.tile = take (&index, p->n_ranges) * p->tiles;
  item.column = take (&index, p->n_columns) * p->columns;
  item.row = take (&index, p->n_rows) * p->rows;
  item.plane = take (&index, p->g.out[0]);
  item.group = take (&index, p->g.groups);
  item.image = index * p->images;
  /* Ceilings may leave the last piece of an axis short, or empty. */
  item.n_tiles = item.tile < p->n_tiles ? MIN (p->tiles, p->n_tiles - item.tile) : 0;
  item.n_columns = item.column < p->g.out[2] ? MIN (p->columns, p->g.out[2] - item.column) : 0;
  item.n_rows = item.row < p->g.out[1] ? MIN (p->rows, p->g.out[1] - item.row) : 0;
  item.n_images = item.image < p->g.batch ? MIN (p->images, p->g.batch - item.image) : 0;
  return item;
}

/* n blocks that lie so many floats apart here and there. */
static void
copy_apart (const float *x, gsize x_step, float *y, gsize y_step, gsize n, gsize block)
{
  if (block == 16)
    for (gsize i = 0; i < n; i++)
      memcpy (y + i * y_step, x + i * x_step, 16 * sizeof (float));
  else
    for (gsize i = 0; i < n; i++)
      memcpy (y + i * y_step, x + i * x_step, 8 * sizeof (float));
}

typedef float Four __attribute__ ((vector_size (16), aligned (4), may_alias));

/* x[0], x[step], x[2 * step], x[3 * step]. With a step of 2 the float after them must exist. */
static inline Four
load_four (const float *x, gsize step)
{
  if (step == 1)
    return *(const Four *)(gconstpointer)x;
  if (step == 2)
    return __builtin_shufflevector (*(const Four *)(gconstpointer)x, *(const Four *)(gconstpointer)(x + 4), 0, 2, 4, 6);
  return (Four){ x[0], x[step], x[2 * step], x[3 * step] };
}

/* Up to four channels, `channel` floats apart, with n columns, `step` apart, become n columns with their channels side
 * by side, y_step apart. */
static void
interleave (const float *x, gsize channel, gsize n_channels, gsize step, gsize n, float *y, gsize y_step)
{
  gsize i = 0;

  for (; i + 4 < n; i += 4, x += 4 * step, y += 4 * y_step)
    {
      const Four zero = { 0.0f };
      Four a = load_four (x, step);
      Four b = n_channels > 1 ? load_four (x + channel, step) : zero;
      Four c = n_channels > 2 ? load_four (x + 2 * channel, step) : zero;
      Four d = n_channels > 3 ? load_four (x + 3 * channel, step) : zero;
      Four ab = __builtin_shufflevector (a, b, 0, 4, 1, 5), cd = __builtin_shufflevector (c, d, 0, 4, 1, 5);
      *(Four *)(gpointer)y = __builtin_shufflevector (ab, cd, 0, 1, 4, 5);
      *(Four *)(gpointer)(y + y_step) = __builtin_shufflevector (ab, cd, 2, 3, 6, 7);
      ab = __builtin_shufflevector (a, b, 2, 6, 3, 7);
      cd = __builtin_shufflevector (c, d, 2, 6, 3, 7);
      *(Four *)(gpointer)(y + 2 * y_step) = __builtin_shufflevector (ab, cd, 0, 1, 4, 5);
      *(Four *)(gpointer)(y + 3 * y_step) = __builtin_shufflevector (ab, cd, 2, 3, 6, 7);
    }
  for (; i < n; i++, x += step, y += y_step)
    for (gsize k = 0; k < n_channels; k++)
      y[k] = x[k * channel];
}

/* One row of one remainder: columns first + i * stride, for i below n, with zeros beyond the image. `x` is the row. */
static void
fill_row (const HtProduct *p, const float *x, gsize lanes, gint64 first, gsize n, float *buffer)
{
  gint64 width = (gint64)p->g.in[2], stride = (gint64)p->g.stride[2];
  gsize begin = first < 0 ? MIN ((gsize)((-first + stride - 1) / stride), n) : 0;
  gsize end = first < width ? MIN ((gsize)((width - first + stride - 1) / stride), n) : 0;

  end = MAX (end, begin);
  memset (buffer, 0, begin * p->block * sizeof (float));
  memset (buffer + end * p->block, 0, (n - end) * p->block * sizeof (float));
  if (begin == end)
    return;
  x += (first + (gint64)begin * stride) * (gint64)p->x_column;
  gsize step = (gsize)stride * p->x_column;
  if (p->input == HT_PRODUCT_PLAIN)
    for (gsize lane = 0; lane < lanes; lane += 4, x += 4 * p->x_block)
      interleave (x, p->x_block, MIN (lanes - lane, 4), step, end - begin, buffer + begin * p->block + lane, p->block);
  else if (step == p->block)
    memcpy (buffer + begin * p->block, x, (end - begin) * p->block * sizeof (float));
  else
    copy_apart (x, step, buffer + begin * p->block, p->block, end - begin, p->block);
}

/* What the item's tiles read of one image and block of input channels, which begins at x. */
static void
fill_window (const HtProduct *p, const Item *item, const float *x, gsize lanes, float *buffer)
{
  const HtConvGeometry *g = &p->g;
  gsize row_slots = count_slots (g, 1), column_slots = count_slots (g, 2);

  for (gsize plane = 0; plane < g->kernel[0]; plane++)
    for (gsize row_slot = 0; row_slot < row_slots; row_slot++)
      for (gsize i = 0; i < p->buffer_rows; i++)
        {
          gint64 d = (gint64)(item->plane * g->stride[0] + plane * g->dilation[0]) - g->pad[0];
          gint64 h = (gint64)((item->row + i) * g->stride[1] + row_slot * g->dilation[1] % g->stride[1]) - g->pad[1];
          float *to = buffer + ((plane * row_slots + row_slot) * p->buffer_rows + i) * p->row_floats;
          if (d < 0 || d >= (gint64)g->in[0] || h < 0 || h >= (gint64)g->in[1])
            {
              memset (to, 0, p->row_floats * sizeof (float));
              continue;
            }
          const float *from = x + ((gsize)d * g->in[1] + (gsize)h) * g->in[2] * p->x_column;
          for (gsize slot = 0; slot < column_slots; slot++, to += p->buffer_columns * p->block)
            {
              gint64 first = (gint64)(item->column * g->stride[2] + slot * g->dilation[2] % g->stride[2]) - g->pad[2];
              fill_row (p, from, lanes, first, p->buffer_columns, to);
            }
        }
}

static gsize *
list_taps (const HtProduct *p)
{
  const HtConvGeometry *g = &p->g;
  gsize *taps = g_new0 (gsize, MAX (p->n_taps, 1)), n = 0;

  if (p->input == HT_PRODUCT_DIRECT || p->input == HT_PRODUCT_COLUMNS)
    return taps;
  for (gsize d = 0; d < g->kernel[0]; d++)
    for (gsize h = 0; h < g->kernel[1]; h++)
      for (gsize w = 0; w < g->kernel[2]; w++)
        {
          gsize row = (d * count_slots (g, 1) + h % get_period (g, 1)) * p->buffer_rows;
          gsize column = w % get_period (g, 2) * p->buffer_columns;
          row += h * g->dilation[1] / g->stride[1];
          column += w * g->dilation[2] / g->stride[2];
          taps[n++] = row * p->row_floats + column * p->block;
        }
  return taps;
}

/* Input blocks [begin, end) of the item's columns, which lie apart: each column is read at a stretch. */
static void
gather_columns (const Work *work, const Item *item, gsize begin, gsize end, float *buffer)
{
  const HtProduct *p = work->p;
  const float *x = work->x + item->image * p->x_image + item->group * p->in_blocks * p->x_block;

  for (gsize column = 0; column < item->n_columns; column++)
    {
      const float *from = x + (item->column + column) * p->x_column + begin * p->x_block;
      float *to = buffer + column * p->block;
      gboolean partial = end > begin && end == p->in_blocks;
      gsize n_full = end - begin - (partial ? 1 : 0);
      copy_apart (from, p->x_block, to, p->block_floats, n_full, p->block);
      if (partial)
        memcpy (to + n_full * p->block_floats, from + n_full * p->x_block, p->last_lanes * sizeof (float));
    }
}

/* Input blocks [begin, end) of everything that the item reads. */
static void
fill_buffer (const Work *work, const Item *item, gsize begin, gsize end, float *buffer)
{
  const HtProduct *p = work->p;

  if (p->input == HT_PRODUCT_COLUMNS)
    {
      gather_columns (work, item, begin, end, buffer);
      return;
    }
  for (gsize image = 0; image < item->n_images; image++)
    for (gsize block = begin; block < end; block++)
      {
        const float *x
            = work->x + (item->image + image) * p->x_image + (item->group * p->in_blocks + block) * p->x_block;
        gsize lanes = block + 1 < p->in_blocks ? p->block : p->last_lanes;
        float *to = buffer + (image * p->chunk + block - begin) * p->block_floats;
        fill_window (p, item, x, lanes, to);
      }
}

/* What comes after the epilogue, for columns and blocks of channels that a tile has just made. */
static void
apply_next (const Work *work, float *y, gsize channel, gsize n_columns, gsize width)
{
  const HtProduct *p = work->p;

  for (gsize i = 0; i < width; i++, channel += p->block, y += p->y_block)
    if (p->y_column == p->block)
      ht_blocked_apply_next (work->e, n_columns, channel, y);
    else
      for (gsize column = 0; column < n_columns; column++)
        ht_blocked_apply_next (work->e, 1, channel, y + column * p->y_column);
}

/* All positions of the item for one tile of output channels and one chunk of input channels. `tile` holds what they
 * have in common. */
static void
run_positions (const Work *work, const Item *item, HtTile *tile, const float *x, gsize y_channel, gsize width,
               float *partial, gboolean first, gboolean last)
{
  const HtProduct *p = work->p;
  const HtConvGeometry *g = &p->g;
  const HtTileFunc *run = work->kernels->run[width - 1];
  gsize n_pieces = ceil_div (item->n_columns, work->kernels->max_columns[width - 1]);

  for (gsize image = 0; image < item->n_images; image++)
    for (gsize row = 0; row < item->n_rows; row++)
      for (gsize piece = 0; piece < n_pieces; piece++)
        {
          gsize column = piece * item->n_columns / n_pieces;
          gsize n_columns = (piece + 1) * item->n_columns / n_pieces - column;
          gsize y_row = (item->plane * g->out[1] + item->row + row) * g->out[2] + item->column + column;
          gsize y = (item->image + image) * p->y_image + y_channel + y_row * p->y_column;
          if (p->input == HT_PRODUCT_DIRECT)
            tile->x = x + image * p->x_image + column * p->block;
          else
            tile->x = x + image * p->chunk * p->block_floats + row * p->row_floats + column * p->block;
          tile->begin = first ? NULL : partial;
          tile->partial = last ? NULL : partial;
          tile->y = work->y + y;
          tile->residual = work->e && work->e->residual ? work->e->residual + y : NULL;
          run[n_columns - 1](tile);
          if (last && work->e && work->e->next)
            apply_next (work, tile->y, y_channel / p->y_block * p->block, n_columns, width);
          partial += n_columns * width * p->block;
        }
}

static void
run_item (const Work *work, const Item *item, float *buffer, float *partials)
{
  const HtProduct *p = work->p;
  const HtEpilogue *e = work->e;
  gsize depth = get_depth (p), n_positions = item->n_images * item->n_rows * item->n_columns;
  HtTile tile = { .taps = work->taps, .n_taps = p->n_taps, .y_block = p->y_block, .y_column = p->y_column, .e = e };

  tile.x_block = p->input == HT_PRODUCT_DIRECT ? p->x_block : p->block_floats;
  for (gsize begin = 0, end; begin < MAX (p->in_blocks, 1); begin = end)
    {
      end = MIN (begin + p->chunk, p->in_blocks);
      gboolean first = begin == 0, last = end == p->in_blocks;
      const float *x = buffer;
      if (p->input == HT_PRODUCT_DIRECT)
        x = work->x + item->image * p->x_image + (item->group * p->in_blocks + begin) * p->x_block
            + item->column * p->block;
      else
        fill_buffer (work, item, begin, end, buffer);
      tile.n_blocks = end - begin;
      tile.last_lanes = last ? p->last_lanes : p->block;
      float *partial = partials;
      for (gsize i = 0; i < item->n_tiles; i++)
        {
          gsize out = get_tile_begin (p, item->tile + i), width = get_tile_begin (p, item->tile + i + 1) - out;
          gsize block = item->group * p->out_blocks + out;
          tile.w = work->packed + block * p->block * depth + begin * p->block * p->n_taps * width * p->block;
          tile.scale = e && e->scale ? e->scale + block * p->block : NULL;
          tile.shift = e && e->shift ? e->shift + block * p->block : NULL;
          tile.y_last_lanes = out + width == p->out_blocks ? p->y_last_lanes : p->block;
          run_positions (work, item, &tile, x, block * p->y_block, width, partial, first, last);
          partial += n_positions * width * p->block;
        }
      if (last)
        break;
    }
}

static void
run_items (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  float *buffer = (float *)(gpointer)(work->scratch + worker * ht_product_slice (work->p));

  for (gsize index = begin; index < end; index++)
    {
      Item item = get_item (work->p, index);
      run_item (work, &item, buffer, buffer + work->p->buffer_floats);
    }
}

void
ht_product_run (const HtProduct *product, const float *x, const float *packed, const HtEpilogue *e, float *y,
                gpointer scratch, guint n_slices)
{
  g_autofree gsize *taps = list_taps (product);
  Work work = { product, HT_ISA_PICK (ht_blocked_tile_kernels), taps, x, packed, e, y, scratch };

  ht_parallel_for_limited (product->n_items, 1, n_slices, run_items, &work);
}
