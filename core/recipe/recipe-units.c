/* SPDX-License-Identifier: MIT */
/* Durations and sizes, whose units are written out. */
#include <math.h>
#include <string.h>

#include "recipe/recipe-private.h"

typedef struct
{
  const char *name;
  double factor;
} Unit;

static const Unit durations[]
    = { { "ms", 1e-3 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 }, { NULL, 0 } };
static const Unit sizes[] = { { "B", 1 },      { "kB", 1e3 },      { "MB", 1e6 },         { "GB", 1e9 },
                              { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 }, { NULL, 0 } };

/* Digits, at most one point, and a unit. */
static gboolean
parse_quantity (const char *text, const Unit *units, double *value)
{
  gsize n_digits = strspn (text, "0123456789.");
  g_autofree char *digits = g_strndup (text, n_digits);
  char *end = NULL;
  double number = g_ascii_strtod (digits, &end);

  if (!g_ascii_isdigit (text[0]) || end == NULL || *end != '\0')
    return FALSE;
  text += n_digits;
  text += *text == ' ';
  for (; units->name != NULL; units++)
    if (strcmp (units->name, text) == 0)
      {
        *value = number * units->factor;
        return isfinite (*value);
      }
  return FALSE;
}

static gboolean
read_quantity (HtRecipeReader *reader, HtLocatedNode *node, const Unit *units, const char *example, double maximum,
               double *value)
{
  const char *text = ht_located_node_get_text (node);
  g_autofree char *name = ht_located_node_get_name (node), *found = NULL;
  g_autoptr (GString) known = g_string_new (NULL);

  if (ht_recipe_refuse_search (reader, node))
    return FALSE;
  if (text != NULL && parse_quantity (text, units, value))
    {
      if (*value > 0 && *value <= maximum)
        return TRUE;
      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE,
                              *value > 0 ? "%s is %s, more than any use" : "%s is %s, must be more than nothing", name,
                              text);
      return FALSE;
    }
  for (const Unit *unit = units; unit->name != NULL; unit++)
    g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "", unit->name);
  found = ht_located_node_describe (node);
  ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                          "%s is %s, must be a number with its unit, such as %s (units: %s)", name, found, example,
                          known->str);
  return FALSE;
}

gboolean
ht_recipe_read_duration (HtRecipeReader *reader, HtLocatedNode *node, double *seconds)
{
  return read_quantity (reader, node, durations, "90s or 2h", 1e9, seconds);
}

gboolean
ht_recipe_read_bytes (HtRecipeReader *reader, HtLocatedNode *node, guint64 *bytes)
{
  double value;

  if (!read_quantity (reader, node, sizes, "512MiB or 8GiB", 1e15, &value))
    return FALSE;
  *bytes = MAX ((guint64)value, 1);
  return TRUE;
}
