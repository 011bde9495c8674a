/* SPDX-License-Identifier: MIT */
/* Builds the located tree from libfyaml's events, without recursion. */
#include "base/located-private.h"

#include <gio/gio.h>
#include <libfyaml.h>
#include <string.h>

#include "base/yaml-scan.h"

/* Nodes for each value that the source may have. A node takes some 100 bytes. Block lists and mappings are no values to
 * the scan, hence the factor. */
#define NODES_PER_VALUE 2u

typedef struct
{
  HtLocatedDocument *document;
  GPtrArray *problems;
  struct fy_parser *parser;
  GPtrArray *open;    /* the containers around the present event, not owned */
  HtLocatedNode *key; /* of the mapping at the end of `open`, waiting for its value */
  gsize last;         /* where the last token that has a place ended */
  guint n_documents;
} Builder;

void
ht_located_node_free (gpointer data)
{
  HtLocatedNode *self = data;

  g_clear_pointer (&self->children, g_ptr_array_unref);
  g_clear_pointer (&self->by_key, g_hash_table_unref);
  g_clear_pointer (&self->member_keys, g_ptr_array_unref);
  g_free (self);
}

static HtLocatedDocument *
document_new (HtSourceText *source)
{
  HtLocatedDocument *self = g_new0 (HtLocatedDocument, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->source = source;
  self->strings = g_string_chunk_new (4096);
  self->nodes = g_ptr_array_new_with_free_func (ht_located_node_free);
  return self;
}

HtLocatedDocument *
ht_located_document_ref (HtLocatedDocument *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
ht_located_document_unref (HtLocatedDocument *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_ptr_array_unref (self->nodes);
  g_string_chunk_free (self->strings);
  if (self->original != NULL)
    ht_located_document_unref (self->original);
  else
    ht_source_text_free (self->source);
  g_free (self);
}

const char *
ht_located_document_get_file (HtLocatedDocument *self)
{
  return self->source->file;
}

HtLocatedNode *
ht_located_document_get_root (HtLocatedDocument *self)
{
  return self->root;
}

static gboolean
refuse_at (Builder *self, gsize offset, gsize length, gint code, const char *message)
{
  ht_source_text_report_message (self->document->source, self->problems, HT_SEVERITY_ERROR, code, offset, length,
                                 message);
  return FALSE;
}

static HtLocatedNode *
add_node (Builder *self, HtLocatedKind kind, gsize offset, gsize length)
{
  HtLocatedNode *node = g_new0 (HtLocatedNode, 1);

  node->document = self->document;
  node->kind = kind;
  node->offset = offset;
  node->length = length;
  g_ptr_array_add (self->document->nodes, node);
  return node;
}

static HtLocatedNode *
find_value (HtLocatedNode *mapping, const char *key)
{
  if (mapping->by_key != NULL)
    return g_hash_table_lookup (mapping->by_key, key);
  for (guint i = 0; mapping->children != NULL && i < mapping->children->len; i++)
    {
      HtLocatedNode *value = g_ptr_array_index (mapping->children, i);

      if (strcmp (value->key->text, key) == 0)
        return value;
    }
  return NULL;
}

void
ht_located_node_index_keys (HtLocatedNode *self)
{
  self->by_key = g_hash_table_new (g_str_hash, g_str_equal);
  /* Of a key that is there twice, the first value counts. */
  for (guint i = self->children->len; i-- > 0;)
    {
      HtLocatedNode *child = g_ptr_array_index (self->children, i);

      g_hash_table_insert (self->by_key, (gpointer) child->key->text, child);
    }
}

static void
add_to_mapping (Builder *self, HtLocatedNode *mapping, HtLocatedNode *value)
{
  HtLocatedNode *other = find_value (mapping, self->key->text);

  value->key = g_steal_pointer (&self->key);
  if (other != NULL)
    {
      guint line, column;

      ht_source_text_locate (self->document->source, other->key->offset, &line, &column);
      ht_source_text_report (self->document->source, self->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY,
                             value->key->offset, value->key->length,
                             "the key '%s' is given twice, first in line %u, column %u: remove one", value->key->text,
                             line, column);
    }
  value->index = mapping->children->len;
  g_ptr_array_add (mapping->children, value);
  if (mapping->by_key == NULL && mapping->children->len >= HT_LOCATED_MANY_KEYS)
    ht_located_node_index_keys (mapping);
  else if (mapping->by_key != NULL && other == NULL)
    g_hash_table_insert (mapping->by_key, (gpointer) value->key->text, value);
}

/* Puts a finished scalar or a container that opens where it belongs. */
static gboolean
place_node (Builder *self, HtLocatedNode *node)
{
  HtLocatedNode *parent = self->open->len > 0 ? g_ptr_array_index (self->open, self->open->len - 1) : NULL;

  node->parent = parent;
  if (parent == NULL)
    self->document->root = node;
  else if (parent->kind == HT_LOCATED_SEQUENCE)
    {
      node->index = parent->children->len;
      g_ptr_array_add (parent->children, node);
    }
  else if (self->key != NULL)
    {
      /* What stands for nothing is found at its key. */
      if (node->kind == HT_LOCATED_NULL && node->length == 0)
        {
          node->offset = self->key->offset;
          node->length = self->key->length;
        }
      add_to_mapping (self, parent, node);
    }
  else if (node->kind >= HT_LOCATED_SEQUENCE)
    return refuse_at (self, node->offset, 1, HT_RECIPE_ERROR_SYNTAX, "a key must be a word, not a list or mapping");
  else if (strcmp (node->text, "<<") == 0 && !node->quoted)
    return refuse_at (self, node->offset, node->length, HT_RECIPE_ERROR_SYNTAX,
                      "merge keys ('<<') are not supported: write the keys out");
  else
    self->key = node;
  return TRUE;
}

/* Text of a scalar into the document's strings; NULL, reported, where it is none. */
static const char *
read_text (Builder *self, gsize offset, gsize length)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const char *problem = ht_located_read_text (self->document->source->text + offset, length, text);

  if (problem == NULL)
    return g_string_chunk_insert_len (self->document->strings, text->str, (gssize) text->len);
  refuse_at (self, offset, length, HT_RECIPE_ERROR_SYNTAX, problem);
  return NULL;
}

static gboolean
add_scalar (Builder *self, struct fy_event *event)
{
  HtSourceText *source = self->document->source;
  struct fy_token *token = event->scalar.value;
  const struct fy_mark *start = token ? fy_token_start_mark (token) : NULL;
  const struct fy_mark *end = token ? fy_token_end_mark (token) : NULL;
  gboolean is_key = self->key == NULL && self->open->len > 0
                    && ((HtLocatedNode *) g_ptr_array_index (self->open, self->open->len - 1))->kind
                           == HT_LOCATED_MAPPING;
  HtLocatedNode *node = add_node (self, HT_LOCATED_NULL, self->last, 0);
  const char *problem;
  gint code;

  node->text = "";
  if (start == NULL || end == NULL || end->input_pos > source->length || start->input_pos > end->input_pos)
    return place_node (self, node);
  node->quoted = fy_token_scalar_style (token) != FYSS_PLAIN;
  node->offset = start->input_pos;
  node->length = end->input_pos - start->input_pos;
  if (node->quoted && node->offset > 0)
    {
      node->offset--;
      node->length = MIN (node->length + 2, source->length - node->offset);
    }
  self->last = node->offset + node->length;
  if (memchr (source->text + node->offset, '\n', node->length) != NULL
      || memchr (source->text + node->offset, '\r', node->length) != NULL)
    return refuse_at (self, node->offset, node->length, HT_RECIPE_ERROR_SYNTAX,
                      "this text goes over several lines: is the indentation right, or a colon missing? If text is "
                      "meant, write it on one line");
  node->text = read_text (self, node->offset, node->length);
  if (node->text == NULL)
    return FALSE;
  node->kind = HT_LOCATED_STRING;
  if (node->quoted || is_key)
    return place_node (self, node);
  problem = ht_located_classify (node->text, &node->kind, &code);
  node->broken = problem != NULL;
  if (node->broken)
    ht_source_text_report (source, self->problems, HT_SEVERITY_ERROR, code, node->offset, node->length,
                           "'%s': %s; if text is meant, quote it", node->text, problem);
  return place_node (self, node);
}

static gboolean
open_container (Builder *self, HtLocatedKind kind, const struct fy_mark *mark)
{
  gsize offset = mark != NULL ? MIN (mark->input_pos, self->document->source->length) : self->last;
  HtLocatedNode *node;

  if (self->open->len == HT_YAML_MAX_DEPTH)
    return refuse_at (self, offset, 1, HT_RECIPE_ERROR_SYNTAX, "lists and mappings are nested deeper than 64 levels");
  node = add_node (self, kind, offset, 1);
  node->children = g_ptr_array_new ();
  if (!place_node (self, node))
    return FALSE;
  self->last = offset;
  g_ptr_array_add (self->open, node);
  return TRUE;
}

static gboolean
close_container (Builder *self)
{
  self->key = NULL;
  if (self->open->len > 0)
    g_ptr_array_set_size (self->open, (gint) self->open->len - 1);
  return TRUE;
}

static gboolean
handle_event (Builder *self, struct fy_event *event)
{
  const struct fy_mark *mark = fy_event_start_mark (event);

  if (self->problems->len >= HT_SOURCE_MAX_PROBLEMS)
    return FALSE;
  if (self->document->nodes->len / NODES_PER_VALUE >= self->document->source->max_values)
    {
      g_autofree char *message = g_strdup_printf ("the text has more than %u values, lists and mappings",
                                                  NODES_PER_VALUE * self->document->source->max_values);

      return refuse_at (self, self->last, 1, HT_RECIPE_ERROR_OUT_OF_RANGE, message);
    }
  if (fy_event_get_anchor_token (event) != NULL || event->type == FYET_ALIAS)
    return refuse_at (self, self->last, 1, HT_RECIPE_ERROR_SYNTAX, "anchors and aliases ('&', '*') are not supported");
  if (fy_event_get_tag_token (event) != NULL)
    return refuse_at (self, self->last, 1, HT_RECIPE_ERROR_SYNTAX, "tags ('!') are not supported");
  switch (event->type)
    {
    case FYET_SCALAR:
      return add_scalar (self, event);
    case FYET_SEQUENCE_START:
      return open_container (self, HT_LOCATED_SEQUENCE, mark);
    case FYET_MAPPING_START:
      return open_container (self, HT_LOCATED_MAPPING, mark);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
      return close_container (self);
    case FYET_DOCUMENT_START:
      if (self->n_documents++ == 0)
        return TRUE;
      return refuse_at (self, mark != NULL ? mark->input_pos : self->last, 1, HT_RECIPE_ERROR_SYNTAX,
                        "a second document begins here: one file holds one");
    default:
      return TRUE;
    }
}

/* The parser's first complaint, at its place. */
static void
report_parser_error (Builder *self, struct fy_diag *diag)
{
  HtSourceText *source = self->document->source;
  void *iter = NULL;
  struct fy_diag_error *found = fy_diag_errors_iterate (diag, &iter);

  if (self->document->root != NULL && self->open->len == 0)
    refuse_at (self, self->last + strspn (source->text + self->last, " \t\r\n]}"), 1, HT_RECIPE_ERROR_SYNTAX,
               "text after the end of the document: one file holds one");
  else if (found == NULL || found->msg == NULL)
    refuse_at (self, self->last, 1, HT_RECIPE_ERROR_SYNTAX, "this is neither YAML nor JSON");
  else
    refuse_at (self, ht_source_text_find (source, (guint) MAX (found->line, 1), (guint) MAX (found->column, 1)), 1,
               HT_RECIPE_ERROR_SYNTAX, found->msg);
}

static gboolean
build (Builder *self, struct fy_diag *diag)
{
  gboolean good = TRUE, ended = FALSE;

  while (good && !ended)
    {
      struct fy_event *event = fy_parser_parse (self->parser);

      if (event == NULL)
        {
          report_parser_error (self, diag);
          return FALSE;
        }
      ended = event->type == FYET_STREAM_END;
      good = handle_event (self, event);
      fy_parser_event_free (self->parser, event);
    }
  if (good && self->document->root == NULL)
    return refuse_at (self, 0, 1, HT_RECIPE_ERROR_SYNTAX, "the file is empty");
  return good;
}

static gboolean
parse_source (HtLocatedDocument *document, GPtrArray *problems)
{
  Builder self = { .document = document, .problems = problems };
  struct fy_parse_cfg config = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DISABLE_RECYCLING
                                          | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE };
  struct fy_diag_cfg diag_config;
  struct fy_diag *diag;
  gboolean good = FALSE;

  fy_diag_cfg_default (&diag_config);
  diag_config.fp = NULL;
  diag = fy_diag_create (&diag_config);
  if (diag != NULL)
    fy_diag_set_collect_errors (diag, true);
  config.diag = diag;
  self.parser = diag != NULL ? fy_parser_create (&config) : NULL;
  self.open = g_ptr_array_new ();
  if (self.parser != NULL && fy_parser_set_string (self.parser, document->source->text, document->source->length) == 0)
    good = build (&self, diag);
  else
    ht_source_report_file (problems, document->source->file, HT_RECIPE_ERROR_SYNTAX, "the parser cannot be started");
  g_ptr_array_unref (self.open);
  g_clear_pointer (&self.parser, fy_parser_destroy);
  g_clear_pointer (&diag, fy_diag_destroy);
  return good;
}

