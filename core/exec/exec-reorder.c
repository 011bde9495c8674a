/* SPDX-License-Identifier: MIT */
/* The step between the two layouts of a tensor. */
#include "exec/exec-build.h"

#include "graph/tensor-private.h"
#include "kernels/blocked.h"

static gboolean
forward (const HtExecCall *call, GError **error)
{
  const HtExecValue *to = ht_exec_plan_value (call->plan, call->step->outputs[0]);
  gsize positions = 1;

  for (guint i = 2; i < to->n_dims; i++)
    positions *= (gsize)to->dims[i];
  if (to->layout == HT_EXEC_LAYOUT_BLOCKED)
    ht_blocked_from_plain ((gsize)to->dims[0], (gsize)to->dims[1], positions, ht_tensor_get_data (call->inputs[0]),
                           call->outputs[0]->data, NULL);
  else
    ht_blocked_to_plain ((gsize)to->dims[0], (gsize)to->dims[1], positions, ht_tensor_get_data (call->inputs[0]),
                         call->outputs[0]->data, NULL);
  return TRUE;
}

/* The encoding was applied where the other form was made. */
const HtExecKind ht_exec_reorder_kind = { .name = "reorder", .forward = forward, .quantizes = TRUE };
