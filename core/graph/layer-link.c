/* SPDX-License-Identifier: MIT */
/* Pairs of layers between which a positive per-channel scale can be moved without changing the function. */
#include <halftone/error.h>
#include <halftone/layer.h>

#include "graph/layer-private.h"

#include <math.h>

/* Min and Max broadcast since this opset; a per-channel limit needs that. */
#define FIRST_BROADCASTING_OPSET 8

struct _HtLayerLink
{
  gint ref_count;
  HtLayer *from, *to;
  GPtrArray *chain; /* HtNode: what stands between, in order */
};

/**
 * HtLayerLink:
 *
 * Two layers, the second the only reader of the first, with nothing between but operators that commute with a positive
 * factor on each channel: Relu, LeakyRelu, PRelu, Pad, pooling, Identity, Dropout, and clamps (Clip, or Min and Max with
 * constants), which commute when their limits are multiplied too. The channel axis is axis 1.
 */
G_DEFINE_BOXED_TYPE (HtLayerLink, ht_layer_link, ht_layer_link_ref, ht_layer_link_unref)

/**
 * ht_layer_link_ref: (skip)
 * @self: a link
 *
 * Returns: (transfer full): @self
 */
HtLayerLink *
ht_layer_link_ref (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * ht_layer_link_unref: (skip)
 * @self: (transfer full): a link
 */
void
ht_layer_link_unref (HtLayerLink *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_clear_pointer (&self->from, ht_layer_unref);
  g_clear_pointer (&self->to, ht_layer_unref);
  g_ptr_array_unref (self->chain);
  g_free (self);
}

/* The largest float, the default of the attributes before opset 11, limits nothing. */
static double
unlimited (double limit)
{
  return fabs (limit) >= G_MAXFLOAT ? copysign (INFINITY, limit) : limit;
}

/* A limit of a Clip: an input since opset 11, an attribute before. Returns whether it is known. */
static gboolean
clip_limit (HtGraph *graph, HtNode *node, gboolean upper, double *limit)
{
  guint index = upper ? 2 : 1;
  *limit = upper ? INFINITY : -INFINITY;
  if (ht_graph_get_opset (graph, "") < 11)
    {
      *limit = unlimited (ht_node_get_float (node, upper ? "max" : "min", *limit));
      return TRUE;
    }
  if (ht_node_get_n_inputs (node) <= index || *ht_node_get_input (node, index) == '\0')
    return TRUE;
  gsize n = 0;
  g_autofree double *values = ht_graph_dup_constant_values (graph, ht_node_get_input (node, index), &n);
  if (values == NULL || n != 1 || isnan (values[0]))
    return FALSE;
  *limit = unlimited (values[0]);
  return TRUE;
}

/* The input of a Min or Max that holds a constant limit for each channel (or one for all); -1 where there is none. */
static int
limit_input (HtGraph *graph, HtNode *node, gsize n_channels)
{
  if (ht_node_get_n_inputs (node) != 2)
    return -1;
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (HtTensor) limit = ht_graph_get_constant (graph, ht_node_get_input (node, i));
      if (limit == NULL)
        continue;
      gsize n = ht_tensor_get_n_elements (limit);
      guint rank = ht_tensor_get_n_dims (limit);
      gboolean by_channel = n == n_channels && rank > 1 && ht_tensor_get_dim (limit, 1) == (gint64) n;
      return n == 1 || by_channel ? i : -1;
    }
  return -1;
}

/* The amounts of a Pad: an attribute before opset 11, a constant input since. */
static gint64 *
pad_amounts (HtGraph *graph, HtNode *node, gsize *n_amounts)
{
  if (ht_graph_get_opset (graph, "") < 11)
    {
      const gint64 *pads = ht_node_get_ints (node, "pads", n_amounts);
      return pads != NULL ? g_memdup2 (pads, *n_amounts * sizeof *pads) : NULL;
    }
  gsize n = 0;
  g_autofree double *values
      = ht_node_get_n_inputs (node) > 1 ? ht_graph_dup_constant_values (graph, ht_node_get_input (node, 1), &n) : NULL;
  if (values == NULL)
    return NULL;
  gint64 *pads = g_new (gint64, MAX (n, 1));
  for (gsize i = 0; i < n; i++)
    pads[i] = (gint64) values[i];
  *n_amounts = n;
  return pads;
}

