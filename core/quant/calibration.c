/* SPDX-License-Identifier: MIT */
/* Computes encodings: of constants from their values, of activations from their values over a data set. */
#include "exec/exec-tap.h"
#include "quant/bias-grid.h"
#include "quant/calibrator-private.h"
#include "quant/grid-values.h"
#include "quant/quantization-config.h"
#include "quant/quantizer-ties.h"
#include "quant/weight-scales.h"

#include <halftone/error.h>

static HtEncoding *
encoding_for (HtQuantizer *quantizer, const HtGridForm *form, const double *minima, const double *maxima,
              GError **error)
{
  HtEncoding *encoding = ht_encoding_new_with_form (form, minima, maxima, error);

  if (!encoding)
    g_prefix_error (error, "calibrating tensor '%s': ", ht_quantizer_get_tensor (quantizer));
  return encoding;
}

/* The format has no scale that could shrink what is beyond its ends. */
static gboolean
check_largest (HtQuantizer *quantizer, const HtGridForm *form, double minimum, double maximum, GError **error)
{
  double largest;

  if (form->format != HT_NUMBER_FORMAT_FLOAT16)
    return TRUE;
  largest = ht_number_format_get_largest (form->format);
  if (MAX (-minimum, maximum) <= largest)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
               "calibrating tensor '%s' (%s): found values from %g to %g; expected at most %g, where float16 ends: use "
               "bfloat16 for it",
               ht_quantizer_get_tensor (quantizer), ht_quantizer_get_reason (quantizer), minimum, maximum, largest);
  return FALSE;
}

/* Floating-point numbers are fitted by their largest magnitude, whatever the calibrator. */
static HtCalibrator *
make_calibrator (HtQuantizer *quantizer)
{
  HtQuantizerSettings *settings = ht_quantizer_get_settings (quantizer);

  if (ht_quantizer_settings_get_format (settings) != HT_NUMBER_FORMAT_INT)
    return ht_calibrator_new (HT_CALIBRATOR_DEFAULT, NULL);
  return ht_calibrator_copy (ht_quantizer_settings_get_calibrator (settings));
}

static gboolean
calibrate_grids (HtQuantizer *quantizer, const HtGridValues *values, double *minima, double *maxima, GError **error)
{
  g_autoptr (HtCalibrator) calibrator = make_calibrator (quantizer);
  GError *local = NULL;

  if (ht_grid_values_calibrate (values, calibrator, ht_quantizer_get_settings (quantizer), minima, maxima, &local))
    return TRUE;
  g_set_error (error, local->domain, local->code, "calibrating the constant '%s' (%s): %s%s",
               ht_quantizer_get_tensor (quantizer), ht_quantizer_get_reason (quantizer), local->message,
               g_error_matches (local, HT_ERROR, HT_ERROR_NUMERIC) ? ": repair the model" : "");
  g_error_free (local);
  return FALSE;
}

static HtEncoding *
calibrate_constant (HtSimulation *self, HtQuantizer *quantizer, GError **error)
{
  const char *tensor = ht_quantizer_get_tensor (quantizer);
  g_autoptr (HtTensor) value = ht_graph_get_constant (self->graph, tensor);
  g_autofree double *minima = NULL, *maxima = NULL;
  HtEncoding *encoding = NULL;
  HtGridValues values;
  HtGridForm form;
  guint n_dims;
  const gint64 *dims;
  gboolean ok;

  if (!value)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "calibrating the constant '%s': its value cannot be computed",
                   tensor);
      return NULL;
    }
  dims = ht_tensor_get_dims (value, &n_dims);
  ht_quantizer_get_form (quantizer, self->graph, dims, n_dims, &form);
  if (ht_tensor_get_n_elements (value) == 0 || !ht_grid_values_init (&values, value, &form))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "calibrating the constant '%s': it has no elements",
                   tensor);
      return NULL;
    }
  minima = g_new (double, values.n_grids);
  maxima = g_new (double, values.n_grids);
  ok = calibrate_grids (quantizer, &values, minima, maxima, error);
  for (gsize i = 0; ok && i < values.n_grids; i++)
    ok = check_largest (quantizer, &form, minima[i], maxima[i], error);
  if (ok)
    encoding = encoding_for (quantizer, &form, minima, maxima, error);
  ht_grid_values_clear (&values);
  return encoding;
}

static GHashTable *
new_encoding_table (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ht_encoding_unref);
}

