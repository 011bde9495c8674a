/* SPDX-License-Identifier: MIT */
#include "quant/verify-tensors.h"

#include "graph/graph-private.h"
#include "graph/written-out.h"
#include "quant/bias-grid.h"
#include "quant/simulation-private.h"

#include <halftone/error.h>
#include <math.h>
#include <string.h>

/**
 * HtVerifiedTensor:
 *
 * A quantized tensor of a simulation beside the same tensor of an exported file. Differences are in steps of its grid.
 * Immutable, counted.
 */
G_DEFINE_BOXED_TYPE (HtVerifiedTensor, ht_verified_tensor, ht_verified_tensor_ref, ht_verified_tensor_unref)

/* Rounding a sum of another order may give the neighbour on the grid. Values are float32: at the ends of 16 bits they
 * are multiples of a step to a hundredth only. */
#define MAX_STEPS 1.01
/* Constants are computed by one multiplication on both sides. */
#define MAX_CONSTANT_STEPS 0.01
/* Scales are float32 on both sides. */
#define SCALE_TOLERANCE 1e-6

/**
 * ht_verified_tensor_ref:
 * @self: a tensor
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @self
 */
HtVerifiedTensor *
ht_verified_tensor_ref (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

/**
 * ht_verified_tensor_unref:
 * @self: (transfer full): a tensor
 *
 * Gives a reference back; the last one frees it.
 */
void
ht_verified_tensor_unref (HtVerifiedTensor *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_free (self->name);
  g_free (self->place);
  g_free (self->layer);
  g_free (self->problem);
  g_clear_pointer (&self->encoding, ht_encoding_unref);
  g_clear_pointer (&self->constant, ht_tensor_unref);
  g_free (self);
}

/**
 * ht_verified_tensor_get_name:
 * @self: a tensor
 *
 * Gets its name in the simulation.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_verified_tensor_get_name (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->name;
}

/**
 * ht_verified_tensor_get_layer:
 * @self: a tensor
 *
 * Gets the layer that it belongs to.
 *
 * Returns: (transfer none): a description of the node that makes it or, of a constant, that reads it
 */
const char *
ht_verified_tensor_get_layer (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->layer;
}

/**
 * ht_verified_tensor_is_constant:
 * @self: a tensor
 *
 * Tells weights, biases and constant operands from activations.
 *
 * Returns: %TRUE for a constant
 */
gboolean
ht_verified_tensor_is_constant (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->constant != NULL;
}

/**
 * ht_verified_tensor_get_maximum:
 * @self: a tensor
 *
 * Gets the largest difference where the file's layer is given what the simulation's layer reads.
 *
 * Returns: a number of steps, NaN where it was not compared
 */
double
ht_verified_tensor_get_maximum (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NAN);

  return ht_deviation_get_maximum (&self->alone);
}

/**
 * ht_verified_tensor_get_mean:
 * @self: a tensor
 *
 * Gets the mean difference where the file's layer is given what the simulation's layer reads.
 *
 * Returns: a number of steps, NaN where it was not compared
 */
double
ht_verified_tensor_get_mean (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NAN);

  return ht_deviation_get_mean (&self->alone);
}

/**
 * ht_verified_tensor_get_whole_maximum:
 * @self: a tensor
 *
 * Gets the largest difference in a run of the whole file: networks may amplify differences of single steps.
 *
 * Returns: a number of steps, NaN where it was not compared
 */
double
ht_verified_tensor_get_whole_maximum (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NAN);

  return ht_deviation_get_maximum (&self->whole);
}

/**
 * ht_verified_tensor_get_whole_mean:
 * @self: a tensor
 *
 * Gets the mean difference in a run of the whole file.
 *
 * Returns: a number of steps, NaN where it was not compared
 */
double
ht_verified_tensor_get_whole_mean (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NAN);

  return ht_deviation_get_mean (&self->whole);
}

/**
 * ht_verified_tensor_get_problem:
 * @self: a tensor
 *
 * Gets what is wrong with the tensor in the file before anything runs: it is not there, or has another grid.
 *
 * Returns: (transfer none) (nullable): a sentence, or %NULL
 */
