/* SPDX-License-Identifier: MIT */
/* The tree of a condition: made by condition-parse.c, walked by condition.c. */
#pragma once

#include "pass/condition.h"

typedef enum
{
  HT_CONDITION_OR,
  HT_CONDITION_AND,
  HT_CONDITION_NOT,
  HT_CONDITION_COMPARE,
} HtConditionKind;

typedef enum
{
  HT_CONDITION_EQUAL,
  HT_CONDITION_NOT_EQUAL,
  HT_CONDITION_LESS,
  HT_CONDITION_LESS_OR_EQUAL,
  HT_CONDITION_GREATER,
  HT_CONDITION_GREATER_OR_EQUAL,
} HtConditionOperator;

typedef struct
{
  enum
  {
    HT_CONDITION_BOOLEAN,
    HT_CONDITION_INTEGER,
    HT_CONDITION_NUMBER,
    HT_CONDITION_TEXT,
  } kind;
  gboolean truth;
  gint64 integer;
  double number;
  char *text; /* as written */
  char *unit;
} HtConditionLiteral;

typedef struct _HtConditionNode HtConditionNode;
struct _HtConditionNode
{
  HtConditionKind kind;
  HtConditionNode *left, *right;
  /* COMPARE */
  char *name;
  gboolean bare;
  HtConditionOperator op;
  HtConditionLiteral literal;
};

struct _HtCondition
{
  char *text;
  HtConditionNode *root;
};

void ht_condition_node_free (HtConditionNode *node);
