/* SPDX-License-Identifier: MIT */
/* What the two files that read target configurations share. */
#pragma once

#include "quant/target-private.h"

typedef struct
{
  HtTarget *target;
  GPtrArray *problems;
} HtTargetReader;

#define HT_TARGET_NO_OFFSET G_MAXSIZE

/* A key of a mapping; what it says goes to where it is in its section. */
typedef struct
{
  const char *name;
  void (*read) (HtTargetReader *reader, HtLocatedNode *value, gpointer section);
  gsize offset;
  gboolean required;
} HtTargetKey;

void ht_target_read_keys (HtTargetReader *reader, HtLocatedNode *node, const char *what, const HtTargetKey *keys,
                          gpointer section);
gboolean ht_target_check_kind (HtTargetReader *reader, HtLocatedNode *node, HtLocatedKind kind);
/* Text that is not empty, or NULL. */
const char *ht_target_read_text (HtTargetReader *reader, HtLocatedNode *node);
/* A list of operator types, or NULL. */
char **ht_target_read_op_types (HtTargetReader *reader, HtLocatedNode *node);
/* Warns of a word that is almost an operator. */
void ht_target_check_op_type (HtTargetReader *reader, HtLocatedNode *node, const char *op_type);

/* The key `halftone`. target-switches.c */
void ht_target_read_switches (HtTargetReader *reader, HtLocatedNode *node, gpointer section);
/* After all sections: what contradicts what. */
void ht_target_check_switches (HtTargetReader *reader, HtLocatedNode *root);
