/* SPDX-License-Identifier: MIT */
/* Runs an exported file beside the simulation that it was written from. */
#include "quant/verify-runtime.h"
#include "quant/verify-tensors.h"

#include "data/choices.h"
#include "graph/tensor-private.h"

#include <halftone/error.h>
#include <math.h>
#include <string.h>

/**
 * HtVerification:
 *
 * Compares an exported Q/DQ file with its simulation. Each layer is compared alone: the file's layer is given what the
 * simulation's layer reads, and what it makes may be one step of the grid off, as sums in another order are. Then the
 * whole file is run, without graph optimizations and with the runtime's default ones, and its choices are compared.
 *
 * It runs in onnxruntime where that is installed, which is found when the program runs, or by the operators of
 * Halftone.
 */
struct _HtVerification
{
  GObject parent_instance;

  HtSimulation *simulation;
  char *path;
  HtGraph *file;
  HtVerifyRuntime *runtime;
  char *runtime_name;
  GPtrArray *tensors; /* HtVerifiedTensor */
  guint n_samples;
  struct
  {
    gboolean ran;
    guint64 n_choices, n_same;
    double difference;
  } outputs[2]; /* without and with graph optimizations */
};

G_DEFINE_FINAL_TYPE (HtVerification, ht_verification, G_TYPE_OBJECT)

/* Choices that may differ: the runtimes differ from themselves that often. */
#define LEAST_AGREEMENT 0.99

static void
ht_verification_finalize (GObject *object)
{
  HtVerification *self = HT_VERIFICATION (object);

  g_clear_object (&self->simulation);
  g_clear_object (&self->file);
  g_clear_pointer (&self->runtime, ht_verify_runtime_free);
  g_clear_pointer (&self->tensors, g_ptr_array_unref);
  g_free (self->runtime_name);
  g_free (self->path);
  G_OBJECT_CLASS (ht_verification_parent_class)->finalize (object);
}

static void
ht_verification_class_init (HtVerificationClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_verification_finalize;
}

static void
ht_verification_init (HtVerification *self)
{
}

static gboolean
check_outputs (HtVerification *self, GError **error)
{
  const char *const *names = ht_graph_get_outputs (ht_simulation_get_graph (self->simulation));

  for (guint i = 0; names[i]; i++)
    if (!ht_graph_is_output (self->file, names[i]))
      {
        g_set_error (
            error, HT_ERROR, HT_ERROR_INVALID_MODEL,
            "verifying '%s': it has no output '%s', which the network has; give the file that was exported from it",
            self->path, names[i]);
        return FALSE;
      }
  return TRUE;
}

/**
 * ht_verification_new:
 * @simulation: a simulation with its encodings
 * @path: (type filename): the file that was written from it
 * @runtime: who shall run the file
 * @error: return location for an error
 *
 * Loads a file and finds the tensors of the simulation in it. The environment variable `HALFTONE_ONNXRUNTIME` names the
 * file of onnxruntime's library or a folder with it; without it the system's libraries are looked through; empty, it
 * means that there is none.
 *
 * Returns: (transfer full) (nullable): the verification, or %NULL with @error set when the file cannot be read or has
 *   other outputs, or when the runtime cannot be loaded
 */
HtVerification *
ht_verification_new (HtSimulation *simulation, const char *path, HtVerificationRuntime runtime, GError **error)
{
  g_autoptr (HtVerification) self = NULL;

  g_return_val_if_fail (HT_IS_SIMULATION (simulation) && path != NULL, NULL);

  self = g_object_new (HT_TYPE_VERIFICATION, NULL);
  self->simulation = g_object_ref (simulation);
  self->path = g_strdup (path);
  self->runtime = ht_verify_runtime_open (runtime, error);
  if (!self->runtime)
    return NULL;
  self->runtime_name = ht_verify_runtime_describe (self->runtime);
  self->file = ht_graph_load (path, error);
  if (!self->file || !ht_graph_sort (self->file, error) || !check_outputs (self, error))
    return NULL;
  self->tensors = ht_verify_list_tensors (simulation, self->file, error);
  return self->tensors ? g_steal_pointer (&self) : NULL;
}