static gboolean
calibrate_constants (HtSimulation *self, GHashTable *found, GError **error)
{
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding;

      if (!ht_quantizer_is_constant (quantizer) || ht_simulation_get_origin (self, tensor) == HT_ORIGIN_GIVEN
          || ht_simulation_is_tied_constant (self, quantizer))
        continue;
      encoding = calibrate_constant (self, quantizer, error);
      if (!encoding)
        return FALSE;
      g_hash_table_insert (found, (gpointer)tensor, encoding);
    }
  return TRUE;
}

static void
take_all (HtSimulation *self, GHashTable *found)
{
  GHashTableIter iter;
  gpointer tensor, encoding;

  g_hash_table_iter_init (&iter, found);
  while (g_hash_table_iter_next (&iter, &tensor, &encoding))
    ht_simulation_take_encoding (self, tensor, encoding, HT_ORIGIN_COMPUTED);
}

/* What devices need beyond what the values of weights do. */
static gboolean
raise_weight_scales (HtSimulation *self, GError **error)
{
  HtTarget *target = ht_quantization_config_get_target_object (self->config);

  if (target->switches.adjust_weight_scales && !ht_weight_scales_adjust (self, error))
    return FALSE;
  return ht_bias_grid_fit_weights (self, error);
}

/**
 * ht_simulation_calibrate_weights:
 * @self: a simulation
 * @error: return location for an error
 *
 * Computes the encodings of weights and constant operands from their values, but for those that were given. Scales are
 * raised for biases as in ht_simulation_calibrate(), where activations have encodings.
 *
 * Returns: %TRUE, or %FALSE with @error set and nothing changed when a constant has values that are not finite
 */
gboolean
ht_simulation_calibrate_weights (HtSimulation *self, GError **error)
{
  g_autoptr (GHashTable) found = NULL;

  g_return_val_if_fail (HT_IS_SIMULATION (self), FALSE);

  found = new_encoding_table ();
  if (!calibrate_constants (self, found, error))
    return FALSE;
  take_all (self, found);
  return raise_weight_scales (self, error);
}

/* What is seen of an activation over a data set. */
typedef struct
{
  HtQuantizer *quantizer;
  HtCalibrator *calibrator; /* NULL: all who share the quantizer have a given encoding */
  HtValueStatistics statistics;
  HtEncoding *encoding; /* once it is made, for the others that share the quantizer */
} Observed;

static void
observed_free (gpointer data)
{
  Observed *observed = data;

  g_clear_object (&observed->calibrator);
  ht_value_statistics_clear (&observed->statistics);
  g_clear_pointer (&observed->encoding, ht_encoding_unref);
  g_free (observed);
}

typedef struct
{
  HtSimulation *simulation;
  GHashTable *observed; /* tensor, one for all that share a quantizer -> Observed */
  GError *error;        /* the first problem that a tap found */
} Observation;

static void
observe (const char *name, HtTensor *value, gpointer user_data)
{
  Observation *observation = user_data;
  Observed *observed
      = g_hash_table_lookup (observation->observed, ht_simulation_get_shared (observation->simulation, name));
  gsize n_values = ht_tensor_get_n_elements (value);
  const float *values = ht_tensor_get_data (value);
  GError *error = NULL;

  if (!observed || observation->error || n_values == 0 || ht_tensor_get_data_type (value) != HT_DATA_TYPE_FLOAT)
    return;
  HtKernelRange range = ht_kernel_min_max (values, n_values);
  if (!observed->calibrator || ht_calibrator_observe_range (observed->calibrator, values, n_values, &range, &error))
    {
      ht_value_statistics_add (&observed->statistics, observed->calibrator, values, n_values, &range);
      return;
    }
  g_set_error (
      &observation->error, error->domain, error->code,
      "calibrating tensor '%s' (%s): %s: look at the data and at what produces it, or leave its node out with a "
      "rule",
      name, ht_quantizer_get_reason (observed->quantizer), error->message);
  g_error_free (error);
}

static Observed *
add_observed (GHashTable *table, HtQuantizer *quantizer)
{
  const char *shared = ht_quantizer_get_shared (quantizer);
  Observed *observed = g_hash_table_lookup (table, shared);

  if (!observed)
    {
      observed = g_new0 (Observed, 1);
      observed->quantizer = quantizer;
      g_hash_table_insert (table, (gpointer)shared, observed);
    }
  return observed;
}

static gboolean
is_observed (HtSimulation *self, HtQuantizer *quantizer)
{
  return !ht_quantizer_is_constant (quantizer) || ht_simulation_is_tied_constant (self, quantizer);
}

