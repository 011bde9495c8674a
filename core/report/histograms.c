/* SPDX-License-Identifier: MIT */
#include "report/histograms.h"

#include "kernels/min-max.h"
#include "quant/histogram.h"

#define N_BINS    64
#define N_SAMPLES 64 /* enough to see a shape by */

static void
add_values (GHashTable *table, const char *name, HtTensor *value)
{
  HtHistogram *histogram = g_hash_table_lookup (table, name);
  gsize n = ht_tensor_get_n_elements (value);
  if (ht_tensor_get_data_type (value) != HT_DATA_TYPE_FLOAT || n == 0)
    return;
  HtKernelRange range = ht_kernel_min_max (ht_tensor_get_data (value), n);
  if (range.n_not_finite > 0)
    return;
  if (histogram == NULL)
    {
      histogram = g_new0 (HtHistogram, 1);
      ht_histogram_clear (histogram, HT_HISTOGRAM_DOUBLING);
      g_hash_table_insert (table, g_strdup (name), histogram);
    }
  ht_histogram_add (histogram, ht_tensor_get_data (value), n, (double)range.minimum, (double)range.maximum);
}

static void
tap (const char *name, HtTensor *value, gpointer table)
{
  add_values (table, name, value);
}

static gboolean
run_samples (HtGraph *graph, HtDataset *dataset, guint batch, const char *const *taps, GHashTable *table,
             GCancellable *cancellable, GError **error)
{
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, error);
  guint n = MIN (ht_dataset_get_n_samples (dataset), N_SAMPLES);
  if (executor == NULL || !ht_dataset_bind (dataset, graph, error))
    return FALSE;
  batch = ht_dataset_get_batch_size (dataset, batch);
  for (guint first = 0; first < n; first += MIN (batch, n - first))
    {
      g_autoptr (GHashTable) inputs = ht_dataset_get_batch (dataset, first, MIN (batch, n - first), error);
      g_autoptr (GHashTable) outputs
          = inputs != NULL ? ht_executor_run_tapped (executor, inputs, NULL, taps, tap, table, cancellable, error)
                           : NULL;
      if (outputs == NULL)
        return FALSE;
    }
  return TRUE;
}

/* Neighbouring bins together, so that few are left. */
static JsonObject *
describe (const HtHistogram *histogram)
{
  g_autofree HtHistogramBins *bins = g_new (HtHistogramBins, 1);
  g_autofree guint64 *counts = NULL;
  JsonArray *array = json_array_new ();
  JsonObject *object = json_object_new ();
  ht_histogram_list (histogram, bins);
  gint together = (bins->n_bins + N_BINS - 1) / N_BINS, n = (bins->n_bins + together - 1) / together;
  guint64 total = 0;
  for (gint i = 0; i < HT_KERNEL_HISTOGRAM_BINS; i++)
    total += histogram->counts[i];
  counts = g_new0 (guint64, (gsize)n);
  for (gint i = 0; i < bins->n_used; i++)
    counts[bins->used[i] / together] += (guint64)(bins->shares[i] * (double)total + 0.5);
  for (gint i = 0; i < n; i++)
    json_array_add_int_element (array, (gint64)counts[i]);
  json_object_set_double_member (object, "low", bins->low);
  json_object_set_double_member (object, "high", bins->low + (double)n * together * bins->width);
  json_object_set_array_member (object, "counts", array);
  return object;
}

static gboolean
is_there (HtGraph *graph, const char *tensor)
{
  return ht_graph_get_producer (graph, tensor) != NULL || ht_graph_is_input (graph, tensor);
}

GHashTable *
ht_report_collect_histograms (HtGraph *graph, HtDataset *dataset, guint batch, const char *const *tensors,
                              GCancellable *cancellable, GError **error)
{
  g_autoptr (GHashTable) table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GPtrArray) taps = g_ptr_array_new ();
  for (; *tensors != NULL; tensors++)
    {
      g_autoptr (HtTensor) value = ht_graph_get_constant (graph, *tensors);
      if (value != NULL)
        add_values (table, *tensors, value);
      else if (is_there (graph, *tensors))
        g_ptr_array_add (taps, (gpointer)*tensors);
    }
  gboolean has_taps = taps->len > 0 && dataset != NULL;
  g_ptr_array_add (taps, NULL);
  if (has_taps && !run_samples (graph, dataset, batch, (const char *const *)taps->pdata, table, cancellable, error))
    return NULL;
  GHashTable *described = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_object_unref);
  GHashTableIter iter;
  gpointer name, histogram;
  g_hash_table_iter_init (&iter, table);
  while (g_hash_table_iter_next (&iter, &name, &histogram))
    g_hash_table_insert (described, g_strdup (name), describe (histogram));
  return described;
}
