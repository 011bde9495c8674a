/* SPDX-License-Identifier: MIT */
/* What executors make of constants, shared between those of one graph: a weight that two of them read in the same form
 * and on the same grid is in memory once, for as long as one of them keeps it. */
#pragma once

#include <halftone/encoding.h>

typedef struct _HtExecStore HtExecStore;
typedef struct _HtExecKept HtExecKept; /* counted */

HtExecStore *ht_exec_store_new (void);
HtExecStore *ht_exec_store_ref (HtExecStore *self);
void ht_exec_store_unref (HtExecStore *self);

/* A reference to what another executor made of the same constant, or NULL. `store` and `encoding` may be NULL. */
HtExecKept *ht_exec_store_find (HtExecStore *store, const char *key, HtEncoding *encoding);
/* Keeps `data`, which `free_data` frees, for others to find; without a store, for one executor alone. */
HtExecKept *ht_exec_store_keep (HtExecStore *store, const char *key, HtEncoding *encoding, gpointer data,
                                GDestroyNotify free_data);
gpointer ht_exec_kept_get (const HtExecKept *self);
void ht_exec_kept_unref (HtExecKept *self);
