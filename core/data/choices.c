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
