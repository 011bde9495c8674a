/* SPDX-License-Identifier: MIT */
#include "pass/condition-private.h"

#include <halftone/error.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_LENGTH 1000
#define MAX_DEPTH  32

typedef enum
{
  TOKEN_END,
  TOKEN_WORD,
  TOKEN_NUMBER,
  TOKEN_TEXT,
  TOKEN_OPERATOR,
  TOKEN_OPEN,
  TOKEN_CLOSE,
  TOKEN_AND,
  TOKEN_OR,
  TOKEN_NOT,
  TOKEN_BAD,
} TokenKind;

typedef struct
{
  const char *text; /* the whole condition */
  const char *next; /* behind the token */
  TokenKind kind;
  const char *start;
  gsize length;
  HtConditionOperator op;
  guint depth;
} Parser;

static HtConditionNode *parse_expression (Parser *self, GError **error);

void
ht_condition_node_free (HtConditionNode *node)
{
  if (node == NULL)
    return;
  ht_condition_node_free (node->left);
  ht_condition_node_free (node->right);
  g_free (node->name);
  g_free (node->literal.text);
  g_free (node->literal.unit);
  g_free (node);
}

static gboolean
is_word_start (char c)
{
  return g_ascii_isalpha (c) || c == '_';
}

static gboolean
is_word_part (char c)
{
  return g_ascii_isalnum (c) || c == '_' || c == '-' || c == '.';
}

static const char *
skip_digits (const char *p)
{
  while (g_ascii_isdigit (*p))
    p++;
  return p;
}

/* [+-] digits [. digits] [e [+-] digits], then letters or '%': the unit. */
static const char *
skip_number (const char *p)
{
  if (*p == '+' || *p == '-')
    p++;
  p = skip_digits (p);
  if (*p == '.' && g_ascii_isdigit (p[1]))
    p = skip_digits (p + 1);
  if (*p == 'e' || *p == 'E')
    {
      const char *exponent = p[1] == '+' || p[1] == '-' ? p + 2 : p + 1;
      if (g_ascii_isdigit (*exponent))
        p = skip_digits (exponent);
    }
  return p;
}

static const char *
skip_unit (const char *p)
{
  while (g_ascii_isalpha (*p) || *p == '%')
    p++;
  return p;
}

static gboolean
take_symbol (Parser *self)
{
  static const struct
  {
    const char *symbol;
    TokenKind kind;
    HtConditionOperator op;
  } symbols[] = {
    { "&&", TOKEN_AND, 0 },
    { "||", TOKEN_OR, 0 },
    { "==", TOKEN_OPERATOR, HT_CONDITION_EQUAL },
    { "!=", TOKEN_OPERATOR, HT_CONDITION_NOT_EQUAL },
    { "<=", TOKEN_OPERATOR, HT_CONDITION_LESS_OR_EQUAL },
    { ">=", TOKEN_OPERATOR, HT_CONDITION_GREATER_OR_EQUAL },
    { "=", TOKEN_OPERATOR, HT_CONDITION_EQUAL },
    { "<", TOKEN_OPERATOR, HT_CONDITION_LESS },
    { ">", TOKEN_OPERATOR, HT_CONDITION_GREATER },
    { "!", TOKEN_NOT, 0 },
    { "(", TOKEN_OPEN, 0 },
    { ")", TOKEN_CLOSE, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (symbols); i++)
    if (g_str_has_prefix (self->start, symbols[i].symbol))
      {
        self->kind = symbols[i].kind;
        self->op = symbols[i].op;
        self->next = self->start + strlen (symbols[i].symbol);
        return TRUE;
      }
  return FALSE;
}

static void
advance (Parser *self)
{
  const char *p = self->next;

  while (*p == ' ' || *p == '\t' || *p == '\n')
    p++;
  self->start = p;
  self->kind = TOKEN_BAD;
  if (*p == '\0')
    {
      self->kind = TOKEN_END;
      self->next = p;
    }
  else if (is_word_start (*p))
    {
      while (is_word_part (*p))
        p++;
      self->kind = TOKEN_WORD;
      self->next = p;
    }
  else if (g_ascii_isdigit (*p) || ((*p == '-' || *p == '+') && g_ascii_isdigit (p[1])))
    {
      self->kind = TOKEN_NUMBER;
      self->next = skip_unit (skip_number (p));
    }
  else if (*p == '"')
    {
      const char *end = strchr (p + 1, '"');
      self->kind = end != NULL ? TOKEN_TEXT : TOKEN_BAD;
      self->next = end != NULL ? end + 1 : p + strlen (p);
    }
  else if (!take_symbol (self))
    {
      self->next = p + 1;
    }
  self->length = (gsize)(self->next - self->start);
}

static HtConditionNode *
fail (Parser *self, const char *expected, GError **error)
{
  g_autofree char *found = NULL;

  if (self->kind == TOKEN_END)
    found = g_strdup ("the end");
  else if (*self->start == '"' && self->kind == TOKEN_BAD)
    found = g_strdup ("a text without a closing '\"'");
  else
    found = g_strdup_printf ("'%.*s'", (int)MIN (self->length, 40), self->start);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "condition '%s': found %s at character %ld, expected %s",
               self->text, found, (long)(self->start - self->text) + 1, expected);
  return NULL;
}

