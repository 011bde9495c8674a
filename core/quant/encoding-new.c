/* SPDX-License-Identifier: MIT */
/* Makes encodings: from steps that are known, and from ranges. */
#include "quant/encoding-private.h"

#include <halftone/error.h>

#include <float.h>
#include <math.h>
#include <string.h>

#define MAX_SCALE_BITS 15

static gint64
count_steps (const HtGridForm *form)
{
  if (form->format != HT_NUMBER_FORMAT_INT)
    return 0;
  return (((gint64)1) << form->bits) - (form->symmetric && form->strict ? 2 : 1);
}

gsize
ht_grid_form_count (const HtGridForm *form)
{
  return form->n_channels * form->n_blocks;
}

gboolean
ht_grid_form_cut (const HtGridForm *form, const gint64 *dims, guint n_dims, HtKernelBlocks *blocks)
{
  gint axis = form->axis, other = form->block_axis;
  gint first = axis < 0 ? other : other < 0 ? axis : MIN (axis, other), last = MAX (axis, other);

  if (last >= (gint)n_dims)
    return FALSE;
  *blocks = (HtKernelBlocks){ 1, 1, 1, 1, 1, TRUE, 1 };
  for (gint i = 0; i < (gint)n_dims; i++)
    {
      gsize dim = (gsize)dims[i];

      if (i < first)
        blocks->outer *= dim;
      else if (i > last)
        blocks->inner *= dim;
      else if (i != axis && i != other)
        blocks->middle *= dim;
    }
  if (axis >= 0 && (gsize)dims[axis] != form->n_channels)
    return FALSE;
  if (other < 0)
    {
      blocks->first = form->n_channels;
      return TRUE;
    }
  blocks->channel_first = axis < other;
  blocks->first = blocks->channel_first ? form->n_channels : (gsize)dims[other];
  blocks->second = blocks->channel_first ? (gsize)dims[other] : form->n_channels;
  blocks->size = form->block_size;
  return ht_kernel_blocks_count (blocks) == ht_grid_form_count (form);
}

static HtEncoding *
encoding_alloc (const HtGridForm *form)
{
  HtEncoding *self = g_new0 (HtEncoding, 1);

  g_atomic_ref_count_init (&self->n_refs);
  self->form = *form;
  self->n_grids = ht_grid_form_count (form);
  self->scales = g_new0 (double, self->n_grids);
  self->offsets = g_new0 (gint64, self->n_grids);
  return self;
}

static gboolean
check_integer_form (const HtGridForm *form, GError **error)
{
  guint most = form->block_axis >= 0 ? 16 : 32;

  if (form->bits >= 2 && form->bits <= most)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "making an encoding of %u bits%s: expected 2 to %u%s",
               form->bits, form->block_axis >= 0 ? " in blocks" : "", most == 32 ? 31 : most,
               most == 32 ? " (or 32 for a bias)" : "");
  return FALSE;
}

