/* SPDX-License-Identifier: MIT */
/* Version 1.0.0: a list for activations, another for parameters. Offsets are those of unsigned codes. */
#include "quant/encodings-file.h"

#include <string.h>

static gboolean
read_switch (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key, gboolean *value)
{
  HtLocatedNode *node = ht_encodings_require (self, mapping, key);
  GError *error = NULL;

  if (!node)
    return FALSE;
  if (ht_located_node_get_boolean (node, value, &error))
    return TRUE;
  ht_encodings_complain_error (self, node, error);
  return FALSE;
}

/* Lists only: the version has no numbers alone and no nesting. */
static gboolean
read_list (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key, HtEncodingsNumberKind kind,
           HtEncodingsNumbers *numbers)
{
  HtLocatedNode *node = ht_encodings_require (self, mapping, key);

  if (!node || !ht_encodings_check_kind (self, node, HT_LOCATED_SEQUENCE)
      || !ht_encodings_read_numbers (self, node, kind, numbers))
    return FALSE;
  if (numbers->n_dims == 1)
    return TRUE;
  ht_encodings_complain (self, node, "'%s' has lists in its list; expected numbers", key);
  return FALSE;
}

static gboolean
read_offsets (HtEncodingsReader *self, HtLocatedNode *mapping, HtEncodingsEntry *entry, gsize n)
{
  g_auto (HtEncodingsNumbers) numbers = { 0 };

  if (!read_list (self, mapping, "offset", HT_ENCODINGS_INTEGERS, &numbers))
    return FALSE;
  if (numbers.n != n)
    {
      ht_encodings_complain (
          self, ht_located_node_lookup (mapping, "offset", NULL),
          "'offset' has %" G_GSIZE_FORMAT " numbers, 'scale' has %" G_GSIZE_FORMAT "; expected as many", numbers.n, n);
      return FALSE;
    }
  entry->offsets = g_new (gint64, n);
  for (gsize i = 0; i < n; i++)
    entry->offsets[i] = (gint64)numbers.values[i];
  return TRUE;
}

static gboolean
read_block_size (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  gint64 size;

  if (!ht_encodings_require_integer (self, node, "block_size", 1, G_MAXINT32, &size))
    return FALSE;
  entry->block_size = (gsize)size;
  return TRUE;
}

/* Codes of `compressed_bw` bits whose scales are integers times one number a channel; `bw` is what codes and scales
 * make together. */
static gboolean
read_lpbq (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  gint64 bits;

  if (!ht_encodings_require_integer (self, node, "compressed_bw", 2, (gint64)entry->bits - 1, &bits)
      || !read_block_size (self, node, entry)
      || !read_list (self, node, "per_block_int_scale", HT_ENCODINGS_BLOCK_SCALES, &entry->block_scales)
      || !read_offsets (self, node, entry, entry->scales.n))
    return FALSE;
  for (gsize i = 0; i < entry->scales.n; i++)
    if (entry->offsets[i] != -((gint64)1 << (entry->bits - 1)))
      {
        ht_encodings_complain (self, ht_located_node_lookup (node, "offset", NULL),
                               "'offset' has the number %" G_GINT64_FORMAT "; expected %" G_GINT64_FORMAT
                               ", as LPBQ of %u bits is symmetric",
                               entry->offsets[i], -((gint64)1 << (entry->bits - 1)), entry->bits);
        return FALSE;
      }
  g_clear_pointer (&entry->offsets, g_free);
  entry->scale_bits = entry->bits - (guint)bits;
  entry->bits = (guint)bits;
  return TRUE;
}

