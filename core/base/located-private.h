/* SPDX-License-Identifier: MIT */
/* What building and reading the located tree share. */
#pragma once

#include "base/located.h"
#include "base/source-text.h"

struct _HtLocatedNode
{
  HtLocatedDocument *document;
  HtLocatedNode *parent;
  HtLocatedNode *key; /* where the parent is a mapping */
  GPtrArray *children;
  GHashTable *by_key; /* key text to value, where there are many */
  GPtrArray *member_keys; /* of a mapping that was made for a copy, whose children have another parent */
  const char *text;
  gsize offset;
  gsize length;
  guint index;
  HtLocatedKind kind;
  gboolean quoted;
  gboolean broken; /* reported already: what follows from it is not */
};

struct _HtLocatedDocument
{
  gatomicrefcount ref_count;
  HtSourceText *source;
  GStringChunk *strings;
  GPtrArray *nodes; /* all of them, keys too */
  HtLocatedNode *root;
  HtLocatedDocument *original; /* of a copy: whose source and texts it shares */
};

void ht_located_node_free (gpointer node);
/* From this many keys on a mapping has a hash table. */
#define HT_LOCATED_MANY_KEYS 12
/* Makes it, of a mapping that has its children. */
void ht_located_node_index_keys (HtLocatedNode *self);

/* What plain text means. NULL, or why it may not stand there unquoted: a number that JSON does not have. */
const char *ht_located_classify (const char *text, HtLocatedKind *kind, gint *code);
/* Appends what the scalar that is written `source`, quotes included, says. NULL, or why it says nothing. */
const char *ht_located_read_text (const char *source, gsize length, GString *text);
