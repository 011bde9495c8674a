/* SPDX-License-Identifier: MIT */
#include "search/run-inputs.h"

#include "quant/simulation-private.h"

#include <halftone/error.h>

/* One sample in so many is held out. */
#define HELD_OUT_SHARE 4

void
ht_run_inputs_init (HtRunInputs *self, HtRecipe *recipe)
{
  self->recipe = g_object_ref (recipe);
  self->model_path = g_strdup (ht_recipe_get_model_path (recipe));
}

void
ht_run_inputs_clear (HtRunInputs *self)
{
  g_clear_object (&self->recipe);
  g_clear_object (&self->given);
  g_clear_object (&self->calibration);
  g_clear_object (&self->evaluation);
  g_clear_object (&self->held_out);
  g_strfreev (self->preparation);
  g_free (self->model_path);
}

static gboolean
open_model (HtRunInputs *self, GError **error)
{
  if (self->model_path == NULL)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                           "the recipe names no model: add 'model: FILE.onnx' or give one with --model");
      return FALSE;
    }
  gint64 since = g_get_monotonic_time ();
  self->given = ht_graph_load (self->model_path, error);
  if (self->given == NULL)
    return FALSE;
  self->preparation = ht_graph_prepare (self->given, error);
  if (self->preparation == NULL)
    {
      g_prefix_error (error, "cannot prepare '%s': ", self->model_path);
      return FALSE;
    }
  ht_graph_seal (self->given);
  self->load_seconds = (double)(g_get_monotonic_time () - since) / G_USEC_PER_SEC;
  return TRUE;
}

static gboolean
open_role (HtRunInputs *self, HtDataRole role, HtDataset **dataset, GError **error)
{
  if (!ht_recipe_has_data (self->recipe, role))
    return TRUE;
  *dataset = ht_recipe_open_data (self->recipe, role, error);
  return *dataset != NULL && ht_dataset_bind (*dataset, self->given, error);
}

/* Calibration looks at any tensor, so that all of them are there at some time. */
static char **
list_tensors (HtGraph *graph)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        if (ht_node_get_output (node, k)[0] != '\0')
          g_strv_builder_add (names, ht_node_get_output (node, k));
    }
  return g_strv_builder_end (names);
}

static gboolean
choose_batch (HtRunInputs *self, HtDataRole role, HtDataset *dataset, GError **error)
{
  self->batch[role] = ht_recipe_get_batch (self->recipe, role);
  if (self->memory_budget == 0 || dataset == NULL)
    return TRUE;
  g_autoptr (HtExecutor) executor = ht_executor_new (self->given, error);
  g_autoptr (GHashTable) sample = executor ? ht_dataset_get_batch (dataset, 0, 1, error) : NULL;
  if (sample == NULL)
    return FALSE;
  g_autoptr (GHashTable) shapes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ht_shape_unref);
  g_auto (GStrv) taps = role == HT_DATA_CALIBRATION ? list_tensors (self->given) : NULL;
  GHashTableIter iter;
  gpointer name, tensor;
  g_hash_table_iter_init (&iter, sample);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    {
      guint n_dims;
      const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
      g_hash_table_insert (shapes, name, ht_shape_new (dims, NULL, n_dims));
    }
  self->batch[role] = ht_executor_choose_batch (executor, ht_dataset_get_batch_size (dataset, self->batch[role]),
                                                self->memory_budget, shapes, (const char *const *)taps, error);
  return self->batch[role] != 0;
}

/* Which samples are held out follows from the seed alone. Both parts keep the order of the file. */
static gboolean
hold_out (HtRunInputs *self, GError **error)
{
  guint n = self->calibration != NULL ? ht_dataset_get_n_samples (self->calibration) : 0;
  guint n_held = n / HELD_OUT_SHARE;
  if (n_held == 0)
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_INVALID_DATA,
          "held-out samples are to choose, but there are %u calibration samples, expected at least %d; give more, "
          "or let 'objective' have 'on: evaluation'",
          n, HELD_OUT_SHARE);
      return FALSE;
    }
  g_autofree guint *order = g_new (guint, n), *rows = g_new (guint, n);
  guint32 seed[] = { (guint32)ht_recipe_get_seed (self->recipe), (guint32)(ht_recipe_get_seed (self->recipe) >> 32) };
  g_autoptr (GRand) random = g_rand_new_with_seed_array (seed, G_N_ELEMENTS (seed));
  g_autofree gboolean *is_held = g_new0 (gboolean, n);
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = 0; i < n_held; i++)
    {
      guint other = (guint)g_rand_int_range (random, (gint32)i, (gint32)n);
      is_held[order[other]] = TRUE;
      order[other] = order[i];
    }
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint part = 0; part < 2; part++)
    {
      guint n_rows = 0;
      for (guint i = 0; i < n; i++)
        if (is_held[i] == (part == 1))
          rows[n_rows++] = i;
      HtDataset *dataset = ht_dataset_select (self->calibration, rows, n_rows, error);
      if (dataset == NULL)
        return FALSE;
      g_ptr_array_add (parts, dataset);
      if (!ht_dataset_bind (dataset, self->given, error))
        return FALSE;
    }
  g_set_object (&self->calibration, g_ptr_array_index (parts, 0));
  g_set_object (&self->held_out, g_ptr_array_index (parts, 1));
  return TRUE;
}

