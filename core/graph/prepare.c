/* SPDX-License-Identifier: MIT */
/* Explicit preparation: makes a graph as plain as it can be without changing what it computes. */
#include "graph/graph-private.h"

#include <halftone/error.h>

#include <string.h>

/* A folded value may be this large, or as large as what it is made of: a file must not grow by folding. */
#define MAX_FOLDED_BYTES ((gsize) 1 << 20)

static void
report (GPtrArray *lines, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
report (GPtrArray *lines, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_ptr_array_add (lines, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

static const char *
plural (guint n)
{
  return n == 1 ? "" : "s";
}

static gboolean
is_any (HtNode *node, const char *const *op_types)
{
  for (gsize i = 0; op_types[i]; i++)
    if (ht_node_is_op (node, op_types[i]))
      return TRUE;
  return FALSE;
}

/* ---- Constants ---- */

static gsize
constant_input_size (HtGraph *self, HtNode *node)
{
  gsize size = 0;
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      g_autoptr (HtTensor) tensor = ht_graph_get_constant (self, ht_node_get_input (node, i));
      size += tensor ? ht_tensor_get_size (tensor) : 0;
    }
  return size;
}

/* Quantizers on constants say how a model is quantized: they stay. Graph outputs keep a node that makes them. */
static gboolean
fold_node (HtGraph *self, HtNode *node)
{
  static const char *const kept[] = { "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", NULL };
  guint n_outputs = ht_node_get_n_outputs (node);
  gboolean all = n_outputs > 0 && !is_any (node, kept);
  gsize limit = 0, size = 0;
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_tensor_unref);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; all && i < n_outputs; i++)
    {
      const char *name = ht_node_get_output (node, i);
      if (*name == '\0')
        continue;
      HtTensor *tensor = ht_graph_is_output (self, name) ? NULL : ht_graph_get_constant (self, name);
      all = tensor != NULL;
      if (tensor)
        {
          g_ptr_array_add (tensors, tensor);
          g_ptr_array_add (names, g_strdup (name));
          size += ht_tensor_get_size (tensor);
        }
    }
  if (!all || tensors->len == 0)
    return FALSE;
  limit = ht_node_is_op (node, "Constant") ? G_MAXSIZE : MAX (MAX_FOLDED_BYTES, constant_input_size (self, node));
  if (size > limit)
    return FALSE;
  for (guint i = 0; i < tensors->len; i++)
    ht_graph_set_initializer (self, g_ptr_array_index (names, i), g_ptr_array_index (tensors, i));
  return TRUE;
}

/* Downstream nodes first would fold whole chains at once; in order, every node is counted for itself. */
static void
fold_constants (HtGraph *self, GPtrArray *lines)
{
  guint before = ht_graph_get_n_nodes (self);
  for (guint i = 0; i < ht_graph_get_n_nodes (self);)
    {
      guint n_nodes = ht_graph_get_n_nodes (self);
      if (!fold_node (self, ht_graph_get_node (self, i)) || ht_graph_get_n_nodes (self) == n_nodes)
        i++;
      else
        i -= MIN (i, n_nodes - ht_graph_get_n_nodes (self) - 1);
    }
  guint folded = before - ht_graph_get_n_nodes (self);
  if (folded > 0)
    report (lines, "folded %u constant node%s", folded, plural (folded));
}

/* ---- Nodes that do nothing ---- */

static gboolean
all_zero (HtGraph *self, const char *name)
{
  g_autoptr (HtTensor) tensor = ht_graph_get_constant (self, name);
  if (tensor == NULL)
    return FALSE;
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    if (ht_tensor_get_int64 (tensor, i) != 0)
      return FALSE;
  return TRUE;
}

static gboolean
ints_all_zero (HtNode *node, const char *name)
{
  gsize n = 0;
  const gint64 *values = ht_node_get_ints (node, name, &n);
  for (gsize i = 0; i < n; i++)
    if (values[i] != 0)
      return FALSE;
  return n > 0;
}

/* Same rank, and all dimensions but at most one are the same numbers: with the same number of elements the last one is
 * the same too, if nothing is empty. */
static gboolean
is_same_shape (HtGraph *self, HtNode *node)
{
  HtShape *in = ht_graph_get_shape (self, ht_node_get_input (node, 0));
  HtShape *out = ht_graph_get_shape (self, ht_node_get_output (node, 0));
  guint n_open = 0;

  if (in == NULL || out == NULL || ht_shape_get_n_dims (in) != ht_shape_get_n_dims (out))
    return FALSE;
  for (guint i = 0; i < ht_shape_get_n_dims (in); i++)
    {
      gint64 a = ht_shape_get_dim (in, i), b = ht_shape_get_dim (out, i);
      if (a >= 0 && b >= 0 && (a != b || a == 0))
        return FALSE;
      n_open += a < 0 || b < 0;
    }
  return n_open <= 1;
}