/* ---- Running ---- */

typedef struct
{
  HtVerification *self;
  GCancellable *cancellable;
  HtExecutor *simulated;
  HtVerifyProgram *alone, *whole, *optimized; /* the last one is onnxruntime's only */
  GPtrArray *taps;                            /* names in the simulation, NULL-terminated */
  GPtrArray *places;                          /* names in the file of what runs make, NULL-terminated */
  GPtrArray *constants;                       /* the same of constants */
  GHashTable *stand_ins;                      /* name in the simulation -> input of the program `alone` */
  GHashTable *values; /* of the batch at hand: name -> HtTensor, what the simulation's layers make */
  GError *problem;    /* why one of them could not be kept */
} Comparison;

static gboolean
is_compared (HtVerifiedTensor *tensor)
{
  return !tensor->constant && tensor->place;
}

static void
add_output (HtGraph *graph, const char *name)
{
  if (!ht_graph_is_output (graph, name))
    ht_graph_add_output (graph, name, HT_DATA_TYPE_FLOAT, NULL);
}

/* The file with every quantized tensor as an output. */
static HtGraph *
expose_tensors (HtVerification *self)
{
  HtGraph *graph = ht_graph_copy (self->file);

  for (guint i = 0; i < self->tensors->len; i++)
    {
      HtVerifiedTensor *tensor = g_ptr_array_index (self->tensors, i);

      if (tensor->place)
        add_output (graph, tensor->place);
    }
  return graph;
}

/* The same, but what reads such a tensor reads an input in its place: so every layer can be given the right values. */
static HtGraph *
cut_at_tensors (HtVerification *self, GHashTable *stand_ins)
{
  HtGraph *graph = expose_tensors (self);

  for (guint i = 0; i < self->tensors->len; i++)
    {
      HtVerifiedTensor *tensor = g_ptr_array_index (self->tensors, i);
      g_autofree char *stem = NULL, *name = NULL;

      if (!is_compared (tensor) || ht_graph_count_uses (graph, tensor->place) == 0)
        continue;
      stem = g_strdup_printf ("%s_given", tensor->name);
      name = ht_graph_make_name (graph, stem);
      ht_graph_add_input (graph, name, HT_DATA_TYPE_FLOAT, NULL);
      ht_graph_replace_uses (graph, tensor->place, name);
      g_hash_table_insert (stand_ins, g_strdup (tensor->name), g_steal_pointer (&name));
    }
  return graph;
}

static gboolean
prepare (Comparison *run, GError **error)
{
  HtVerification *self = run->self;
  g_autoptr (HtGraph) exposed = expose_tensors (self);
  g_autoptr (HtGraph) cut = cut_at_tensors (self, run->stand_ins);

  for (guint i = 0; i < self->tensors->len; i++)
    {
      HtVerifiedTensor *tensor = g_ptr_array_index (self->tensors, i);

      if (is_compared (tensor))
        {
          g_ptr_array_add (run->taps, tensor->name);
          g_ptr_array_add (run->places, tensor->place);
        }
      else if (tensor->place)
        g_ptr_array_add (run->constants, tensor->place);
    }
  g_ptr_array_add (run->taps, NULL);
  g_ptr_array_add (run->places, NULL);
  g_ptr_array_add (run->constants, NULL);
  run->simulated = ht_simulation_create_executor (self->simulation, error);
  if (!run->simulated)
    return FALSE;
  run->alone = ht_verify_program_new (self->runtime, cut, NULL, FALSE, error);
  run->whole = run->alone ? ht_verify_program_new (self->runtime, exposed, NULL, FALSE, error) : NULL;
  if (run->whole && !ht_verify_runtime_is_own (self->runtime))
    run->optimized = ht_verify_program_new (self->runtime, self->file, self->path, TRUE, error);
  return run->whole && (run->optimized || ht_verify_runtime_is_own (self->runtime));
}

static void
keep_value (const char *name, HtTensor *value, gpointer user_data)
{
  Comparison *run = user_data;
  HtTensor *copy = run->problem ? NULL : ht_tensor_copy (value, &run->problem);

  if (copy)
    g_hash_table_replace (run->values, g_strdup (name), copy);
}

