/* SPDX-License-Identifier: MIT */
/* Version 0.6.1: a mapping of lists for activations, another for parameters; each list has one grid for the tensor, or
 * one for each channel. Switches of grids are text. */
#include "quant/encodings-file.h"

#include <string.h>

typedef struct
{
  gint64 bits;
  gboolean symmetric;
  gboolean is_float;
  double scale, offset;
} Grid;

/* AIMET writes "True"; a real switch can mean nothing else. */
static gboolean
read_symmetric (HtEncodingsReader *self, HtLocatedNode *mapping, gboolean *symmetric)
{
  HtLocatedNode *node = ht_encodings_require (self, mapping, "is_symmetric");
  const char *text = node ? ht_located_node_get_text (node) : NULL;

  if (!node)
    return FALSE;
  *symmetric = text && g_ascii_strcasecmp (text, "true") == 0;
  if (*symmetric || (text && g_ascii_strcasecmp (text, "false") == 0))
    return TRUE;
  ht_encodings_complain (self, node, "'is_symmetric' must be \"True\" or \"False\"");
  return FALSE;
}

static gboolean
read_grid (HtEncodingsReader *self, HtLocatedNode *node, Grid *grid)
{
  static const char *const keys[] = { "bitwidth", "dtype", "is_symmetric", "max", "min", "offset", "scale", NULL };
  const char *dtype;
  HtLocatedNode *scale, *offset;

  if (!ht_encodings_check_kind (self, node, HT_LOCATED_MAPPING) || !ht_encodings_check_keys (self, node, keys))
    return FALSE;
  dtype = ht_encodings_require_text (self, node, "dtype");
  if (!dtype || !ht_encodings_require_integer (self, node, "bitwidth", 2, 32, &grid->bits))
    return FALSE;
  grid->is_float = strcmp (dtype, "float") == 0;
  if (!grid->is_float && strcmp (dtype, "int") != 0)
    {
      ht_encodings_complain (self, ht_located_node_lookup (node, "dtype", NULL),
                             "'dtype' is '%s', must be 'int' or 'float'", dtype);
      return FALSE;
    }
  if (grid->is_float)
    return TRUE;
  scale = ht_encodings_require (self, node, "scale");
  offset = ht_encodings_require (self, node, "offset");
  return read_symmetric (self, node, &grid->symmetric) && scale && offset
         && ht_encodings_read_one (self, scale, HT_ENCODINGS_SCALES, &grid->scale)
         && ht_encodings_read_one (self, offset, HT_ENCODINGS_INTEGERS, &grid->offset);
}

static void
add_float (HtEncodingsReader *self, HtLocatedNode *list, HtEncodingsEntry *entry, const Grid *grid)
{
  if (ht_located_node_get_n_children (list) != 1 || grid->bits != 16)
    ht_encodings_complain (self, list,
                           "found %u grids of %" G_GINT64_FORMAT " bits in floating point; expected one of 16 bits",
                           ht_located_node_get_n_children (list), grid->bits);
  entry->format = HT_NUMBER_FORMAT_FLOAT16;
  entry->bits = 16;
}

static void
read_list (HtEncodingsReader *self, HtLocatedNode *list, HtEncodingsEntry *entry)
{
  guint n = ht_located_node_get_n_children (list);
  gboolean good = TRUE;
  Grid first = { 0 };

  if (n == 0)
    {
      ht_encodings_complain (self, list, "tensor '%s' has an empty list; expected a grid", entry->name);
      return;
    }
  entry->scales = (HtEncodingsNumbers){ g_new0 (double, n), n, 1, { n } };
  entry->offsets = g_new0 (gint64, n);
  for (guint i = 0; i < n; i++)
    {
      Grid grid = { 0 };

      if (!read_grid (self, ht_located_node_get_child (list, i), &grid))
        {
          good = FALSE;
          continue;
        }
      if (i == 0)
        first = grid;
      if (good && (grid.bits != first.bits || grid.symmetric != first.symmetric || grid.is_float != first.is_float))
        {
          ht_encodings_complain (self, ht_located_node_get_child (list, i),
                                 "this grid of tensor '%s' has other bits or another symmetry than the first one",
                                 entry->name);
          good = FALSE;
        }
      entry->scales.values[i] = grid.scale;
      entry->offsets[i] = (gint64)grid.offset;
    }
  if (!good)
    return;
  if (first.is_float)
    {
      add_float (self, list, entry, &first);
      return;
    }
  entry->bits = (guint)first.bits;
  entry->symmetry = first.symmetric ? HT_ENCODINGS_SYMMETRIC : HT_ENCODINGS_ASYMMETRIC;
  entry->shape = n > 1 ? HT_ENCODINGS_CHANNEL : HT_ENCODINGS_TENSOR;
  entry->may_be_channel = n == 1;
}

