/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "recipe/recipe-set.h"
#include "recipe/recipe-space-private.h"

#include <halftone/error.h>

/**
 * HtRecipeSpace:
 *
 * All recipes that one text with choices stands for: `optional` and `one-of` steps, and values that are `$choice`,
 * `$int` or `$float`. Each choice is an axis. Axes below an alternative, as the parameters of one technique, count only
 * in combinations that have it. May be asked from several threads.
 */
G_DEFINE_FINAL_TYPE (HtRecipeSpace, ht_recipe_space, G_TYPE_OBJECT)

/* Steps of combinations that are looked at for a legal one when a recipe is read. */
#define MAX_STEPS_LOOKED_AT 200000u
#define MAX_LOOKED_AT       10000u

static void
ht_recipe_space_finalize (GObject *object)
{
  HtRecipeSpace *self = HT_RECIPE_SPACE (object);

  g_mutex_clear (&self->lock);
  g_free (self->path);
  g_clear_object (&self->registry);
  g_clear_pointer (&self->read, g_hash_table_unref);
  g_hash_table_unref (self->shared);
  g_hash_table_unref (self->targets);
  g_hash_table_unref (self->dropped);
  g_hash_table_unref (self->ids);
  g_hash_table_unref (self->by_node);
  g_array_unref (self->known);
  g_ptr_array_unref (self->known_steps);
  g_ptr_array_unref (self->slots);
  g_ptr_array_unref (self->roots);
  g_ptr_array_unref (self->axes);
  g_clear_object (&self->objective);
  g_clear_object (&self->settings);
  g_clear_object (&self->recipe);
  g_clear_pointer (&self->document, ht_located_document_unref);
  G_OBJECT_CLASS (ht_recipe_space_parent_class)->finalize (object);
}

static void
ht_recipe_space_class_init (HtRecipeSpaceClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_recipe_space_finalize;
}

static void
ht_recipe_space_init (HtRecipeSpace *self)
{
  g_mutex_init (&self->lock);
  self->batchnorm_live = HT_FACT_UNKNOWN;
  self->axes = g_ptr_array_new_with_free_func (ht_space_axis_free);
  self->roots = g_ptr_array_new ();
  self->slots = g_ptr_array_new_with_free_func (ht_space_slot_free);
  self->by_node = g_hash_table_new (NULL, NULL);
  self->ids = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->dropped = g_hash_table_new (NULL, NULL);
  self->targets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  self->shared = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  self->known = g_array_new (FALSE, FALSE, sizeof (HtForbidStep));
  self->known_steps = g_ptr_array_new ();
}

/* Every step that any combination may have, for the names in `forbid`. */
static void
list_known (HtRecipeSpace *self)
{
  for (guint i = 0; i < self->slots->len; i++)
    {
      HtSpaceSlot *slot = g_ptr_array_index (self->slots, i);

      for (guint k = 0; k < slot->alternatives->len; k++)
        {
          g_autofree HtCombinationValue *values = g_new0 (HtCombinationValue, self->axes->len + 1);
          g_autoptr (HtCombination) combination = NULL;
          HtRecipeStep *step;
          HtForbidStep named;

          for (guint a = 0; a < self->axes->len; a++)
            values[a].number = ((HtSpaceAxis *)g_ptr_array_index (self->axes, a))->low;
          if (slot->axis != NULL)
            values[slot->axis->index].index = k;
          combination = ht_recipe_space_settle (self, values);
          step = ht_recipe_space_read_slot (self, i, combination, NULL);
          if (step == NULL)
            continue;
          named.id = step->id;
          named.pass = step->pass;
          g_array_append_val (self->known, named);
          g_ptr_array_add (self->known_steps, step);
        }
    }
}

