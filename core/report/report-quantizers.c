/* SPDX-License-Identifier: MIT */
#include "report/report-quantizers.h"

#include "report/histograms.h"

#include <math.h>

/* Figures that do not depend on the batch by their last digits. */
static void
describe_loss (HtSimulation *simulation, const char *tensor, JsonObject *object)
{
  double clip_ratio, sqnr;
  if (!ht_simulation_measure_loss (simulation, tensor, &clip_ratio, &sqnr))
    return;
  json_object_set_double_member (object, "clip-ratio", round (clip_ratio * 1e9) / 1e9);
  if (isfinite (sqnr))
    json_object_set_double_member (object, "sqnr", round (sqnr * 100) / 100);
  else
    json_object_set_string_member (object, "sqnr", sqnr > 0 ? "infinite" : "-infinite");
}

/* The ends of one grid, or of all grids of the tensor together. */
static JsonObject *
describe_encoding (HtEncoding *encoding)
{
  gsize n_grids;
  ht_encoding_get_scales (encoding, &n_grids);
  double minimum = INFINITY, maximum = -INFINITY;
  JsonObject *object = json_object_new ();
  for (gsize i = 0; i < n_grids; i++)
    {
      minimum = fmin (minimum, ht_encoding_get_minimum (encoding, i));
      maximum = fmax (maximum, ht_encoding_get_maximum (encoding, i));
    }
  if (isfinite (minimum) && isfinite (maximum))
    {
      json_object_set_double_member (object, "minimum", minimum);
      json_object_set_double_member (object, "maximum", maximum);
    }
  return object;
}

/* The values of the given network and of the result, for the page that draws them. */
typedef struct
{
  GHashTable *before, *after; /* tensor -> JsonObject; NULL: nobody draws them */
} Histograms;

static void
histograms_clear (Histograms *self)
{
  g_clear_pointer (&self->before, g_hash_table_unref);
  g_clear_pointer (&self->after, g_hash_table_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Histograms, histograms_clear)

static gboolean
collect_histograms (HtSimulation *simulation, HtGraph *given, HtDataset *dataset, guint batch, Histograms *histograms,
                    GError **error)
{
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (guint i = 0; i < quantizers->len; i++)
    g_ptr_array_add (names, (gpointer)ht_quantizer_get_tensor (g_ptr_array_index (quantizers, i)));
  g_ptr_array_add (names, NULL);
  const char *const *tensors = (const char *const *)names->pdata;
  histograms->before = ht_report_collect_histograms (given, dataset, batch, tensors, NULL, error);
  if (histograms->before != NULL)
    histograms->after
        = ht_report_collect_histograms (ht_simulation_get_graph (simulation), dataset, batch, tensors, NULL, error);
  return histograms->after != NULL;
}

static void
add_histogram (const Histograms *histograms, const char *tensor, JsonObject *object)
{
  JsonObject *before = histograms->before != NULL ? g_hash_table_lookup (histograms->before, tensor) : NULL;
  JsonObject *after = histograms->after != NULL ? g_hash_table_lookup (histograms->after, tensor) : NULL;
  if (before == NULL && after == NULL)
    return;
  JsonObject *both = json_object_new ();
  if (before != NULL)
    json_object_set_object_member (both, "before", json_object_ref (before));
  if (after != NULL)
    json_object_set_object_member (both, "after", json_object_ref (after));
  json_object_set_object_member (object, "histogram", both);
}

JsonArray *
ht_report_describe_quantizers (HtSimulation *simulation, HtGraph *given, HtDataset *dataset, guint batch,
                               GError **error)
{
  g_auto (Histograms) histograms = { NULL };
  if (given != NULL && !collect_histograms (simulation, given, dataset, batch, &histograms, error))
    return NULL;
  JsonArray *array = json_array_new ();
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (quantizers, i);
      HtEncoding *encoding = ht_simulation_get_encoding (simulation, ht_quantizer_get_tensor (quantizer));
      gsize n_grids = 0;
      JsonObject *object = json_object_new ();
      json_object_set_string_member (object, "tensor", ht_quantizer_get_tensor (quantizer));
      json_object_set_string_member (object, "kind", ht_quantizer_is_weight (quantizer) ? "weight" : "activation");
      json_object_set_string_member (object, "reason", ht_quantizer_get_reason (quantizer));
      if (encoding != NULL)
        {
          ht_encoding_get_scales (encoding, &n_grids);
          json_object_set_int_member (object, "bits", ht_encoding_get_bits (encoding));
          json_object_set_boolean_member (object, "symmetric", ht_encoding_is_symmetric (encoding));
          json_object_set_int_member (object, "grids", (gint64)n_grids);
          describe_loss (simulation, ht_quantizer_get_tensor (quantizer), object);
          json_object_set_object_member (object, "encoding", describe_encoding (encoding));
        }
      add_histogram (&histograms, ht_quantizer_get_tensor (quantizer), object);
      json_array_add_object_element (array, object);
    }
  return array;
}