static gboolean
pads_with_zeros (HtGraph *graph, HtNode *node)
{
  if (!g_str_equal (ht_node_get_string (node, "mode", "constant"), "constant"))
    return TRUE; /* repeats values of the same channel */
  if (ht_graph_get_opset (graph, "") < 11)
    return ht_node_get_float (node, "value", 0) == 0;
  if (ht_node_get_n_inputs (node) < 3 || *ht_node_get_input (node, 2) == '\0')
    return TRUE;
  gsize n = 0;
  g_autofree double *value = ht_graph_dup_constant_values (graph, ht_node_get_input (node, 2), &n);
  return value != NULL && n == 1 && value[0] == 0;
}

static gboolean
pad_commutes (HtGraph *graph, HtNode *node)
{
  gsize n = 0;
  gboolean has_axes = ht_node_get_n_inputs (node) > 3 && *ht_node_get_input (node, 3) != '\0';
  g_autofree gint64 *pads = pad_amounts (graph, node, &n);
  if (pads == NULL || has_axes || n < 4 || n % 2 != 0 || !pads_with_zeros (graph, node))
    return FALSE;
  return pads[0] == 0 && pads[1] == 0 && pads[n / 2] == 0 && pads[n / 2 + 1] == 0; /* batch and channels untouched */
}

static gboolean
is_one_of (HtNode *node, const char *const *op_types)
{
  for (; *op_types != NULL; op_types++)
    if (ht_node_is_op (node, *op_types))
      return TRUE;
  return FALSE;
}

static const char *const plain_ops[] = { "Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool",
                                         "GlobalMaxPool", "Identity", "Dropout", NULL };
static const char *const rectifiers[] = { "Relu", "LeakyRelu", "PRelu", "Clip", "Min", "Max", NULL };

static gboolean
commutes_with_scale (HtGraph *graph, HtNode *node, const char *tensor, gsize n_channels)
{
  double lower, upper;
  gboolean is_first = g_str_equal (ht_node_get_input (node, 0), tensor);
  if (is_one_of (node, plain_ops))
    return is_first;
  if (ht_node_is_op (node, "PRelu"))
    return is_first && ht_graph_is_constant (graph, ht_node_get_input (node, 1));
  if (ht_node_is_op (node, "Pad"))
    return is_first && pad_commutes (graph, node);
  if (ht_graph_get_opset (graph, "") < FIRST_BROADCASTING_OPSET)
    return FALSE;
  if (ht_node_is_op (node, "Clip"))
    return is_first && clip_limit (graph, node, FALSE, &lower) && clip_limit (graph, node, TRUE, &upper);
  if (ht_node_is_op (node, "Min") || ht_node_is_op (node, "Max"))
    return limit_input (graph, node, n_channels) >= 0;
  return FALSE;
}

static gboolean
has_channel_axis (HtLayer *layer)
{
  return ht_layer_get_kind (layer) != HT_LAYER_MATMUL; /* whose channels are the last axis of any rank */
}

static HtNode *
only_consumer (HtGraph *graph, const char *tensor)
{
  if (ht_graph_is_output (graph, tensor) || ht_graph_count_uses (graph, tensor) != 1)
    return NULL;
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, tensor);
  HtNode *node = consumers->len == 1 ? g_ptr_array_index (consumers, 0) : NULL;
  for (guint i = 0; node != NULL && i < ht_node_get_n_inputs (node); i++)
    if (g_str_equal (ht_node_get_input (node, i), tensor))
      return node;
  return NULL; /* read inside a subgraph */
}

