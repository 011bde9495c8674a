/* SPDX-License-Identifier: MIT */
/* Writes a simulation down as a network of QuantizeLinear and DequantizeLinear that any ONNX runtime runs. */
#include "quant/bias-grid.h"
#include "quant/opset-upgrade.h"
#include "quant/qdq-storage.h"
#include "quant/simulation-private.h"

#include "graph/graph-private.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

typedef struct
{
  HtSimulation *simulation;
  HtGraph *graph; /* the network to be, not sealed */
  HtQdqWeights weights;
  gint64 opset; /* before it is raised: nodes are added as it has them */
} Writer;

/* ---- What can be written ---- */

static gboolean
find_opset (HtSimulation *self, gint64 *opset, GError **error)
{
  *opset = 10;
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, tensor);
      HtQdqStorage storage;

      if (!encoding)
        continue;
      if (!ht_qdq_choose_storage (encoding, ht_quantizer_is_constant (quantizer), &storage, error))
        {
          g_prefix_error (error, "writing Q/DQ, tensor '%s': ", tensor);
          return FALSE;
        }
      *opset = MAX (*opset, storage.opset);
    }
  return TRUE;
}

/* The IR version that goes with an opset, from the table of ONNX's versioning page. */
static gint64
ir_version_for (gint64 opset)
{
  static const struct
  {
    gint64 opset, ir_version;
  } steps[] = { { 21, 10 }, { 19, 9 }, { 15, 8 }, { 12, 7 }, { 11, 6 }, { 10, 5 } };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    if (opset >= steps[i].opset)
      return steps[i].ir_version;
  return 4;
}

/* ---- Writing ---- */

static char *
make_name (Writer *writer, const char *tensor, const char *what)
{
  g_autofree char *stem = g_strdup_printf ("%s_%s", tensor, what);

  return ht_graph_make_name (writer->graph, stem);
}

static char *
add_initializer (Writer *writer, const char *tensor, const char *what, HtTensor *value)
{
  g_autofree char *name = make_name (writer, tensor, what);

  ht_graph_set_initializer (writer->graph, name, value);
  return g_steal_pointer (&name);
}

static HtNode *
add_node (Writer *writer, const char *op_type, const char *const *inputs, const char *output)
{
  const char *const outputs[] = { output, NULL };
  g_autofree char *stem = g_strdup_printf ("%s_%s", output, op_type);

  return ht_graph_add_node (writer->graph, op_type, "", stem, inputs, outputs);
}

static void
add_cast (Writer *writer, const char *input, HtDataType type, const char *output)
{
  const char *const inputs[] = { input, NULL };
  HtNode *node = add_node (writer, "Cast", inputs, output);

  ht_graph_set_int (writer->graph, node, "to", type);
}

/* The grid of one tensor, as names of tensors in the file. */
typedef struct
{
  HtEncoding *encoding;
  HtQdqStorage storage;
  char *scale;
  char *zero_point; /* "" where there is none */
} Grid;

static void
grid_clear (Grid *grid)
{
  g_free (grid->scale);
  g_free (grid->zero_point);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Grid, grid_clear)

/* Integer scales of blocks are dequantized themselves. */
static gboolean
add_block_scales (Writer *writer, const char *tensor, Grid *grid, const gint64 *dims, guint n_dims, GError **error)
{
  gint axis = ht_encoding_get_axis (grid->encoding);
  g_autoptr (HtTensor) integers = ht_qdq_make_block_scales (grid->encoding, dims, n_dims, error);
  g_autoptr (HtTensor) scales = integers ? ht_qdq_make_channel_scales (grid->encoding, error) : NULL;
  g_autofree char *codes = NULL, *meta = NULL;

  if (!scales)
    return FALSE;
  codes = add_initializer (writer, tensor, "scale_quantized", integers);
  meta = add_initializer (writer, tensor, "scale_scale", scales);
  grid->scale = make_name (writer, tensor, "scale");
  {
    const char *const inputs[] = { codes, meta, NULL };
    HtNode *node = add_node (writer, "DequantizeLinear", inputs, grid->scale);

    if (axis >= 0)
      ht_graph_set_int (writer->graph, node, "axis", axis);
  }
  return TRUE;
}

static gboolean
add_grid (Writer *writer, const char *tensor, Grid *grid, const gint64 *dims, guint n_dims, GError **error)
{
  g_autoptr (HtTensor) scales = NULL;
  g_autoptr (HtTensor) zero_points = NULL;

  if (ht_encoding_get_scale_bits (grid->encoding) > 0)
    {
      if (!add_block_scales (writer, tensor, grid, dims, n_dims, error))
        return FALSE;
    }
  else
    {
      scales = ht_qdq_make_scales (grid->encoding, dims, n_dims, error);
      if (!scales)
        return FALSE;
      grid->scale = add_initializer (writer, tensor, "scale", scales);
    }
  if (grid->storage.only_codes)
    {
      grid->zero_point = g_strdup ("");
      return TRUE;
    }
  zero_points = ht_qdq_make_zero_points (grid->encoding, &grid->storage, dims, n_dims, error);
  if (!zero_points)
    return FALSE;
  grid->zero_point = add_initializer (writer, tensor, "zero_point", zero_points);
  return TRUE;
}

