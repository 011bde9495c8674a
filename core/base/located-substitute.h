/* SPDX-License-Identifier: MIT */
/* Copies of located trees with some values replaced. Every node of a copy has the place of what it came from, so that
 * readers report where the user wrote it. */
#pragma once

#include "base/located.h"

G_BEGIN_DECLS

/* What stands in place of a node: itself, another node of the same text or one made by the functions below, or NULL:
 * the node is left out of its list or mapping. What replaces is copied with its children, for which it is asked
 * again. */
typedef HtLocatedNode *(*HtLocatedReplaceFunc) (HtLocatedDocument *copy, HtLocatedNode *node, gpointer user_data);

/* Copies a node and what is below it; the copy is the root of a new document. */
HtLocatedDocument *ht_located_node_substitute (HtLocatedNode *self, HtLocatedReplaceFunc replace, gpointer user_data);

/* New nodes of a copy, with the place of another node. */
HtLocatedNode *ht_located_document_add_scalar (HtLocatedDocument *self, HtLocatedNode *place, HtLocatedKind kind,
                                               const char *text);
HtLocatedNode *ht_located_document_add_mapping (HtLocatedDocument *self, HtLocatedNode *place);
/* Adds to a new mapping a key and a value that need not be new; it stays where it is, too. */
void ht_located_document_add_member (HtLocatedDocument *self, HtLocatedNode *mapping, HtLocatedNode *place,
                                     const char *key, HtLocatedNode *value);

G_END_DECLS
