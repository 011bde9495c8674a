/* SPDX-License-Identifier: MIT */
#include <halftone/param.h>

#include <string.h>

/* Longer words are not compared: nobody mistypes them by a letter, and the cost grows with the square. */
#define MAX_WORD 96

/* Lower case and '-' for '_', as both spellings of a name are the same name. Returns the length, 0 where unusable. */
static gsize
normalize (const char *word, gunichar *letters)
{
  gsize length = 0;

  if (!g_utf8_validate (word, -1, NULL))
    return 0;
  for (const char *p = word; *p != '\0'; p = g_utf8_next_char (p))
    {
      if (length == MAX_WORD)
        return 0;
      gunichar letter = g_unichar_tolower (g_utf8_get_char (p));
      letters[length++] = letter == '_' ? '-' : letter;
    }
  return length;
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, each letter touched once. */
static gsize
distance (const gunichar *a, gsize n_a, const gunichar *b, gsize n_b)
{
  gsize rows[3][MAX_WORD + 1];
  gsize *before = rows[0], *above = rows[1], *row = rows[2];

  for (gsize j = 0; j <= n_b; j++)
    above[j] = j;
  for (gsize i = 1; i <= n_a; i++)
    {
      row[0] = i;
      for (gsize j = 1; j <= n_b; j++)
        {
          gsize cost = a[i - 1] == b[j - 1] ? 0 : 1;
          gsize best = MIN (MIN (above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
          if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            best = MIN (best, before[j - 2] + 1);
          row[j] = best;
        }
      gsize *spare = before;
      before = above;
      above = row;
      row = spare;
    }
  return above[n_b];
}

/**
 * ht_suggest:
 * @word: what was written
 * @candidates: (array zero-terminated=1): the words that are allowed
 *
 * Finds the word that was probably meant: the one with the least Damerau-Levenshtein distance, if no more than a third
 * of its letters differ. Letter case and the difference between `-` and `_` do not count. The first of equals is taken.
 *
 * Returns: (transfer none) (nullable): an element of @candidates, or %NULL where none is near
 */
const char *
ht_suggest (const char *word, const char *const *candidates)
{
  gunichar letters[MAX_WORD], other[MAX_WORD];
  const char *best = NULL;
  gsize best_distance = G_MAXSIZE;

  g_return_val_if_fail (word != NULL, NULL);
  g_return_val_if_fail (candidates != NULL, NULL);

  gsize length = normalize (word, letters);
  for (gsize i = 0; length > 0 && candidates[i] != NULL; i++)
    {
      gsize n_other = normalize (candidates[i], other);
      if (n_other == 0)
        continue;
      gsize found = distance (letters, length, other, n_other);
      gsize longest = MAX (length, n_other);
      if (found <= MAX (longest / 3, 1) && found < longest && found < best_distance)
        {
          best = candidates[i];
          best_distance = found;
        }
    }
  return best;
}
