/* SPDX-License-Identifier: MIT */
#include "ops/packed.h"

#include <string.h>

static gboolean
is_packed (HtTensor *tensor)
{
  HtDataType type = tensor ? ht_tensor_get_data_type (tensor) : HT_DATA_TYPE_UNDEFINED;
  guint bits = type == HT_DATA_TYPE_STRING || type == HT_DATA_TYPE_UNDEFINED ? 0 : ht_data_type_get_bits (type);
  return bits > 0 && bits < 8;
}

gboolean
ht_op_is_packed (const HtOpCall *call)
{
  for (guint i = 0; i < call->n_inputs; i++)
    if (is_packed (call->inputs[i]))
      return TRUE;
  for (guint i = 0; i < call->n_outputs; i++)
    if (is_packed (call->outputs[i]))
      return TRUE;
  return FALSE;
}

/* The first element lies in the lowest bits. */
static void
copy_codes (HtTensor *packed, HtTensor *spread, gboolean pack)
{
  guint bits = ht_data_type_get_bits (ht_tensor_get_data_type (packed)), per_byte = 8 / bits;
  gsize n = ht_tensor_get_n_elements (packed);
  guint8 mask = (guint8)((1u << bits) - 1);

  if (n == 0)
    return;
  if (pack)
    {
      guint8 *to = ht_tensor_get_writable_data (packed);
      const guint8 *from = ht_tensor_get_data (spread);
      memset (to, 0, ht_tensor_get_size (packed));
      for (gsize i = 0; i < n; i++)
        to[i / per_byte] |= (guint8)((from[i] & mask) << (i % per_byte * bits));
    }
  else
    {
      const guint8 *from = ht_tensor_get_data (packed);
      guint8 *to = ht_tensor_get_writable_data (spread);
      for (gsize i = 0; i < n; i++)
        to[i] = (guint8)(from[i / per_byte] >> (i % per_byte * bits)) & mask;
    }
}

static gboolean
spread_tensors (HtTensor *const *from, guint n, gboolean copy, HtTensor **spread, GError **error)
{
  for (guint i = 0; i < n; i++)
    {
      spread[i] = from[i];
      if (!is_packed (from[i]))
        continue;
      spread[i] = ht_tensor_new (HT_DATA_TYPE_UINT8, ht_tensor_get_dims (from[i], NULL), ht_tensor_get_n_dims (from[i]),
                                 error);
      if (spread[i] == NULL)
        return FALSE;
      if (copy)
        copy_codes (from[i], spread[i], FALSE);
    }
  return TRUE;
}

static void
free_spread (HtTensor *const *from, guint n, HtTensor **spread)
{
  for (guint i = 0; i < n; i++)
    if (spread[i] && spread[i] != from[i])
      ht_tensor_unref (spread[i]);
  g_free (spread);
}

gboolean
ht_op_run_spread (const HtOpCall *call, HtForward forward, GError **error)
{
  HtTensor **inputs = g_new0 (HtTensor *, call->n_inputs + 1);
  HtTensor **outputs = g_new0 (HtTensor *, call->n_outputs + 1);
  HtOpCall inner = *call;

  inner.inputs = inputs;
  inner.outputs = outputs;
  gboolean done = spread_tensors (call->inputs, call->n_inputs, TRUE, inputs, error)
                  && spread_tensors (call->outputs, call->n_outputs, FALSE, outputs, error) && forward (&inner, error);
  for (guint i = 0; done && i < call->n_outputs; i++)
    if (is_packed (call->outputs[i]))
      copy_codes (call->outputs[i], outputs[i], TRUE);
  free_spread (call->inputs, call->n_inputs, inputs);
  free_spread (call->outputs, call->n_outputs, outputs);
  return done;
}
