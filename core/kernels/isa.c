/* SPDX-License-Identifier: MIT */
#include "kernels/isa.h"

#include <string.h>

static const char *const names[] = { "baseline", "avx2", "avx512" };

static HtIsa
detect (void)
{
#ifdef HT_HAVE_ISA_VARIANTS
  __builtin_cpu_init ();
  if (__builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") && __builtin_cpu_supports ("avx512dq")
      && __builtin_cpu_supports ("avx512vl") && __builtin_cpu_supports ("avx512cd"))
    return HT_ISA_AVX512;
  if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma") && __builtin_cpu_supports ("bmi2"))
    return HT_ISA_AVX2;
#endif
  return HT_ISA_BASELINE;
}

HtIsa
ht_isa_get (void)
{
  static gsize chosen; /* 1 + class */

  if (g_once_init_enter (&chosen))
    {
      HtIsa isa = detect ();
      const char *wish = g_getenv ("HALFTONE_ISA");
      for (guint i = 0; wish && i < G_N_ELEMENTS (names); i++)
        if (strcmp (wish, names[i]) == 0)
          isa = MIN (isa, (HtIsa)i);
      g_once_init_leave (&chosen, 1 + (gsize)isa);
    }
  return (HtIsa)(chosen - 1);
}

const char *
ht_isa_get_name (void)
{
  return names[ht_isa_get ()];
}

gsize
ht_isa_get_block (void)
{
  return ht_isa_get () == HT_ISA_AVX512 ? 16 : 8;
}
