/* SPDX-License-Identifier: MIT */
#include "relaxed-rounding.h"

#include <math.h>
#include <string.h>

/* The loops over weights run once for each iteration: gcc writes them for the processor classes that matter. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__ ((target_clones ("avx512f", "avx2", "default"), optimize ("O3")))
#else
#define WIDE
#endif

void
relaxed_rounding_free (RelaxedRounding *self)
{
  g_free (self->scales);
  g_free (self->downs);
  g_free (self->lows);
  g_free (self->highs);
  g_free (self);
}

/* What the grid makes of a value beyond all grids: its end, for each weight. */
static float *
find_ends (HtTensor *weight, HtEncoding *grid, const float *scales, float beyond, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (weight, &n_dims);
  gsize n = ht_tensor_get_n_elements (weight);
  g_autoptr (HtTensor) value = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  g_autoptr (HtTensor) end = NULL;
  float *ends;

  if (value == NULL)
    return NULL;
  float *values = ht_tensor_get_writable_data (value);
  for (gsize i = 0; i < n; i++)
    values[i] = beyond;
  end = ht_encoding_fake_quantize (grid, value, error);
  if (end == NULL)
    return NULL;
  ends = g_new (float, n);
  const float *at = ht_tensor_get_data (end);
  for (gsize i = 0; i < n; i++)
    ends[i] = rintf (at[i] / scales[i]);
  return ends;
}

RelaxedRounding *
relaxed_rounding_new (HtTensor *weight, HtEncoding *grid, GError **error)
{
  g_autoptr (RelaxedRounding) self = g_new0 (RelaxedRounding, 1);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (weight, &n_dims);
  g_autoptr (HtTensor) scales = NULL;

  if (!ht_encoding_is_integer (grid))
    {
      g_set_error_literal (
          error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
          "relaxing the rounding: found a floating-point format; expected integers, which have an up and "
          "a down one step apart");
      return NULL;
    }
  scales = ht_encoding_spread_scales (grid, dims, n_dims, error);
  if (scales == NULL)
    return NULL;
  self->n = ht_tensor_get_n_elements (weight);
  self->scales = g_memdup2 (ht_tensor_get_data (scales), self->n * sizeof (float));
  self->lows = find_ends (weight, grid, self->scales, -G_MAXFLOAT, error);
  self->highs = self->lows != NULL ? find_ends (weight, grid, self->scales, G_MAXFLOAT, error) : NULL;
  if (self->highs == NULL)
    return NULL;
  self->downs = g_new (float, self->n);
  const float *weights = ht_tensor_get_data (weight);
  for (gsize i = 0; i < self->n; i++)
    self->downs[i] = floorf (weights[i] / self->scales[i]);
  return g_steal_pointer (&self);
}

HtTensor *
relaxed_rounding_start (RelaxedRounding *self, HtTensor *weight, GError **error)
{
  HtTensor *alphas = ht_tensor_copy (weight, error);
  if (alphas == NULL)
    return NULL;
  float *values = ht_tensor_get_writable_data (alphas);
  for (gsize i = 0; i < self->n; i++)
    {
      float fraction = values[i] / self->scales[i] - self->downs[i];
      values[i] = -logf ((RELAXED_ROUNDING_ZETA - RELAXED_ROUNDING_GAMMA) / (fraction - RELAXED_ROUNDING_GAMMA) - 1.0f);
    }
  return alphas;
}

static inline float
exp2_of (float x)
{
  /* 2^x: the power of the nearest whole number goes into the exponent, a polynomial gives the rest within 1e-7. */
  float bounded = x < -126.0f ? -126.0f : (x > 126.0f ? 126.0f : x);
  float whole = rintf (bounded), rest = (bounded - whole) * 0.693147180559945f;
  float power
      = 1.0f
        + rest
              * (1.0f
                 + rest * (0.5f + rest * (1.0f / 6 + rest * (1.0f / 24 + rest * (1.0f / 120 + rest * (1.0f / 720))))));
  gint32 bits = ((gint32)whole + 127) << 23;
  float scale;
  memcpy (&scale, &bits, sizeof scale);
  return power * scale;
}

