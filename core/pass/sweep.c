/* SPDX-License-Identifier: MIT */
#include "graph/graph-private.h"
#include "pass/layer-record.h"
#include "pass/network-cut.h"
#include "pass/sample-split.h"
#include "pass/sweep-store.h"

#include <halftone/error.h>
#include <halftone/simulation-parts.h>
#include <halftone/sweep.h>

#include <string.h>
#include <sys/resource.h>

#define TIMINGS "layers"

#define SEED_OF_SPLIT "sweep"
/* Of each network, what activations stay in memory: a share of the budget, or so much where there is none. */
#define BUDGET_SHARE     4
#define ACTIVATION_BYTES ((guint64)1 << 30)

/* One network on its way. */
typedef struct
{
  HtSweepStore *store;
  HtExecutor *executor; /* NULL: to be made anew */
} Network;

struct _HtSweep
{
  GObject parent_instance;

  HtPassContext *context;
  HtModelState *state;
  HtSimulation *simulation;
  HtSweepInput input;
  HtGraph *reference_graph;
  HtDataset *dataset;
  Network quantized, reference;
  GPtrArray *outputs; /* of the layers, in order */
  guint next;
  HtLayer *layer;        /* that the caller is at */
  gboolean is_there;     /* whether the activations are, too */
  gint64 since;          /* when the caller came there */
  HtLayerRecord *record; /* NULL: nobody will want it */
  GPtrArray *cuts; /* outputs of layers that were taken from checkpoints, where the way has to stop all the same */
  HtSampleSplit split;
};

/**
 * HtSweep:
 *
 * Goes over the weighted layers of a model state in execution order. Each layer is handed what it reads (in the network
 * quantized so far, see #HtSweepInput) and what it should return (its output in the reference network) for some samples
 * of the calibration data. What the caller does to a layer in the state, to its weights, bias and encodings, all later
 * layers see.
 *
 * Both networks run once, from layer to layer: what stands between two layers is kept, in files where it is more than
 * half of the memory budget (or 1 GiB for each network). A quarter of the samples, chosen by the seed, is held out for
 * judging. A layer that is not asked about costs nothing.
 */
G_DEFINE_FINAL_TYPE (HtSweep, ht_sweep, G_TYPE_OBJECT)

static void
ht_sweep_finalize (GObject *object)
{
  HtSweep *self = HT_SWEEP (object);

  g_clear_object (&self->context);
  g_clear_object (&self->state);
  g_clear_object (&self->simulation);
  g_clear_object (&self->reference_graph);
  g_clear_object (&self->dataset);
  for (guint i = 0; i < 2; i++)
    {
      Network *network = i == 0 ? &self->quantized : &self->reference;
      g_clear_pointer (&network->store, ht_sweep_store_free);
      g_clear_object (&network->executor);
    }
  g_clear_pointer (&self->outputs, g_ptr_array_unref);
  g_clear_pointer (&self->cuts, g_ptr_array_unref);
  g_clear_pointer (&self->record, ht_layer_record_free);
  g_clear_pointer (&self->layer, ht_layer_unref);
  ht_sample_split_clear (&self->split);
  G_OBJECT_CLASS (ht_sweep_parent_class)->finalize (object);
}

static void
ht_sweep_class_init (HtSweepClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_sweep_finalize;
}

static void
ht_sweep_init (HtSweep *self)
{
  self->outputs = g_ptr_array_new_with_free_func (g_free);
  self->cuts = g_ptr_array_new_with_free_func (g_free);
}

static void
note_fewer_samples (HtSweep *self, guint wanted)
{
  guint n = ht_sweep_get_n_samples (self, FALSE) + ht_sweep_get_n_samples (self, TRUE);
  g_autofree char *text = g_strdup_printf ("there are %u samples, not the %u asked for", n, wanted);

  if (n < wanted)
    ht_pass_context_note (self->context, "calibration data", text);
}

