/* SPDX-License-Identifier: MIT */
#include "ops/einsum-equation.h"

#include <string.h>

static int
letter_of (char c)
{
  return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Reads one term up to its end. `n_ellipsis` dimensions stand for "..."; -1: find out from `rank`. */
static char *
read_term (HtEinsumTerm *term, const char *text, gsize length, gint rank, gint n_ellipsis, gboolean *has_ellipsis)
{
  guint n_letters = 0;

  term->n = 0;
  *has_ellipsis = FALSE;
  for (gsize i = 0; i < length; i++)
    n_letters += letter_of (text[i]) >= 0;
  if (rank >= 0)
    n_ellipsis = MAX (rank - (gint)n_letters, 0);
  for (gsize i = 0; i < length; i++)
    {
      int letter = letter_of (text[i]);
      gboolean dots = i + 3 <= length && strncmp (text + i, "...", 3) == 0;
      if (letter < 0 && (!dots || *has_ellipsis))
        return g_strdup_printf ("'%.*s' is no term of an equation", (int)MIN (length, 60), text);
      if (term->n + (dots ? (guint)n_ellipsis : 1) > HT_TENSOR_MAX_DIMS)
        return g_strdup_printf ("the term '%.*s' has more than %d dimensions", (int)MIN (length, 60), text,
                                HT_TENSOR_MAX_DIMS);
      if (letter >= 0)
        {
          term->label[term->n++] = (guint8)letter;
          continue;
        }
      *has_ellipsis = TRUE;
      for (gint k = 0; k < n_ellipsis; k++)
        term->label[term->n++] = (guint8)(HT_EINSUM_LABELS - n_ellipsis + k);
      i += 2;
    }
  if (rank >= 0 && term->n != (guint)rank)
    return g_strdup_printf ("the term '%.*s' does not fit an input of %d dimensions", (int)MIN (length, 60), text,
                            rank);
  return NULL;
}

/* Without "->": the ellipsis, then the letters that stand once. */
static void
imply_output (HtEinsumEquation *self)
{
  guint count[HT_EINSUM_LABELS] = { 0 };

  for (guint i = 0; i < self->n_inputs; i++)
    for (guint k = 0; k < self->inputs[i].n; k++)
      count[self->inputs[i].label[k]]++;
  self->output.n = 0;
  for (guint label = HT_EINSUM_LETTERS; label < HT_EINSUM_LABELS; label++)
    if (count[label] > 0)
      self->output.label[self->output.n++] = (guint8)label;
  for (guint label = 0; label < HT_EINSUM_LETTERS && self->output.n < HT_TENSOR_MAX_DIMS; label++)
    if (count[label] == 1)
      self->output.label[self->output.n++] = (guint8)label;
}

static char *
check_output (const HtEinsumEquation *self)
{
  guint count[HT_EINSUM_LABELS] = { 0 };

  for (guint i = 0; i < self->n_inputs; i++)
    for (guint k = 0; k < self->inputs[i].n; k++)
      count[self->inputs[i].label[k]] = 1;
  for (guint k = 0; k < self->output.n; k++)
    if (count[self->output.label[k]]++ != 1)
      return g_strdup ("each label of the result must be one of an input, and stand once");
  return NULL;
}

char *
ht_einsum_parse (HtEinsumEquation *self, const char *text, const guint *ranks, guint n_inputs)
{
  g_autoptr (GString) bare = g_string_new (NULL);
  gint n_ellipsis = 0;
  gboolean has_ellipsis;
  char *problem = NULL;

  *self = (HtEinsumEquation){ n_inputs, g_new0 (HtEinsumTerm, MAX (n_inputs, 1)), { 0 } };
  for (const char *c = text; *c; c++)
    if (!g_ascii_isspace (*c))
      g_string_append_c (bare, *c);
  const char *arrow = strstr (bare->str, "->"), *end = arrow ? arrow : bare->str + bare->len, *term = bare->str;
  for (guint i = 0; i < n_inputs && problem == NULL; i++)
    {
      const char *comma = memchr (term, ',', (gsize)(end - term)), *stop = comma ? comma : end;
      if ((comma == NULL) != (i + 1 == n_inputs))
        return g_strdup_printf ("the equation '%s' does not have %u terms", text, n_inputs);
      problem = read_term (&self->inputs[i], term, (gsize)(stop - term), (gint)ranks[i], 0, &has_ellipsis);
      guint n_letters = 0;
      for (guint k = 0; k < self->inputs[i].n; k++)
        n_letters += self->inputs[i].label[k] < HT_EINSUM_LETTERS;
      n_ellipsis = MAX (n_ellipsis, (gint)self->inputs[i].n - (gint)n_letters);
      term = stop + (comma != NULL);
    }
  if (problem == NULL && arrow)
    problem = read_term (&self->output, arrow + 2, strlen (arrow + 2), -1, n_ellipsis, &has_ellipsis);
  else if (problem == NULL)
    imply_output (self);
  return problem ? problem : check_output (self);
}

void
ht_einsum_clear (HtEinsumEquation *self)
{
  g_clear_pointer (&self->inputs, g_free);
}
