/* SPDX-License-Identifier: MIT */
#include "pass/pass-context-private.h"

#include "pass/checkpoint-key.h"
#include "pass/checkpoints.h"
#include "pass/pass-private.h"
#include "quant/quantization-config.h"
#include "pass/scratch-folder.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

/* Progress is told at most this often, or after this share of the step. */
#define PROGRESS_INTERVAL 50000 /* microseconds */
#define PROGRESS_SHARE    0.01

struct _HtPassContext
{
  GObject parent_instance;

  char *step;
  char *message; /* "step 'round' (adaround)" */
  HtPass *pass;
  HtPassReads reads;
  HtQuantizationConfig *config;
  HtDataset *calibration;
  guint batch;
  guint64 seed;
  GCancellable *cancellable;
  HtProgressFunc progress;
  gpointer progress_data;
  gint64 told_time;
  double told_fraction;
  HtModelState *parent;
  guint64 memory_budget;
  HtScratchFolder *scratch;
  char *checkpoint_folder;
  HtCheckpoints *checkpoints; /* NULL: not asked for yet */
  JsonArray *notes;
  JsonArray *skipped;
  JsonObject *tables, *timings;
  GPtrArray *log; /* of GVariant, what all these were made from */
};

/* The entries of the log. */
enum
{
  TOLD_NOTE,
  TOLD_SKIP,
  TOLD_ROW,
  TOLD_TIMING,
};

/**
 * HtPassContext:
 *
 * What a running pass is given: the data and settings that it declared to read, random seeds, progress and
 * cancellation, and the report of its step. The pass manager makes one for each step.
 */
G_DEFINE_FINAL_TYPE (HtPassContext, ht_pass_context, G_TYPE_OBJECT)

static void
ht_pass_context_init (HtPassContext *self)
{
  self->notes = json_array_new ();
  self->skipped = json_array_new ();
  self->tables = json_object_new ();
  self->timings = json_object_new ();
  self->log = g_ptr_array_new_with_free_func ((GDestroyNotify)g_variant_unref);
}

static void
ht_pass_context_finalize (GObject *object)
{
  HtPassContext *self = HT_PASS_CONTEXT (object);

  g_free (self->step);
  g_free (self->message);
  g_clear_object (&self->pass);
  g_clear_object (&self->config);
  g_clear_object (&self->calibration);
  g_clear_object (&self->cancellable);
  json_array_unref (self->notes);
  json_array_unref (self->skipped);
  json_object_unref (self->tables);
  json_object_unref (self->timings);
  g_ptr_array_unref (self->log);
  g_clear_object (&self->parent);
  g_clear_pointer (&self->scratch, ht_scratch_folder_free);
  g_clear_pointer (&self->checkpoints, ht_checkpoints_free);
  g_free (self->checkpoint_folder);
  G_OBJECT_CLASS (ht_pass_context_parent_class)->finalize (object);
}

static void
ht_pass_context_class_init (HtPassContextClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_pass_context_finalize;
}

HtPassContext *
ht_pass_context_new (const HtPassContextSetup *setup)
{
  HtPassContext *self = g_object_new (HT_TYPE_PASS_CONTEXT, NULL);

  self->step = g_strdup (setup->step);
  self->pass = g_object_ref (setup->pass);
  self->reads = ht_pass_get_reads (setup->pass, setup->config);
  self->message
      = g_strdup_printf ("step '%s' (%s)", setup->step, ht_pass_class_get_id (HT_PASS_GET_CLASS (setup->pass)));
  if (setup->config != NULL)
    self->config = ht_quantization_config_restrict (setup->config, (self->reads & HT_PASS_READS_WEIGHT_SETTINGS) != 0,
                                                    (self->reads & HT_PASS_READS_ACTIVATION_SETTINGS) != 0);
  self->calibration = setup->calibration != NULL ? g_object_ref (setup->calibration) : NULL;
  self->batch = setup->batch;
  self->seed = setup->seed;
  self->cancellable = setup->cancellable != NULL ? g_object_ref (setup->cancellable) : NULL;
  self->progress = setup->progress;
  self->progress_data = setup->progress_data;
  self->parent = setup->parent != NULL ? g_object_ref (setup->parent) : NULL;
  self->memory_budget = setup->memory_budget;
  self->scratch = ht_scratch_folder_new (setup->scratch_folder);
  self->checkpoint_folder = g_strdup (setup->checkpoint_folder);
  return self;
}