/**
 * ht_sweep_new:
 * @context: of a pass that reads calibration data, the reference network and settings
 * @state: its state
 * @input: what layers are to read
 * @n_samples: of the calibration data to take; 0: all. Where there are not as many all are taken, and the report notes
 *   it
 * @error: return location for a #GError
 *
 * Prepares a sweep. Encodings that the state does not fix are computed first, for the sweep alone.
 *
 * Returns: (transfer full) (nullable): a sweep before the first layer, or %NULL with @error set
 */
HtSweep *
ht_sweep_new (HtPassContext *context, HtModelState *state, HtSweepInput input, guint n_samples, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (context) && HT_IS_MODEL_STATE (state), NULL);

  g_autoptr (HtSweep) self = g_object_new (HT_TYPE_SWEEP, NULL);
  GCancellable *cancellable = ht_pass_context_get_cancellable (context);
  HtDataset *dataset = ht_pass_context_get_calibration (context, error);
  HtGraph *reference = dataset != NULL ? ht_pass_context_get_reference (context, state, error) : NULL;
  if (reference == NULL)
    return NULL;
  self->context = g_object_ref (context);
  self->state = g_object_ref (state);
  self->input = input;
  self->dataset = g_object_ref (dataset);
  self->simulation = ht_pass_context_create_simulation (context, state, error);
  if (self->simulation == NULL)
    return NULL;
  ht_sample_split_init (&self->split, dataset, n_samples, ht_pass_context_get_batch (context),
                        ht_pass_context_get_seed (context, SEED_OF_SPLIT));
  if (self->split.n_batches == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "the calibration data hold %u samples, fewer than the batch that the network fixes",
                   ht_dataset_get_n_samples (dataset));
      return NULL;
    }
  note_fewer_samples (self, n_samples);
  gboolean calibrated = input == HT_SWEEP_INPUT_QUANTIZED
                            ? ht_simulation_calibrate (self->simulation, dataset, ht_pass_context_get_batch (context),
                                                       NULL, NULL, cancellable, error)
                            : ht_simulation_calibrate_weights (self->simulation, error);
  if (!calibrated || !ht_graph_sort (ht_model_state_get_graph (state), error))
    return NULL;
  self->reference_graph = ht_graph_copy (reference);
  if (!ht_graph_sort (self->reference_graph, error))
    return NULL;
  ht_graph_seal (self->reference_graph);
  self->reference.executor = ht_executor_new (self->reference_graph, error);
  if (self->reference.executor == NULL)
    return NULL;
  guint64 budget = ht_pass_context_get_memory_budget (context);
  guint64 bytes = budget > 0 ? budget / BUDGET_SHARE : ACTIVATION_BYTES;
  self->reference.store = ht_sweep_store_new (context, self->split.n_batches, bytes);
  self->quantized.store = ht_sweep_store_new (context, self->split.n_batches, bytes);
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (ht_model_state_get_graph (state));
  for (guint i = 0; i < layers->len; i++)
    g_ptr_array_add (self->outputs, g_strdup (ht_layer_get_output (g_ptr_array_index (layers, i))));
  return g_steal_pointer (&self);
}

/**
 * ht_sweep_get_simulation:
 * @self: a sweep
 *
 * Returns: (transfer none): the simulation of the state as it was given, with an encoding for each quantizer that the
 *   sweep needs
 */
HtSimulation *
ht_sweep_get_simulation (HtSweep *self)
{
  g_return_val_if_fail (HT_IS_SWEEP (self), NULL);
  return self->simulation;
}

/**
 * ht_sweep_get_n_layers:
 * @self: a sweep
 *
 * Returns: the number of layers that ht_sweep_next() goes to, as far as none goes away
 */
guint
ht_sweep_get_n_layers (HtSweep *self)
{
  g_return_val_if_fail (HT_IS_SWEEP (self), 0);
  return self->outputs->len;
}

/**
 * ht_sweep_get_n_samples:
 * @self: a sweep
 * @held_out: whether those that are held out are meant, or all others
 *
 * Returns: the number of samples
 */
