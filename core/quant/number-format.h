/* SPDX-License-Identifier: MIT */
/* What is to know of each number format. */
#pragma once

#include <halftone/encoding.h>

#include "kernels/round-float.h"

/* As recipes and reports write it. */
const char *ht_number_format_get_name (HtNumberFormat format);
gboolean ht_number_format_has_scale (HtNumberFormat format);
/* Of the floating-point formats only. */
guint ht_number_format_get_bits (HtNumberFormat format);
HtDataType ht_number_format_get_data_type (HtNumberFormat format);
HtKernelFloat ht_number_format_get_kernel (HtNumberFormat format);
double ht_number_format_get_largest (HtNumberFormat format);
