/* SPDX-License-Identifier: MIT */
/* The labels of a data set: one class number for each sample. */
#include "data/dataset-private.h"

#include <halftone/error.h>

#include <string.h>

gboolean
ht_dataset_take_labels (HtDataset *self, const char *origin, HtTensor *labels, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (labels);
  guint n_dims = ht_tensor_get_n_dims (labels);
  g_autoptr (HtTensor) numbers = NULL;
  g_autofree char *found = ht_tensor_describe (labels);
  gint64 n_labels = (gint64)ht_tensor_get_n_elements (labels);

  if (type == HT_DATA_TYPE_STRING || type == HT_DATA_TYPE_BOOL || ht_data_type_is_float (type)
      || type == HT_DATA_TYPE_COMPLEX64 || type == HT_DATA_TYPE_COMPLEX128)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                   "Reading the labels '%s': found %s, expected integers (class numbers from 0); convert them with "
                   "array.astype('int64')",
                   origin, found);
      return FALSE;
    }
  if (n_labels == 0 || n_dims == 0 || n_dims > 2 || (n_dims == 2 && ht_tensor_get_dim (labels, 1) != 1))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "Reading the labels '%s': found %s, expected one class number for each sample (shape [N]); use "
                   "array.argmax(1) where they are one-hot",
                   origin, found);
      return FALSE;
    }
  numbers = ht_tensor_cast (labels, HT_DATA_TYPE_INT64, error);
  if (numbers == NULL)
    return FALSE;
  g_clear_pointer (&self->labels, ht_tensor_unref);
  self->labels = ht_tensor_reshape (numbers, &n_labels, 1, error);
  if (self->labels == NULL)
    return FALSE;
  g_free (self->labels_origin);
  self->labels_origin = g_strdup (origin);
  self->bound = FALSE;
  return TRUE;
}

/**
 * ht_dataset_set_labels:
 * @self: a data set
 * @labels: integers of shape [N] or [N, 1], the class of each sample, counted from 0
 * @error: return location for an error
 *
 * Sets the labels, in place of earlier ones. Bind the data set afterwards.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_dataset_set_labels (HtDataset *self, HtTensor *labels, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && labels != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  return ht_dataset_take_labels (self, "labels", labels, error);
}

static HtTensor *
load_labels (const char *path, GError **error)
{
  g_autoptr (GHashTable) arrays = NULL;
  HtTensor *found;

  if (!g_str_has_suffix (path, ".npz"))
    return ht_tensor_load_npy (path, error);
  arrays = ht_tensor_load_npz (path, error);
  if (arrays == NULL)
    return NULL;
  found = g_hash_table_lookup (arrays, "labels");
  if (found == NULL)
    found = g_hash_table_lookup (arrays, "y");
  if (found == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                 "Reading the labels '%s': found no array named 'labels' or 'y' in the archive; rename it", path);
  return found ? ht_tensor_ref (found) : NULL;
}

/**
 * ht_dataset_set_labels_file:
 * @self: a data set
 * @path: an `.npy` file, or an `.npz` archive with an array `labels` or `y`
 * @error: return location for an error
 *
 * Reads the labels from a file, see ht_dataset_set_labels().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_dataset_set_labels_file (HtDataset *self, const char *path, GError **error)
{
  g_autoptr (HtTensor) labels = NULL;

  g_return_val_if_fail (HT_IS_DATASET (self) && path != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  labels = load_labels (path, error);
  return labels != NULL && ht_dataset_take_labels (self, path, labels, error);
}

/**
 * ht_dataset_get_labels:
 * @self: a data set
 *
 * Returns: (transfer none) (nullable): the labels as int64 of shape [N], %NULL where the data set has none; the limit
 * on the number of samples does not cut them
 */
HtTensor *
ht_dataset_get_labels (HtDataset *self)
{
  g_return_val_if_fail (HT_IS_DATASET (self), NULL);
  return self->labels;
}
