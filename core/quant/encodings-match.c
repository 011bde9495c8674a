/* SPDX-License-Identifier: MIT */
/* Finds out what the entries of an encodings file mean for a network, and takes them over. */
#include "quant/encodings-file.h"

#include "quant/bias-grid.h"
#include "quant/operand.h"

#include <math.h>
#include <string.h>

typedef struct
{
  HtEncodingsReader *reader;
  HtSimulation *simulation;
  gboolean partial;
  GHashTable *sources;   /* tensor -> HtEncodingsSource */
  GHashTable *by_source; /* initializer -> tensor */
  GHashTable *found;     /* tensor -> HtEncoding */
  GHashTable *implied;   /* the same, for those that a part of a file leaves to the settings */
  GPtrArray *extra;      /* HtEncodingsEntry of tensors that the target does not quantize */
  GPtrArray *kept;       /* HtEncodingsEntry of tensors that lie on the grid of another one */
  GPtrArray *biases;     /* HtEncodingsEntry of biases, whose grids follow from their layers */
} Matching;

gboolean
ht_encodings_by_channel (guint n_dims, gint axis, gint block_axis)
{
  return n_dims == 2 || axis < block_axis;
}

static gboolean
get_dims (HtGraph *graph, const char *tensor, gint64 *dims, guint *n_dims)
{
  HtShape *shape = ht_graph_get_shape (graph, tensor);

  if (!shape || !ht_shape_is_static (shape) || ht_shape_get_n_dims (shape) > HT_TENSOR_MAX_DIMS)
    return FALSE;
  *n_dims = ht_shape_get_n_dims (shape);
  for (guint i = 0; i < *n_dims; i++)
    dims[i] = ht_shape_get_dim (shape, i);
  return TRUE;
}

/* The axis of the output channels, as the node that reads the tensor has it, the last one of a bias; -1: none. */
static gint
find_channel_axis (HtGraph *graph, const char *tensor, guint n_dims)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, tensor);

  for (guint i = 0; i < consumers->len; i++)
    {
      HtNode *node = g_ptr_array_index (consumers, i);

      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        {
          gint axis = -1;
          HtOperandKind kind;

          if (strcmp (ht_node_get_input (node, k), tensor) != 0)
            continue;
          kind = ht_operand_classify (graph, node, k, &axis);
          if (kind == HT_OPERAND_BIAS)
            return (gint)n_dims - 1;
          if (kind == HT_OPERAND_WEIGHT && axis >= 0)
            return axis;
        }
    }
  return -1;
}

/* The tensor, and where its grids are. */
typedef struct
{
  const char *tensor;
  HtQuantizer *quantizer;    /* NULL: the target puts none */
  HtEncodingsSource *source; /* what the file speaks of; NULL: the tensor itself */
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;
  gint axis, block_axis; /* -1: none */
  gsize n_channels, n_blocks;
} Place;

/* Axes of the file are those of the initializer. */
static gint
to_file_axis (const Place *place, gint axis)
{
  return place->source && axis >= 0 ? place->source->axes[axis] : axis;
}

static gint
from_file_axis (const Place *place, gint axis)
{
  for (guint i = 0; place->source && i < place->n_dims; i++)
    if (place->source->axes[i] == axis)
      return (gint)i;
  return axis;
}

static gboolean
normalize_axis (Matching *self, const HtEncodingsEntry *entry, const Place *place, gint *axis)
{
  gint64 whole = entry->axis < 0 ? entry->axis + place->n_dims : entry->axis;

  if (whole >= 0 && whole < place->n_dims)
    {
      *axis = from_file_axis (place, (gint)whole);
      return TRUE;
    }
  ht_encodings_complain (self->reader, entry->node,
                         "tensor '%s': 'axis' is %" G_GINT64_FORMAT ", and the tensor has %u dimensions", place->tensor,
                         entry->axis, place->n_dims);
  return FALSE;
}

/* The dimension, other than that of the blocks, along which the nested lists have several items; -1: none. */
static gint
find_list_axis (const HtEncodingsNumbers *numbers, gint block_axis)
{
  for (guint i = 0; i < numbers->n_dims; i++)
    if ((gint)i != block_axis && numbers->dims[i] > 1)
      return (gint)i;
  return -1;
}

