/* SPDX-License-Identifier: MIT */
/* Taps for who asks nothing but which values a tensor has. */
#pragma once

#include <halftone/executor.h>

/* Taps of runs to come may show the elements of a tensor in any order: as they lie in the layout that a step made,
 * which saves a pass over memory. Before the first run. */
void ht_executor_show_in_any_order (HtExecutor *self);
