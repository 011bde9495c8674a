/* SPDX-License-Identifier: MIT */
/* Preprocessing carried out: the loops over elements, one for each element type of the files. */
#include "data/preprocess.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

/* Returns whether every value read was finite. Double precision throughout, rounded once at the end. */
typedef gboolean (*ConvertFunc) (const HtPreprocessPlan *plan, gconstpointer source, float *target);

#define DEFINE_CONVERT(name, ctype)                                                                                    \
  static gboolean name (const HtPreprocessPlan *plan, gconstpointer source, float *target)                             \
  {                                                                                                                    \
    const double scale = plan->scale;                                                                                  \
    gboolean finite = TRUE;                                                                                            \
    for (gint64 c = 0; c < plan->n_channels; c++)                                                                      \
      {                                                                                                                \
        gint64 from = plan->reverse ? plan->n_channels - 1 - c : c;                                                    \
        const ctype *channel = (const ctype *)source + plan->offset + (gsize)from * plan->channel_stride;              \
        const double mean = plan->means[c], deviation = plan->deviations[c];                                           \
        for (gint64 y = 0; y < plan->height; y++)                                                                      \
          {                                                                                                            \
            const ctype *row = channel + (gsize)y * plan->row_stride;                                                  \
            for (gint64 x = 0; x < plan->width; x++)                                                                   \
              {                                                                                                        \
                double raw = (double)row[(gsize)x * plan->column_stride];                                              \
                float value = (float)((raw * scale - mean) / deviation);                                               \
                finite &= fabsf (value) <= G_MAXFLOAT;                                                                 \
                *target++ = value;                                                                                     \
              }                                                                                                        \
          }                                                                                                            \
      }                                                                                                                \
    return finite;                                                                                                     \
  }

DEFINE_CONVERT (convert_float, float)
DEFINE_CONVERT (convert_double, double)
DEFINE_CONVERT (convert_uint8, guint8)
DEFINE_CONVERT (convert_int8, gint8)
DEFINE_CONVERT (convert_uint16, guint16)
DEFINE_CONVERT (convert_int16, gint16)
DEFINE_CONVERT (convert_uint32, guint32)
DEFINE_CONVERT (convert_int32, gint32)
DEFINE_CONVERT (convert_uint64, guint64)
DEFINE_CONVERT (convert_int64, gint64)

static ConvertFunc
find_convert (HtDataType type)
{
  switch (type)
    {
    case HT_DATA_TYPE_FLOAT:
      return convert_float;
    case HT_DATA_TYPE_DOUBLE:
      return convert_double;
    case HT_DATA_TYPE_UINT8:
    case HT_DATA_TYPE_BOOL:
      return convert_uint8;
    case HT_DATA_TYPE_INT8:
      return convert_int8;
    case HT_DATA_TYPE_UINT16:
      return convert_uint16;
    case HT_DATA_TYPE_INT16:
      return convert_int16;
    case HT_DATA_TYPE_UINT32:
      return convert_uint32;
    case HT_DATA_TYPE_INT32:
      return convert_int32;
    case HT_DATA_TYPE_UINT64:
      return convert_uint64;
    case HT_DATA_TYPE_INT64:
      return convert_int64;
    default:
      return NULL;
    }
}

static void
move_elements (const HtPreprocessPlan *plan, const guint8 *source, guint8 *target, gsize size)
{
  for (gint64 c = 0; c < plan->n_channels; c++)
    {
      gint64 from = plan->reverse ? plan->n_channels - 1 - c : c;
      const guint8 *channel = source + (plan->offset + (gsize)from * plan->channel_stride) * size;
      for (gint64 y = 0; y < plan->height; y++)
        for (gint64 x = 0; x < plan->width; x++, target += size)
          memcpy (target, channel + ((gsize)y * plan->row_stride + (gsize)x * plan->column_stride) * size, size);
    }
}

