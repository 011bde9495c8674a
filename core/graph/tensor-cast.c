/* SPDX-License-Identifier: MIT */
/* Values of a tensor as numbers, and conversion to another element type by the rules of ONNX's Cast. */
#include "graph/scalar.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

/**
 * ht_tensor_get_double:
 * @self: a tensor of numbers
 * @index: an element, in row-major order
 *
 * Reads one element, of any numeric type; integers beyond 2^53 are rounded.
 *
 * Returns: the value
 */
double
ht_tensor_get_double (HtTensor *self, gsize index)
{
  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail (ht_data_type_is_numeric (self->type), 0);
  g_return_val_if_fail (index < self->n_elements, 0);
  return ht_scalar_load (self->type, self->data, index);
}

/**
 * ht_tensor_get_int64:
 * @self: a tensor of numbers
 * @index: an element, in row-major order
 *
 * Reads one element, of any numeric type, as an integer: exactly for integers (uint64 beyond 2^63 wraps), truncated for
 * floating-point values, as ht_tensor_cast() does.
 *
 * Returns: the value
 */
gint64
ht_tensor_get_int64 (HtTensor *self, gsize index)
{
  static const HtCastRules rules = { TRUE, HT_ROUND_UP };
  gint64 value = 0;
  HtRun run;

  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail (ht_data_type_is_numeric (self->type), 0);
  g_return_val_if_fail (index < self->n_elements, 0);
  ht_run_load (&run, self->type, self->data, index, 1);
  ht_run_store (&run, HT_DATA_TYPE_INT64, &value, 0, 1, &rules);
  return value;
}

/**
 * ht_tensor_is_finite:
 * @self: a tensor
 *
 * Says whether a tensor holds neither infinity nor NaN. Types that cannot are finite, strings included.
 *
 * Returns: %TRUE when every element is finite
 */
gboolean
ht_tensor_is_finite (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  HtDataType type = self->type;
  gsize n_elements = self->n_elements;
  if (type == HT_DATA_TYPE_COMPLEX64 || type == HT_DATA_TYPE_COMPLEX128)
    {
      type = type == HT_DATA_TYPE_COMPLEX64 ? HT_DATA_TYPE_FLOAT : HT_DATA_TYPE_DOUBLE;
      n_elements *= 2;
    }
  if (!ht_data_type_is_float (type))
    return TRUE;
  HtRun run;
  for (gsize first = 0; first < n_elements; first += HT_RUN_LENGTH)
    {
      gsize count = MIN (n_elements - first, HT_RUN_LENGTH);
      ht_run_load (&run, type, self->data, first, count);
      for (gsize i = 0; i < count; i++)
        if (!isfinite (run.real[i]))
          return FALSE;
    }
  return TRUE;
}

void
ht_tensor_cast_into (HtTensor *src, HtTensor *dst, gboolean saturate, HtScaleRounding rounding)
{
  HtCastRules rules = { saturate, rounding };
  HtRun run;

  g_return_if_fail (src->n_elements == dst->n_elements);
  g_return_if_fail (ht_data_type_is_numeric (src->type) && ht_data_type_is_numeric (dst->type));
  if (src->type == dst->type)
    {
      if (dst->size > 0)
        memcpy (dst->data, src->data, dst->size);
      return;
    }
  for (gsize first = 0; first < src->n_elements; first += HT_RUN_LENGTH)
    {
      gsize count = MIN (src->n_elements - first, HT_RUN_LENGTH);
      ht_run_load (&run, src->type, src->data, first, count);
      ht_run_store (&run, dst->type, dst->data, first, count, &rules);
    }
}

/* The shortest decimal that reads back as the same value. */
static char *
format_real (double value, gboolean is_double)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE], format[8];
  if (isnan (value))
    return g_strdup ("NaN");
  if (isinf (value))
    return g_strdup (value > 0 ? "INF" : "-INF");
  for (int digits = 1; digits <= 17; digits++)
    {
      g_snprintf (format, sizeof format, "%%.%dg", digits);
      g_ascii_formatd (buffer, sizeof buffer, format, value);
      double back = g_ascii_strtod (buffer, NULL);
      if (is_double ? back == value : (float) back == (float) value)
        break;
    }
  return g_strdup (buffer);
}

