/* SPDX-License-Identifier: MIT */
/* Version 2.0.0: one list, in the terms of ONNX's QuantizeLinear; 2.1.0 adds scales that are encoded themselves. Zero
 * points are those of the type that codes are stored in. */
#include "quant/encodings-file.h"

#include <errno.h>
#include <math.h>
#include <string.h>

typedef struct
{
  const char *name;
  HtNumberFormat format;
} FloatType;

static const FloatType float_types[] = {
  { "float8e4m3fn", HT_NUMBER_FORMAT_FLOAT8E4M3FN },
  { "float8e5m2", HT_NUMBER_FORMAT_FLOAT8E5M2 },
};

/* "int4", "uint8": 0 where it is neither. */
static guint
read_integer_type (const char *type, gboolean *is_signed)
{
  guint64 bits;

  *is_signed = type[0] != 'u';
  if (!*is_signed)
    type++;
  if (!g_str_has_prefix (type, "int") || !g_ascii_string_to_unsigned (type + strlen ("int"), 10, 2, 32, &bits, NULL))
    return 0;
  return (guint)bits;
}

/* TRUE: `entry` has format and bits. */
static gboolean
read_type (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry, gboolean *is_signed)
{
  const char *type = ht_encodings_require_text (self, node, "output_dtype");

  if (!type)
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (float_types); i++)
    if (strcmp (type, float_types[i].name) == 0)
      {
        entry->format = float_types[i].format;
        entry->bits = 8;
        return TRUE;
      }
  entry->bits = read_integer_type (type, is_signed);
  if (entry->bits > 0)
    return TRUE;
  ht_encodings_complain (self, ht_located_node_lookup (node, "output_dtype", NULL),
                         "'output_dtype' is '%s'; expected int2 … int32, uint2 … uint32, float8e4m3fn or float8e5m2",
                         type);
  return FALSE;
}

static gboolean
read_axis (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  gint64 size;

  if (ht_located_node_lookup (node, "axis", NULL))
    {
      if (!ht_encodings_require_integer (self, node, "axis", -HT_TENSOR_MAX_DIMS, HT_TENSOR_MAX_DIMS - 1, &entry->axis))
        return FALSE;
      entry->has_axis = TRUE;
    }
  if (!ht_located_node_lookup (node, "block_size", NULL))
    return TRUE;
  if (!ht_encodings_require (self, node, "axis")
      || !ht_encodings_require_integer (self, node, "block_size", 1, G_MAXINT32, &size))
    return FALSE;
  entry->block_size = (gsize)size;
  return TRUE;
}

/* What the zero points say of the symmetry, and the offsets that they are. */
static gboolean
take_zero_points (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry, const double *zero_points,
                  gboolean is_signed)
{
  gint64 half = (gint64)1 << (entry->bits - 1), first = zero_points ? (gint64)zero_points[0] : 0;
  gboolean uniform = TRUE;

  entry->offsets = g_new (gint64, entry->scales.n);
  for (gsize i = 0; i < entry->scales.n; i++)
    {
      gint64 zero_point = zero_points ? (gint64)zero_points[i] : 0, lowest = is_signed ? -half : 0;

      if (zero_point < lowest || zero_point >= lowest + 2 * half)
        {
          ht_encodings_complain (self, ht_located_node_lookup (node, "y_zero_point", NULL),
                                 "'y_zero_point' has the number %" G_GINT64_FORMAT
                                 ", which 'output_dtype' does not hold; expected %" G_GINT64_FORMAT
                                 " … %" G_GINT64_FORMAT,
                                 zero_point, lowest, lowest + 2 * half - 1);
          return FALSE;
        }
      uniform &= zero_point == first;
      entry->offsets[i] = lowest - zero_point;
    }
  entry->symmetry = HT_ENCODINGS_ASYMMETRIC;
  /* -1: strict, as AIMET writes it; -2^(bits-1): zero at the bottom. */
  if (is_signed && uniform && (first == 0 || first == -1 || first == -half))
    entry->symmetry = HT_ENCODINGS_SYMMETRIC;
  else if (!is_signed && uniform && (first == 0 || first == half))
    entry->symmetry = HT_ENCODINGS_EITHER;
  return TRUE;
}

