/* SPDX-License-Identifier: MIT */
#include "pass/condition-private.h"

#include "base/param-family.h"
#include "base/param-private.h"

#include <halftone/error.h>

#include <string.h>

static gboolean
is_ordering (HtConditionOperator op)
{
  return op != HT_CONDITION_EQUAL && op != HT_CONDITION_NOT_EQUAL;
}

static gboolean
refuse (const HtCondition *self, const HtConditionNode *node, const char *expected, GError **error)
{
  if (node->bare)
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                 "condition '%s': '%s' is %s, so it needs a comparison; only a switch stands alone", self->text,
                 node->name, expected);
  else
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                 "condition '%s': '%s' is %s and cannot be compared with '%s' this way", self->text, node->name,
                 expected, node->literal.text);
  return FALSE;
}

static gboolean
check_unit (const HtCondition *self, const HtConditionNode *node, GParamSpec *pspec, GError **error)
{
  const char *unit = ht_param_spec_get_unit (pspec);

  if (node->literal.unit == NULL || g_strcmp0 (unit, node->literal.unit) == 0)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "condition '%s': '%s' is in %s, not in '%s'", self->text,
               node->name, unit != NULL ? unit : "no unit", node->literal.unit);
  return FALSE;
}

static gboolean
check_nick (const HtCondition *self, const HtConditionNode *node, GParamSpec *pspec, GError **error)
{
  GEnumClass *klass = G_PARAM_SPEC_ENUM (ht_param_spec_resolve (pspec))->enum_class;
  g_autofree char *nicks = NULL;

  if (g_enum_get_value_by_nick (klass, node->literal.text) != NULL)
    return TRUE;
  nicks = ht_param_spec_list_nicks (pspec);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "condition '%s': '%s' is one of %s, never '%s'", self->text,
               node->name, nicks, node->literal.text);
  return FALSE;
}

static gboolean
check_comparison (const HtCondition *self, const HtConditionNode *node, const HtConditionScope *scope, GError **error)
{
  g_autoptr (GError) local = NULL;
  GParamSpec *pspec = scope->find (scope, node->name, &local);
  gboolean literal_is_number = node->literal.kind == HT_CONDITION_INTEGER || node->literal.kind == HT_CONDITION_NUMBER;
  gboolean ordering = is_ordering (node->op);

  if (pspec == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "condition '%s': %s", self->text, local->message);
      return FALSE;
    }
  switch (ht_param_spec_get_kind (pspec))
    {
    case HT_PARAM_KIND_BOOLEAN:
      return (node->literal.kind == HT_CONDITION_BOOLEAN && !ordering) || refuse (self, node, "true or false", error);
    case HT_PARAM_KIND_INTEGER:
    case HT_PARAM_KIND_NUMBER:
      return (literal_is_number || refuse (self, node, "a number", error)) && check_unit (self, node, pspec, error);
    case HT_PARAM_KIND_ENUM:
    case HT_PARAM_KIND_FAMILY:
      if (node->bare || ordering || node->literal.kind != HT_CONDITION_TEXT)
        return refuse (self, node, "a word", error);
      /* A family may grow yet: its word may come from a plugin that is loaded later. */
      return ht_param_spec_get_kind (pspec) == HT_PARAM_KIND_FAMILY || check_nick (self, node, pspec, error);
    case HT_PARAM_KIND_TEXT:
      return (!node->bare && !ordering && !literal_is_number) || refuse (self, node, "text", error);
    default:
      return refuse (self, node, "a list", error);
    }
}

static gboolean
check_node (const HtCondition *self, const HtConditionNode *node, const HtConditionScope *scope, GError **error)
{
  if (node->kind == HT_CONDITION_COMPARE)
    return check_comparison (self, node, scope, error);
  return check_node (self, node->left, scope, error)
         && (node->right == NULL || check_node (self, node->right, scope, error));
}

gboolean
ht_condition_check (const HtCondition *self, const HtConditionScope *scope, GError **error)
{
  g_return_val_if_fail (self != NULL, FALSE);
  g_return_val_if_fail (scope != NULL, FALSE);
  return check_node (self, self->root, scope, error);
}

static gint
compare_integer (gint64 a, const HtConditionLiteral *literal)
{
  if (literal->kind == HT_CONDITION_INTEGER)
    return (a > literal->integer) - (a < literal->integer);
  return ((double)a > literal->number) - ((double)a < literal->number);
}