/* Nothing is left out of the comparison. */
static gboolean
check_values (Comparison *run, GError **error)
{
  if (run->problem)
    {
      g_propagate_error (error, g_steal_pointer (&run->problem));
      return FALSE;
    }
  for (guint i = 0; i + 1 < run->taps->len; i++)
    if (!g_hash_table_contains (run->values, g_ptr_array_index (run->taps, i)))
      {
        g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                     "verifying tensor '%s': the simulation did not make it on this data",
                     (const char *)g_ptr_array_index (run->taps, i));
        return FALSE;
      }
  return TRUE;
}

static gboolean
compare_tensors (Comparison *run, GHashTable *made, gboolean whole, GError **error)
{
  for (guint i = 0; i < run->self->tensors->len; i++)
    {
      HtVerifiedTensor *tensor = g_ptr_array_index (run->self->tensors, i);

      if (is_compared (tensor)
          && !ht_deviation_add (whole ? &tensor->whole : &tensor->alone, tensor->name,
                                g_hash_table_lookup (run->values, tensor->name),
                                g_hash_table_lookup (made, tensor->place), tensor->encoding, error))
        return FALSE;
    }
  return TRUE;
}

/* Constants depend on no input: once is enough. */
static gboolean
compare_constants (Comparison *run, GHashTable *inputs, GError **error)
{
  g_autoptr (GHashTable) made = NULL;

  if (run->constants->len <= 1)
    return TRUE;
  made
      = ht_verify_program_run (run->whole, inputs, (const char *const *)run->constants->pdata, run->cancellable, error);
  if (!made)
    return FALSE;
  for (guint i = 0; i < run->self->tensors->len; i++)
    {
      HtVerifiedTensor *tensor = g_ptr_array_index (run->self->tensors, i);
      HtTensor *found = tensor->place ? g_hash_table_lookup (made, tensor->place) : NULL;

      if (tensor->constant && found
          && !ht_deviation_add (&tensor->alone, tensor->name, tensor->constant, found, tensor->encoding, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
run_alone (Comparison *run, GHashTable *inputs, GError **error)
{
  g_autoptr (GHashTable) given = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) made = NULL;
  GHashTableIter iter;
  gpointer name, value;

  if (run->places->len <= 1)
    return TRUE;
  g_hash_table_iter_init (&iter, inputs);
  while (g_hash_table_iter_next (&iter, &name, &value))
    g_hash_table_insert (given, name, value);
  g_hash_table_iter_init (&iter, run->stand_ins);
  while (g_hash_table_iter_next (&iter, &name, &value))
    g_hash_table_insert (given, value, g_hash_table_lookup (run->values, name));
  made = ht_verify_program_run (run->alone, given, (const char *const *)run->places->pdata, run->cancellable, error);
  return made && compare_tensors (run, made, FALSE, error);
}

/* The largest difference of two tensors; infinite where they cannot be compared element by element. */
static double
measure_difference (HtTensor *a, HtTensor *b)
{
  double largest = 0;

  if (ht_tensor_equal (a, b))
    return 0;
  if (!ht_data_type_is_numeric (ht_tensor_get_data_type (a)) || !ht_data_type_is_numeric (ht_tensor_get_data_type (b))
      || ht_tensor_get_n_elements (a) != ht_tensor_get_n_elements (b))
    return INFINITY;
  for (gsize i = 0; i < ht_tensor_get_n_elements (a); i++)
    {
      double x = ht_tensor_get_double (a, i), y = ht_tensor_get_double (b, i);

      if (x != y && !(isnan (x) && isnan (y)))
        largest = isnan (x - y) ? INFINITY : fmax (largest, fabs (x - y));
    }
  return largest;
}

static void
compare_outputs (HtVerification *self, GHashTable *expected, GHashTable *made, guint n_samples, guint n_rows,
                 gboolean optimized)
{
  const char *const *names = ht_graph_get_outputs (ht_simulation_get_graph (self->simulation));
  HtTensor *a = g_hash_table_lookup (expected, names[0]), *b = g_hash_table_lookup (made, names[0]);
  gsize n = ht_count_choices (a, n_rows);

  self->outputs[optimized].ran = TRUE;
  for (guint i = 0; names[i]; i++)
    {
      double difference
          = measure_difference (g_hash_table_lookup (expected, names[i]), g_hash_table_lookup (made, names[i]));

      self->outputs[optimized].difference = fmax (self->outputs[optimized].difference, difference);
    }
  if (n < 2 || ht_tensor_get_data_type (a) != HT_DATA_TYPE_FLOAT || ht_tensor_get_data_type (b) != HT_DATA_TYPE_FLOAT
      || ht_tensor_get_n_elements (b) != ht_tensor_get_n_elements (a) || ht_tensor_get_dim (a, 0) != (gint64)n_rows)
    return;
  const float *x = ht_tensor_get_data (a), *y = ht_tensor_get_data (b);
  gsize n_choices = ht_tensor_get_n_elements (a) / n_rows * n_samples / n;
  for (gsize i = 0; i < n_choices; i++)
    self->outputs[optimized].n_same += ht_find_best_class (x + i * n, n) == ht_find_best_class (y + i * n, n);
  self->outputs[optimized].n_choices += n_choices;
}

static gboolean
compare_batch (Comparison *run, HtDataset *dataset, guint first, guint n_samples, GError **error)
{
  HtVerification *self = run->self;
  const char *const *outputs = ht_graph_get_outputs (ht_simulation_get_graph (self->simulation));
  g_autoptr (GHashTable) inputs = ht_dataset_get_batch (dataset, first, n_samples, error);
  guint n_rows = MAX (n_samples, ht_dataset_get_batch_size (dataset, n_samples));
  g_autoptr (GHashTable) expected = NULL;
  g_autoptr (GHashTable) shown = NULL;
  g_autoptr (GHashTable) whole = NULL;
  g_autoptr (GHashTable) optimized = NULL;
  g_autoptr (GPtrArray) wanted = g_ptr_array_new ();

  if (!inputs)
    return FALSE;
  g_hash_table_remove_all (run->values);
  expected = ht_executor_run (run->simulated, inputs, outputs, run->cancellable, error);
  shown = expected ? ht_executor_run_tapped (run->simulated, inputs, outputs, (const char *const *)run->taps->pdata,
                                             keep_value, run, run->cancellable, error)
                   : NULL;
  if (!shown || !check_values (run, error) || (first == 0 && !compare_constants (run, inputs, error))
      || !run_alone (run, inputs, error))
    return FALSE;
  for (guint i = 0; outputs[i]; i++)
    g_ptr_array_add (wanted, (gpointer)outputs[i]);
  for (guint i = 0; i + 1 < run->places->len; i++)
    if (!g_strv_contains (outputs, g_ptr_array_index (run->places, i)))
      g_ptr_array_add (wanted, g_ptr_array_index (run->places, i));
  g_ptr_array_add (wanted, NULL);
  whole = ht_verify_program_run (run->whole, inputs, (const char *const *)wanted->pdata, run->cancellable, error);
  if (!whole || !compare_tensors (run, whole, TRUE, error))
    return FALSE;
  compare_outputs (self, expected, whole, n_samples, n_rows, FALSE);
  if (!run->optimized)
    return TRUE;
  optimized = ht_verify_program_run (run->optimized, inputs, outputs, run->cancellable, error);
  if (optimized)
    compare_outputs (self, expected, optimized, n_samples, n_rows, TRUE);
  return optimized != NULL;
}

static void
comparison_clear (Comparison *run)
{
  g_clear_object (&run->simulated);
  g_clear_pointer (&run->alone, ht_verify_program_free);
  g_clear_pointer (&run->whole, ht_verify_program_free);
  g_clear_pointer (&run->optimized, ht_verify_program_free);
  g_ptr_array_unref (run->taps);
  g_ptr_array_unref (run->places);
  g_ptr_array_unref (run->constants);
  g_hash_table_unref (run->stand_ins);
  g_hash_table_unref (run->values);
  g_clear_error (&run->problem);
}

static gboolean
compare_all (Comparison *run, HtDataset *dataset, guint step, HtProgressFunc progress, gpointer user_data,
             GError **error)
{
  guint n = ht_dataset_get_n_samples (dataset);

  if (!prepare (run, error))
    return FALSE;
  for (guint first = 0; first < n; first += step)
    {
      if (!compare_batch (run, dataset, first, MIN (step, n - first), error))
        return FALSE;
      if (progress)
        progress ((double)MIN (first + step, n) / n, "comparing", user_data);
    }
  run->self->n_samples = n;
  return TRUE;
}

/**
 * ht_verification_run:
 * @self: a verification that has not run
 * @dataset: samples, bound to the network
 * @batch: samples at a time; 0 for 8. All quantized tensors of a batch are in memory
 * @progress: (scope call) (nullable) (closure user_data): called as the work goes on
 * @user_data: for @progress
 * @cancellable: (nullable): stops the work
 * @error: return location for an error
 *
 * Runs simulation and file on all samples and compares them.
 *
 * Returns: %TRUE, whether they agree or not, or %FALSE with @error set
 */
gboolean
ht_verification_run (HtVerification *self, HtDataset *dataset, guint batch, HtProgressFunc progress, gpointer user_data,
                     GCancellable *cancellable, GError **error)
{
  Comparison run = { .self = self, .cancellable = cancellable };
  gboolean done;

  g_return_val_if_fail (HT_IS_VERIFICATION (self) && HT_IS_DATASET (dataset), FALSE);

  if (ht_dataset_get_n_samples (dataset) == 0)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA, "nothing to compare: the data set is empty");
      return FALSE;
    }
  run.taps = g_ptr_array_new ();
  run.places = g_ptr_array_new ();
  run.constants = g_ptr_array_new ();
  run.stand_ins = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  run.values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  done = compare_all (&run, dataset, ht_dataset_get_batch_size (dataset, batch > 0 ? batch : 8), progress, user_data,
                      error);
  comparison_clear (&run);
  return done;
}

/* ---- Results ---- */

/**
 * ht_verification_get_runtime:
 * @self: a verification
 *
 * Tells who runs the file.
 *
 * Returns: (transfer none): "onnxruntime" with its version, or "the operators of Halftone"
 */
const char *
ht_verification_get_runtime (HtVerification *self)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), NULL);

  return self->runtime_name;
}

