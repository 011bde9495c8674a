/* SPDX-License-Identifier: MIT */
/* Reads encodings in AIMET's format 1.0.0 and checks them against a simulation: all problems at once, with their place. */
#include "quant/encodings-file.h"

#include "base/located.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

typedef struct
{
  HtSimulation *simulation;
  gboolean partial;
  GPtrArray *problems;
  GHashTable *by_source; /* initializer -> tensor */
  GHashTable *found;     /* tensor -> HtEncoding */
  GPtrArray *extra;      /* names of tensors that the file quantizes and the target does not */
  GPtrArray *notes;      /* char * */
} Reader;

static void
complain (Reader *reader, HtLocatedNode *node, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
complain (Reader *reader, HtLocatedNode *node, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_ERROR_INVALID_DATA, "%s", text);
}

static void
complain_error (Reader *reader, HtLocatedNode *node, GError *error)
{
  ht_located_node_report_error (node, reader->problems, HT_ERROR_INVALID_DATA, error);
}

/* The value of a key that must be there; NULL after a complaint. */
static HtLocatedNode *
require (Reader *reader, HtLocatedNode *mapping, const char *key)
{
  HtLocatedNode *value = ht_located_node_lookup (mapping, key, NULL);

  if (!value)
    complain (reader, mapping, "the key '%s' is missing", key);
  return value;
}

static const char *
require_word (Reader *reader, HtLocatedNode *mapping, const char *key)
{
  g_autoptr (GError) error = NULL;
  HtLocatedNode *value = require (reader, mapping, key);
  const char *word = value ? ht_located_node_get_string (value, &error) : NULL;

  if (error)
    complain_error (reader, value, g_steal_pointer (&error));
  return word;
}

static void
check_keys (Reader *reader, HtLocatedNode *mapping, const char *const *known)
{
  for (guint i = 0; i < ht_located_node_get_n_children (mapping); i++)
    if (!g_strv_contains (known, ht_located_node_get_key (mapping, i)))
      {
        g_autofree char *all = g_strjoinv (", ", (char **) known);

        complain (reader, ht_located_node_get_key_node (mapping, i), "the key '%s' is not known; expected one of: %s",
                  ht_located_node_get_key (mapping, i), all);
      }
}

static double *
read_numbers (Reader *reader, HtLocatedNode *entry, const char *key, double minimum, double maximum, gsize *n_numbers)
{
  g_autoptr (GError) error = NULL;
  g_autofree double *numbers = NULL;
  HtLocatedNode *list = require (reader, entry, key);
  guint n;

  if (!list)
    return NULL;
  if (!ht_located_node_check_kind (list, HT_LOCATED_SEQUENCE, &error))
    {
      complain_error (reader, list, g_steal_pointer (&error));
      return NULL;
    }
  n = ht_located_node_get_n_children (list);
  if (n == 0)
    {
      complain (reader, list, "'%s' is empty; expected a number for each grid", key);
      return NULL;
    }
  numbers = g_new (double, n);
  for (guint i = 0; i < n; i++)
    if (!ht_located_node_get_double (ht_located_node_get_child (list, i), minimum, maximum, &numbers[i], &error))
      {
        complain_error (reader, ht_located_node_get_child (list, i), g_steal_pointer (&error));
        return NULL;
      }
  *n_numbers = n;
  return g_steal_pointer (&numbers);
}

static gint64 *
read_offsets (Reader *reader, HtLocatedNode *entry, gsize *n_offsets)
{
  g_autofree double *numbers = read_numbers (reader, entry, "offset", -4294967296.0, 0, n_offsets);
  g_autofree gint64 *offsets = NULL;

  if (!numbers)
    return NULL;
  offsets = g_new (gint64, *n_offsets);
  for (gsize i = 0; i < *n_offsets; i++)
    {
      if (numbers[i] != floor (numbers[i]))
        {
          complain (reader, ht_located_node_lookup (entry, "offset", NULL), "'offset' is %g; expected a whole number",
                    numbers[i]);
          return NULL;
        }
      offsets[i] = (gint64) numbers[i];
    }
  return g_steal_pointer (&offsets);
}

typedef struct
{
  guint bits;
  gboolean symmetric;
  gboolean per_channel;
  gsize n_grids;
  double *scales;
  gint64 *offsets;
} Entry;

static void
entry_clear (Entry *entry)
{
  g_free (entry->scales);
  g_free (entry->offsets);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Entry, entry_clear)

