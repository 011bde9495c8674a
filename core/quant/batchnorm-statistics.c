/* SPDX-License-Identifier: MIT */
#include <halftone/batchnorm-statistics.h>

#include <halftone/error.h>
#include <math.h>
#include <string.h>

typedef struct
{
  gsize n_channels;
  double *means;
  double *deviations;
} Entry;

struct _HtBatchnormStatistics
{
  GObject parent_instance;

  GHashTable *entries;
};

static void ht_batchnorm_statistics_artifact_init (HtArtifactInterface *iface);

/**
 * HtBatchnormStatistics:
 *
 * What batch norms told of the tensors they produced: per channel the mean (beta) and the standard deviation (|gamma|)
 * of the pre-activation, kept when the batch norm itself is folded away. The artifact
 * #HT_ARTIFACT_BATCHNORM_STATISTICS.
 *
 * A pass that rescales or shifts a tensor does the same here, or drops the tensor.
 */
G_DEFINE_FINAL_TYPE_WITH_CODE (HtBatchnormStatistics, ht_batchnorm_statistics, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (HT_TYPE_ARTIFACT, ht_batchnorm_statistics_artifact_init))

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  g_free (entry->means);
  g_free (entry->deviations);
  g_free (entry);
}

static void
ht_batchnorm_statistics_init (HtBatchnormStatistics *self)
{
  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, entry_free);
}

static void
ht_batchnorm_statistics_finalize (GObject *object)
{
  g_clear_pointer (&HT_BATCHNORM_STATISTICS (object)->entries, g_hash_table_unref);
  G_OBJECT_CLASS (ht_batchnorm_statistics_parent_class)->finalize (object);
}

static void
ht_batchnorm_statistics_class_init (HtBatchnormStatisticsClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_batchnorm_statistics_finalize;
}

static HtArtifact *
copy_artifact (HtArtifact *artifact)
{
  return HT_ARTIFACT (ht_batchnorm_statistics_copy (HT_BATCHNORM_STATISTICS (artifact)));
}

static void
digest_doubles (GChecksum *checksum, const double *values, gsize n_values)
{
  for (gsize i = 0; i < n_values; i++)
    {
      guint64 bits;
      memcpy (&bits, &values[i], sizeof bits);
      bits = GUINT64_TO_LE (bits);
      g_checksum_update (checksum, (const guchar *)&bits, sizeof bits);
    }
}

static void
digest_artifact (HtArtifact *artifact, GChecksum *checksum)
{
  HtBatchnormStatistics *self = HT_BATCHNORM_STATISTICS (artifact);
  g_auto (GStrv) tensors = ht_batchnorm_statistics_list (self);

  for (gsize i = 0; tensors[i] != NULL; i++)
    {
      Entry *entry = g_hash_table_lookup (self->entries, tensors[i]);
      guint64 n_channels = GUINT64_TO_LE ((guint64)entry->n_channels);
      g_checksum_update (checksum, (const guchar *)tensors[i], (gssize)strlen (tensors[i]) + 1);
      g_checksum_update (checksum, (const guchar *)&n_channels, sizeof n_channels);
      digest_doubles (checksum, entry->means, entry->n_channels);
      digest_doubles (checksum, entry->deviations, entry->n_channels);
    }
}

static GVariant *
serialize_artifact (HtArtifact *artifact)
{
  HtBatchnormStatistics *self = HT_BATCHNORM_STATISTICS (artifact);
  g_auto (GStrv) tensors = ht_batchnorm_statistics_list (self);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sadad)"));
  for (gsize i = 0; tensors[i] != NULL; i++)
    {
      Entry *entry = g_hash_table_lookup (self->entries, tensors[i]);
      g_variant_builder_add (
          &builder, "(s@ad@ad)", tensors[i],
          g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, entry->means, entry->n_channels, sizeof (double)),
          g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, entry->deviations, entry->n_channels, sizeof (double)));
    }
  return g_variant_builder_end (&builder);
}

