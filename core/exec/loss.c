/* SPDX-License-Identifier: MIT */
#include "exec/loss-private.h"

#include "base/thread-pool.h"
#include "graph/tensor-private.h"
#include "kernels/vectorize.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

/* Elements that one item of parallel work covers, about. */
#define GRAIN       ((gsize)4096)
#define ERROR_LANES 16

typedef enum
{
  LOSS_CROSS_ENTROPY,
  LOSS_KL_DIVERGENCE,
  LOSS_MEAN_SQUARED_ERROR,
} Kind;

struct _HtLoss
{
  GObject parent_instance;

  Kind kind;
  double parameter; /* the smoothing, or the temperature */
};

/**
 * HtLoss:
 *
 * A measure of how far the output of a network is from a target, and its gradient. Immutable. Everything is computed in
 * double and summed in a fixed order.
 */
G_DEFINE_FINAL_TYPE (HtLoss, ht_loss, G_TYPE_OBJECT)

static void
ht_loss_class_init (HtLossClass *klass)
{
}

static void
ht_loss_init (HtLoss *self)
{
}

static HtLoss *
loss_new (Kind kind, double parameter)
{
  HtLoss *self = g_object_new (HT_TYPE_LOSS, NULL);
  self->kind = kind;
  self->parameter = parameter;
  return self;
}

/**
 * ht_loss_new_cross_entropy:
 * @label_smoothing: the share of the target that is spread over all classes, from 0 to below 1
 *
 * The cross-entropy of softmax (output) against the target, averaged over all positions but those of the classes. The
 * classes are dimension 1 of the output, or its only dimension. The target holds labels, integers without the dimension
 * of the classes, or distributions of the shape of the output.
 *
 * Returns: (transfer full): a loss
 */
HtLoss *
ht_loss_new_cross_entropy (double label_smoothing)
{
  g_return_val_if_fail (label_smoothing >= 0.0 && label_smoothing < 1.0, NULL);
  return loss_new (LOSS_CROSS_ENTROPY, label_smoothing);
}

/**
 * ht_loss_new_kl_divergence:
 * @temperature: what both logits are divided by, above 0
 *
 * The Kullback-Leibler divergence of softmax (output / temperature) from softmax (target / temperature), where the
 * target holds the logits of a teacher, averaged as the cross-entropy is and multiplied by the square of the
 * temperature, so that gradients keep their size.
 *
 * Returns: (transfer full): a loss
 */
HtLoss *
ht_loss_new_kl_divergence (double temperature)
{
  g_return_val_if_fail (temperature > 0.0 && isfinite (temperature), NULL);
  return loss_new (LOSS_KL_DIVERGENCE, temperature);
}

/**
 * ht_loss_new_mean_squared_error:
 *
 * The square of the difference from a target of the same shape, averaged over all elements.
 *
 * Returns: (transfer full): a loss
 */
HtLoss *
ht_loss_new_mean_squared_error (void)
{
  return loss_new (LOSS_MEAN_SQUARED_ERROR, 0.0);
}

/* One evaluation. Vectors of `n` classes, `inner` elements apart; the squared error has vectors of rows. */
typedef struct
{
  Kind kind;
  double parameter, weight; /* of one vector, or of one element */
  gsize n, inner, n_vectors;
  HtTensor *output, *target, *gradient;
  gboolean has_labels;
  double *values; /* of each vector */
} Work;

static double
load (HtTensor *tensor, gsize index)
{
  gconstpointer data = ht_tensor_get_data (tensor);
  return ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_DOUBLE ? ((const double *)data)[index]
                                                                 : (double)((const float *)data)[index];
}

static void
add (HtTensor *tensor, gsize index, double value)
{
  if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_DOUBLE)
    ((double *)tensor->data)[index] += value;
  else
    ((float *)tensor->data)[index] = (float)((double)((float *)tensor->data)[index] + value);
}

/* log of the sum of exp (x / temperature) */
static double
log_sum (HtTensor *tensor, gsize start, const Work *work, double temperature)
{
  double top = -INFINITY, sum = 0.0;
  for (gsize i = 0; i < work->n; i++)
    top = fmax (top, load (tensor, start + i * work->inner) / temperature);
  for (gsize i = 0; i < work->n; i++)
    sum += exp (load (tensor, start + i * work->inner) / temperature - top);
  return top + log (sum);
}

static double
cross_entropy (const Work *work, gsize vector, gsize start)
{
  double norm = log_sum (work->output, start, work, 1.0), loss = 0.0, mass = 0.0;
  double spread = work->parameter / (double)work->n;
  gsize label = work->has_labels ? (gsize)ht_tensor_get_int64 (work->target, vector) : 0;

  for (gsize pass = 0; pass < 2; pass++)
    for (gsize i = 0; i < work->n; i++)
      {
        gsize at = start + i * work->inner;
        double t = work->has_labels ? i == label : load (work->target, at);
        double log_p = load (work->output, at) - norm;
        t = (1.0 - work->parameter) * t + spread;
        if (pass == 1)
          add (work->gradient, at, work->weight * (mass * exp (log_p) - t));
        else if (t != 0.0)
          loss -= t * log_p;
        mass += pass == 0 ? t : 0.0;
      }
  return loss;
}