guint
ht_sweep_get_n_samples (HtSweep *self, gboolean held_out)
{
  guint n = 0;

  g_return_val_if_fail (HT_IS_SWEEP (self), 0);
  for (guint i = 0; i < self->split.n_batches; i++)
    if (self->split.held_out[i] == !!held_out)
      n += self->split.n_samples[i];
  return n;
}

/* The peak is that of the process until now. */
static void
tell_timings (HtSweep *self)
{
  g_autofree char *subject = ht_node_describe (ht_layer_get_node (self->layer));
  guint64 in_memory = 0, in_files = 0;
  struct rusage usage;

  for (guint i = 0; i < 2; i++)
    {
      guint64 here, there;
      ht_sweep_store_count (i == 0 ? self->quantized.store : self->reference.store, &here, &there);
      in_memory += here;
      in_files += there;
    }
  ht_pass_context_add_timing (self->context, TIMINGS, subject, "seconds",
                              (double)(g_get_monotonic_time () - self->since) / G_USEC_PER_SEC);
  ht_pass_context_add_timing (self->context, TIMINGS, subject, "activation-bytes", (double)in_memory);
  ht_pass_context_add_timing (self->context, TIMINGS, subject, "activation-file-bytes", (double)in_files);
  if (getrusage (RUSAGE_SELF, &usage) == 0)
    ht_pass_context_add_timing (self->context, TIMINGS, subject, "peak-bytes", (double)usage.ru_maxrss * 1024.0);
}

static void
leave_layer (HtSweep *self)
{
  if (self->layer != NULL && self->is_there)
    tell_timings (self);
}

static void
enter_next (HtSweep *self)
{
  g_clear_pointer (&self->layer, ht_layer_unref);
  self->is_there = FALSE;
  self->since = g_get_monotonic_time ();
  while (self->layer == NULL && self->next < self->outputs->len)
    self->layer
        = ht_graph_find_layer (ht_model_state_get_graph (self->state), g_ptr_array_index (self->outputs, self->next++));
}

/**
 * ht_sweep_next:
 * @self: a sweep
 *
 * Goes to the next layer. What a technique does is not kept for a run that is started again, see ht_sweep_go_on().
 *
 * Returns: (transfer none) (nullable): a layer of the state's graph, to be read and changed; %NULL behind the last one
 */
HtLayer *
ht_sweep_next (HtSweep *self)
{
  g_return_val_if_fail (HT_IS_SWEEP (self), NULL);

  leave_layer (self);
  g_clear_pointer (&self->record, ht_layer_record_free);
  enter_next (self);
  return self->layer;
}

/* A checkpoint that cannot be written is no reason to stop. */
static void
keep_layer (HtSweep *self)
{
  const char *output = ht_layer_get_output (self->layer);
  g_autoptr (GBytes) record = ht_layer_record_finish (self->record, self->layer, self->is_there);
  g_autoptr (GError) error = NULL;

  if (record != NULL && !ht_pass_context_store_checkpoint (self->context, output, record, &error))
    ht_pass_context_note (self->context, output, error->message);
}

/* Does to the layer what an earlier run did. */
static gboolean
take_up_layer (HtSweep *self, gboolean *taken, GError **error)
{
  const char *output = ht_layer_get_output (self->layer);
  g_autoptr (GBytes) record = ht_pass_context_fetch_checkpoint (self->context, output);
  gboolean asked;

  *taken = FALSE;
  if (record == NULL)
    return TRUE;
  if (!ht_layer_record_replay (record, self->context, self->state, self->layer, &asked, error))
    {
      g_prefix_error (error, "taking up layer '%s' from its checkpoint: ", output);
      return FALSE;
    }
  if (asked)
    g_ptr_array_add (self->cuts, g_strdup (output));
  *taken = TRUE;
  return TRUE;
}