static gboolean
check_form (const HtGridForm *form, gsize n_grids, GError **error)
{
  gsize expected = ht_grid_form_count (form);

  if (form->format == HT_NUMBER_FORMAT_INT && !check_integer_form (form, error))
    return FALSE;
  if (form->axis < 0 && form->n_channels != 1)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found %" G_GSIZE_FORMAT " grids for a whole tensor; expected exactly one",
                   form->n_channels);
      return FALSE;
    }
  if (form->block_axis >= 0 && (form->block_size == 0 || form->block_axis == form->axis))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found blocks of %" G_GSIZE_FORMAT " along axis %d of channels along axis %d; "
                   "expected at least one element, and two axes",
                   form->block_size, form->block_axis, form->axis);
      return FALSE;
    }
  if (expected == 0 || n_grids != expected)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found %" G_GSIZE_FORMAT " grids for %" G_GSIZE_FORMAT
                   " channels%s; expected %s",
                   n_grids, form->n_channels, form->block_axis >= 0 ? " in blocks" : "",
                   n_grids == 0 || form->n_channels == 0 ? "at least one" : "the same number of them for each channel");
      return FALSE;
    }
  if (!ht_number_format_has_scale (form->format) && expected != 1)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found %" G_GSIZE_FORMAT " grids of a format without a scale; expected one",
                   expected);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_grid (HtEncoding *self, gsize index, GError **error)
{
  gint64 n_steps = count_steps (&self->form);
  double scale = self->scales[index];
  gint64 offset = self->offsets[index];
  float narrowed = (float)scale;

  if (!(narrowed > 0) || !isfinite (narrowed))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                   "making an encoding: found scale %g of grid %" G_GSIZE_FORMAT
                   "; expected a finite positive number that float32 can hold",
                   scale, index);
      return FALSE;
    }
  if (offset > 0 || offset < -n_steps)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found offset %" G_GINT64_FORMAT " of grid %" G_GSIZE_FORMAT
                   "; expected a number from %" G_GINT64_FORMAT " to 0",
                   offset, index, -n_steps);
      return FALSE;
    }
  if (self->form.symmetric && offset != 0 && offset != -((n_steps + 1) / 2))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making a symmetric encoding of %u bits: found offset %" G_GINT64_FORMAT " of grid %" G_GSIZE_FORMAT
                   "; expected %" G_GINT64_FORMAT " (or 0 for an unsigned one)",
                   self->form.bits, offset, index, -((n_steps + 1) / 2));
      return FALSE;
    }
  return TRUE;
}

/* Checks the grids and narrows them to what kernels read. */
static gboolean
finish (HtEncoding *self, GError **error)
{
  self->narrow = g_new (float, 2 * self->n_grids);
  for (gsize i = 0; i < self->n_grids; i++)
    {
      if (!check_grid (self, i, error))
        return FALSE;
      self->narrow[i] = (float)self->scales[i];
      self->narrow[self->n_grids + i] = (float)self->offsets[i];
    }
  return TRUE;
}

static HtEncoding *
make (const HtGridForm *form, const double *scales, const gint64 *offsets, gsize n_grids, GError **error)
{
  g_autoptr (HtEncoding) self = NULL;

  if (!check_form (form, n_grids, error))
    return NULL;
  self = encoding_alloc (form);
  for (gsize i = 0; i < n_grids; i++)
    self->scales[i] = ht_number_format_has_scale (form->format) ? scales[i] : 1;
  if (offsets && form->format == HT_NUMBER_FORMAT_INT)
    memcpy (self->offsets, offsets, n_grids * sizeof *offsets);
  return finish (self, error) ? g_steal_pointer (&self) : NULL;
}

static HtGridForm
integer_form (guint bits, gboolean symmetric, gboolean strict, gint axis, gsize n_channels)
{
  return (HtGridForm){ .bits = bits,
                       .symmetric = !!symmetric,
                       .strict = symmetric && strict,
                       .axis = MAX (axis, -1),
                       .n_channels = n_channels,
                       .block_axis = -1,
                       .n_blocks = 1 };
}

/* Blocks along an axis; how many follows from the number of grids. */
static void
add_blocks (HtGridForm *form, gint block_axis, gsize block_size, gsize n_grids)
{
  if (block_axis < 0)
    return;
  form->block_axis = block_axis;
  form->block_size = block_size;
  form->n_blocks = form->n_channels > 0 ? n_grids / form->n_channels : 0;
}