static double
kl_divergence (const Work *work, gsize start)
{
  double t = work->parameter, loss = 0.0;
  double norm = log_sum (work->output, start, work, t), teacher_norm = log_sum (work->target, start, work, t);

  for (gsize i = 0; i < work->n; i++)
    {
      gsize at = start + i * work->inner;
      double log_p = load (work->output, at) / t - norm, log_q = load (work->target, at) / t - teacher_norm;
      double q = exp (log_q);
      if (q > 0.0)
        loss += q * (log_q - log_p);
      add (work->gradient, at, work->weight * t * (exp (log_p) - q));
    }
  return loss * t * t;
}

/* The same for floats, in lanes that a processor adds up side by side. */
HT_VECTORIZE static double
squared_error_of_floats (const float *output, const float *target, float *gradient, gsize n, double factor)
{
  double sums[ERROR_LANES] = { 0 }, loss = 0.0;
  gsize whole = n - n % ERROR_LANES;

  for (gsize i = 0; i < whole; i += ERROR_LANES)
    for (gsize lane = 0; lane < ERROR_LANES; lane++)
      {
        double difference = (double)output[i + lane] - (double)target[i + lane];
        sums[lane] += difference * difference;
        gradient[i + lane] = (float)((double)gradient[i + lane] + factor * difference);
      }
  for (gsize i = whole; i < n; i++)
    {
      double difference = (double)output[i] - (double)target[i];
      loss += difference * difference;
      gradient[i] = (float)((double)gradient[i] + factor * difference);
    }
  for (gsize lane = 0; lane < ERROR_LANES; lane++)
    loss += sums[lane];
  return loss;
}

static double
squared_error (const Work *work, gsize start)
{
  double loss = 0.0;
  if (ht_tensor_get_data_type (work->output) == HT_DATA_TYPE_FLOAT
      && ht_tensor_get_data_type (work->target) == HT_DATA_TYPE_FLOAT)
    return squared_error_of_floats ((const float *)ht_tensor_get_data (work->output) + start,
                                    (const float *)ht_tensor_get_data (work->target) + start,
                                    (float *)work->gradient->data + start, work->n, work->weight * 2.0);
  for (gsize i = start; i < start + work->n; i++)
    {
      double difference = load (work->output, i) - load (work->target, i);
      loss += difference * difference;
      add (work->gradient, i, work->weight * 2.0 * difference);
    }
  return loss;
}

static void
run_vectors (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  for (gsize vector = begin; vector < end; vector++)
    {
      gsize start = vector / work->inner * work->n * work->inner + vector % work->inner;
      work->values[vector] = work->kind == LOSS_CROSS_ENTROPY   ? cross_entropy (work, vector, start)
                             : work->kind == LOSS_KL_DIVERGENCE ? kl_divergence (work, start)
                                                                : squared_error (work, start);
    }
}

static gboolean
fail_form (HtTensor *output, HtTensor *target, const char *expected, int code, GError **error)
{
  g_autofree char *found = ht_tensor_describe (target), *described = ht_tensor_describe (output);
  g_set_error (error, HT_ERROR, code, "evaluating a loss: the output is %s and the target %s, expected %s", described,
               found, expected);
  return FALSE;
}

static gboolean
same_shape (HtTensor *a, HtTensor *b, gint skip)
{
  guint n_a, n_b, k = 0;
  const gint64 *dims_a = ht_tensor_get_dims (a, &n_a), *dims_b = ht_tensor_get_dims (b, &n_b);

  if (n_b != n_a - (skip >= 0))
    return FALSE;
  for (guint i = 0; i < n_a; i++)
    if ((gint)i != skip && dims_a[i] != dims_b[k++])
      return FALSE;
  return TRUE;
}

static gboolean
check_labels (HtTensor *labels, gsize n_classes, GError **error)
{
  gsize n = ht_tensor_get_n_elements (labels);
  for (gsize i = 0; i < n; i++)
    {
      gint64 label = ht_tensor_get_int64 (labels, i);
      if (label >= 0 && (gsize)label < n_classes)
        continue;
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "evaluating a loss: label %" G_GINT64_FORMAT " at position %" G_GSIZE_FORMAT
                   " is no class, expected 0 to %" G_GSIZE_FORMAT,
                   label, i, n_classes - 1);
      return FALSE;
    }
  return TRUE;
}