/* Reads the first combination whole, with what a search needs, then every other value of every axis. */
static void
read_space (HtRecipeSpace *self, GPtrArray *problems)
{
  HtRecipeReader reader = { .recipe = self->recipe,
                            .registry = self->registry,
                            .problems = problems,
                            .ids_checked = TRUE,
                            .targets = self->targets };
  g_autoptr (HtLocatedDocument) document = NULL;
  g_autoptr (HtCombination) first = NULL;

  ht_recipe_space_find_axes (self, problems);
  reader.in_space = self->axes->len > 0;
  first = ht_recipe_space_get_nth (self, 0);
  document = ht_recipe_space_substitute (self, ht_located_document_get_root (self->document), first, TRUE);
  ht_recipe_read_root (&reader, ht_located_document_get_root (document));
  ht_recipe_space_check_values (self, problems);
  list_known (self);
  if (reader.in_space)
    ht_recipe_check_forbid (&reader, self->known_steps);
  self->recipe->output_folder = ht_recipe_resolve (self->recipe, self->recipe->output);
  for (guint i = 0; i < self->recipe->steps->len; i++)
    {
      HtRecipeStep *step = g_ptr_array_index (self->recipe->steps, i);

      step->node = step->id_node = step->with = NULL;
    }
  for (guint i = 0; i < self->recipe->forbidden->len; i++)
    ((HtForbidRule *)g_ptr_array_index (self->recipe->forbidden, i))->node = NULL;
}

/* Where the recipe says nothing: what its data can tell. */
static HtObjective *
make_objective (HtRecipe *recipe)
{
  const HtRecipeSource *evaluation = &recipe->sources[HT_DATA_EVALUATION];

  return ht_objective_new (evaluation->command != NULL  ? HT_METRIC_EXTERNAL
                           : evaluation->labels != NULL ? HT_METRIC_TOP1
                                                        : HT_METRIC_SQNR);
}

static void
count_law (GHashTable *laws, char *law)
{
  g_hash_table_insert (laws, law, GUINT_TO_POINTER (GPOINTER_TO_UINT (g_hash_table_lookup (laws, law)) + 1));
}

/* The laws that empty a space, those first that exclude most. */
static char *
describe_laws (GHashTable *laws)
{
  GString *text = g_string_new (NULL);

  for (guint shown = 0; shown < 3 && g_hash_table_size (laws) > 0; shown++)
    {
      const char *most = NULL;
      guint n_most = 0;
      GHashTableIter iter;
      gpointer law, n;

      g_hash_table_iter_init (&iter, laws);
      while (g_hash_table_iter_next (&iter, &law, &n))
        if (GPOINTER_TO_UINT (n) > n_most || (GPOINTER_TO_UINT (n) == n_most && strcmp (law, most) < 0))
          {
            most = law;
            n_most = GPOINTER_TO_UINT (n);
          }
      g_string_append_printf (text, "%s%u by: %s", shown > 0 ? "; " : "", n_most, most);
      g_hash_table_remove (laws, most);
    }
  if (g_hash_table_size (laws) > 0)
    g_string_append_printf (text, "; and by %u more", g_hash_table_size (laws));
  return g_string_free (text, FALSE);
}

/**
 * ht_recipe_space_find_legal:
 * @self: a space
 * @error: return location for an error
 *
 * Looks for a legal combination: the first one in order; of a space that is continuous or very large, one of those
 * drawn at random.
 *
 * Returns: (transfer full) (nullable): the combination, or %NULL with @error, %HT_RECIPE_ERROR_CONFLICT, which names
 * the laws that exclude all
 */
HtCombination *
ht_recipe_space_find_legal (HtRecipeSpace *self, GError **error)
{
  g_autoptr (GHashTable) laws = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *text = NULL;
  g_autoptr (GRand) random = NULL;
  guint64 n_all;
  guint n, n_most;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);

  n_all = ht_recipe_space_get_n_combinations (self);
  n_most = CLAMP (MAX_STEPS_LOOKED_AT / MAX (self->slots->len, 1), 100, MAX_LOOKED_AT);
  n = (guint)MIN (n_all, n_most);
  random = g_rand_new_with_seed (0);
  for (guint i = 0; i < n; i++)
    {
      HtCombination *combination
          = i == 0 || n == n_all ? ht_recipe_space_get_nth (self, i) : ht_recipe_space_random (self, random);
      char *law = NULL;

      if (ht_recipe_space_is_legal (self, combination, &law))
        return combination;
      ht_combination_unref (combination);
      count_law (laws, law);
    }
  text = describe_laws (laws);
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_CONFLICT, "%s %u combination%s is legal, %s",
               n == n_all ? "none of the" : "none of a sample of", n, n == 1 ? "" : "s", text);
  return NULL;
}