static gint
compare_number (double a, const HtConditionLiteral *literal)
{
  return (a > literal->number) - (a < literal->number);
}

/* Below, at or above the literal; for what is not a number, 0 means equal. */
static gint
compare (GParamSpec *pspec, const GValue *value, const HtConditionLiteral *literal)
{
  const HtParamFamily *family;
  GEnumValue *enum_value;
  GObject *object;

  switch (ht_param_spec_get_kind (pspec))
    {
    case HT_PARAM_KIND_BOOLEAN:
      return g_value_get_boolean (value) == literal->truth ? 0 : 1;
    case HT_PARAM_KIND_INTEGER:
      if (G_VALUE_HOLDS_INT (value))
        return compare_integer (g_value_get_int (value), literal);
      if (G_VALUE_HOLDS_UINT (value))
        return compare_integer (g_value_get_uint (value), literal);
      if (G_VALUE_HOLDS_INT64 (value))
        return compare_integer (g_value_get_int64 (value), literal);
      return compare_integer ((gint64)MIN (g_value_get_uint64 (value), (guint64)G_MAXINT64), literal);
    case HT_PARAM_KIND_NUMBER:
      return compare_number (g_value_get_double (value), literal);
    case HT_PARAM_KIND_ENUM:
      enum_value
          = g_enum_get_value (G_PARAM_SPEC_ENUM (ht_param_spec_resolve (pspec))->enum_class, g_value_get_enum (value));
      return enum_value != NULL && g_str_equal (enum_value->value_nick, literal->text) ? 0 : 1;
    case HT_PARAM_KIND_FAMILY:
      family = ht_param_family_get (pspec);
      object = g_value_get_object (value);
      return g_strcmp0 (object != NULL ? family->get_name (G_OBJECT_TYPE (object)) : family->fallback, literal->text)
                     == 0
                 ? 0
                 : 1;
    default:
      return g_strcmp0 (g_value_get_string (value), literal->text) == 0 ? 0 : 1;
    }
}

static gboolean
holds (HtConditionOperator op, gint order)
{
  switch (op)
    {
    case HT_CONDITION_EQUAL:
      return order == 0;
    case HT_CONDITION_NOT_EQUAL:
      return order != 0;
    case HT_CONDITION_LESS:
      return order < 0;
    case HT_CONDITION_LESS_OR_EQUAL:
      return order <= 0;
    case HT_CONDITION_GREATER:
      return order > 0;
    case HT_CONDITION_GREATER_OR_EQUAL:
    default:
      return order >= 0;
    }
}

static HtFactValue
evaluate_comparison (const HtConditionNode *node, const HtConditionScope *scope)
{
  g_auto (GValue) value = G_VALUE_INIT;
  GParamSpec *pspec = scope->find (scope, node->name, NULL);

  if (pspec == NULL)
    return HT_FACT_UNKNOWN;
  g_value_init (&value, G_PARAM_SPEC_VALUE_TYPE (pspec));
  if (!scope->get (scope, node->name, &value))
    return HT_FACT_UNKNOWN;
  return holds (node->op, compare (pspec, &value, &node->literal)) ? HT_FACT_TRUE : HT_FACT_FALSE;
}

/* Kleene's three values. */
static HtFactValue
evaluate_node (const HtConditionNode *node, const HtConditionScope *scope)
{
  HtFactValue left, right;

  if (node->kind == HT_CONDITION_COMPARE)
    return evaluate_comparison (node, scope);
  left = evaluate_node (node->left, scope);
  if (node->kind == HT_CONDITION_NOT)
    return left == HT_FACT_UNKNOWN ? HT_FACT_UNKNOWN : left == HT_FACT_TRUE ? HT_FACT_FALSE : HT_FACT_TRUE;
  right = evaluate_node (node->right, scope);
  HtFactValue decides = node->kind == HT_CONDITION_AND ? HT_FACT_FALSE : HT_FACT_TRUE;
  if (left == decides || right == decides)
    return decides;
  return left == HT_FACT_UNKNOWN || right == HT_FACT_UNKNOWN ? HT_FACT_UNKNOWN : left;
}

HtFactValue
ht_condition_evaluate (const HtCondition *self, const HtConditionScope *scope)
{
  g_return_val_if_fail (self != NULL, HT_FACT_UNKNOWN);
  g_return_val_if_fail (scope != NULL, HT_FACT_UNKNOWN);
  return evaluate_node (self->root, scope);
}
