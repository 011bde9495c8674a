/* SPDX-License-Identifier: MIT */
/* Reads an encodings file into entries: the means that all versions are read with, and the choice of the version. */
#include "quant/encodings-file.h"

#include "base/source-text.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

#define MAX_OFFSET      8589934592.0
#define MAX_BLOCK_SCALE 32768

typedef struct
{
  guint line, column;
  guint order;
  char *text;
} Problem;

static void
problem_free (gpointer data)
{
  g_free (((Problem *)data)->text);
  g_free (data);
}

void
ht_encodings_numbers_clear (HtEncodingsNumbers *self)
{
  g_clear_pointer (&self->values, g_free);
}

static void
entry_free (gpointer data)
{
  HtEncodingsEntry *entry = data;

  ht_encodings_numbers_clear (&entry->scales);
  ht_encodings_numbers_clear (&entry->block_scales);
  g_free (entry->offsets);
  g_free (entry);
}

void
ht_encodings_reader_init (HtEncodingsReader *self)
{
  *self = (HtEncodingsReader){ .problems = g_ptr_array_new_with_free_func (problem_free),
                               .entries = g_ptr_array_new_with_free_func (entry_free),
                               .names = g_hash_table_new (g_str_hash, g_str_equal),
                               .lists_float16 = TRUE };
}

void
ht_encodings_reader_clear (HtEncodingsReader *self)
{
  g_hash_table_unref (self->names);
  g_ptr_array_unref (self->entries);
  g_ptr_array_unref (self->problems);
  g_clear_pointer (&self->document, ht_located_document_unref);
  g_free (self->producer);
}

static void
add_problem (HtEncodingsReader *self, guint line, guint column, char *text)
{
  Problem *problem = g_new (Problem, 1);

  *problem = (Problem){ line, column, self->problems->len, text };
  g_ptr_array_add (self->problems, problem);
}

void
ht_encodings_complain (HtEncodingsReader *self, HtLocatedNode *node, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  add_problem (self, ht_located_node_get_line (node), ht_located_node_get_column (node),
               g_strdup_vprintf (format, args));
  va_end (args);
}

void
ht_encodings_complain_error (HtEncodingsReader *self, HtLocatedNode *node, GError *error)
{
  ht_encodings_complain (self, node, "%s", error->message);
  g_error_free (error);
}

gboolean
ht_encodings_check_kind (HtEncodingsReader *self, HtLocatedNode *node, HtLocatedKind kind)
{
  GError *error = NULL;

  if (ht_located_node_check_kind (node, kind, &error))
    return TRUE;
  ht_encodings_complain_error (self, node, error);
  return FALSE;
}

gboolean
ht_encodings_check_keys (HtEncodingsReader *self, HtLocatedNode *mapping, const char *const *known)
{
  gboolean good = TRUE;

  for (guint i = 0; i < ht_located_node_get_n_children (mapping); i++)
    if (!g_strv_contains (known, ht_located_node_get_key (mapping, i)))
      {
        g_autofree char *all = g_strjoinv (", ", (char **)known);

        ht_encodings_complain (self, ht_located_node_get_key_node (mapping, i),
                               "the key '%s' is not known; expected one of: %s", ht_located_node_get_key (mapping, i),
                               all);
        good = FALSE;
      }
  return good;
}

HtLocatedNode *
ht_encodings_require (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key)
{
  HtLocatedNode *value = ht_located_node_lookup (mapping, key, NULL);

  if (!value)
    ht_encodings_complain (self, mapping, "the key '%s' is missing", key);
  return value;
}

const char *
ht_encodings_require_text (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key)
{
  GError *error = NULL;
  HtLocatedNode *value = ht_encodings_require (self, mapping, key);
  const char *text = value ? ht_located_node_get_string (value, &error) : NULL;

  if (error)
    ht_encodings_complain_error (self, value, error);
  return text;
}

gboolean
ht_encodings_require_integer (HtEncodingsReader *self, HtLocatedNode *mapping, const char *key, gint64 minimum,
                              gint64 maximum, gint64 *value)
{
  GError *error = NULL;
  HtLocatedNode *node = ht_encodings_require (self, mapping, key);

  if (!node)
    return FALSE;
  if (ht_located_node_get_int64 (node, minimum, maximum, value, &error))
    return TRUE;
  ht_encodings_complain_error (self, node, error);
  return FALSE;
}

/* What is wrong with a number, or NULL. */
static const char *
judge (HtEncodingsNumberKind kind, double value)
{
  float narrow = (float)value;

  if (kind == HT_ENCODINGS_SCALES)
    return narrow > 0 && isfinite (narrow) ? NULL : "a positive number that float32 can hold";
  if (kind == HT_ENCODINGS_NUMBERS)
    return NULL;
  if (value != floor (value))
    return "a whole number";
  if (kind == HT_ENCODINGS_BLOCK_SCALES)
    return value >= 1 && value <= MAX_BLOCK_SCALE ? NULL : "1 … 32768";
  return fabs (value) <= MAX_OFFSET ? NULL : "a number of at most 33 bits";
}

