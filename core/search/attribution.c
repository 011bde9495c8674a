/* SPDX-License-Identifier: MIT */
#include "search/attribution.h"

#include "base/quantile.h"

#include <math.h>

#define CONFIDENCE 0.95

typedef struct
{
  guint n;
  double sum, square, least;
} Gains;

/* Whether two combinations differ on this axis alone, and on those that count only with one of its values. */
static gboolean
differ_only_in (HtRecipeSpace *space, HtCombination *a, HtCombination *b, guint axis)
{
  for (guint i = 0; i < ht_recipe_space_get_n_axes (space); i++)
    {
      gboolean first = ht_combination_is_active (a, i), second = ht_combination_is_active (b, i);
      guint value;
      if (i == axis || (!first && !second))
        continue;
      if (first != second)
        {
          if (ht_recipe_space_get_axis_parent (space, i, &value) != (gint)axis)
            return FALSE;
          continue;
        }
      gboolean is_same = ht_recipe_space_get_axis_n_values (space, i) > 0
                             ? ht_combination_get_index (a, i) == ht_combination_get_index (b, i)
                             : ht_combination_get_number (a, i) == ht_combination_get_number (b, i);
      if (!is_same)
        return FALSE;
    }
  return TRUE;
}

static gboolean
has_value (HtCandidate *candidate, guint axis, guint value)
{
  return candidate->status == HT_CANDIDATE_SCORED && ht_combination_is_active (candidate->combination, axis)
         && ht_combination_get_index (candidate->combination, axis) == value;
}

static Gains
collect_gains (HtSearch *self, guint axis, guint from, guint to)
{
  Gains gains = { .least = INFINITY };
  for (guint i = 0; i < self->candidates->len; i++)
    for (guint k = 0; k < self->candidates->len; k++)
      {
        HtCandidate *before = g_ptr_array_index (self->candidates, i), *after = g_ptr_array_index (self->candidates, k);
        double difference, low, high;
        if (!has_value (before, axis, from) || !has_value (after, axis, to)
            || !differ_only_in (self->space, before->combination, after->combination, axis)
            || !ht_search_get_difference (self, after, before, CONFIDENCE, &difference, &low, &high)
            || !isfinite (difference))
          continue;
        gains.n++;
        gains.sum += difference;
        gains.square += difference * difference;
        gains.least = fmin (gains.least, difference);
      }
  return gains;
}

static void
add_gain (HtSearch *self, JsonArray *array, guint axis, guint from, guint to)
{
  Gains gains = collect_gains (self, axis, from, to);
  if (gains.n == 0)
    return;
  double mean = gains.sum / gains.n;
  double variance = gains.n > 1 ? fmax (0, (gains.square - gains.n * mean * mean) / (gains.n - 1)) : NAN;
  double reach
      = gains.n > 1 ? ht_student_quantile (0.5 + CONFIDENCE / 2, gains.n - 1.0) * sqrt (variance / gains.n) : NAN;
  g_autofree char *before = ht_recipe_space_format_axis_value (self->space, axis, from);
  g_autofree char *after = ht_recipe_space_format_axis_value (self->space, axis, to);
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "axis", ht_recipe_space_get_axis_name (self->space, axis));
  json_object_set_string_member (object, "from", before);
  json_object_set_string_member (object, "to", after);
  json_object_set_int_member (object, "pairs", gains.n);
  json_object_set_double_member (object, "gain", mean);
  if (gains.n > 1)
    {
      json_object_set_double_member (object, "low", mean - reach);
      json_object_set_double_member (object, "high", mean + reach);
    }
  json_object_set_double_member (object, "least", gains.least);
  json_array_add_object_element (array, object);
}

/* A value is compared with the one that leaves the step out, else with the first. */
JsonArray *
ht_search_attribute (HtSearch *self)
{
  JsonArray *array = json_array_new ();
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (self->space); axis++)
    {
      gint none = ht_recipe_space_get_axis_none (self->space, axis);
      guint from = none >= 0 ? (guint)none : 0;
      for (guint to = 0; to < ht_recipe_space_get_axis_n_values (self->space, axis); to++)
        if (to != from)
          add_gain (self, array, axis, from, to);
    }
  return array;
}
