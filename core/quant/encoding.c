/* SPDX-License-Identifier: MIT */
/* The grid of one tensor: scale and offset of each channel, and how ranges become grids. */
#include <halftone/encoding.h>
#include <halftone/error.h>

#include <float.h>
#include <math.h>
#include <string.h>

/**
 * HtEncoding:
 *
 * The integer grid of one tensor, or one grid for each index of one axis.
 *
 * A value is represented as `scale * (q + offset)` with the code q in [0, n_steps] and offset in [-n_steps, 0]; the
 * unsigned zero point of ONNX is -offset. A `symmetric` grid has its zero in the middle (or at the bottom, when it was
 * made unsigned), a `strict` one leaves the lowest code out, so that it mirrors itself.
 *
 * The stored scale and offset are what is used, in float32 and exactly as QuantizeLinear and DequantizeLinear of ONNX
 * compute: the scale is narrowed to float32, values are divided by it, and halves are rounded to the even neighbour
 * (AIMET rounds halves up; this is the one place where the difference is written down). Only the offset itself, when a
 * range becomes a grid, is rounded with halves away from zero.
 *
 * Immutable and counted.
 */
struct _HtEncoding
{
  gatomicrefcount n_refs;
  guint bits;
  gboolean symmetric;
  gboolean strict;
  gint axis; /* -1: one grid for the whole tensor */
  gsize n_grids;
  double *scales;
  gint64 *offsets;
};

G_DEFINE_BOXED_TYPE (HtEncoding, ht_encoding, ht_encoding_ref, ht_encoding_unref)

static gint64
count_steps (guint bits, gboolean symmetric, gboolean strict)
{
  return (((gint64) 1) << bits) - (symmetric && strict ? 2 : 1);
}

static HtEncoding *
encoding_alloc (guint bits, gboolean symmetric, gboolean strict, gint axis, gsize n_grids)
{
  HtEncoding *self = g_new0 (HtEncoding, 1);

  g_atomic_ref_count_init (&self->n_refs);
  self->bits = bits;
  self->symmetric = !!symmetric;
  self->strict = symmetric && strict;
  self->axis = MAX (axis, -1);
  self->n_grids = n_grids;
  self->scales = g_new0 (double, n_grids);
  self->offsets = g_new0 (gint64, n_grids);
  return self;
}

static gboolean
check_form (guint bits, gint axis, gsize n_grids, GError **error)
{
  if ((bits < 2 || bits > 16) && bits != 32)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding of %u bits: expected 2 to 16 (or 32 for a bias)", bits);
      return FALSE;
    }
  if (n_grids == 0 || (axis < 0 && n_grids != 1))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making an encoding: found %" G_GSIZE_FORMAT " grids %s; expected %s", n_grids,
                   axis < 0 ? "for a whole tensor" : "for the channels of an axis",
                   axis < 0 ? "exactly one" : "at least one");
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_grid (HtEncoding *self, gsize index, GError **error)
{
  gint64 n_steps = ht_encoding_get_n_steps (self);
  double scale = self->scales[index];
  gint64 offset = self->offsets[index];
  float narrowed = (float) scale;

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
  if (self->symmetric && offset != 0 && offset != -((n_steps + 1) / 2))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "making a symmetric encoding of %u bits: found offset %" G_GINT64_FORMAT " of grid %" G_GSIZE_FORMAT
                   "; expected %" G_GINT64_FORMAT " (or 0 for an unsigned one)",
                   self->bits, offset, index, -((n_steps + 1) / 2));
      return FALSE;
    }
  return TRUE;
}

/**
 * ht_encoding_new:
 * @bits: bit width, 2 to 16, or 32 for the encoding of a bias
 * @symmetric: whether zero lies in the middle of the grid
 * @strict: whether a symmetric grid leaves out its lowest code; means nothing for an asymmetric one
 * @axis: the axis that has one grid an index, or -1 for one grid in all
 * @scales: (array length=n_grids): the step of each grid, a positive number
 * @offsets: (array length=n_grids): the offset of each grid, from -n_steps to 0
 * @n_grids: how many grids there are; 1 when @axis is -1
 * @error: return location for an error
 *
 * Makes an encoding from steps and offsets that are already known.
 *
 * Returns: (transfer full) (nullable): the encoding, or %NULL with @error set
 */
