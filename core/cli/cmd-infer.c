/* SPDX-License-Identifier: MIT */
/* Runs a network on arrays and writes outputs and tapped tensors, batch by batch where one is asked for. */
#include "cli/cli.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  GHashTable *inputs; /* name -> HtTensor */
  GHashTable *pieces; /* name -> GPtrArray of HtTensor: what each batch gave */
  GPtrArray *names;   /* of pieces, in the order in which they came */
} Inference;

static gboolean
load_inputs (Inference *self, HtGraph *graph, char **files, GError **error)
{
  for (char **file = files; file != NULL && *file != NULL; file++)
    {
      const char *equals = strchr (*file, '=');
      const char *const *inputs = ht_graph_get_inputs (graph);
      g_autofree char *name = equals != NULL ? g_strndup (*file, (gsize)(equals - *file)) : g_strdup (inputs[0]);
      if (equals == NULL && (inputs[0] == NULL || inputs[1] != NULL))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                       "--input '%s' does not say which input it is for: write NAME=%s", *file, *file);
          return FALSE;
        }
      if (g_hash_table_contains (self->inputs, name))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                       "--input '%s': '%s' has a value already; give each once", *file, name);
          return FALSE;
        }
      HtTensor *tensor = ht_tensor_load_npy (equals != NULL ? equals + 1 : *file, error);
      if (tensor == NULL)
        return FALSE;
      g_hash_table_insert (self->inputs, g_steal_pointer (&name), tensor);
    }
  return TRUE;
}

static void
collect_matching (HtGraph *graph, GRegex *regex, GPtrArray *names)
{
  const char *const *inputs = ht_graph_get_inputs (graph);
  for (guint i = 0; inputs[i] != NULL; i++)
    if (g_regex_match (regex, inputs[i], 0, NULL))
      g_ptr_array_add (names, (gpointer)inputs[i]);
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        if (*ht_node_get_output (node, k) != '\0' && g_regex_match (regex, ht_node_get_output (node, k), 0, NULL))
          g_ptr_array_add (names, (gpointer)ht_node_get_output (node, k));
    }
}

static void
keep (Inference *self, const char *name, HtTensor *tensor)
{
  GPtrArray *pieces = g_hash_table_lookup (self->pieces, name);
  if (pieces == NULL)
    {
      pieces = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_tensor_unref);
      g_hash_table_insert (self->pieces, g_strdup (name), pieces);
      g_ptr_array_add (self->names, g_strdup (name));
    }
  g_ptr_array_add (pieces, tensor);
}

static void
keep_tapped (const char *name, HtTensor *value, gpointer user_data)
{
  HtTensor *copy = ht_tensor_copy (value, NULL);
  if (copy != NULL)
    keep (user_data, name, copy);
}

static HtTensor *
slice (HtTensor *tensor, gint64 first, gint64 n, GError **error)
{
  guint n_dims;
  const gint64 *all = ht_tensor_get_dims (tensor, &n_dims);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gsize row = ht_tensor_get_size (tensor) / (gsize)all[0];
  memcpy (dims, all, n_dims * sizeof *dims);
  dims[0] = n;
  g_autoptr (GBytes) bytes = ht_tensor_get_bytes (tensor);
  g_autoptr (GBytes) part = g_bytes_new_from_bytes (bytes, (gsize)first * row, (gsize)n * row);
  return ht_tensor_new_from_bytes (ht_tensor_get_data_type (tensor), dims, n_dims, part, error);
}

/* The number of samples that all inputs with a batch axis share; 0 where there is none to split. */
static gint64
count_samples (Inference *self, HtGraph *graph, GError **error)
{
  const char *first = NULL;
  gint64 n = 0;
  for (const char *const *names = ht_graph_get_inputs (graph); *names != NULL; names++)
    {
      const char *name = *names;
      HtTensor *value = g_hash_table_lookup (self->inputs, name);
      if (value == NULL || ht_tensor_get_n_dims (value) == 0)
        continue;
      gint64 own = ht_tensor_get_dim (value, 0);
      if (first != NULL && own != n)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                       "--batch splits the first axis of all inputs, but '%s' has %" G_GINT64_FORMAT
                       " there and '%s' %" G_GINT64_FORMAT "; run it without --batch",
                       first, n, name, own);
          return -1;
        }
      first = name;
      n = own;
    }
  return n;
}

static GHashTable *
slice_inputs (Inference *self, gint64 first, gint64 n, GError **error)
{
  g_autoptr (GHashTable) batch
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  GHashTableIter iter;
  gpointer name, value;
  g_hash_table_iter_init (&iter, self->inputs);
  while (g_hash_table_iter_next (&iter, &name, &value))
    {
      HtTensor *part = ht_tensor_get_n_dims (value) > 0 ? slice (value, first, n, error) : ht_tensor_ref (value);
      if (part == NULL)
        return NULL;
      g_hash_table_insert (batch, g_strdup (name), part);
    }
  return g_steal_pointer (&batch);
}

