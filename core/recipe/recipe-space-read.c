/* SPDX-License-Identifier: MIT */
/* Combinations as recipes: the located tree with the choices made, read by the readers of plain recipes. */
#include <string.h>

#include "base/param-private.h"
#include "recipe/recipe-space-private.h"

typedef struct
{
  HtRecipeSpace *space;
  HtCombination *combination;
  gboolean whole;
} Substitution;

/* The ends of a range have a place of their own. */
static HtLocatedNode *
find_place (const HtSpaceAxis *axis, double number)
{
  HtLocatedNode *ends = ht_located_node_get_child (axis->node, 0);

  if (number == axis->low)
    return ht_located_node_get_child (ends, 0);
  return number == axis->high ? ht_located_node_get_child (ends, 1) : axis->node;
}

static HtLocatedNode *
make_number (HtLocatedDocument *copy, const HtSpaceAxis *axis, double number)
{
  g_autofree char *text = NULL;
  HtLocatedKind kind = HT_LOCATED_INTEGER;

  if (axis->kind == HT_AXIS_INTEGER)
    text = g_strdup_printf ("%" G_GINT64_FORMAT, (gint64)number);
  else
    {
      text = ht_param_format_double (number);
      kind = HT_LOCATED_NUMBER;
    }
  return ht_located_document_add_scalar (copy, find_place (axis, number), kind, text);
}

/* An alternative as {id: …, use: …, with: …}. What is malformed stays, so that the reader reports it. */
static HtLocatedNode *
make_step (HtLocatedDocument *copy, HtRecipeSpace *space, HtLocatedNode *node)
{
  const char *id = g_hash_table_lookup (space->ids, node);
  HtLocatedNode *step, *place = node, *given = NULL;

  if (id == NULL)
    return node;
  step = ht_located_document_add_mapping (copy, node);
  if (ht_located_node_get_kind (node) == HT_LOCATED_STRING)
    ht_located_document_add_member (
        copy, step, node, "use",
        ht_located_document_add_scalar (copy, node, HT_LOCATED_STRING, ht_located_node_get_text (node)));
  else if (!ht_recipe_is_long_step (node))
    {
      place = ht_located_node_get_key_node (node, 0);
      ht_located_document_add_member (copy, step, place, "use", place);
      ht_located_document_add_member (copy, step, place, "with", ht_located_node_get_child (node, 0));
    }
  else
    for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
      {
        HtLocatedNode *key = ht_located_node_get_key_node (node, i), *value = ht_located_node_get_child (node, i);
        const char *word = ht_located_node_get_text (key);

        if (strcmp (word, "id") == 0)
          given = place = value;
        else if (strcmp (word, "optional") != 0)
          ht_located_document_add_member (copy, step, key, word, value);
      }
  /* What is no id is the reader's to report. */
  if (given == NULL || g_strcmp0 (ht_located_node_get_text (given), id) == 0)
    given = ht_located_document_add_scalar (copy, place, HT_LOCATED_STRING, id);
  ht_located_document_add_member (copy, step, place, "id", given);
  return step;
}

/* A step of the pipeline: which alternative, and in its long form. */
static HtLocatedNode *
replace_step (HtLocatedDocument *copy, Substitution *self, HtLocatedNode *node, const HtSpaceAxis *axis)
{
  if (axis != NULL)
    {
      guint index = self->combination->values[axis->index].index;

      node = index < axis->values->len ? g_ptr_array_index (axis->values, index) : NULL;
    }
  return node != NULL ? make_step (copy, self->space, node) : NULL;
}

static gboolean
is_search_section (HtRecipeSpace *space, HtLocatedNode *node)
{
  static const char *const words[] = { "forbid", "objective", "search", NULL };
  HtLocatedNode *key = ht_located_node_get_own_key (node);

  return key != NULL && g_strv_contains (words, ht_located_node_get_text (key))
         && ht_located_node_lookup (ht_located_document_get_root (space->document), ht_located_node_get_text (key),
                                    NULL)
                == node;
}