/* Tensors that share a quantizer share a range; those of given encodings are looked at for the report alone. */
static void
list_observed (HtSimulation *self, GHashTable *table)
{
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      Observed *observed = is_observed (self, quantizer) ? add_observed (table, quantizer) : NULL;

      if (observed && !observed->calibrator
          && ht_simulation_get_origin (self, ht_quantizer_get_tensor (quantizer)) != HT_ORIGIN_GIVEN)
        {
          observed->quantizer = quantizer;
          observed->calibrator = make_calibrator (quantizer);
          ht_histogram_calibrator_sample (observed->calibrator);
        }
    }
}

static gboolean
observe_constant (HtSimulation *self, const char *tensor, Observation *observation, GError **error)
{
  g_autoptr (HtTensor) value = ht_graph_get_constant (self->graph, tensor);

  if (!value)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED,
                   "calibrating the constant '%s', which shares a grid with activations: its value cannot be computed",
                   tensor);
      return FALSE;
    }
  observe (tensor, value, observation);
  if (!observation->error)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&observation->error));
  return FALSE;
}

/* The activations to look at; constants that share their quantizers are seen at once. NULL: an error. */
static char **
collect_taps (HtSimulation *self, Observation *observation, GError **error)
{
  g_autoptr (GStrvBuilder) taps = g_strv_builder_new ();

  list_observed (self, observation->observed);
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);

      if (!is_observed (self, quantizer))
        continue;
      if (!ht_quantizer_is_constant (quantizer))
        g_strv_builder_add (taps, tensor);
      else if (ht_simulation_get_origin (self, tensor) != HT_ORIGIN_GIVEN
               && !observe_constant (self, tensor, observation, error))
        return NULL;
    }
  return g_strv_builder_end (taps);
}

/* Weights are quantized while activations are observed, as in AIMET; activations are not. */
static HtExecutor *
create_observed_executor (HtSimulation *self, GHashTable *constants, GError **error)
{
  gboolean in_float = ht_quantization_config_get_target_object (self->config)->switches.round_in_float;
  g_autoptr (HtGraph) graph
      = in_float ? ht_weights_round_in_float (self, constants, error) : g_object_ref (self->graph);
  g_autoptr (HtExecutor) executor = graph ? ht_executor_new (graph, error) : NULL;

  if (!executor)
    return NULL;
  ht_executor_show_in_any_order (executor);
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (constants, tensor);

      if (!encoding)
        encoding = g_hash_table_lookup (self->encodings, tensor);
      if (encoding && ht_quantizer_is_weight (quantizer))
        ht_executor_set_encoding (executor, tensor, encoding);
    }
  return g_steal_pointer (&executor);
}

static gboolean
observe_batches (HtSimulation *self, HtExecutor *executor, HtDataset *dataset, guint batch, const char *const *taps,
                 Observation *observation, HtProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                 GError **error)
{
  guint n_samples = ht_dataset_get_n_samples (dataset);

  if (n_samples == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "calibrating: found no samples; expected at least one");
      return FALSE;
    }
  /* A network of a fixed batch sees the last sample several times, which changes no range. */
  batch = ht_dataset_get_batch_size (dataset, batch);
  for (guint first = 0; first < n_samples; first += MIN (batch, n_samples - first))
    {
      g_autoptr (GHashTable) inputs = NULL;
      g_autoptr (GHashTable) outputs = NULL;
      guint count = MIN (batch, n_samples - first);

      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      inputs = ht_dataset_get_batch (dataset, first, count, error);
      if (!inputs)
        return FALSE;
      outputs = ht_executor_run_tapped (executor, inputs, NULL, taps, observe, observation, cancellable, error);
      if (!outputs)
        return FALSE;
      if (observation->error)
        {
          g_propagate_error (error, g_steal_pointer (&observation->error));
          return FALSE;
        }
      if (progress)
        progress ((double)(first + count) / n_samples, "calibrating", user_data);
    }
  return TRUE;
}

static void
note_infinities (HtSimulation *self, HtQuantizer *quantizer, const HtGridForm *form, double found)
{
  if (form->format != HT_NUMBER_FORMAT_FLOAT16 || found <= ht_number_format_get_largest (form->format))
    return;
  ht_simulation_note (self, "tensor '%s': its values reach %g, beyond the end of float16: they become infinite",
                      ht_quantizer_get_tensor (quantizer), found);
}

