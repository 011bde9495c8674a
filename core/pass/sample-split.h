/* SPDX-License-Identifier: MIT */
/* Which samples of a data set a pass works on, batch by batch, and which of them judge. */
#pragma once

#include <halftone/dataset.h>

typedef struct
{
  guint n_batches;
  guint *first, *n_samples; /* of each batch */
  gboolean *held_out;
} HtSampleSplit;

/* At most `n_samples` (0: all), at most `batch` at once; a quarter is held out. Batches are taken or left, and held
 * out, as wholes; chance chooses, since data may come in some order. No batch where there are too few samples. */
void ht_sample_split_init (HtSampleSplit *self, HtDataset *dataset, guint n_samples, guint batch, guint64 seed);
void ht_sample_split_clear (HtSampleSplit *self);