static HtLayerLink *
follow (HtLayer *from, GHashTable *layers_by_node)
{
  HtGraph *graph = ht_layer_get_graph (from);
  gsize n_channels = ht_layer_get_n_output_channels (from);
  g_autoptr (GPtrArray) chain = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_node_unref);
  const char *tensor = ht_layer_get_output (from);
  for (HtNode *node = only_consumer (graph, tensor); node != NULL; node = only_consumer (graph, tensor))
    {
      HtLayer *to = g_hash_table_lookup (layers_by_node, node);
      if (to != NULL)
        {
          gboolean fits = g_str_equal (ht_layer_get_input (to), tensor) && has_channel_axis (to)
                          && ht_layer_get_n_input_channels (to) == n_channels;
          if (!fits)
            return NULL;
          HtLayerLink *self = g_new0 (HtLayerLink, 1);
          self->ref_count = 1;
          self->from = ht_layer_ref (from);
          self->to = ht_layer_ref (to);
          self->chain = g_steal_pointer (&chain);
          return self;
        }
      if (!commutes_with_scale (graph, node, tensor, n_channels))
        return NULL;
      g_ptr_array_add (chain, ht_node_ref (node));
      tensor = ht_node_get_output (node, 0);
    }
  return NULL;
}

/**
 * ht_graph_list_layer_links:
 * @graph: a graph
 *
 * All links of @graph in execution order of their first layer. A layer starts at most one link and ends at most one, so
 * that links form chains. A tensor with a second reader, or that is a graph output, ends a chain.
 *
 * Returns: (transfer container) (element-type HtLayerLink): the links
 */
GPtrArray *
ht_graph_list_layer_links (HtGraph *graph)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph);
  g_autoptr (GHashTable) by_node = g_hash_table_new (NULL, NULL);
  GPtrArray *links = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_layer_link_unref);
  for (guint i = 0; i < layers->len; i++)
    g_hash_table_insert (by_node, ht_layer_get_node (g_ptr_array_index (layers, i)), g_ptr_array_index (layers, i));
  for (guint i = 0; i < layers->len; i++)
    {
      HtLayer *from = g_ptr_array_index (layers, i);
      HtLayerLink *link = has_channel_axis (from) ? follow (from, by_node) : NULL;
      if (link != NULL)
        g_ptr_array_add (links, link);
    }
  return links;
}

/**
 * ht_layer_link_get_from:
 * @self: a link
 *
 * Returns: (transfer none): the layer it leaves
 */
HtLayer *
ht_layer_link_get_from (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->from;
}

/**
 * ht_layer_link_get_to:
 * @self: a link
 *
 * Returns: (transfer none): the layer it enters
 */
HtLayer *
ht_layer_link_get_to (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->to;
}

/**
 * ht_layer_link_is_rectified:
 * @self: a link
 *
 * Returns: whether a Relu, LeakyRelu, PRelu or clamp stands between
 */
gboolean
ht_layer_link_is_rectified (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  for (guint i = 0; i < self->chain->len; i++)
    if (is_one_of (g_ptr_array_index (self->chain, i), rectifiers))
      return TRUE;
  return FALSE;
}

/**
 * ht_layer_link_is_linear:
 * @self: a link
 *
 * Returns: whether what stands between is linear for each channel (nothing, Pad, average pooling)
 */
gboolean
ht_layer_link_is_linear (HtLayerLink *self)
{
  static const char *const maxima[] = { "MaxPool", "GlobalMaxPool", NULL };
  g_return_val_if_fail (self != NULL, FALSE);
  for (guint i = 0; i < self->chain->len; i++)
    if (is_one_of (g_ptr_array_index (self->chain, i), maxima))
      return FALSE;
  return !ht_layer_link_is_rectified (self);
}

static gboolean
is_limit (HtNode *node)
{
  return ht_node_is_op (node, "Clip") || ht_node_is_op (node, "Min") || ht_node_is_op (node, "Max");
}

/**
 * ht_layer_link_has_limits:
 * @self: a link
 *
 * Returns: whether a clamp with a limit other than zero stands between
 */
gboolean
ht_layer_link_has_limits (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  HtGraph *graph = ht_layer_get_graph (self->from);
  for (guint i = 0; i < self->chain->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->chain, i);
      double lower = 0, upper = 0;
      if (!is_limit (node))
        continue;
      if (!ht_node_is_op (node, "Clip"))
        return TRUE;
      clip_limit (graph, node, FALSE, &lower);
      clip_limit (graph, node, TRUE, &upper);
      if ((isfinite (lower) && lower != 0) || (isfinite (upper) && upper != 0))
        return TRUE;
    }
  return FALSE;
}