static gboolean
find_axes (Matching *self, const HtEncodingsEntry *entry, const HtEncodingsNumbers *numbers, Place *place)
{
  HtGraph *graph = self->simulation->graph;
  gboolean in_blocks = entry->shape >= HT_ENCODINGS_BLOCK;
  gint list_axis = -1;

  place->axis = place->quantizer ? ht_quantizer_get_channel_axis (place->quantizer)
                                 : find_channel_axis (graph, place->tensor, place->n_dims);
  if (!in_blocks)
    return !entry->has_axis || normalize_axis (self, entry, place, &place->axis);
  if (entry->has_axis && !normalize_axis (self, entry, place, &place->block_axis))
    return FALSE;
  if (entry->has_axis && numbers->n_dims == place->n_dims)
    list_axis = find_list_axis (numbers, to_file_axis (place, place->block_axis));
  if (list_axis >= 0)
    place->axis = from_file_axis (place, list_axis);
  if (!entry->has_axis && place->axis >= 0)
    place->block_axis = place->axis == 0 ? 1 : place->axis - 1;
  return TRUE;
}

/* Nested lists are as long as there are channels along one axis, as there are blocks along another, and else 1. */
static gboolean
check_nesting (Matching *self, const HtEncodingsEntry *entry, const HtEncodingsNumbers *numbers, const Place *place)
{
  gint axis = to_file_axis (place, place->axis), block_axis = to_file_axis (place, place->block_axis);

  for (guint i = 0; numbers->n_dims > 1 && i < numbers->n_dims; i++)
    {
      gsize expected = (gint)i == axis ? place->n_channels : (gint)i == block_axis ? place->n_blocks : 1;

      if (numbers->dims[i] == (gint64)expected)
        continue;
      ht_encodings_complain (self->reader, entry->node,
                             "tensor '%s' has lists of %" G_GINT64_FORMAT
                             " along axis %u here; expected %" G_GSIZE_FORMAT ", as channels are along axis %d",
                             place->tensor, numbers->dims[i], i, expected, axis);
      return FALSE;
    }
  return TRUE;
}

/* Finds axes and counts for grids of channels or blocks; FALSE after a complaint. */
static gboolean
locate (Matching *self, const HtEncodingsEntry *entry, const HtEncodingsNumbers *numbers, Place *place)
{
  HtGraph *graph = self->simulation->graph;
  gboolean in_blocks = entry->shape >= HT_ENCODINGS_BLOCK;
  const char *grids = in_blocks ? "grids of blocks" : "one grid a channel";

  if (!ht_graph_is_constant (graph, place->tensor) || !get_dims (graph, place->tensor, place->dims, &place->n_dims))
    {
      ht_encodings_complain (self->reader, entry->node,
                             "tensor '%s' is given %s; expected one for the whole tensor, activations know no other",
                             place->tensor, grids);
      return FALSE;
    }
  if (!find_axes (self, entry, numbers, place))
    return FALSE;
  if (place->axis < 0 || place->axis >= (gint)place->n_dims || (in_blocks && place->block_axis == place->axis)
      || place->block_axis >= (gint)place->n_dims)
    {
      ht_encodings_complain (self->reader, entry->node,
                             "tensor '%s' is given %s, and has no axis of output channels that they can be for",
                             place->tensor, grids);
      return FALSE;
    }
  if (numbers->n_dims > 1 && numbers->n_dims != place->n_dims)
    {
      ht_encodings_complain (self->reader, entry->node,
                             "tensor '%s' has %u dimensions, and the lists are nested %u deep; expected as many",
                             place->tensor, place->n_dims, numbers->n_dims);
      return FALSE;
    }
  place->n_channels = (gsize)place->dims[place->axis];
  place->n_blocks = in_blocks ? ((gsize)place->dims[place->block_axis] + entry->block_size - 1) / entry->block_size : 1;
  if (numbers->n == place->n_channels * place->n_blocks)
    return check_nesting (self, entry, numbers, place);
  if (in_blocks)
    ht_encodings_complain (self->reader, entry->node,
                           "tensor '%s' has %" G_GSIZE_FORMAT " grids here; expected %" G_GSIZE_FORMAT
                           ", %" G_GSIZE_FORMAT " blocks of %" G_GSIZE_FORMAT " in each of its %" G_GSIZE_FORMAT
                           " channels",
                           place->tensor, numbers->n, place->n_channels * place->n_blocks, place->n_blocks,
                           entry->block_size, place->n_channels);
  else
    ht_encodings_complain (self->reader, entry->node,
                           "tensor '%s' has %" G_GSIZE_FORMAT " grids here; expected %" G_GSIZE_FORMAT
                           ", one for each of its channels along axis %d",
                           place->tensor, numbers->n, place->n_channels, place->axis);
  return FALSE;
}