static void
add_grid_node (Writer *writer, const char *op_type, const char *input, const Grid *grid, const char *output)
{
  const char *const inputs[] = { input, grid->scale, grid->zero_point[0] ? grid->zero_point : NULL, NULL };
  HtNode *node = add_node (writer, op_type, inputs, output);
  gint axis = ht_encoding_get_axis (grid->encoding), block_axis = ht_encoding_get_block_axis (grid->encoding);

  if (block_axis >= 0)
    {
      ht_graph_set_int (writer->graph, node, "axis", block_axis);
      ht_graph_set_int (writer->graph, node, "block_size", (gint64)ht_encoding_get_block_size (grid->encoding));
    }
  else if (axis >= 0)
    ht_graph_set_int (writer->graph, node, "axis", axis);
}

/* Frees the name of a tensor, so that a DequantizeLinear can make it and nobody who reads it needs to change. */
static gboolean
vacate (Writer *writer, const char *tensor, const char *new_name, GError **error)
{
  HtNode *producer = ht_graph_get_producer (writer->graph, tensor);

  if (!producer)
    {
      ht_graph_remove_initializer (writer->graph, tensor);
      ht_graph_remove_input (writer->graph, tensor);
      return TRUE;
    }
  for (guint i = 0; i < ht_node_get_n_outputs (producer); i++)
    if (strcmp (ht_node_get_output (producer, i), tensor) == 0)
      {
        ht_graph_set_node_output (writer->graph, producer, i, new_name);
        return TRUE;
      }
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "writing Q/DQ: nothing makes tensor '%s'", tensor);
  return FALSE;
}

/* What the tensor of this name holds from now on, before it is dequantized. */
static gboolean
store_constant (Writer *writer, const char *tensor, Grid *grid, HtTensor *value, gboolean as_float, char **name,
                GError **error)
{
  g_autoptr (HtTensor) stored = as_float ? ht_encoding_fake_quantize (grid->encoding, value, error)
                                         : ht_qdq_make_codes (grid->encoding, &grid->storage, value, error);
  g_autofree char *unused = make_name (writer, tensor, "unused");

  if (!stored)
    {
      g_prefix_error (error, "writing Q/DQ, constant '%s': ", tensor);
      return FALSE;
    }
  if (!vacate (writer, tensor, unused, error))
    return FALSE;
  *name = add_initializer (writer, tensor, as_float ? "float" : "quantized", stored);
  return TRUE;
}

/* A constant: its integers and a DequantizeLinear that makes the name it had, or its values on the grid and both nodes.
 * Such values are not beyond the ends of the grid, whatever type holds their codes. */
static gboolean
write_constant (Writer *writer, const char *tensor, HtEncoding *encoding, GError **error)
{
  g_autoptr (HtTensor) value = ht_graph_get_constant (writer->graph, tensor);
  g_autofree char *name = NULL, *codes = NULL;
  g_auto (Grid) grid = { .encoding = encoding };
  gboolean as_float;
  guint n_dims;
  const gint64 *dims;

  if (!value)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "writing Q/DQ: the constant '%s' cannot be computed", tensor);
      return FALSE;
    }
  if (!ht_qdq_choose_storage (encoding, TRUE, &grid.storage, error))
    return FALSE;
  dims = ht_tensor_get_dims (value, &n_dims);
  as_float = writer->weights == HT_QDQ_WEIGHTS_FLOAT && !grid.storage.only_codes;
  if (!store_constant (writer, tensor, &grid, value, as_float, &name, error))
    return FALSE;
  codes = as_float ? make_name (writer, tensor, "quantized") : g_strdup (name);
  if (grid.storage.casts)
    {
      if (as_float)
        add_cast (writer, name, grid.storage.type, codes);
      add_cast (writer, codes, HT_DATA_TYPE_FLOAT, tensor);
      return TRUE;
    }
  if (!add_grid (writer, tensor, &grid, dims, n_dims, error))
    return FALSE;
  if (as_float)
    add_grid_node (writer, "QuantizeLinear", name, &grid, codes);
  add_grid_node (writer, "DequantizeLinear", codes, &grid, tensor);
  return TRUE;
}