static void
check_not_empty (HtRecipeSpace *self, GPtrArray *problems)
{
  g_autoptr (HtCombination) legal = NULL;
  GError *error = NULL;
  HtLocatedNode *place;

  if (ht_diagnostic_list_has_errors (problems) || self->axes->len == 0)
    return;
  legal = ht_recipe_space_find_legal (self, &error);
  if (legal != NULL)
    return;
  place = self->pipeline != NULL && self->slots->len > 0 ? ((HtSpaceSlot *)g_ptr_array_index (self->slots, 0))->node
                                                         : self->quantization;
  ht_located_node_report_error (place, problems, HT_RECIPE_ERROR_CONFLICT, error);
}

static HtRecipeSpace *
space_new (HtLocatedDocument *document, const char *file, HtPassRegistry *registry, GPtrArray *problems,
           GPtrArray *diagnostics, GError **error)
{
  g_autoptr (HtRecipeSpace) self = g_object_new (HT_TYPE_RECIPE_SPACE, NULL);
  HtLocatedNode *root = document != NULL ? ht_located_document_get_root (document) : NULL;

  self->path = g_strdup (file);
  self->registry = g_object_ref (registry);
  self->recipe = ht_recipe_new_for_file (file);
  if (document != NULL)
    self->document = ht_located_document_ref (document);
  if (root != NULL)
    {
      read_space (self, problems);
      check_not_empty (self, problems);
    }
  if (!ht_diagnostic_list_finish (problems, diagnostics, 0, 0, error))
    return NULL;
  self->objective
      = self->recipe->objective != NULL ? g_object_ref (self->recipe->objective) : make_objective (self->recipe);
  self->settings = self->recipe->search != NULL ? g_object_ref (self->recipe->search) : ht_search_settings_new ();
  return g_steal_pointer (&self);
}

/**
 * ht_recipe_space_load:
 * @path: a recipe, YAML or JSON, with or without choices
 * @registry: the techniques
 * @diagnostics: (nullable) (element-type HtDiagnostic): where all problems are added, see ht_recipe_load()
 * @error: return location for an error
 *
 * Reads and checks a recipe with choices: each value of each axis where it stands, and that some combination is legal.
 * A recipe without choices is checked as ht_recipe_load() does.
 *
 * Returns: (transfer full) (nullable): the space, or %NULL where there is any error
 */
