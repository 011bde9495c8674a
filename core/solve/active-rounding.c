/* SPDX-License-Identifier: MIT */
#include "solve/active-rounding.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#define MAX_SWEEPS 50
#define MAX_NODES  ((guint64)50000)

double
ht_panel_estimate_weighted (gsize n, gsize n_positions)
{
  return (double)n * (double)n * ((double)n_positions + (double)n);
}

/* H and c of the row: weighted moments of the positions, and `prior` times those of the panel. */
static double *
make_moments (const HtPanel *panel, const HtNormalSystem *system, gsize o, const HtWeightedPositions *positions,
              double prior, double *target)
{
  gsize n = panel->n, count = positions->n_positions;
  g_autofree float *scaled = g_new (float, n *count);
  g_autofree float *gram = g_new (float, n *n);
  g_autofree float *roots = g_new (float, 2 * count);
  g_autofree float *cross = g_new (float, n);
  double *h = g_new (double, n *n);

  for (gsize p = 0; p < count; p++)
    {
      roots[p] = sqrtf (positions->weights[p] / (float)count);
      roots[count + p] = roots[p] * positions->targets[p];
    }
  for (gsize i = 0; i < n; i++)
    {
      const float *from = positions->inputs + i * positions->stride;
      for (gsize p = 0; p < count; p++)
        scaled[i * count + p] = roots[p] * from[p];
    }
  cblas_ssyrk (CblasRowMajor, CblasUpper, CblasNoTrans, (int)n, (int)count, 1.0f, scaled, (int)count, 0.0f, gram,
               (int)n);
  cblas_sgemv (CblasRowMajor, CblasNoTrans, (int)n, (int)count, 1.0f, scaled, (int)count, roots + count, 1, 0.0f, cross,
               1);
  for (gsize i = 0; i < n; i++)
    {
      target[i] = (double)cross[i] + prior * panel->target[i * panel->n_rows + o];
      for (gsize j = i; j < n; j++)
        h[i * n + j] = h[j * n + i] = (double)gram[i * n + j] + prior * system->h[i * n + j];
    }
  return h;
}

static void
copy_column (double *to, const double *from, gsize n, gsize to_stride, gsize from_stride)
{
  for (gsize i = 0; i < n; i++)
    to[i * to_stride] = from[i * from_stride];
}

void
ht_panel_round_weighted (HtPanel *panel, const HtNormalSystem *system, gsize o, const HtWeightedPositions *positions,
                         double prior)
{
  gsize n = panel->n, width = panel->n_rows;
  g_autoptr (HtPanel) row = ht_panel_new (n, 1, panel->block);
  g_autoptr (HtPanel) other = NULL;

  copy_column (row->scales, panel->scales + o, panel->n_blocks, 1, width);
  copy_column (row->lows, panel->lows + o, panel->n_blocks, 1, width);
  copy_column (row->highs, panel->highs + o, panel->n_blocks, 1, width);
  copy_column (row->codes, panel->codes + o, n, 1, width);
  double *h = make_moments (panel, system, o, positions, prior, row->target);
  g_autoptr (HtNormalSystem) own = ht_normal_system_new (h, n);
  ht_panel_find_free (row, own);
  other = ht_panel_copy (row);
  ht_panel_round_successively (other, own);
  ht_panel_descend (other, own, MAX_SWEEPS);
  ht_panel_descend (row, own, MAX_SWEEPS);
  HtPanel *best = other->excess[0] < row->excess[0] ? other : row;
  if (n <= HT_ENUMERATION_COLUMNS)
    ht_panel_enumerate (best, own, MAX_NODES);
  copy_column (panel->codes + o, best->codes, n, width, 1);
}
