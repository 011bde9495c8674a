/* SPDX-License-Identifier: MIT */
#include "quant/verify-compare.h"

#include <halftone/error.h>
#include <math.h>

/* The distance of neighbours in a floating-point format, at `value`, in units of its scale. */
static double
get_spacing (HtNumberFormat format, double value)
{
  int exponent, bits = 10, least = -14;

  if (format == HT_NUMBER_FORMAT_BFLOAT16)
    {
      bits = 7;
      least = -126;
    }
  else if (format == HT_NUMBER_FORMAT_FLOAT8E4M3FN)
    {
      bits = 3;
      least = -6;
    }
  else if (format == HT_NUMBER_FORMAT_FLOAT8E5M2)
    bits = 2;
  frexp (value, &exponent);
  return ldexp (1, MAX (exponent - 1, least) - bits);
}

/* 8 bits over the range of finite values: what a difference of a tensor without a grid is measured by. */
static double
measure_step (HtTensor *tensor)
{
  double low = 0, high = 0;

  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    {
      double value = ht_tensor_get_double (tensor, i);

      if (!isfinite (value))
        continue;
      low = fmin (low, value);
      high = fmax (high, value);
    }
  return high > low ? (high - low) / 255 : 1;
}

static void
add (HtDeviation *self, double expected, double found, double step)
{
  double difference = fabs (found - expected) / step;
  /* Two floats that were rounded once or twice. */
  gboolean near = isfinite (expected) && fabs (found - expected) <= fabs (expected) * 0x1p-22;

  if (near || found == expected || (isnan (found) && isnan (expected)))
    difference = 0;
  else if (isnan (difference))
    difference = INFINITY;
  self->maximum = fmax (self->maximum, difference);
  self->sum += difference;
  self->n++;
}

static gboolean
same_shape (HtTensor *a, HtTensor *b)
{
  guint n_dims = ht_tensor_get_n_dims (a);

  if (ht_tensor_get_n_dims (b) != n_dims)
    return FALSE;
  for (guint i = 0; i < n_dims; i++)
    if (ht_tensor_get_dim (a, i) != ht_tensor_get_dim (b, i))
      return FALSE;
  return TRUE;
}

gboolean
ht_deviation_add (HtDeviation *self, const char *name, HtTensor *expected, HtTensor *found, HtEncoding *encoding,
                  GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (expected, &n_dims);
  g_autoptr (HtTensor) scales = NULL;
  double step = 1;

  if (!same_shape (expected, found) || ht_tensor_get_data_type (found) == HT_DATA_TYPE_STRING)
    {
      g_autofree char *wanted = ht_tensor_describe (expected);
      g_autofree char *given = ht_tensor_describe (found);

      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "comparing tensor '%s': found %s in the file, expected %s", name,
                   given, wanted);
      return FALSE;
    }
  if (encoding)
    scales = ht_encoding_spread_scales (encoding, dims, n_dims, error);
  else
    step = measure_step (expected);
  if (encoding && !scales)
    return FALSE;
  for (gsize i = 0; i < ht_tensor_get_n_elements (expected); i++)
    {
      double value = ht_tensor_get_double (expected, i);

      if (encoding)
        step = ht_tensor_get_double (scales, i);
      if (encoding && !ht_encoding_is_integer (encoding))
        step *= get_spacing (ht_encoding_get_format (encoding), value / step);
      add (self, value, ht_tensor_get_double (found, i), step);
    }
  return TRUE;
}

double
ht_deviation_get_maximum (const HtDeviation *self)
{
  return self->n > 0 ? self->maximum : NAN;
}

double
ht_deviation_get_mean (const HtDeviation *self)
{
  return self->n > 0 ? self->sum / (double)self->n : NAN;
}
