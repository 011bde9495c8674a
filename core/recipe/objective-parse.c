/* SPDX-License-Identifier: MIT */
/* Conditions of an objective:
 *
 *   condition = name ( ">=" | "<=" ) bound
 *   bound     = "baseline" [ ( "+" | "-" ) number unit ] | number unit
 *
 * A unit is written without a space. "pp" are points of a share, "%" is relative to the baseline; where there is no
 * baseline, "%" makes a share of a number. */
#include <math.h>
#include <string.h>

#include "recipe/objective-private.h"

#include <halftone/enums.h>
#include <halftone/error.h>
#include <halftone/param.h>

typedef enum
{
  QUANTITY_SHARE,
  QUANTITY_DECIBEL,
  QUANTITY_PLAIN,
  QUANTITY_BYTES,
  QUANTITY_SECONDS,
} Quantity;

typedef struct
{
  Quantity quantity;
  const char *unit;
  double factor;
} Unit;

/* The unit without letters is that of numbers that need none. */
static const Unit units[] = {
  { QUANTITY_SHARE, "pp", 0.01 },     { QUANTITY_DECIBEL, "dB", 1 },
  { QUANTITY_PLAIN, "", 1 },          { QUANTITY_BYTES, "B", 1 },
  { QUANTITY_BYTES, "kB", 1e3 },      { QUANTITY_BYTES, "MB", 1e6 },
  { QUANTITY_BYTES, "GB", 1e9 },      { QUANTITY_BYTES, "KiB", 1024 },
  { QUANTITY_BYTES, "MiB", 1048576 }, { QUANTITY_BYTES, "GiB", 1073741824 },
  { QUANTITY_SECONDS, "ms", 1e-3 },   { QUANTITY_SECONDS, "s", 1 },
  { QUANTITY_SECONDS, "min", 60 },    { QUANTITY_SECONDS, "h", 3600 },
};

typedef struct
{
  const char *text;
  const char *next;
  HtConstraint *constraint;
  Quantity quantity;
} Parser;

static gboolean
fail (Parser *self, const char *expected, GError **error)
{
  g_autofree char *rest = g_strdup (self->next);
  g_autofree char *found = *rest != '\0' ? g_strdup_printf ("'%.30s'", rest) : g_strdup ("the end");

  g_set_error (
      error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_SYNTAX,
      "the condition '%s' has %s at character %ld, expected %s; a condition reads like top1 >= baseline - 0.5pp",
      self->text, found, (long)g_utf8_pointer_to_offset (self->text, self->next) + 1, expected);
  return FALSE;
}

static void
skip_spaces (Parser *self)
{
  self->next += strspn (self->next, " \t");
}

static Quantity
quantity_of_metric (HtMetric metric)
{
  switch (metric)
    {
    case HT_METRIC_TOP1:
    case HT_METRIC_TOP5:
    case HT_METRIC_AGREEMENT:
      return QUANTITY_SHARE;
    case HT_METRIC_SQNR:
      return QUANTITY_DECIBEL;
    default:
      return QUANTITY_PLAIN;
    }
}

static Quantity
quantity_of_cost (HtCost cost)
{
  return cost == HT_COST_SIZE ? QUANTITY_BYTES : cost == HT_COST_TIME ? QUANTITY_SECONDS : QUANTITY_PLAIN;
}

static gboolean
unknown_name (const char *name, GEnumClass *metrics, GEnumClass *costs, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *all = NULL;
  const char *near;

  for (guint i = 0; i < metrics->n_values; i++)
    g_ptr_array_add (names, (gpointer)metrics->values[i].value_nick);
  for (guint i = 0; i < costs->n_values; i++)
    g_ptr_array_add (names, (gpointer)costs->values[i].value_nick);
  g_ptr_array_add (names, NULL);
  near = ht_suggest (name, (const char *const *)names->pdata);
  all = g_strjoinv (", ", (char **)names->pdata);
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "unknown metric '%s'%s%s%s (known: %s)", name,
               near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "", all);
  return FALSE;
}

