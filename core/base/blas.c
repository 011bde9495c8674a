/* SPDX-License-Identifier: MIT */
#include "base/blas.h"

#include <cblas.h>
#include <glib.h>

void
ht_blas_initialize (void)
{
  static gsize done = 0;
  if (g_once_init_enter (&done))
    {
      openblas_set_num_threads (1);
      g_once_init_leave (&done, 1);
    }
}
