/* SPDX-License-Identifier: MIT */
/* The grid of one tensor: format, scale and offset of each channel or block. */
#include "quant/encoding-private.h"

#include <string.h>

/**
 * HtEncoding:
 *
 * The grid of one tensor, one grid for each index of one axis, or one for each block of another axis at each such
 * index.
 *
 * Integers: a value is represented as `scale * (q + offset)` with the code q in [0, n_steps] and offset in [-n_steps,
 * 0]; the unsigned zero point of ONNX is -offset. A `symmetric` grid has its zero in the middle (or at the bottom, when
 * it was made unsigned), a `strict` one leaves the lowest code out, so that it mirrors itself.
 *
 * The stored scale and offset are what is used, in float32 and exactly as QuantizeLinear and DequantizeLinear of ONNX
 * compute: the scale is narrowed to float32, values are divided by it, and halves are rounded to the even neighbour
 * (AIMET rounds halves up; this is the one place where the difference is written down). Only the offset itself, when a
 * range becomes a grid, is rounded with halves away from zero.
 *
 * Floating point: a value is represented as `scale` times a number of the format, rounded to nearest, ties to even, as
 * Cast of ONNX rounds. float16 and bfloat16 have no scale, and what is beyond their largest value becomes infinite, as
 * on a device; the formats of 8 bits are scaled so that the largest value is that of the format, and saturate.
 *
 * Blocks: grids lie channel by channel, and by blocks within a channel. The last block of an axis may be shorter, as in
 * ONNX (AIMET refuses that). All other axes share a grid. The block scales of LPBQ are small integers times one number
 * for each channel.
 *
 * Immutable and counted.
 */

G_DEFINE_BOXED_TYPE (HtEncoding, ht_encoding, ht_encoding_ref, ht_encoding_unref)

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
  g_free (self->channel_scales);
  g_free (self->block_scales);
  g_free (self->narrow);
  g_free (self);
}

/**
 * ht_encoding_get_format:
 * @self: an encoding
 *
 * Gets the number format.
 *
 * Returns: integers, or which floating-point numbers
 */
HtNumberFormat
ht_encoding_get_format (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, HT_NUMBER_FORMAT_INT);

  return self->form.format;
}

/**
 * ht_encoding_is_integer:
 * @self: an encoding
 *
 * Tells integers from floating-point numbers, for which steps, offsets and codes mean nothing.
 *
 * Returns: %TRUE for integers
 */
gboolean
ht_encoding_is_integer (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->form.format == HT_NUMBER_FORMAT_INT;
}

/**
 * ht_encoding_get_bits:
 * @self: an encoding
 *
 * Gets the bit width.
 *
 * Returns: 2 to 32 for integers, 8 or 16 for floating-point formats
 */
guint
ht_encoding_get_bits (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->form.bits;
}

/**
 * ht_encoding_is_symmetric:
 * @self: an encoding
 *
 * Tells whether the grid is symmetric.
 *
 * Returns: %TRUE when zero lies in the middle (or at the bottom of an unsigned symmetric grid) by construction; always
 *   for floating-point formats
 */
gboolean
ht_encoding_is_symmetric (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->form.symmetric;
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

  return self->form.strict;
}

/**
 * ht_encoding_is_unsigned:
 * @self: an encoding
 *
 * Tells whether a grid holds no negative values by construction.
 *
 * Returns: %TRUE for a symmetric integer grid with zero at its bottom
 */
gboolean
ht_encoding_is_unsigned (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if (!ht_encoding_is_integer (self) || !self->form.symmetric)
    return FALSE;
  for (gsize i = 0; i < self->n_grids; i++)
    if (self->offsets[i] != 0)
      return FALSE;
  return TRUE;
}

/**
 * ht_encoding_get_n_steps:
 * @self: an encoding
 *
 * Gets the highest code: 2^bits - 1, one less for a strict symmetric grid; 0 for floating-point formats.
 *
 * Returns: the number of steps from the lowest to the highest value
 */
gint64
ht_encoding_get_n_steps (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  if (!ht_encoding_is_integer (self))
    return 0;
  return (((gint64)1) << self->form.bits) - (self->form.strict ? 2 : 1);
}

/**
 * ht_encoding_get_axis:
 * @self: an encoding
 *
 * Gets the axis of the channels, each of which has a grid, or one for each block.
 *
 * Returns: the axis, or -1 where channels share their grids
 */
gint
ht_encoding_get_axis (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->form.axis;
}

