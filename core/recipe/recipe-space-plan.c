/* SPDX-License-Identifier: MIT */
/* Plans, laws and recipes of combinations. */
#include "recipe/recipe-space-private.h"

static HtPlan *
create_plan (HtRecipeSpace *self, HtCombination *combination, GArray *present)
{
  HtPlan *plan = ht_plan_new (ht_recipe_space_read_quantization (self, combination, NULL));

  ht_plan_set_initial_fact (plan, HT_FACT_BATCHNORM_LIVE, self->batchnorm_live);
  if (self->recipe->encodings != NULL)
    ht_plan_set_initial_fact (plan, HT_FACT_WEIGHT_ENCODINGS_FIXED, HT_FACT_UNKNOWN);
  for (guint i = 0; i < self->slots->len; i++)
    {
      HtRecipeStep *step = ht_recipe_space_read_slot (self, i, combination, NULL);
      HtForbidStep named;

      if (step == NULL)
        continue;
      ht_plan_add_step (plan, step->id, step->pass);
      named.id = step->id;
      named.pass = step->pass;
      g_array_append_val (present, named);
    }
  return plan;
}

/**
 * ht_recipe_space_create_plan:
 * @self: a space
 * @combination: one of its combinations
 *
 * Makes the plan of a combination, legal or not. Two plans have the same pass object where they have the same step:
 * technique, id and parameters. Passes and settings must not be changed.
 *
 * Returns: (transfer full): the plan
 */
HtPlan *
ht_recipe_space_create_plan (HtRecipeSpace *self, HtCombination *combination)
{
  g_autoptr (GArray) present = g_array_new (FALSE, FALSE, sizeof (HtForbidStep));
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (combination != NULL && combination->n_axes == self->axes->len, NULL);

  locker = g_mutex_locker_new (&self->lock);
  return create_plan (self, combination, present);
}

/**
 * ht_recipe_space_get_quantization:
 * @self: a space
 * @combination: one of its combinations
 *
 * Gets the quantization settings of a combination, the same object where combinations have the same ones.
 *
 * Returns: (transfer none): the settings, which must not be changed
 */
HtQuantizationConfig *
ht_recipe_space_get_quantization (HtRecipeSpace *self, HtCombination *combination)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (combination != NULL && combination->n_axes == self->axes->len, NULL);

  locker = g_mutex_locker_new (&self->lock);
  return ht_recipe_space_read_quantization (self, combination, NULL);
}

static char *
find_plan_law (HtPlan *plan)
{
  if (ht_plan_check (plan, NULL))
    return NULL;
  for (guint i = 0; i < ht_plan_get_n_findings (plan); i++)
    {
      gint severity;
      const char *message = ht_plan_get_finding (plan, i, &severity, NULL, NULL, NULL);

      if (severity == HT_SEVERITY_ERROR)
        return g_strdup (message);
    }
  return g_strdup ("the plan is not legal");
}

/* The settings fit together, the steps do, and the recipe does not forbid it: in this order. */
static char *
find_law (HtRecipeSpace *self, HtCombination *combination)
{
  g_autoptr (GArray) present = g_array_new (FALSE, FALSE, sizeof (HtForbidStep));
  HtQuantizationConfig *config = ht_recipe_space_read_quantization (self, combination, NULL);
  g_autoptr (HtPlan) plan = NULL;
  g_autoptr (GError) error = NULL;
  char *law;

  if (!ht_quantization_config_verify (config, &error))
    return g_strdup_printf ("quantization settings: %s", error->message);
  plan = create_plan (self, combination, present);
  law = find_plan_law (plan);
  return law != NULL ? law : ht_forbid_find (self->recipe->forbidden, self->known, present, config, NULL);
}

/**
 * ht_recipe_space_is_legal:
 * @self: a space
 * @combination: one of its combinations
 * @law: (out) (optional) (transfer full) (nullable): the first law that it breaks, as a sentence that is the same for
 *   all combinations that break it the same way
 *
 * Tells whether a combination may be run: its settings fit together, its steps may follow each other, and the recipe
 * does not forbid it. What depends on a model that nobody has looked at is legal.
 *
 * Returns: whether it is legal
 */
gboolean
ht_recipe_space_is_legal (HtRecipeSpace *self, HtCombination *combination, char **law)
{
  g_autofree char *found = NULL;
  g_autoptr (GMutexLocker) locker = NULL;
  gboolean legal;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), FALSE);
  g_return_val_if_fail (combination != NULL && combination->n_axes == self->axes->len, FALSE);

  locker = g_mutex_locker_new (&self->lock);
  found = find_law (self, combination);
  legal = found == NULL;
  if (law != NULL)
    *law = g_steal_pointer (&found);
  return legal;
}

/**
 * ht_recipe_space_instantiate:
 * @self: a space
 * @combination: one of its combinations
 * @error: return location for an error
 *
 * Makes the recipe of a combination, which has no choices and nothing for a search: what ht_recipe_to_json() writes of
 * it, `halftone run` runs.
 *
 * Returns: (transfer full) (nullable): the recipe, or %NULL with @error set where the combination is not legal
 */
HtRecipe *
ht_recipe_space_instantiate (HtRecipeSpace *self, HtCombination *combination, GError **error)
{
  g_autoptr (HtRecipe) recipe = NULL;
  g_autoptr (HtLocatedDocument) document = NULL;
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  g_autoptr (GMutexLocker) locker = NULL;
  g_autofree char *law = NULL;
  HtRecipeReader reader = { .problems = problems };

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (combination != NULL && combination->n_axes == self->axes->len, NULL);

  locker = g_mutex_locker_new (&self->lock);
  law = find_law (self, combination);
  if (law != NULL)
    {
      g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_CONFLICT, "this combination is not legal: %s", law);
      return NULL;
    }
  recipe = ht_recipe_new_for_file (self->path);
  reader.recipe = recipe;
  reader.registry = self->registry;
  document = ht_recipe_space_substitute (self, ht_located_document_get_root (self->document), combination, FALSE);
  ht_recipe_read_tree (&reader, ht_located_document_get_root (document));
  if (!ht_diagnostic_list_finish (problems, NULL, 0, 0, error))
    return NULL;
  return g_steal_pointer (&recipe);
}