static void
format_elements (HtTensor *src, HtTensor *dst)
{
  HtRun run;
  for (gsize i = 0; i < src->n_elements; i++)
    {
      ht_run_load (&run, src->type, src->data, i, 1);
      g_free (dst->strings[i]);
      if (run.kind == HT_RUN_REAL)
        dst->strings[i] = format_real (run.real[0], src->type == HT_DATA_TYPE_DOUBLE);
      else if (run.kind == HT_RUN_SIGNED)
        dst->strings[i] = g_strdup_printf ("%" G_GINT64_FORMAT, run.integer[0]);
      else
        dst->strings[i] = g_strdup_printf ("%" G_GUINT64_FORMAT, (guint64) run.integer[0]);
    }
}

static gboolean
parse_element (const char *text, HtRun *run, gboolean want_integer)
{
  char *end = NULL;
  if (want_integer)
    {
      gboolean negative = *text == '-';
      run->kind = negative ? HT_RUN_SIGNED : HT_RUN_UNSIGNED;
      run->integer[0] = negative ? g_ascii_strtoll (text, &end, 10) : (gint64) g_ascii_strtoull (text, &end, 10);
      if (end != text && *end == '\0')
        return TRUE;
    }
  run->kind = HT_RUN_REAL;
  run->real[0] = g_ascii_strtod (text, &end);
  return end != text && *end == '\0';
}

static gboolean
parse_elements (HtTensor *src, HtTensor *dst, const HtCastRules *rules, GError **error)
{
  HtRun run;
  for (gsize i = 0; i < src->n_elements; i++)
    {
      if (!parse_element (src->strings[i], &run, ht_data_type_is_integer (dst->type)))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "Cannot convert element %" G_GSIZE_FORMAT " of a string tensor to %s: '%.40s' is not a number", i,
                       ht_data_type_get_name (dst->type), src->strings[i]);
          return FALSE;
        }
      ht_run_store (&run, dst->type, dst->data, i, 1, rules);
    }
  return TRUE;
}

HtTensor *
ht_tensor_cast_full (HtTensor *self, HtDataType type, gboolean saturate, HtScaleRounding rounding, GError **error)
{
  HtCastRules rules = { saturate, rounding };
  gboolean from_string = self->type == HT_DATA_TYPE_STRING, to_string = type == HT_DATA_TYPE_STRING;

  if (self->type == type)
    return self->memory == HT_TENSOR_VIEW ? ht_tensor_copy (self, error) : ht_tensor_ref (self);
  if ((!from_string && !ht_data_type_is_numeric (self->type)) || (!to_string && !ht_data_type_is_numeric (type)))
    {
      g_autofree char *from = ht_tensor_describe (self);
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "Cannot convert %s to %s: only real numbers are converted",
                   from, ht_data_type_get_name (type));
      return NULL;
    }
  g_autoptr (HtTensor) result = ht_tensor_new (type, self->dims, self->n_dims, error);
  if (result == NULL)
    return NULL;
  if (to_string)
    format_elements (self, result);
  else if (!from_string)
    ht_tensor_cast_into (self, result, saturate, rounding);
  else if (!parse_elements (self, result, &rules, error))
    return NULL;
  return g_steal_pointer (&result);
}

/**
 * ht_tensor_cast:
 * @self: a tensor
 * @type: the element type wanted
 * @error: return location for an error
 *
 * Converts a tensor by the rules of the ONNX operator Cast with its default attributes: to floating-point types to
 * nearest, ties to even, in one rounding (8-bit types saturate; FLOAT8E8M0 rounds up); from floating point to integers
 * towards zero, and to the nearest bound where ONNX leaves the result open; between integers the upper bits are dropped;
 * to bool everything but zero is true. Strings are parsed and written as decimal numbers. Complex types are refused
 * with %HT_ERROR_NOT_SUPPORTED, strings that are no numbers with %HT_ERROR_INVALID_DATA.
 *
 * Returns: (transfer full): the tensor, @self itself where it has the type already, or %NULL with @error set
 */
HtTensor *
ht_tensor_cast (HtTensor *self, HtDataType type, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  return ht_tensor_cast_full (self, type, TRUE, HT_ROUND_UP, error);
}
