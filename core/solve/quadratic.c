/* SPDX-License-Identifier: MIT */
#include "solve/quadratic.h"

#include "base/blas.h"
#include "base/thread-pool.h"

#include <cblas.h>
#include <string.h>

#define ROWS ((gsize)64)

HtQuadratic *
ht_quadratic_new (HtMoments *moments)
{
  HtQuadratic *self = g_new0 (HtQuadratic, 1);

  ht_blas_initialize ();
  self->n_groups = ht_moments_get_n_groups (moments);
  self->n = ht_moments_get_n_inputs (moments);
  self->m = ht_moments_get_n_outputs (moments);
  self->gram = g_new0 (double *, self->n_groups);
  self->cross = g_new0 (double *, self->n_groups);
  self->variances = g_new (double, self->n_groups * self->m);
  self->input_means = g_new (double, self->n_groups * self->n);
  self->target_means = g_new (double, self->n_groups * self->m);
  for (gsize group = 0; group < self->n_groups; group++)
    {
      g_autofree double *variances = ht_moments_get_target_squares (moments, group, TRUE);
      g_autofree double *inputs = ht_moments_get_input_means (moments, group);
      g_autofree double *targets = ht_moments_get_target_means (moments, group);
      self->gram[group] = ht_moments_get_gram (moments, group, TRUE);
      self->cross[group] = ht_moments_get_cross (moments, group, TRUE);
      memcpy (self->variances + group * self->m, variances, self->m * sizeof (double));
      memcpy (self->input_means + group * self->n, inputs, self->n * sizeof (double));
      memcpy (self->target_means + group * self->m, targets, self->m * sizeof (double));
    }
  return self;
}

void
ht_quadratic_free (HtQuadratic *self)
{
  if (self == NULL)
    return;
  for (gsize group = 0; group < self->n_groups; group++)
    {
      g_free (self->gram[group]);
      g_free (self->cross[group]);
    }
  g_free (self->gram);
  g_free (self->cross);
  g_free (self->variances);
  g_free (self->input_means);
  g_free (self->target_means);
  g_free (self);
}

/* What is left of the mean error of one output. */
static double
mean_error (const HtQuadratic *self, gsize output, const double *weights, const double *bias_shifts)
{
  const double *means = self->input_means + output / self->m * self->n;
  double mean = -self->target_means[output];

  if (bias_shifts != NULL)
    mean += bias_shifts[output];
  for (gsize i = 0; i < self->n; i++)
    mean += weights[output * self->n + i] * means[i];
  return mean;
}

typedef struct
{
  const HtQuadratic *self;
  const double *weights, *bias_shifts;
  double *errors;
  gsize per_group; /* items of a group */
} Work;

static void
find_errors (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtQuadratic *self = work->self;
  gsize n = self->n, m = self->m;
  g_autofree double *product = g_new (double, MIN (ROWS, m) * n);

  for (gsize item = begin; item < end; item++)
    {
      gsize group = item / work->per_group, first = item % work->per_group * ROWS, rows = MIN (ROWS, m - first);
      const double *w = work->weights + (group * m + first) * n, *cross = self->cross[group];
      cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)n, (int)n, 1.0, w, (int)n,
                   self->gram[group], (int)n, 0.0, product, (int)n);
      for (gsize row = 0; row < rows; row++)
        {
          gsize output = group * m + first + row;
          double error = self->variances[output], mean = mean_error (self, output, work->weights, work->bias_shifts);
          for (gsize i = 0; i < n; i++)
            error += w[row * n + i] * (product[row * n + i] - 2.0 * cross[i * m + first + row]);
          work->errors[output] = MAX (error, 0.0) + mean * mean;
        }
    }
}

void
ht_quadratic_find_errors (const HtQuadratic *self, const double *weights, const double *bias_shifts, double *errors)
{
  Work work = { self, weights, bias_shifts, errors, (self->m + ROWS - 1) / ROWS };
  gsize grain = self->n * self->n * self->m < 10000 ? 64 : 1;

  ht_parallel_for (self->n_groups * work.per_group, grain, find_errors, &work);
}

void
ht_quadratic_find_bias_shifts (const HtQuadratic *self, const double *weights, double *bias_shifts)
{
  for (gsize output = 0; output < self->n_groups * self->m; output++)
    bias_shifts[output] = -mean_error (self, output, weights, NULL);
}
