/* SPDX-License-Identifier: MIT */
#include "pass/sample-split.h"

/* What is held out of the samples, and into how many batches they are cut at least, so that this is about right. */
#define HELD_OUT_SHARE 4
#define MIN_BATCHES    8

static void
shuffle (guint *values, guint n, GRand *random)
{
  for (guint i = n; i > 1; i--)
    {
      guint j = (guint)g_rand_int_range (random, 0, (gint32)i), kept = values[i - 1];
      values[i - 1] = values[j];
      values[j] = kept;
    }
}

void
ht_sample_split_init (HtSampleSplit *self, HtDataset *dataset, guint n_samples, guint batch, guint64 seed)
{
  guint available = ht_dataset_get_n_samples (dataset);
  guint wanted = n_samples == 0 ? available : MIN (n_samples, available);
  batch = ht_dataset_get_batch_size (dataset, MAX (MIN (batch, MAX (wanted / MIN_BATCHES, 1)), 1));
  gboolean is_free = ht_dataset_get_batch_size (dataset, batch + 1) == batch + 1;
  guint n_all = is_free ? (available + batch - 1) / batch : available / batch;
  guint n = MIN (is_free ? (wanted + batch - 1) / batch : wanted / batch, n_all);
  guint32 words[] = { (guint32)seed, (guint32)(seed >> 32) };
  g_autoptr (GRand) random = g_rand_new_with_seed_array (words, G_N_ELEMENTS (words));
  g_autofree guint *order = g_new (guint, MAX (n_all, 1));
  g_autofree gboolean *taken = g_new0 (gboolean, MAX (n_all, 1));

  for (guint i = 0; i < n_all; i++)
    order[i] = i;
  shuffle (order, n_all, random);
  for (guint i = 0; i < n; i++)
    taken[order[i]] = TRUE;
  self->n_batches = n;
  self->first = g_new0 (guint, MAX (n, 1));
  self->n_samples = g_new0 (guint, MAX (n, 1));
  self->held_out = g_new0 (gboolean, MAX (n, 1));
  for (guint i = 0, at = 0; i < n_all; i++)
    if (taken[i])
      {
        self->first[at] = i * batch;
        self->n_samples[at++] = MIN (batch, available - i * batch);
      }
  for (guint i = 0; i < n; i++)
    order[i] = i;
  shuffle (order, n, random);
  for (guint i = 0; i < n / HELD_OUT_SHARE; i++)
    self->held_out[order[i]] = TRUE;
}

void
ht_sample_split_clear (HtSampleSplit *self)
{
  g_clear_pointer (&self->first, g_free);
  g_clear_pointer (&self->n_samples, g_free);
  g_clear_pointer (&self->held_out, g_free);
}
