/* SPDX-License-Identifier: MIT */
/* Writes a simulation down as a network of QuantizeLinear and DequantizeLinear that any ONNX runtime runs. */
#include "quant/bias-grid.h"
#include "quant/opset-upgrade.h"
#include "quant/simulation-private.h"

#include "graph/graph-private.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

typedef struct
{
  HtSimulation *simulation;
  HtGraph *graph; /* the network to be, not sealed */
} Writer;

/* ---- What can be written ---- */

static gboolean
check_quantizer (HtQuantizer *quantizer, HtEncoding *encoding, GError **error)
{
  guint bits = ht_encoding_get_bits (encoding);
  const char *why = NULL;

  /* Integers known beforehand lie on their grid whatever type holds them; others are clamped by the type alone. */
  if (!ht_encoding_is_integer (encoding) || ht_encoding_get_block_axis (encoding) >= 0)
    why = "not yet supported here: Q/DQ of blocks and of floating-point numbers";
  else if (bits > 16)
    why = "ONNX quantizes to at most 16 bits";
  else if (!ht_quantizer_is_constant (quantizer) && bits != 8 && bits != 16)
    why = "ONNX runtimes quantize activations to 8 or 16 bits: use one of these";
  else if (!ht_quantizer_is_constant (quantizer) && ht_encoding_is_strict (encoding))
    why = "ONNX cannot leave out the lowest code of an activation: use a grid that is not strict";
  if (!why)
    return TRUE;
  {
    g_autofree char *text = ht_encoding_to_string (encoding);

    g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "writing Q/DQ: found tensor '%s' with %s; %s",
                 ht_quantizer_get_tensor (quantizer), text, why);
  }
  return FALSE;
}

static gboolean
find_opset (HtSimulation *self, gint64 *opset, GError **error)
{
  *opset = 10;
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, ht_quantizer_get_tensor (quantizer));

      if (!encoding)
        continue;
      if (!check_quantizer (quantizer, encoding, error))
        return FALSE;
      if (ht_encoding_get_bits (encoding) > 8)
        *opset = MAX (*opset, 21);
      else if (ht_encoding_get_axis (encoding) >= 0)
        *opset = MAX (*opset, 13);
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

/* One value is a scalar, one a channel is a list. */
static HtTensor *
make_scales (const double *scales, gsize n_grids, gboolean as_list, GError **error)
{
  const gint64 dims[] = { (gint64) n_grids };
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, as_list ? 1 : 0, error);

  if (!tensor)
    return NULL;
  {
    float *values = ht_tensor_get_writable_data (tensor);

    for (gsize i = 0; i < n_grids; i++)
      values[i] = (float) scales[i];
  }
  return tensor;
}

static HtTensor *
make_zero_points (HtEncoding *encoding, GError **error)
{
  gsize n_grids;
  HtDataType type = ht_encoding_get_data_type (encoding);
  HtTensor *tensor;

  ht_encoding_get_scales (encoding, &n_grids);
  {
    const gint64 dims[] = { (gint64) n_grids };

    tensor = ht_tensor_new (type, dims, ht_encoding_get_axis (encoding) < 0 ? 0 : 1, error);
  }
  if (!tensor)
    return NULL;
  {
    gpointer values = ht_tensor_get_writable_data (tensor);

    for (gsize i = 0; i < n_grids; i++)
      if (ht_data_type_get_bits (type) == 8)
        ((guint8 *) values)[i] = (guint8) ht_encoding_get_zero_point (encoding, i);
      else
        ((guint16 *) values)[i] = (guint16) ht_encoding_get_zero_point (encoding, i);
  }
  return tensor;
}

static void
add_grid_node (Writer *writer, const char *op_type, const char *input, const char *scale, const char *zero_point,
               gint axis, const char *output)
{
  const char *const inputs[] = { input, scale, zero_point, NULL };
  const char *const outputs[] = { output, NULL };
  g_autofree char *stem = g_strdup_printf ("%s_%s", output, op_type);
  HtNode *node = ht_graph_add_node (writer->graph, op_type, "", stem, inputs, outputs);

  if (axis >= 0)
    ht_graph_set_int (writer->graph, node, "axis", axis);
}

static gboolean
add_grid (Writer *writer, const char *tensor, HtEncoding *encoding, char **scale, char **zero_point, GError **error)
{
  gsize n_grids;
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  g_autoptr (HtTensor) scale_tensor = make_scales (scales, n_grids, ht_encoding_get_axis (encoding) >= 0, error);
  g_autoptr (HtTensor) zero_tensor = NULL;

  if (!scale_tensor)
    return FALSE;
  zero_tensor = make_zero_points (encoding, error);
  if (!zero_tensor)
    return FALSE;
  *scale = add_initializer (writer, tensor, "scale", scale_tensor);
  *zero_point = add_initializer (writer, tensor, "zero_point", zero_tensor);
  return TRUE;
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

/* A constant: its integers and a DequantizeLinear that makes the name it had. */
static gboolean
write_constant (Writer *writer, const char *tensor, HtEncoding *encoding, GError **error)
{
  g_autoptr (HtTensor) value = ht_graph_get_constant (writer->graph, tensor);
  g_autoptr (HtTensor) integers = NULL;
  g_autofree char *name = NULL, *scale = NULL, *zero_point = NULL, *unused = NULL;

  if (!value)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "writing Q/DQ: the constant '%s' cannot be computed", tensor);
      return FALSE;
    }
  integers = ht_encoding_quantize (encoding, value, error);
  if (!integers)
    {
      g_prefix_error (error, "writing Q/DQ, constant '%s': ", tensor);
      return FALSE;
    }
  unused = make_name (writer, tensor, "float");
  if (!vacate (writer, tensor, unused, error) || !add_grid (writer, tensor, encoding, &scale, &zero_point, error))
    return FALSE;
  name = add_initializer (writer, tensor, "quantized", integers);
  add_grid_node (writer, "DequantizeLinear", name, scale, zero_point, ht_encoding_get_axis (encoding), tensor);
  return TRUE;
}