/* Samples of the array as a tensor of its own, without a copy. */
static HtTensor *
slice (HtTensor *array, gsize first, gsize n_samples, const gint64 *sample_dims, guint n_dims, gsize sample_size,
       GError **error)
{
  g_autoptr (GBytes) all = ht_tensor_get_bytes (array);
  g_autoptr (GBytes) part = g_bytes_new_from_bytes (all, first * sample_size, n_samples * sample_size);
  gint64 dims[HT_TENSOR_MAX_DIMS];

  for (guint i = 1; i < n_dims; i++)
    dims[i] = sample_dims[i];
  dims[0] = (gint64)n_samples;
  return ht_tensor_new_from_bytes (ht_tensor_get_data_type (array), dims, n_dims, part, error);
}

static gboolean
not_finite (const HtPreprocessPlan *plan, gconstpointer source, gsize sample, const char *what, GError **error)
{
  gboolean raw = FALSE;

  for (gsize i = 0; i < plan->sample_elements; i++)
    raw |= (plan->source_type == HT_DATA_TYPE_FLOAT && !isfinite (((const float *)source)[i]))
           || (plan->source_type == HT_DATA_TYPE_DOUBLE && !isfinite (((const double *)source)[i]));
  g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
               "Reading '%s': sample %" G_GSIZE_FORMAT
               " holds a value that is not finite%s, expected finite numbers; %s",
               what, sample, raw ? "" : " after preprocessing",
               raw ? "repair or remove the sample" : "check 'scale', 'mean' and 'std'");
  return FALSE;
}

static gboolean
convert_rows (const HtPreprocessPlan *self, HtTensor *source, gsize base, gsize first, gsize n_samples, gsize n_rows,
              ConvertFunc convert, HtTensor *result, const char *what, GError **error)
{
  gsize out_elements = (gsize)(self->n_channels * self->height * self->width);
  gsize element = ht_data_type_get_bits (ht_tensor_get_data_type (source)) / 8;
  const guint8 *data = ht_tensor_get_data (source);
  guint8 *target = ht_tensor_get_writable_data (result);
  gsize out_size = out_elements * ht_data_type_get_bits (ht_tensor_get_data_type (result)) / 8;

  for (gsize row = 0; row < n_rows; row++)
    {
      gsize sample = MIN (row, n_samples - 1);
      const guint8 *from = data + (first - base + sample) * self->sample_elements * element;
      if (row >= n_samples)
        memcpy (target + row * out_size, target + (n_samples - 1) * out_size, out_size);
      else if (convert == NULL)
        move_elements (self, from, target + row * out_size, element);
      else if (!convert (self, from, (float *)(target + row * out_size)))
        return not_finite (self, from, first + sample, what, error);
    }
  return TRUE;
}

HtTensor *
ht_preprocess_plan_apply (const HtPreprocessPlan *self, HtTensor *array, gsize first, gsize n_samples, gsize n_rows,
                          const char *what, GError **error)
{
  g_autoptr (HtTensor) source = ht_tensor_ref (array);
  g_autoptr (HtTensor) result = NULL;
  gsize base = 0, element = ht_data_type_get_bits (self->source_type) / 8;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gboolean integer = !ht_data_type_is_float (self->source_type) && self->keep_type;
  ConvertFunc convert;

  if (integer && !self->moves && n_rows == n_samples)
    return slice (array, first, n_samples, self->dims, self->n_dims, self->sample_elements * element, error);
  if (!integer && find_convert (self->source_type) == NULL)
    {
      gint64 flat[2] = { 0, (gint64)self->sample_elements };
      g_autoptr (HtTensor) part = slice (array, first, n_samples, flat, 2, self->sample_elements * element, error);
      g_clear_pointer (&source, ht_tensor_unref);
      source = part ? ht_tensor_cast (part, HT_DATA_TYPE_FLOAT, error) : NULL;
      if (source == NULL)
        return NULL;
      base = first;
    }
  convert = integer ? NULL : find_convert (ht_tensor_get_data_type (source));
  for (guint i = 1; i < self->n_dims; i++)
    dims[i] = self->dims[i];
  dims[0] = (gint64)n_rows;
  result = ht_tensor_new (integer ? self->source_type : HT_DATA_TYPE_FLOAT, dims, self->n_dims, error);
  if (result == NULL || !convert_rows (self, source, base, first, n_samples, n_rows, convert, result, what, error))
    return NULL;
  return g_steal_pointer (&result);
}
