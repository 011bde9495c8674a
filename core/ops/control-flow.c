/* SPDX-License-Identifier: MIT */
/* If. */
#include "graph/shape-propagation.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static const char *const branch_names[] = { "else_branch", "then_branch" };

/* The condition: 0, 1, or -1 where it is not constant. */
static gint
known_condition (const HtInfer *infer)
{
  const HtInferValue *condition = ht_infer_get_input (infer, 0);
  if (condition && condition->constant && ht_tensor_get_n_elements (condition->constant) == 1)
    return ht_tensor_get_int64 (condition->constant, 0) != 0;
  return -1;
}

static void
take_outputs (HtInfer *infer, HtValueTable *table, HtGraph *branch)
{
  const char *const *names = ht_graph_get_outputs (branch);
  for (guint i = 0; names[i] && i < infer->n_outputs; i++)
    {
      const HtInferValue *value = ht_value_table_lookup (table, names[i]);
      if (value)
        ht_infer_value_copy (&infer->outputs[i], value);
    }
}

/* What holds whichever branch is taken. */
static void
unite_outputs (HtInfer *infer, HtValueTable *table, HtGraph *branch)
{
  const char *const *names = ht_graph_get_outputs (branch);
  for (guint i = 0; names[i] && i < infer->n_outputs; i++)
    {
      const HtInferValue *other = ht_value_table_lookup (table, names[i]);
      HtInferValue *mine = &infer->outputs[i];
      if (mine->constant && (other == NULL || other->constant == NULL
                             || !ht_tensor_equal (mine->constant, other->constant)))
        g_clear_pointer (&mine->constant, ht_tensor_unref);
      g_clear_pointer (&mine->elements, g_free);
      mine->n_elements = 0;
      if (other == NULL || other->type != mine->type)
        mine->type = HT_DATA_TYPE_UNDEFINED;
      HtShape *shape = ht_shape_unite (mine->shape, other ? other->shape : NULL);
      HtElementType *element = ht_element_type_unite (mine->element, other ? other->element : NULL);
      g_clear_pointer (&mine->shape, ht_shape_unref);
      g_clear_pointer (&mine->element, ht_element_type_unref);
      mine->shape = shape;
      mine->element = element;
    }
}

static gboolean
check_branch (const HtInfer *infer, HtGraph *branch, const char *name, GError **error)
{
  if (branch == NULL)
    return ht_infer_fail (infer, error, "the attribute '%s' is missing, expected a graph", name);
  guint n = g_strv_length ((char **) ht_graph_get_outputs (branch));
  if (n != infer->n_outputs)
    return ht_infer_fail (infer, error, "'%s' has %u outputs, the node %u", name, n, infer->n_outputs);
  return TRUE;
}

/* A branch that a constant condition takes must be right. Where the condition is only known while running, a branch that
 * does not fit these inputs may never be taken: its outputs stay unknown. */
static gboolean
if_infer (HtInfer *infer, GError **error)
{
  HtGraph *branches[2];
  HtValueTable *tables[2];
  gint condition = known_condition (infer);

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, HT_TYPE_BIT (BOOL), error))
    return FALSE;
  for (guint i = 0; i < 2; i++)
    {
      branches[i] = ht_node_get_subgraph (infer->node, branch_names[i]);
      if (!check_branch (infer, branches[i], branch_names[i], error))
        return FALSE;
    }
  if (infer->scope == NULL)
    return TRUE;
  for (gint i = 0; i < 2; i++)
    {
      g_autoptr (GError) failure = NULL;
      tables[i] = ht_shape_propagate_subgraph (infer, branches[i], NULL, &failure);
      if (tables[i] == NULL && condition == i)
        {
          g_propagate_error (error, g_steal_pointer (&failure));
          return FALSE;
        }
    }
  if (condition >= 0)
    {
      take_outputs (infer, tables[condition], branches[condition]);
    }
  else if (tables[0] && tables[1])
    {
      take_outputs (infer, tables[0], branches[0]);
      unite_outputs (infer, tables[1], branches[1]);
    }
  return TRUE;
}

static gboolean
if_forward (const HtOpCall *call, GError **error)
{
  HtTensor *condition = call->inputs[0];
  if (ht_tensor_get_n_elements (condition) != 1)
    return ht_op_fail (call, error, "the condition has %" G_GSIZE_FORMAT " elements, expected 1",
                       ht_tensor_get_n_elements (condition));
  HtGraph *branch = ht_node_get_subgraph (call->node, branch_names[ht_tensor_get_int64 (condition, 0) != 0]);
  if (call->run_subgraph == NULL || branch == NULL)
    return ht_op_fail (call, error, "a subgraph cannot be run here");
  return call->run_subgraph (call, branch, NULL, call->outputs, error);
}

static const HtOperator operators[] = {
  { "", "If", 1, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, if_infer, if_forward },
};

void
ht_ops_register_control_flow (void)
{
  HT_OPS_REGISTER (operators);
}