const char *
ht_verified_tensor_get_problem (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->problem;
}

/**
 * ht_verified_tensor_agrees:
 * @self: a tensor
 *
 * Judges a tensor: it has no problem, a constant is the same, and an activation is at most one step off where its layer
 * is given what the simulation's layer reads.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_verified_tensor_agrees (HtVerifiedTensor *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return !self->problem && self->alone.maximum <= (self->constant ? MAX_CONSTANT_STEPS : MAX_STEPS);
}

/* ---- Finding them ---- */

typedef struct
{
  HtSimulation *simulation;
  HtGraph *file;
  GHashTable *seen; /* names */
  GPtrArray *list;
} Search;

static gboolean
is_there (HtGraph *file, const char *name)
{
  return ht_graph_get_producer (file, name) || ht_graph_get_initializer (file, name);
}

/* A network input keeps its name: the values on its grid are behind a QuantizeLinear and a DequantizeLinear. */
static const char *
find_behind_input (HtGraph *file, const char *name)
{
  g_autoptr (GPtrArray) readers = ht_graph_list_consumers (file, name);

  for (guint i = 0; i < readers->len; i++)
    {
      HtNode *reader = g_ptr_array_index (readers, i);
      HtNode *next
          = ht_node_get_n_outputs (reader) > 0 ? ht_graph_get_only_reader (file, ht_node_get_output (reader, 0)) : NULL;

      if (next && (ht_node_is_op (reader, "QuantizeLinear") || ht_node_is_op (reader, "Cast"))
          && (ht_node_is_op (next, "DequantizeLinear") || ht_node_is_op (next, "Cast")))
        return ht_node_get_output (next, 0);
    }
  return NULL;
}

static HtVerifiedTensor *
add_tensor (Search *search, const char *name, const char *place, const char *layer, HtEncoding *encoding)
{
  HtVerifiedTensor *tensor = g_new0 (HtVerifiedTensor, 1);

  g_atomic_ref_count_init (&tensor->n_refs);
  tensor->name = g_strdup (name);
  tensor->place = g_strdup (place);
  tensor->layer = g_strdup (layer);
  tensor->encoding = encoding ? ht_encoding_ref (encoding) : NULL;
  if (!place)
    tensor->problem = g_strdup ("the file has no values on its grid");
  g_ptr_array_add (search->list, tensor);
  return tensor;
}

/* The values may hide a scale that is a little wrong. */
static void
check_scale (Search *search, HtVerifiedTensor *tensor)
{
  HtNode *maker = tensor->place ? ht_graph_get_producer (search->file, tensor->place) : NULL;
  double expected = ht_encoding_get_scales (tensor->encoding, NULL)[0];
  g_autoptr (HtTensor) scale = NULL;

  if (!maker || !ht_node_is_op (maker, "DequantizeLinear") || ht_node_get_n_inputs (maker) < 2)
    return;
  scale = ht_graph_get_constant (search->file, ht_node_get_input (maker, 1));
  if (!scale || ht_tensor_get_n_elements (scale) != 1)
    return;
  if (!(fabs (ht_tensor_get_double (scale, 0) - expected) <= SCALE_TOLERANCE * expected))
    tensor->problem = g_strdup_printf ("its scale is %.9g in the file, %.9g in the simulation",
                                       ht_tensor_get_double (scale, 0), expected);
}

static void
add_activation (Search *search, const char *name, const char *layer, HtEncoding *encoding)
{
  const char *place = NULL;

  if (!g_hash_table_add (search->seen, g_strdup (name)))
    return;
  if (ht_graph_is_input (search->simulation->graph, name))
    place = find_behind_input (search->file, name);
  else if (is_there (search->file, name))
    place = name;
  HtVerifiedTensor *tensor = add_tensor (search, name, place, layer, encoding);
  if (encoding)
    check_scale (search, tensor);
}

static gboolean
add_constant (Search *search, const char *name, const char *place, const char *layer, HtEncoding *encoding,
              GError **error)
{
  g_autoptr (HtTensor) value = NULL;
  HtVerifiedTensor *tensor;

  if (!g_hash_table_add (search->seen, g_strdup (name)))
    return TRUE;
  value = ht_graph_get_constant (search->simulation->graph, name);
  tensor = add_tensor (search, name, place, layer, encoding);
  if (!value)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "verifying: the constant '%s' cannot be computed", name);
      return FALSE;
    }
  tensor->constant = ht_encoding_fake_quantize (encoding, value, error);
  return tensor->constant != NULL;
}