static inline float
log2_of (float x)
{
  /* For x in (0, 1]: the exponent, and the logarithm of a mantissa within [0.707, 1.414) by the series of artanh. */
  gint32 bits;
  memcpy (&bits, &x, sizeof bits);
  gint32 exponent = (bits - 0x3f3504f3) >> 23;
  gint32 rest = bits - exponent * 0x800000;
  float mantissa;
  memcpy (&mantissa, &rest, sizeof mantissa);
  float z = (mantissa - 1.0f) / (mantissa + 1.0f), square = z * z;
  float series = 1.0f + square * (1.0f / 3 + square * (1.0f / 5 + square * (1.0f / 7 + square * (1.0f / 9))));
  return (float)exponent + 2.0f * 1.44269504088896f * z * series;
}

static inline float
sigmoid_of (float x)
{
  return 1.0f / (1.0f + exp2_of (-1.44269504088896f * x));
}

static inline float
stretch (float sigmoid)
{
  return sigmoid * (RELAXED_ROUNDING_ZETA - RELAXED_ROUNDING_GAMMA) + RELAXED_ROUNDING_GAMMA;
}

static inline float
clamp (float x, float low, float high)
{
  return x < low ? low : (x > high ? high : x);
}

WIDE static void
apply (RelaxedRounding *self, const float *restrict alphas, gboolean hard, float *restrict weights)
{
  const float *restrict downs = self->downs, *restrict lows = self->lows, *restrict highs = self->highs;
  const float *restrict scales = self->scales;
  gsize n = self->n;

  if (hard)
    for (gsize i = 0; i < n; i++)
      weights[i] = scales[i] * clamp (downs[i] + (alphas[i] >= 0.0f ? 1.0f : 0.0f), lows[i], highs[i]);
  else
    for (gsize i = 0; i < n; i++)
      weights[i]
          = scales[i] * clamp (downs[i] + clamp (stretch (sigmoid_of (alphas[i])), 0.0f, 1.0f), lows[i], highs[i]);
}

WIDE static void
differentiate (RelaxedRounding *self, const float *restrict alphas, float factor, float beta, float *restrict gradients)
{
  const float *restrict downs = self->downs, *restrict lows = self->lows, *restrict highs = self->highs;
  const float *restrict scales = self->scales;
  gsize n = self->n;

  for (gsize i = 0; i < n; i++)
    {
      float sigmoid = sigmoid_of (alphas[i]), stretched = stretch (sigmoid), h = clamp (stretched, 0.0f, 1.0f);
      float slope = stretched >= 0.0f && stretched <= 1.0f
                        ? (RELAXED_ROUNDING_ZETA - RELAXED_ROUNDING_GAMMA) * sigmoid * (1.0f - sigmoid)
                        : 0.0f;
      float code = downs[i] + h;
      float to_h = code >= lows[i] && code <= highs[i] ? gradients[i] * scales[i] : 0.0f;
      float centred = 2.0f * h - 1.0f, size = fabsf (centred);
      /* The derivative of 1 - |2 h - 1|^beta is -2 beta |2 h - 1|^(beta - 1) times the sign. */
      float power = exp2_of ((beta - 1.0f) * log2_of (size < 1e-20f ? 1e-20f : size));
      float regularizer = -2.0f * beta * power * factor;
      gradients[i] = slope * (to_h + (centred < 0.0f ? -regularizer : regularizer));
    }
}

void
relaxed_rounding_apply (RelaxedRounding *self, const float *alphas, gboolean hard, float *weights)
{
  apply (self, alphas, hard, weights);
}

void
relaxed_rounding_differentiate (RelaxedRounding *self, const float *alphas, float factor, float beta, float *gradients)
{
  differentiate (self, alphas, factor, beta, gradients);
}

gsize
relaxed_rounding_count_undecided (RelaxedRounding *self, const float *alphas)
{
  gsize n_undecided = 0;

  for (gsize i = 0; i < self->n; i++)
    {
      float stretched = stretch (1.0f / (1.0f + expf (-alphas[i])));
      n_undecided += stretched > 0.0f && stretched < 1.0f;
    }
  return n_undecided;
}
