/* SPDX-License-Identifier: MIT */
/* How far values are from those expected, in steps of their grid. */
#pragma once

#include <halftone/encoding.h>

typedef struct
{
  double maximum, sum;
  guint64 n;
} HtDeviation;

/* Adds a tensor's elements. Steps are those of `encoding`; without one, those of 8 bits over the range of `expected`.
 * FALSE: the tensors have different shapes or the encoding does not fit. */
gboolean ht_deviation_add (HtDeviation *self, const char *name, HtTensor *expected, HtTensor *found,
                           HtEncoding *encoding, GError **error);
/* NaN where nothing was added. */
double ht_deviation_get_maximum (const HtDeviation *self);
double ht_deviation_get_mean (const HtDeviation *self);
