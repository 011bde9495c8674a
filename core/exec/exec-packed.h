/* SPDX-License-Identifier: MIT */
/* Weights in the form that a kernel wants. An executor keeps them once for all its plans. */
#pragma once

#include "exec/exec-chain.h"

typedef void (*HtExecPackFunc) (gconstpointer how, const float *weight, float *packed);

/* The packed form of `weight` as the network sees it: `n_floats` that `pack` writes, which `form` names among all forms
 * of that weight. Borrowed until an encoding changes. */
const float *ht_executor_get_packed (HtExecutor *self, const HtExecParam *weight, const char *form, gsize n_floats,
                                     HtExecPackFunc pack, gconstpointer how, GError **error);
/* Forgets the forms of one constant, whose encoding changed; NULL: of all. */
void ht_executor_forget_packed (HtExecutor *self, const char *name);
