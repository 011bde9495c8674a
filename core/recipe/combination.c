/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "recipe/recipe-space-private.h"

G_DEFINE_BOXED_TYPE (HtCombination, ht_combination, ht_combination_ref, ht_combination_unref)

HtCombination *
ht_combination_new (guint n_axes)
{
  HtCombination *self = g_malloc0 (sizeof (HtCombination) + n_axes * sizeof (HtCombinationValue));

  g_atomic_ref_count_init (&self->ref_count);
  self->n_axes = n_axes;
  return self;
}

/**
 * ht_combination_ref:
 * @self: a combination
 *
 * Takes a reference.
 *
 * Returns: (transfer full): the combination
 */
HtCombination *
ht_combination_ref (HtCombination *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * ht_combination_unref:
 * @self: (transfer full): a combination
 *
 * Gives up a reference.
 */
void
ht_combination_unref (HtCombination *self)
{
  g_return_if_fail (self != NULL);
  if (g_atomic_ref_count_dec (&self->ref_count))
    g_free (self);
}

/**
 * ht_combination_is_active:
 * @self: a combination
 * @axis: an axis of its space
 *
 * Tells whether an axis counts: a parameter of a step does where the combination has that step.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_combination_is_active (HtCombination *self, guint axis)
{
  g_return_val_if_fail (self != NULL && axis < self->n_axes, FALSE);
  return self->values[axis].index != HT_COMBINATION_INACTIVE;
}

/**
 * ht_combination_get_index:
 * @self: a combination
 * @axis: an axis that counts
 *
 * Gets which value of an axis it has; 0 for one that is continuous.
 *
 * Returns: the index, or %G_MAXUINT where the axis does not count
 */
guint
ht_combination_get_index (HtCombination *self, guint axis)
{
  g_return_val_if_fail (self != NULL && axis < self->n_axes, HT_COMBINATION_INACTIVE);
  return self->values[axis].index;
}

/**
 * ht_combination_get_number:
 * @self: a combination
 * @axis: an axis that counts and is a range
 *
 * Gets its number on an axis.
 *
 * Returns: the number; not a number where the axis is no range or does not count
 */
double
ht_combination_get_number (HtCombination *self, guint axis)
{
  g_return_val_if_fail (self != NULL && axis < self->n_axes, NAN);
  return self->values[axis].index != HT_COMBINATION_INACTIVE ? self->values[axis].number : NAN;
}

static gboolean
same_number (double a, double b)
{
  return a == b || (isnan (a) && isnan (b));
}

/**
 * ht_combination_equal:
 * @a: (type HtCombination): a combination
 * @b: (type HtCombination): another one of the same space
 *
 * Compares combinations; fit for hash tables.
 *
 * Returns: whether they are the same recipe
 */
gboolean
ht_combination_equal (gconstpointer a, gconstpointer b)
{
  const HtCombination *first = a, *second = b;

  g_return_val_if_fail (a != NULL && b != NULL, FALSE);
  if (first->n_axes != second->n_axes)
    return FALSE;
  for (guint i = 0; i < first->n_axes; i++)
    if (first->values[i].index != second->values[i].index
        || !same_number (first->values[i].number, second->values[i].number))
      return FALSE;
  return TRUE;
}

/**
 * ht_combination_hash:
 * @self: (type HtCombination): a combination
 *
 * Hashes a combination; fit for hash tables.
 *
 * Returns: the hash value
 */
guint
ht_combination_hash (gconstpointer self)
{
  const HtCombination *combination = self;
  guint hash = 5381;

  g_return_val_if_fail (self != NULL, 0);
  for (guint i = 0; i < combination->n_axes; i++)
    {
      double number = combination->values[i].number;

      hash = hash * 33 + combination->values[i].index;
      if (!isnan (number))
        hash = hash * 33 + g_double_hash (&number);
    }
  return hash;
}