static gboolean
run_once (Inference *self, HtExecutor *executor, GHashTable *inputs, const char *const *taps, GError **error)
{
  const char *const *outputs = ht_graph_get_outputs (ht_executor_get_graph (executor));
  g_autoptr (GHashTable) values
      = ht_executor_run_tapped (executor, inputs, outputs, taps, keep_tapped, self, cli_watch_interrupts (), error);
  if (values == NULL)
    return FALSE;
  for (guint i = 0; outputs[i] != NULL; i++)
    if (!g_strv_contains (taps, outputs[i]))
      keep (self, outputs[i], ht_tensor_ref (g_hash_table_lookup (values, outputs[i])));
  return TRUE;
}

static gboolean
run_all (Inference *self, HtExecutor *executor, const char *const *taps, gint64 batch, guint64 memory, GError **error)
{
  gint64 n = batch > 0 || memory > 0 ? count_samples (self, ht_executor_get_graph (executor), error) : 0;
  if (n < 0)
    return FALSE;
  if (memory > 0)
    {
      gint64 wanted = batch > 0 ? batch : CLAMP (n, 1, G_MAXINT);
      batch = cli_choose_batch (executor, self->inputs, (guint)wanted, memory, taps, error);
      if (batch == 0)
        return FALSE;
    }
  if (n == 0)
    return run_once (self, executor, self->inputs, taps, error);
  for (gint64 first = 0; first < n; first += batch)
    {
      g_autoptr (GHashTable) inputs = slice_inputs (self, first, MIN (batch, n - first), error);
      if (inputs == NULL || !run_once (self, executor, inputs, taps, error))
        return FALSE;
    }
  return TRUE;
}

/* Joins what the batches gave along the first axis. */
static HtTensor *
join (const char *name, GPtrArray *pieces, GError **error)
{
  HtTensor *first = g_ptr_array_index (pieces, 0);
  guint n_dims;
  const gint64 *like = ht_tensor_get_dims (first, &n_dims);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  if (pieces->len == 1)
    return ht_tensor_ref (first);
  memcpy (dims, like, n_dims * sizeof *dims);
  for (guint i = 1; i < pieces->len && n_dims > 0; i++)
    {
      HtTensor *piece = g_ptr_array_index (pieces, i);
      gboolean fits = ht_tensor_get_n_dims (piece) == n_dims;
      for (guint k = 1; fits && k < n_dims; k++)
        fits = ht_tensor_get_dim (piece, k) == dims[k];
      if (!fits)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                       "'%s' has another shape in each batch and cannot be joined: run without --batch", name);
          return NULL;
        }
      dims[0] += ht_tensor_get_dim (piece, 0);
    }
  if (n_dims == 0)
    return ht_tensor_ref (first);
  g_autoptr (HtTensor) joined = ht_tensor_new (ht_tensor_get_data_type (first), dims, n_dims, error);
  if (joined == NULL)
    return NULL;
  guint8 *target = ht_tensor_get_writable_data (joined);
  for (guint i = 0; i < pieces->len; i++)
    {
      HtTensor *piece = g_ptr_array_index (pieces, i);
      memcpy (target, ht_tensor_get_data (piece), ht_tensor_get_size (piece));
      target += ht_tensor_get_size (piece);
    }
  return g_steal_pointer (&joined);
}

/* Tensor names may hold anything; file names keep letters, digits, '.', '-' and '_', and the end of a long name. */
static char *
file_name (const char *tensor)
{
  gsize length = strlen (tensor);
  g_autofree char *safe = g_strdup (length > 200 ? tensor + length - 200 : tensor);
  for (char *c = safe; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && strchr (".-_", *c) == NULL)
      *c = '_';
  if (*safe == '.')
    *safe = '_';
  return g_strconcat (safe, ".npy", NULL);
}

static gboolean
write_all (Inference *self, const char *folder, GError **error)
{
  g_autoptr (GHashTable) taken = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (g_mkdir_with_parents (folder, 0755) != 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "cannot make the folder '%s': %s; give another one with --output",
                   folder, g_strerror (errno));
      return FALSE;
    }
  for (guint i = 0; i < self->names->len; i++)
    {
      const char *name = g_ptr_array_index (self->names, i);
      g_autofree char *plain = file_name (name);
      g_autofree char *file
          = g_hash_table_contains (taken, plain) ? g_strdup_printf ("%u-%s", i, plain) : g_strdup (plain);
      g_autofree char *path = g_build_filename (folder, file, NULL);
      g_autoptr (HtTensor) tensor = join (name, g_hash_table_lookup (self->pieces, name), error);
      if (tensor == NULL || !ht_tensor_save_npy (tensor, path, error))
        return FALSE;
      g_autofree char *text = ht_tensor_describe (tensor);
      g_print ("%s  %s  %s\n", path, name, text);
      g_hash_table_add (taken, g_steal_pointer (&file));
    }
  return TRUE;
}