/**
 * ht_encoding_get_n_channels:
 * @self: an encoding
 *
 * Counts the channels.
 *
 * Returns: the length of the axis of ht_encoding_get_axis(), 1 where there is none
 */
gsize
ht_encoding_get_n_channels (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->form.n_channels;
}

/**
 * ht_encoding_get_block_axis:
 * @self: an encoding
 *
 * Gets the axis that is cut into blocks.
 *
 * Returns: the axis, or -1 where there are no blocks
 */
gint
ht_encoding_get_block_axis (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->form.block_axis;
}

/**
 * ht_encoding_get_block_size:
 * @self: an encoding
 *
 * Gets the length of a block.
 *
 * Returns: the length of all blocks but the last, which may be shorter; 0 where there are no blocks
 */
gsize
ht_encoding_get_block_size (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->form.block_size;
}

/**
 * ht_encoding_get_scale_bits:
 * @self: an encoding
 *
 * Gets the width of the block scales of LPBQ.
 *
 * Returns: the width in bits, 0 for all other encodings
 */
guint
ht_encoding_get_scale_bits (HtEncoding *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->form.scale_bits;
}

/**
 * ht_encoding_get_channel_scales:
 * @self: an encoding
 * @n_channels: (out) (optional): how many there are
 *
 * Gets the scale of each channel of LPBQ: what its integer block scales are multiplied by.
 *
 * Returns: (transfer none) (array length=n_channels) (nullable): the scales, %NULL for all other encodings
 */
const double *
ht_encoding_get_channel_scales (HtEncoding *self, gsize *n_channels)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (n_channels)
    *n_channels = self->channel_scales ? self->form.n_channels : 0;
  return self->channel_scales;
}

/**
 * ht_encoding_get_block_scales:
 * @self: an encoding
 * @n_grids: (out) (optional): how many there are
 *
 * Gets the integer scale of each block of LPBQ.
 *
 * Returns: (transfer none) (array length=n_grids) (nullable): integers from 1 to 2^scale_bits, channel by channel;
 * %NULL for all other encodings
 */
const guint *
ht_encoding_get_block_scales (HtEncoding *self, gsize *n_grids)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (n_grids)
    *n_grids = self->block_scales ? self->n_grids : 0;
  return self->block_scales;
}

/**
 * ht_encoding_get_scales:
 * @self: an encoding
 * @n_grids: (out) (optional): how many there are
 *
 * Gets the step of each grid, channel by channel; of a floating-point format its scale, 1 where it has none.
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
 * Gets the offset of each grid, zero or negative; zero for floating-point formats.
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
 * Gets the lowest value of a grid, scale * offset, or the lowest finite one of a floating-point format.
 *
 * Returns: the value
 */
double
ht_encoding_get_minimum (HtEncoding *self, gsize index)
{
  g_return_val_if_fail (self != NULL && index < self->n_grids, 0);

  if (!ht_encoding_is_integer (self))
    return -self->scales[index] * ht_number_format_get_largest (self->form.format);
  return self->scales[index] * (double)self->offsets[index];
}

/**
 * ht_encoding_get_maximum:
 * @self: an encoding
 * @index: which grid
 *
 * Gets the highest value of a grid, scale * (offset + n_steps), or the highest finite one of a floating-point format.
 *
 * Returns: the value
 */
double
ht_encoding_get_maximum (HtEncoding *self, gsize index)
{
  g_return_val_if_fail (self != NULL && index < self->n_grids, 0);

  if (!ht_encoding_is_integer (self))
    return self->scales[index] * ht_number_format_get_largest (self->form.format);
  return self->scales[index] * (double)(self->offsets[index] + ht_encoding_get_n_steps (self));
}

/* Whether channels and blocks are the same, and all settings but those that only say how ranges become grids. */
static gboolean
same_form (const HtGridForm *a, const HtGridForm *b)
{
  return a->format == b->format && a->bits == b->bits && a->symmetric == b->symmetric && a->strict == b->strict
         && a->axis == b->axis && a->n_channels == b->n_channels && a->block_axis == b->block_axis
         && a->block_size == b->block_size && a->n_blocks == b->n_blocks && a->scale_bits == b->scale_bits;
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

  if (a == b)
    return TRUE;
  if (!same_form (&a->form, &b->form) || memcmp (a->scales, b->scales, a->n_grids * sizeof *a->scales) != 0
      || memcmp (a->offsets, b->offsets, a->n_grids * sizeof *a->offsets) != 0)
    return FALSE;
  /* The same products may have come from other factors. */
  return a->form.scale_bits == 0
         || (memcmp (a->channel_scales, b->channel_scales, a->form.n_channels * sizeof *a->channel_scales) == 0
             && memcmp (a->block_scales, b->block_scales, a->n_grids * sizeof *a->block_scales) == 0);
}

