/* SPDX-License-Identifier: MIT */
#include "pass/pass-context-private.h"

#include "pass/pass-private.h"
#include "quant/quantization-config.h"

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
  JsonArray *notes;
  JsonArray *skipped;
  JsonObject *tables;
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
  return self;
}

void
ht_pass_context_end (HtPassContext *self)
{
  self->progress = NULL;
  self->progress_data = NULL;
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

/**
 * ht_pass_context_add_row:
 * @self: a context
 * @table: the name of a table
 * @subject: the row: usually a layer
 * @key: the column
 * @value: the number; one that is not finite is reported as null
 *
 * Sets a number in a table of the report.
 */
void
ht_pass_context_add_row (HtPassContext *self, const char *table, const char *subject, const char *key, double value)
{
  g_return_if_fail (HT_IS_PASS_CONTEXT (self));
  g_return_if_fail (table != NULL);
  g_return_if_fail (subject != NULL);
  g_return_if_fail (key != NULL);

  if (!json_object_has_member (self->tables, table))
    json_object_set_array_member (self->tables, table, json_array_new ());
  JsonObject *row = find_row (json_object_get_array_member (self->tables, table), subject);
  if (isfinite (value))
    json_object_set_double_member (row, key, value);
  else
    json_object_set_null_member (row, key);
}

void
ht_pass_context_collect (HtPassContext *self, JsonObject *report)
{
  json_object_set_array_member (report, "notes", json_array_ref (self->notes));
  json_object_set_array_member (report, "skipped", json_array_ref (self->skipped));
  json_object_set_object_member (report, "tables", json_object_ref (self->tables));
}