gboolean
ht_run_inputs_open (HtRunInputs *self, GError **error)
{
  return open_model (self, error) && open_role (self, HT_DATA_CALIBRATION, &self->calibration, error)
         && open_role (self, HT_DATA_EVALUATION, &self->evaluation, error)
         && choose_batch (self, HT_DATA_CALIBRATION, self->calibration, error)
         && choose_batch (self, HT_DATA_EVALUATION, self->evaluation, error)
         && (!self->holds_out || hold_out (self, error));
}

static HtEncodingStatus
get_status (HtFreeze freeze, HtQuantizer *quantizer)
{
  gboolean pinned = freeze == HT_FREEZE_ALL || (freeze == HT_FREEZE_PARAMETERS && ht_quantizer_is_weight (quantizer));
  return pinned ? HT_ENCODING_PINNED : HT_ENCODING_FIXED;
}

/* A simulation holds the file against the network and the settings; the state takes the encodings over. */
static gboolean
take_encodings (HtRunInputs *self, HtQuantizationConfig *config, HtModelState *state, GError **error)
{
  g_autoptr (HtSimulation) simulation = ht_simulation_new (self->given, config, error);
  if (simulation == NULL
      || !ht_simulation_load_encodings (simulation, ht_recipe_get_encodings_path (self->recipe),
                                        ht_recipe_get_encodings_partial (self->recipe), error))
    return FALSE;
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = ht_simulation_get_encoding (simulation, tensor);
      if (ht_simulation_get_origin (simulation, tensor) == HT_ORIGIN_GIVEN
          && !ht_model_state_set_encoding (
              state, tensor, encoding, get_status (ht_recipe_get_encodings_freeze (self->recipe), quantizer), error))
        return FALSE;
    }
  return TRUE;
}

HtModelState *
ht_run_inputs_make_start (HtRunInputs *self, HtQuantizationConfig *config, GError **error)
{
  g_autoptr (HtGraph) copy = ht_graph_copy (self->given);
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  if (ht_recipe_get_encodings_path (self->recipe) != NULL && !take_encodings (self, config, start, error))
    return NULL;
  ht_model_state_seal (start);
  return g_steal_pointer (&start);
}

static gboolean
needs_data (HtSimulation *simulation)
{
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (quantizers, i);
      if (!ht_quantizer_is_weight (quantizer)
          && ht_simulation_get_encoding (simulation, ht_quantizer_get_tensor (quantizer)) == NULL)
        return TRUE;
    }
  return FALSE;
}

gboolean
ht_run_inputs_calibrate (HtRunInputs *self, HtSimulation *simulation, HtProgressFunc progress, gpointer user_data,
                         GCancellable *cancellable, GError **error)
{
  if (self->calibration == NULL && needs_data (simulation))
    {
      g_set_error_literal (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "activations are quantized, but the recipe has no calibration data: add 'data: {calibration: "
          "{path: FILE.npy}}'");
      return FALSE;
    }
  if (self->calibration == NULL)
    return ht_simulation_calibrate_weights (simulation, error);
  /* Calibrating binds the data to its own network, and candidates of a search are calibrated side by side. */
  g_autoptr (HtDataset) calibration = ht_dataset_copy (self->calibration);
  return ht_simulation_calibrate (simulation, calibration, self->batch[HT_DATA_CALIBRATION], progress, user_data,
                                  cancellable, error);
}

guint
ht_run_inputs_get_batch (HtRunInputs *self, HtDataset *dataset)
{
  return self->batch[dataset == self->evaluation ? HT_DATA_EVALUATION : HT_DATA_CALIBRATION];
}
