/* SPDX-License-Identifier: MIT */
/* Finds functions where they are written out as small nodes. */
#pragma once

#include <halftone/graph.h>
#include <string.h>

typedef enum
{
  HT_GELU_OTHER, /* neither of the two, but close */
  HT_GELU_ERF,
  HT_GELU_TANH,
} HtGeluForm;

/* The nodes of the GELU around this Tanh or Erf, in order, the end last; NULL where there is none. Element type HtNode,
 * not owned. `x` is what it is the GELU of; x and form may be NULL. gelu.c */
GPtrArray *ht_gelu_collect (HtGraph *graph, HtNode *anchor, const char **x, HtGeluForm *form);

/* A layer normalization: d = x - mean (x); d / sqrt (mean (d^2) + epsilon), then perhaps gain and bias, constants of
 * any shape. */
typedef struct
{
  GPtrArray *nodes; /* HtNode, not owned; the end last */
  const char *x;
  HtNode *means[2];
  const char *exponent; /* of the square; NULL: a product */
  const char *epsilon;
  const char *gain, *bias; /* NULL: none */
} HtLayerNorm;

/* The one that begins at this ReduceMean. layer-norm.c */
gboolean ht_layer_norm_find (HtGraph *graph, HtNode *head, HtLayerNorm *found);
static inline void
ht_layer_norm_clear (HtLayerNorm *self)
{
  g_clear_pointer (&self->nodes, g_ptr_array_unref);
}

/* The only node that reads a tensor, if it reads it once. */
static inline HtNode *
ht_graph_get_only_reader (HtGraph *graph, const char *tensor)
{
  g_autoptr (GPtrArray) readers = NULL;

  if (tensor[0] == '\0' || ht_graph_is_output (graph, tensor) || ht_graph_count_uses (graph, tensor) != 1)
    return NULL;
  readers = ht_graph_list_consumers (graph, tensor);
  return readers->len == 1 ? g_ptr_array_index (readers, 0) : NULL;
}