static gboolean
read_number (Parser *self, HtConditionLiteral *literal, GError **error)
{
  const char *end = skip_number (self->start);
  g_autofree char *digits = g_strndup (self->start, (gsize)(end - self->start));

  literal->text = g_strndup (self->start, self->length);
  if (end < self->next)
    literal->unit = g_strndup (end, (gsize)(self->next - end));
  errno = 0;
  if (strpbrk (digits, ".eE") == NULL)
    {
      literal->kind = HT_CONDITION_INTEGER;
      literal->integer = g_ascii_strtoll (digits, NULL, 10);
      literal->number = (double)literal->integer;
    }
  else
    {
      literal->kind = HT_CONDITION_NUMBER;
      literal->number = g_ascii_strtod (digits, NULL);
    }
  if (isfinite (literal->number) && !(literal->kind == HT_CONDITION_INTEGER && errno == ERANGE))
    return TRUE;
  fail (self, "a number that fits 64 bits", error);
  return FALSE;
}

static gboolean
read_literal (Parser *self, HtConditionLiteral *literal, GError **error)
{
  switch (self->kind)
    {
    case TOKEN_NUMBER:
      return read_number (self, literal, error);
    case TOKEN_TEXT:
      literal->kind = HT_CONDITION_TEXT;
      literal->text = g_strndup (self->start + 1, self->length - 2);
      return TRUE;
    case TOKEN_WORD:
      literal->text = g_strndup (self->start, self->length);
      literal->truth = g_str_equal (literal->text, "true");
      literal->kind = literal->truth || g_str_equal (literal->text, "false") ? HT_CONDITION_BOOLEAN : HT_CONDITION_TEXT;
      return TRUE;
    default:
      fail (self, "a number, a word or a text in double quotes", error);
      return FALSE;
    }
}

/* word or word(word) */
static char *
read_name (Parser *self, GError **error)
{
  g_autofree char *name = g_strndup (self->start, self->length);

  advance (self);
  if (self->kind != TOKEN_OPEN)
    return g_steal_pointer (&name);
  advance (self);
  if (self->kind != TOKEN_WORD)
    {
      fail (self, "a name", error);
      return NULL;
    }
  g_autofree char *argument = g_strndup (self->start, self->length);
  advance (self);
  if (self->kind != TOKEN_CLOSE)
    {
      fail (self, "')'", error);
      return NULL;
    }
  advance (self);
  return g_strdup_printf ("%s(%s)", name, argument);
}

