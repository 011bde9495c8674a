/* SPDX-License-Identifier: MIT */
#include "base/located-substitute.h"

#include "base/located-private.h"

typedef struct
{
  HtLocatedDocument *copy;
  HtLocatedReplaceFunc replace;
  gpointer user_data;
} Substitution;

static HtLocatedNode *
add_node (HtLocatedDocument *document, const HtLocatedNode *place, HtLocatedKind kind)
{
  HtLocatedNode *node = g_new0 (HtLocatedNode, 1);

  node->document = document;
  node->kind = kind;
  node->offset = place->offset;
  node->length = place->length;
  g_ptr_array_add (document->nodes, node);
  return node;
}

/* The node alone. Texts are shared: the original lives as long as the copy. */
static HtLocatedNode *
copy_alone (HtLocatedDocument *document, const HtLocatedNode *node)
{
  HtLocatedNode *copy = add_node (document, node, node->kind);

  copy->text = node->text;
  copy->quoted = node->quoted;
  copy->broken = node->broken;
  return copy;
}

/* The depth is bounded by the parser, and by those who make nodes. */
static HtLocatedNode *
copy_node (Substitution *self, HtLocatedNode *node, HtLocatedNode *parent)
{
  HtLocatedNode *from = self->replace (self->copy, node, self->user_data), *copy;

  if (from == NULL)
    return NULL;
  copy = copy_alone (self->copy, from);
  copy->parent = parent;
  if (from->children == NULL)
    return copy;
  copy->children = g_ptr_array_new ();
  for (guint i = 0; i < from->children->len; i++)
    {
      HtLocatedNode *child = g_ptr_array_index (from->children, i), *kept = copy_node (self, child, copy);

      if (kept == NULL)
        continue;
      /* Where the list or mapping was made, its members stand elsewhere too, under other keys. */
      if (from->kind == HT_LOCATED_MAPPING)
        {
          HtLocatedNode *key = from->member_keys != NULL ? g_ptr_array_index (from->member_keys, i) : child->key;

          kept->key = copy_alone (self->copy, key);
          kept->key->parent = copy;
        }
      kept->index = copy->children->len;
      g_ptr_array_add (copy->children, kept);
    }
  if (copy->kind == HT_LOCATED_MAPPING && copy->children->len >= HT_LOCATED_MANY_KEYS)
    ht_located_node_index_keys (copy);
  return copy;
}

HtLocatedDocument *
ht_located_node_substitute (HtLocatedNode *self, HtLocatedReplaceFunc replace, gpointer user_data)
{
  HtLocatedDocument *copy = g_new0 (HtLocatedDocument, 1);
  Substitution substitution = { copy, replace, user_data };

  g_atomic_ref_count_init (&copy->ref_count);
  copy->original = ht_located_document_ref (self->document);
  copy->source = self->document->source;
  copy->strings = g_string_chunk_new (256);
  copy->nodes = g_ptr_array_new_with_free_func (ht_located_node_free);
  copy->root = copy_node (&substitution, self, NULL);
  return copy;
}

HtLocatedNode *
ht_located_document_add_scalar (HtLocatedDocument *self, HtLocatedNode *place, HtLocatedKind kind, const char *text)
{
  HtLocatedNode *node = add_node (self, place, kind);

  node->text = g_string_chunk_insert (self->strings, text);
  return node;
}

HtLocatedNode *
ht_located_document_add_mapping (HtLocatedDocument *self, HtLocatedNode *place)
{
  HtLocatedNode *node = add_node (self, place, HT_LOCATED_MAPPING);

  node->children = g_ptr_array_new ();
  node->member_keys = g_ptr_array_new ();
  return node;
}

void
ht_located_document_add_member (HtLocatedDocument *self, HtLocatedNode *mapping, HtLocatedNode *place, const char *key,
                                HtLocatedNode *value)
{
  g_return_if_fail (mapping->member_keys != NULL);

  g_ptr_array_add (mapping->children, value);
  g_ptr_array_add (mapping->member_keys, ht_located_document_add_scalar (self, place, HT_LOCATED_STRING, key));
}
