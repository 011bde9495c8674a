/* SPDX-License-Identifier: MIT */
/* Values of axes and combinations as texts and JSON. */
#include <math.h>
#include <string.h>

#include "base/param-private.h"
#include "recipe/recipe-space-private.h"

#include <halftone/error.h>

static HtSpaceAxis *
get_axis (HtRecipeSpace *self, guint axis)
{
  return g_ptr_array_index (self->axes, axis);
}

/* The technique of an alternative, with its parameters where another alternative has the same one. */
static char *
format_alternative (const HtSpaceAxis *axis, HtLocatedNode *node)
{
  HtLocatedNode *use = NULL;
  guint n_same = 0;

  if (node == NULL)
    return g_strdup ("none");
  use = ht_recipe_space_find_use (node);
  for (guint i = 0; use != NULL && i < axis->values->len; i++)
    {
      HtLocatedNode *other = g_ptr_array_index (axis->values, i);
      HtLocatedNode *word = other != NULL ? ht_recipe_space_find_use (other) : NULL;

      n_same += word != NULL && strcmp (ht_located_node_get_text (word), ht_located_node_get_text (use)) == 0;
    }
  if (use != NULL && n_same == 1)
    return g_strdup (ht_located_node_get_text (use));
  g_autoptr (JsonNode) json = ht_located_node_to_json (node, NULL);
  return json != NULL ? json_to_string (json, FALSE) : g_strdup ("?");
}

/* A value as JSON has it, which differs for all values of an axis. */
static JsonNode *
value_to_json (const HtSpaceAxis *axis, const HtCombinationValue *value)
{
  if (axis->kind == HT_AXIS_STEP)
    {
      g_autofree char *text = format_alternative (axis, g_ptr_array_index (axis->values, value->index));

      return json_node_init_string (json_node_alloc (), text);
    }
  if (axis->kind == HT_AXIS_CHOICE)
    return ht_located_node_to_json (g_ptr_array_index (axis->values, value->index), NULL);
  if (axis->kind == HT_AXIS_INTEGER)
    return json_node_init_int (json_node_alloc (), (gint64)value->number);
  return json_node_init_double (json_node_alloc (), value->number);
}

static char *
format_value (const HtSpaceAxis *axis, const HtCombinationValue *value)
{
  if (axis->kind == HT_AXIS_STEP)
    return format_alternative (axis, g_ptr_array_index (axis->values, value->index));
  if (axis->kind == HT_AXIS_CHOICE)
    {
      HtLocatedNode *node = g_ptr_array_index (axis->values, value->index);
      const char *text = ht_located_node_get_text (node);
      g_autoptr (JsonNode) json = text == NULL ? ht_located_node_to_json (node, NULL) : NULL;

      return text != NULL ? g_strdup (text) : json != NULL ? json_to_string (json, FALSE) : g_strdup ("?");
    }
  if (axis->kind == HT_AXIS_INTEGER)
    return g_strdup_printf ("%" G_GINT64_FORMAT, (gint64)value->number);
  return ht_param_format_double (value->number);
}

/**
 * ht_recipe_space_format_axis_value:
 * @self: a space
 * @axis: an axis that is not continuous
 * @index: which of its values
 *
 * Writes a value for people: a technique, "none", or the value as a recipe has it.
 *
 * Returns: (transfer full): the text
 */
char *
ht_recipe_space_format_axis_value (HtRecipeSpace *self, guint axis, guint index)
{
  HtCombinationValue value = { .index = index };
  HtSpaceAxis *at;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (axis < self->axes->len, NULL);
  at = get_axis (self, axis);
  g_return_val_if_fail (index < at->n_values, NULL);

  value.number = ht_space_axis_get_number (at, index);
  return format_value (at, &value);
}

/**
 * ht_recipe_space_format_value:
 * @self: a space
 * @combination: one of its combinations
 * @axis: an axis that counts in it
 *
 * Writes the value of an axis for people, continuous ones too.
 *
 * Returns: (transfer full): the text
 */
char *
ht_recipe_space_format_value (HtRecipeSpace *self, HtCombination *combination, guint axis)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self) && axis < self->axes->len, NULL);
  g_return_val_if_fail (combination != NULL && ht_combination_is_active (combination, axis), NULL);

  return format_value (get_axis (self, axis), &combination->values[axis]);
}

/**
 * ht_recipe_space_describe:
 * @self: a space
 * @combination: one of its combinations
 *
 * Writes a combination for people: "round: adaround, round.iterations: 2000".
 *
 * Returns: (transfer full): the text; "the recipe" where there is nothing to choose
 */