static gboolean
read_name (Parser *self, GError **error)
{
  gsize length = strspn (self->next, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
  g_autofree char *name = g_strndup (self->next, length);
  g_autoptr (GEnumClass) metrics = g_type_class_ref (HT_TYPE_METRIC);
  g_autoptr (GEnumClass) costs = g_type_class_ref (HT_TYPE_COST);
  GEnumValue *metric = g_enum_get_value_by_nick (metrics, name), *cost = g_enum_get_value_by_nick (costs, name);

  if (length == 0)
    return fail (self, "a metric or a cost", error);
  if (metric == NULL && cost == NULL)
    return unknown_name (name, metrics, costs, error);
  self->constraint->metric = metric != NULL ? metric->value : -1;
  self->constraint->cost = metric == NULL ? cost->value : -1;
  self->quantity
      = metric != NULL ? quantity_of_metric ((HtMetric)metric->value) : quantity_of_cost ((HtCost)cost->value);
  self->next += length;
  return TRUE;
}

static gboolean
read_comparison (Parser *self, GError **error)
{
  skip_spaces (self);
  if (g_str_has_prefix (self->next, ">="))
    self->constraint->comparison = HT_COMPARISON_AT_LEAST;
  else if (g_str_has_prefix (self->next, "<="))
    self->constraint->comparison = HT_COMPARISON_AT_MOST;
  else
    return fail (self, "'>=' or '<='", error);
  self->next += 2;
  skip_spaces (self);
  return TRUE;
}

static gboolean
refuse_unit (Parser *self, const char *unit, gboolean relative, GError **error)
{
  g_autoptr (GString) known = g_string_new (NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (units[i].quantity == self->quantity)
      g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "",
                              *units[i].unit != '\0' ? units[i].unit : "none");
  if (relative || self->quantity == QUANTITY_SHARE)
    g_string_append (known, ", %");
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
               "the condition '%s' has a number %s%s%s, must have a unit of: %s", self->text,
               *unit != '\0' ? "in '" : "without a unit", unit, *unit != '\0' ? "'" : "", known->str);
  return FALSE;
}

/* number unit, to be added with `sign` */
static gboolean
read_amount (Parser *self, double sign, GError **error)
{
  HtConstraint *constraint = self->constraint;
  gsize n_digits = strspn (self->next, "0123456789."), n_unit;
  g_autofree char *digits = g_strndup (self->next, n_digits), *unit = NULL;
  char *end = NULL;
  double number = g_ascii_strtod (digits, &end);

  if (!g_ascii_isdigit (*self->next) || *end != '\0' || !isfinite (number))
    return fail (self, "a number", error);
  n_unit = strspn (self->next + n_digits, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%");
  unit = g_strndup (self->next + n_digits, n_unit);
  self->next += n_digits + n_unit;
  if (strcmp (unit, "%") == 0 && (constraint->relative || self->quantity == QUANTITY_SHARE))
    {
      if (constraint->relative)
        constraint->factor += sign * number / 100;
      else
        constraint->offset = sign * number / 100;
      return TRUE;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (units[i].quantity == self->quantity && strcmp (units[i].unit, unit) == 0)
      {
        constraint->offset = sign * number * units[i].factor;
        return TRUE;
      }
  return refuse_unit (self, unit, constraint->relative, error);
}

/* Against itself the floating-point network has no error at all: a distance to it has no useful baseline. */
static gboolean
check_baseline (Parser *self, GError **error)
{
  const HtConstraint *constraint = self->constraint;
  gboolean has_none = constraint->metric == HT_METRIC_SQNR || constraint->metric == HT_METRIC_KL
                      || constraint->cost == HT_COST_STEPS || constraint->cost == HT_COST_TIME;

  if (!has_none)
    return TRUE;
  g_set_error (
      error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
      "the condition '%s' asks for the baseline of what the floating-point network has none of: give a number%s",
      self->text, constraint->metric == HT_METRIC_SQNR ? ", as in sqnr >= 20dB" : "");
  return FALSE;
}

static gboolean
read_bound (Parser *self, GError **error)
{
  HtConstraint *constraint = self->constraint;
  double sign = 1;

  if (!g_str_has_prefix (self->next, "baseline"))
    {
      if (!g_ascii_isdigit (*self->next) && *self->next != '-')
        return fail (self, "'baseline' or a number", error);
      if (*self->next == '-')
        {
          sign = -1;
          self->next++;
        }
      return read_amount (self, sign, error);
    }
  constraint->relative = TRUE;
  constraint->factor = 1;
  if (!check_baseline (self, error))
    return FALSE;
  self->next += strlen ("baseline");
  skip_spaces (self);
  if (*self->next == '\0')
    return TRUE;
  if (*self->next != '+' && *self->next != '-')
    return fail (self, "'+', '-' or the end", error);
  sign = *self->next == '-' ? -1 : 1;
  self->next++;
  skip_spaces (self);
  return read_amount (self, sign, error);
}

gboolean
ht_objective_add_constraint (HtObjective *self, const char *text, GError **error)
{
  HtConstraint constraint = { .metric = -1, .cost = -1 };
  Parser parser = { .text = text, .next = text, .constraint = &constraint };

  skip_spaces (&parser);
  if (!read_name (&parser, error) || !read_comparison (&parser, error) || !read_bound (&parser, error))
    return FALSE;
  skip_spaces (&parser);
  if (*parser.next != '\0')
    return fail (&parser, "the end", error);
  constraint.text = g_strdup (text);
  ht_objective_take_constraint (self, &constraint);
  return TRUE;
}
