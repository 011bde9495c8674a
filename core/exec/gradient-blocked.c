/* SPDX-License-Identifier: MIT */
#include "exec/gradient-blocked.h"

#include "kernels/blocked-backward.h"
#include "kernels/fake-quantize.h"
#include "kernels/isa.h"

/* A tensor of dimensions [batch, channels, ...]. */
typedef struct
{
  gsize batch, channels, positions;
} Extent;

static Extent
extent_of (const gint64 *dims, guint n_dims)
{
  Extent extent = { n_dims > 0 ? (gsize)dims[0] : 1, n_dims > 1 ? (gsize)dims[1] : 1, 1 };
  for (guint i = 2; i < n_dims; i++)
    extent.positions *= (gsize)dims[i];
  return extent;
}

static Extent
slot_extent (const HtGradientRun *run, const HtGradientTask *task, guint slot)
{
  const HtGradientBuffer *buffer = ht_gradient_plan_buffer (run->plan, task->slots[slot].buffer);
  return extent_of (buffer->dims, buffer->n_dims);
}

gsize
ht_gradient_blocked_floats (const gint64 *dims, guint n_dims)
{
  Extent e = extent_of (dims, n_dims);
  return ht_blocked_floats (e.batch, e.channels, e.positions, ht_isa_get_block ());
}

static gboolean
run_reorder (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  Extent e = slot_extent (run, task, 0);
  const float *from = ht_gradient_run_data (run, task, 0);
  float *to = ht_gradient_run_data (run, task, 1);

  if (ht_gradient_plan_buffer (run->plan, task->slots[0].buffer)->blocked)
    ht_blocked_to_plain (e.batch, e.channels, e.positions, from, to, NULL);
  else
    ht_blocked_from_plain (e.batch, e.channels, e.positions, from, to, NULL);
  return TRUE;
}

const HtGradientKind ht_gradient_reorder_kind = { "reorder", run_reorder };

gboolean
ht_gradient_blocked_match (HtGradientBuilder *self, guint step, gboolean *taken, HtGradientUnit *unit)
{
  return FALSE;
}
