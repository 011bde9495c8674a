/* SPDX-License-Identifier: MIT */
/* Batch normalization with the statistics of the batch, in the plain layout, whatever the node's training_mode says. */
#include "exec/gradient-kinds.h"

#include "kernels/channel-statistics.h"
#include "kernels/double-precision.h"
#include "kernels/normalize-backward.h"
#include "kernels/normalize.h"

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
  gboolean is_double;
  double epsilon;
  gconstpointer x;
} Norm;

static Norm
make_norm (HtTensor *x, const HtGradientTask *task)
{
  Norm norm = { 1,
                1,
                1,
                ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE,
                (float)ht_node_get_float (task->step->node, "epsilon", 1e-5),
                ht_tensor_get_data (x) };
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (x, &n_dims);
  for (guint i = 0; i < n_dims; i++)
    *(i == 0 ? &norm.outer : i == 1 ? &norm.channels : &norm.inner) *= (gsize)dims[i];
  return norm;
}

/* Channel values in the type of x, and as the kernels take them. */
static double
load (const Norm *norm, gconstpointer values, gsize channel)
{
  return norm->is_double ? ((const double *)values)[channel] : (double)((const float *)values)[channel];
}

static void
store (const Norm *norm, gpointer values, gsize channel, double value)
{
  if (norm->is_double)
    ((double *)values)[channel] = value;
  else
    ((float *)values)[channel] = (float)value;
}

static void
normalize (const Norm *norm, const double *factor, const double *term, gpointer y)
{
  g_autofree float *narrow = NULL;

  if (norm->is_double)
    {
      ht_kernel_affine_channels_double (norm->x, y, norm->outer, norm->channels, norm->inner, factor, term);
      return;
    }
  narrow = g_new (float, 2 * norm->channels);
  for (gsize c = 0; c < norm->channels; c++)
    {
      narrow[c] = (float)factor[c];
      narrow[norm->channels + c] = (float)term[c];
    }
  ht_kernel_affine_channels (norm->x, y, norm->outer, norm->channels, norm->inner, narrow, narrow + norm->channels);
}

static gboolean
run_batch_norm (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtTensor *x = ht_gradient_run_tensor (run, task, X);
  double momentum = ht_node_get_float (task->step->node, "momentum", 0.9);
  Norm norm = make_norm (x, task);
  gsize n = norm.channels;

  if (norm.outer * norm.inner == 0)
    {
      g_autofree char *described = ht_node_describe (task->step->node), *found = ht_tensor_describe (x);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "running %s: input 0 is %s, and an empty batch has no statistics",
                   described, found);
      return FALSE;
    }
  g_autofree double *mean = g_new (double, 4 * MAX (n, 1));
  double *variance = mean + n, *factor = variance + n, *term = factor + n;
  if (norm.is_double)
    ht_kernel_channel_statistics_double (norm.x, norm.outer, n, norm.inner, mean, variance);
  else
    ht_kernel_channel_statistics_float (norm.x, norm.outer, n, norm.inner, mean, variance);
  for (gsize c = 0; c < n; c++)
    {
      factor[c] = load (&norm, ht_gradient_run_data (run, task, SCALE), c) / sqrt (variance[c] + norm.epsilon);
      term[c] = load (&norm, ht_gradient_run_data (run, task, SHIFT), c) - mean[c] * factor[c];
      store (&norm, ht_gradient_run_data (run, task, MEAN), c, mean[c]);
      store (&norm, ht_gradient_run_data (run, task, VARIANCE), c, variance[c]);
      for (guint i = 0; i < 2; i++)
        store (&norm, ht_gradient_run_data (run, task, NEW_MEAN + i), c,
               momentum * load (&norm, ht_gradient_run_data (run, task, RUNNING_MEAN + i), c)
                   + (1.0 - momentum) * (i == 0 ? mean : variance)[c]);
    }
  normalize (&norm, factor, term, ht_gradient_run_data (run, task, Y));
  return TRUE;
}

static gboolean
run_batch_norm_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  Norm norm = make_norm (ht_gradient_run_tensor (run, task, B_X), task);
  gsize n = norm.channels;
  double count = (double)(norm.outer * norm.inner);
  gconstpointer dy = ht_gradient_run_data (run, task, B_DY);
  gpointer dx = ht_gradient_run_data (run, task, B_DX), dscale = ht_gradient_run_data (run, task, B_DSCALE);
  gpointer dshift = ht_gradient_run_data (run, task, B_DSHIFT);
  g_autofree double *mean = g_new (double, 6 * MAX (n, 1));
  double *dy_sum = mean + n, *product_sum = dy_sum + n, *a = product_sum + n, *b = a + n, *d = b + n;

  for (gsize c = 0; c < n; c++)
    mean[c] = load (&norm, ht_gradient_run_data (run, task, B_MEAN), c);
  if (norm.is_double)
    ht_kernel_channel_sums_double (norm.x, dy, norm.outer, n, norm.inner, mean, dy_sum, product_sum);
  else
    ht_kernel_channel_sums_float (norm.x, dy, norm.outer, n, norm.inner, mean, dy_sum, product_sum);
  for (gsize c = 0; c < n; c++)
    {
      double inverse = 1.0 / sqrt (load (&norm, ht_gradient_run_data (run, task, B_VARIANCE), c) + norm.epsilon);
      a[c] = load (&norm, ht_gradient_run_data (run, task, B_SCALE), c) * inverse;
      b[c] = -a[c] * inverse * inverse * product_sum[c] / count;
      d[c] = -a[c] * dy_sum[c] / count;
      if (dshift)
        store (&norm, dshift, c, dy_sum[c]);
      if (dscale)
        store (&norm, dscale, c, product_sum[c] * inverse);
    }
  if (dx && norm.is_double)
    ht_kernel_channel_gradient_double (norm.x, dy, dx, norm.outer, n, norm.inner, mean, a, b, d);
  else if (dx)
    ht_kernel_channel_gradient_float (norm.x, dy, dx, norm.outer, n, norm.inner, mean, a, b, d);
  return TRUE;
}

const HtGradientKind ht_gradient_batch_norm_kind = { "batch-norm", run_batch_norm };
const HtGradientKind ht_gradient_batch_norm_backward_kind = { "batch-norm-backward", run_batch_norm_backward };