/* Where grid `index` of ours, channel by channel, is in the lists of the file. */
static gsize
file_index (const HtEncodingsNumbers *numbers, const Place *place, gsize index)
{
  gint axis = to_file_axis (place, place->axis), block_axis = to_file_axis (place, place->block_axis);

  if (block_axis < 0
      || (numbers->n_dims > 1 ? axis < block_axis : ht_encodings_by_channel (place->n_dims, axis, block_axis)))
    return index;
  return index % place->n_blocks * place->n_channels + index / place->n_blocks;
}

static HtEncoding *
make_lpbq (Matching *self, const HtEncodingsEntry *entry, Place *place, GError **error)
{
  gsize n = entry->block_scales.n;
  g_autofree guint *blocks = g_new (guint, n);

  if (entry->scales.n != place->n_channels)
    {
      ht_encodings_complain (self->reader, entry->node,
                             "tensor '%s' has the scales of %" G_GSIZE_FORMAT
                             " channels here; expected %" G_GSIZE_FORMAT,
                             place->tensor, entry->scales.n, place->n_channels);
      return NULL;
    }
  for (gsize i = 0; i < n; i++)
    blocks[i] = (guint)entry->block_scales.values[file_index (&entry->block_scales, place, i)];
  return ht_encoding_new_lpbq (entry->bits, entry->scale_bits, place->axis, place->block_axis, entry->block_size,
                               entry->scales.values, entry->scales.n, blocks, n, error);
}

static gboolean
is_symmetric (const HtEncodingsEntry *entry, HtQuantizer *quantizer)
{
  if (entry->symmetry != HT_ENCODINGS_EITHER)
    return entry->symmetry == HT_ENCODINGS_SYMMETRIC;
  return quantizer && ht_quantizer_settings_get_symmetric (ht_quantizer_get_settings (quantizer));
}

static HtEncoding *
make_encoding (Matching *self, const HtEncodingsEntry *entry, Place *place, GError **error)
{
  const HtEncodingsNumbers *scales = &entry->scales;
  g_autofree double *steps = g_new (double, MAX (scales->n, 1));
  g_autofree gint64 *offsets = g_new0 (gint64, MAX (scales->n, 1));
  /* AIMET does not write whether a grid is strict: its offset tells. */
  gboolean symmetric = is_symmetric (entry, place->quantizer);
  gboolean strict = symmetric && entry->offsets && entry->offsets[0] == 1 - ((gint64)1 << (entry->bits - 1));

  for (gsize i = 0; i < scales->n; i++)
    {
      gsize at = file_index (scales, place, i);

      steps[i] = scales->values[at];
      offsets[i] = entry->offsets ? entry->offsets[at] : 0;
    }
  if (entry->format != HT_NUMBER_FORMAT_INT)
    return ht_encoding_new_float (entry->format, place->axis, place->n_channels, place->block_axis, entry->block_size,
                                  steps, scales->n, error);
  if (place->block_axis >= 0)
    return ht_encoding_new_blocks (entry->bits, symmetric, strict, place->axis, place->n_channels, place->block_axis,
                                   entry->block_size, steps, offsets, scales->n, error);
  return ht_encoding_new (entry->bits, symmetric, strict, place->axis, steps, offsets, scales->n, error);
}