/* FALSE with the reason; the tree has only finite numbers. */
static gboolean
read_number (HtLocatedNode *node, HtEncodingsNumberKind kind, double *value, GError **error)
{
  g_autofree char *name = NULL;
  const char *wanted;

  if (!ht_located_node_get_double (node, -G_MAXDOUBLE, G_MAXDOUBLE, value, error))
    return FALSE;
  wanted = judge (kind, *value);
  if (!wanted)
    return TRUE;
  name = ht_located_node_get_name (node);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "%s is %s; expected %s", name, ht_located_node_get_text (node),
               wanted);
  return FALSE;
}

gboolean
ht_encodings_read_one (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsNumberKind kind, double *value)
{
  GError *error = NULL;

  if (read_number (node, kind, value, &error))
    return TRUE;
  ht_encodings_complain_error (self, node, error);
  return FALSE;
}

/* Follows the first items down, which say how long each list has to be. */
static gboolean
measure (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsNumbers *numbers)
{
  numbers->n = 1;
  numbers->n_dims = 0;
  while (ht_located_node_get_kind (node) == HT_LOCATED_SEQUENCE)
    {
      guint n = ht_located_node_get_n_children (node);

      if (n == 0)
        {
          g_autofree char *name = ht_located_node_get_name (node);

          ht_encodings_complain (self, node, "%s is empty; expected a number for each grid", name);
          return FALSE;
        }
      if (numbers->n_dims == HT_TENSOR_MAX_DIMS)
        {
          ht_encodings_complain (self, node, "lists are nested deeper than %d, which no tensor has dimensions for",
                                 HT_TENSOR_MAX_DIMS);
          return FALSE;
        }
      numbers->dims[numbers->n_dims++] = n;
      if (!g_size_checked_mul (&numbers->n, numbers->n, n) || numbers->n > ht_source_limits_generated.max_values)
        {
          ht_encodings_complain (self, node, "the lists are not of equal length");
          return FALSE;
        }
      node = ht_located_node_get_child (node, 0);
    }
  return TRUE;
}

typedef struct
{
  HtEncodingsReader *reader;
  HtEncodingsNumberKind kind;
  HtEncodingsNumbers *numbers;
  gsize at;
  HtLocatedNode *first_bad;
  GError *error;
  guint n_bad;
} Filling;

static gboolean
fill (Filling *filling, HtLocatedNode *node, guint depth)
{
  GError *error = NULL;
  guint n;

  if (depth == filling->numbers->n_dims)
    {
      if (read_number (node, filling->kind, &filling->numbers->values[filling->at++], &error))
        return TRUE;
      if (filling->n_bad++ == 0)
        {
          filling->first_bad = node;
          filling->error = error;
        }
      else
        g_error_free (error);
      return TRUE;
    }
  n = (guint)filling->numbers->dims[depth];
  if (ht_located_node_get_kind (node) != HT_LOCATED_SEQUENCE || ht_located_node_get_n_children (node) != n)
    {
      g_autofree char *found = ht_located_node_describe (node);

      ht_encodings_complain (filling->reader, node, "found %s, expected a list of %u, as the first one is", found, n);
      return FALSE;
    }
  for (guint i = 0; i < n; i++)
    if (!fill (filling, ht_located_node_get_child (node, i), depth + 1))
      return FALSE;
  return TRUE;
}

gboolean
ht_encodings_read_numbers (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsNumberKind kind,
                           HtEncodingsNumbers *numbers)
{
  Filling filling = { self, kind, numbers, 0, NULL, NULL, 0 };

  if (!measure (self, node, numbers))
    return FALSE;
  numbers->values = g_new (double, numbers->n);
  if (!fill (&filling, node, 0))
    {
      g_clear_error (&filling.error);
      return FALSE;
    }
  if (filling.n_bad == 0)
    return TRUE;
  if (filling.n_bad > 1)
    ht_encodings_complain (self, filling.first_bad, "%s (and %u more in this list are wrong)", filling.error->message,
                           filling.n_bad - 1);
  else
    ht_encodings_complain (self, filling.first_bad, "%s", filling.error->message);
  g_error_free (filling.error);
  return FALSE;
}

HtEncodingsEntry *
ht_encodings_add_entry (HtEncodingsReader *self, HtLocatedNode *node, const char *name)
{
  HtEncodingsEntry *entry, *other = g_hash_table_lookup (self->names, name);

  if (other)
    {
      ht_encodings_complain (self, node, "tensor '%s' has a second encoding; the first is in line %u, column %u", name,
                             ht_located_node_get_line (other->node), ht_located_node_get_column (other->node));
      return NULL;
    }
  entry = g_new0 (HtEncodingsEntry, 1);
  entry->node = node;
  entry->name = name;
  g_ptr_array_add (self->entries, entry);
  g_hash_table_insert (self->names, (gpointer)name, entry);
  return entry;
}

