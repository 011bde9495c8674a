/* SPDX-License-Identifier: MIT */
#include "quant/quantizer-ties.h"

#include <string.h>

gboolean
ht_quantizer_fix_range (HtQuantizer *self, double *minimum, double *maximum, GError **error)
{
  HtQuantizerSettings *settings = ht_quantizer_get_settings (self);
  g_autoptr (HtEncoding) found = NULL;
  double fixed_minimum, fixed_maximum;

  if (!ht_quantizer_get_range (self, &fixed_minimum, &fixed_maximum)
      || ht_quantizer_settings_get_format (settings) != HT_NUMBER_FORMAT_INT)
    return TRUE;
  if (fixed_maximum == G_MAXDOUBLE)
    {
      found = ht_encoding_new_from_ranges (
          ht_quantizer_settings_get_bits (settings), ht_quantizer_settings_get_symmetric (settings),
          ht_quantizer_settings_get_strict (settings), ht_quantizer_settings_get_unsigned_symmetric (settings), -1,
          minimum, maximum, 1, error);
      if (!found)
        return FALSE;
      fixed_maximum = ht_encoding_get_maximum (found, 0);
    }
  *minimum = fixed_minimum;
  *maximum = fixed_maximum;
  return TRUE;
}

const char *
ht_simulation_get_shared (HtSimulation *self, const char *tensor)
{
  HtQuantizer *quantizer = g_hash_table_lookup (self->by_name, tensor);

  return quantizer ? ht_quantizer_get_shared (quantizer) : tensor;
}

HtEncoding *
ht_simulation_find_shared_given (HtSimulation *self, HtQuantizer *quantizer)
{
  const char *shared = ht_quantizer_get_shared (quantizer);

  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *other = g_ptr_array_index (self->placement->quantizers, i);

      if (strcmp (ht_quantizer_get_shared (other), shared) == 0
          && ht_simulation_get_origin (self, ht_quantizer_get_tensor (other)) == HT_ORIGIN_GIVEN)
        return g_hash_table_lookup (self->encodings, ht_quantizer_get_tensor (other));
    }
  return NULL;
}

gboolean
ht_simulation_is_tied_constant (HtSimulation *self, HtQuantizer *quantizer)
{
  const char *shared = ht_quantizer_get_shared (quantizer);

  if (!ht_quantizer_is_constant (quantizer) || ht_quantizer_is_weight (quantizer))
    return FALSE;
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *other = g_ptr_array_index (self->placement->quantizers, i);

      if (!ht_quantizer_is_constant (other) && strcmp (ht_quantizer_get_shared (other), shared) == 0)
        return TRUE;
    }
  return FALSE;
}