/* The shape of the work, once everything fits. */
static gboolean
prepare (HtLoss *self, HtTensor *output, HtTensor *target, Work *work, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (output, &n_dims);
  HtDataType type = ht_tensor_get_data_type (output), target_type = ht_tensor_get_data_type (target);
  gsize n_elements = ht_tensor_get_n_elements (output);

  if (type != HT_DATA_TYPE_FLOAT && type != HT_DATA_TYPE_DOUBLE)
    return fail_form (output, target, "an output of float or double", HT_ERROR_DATA_TYPE, error);
  work->inner = 1;
  work->n = 1;
  if (self->kind == LOSS_MEAN_SQUARED_ERROR)
    {
      if (!same_shape (output, target, -1))
        return fail_form (output, target, "the same shape", HT_ERROR_SHAPE, error);
      /* Planes, or rows of two dimensions; their number is part of the order of the sum. */
      work->n = n_dims > 0 ? (gsize)dims[n_dims - 1] : 1;
      if (n_dims > 2)
        work->n *= (gsize)dims[n_dims - 2];
    }
  else
    {
      guint axis = n_dims > 1 ? 1 : 0;
      if (n_dims == 0 || dims[axis] == 0)
        return fail_form (output, target, "an output with a dimension of classes", HT_ERROR_SHAPE, error);
      work->n = (gsize)dims[axis];
      for (guint i = axis + 1; i < n_dims; i++)
        work->inner *= (gsize)dims[i];
      work->has_labels = self->kind == LOSS_CROSS_ENTROPY && ht_data_type_is_integer (target_type);
      if (!same_shape (output, target, work->has_labels ? (gint)axis : -1))
        return fail_form (output, target,
                          work->has_labels ? "labels without the dimension of the classes" : "the same shape",
                          HT_ERROR_SHAPE, error);
      if (work->has_labels && !check_labels (target, work->n, error))
        return FALSE;
    }
  if (!work->has_labels && !ht_data_type_is_float (target_type))
    return fail_form (output, target, "a target of floating-point numbers", HT_ERROR_DATA_TYPE, error);
  if (n_elements == 0)
    return fail_form (output, target, "at least one element", HT_ERROR_SHAPE, error);
  work->n_vectors = n_elements / work->n;
  return TRUE;
}

gboolean
ht_loss_add (HtLoss *self, HtTensor *output, HtTensor *target, double weight, HtTensor *gradient, double *value,
             GError **error)
{
  Work work = { .kind = self->kind, .parameter = self->parameter, .output = output, .gradient = gradient };
  double sum = 0.0;

  if (!prepare (self, output, target, &work, error))
    return FALSE;
  g_autoptr (HtTensor) converted = NULL;
  work.target = target;
  if (!work.has_labels && ht_tensor_get_data_type (target) != HT_DATA_TYPE_FLOAT
      && ht_tensor_get_data_type (target) != HT_DATA_TYPE_DOUBLE)
    {
      converted = ht_tensor_cast (target, HT_DATA_TYPE_DOUBLE, error);
      if (converted == NULL)
        return FALSE;
      work.target = converted;
    }
  double count = (double)(self->kind == LOSS_MEAN_SQUARED_ERROR ? work.n_vectors * work.n : work.n_vectors);
  work.weight = weight / count;
  g_autofree double *values = g_new (double, work.n_vectors);
  work.values = values;
  ht_parallel_for (work.n_vectors, MAX (GRAIN / work.n, 1), run_vectors, &work);
  for (gsize i = 0; i < work.n_vectors; i++)
    sum += values[i];
  *value += weight * sum / count;
  return TRUE;
}

/**
 * ht_loss_evaluate:
 * @self: a loss
 * @output: what the network gave, of float or double
 * @target: what it should have given
 * @value: (out): the loss
 * @gradient: (out) (optional) (transfer full): the gradient with respect to @output
 * @error: return location for an error
 *
 * Computes a loss and its gradient.
 *
 * Fails with %HT_ERROR_SHAPE or %HT_ERROR_DATA_TYPE when output and target do not fit each other and with
 * %HT_ERROR_INVALID_DATA when a label is no class.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_loss_evaluate (HtLoss *self, HtTensor *output, HtTensor *target, double *value, HtTensor **gradient, GError **error)
{
  g_return_val_if_fail (HT_IS_LOSS (self), FALSE);
  g_return_val_if_fail (output != NULL && target != NULL && value != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (output, &n_dims);
  HtDataType type = ht_tensor_get_data_type (output);
  if (type != HT_DATA_TYPE_FLOAT && type != HT_DATA_TYPE_DOUBLE)
    return fail_form (output, target, "an output of float or double", HT_ERROR_DATA_TYPE, error);
  g_autoptr (HtTensor) made = ht_tensor_new (type, dims, n_dims, error);
  if (made == NULL)
    return FALSE;
  double sum = 0.0;
  memset (ht_tensor_get_writable_data (made), 0, ht_tensor_get_size (made));
  if (!ht_loss_add (self, output, target, 1.0, made, &sum, error))
    return FALSE;
  *value = sum;
  if (gradient)
    *gradient = g_steal_pointer (&made);
  return TRUE;
}
