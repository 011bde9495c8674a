/* SPDX-License-Identifier: MIT */
/* Data sets: arrays by network input, labels, and batches of what the network reads. */
#include <halftone/dataset.h>

#include "data/preprocess.h"

#include <halftone/error.h>
#include <halftone/param.h>

#include <string.h>

typedef struct
{
  char *input; /* "" until bound: the only input of the network */
  char *what;  /* the file, or the input, for errors */
  HtTensor *array;
  HtPreprocessPlan *plan; /* NULL until bound */
} Array;

static void
array_free (Array *array)
{
  g_free (array->input);
  g_free (array->what);
  ht_tensor_unref (array->array);
  g_clear_pointer (&array->plan, ht_preprocess_plan_free);
  g_free (array);
}

/**
 * HtDataset:
 *
 * Samples for a network: an array for each input, all of one length, and labels where there are any. Arrays stay where
 * they are (files are mapped); batches are made when they are asked for.
 */
struct _HtDataset
{
  GObject parent_instance;

  GPtrArray *arrays; /* Array */
  HtTensor *labels;
  char *labels_what;
  HtPreprocess *preprocess;
  guint limit;       /* 0: all samples */
  guint fixed_batch; /* the first dimension that the network insists on; 0: any */
};

G_DEFINE_FINAL_TYPE (HtDataset, ht_dataset, G_TYPE_OBJECT)

static void
ht_dataset_finalize (GObject *object)
{
  HtDataset *self = HT_DATASET (object);
  g_clear_pointer (&self->arrays, g_ptr_array_unref);
  g_clear_pointer (&self->labels, ht_tensor_unref);
  g_clear_pointer (&self->labels_what, g_free);
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
  self->arrays = g_ptr_array_new_with_free_func ((GDestroyNotify) array_free);
}

/**
 * ht_dataset_new:
 *
 * Returns: (transfer full): a data set without samples
 */
HtDataset *
ht_dataset_new (void)
{
  return g_object_new (HT_TYPE_DATASET, NULL);
}

static gboolean
check_count (gsize n_samples, const char *what, gsize n_others, const char *other, GError **error)
{
  if (n_samples == n_others)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "'%s' has %" G_GSIZE_FORMAT " samples, '%s' has %" G_GSIZE_FORMAT ": all arrays must have as many",
               what, n_samples, other, n_others);
  return FALSE;
}

static gboolean
check_samples (HtTensor *array, const char *what, GError **error)
{
  if (ht_tensor_get_n_dims (array) > 0 && ht_tensor_get_dim (array, 0) > 0
      && ht_tensor_get_dim (array, 0) <= G_MAXINT32 && ht_tensor_get_n_elements (array) > 0)
    return TRUE;
  g_autofree char *found = ht_tensor_describe (array);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "'%s' holds no samples: it is %s, expected the samples along the first axis", what, found);
  return FALSE;
}

static gboolean
add_array (HtDataset *self, const char *input, const char *what, HtTensor *array, GError **error)
{
  if (!check_samples (array, what, error))
    return FALSE;
  for (guint i = 0; i < self->arrays->len; i++)
    {
      Array *other = g_ptr_array_index (self->arrays, i);
      if (g_str_equal (other->input, input))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT, "input '%s' is given twice: by '%s' and by '%s'", input,
                       other->what, what);
          return FALSE;
        }
      if (!check_count ((gsize) ht_tensor_get_dim (array, 0), what, (gsize) ht_tensor_get_dim (other->array, 0),
                        other->what, error))
        return FALSE;
    }
  if (self->labels != NULL
      && !check_count ((gsize) ht_tensor_get_dim (array, 0), what, ht_tensor_get_n_elements (self->labels),
                       self->labels_what, error))
    return FALSE;
  Array *added = g_new0 (Array, 1);
  added->input = g_strdup (input);
  added->what = g_strdup (what);
  added->array = ht_tensor_ref (array);
  g_ptr_array_add (self->arrays, added);
  return TRUE;
}

/**
 * ht_dataset_add_array:
 * @self: a data set
 * @input: (nullable): the network input it is for; %NULL for the only one
 * @array: samples along the first axis, as they are stored: preprocessing comes later
 * @error: return location for an error
 *
 * Adds the samples of one input. %HT_ERROR_INVALID_DATA where there are none, or not as many as of the others.
 *
 * Returns: whether it was added
 */
gboolean
ht_dataset_add_array (HtDataset *self, const char *input, HtTensor *array, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && array != NULL, FALSE);
  return add_array (self, input != NULL ? input : "", input != NULL && *input ? input : "array", array, error);
}