static gboolean
deserialize_artifact (HtArtifact *artifact, GVariant *content, GError **error)
{
  HtBatchnormStatistics *self = HT_BATCHNORM_STATISTICS (artifact);

  if (!g_variant_is_of_type (content, G_VARIANT_TYPE ("a(sadad)")))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "reading batch-norm statistics: found a value of type '%s'; expected 'a(sadad)'",
                   g_variant_get_type_string (content));
      return FALSE;
    }
  for (gsize i = 0; i < g_variant_n_children (content); i++)
    {
      g_autoptr (GVariant) means = NULL, deviations = NULL;
      g_autoptr (GVariant) entry = g_variant_get_child_value (content, i);
      const char *tensor;
      gsize n_channels, n_deviations;
      g_variant_get (entry, "(&s@ad@ad)", &tensor, &means, &deviations);
      const double *mean_values = g_variant_get_fixed_array (means, &n_channels, sizeof (double));
      const double *deviation_values = g_variant_get_fixed_array (deviations, &n_deviations, sizeof (double));
      if (n_channels != n_deviations)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "reading batch-norm statistics of '%s': found %" G_GSIZE_FORMAT " means and %" G_GSIZE_FORMAT
                       " deviations; expected as many of both",
                       tensor, n_channels, n_deviations);
          return FALSE;
        }
      ht_batchnorm_statistics_set (self, tensor, mean_values, deviation_values, n_channels);
    }
  return TRUE;
}

static void
ht_batchnorm_statistics_artifact_init (HtArtifactInterface *iface)
{
  iface->copy = copy_artifact;
  iface->digest = digest_artifact;
  iface->serialize = serialize_artifact;
  iface->deserialize = deserialize_artifact;
}

/**
 * ht_batchnorm_statistics_new:
 *
 * Makes an artifact that knows no tensor yet.
 *
 * Returns: (transfer full): a new artifact
 */
HtBatchnormStatistics *
ht_batchnorm_statistics_new (void)
{
  return g_object_new (HT_TYPE_BATCHNORM_STATISTICS, NULL);
}

/**
 * ht_batchnorm_statistics_copy:
 * @self: statistics
 *
 * Copies statistics.
 *
 * Returns: (transfer full): an independent copy
 */
HtBatchnormStatistics *
ht_batchnorm_statistics_copy (HtBatchnormStatistics *self)
{
  GHashTableIter iter;
  gpointer key, value;

  g_return_val_if_fail (HT_IS_BATCHNORM_STATISTICS (self), NULL);

  HtBatchnormStatistics *copy = ht_batchnorm_statistics_new ();
  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      Entry *entry = value;
      ht_batchnorm_statistics_set (copy, key, entry->means, entry->deviations, entry->n_channels);
    }
  return copy;
}

/**
 * ht_batchnorm_statistics_set:
 * @self: statistics
 * @tensor: the name of a tensor
 * @means: (array length=n_channels): the mean of each channel
 * @deviations: (array length=n_channels): the standard deviation of each channel, not negative
 * @n_channels: how many channels the tensor has
 *
 * Says what is known of a tensor, replacing what was known.
 */
void
ht_batchnorm_statistics_set (HtBatchnormStatistics *self, const char *tensor, const double *means,
                             const double *deviations, gsize n_channels)
{
  g_return_if_fail (HT_IS_BATCHNORM_STATISTICS (self));
  g_return_if_fail (tensor != NULL);
  g_return_if_fail (n_channels == 0 || (means != NULL && deviations != NULL));

  Entry *entry = g_new0 (Entry, 1);
  entry->n_channels = n_channels;
  entry->means = g_memdup2 (means, n_channels * sizeof (double));
  entry->deviations = g_memdup2 (deviations, n_channels * sizeof (double));
  g_hash_table_insert (self->entries, g_strdup (tensor), entry);
}

/**
 * ht_batchnorm_statistics_has:
 * @self: statistics
 * @tensor: the name of a tensor
 *
 * Says whether a tensor is known.
 *
 * Returns: whether there is anything about @tensor
 */
gboolean
ht_batchnorm_statistics_has (HtBatchnormStatistics *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_BATCHNORM_STATISTICS (self), FALSE);
  g_return_val_if_fail (tensor != NULL, FALSE);
  return g_hash_table_contains (self->entries, tensor);
}

/**
 * ht_batchnorm_statistics_get_means:
 * @self: statistics
 * @tensor: the name of a tensor
 * @n_channels: (out): how many channels the tensor has
 *
 * Gets the mean of each channel.
 *
 * Returns: (transfer none) (nullable) (array length=n_channels): the means, or %NULL where the tensor is not known
 */
