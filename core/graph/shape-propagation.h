/* SPDX-License-Identifier: MIT */
/* Walks a graph in order and applies each operator's inference rule, folding integer shape arithmetic as it goes. */
#pragma once

#include "graph/operator.h"

typedef struct _HtValueTable HtValueTable;

/* `known` (name -> HtTensor, nullable) gives values whose exact shape, and content where `use_content`, is known: the
 * inputs of a run. Names that it holds are not inferred again. Nodes that an unknown operator makes stay unknown. */
HtValueTable *ht_shape_propagate (HtGraph *graph, GHashTable *known, gboolean use_content, GError **error);
const HtInferValue *ht_value_table_lookup (HtValueTable *self, const char *name);
void ht_value_table_free (HtValueTable *self);
/* Runs the rule of one node on given values: for a node whose shapes only become known while running. */
gboolean ht_infer_node (HtGraph *graph, HtNode *node, const HtInferValue *const *inputs, HtInferValue *outputs,
                        GError **error);
void ht_infer_value_clear (HtInferValue *value);
void ht_infer_value_copy (HtInferValue *to, const HtInferValue *from);
/* For the rules of control flow: propagates through a subgraph attribute, whose nodes see the values around it. `inputs`
 * (name -> HtInferValue, nullable) are what the node feeds. The table belongs to the node's scope. NULL without an error:
 * the scope is not known. */
HtValueTable *ht_shape_propagate_subgraph (HtInfer *infer, HtGraph *subgraph, GHashTable *inputs, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtValueTable, ht_value_table_free)