/**
 * ht_encoding_new:
 * @bits: bit width, 2 to 31, or 32 for the encoding of a bias
 * @symmetric: whether zero lies in the middle of the grid
 * @strict: whether a symmetric grid leaves out its lowest code; means nothing for an asymmetric one
 * @axis: the axis that has one grid an index, or -1 for one grid in all
 * @scales: (array length=n_grids): the step of each grid, a positive number
 * @offsets: (array length=n_grids): the offset of each grid, from -n_steps to 0
 * @n_grids: how many grids there are; 1 when @axis is -1
 * @error: return location for an error
 *
 * Makes an encoding of integers from steps and offsets that are already known.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_new (guint bits, gboolean symmetric, gboolean strict, gint axis, const double *scales,
                 const gint64 *offsets, gsize n_grids, GError **error)
{
  HtGridForm form = integer_form (bits, symmetric, strict, axis, n_grids);

  g_return_val_if_fail (scales != NULL && offsets != NULL, NULL);

  return make (&form, scales, offsets, n_grids, error);
}

/**
 * ht_encoding_new_blocks:
 * @bits: bit width, 2 to 16
 * @symmetric: whether zero lies in the middle of the grid
 * @strict: whether a symmetric grid leaves out its lowest code; means nothing for an asymmetric one
 * @axis: the axis of the channels, or -1 where blocks are all there is
 * @n_channels: how many channels there are; 1 when @axis is -1
 * @block_axis: the axis that is cut into blocks
 * @block_size: the length of a block; the last one may be shorter
 * @scales: (array length=n_grids): the step of each grid, channel by channel
 * @offsets: (array length=n_grids): the offset of each grid, from -n_steps to 0
 * @n_grids: channels times blocks
 * @error: return location for an error
 *
 * Makes an encoding of integers with one grid for each block of each channel, whatever other axes there are.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_new_blocks (guint bits, gboolean symmetric, gboolean strict, gint axis, gsize n_channels, gint block_axis,
                        gsize block_size, const double *scales, const gint64 *offsets, gsize n_grids, GError **error)
{
  HtGridForm form = integer_form (bits, symmetric, strict, axis, n_channels);

  g_return_val_if_fail (scales != NULL && offsets != NULL && block_axis >= 0, NULL);

  add_blocks (&form, block_axis, block_size, n_grids);
  return make (&form, scales, offsets, n_grids, error);
}

/* scale = channel scale * block scale, in float32, as a DequantizeLinear of the block scales computes it. */
static gboolean
multiply_scales (HtEncoding *self, GError **error)
{
  guint most = 1u << self->form.scale_bits;

  for (gsize i = 0; i < self->n_grids; i++)
    {
      if (self->block_scales[i] < 1 || self->block_scales[i] > most)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                       "making an encoding: found block scale %u of grid %" G_GSIZE_FORMAT "; expected 1 to %u",
                       self->block_scales[i], i, most);
          return FALSE;
        }
      self->scales[i] = (double)((float)self->block_scales[i] * (float)self->channel_scales[i / self->form.n_blocks]);
      self->offsets[i] = -(count_steps (&self->form) + 1) / 2;
    }
  return finish (self, error);
}