/**
 * ht_sweep_go_on:
 * @self: a sweep
 * @layer: (out) (transfer none) (nullable): a layer of the state's graph, to be read and changed; %NULL behind the last
 *   one
 * @error: return location for a #GError
 *
 * Ends the work at the layer that the sweep is at, and goes to the next one whose work is not done yet. For techniques
 * that keep nothing from layer to layer: what they did to a layer's weight and bias, to encodings, and what they said
 * in the report is a checkpoint, and a run that was killed and is started again takes it up instead of doing the work.
 * A layer at which more was changed is worked on again.
 *
 * Returns: %FALSE with @error set on failure, %G_IO_ERROR_CANCELLED when the run was cancelled
 */
gboolean
ht_sweep_go_on (HtSweep *self, HtLayer **layer, GError **error)
{
  g_return_val_if_fail (HT_IS_SWEEP (self) && layer != NULL, FALSE);

  *layer = NULL;
  leave_layer (self);
  if (self->layer != NULL && self->record != NULL)
    keep_layer (self);
  g_clear_pointer (&self->record, ht_layer_record_free);
  for (;;)
    {
      gboolean taken = FALSE;
      if (g_cancellable_set_error_if_cancelled (ht_pass_context_get_cancellable (self->context), error))
        return FALSE;
      enter_next (self);
      if (self->layer == NULL)
        return TRUE;
      if (!ht_pass_context_keeps_checkpoints (self->context))
        break;
      if (!take_up_layer (self, &taken, error))
        return FALSE;
      if (taken)
        continue;
      self->record = ht_layer_record_begin (self->context, self->state, self->layer);
      break;
    }
  *layer = self->layer;
  return TRUE;
}

/**
 * ht_sweep_skip_failed:
 * @self: a sweep at a layer
 * @failure: (inout): what a technique failed with; taken
 * @error: return location for a #GError
 *
 * Tells what is wrong with one layer or its samples (numbers that are not finite, no memory for its size, a form that
 * is not supported) from what is wrong with the work. The first is listed in the report, and the next layer's turn has
 * come.
 *
 * Returns: %TRUE when the layer was listed; %FALSE with @error set to @failure otherwise
 */
gboolean
ht_sweep_skip_failed (HtSweep *self, GError **failure, GError **error)
{
  g_return_val_if_fail (HT_IS_SWEEP (self) && self->layer != NULL && failure != NULL && *failure != NULL, FALSE);

  if (!g_error_matches (*failure, HT_ERROR, HT_ERROR_NUMERIC)
      && !g_error_matches (*failure, HT_ERROR, HT_ERROR_NO_MEMORY)
      && !g_error_matches (*failure, HT_ERROR, HT_ERROR_NOT_SUPPORTED))
    {
      g_propagate_error (error, g_steal_pointer (failure));
      return FALSE;
    }
  g_autofree char *subject = ht_node_describe (ht_layer_get_node (self->layer));
  ht_pass_context_skip (self->context, subject, (*failure)->message);
  g_clear_error (failure);
  return TRUE;
}

/* Layers share the way evenly, each its batches and what a technique then does. */
static gboolean
report_progress (HtSweep *self, double fraction, GError **error)
{
  const guint64 parts = 1000;
  guint64 done = (self->next - 1) * parts + (guint64)(fraction * (double)parts);
  return ht_pass_context_progress (self->context, done, self->outputs->len * parts, error);
}

/**
 * ht_sweep_report_progress:
 * @self: a sweep at a layer
 * @fraction: how much of what a technique does to the layer is done, from 0 to 1
 * @error: return location for a #GError
 *
 * Reports progress within a layer, for techniques that take long.
 *
 * Returns: %FALSE with %G_IO_ERROR_CANCELLED when the run was cancelled
 */
