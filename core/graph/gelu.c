/* SPDX-License-Identifier: MIT */
/* GELU is x P (X <= x) for a normal X: x (1 + erf (x / sqrt 2)) / 2, or the same with a tanh of a cubic in its place
 * (Hendrycks and Gimpel, arXiv:1606.08415). Exporters spell both in many ways, so no spelling is looked for: a region
 * of small nodes that computes one tensor from one other and from scalar constants is taken where its values are those
 * of GELU. */
#include "graph/written-out.h"

#include <math.h>

#define MAX_NODES 16
#define MAX_STEPS 4    /* nodes between the Tanh or Erf and the product with x */
#define N_POINTS  17   /* from -4 to 4, every half */
#define TOLERANCE 1e-3 /* the form with tanh is off by 5e-4 */
#define EXACT     1e-6 /* of the two forms: constants are rounded */

typedef struct
{
  HtGraph *graph;
  const char *x;
  GPtrArray *nodes;
  double values[MAX_NODES][N_POINTS]; /* what each of the nodes computes at the points */
} Region;

static double
point (guint i)
{
  return 0.5 * ((double)i - N_POINTS / 2);
}

static gboolean
get_scalar (HtGraph *graph, const char *tensor, double *value)
{
  g_autoptr (HtTensor) constant = NULL;

  if (tensor[0] == '\0' || !ht_graph_is_constant (graph, tensor))
    return FALSE;
  constant = ht_graph_get_constant (graph, tensor);
  if (!constant || ht_tensor_get_n_elements (constant) != 1
      || !ht_data_type_is_float (ht_tensor_get_data_type (constant)))
    return FALSE;
  *value = ht_tensor_get_double (constant, 0);
  return TRUE;
}

static gboolean
compute (HtNode *node, const double *a, const double *b, double *result)
{
  for (guint i = 0; i < N_POINTS; i++)
    if (ht_node_is_op (node, "Add"))
      result[i] = a[i] + b[i];
    else if (ht_node_is_op (node, "Sub"))
      result[i] = a[i] - b[i];
    else if (ht_node_is_op (node, "Mul"))
      result[i] = a[i] * b[i];
    else if (ht_node_is_op (node, "Div"))
      result[i] = a[i] / b[i];
    else if (ht_node_is_op (node, "Pow"))
      result[i] = pow (a[i], b[i]);
    else if (ht_node_is_op (node, "Tanh"))
      result[i] = tanh (a[i]);
    else if (ht_node_is_op (node, "Erf"))
      result[i] = erf (a[i]);
    else
      return FALSE;
  return TRUE;
}

/* Adds what computes a tensor to the region, inputs first, up to x. The depth is that of the region, at most MAX_NODES.
 */
static gboolean
evaluate (Region *region, const char *tensor, guint depth, double *values)
{
  HtNode *node;
  double inputs[2][N_POINTS] = { { 0 } };
  guint n_inputs, at;
  double scalar;

  if (strcmp (tensor, region->x) == 0)
    {
      for (guint i = 0; i < N_POINTS; i++)
        values[i] = point (i);
      return TRUE;
    }
  if (get_scalar (region->graph, tensor, &scalar))
    {
      for (guint i = 0; i < N_POINTS; i++)
        values[i] = scalar;
      return TRUE;
    }
  node = ht_graph_get_producer (region->graph, tensor);
  if (!node || depth >= MAX_NODES)
    return FALSE;
  if (g_ptr_array_find (region->nodes, node, &at))
    {
      memcpy (values, region->values[at], sizeof region->values[at]);
      return TRUE;
    }
  n_inputs = ht_node_get_n_inputs (node);
  if (n_inputs < 1 || n_inputs > 2 || ht_node_get_n_outputs (node) != 1)
    return FALSE;
  for (guint i = 0; i < n_inputs; i++)
    if (!evaluate (region, ht_node_get_input (node, i), depth + 1, inputs[i]))
      return FALSE;
  if (region->nodes->len >= MAX_NODES || !compute (node, inputs[0], inputs[1], values))
    return FALSE;
  memcpy (region->values[region->nodes->len], values, sizeof region->values[0]);
  g_ptr_array_add (region->nodes, node);
  return TRUE;
}

