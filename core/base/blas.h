/* SPDX-License-Identifier: MIT */
#pragma once

/* To be called before the first call of OpenBLAS. Our pool is the only one: threads inside OpenBLAS would compete with
 * it, and their number would show in the results. */
void ht_blas_initialize (void);
