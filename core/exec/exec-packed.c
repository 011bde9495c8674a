/* SPDX-License-Identifier: MIT */
#include "exec/exec-packed.h"

#include "exec/exec-codes.h"
#include "exec/executor-private.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

static float *
new_floats (const HtExecParam *weight, gsize n, GError **error)
{
  float *data = NULL;

  if (n < G_MAXSSIZE / sizeof (float) / 2)
    data = aligned_alloc (64, (MAX (n, 1) * sizeof (float) + 63) & ~(gsize)63);
  if (data == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                 "preparing the constant '%s': there is no memory for %" G_GSIZE_FORMAT " elements", weight->name, n);
  return data;
}

/* The quantized weight is needed for as long as it takes to pack it. */
static gboolean
pack_weight (HtExecutor *self, const HtExecParam *weight, float *packed, HtExecPackFunc pack, gconstpointer how,
             GError **error)
{
  HtEncoding *encoding = g_hash_table_lookup (self->encodings, weight->name);

  if (encoding == NULL)
    {
      pack (how, ht_tensor_get_data (weight->tensor), packed);
      return TRUE;
    }
  float *quantized = new_floats (weight, ht_tensor_get_n_elements (weight->tensor), error);
  gboolean fine
      = quantized
        && (weight->as_codes ? ht_exec_codes_from_weight (self, weight->name, weight->tensor, quantized, error)
                             : ht_exec_fake_quantize (weight->name, encoding, weight->tensor, quantized, error));
  if (fine)
    pack (how, quantized, packed);
  free (quantized);
  return fine;
}

const float *
ht_executor_get_packed (HtExecutor *self, const HtExecParam *weight, const char *form, gsize n_floats,
                        HtExecPackFunc pack, gconstpointer how, GError **error)
{
  g_autofree char *key = g_strconcat (weight->name, "\x1f", form, NULL);
  HtEncoding *encoding = g_hash_table_lookup (self->encodings, weight->name);
  HtExecKept *kept = g_hash_table_lookup (self->packed, key);

  if (kept)
    return ht_exec_kept_get (kept);
  kept = ht_exec_store_find (self->store, key, encoding);
  if (kept == NULL)
    {
      float *packed = new_floats (weight, n_floats, error);
      if (packed == NULL)
        return NULL;
      if (!pack_weight (self, weight, packed, pack, how, error))
        {
          free (packed);
          return NULL;
        }
      kept = ht_exec_store_keep (self->store, key, encoding, packed, free);
    }
  g_hash_table_insert (self->packed, g_steal_pointer (&key), kept);
  return ht_exec_kept_get (kept);
}

static gboolean
is_of (gpointer key, gpointer value, gpointer name)
{
  return name == NULL || (g_str_has_prefix (key, name) && ((const char *)key)[strlen (name)] == '\x1f');
}

void
ht_executor_forget_packed (HtExecutor *self, const char *name)
{
  g_hash_table_foreach_remove (self->packed, is_of, (gpointer)name);
}
