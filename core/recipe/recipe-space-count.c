/* SPDX-License-Identifier: MIT */
/* Counting and enumerating combinations: mixed radix over the axes in their order, where the axes below an alternative
 * are digits only of the combinations that have it. */
#include <math.h>

#include "recipe/recipe-space-private.h"

static guint64
multiply (guint64 a, guint64 b)
{
  return a != 0 && b > G_MAXUINT64 / a ? G_MAXUINT64 : a * b;
}

static guint64
add (guint64 a, guint64 b)
{
  return b > G_MAXUINT64 - a ? G_MAXUINT64 : a + b;
}

/* The points of the axes below a value. */
static guint64
count_below (const HtSpaceAxis *axis, guint value)
{
  guint64 n = 1;

  for (guint i = 0; i < axis->children->len; i++)
    {
      HtSpaceAxis *child = g_ptr_array_index (axis->children, i);

      if (child->parent_value == value)
        n = multiply (n, child->n_points);
    }
  return n;
}

void
ht_recipe_space_count (HtRecipeSpace *self)
{
  /* Children stand behind their parents. */
  for (guint i = self->axes->len; i-- > 0;)
    {
      HtSpaceAxis *axis = g_ptr_array_index (self->axes, i);

      axis->n_points = axis->n_values == 0 ? G_MAXUINT64 : 0;
      if (axis->children->len == 0)
        axis->n_points = axis->n_values == 0 ? G_MAXUINT64 : axis->n_values;
      else
        for (guint value = 0; value < axis->n_values; value++)
          axis->n_points = add (axis->n_points, count_below (axis, value));
    }
}

HtCombination *
ht_recipe_space_settle (HtRecipeSpace *self, const HtCombinationValue *wanted)
{
  HtCombination *combination = ht_combination_new (self->axes->len);

  for (guint i = 0; i < self->axes->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (self->axes, i);
      HtCombinationValue *value = &combination->values[i];

      value->index = HT_COMBINATION_INACTIVE;
      value->number = NAN;
      if (axis->parent != NULL && combination->values[axis->parent->index].index != axis->parent_value)
        continue;
      value->index = axis->n_values == 0 ? 0 : MIN (wanted[i].index, axis->n_values - 1);
      value->number = axis->n_values == 0 ? wanted[i].number : ht_space_axis_get_number (axis, value->index);
    }
  return combination;
}

/* Values for all axes: those of a combination, and where it has none the first ones. */
static HtCombinationValue *
copy_values (HtRecipeSpace *self, HtCombination *combination)
{
  HtCombinationValue *values = g_new0 (HtCombinationValue, self->axes->len + 1);

  for (guint i = 0; i < self->axes->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (self->axes, i);

      values[i].number = axis->low;
      if (combination != NULL && combination->values[i].index != HT_COMBINATION_INACTIVE)
        values[i] = combination->values[i];
    }
  return values;
}

/**
 * ht_recipe_space_get_n_combinations:
 * @self: a space
 *
 * Counts the combinations, legal or not.
 *
 * Returns: how many there are; %G_MAXUINT64 where an axis is continuous or 64 bits do not hold their number
 */
guint64
ht_recipe_space_get_n_combinations (HtRecipeSpace *self)
{
  guint64 n = 1;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), 0);
  for (guint i = 0; i < self->roots->len; i++)
    n = multiply (n, ((HtSpaceAxis *)g_ptr_array_index (self->roots, i))->n_points);
  return n;
}

static void take_digits (GPtrArray *axes, const HtSpaceAxis *parent, guint value, guint64 n,
                         HtCombinationValue *values);

static void
take_digit (const HtSpaceAxis *axis, guint64 n, HtCombinationValue *values)
{
  guint value = 0;

  if (axis->children->len == 0)
    {
      values[axis->index].index = (guint)n;
      return;
    }
  for (guint64 below = count_below (axis, 0); n >= below; below = count_below (axis, value))
    {
      n -= below;
      value++;
    }
  values[axis->index].index = value;
  take_digits (axis->children, axis, value, n, values);
}

