/* SPDX-License-Identifier: MIT */
/* Arrays as a stream of samples: which array feeds which network input, and batches of them. */
#include "data/dataset-private.h"

#include <halftone/error.h>
#include <halftone/param.h>

#include <string.h>

/**
 * HtDataset:
 *
 * Samples for calibration, evaluation or training: one array for each network input, of equal first dimensions, labels
 * where there are some, and how raw values become inputs. Arrays in files are mapped, batches are made when asked for.
 */
G_DEFINE_FINAL_TYPE (HtDataset, ht_dataset, G_TYPE_OBJECT)

void
ht_data_source_free (HtDataSource *self)
{
  g_free (self->name);
  g_free (self->origin);
  g_clear_pointer (&self->array, ht_tensor_unref);
  g_clear_pointer (&self->plan, ht_preprocess_plan_free);
  g_free (self->input);
  g_free (self);
}

static void
ht_dataset_finalize (GObject *object)
{
  HtDataset *self = HT_DATASET (object);

  g_ptr_array_unref (self->sources);
  g_clear_pointer (&self->labels, ht_tensor_unref);
  g_free (self->labels_origin);
  g_clear_object (&self->preprocess);
  G_OBJECT_CLASS (ht_dataset_parent_class)->finalize (object);
}

static void
ht_dataset_class_init (HtDatasetClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_dataset_finalize;
}

static void
ht_dataset_init (HtDataset *self)
{
  self->sources = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_data_source_free);
}

/**
 * ht_dataset_new:
 *
 * Makes a data set without arrays.
 *
 * Returns: (transfer full): the data set
 */
HtDataset *
ht_dataset_new (void)
{
  return g_object_new (HT_TYPE_DATASET, NULL);
}

static gboolean
check_array (const char *origin, HtTensor *array, GError **error)
{
  const char *problem = NULL;
  HtDataType type = ht_tensor_get_data_type (array);

  if (type == HT_DATA_TYPE_STRING || type == HT_DATA_TYPE_COMPLEX64 || type == HT_DATA_TYPE_COMPLEX128)
    problem = "expected numbers; convert it";
  else if (ht_tensor_get_n_elements (array) == 0)
    problem = "expected at least one sample; the data set is empty, give another file";
  if (problem == NULL)
    return TRUE;
  g_autofree char *description = ht_tensor_describe (array);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "Adding '%s' to a data set: found %s, %s", origin, description,
               problem);
  return FALSE;
}

static gboolean
add_source (HtDataset *self, const char *input, const char *origin, HtTensor *array, GError **error)
{
  HtDataSource *source;

  if (!check_array (origin, array, error))
    return FALSE;
  for (guint i = 0; i < self->sources->len; i++)
    {
      const HtDataSource *other = g_ptr_array_index (self->sources, i);
      if (input == NULL || other->name == NULL || g_str_equal (other->name, input))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                       "Adding '%s' to a data set that has '%s': %s; give each array the name of another network input",
                       origin, other->origin,
                       input != NULL && other->name != NULL ? "both feed the same input"
                                                            : "one of them names no input");
          return FALSE;
        }
    }
  source = g_new0 (HtDataSource, 1);
  source->name = g_strdup (input);
  source->origin = g_strdup (origin);
  source->array = ht_tensor_ref (array);
  g_ptr_array_add (self->sources, source);
  self->bound = FALSE;
  return TRUE;
}

/**
 * ht_dataset_add_array:
 * @self: a data set
 * @input: (nullable): the network input that the array feeds, %NULL where the network has only one
 * @array: samples along the first dimension; of rank 0 it is the same for all samples
 * @error: return location for an error
 *
 * Adds an array. Fails with %HT_ERROR_INVALID_DATA when it is empty and with %HT_ERROR_CONFLICT when the input is fed
 * already.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_dataset_add_array (HtDataset *self, const char *input, HtTensor *array, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && array != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  return add_source (self, input, input ? input : "array", array, error);
}

static gboolean
is_labels (const char *name)
{
  return g_str_equal (name, "labels") || g_str_equal (name, "y");
}

static gboolean
add_archive (HtDataset *self, const char *input, const char *path, GError **error)
{
  g_autoptr (GHashTable) arrays = ht_tensor_load_npz (path, error);
  g_autofree const char **names = NULL;
  HtTensor *labels = NULL;
  guint n_names, n_inputs = 0;

  if (arrays == NULL)
    return FALSE;
  names = (const char **)g_hash_table_get_keys_as_array (arrays, &n_names);
  qsort (names, n_names, sizeof *names, ht_compare_names);
  for (guint i = 0; i < n_names; i++)
    n_inputs += !is_labels (names[i]);
  if (n_inputs == 0 || (input != NULL && n_inputs != 1))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Adding '%s' to a data set: found %u arrays that are no labels, expected %s", path, n_inputs,
                   n_inputs == 0 ? "at least one, named as the network input that it feeds"
                                 : "one for the named input; leave the input's name out, the archive names its arrays");
      return FALSE;
    }
  for (guint i = 0; i < n_names; i++)
    {
      g_autofree char *origin = g_strdup_printf ("%s/%s.npy", path, names[i]);
      HtTensor *array = g_hash_table_lookup (arrays, names[i]);

      if (is_labels (names[i]) && labels == NULL)
        labels = array;
      else if (!add_source (self, input ? input : names[i], origin, array, error))
        return FALSE;
    }
  return labels == NULL || self->labels != NULL || ht_dataset_take_labels (self, path, labels, error);
}

/**
 * ht_dataset_add_file:
 * @self: a data set
 * @input: (nullable): the network input that the array feeds, %NULL where the network has only one or the file is an
 *   archive, which names its arrays
 * @path: an `.npy` file, or an `.npz` archive of arrays named as the inputs, and `labels` or `y`
 * @error: return location for an error
 *
 * Adds arrays from a file; labels in an archive are taken where none were set before.
 *
 * Returns: %TRUE, or %FALSE with @error set and nothing added
 */
