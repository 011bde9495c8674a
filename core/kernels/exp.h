/* SPDX-License-Identifier: MIT */
/* The exponential in plain arithmetic, which compilers vectorize; at most 2 units in the last place off. */
#pragma once

#include <glib.h>
#include <string.h>

/* e^x = 2^n * e^r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer. The power of two is made in two halves,
 * so that results near the ends of the range, subnormal ones too, come out right. */
static inline float
ht_exp (float x)
{
  const float shift = 12582912.0f;
  float bounded = x < 89.0f ? x : 89.0f;
  bounded = bounded > -104.0f ? bounded : -104.0f;
  float n = (bounded * 1.44269504088896340736f + shift) - shift;
  float r = bounded - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  gint32 whole = (gint32)n, half = whole >> 1;
  gint32 low_bits = (half + 127) << 23, high_bits = (whole - half + 127) << 23;
  float low, high;
  memcpy (&low, &low_bits, sizeof low);
  memcpy (&high, &high_bits, sizeof high);
  float result = p * low * high;
  return x != x ? x : result;
}
