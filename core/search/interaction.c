/* SPDX-License-Identifier: MIT */
#include "search/interaction.h"

#include "base/quantile.h"
#include "search/shapley.h"

#include <math.h>

#define CONFIDENCE 0.95

/* One value of an axis beside another. */
typedef struct
{
  guint axis, from, to;
} Change;

/* The candidate that this combination is, if it was scored on all samples. Takes the combination. */
static HtCandidate *
find_scored (HtSearch *self, HtCombination *combination)
{
  HtCandidate *candidate = g_hash_table_lookup (self->by_combination, combination);
  ht_combination_unref (combination);
  return candidate != NULL && candidate->status == HT_CANDIDATE_SCORED ? candidate : NULL;
}

static HtCombination *
apply (HtSearch *self, HtCombination *combination, const Change *change)
{
  if (!ht_combination_is_active (combination, change->axis))
    return ht_combination_ref (combination);
  return ht_recipe_space_vary (self->space, combination, change->axis, change->to);
}

static gboolean
has_value (HtCandidate *candidate, const Change *change)
{
  return ht_combination_is_active (candidate->combination, change->axis)
         && ht_combination_get_index (candidate->combination, change->axis) == change->from;
}

/* Larger is better. */
static double
get_worth (HtSearch *self, HtCandidate *candidate)
{
  return (ht_objective_is_maximized (self->objective) ? 1 : -1) * ht_search_get_metric (self, candidate);
}

/* The interaction at one candidate that has neither change; NaN: one of the four was not scored. */
static double
measure (HtSearch *self, HtCandidate *neither, const Change *first, const Change *second)
{
  if (neither->status != HT_CANDIDATE_SCORED || !has_value (neither, first) || !has_value (neither, second))
    return NAN;
  HtCandidate *with_first = find_scored (self, apply (self, neither->combination, first));
  HtCandidate *with_second = find_scored (self, apply (self, neither->combination, second));
  if (with_first == NULL || with_second == NULL || !has_value (with_first, second))
    return NAN;
  HtCandidate *both = find_scored (self, apply (self, with_first->combination, second));
  if (both == NULL)
    return NAN;
  return get_worth (self, both) - get_worth (self, with_first) - get_worth (self, with_second)
         + get_worth (self, neither);
}

static void
add_names (HtSearch *self, JsonObject *object, const Change *changes)
{
  JsonArray *axes = json_array_new (), *from = json_array_new (), *to = json_array_new ();
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *before = ht_recipe_space_format_axis_value (self->space, changes[i].axis, changes[i].from);
      g_autofree char *after = ht_recipe_space_format_axis_value (self->space, changes[i].axis, changes[i].to);
      json_array_add_string_element (axes, ht_recipe_space_get_axis_name (self->space, changes[i].axis));
      json_array_add_string_element (from, before);
      json_array_add_string_element (to, after);
    }
  json_object_set_array_member (object, "axes", axes);
  json_object_set_array_member (object, "from", from);
  json_object_set_array_member (object, "to", to);
}

static void
add_interaction (HtSearch *self, JsonArray *array, const Change *changes)
{
  guint n = 0;
  double mean = 0, square = 0;
  for (guint i = 0; i < self->candidates->len; i++)
    {
      double value = measure (self, g_ptr_array_index (self->candidates, i), &changes[0], &changes[1]);
      if (!isfinite (value))
        continue;
      double step = value - mean;
      mean += step / ++n;
      square += step * (value - mean);
    }
  if (n == 0)
    return;
  JsonObject *object = json_object_new ();
  add_names (self, object, changes);
  json_object_set_int_member (object, "quadruples", n);
  json_object_set_double_member (object, "interaction", mean);
  if (n > 1)
    {
      double reach = ht_student_quantile (0.5 + CONFIDENCE / 2, n - 1.0) * sqrt (square / (n - 1.0) / n);
      json_object_set_double_member (object, "low", mean - reach);
      json_object_set_double_member (object, "high", mean + reach);
    }
  json_array_add_object_element (array, object);
}

