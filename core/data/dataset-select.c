/* SPDX-License-Identifier: MIT */
/* Copies of a data set: all of its samples, or some of them. */
#include "data/dataset-private.h"

#include <halftone/error.h>
#include <string.h>

static HtTensor *
select_rows (HtTensor *array, const guint *rows, guint n_rows, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (array, &n_dims);
  if (n_dims == 0)
    return ht_tensor_ref (array);
  if (ht_data_type_get_bits (ht_tensor_get_data_type (array)) % 8 != 0)
    {
      g_autofree char *found = ht_tensor_describe (array);
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "Selecting samples: found %s, whose elements are no whole bytes; expected a type of 8 bits or more",
                   found);
      return NULL;
    }
  g_autofree gint64 *wanted = g_memdup2 (dims, n_dims * sizeof *dims);
  wanted[0] = n_rows;
  g_autoptr (HtTensor) result = ht_tensor_new (ht_tensor_get_data_type (array), wanted, n_dims, error);
  if (result == NULL)
    return NULL;
  gsize size = ht_tensor_get_size (result) / n_rows;
  const guint8 *from = ht_tensor_get_data (array);
  guint8 *to = ht_tensor_get_writable_data (result);
  for (guint i = 0; i < n_rows; i++)
    memcpy (to + i * size, from + rows[i] * size, size);
  return g_steal_pointer (&result);
}

/**
 * ht_dataset_copy:
 * @self: a data set
 *
 * Makes a data set of the same samples, which are shared. It is not bound to a network yet, so that another thread may
 * bind it, and read it, while @self is in use.
 *
 * Returns: (transfer full): the copy
 */
HtDataset *
ht_dataset_copy (HtDataset *self)
{
  g_return_val_if_fail (HT_IS_DATASET (self), NULL);
  HtDataset *result = ht_dataset_new ();
  for (guint i = 0; i < self->sources->len; i++)
    {
      const HtDataSource *source = g_ptr_array_index (self->sources, i);
      HtDataSource *copy = g_new0 (HtDataSource, 1);
      copy->name = g_strdup (source->name);
      copy->origin = g_strdup (source->origin);
      copy->array = ht_tensor_ref (source->array);
      g_ptr_array_add (result->sources, copy);
    }
  result->labels = self->labels != NULL ? ht_tensor_ref (self->labels) : NULL;
  result->labels_origin = g_strdup (self->labels_origin);
  g_set_object (&result->preprocess, self->preprocess);
  result->limit = self->limit;
  return result;
}

/**
 * ht_dataset_select:
 * @self: a data set
 * @rows: (array length=n_rows): numbers of samples, in the order that is wanted
 * @n_rows: how many, at least 1
 * @error: return location for an error
 *
 * Copies samples with their labels and the preprocessing. The result is not bound to a network yet, see
 * ht_dataset_bind().
 *
 * Returns: (transfer full) (nullable): a data set, or %NULL with @error set where a sample is not there or memory is
 * short
 */
HtDataset *
ht_dataset_select (HtDataset *self, const guint *rows, guint n_rows, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && rows != NULL && n_rows > 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  guint n_samples = ht_dataset_get_n_samples (self);
  for (guint i = 0; i < n_rows; i++)
    if (rows[i] >= n_samples)
      {
        g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "Selecting sample %u of a data set of %u", rows[i],
                     n_samples);
        return NULL;
      }
  g_autoptr (HtDataset) result = ht_dataset_copy (self);
  for (guint i = 0; i < result->sources->len; i++)
    {
      HtDataSource *source = g_ptr_array_index (result->sources, i);
      HtTensor *array = select_rows (source->array, rows, n_rows, error);
      if (array == NULL)
        return NULL;
      ht_tensor_unref (source->array);
      source->array = array;
    }
  if (self->labels != NULL)
    {
      HtTensor *labels = select_rows (self->labels, rows, n_rows, error);
      if (labels == NULL)
        return NULL;
      ht_tensor_unref (result->labels);
      result->labels = labels;
    }
  result->limit = 0;
  return g_steal_pointer (&result);
}