static gboolean
read_form (Reader *reader, HtLocatedNode *node, Entry *entry)
{
  g_autoptr (GError) error = NULL;
  const char *type = require_word (reader, node, "enc_type");
  const char *dtype = require_word (reader, node, "dtype");
  HtLocatedNode *bits = require (reader, node, "bw");
  HtLocatedNode *symmetric = require (reader, node, "is_sym");
  gint64 number = 0;

  if (!type || !dtype || !bits || !symmetric)
    return FALSE;
  if (strcmp (dtype, "INT") != 0)
    {
      complain (reader, ht_located_node_lookup (node, "dtype", NULL),
                "not yet supported here: 'dtype' is '%s'; expected 'INT'", dtype);
      return FALSE;
    }
  if (strcmp (type, "PER_TENSOR") != 0 && strcmp (type, "PER_CHANNEL") != 0)
    {
      complain (reader, ht_located_node_lookup (node, "enc_type", NULL),
                "not yet supported here: 'enc_type' is '%s'; expected 'PER_TENSOR' or 'PER_CHANNEL'", type);
      return FALSE;
    }
  entry->per_channel = strcmp (type, "PER_CHANNEL") == 0;
  if (!ht_located_node_get_int64 (bits, 2, 32, &number, &error))
    {
      complain_error (reader, bits, g_steal_pointer (&error));
      return FALSE;
    }
  entry->bits = (guint) number;
  if (!ht_located_node_get_boolean (symmetric, &entry->symmetric, &error))
    {
      complain_error (reader, symmetric, g_steal_pointer (&error));
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_grids (Reader *reader, HtLocatedNode *node, Entry *entry)
{
  gsize n_offsets = 0;

  entry->scales = read_numbers (reader, node, "scale", 0, G_MAXFLOAT, &entry->n_grids);
  entry->offsets = read_offsets (reader, node, &n_offsets);
  if (!entry->scales || !entry->offsets)
    return FALSE;
  if (entry->n_grids != n_offsets)
    {
      complain (reader, node, "'scale' has %" G_GSIZE_FORMAT " numbers and 'offset' %" G_GSIZE_FORMAT
                "; expected as many", entry->n_grids, n_offsets);
      return FALSE;
    }
  if (!entry->per_channel && entry->n_grids != 1)
    {
      complain (reader, node, "'scale' has %" G_GSIZE_FORMAT " numbers; expected 1, as 'enc_type' is 'PER_TENSOR'",
                entry->n_grids);
      return FALSE;
    }
  return TRUE;
}

/* AIMET does not write whether a grid is strict: its offset tells. */
static gboolean
looks_strict (const Entry *entry)
{
  return entry->symmetric && entry->bits <= 16 && entry->offsets[0] == 1 - ((gint64) 1 << (entry->bits - 1))
         && entry->bits > 2;
}

static HtEncoding *
make_encoding (Reader *reader, HtLocatedNode *node, const Entry *entry, HtQuantizer *quantizer, const char *tensor)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (HtEncoding) encoding = NULL;
  gint axis = entry->per_channel && quantizer ? ht_quantizer_get_channel_axis (quantizer) : -1;

  if (entry->per_channel && axis < 0)
    {
      complain (reader, node, "tensor '%s' is given one grid a channel; expected one for the whole tensor", tensor);
      return NULL;
    }
  encoding = ht_encoding_new (entry->bits, entry->symmetric, looks_strict (entry), axis, entry->scales, entry->offsets,
                              entry->n_grids, &error);
  if (encoding && (!quantizer || ht_simulation_check_encoding (reader->simulation, quantizer, encoding, &error)))
    return g_steal_pointer (&encoding);
  complain_error (reader, node, g_steal_pointer (&error));
  return NULL;
}

/* Where the file has to cover everything it also has to agree with the settings. */
static void
check_settings (Reader *reader, HtLocatedNode *node, HtQuantizer *quantizer, HtEncoding *encoding)
{
  HtQuantizerSettings *settings = ht_quantizer_get_settings (quantizer);
  const char *tensor = ht_quantizer_get_tensor (quantizer);
  guint bits = ht_quantizer_settings_get_bits (settings);

  if (ht_encoding_get_bits (encoding) != bits)
    complain (reader, node, "tensor '%s' has %u bits here; the settings say %u", tensor,
              ht_encoding_get_bits (encoding), bits);
  if (ht_encoding_is_symmetric (encoding) != ht_quantizer_settings_get_symmetric (settings))
    complain (reader, node, "tensor '%s' has %s grid here; the settings say otherwise", tensor,
              ht_encoding_is_symmetric (encoding) ? "a symmetric" : "an asymmetric");
  else if (ht_encoding_is_strict (encoding) != ht_quantizer_settings_get_strict (settings))
    complain (reader, node, "tensor '%s' has %s symmetric grid here; the settings say otherwise", tensor,
              ht_encoding_is_strict (encoding) ? "a strict" : "a full");
  if (ht_encoding_get_axis (encoding) != ht_quantizer_get_axis (quantizer))
    complain (reader, node, "tensor '%s' has %s here; the settings say otherwise", tensor,
              ht_encoding_get_axis (encoding) < 0 ? "one grid in all" : "one grid a channel");
}

/* The tensor that an entry means, NULL after a complaint; `quantizer` is NULL where the target puts none. */
static const char *
find_tensor (Reader *reader, HtLocatedNode *node, const char *name, HtQuantizer **quantizer)
{
  HtSimulation *self = reader->simulation;
  const char *tensor = g_hash_table_lookup (reader->by_source, name);
  HtDataType type = ht_graph_get_data_type (self->graph, name);

  if (!tensor)
    tensor = name;
  *quantizer = g_hash_table_lookup (self->by_name, tensor);
  if (*quantizer)
    return tensor;
  if (type == HT_DATA_TYPE_UNDEFINED)
    complain (reader, node, "the network has no tensor '%s'", name);
  else if (type != HT_DATA_TYPE_FLOAT)
    complain (reader, node, "tensor '%s' is %s and cannot be quantized", name, ht_data_type_get_name (type));
  else if (!reader->partial)
    complain (reader, node, "tensor '%s' is not quantized by the target '%s'", name,
              ht_quantization_config_get_target (self->config));
  else
    return tensor;
  return NULL;
}

static void
read_entry (Reader *reader, HtLocatedNode *node)
{
  static const char *const keys[] = { "bw", "dtype", "enc_type", "is_sym", "name", "offset", "scale", NULL };
  g_autoptr (GError) error = NULL;
  g_auto (Entry) entry = { 0 };
  HtEncoding *encoding;
  HtQuantizer *quantizer;
  const char *name, *tensor;

  if (!ht_located_node_check_kind (node, HT_LOCATED_MAPPING, &error))
    {
      complain_error (reader, node, g_steal_pointer (&error));
      return;
    }
  name = require_word (reader, node, "name");
  if (!name || !read_form (reader, node, &entry))
    return;
  check_keys (reader, node, keys);
  if (!read_grids (reader, node, &entry))
    return;
  tensor = find_tensor (reader, node, name, &quantizer);
  if (!tensor)
    return;
  if (!quantizer && entry.bits == 32)
    {
      g_ptr_array_add (reader->notes, g_strdup_printf ("tensor '%s': the encodings file has a bias encoding for it, which "
                                                       "export computes anew", tensor));
      return;
    }
  encoding = make_encoding (reader, node, &entry, quantizer, tensor);
  if (!encoding)
    return;
  if (quantizer && !reader->partial)
    check_settings (reader, node, quantizer, encoding);
  if (g_hash_table_contains (reader->found, tensor))
    complain (reader, node, "tensor '%s' has a second encoding", tensor);
  if (!quantizer && !g_hash_table_contains (reader->found, tensor))
    g_ptr_array_add (reader->extra, g_strdup (tensor));
  g_hash_table_replace (reader->found, g_strdup (tensor), encoding);
}

static void
read_section (Reader *reader, HtLocatedNode *root, const char *key)
{
  g_autoptr (GError) error = NULL;
  HtLocatedNode *list = require (reader, root, key);

  if (!list)
    return;
  if (!ht_located_node_check_kind (list, HT_LOCATED_SEQUENCE, &error))
    {
      complain_error (reader, list, g_steal_pointer (&error));
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (list); i++)
    read_entry (reader, ht_located_node_get_child (list, i));
}

static void
read_root (Reader *reader, HtLocatedNode *root)
{
  static const char *const keys[] = { "activation_encodings", "param_encodings", "excluded_layers", "producer",
                                      "quantizer_args", "version", NULL };
  g_autoptr (GError) error = NULL;
  const char *version;

  if (!ht_located_node_check_kind (root, HT_LOCATED_MAPPING, &error))
    {
      complain_error (reader, root, g_steal_pointer (&error));
      return;
    }
  version = require_word (reader, root, "version");
  if (!version)
    return;
  if (strcmp (version, HT_ENCODINGS_VERSION) != 0)
    {
      complain (reader, ht_located_node_lookup (root, "version", NULL),
                "not yet supported here: encodings of version '%s'; expected '%s'", version, HT_ENCODINGS_VERSION);
      return;
    }
  check_keys (reader, root, keys);
  read_section (reader, root, "activation_encodings");
  read_section (reader, root, "param_encodings");
  for (guint i = 0; !reader->partial && i < reader->simulation->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (reader->simulation->placement->quantizers, i);

      if (!g_hash_table_contains (reader->found, ht_quantizer_get_tensor (quantizer)))
        complain (reader, root, "the file has no encoding for tensor '%s' (%s)", ht_quantizer_get_tensor (quantizer),
                  ht_quantizer_get_reason (quantizer));
    }
}

static gboolean
fail_with_problems (Reader *reader, const char *path, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (!ht_diagnostic_list_has_errors (reader->problems))
    return TRUE;
  for (guint i = 0; i < reader->problems->len; i++)
    {
      HtDiagnostic *problem = g_ptr_array_index (reader->problems, i);

      g_string_append_printf (text, "\n  %u:%u: %s", ht_diagnostic_get_line (problem),
                              ht_diagnostic_get_column (problem), ht_diagnostic_get_message (problem));
    }
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "reading the encodings file '%s': found %u problem%s:%s", path,
               reader->problems->len, reader->problems->len == 1 ? "" : "s", text->str);
  return FALSE;
}