/* NULL after a complaint. */
static HtEncoding *
read_encoding (Matching *self, const HtEncodingsEntry *entry, HtQuantizer *quantizer, const char *tensor)
{
  Place place = { .tensor = tensor,
                  .quantizer = quantizer,
                  .source = strcmp (entry->name, tensor) != 0 ? g_hash_table_lookup (self->sources, tensor) : NULL,
                  .axis = -1,
                  .block_axis = -1,
                  .n_channels = 1,
                  .n_blocks = 1 };
  const HtEncodingsNumbers *numbers = entry->shape == HT_ENCODINGS_LPBQ ? &entry->block_scales : &entry->scales;
  g_autoptr (HtEncoding) encoding = NULL;
  guint before = self->reader->problems->len;
  GError *error = NULL;
  gint axis = quantizer ? ht_quantizer_get_axis (quantizer) : -1;

  if (entry->shape != HT_ENCODINGS_TENSOR)
    {
      if (!locate (self, entry, numbers, &place))
        return NULL;
    }
  else if (entry->may_be_channel && axis >= 0 && get_dims (self->simulation->graph, tensor, place.dims, &place.n_dims)
           && axis < (gint)place.n_dims && place.dims[axis] == 1)
    place.axis = axis;
  encoding = entry->shape == HT_ENCODINGS_LPBQ ? make_lpbq (self, entry, &place, &error)
                                               : make_encoding (self, entry, &place, &error);
  if (encoding && place.block_axis >= 0 && !ht_encoding_fits (encoding, place.dims, place.n_dims))
    ht_encodings_complain (self->reader, entry->node, "tensor '%s' has not the shape that these grids are for", tensor);
  else if (encoding)
    return g_steal_pointer (&encoding);
  else if (error)
    ht_encodings_complain (self->reader, entry->node, "tensor '%s': %s", tensor, error->message);
  g_clear_error (&error);
  g_assert (self->reader->problems->len > before);
  return NULL;
}