void
ht_pass_context_end (HtPassContext *self)
{
  self->progress = NULL;
  self->progress_data = NULL;
  g_clear_pointer (&self->scratch, ht_scratch_folder_free);
}

/**
 * ht_pass_context_get_step:
 * @self: a context
 *
 * Gets the id of the step.
 *
 * Returns: (transfer none): the id, as the recipe gives it
 */
const char *
ht_pass_context_get_step (HtPassContext *self)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), NULL);
  return self->step;
}

/**
 * ht_pass_context_get_cancellable:
 * @self: a context
 *
 * Gets what cancels the step, to be handed on to every call that takes one.
 *
 * Returns: (transfer none) (nullable): the cancellable, or %NULL where nothing cancels it
 */
GCancellable *
ht_pass_context_get_cancellable (HtPassContext *self)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), NULL);
  return self->cancellable;
}

/**
 * ht_pass_context_progress:
 * @self: a context
 * @done: how much is done
 * @total: how much there is
 * @error: return location for an error
 *
 * Tells how far the step is, and asks whether it is cancelled. Cheap enough for each layer, batch or iteration. Fails
 * with %G_IO_ERROR_CANCELLED.
 *
 * Returns: whether to go on
 */
gboolean
ht_pass_context_progress (HtPassContext *self, guint64 done, guint64 total, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (self->cancellable, error))
    return FALSE;
  if (self->progress == NULL)
    return TRUE;
  double fraction = total > 0 ? (double)MIN (done, total) / (double)total : 1.0;
  gint64 now = g_get_monotonic_time ();
  gboolean finished = fraction >= 1.0 && self->told_fraction < 1.0;
  if (finished || fraction - self->told_fraction >= PROGRESS_SHARE || now - self->told_time >= PROGRESS_INTERVAL)
    {
      self->told_fraction = fraction;
      self->told_time = now;
      self->progress (fraction, self->message, self->progress_data);
    }
  return TRUE;
}

static gboolean
require (HtPassContext *self, guint allowed, const char *flag, const char *what, GError **error)
{
  const char *when = NULL;
  HtPassReads added;

  if ((self->reads & allowed) != 0)
    return TRUE;
  for (guint i = 0; (added = ht_pass_class_get_added_reads (HT_PASS_GET_CLASS (self->pass), i, &when)) != 0; i++)
    if ((added & allowed) != 0)
      {
        g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                     "the pass asks for %s but declares %s for '%s' only; correct that in its class_init", what, flag,
                     when);
        return FALSE;
      }
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
               "the pass asks for %s but does not declare %s; add it to ht_pass_class_set_reads() in its class_init",
               what, flag);
  return FALSE;
}

/**
 * ht_pass_context_get_calibration:
 * @self: a context
 * @error: return location for an error
 *
 * Gets the calibration data. The pass must declare %HT_PASS_READS_CALIBRATION_DATA (%HT_ERROR_INVALID_ARGUMENT); where
 * the user gave none the error is %HT_ERROR_NOT_FOUND.
 *
 * Returns: (transfer none) (nullable): the data set, or %NULL on failure
 */
HtDataset *
ht_pass_context_get_calibration (HtPassContext *self, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!require (self, HT_PASS_READS_CALIBRATION_DATA, "HT_PASS_READS_CALIBRATION_DATA", "calibration data", error))
    return NULL;
  if (self->calibration == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                 "the pass needs calibration data and there are none; give them as 'data.calibration'");
  return self->calibration;
}

/**
 * ht_pass_context_get_batch:
 * @self: a context
 *
 * Gets how many samples of the calibration data are to be run at once.
 *
 * Returns: the batch size, at least 1
 */
guint
ht_pass_context_get_batch (HtPassContext *self)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), 1);
  return MAX (self->batch, 1);
}

/**
 * ht_pass_context_get_quantization:
 * @self: a context
 * @error: return location for an error
 *
 * Gets the quantization settings. The pass must declare %HT_PASS_READS_WEIGHT_SETTINGS or
 * %HT_PASS_READS_ACTIVATION_SETTINGS (%HT_ERROR_INVALID_ARGUMENT). Settings of the kind that it does not declare are
 * those of the target, whatever the recipe says, in the rules for single nodes too.
 *
 * Returns: (transfer none) (nullable): the settings, or %NULL on failure
 */
