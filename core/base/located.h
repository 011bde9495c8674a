/* SPDX-License-Identifier: MIT */
/* What a YAML or JSON file says, with the place of each word: an immutable tree of mappings, lists and scalars. The one
 * way that texts written by users are read (recipes, target configurations, encodings).
 *
 *   g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
 *   g_autoptr (HtLocatedDocument) document = ht_located_document_load (path, problems, error);   // NULL: cannot be read
 *   ... look at ht_located_document_get_root (document), report what is wrong ...
 *   return ht_diagnostic_list_finish (problems, NULL, HT_ERROR, HT_ERROR_INVALID_DATA, error);
 *
 * Refused, each with its place: anything but UTF-8, control characters, more than 16 MiB, more than 64 levels, more than
 * a million values, duplicate keys, anchors, aliases, tags, merge keys, directives, second documents, text over several
 * lines, numbers that JSON does not have (0x10, 0777, 1_000, .5, 1., +1, .inf) or 64 bits do not hold. */
#pragma once

#include <json-glib/json-glib.h>

#include "base/diagnostic-list.h"

G_BEGIN_DECLS

typedef struct _HtLocatedDocument HtLocatedDocument;
typedef struct _HtLocatedNode HtLocatedNode;

typedef enum
{
  HT_LOCATED_NULL,    /* plain null, ~ or nothing */
  HT_LOCATED_BOOLEAN, /* plain true or false */
  HT_LOCATED_INTEGER, /* plain, decimal */
  HT_LOCATED_NUMBER,  /* plain, with a fraction or exponent */
  HT_LOCATED_STRING,  /* quoted, or plain and none of the above */
  HT_LOCATED_SEQUENCE,
  HT_LOCATED_MAPPING,
} HtLocatedKind;

/* Reads a file. A file that cannot be read is a GError; what is wrong with its text is added to `problems`. NULL where no
 * tree could be made; check `problems` even if there is one. `error` is set in the former case only. */
HtLocatedDocument *ht_located_document_load (const char *path, GPtrArray *problems, GError **error);
/* The same with the limits for files that programs write: 128 MiB, four million values. */
HtLocatedDocument *ht_located_document_load_generated (const char *path, GPtrArray *problems, GError **error);
HtLocatedDocument *ht_located_document_parse (const char *text, gssize length, const char *file, GPtrArray *problems);
HtLocatedDocument *ht_located_document_ref (HtLocatedDocument *self);
void ht_located_document_unref (HtLocatedDocument *self);
const char *ht_located_document_get_file (HtLocatedDocument *self);
HtLocatedNode *ht_located_document_get_root (HtLocatedDocument *self);

/* Nodes live as long as their document. */
HtLocatedKind ht_located_node_get_kind (HtLocatedNode *self);
guint ht_located_node_get_line (HtLocatedNode *self);
guint ht_located_node_get_column (HtLocatedNode *self);
guint ht_located_node_get_n_children (HtLocatedNode *self);
/* Item of a list, or value of a mapping, in the order of the text. */
HtLocatedNode *ht_located_node_get_child (HtLocatedNode *self, guint index);
const char *ht_located_node_get_key (HtLocatedNode *self, guint index);
HtLocatedNode *ht_located_node_get_key_node (HtLocatedNode *self, guint index);
/* The key that a value of a mapping stands under; NULL elsewhere. */
HtLocatedNode *ht_located_node_get_own_key (HtLocatedNode *self);
/* Value of a mapping, or NULL. Linear in the number of keys. */
HtLocatedNode *ht_located_node_lookup (HtLocatedNode *self, const char *key, HtLocatedNode **key_node);
/* The text of a scalar, quotes and escapes resolved; NULL for lists and mappings. */
const char *ht_located_node_get_text (HtLocatedNode *self);
gboolean ht_located_node_is_quoted (HtLocatedNode *self);
/* "pipeline[1].with.iterations" */
char *ht_located_node_get_path (HtLocatedNode *self);
/* The key, or "item 2 of 'key'" */
char *ht_located_node_get_name (HtLocatedNode *self);
/* "the number 3", "the text 'x'", "a list" */
char *ht_located_node_describe (HtLocatedNode *self);

/* Typed values, exact. The error, of HT_RECIPE_ERROR, says "'name' is …, must be …" without the place. */
const char *ht_located_node_get_string (HtLocatedNode *self, GError **error);
gboolean ht_located_node_get_boolean (HtLocatedNode *self, gboolean *value, GError **error);
gboolean ht_located_node_get_int64 (HtLocatedNode *self, gint64 minimum, gint64 maximum, gint64 *value, GError **error);
gboolean ht_located_node_get_uint64 (HtLocatedNode *self, guint64 minimum, guint64 maximum, guint64 *value,
                                     GError **error);
gboolean ht_located_node_get_double (HtLocatedNode *self, double minimum, double maximum, double *value,
                                     GError **error);
gboolean ht_located_node_check_kind (HtLocatedNode *self, HtLocatedKind kind, GError **error);
/* The same tree without places. NULL where an integer is beyond what a JsonNode holds. */
JsonNode *ht_located_node_to_json (HtLocatedNode *self, GError **error);

/* Reporting: the node's text is marked. */
void ht_located_node_report (HtLocatedNode *self, GPtrArray *problems, HtSeverity severity, gint code,
                             const char *format, ...) G_GNUC_PRINTF (5, 6);
/* An error found at this node, with its code if it is of HT_RECIPE_ERROR, else `code`. Takes the error. */
void ht_located_node_report_error (HtLocatedNode *self, GPtrArray *problems, gint code, GError *error);
/* Puts "file:line:column: " before the message. */
void ht_located_node_prefix_error (HtLocatedNode *self, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtLocatedDocument, ht_located_document_unref)

G_END_DECLS
