/* SPDX-License-Identifier: MIT */
#include "data/choices.h"

#include <math.h>

gsize
ht_count_classes (HtTensor *scores, guint batch)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (scores, &n_dims);
  guint n_long = 0;
  if (n_dims < 2 || dims[0] != (gint64)batch)
    return 0;
  for (guint i = 1; i < n_dims; i++)
    n_long += dims[i] > 1;
  return n_long <= 1 ? ht_tensor_get_n_elements (scores) / batch : 0;
}

gsize
ht_count_choices (HtTensor *scores, guint batch)
{
  guint n_dims = ht_tensor_get_n_dims (scores);
  gsize n_classes = ht_count_classes (scores, batch);
  return n_classes > 0 || n_dims < 2 ? n_classes : (gsize)ht_tensor_get_dim (scores, n_dims - 1);
}

gsize
ht_find_best_class (const float *scores, gsize n)
{
  gsize best = 0;
  for (gsize i = 1; i < n; i++)
    if (scores[i] > scores[best] || (isnan (scores[best]) && !isnan (scores[i])))
      best = i;
  return best;
}

static gboolean
is_distribution (const float *scores, gsize n)
{
  double sum = 0;
  for (gsize i = 0; i < n; i++)
    {
      if (!(scores[i] >= 0 && scores[i] <= 1.001f))
        return FALSE;
      sum += scores[i];
    }
  return fabs (sum - 1) < 1e-2;
}

/* log (sum (exp (scores))), without overflow */
static double
log_sum (const float *scores, gsize n)
{
  double largest = scores[0], sum = 0;
  for (gsize i = 1; i < n; i++)
    largest = fmax (largest, scores[i]);
  for (gsize i = 0; i < n; i++)
    sum += exp (scores[i] - largest);
  return largest + log (sum);
}

double
ht_divergence (const float *expected, const float *scores, gsize n)
{
  const double least = 1e-12; /* of a quantized probability: one that was rounded to zero is not impossible */
  gboolean given = is_distribution (expected, n);
  double sum = 0;
  double total = given ? 0 : log_sum (expected, n), other = given ? 0 : log_sum (scores, n);
  for (gsize i = 0; i < n; i++)
    {
      double log_p = given ? log (fmax (expected[i], least)) : expected[i] - total;
      double log_q = given ? log (fmax (scores[i], least)) : scores[i] - other;
      double p = given ? expected[i] : exp (log_p);
      sum += p > 0 ? p * (log_p - log_q) : 0;
    }
  return isnan (sum) ? INFINITY : fmax (sum, 0);
}
