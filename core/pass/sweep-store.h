/* SPDX-License-Identifier: MIT */
/* The tensors of all batches at a cut through a network: in memory up to a budget, the rest in files. */
#pragma once

#include <halftone/pass-context.h>

typedef struct _HtSweepStore HtSweepStore;

/* Files go to the scratch folder of the context, which has to outlive the store. */
HtSweepStore *ht_sweep_store_new (HtPassContext *context, guint n_batches, guint64 budget);
void ht_sweep_store_free (HtSweepStore *self);
/* How much the tensors of all batches are, in memory and in files. */
void ht_sweep_store_count (HtSweepStore *self, guint64 *in_memory, guint64 *in_files);
/* The tensors of a batch by name; they live until the batch is set again. */
GHashTable *ht_sweep_store_get (HtSweepStore *self, guint batch);
/* Takes the tensors in place of those there were. */
gboolean ht_sweep_store_set (HtSweepStore *self, guint batch, GHashTable *tensors, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSweepStore, ht_sweep_store_free)