static gboolean
is_label_name (const char *name)
{
  return g_str_equal (name, "labels") || g_str_equal (name, "y");
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static gboolean
add_archive (HtDataset *self, const char *path, GError **error)
{
  g_autoptr (GHashTable) members = ht_tensor_load_npz (path, error);
  if (members == NULL)
    return FALSE;
  guint n;
  g_autofree gpointer *names = g_hash_table_get_keys_as_array (members, &n);
  qsort (names, n, sizeof *names, compare_names);
  for (guint i = 0; i < n; i++)
    {
      HtTensor *array = g_hash_table_lookup (members, names[i]);
      g_autofree char *what = g_strdup_printf ("%s: %s", path, (char *) names[i]);
      gboolean added = is_label_name (names[i]) ? ht_dataset_set_labels (self, array, error)
                                                : add_array (self, names[i], what, array, error);
      if (!added)
        return FALSE;
    }
  return TRUE;
}

/**
 * ht_dataset_add_file:
 * @self: a data set
 * @input: (nullable): the network input it is for; %NULL for the only one, and for an archive
 * @path: (type filename): a .npy file, or an .npz archive whose members are named like the inputs (`labels` or `y`
 *   are the labels)
 * @error: return location for an error
 *
 * Adds the samples of a file, which is mapped, not read.
 *
 * Returns: whether it was added
 */
gboolean
ht_dataset_add_file (HtDataset *self, const char *input, const char *path, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && path != NULL, FALSE);
  if (g_str_has_suffix (path, ".npz"))
    return add_archive (self, path, error);
  g_autoptr (HtTensor) array = ht_tensor_load_npy (path, error);
  return array != NULL && add_array (self, input != NULL ? input : "", path, array, error);
}

static gboolean
set_labels (HtDataset *self, HtTensor *labels, const char *what, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (labels);
  gboolean integer = !ht_data_type_is_float (type) && type != HT_DATA_TYPE_STRING;
  if (!integer || ht_tensor_get_n_dims (labels) != 1)
    {
      g_autofree char *found = ht_tensor_describe (labels);
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "labels '%s' are %s, expected one integer class for each sample", what, found);
      return FALSE;
    }
  if (self->arrays->len > 0)
    {
      Array *array = g_ptr_array_index (self->arrays, 0);
      if (!check_count (ht_tensor_get_n_elements (labels), what, (gsize) ht_tensor_get_dim (array->array, 0),
                        array->what, error))
        return FALSE;
    }
  ht_tensor_ref (labels);
  g_clear_pointer (&self->labels, ht_tensor_unref);
  self->labels = labels;
  g_free (self->labels_what);
  self->labels_what = g_strdup (what);
  return TRUE;
}

/**
 * ht_dataset_set_labels:
 * @self: a data set
 * @labels: one integer class for each sample, counted from 0
 * @error: return location for an error
 *
 * Returns: whether they fit the samples
 */
gboolean
ht_dataset_set_labels (HtDataset *self, HtTensor *labels, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && labels != NULL, FALSE);
  return set_labels (self, labels, "labels", error);
}

/**
 * ht_dataset_set_labels_file:
 * @self: a data set
 * @path: (type filename): a .npy file of integers
 * @error: return location for an error
 *
 * Returns: whether they were read and fit the samples
 */
gboolean
ht_dataset_set_labels_file (HtDataset *self, const char *path, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && path != NULL, FALSE);
  g_autoptr (HtTensor) labels = ht_tensor_load_npy (path, error);
  return labels != NULL && set_labels (self, labels, path, error);
}

/**
 * ht_dataset_set_preprocess:
 * @self: a data set that is not bound yet
 * @preprocess: (nullable): what is done to the samples; %NULL for nothing
 */
void
ht_dataset_set_preprocess (HtDataset *self, HtPreprocess *preprocess)
{
  g_return_if_fail (HT_IS_DATASET (self));
  g_set_object (&self->preprocess, preprocess);
}

/**
 * ht_dataset_set_limit:
 * @self: a data set
 * @n_samples: how many samples to use, the first ones; 0 for all
 */
void
ht_dataset_set_limit (HtDataset *self, guint n_samples)
{
  g_return_if_fail (HT_IS_DATASET (self));
  self->limit = n_samples;
}

static char *
join_inputs (HtGraph *graph)
{
  return g_strjoinv ("', '", (char **) ht_graph_get_inputs (graph));
}