/* A network that fixes the first dimension of all its inputs gets that many samples at a time, whatever was asked for.
 */
static gint64
choose_batch (Inference *self, HtGraph *graph, gint64 wanted)
{
  const char *const *inputs = ht_graph_get_inputs (graph);
  gint64 fixed = 0;
  gboolean splits = FALSE;
  for (guint i = 0; inputs[i] != NULL; i++)
    {
      HtShape *shape = ht_graph_get_shape (graph, inputs[i]);
      HtTensor *given = g_hash_table_lookup (self->inputs, inputs[i]);
      if (shape == NULL || given == NULL || ht_tensor_get_n_dims (given) == 0)
        continue;
      gint64 own = ht_shape_get_n_dims (shape) > 0 ? ht_shape_get_dim (shape, 0) : HT_DIM_UNKNOWN;
      if (own < 1 || (fixed != 0 && own != fixed) || ht_tensor_get_dim (given, 0) % own != 0)
        return wanted;
      splits |= ht_tensor_get_dim (given, 0) != own;
      fixed = own;
    }
  return splits ? fixed : wanted;
}

static gboolean
infer (Inference *self, const char *model, const char *encodings, const char *arithmetic, char **files,
       const char *folder, const char *tap, gint64 batch, guint64 memory, GError **error)
{
  g_autoptr (GPtrArray) taps = g_ptr_array_new ();
  g_autoptr (HtGraph) graph = ht_graph_load (model, error);
  if (graph == NULL || !ht_graph_infer_shapes (graph, error) || !load_inputs (self, graph, files, error))
    return FALSE;
  ht_graph_seal (graph);
  if (tap != NULL)
    {
      g_autoptr (GRegex) regex = g_regex_new (tap, 0, 0, error);
      if (regex == NULL)
        {
          g_prefix_error (error, "--tap: ");
          return FALSE;
        }
      collect_matching (graph, regex, taps);
      if (taps->len == 0)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND, "no tensor of '%s' has a name that '%s' matches", model,
                       tap);
          return FALSE;
        }
    }
  g_ptr_array_add (taps, NULL);
  g_autoptr (HtExecutor) executor = cli_open_executor (graph, encodings, arithmetic, error);
  return executor != NULL
         && run_all (self, executor, (const char *const *)taps->pdata, choose_batch (self, graph, batch), memory, error)
         && write_all (self, folder, error);
}

int
cli_infer (int argc, char **argv)
{
  g_auto (GStrv) files = NULL;
  g_autofree char *encodings = NULL, *arithmetic = NULL, *folder = NULL, *tap = NULL, *memory = NULL;
  guint64 budget;
  int batch = 0, threads = 0;
  GOptionEntry entries[]
      = { { "input", 'i', 0, G_OPTION_ARG_STRING_ARRAY, &files, "The value of an input", "NAME=FILE.npy" },
          { "encodings", 'e', 0, G_OPTION_ARG_FILENAME, &encodings, "Run the simulation with these encodings", "FILE" },
          { "arithmetic", 0, 0, G_OPTION_ARG_STRING, &arithmetic, CLI_ARITHMETIC_HELP, "WHOSE" },
          { "output", 'o', 0, G_OPTION_ARG_FILENAME, &folder, "Where to write TENSOR.npy; default: here", "FOLDER" },
          { "tap", 0, 0, G_OPTION_ARG_STRING, &tap, "Write the tensors whose names match, too", "REGEX" },
          { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Samples at a time, along the first axis", "N" },
          { "memory", 0, 0, G_OPTION_ARG_STRING, &memory, "Take smaller batches where this would be exceeded", "SIZE" },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { NULL } };
  int code = cli_parse (&argc, &argv, "infer", "MODEL", "run a network or its simulation on arrays", entries, NULL, 1);
  if (code < 0)
    code = cli_set_threads ("infer", threads);
  if (code < 0)
    code = cli_read_memory ("infer", memory, &budget);
  if (code < 0)
    code = cli_check_arithmetic ("infer", arithmetic);
  if (code >= 0)
    return code;
  if (batch < 0)
    return cli_usage ("infer", "--batch must be positive");
  if (arithmetic != NULL && encodings == NULL)
    return cli_usage ("infer", "--arithmetic needs --encodings");
  g_autoptr (GError) error = NULL;
  Inference self = { g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref),
                     g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref),
                     g_ptr_array_new_with_free_func (g_free) };
  cli_watch_interrupts ();
  gboolean done = infer (&self, argv[1], encodings, arithmetic, files, folder != NULL ? folder : ".", tap, batch, budget,
                         &error);
  g_hash_table_unref (self.inputs);
  g_hash_table_unref (self.pieces);
  g_ptr_array_unref (self.names);
  return done ? CLI_DONE : cli_fail (error);
}
