/* SPDX-License-Identifier: MIT */
/* The meaning of plain text: YAML 1.2's JSON schema. What older YAML, C or JavaScript would take for a number, and JSON
 * would not, is refused: whoever wrote it meant a value that would silently become text. */
#include "base/located-private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define DIGITS "0123456789"

/* Length of the JSON number at the start of the text, 0 if there is none. */
static gsize
json_number_length (const char *text, gboolean *is_integer)
{
  const char *p = text + (*text == '-');
  gsize n = strspn (p, DIGITS);

  *is_integer = TRUE;
  if (n == 0 || (n > 1 && *p == '0'))
    return 0;
  p += n;
  if (*p == '.')
    {
      n = strspn (p + 1, DIGITS);
      if (n == 0)
        return 0;
      p += n + 1;
      *is_integer = FALSE;
    }
  if (*p == 'e' || *p == 'E')
    {
      p += 1 + (p[1] == '+' || p[1] == '-');
      n = strspn (p, DIGITS);
      if (n == 0)
        return 0;
      p += n;
      *is_integer = FALSE;
    }
  return (gsize) (p - text);
}

/* The rest of a number after its sign and digits: fraction and exponent, each of which may be odd. */
static gboolean
is_number_tail (const char *p)
{
  if (*p == '.')
    p += 1 + strspn (p + 1, DIGITS "_");
  if (*p == 'e' || *p == 'E')
    {
      p++;
      p += *p == '+' || *p == '-';
      p += strspn (p, DIGITS "_");
    }
  return *p == '\0';
}

static const char *
find_odd_number (const char *text)
{
  const char *p = text + (*text == '-' || *text == '+');
  gsize n_digits = strspn (p, DIGITS "_");

  if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && p[2] != '\0' && p[2 + strspn (p + 2, DIGITS "abcdefABCDEF_")] == '\0')
    return "hexadecimal numbers are not supported: write it in decimal";
  if (p[0] == '0' && (p[1] == 'o' || p[1] == 'O') && p[2] != '\0' && p[2 + strspn (p + 2, "01234567_")] == '\0')
    return "octal numbers are not supported: write it in decimal";
  if (p[0] == '0' && (p[1] == 'b' || p[1] == 'B') && p[2] != '\0' && p[2 + strspn (p + 2, "01_")] == '\0')
    return "binary numbers are not supported: write it in decimal";
  if (p[0] == '.' && (g_ascii_strcasecmp (p, ".inf") == 0 || g_ascii_strcasecmp (p, ".nan") == 0))
    return "only finite numbers are supported";
  if (g_ascii_strcasecmp (p, "infinity") == 0 || strcmp (p, "NaN") == 0)
    return "only finite numbers are supported";
  if (p[0] == '.' && g_ascii_isdigit (p[1]) && is_number_tail (p))
    return "a number begins with a digit: write 0 before the point";
  if (n_digits == 0 || !g_ascii_isdigit (*p) || !is_number_tail (p + n_digits))
    return NULL;
  if (strchr (p, '_') != NULL)
    return "a number has no underscores: leave them out";
  if (p[0] == '0' && n_digits > 1)
    return "a number has no leading zeros: leave them out (it is not octal here)";
  if (*text == '+')
    return "a number has no leading '+': leave it out";
  if (p[n_digits] == '.' && !g_ascii_isdigit (p[n_digits + 1]))
    return "a number does not end with its point: write a digit after it";
  return "the exponent of this number has no digits";
}

/* Whether 64 bits hold it, signed or unsigned. */
static gboolean
fits_64_bits (const char *text)
{
  errno = 0;
  if (*text == '-')
    g_ascii_strtoll (text, NULL, 10);
  else
    g_ascii_strtoull (text, NULL, 10);
  return errno == 0;
}

static const char *
check_double (const char *text, gint *code)
{
  double value = g_ascii_strtod (text, NULL);

  *code = HT_RECIPE_ERROR_OUT_OF_RANGE;
  if (!isfinite (value))
    return "this number is beyond the largest double, 1.8e308";
  if (value == 0.0 && text[strspn (text, "-0.")] != '\0' && text[strspn (text, "-0.")] != 'e'
      && text[strspn (text, "-0.")] != 'E')
    return "this number is closer to zero than any double but 0";
  return NULL;
}

const char *
ht_located_classify (const char *text, HtLocatedKind *kind, gint *code)
{
  gboolean is_integer;
  gsize length;

  *code = HT_RECIPE_ERROR_SYNTAX;
  *kind = HT_LOCATED_STRING;
  if (*text == '\0' || strcmp (text, "~") == 0 || strcmp (text, "null") == 0 || strcmp (text, "Null") == 0
      || strcmp (text, "NULL") == 0)
    *kind = HT_LOCATED_NULL;
  else if (strcmp (text, "true") == 0 || strcmp (text, "false") == 0)
    *kind = HT_LOCATED_BOOLEAN;
  if (*kind != HT_LOCATED_STRING)
    return NULL;
  length = json_number_length (text, &is_integer);
  if (length == 0 || text[length] != '\0')
    return find_odd_number (text);
  *kind = is_integer ? HT_LOCATED_INTEGER : HT_LOCATED_NUMBER;
  if (!is_integer)
    return check_double (text, code);
  if (fits_64_bits (text))
    return NULL;
  *code = HT_RECIPE_ERROR_OUT_OF_RANGE;
  return "this integer does not fit 64 bits";
}