const double *
ht_batchnorm_statistics_get_means (HtBatchnormStatistics *self, const char *tensor, gsize *n_channels)
{
  g_return_val_if_fail (HT_IS_BATCHNORM_STATISTICS (self), NULL);
  g_return_val_if_fail (tensor != NULL, NULL);

  Entry *entry = g_hash_table_lookup (self->entries, tensor);
  if (n_channels != NULL)
    *n_channels = entry != NULL ? entry->n_channels : 0;
  return entry != NULL ? entry->means : NULL;
}

/**
 * ht_batchnorm_statistics_get_deviations:
 * @self: statistics
 * @tensor: the name of a tensor
 * @n_channels: (out): how many channels the tensor has
 *
 * Gets the standard deviation of each channel.
 *
 * Returns: (transfer none) (nullable) (array length=n_channels): the deviations, or %NULL where the tensor is not known
 */
const double *
ht_batchnorm_statistics_get_deviations (HtBatchnormStatistics *self, const char *tensor, gsize *n_channels)
{
  g_return_val_if_fail (HT_IS_BATCHNORM_STATISTICS (self), NULL);
  g_return_val_if_fail (tensor != NULL, NULL);

  Entry *entry = g_hash_table_lookup (self->entries, tensor);
  if (n_channels != NULL)
    *n_channels = entry != NULL ? entry->n_channels : 0;
  return entry != NULL ? entry->deviations : NULL;
}

/**
 * ht_batchnorm_statistics_drop:
 * @self: statistics
 * @tensor: the name of a tensor
 *
 * Forgets a tensor: a step changed it in a way that its statistics do not follow. Nothing happens where it is not
 * known.
 */
void
ht_batchnorm_statistics_drop (HtBatchnormStatistics *self, const char *tensor)
{
  g_return_if_fail (HT_IS_BATCHNORM_STATISTICS (self));
  g_return_if_fail (tensor != NULL);
  g_hash_table_remove (self->entries, tensor);
}

/**
 * ht_batchnorm_statistics_scale:
 * @self: statistics
 * @tensor: the name of a tensor
 * @factors: (array length=n_channels): what each channel was multiplied by
 * @n_channels: how many channels the tensor has
 *
 * Follows a rescaling: mean · f and deviation · |f|. Nothing happens where the tensor is not known.
 */
void
ht_batchnorm_statistics_scale (HtBatchnormStatistics *self, const char *tensor, const double *factors, gsize n_channels)
{
  g_return_if_fail (HT_IS_BATCHNORM_STATISTICS (self));
  g_return_if_fail (tensor != NULL);

  Entry *entry = g_hash_table_lookup (self->entries, tensor);
  if (entry == NULL)
    return;
  g_return_if_fail (entry->n_channels == n_channels && factors != NULL);
  for (gsize i = 0; i < n_channels; i++)
    {
      entry->means[i] *= factors[i];
      entry->deviations[i] *= fabs (factors[i]);
    }
}

/**
 * ht_batchnorm_statistics_shift:
 * @self: statistics
 * @tensor: the name of a tensor
 * @shifts: (array length=n_channels): what was added to each channel
 * @n_channels: how many channels the tensor has
 *
 * Follows a shift of the channels: mean + s. Nothing happens where the tensor is not known.
 */
void
ht_batchnorm_statistics_shift (HtBatchnormStatistics *self, const char *tensor, const double *shifts, gsize n_channels)
{
  g_return_if_fail (HT_IS_BATCHNORM_STATISTICS (self));
  g_return_if_fail (tensor != NULL);

  Entry *entry = g_hash_table_lookup (self->entries, tensor);
  if (entry == NULL)
    return;
  g_return_if_fail (entry->n_channels == n_channels && shifts != NULL);
  for (gsize i = 0; i < n_channels; i++)
    entry->means[i] += shifts[i];
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/**
 * ht_batchnorm_statistics_list:
 * @self: statistics
 *
 * Lists the tensors that are known.
 *
 * Returns: (transfer full) (array zero-terminated=1): their names, sorted
 */
char **
ht_batchnorm_statistics_list (HtBatchnormStatistics *self)
{
  GHashTableIter iter;
  gpointer key;

  g_return_val_if_fail (HT_IS_BATCHNORM_STATISTICS (self), NULL);

  GPtrArray *names = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (names, g_strdup (key));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (names, FALSE);
}