static gboolean
pool_counts_padding (HtNode *node)
{
  return ht_node_is_op (node, "AveragePool") && ht_node_get_int (node, "count_include_pad", 0) != 0;
}

/**
 * ht_layer_link_has_padding:
 * @self: a link
 *
 * Whether zeros enter between the first layer's activation and the second layer's kernel: there a constant added to a
 * channel does not arrive everywhere.
 *
 * Returns: whether something pads
 */
gboolean
ht_layer_link_has_padding (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  HtGraph *graph = ht_layer_get_graph (self->from);
  for (guint i = 0; i < self->chain->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->chain, i);
      gsize n = 0;
      if (pool_counts_padding (node))
        return TRUE;
      if (!ht_node_is_op (node, "Pad")
          || !g_str_equal (ht_node_get_string (node, "mode", "constant"), "constant"))
        continue;
      g_autofree gint64 *pads = pad_amounts (graph, node, &n);
      for (gsize p = 0; p < n; p++)
        if (pads[p] != 0)
          return TRUE;
    }
  return ht_layer_has_padding (self->to);
}

/* A constant [1, C, 1, ...] of the rank of the activations, so that it broadcasts along axis 1. */
static char *
add_limits (HtLayerLink *self, const char *stem, const double *limits, gsize n_channels, GError **error)
{
  HtGraph *graph = ht_layer_get_graph (self->from);
  g_autoptr (HtTensor) weight = ht_graph_get_constant (graph, ht_layer_get_weight (self->from));
  g_return_val_if_fail (weight != NULL, NULL);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint rank = ht_tensor_get_n_dims (weight);
  for (guint i = 0; i < rank; i++)
    dims[i] = i == 1 ? (gint64) n_channels : 1;
  g_autoptr (HtTensor) like = ht_tensor_new (ht_tensor_get_data_type (weight), dims, rank, error);
  if (like == NULL)
    return NULL;
  g_autofree char *name = ht_graph_make_name (graph, stem);
  return ht_graph_store_values (graph, name, like, limits, error);
}

static double *
repeat (double value, gsize n)
{
  double *values = g_new (double, n);
  for (gsize i = 0; i < n; i++)
    values[i] = value;
  return values;
}

/* Puts a node that applies the lower limit in front of `clip`: Relu for zero, else Max with a constant. */
static gboolean
insert_lower (HtLayerLink *self, HtNode *clip, guint position, double lower, gsize n_channels, GError **error)
{
  HtGraph *graph = ht_layer_get_graph (self->from);
  HtNode *before = position > 0 ? g_ptr_array_index (self->chain, position - 1) : NULL;
  if (lower == 0 && before != NULL && ht_node_is_op (before, "Relu"))
    return TRUE;
  g_autofree char *limits = NULL;
  g_autofree char *stem = g_strdup_printf ("%s.minimum", ht_node_get_output (clip, 0));
  if (lower != 0)
    {
      g_autofree double *values = repeat (lower, n_channels);
      limits = add_limits (self, stem, values, n_channels, error);
      if (limits == NULL)
        return FALSE;
    }
  g_autofree char *tensor_stem = g_strdup_printf ("%s.raised", ht_node_get_output (clip, 0));
  g_autofree char *tensor = ht_graph_make_name (graph, tensor_stem);
  g_autofree char *node_stem = g_strdup_printf ("%s.lower", ht_node_get_name (clip));
  g_autofree char *name = ht_graph_make_name (graph, node_stem);
  const char *inputs[] = { ht_node_get_input (clip, 0), limits, NULL }, *outputs[] = { tensor, NULL };
  HtNode *node = ht_graph_add_node (graph, lower == 0 ? "Relu" : "Max", "", name, inputs, outputs);
  ht_graph_set_node_input (graph, clip, 0, tensor);
  g_ptr_array_insert (self->chain, (gint) position, ht_node_ref (node));
  return TRUE;
}