/**
 * ht_encoding_new_lpbq:
 * @bits: bit width of the codes, 2 to 16
 * @scale_bits: bit width of the block scales, 1 to 15
 * @axis: the axis of the channels, or -1 for a single one
 * @block_axis: the axis that is cut into blocks
 * @block_size: the length of a block; the last one may be shorter
 * @channel_scales: (array length=n_channels): a positive number for each channel
 * @n_channels: how many channels there are
 * @block_scales: (array length=n_grids): an integer from 1 to 2^scale_bits for each grid, channel by channel
 * @n_grids: channels times blocks
 * @error: return location for an error
 *
 * Makes an encoding for low-power block quantization (LPBQ of AIMET): symmetric integers in blocks, whose scales are
 * small integers times one number for each channel.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_new_lpbq (guint bits, guint scale_bits, gint axis, gint block_axis, gsize block_size,
                      const double *channel_scales, gsize n_channels, const guint *block_scales, gsize n_grids,
                      GError **error)
{
  HtGridForm form = integer_form (bits, TRUE, FALSE, axis, n_channels);
  g_autoptr (HtEncoding) self = NULL;

  g_return_val_if_fail (channel_scales != NULL && block_scales != NULL && block_axis >= 0, NULL);

  add_blocks (&form, block_axis, block_size, n_grids);
  form.scale_bits = scale_bits;
  if (scale_bits < 1 || scale_bits > MAX_SCALE_BITS)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found block scales of %u bits; expected 1 to %d", scale_bits, MAX_SCALE_BITS);
      return NULL;
    }
  if (!check_form (&form, n_grids, error))
    return NULL;
  self = encoding_alloc (&form);
  self->channel_scales = g_memdup2 (channel_scales, n_channels * sizeof *channel_scales);
  self->block_scales = g_memdup2 (block_scales, n_grids * sizeof *block_scales);
  return multiply_scales (self, error) ? g_steal_pointer (&self) : NULL;
}

/**
 * ht_encoding_new_float:
 * @format: a floating-point format
 * @axis: the axis of the channels, or -1 for one scale in all
 * @n_channels: how many channels there are; 1 when @axis is -1
 * @block_axis: the axis that is cut into blocks, or -1
 * @block_size: the length of a block, 0 without blocks
 * @scales: (array length=n_grids) (nullable): the scale of each grid; %NULL for float16 and bfloat16, which have none
 * @n_grids: how many scales there are
 * @error: return location for an error
 *
 * Makes an encoding of floating-point numbers: scale times a number of the format. float16 and bfloat16 have no scale
 * and one grid.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_new_float (HtNumberFormat format, gint axis, gsize n_channels, gint block_axis, gsize block_size,
                       const double *scales, gsize n_grids, GError **error)
{
  HtGridForm form = integer_form (ht_number_format_get_bits (format), TRUE, FALSE, axis, n_channels);

  g_return_val_if_fail (format != HT_NUMBER_FORMAT_INT, NULL);
  g_return_val_if_fail (scales != NULL || !ht_number_format_has_scale (format), NULL);

  form.format = format;
  if (!ht_number_format_has_scale (format))
    {
      form.axis = -1;
      form.n_channels = n_grids = 1;
      return make (&form, NULL, NULL, n_grids, error);
    }
  add_blocks (&form, block_axis, block_size, n_grids);
  return make (&form, scales, NULL, n_grids, error);
}

static void
grid_from_range (HtEncoding *self, gsize index, double minimum, double maximum)
{
  gint64 n_steps = count_steps (&self->form);
  double n = (double)n_steps;
  double smallest = MIN (0x1p-23, 0.01 / n);

  minimum = MIN (minimum, 0);
  maximum = MAX (maximum, 0);
  if (self->form.symmetric && (minimum < 0 || !self->form.unsigned_symmetric))
    {
      double n_negative = (double)((n_steps + 1) / 2);
      /* A grid of four codes has only one above zero: AIMET lets a symmetric range reach beyond it. */
      double n_positive = (double)(n_steps / 2 + (n_steps == 3 ? 1 : 0));

      self->scales[index] = MAX (MAX (maximum / n_positive, -minimum / n_negative), smallest);
      self->offsets[index] = -((n_steps + 1) / 2);
    }
  else
    {
      double scale = MAX ((maximum - minimum) / n, smallest);
      gint64 offset = (gint64)round (minimum / scale);

      self->scales[index] = scale;
      self->offsets[index] = CLAMP (offset, -n_steps, 0);
    }
}

/* Scales become integers times the scale of their channel, under which the largest is the largest integer. */
static gboolean
group_scales (HtEncoding *self, GError **error)
{
  guint most = 1u << self->form.scale_bits;

  self->channel_scales = g_new (double, self->form.n_channels);
  self->block_scales = g_new (guint, self->n_grids);
  for (gsize channel = 0; channel < self->form.n_channels; channel++)
    {
      const double *scales = self->scales + channel * self->form.n_blocks;
      double largest = scales[0];

      for (gsize block = 1; block < self->form.n_blocks; block++)
        largest = MAX (largest, scales[block]);
      self->channel_scales[channel] = largest / most;
      for (gsize block = 0; block < self->form.n_blocks; block++)
        self->block_scales[channel * self->form.n_blocks + block]
            = (guint)CLAMP (rint (scales[block] / self->channel_scales[channel]), 1, most);
    }
  return multiply_scales (self, error);
}