static gboolean
read_zero_points (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry, gboolean is_signed)
{
  HtLocatedNode *list = ht_located_node_lookup (node, "y_zero_point", NULL);
  g_auto (HtEncodingsNumbers) numbers = { 0 };

  if (list && !ht_encodings_read_numbers (self, list, HT_ENCODINGS_INTEGERS, &numbers))
    return FALSE;
  if (list && numbers.n != entry->scales.n)
    {
      ht_encodings_complain (self, list,
                             "'y_zero_point' has %" G_GSIZE_FORMAT " numbers, 'y_scale' has %" G_GSIZE_FORMAT
                             "; expected as many",
                             numbers.n, entry->scales.n);
      return FALSE;
    }
  if (entry->format == HT_NUMBER_FORMAT_INT)
    return take_zero_points (self, node, entry, list ? numbers.values : NULL, is_signed);
  for (gsize i = 0; i < numbers.n; i++)
    if (numbers.values[i] != 0)
      {
        ht_encodings_complain (self, list, "'y_zero_point' is not 0, which floating-point formats need");
        return FALSE;
      }
  return TRUE;
}

static gboolean
check_shape (HtEncodingsReader *self, HtLocatedNode *node, const char *key, HtEncodingsEntry *entry)
{
  const HtEncodingsNumbers *scales = &entry->scales;

  entry->shape = entry->block_size > 0 ? HT_ENCODINGS_BLOCK
                 : entry->has_axis     ? HT_ENCODINGS_CHANNEL
                                       : HT_ENCODINGS_TENSOR;
  if (entry->shape == HT_ENCODINGS_TENSOR && scales->n != 1)
    ht_encodings_complain (self, ht_located_node_lookup (node, key, NULL),
                           "'%s' has %" G_GSIZE_FORMAT
                           " numbers; expected 1, or 'axis' to say which dimension they are for",
                           key, scales->n);
  else if (entry->shape == HT_ENCODINGS_CHANNEL && scales->n_dims != 1)
    ht_encodings_complain (self, ht_located_node_lookup (node, key, NULL),
                           "'%s' is %s; expected a list of numbers, one for each index of the axis", key,
                           scales->n_dims == 0 ? "a number" : "lists of lists");
  else if (entry->shape == HT_ENCODINGS_BLOCK && scales->n_dims < 2)
    ht_encodings_complain (self, ht_located_node_lookup (node, key, NULL),
                           "'%s' has %u dimensions; expected nested lists with those of the tensor, as there is a "
                           "'block_size'",
                           key, scales->n_dims);
  else
    return TRUE;
  return FALSE;
}

static gboolean
finish_lpbq (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry, gboolean is_signed)
{
  if (entry->format != HT_NUMBER_FORMAT_INT || !is_signed)
    {
      ht_encodings_complain (self, ht_located_node_lookup (node, "output_dtype", NULL),
                             "'output_dtype' is '%s'; expected a signed integer, as LPBQ is symmetric",
                             ht_located_node_get_text (ht_located_node_lookup (node, "output_dtype", NULL)));
      return FALSE;
    }
  if (entry->block_size == 0)
    {
      ht_encodings_complain (self, node, "the keys 'axis' and 'block_size' are missing");
      return FALSE;
    }
  entry->shape = HT_ENCODINGS_LPBQ;
  entry->symmetry = HT_ENCODINGS_SYMMETRIC;
  return TRUE;
}

static gboolean
read_lpbq (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry, gboolean is_signed)
{
  HtLocatedNode *scales = ht_encodings_require (self, node, "per_channel_float_scale");
  HtLocatedNode *blocks = ht_encodings_require (self, node, "per_block_int_scale");

  if (!scales || !blocks || !ht_encodings_read_numbers (self, scales, HT_ENCODINGS_SCALES, &entry->scales)
      || !ht_encodings_read_numbers (self, blocks, HT_ENCODINGS_BLOCK_SCALES, &entry->block_scales))
    return FALSE;
  entry->scale_bits = entry->bits;
  return finish_lpbq (self, node, entry, is_signed);
}