static HtLocatedNode *
replace (HtLocatedDocument *copy, HtLocatedNode *node, gpointer user_data)
{
  Substitution *self = user_data;
  const HtSpaceAxis *axis;

  if (!self->whole && is_search_section (self->space, node))
    return NULL;
  /* A choice may have another one as its value. */
  while ((axis = g_hash_table_lookup (self->space->by_node, node)) != NULL && axis->kind != HT_AXIS_STEP)
    {
      const HtCombinationValue *value = &self->combination->values[axis->index];

      if (g_hash_table_contains (self->space->dropped, node) || value->index == HT_COMBINATION_INACTIVE)
        return NULL;
      if (axis->kind != HT_AXIS_CHOICE)
        return make_number (copy, axis, value->number);
      node = g_ptr_array_index (axis->values, value->index);
    }
  if (g_hash_table_contains (self->space->dropped, node))
    return NULL;
  if (axis != NULL || g_hash_table_contains (self->space->ids, node))
    return replace_step (copy, self, node, axis);
  return node;
}

HtLocatedDocument *
ht_recipe_space_substitute (HtRecipeSpace *self, HtLocatedNode *from, HtCombination *combination, gboolean whole)
{
  Substitution substitution = { self, combination, whole };

  return ht_located_node_substitute (from, replace, &substitution);
}

void
ht_recipe_space_merge_problems (GPtrArray *problems, GPtrArray *found)
{
  for (guint i = 0; i < found->len; i++)
    {
      HtDiagnostic *item = g_ptr_array_index (found, i);
      gboolean known = FALSE;

      for (guint k = 0; k < problems->len && !known; k++)
        {
          HtDiagnostic *other = g_ptr_array_index (problems, k);

          known = ht_diagnostic_get_line (item) == ht_diagnostic_get_line (other)
                  && ht_diagnostic_get_column (item) == ht_diagnostic_get_column (other)
                  && strcmp (ht_diagnostic_get_message (item), ht_diagnostic_get_message (other)) == 0;
        }
      if (!known)
        g_ptr_array_add (problems, ht_diagnostic_ref (item));
    }
}

/* The choices that a part of the recipe depends on, as a key. */
static char *
make_key (HtRecipeSpace *self, gint slot, HtCombination *combination)
{
  GString *key = g_string_new (NULL);

  g_string_append_printf (key, "%d", slot);
  for (guint i = 0; i < self->axes->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (self->axes, i);
      const HtCombinationValue *value = &combination->values[i];

      if (axis->slot != slot || value->index == HT_COMBINATION_INACTIVE)
        continue;
      if (axis->n_values > 0 || axis->kind == HT_AXIS_STEP)
        g_string_append_printf (key, " %u=%u", i, value->index);
      else
        g_string_append_printf (key, " %u=%a", i, value->number);
    }
  return g_string_free (key, FALSE);
}

typedef struct
{
  gpointer object;
  GDestroyNotify destroy;
} Part;

static void
part_free (gpointer data)
{
  Part *self = data;

  if (self->object != NULL && self->destroy != NULL)
    self->destroy (self->object);
  g_free (self);
}

static void
keep_part (HtRecipeSpace *self, const char *key, gpointer object, GDestroyNotify destroy)
{
  Part *part = g_new0 (Part, 1);

  if (self->read == NULL)
    self->read = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, part_free);
  part->object = object;
  part->destroy = destroy;
  g_hash_table_insert (self->read, g_strdup (key), part);
}

static HtQuantizationConfig *
read_quantization (HtRecipeSpace *self, HtCombination *combination, GPtrArray *problems)
{
  g_autoptr (HtRecipe) recipe = ht_recipe_new_for_file (self->path);
  g_autoptr (HtLocatedDocument) document = NULL;
  HtRecipeReader reader = {
    .recipe = recipe, .registry = self->registry, .problems = problems, .in_space = TRUE, .targets = self->targets
  };

  if (self->quantization != NULL)
    {
      document = ht_recipe_space_substitute (self, self->quantization, combination, FALSE);
      ht_recipe_read_quantization (&reader, ht_located_document_get_root (document), NULL);
    }
  return g_object_ref (recipe->quantization);
}

HtQuantizationConfig *
ht_recipe_space_read_quantization (HtRecipeSpace *self, HtCombination *combination, GPtrArray *problems)
{
  g_autofree char *key = make_key (self, -1, combination);
  Part *part = self->read != NULL ? g_hash_table_lookup (self->read, key) : NULL;
  g_autoptr (GPtrArray) unused = NULL;
  HtQuantizationConfig *config;

  if (problems == NULL && part != NULL)
    return part->object;
  if (problems == NULL)
    problems = unused = ht_diagnostic_list_new ();
  config = read_quantization (self, combination, problems);
  keep_part (self, key, config, g_object_unref);
  return config;
}