/**
 * ht_verification_list_tensors:
 * @self: a verification
 *
 * Lists the quantized tensors in graph order: network inputs, then for each node its constants, its bias, what it
 * makes.
 *
 * Returns: (transfer container) (element-type HtVerifiedTensor): the tensors
 */
GPtrArray *
ht_verification_list_tensors (HtVerification *self)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), NULL);

  return g_ptr_array_ref (self->tensors);
}

/**
 * ht_verification_get_first_difference:
 * @self: a verification
 *
 * Finds where simulation and file part.
 *
 * Returns: (transfer none) (nullable): the first tensor in graph order that does not agree, or %NULL
 */
HtVerifiedTensor *
ht_verification_get_first_difference (HtVerification *self)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), NULL);

  for (guint i = 0; i < self->tensors->len; i++)
    if (!ht_verified_tensor_agrees (g_ptr_array_index (self->tensors, i)))
      return g_ptr_array_index (self->tensors, i);
  return NULL;
}

/**
 * ht_verification_get_n_samples:
 * @self: a verification that has run
 *
 * Counts the samples that were compared.
 *
 * Returns: their number
 */
guint
ht_verification_get_n_samples (HtVerification *self)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), 0);

  return self->n_samples;
}

/**
 * ht_verification_get_agreement:
 * @self: a verification that has run
 * @optimized: with onnxruntime's default graph optimizations, or without any
 *
 * Gets how often the whole file chooses what the simulation chooses: arg max of the first output along its classes, or
 * along its last axis where it has more axes.
 *
 * Returns: a share, NaN where the output chooses nothing or that did not run
 */