static void
read_section (HtEncodingsReader *self, HtLocatedNode *root, const char *key, HtEncodingsRole role)
{
  HtLocatedNode *section = ht_encodings_require (self, root, key);

  if (!section || !ht_encodings_check_kind (self, section, HT_LOCATED_MAPPING))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (section); i++)
    {
      HtLocatedNode *list = ht_located_node_get_child (section, i);
      HtEncodingsEntry *entry;

      if (!ht_encodings_check_kind (self, list, HT_LOCATED_SEQUENCE))
        continue;
      entry = ht_encodings_add_entry (self, ht_located_node_get_key_node (section, i),
                                      ht_located_node_get_key (section, i));
      if (!entry)
        continue;
      entry->role = role;
      read_list (self, list, entry);
    }
}

void
ht_encodings_read_0_6_1 (HtEncodingsReader *self, HtLocatedNode *root)
{
  ht_encodings_read_sections (self, root, read_section);
}

/* What 1.0.0 cannot hold, and blocks. */
char *
ht_encodings_refuse_0_6_1 (const HtEncodingsItem *item)
{
  char *reason = ht_encodings_refuse_1_0_0 (item);

  if (!reason && ht_encoding_get_block_axis (item->encoding) >= 0)
    return g_strdup ("it knows no grids of blocks; use 1.0.0 or 2.0.0");
  return reason;
}

static void
write_grid (JsonBuilder *builder, HtEncoding *encoding, gsize index)
{
  gboolean is_integer = ht_encoding_is_integer (encoding);

  json_builder_begin_object (builder);
  ht_encodings_write_integer (builder, "bitwidth", ht_encoding_get_bits (encoding));
  ht_encodings_write_text (builder, "dtype", is_integer ? "int" : "float");
  if (is_integer)
    {
      ht_encodings_write_text (builder, "is_symmetric", ht_encoding_is_symmetric (encoding) ? "True" : "False");
      ht_encodings_write_number (builder, "max", ht_encoding_get_maximum (encoding, index));
      ht_encodings_write_number (builder, "min", ht_encoding_get_minimum (encoding, index));
      ht_encodings_write_number (builder, "offset", (double)ht_encoding_get_offsets (encoding, NULL)[index]);
      ht_encodings_write_number (builder, "scale", ht_encoding_get_scales (encoding, NULL)[index]);
    }
  json_builder_end_object (builder);
}

static gint
compare_items (gconstpointer a, gconstpointer b)
{
  return strcmp (((const HtEncodingsItem *)a)->name, ((const HtEncodingsItem *)b)->name);
}

void
ht_encodings_write_0_6_1 (JsonBuilder *builder, GArray *items)
{
  g_autoptr (GArray) sorted = g_array_copy (items);

  g_array_sort (sorted, compare_items);
  for (gboolean parameters = FALSE; parameters <= TRUE; parameters++)
    {
      json_builder_set_member_name (builder, parameters ? "param_encodings" : "activation_encodings");
      json_builder_begin_object (builder);
      for (guint i = 0; i < sorted->len; i++)
        {
          const HtEncodingsItem *item = &g_array_index (sorted, HtEncodingsItem, i);
          gsize n_grids;

          if (item->is_parameter != parameters)
            continue;
          ht_encoding_get_scales (item->encoding, &n_grids);
          json_builder_set_member_name (builder, item->name);
          json_builder_begin_array (builder);
          for (gsize k = 0; k < n_grids; k++)
            write_grid (builder, item->encoding, k);
          json_builder_end_array (builder);
        }
      json_builder_end_object (builder);
    }
}
