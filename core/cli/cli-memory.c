/* SPDX-License-Identifier: MIT */
/* The option --memory. */
#include "cli/cli.h"

#include <math.h>
#include <string.h>

static const struct
{
  const char *name;
  double bytes;
} units[] = { { "", 1 },     { "B", 1 },         { "kB", 1e3 },      { "MB", 1e6 },
              { "GB", 1e9 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };

int
cli_read_memory (const char *verb, const char *text, guint64 *bytes)
{
  char *end;

  *bytes = 0;
  if (text == NULL)
    return -1;
  double value = g_ascii_strtod (text, &end);
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (end != text && strcmp (end, units[i].name) == 0 && value * units[i].bytes >= 1.0
        && value * units[i].bytes < 0x1p62)
      {
        *bytes = (guint64)(value * units[i].bytes);
        return -1;
      }
  return cli_usage (verb, "--memory is '%s', must be a size such as 512MiB or 2GiB", text);
}

guint
cli_choose_batch (HtExecutor *executor, GHashTable *sample, guint wanted, guint64 budget, const char *const *taps,
                  GError **error)
{
  g_autoptr (GHashTable) shapes
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_shape_unref);
  GHashTableIter iter;
  gpointer name, tensor;

  if (budget == 0)
    return wanted;
  g_hash_table_iter_init (&iter, sample);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    {
      guint n_dims;
      const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
      g_hash_table_insert (shapes, g_strdup (name), ht_shape_new (dims, NULL, n_dims));
    }
  return ht_executor_choose_batch (executor, wanted, budget, shapes, taps, error);
}