char *
ht_recipe_space_describe (HtRecipeSpace *self, HtCombination *combination)
{
  GString *text;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (combination != NULL && combination->n_axes == self->axes->len, NULL);

  text = g_string_new (self->axes->len == 0 ? "the recipe" : NULL);
  for (guint i = 0; i < self->axes->len; i++)
    {
      g_autofree char *value = NULL;

      if (!ht_combination_is_active (combination, i))
        continue;
      value = format_value (get_axis (self, i), &combination->values[i]);
      g_string_append_printf (text, "%s%s: %s", text->len > 0 ? ", " : "", get_axis (self, i)->name, value);
    }
  return g_string_free (text, FALSE);
}

/**
 * ht_recipe_space_combination_to_json:
 * @self: a space
 * @combination: one of its combinations
 *
 * Writes a combination for programs: an object with a member for each axis that counts.
 *
 * Returns: (transfer full): the object
 */
JsonNode *
ht_recipe_space_combination_to_json (HtRecipeSpace *self, HtCombination *combination)
{
  JsonObject *object;
  JsonNode *node;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (combination != NULL && combination->n_axes == self->axes->len, NULL);

  object = json_object_new ();
  for (guint i = 0; i < self->axes->len; i++)
    if (ht_combination_is_active (combination, i))
      json_object_set_member (object, get_axis (self, i)->name,
                              value_to_json (get_axis (self, i), &combination->values[i]));
  node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  return node;
}

/* What is no value of the axis: FALSE. */
static gboolean
value_from_json (const HtSpaceAxis *axis, JsonNode *node, HtCombinationValue *value)
{
  for (guint i = 0; i < axis->values->len; i++)
    {
      HtCombinationValue candidate = { .index = i };
      g_autoptr (JsonNode) json = value_to_json (axis, &candidate);

      value->index = i;
      if (json != NULL && json_node_equal (json, node))
        return TRUE;
    }
  if (axis->kind == HT_AXIS_STEP || axis->kind == HT_AXIS_CHOICE || !JSON_NODE_HOLDS_VALUE (node)
      || (json_node_get_value_type (node) != G_TYPE_INT64 && json_node_get_value_type (node) != G_TYPE_DOUBLE))
    return FALSE;
  value->number = json_node_get_double (node);
  if (!(value->number >= axis->low && value->number <= axis->high))
    return FALSE;
  value->index
      = axis->n_values > 0 ? MIN ((guint)round ((value->number - axis->low) / axis->step), axis->n_values - 1) : 0;
  return axis->n_values == 0
         || fabs (ht_space_axis_get_number (axis, value->index) - value->number) <= 1e-9 * axis->step;
}

/**
 * ht_recipe_space_combination_from_json:
 * @self: a space
 * @node: what ht_recipe_space_combination_to_json() wrote
 * @error: return location for an error
 *
 * Reads a combination.
 *
 * Returns: (transfer full) (nullable): the combination, or %NULL with @error, %HT_ERROR_INVALID_DATA, where it is none
 * of this space
 */
HtCombination *
ht_recipe_space_combination_from_json (HtRecipeSpace *self, JsonNode *node, GError **error)
{
  g_autofree HtCombinationValue *values = NULL;
  g_autoptr (HtCombination) combination = NULL;
  guint n_active = 0;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (node != NULL, NULL);

  values = g_new0 (HtCombinationValue, self->axes->len + 1);
  for (guint i = 0; JSON_NODE_HOLDS_OBJECT (node) && i < self->axes->len; i++)
    {
      HtSpaceAxis *axis = get_axis (self, i);
      JsonNode *member = json_object_get_member (json_node_get_object (node), axis->name);

      values[i].number = axis->low;
      if (member != NULL && !value_from_json (axis, member, &values[i]))
        {
          g_autofree char *text = json_to_string (member, FALSE);

          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "reading a combination: '%s' is %s, which this recipe has not", axis->name, text);
          return NULL;
        }
    }
  combination = ht_recipe_space_settle (self, values);
  for (guint i = 0; i < self->axes->len; i++)
    if (ht_combination_is_active (combination, i))
      n_active += JSON_NODE_HOLDS_OBJECT (node)
                  && json_object_has_member (json_node_get_object (node), get_axis (self, i)->name);
    else
      n_active++;
  if (JSON_NODE_HOLDS_OBJECT (node) && n_active == self->axes->len)
    return g_steal_pointer (&combination);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "reading a combination: it has other axes than this recipe; was the recipe changed?");
  return NULL;
}