HtEncoding *
ht_encoding_copy_rounding_up (HtEncoding *self)
{
  HtEncoding *copy = g_memdup2 (self, sizeof *self);

  g_atomic_ref_count_init (&copy->n_refs);
  copy->scales = g_memdup2 (self->scales, self->n_grids * sizeof *self->scales);
  copy->offsets = g_memdup2 (self->offsets, self->n_grids * sizeof *self->offsets);
  copy->narrow = g_memdup2 (self->narrow, 2 * self->n_grids * sizeof *self->narrow);
  copy->channel_scales = g_memdup2 (self->channel_scales, self->form.n_channels * sizeof *self->channel_scales);
  copy->block_scales = g_memdup2 (self->block_scales, self->n_grids * sizeof *self->block_scales);
  copy->rounds_up = TRUE;
  return copy;
}

static void
digest_integer (GChecksum *checksum, gint64 value)
{
  guint64 bytes = GUINT64_TO_LE ((guint64)value);

  g_checksum_update (checksum, (const guchar *)&bytes, sizeof bytes);
}

static void
digest_double (GChecksum *checksum, double value)
{
  gint64 bits;

  memcpy (&bits, &value, sizeof bits);
  digest_integer (checksum, bits);
}

void
ht_encoding_digest (HtEncoding *self, GChecksum *checksum)
{
  const HtGridForm *form = &self->form;
  const gint64 parts[] = { form->format,
                           form->bits,
                           form->symmetric,
                           form->strict,
                           form->axis,
                           (gint64)form->n_channels,
                           form->block_axis,
                           (gint64)form->block_size,
                           (gint64)form->n_blocks,
                           form->scale_bits };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    digest_integer (checksum, parts[i]);
  for (gsize i = 0; i < self->n_grids; i++)
    {
      digest_double (checksum, self->scales[i]);
      digest_integer (checksum, self->offsets[i]);
    }
  for (gsize i = 0; self->channel_scales && i < form->n_channels; i++)
    digest_double (checksum, self->channel_scales[i]);
  for (gsize i = 0; self->block_scales && i < self->n_grids; i++)
    digest_integer (checksum, self->block_scales[i]);
}

static char *
describe_format (HtEncoding *self)
{
  if (!ht_encoding_is_integer (self))
    return g_strdup (ht_number_format_get_name (self->form.format));
  return g_strdup_printf ("%u bits, %s%s", self->form.bits, self->form.strict ? "strict " : "",
                          self->form.symmetric ? "symmetric" : "asymmetric");
}

static char *
describe_layout (HtEncoding *self)
{
  const HtGridForm *form = &self->form;
  GString *text = g_string_new (NULL);

  if (form->axis >= 0)
    g_string_append_printf (text, ", %" G_GSIZE_FORMAT " channels along axis %d", form->n_channels, form->axis);
  if (form->block_axis >= 0)
    g_string_append_printf (text, ", blocks of %" G_GSIZE_FORMAT " along axis %d", form->block_size, form->block_axis);
  if (form->scale_bits > 0)
    g_string_append_printf (text, " with scales of %u bits", form->scale_bits);
  return g_string_free (text, FALSE);
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
  g_autofree char *format = NULL, *layout = NULL;
  double lowest, highest;

  g_return_val_if_fail (self != NULL, NULL);

  format = describe_format (self);
  if (!ht_number_format_has_scale (self->form.format))
    return g_steal_pointer (&format);
  if (self->form.axis < 0 && self->form.block_axis < 0)
    {
      g_autofree char *offset = ht_encoding_is_integer (self)
                                    ? g_strdup_printf (", offset %" G_GINT64_FORMAT, self->offsets[0])
                                    : g_strdup ("");

      return g_strdup_printf ("%s, scale %.9g%s, range [%.9g, %.9g]", format, self->scales[0], offset,
                              ht_encoding_get_minimum (self, 0), ht_encoding_get_maximum (self, 0));
    }
  lowest = highest = self->scales[0];
  for (gsize i = 1; i < self->n_grids; i++)
    {
      lowest = MIN (lowest, self->scales[i]);
      highest = MAX (highest, self->scales[i]);
    }
  layout = describe_layout (self);
  return g_strdup_printf ("%s%s, scales from %.9g to %.9g", format, layout, lowest, highest);
}