static HtLocatedDocument *
parse (const char *text, gsize length, const char *file, const HtSourceLimits *limits, GPtrArray *problems)
{
  g_autoptr (HtLocatedDocument) document = NULL;
  HtSourceText *source;

  source = ht_source_text_new (text, length, file, limits, problems);
  if (source == NULL)
    return NULL;
  document = document_new (source);
  if (source->text[strspn (source->text, " \t\r\n")] == '\0')
    {
      ht_source_report_file (problems, file, HT_RECIPE_ERROR_SYNTAX, "the file is empty");
      return NULL;
    }
  if (!ht_yaml_scan (source, problems) || !parse_source (document, problems))
    return NULL;
  return g_steal_pointer (&document);
}

HtLocatedDocument *
ht_located_document_parse (const char *text, gssize length, const char *file, GPtrArray *problems)
{
  return parse (text, length < 0 ? strlen (text) : (gsize) length, file, &ht_source_limits_written, problems);
}

/* At most one block more than the limit, so that a device without end is refused and not read. */
static gboolean
read_file (const char *path, gsize max_bytes, GByteArray *bytes, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GFileInputStream) stream = g_file_read (file, NULL, error);
  gsize n_read = 0;

  if (stream == NULL)
    return FALSE;
  do
    {
      guint8 block[16384];

      if (!g_input_stream_read_all (G_INPUT_STREAM (stream), block, sizeof block, &n_read, NULL, error))
        return FALSE;
      g_byte_array_append (bytes, block, (guint) n_read);
    }
  while (n_read > 0 && bytes->len <= max_bytes);
  return TRUE;
}

static HtLocatedDocument *
load (const char *path, const HtSourceLimits *limits, GPtrArray *problems, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GError) local = NULL;

  if (!read_file (path, limits->max_bytes, bytes, &local))
    {
      gboolean missing = g_error_matches (local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);

      gboolean folder = g_error_matches (local, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY);

      g_set_error (error, HT_ERROR, missing || folder ? HT_ERROR_NOT_FOUND : HT_ERROR_FAILED, "cannot read '%s': %s",
                   path,
                   missing  ? "there is no such file; check the path"
                   : folder ? "it is a folder, not a file; check the path"
                            : local->message);
      return NULL;
    }
  return parse (bytes->len > 0 ? (const char *) bytes->data : "", bytes->len, path, limits, problems);
}

HtLocatedDocument *
ht_located_document_load (const char *path, GPtrArray *problems, GError **error)
{
  return load (path, &ht_source_limits_written, problems, error);
}

HtLocatedDocument *
ht_located_document_load_generated (const char *path, GPtrArray *problems, GError **error)
{
  return load (path, &ht_source_limits_generated, problems, error);
}