HtEncoding *
ht_encoding_new_with_form (const HtGridForm *form, const double *minima, const double *maxima, GError **error)
{
  g_autoptr (HtEncoding) self = NULL;

  if (!check_form (form, ht_grid_form_count (form), error))
    return NULL;
  self = encoding_alloc (form);
  for (gsize i = 0; i < self->n_grids; i++)
    {
      if (!isfinite (minima[i]) || !isfinite (maxima[i]))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                       "making an encoding: found the range [%g, %g] of grid %" G_GSIZE_FORMAT
                       "; expected finite numbers",
                       minima[i], maxima[i], i);
          return NULL;
        }
      if (minima[i] > maxima[i])
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                       "making an encoding: found the range [%g, %g] of grid %" G_GSIZE_FORMAT
                       "; expected a minimum that is not above the maximum",
                       minima[i], maxima[i], i);
          return NULL;
        }
      if (form->format == HT_NUMBER_FORMAT_INT)
        grid_from_range (self, i, minima[i], maxima[i]);
      else
        self->scales[i]
            = ht_number_format_has_scale (form->format) ? MAX (
                  MAX (fabs (minima[i]), fabs (maxima[i])) / ht_number_format_get_largest (form->format), FLT_MIN)
                                                        : 1;
    }
  if (!(form->scale_bits > 0 ? group_scales (self, error) : finish (self, error)))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * ht_encoding_new_from_ranges:
 * @bits: bit width, 2 to 31, or 32 for the encoding of a bias
 * @symmetric: whether zero lies in the middle of the grid
 * @strict: whether a symmetric grid leaves out its lowest code
 * @unsigned_symmetric: whether a symmetric grid of a range without negative values uses all codes above zero
 * @axis: the axis that has one grid an index, or -1 for one grid in all
 * @minima: (array length=n_grids): the smallest value of each grid
 * @maxima: (array length=n_grids): the largest value of each grid
 * @n_grids: how many grids there are; 1 when @axis is -1
 * @error: return location for an error
 *
 * Makes the encoding of integers that covers the given ranges, each widened to hold zero.
 *
 * With n = 2^bits - 1 (one less when symmetric and strict), s = min(2^-23, 0.01 / n): a symmetric grid has
 * offset = -ceil(n / 2) and scale = max(max / floor(n / 2), -min / ceil(n / 2), s), where a grid of four codes takes 2
 * in place of floor(n / 2) = 1; an asymmetric one has scale = max((max - min) / n, s) and offset = round(min / scale),
 * halves away from zero. These are the formulas of AIMET 2.42. A range that is not finite is an error.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_new_from_ranges (guint bits, gboolean symmetric, gboolean strict, gboolean unsigned_symmetric, gint axis,
                             const double *minima, const double *maxima, gsize n_grids, GError **error)
{
  HtGridForm form = integer_form (bits, symmetric, strict, axis, n_grids);

  g_return_val_if_fail (minima != NULL && maxima != NULL, NULL);

  form.unsigned_symmetric = unsigned_symmetric;
  return ht_encoding_new_with_form (&form, minima, maxima, error);
}

/**
 * ht_encoding_with_scales:
 * @self: an encoding
 * @scales: (array length=n_grids): the new step of each grid
 * @offsets: (array length=n_grids) (nullable): the new offset of each grid; %NULL keeps those there are
 * @n_grids: as many as @self has
 * @error: return location for an error
 *
 * Makes an encoding of the same form with other steps. Those of LPBQ are rounded again: to multiples of the largest
 * one of each channel over 2^scale_bits, at least one. A format without scales keeps having none.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_with_scales (HtEncoding *self, const double *scales, const gint64 *offsets, gsize n_grids, GError **error)
{
  g_autoptr (HtEncoding) result = NULL;

  g_return_val_if_fail (self != NULL && scales != NULL, NULL);

  if (self->form.scale_bits == 0)
    return make (&self->form, scales, offsets ? offsets : self->offsets, n_grids, error);
  if (!check_form (&self->form, n_grids, error))
    return NULL;
  result = encoding_alloc (&self->form);
  memcpy (result->scales, scales, n_grids * sizeof *scales);
  /* Before they are divided by each other. */
  for (gsize i = 0; i < n_grids; i++)
    if (!check_grid (result, i, error))
      return NULL;
  return group_scales (result, error) ? g_steal_pointer (&result) : NULL;
}