/* "2 bits", "LPBQ of 4 + 4 bits in blocks of 64", for messages. */
static char *
describe_form (const HtGridForm *form)
{
  const char *spread = form->scale_bits > 0    ? "LPBQ"
                       : form->block_axis >= 0 ? "one grid a block"
                       : form->axis >= 0       ? "one grid a channel"
                                               : "one grid in all";
  const char *symmetry = form->format != HT_NUMBER_FORMAT_INT ? ""
                         : form->strict                       ? ", strict symmetric"
                         : form->symmetric                    ? ", symmetric"
                                                              : ", asymmetric";
  g_autoptr (GString) text = g_string_new (NULL);

  if (form->format != HT_NUMBER_FORMAT_INT)
    g_string_append (text, ht_number_format_get_name (form->format));
  else
    g_string_append_printf (text, "%u bits", form->bits);
  g_string_append_printf (text, "%s, %s", symmetry, spread);
  if (form->block_axis >= 0)
    g_string_append_printf (text, " of %" G_GSIZE_FORMAT, form->block_size);
  if (form->scale_bits > 0)
    g_string_append_printf (text, " with scales of %u bits", form->scale_bits);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Where the file has to cover everything it also has to agree with the settings. */
static void
check_settings (Matching *self, const HtEncodingsEntry *entry, HtQuantizer *quantizer, HtEncoding *encoding)
{
  const char *tensor = ht_quantizer_get_tensor (quantizer);
  const HtGridForm *found = &encoding->form;
  g_autofree char *there = NULL, *here = NULL;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims = 0;
  HtGridForm form;

  if (!get_dims (self->simulation->graph, tensor, dims, &n_dims))
    n_dims = 0;
  ht_quantizer_get_form (quantizer, self->simulation->graph, dims, n_dims, &form);
  if (found->format == form.format && found->axis == form.axis && found->block_axis == form.block_axis
      && found->block_size == form.block_size && found->scale_bits == form.scale_bits
      && (found->format != HT_NUMBER_FORMAT_INT
          || (found->bits == form.bits && found->symmetric == form.symmetric && found->strict == form.strict)))
    return;
  here = describe_form (found);
  there = describe_form (&form);
  ht_encodings_complain (self->reader, entry->node, "tensor '%s' has %s here; the settings say %s", tensor, here,
                         there);
}

static void
take (Matching *self, const HtEncodingsEntry *entry, HtQuantizer *quantizer, const char *tensor)
{
  HtEncoding *encoding = read_encoding (self, entry, quantizer, tensor);
  g_autofree char *text = NULL;

  if (!encoding)
    return;
  if (quantizer && !self->partial)
    check_settings (self, entry, quantizer, encoding);
  if (g_hash_table_contains (self->found, tensor))
    ht_encodings_complain (self->reader, entry->node,
                           "tensor '%s' has a second encoding, under the name of its initializer", tensor);
  g_hash_table_replace (self->found, g_strdup (tensor), encoding);
}

static void
take_extra (Matching *self, HtEncodingsEntry *entry)
{
  if (self->partial)
    {
      take (self, entry, NULL, entry->name);
      g_ptr_array_add (self->extra, entry);
    }
  else
    ht_encodings_complain (self->reader, entry->node, "tensor '%s' is not quantized by the target '%s'", entry->name,
                           ht_quantization_config_get_target (self->simulation->config));
}

static void
match_entry (Matching *self, HtEncodingsEntry *entry)
{
  HtSimulation *simulation = self->simulation;
  HtDataType type = ht_graph_get_data_type (simulation->graph, entry->name);
  const char *tensor = g_hash_table_lookup (self->by_source, entry->name), *grid;
  HtQuantizer *quantizer;

  if (!tensor)
    tensor = entry->name;
  quantizer = g_hash_table_lookup (simulation->by_name, tensor);
  grid = g_hash_table_lookup (simulation->placement->grids, tensor);
  if (quantizer)
    take (self, entry, quantizer, tensor);
  else if (type == HT_DATA_TYPE_UNDEFINED)
    ht_encodings_complain (self->reader, entry->node, "the network has no tensor '%s'", entry->name);
  else if (type != HT_DATA_TYPE_FLOAT)
    ht_encodings_complain (self->reader, entry->node, "tensor '%s' is %s and cannot be quantized", entry->name,
                           ht_data_type_get_name (type));
  else if (entry->format == HT_NUMBER_FORMAT_INT && entry->bits == 32
           && ht_graph_is_constant (simulation->graph, tensor))
    g_ptr_array_add (self->biases, entry);
  else if (grid && g_hash_table_contains (simulation->by_name, grid))
    g_ptr_array_add (self->kept, entry);
  else
    take_extra (self, entry);
}

/* Writers repeat a grid behind operators that keep it: nothing new, unless it differs. */
static void
match_kept (Matching *self, HtEncodingsEntry *entry)
{
  const char *grid = g_hash_table_lookup (self->simulation->placement->grids, entry->name);
  HtEncoding *source = g_hash_table_lookup (self->found, grid);
  g_autoptr (HtEncoding) encoding
      = source ? read_encoding (self, entry, g_hash_table_lookup (self->simulation->by_name, grid), entry->name) : NULL;

  if (source && !encoding)
    return;
  if (!source || !ht_encoding_equal (source, encoding))
    take_extra (self, entry);
}

/* Formats without a scale need no entry, and 2.0.0 has none for them: the settings say it all. Where the file may give
 * a part, it is no word of the file's, but what calibration would find. */
static gboolean
take_unlisted (Matching *self, HtQuantizer *quantizer)
{
  HtNumberFormat format = ht_quantizer_settings_get_format (ht_quantizer_get_settings (quantizer));
  const char *tensor = ht_quantizer_get_tensor (quantizer);

  if (self->reader->lists_float16 || format == HT_NUMBER_FORMAT_INT || ht_number_format_has_scale (format))
    return FALSE;
  if (!self->partial || ht_simulation_get_origin (self->simulation, tensor) == HT_ORIGIN_NONE)
    g_hash_table_insert (self->partial ? self->implied : self->found, g_strdup (tensor),
                         ht_encoding_new_float (format, -1, 1, -1, 0, NULL, 1, NULL));
  return TRUE;
}

static void
take_missing (Matching *self)
{
  HtPlacement *placement = self->simulation->placement;

  for (guint i = 0; i < placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);

      if (g_hash_table_contains (self->found, tensor) || take_unlisted (self, quantizer) || self->partial)
        continue;
      ht_encodings_complain (self->reader, ht_located_document_get_root (self->reader->document),
                             "the file has no encoding for tensor '%s' (%s)", tensor,
                             ht_quantizer_get_reason (quantizer));
    }
}