HtEncoding *
ht_encoding_new (guint bits, gboolean symmetric, gboolean strict, gint axis, const double *scales,
                 const gint64 *offsets, gsize n_grids, GError **error)
{
  g_autoptr (HtEncoding) self = NULL;

  g_return_val_if_fail (scales != NULL && offsets != NULL, NULL);

  if (!check_form (bits, axis, n_grids, error))
    return NULL;
  self = encoding_alloc (bits, symmetric, strict, axis, n_grids);
  memcpy (self->scales, scales, n_grids * sizeof *scales);
  memcpy (self->offsets, offsets, n_grids * sizeof *offsets);
  for (gsize i = 0; i < n_grids; i++)
    if (!check_grid (self, i, error))
      return NULL;
  return g_steal_pointer (&self);
}

static void
grid_from_range (HtEncoding *self, gsize index, double minimum, double maximum, gboolean unsigned_symmetric)
{
  gint64 n_steps = ht_encoding_get_n_steps (self);
  double n = (double) n_steps;
  double smallest = MIN (0x1p-23, 0.01 / n);

  minimum = MIN (minimum, 0);
  maximum = MAX (maximum, 0);
  if (self->symmetric && (minimum < 0 || !unsigned_symmetric))
    {
      double n_negative = (double) ((n_steps + 1) / 2);
      /* A grid of four codes has only one above zero: AIMET lets a symmetric range reach beyond it. */
      double n_positive = (double) (n_steps / 2 + (n_steps == 3 ? 1 : 0));

      self->scales[index] = MAX (MAX (maximum / n_positive, -minimum / n_negative), smallest);
      self->offsets[index] = -((n_steps + 1) / 2);
    }
  else
    {
      double scale = MAX ((maximum - minimum) / n, smallest);
      gint64 offset = (gint64) round (minimum / scale);

      self->scales[index] = scale;
      self->offsets[index] = CLAMP (offset, -n_steps, 0);
    }
}

/**
 * ht_encoding_new_from_ranges:
 * @bits: bit width, 2 to 16, or 32 for the encoding of a bias
 * @symmetric: whether zero lies in the middle of the grid
 * @strict: whether a symmetric grid leaves out its lowest code
 * @unsigned_symmetric: whether a symmetric grid of a range without negative values uses all codes above zero
 * @axis: the axis that has one grid an index, or -1 for one grid in all
 * @minima: (array length=n_grids): the smallest value of each grid
 * @maxima: (array length=n_grids): the largest value of each grid
 * @n_grids: how many grids there are; 1 when @axis is -1
 * @error: return location for an error
 *
 * Makes the encoding that covers the given ranges, each widened to hold zero.
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
  g_autoptr (HtEncoding) self = NULL;

  g_return_val_if_fail (minima != NULL && maxima != NULL, NULL);

  if (!check_form (bits, axis, n_grids, error))
    return NULL;
  self = encoding_alloc (bits, symmetric, strict, axis, n_grids);
  for (gsize i = 0; i < n_grids; i++)
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
      grid_from_range (self, i, minima[i], maxima[i], unsigned_symmetric);
      if (!check_grid (self, i, error))
        return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * ht_encoding_ref:
 * @self: an encoding
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @self
 */
HtEncoding *
ht_encoding_ref (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

/**
 * ht_encoding_unref:
 * @self: (transfer full): an encoding
 *
 * Gives a reference back; the last one frees the encoding.
 */
void
ht_encoding_unref (HtEncoding *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_free (self->scales);
  g_free (self->offsets);
  g_free (self);
}

/**
 * ht_encoding_get_bits:
 * @self: an encoding
 *
 * Gets the bit width.
 *
 * Returns: 2 to 16, or 32
 */
guint
ht_encoding_get_bits (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->bits;
}

/**
 * ht_encoding_is_symmetric:
 * @self: an encoding
 *
 * Tells whether the grid is symmetric.
 *
 * Returns: %TRUE when zero lies in the middle (or at the bottom of an unsigned symmetric grid) by construction
 */
gboolean
ht_encoding_is_symmetric (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->symmetric;
}

/**
 * ht_encoding_is_strict:
 * @self: an encoding
 *
 * Tells whether a symmetric grid leaves its lowest code out.
 *
 * Returns: %TRUE when it does
 */
gboolean
ht_encoding_is_strict (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->strict;
}

/**
 * ht_encoding_get_n_steps:
 * @self: an encoding
 *
 * Gets the highest code: 2^bits - 1, one less for a strict symmetric grid.
 *
 * Returns: the number of steps from the lowest to the highest value
 */
gint64
ht_encoding_get_n_steps (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return count_steps (self->bits, self->symmetric, self->strict);
}

/**
 * ht_encoding_get_axis:
 * @self: an encoding
 *
 * Gets the axis that has one grid an index.
 *
 * Returns: the axis, or -1 for one grid in all
 */
gint
ht_encoding_get_axis (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->axis;
}

/**
 * ht_encoding_get_scales:
 * @self: an encoding
 * @n_grids: (out) (optional): how many there are
 *
 * Gets the step of each grid.
 *
 * Returns: (transfer none) (array length=n_grids): the scales
 */
const double *
ht_encoding_get_scales (HtEncoding *self, gsize *n_grids)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (n_grids)
    *n_grids = self->n_grids;
  return self->scales;
}

