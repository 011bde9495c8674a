/* SPDX-License-Identifier: MIT */
#include "ops/ops.h"

/* One line a family, in the order of the alphabet. */
void
ht_operator_load_builtin (void)
{
}