static gboolean
have_equal_steps (const HtEncodingsNumbers *scales, HtEncoding *encoding)
{
  gsize n_grids;
  const double *own = ht_encoding_get_scales (encoding, &n_grids);

  for (gsize i = 0; i < scales->n; i++)
    if (fabs (scales->values[i] - own[n_grids == 1 ? 0 : MIN (i, n_grids - 1)]) > 1e-5 * scales->values[i])
      return FALSE;
  return n_grids == 1 || scales->n == n_grids;
}

/* The grid of a bias follows from its layer's. A file that says otherwise is not obeyed, and that is listed. */
static void
compare_biases (Matching *self)
{
  HtGraph *graph = self->simulation->graph;

  for (guint i = 0; i < self->biases->len; i++)
    {
      HtEncodingsEntry *entry = g_ptr_array_index (self->biases, i);
      g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, entry->name);
      gboolean agrees = FALSE;

      for (guint k = 0; k < consumers->len && !agrees; k++)
        {
          g_autoptr (HtEncoding) encoding = NULL;

          agrees = ht_bias_grid_make (self->simulation, NULL, g_ptr_array_index (consumers, k), &encoding, NULL)
                   && encoding && have_equal_steps (&entry->scales, encoding);
        }
      if (!agrees)
        ht_simulation_note (self->simulation,
                            "tensor '%s': the encodings file has 32-bit grids for it that are not input scale times "
                            "weight scale of its layer; they are left out",
                            entry->name);
    }
}

static void
take_all (HtSimulation *simulation, GHashTable *encodings, HtEncodingOrigin origin)
{
  GHashTableIter iter;
  gpointer tensor, encoding;

  g_hash_table_iter_init (&iter, encodings);
  while (g_hash_table_iter_next (&iter, &tensor, &encoding))
    ht_simulation_take_encoding (simulation, tensor, encoding, origin);
}

static void
apply (Matching *self)
{
  for (guint i = 0; i < self->extra->len; i++)
    {
      HtEncodingsEntry *entry = g_ptr_array_index (self->extra, i);

      ht_simulation_add_quantizer (self->simulation, entry->name, entry->role == HT_ENCODINGS_PARAMETER,
                                   "given by the encodings file");
    }
  take_all (self->simulation, self->found, HT_ORIGIN_GIVEN);
  take_all (self->simulation, self->implied, HT_ORIGIN_COMPUTED);
  compare_biases (self);
  /* AIMET named no producer in its earlier files. */
  ht_simulation_set_arithmetic (self->simulation, g_strcmp0 (self->reader->producer, HT_ENCODINGS_PRODUCER) == 0
                                                      ? HT_ARITHMETIC_DEVICE
                                                      : HT_ARITHMETIC_AIMET);
}

static GHashTable *
invert_sources (GHashTable *sources)
{
  GHashTable *inverse = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer tensor, source;

  g_hash_table_iter_init (&iter, sources);
  while (g_hash_table_iter_next (&iter, &tensor, &source))
    g_hash_table_insert (inverse, g_strdup (((HtEncodingsSource *)source)->name), g_strdup (tensor));
  return inverse;
}

void
ht_encodings_match (HtEncodingsReader *reader, HtSimulation *simulation, gboolean partial)
{
  g_autoptr (GHashTable) sources = ht_encodings_map_sources (simulation);
  g_autoptr (GHashTable) by_source = invert_sources (sources);
  g_autoptr (GHashTable) found
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_encoding_unref);
  g_autoptr (GHashTable) implied
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_encoding_unref);
  g_autoptr (GPtrArray) extra = g_ptr_array_new ();
  g_autoptr (GPtrArray) kept = g_ptr_array_new ();
  g_autoptr (GPtrArray) biases = g_ptr_array_new ();
  Matching self = { reader, simulation, partial, sources, by_source, found, implied, extra, kept, biases };

  for (guint i = 0; i < reader->entries->len; i++)
    match_entry (&self, g_ptr_array_index (reader->entries, i));
  for (guint i = 0; i < kept->len; i++)
    match_kept (&self, g_ptr_array_index (kept, i));
  take_missing (&self);
  if (reader->problems->len == 0)
    apply (&self);
}