static HtEncoding *
finish_activation (HtSimulation *self, Observed *observed, GError **error)
{
  HtQuantizer *quantizer = observed->quantizer;
  double minimum, maximum;
  HtGridForm form;

  if (!ht_calibrator_finish (observed->calibrator, ht_quantizer_get_settings (quantizer), &minimum, &maximum, error))
    {
      g_prefix_error (error, "calibrating tensor '%s' (%s): ", ht_quantizer_get_tensor (quantizer),
                      ht_quantizer_get_reason (quantizer));
      return NULL;
    }
  ht_quantizer_get_form (quantizer, self->graph, NULL, 0, &form);
  note_infinities (self, quantizer, &form, MAX (-minimum, maximum));
  if (!ht_quantizer_fix_range (quantizer, &minimum, &maximum, error))
    return NULL;
  return encoding_for (quantizer, &form, &minimum, &maximum, error);
}

static gboolean
make_activation_encodings (HtSimulation *self, GHashTable *table, GHashTable *found, GError **error)
{
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      Observed *observed = g_hash_table_lookup (table, ht_quantizer_get_shared (quantizer));
      HtEncoding *encoding;

      if (!observed || !is_observed (self, quantizer) || ht_simulation_get_origin (self, tensor) == HT_ORIGIN_GIVEN)
        continue;
      encoding = observed->encoding ? observed->encoding : ht_simulation_find_shared_given (self, quantizer);
      if (encoding)
        {
          g_hash_table_insert (found, (gpointer)tensor, ht_encoding_ref (encoding));
          continue;
        }
      if (ht_calibrator_get_n_values (observed->calibrator) == 0)
        {
          ht_simulation_note (
              self,
              "tensor '%s': calibration never reached it (a branch that was not taken, or no values), so "
              "it stays in floating point",
              tensor);
          continue;
        }
      encoding = finish_activation (self, observed, error);
      if (!encoding)
        return FALSE;
      observed->encoding = ht_encoding_ref (encoding);
      g_hash_table_insert (found, (gpointer)tensor, encoding);
    }
  return TRUE;
}

/* What the grids do to the activations that were seen. */
static void
measure_losses (HtSimulation *self, GHashTable *table)
{
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, tensor);
      Observed *observed = g_hash_table_lookup (table, ht_quantizer_get_shared (quantizer));
      HtGridLoss loss;

      if (encoding && observed && !ht_quantizer_is_constant (quantizer)
          && ht_value_statistics_measure (&observed->statistics, observed->calibrator, encoding, &loss))
        g_hash_table_replace (self->losses, g_strdup (tensor), g_memdup2 (&loss, sizeof loss));
    }
}

/**
 * ht_simulation_calibrate:
 * @self: a simulation
 * @dataset: the calibration samples; it is bound to the network
 * @batch: how many samples run at once, 0 for a default; a network of a fixed batch uses its own
 * @progress: (nullable) (scope call): called after each batch
 * @user_data: passed to @progress
 * @cancellable: (nullable): stops the work
 * @error: return location for an error
 *
 * Computes the encodings of all tensors but those that were given: constants from their values, activations from
 * their values over the data set, each by the calibrator of its settings. The scale of a weight is raised where its
 * layer's bias would not fit 32 bits in steps of input scale times weight scale; the notes list where. Weights are
 * quantized while activations are observed, activations are not. Values are streamed: what is kept does not grow with
 * the number of samples. Histograms count a quarter of the values of large batches; ranges are those of all values.
 * Tensors that no sample reached have no encoding then; ht_simulation_list_unreached() has them.
 *
 * Returns: %TRUE, or %FALSE with @error set and nothing changed when the data set is empty or does not fit the network,
 * or when a tensor has values that are not finite, or a constant that shares a grid with activations has no value
 */
gboolean
ht_simulation_calibrate (HtSimulation *self, HtDataset *dataset, guint batch, HtProgressFunc progress,
                         gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_autoptr (GHashTable) found = NULL;
  g_autoptr (GHashTable) observed = NULL;
  g_autoptr (HtExecutor) executor = NULL;
  g_auto (GStrv) taps = NULL;
  Observation observation = { self, NULL, NULL };
  gboolean ok;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && HT_IS_DATASET (dataset), FALSE);

  if (!ht_dataset_bind (dataset, self->graph, error))
    return FALSE;
  found = new_encoding_table ();
  if (!calibrate_constants (self, found, error))
    return FALSE;
  executor = create_observed_executor (self, found, error);
  if (!executor)
    return FALSE;
  observed = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, observed_free);
  observation.observed = observed;
  taps = collect_taps (self, &observation, error);
  if (!taps)
    return FALSE;
  ok = observe_batches (self, executor, dataset, batch, (const char *const *)taps, &observation, progress, user_data,
                        cancellable, error);
  g_clear_error (&observation.error);
  if (!ok || !make_activation_encodings (self, observed, found, error))
    return FALSE;
  take_all (self, found);
  measure_losses (self, observed);
  return raise_weight_scales (self, error);
}