/* An activation: QuantizeLinear and DequantizeLinear between what makes it and who reads it. Names of network inputs and
 * outputs stay. */
static gboolean
write_activation (Writer *writer, const char *tensor, HtEncoding *encoding, GError **error)
{
  g_autofree char *scale = NULL, *zero_point = NULL;
  g_autofree char *integers = make_name (writer, tensor, "quantized");
  g_autofree char *other = NULL;
  gboolean is_input = ht_graph_is_input (writer->graph, tensor);
  HtShape *shape = ht_graph_get_shape (writer->graph, tensor);

  if (!add_grid (writer, tensor, encoding, &scale, &zero_point, error))
    return FALSE;
  other = make_name (writer, tensor, is_input ? "dequantized" : "float");
  if (is_input)
    ht_graph_replace_uses (writer->graph, tensor, other);
  else if (!vacate (writer, tensor, other, error))
    return FALSE;
  if (shape)
    ht_graph_set_shape (writer->graph, other, HT_DATA_TYPE_FLOAT, shape);
  add_grid_node (writer, "QuantizeLinear", is_input ? tensor : other, scale, zero_point, -1, integers);
  add_grid_node (writer, "DequantizeLinear", integers, scale, zero_point, -1, is_input ? other : tensor);
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
  const double *scales;
  const char *name;
  gsize n_scales;

  if (!ht_bias_grid_make (writer->simulation, NULL, node, &encoding, error))
    return FALSE;
  if (!encoding)
    return TRUE;
  name = ht_node_get_input (node, 2);
  bias = ht_graph_get_constant (writer->simulation->graph, name);
  scales = ht_encoding_get_scales (encoding, &n_scales);
  integers = ht_encoding_quantize (encoding, bias, error);
  scale_tensor = integers ? make_scales (scales, n_scales, n_scales > 1, error) : NULL;
  if (!scale_tensor)
    return FALSE;
  stored = add_initializer (writer, name, "quantized", integers);
  scale = add_initializer (writer, name, "scale", scale_tensor);
  result = make_name (writer, name, "dequantized");
  {
    const char *const inputs[] = { stored, scale, NULL };
    const char *const outputs[] = { result, NULL };
    HtNode *made = ht_graph_add_node (writer->graph, "DequantizeLinear", "", result, inputs, outputs);

    if (n_scales > 1)
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

/* Operators that move or select values hand their input's grid on. Runtimes take such an operator as one on integers, and
 * what follows it as a quantized one, only where its output has the grid written down again; on values of the grid that
 * changes nothing. */
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

          if (encoding && !ht_graph_is_output (self->graph, tensor)
              && !ht_graph_is_constant (self->graph, tensor) && !write_activation (writer, tensor, encoding, error))
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
                                               : !write_activation (writer, tensor, encoding, error))
        return FALSE;
    }
  return TRUE;
}

/**
 * ht_simulation_to_qdq:
 * @self: a simulation with encodings
 * @error: return location for an error
 *
 * Makes a network that computes what the simulation computes and that any ONNX runtime runs: constants are stored as
 * integers with a DequantizeLinear behind them, activations pass through QuantizeLinear and DequantizeLinear, and biases
 * of quantized layers are int32 in steps of input scale times weight scale (left in floating point where those cannot
 * hold them). Names of inputs and outputs stay. The opset is raised to 10, to 13 for grids per channel, to 21 for more
 * than 8 bits, where it is lower.
 *
 * Weights of less than 8 bits are stored in 8; activations have to have 8 or 16.
 *
 * Returns: (transfer full) (nullable): a new graph, or %NULL with @error set when ONNX cannot express an encoding or the
 *   opset cannot be raised
 */
HtGraph *
ht_simulation_to_qdq (HtSimulation *self, GError **error)
{
  g_autoptr (HtGraph) graph = NULL;
  Writer writer;
  HtModelInfo *info;
  gint64 opset;

  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  if (!find_opset (self, &opset, error))
    return NULL;
  graph = ht_graph_copy (self->graph);
  writer = (Writer) { self, graph };
  /* Biases first: they are looked up by the names that nodes of the simulation read. */
  if (!write_biases (&writer, error) || !write_quantizers (&writer, error) || !write_kept_grids (&writer, error))
    return NULL;
  ht_graph_remove_dead_nodes (graph);
  if (!ht_graph_upgrade_opset (graph, opset, error) || !ht_graph_sort (graph, error))
    return NULL;
  info = ht_graph_get_model_info (graph);
  if (info->ir_version != 0)
    info->ir_version = MAX (info->ir_version, ir_version_for (ht_graph_get_opset (graph, "")));
  if (!ht_graph_verify (graph, error))
    return NULL;
  return g_steal_pointer (&graph);
}