static gboolean
is_plain_order (HtGraph *self, HtNode *node)
{
  gsize n = 0;
  const gint64 *perm = ht_node_get_ints (node, "perm", &n);
  HtShape *in = ht_graph_get_shape (self, ht_node_get_input (node, 0));
  for (gsize i = 0; i < n; i++)
    if (perm[i] != (gint64) i)
      return FALSE;
  return n > 0 || (in && ht_shape_get_n_dims (in) <= 1);
}

static gboolean
is_inference_dropout (HtGraph *self, HtNode *node)
{
  return ht_node_get_n_inputs (node) < 3 || *ht_node_get_input (node, 2) == '\0'
         || all_zero (self, ht_node_get_input (node, 2));
}

/* Dropout's mask, and whatever a broken file lists. */
static gboolean
uses_other_outputs (HtGraph *self, HtNode *node)
{
  for (guint i = 1; i < ht_node_get_n_outputs (node); i++)
    {
      const char *name = ht_node_get_output (node, i);
      if (*name && (ht_graph_count_uses (self, name) > 0 || ht_graph_is_output (self, name)))
        return TRUE;
    }
  return FALSE;
}

static gboolean
does_nothing (HtGraph *self, HtNode *node)
{
  static const char *const reshaping[] = { "Reshape", "Flatten", NULL };

  if (*ht_node_get_domain (node) != '\0')
    return FALSE;
  if (ht_node_is_op (node, "Identity"))
    return TRUE;
  if (ht_node_is_op (node, "Dropout"))
    return is_inference_dropout (self, node);
  if (ht_node_is_op (node, "Cast"))
    {
      HtDataType type = ht_graph_get_data_type (self, ht_node_get_input (node, 0));
      return type != HT_DATA_TYPE_UNDEFINED && (gint64) type == ht_node_get_int (node, "to", 0);
    }
  if (ht_node_is_op (node, "Pad"))
    return ht_graph_get_opset (self, "") >= 11
               ? ht_node_get_n_inputs (node) > 1 && all_zero (self, ht_node_get_input (node, 1))
               : ints_all_zero (node, "pads");
  if (ht_node_is_op (node, "Transpose"))
    return is_plain_order (self, node);
  return is_any (node, reshaping) && is_same_shape (self, node);
}

/* Bypassing is only possible where the node's ends are clear; ht_graph_bypass_node() keeps an Identity where a graph
 * output needs its name. */
static gboolean
remove_if_idle (HtGraph *self, HtNode *node)
{
  if (ht_node_get_n_inputs (node) == 0 || ht_node_get_n_outputs (node) == 0)
    return FALSE;
  const char *input = ht_node_get_input (node, 0), *output = ht_node_get_output (node, 0);
  if (*input == '\0' || *output == '\0' || g_str_equal (input, output) || uses_other_outputs (self, node)
      || !does_nothing (self, node))
    return FALSE;
  guint before = ht_graph_get_n_nodes (self);
  ht_graph_bypass_node (self, node);
  return ht_graph_get_n_nodes (self) < before;
}

static void
remove_idle_nodes (HtGraph *self, GPtrArray *lines)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (self);)
    {
      HtNode *node = ht_graph_get_node (self, i);
      g_autofree char *op_type = g_strdup (ht_node_get_op_type (node));
      g_autofree char *name = g_strdup (ht_node_get_name (node));
      if (!remove_if_idle (self, node))
        i++;
      else
        report (lines, "removed %s '%s', which does nothing", op_type, name);
    }
}

/* ---- Names ---- */

static void
name_nodes (HtGraph *self, GPtrArray *lines)
{
  g_autoptr (GHashTable) counters = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) taken = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n_nodes = ht_graph_get_n_nodes (self);

  for (guint i = 0; i < n_nodes; i++)
    g_hash_table_add (taken, g_strdup (ht_node_get_name (ht_graph_get_node (self, i))));
  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self, i);
      g_autofree char *old = g_strdup (ht_node_get_name (node));
      const char *stem = *old ? old : ht_node_get_op_type (node);
      if (*old && g_hash_table_add (seen, g_strdup (old)))
        continue;
      guint k = GPOINTER_TO_UINT (g_hash_table_lookup (counters, stem));
      g_autofree char *name = g_strdup_printf ("%s_%u", stem, k);
      while (g_hash_table_contains (taken, name))
        {
          g_free (name);
          name = g_strdup_printf ("%s_%u", stem, ++k);
        }
      g_hash_table_insert (counters, g_strdup (stem), GUINT_TO_POINTER (k + 1));
      g_hash_table_add (taken, g_strdup (name));
      g_hash_table_add (seen, g_strdup (name));
      ht_graph_set_node_name (self, node, name);
      if (*old)
        report (lines, "renamed a second node '%s' to '%s'", old, name);
      else
        report (lines, "named node '%s'", name);
    }
}

