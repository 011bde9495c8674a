/* SPDX-License-Identifier: MIT */
#include "exec/gradient-run.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>

/**
 * HtGradientResult:
 *
 * What one run of an #HtGradient gives: the loss, and by name the gradients, the outputs that were asked for and the
 * new running statistics of batch norms. Counted.
 */
struct _HtGradientResult
{
  gatomicrefcount ref_count;
  double loss;
  GHashTable *gradients; /* name -> HtTensor */
  GHashTable *outputs;
  GHashTable *statistics;
  GHashTable *ranges[4]; /* by HtRangePart */
};

G_DEFINE_BOXED_TYPE (HtGradientResult, ht_gradient_result, ht_gradient_result_ref, ht_gradient_result_unref)

HtGradientResult *
ht_gradient_result_new (double loss, GHashTable *gradients, GHashTable *outputs, GHashTable *statistics)
{
  HtGradientResult *self = g_new0 (HtGradientResult, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->loss = loss;
  self->gradients = gradients;
  self->outputs = outputs;
  self->statistics = statistics;
  for (guint i = 0; i < G_N_ELEMENTS (self->ranges); i++)
    self->ranges[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  return self;
}

/**
 * ht_gradient_result_ref:
 * @self: a result
 *
 * Returns: (transfer full): @self
 */
HtGradientResult *
ht_gradient_result_ref (HtGradientResult *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * ht_gradient_result_unref:
 * @self: (transfer full): a result
 */
void
ht_gradient_result_unref (HtGradientResult *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_hash_table_unref (self->gradients);
  g_hash_table_unref (self->outputs);
  g_hash_table_unref (self->statistics);
  for (guint i = 0; i < G_N_ELEMENTS (self->ranges); i++)
    g_hash_table_unref (self->ranges[i]);
  g_free (self);
}

/* The range is that of the grid: minimum = scale * offset, maximum = scale * (offset + n). Where the grid is symmetric,
 * its offset does not move; else it is minimum / scale, rounded straight through. */
void
ht_gradient_result_add_range (HtGradientResult *self, const char *name, HtEncoding *encoding, HtTensor *scales,
                              HtTensor *offsets)
{
  gsize n_grids, n_offsets;
  const double *scale = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offset = ht_encoding_get_offsets (encoding, &n_offsets);
  double n = (double)ht_encoding_get_n_steps (encoding);
  const float *by_scale = ht_tensor_get_data (scales), *by_offset = ht_tensor_get_data (offsets);
  g_autofree float *minima = g_new (float, n_grids), *maxima = g_new (float, n_grids);

  for (gsize i = 0; i < n_grids; i++)
    {
      double moved = ht_encoding_is_symmetric (encoding) ? 0.0 : (double)by_offset[i] / (scale[i] * n);
      minima[i] = (float)(-(double)by_scale[i] / n + ((double)offset[i] + n) * moved);
      maxima[i] = (float)((double)by_scale[i] / n - (double)offset[i] * moved);
    }
  HtTensor *parts[] = { ht_tensor_ref (scales), ht_tensor_ref (offsets), ht_tensor_new_floats (minima, n_grids),
                        ht_tensor_new_floats (maxima, n_grids) };
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    g_hash_table_replace (self->ranges[i], g_strdup (name), parts[i]);
}

GHashTable *
ht_gradient_result_get_statistics (HtGradientResult *self)
{
  return self->statistics;
}

/**
 * ht_gradient_result_get_loss:
 * @self: a result
 *
 * Returns: the loss; for given output gradients the sum of their products with the outputs
 */
double
ht_gradient_result_get_loss (HtGradientResult *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->loss;
}

/**
 * ht_gradient_result_get_gradient:
 * @self: a result
 * @tensor: one of the chosen tensors
 *
 * The gradient has the type and shape of the tensor. Where the tensor is encoded, it is the one with respect to the
 * value before its quantizer, straight through within the range.
 *
 * Returns: (transfer none) (nullable): the gradient, %NULL for a tensor that was not chosen
 */
HtTensor *
ht_gradient_result_get_gradient (HtGradientResult *self, const char *tensor)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (tensor != NULL, NULL);
  return g_hash_table_lookup (self->gradients, tensor);
}

/**
 * ht_gradient_result_get_range_gradient:
 * @self: a result
 * @tensor: a tensor named in ht_gradient_set_ranges()
 * @part: what of its encoding
 *
 * One 32-bit float for each grid of the encoding. With the code q of an element x (before clamping) and the gradient g
 * behind the quantizer, the scale gets g * (rint (x / scale) - x / scale) where q is on the grid and g * (the end's
 * code with the offset) beyond it; the offset gets g * scale beyond the ends. The ends of the range follow from scale =
 * (maximum - minimum) / n and offset = minimum / scale, whose rounding counts as the identity; a symmetric grid's
 * offset does not move.
 *
 * Returns: (transfer none) (nullable): the gradient, %NULL where the tensor's range was not chosen
 */
HtTensor *
ht_gradient_result_get_range_gradient (HtGradientResult *self, const char *tensor, HtRangePart part)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (tensor != NULL, NULL);
  g_return_val_if_fail ((guint)part < G_N_ELEMENTS (self->ranges), NULL);
  return g_hash_table_lookup (self->ranges[part], tensor);
}

/**
 * ht_gradient_result_get_output:
 * @self: a result
 * @tensor: a name given as output of the run
 *
 * Returns: (transfer none) (nullable): its value, %NULL where it was not asked for
 */
HtTensor *
ht_gradient_result_get_output (HtGradientResult *self, const char *tensor)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (tensor != NULL, NULL);
  return g_hash_table_lookup (self->outputs, tensor);
}