/* Splits a Clip into its lower part and a Min with per-channel limits, which can then be scaled and shifted. */
static gboolean
split_clip (HtLayerLink *self, guint position, gsize n_channels, GError **error)
{
  HtGraph *graph = ht_layer_get_graph (self->from);
  HtNode *clip = g_ptr_array_index (self->chain, position);
  double lower = 0, upper = 0;
  clip_limit (graph, clip, FALSE, &lower);
  clip_limit (graph, clip, TRUE, &upper);
  if (isinf (upper) && (lower == 0 || isinf (lower)))
    return TRUE; /* a Relu, or nothing: no limit to carry */
  if (isfinite (lower) && !insert_lower (self, clip, position, lower, n_channels, error))
    return FALSE;
  g_autofree char *stem = g_strdup_printf ("%s.maximum", ht_node_get_output (clip, 0));
  g_autofree double *values = repeat (isinf (upper) ? G_MAXFLOAT : upper, n_channels);
  g_autofree char *limits = add_limits (self, stem, values, n_channels, error);
  if (limits == NULL)
    return FALSE;
  g_autofree char *input = g_strdup (ht_node_get_input (clip, 0));
  g_autofree char *output = g_strdup (ht_node_get_output (clip, 0));
  g_autofree char *name = g_strdup (ht_node_get_name (clip));
  const char *inputs[] = { input, limits, NULL }, *outputs[] = { output, NULL };
  guint now = 0;
  g_ptr_array_find (self->chain, clip, &now);
  ht_graph_remove_node (graph, clip);
  g_ptr_array_index (self->chain, now) = NULL;
  ht_node_unref (clip);
  g_ptr_array_index (self->chain, now) = ht_node_ref (ht_graph_add_node (graph, "Min", "", name, inputs, outputs));
  return TRUE;
}

static gboolean
split_clips (HtLayerLink *self, gsize n_channels, GError **error)
{
  for (guint i = 0; i < self->chain->len; i++)
    {
      if (!ht_node_is_op (g_ptr_array_index (self->chain, i), "Clip"))
        continue;
      if (!split_clip (self, i, n_channels, error))
        return FALSE;
    }
  return ht_graph_sort (ht_layer_get_graph (self->from), error);
}

/* Reads the limits of a Min or Max, one for each channel. */
static double *
dup_limits (HtLayerLink *self, HtNode *node, gsize n_channels)
{
  HtGraph *graph = ht_layer_get_graph (self->from);
  int index = limit_input (graph, node, n_channels);
  gsize n = 0;
  g_return_val_if_fail (index >= 0, NULL);
  double *values = ht_graph_dup_constant_values (graph, ht_node_get_input (node, (guint) index), &n);
  if (values == NULL || n == n_channels)
    return values;
  double *all = repeat (values[0], n_channels);
  g_free (values);
  return all;
}

static gboolean
change_limits (HtLayerLink *self, gboolean upper_only, const double *factors, const double *shifts, gsize n_channels,
               GError **error)
{
  HtGraph *graph = ht_layer_get_graph (self->from);
  if (!ht_layer_link_has_limits (self))
    return TRUE;
  if (!split_clips (self, n_channels, error))
    return FALSE;
  for (guint i = 0; i < self->chain->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->chain, i);
      if (!ht_node_is_op (node, "Min") && (upper_only || !ht_node_is_op (node, "Max")))
        continue;
      g_autofree double *limits = dup_limits (self, node, n_channels);
      for (gsize c = 0; c < n_channels; c++)
        limits[c] = limits[c] * (factors != NULL ? factors[c] : 1) - (shifts != NULL ? shifts[c] : 0);
      guint index = (guint) limit_input (graph, node, n_channels);
      g_autofree char *name = add_limits (self, ht_node_get_input (node, index), limits, n_channels, error);
      if (name == NULL)
        return FALSE;
      g_autofree char *old = g_strdup (ht_node_get_input (node, index));
      ht_graph_set_node_input (graph, node, index, name);
      if (ht_graph_count_uses (graph, old) == 0 && ht_graph_get_initializer (graph, old) != NULL)
        ht_graph_remove_initializer (graph, old);
    }
  return TRUE;
}

