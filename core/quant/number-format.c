/* SPDX-License-Identifier: MIT */
#include "quant/number-format.h"

#include <halftone/enums.h>

static const struct
{
  guint bits;
  gboolean has_scale;
  HtDataType data_type;
} formats[] = {
  [HT_NUMBER_FORMAT_INT] = { 0, TRUE, HT_DATA_TYPE_UNDEFINED },
  [HT_NUMBER_FORMAT_FLOAT16] = { 16, FALSE, HT_DATA_TYPE_FLOAT16 },
  [HT_NUMBER_FORMAT_BFLOAT16] = { 16, FALSE, HT_DATA_TYPE_BFLOAT16 },
  [HT_NUMBER_FORMAT_FLOAT8E4M3FN] = { 8, TRUE, HT_DATA_TYPE_FLOAT8E4M3FN },
  [HT_NUMBER_FORMAT_FLOAT8E5M2] = { 8, TRUE, HT_DATA_TYPE_FLOAT8E5M2 },
};

const char *
ht_number_format_get_name (HtNumberFormat format)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (HT_TYPE_NUMBER_FORMAT);

  /* The values are static: the nick outlives the class. */
  return g_enum_get_value (klass, format)->value_nick;
}

guint
ht_number_format_get_bits (HtNumberFormat format)
{
  return formats[format].bits;
}

gboolean
ht_number_format_has_scale (HtNumberFormat format)
{
  return formats[format].has_scale;
}

HtDataType
ht_number_format_get_data_type (HtNumberFormat format)
{
  return formats[format].data_type;
}

HtKernelFloat
ht_number_format_get_kernel (HtNumberFormat format)
{
  static const HtKernelFloat kernels[] = {
    [HT_NUMBER_FORMAT_FLOAT16] = HT_KERNEL_FLOAT16,
    [HT_NUMBER_FORMAT_BFLOAT16] = HT_KERNEL_BFLOAT16,
    [HT_NUMBER_FORMAT_FLOAT8E4M3FN] = HT_KERNEL_FLOAT8E4M3FN,
    [HT_NUMBER_FORMAT_FLOAT8E5M2] = HT_KERNEL_FLOAT8E5M2,
  };

  return kernels[format];
}

double
ht_number_format_get_largest (HtNumberFormat format)
{
  return (double)ht_kernel_float_get_largest (ht_number_format_get_kernel (format));
}
