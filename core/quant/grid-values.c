/* SPDX-License-Identifier: MIT */
#include "quant/grid-values.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <string.h>

typedef struct
{
  const float *from;
  float *to;
  gsize *ends; /* of what each grid has so far */
} Move;

static void
count_run (gsize start, gsize n, gsize grid, gpointer user_data)
{
  ((gsize *)user_data)[grid + 1] += n;
}

static void
move_run (gsize start, gsize n, gsize grid, gpointer user_data)
{
  Move *move = user_data;

  memcpy (move->to + move->ends[grid], move->from + start, n * sizeof (float));
  move->ends[grid] += n;
}

/* Without blocks of an axis the form cuts a tensor into [outer, channels, rest]: as blocks of the whole rest. */
static void
foreach_run (const HtKernelBlocks *blocks, gboolean in_blocks, HtKernelBlockFunc func, gpointer user_data)
{
  gsize inner = blocks->middle * blocks->second * blocks->inner;

  if (in_blocks)
    {
      ht_kernel_blocks_foreach (blocks, func, user_data);
      return;
    }
  for (gsize run = 0; run < blocks->outer * blocks->first; run++)
    func (run * inner, inner, run % blocks->first, user_data);
}

gboolean
ht_grid_values_init (HtGridValues *self, HtTensor *tensor, const HtGridForm *form)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  gboolean in_blocks = form->block_axis >= 0;
  HtKernelBlocks blocks;

  if (!ht_grid_form_cut (form, dims, n_dims, &blocks))
    return FALSE;
  self->tensor = ht_tensor_ref (tensor);
  self->n_grids = ht_grid_form_count (form);
  self->starts = g_new0 (gsize, self->n_grids + 1);
  self->values = ht_tensor_get_data (tensor);
  self->rearranged = NULL;
  foreach_run (&blocks, in_blocks, count_run, self->starts);
  for (gsize grid = 0; grid < self->n_grids; grid++)
    self->starts[grid + 1] += self->starts[grid];
  if (blocks.outer == 1 && !in_blocks)
    return TRUE;
  self->rearranged = g_new (float, self->starts[self->n_grids]);
  g_autofree gsize *ends = g_memdup2 (self->starts, self->n_grids * sizeof (gsize));
  Move move = { self->values, self->rearranged, ends };
  foreach_run (&blocks, in_blocks, move_run, &move);
  self->values = self->rearranged;
  return TRUE;
}

void
ht_grid_values_clear (HtGridValues *self)
{
  g_clear_pointer (&self->tensor, ht_tensor_unref);
  g_clear_pointer (&self->rearranged, g_free);
  g_clear_pointer (&self->starts, g_free);
}

typedef struct
{
  const HtGridValues *values;
  HtCalibrator *calibrator;
  HtQuantizerSettings *settings;
  double *minima, *maxima;
  GMutex lock;
  gsize failed; /* the first grid that failed */
  GError *error;
} Work;

static void
calibrate_grids (gsize begin, gsize end, guint worker, gpointer user_data)
{
  Work *work = user_data;
  const HtGridValues *values = work->values;
  g_autoptr (HtCalibrator) calibrator = ht_calibrator_copy (work->calibrator);

  for (gsize grid = begin; grid < end; grid++)
    {
      GError *error = NULL;

      ht_calibrator_reset (calibrator);
      if (ht_calibrator_observe (calibrator, values->values + values->starts[grid],
                                 values->starts[grid + 1] - values->starts[grid], &error)
          && ht_calibrator_finish (calibrator, work->settings, &work->minima[grid], &work->maxima[grid], &error))
        continue;
      g_mutex_lock (&work->lock);
      if (work->error == NULL || grid < work->failed)
        {
          g_clear_error (&work->error);
          work->error = g_steal_pointer (&error);
          work->failed = grid;
        }
      g_mutex_unlock (&work->lock);
      g_clear_error (&error);
      return;
    }
}

gboolean
ht_grid_values_calibrate (const HtGridValues *self, HtCalibrator *calibrator, HtQuantizerSettings *settings,
                          double *minima, double *maxima, GError **error)
{
  Work work = { .values = self, .calibrator = calibrator, .settings = settings, .minima = minima, .maxima = maxima };

  g_mutex_init (&work.lock);
  /* A single grid is left to the threads of the kernels. */
  if (self->n_grids == 1)
    calibrate_grids (0, 1, 0, &work);
  else
    ht_parallel_for (self->n_grids, MAX (1, HT_KERNEL_GRAIN / MAX (1, self->starts[self->n_grids] / self->n_grids)),
                     calibrate_grids, &work);
  g_mutex_clear (&work.lock);
  if (work.error != NULL)
    g_propagate_error (error, work.error);
  return work.error == NULL;
}