gboolean
ht_sweep_report_progress (HtSweep *self, double fraction, GError **error)
{
  g_return_val_if_fail (HT_IS_SWEEP (self) && self->layer != NULL, FALSE);
  return report_progress (self, 0.1 + 0.9 * CLAMP (fraction, 0.0, 1.0), error);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* Moves one batch of a network to the cut behind which `live` is read. */
static gboolean
advance_batch (HtSweep *self, Network *network, guint batch, GHashTable *live, GError **error)
{
  GHashTable *have = ht_sweep_store_get (network->store, batch);
  g_autoptr (GHashTable) given = have != NULL ? g_hash_table_ref (have)
                                              : ht_dataset_get_batch (self->dataset, self->split.first[batch],
                                                                      self->split.n_samples[batch], error);
  g_autoptr (GPtrArray) outputs = g_ptr_array_new ();
  g_autoptr (GHashTable) next = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ht_tensor_unref);
  GHashTableIter iter;
  gpointer name;

  if (given == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, live);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    {
      HtTensor *tensor = g_hash_table_lookup (given, name);
      if (tensor != NULL)
        g_hash_table_insert (next, name, ht_tensor_ref (tensor));
      else
        g_ptr_array_add (outputs, name);
    }
  g_ptr_array_sort (outputs, compare_names);
  if (outputs->len > 0)
    {
      g_ptr_array_add (outputs, NULL);
      g_autoptr (GHashTable) results = ht_executor_run (network->executor, given, (const char *const *)outputs->pdata,
                                                        ht_pass_context_get_cancellable (self->context), error);
      if (results == NULL)
        return FALSE;
      for (guint i = 0; i + 1 < outputs->len; i++)
        g_hash_table_insert (next, g_ptr_array_index (outputs, i),
                             ht_tensor_ref (g_hash_table_lookup (results, g_ptr_array_index (outputs, i))));
    }
  return ht_sweep_store_set (network->store, batch, next, error);
}

/* The state as it is now, with the encodings it fixes and, for the rest, those of the beginning. */
static HtExecutor *
make_quantized (HtSweep *self, GError **error)
{
  g_autoptr (HtSimulation) simulation
      = ht_simulation_new (ht_model_state_get_graph (self->state), ht_simulation_get_config (self->simulation), error);
  if (simulation == NULL || !ht_simulation_load_state (simulation, self->state, error))
    return NULL;
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < quantizers->len; i++)
    {
      const char *tensor = ht_quantizer_get_tensor (g_ptr_array_index (quantizers, i));
      HtEncoding *encoding = ht_simulation_get_encoding (self->simulation, tensor);
      if (encoding != NULL && ht_simulation_get_encoding (simulation, tensor) == NULL
          && !ht_simulation_set_encoding (simulation, tensor, encoding, error))
        return NULL;
    }
  HtQuantizerKinds kinds = self->input == HT_SWEEP_INPUT_QUANTIZED ? HT_QUANTIZERS_ALL : HT_QUANTIZERS_WEIGHTS;
  g_autoptr (HtSimulationParts) parts = ht_simulation_parts_new (simulation, kinds);
  return ht_simulation_parts_create_executor (parts, error);
}

static HtLayer *
find_reference_layer (HtSweep *self, HtLayer *own, GError **error)
{
  const char *output = ht_layer_get_output (own);
  HtLayer *layer = ht_graph_find_layer (self->reference_graph, output);

  if (layer == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                 "tensor '%s' comes from a layer of the network but not of the reference network", output);
  return layer;
}