/**
 * ht_layer_link_scale_limits:
 * @self: a link
 * @factors: (array length=n_channels): a positive factor for each channel
 * @n_channels: number of channels between the layers
 * @error: return location for an error
 *
 * Multiplies the limits of the clamps between the layers, so that they commute with a scale by @factors. A Clip becomes
 * a Relu (or a Max with constants) and a Min with a constant [1, C, 1, ...].
 *
 * Returns: whether it was done
 */
gboolean
ht_layer_link_scale_limits (HtLayerLink *self, const double *factors, gsize n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && factors != NULL, FALSE);
  g_return_val_if_fail (n_channels == ht_layer_get_n_output_channels (self->from), FALSE);
  return change_limits (self, FALSE, factors, NULL, n_channels, error);
}

/**
 * ht_layer_link_shift_limits:
 * @self: a link
 * @shifts: (array length=n_channels): what is taken from each channel
 * @n_channels: number of channels between the layers
 * @error: return location for an error
 *
 * Lowers the upper limits of the clamps between the layers by @shifts.
 *
 * Returns: whether it was done
 */
gboolean
ht_layer_link_shift_limits (HtLayerLink *self, const double *shifts, gsize n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && shifts != NULL, FALSE);
  g_return_val_if_fail (n_channels == ht_layer_get_n_output_channels (self->from), FALSE);
  return change_limits (self, TRUE, NULL, shifts, n_channels, error);
}

/**
 * ht_layer_link_get_upper_limits:
 * @self: a link
 * @n_channels: (out): number of values
 *
 * The lowest upper limit that stands between the layers; infinite for a channel without one.
 *
 * Returns: (array length=n_channels) (transfer full): a limit for each channel
 */
double *
ht_layer_link_get_upper_limits (HtLayerLink *self, gsize *n_channels)
{
  g_return_val_if_fail (self != NULL && n_channels != NULL, NULL);
  HtGraph *graph = ht_layer_get_graph (self->from);
  gsize n = ht_layer_get_n_output_channels (self->from);
  double *lowest = repeat (INFINITY, n);
  *n_channels = n;
  for (guint i = 0; i < self->chain->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->chain, i);
      double upper = INFINITY;
      g_autofree double *limits = NULL;
      if (ht_node_is_op (node, "Clip"))
        {
          clip_limit (graph, node, TRUE, &upper);
          limits = repeat (upper, n);
        }
      else if (ht_node_is_op (node, "Min"))
        limits = dup_limits (self, node, n);
      for (gsize c = 0; limits != NULL && c < n; c++)
        lowest[c] = fmin (lowest[c], limits[c]);
    }
  return lowest;
}

/**
 * ht_layer_link_drop_upper_limits:
 * @self: a link
 *
 * Replaces each Clip with a lower limit of zero by a Relu, as ReLU6 by ReLU. This changes the function.
 *
 * Returns: the number of limits dropped
 */
guint
ht_layer_link_drop_upper_limits (HtLayerLink *self)
{
  g_return_val_if_fail (self != NULL, 0);
  HtGraph *graph = ht_layer_get_graph (self->from);
  guint n_dropped = 0;
  for (guint i = 0; i < self->chain->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->chain, i);
      double lower = 0, upper = INFINITY;
      if (!ht_node_is_op (node, "Clip"))
        continue;
      clip_limit (graph, node, FALSE, &lower);
      clip_limit (graph, node, TRUE, &upper);
      if (lower != 0 || isinf (upper))
        continue;
      g_autofree char *input = g_strdup (ht_node_get_input (node, 0));
      g_autofree char *output = g_strdup (ht_node_get_output (node, 0));
      g_autofree char *name = g_strdup (ht_node_get_name (node));
      const char *inputs[] = { input, NULL }, *outputs[] = { output, NULL };
      ht_graph_remove_node (graph, node);
      g_ptr_array_index (self->chain, i) = ht_node_ref (ht_graph_add_node (graph, "Relu", "", name, inputs, outputs));
      ht_node_unref (node);
      n_dropped++;
    }
  if (n_dropped > 0)
    ht_graph_sort (graph, NULL);
  return n_dropped;
}