/* Every value beside the one that leaves the step out, else beside the first. */
static GArray *
list_changes (HtSearch *self)
{
  GArray *changes = g_array_new (FALSE, FALSE, sizeof (Change));
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (self->space); axis++)
    {
      gint none = ht_recipe_space_get_axis_none (self->space, axis);
      Change change = { .axis = axis, .from = none >= 0 ? (guint)none : 0 };
      for (change.to = 0; change.to < ht_recipe_space_get_axis_n_values (self->space, axis); change.to++)
        if (change.to != change.from)
          g_array_append_val (changes, change);
    }
  return changes;
}

JsonArray *
ht_search_describe_interactions (HtSearch *self)
{
  g_autoptr (GArray) changes = list_changes (self);
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < changes->len; i++)
    for (guint k = i + 1; k < changes->len; k++)
      {
        Change both[] = { g_array_index (changes, Change, i), g_array_index (changes, Change, k) };
        if (both[0].axis != both[1].axis)
          add_interaction (self, array, both);
      }
  return array;
}

/* Steps that the recipe may leave out and has no alternative for. */
static GArray *
list_optional (HtSearch *self)
{
  GArray *players = g_array_new (FALSE, FALSE, sizeof (Change));
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (self->space); axis++)
    {
      gint none = ht_recipe_space_get_axis_none (self->space, axis);
      Change change = { axis, (guint)MAX (none, 0), none == 0 };
      if (none >= 0 && ht_recipe_space_get_axis_n_values (self->space, axis) == 2
          && ht_combination_is_active (self->best->combination, axis))
        g_array_append_val (players, change);
    }
  return players;
}

/* FALSE: `missing` (transfer full) says which set was not scored. */
static gboolean
collect_worths (HtSearch *self, GArray *players, double *worths, char **missing)
{
  for (guint set = 0; set < 1u << players->len; set++)
    {
      g_autoptr (HtCombination) combination = ht_combination_ref (self->best->combination);
      for (guint i = 0; i < players->len; i++)
        {
          Change change = g_array_index (players, Change, i);
          if ((set >> i & 1) == 0)
            change.to = change.from;
          HtCombination *next = apply (self, combination, &change);
          ht_combination_unref (combination);
          combination = next;
        }
      HtCandidate *candidate = find_scored (self, ht_combination_ref (combination));
      if (candidate == NULL || !isfinite (get_worth (self, candidate)))
        {
          g_autofree char *text = ht_recipe_space_describe (self->space, combination);
          g_autofree char *law = NULL;
          if (ht_recipe_space_is_legal (self->space, combination, &law))
            *missing = g_strdup_printf ("not every set of the optional steps was scored: %s was not", text);
          else
            *missing = g_strdup_printf ("not every set of the optional steps is legal: %s falls to '%s'", text, law);
          return FALSE;
        }
      worths[set] = get_worth (self, candidate);
    }
  return TRUE;
}

JsonObject *
ht_search_describe_shapley (HtSearch *self)
{
  g_autoptr (GArray) players = list_optional (self);
  g_autofree char *missing = NULL;
  if (players->len < 2)
    return NULL;
  JsonObject *object = json_object_new ();
  g_autofree double *worths = g_new (double, 1u << MIN (players->len, HT_SHAPLEY_MAX_PLAYERS));
  double shares[HT_SHAPLEY_MAX_PLAYERS];
  if (players->len > HT_SHAPLEY_MAX_PLAYERS)
    missing = g_strdup_printf ("%u steps are optional, and Shapley values are for up to %d", players->len,
                               HT_SHAPLEY_MAX_PLAYERS);
  if (missing != NULL || !collect_worths (self, players, worths, &missing))
    {
      json_object_set_string_member (object, "none-because", missing);
      return object;
    }
  ht_shapley (worths, players->len, shares);
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < players->len; i++)
    {
      JsonObject *entry = json_object_new ();
      json_object_set_string_member (
          entry, "step", ht_recipe_space_get_axis_name (self->space, g_array_index (players, Change, i).axis));
      json_object_set_double_member (entry, "value", shares[i]);
      json_array_add_object_element (array, entry);
    }
  json_object_set_array_member (object, "values", array);
  json_object_set_double_member (object, "of", worths[(1u << players->len) - 1] - worths[0]);
  return object;
}