HtQuantizationConfig *
ht_pass_context_get_quantization (HtPassContext *self, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!require (self, HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS,
                "HT_PASS_READS_WEIGHT_SETTINGS or HT_PASS_READS_ACTIVATION_SETTINGS", "quantization settings", error))
    return NULL;
  if (self->config == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                 "the pass needs quantization settings and there are none; give them as 'quantization'");
  return self->config;
}

/**
 * ht_pass_context_create_simulation:
 * @self: a context
 * @state: a state
 * @error: return location for an error
 *
 * Makes a simulation of the graph of @state, with the encodings that the state has. The pass must declare what it reads
 * as for ht_pass_context_get_quantization().
 *
 * Returns: (transfer full) (nullable): a new simulation, or %NULL on failure
 */
HtSimulation *
ht_pass_context_create_simulation (HtPassContext *self, HtModelState *state, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), NULL);
  g_return_val_if_fail (HT_IS_MODEL_STATE (state), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  HtQuantizationConfig *config = ht_pass_context_get_quantization (self, error);
  if (config == NULL)
    return NULL;
  g_autoptr (HtSimulation) simulation = ht_simulation_new (ht_model_state_get_graph (state), config, error);
  if (simulation == NULL || !ht_simulation_load_state (simulation, state, error))
    return NULL;
  return g_steal_pointer (&simulation);
}

/**
 * ht_pass_context_get_reference:
 * @self: a context
 * @state: a state
 * @error: return location for an error
 *
 * Gets the reference network of @state. The pass must declare %HT_PASS_READS_REFERENCE_NETWORK
 * (%HT_ERROR_INVALID_ARGUMENT).
 *
 * Returns: (transfer none) (nullable): the floating-point network, or %NULL on failure
 */
HtGraph *
ht_pass_context_get_reference (HtPassContext *self, HtModelState *state, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), NULL);
  g_return_val_if_fail (HT_IS_MODEL_STATE (state), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!require (self, HT_PASS_READS_REFERENCE_NETWORK, "HT_PASS_READS_REFERENCE_NETWORK", "the reference network",
                error))
    return NULL;
  return ht_model_state_get_reference (state);
}

/**
 * ht_pass_context_get_seed:
 * @self: a context
 * @tensor: the name of a tensor
 *
 * Derives the seed of a random stream from the seed of the run, the id of the step and @tensor, so that neither the
 * order of the layers nor the number of threads matters: the first eight bytes, least significant first, of the SHA-256
 * of the seed (eight bytes, likewise), the id with its terminator and the name with its terminator.
 *
 * Returns: a seed
 */
guint64
ht_pass_context_get_seed (HtPassContext *self, const char *tensor)
{
  guint8 digest[32];
  gsize length = sizeof digest;
  guint64 seed;

  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), 0);
  g_return_val_if_fail (tensor != NULL, 0);

  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint64 run = GUINT64_TO_LE (self->seed);
  g_checksum_update (checksum, (const guchar *)&run, sizeof run);
  g_checksum_update (checksum, (const guchar *)self->step, (gssize)strlen (self->step) + 1);
  g_checksum_update (checksum, (const guchar *)tensor, (gssize)strlen (tensor) + 1);
  g_checksum_get_digest (checksum, digest, &length);
  memcpy (&seed, digest, sizeof seed);
  return GUINT64_FROM_LE (seed);
}

/**
 * ht_pass_context_get_memory_budget:
 * @self: a context
 *
 * Gets how much memory the user gives the run. A pass that keeps activations or matrices keeps to a part of it and
 * spills the rest below ht_pass_context_get_scratch_folder().
 *
 * Returns: bytes; 0 where the user named no limit
 */
guint64
ht_pass_context_get_memory_budget (HtPassContext *self)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), 0);
  return self->memory_budget;
}

/**
 * ht_pass_context_get_scratch_folder:
 * @self: a context of a step that is running
 * @error: return location for an error
 *
 * Gets a folder for temporary files, made when it is asked for first. It is removed with all that is in it when the
 * step ends.
 *
 * Returns: (transfer none) (nullable) (type filename): the folder, or %NULL where it cannot be made
 */
const char *
ht_pass_context_get_scratch_folder (HtPassContext *self, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self) && self->scratch != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  return ht_scratch_folder_get_path (self->scratch, error);
}