gboolean
ht_dataset_add_file (HtDataset *self, const char *input, const char *path, GError **error)
{
  g_autoptr (HtTensor) array = NULL;
  guint n_before;

  g_return_val_if_fail (HT_IS_DATASET (self) && path != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  n_before = self->sources->len;
  if (g_str_has_suffix (path, ".npz"))
    {
      if (add_archive (self, input, path, error))
        return TRUE;
      g_ptr_array_set_size (self->sources, (gint)n_before);
      return FALSE;
    }
  array = ht_tensor_load_npy (path, error);
  return array != NULL && add_source (self, input, path, array, error);
}

/**
 * ht_dataset_set_preprocess:
 * @self: a data set
 * @preprocess: (nullable): how raw values become network inputs
 *
 * Sets the preprocessing. It applies to the inputs of floating-point type; a network whose only input takes integers
 * gets its geometry. Bind the data set again afterwards.
 */
void
ht_dataset_set_preprocess (HtDataset *self, HtPreprocess *preprocess)
{
  g_return_if_fail (HT_IS_DATASET (self));
  g_set_object (&self->preprocess, preprocess);
  self->bound = FALSE;
}

/**
 * ht_dataset_set_limit:
 * @self: a data set
 * @n_samples: how many samples to use at most, 0 for all
 *
 * Restricts the data set to its first samples.
 */
void
ht_dataset_set_limit (HtDataset *self, guint n_samples)
{
  g_return_if_fail (HT_IS_DATASET (self));
  self->limit = n_samples;
}

/**
 * ht_dataset_get_n_samples:
 * @self: a data set
 *
 * Returns: how many samples the data set has, its limit considered; 0 when it has no arrays
 */
guint
ht_dataset_get_n_samples (HtDataset *self)
{
  gint64 count = 0;

  g_return_val_if_fail (HT_IS_DATASET (self), 0);
  for (guint i = 0; i < self->sources->len; i++)
    {
      const HtDataSource *source = g_ptr_array_index (self->sources, i);
      if (ht_tensor_get_n_dims (source->array) > 0)
        count = count == 0 ? ht_tensor_get_dim (source->array, 0) : MIN (count, ht_tensor_get_dim (source->array, 0));
    }
  if (count == 0 && self->sources->len > 0)
    count = 1;
  count = MIN (count, (gint64)G_MAXUINT);
  return self->limit > 0 ? MIN ((guint)count, self->limit) : (guint)count;
}

/**
 * ht_dataset_get_batch_size:
 * @self: a data set that is bound to a network
 * @wanted: how many samples the caller would like to run at once; 0 is taken as 32
 *
 * How many samples to ask for at once: what is wanted, but the network's own number where its inputs fix the first
 * dimension.
 *
 * Returns: a batch size of at least 1
 */
guint
ht_dataset_get_batch_size (HtDataset *self, guint wanted)
{
  guint n_samples;

  g_return_val_if_fail (HT_IS_DATASET (self), 1);
  if (self->bound && self->fixed_batch > 0)
    return self->fixed_batch;
  n_samples = ht_dataset_get_n_samples (self);
  return CLAMP (wanted > 0 ? wanted : 32, 1, MAX (n_samples, 1));
}

static HtTensor *
make_input (HtDataset *self, const HtDataSource *source, gsize first, gsize n_samples, gsize n_rows, GError **error)
{
  g_autoptr (HtTensor) made = NULL;

  if (ht_tensor_get_n_dims (source->array) == 0)
    made = ht_tensor_ref (source->array);
  else
    made = ht_preprocess_plan_apply (source->plan, source->array, first, n_samples, n_rows, source->origin, error);
  if (made == NULL || ht_tensor_get_data_type (made) == source->type)
    return g_steal_pointer (&made);
  if (!ht_data_type_is_float (source->type) && !ht_dataset_check_integers (source, made, error))
    return NULL;
  return ht_tensor_cast (made, source->type, error);
}

/**
 * ht_dataset_get_batch:
 * @self: a data set that is bound to a network
 * @first: the first sample
 * @n_samples: how many; cut at the end of the data set
 * @error: return location for an error
 *
 * Makes the network inputs of some samples, preprocessed. Where the network fixes its batch, missing rows repeat the
 * last sample, so that the results of the first rows are those of the samples and the rest is to be dropped.
 *
 * Returns: (transfer full) (element-type utf8 HtTensor): the inputs by name, or %NULL with @error set, for example
 *   %HT_ERROR_NUMERIC where a sample has a value that is not finite
 */
GHashTable *
ht_dataset_get_batch (HtDataset *self, guint first, guint n_samples, GError **error)
{
  g_autoptr (GHashTable) inputs = NULL;
  guint count, available;

  g_return_val_if_fail (HT_IS_DATASET (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  available = ht_dataset_get_n_samples (self);
  if (!self->bound || first >= available || n_samples == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "Reading %u samples from number %u of a data set of %u: %s", n_samples, first, available,
                   self->bound ? "expected samples that are there"
                               : "it is bound to no network; call ht_dataset_bind() first");
      return NULL;
    }
  count = MIN (n_samples, available - first);
  inputs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  for (guint i = 0; i < self->sources->len; i++)
    {
      const HtDataSource *source = g_ptr_array_index (self->sources, i);
      HtTensor *value = make_input (self, source, first, count, MAX (count, self->fixed_batch), error);
      if (value == NULL)
        return NULL;
      g_hash_table_insert (inputs, g_strdup (source->input), value);
    }
  return g_steal_pointer (&inputs);
}

static void
hash_tensor (GChecksum *checksum, const char *name, HtTensor *tensor, guint n_samples)
{
  g_autofree char *description = ht_tensor_describe (tensor);
  const guint8 *data = ht_tensor_get_data (tensor);
  gsize size = ht_tensor_get_size (tensor);

  if (ht_tensor_get_n_dims (tensor) > 0 && ht_tensor_get_dim (tensor, 0) > 0)
    size = size / (gsize)ht_tensor_get_dim (tensor, 0) * MIN (n_samples, (gsize)ht_tensor_get_dim (tensor, 0));
  g_checksum_update (checksum, (const guchar *)name, (gssize)strlen (name) + 1);
  g_checksum_update (checksum, (const guchar *)description, (gssize)strlen (description) + 1);
  for (gsize done = 0; done < size; done += MIN (size - done, (gsize)1 << 24))
    g_checksum_update (checksum, data + done, (gssize)MIN (size - done, (gsize)1 << 24));
}

static gint
compare_sources (gconstpointer a, gconstpointer b)
{
  const HtDataSource *first = *(HtDataSource *const *)a, *second = *(HtDataSource *const *)b;
  return g_strcmp0 (first->name, second->name);
}

/**
 * ht_dataset_hash:
 * @self: a data set
 * @error: return location for an error
 *
 * The SHA-256 of everything that decides what a network is given: the samples within the limit, the labels, the
 * preprocessing. Where the arrays lie does not count.
 *
 * Returns: (transfer full): the digest in hexadecimal, or %NULL with @error set
 */
char *
ht_dataset_hash (HtDataset *self, GError **error)
{
  g_autoptr (GChecksum) checksum = NULL;
  g_autoptr (GPtrArray) sorted = NULL;
  guint n_samples;

  g_return_val_if_fail (HT_IS_DATASET (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  n_samples = ht_dataset_get_n_samples (self);
  if (n_samples == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "Hashing a data set: it has no arrays; add one");
      return NULL;
    }
  checksum = g_checksum_new (G_CHECKSUM_SHA256);
  sorted = g_ptr_array_new ();
  for (guint i = 0; i < self->sources->len; i++)
    g_ptr_array_add (sorted, g_ptr_array_index (self->sources, i));
  g_ptr_array_sort (sorted, compare_sources);
  for (guint i = 0; i < sorted->len; i++)
    {
      const HtDataSource *source = g_ptr_array_index (sorted, i);
      hash_tensor (checksum, source->name ? source->name : "", source->array, n_samples);
    }
  if (self->labels)
    hash_tensor (checksum, "labels", self->labels, n_samples);
  if (self->preprocess)
    {
      g_autoptr (JsonNode) node = ht_object_params_to_json (G_OBJECT (self->preprocess));
      g_autofree char *text = json_to_string (node, FALSE);
      g_checksum_update (checksum, (const guchar *)text, (gssize)strlen (text));
    }
  g_checksum_update (checksum, (const guchar *)&n_samples, sizeof n_samples);
  return g_strdup (g_checksum_get_string (checksum));
}