static gboolean
advance_to (HtSweep *self, HtLayer *layer, GError **error)
{
  HtGraph *graph = ht_model_state_get_graph (self->state);
  g_autoptr (HtLayer) twin = find_reference_layer (self, layer, error);
  if (twin == NULL)
    return FALSE;
  HtNode *producer = ht_graph_get_producer (self->reference_graph, ht_layer_get_output (twin));
  g_autoptr (GHashTable) reference_live
      = ht_graph_find_live (self->reference_graph, ht_graph_find_position (self->reference_graph, producer) + 1);
  g_hash_table_add (reference_live, (gpointer)ht_layer_get_output (twin));
  g_autoptr (GHashTable) live = NULL;
  if (self->input == HT_SWEEP_INPUT_FLOAT)
    {
      g_hash_table_add (reference_live, (gpointer)ht_layer_get_input (twin));
    }
  else
    {
      live = ht_graph_find_live (graph, ht_graph_find_position (graph, ht_layer_get_node (layer)));
      g_clear_object (&self->quantized.executor);
      self->quantized.executor = make_quantized (self, error);
      if (self->quantized.executor == NULL)
        return FALSE;
    }
  for (guint batch = 0; batch < self->split.n_batches; batch++)
    {
      if (!report_progress (self, 0.1 * batch / self->split.n_batches, error)
          || !advance_batch (self, &self->reference, batch, reference_live, error)
          || (live != NULL && !advance_batch (self, &self->quantized, batch, live, error)))
        return FALSE;
    }
  return TRUE;
}

/* Where a network is cut shows in the last bits of what comes behind, so that layers from checkpoints are stops too. */
static gboolean
advance (HtSweep *self, GError **error)
{
  while (self->cuts->len > 0)
    {
      g_autoptr (HtLayer) layer
          = ht_graph_find_layer (ht_model_state_get_graph (self->state), g_ptr_array_index (self->cuts, 0));
      if (layer != NULL && !advance_to (self, layer, error))
        return FALSE;
      g_ptr_array_remove_index (self->cuts, 0);
    }
  self->is_there = advance_to (self, self->layer, error);
  return self->is_there;
}

/**
 * ht_sweep_get_n_batches:
 * @self: a sweep
 *
 * Returns: the number of batches that the samples are cut into, held-out ones included
 */
guint
ht_sweep_get_n_batches (HtSweep *self)
{
  g_return_val_if_fail (HT_IS_SWEEP (self), 0);
  return self->split.n_batches;
}

/**
 * ht_sweep_is_held_out:
 * @self: a sweep
 * @batch: a batch
 *
 * Returns: whether the samples of @batch are for judging, not for fitting
 */
gboolean
ht_sweep_is_held_out (HtSweep *self, guint batch)
{
  g_return_val_if_fail (HT_IS_SWEEP (self) && batch < self->split.n_batches, FALSE);
  return self->split.held_out[batch];
}

/* A network input is quantized where it is read; all other tensors were where they were made. */
static HtTensor *
get_input (HtSweep *self, GHashTable *tensors, GError **error)
{
  g_autoptr (HtLayer) twin = find_reference_layer (self, self->layer, error);
  if (twin == NULL)
    return NULL;
  gboolean is_float = self->input == HT_SWEEP_INPUT_FLOAT;
  const char *name = ht_layer_get_input (is_float ? twin : self->layer);
  HtTensor *tensor = g_hash_table_lookup (tensors, name);
  if (tensor == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "layer input '%s' was not computed on the way", name);
      return NULL;
    }
  HtEncoding *encoding = self->input == HT_SWEEP_INPUT_QUANTIZED && ht_graph_is_input (self->reference_graph, name)
                             ? ht_simulation_get_encoding (self->simulation, name)
                             : NULL;
  return encoding != NULL ? ht_encoding_fake_quantize (encoding, tensor, error) : ht_tensor_ref (tensor);
}

/**
 * ht_sweep_get_batch:
 * @self: a sweep at a layer
 * @batch: a batch
 * @input: (out) (transfer full): what the layer reads
 * @target: (out) (transfer full): what the layer of the reference network returns, its bias included
 * @error: return location for a #GError
 *
 * Gives one batch of the layer that the sweep is at, running both networks up to it if need be.
 *
 * Returns: %FALSE with @error set on failure
 */