/* Splits a number over the axes that are below a value (or, without `parent`, all): the last varies fastest. */
static void
take_digits (GPtrArray *axes, const HtSpaceAxis *parent, guint value, guint64 n, HtCombinationValue *values)
{
  for (guint i = axes->len; i-- > 0;)
    {
      HtSpaceAxis *axis = g_ptr_array_index (axes, i);

      if (parent != NULL && axis->parent_value != value)
        continue;
      take_digit (axis, n % axis->n_points, values);
      n /= axis->n_points;
    }
}

/**
 * ht_recipe_space_get_nth:
 * @self: a space
 * @n: less than the number of combinations, where no axis is continuous; else 0
 *
 * Gets a combination in depth-first order: axes vary the slower the earlier the step is that looks at them. The first
 * one has the first alternative everywhere.
 *
 * Returns: (transfer full): the combination
 */
HtCombination *
ht_recipe_space_get_nth (HtRecipeSpace *self, guint64 n)
{
  g_autofree HtCombinationValue *values = NULL;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (n == 0 || ht_recipe_space_get_n_combinations (self) != G_MAXUINT64, NULL);
  g_return_val_if_fail (n < ht_recipe_space_get_n_combinations (self), NULL);

  values = copy_values (self, NULL);
  if (n > 0)
    take_digits (self->roots, NULL, 0, n, values);
  return ht_recipe_space_settle (self, values);
}

/**
 * ht_recipe_space_random:
 * @self: a space
 * @random: the stream of numbers
 *
 * Draws a combination: each axis on its own, all of its values alike; numbers of a logarithmic axis by their logarithm.
 *
 * Returns: (transfer full): the combination
 */
HtCombination *
ht_recipe_space_random (HtRecipeSpace *self, GRand *random)
{
  g_autofree HtCombinationValue *values = NULL;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (random != NULL, NULL);

  values = copy_values (self, NULL);
  for (guint i = 0; i < self->axes->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (self->axes, i);
      double draw = g_rand_double (random);

      if (axis->n_values > 0)
        values[i].index = (guint)(draw * axis->n_values);
      else if (axis->log)
        values[i].number = CLAMP (axis->low * pow (axis->high / axis->low, draw), axis->low, axis->high);
      else
        values[i].number = CLAMP (axis->low + draw * (axis->high - axis->low), axis->low, axis->high);
    }
  return ht_recipe_space_settle (self, values);
}

/**
 * ht_recipe_space_vary:
 * @self: a space
 * @combination: one of its combinations
 * @axis: an axis that counts in it and is not continuous
 * @index: which value it gets
 *
 * Changes one axis. Axes that count only now get their first value.
 *
 * Returns: (transfer full): the new combination
 */
HtCombination *
ht_recipe_space_vary (HtRecipeSpace *self, HtCombination *combination, guint axis, guint index)
{
  g_autofree HtCombinationValue *values = NULL;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self) && combination != NULL, NULL);
  g_return_val_if_fail (axis < self->axes->len && ht_combination_is_active (combination, axis), NULL);
  g_return_val_if_fail (index < ht_recipe_space_get_axis_n_values (self, axis), NULL);

  values = copy_values (self, combination);
  values[axis].index = index;
  return ht_recipe_space_settle (self, values);
}

/**
 * ht_recipe_space_vary_number:
 * @self: a space
 * @combination: one of its combinations
 * @axis: an axis that counts in it and is a range
 * @number: the number it gets: the nearest one that the range has
 *
 * Changes the number of one axis.
 *
 * Returns: (transfer full): the new combination
 */
HtCombination *
ht_recipe_space_vary_number (HtRecipeSpace *self, HtCombination *combination, guint axis, double number)
{
  g_autofree HtCombinationValue *values = NULL;
  HtSpaceAxis *at;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self) && combination != NULL, NULL);
  g_return_val_if_fail (axis < self->axes->len && ht_combination_is_active (combination, axis), NULL);
  at = g_ptr_array_index (self->axes, axis);
  g_return_val_if_fail (at->kind == HT_AXIS_INTEGER || at->kind == HT_AXIS_NUMBER, NULL);
  g_return_val_if_fail (!isnan (number), NULL);

  values = copy_values (self, combination);
  number = CLAMP (number, at->low, at->high);
  values[axis].number = number;
  if (at->n_values > 0)
    values[axis].index = MIN ((guint)round ((number - at->low) / at->step), at->n_values - 1);
  return ht_recipe_space_settle (self, values);
}