/* Values beyond the ends of the grid go to the ends; the type of the codes would let them pass. */
static gboolean
add_clip (Writer *writer, const char *tensor, HtEncoding *encoding, const char *input, char **output, GError **error)
{
  const double limits[] = { ht_encoding_get_minimum (encoding, 0), ht_encoding_get_maximum (encoding, 0) };
  const char *const names[] = { "min", "max" };
  g_autoptr (GPtrArray) inputs = g_ptr_array_new_with_free_func (g_free);
  HtNode *node;

  *output = make_name (writer, tensor, "clipped");
  g_ptr_array_add (inputs, g_strdup (input));
  for (guint i = 0; writer->opset >= 11 && i < G_N_ELEMENTS (limits); i++)
    {
      g_autoptr (HtTensor) limit = ht_tensor_new_scalar (limits[i], HT_DATA_TYPE_FLOAT, error);

      if (!limit)
        return FALSE;
      g_ptr_array_add (inputs, add_initializer (writer, tensor, names[i], limit));
    }
  g_ptr_array_add (inputs, NULL);
  node = add_node (writer, "Clip", (const char *const *)inputs->pdata, *output);
  for (guint i = 0; writer->opset < 11 && i < G_N_ELEMENTS (limits); i++)
    ht_graph_set_float (writer->graph, node, names[i], (float)limits[i]);
  return TRUE;
}

/* An activation: QuantizeLinear and DequantizeLinear (or two Cast) between what makes it and who reads it. Names of
 * network inputs and outputs stay. */
static gboolean
write_activation (Writer *writer, const char *tensor, HtEncoding *encoding, gboolean may_exceed, GError **error)
{
  g_autofree char *codes = make_name (writer, tensor, "quantized");
  g_autofree char *other = NULL, *clipped = NULL;
  g_auto (Grid) grid = { .encoding = encoding };
  gboolean is_input = ht_graph_is_input (writer->graph, tensor);
  HtShape *shape = ht_graph_get_shape (writer->graph, tensor);
  const char *from, *to;

  if (!ht_qdq_choose_storage (encoding, FALSE, &grid.storage, error))
    return FALSE;
  if (!grid.storage.casts && !add_grid (writer, tensor, &grid, NULL, 0, error))
    return FALSE;
  other = make_name (writer, tensor, is_input ? "dequantized" : "float");
  if (is_input)
    ht_graph_replace_uses (writer->graph, tensor, other);
  else if (!vacate (writer, tensor, other, error))
    return FALSE;
  if (shape)
    ht_graph_set_shape (writer->graph, other, HT_DATA_TYPE_FLOAT, shape);
  from = is_input ? tensor : other;
  to = is_input ? other : tensor;
  if (grid.storage.casts)
    {
      add_cast (writer, from, grid.storage.type, codes);
      add_cast (writer, codes, HT_DATA_TYPE_FLOAT, to);
      return TRUE;
    }
  if (grid.storage.clips && may_exceed && !add_clip (writer, tensor, encoding, from, &clipped, error))
    return FALSE;
  add_grid_node (writer, "QuantizeLinear", clipped ? clipped : from, &grid, codes);
  add_grid_node (writer, "DequantizeLinear", codes, &grid, to);
  return TRUE;
}

/* ---- Biases ---- */

static gboolean
write_bias (Writer *writer, HtNode *node, GError **error)
{
  g_autoptr (HtTensor) bias = NULL;
  g_autoptr (HtTensor) integers = NULL;
  g_autoptr (HtTensor) scale_tensor = NULL;
  g_autoptr (HtEncoding) encoding = NULL;
  g_autofree char *stored = NULL, *scale = NULL, *result = NULL;
  const char *name;

  if (!ht_bias_grid_make (writer->simulation, NULL, node, &encoding, error))
    return FALSE;
  if (!encoding)
    return TRUE;
  name = ht_node_get_input (node, 2);
  bias = ht_graph_get_constant (writer->simulation->graph, name);
  integers = ht_encoding_quantize (encoding, bias, error);
  scale_tensor = integers ? ht_qdq_make_scales (encoding, NULL, 0, error) : NULL;
  if (!scale_tensor)
    return FALSE;
  stored = add_initializer (writer, name, "quantized", integers);
  scale = add_initializer (writer, name, "scale", scale_tensor);
  result = make_name (writer, name, "dequantized");
  {
    const char *const inputs[] = { stored, scale, NULL };
    HtNode *made = add_node (writer, "DequantizeLinear", inputs, result);

    if (ht_encoding_get_axis (encoding) >= 0)
      ht_graph_set_int (writer->graph, made, "axis", 0);
  }
  ht_graph_set_node_input (writer->graph, node, 2, result);
  if (ht_graph_count_uses (writer->graph, name) == 0 && ht_graph_get_initializer (writer->graph, name))
    {
      ht_graph_remove_initializer (writer->graph, name);
      ht_graph_remove_input (writer->graph, name);
    }
  return TRUE;
}