HtRecipeSpace *
ht_recipe_space_load (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics, GError **error)
{
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  g_autoptr (HtLocatedDocument) document = NULL;
  GError *local = NULL;

  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (HT_IS_PASS_REGISTRY (registry), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  document = ht_located_document_load (path, problems, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return NULL;
    }
  return space_new (document, path, registry, problems, diagnostics, error);
}

/**
 * ht_recipe_space_parse:
 * @text: (array length=length) (element-type gchar): a recipe, YAML or JSON
 * @length: its length in bytes, or -1 where it ends with a NUL
 * @file: (nullable): the name that problems carry and whose folder paths are relative to
 * @registry: the techniques
 * @diagnostics: (nullable) (element-type HtDiagnostic): where all problems are added, see ht_recipe_load()
 * @error: return location for an error
 *
 * Reads and checks a recipe as ht_recipe_space_load() does, from memory.
 *
 * Returns: (transfer full) (nullable): the space, or %NULL where there is any error
 */
HtRecipeSpace *
ht_recipe_space_parse (const char *text, gssize length, const char *file, HtPassRegistry *registry,
                       GPtrArray *diagnostics, GError **error)
{
  return ht_recipe_space_parse_set (text, length, file, NULL, registry, diagnostics, error);
}

/**
 * ht_recipe_space_parse_set:
 * @text: a recipe
 * @length: its length in bytes, -1 where it ends with a zero
 * @file: (nullable): what to call it in messages; paths are relative to its folder
 * @settings: (nullable) (array zero-terminated=1): values to take instead of those in the text, each as KEY=VALUE, as in
 *   quantization.weights.bits=4
 * @registry: the techniques
 * @diagnostics: (nullable) (element-type HtDiagnostic): receives all problems
 * @error: return location for an error
 *
 * Reads a recipe with some of its values replaced, so that one recipe serves for several bit widths, say.
 *
 * Returns: (transfer full) (nullable): the space, or %NULL with @error set; %HT_ERROR_NOT_FOUND where the text has no
 *   value to replace
 */
HtRecipeSpace *
ht_recipe_space_parse_set (const char *text, gssize length, const char *file, const char *const *settings,
                           HtPassRegistry *registry, GPtrArray *diagnostics, GError **error)
{
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();

  g_return_val_if_fail (text != NULL, NULL);
  g_return_val_if_fail (HT_IS_PASS_REGISTRY (registry), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (file == NULL)
    file = "recipe";
  g_autoptr (HtLocatedDocument) given = ht_located_document_parse (text, length, file, problems);
  g_autoptr (HtLocatedDocument) document = NULL;
  if (given != NULL && ht_located_document_get_root (given) != NULL)
    {
      document = ht_recipe_set_values (given, settings, error);
      if (document == NULL)
        return NULL;
    }
  return space_new (document != NULL ? document : given, file, registry, problems, diagnostics, error);
}

/**
 * ht_recipe_space_get_recipe:
 * @self: a space
 *
 * Gets the recipe of the first combination, for what all share: name, seed, model, data, output. Its plan is empty.
 *
 * Returns: (transfer none): the recipe
 */
HtRecipe *
ht_recipe_space_get_recipe (HtRecipeSpace *self)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  return self->recipe;
}

/**
 * ht_recipe_space_get_objective:
 * @self: a space
 *
 * Gets what the search is after. Where the recipe does not say it, the metric is what its data can tell: the number of
 * the evaluation's program, top1 where the evaluation has labels, else sqnr.
 *
 * Returns: (transfer none): the objective
 */
HtObjective *
ht_recipe_space_get_objective (HtRecipeSpace *self)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  return self->objective;
}

/**
 * ht_recipe_space_get_settings:
 * @self: a space
 *
 * Gets how to search.
 *
 * Returns: (transfer none): the settings
 */
HtSearchSettings *
ht_recipe_space_get_settings (HtRecipeSpace *self)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  return self->settings;
}

/**
 * ht_recipe_space_learn_from_graph:
 * @self: a space
 * @graph: the model
 *
 * Takes the initial facts of all plans from a model, see ht_plan_learn_from_graph(). Fewer combinations may be legal
 * after that.
 */
void
ht_recipe_space_learn_from_graph (HtRecipeSpace *self, HtGraph *graph)
{
  g_autoptr (GMutexLocker) locker = NULL;
  g_autoptr (HtPlan) plan = NULL;

  g_return_if_fail (HT_IS_RECIPE_SPACE (self));
  g_return_if_fail (HT_IS_GRAPH (graph));

  locker = g_mutex_locker_new (&self->lock);
  plan = ht_plan_new (NULL);
  ht_plan_learn_from_graph (plan, graph);
  self->batchnorm_live = ht_plan_get_initial_fact (plan, HT_FACT_BATCHNORM_LIVE);
}

/**
 * ht_recipe_space_get_n_axes:
 * @self: a space
 *
 * Counts the axes.
 *
 * Returns: how many there are
 */
guint
ht_recipe_space_get_n_axes (HtRecipeSpace *self)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), 0);
  return self->axes->len;
}

static HtSpaceAxis *
get_axis (HtRecipeSpace *self, guint axis)
{
  return g_ptr_array_index (self->axes, axis);
}

/**
 * ht_recipe_space_get_axis_name:
 * @self: a space
 * @axis: which axis
 *
 * Gets the name of an axis: the id of a step ("round"), its techniques where it has none ("adaround|seqmse"), a
 * parameter
 * ("round.iterations"), or a setting ("quantization.weights.bits").
 *
 * Returns: (transfer none): the name, unique in the space
 */