/* Gives an array without a name the only input of the network. */
static gboolean
name_array (Array *array, HtGraph *graph, GError **error)
{
  const char *const *inputs = ht_graph_get_inputs (graph);
  if (*array->input != '\0' && g_strv_contains (inputs, array->input))
    return TRUE;
  g_autofree char *names = join_inputs (graph);
  if (*array->input != '\0')
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' is for input '%s', but the network's inputs are '%s'",
                   array->what, array->input, names);
      return FALSE;
    }
  if (inputs[0] == NULL || inputs[1] != NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "'%s' is not said to be for one of the network's inputs '%s': give a file for each input", array->what,
                   names);
      return FALSE;
    }
  g_free (array->input);
  array->input = g_strdup (inputs[0]);
  return TRUE;
}

static gboolean
fail_shape (Array *array, HtShape *shape, GError **error)
{
  g_autofree char *wanted = ht_shape_to_string (shape);
  g_autoptr (GString) found = g_string_new ("[N");
  for (guint i = 1; i < array->plan->n_dims; i++)
    g_string_append_printf (found, ", %" G_GINT64_FORMAT, array->plan->dims[i]);
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
               "'%s' gives samples of shape %s], but input '%s' is %s; say how the file is stored ('layout', 'shape', "
               "'center-crop')",
               array->what, found->str, array->input, wanted);
  return FALSE;
}

/* Compares what preprocessing makes of the array with what the input wants, and notes a batch size that is fixed. */
static gboolean
check_shape (HtDataset *self, Array *array, HtGraph *graph, GError **error)
{
  HtShape *shape = ht_graph_get_shape (graph, array->input);
  if (shape == NULL)
    return TRUE;
  if (ht_shape_get_n_dims (shape) != array->plan->n_dims)
    return fail_shape (array, shape, error);
  for (guint i = 1; i < array->plan->n_dims; i++)
    if (ht_shape_get_dim (shape, i) >= 0 && ht_shape_get_dim (shape, i) != array->plan->dims[i])
      return fail_shape (array, shape, error);
  if (ht_shape_get_dim (shape, 0) > 0)
    self->fixed_batch = (guint) ht_shape_get_dim (shape, 0);
  return TRUE;
}

static gboolean
bind_array (HtDataset *self, Array *array, HtGraph *graph, GError **error)
{
  if (!name_array (array, graph, error))
    return FALSE;
  HtDataType type = ht_graph_get_data_type (graph, array->input);
  gboolean integer = type != HT_DATA_TYPE_UNDEFINED && !ht_data_type_is_float (type);
  if (integer && type != ht_tensor_get_data_type (array->array))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE, "'%s' holds %s, but input '%s' is %s", array->what,
                   ht_data_type_get_name (ht_tensor_get_data_type (array->array)), array->input,
                   ht_data_type_get_name (type));
      return FALSE;
    }
  HtPreprocessPlan *plan = ht_preprocess_plan_new (self->preprocess, array->array, array->what, integer, error);
  if (plan == NULL)
    return FALSE;
  g_clear_pointer (&array->plan, ht_preprocess_plan_free);
  array->plan = plan;
  return check_shape (self, array, graph, error);
}

/**
 * ht_dataset_bind:
 * @self: a data set
 * @graph: the network that is to read it
 * @error: return location for an error
 *
 * Matches arrays and inputs, and checks that after preprocessing their shapes and element types agree. Batches can be
 * asked for from then on. A data set can be bound again to another network.
 *
 * Returns: whether the network can read the samples
 */
gboolean
ht_dataset_bind (HtDataset *self, HtGraph *graph, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && HT_IS_GRAPH (graph), FALSE);
  if (self->arrays->len == 0)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA, "the data set is empty: add an array for each input");
      return FALSE;
    }
  self->fixed_batch = 0;
  for (guint i = 0; i < self->arrays->len; i++)
    if (!bind_array (self, g_ptr_array_index (self->arrays, i), graph, error))
      return FALSE;
  for (const char *const *input = ht_graph_get_inputs (graph); *input != NULL; input++)
    {
      gboolean given = FALSE;
      for (guint i = 0; i < self->arrays->len; i++)
        given |= g_str_equal (((Array *) g_ptr_array_index (self->arrays, i))->input, *input);
      if (!given)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "the data set has no array for the network's input '%s'",
                       *input);
          return FALSE;
        }
    }
  return TRUE;
}

/**
 * ht_dataset_get_n_samples:
 * @self: a data set
 *
 * Returns: the number of samples in use
 */