static gboolean
read_integer (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  gboolean symmetric;

  if (!read_switch (self, node, "is_sym", &symmetric)
      || !read_list (self, node, "scale", HT_ENCODINGS_SCALES, &entry->scales))
    return FALSE;
  entry->symmetry = symmetric ? HT_ENCODINGS_SYMMETRIC : HT_ENCODINGS_ASYMMETRIC;
  if (entry->shape == HT_ENCODINGS_LPBQ)
    return read_lpbq (self, node, entry);
  if (!read_offsets (self, node, entry, entry->scales.n))
    return FALSE;
  if (entry->shape == HT_ENCODINGS_TENSOR && entry->scales.n != 1)
    {
      ht_encodings_complain (self, ht_located_node_lookup (node, "scale", NULL),
                             "'scale' has %" G_GSIZE_FORMAT " numbers; expected 1, as 'enc_type' is 'PER_TENSOR'",
                             entry->scales.n);
      return FALSE;
    }
  return entry->shape != HT_ENCODINGS_BLOCK || read_block_size (self, node, entry);
}

static gboolean
read_shape (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  static const char *const shapes[] = { "PER_TENSOR", "PER_CHANNEL", "PER_BLOCK", "LPBQ" };
  const char *type = ht_encodings_require_text (self, node, "enc_type");

  for (guint i = 0; type && i < G_N_ELEMENTS (shapes); i++)
    if (strcmp (type, shapes[i]) == 0)
      {
        entry->shape = (HtEncodingsShape)i;
        return TRUE;
      }
  if (type)
    ht_encodings_complain (self, ht_located_node_lookup (node, "enc_type", NULL),
                           "'enc_type' is '%s'; expected PER_TENSOR, PER_CHANNEL, PER_BLOCK or LPBQ", type);
  return FALSE;
}

static void
read_entry (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry)
{
  HtLocatedNode *shift = ht_located_node_lookup (node, "zero_point_shift", NULL);
  const char *dtype = ht_encodings_require_text (self, node, "dtype");
  gint64 bits;

  if (!read_shape (self, node, entry) || !ht_encodings_require_integer (self, node, "bw", 2, 32, &bits) || !dtype)
    return;
  entry->bits = (guint)bits;
  if (shift)
    ht_encodings_complain (self, shift,
                           "tensor '%s' has a grid with shifted codes ('zero_point_shift'), which is not supported",
                           entry->name);
  else if (strcmp (dtype, "INT") == 0)
    read_integer (self, node, entry);
  else if (strcmp (dtype, "FLOAT") != 0)
    ht_encodings_complain (self, ht_located_node_lookup (node, "dtype", NULL), "'dtype' is '%s'; expected INT or FLOAT",
                           dtype);
  else if (entry->bits != 16 || entry->shape != HT_ENCODINGS_TENSOR)
    ht_encodings_complain (self, node, "found floating point of %u bits; expected 16 bits, PER_TENSOR", entry->bits);
  else
    entry->format = HT_NUMBER_FORMAT_FLOAT16;
}

static void
read_section (HtEncodingsReader *self, HtLocatedNode *root, const char *key, HtEncodingsRole role)
{
  static const char *const keys[]
      = { "block_size", "bw",     "compressed_bw",       "dtype", "enc_type",         "is_sym",
          "name",       "offset", "per_block_int_scale", "scale", "zero_point_shift", NULL };

  ht_encodings_read_list (self, root, key, role, keys, read_entry);
}

void
ht_encodings_read_1_0_0 (HtEncodingsReader *self, HtLocatedNode *root)
{
  ht_encodings_read_sections (self, root, read_section);
}

char *
ht_encodings_refuse_1_0_0 (const HtEncodingsItem *item)
{
  HtNumberFormat format = ht_encoding_get_format (item->encoding);

  if (format != HT_NUMBER_FORMAT_INT && format != HT_NUMBER_FORMAT_FLOAT16)
    return g_strdup ("it knows no floating-point format but float16; use 2.0.0 for those of 8 bits");
  return NULL;
}

/* Where the grid that comes `index`th in the file is. */
static gsize
find_grid (const HtEncodingsItem *item, gsize index, gsize n_grids)
{
  gsize n_channels = ht_encoding_get_n_channels (item->encoding);

  if (item->block_axis < 0 || ht_encodings_by_channel (item->n_dims, item->axis, item->block_axis))
    return index;
  return index % n_channels * (n_grids / n_channels) + index / n_channels;
}

