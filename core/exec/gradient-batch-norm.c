/* SPDX-License-Identifier: MIT */
/* Batch normalization with the statistics of the batch, in the plain layout. Statistics and sums are taken channel by
 * channel in double. */
#include "exec/gradient-kinds.h"

#include "base/thread-pool.h"

#include <halftone/error.h>
#include <math.h>

enum
{
  X,
  SCALE,
  SHIFT,
  RUNNING_MEAN,
  RUNNING_VARIANCE,
  Y,
  MEAN,
  VARIANCE,
  NEW_MEAN,
  NEW_VARIANCE,
};

enum
{
  B_X,
  B_SCALE,
  B_MEAN,
  B_VARIANCE,
  B_DY,
  B_DX,
  B_DSCALE,
  B_DSHIFT,
};

typedef struct
{
  gsize outer, channels, inner;
  double epsilon;
  gconstpointer x, scale, shift, dy;
  gpointer y, mean, variance, dx, dscale, dshift;
} Norm;

static Norm
make_norm (HtTensor *x, const HtGradientTask *task)
{
  Norm norm = { 1, 1, 1, ht_node_get_float (task->step->node, "epsilon", 1e-5), ht_tensor_get_data (x) };
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (x, &n_dims);
  for (guint i = 0; i < n_dims; i++)
    *(i == 0 ? &norm.outer : i == 1 ? &norm.channels : &norm.inner) *= (gsize)dims[i];
  return norm;
}

#define BATCH_NORM(T)                                                                                                  \
  static void forward_##T (gsize begin, gsize end, guint worker, gpointer user_data)                                   \
  {                                                                                                                    \
    const Norm *norm = user_data;                                                                                      \
    gsize inner = norm->inner, stride = norm->channels * inner;                                                        \
    double count = (double)(norm->outer * inner);                                                                      \
    for (gsize c = begin; c < end; c++)                                                                                \
      {                                                                                                                \
        const T *x = (const T *)norm->x + c * inner;                                                                   \
        T *y = (T *)norm->y + c * inner;                                                                               \
        double sum = 0.0, squares = 0.0;                                                                               \
        for (gsize n = 0; n < norm->outer; n++)                                                                        \
          for (gsize i = 0; i < inner; i++)                                                                            \
            sum += (double)x[n * stride + i];                                                                          \
        T mean = (T)(sum / count);                                                                                     \
        for (gsize n = 0; n < norm->outer; n++)                                                                        \
          for (gsize i = 0; i < inner; i++)                                                                            \
            {                                                                                                          \
              double d = (double)x[n * stride + i] - sum / count;                                                      \
              squares += d * d;                                                                                        \
            }                                                                                                          \
        T variance = (T)(squares / count);                                                                             \
        T factor = (T)((double)((const T *)norm->scale)[c] / sqrt (squares / count + norm->epsilon));                  \
        T shift = ((const T *)norm->shift)[c];                                                                         \
        for (gsize n = 0; n < norm->outer; n++)                                                                        \
          for (gsize i = 0; i < inner; i++)                                                                            \
            y[n * stride + i] = (x[n * stride + i] - mean) * factor + shift;                                           \
        ((T *)norm->mean)[c] = mean;                                                                                   \
        ((T *)norm->variance)[c] = variance;                                                                           \
      }                                                                                                                \
  }                                                                                                                    \
                                                                                                                       \
  static void backward_##T (gsize begin, gsize end, guint worker, gpointer user_data)                                  \
  {                                                                                                                    \
    const Norm *norm = user_data;                                                                                      \
    gsize inner = norm->inner, stride = norm->channels * inner;                                                        \
    double count = (double)(norm->outer * inner);                                                                      \
    for (gsize c = begin; c < end; c++)                                                                                \
      {                                                                                                                \
        const T *x = (const T *)norm->x + c * inner, *dy = (const T *)norm->dy + c * inner;                            \
        double mean = (double)((const T *)norm->mean)[c];                                                              \
        double inverse = 1.0 / sqrt ((double)((const T *)norm->variance)[c] + norm->epsilon);                          \
        double sum = 0.0, products = 0.0;                                                                              \
        for (gsize n = 0; n < norm->outer; n++)                                                                        \
          for (gsize i = 0; i < inner; i++)                                                                            \
            {                                                                                                          \
              double g = (double)dy[n * stride + i];                                                                   \
              sum += g;                                                                                                \
              products += g * ((double)x[n * stride + i] - mean);                                                      \
            }                                                                                                          \
        if (norm->dshift)                                                                                              \
          ((T *)norm->dshift)[c] = (T)sum;                                                                             \
        if (norm->dscale)                                                                                              \
          ((T *)norm->dscale)[c] = (T)(products * inverse);                                                            \
        if (norm->dx == NULL)                                                                                          \
          continue;                                                                                                    \
        T *dx = (T *)norm->dx + c * inner;                                                                             \
        T factor = (T)((double)((const T *)norm->scale)[c] * inverse), center = (T)mean;                               \
        T average = (T)(sum / count), slope = (T)(products * inverse * inverse / count);                               \
        for (gsize n = 0; n < norm->outer; n++)                                                                        \
          for (gsize i = 0; i < inner; i++)                                                                            \
            {                                                                                                          \
              gsize at = n * stride + i;                                                                               \
              dx[at] = factor * (dy[at] - average - (x[at] - center) * slope);                                         \
            }                                                                                                          \
      }                                                                                                                \
  }                                                                                                                    \
                                                                                                                       \
  static void blend_##T (gsize n, double momentum, const T *old, const T *batch, T *made)                              \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      made[i] = (T)(momentum * (double)old[i] + (1.0 - momentum) * (double)batch[i]);                                  \
  }