/* The node of the file that reads the same weight in the same way: its bias has a name of its own. */
static const char *
find_bias (HtGraph *file, HtNode *node)
{
  g_autoptr (GPtrArray) readers = ht_graph_list_consumers (file, ht_node_get_input (node, 1));
  HtNode *reader = readers->len == 1 ? g_ptr_array_index (readers, 0) : NULL;

  if (!reader || !ht_node_is_op (reader, ht_node_get_op_type (node)) || ht_node_get_n_inputs (reader) < 3
      || !is_there (file, ht_node_get_input (reader, 2)))
    return NULL;
  return ht_node_get_input (reader, 2);
}

static gboolean
add_bias (Search *search, HtNode *node, const char *layer, GError **error)
{
  g_autoptr (HtEncoding) encoding = NULL;

  if (!ht_bias_grid_make (search->simulation, NULL, node, &encoding, error))
    return FALSE;
  /* One that several layers read is in floating point in the simulation. */
  if (!encoding || ht_graph_count_uses (search->simulation->graph, ht_node_get_input (node, 2)) != 1
      || ht_graph_count_uses (search->simulation->graph, ht_node_get_input (node, 1)) != 1)
    return TRUE;
  return add_constant (search, ht_node_get_input (node, 2), find_bias (search->file, node), layer, encoding, error);
}

static gboolean
add_constants (Search *search, HtNode *node, const char *layer, GError **error)
{
  HtSimulation *simulation = search->simulation;

  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *name = ht_node_get_input (node, i);
      HtEncoding *encoding = name[0] ? ht_simulation_find_encoding (simulation, NULL, name) : NULL;

      if (encoding && ht_graph_is_constant (simulation->graph, name)
          && !add_constant (search, name, is_there (search->file, name) ? name : NULL, layer, encoding, error))
        return FALSE;
    }
  return add_bias (search, node, layer, error);
}

static void
add_outputs (Search *search, HtNode *node, const char *layer)
{
  HtSimulation *simulation = search->simulation;

  for (guint i = 0; i < ht_node_get_n_outputs (node); i++)
    {
      const char *name = ht_node_get_output (node, i);
      gboolean is_output = name[0] && ht_graph_is_output (simulation->graph, name);
      HtEncoding *encoding = name[0] ? ht_simulation_find_encoding (simulation, NULL, name) : NULL;

      if (name[0] == '\0' || ht_graph_is_constant (simulation->graph, name))
        continue;
      if (!encoding && !is_output)
        encoding = ht_simulation_find_kept_grid (simulation, NULL, name);
      if (encoding || (is_output && ht_graph_get_data_type (simulation->graph, name) == HT_DATA_TYPE_FLOAT))
        add_activation (search, name, layer, encoding);
    }
}

GPtrArray *
ht_verify_list_tensors (HtSimulation *simulation, HtGraph *file, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_verified_tensor_unref);
  Search search = { simulation, file, seen, list };
  const char *const *inputs = ht_graph_get_inputs (simulation->graph);

  for (guint i = 0; inputs[i]; i++)
    {
      HtEncoding *encoding = ht_simulation_find_encoding (simulation, NULL, inputs[i]);

      if (encoding && !ht_graph_is_constant (simulation->graph, inputs[i]))
        add_activation (&search, inputs[i], "network input", encoding);
    }
  for (guint i = 0; i < ht_graph_get_n_nodes (simulation->graph); i++)
    {
      HtNode *node = ht_graph_get_node (simulation->graph, i);
      g_autofree char *layer = ht_node_label (node);

      if (ht_node_get_n_outputs (node) > 0 && ht_graph_is_constant (simulation->graph, ht_node_get_output (node, 0)))
        continue;
      if (!add_constants (&search, node, layer, error))
        return NULL;
      add_outputs (&search, node, layer);
    }
  return g_steal_pointer (&list);
}