/* FALSE without an error: none are kept. The key is made when it is needed first: it reads all data. */
static gboolean
open_checkpoints (HtPassContext *self, GError **error)
{
  if (self->checkpoints != NULL)
    return TRUE;
  if (self->checkpoint_folder == NULL || self->parent == NULL)
    return FALSE;
  HtPassContextSetup setup = { .step = self->step,
                               .pass = self->pass,
                               .config = self->config,
                               .calibration = self->calibration,
                               .batch = self->batch,
                               .seed = self->seed,
                               .parent = self->parent };
  g_autofree char *key = ht_checkpoint_key (&setup, error);
  if (key == NULL)
    return FALSE;
  g_autofree char *folder = g_build_filename (self->checkpoint_folder, key, NULL);
  self->checkpoints = ht_checkpoints_new (folder);
  return TRUE;
}

/**
 * ht_pass_context_keeps_checkpoints:
 * @self: a context
 *
 * Says whether what ht_pass_context_store_checkpoint() is given will be kept, so that a pass need not make it in vain.
 *
 * Returns: whether checkpoints are kept
 */
gboolean
ht_pass_context_keeps_checkpoints (HtPassContext *self)
{
  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self), FALSE);
  return self->checkpoint_folder != NULL && self->parent != NULL;
}

/**
 * ht_pass_context_store_checkpoint:
 * @self: a context
 * @name: what it is, usually a layer: a name within the step
 * @data: what is needed to take up the work there
 * @error: return location for an error
 *
 * Keeps a piece of finished work, so that a run that is killed or interrupted can be taken up. It is written to a
 * temporary name and renamed: whatever happens, it is there as a whole or not at all. It is found again by a step of
 * the same technique (id, version and module), parameters, id, seed, data, batch size and settings, on the same state
 * and the same class of processors, and by no other. Where no checkpoints are kept nothing is done.
 *
 * Returns: %FALSE with @error set where it could not be written; the pass may go on
 */
gboolean
ht_pass_context_store_checkpoint (HtPassContext *self, const char *name, GBytes *data, GError **error)
{
  g_autoptr (GError) local = NULL;

  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self) && name != NULL && data != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (open_checkpoints (self, &local))
    return ht_checkpoints_store (self->checkpoints, name, data, error);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/**
 * ht_pass_context_fetch_checkpoint:
 * @self: a context
 * @name: what it is
 *
 * Gets what a step that does the same work stored under @name, in this run or in an earlier one that did not end. A
 * file that is damaged is as good as none; the report notes it.
 *
 * Returns: (transfer full) (nullable): the data, or %NULL where there are none
 */
GBytes *
ht_pass_context_fetch_checkpoint (HtPassContext *self, const char *name)
{
  g_autoptr (GError) error = NULL;

  g_return_val_if_fail (HT_IS_PASS_CONTEXT (self) && name != NULL, NULL);

  GBytes *data = open_checkpoints (self, &error) ? ht_checkpoints_fetch (self->checkpoints, name, &error) : NULL;
  if (error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("%s: computed again", error->message);
      ht_pass_context_note (self, name, text);
    }
  return data;
}

static void
remember (HtPassContext *self, guchar kind, const char *first, const char *second, const char *third, double value)
{
  g_ptr_array_add (self->log, g_variant_ref_sink (g_variant_new ("(ysssd)", kind, first, second, third, value)));
}

static void
add_entry (JsonArray *list, const char *subject, const char *key, const char *text)
{
  JsonObject *entry = json_object_new ();
  json_object_set_string_member (entry, "subject", subject);
  json_object_set_string_member (entry, key, text);
  json_array_add_object_element (list, entry);
}

/**
 * ht_pass_context_skip:
 * @self: a context
 * @subject: what was left out: a layer, a tensor, a pattern
 * @reason: why
 *
 * Lists in the report what the pass could not treat. Nothing is skipped in silence.
 */
void
ht_pass_context_skip (HtPassContext *self, const char *subject, const char *reason)
{
  g_return_if_fail (HT_IS_PASS_CONTEXT (self));
  g_return_if_fail (subject != NULL);
  g_return_if_fail (reason != NULL);
  add_entry (self->skipped, subject, "reason", reason);
  remember (self, TOLD_SKIP, subject, reason, "", 0.0);
}

/**
 * ht_pass_context_note:
 * @self: a context
 * @subject: what it is about
 * @text: what there is to say
 *
 * Adds a remark to the report.
 */