BATCH_NORM (float)
BATCH_NORM (double)

static gboolean
run_batch_norm (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtTensor *x = ht_gradient_run_tensor (run, task, X);
  gboolean is_double = ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE;
  double momentum = ht_node_get_float (task->step->node, "momentum", 0.9);
  Norm norm = make_norm (x, task);
  norm.scale = ht_gradient_run_data (run, task, SCALE);
  norm.shift = ht_gradient_run_data (run, task, SHIFT);
  norm.y = ht_gradient_run_data (run, task, Y);
  norm.mean = ht_gradient_run_data (run, task, MEAN);
  norm.variance = ht_gradient_run_data (run, task, VARIANCE);
  if (norm.outer * norm.inner == 0)
    {
      g_autofree char *described = ht_node_describe (task->step->node), *found = ht_tensor_describe (x);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "running %s: input 0 is %s, and an empty batch has no statistics",
                   described, found);
      return FALSE;
    }
  ht_parallel_for (norm.channels, 1, is_double ? forward_double : forward_float, &norm);
  for (guint i = 0; i < 2; i++)
    {
      gconstpointer old = ht_gradient_run_data (run, task, RUNNING_MEAN + i);
      gconstpointer batch = i == 0 ? norm.mean : norm.variance;
      gpointer made = ht_gradient_run_data (run, task, NEW_MEAN + i);
      if (is_double)
        blend_double (norm.channels, momentum, old, batch, made);
      else
        blend_float (norm.channels, momentum, old, batch, made);
    }
  return TRUE;
}

static gboolean
run_batch_norm_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtTensor *x = ht_gradient_run_tensor (run, task, B_X);
  gboolean is_double = ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE;
  Norm norm = make_norm (x, task);
  norm.scale = ht_gradient_run_data (run, task, B_SCALE);
  norm.mean = ht_gradient_run_data (run, task, B_MEAN);
  norm.variance = ht_gradient_run_data (run, task, B_VARIANCE);
  norm.dy = ht_gradient_run_data (run, task, B_DY);
  norm.dx = ht_gradient_run_data (run, task, B_DX);
  norm.dscale = ht_gradient_run_data (run, task, B_DSCALE);
  norm.dshift = ht_gradient_run_data (run, task, B_DSHIFT);
  ht_parallel_for (norm.channels, 1, is_double ? backward_double : backward_float, &norm);
  return TRUE;
}

const HtGradientKind ht_gradient_batch_norm_kind = { "batch-norm", run_batch_norm };
const HtGradientKind ht_gradient_batch_norm_backward_kind = { "batch-norm-backward", run_batch_norm_backward };