void
ht_encodings_read_list (HtEncodingsReader *self, HtLocatedNode *root, const char *key, HtEncodingsRole role,
                        const char *const *keys,
                        void (*read) (HtEncodingsReader *self, HtLocatedNode *node, HtEncodingsEntry *entry))
{
  HtLocatedNode *list = ht_encodings_require (self, root, key);

  if (!list || !ht_encodings_check_kind (self, list, HT_LOCATED_SEQUENCE))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (list); i++)
    {
      HtLocatedNode *node = ht_located_node_get_child (list, i);
      HtEncodingsEntry *entry;
      const char *name;

      if (!ht_encodings_check_kind (self, node, HT_LOCATED_MAPPING))
        continue;
      ht_encodings_check_keys (self, node, keys);
      name = ht_encodings_require_text (self, node, "name");
      entry = name ? ht_encodings_add_entry (self, node, name) : NULL;
      if (!entry)
        continue;
      entry->role = role;
      read (self, node, entry);
    }
}

void
ht_encodings_read_sections (HtEncodingsReader *self, HtLocatedNode *root,
                            void (*read) (HtEncodingsReader *self, HtLocatedNode *root, const char *key,
                                          HtEncodingsRole role))
{
  static const char *const keys[]
      = { "activation_encodings", "excluded_layers", "param_encodings", "producer", "quantizer_args", "version", NULL };

  ht_encodings_check_keys (self, root, keys);
  read (self, root, "activation_encodings", HT_ENCODINGS_ACTIVATION);
  read (self, root, "param_encodings", HT_ENCODINGS_PARAMETER);
}

static void
read_producer (HtEncodingsReader *self, HtLocatedNode *root)
{
  HtLocatedNode *producer = ht_located_node_lookup (root, "producer", NULL);
  const char *package;

  if (!producer || !ht_encodings_check_kind (self, producer, HT_LOCATED_MAPPING))
    return;
  package = ht_encodings_require_text (self, producer, "package");
  g_free (self->producer);
  self->producer = g_strdup (package);
}

static void
read_root (HtEncodingsReader *self, HtLocatedNode *root)
{
  static const struct
  {
    const char *version;
    void (*read) (HtEncodingsReader *self, HtLocatedNode *root);
  } versions[] = { { "0.6.1", ht_encodings_read_0_6_1 },
                   { "1.0.0", ht_encodings_read_1_0_0 },
                   { "2.0.0", ht_encodings_read_2_0_0 },
                   { "2.1.0", ht_encodings_read_2_1_0 } };
  const char *version;

  if (!ht_encodings_check_kind (self, root, HT_LOCATED_MAPPING))
    return;
  version = ht_encodings_require_text (self, root, "version");
  if (!version)
    return;
  read_producer (self, root);
  for (gsize i = 0; i < G_N_ELEMENTS (versions); i++)
    if (strcmp (version, versions[i].version) == 0)
      {
        versions[i].read (self, root);
        return;
      }
  ht_encodings_complain (
      self, ht_located_node_lookup (root, "version", NULL),
      "encodings of version '%s' are not known; expected 0.6.1, 1.0.0, 2.0.0 or 2.1.0: write them anew "
      "in one of these",
      version);
}

gboolean
ht_encodings_reader_load (HtEncodingsReader *self, const char *path, GError **error)
{
  g_autoptr (GPtrArray) found = ht_diagnostic_list_new ();

  self->document = ht_located_document_load_generated (path, found, error);
  if (!self->document && !ht_diagnostic_list_has_errors (found))
    return FALSE;
  for (guint i = 0; i < found->len; i++)
    {
      HtDiagnostic *problem = g_ptr_array_index (found, i);

      add_problem (self, ht_diagnostic_get_line (problem), ht_diagnostic_get_column (problem),
                   g_strdup (ht_diagnostic_get_message (problem)));
    }
  if (self->document && found->len == 0)
    read_root (self, ht_located_document_get_root (self->document));
  return ht_encodings_reader_finish (self, path, error);
}

static gint
compare_problems (gconstpointer a, gconstpointer b)
{
  const Problem *first = *(const Problem *const *)a, *second = *(const Problem *const *)b;

  if (first->line != second->line)
    return first->line < second->line ? -1 : 1;
  if (first->column != second->column)
    return first->column < second->column ? -1 : 1;
  return first->order < second->order ? -1 : 1;
}

gboolean
ht_encodings_reader_finish (HtEncodingsReader *self, const char *path, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (self->problems->len == 0)
    return TRUE;
  g_ptr_array_sort (self->problems, compare_problems);
  for (guint i = 0; i < self->problems->len; i++)
    {
      Problem *problem = g_ptr_array_index (self->problems, i);

      g_string_append_printf (text, "\n  %s:%u:%u: %s", path, problem->line, problem->column, problem->text);
    }
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "reading the encodings file '%s': found %u problem%s:%s", path,
               self->problems->len, self->problems->len == 1 ? "" : "s", text->str);
  return FALSE;
}