guint
ht_dataset_get_n_samples (HtDataset *self)
{
  g_return_val_if_fail (HT_IS_DATASET (self), 0);
  if (self->arrays->len == 0)
    return 0;
  Array *array = g_ptr_array_index (self->arrays, 0);
  guint n = (guint) ht_tensor_get_dim (array->array, 0);
  return self->limit > 0 ? MIN (n, self->limit) : n;
}

/**
 * ht_dataset_get_batch_size:
 * @self: a data set that is bound
 * @wanted: the batch size that one would like; 0 for no wish
 *
 * Returns: the batch size to use: that of the network where it fixes one, else @wanted (or 32) within the number of samples
 */
guint
ht_dataset_get_batch_size (HtDataset *self, guint wanted)
{
  g_return_val_if_fail (HT_IS_DATASET (self), 0);
  if (self->fixed_batch > 0)
    return self->fixed_batch;
  return MAX (1, MIN (wanted > 0 ? wanted : 32, ht_dataset_get_n_samples (self)));
}

/**
 * ht_dataset_get_labels:
 * @self: a data set
 *
 * Returns: (transfer none) (nullable): the labels, or %NULL without any
 */
HtTensor *
ht_dataset_get_labels (HtDataset *self)
{
  g_return_val_if_fail (HT_IS_DATASET (self), NULL);
  return self->labels;
}

static void
digest_tensor (GChecksum *checksum, HtTensor *tensor, gsize n_samples)
{
  g_autofree char *text = ht_tensor_describe (tensor);
  gsize all = (gsize) ht_tensor_get_dim (tensor, 0);
  g_checksum_update (checksum, (const guchar *) text, (gssize) strlen (text) + 1);
  const guchar *data = ht_tensor_get_data (tensor);
  gsize left = ht_tensor_get_size (tensor) / all * MIN (all, n_samples);
  g_checksum_update (checksum, data, (gssize) left);
}

/**
 * ht_dataset_hash:
 * @self: a data set
 * @error: return location for an error
 *
 * Digests the samples in use, their labels and the preprocessing.
 *
 * Returns: (transfer full): a SHA-256 in hexadecimal, or %NULL with @error set where there are no samples
 */
char *
ht_dataset_hash (HtDataset *self, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self), NULL);
  guint n = ht_dataset_get_n_samples (self);
  if (n == 0)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA, "the data set is empty: nothing to digest");
      return NULL;
    }
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  for (guint i = 0; i < self->arrays->len; i++)
    {
      Array *array = g_ptr_array_index (self->arrays, i);
      g_checksum_update (checksum, (const guchar *) array->input, (gssize) strlen (array->input) + 1);
      digest_tensor (checksum, array->array, n);
    }
  if (self->labels != NULL)
    digest_tensor (checksum, self->labels, n);
  if (self->preprocess != NULL)
    {
      g_autoptr (JsonNode) params = ht_object_params_to_json (G_OBJECT (self->preprocess));
      g_autofree char *text = json_to_string (params, FALSE);
      g_checksum_update (checksum, (const guchar *) text, -1);
    }
  return g_strdup (g_checksum_get_string (checksum));
}

/**
 * ht_dataset_get_batch:
 * @self: a data set that is bound
 * @first: the first sample
 * @n_samples: how many, at least one
 * @error: return location for an error
 *
 * Makes the network inputs of some samples. Where the network fixes a larger batch, the last sample is repeated to fill
 * it. A value that is not finite is an error that names file and sample.
 *
 * Returns: (transfer container) (element-type utf8 HtTensor): a tensor for each input, or %NULL with @error set
 */
GHashTable *
ht_dataset_get_batch (HtDataset *self, guint first, guint n_samples, GError **error)
{
  g_return_val_if_fail (HT_IS_DATASET (self) && n_samples > 0, NULL);
  g_return_val_if_fail (first + n_samples <= ht_dataset_get_n_samples (self), NULL);
  g_autoptr (GHashTable) batch
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_tensor_unref);
  for (guint i = 0; i < self->arrays->len; i++)
    {
      Array *array = g_ptr_array_index (self->arrays, i);
      g_return_val_if_fail (array->plan != NULL, NULL);
      HtTensor *tensor = ht_preprocess_plan_apply (array->plan, array->array, first, n_samples,
                                                   MAX (n_samples, self->fixed_batch), array->what, error);
      if (tensor == NULL)
        return NULL;
      g_hash_table_insert (batch, g_strdup (array->input), tensor);
    }
  return g_steal_pointer (&batch);
}
