/* SPDX-License-Identifier: MIT */
/* The tensors of all batches at a cut through a network: in memory up to a budget, the rest in files. */
#pragma once

#include <halftone/tensor.h>

typedef struct _HtSweepStore HtSweepStore;

HtSweepStore *ht_sweep_store_new (guint n_batches, guint64 budget);
void ht_sweep_store_free (HtSweepStore *self);
/* The tensors of a batch by name; they live until the batch is set again. */
GHashTable *ht_sweep_store_get (HtSweepStore *self, guint batch);
/* Takes the tensors in place of those there were. */
gboolean ht_sweep_store_set (HtSweepStore *self, guint batch, GHashTable *tensors, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSweepStore, ht_sweep_store_free)