gboolean
ht_sweep_get_batch (HtSweep *self, guint batch, HtTensor **input, HtTensor **target, GError **error)
{
  g_return_val_if_fail (HT_IS_SWEEP (self) && self->layer != NULL && batch < self->split.n_batches, FALSE);
  g_return_val_if_fail (input != NULL && target != NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (ht_pass_context_get_cancellable (self->context), error)
      || (!self->is_there && !advance (self, error)))
    return FALSE;
  GHashTable *reference = ht_sweep_store_get (self->reference.store, batch);
  GHashTable *tensors
      = self->input == HT_SWEEP_INPUT_FLOAT ? reference : ht_sweep_store_get (self->quantized.store, batch);
  *input = get_input (self, tensors, error);
  if (*input == NULL)
    return FALSE;
  *target = ht_tensor_ref (g_hash_table_lookup (reference, ht_layer_get_output (self->layer)));
  return TRUE;
}

/* What the layer makes of an input with its weight as it is now. */
static HtTensor *
run_layer (HtSweep *self, HtExecutor *executor, HtTensor *input, GError **error)
{
  const char *const outputs[] = { ht_layer_get_output (self->layer), NULL };
  g_autoptr (GHashTable) inputs = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (inputs, (gpointer)ht_layer_get_input (self->layer), input);
  g_autoptr (GHashTable) found
      = ht_executor_run (executor, inputs, outputs, ht_pass_context_get_cancellable (self->context), error);
  return found != NULL ? ht_tensor_ref (g_hash_table_lookup (found, outputs[0])) : NULL;
}

/**
 * ht_sweep_collect_moments:
 * @self: a sweep at a layer
 * @target: what the layer should return
 * @max_positions: of the fitting samples, about as many output positions are taken at most; 0: all
 * @fitting: (out) (transfer full): moments of the fitting samples
 * @held_out: (out) (transfer full) (nullable): moments of the held-out samples; %NULL when none are
 * @error: return location for a #GError
 *
 * Adds up the second moments of the layer that the sweep is at. Targets are without the bias that the layer has in the
 * state now.
 *
 * Returns: %FALSE with @error set on failure
 */
gboolean
ht_sweep_collect_moments (HtSweep *self, HtSweepTarget target, guint64 max_positions, HtMoments **fitting,
                          HtMoments **held_out, GError **error)
{
  g_return_val_if_fail (HT_IS_SWEEP (self) && self->layer != NULL && fitting != NULL && held_out != NULL, FALSE);

  g_autoptr (HtMoments) fit = NULL, judge = NULL;
  gsize n_bias;
  g_autofree double *bias = ht_layer_get_bias_values (self->layer, &n_bias, error);
  g_autoptr (HtExecutor) own = NULL;
  guint64 seed = ht_pass_context_get_seed (self->context, ht_layer_get_output (self->layer));
  guint n_fitting = ht_sweep_get_n_samples (self, FALSE);

  if (bias == NULL)
    return FALSE;
  if (target == HT_SWEEP_TARGET_LAYER
      && (own = ht_executor_new (ht_model_state_get_graph (self->state), error)) == NULL)
    return FALSE;
  for (guint batch = 0; batch < self->split.n_batches; batch++)
    {
      g_autoptr (HtTensor) input = NULL, reference = NULL, output = NULL;
      HtMoments **sum = self->split.held_out[batch] ? &judge : &fit;
      if (!ht_sweep_get_batch (self, batch, &input, &reference, error))
        return FALSE;
      output = own != NULL ? run_layer (self, own, input, error) : ht_tensor_ref (reference);
      if (output == NULL)
        return FALSE;
      if (*sum == NULL && (*sum = ht_layer_create_moments (self->layer, error)) == NULL)
        return FALSE;
      double positions = (double)ht_layer_count_positions (self->layer, output) / (double)self->split.n_samples[batch]
                         * (double)n_fitting;
      double share = max_positions > 0 && positions > (double)max_positions ? (double)max_positions / positions : 1.0;
      if (g_cancellable_set_error_if_cancelled (ht_pass_context_get_cancellable (self->context), error)
          || !ht_layer_add_moments (self->layer, *sum, input, output, bias, share, seed + batch, error))
        return FALSE;
    }
  *fitting = g_steal_pointer (&fit);
  *held_out = g_steal_pointer (&judge);
  return TRUE;
}