void
ht_pass_context_note (HtPassContext *self, const char *subject, const char *text)
{
  g_return_if_fail (HT_IS_PASS_CONTEXT (self));
  g_return_if_fail (subject != NULL);
  g_return_if_fail (text != NULL);
  add_entry (self->notes, subject, "text", text);
  remember (self, TOLD_NOTE, subject, text, "", 0.0);
}

/* The row of a subject: usually the last one. */
static JsonObject *
find_row (JsonArray *rows, const char *subject)
{
  for (guint i = json_array_get_length (rows); i > 0; i--)
    {
      JsonObject *row = json_array_get_object_element (rows, i - 1);
      if (g_str_equal (json_object_get_string_member (row, "subject"), subject))
        return row;
    }
  JsonObject *row = json_object_new ();
  json_object_set_string_member (row, "subject", subject);
  json_array_add_object_element (rows, row);
  return row;
}

static void
set_cell (JsonObject *tables, const char *table, const char *subject, const char *key, double value)
{
  if (!json_object_has_member (tables, table))
    json_object_set_array_member (tables, table, json_array_new ());
  JsonObject *row = find_row (json_object_get_array_member (tables, table), subject);
  if (isfinite (value))
    json_object_set_double_member (row, key, value);
  else
    json_object_set_null_member (row, key);
}

/**
 * ht_pass_context_add_row:
 * @self: a context
 * @table: the name of a table
 * @subject: the row: usually a layer
 * @key: the column
 * @value: the number; one that is not finite is reported as null
 *
 * Sets a number in a table of the report. It must be the same in each run; see ht_pass_context_add_timing().
 */
void
ht_pass_context_add_row (HtPassContext *self, const char *table, const char *subject, const char *key, double value)
{
  g_return_if_fail (HT_IS_PASS_CONTEXT (self));
  g_return_if_fail (table != NULL);
  g_return_if_fail (subject != NULL);
  g_return_if_fail (key != NULL);

  set_cell (self->tables, table, subject, key, value);
  remember (self, TOLD_ROW, table, subject, key, value);
}

/**
 * ht_pass_context_add_timing:
 * @self: a context
 * @table: the name of a table
 * @subject: the row: usually a layer
 * @key: the column: `seconds`, `peak-bytes`
 * @value: the number
 *
 * Sets a number in a table of the report's `timings`, which hold what differs between two runs of one recipe.
 */
void
ht_pass_context_add_timing (HtPassContext *self, const char *table, const char *subject, const char *key, double value)
{
  g_return_if_fail (HT_IS_PASS_CONTEXT (self));
  g_return_if_fail (table != NULL);
  g_return_if_fail (subject != NULL);
  g_return_if_fail (key != NULL);

  set_cell (self->timings, table, subject, key, value);
  remember (self, TOLD_TIMING, table, subject, key, value);
}

void
ht_pass_context_collect (HtPassContext *self, JsonObject *report)
{
  json_object_set_array_member (report, "notes", json_array_ref (self->notes));
  json_object_set_array_member (report, "skipped", json_array_ref (self->skipped));
  json_object_set_object_member (report, "tables", json_object_ref (self->tables));
}

JsonObject *
ht_pass_context_get_timings (HtPassContext *self)
{
  return json_object_get_size (self->timings) > 0 ? json_object_ref (self->timings) : NULL;
}

guint
ht_pass_context_get_log_length (HtPassContext *self)
{
  return self->log->len;
}

GVariant *
ht_pass_context_get_log (HtPassContext *self, guint first)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE (HT_PASS_CONTEXT_LOG_TYPE));
  for (guint i = first; i < self->log->len; i++)
    g_variant_builder_add_value (&builder, g_ptr_array_index (self->log, i));
  return g_variant_builder_end (&builder);
}

void
ht_pass_context_tell_again (HtPassContext *self, GVariant *log)
{
  GVariantIter iter;
  guchar kind;
  const char *first, *second, *third;
  double value;

  g_variant_iter_init (&iter, log);
  while (g_variant_iter_next (&iter, "(y&s&s&sd)", &kind, &first, &second, &third, &value))
    if (kind == TOLD_NOTE)
      ht_pass_context_note (self, first, second);
    else if (kind == TOLD_SKIP)
      ht_pass_context_skip (self, first, second);
    else if (kind == TOLD_ROW)
      ht_pass_context_add_row (self, first, second, third, value);
    else
      ht_pass_context_add_timing (self, first, second, third, value);
}