/**
 * ht_encoding_get_offsets:
 * @self: an encoding
 * @n_grids: (out) (optional): how many there are
 *
 * Gets the offset of each grid, zero or negative.
 *
 * Returns: (transfer none) (array length=n_grids): the offsets
 */
const gint64 *
ht_encoding_get_offsets (HtEncoding *self, gsize *n_grids)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (n_grids)
    *n_grids = self->n_grids;
  return self->offsets;
}

/**
 * ht_encoding_get_minimum:
 * @self: an encoding
 * @index: which grid
 *
 * Gets the lowest value of a grid, scale * offset.
 *
 * Returns: the value
 */
double
ht_encoding_get_minimum (HtEncoding *self, gsize index)
{
  g_return_val_if_fail (self != NULL && index < self->n_grids, 0);

  return self->scales[index] * (double) self->offsets[index];
}

/**
 * ht_encoding_get_maximum:
 * @self: an encoding
 * @index: which grid
 *
 * Gets the highest value of a grid, scale * (offset + n_steps).
 *
 * Returns: the value
 */
double
ht_encoding_get_maximum (HtEncoding *self, gsize index)
{
  g_return_val_if_fail (self != NULL && index < self->n_grids, 0);

  return self->scales[index] * (double) (self->offsets[index] + ht_encoding_get_n_steps (self));
}

/**
 * ht_encoding_equal:
 * @a: an encoding
 * @b: another one
 *
 * Compares two encodings exactly.
 *
 * Returns: %TRUE when all their parts are the same
 */
gboolean
ht_encoding_equal (HtEncoding *a, HtEncoding *b)
{
  g_return_val_if_fail (a != NULL && b != NULL, FALSE);

  return a == b
         || (a->bits == b->bits && a->symmetric == b->symmetric && a->strict == b->strict && a->axis == b->axis
             && a->n_grids == b->n_grids && memcmp (a->scales, b->scales, a->n_grids * sizeof *a->scales) == 0
             && memcmp (a->offsets, b->offsets, a->n_grids * sizeof *a->offsets) == 0);
}

/**
 * ht_encoding_to_string:
 * @self: an encoding
 *
 * Describes an encoding on one line, for messages and listings.
 *
 * Returns: (transfer full): the text
 */
char *
ht_encoding_to_string (HtEncoding *self)
{
  g_autofree char *form = NULL;
  double lowest, highest;

  g_return_val_if_fail (self != NULL, NULL);

  form = g_strdup_printf ("%u bits, %s%s", self->bits, self->strict ? "strict " : "",
                          self->symmetric ? "symmetric" : "asymmetric");
  if (self->axis < 0)
    return g_strdup_printf ("%s, scale %.9g, offset %" G_GINT64_FORMAT ", range [%.9g, %.9g]", form, self->scales[0],
                            self->offsets[0], ht_encoding_get_minimum (self, 0), ht_encoding_get_maximum (self, 0));
  lowest = highest = self->scales[0];
  for (gsize i = 1; i < self->n_grids; i++)
    {
      lowest = MIN (lowest, self->scales[i]);
      highest = MAX (highest, self->scales[i]);
    }
  return g_strdup_printf ("%s, %" G_GSIZE_FORMAT " channels along axis %d, scales from %.9g to %.9g", form,
                          self->n_grids, self->axis, lowest, highest);
}