/**
 * ht_gradient_result_get_statistic:
 * @self: a result
 * @tensor: the running mean or variance of a BatchNormalization
 *
 * Returns: (transfer none) (nullable): the new value, %NULL where the run used the stored statistics
 */
HtTensor *
ht_gradient_result_get_statistic (HtGradientResult *self, const char *tensor)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (tensor != NULL, NULL);
  return g_hash_table_lookup (self->statistics, tensor);
}

static HtTensor *
add_tensors (HtTensor *a, HtTensor *b, GError **error)
{
  g_autoptr (HtTensor) sum = ht_tensor_copy (a, error);
  if (sum == NULL)
    return NULL;
  gsize n = ht_tensor_get_n_elements (sum);
  HtDataType type = ht_tensor_get_data_type (sum);
  gpointer to = ht_tensor_get_writable_data (sum);
  gconstpointer from = ht_tensor_get_data (b);
  for (gsize i = 0; i < n; i++)
    if (type == HT_DATA_TYPE_DOUBLE)
      ((double *)to)[i] += ((const double *)from)[i];
    else
      ((float *)to)[i] += ((const float *)from)[i];
  return g_steal_pointer (&sum);
}

static gboolean
same_form (HtTensor *a, HtTensor *b)
{
  if (b == NULL || ht_tensor_get_data_type (a) != ht_tensor_get_data_type (b)
      || ht_tensor_get_n_dims (a) != ht_tensor_get_n_dims (b))
    return FALSE;
  for (guint i = 0; i < ht_tensor_get_n_dims (a); i++)
    if (ht_tensor_get_dim (a, i) != ht_tensor_get_dim (b, i))
      return FALSE;
  return TRUE;
}

/* The sums of two tables over the names of the first. */
static GHashTable *
add_tables (GHashTable *a, GHashTable *b, GError **error)
{
  g_autoptr (GHashTable) sums
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  GHashTableIter iter;
  gpointer name, tensor;

  g_hash_table_iter_init (&iter, a);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    {
      HtTensor *other = g_hash_table_lookup (b, name);
      if (!same_form (tensor, other))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                       "accumulating gradients: the gradient of '%s' is missing from one of the results or has another "
                       "form there; add up results for the same tensors",
                       (const char *)name);
          return NULL;
        }
      HtTensor *sum = add_tensors (tensor, other, error);
      if (sum == NULL)
        return NULL;
      g_hash_table_replace (sums, g_strdup (name), sum);
    }
  return g_steal_pointer (&sums);
}

static void
replace_table (GHashTable **table, GHashTable *by /* transfer full */)
{
  g_hash_table_unref (*table);
  *table = by;
}

/**
 * ht_gradient_result_accumulate:
 * @self: a result
 * @other: the result of another part of the batch
 * @error: return location for an error
 *
 * Adds the loss and the gradients of @other, so that a batch can be run in parts: give each part's output gradients (or
 * the weight of its loss) its share. Outputs and statistics become those of @other.
 *
 * Fails with %HT_ERROR_SHAPE when @other lacks a gradient; @self is unchanged then.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_gradient_result_accumulate (HtGradientResult *self, HtGradientResult *other, GError **error)
{
  g_return_val_if_fail (self != NULL, FALSE);
  g_return_val_if_fail (other != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  g_autoptr (GHashTable) gradients = add_tables (self->gradients, other->gradients, error);
  if (gradients == NULL)
    return FALSE;
  g_autoptr (GPtrArray) ranges = g_ptr_array_new_with_free_func ((GDestroyNotify)g_hash_table_unref);
  for (guint i = 0; i < G_N_ELEMENTS (self->ranges); i++)
    {
      GHashTable *sums = add_tables (self->ranges[i], other->ranges[i], error);
      if (sums == NULL)
        return FALSE;
      g_ptr_array_add (ranges, sums);
    }
  self->loss += other->loss;
  replace_table (&self->gradients, g_steal_pointer (&gradients));
  for (guint i = 0; i < G_N_ELEMENTS (self->ranges); i++)
    replace_table (&self->ranges[i], g_hash_table_ref (g_ptr_array_index (ranges, i)));
  replace_table (&self->outputs, g_hash_table_ref (other->outputs));
  replace_table (&self->statistics, g_hash_table_ref (other->statistics));
  return TRUE;
}