static HtConditionNode *
parse_comparison (Parser *self, GError **error)
{
  HtConditionNode *node = g_new0 (HtConditionNode, 1);

  node->kind = HT_CONDITION_COMPARE;
  node->name = read_name (self, error);
  if (node->name == NULL)
    {
      ht_condition_node_free (node);
      return NULL;
    }
  if (self->kind != TOKEN_OPERATOR)
    {
      node->bare = TRUE;
      node->op = HT_CONDITION_EQUAL;
      node->literal.kind = HT_CONDITION_BOOLEAN;
      node->literal.truth = TRUE;
      node->literal.text = g_strdup ("true");
      return node;
    }
  node->op = self->op;
  advance (self);
  if (!read_literal (self, &node->literal, error))
    {
      ht_condition_node_free (node);
      return NULL;
    }
  advance (self);
  return node;
}

static HtConditionNode *
join (HtConditionKind kind, HtConditionNode *left, HtConditionNode *right)
{
  HtConditionNode *node = g_new0 (HtConditionNode, 1);
  node->kind = kind;
  node->left = left;
  node->right = right;
  return node;
}

static HtConditionNode *
parse_factor (Parser *self, GError **error)
{
  HtConditionNode *node = NULL;

  if (self->kind == TOKEN_WORD)
    return parse_comparison (self, error);
  if (self->kind != TOKEN_NOT && self->kind != TOKEN_OPEN)
    return fail (self, "a name, '!' or '('", error);
  if (self->depth == MAX_DEPTH)
    return fail (self, "at most 32 levels of '!' and '('", error);
  self->depth++;
  if (self->kind == TOKEN_NOT)
    {
      advance (self);
      node = parse_factor (self, error);
      if (node != NULL)
        node = join (HT_CONDITION_NOT, node, NULL);
    }
  else
    {
      advance (self);
      node = parse_expression (self, error);
      if (node != NULL && self->kind != TOKEN_CLOSE)
        {
          g_clear_pointer (&node, ht_condition_node_free);
          fail (self, "')', '&&' or '||'", error);
        }
      if (node != NULL)
        advance (self);
    }
  self->depth--;
  return node;
}

static HtConditionNode *
parse_term (Parser *self, GError **error)
{
  HtConditionNode *node = parse_factor (self, error);

  while (node != NULL && self->kind == TOKEN_AND)
    {
      advance (self);
      HtConditionNode *right = parse_factor (self, error);
      if (right == NULL)
        g_clear_pointer (&node, ht_condition_node_free);
      else
        node = join (HT_CONDITION_AND, node, right);
    }
  return node;
}

static HtConditionNode *
parse_expression (Parser *self, GError **error)
{
  HtConditionNode *node = parse_term (self, error);

  while (node != NULL && self->kind == TOKEN_OR)
    {
      advance (self);
      HtConditionNode *right = parse_term (self, error);
      if (right == NULL)
        g_clear_pointer (&node, ht_condition_node_free);
      else
        node = join (HT_CONDITION_OR, node, right);
    }
  return node;
}

HtCondition *
ht_condition_parse (const char *text, GError **error)
{
  g_return_val_if_fail (text != NULL, NULL);

  if (strlen (text) > MAX_LENGTH || !g_utf8_validate (text, -1, NULL))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "a condition has more than %d bytes or is not UTF-8; write a shorter one", MAX_LENGTH);
      return NULL;
    }
  Parser parser = { .text = text, .next = text };
  advance (&parser);
  HtConditionNode *root = parse_expression (&parser, error);
  if (root != NULL && parser.kind != TOKEN_END)
    {
      g_clear_pointer (&root, ht_condition_node_free);
      fail (&parser, "'&&', '||' or the end", error);
    }
  if (root == NULL)
    return NULL;
  HtCondition *self = g_new0 (HtCondition, 1);
  self->text = g_strdup (text);
  self->root = root;
  return self;
}

void
ht_condition_free (HtCondition *self)
{
  if (self == NULL)
    return;
  ht_condition_node_free (self->root);
  g_free (self->text);
  g_free (self);
}

const char *
ht_condition_get_text (const HtCondition *self)
{
  return self->text;
}
