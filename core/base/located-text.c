/* SPDX-License-Identifier: MIT */
/* Resolves quotes and escapes of a scalar that stands on one line (YAML 1.2.2, 7.3 and 5.7). libfyaml 0.7.12 leaks where
 * a text has many escapes, and its token iterator returns NUL characters for them. */
#include <string.h>

#include "base/located-private.h"

/* Value of exactly n hexadecimal digits, or -1. */
static gint64
read_hex (const char *p, const char *end, gsize n)
{
  gint64 value = 0;

  if ((gsize) (end - p) < n)
    return -1;
  for (gsize i = 0; i < n; i++)
    {
      if (!g_ascii_isxdigit (p[i]))
        return -1;
      value = value * 16 + g_ascii_xdigit_value (p[i]);
    }
  return value;
}

/* The character of an escape whose letter is at *p; moves *p behind it. -1 where there is no such escape. */
static gint64
read_escape (const char **p, const char *end)
{
  static const char letters[] = "0abtnvfre \"/\\N_LP";
  static const gunichar values[] = { 0,   0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c,   0x0d,  0x1b,
                                     ' ', '"',  '/',  '\\', 0x85, 0xa0, 0x2028, 0x2029 };
  char letter = *(*p)++;
  const char *known = letter != '\0' ? strchr (letters, letter) : NULL;
  gsize n_digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
  gint64 value, low;

  if (known != NULL)
    return values[known - letters];
  value = n_digits > 0 ? read_hex (*p, end, n_digits) : -1;
  *p += value >= 0 ? n_digits : 0;
  if (letter != 'u' || value < 0xd800 || value > 0xdbff)
    return value;
  low = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? read_hex (*p + 2, end, 4) : -1;
  if (low < 0xdc00 || low > 0xdfff)
    return -1;
  *p += 6;
  return 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
}

static const char *
unescape (const char *p, const char *end, GString *text)
{
  while (p < end)
    {
      gint64 c;

      if (*p != '\\')
        {
          g_string_append_c (text, *p++);
          continue;
        }
      if (++p == end)
        return "this text ends within an escape";
      c = read_escape (&p, end);
      if (c == 0)
        return "this text holds a NUL character";
      if (c < 0 || c > 0x10ffff || !g_unichar_validate ((gunichar) c))
        return "this text has an escape that is no character: write \\\\ for a backslash";
      if (ht_source_is_unwanted ((gunichar) c))
        return "this text has an escape for a character that is not allowed (a control character or line separator)";
      g_string_append_unichar (text, (gunichar) c);
    }
  return NULL;
}

const char *
ht_located_read_text (const char *source, gsize length, GString *text)
{
  const char *p = source, *end = source + length;
  char quote = length >= 2 && (*p == '"' || *p == '\'') && end[-1] == *p ? *p : '\0';

  if (quote == '\0')
    {
      g_string_append_len (text, p, (gssize) length);
      return NULL;
    }
  p++;
  end--;
  if (quote == '"')
    return unescape (p, end, text);
  for (; p < end; p++)
    {
      g_string_append_c (text, *p);
      if (*p == '\'' && p + 1 < end && p[1] == '\'')
        p++;
    }
  return NULL;
}