/* How far apart the items of a dimension are. */
static gsize
stride_of (const HtEncodingsNumbers *numbers, guint axis)
{
  gsize stride = 1;

  for (guint i = axis + 1; i < numbers->n_dims; i++)
    stride *= (gsize)numbers->dims[i];
  return stride;
}

typedef struct
{
  HtEncodingsNumbers x, scales, zero_points;
  gint64 axis;      /* of x; -1: one scale in all */
  gsize block_size; /* items of the axis that share a scale */
} Meta;

static void
meta_clear (Meta *meta)
{
  ht_encodings_numbers_clear (&meta->x);
  ht_encodings_numbers_clear (&meta->scales);
  ht_encodings_numbers_clear (&meta->zero_points);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Meta, meta_clear)

static gboolean
check_meta (HtEncodingsReader *self, HtLocatedNode *node, Meta *meta, gboolean has_axis)
{
  gsize expected = 1;

  if (has_axis && meta->axis < 0)
    meta->axis += meta->x.n_dims;
  if (has_axis && (meta->axis < 0 || meta->axis >= meta->x.n_dims))
    {
      ht_encodings_complain (self, node, "'axis' is beyond the %u dimensions of 'x'", meta->x.n_dims);
      return FALSE;
    }
  if (!has_axis)
    meta->axis = -1;
  else
    expected = ((gsize)meta->x.dims[meta->axis] + meta->block_size - 1) / meta->block_size;
  if (meta->scales.n == expected && (meta->zero_points.n == 0 || meta->zero_points.n == expected))
    return TRUE;
  ht_encodings_complain (self, node,
                         "'x_scale' has %" G_GSIZE_FORMAT " numbers and 'x_zero_point' %" G_GSIZE_FORMAT
                         "; expected %" G_GSIZE_FORMAT,
                         meta->scales.n, meta->zero_points.n, expected);
  return FALSE;
}

static gboolean
read_meta (HtEncodingsReader *self, HtLocatedNode *node, Meta *meta)
{
  static const char *const keys[] = { "axis", "block_size", "input_dtype", "x", "x_scale", "x_zero_point", NULL };
  HtLocatedNode *x = ht_encodings_require (self, node, "x"), *scale = ht_encodings_require (self, node, "x_scale");
  HtLocatedNode *zero_point = ht_located_node_lookup (node, "x_zero_point", NULL);
  gboolean has_axis = ht_located_node_lookup (node, "axis", NULL) != NULL;
  gint64 size = 1;

  if (!ht_encodings_check_keys (self, node, keys) || !x || !scale
      || !ht_encodings_read_numbers (self, x, HT_ENCODINGS_NUMBERS, &meta->x)
      || !ht_encodings_read_numbers (self, scale, HT_ENCODINGS_SCALES, &meta->scales)
      || (zero_point && !ht_encodings_read_numbers (self, zero_point, HT_ENCODINGS_INTEGERS, &meta->zero_points))
      || (has_axis
          && !ht_encodings_require_integer (self, node, "axis", -HT_TENSOR_MAX_DIMS, HT_TENSOR_MAX_DIMS - 1,
                                            &meta->axis))
      || (ht_located_node_lookup (node, "block_size", NULL)
          && !ht_encodings_require_integer (self, node, "block_size", 1, G_MAXINT32, &size)))
    return FALSE;
  meta->block_size = (gsize)size;
  return check_meta (self, node, meta, has_axis);
}