/* Nobody outside reads what is inside. */
static gboolean
is_closed (Region *region)
{
  for (guint i = 0; i + 1 < region->nodes->len; i++)
    {
      const char *tensor = ht_node_get_output (g_ptr_array_index (region->nodes, i), 0);
      guint n_uses = 0;

      if (ht_graph_is_output (region->graph, tensor))
        return FALSE;
      for (guint k = i + 1; k < region->nodes->len; k++)
        {
          HtNode *node = g_ptr_array_index (region->nodes, k);

          for (guint input = 0; input < ht_node_get_n_inputs (node); input++)
            n_uses += strcmp (ht_node_get_input (node, input), tensor) == 0;
        }
      if (ht_graph_count_uses (region->graph, tensor) != n_uses)
        return FALSE;
    }
  return TRUE;
}

static double
gelu (HtGeluForm form, double x)
{
  if (form == HT_GELU_TANH)
    return 0.5 * x * (1.0 + tanh (0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  return 0.5 * x * erfc (-x * G_SQRT2 / 2);
}

static gboolean
is_near (const double *values, HtGeluForm form, double tolerance)
{
  for (guint i = 0; i < N_POINTS; i++)
    if (!(fabs (values[i] - gelu (form, point (i))) < tolerance))
      return FALSE;
  return TRUE;
}

/* The region between two tensors, if it is a GELU. */
static GPtrArray *
collect_between (HtGraph *graph, const char *x, HtNode *end, HtNode *anchor, const char **from, HtGeluForm *form)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  Region region = { .graph = graph, .x = x, .nodes = nodes };
  double values[N_POINTS];

  if (!evaluate (&region, ht_node_get_output (end, 0), 0, values) || !g_ptr_array_find (nodes, anchor, NULL)
      || !is_near (values, HT_GELU_ERF, TOLERANCE) || !is_closed (&region))
    return NULL;
  if (from)
    *from = x;
  if (form)
    *form = is_near (values, HT_GELU_ERF, EXACT)    ? HT_GELU_ERF
            : is_near (values, HT_GELU_TANH, EXACT) ? HT_GELU_TANH
                                                    : HT_GELU_OTHER;
  return g_steal_pointer (&nodes);
}

/* The only node that reads the output of another one. */
static HtNode *
get_next (HtGraph *graph, HtNode *node)
{
  return ht_graph_get_only_reader (graph, ht_node_get_output (node, 0));
}

/* The input of a node with two of them, of which the other is a scalar constant; NULL for other nodes. */
static const char *
get_scaled (HtGraph *graph, HtNode *node)
{
  double unused;

  if (!node || ht_node_get_n_inputs (node) != 2 || ht_node_get_n_outputs (node) != 1)
    return NULL;
  for (guint i = 0; i < 2; i++)
    if (get_scalar (graph, ht_node_get_input (node, i), &unused))
      return ht_node_get_input (node, 1 - i);
  return NULL;
}

GPtrArray *
ht_gelu_collect (HtGraph *graph, HtNode *anchor, const char **from, HtGeluForm *form)
{
  HtNode *before = anchor, *product, *after;
  const char *factor, *x;
  guint n_steps = 0;
  GPtrArray *nodes;

  if ((!ht_node_is_op (anchor, "Tanh") && !ht_node_is_op (anchor, "Erf")) || ht_node_get_n_inputs (anchor) != 1
      || ht_node_get_n_outputs (anchor) != 1)
    return NULL;
  /* Forward to where x comes in again... */
  for (product = get_next (graph, anchor); get_scaled (graph, product); product = get_next (graph, product))
    {
      if (++n_steps > MAX_STEPS)
        return NULL;
      before = product;
    }
  if (!product || !ht_node_is_op (product, "Mul") || ht_node_get_n_inputs (product) != 2
      || ht_node_get_n_outputs (product) != 1)
    return NULL;
  factor = ht_node_get_input (product, strcmp (ht_node_get_input (product, 0), ht_node_get_output (before, 0)) == 0);
  /* ...as it is or halved; the half may also come last. */
  x = get_scaled (graph, ht_graph_get_producer (graph, factor));
  after = get_next (graph, product);
  nodes = collect_between (graph, factor, product, anchor, from, form);
  if (!nodes && x)
    nodes = collect_between (graph, x, product, anchor, from, form);
  if (!nodes && get_scaled (graph, after))
    nodes = collect_between (graph, factor, after, anchor, from, form);
  return nodes;
}