static void
write_lpbq (JsonBuilder *builder, const HtEncodingsItem *item)
{
  HtEncoding *encoding = item->encoding;
  guint bits = ht_encoding_get_bits (encoding), whole = bits + ht_encoding_get_scale_bits (encoding);
  gsize n_channels, n_grids;
  const double *scales = ht_encoding_get_channel_scales (encoding, &n_channels);
  const guint *blocks = ht_encoding_get_block_scales (encoding, &n_grids);

  ht_encodings_write_integer (builder, "block_size", (gint64)ht_encoding_get_block_size (encoding));
  ht_encodings_write_integer (builder, "bw", whole);
  ht_encodings_write_integer (builder, "compressed_bw", bits);
  ht_encodings_write_text (builder, "dtype", "INT");
  ht_encodings_write_text (builder, "enc_type", "LPBQ");
  json_builder_set_member_name (builder, "is_sym");
  json_builder_add_boolean_value (builder, TRUE);
  ht_encodings_write_text (builder, "name", item->name);
  json_builder_set_member_name (builder, "offset");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_channels; i++)
    json_builder_add_int_value (builder, -((gint64)1 << (whole - 1)));
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "per_block_int_scale");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_grids; i++)
    json_builder_add_int_value (builder, blocks[find_grid (item, i, n_grids)]);
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "scale");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_channels; i++)
    json_builder_add_double_value (builder, scales[i]);
  json_builder_end_array (builder);
}

static void
write_integer (JsonBuilder *builder, const HtEncodingsItem *item)
{
  HtEncoding *encoding = item->encoding;
  gsize n_grids;
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, NULL);
  gboolean in_blocks = ht_encoding_get_block_axis (encoding) >= 0;

  if (in_blocks)
    ht_encodings_write_integer (builder, "block_size", (gint64)ht_encoding_get_block_size (encoding));
  ht_encodings_write_integer (builder, "bw", ht_encoding_get_bits (encoding));
  ht_encodings_write_text (builder, "dtype", "INT");
  ht_encodings_write_text (builder, "enc_type",
                           in_blocks                              ? "PER_BLOCK"
                           : ht_encoding_get_axis (encoding) >= 0 ? "PER_CHANNEL"
                                                                  : "PER_TENSOR");
  json_builder_set_member_name (builder, "is_sym");
  json_builder_add_boolean_value (builder, ht_encoding_is_symmetric (encoding));
  ht_encodings_write_text (builder, "name", item->name);
  json_builder_set_member_name (builder, "offset");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_grids; i++)
    json_builder_add_double_value (builder, (double)offsets[find_grid (item, i, n_grids)]);
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "scale");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_grids; i++)
    json_builder_add_double_value (builder, scales[find_grid (item, i, n_grids)]);
  json_builder_end_array (builder);
}

static void
write_item (JsonBuilder *builder, const HtEncodingsItem *item)
{
  json_builder_begin_object (builder);
  if (!ht_encoding_is_integer (item->encoding))
    {
      ht_encodings_write_integer (builder, "bw", ht_encoding_get_bits (item->encoding));
      ht_encodings_write_text (builder, "dtype", "FLOAT");
      ht_encodings_write_text (builder, "enc_type", "PER_TENSOR");
      ht_encodings_write_text (builder, "name", item->name);
    }
  else if (ht_encoding_get_scale_bits (item->encoding) > 0)
    write_lpbq (builder, item);
  else
    write_integer (builder, item);
  json_builder_end_object (builder);
}

void
ht_encodings_write_1_0_0 (JsonBuilder *builder, GArray *items)
{
  for (gboolean parameters = FALSE; parameters <= TRUE; parameters++)
    {
      json_builder_set_member_name (builder, parameters ? "param_encodings" : "activation_encodings");
      json_builder_begin_array (builder);
      for (guint i = 0; i < items->len; i++)
        {
          const HtEncodingsItem *item = &g_array_index (items, HtEncodingsItem, i);

          if (item->is_parameter == parameters)
            write_item (builder, item);
        }
      json_builder_end_array (builder);
    }
}