double
ht_verification_get_agreement (HtVerification *self, gboolean optimized)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), NAN);

  return self->outputs[optimized != FALSE].n_choices == 0
             ? NAN
             : (double)self->outputs[optimized != FALSE].n_same / (double)self->outputs[optimized != FALSE].n_choices;
}

/**
 * ht_verification_get_output_difference:
 * @self: a verification that has run
 * @optimized: with onnxruntime's default graph optimizations, or without any
 *
 * Gets the largest difference of any output of the whole file from the simulation's.
 *
 * Returns: a difference of values, NaN where that did not run
 */
double
ht_verification_get_output_difference (HtVerification *self, gboolean optimized)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), NAN);

  return self->outputs[optimized != FALSE].ran ? self->outputs[optimized != FALSE].difference : NAN;
}

/**
 * ht_verification_agrees:
 * @self: a verification that has run
 *
 * Judges the file: every tensor agrees (ht_verified_tensor_agrees()), and the whole file chooses the same on 99 % of
 * the samples or on all but one, with and without graph optimizations. An output of other elements, or infinitely off,
 * never agrees.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_verification_agrees (HtVerification *self)
{
  g_return_val_if_fail (HT_IS_VERIFICATION (self), FALSE);

  for (guint i = 0; i < G_N_ELEMENTS (self->outputs); i++)
    {
      guint64 n_choices = self->outputs[i].n_choices, n_other = n_choices - self->outputs[i].n_same;

      if (n_other > 1 && (double)n_other > (1 - LEAST_AGREEMENT) * (double)n_choices)
        return FALSE;
      if (self->outputs[i].ran && isinf (self->outputs[i].difference))
        return FALSE;
    }
  return self->n_samples > 0 && ht_verification_get_first_difference (self) == NULL;
}

/* JSON has no infinity and no NaN. */
static void
set_number (JsonObject *object, const char *name, double value)
{
  if (isfinite (value))
    json_object_set_double_member (object, name, value);
  else if (isinf (value))
    json_object_set_string_member (object, name, "infinite");
}