/* ---- Shared weights ---- */

/* Inputs that a technique may rewrite for this layer alone. */
static gboolean
is_weight_input (HtNode *node, guint index)
{
  static const char *const layers[] = { "Conv", "ConvTranspose", "Gemm", NULL };
  if (is_any (node, layers))
    return index == 1 || index == 2;
  if (ht_node_is_op (node, "MatMul"))
    return index <= 1;
  return ht_node_is_op (node, "BatchNormalization") && index >= 1 && index <= 4;
}

static void
split_shared_weights (HtGraph *self, GPtrArray *lines)
{
  g_autoptr (GHashTable) owners = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n_nodes = ht_graph_get_n_nodes (self);

  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self, i);
      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        {
          const char *name = ht_node_get_input (node, k);
          HtTensor *tensor = *name && is_weight_input (node, k) ? ht_graph_get_initializer (self, name) : NULL;
          if (tensor == NULL)
            continue;
          HtNode *owner = g_hash_table_lookup (owners, name);
          if (owner == NULL || owner == node)
            {
              g_hash_table_insert (owners, g_strdup (name), node);
              continue;
            }
          g_autofree char *copy = ht_graph_make_name (self, name);
          report (lines, "gave '%s' its own copy '%s' of the shared weight '%s'", ht_node_get_name (node), copy, name);
          ht_graph_set_initializer (self, copy, tensor);
          ht_graph_set_node_input (self, node, k, copy);
        }
    }
}

/* ---- What nothing uses ---- */

static void
remove_unused (HtGraph *self, GPtrArray *lines)
{
  guint n_dead = ht_graph_remove_dead_nodes (self), n_initializers = 0;
  g_auto (GStrv) names = ht_graph_list_initializers (self);

  if (n_dead > 0)
    report (lines, "removed %u dead node%s", n_dead, plural (n_dead));
  for (gsize i = 0; names && names[i]; i++)
    {
      if (ht_graph_count_uses (self, names[i]) > 0 || ht_graph_is_output (self, names[i]))
        continue;
      ht_graph_remove_input (self, names[i]);
      ht_graph_remove_initializer (self, names[i]);
      n_initializers++;
    }
  if (n_initializers > 0)
    report (lines, "removed %u unused initializer%s", n_initializers, plural (n_initializers));
}

static guint
count_shapes (HtGraph *self)
{
  guint n = 0;
  for (guint i = 0; i < ht_graph_get_n_nodes (self); i++)
    {
      HtNode *node = ht_graph_get_node (self, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        n += *ht_node_get_output (node, k) && ht_graph_get_shape (self, ht_node_get_output (node, k)) != NULL;
    }
  return n;
}

/**
 * ht_graph_prepare:
 * @self: a graph that is not sealed
 * @error: return location for an error
 *
 * Makes a graph plain, so that techniques find its layers, without changing what it computes.
 *
 * Constant nodes and what follows from them become initializers; Identity, Dropout (as in inference) and conversions,
 * pads, transposes and reshapes that provably do nothing go; nameless nodes are named `<OpType>_<k>` in order, second
 * nodes of one name are renamed; a weight, bias or batch-norm parameter shared by several layers becomes one initializer
 * a layer; dead nodes and unused initializers go; types and shapes are filled in. Subgraphs are left as they are. Fails
 * as ht_graph_infer_shapes() does, before anything is changed.
 *
 * Returns: (transfer full) (array zero-terminated=1): a line for each thing done, in order; empty when the graph was plain
 */
char **
ht_graph_prepare (HtGraph *self, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  g_return_val_if_fail (!ht_graph_is_sealed (self), NULL);

  guint before = count_shapes (self);
  if (!ht_graph_infer_shapes (self, error))
    return NULL;
  guint n_found = count_shapes (self) - before;
  GPtrArray *lines = g_ptr_array_new ();
  fold_constants (self, lines);
  remove_idle_nodes (self, lines);
  remove_unused (self, lines);
  name_nodes (self, lines);
  split_shared_weights (self, lines);
  /* What was inferred once holds still; removed nodes can only have made more known. */
  ht_graph_infer_shapes (self, NULL);
  if (n_found > 0)
    report (lines, "inferred the shape%s of %u tensor%s", plural (n_found), n_found, plural (n_found));
  g_ptr_array_add (lines, NULL);
  return (char **) g_ptr_array_free (lines, FALSE);
}