static void
apply (Reader *reader)
{
  GHashTableIter iter;
  gpointer tensor, encoding;

  for (guint i = 0; i < reader->extra->len; i++)
    ht_simulation_add_quantizer (reader->simulation, g_ptr_array_index (reader->extra, i), "given by the encodings file");
  for (guint i = 0; i < reader->notes->len; i++)
    ht_simulation_note (reader->simulation, "%s", (const char *) g_ptr_array_index (reader->notes, i));
  g_hash_table_iter_init (&iter, reader->found);
  while (g_hash_table_iter_next (&iter, &tensor, &encoding))
    ht_simulation_take_encoding (reader->simulation, tensor, encoding, HT_ORIGIN_GIVEN);
}

static GHashTable *
invert_sources (HtSimulation *self)
{
  g_autoptr (GHashTable) sources = ht_encodings_map_sources (self);
  GHashTable *inverse = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer tensor, source;

  g_hash_table_iter_init (&iter, sources);
  while (g_hash_table_iter_next (&iter, &tensor, &source))
    g_hash_table_insert (inverse, g_strdup (source), g_strdup (tensor));
  return inverse;
}

/**
 * ht_simulation_load_encodings:
 * @self: a simulation
 * @path: (type filename): an encodings file of AIMET's format 1.0.0
 * @partial: whether the file may cover a part of the quantizers, and others
 * @error: return location for an error
 *
 * Takes over the encodings of a file; calibration leaves them alone. Constants go by the name that nodes read or by that
 * of the initializer behind it.
 *
 * Unless @partial, the file has to have an encoding for each quantizer, none for other tensors, and to agree with the
 * settings. With @partial what is missing stays as it is, bits and symmetry are those of the file, and a float tensor
 * that the target does not quantize gets a quantizer. All problems are in the message of the error, with their places.
 *
 * Returns: %TRUE, or %FALSE with @error set and nothing changed
 */
gboolean
ht_simulation_load_encodings (HtSimulation *self, const char *path, gboolean partial, GError **error)
{
  g_autoptr (HtLocatedDocument) document = NULL;
  g_autoptr (GPtrArray) problems = NULL;
  g_autoptr (GPtrArray) extra = NULL;
  g_autoptr (GPtrArray) notes = NULL;
  g_autoptr (GHashTable) by_source = NULL;
  g_autoptr (GHashTable) found = NULL;
  Reader reader = { self, partial };

  g_return_val_if_fail (HT_IS_SIMULATION (self) && path != NULL, FALSE);

  reader.problems = problems = ht_diagnostic_list_new ();
  reader.by_source = by_source = invert_sources (self);
  reader.found = found
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_encoding_unref);
  reader.extra = extra = g_ptr_array_new_with_free_func (g_free);
  reader.notes = notes = g_ptr_array_new_with_free_func (g_free);
  document = ht_located_document_load_generated (path, problems, error);
  if (!document && !ht_diagnostic_list_has_errors (problems))
    return FALSE;
  if (document)
    read_root (&reader, ht_located_document_get_root (document));
  if (!fail_with_problems (&reader, path, error))
    return FALSE;
  apply (&reader);
  return TRUE;
}