static JsonObject *
describe_tensor (HtVerifiedTensor *tensor)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "tensor", tensor->name);
  json_object_set_string_member (object, "layer", tensor->layer);
  json_object_set_boolean_member (object, "constant", tensor->constant != NULL);
  json_object_set_boolean_member (object, "agrees", ht_verified_tensor_agrees (tensor));
  set_number (object, "max-steps", ht_deviation_get_maximum (&tensor->alone));
  set_number (object, "mean-steps", ht_deviation_get_mean (&tensor->alone));
  set_number (object, "whole-max-steps", ht_deviation_get_maximum (&tensor->whole));
  set_number (object, "whole-mean-steps", ht_deviation_get_mean (&tensor->whole));
  if (tensor->problem)
    json_object_set_string_member (object, "problem", tensor->problem);
  return object;
}

static JsonObject *
describe_outputs (HtVerification *self, gboolean optimized)
{
  JsonObject *object = json_object_new ();

  set_number (object, "same-choice", ht_verification_get_agreement (self, optimized));
  set_number (object, "max-difference", ht_verification_get_output_difference (self, optimized));
  return object;
}

/**
 * ht_verification_to_json:
 * @self: a verification that has run
 *
 * Writes all of the results.
 *
 * Returns: (transfer full): a JSON object
 */
JsonNode *
ht_verification_to_json (HtVerification *self)
{
  JsonObject *object;
  JsonArray *tensors;
  HtVerifiedTensor *first;
  JsonNode *node;

  g_return_val_if_fail (HT_IS_VERIFICATION (self), NULL);

  object = json_object_new ();
  first = ht_verification_get_first_difference (self);
  json_object_set_string_member (object, "file", self->path);
  json_object_set_string_member (object, "runtime", self->runtime_name);
  json_object_set_int_member (object, "samples", self->n_samples);
  json_object_set_boolean_member (object, "agrees", ht_verification_agrees (self));
  if (first)
    json_object_set_object_member (object, "first-difference", describe_tensor (first));
  json_object_set_object_member (object, "outputs", describe_outputs (self, FALSE));
  if (self->outputs[1].ran)
    json_object_set_object_member (object, "optimized-outputs", describe_outputs (self, TRUE));
  tensors = json_array_new ();
  for (guint i = 0; i < self->tensors->len; i++)
    json_array_add_object_element (tensors, describe_tensor (g_ptr_array_index (self->tensors, i)));
  json_object_set_array_member (object, "tensors", tensors);
  node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  return node;
}