/* Integers times one number for each channel, along another axis than that of the blocks. */
static gboolean
is_lpbq (const Meta *meta, const HtEncodingsEntry *entry)
{
  gint64 block_axis = entry->axis < 0 ? entry->axis + meta->x.n_dims : entry->axis;

  if (entry->block_size == 0 || meta->axis < 0 || meta->axis == block_axis || meta->block_size != 1)
    return FALSE;
  for (gsize i = 0; i < meta->zero_points.n; i++)
    if (meta->zero_points.values[i] != 0)
      return FALSE;
  for (gsize i = 0; i < meta->x.n; i++)
    if (meta->x.values[i] != floor (meta->x.values[i]) || meta->x.values[i] < 1 || meta->x.values[i] > 32768)
      return FALSE;
  return TRUE;
}

/* The scales themselves: (x - zero point) * scale. */
static gboolean
decode_meta (HtEncodingsReader *self, HtLocatedNode *node, const Meta *meta, HtEncodingsNumbers *scales)
{
  gsize stride = meta->axis >= 0 ? stride_of (&meta->x, (guint)meta->axis) : 1;

  *scales = meta->x;
  scales->values = g_new (double, scales->n);
  for (gsize i = 0; i < scales->n; i++)
    {
      gsize at = meta->axis >= 0 ? i / stride % (gsize)meta->x.dims[meta->axis] / meta->block_size : 0;
      double zero_point = meta->zero_points.n > 0 ? meta->zero_points.values[at] : 0;

      scales->values[i] = (double)((float)(meta->x.values[i] - zero_point) * (float)meta->scales.values[at]);
      if ((float)scales->values[i] > 0 && isfinite ((float)scales->values[i]))
        continue;
      ht_encodings_complain (self, node,
                             "item %" G_GSIZE_FORMAT " of 'x' gives the scale %g; expected a positive number", i + 1,
                             scales->values[i]);
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_meta_scale (HtEncodingsReader *self, HtLocatedNode *node, HtLocatedNode *scale, HtEncodingsEntry *entry,
                 gboolean is_signed)
{
  const char *type = ht_located_node_lookup (scale, "input_dtype", NULL)
                         ? ht_encodings_require_text (self, scale, "input_dtype")
                         : NULL;
  g_auto (Meta) meta = { 0 };
  gboolean with_sign;

  if (!self->meta_scales)
    {
      ht_encodings_complain (self, scale, "'y_scale' is a mapping, which version 2.1.0 has, and this is 2.0.0");
      return FALSE;
    }
  if (!read_meta (self, scale, &meta))
    return FALSE;
  if (entry->format != HT_NUMBER_FORMAT_INT || !is_signed || ht_located_node_lookup (node, "y_zero_point", NULL)
      || !is_lpbq (&meta, entry))
    return decode_meta (self, scale, &meta, &entry->scales);
  entry->scale_bits = type ? read_integer_type (type, &with_sign) : 0;
  if (entry->scale_bits == 0 || entry->scale_bits > 15)
    entry->scale_bits = entry->bits;
  for (gsize i = 0; i < meta.x.n; i++)
    while (entry->scale_bits < 15 && meta.x.values[i] > (double)(1u << entry->scale_bits))
      entry->scale_bits++;
  entry->scales = meta.scales;
  entry->block_scales = meta.x;
  meta.scales.values = meta.x.values = NULL;
  return finish_lpbq (self, node, entry, is_signed);
}

static void
read_entry (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  gboolean is_signed = FALSE;
  HtLocatedNode *scale;

  if (!read_type (self, node, entry, &is_signed) || !read_axis (self, node, entry))
    return;
  if (ht_located_node_lookup (node, "per_block_int_scale", NULL))
    {
      read_lpbq (self, node, entry, is_signed);
      return;
    }
  scale = ht_encodings_require (self, node, "y_scale");
  if (!scale)
    return;
  if (ht_located_node_get_kind (scale) == HT_LOCATED_MAPPING)
    {
      if (!read_meta_scale (self, node, scale, entry, is_signed) || entry->shape == HT_ENCODINGS_LPBQ)
        return;
    }
  else if (!ht_encodings_read_numbers (self, scale, HT_ENCODINGS_SCALES, &entry->scales))
    return;
  if (check_shape (self, node, "y_scale", entry))
    read_zero_points (self, node, entry, is_signed);
}

void
ht_encodings_read_2_0_0 (HtEncodingsReader *self, HtLocatedNode *root)
{
  static const char *const root_keys[] = { "encodings", "excluded_layers", "producer", "version", NULL };
  static const char *const keys[]
      = { "axis",    "block_size",   "name", "output_dtype", "per_block_int_scale", "per_channel_float_scale",
          "y_scale", "y_zero_point", NULL };

  self->lists_float16 = FALSE;
  ht_encodings_check_keys (self, root, root_keys);
  ht_encodings_read_list (self, root, "encodings", HT_ENCODINGS_ANY, keys, read_entry);
}

void
ht_encodings_read_2_1_0 (HtEncodingsReader *self, HtLocatedNode *root)
{
  self->meta_scales = TRUE;
  ht_encodings_read_2_0_0 (self, root);
}

static gboolean
has_scale (HtEncoding *encoding)
{
  HtNumberFormat format = ht_encoding_get_format (encoding);

  return format != HT_NUMBER_FORMAT_FLOAT16 && format != HT_NUMBER_FORMAT_BFLOAT16;
}

char *
ht_encodings_refuse_2_0_0 (const HtEncodingsItem *item)
{
  HtEncoding *encoding = item->encoding;
  guint scale_bits = ht_encoding_get_scale_bits (encoding);

  if (ht_encoding_is_strict (encoding))
    return g_strdup ("its types have no grid that leaves out the lowest code (strict); use 0.6.1 or 1.0.0");
  if (scale_bits > 0 && scale_bits != ht_encoding_get_bits (encoding))
    return g_strdup_printf ("it writes LPBQ only with block scales as wide as the codes, %u bits, not %u; use 1.0.0",
                            ht_encoding_get_bits (encoding), scale_bits);
  return NULL;
}

/* Lists nested as the tensor is; all dimensions but those of channels and blocks have one item. */
typedef struct
{
  JsonBuilder *builder;
  const HtEncodingsItem *item;
  gint axis, block_axis; /* -1: none */
  gsize n_channels, n_blocks;
  void (*add) (JsonBuilder *builder, HtEncoding *encoding, gsize index, gint64 shift);
  gint64 shift;
} Nesting;

static void
write_nested (const Nesting *nesting, guint depth, gsize channel, gsize block)
{
  gboolean is_channel = (gint)depth == nesting->axis, is_block = (gint)depth == nesting->block_axis;
  gsize n = is_channel ? nesting->n_channels : is_block ? nesting->n_blocks : 1;

  if (depth == nesting->item->n_dims)
    {
      nesting->add (nesting->builder, nesting->item->encoding, channel * nesting->n_blocks + block, nesting->shift);
      return;
    }
  json_builder_begin_array (nesting->builder);
  for (gsize i = 0; i < n; i++)
    write_nested (nesting, depth + 1, is_channel ? i : channel, is_block ? i : block);
  json_builder_end_array (nesting->builder);
}

static void
add_scale (JsonBuilder *builder, HtEncoding *encoding, gsize index, gint64 shift)
{
  json_builder_add_double_value (builder, ht_encoding_get_scales (encoding, NULL)[index]);
}

static void
add_zero_point (JsonBuilder *builder, HtEncoding *encoding, gsize index, gint64 shift)
{
  json_builder_add_int_value (builder, -ht_encoding_get_offsets (encoding, NULL)[index] - shift);
}

static void
add_channel_scale (JsonBuilder *builder, HtEncoding *encoding, gsize index, gint64 shift)
{
  json_builder_add_double_value (builder, ht_encoding_get_channel_scales (encoding, NULL)[index]);
}

static void
add_block_scale (JsonBuilder *builder, HtEncoding *encoding, gsize index, gint64 shift)
{
  json_builder_add_int_value (builder, ht_encoding_get_block_scales (encoding, NULL)[index]);
}

/* A number, a list, or nested lists. */
static void
write_numbers (JsonBuilder *builder, const HtEncodingsItem *item, const char *key,
               void (*add) (JsonBuilder *builder, HtEncoding *encoding, gsize index, gint64 shift), gint64 shift)
{
  HtEncoding *encoding = item->encoding;
  gsize n_channels = ht_encoding_get_n_channels (encoding), n_grids;
  Nesting nesting = { builder, item, item->axis, item->block_axis, n_channels, 1, add, shift };

  ht_encoding_get_scales (encoding, &n_grids);
  nesting.n_blocks = n_grids / n_channels;
  json_builder_set_member_name (builder, key);
  if (nesting.block_axis >= 0)
    {
      write_nested (&nesting, 0, 0, 0);
      return;
    }
  if (nesting.axis < 0)
    {
      add (builder, encoding, 0, shift);
      return;
    }
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_grids; i++)
    add (builder, encoding, i, shift);
  json_builder_end_array (builder);
}

static void
write_channel_scales (JsonBuilder *builder, const HtEncodingsItem *item)
{
  Nesting nesting
      = { builder,           item, item->axis, item->block_axis, ht_encoding_get_n_channels (item->encoding), 1,
          add_channel_scale, 0 };

  json_builder_set_member_name (builder, "per_channel_float_scale");
  write_nested (&nesting, 0, 0, 0);
}

/* Zero points that are all zero are left out, but for symmetric activations: AIMET turns those from signed to unsigned,
 * and then writes zero points whatever they are. */
static void
write_zero_points (JsonBuilder *builder, const HtEncodingsItem *item, gint64 shift)
{
  gsize n_grids;
  const gint64 *offsets = ht_encoding_get_offsets (item->encoding, &n_grids);
  gboolean needed = !item->is_parameter && ht_encoding_is_symmetric (item->encoding);

  for (gsize i = 0; i < n_grids; i++)
    needed |= -offsets[i] - shift != 0;
  if (needed)
    write_numbers (builder, item, "y_zero_point", add_zero_point, shift);
}

static char *
name_type (const HtEncodingsItem *item, gint64 *shift)
{
  HtEncoding *encoding = item->encoding;
  guint bits = ht_encoding_get_bits (encoding);
  gboolean is_signed = item->is_parameter && ht_encoding_is_symmetric (encoding);

  *shift = 0;
  for (gsize i = 0; i < G_N_ELEMENTS (float_types); i++)
    if (float_types[i].format == ht_encoding_get_format (encoding))
      return g_strdup (float_types[i].name);
  *shift = is_signed ? (gint64)1 << (bits - 1) : 0;
  return g_strdup_printf ("%sint%u", is_signed ? "" : "u", bits);
}

static void
write_item (JsonBuilder *builder, const HtEncodingsItem *item)
{
  HtEncoding *encoding = item->encoding;
  gint64 shift;
  g_autofree char *type = name_type (item, &shift);

  json_builder_begin_object (builder);
  if (item->axis >= 0 || item->block_axis >= 0)
    ht_encodings_write_integer (builder, "axis", item->block_axis >= 0 ? item->block_axis : item->axis);
  if (item->block_axis >= 0)
    ht_encodings_write_integer (builder, "block_size", (gint64)ht_encoding_get_block_size (encoding));
  ht_encodings_write_text (builder, "name", item->name);
  ht_encodings_write_text (builder, "output_dtype", type);
  if (ht_encoding_get_scale_bits (encoding) > 0)
    {
      write_numbers (builder, item, "per_block_int_scale", add_block_scale, 0);
      write_channel_scales (builder, item);
    }
  else
    {
      write_numbers (builder, item, "y_scale", add_scale, 0);
      if (ht_encoding_is_integer (encoding))
        write_zero_points (builder, item, shift);
    }
  json_builder_end_object (builder);
}

void
ht_encodings_write_2_0_0 (JsonBuilder *builder, GArray *items)
{
  json_builder_set_member_name (builder, "encodings");
  json_builder_begin_array (builder);
  for (guint i = 0; i < items->len; i++)
    {
      const HtEncodingsItem *item = &g_array_index (items, HtEncodingsItem, i);

      if (has_scale (item->encoding))
        write_item (builder, item);
    }
  json_builder_end_array (builder);
}