static gboolean
write_biases (Writer *writer, GError **error)
{
  guint n_nodes = ht_graph_get_n_nodes (writer->graph);

  for (guint i = 0; i < n_nodes; i++)
    {
      if (!write_bias (writer, ht_graph_get_node (writer->graph, i), error))
        return FALSE;
    }
  return TRUE;
}

/* Operators that move or select values hand their input's grid on. Runtimes take such an operator as one on integers,
 * and what follows it as a quantized one, only where its output has the grid written down again; on values of the grid
 * that changes nothing. */
static gboolean
write_kept_grids (Writer *writer, GError **error)
{
  HtSimulation *self = writer->simulation;
  guint n_nodes = ht_graph_get_n_nodes (self->graph);

  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);

      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        {
          const char *tensor = ht_node_get_output (node, k);
          HtEncoding *encoding = ht_simulation_find_kept_grid (self, NULL, tensor);

          if (encoding && ht_encoding_is_integer (encoding) && !ht_graph_is_output (self->graph, tensor)
              && !ht_graph_is_constant (self->graph, tensor)
              && !write_activation (writer, tensor, encoding, FALSE, error))
            return FALSE;
        }
    }
  return TRUE;
}

static gboolean
write_quantizers (Writer *writer, GError **error)
{
  HtSimulation *self = writer->simulation;

  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, tensor);

      if (!encoding)
        continue;
      if (ht_quantizer_is_constant (quantizer) ? !write_constant (writer, tensor, encoding, error)
                                               : !write_activation (writer, tensor, encoding, TRUE, error))
        return FALSE;
    }
  return TRUE;
}

/**
 * ht_simulation_to_qdq:
 * @self: a simulation with encodings
 * @error: return location for an error
 *
 * Makes a network of integer weights with QuantizeLinear and DequantizeLinear; see ht_simulation_to_qdq_full().
 *
 * Returns: (transfer full) (nullable): a new graph, or %NULL with @error set when ONNX cannot express an encoding or
 * the opset cannot be raised
 */
HtGraph *
ht_simulation_to_qdq (HtSimulation *self, GError **error)
{
  return ht_simulation_to_qdq_full (self, HT_QDQ_WEIGHTS_INTEGER, error);
}

/**
 * ht_simulation_to_qdq_full:
 * @self: a simulation with encodings
 * @weights: how constants are stored
 * @error: return location for an error
 *
 * Makes a network that computes what the simulation computes and that any ONNX runtime runs. Constants are stored as
 * integers with a DequantizeLinear behind them, or as values of their grids with both nodes; activations pass through
 * QuantizeLinear and DequantizeLinear; biases of quantized layers are int32 in steps of input scale times weight scale
 * (left in floating point where those cannot hold them). float16 and bfloat16 are two Cast. Names of inputs and outputs
 * stay.
 *
 * Constants of 2 to 4 bits are stored in 4, up to 8 in 8, up to 16 in 16, beyond that in 32. Activations have 8 or 16;
 * a grid that has fewer codes than its type (4 bits, 6 bits, strict symmetric) has a Clip before it; more than 16 bits
 * are refused.
 *
 * The opset is raised where it is lower: to 10, to 13 for grids per channel and bfloat16, to 19 for the floating-point
 * formats of 8 bits, to 21 for integers of other than 8 bits and for blocks.
 *
 * Returns: (transfer full) (nullable): a new graph, or %NULL with @error set when ONNX cannot express an encoding or
 * the opset cannot be raised
 */
HtGraph *
ht_simulation_to_qdq_full (HtSimulation *self, HtQdqWeights weights, GError **error)
{
  g_autoptr (HtGraph) graph = NULL;
  Writer writer;
  HtModelInfo *info;
  gint64 opset;

  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  if (!find_opset (self, &opset, error))
    return NULL;
  graph = ht_graph_copy (self->graph);
  /* Before anything is added: what the nodes of the file mean does not change any more. */
  if (!ht_graph_upgrade_opset (graph, opset, error))
    return NULL;
  writer = (Writer){ self, graph, weights, ht_graph_get_opset (graph, "") };
  /* Biases first: they are looked up by the names that nodes of the simulation read. */
  if (!write_biases (&writer, error) || !write_quantizers (&writer, error) || !write_kept_grids (&writer, error))
    return NULL;
  ht_graph_remove_dead_nodes (graph);
  if (!ht_graph_sort (graph, error))
    return NULL;
  info = ht_graph_get_model_info (graph);
  if (info->ir_version != 0)
    info->ir_version = MAX (info->ir_version, ir_version_for (ht_graph_get_opset (graph, "")));
  if (!ht_graph_verify (graph, error))
    return NULL;
  return g_steal_pointer (&graph);
}
