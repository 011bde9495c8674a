/* SPDX-License-Identifier: MIT */
/* What a report says of the machine and the library: two runs may be compared byte for byte where these agree. */
#include <halftone/init.h>

#include <halftone/version.h>

#include <cblas.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

/**
 * ht_get_version:
 *
 * The version of the library that runs, which may be newer than the one a program was built against.
 *
 * Returns: (transfer none): a version such as "0.1.0"
 */
const char *
ht_get_version (void)
{
  return HT_VERSION_S;
}

/**
 * ht_get_blas_core:
 *
 * The name of the code path that OpenBLAS has chosen for this processor, such as "Haswell" or "SkylakeX". Results are
 * the same bytes only between machines that agree on it.
 *
 * Returns: (transfer none): the name, "unknown" where the BLAS library does not say
 */
const char *
ht_get_blas_core (void)
{
  const char *name = openblas_get_corename ();
  return name != NULL && *name != '\0' ? name : "unknown";
}

#if defined(__x86_64__) || defined(__i386__)
static char *
read_cpu_brand (void)
{
  unsigned int registers[12] = { 0 };
  char brand[sizeof registers + 1] = { 0 };
  if (__get_cpuid_max (0x80000000u, NULL) < 0x80000004u)
    return NULL;
  for (guint leaf = 0; leaf < 3; leaf++)
    __get_cpuid (0x80000002u + leaf, &registers[4 * leaf], &registers[4 * leaf + 1], &registers[4 * leaf + 2],
                 &registers[4 * leaf + 3]);
  memcpy (brand, registers, sizeof registers);
  return g_strdup (g_strstrip (brand));
}
#else
static char *
read_cpu_brand (void)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents ("/proc/cpuinfo", &text, NULL, NULL))
    return NULL;
  static const char *const keys[] = { "model name", "Model", "Hardware", "uarch" };
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (gsize k = 0; k < G_N_ELEMENTS (keys); k++)
    for (char **line = lines; *line != NULL; line++)
      {
        const char *colon = strchr (*line, ':');
        if (colon != NULL && g_str_has_prefix (*line, keys[k]))
          return g_strstrip (g_strdup (colon + 1));
      }
  return NULL;
}
#endif

static gpointer
describe_cpu (gpointer unused)
{
  char *brand = read_cpu_brand ();
  if (brand != NULL && *brand != '\0' && g_utf8_validate (brand, -1, NULL))
    return brand;
  g_free (brand);
  return g_strdup ("unknown");
}

/**
 * ht_get_cpu:
 *
 * The processor's own name.
 *
 * Returns: (transfer none): the name, "unknown" where the processor does not say
 */
const char *
ht_get_cpu (void)
{
  static GOnce once = G_ONCE_INIT;
  return g_once (&once, describe_cpu, NULL);
}
