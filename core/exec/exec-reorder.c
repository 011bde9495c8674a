/* SPDX-License-Identifier: MIT */
/* The steps from one form of a tensor to another: between the layouts, and between values and codes. */
#include "exec/exec-build.h"
#include "exec/executor-private.h"

#include "graph/tensor-private.h"
#include "kernels/blocked.h"
#include "kernels/fake-quantize.h"

static gsize
count_positions (const HtExecValue *value)
{
  gsize positions = 1;

  for (guint i = 2; i < value->n_dims; i++)
    positions *= (gsize)value->dims[i];
  return positions;
}

static gboolean
reorder (const HtExecCall *call, GError **error)
{
  const HtExecValue *to = ht_exec_plan_value (call->plan, call->step->outputs[0]);
  gsize batch = (gsize)to->dims[0], channels = (gsize)to->dims[1], positions = count_positions (to);
  const float *x = ht_tensor_get_data (call->inputs[0]);

  if (to->layout == HT_EXEC_LAYOUT_BLOCKED || to->layout == HT_EXEC_LAYOUT_BLOCKED_CODES)
    ht_blocked_from_plain (batch, channels, positions, x, call->outputs[0]->data, NULL);
  else
    ht_blocked_to_plain (batch, channels, positions, x, call->outputs[0]->data, NULL);
  return TRUE;
}

/* Values and codes lie on one grid, so rounding changes nothing: only the unit is another one. */
static gboolean
convert (const HtExecCall *call, GError **error)
{
  const HtExecValue *to = ht_exec_plan_value (call->plan, call->step->outputs[0]);
  const float *x = ht_tensor_get_data (call->inputs[0]);
  float *y = call->outputs[0]->data;
  HtGrid grid = ht_exec_read_grid (to->encoding);
  HtEpilogue epilogue = { .grid = &grid };

  if (to->layout == HT_EXEC_LAYOUT_BLOCKED || to->layout == HT_EXEC_LAYOUT_PLAIN)
    {
      grid.unit = grid.scale;
      grid.scale = 1.0f;
    }
  else
    {
      grid.unit = 1.0f;
    }
  if (to->layout == HT_EXEC_LAYOUT_PLAIN_CODES)
    ht_kernel_quantize_float (x, y, to->size / sizeof (float), grid.scale, grid.offset, grid.n_steps);
  else if (to->layout == HT_EXEC_LAYOUT_PLAIN)
    ht_plain_affine ((gsize)to->dims[0], (gsize)to->dims[1], count_positions (to), x, &epilogue, y);
  else
    ht_blocked_affine ((gsize)to->dims[0], (gsize)to->dims[1], count_positions (to), x, &epilogue, y);
  return TRUE;
}

/* The encoding was applied where the other form was made. */
static const HtExecKind reorder_kind = { .name = "reorder", .forward = reorder, .quantizes = TRUE };
static const HtExecKind convert_kind = { .name = "convert", .forward = convert, .quantizes = TRUE };

const HtExecKind *
ht_exec_choose_conversion (HtExecLayout from, HtExecLayout to)
{
  gboolean from_codes = from >= HT_EXEC_LAYOUT_PLAIN_CODES, to_codes = to >= HT_EXEC_LAYOUT_PLAIN_CODES;

  return from_codes != to_codes ? &convert_kind : &reorder_kind;
}
