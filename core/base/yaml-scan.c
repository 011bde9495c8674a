/* SPDX-License-Identifier: MIT */
/* libfyaml 0.7.12 frees memory twice on some texts with '?' and '!' (its scanner gives a pending key back on the error
 * path as well) and leaks on text that spans many lines. Both are beyond the subset that passes here. */
#include "base/yaml-scan.h"

#include <string.h>

typedef struct
{
  HtSourceText *source;
  GPtrArray *problems;
  const char *p;
  const char *end;
  gsize open[HT_YAML_MAX_DEPTH]; /* offsets of the open brackets */
  guint depth;
  guint n_values;
  char separator;       /* the last one of [{,: and '-' */
  gboolean after_value; /* a value stands before this place, with no separator between */
  gboolean line_start;  /* only blanks stand before this place on its line */
  gboolean content;     /* something but comments stands before this line */
} Scan;

static gsize
offset_of (Scan *self, const char *p)
{
  return (gsize) (p - self->source->text);
}

static gboolean
refuse (Scan *self, const char *p, gsize length, gint code, const char *message)
{
  ht_source_text_report_message (self->source, self->problems, HT_SEVERITY_ERROR, code, offset_of (self, p), length,
                                 message);
  return FALSE;
}

static gboolean
is_blank_or_end (Scan *self, const char *p)
{
  return p >= self->end || *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r';
}

static gboolean
is_flow_indicator (char c)
{
  return c != '\0' && strchr ("[]{},", c) != NULL;
}

/* A quoted text ends on its line. */
static gboolean
scan_quoted (Scan *self)
{
  const char *start = self->p;
  char quote = *self->p++;

  for (; self->p < self->end && *self->p != '\n' && *self->p != '\r'; self->p++)
    {
      if (quote == '"' && *self->p == '\\' && self->p + 1 < self->end && self->p[1] != '\n' && self->p[1] != '\r')
        self->p++;
      else if (*self->p == quote && quote == '\'' && self->p + 1 < self->end && self->p[1] == quote)
        self->p++;
      else if (*self->p == quote)
        {
          self->p++;
          self->after_value = TRUE;
          return TRUE;
        }
    }
  return refuse (self, start, 1, HT_RECIPE_ERROR_SYNTAX, "the text that this quote opens is not closed on its line");
}

/* Plain text ends before ": ", " #", the line end and, inside brackets, before one of ,[]{} */
static gboolean
scan_plain (Scan *self)
{
  const char *start = self->p;

  for (; self->p < self->end && *self->p != '\n' && *self->p != '\r'; self->p++)
    {
      const char *next = self->p + 1;

      if (*self->p == ':' && (is_blank_or_end (self, next) || (self->depth > 0 && is_flow_indicator (*next))))
        break;
      if (*self->p == '#' && self->p > start && (self->p[-1] == ' ' || self->p[-1] == '\t'))
        {
          self->p--; /* the blank is what makes it a comment */
          break;
        }
      if (self->depth > 0 && is_flow_indicator (*self->p))
        break;
      if (*self->p == '\t')
        return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, "a tab inside plain text: quote the text or use spaces");
    }
  self->after_value = TRUE;
  return TRUE;
}

static gboolean
scan_open (Scan *self)
{
  if (self->depth == HT_YAML_MAX_DEPTH)
    return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, "lists and mappings are nested deeper than 64 levels");
  self->open[self->depth++] = offset_of (self, self->p);
  self->after_value = FALSE;
  self->separator = *self->p++;
  return TRUE;
}

static gboolean
scan_close (Scan *self)
{
  char opened;

  if (self->depth == 0)
    return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, "this bracket closes none");
  opened = self->source->text[self->open[self->depth - 1]];
  if ((opened == '[') != (*self->p == ']'))
    {
      g_autofree char *message = NULL;
      guint line, column;

      ht_source_text_locate (self->source, self->open[self->depth - 1], &line, &column);
      message = g_strdup_printf ("'%c' does not close the '%c' of line %u, column %u", *self->p, opened, line, column);
      return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, message);
    }
  self->depth--;
  self->after_value = TRUE;
  self->p++;
  return TRUE;
}

/* What may not begin a value or key here. NULL: nothing speaks against it. */
static const char *
find_refusal (Scan *self)
{
  switch (*self->p)
    {
    case '&':
    case '*':
      return "anchors and aliases ('&', '*') are not supported: write the value out, or quote it if it is text";
    case '!':
      return "tags ('!') are not supported: leave the tag out, or quote it if it is text";
    case '?':
      return is_blank_or_end (self, self->p + 1) || is_flow_indicator (self->p[1]) || self->p[1] == ':'
                 ? "keys are single words: '?' is not supported"
                 : NULL;
    case '|':
    case '>':
      return "text over several lines ('|', '>') is not supported: write it on one line, quoted";
    case '%':
      return self->line_start ? "directives ('%') are not supported" : "text that begins with '%' must be quoted";
    case '@':
    case '`':
      return "text that begins with this character must be quoted";
    default:
      return NULL;
    }
}