const char *
ht_recipe_space_get_axis_name (HtRecipeSpace *self, guint axis)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), NULL);
  g_return_val_if_fail (axis < self->axes->len, NULL);
  return get_axis (self, axis)->name;
}

/**
 * ht_recipe_space_find_axis:
 * @self: a space
 * @name: the name of an axis
 *
 * Finds an axis.
 *
 * Returns: its number, or %G_MAXUINT where there is none of that name
 */
guint
ht_recipe_space_find_axis (HtRecipeSpace *self, const char *name)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), G_MAXUINT);
  g_return_val_if_fail (name != NULL, G_MAXUINT);
  for (guint i = 0; i < self->axes->len; i++)
    if (strcmp (get_axis (self, i)->name, name) == 0)
      return i;
  return G_MAXUINT;
}

/**
 * ht_recipe_space_is_step_axis:
 * @self: a space
 * @axis: which axis
 *
 * Tells whether an axis chooses the technique of a step; else it chooses a value.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_recipe_space_is_step_axis (HtRecipeSpace *self, guint axis)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), FALSE);
  g_return_val_if_fail (axis < self->axes->len, FALSE);
  return get_axis (self, axis)->kind == HT_AXIS_STEP;
}

/**
 * ht_recipe_space_get_axis_n_values:
 * @self: a space
 * @axis: which axis
 *
 * Counts the values of an axis.
 *
 * Returns: how many there are; 0 where it is continuous
 */
guint
ht_recipe_space_get_axis_n_values (HtRecipeSpace *self, guint axis)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), 0);
  g_return_val_if_fail (axis < self->axes->len, 0);
  return get_axis (self, axis)->n_values;
}

/**
 * ht_recipe_space_get_axis_none:
 * @self: a space
 * @axis: which axis
 *
 * Gets which alternative of a step is to leave it out.
 *
 * Returns: the index, or -1 where it cannot be left out
 */
gint
ht_recipe_space_get_axis_none (HtRecipeSpace *self, guint axis)
{
  HtSpaceAxis *at;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), -1);
  g_return_val_if_fail (axis < self->axes->len, -1);
  at = get_axis (self, axis);
  for (guint i = 0; at->kind == HT_AXIS_STEP && i < at->values->len; i++)
    if (g_ptr_array_index (at->values, i) == NULL)
      return (gint)i;
  return -1;
}

/**
 * ht_recipe_space_get_axis_parent:
 * @self: a space
 * @axis: which axis
 * @value: (out) (optional): the value that the other axis must have
 *
 * Tells on which other axis it depends whether an axis counts.
 *
 * Returns: the other axis, which stands before it, or -1 where it always counts
 */
gint
ht_recipe_space_get_axis_parent (HtRecipeSpace *self, guint axis, guint *value)
{
  HtSpaceAxis *at;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), -1);
  g_return_val_if_fail (axis < self->axes->len, -1);
  at = get_axis (self, axis);
  if (value != NULL)
    *value = at->parent_value;
  return at->parent != NULL ? (gint)at->parent->index : -1;
}

/**
 * ht_recipe_space_get_axis_range:
 * @self: a space
 * @axis: which axis
 * @low: (out) (optional): its lower end
 * @high: (out) (optional): its upper end
 * @log: (out) (optional): whether what counts is the ratio of numbers
 * @step: (out) (optional): the distance of its values; 0 where it is continuous
 *
 * Gets the range of an axis of numbers.
 *
 * Returns: %TRUE where it has one; %FALSE for lists and steps
 */
gboolean
ht_recipe_space_get_axis_range (HtRecipeSpace *self, guint axis, double *low, double *high, gboolean *log, double *step)
{
  HtSpaceAxis *at;

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (self), FALSE);
  g_return_val_if_fail (axis < self->axes->len, FALSE);
  at = get_axis (self, axis);
  if (at->kind != HT_AXIS_INTEGER && at->kind != HT_AXIS_NUMBER)
    return FALSE;
  if (low != NULL)
    *low = at->low;
  if (high != NULL)
    *high = at->high;
  if (log != NULL)
    *log = at->log;
  if (step != NULL)
    *step = at->step;
  return TRUE;
}