static void
step_free (gpointer step)
{
  ht_recipe_step_free (step);
}

/* Two texts may mean the same pass: then it is one object. */
static void
share_pass (HtRecipeSpace *self, HtRecipeStep *step)
{
  g_autoptr (JsonNode) params = ht_object_params_to_json (G_OBJECT (step->pass));
  g_autofree char *text = json_to_string (params, FALSE);
  g_autofree char *meaning = g_strdup_printf ("%s\n%s\n%s", step->id, step->use, text);
  HtPass *known = g_hash_table_lookup (self->shared, meaning);

  if (known != NULL)
    g_set_object (&step->pass, known);
  else
    g_hash_table_insert (self->shared, g_steal_pointer (&meaning), g_object_ref (step->pass));
}

static HtRecipeStep *
read_slot (HtRecipeSpace *self, HtSpaceSlot *slot, HtCombination *combination, GPtrArray *problems)
{
  g_autoptr (HtRecipe) recipe = ht_recipe_new_for_file (self->path);
  g_autoptr (HtLocatedDocument) document = ht_recipe_space_substitute (self, slot->node, combination, FALSE);
  HtRecipeReader reader
      = { .recipe = recipe, .registry = self->registry, .problems = problems, .in_space = TRUE, .ids_checked = TRUE };
  HtLocatedNode *root = ht_located_document_get_root (document);
  HtRecipeStep *step = root != NULL ? ht_recipe_read_step (&reader, root) : NULL;

  if (step != NULL)
    {
      step->node = step->id_node = step->with = NULL;
      share_pass (self, step);
    }
  return step;
}

HtRecipeStep *
ht_recipe_space_read_slot (HtRecipeSpace *self, guint slot, HtCombination *combination, GPtrArray *problems)
{
  g_autofree char *key = make_key (self, (gint)slot, combination);
  Part *part = self->read != NULL ? g_hash_table_lookup (self->read, key) : NULL;
  g_autoptr (GPtrArray) unused = NULL;
  HtRecipeStep *step;

  if (problems == NULL && part != NULL)
    return part->object;
  if (problems == NULL)
    problems = unused = ht_diagnostic_list_new ();
  step = read_slot (self, g_ptr_array_index (self->slots, slot), combination, problems);
  keep_part (self, key, step, step_free);
  return step;
}

/* The first combination that has a value: of all other axes the first values, but for those above it. */
static HtCombination *
make_probe (HtRecipeSpace *self, const HtSpaceAxis *axis, guint index, double number)
{
  g_autofree HtCombinationValue *values = g_new0 (HtCombinationValue, self->axes->len);

  for (guint i = 0; i < self->axes->len; i++)
    values[i].number = ((HtSpaceAxis *)g_ptr_array_index (self->axes, i))->low;
  values[axis->index].index = index;
  values[axis->index].number = number;
  for (; axis->parent != NULL; axis = axis->parent)
    values[axis->parent->index].index = axis->parent_value;
  return ht_recipe_space_settle (self, values);
}

static void
check_value (HtRecipeSpace *self, const HtSpaceAxis *axis, guint index, double number, GPtrArray *problems)
{
  g_autoptr (HtCombination) probe = make_probe (self, axis, index, number);
  g_autoptr (GPtrArray) found = ht_diagnostic_list_new ();

  if (axis->slot < 0)
    ht_recipe_space_read_quantization (self, probe, found);
  else
    ht_recipe_space_read_slot (self, (guint)axis->slot, probe, found);
  ht_recipe_space_merge_problems (problems, found);
}

void
ht_recipe_space_check_values (HtRecipeSpace *self, GPtrArray *problems)
{
  for (guint i = 0; i < self->axes->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (self->axes, i);

      if (g_hash_table_contains (self->dropped, axis->node))
        continue;
      /* Between the ends of a range nothing is wrong that is not at one of them. */
      if (axis->kind == HT_AXIS_INTEGER || axis->kind == HT_AXIS_NUMBER)
        {
          check_value (self, axis, 0, axis->low, problems);
          check_value (self, axis, axis->n_values > 0 ? axis->n_values - 1 : 0, axis->high, problems);
        }
      else
        for (guint value = 0; value < axis->n_values; value++)
          check_value (self, axis, value, 0, problems);
    }
}