static gboolean
scan_separator (Scan *self)
{
  if (!self->after_value && *self->p == ':')
    return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, "a key is missing before this colon");
  if (!self->after_value && *self->p == ',' && self->separator != ':')
    return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, "a value is missing before this comma");
  self->after_value = FALSE;
  self->separator = *self->p++;
  return TRUE;
}

/* `---` may begin the text; nothing else may part or end it. */
static gboolean
scan_marker (Scan *self)
{
  if (*self->p == '.')
    return refuse (self, self->p, 3, HT_RECIPE_ERROR_SYNTAX, "the end marker '...' is not supported: leave it out");
  if (self->content || self->depth > 0)
    return refuse (self, self->p, 3, HT_RECIPE_ERROR_SYNTAX, "a second document begins here: one file holds one");
  self->p += 3;
  return TRUE;
}

static gboolean
is_marker (Scan *self)
{
  const char *p = self->p;

  if (p != self->source->text && p[-1] != '\n' && p[-1] != '\r')
    return FALSE;
  return self->end - p >= 3 && (memcmp (p, "---", 3) == 0 || memcmp (p, "...", 3) == 0) && is_blank_or_end (self, p + 3);
}

/* At something that is neither blank, comment nor line end. */
static gboolean
scan_token (Scan *self)
{
  const char *refusal, *next = self->p + 1;
  char c = *self->p;

  if (is_marker (self))
    return scan_marker (self);
  if (c == ']' || c == '}')
    return scan_close (self);
  if (c == ',' && self->depth > 0)
    return scan_separator (self);
  if (c == ':' && (is_blank_or_end (self, next) || (self->depth > 0 && (self->after_value || is_flow_indicator (*next)))))
    return scan_separator (self);
  if (self->after_value)
    return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX,
                   self->depth > 0 ? "a comma or closing bracket is missing before this"
                                   : "text after the end of a value: quote the whole, or begin a new line");
  if (self->depth == 0 && c == '-' && is_blank_or_end (self, next))
    {
      self->separator = *self->p++;
      return TRUE;
    }
  if (++self->n_values > self->source->max_values)
    {
      g_autofree char *message = g_strdup_printf ("the text has more than %u values", self->source->max_values);

      return refuse (self, self->p, 1, HT_RECIPE_ERROR_OUT_OF_RANGE, message);
    }
  refusal = find_refusal (self);
  if (refusal != NULL)
    return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX, refusal);
  if (c == '[' || c == '{')
    return scan_open (self);
  if (c == '"' || c == '\'')
    return scan_quoted (self);
  return scan_plain (self);
}

/* One line, or what remains of it. */
static gboolean
scan_line (Scan *self)
{
  gboolean blank_before = TRUE;

  self->line_start = TRUE;
  if (self->depth == 0)
    self->after_value = FALSE;
  while (self->p < self->end && *self->p != '\n' && *self->p != '\r')
    {
      if (*self->p == '\t' && self->depth == 0)
        return refuse (self, self->p, 1, HT_RECIPE_ERROR_SYNTAX,
                       self->line_start ? "a tab in the indentation: use spaces" : "a tab: use spaces");
      if (*self->p == ' ' || *self->p == '\t')
        {
          blank_before = TRUE;
          self->p++;
          continue;
        }
      if (*self->p == '#' && blank_before)
        {
          while (self->p < self->end && *self->p != '\n' && *self->p != '\r')
            self->p++;
          break;
        }
      if (!scan_token (self))
        return FALSE;
      self->line_start = FALSE;
      self->content = TRUE;
      blank_before = FALSE;
    }
  while (self->p < self->end && (*self->p == '\n' || *self->p == '\r'))
    self->p++;
  return TRUE;
}

gboolean
ht_yaml_scan (HtSourceText *source, GPtrArray *problems)
{
  Scan self = { .source = source, .problems = problems, .p = source->text, .end = source->text + source->length };

  while (self.p < self.end)
    {
      if (!scan_line (&self))
        return FALSE;
    }
  if (self.depth > 0)
    return refuse (&self, source->text + self.open[self.depth - 1], 1, HT_RECIPE_ERROR_SYNTAX,
                   "this bracket is never closed");
  return TRUE;
}
