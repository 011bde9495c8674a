/* SPDX-License-Identifier: MIT */
/* The section `pipeline`: steps, their techniques and parameters, and what the planner says about them. */
#include <string.h>

#include "recipe/recipe-private.h"

void
ht_recipe_step_free (gpointer data)
{
  HtRecipeStep *self = data;

  g_free (self->id);
  g_free (self->use);
  g_clear_object (&self->pass);
  g_clear_pointer (&self->given, json_node_unref);
  g_free (self);
}

gboolean
ht_recipe_is_step_id (const char *text)
{
  return g_ascii_isalpha (text[0])
         && text[strspn (text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0';
}

static void
read_id (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipeStep *step = section;
  const char *id = ht_recipe_read_text (reader, value);

  if (id == NULL)
    return;
  if (!ht_recipe_is_step_id (id))
    {
      ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                              "the step id '%s' must be a letter followed by letters, digits, '-' and '_'", id);
      return;
    }
  step->id = g_strdup (id);
  step->id_node = value;
}

static void
read_use (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipeStep *step = section;

  step->node = value;
  step->use = g_strdup (ht_recipe_read_text (reader, value));
}

static void
read_with (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((HtRecipeStep *) section)->with = value;
}

/* {use: technique, id: …, with: {…}} */
static void
read_long_step (HtRecipeReader *reader, HtLocatedNode *node, HtRecipeStep *step)
{
  static const HtRecipeKey keys[] = {
    { "id", read_id },
    { "use", read_use },
    { "with", read_with },
    { "optional", ht_recipe_key_for_search },
    { "one-of", ht_recipe_key_for_search },
    { NULL, NULL },
  };

  ht_recipe_read_mapping (reader, node, "a step", keys, step);
  if (step->node == NULL && ht_located_node_lookup (node, "one-of", NULL) == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "this step has no 'use': name its technique");
}

gboolean
ht_recipe_is_long_step (HtLocatedNode *node)
{
  static const char *const words[] = { "id", "use", "with", "optional", "one-of" };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      if (ht_located_node_lookup (node, words[i], NULL) != NULL)
        return TRUE;
    }
  return FALSE;
}

/* A step from its node. NULL where it is beyond repair. */
static HtRecipeStep *
read_step (HtRecipeReader *reader, HtLocatedNode *node)
{
  HtRecipeStep *step = g_new0 (HtRecipeStep, 1);

  if (ht_located_node_get_kind (node) == HT_LOCATED_STRING)
    read_use (reader, node, step);
  else if (ht_located_node_get_kind (node) != HT_LOCATED_MAPPING)
    {
      g_autofree char *found = ht_located_node_describe (node);

      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                              "this step is %s, must be the name of a technique or a mapping", found);
    }
  else if (ht_recipe_is_long_step (node))
    read_long_step (reader, node, step);
  else if (ht_located_node_get_n_children (node) != 1)
    {
      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                              ht_located_node_get_n_children (node) == 0
                                  ? "this step is empty: name its technique"
                                  : "a step is one technique, here several keys stand side by side: indent its "
                                    "parameters deeper, or write technique: {parameter: value}");
    }
  else if (!ht_recipe_refuse_search (reader, node))
    {
      step->node = ht_located_node_get_key_node (node, 0);
      step->use = g_strdup (ht_located_node_get_text (step->node));
      step->with = ht_located_node_get_child (node, 0);
    }
  if (step->use == NULL)
    g_clear_pointer (&step, ht_recipe_step_free);
  return step;
}

static HtRecipeStep *
find_step (GPtrArray *steps, const char *id)
{
  for (guint i = 0; i < steps->len; i++)
    {
      HtRecipeStep *step = g_ptr_array_index (steps, i);

      if (step->id != NULL && strcmp (step->id, id) == 0)
        return step;
    }
  return NULL;
}

static void
check_given_id (HtRecipeReader *reader, HtRecipeStep *step)
{
  HtRecipeStep *other = step->id != NULL ? find_step (reader->recipe->steps, step->id) : NULL;

  if (other == NULL || reader->ids_checked)
    return;
  ht_located_node_report (step->id_node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY,
                          "the step id '%s' is given twice, first in line %u: rename one", step->id,
                          ht_located_node_get_line (other->id_node));
  g_clear_pointer (&step->id, g_free);
}

/* Steps without an id get that of their technique, numbered from the second on. */
static void
name_step (GPtrArray *steps, HtRecipeStep *step)
{
  if (step->id != NULL)
    return;
  if (find_step (steps, step->use) == NULL)
    {
      step->id = g_strdup (step->use);
      return;
    }
  for (guint n = 2; step->id == NULL; n++)
    {
      g_autofree char *id = g_strdup_printf ("%s-%u", step->use, n);

      if (find_step (steps, id) == NULL)
        step->id = g_steal_pointer (&id);
    }
}

static void
make_pass (HtRecipeReader *reader, HtRecipeStep *step)
{
  g_autofree char *prefix = g_strdup_printf ("step '%s': ", step->id);
  gboolean has_params = step->with != NULL && ht_located_node_get_kind (step->with) != HT_LOCATED_NULL;
  GError *error = NULL;

  if (reader->registry == NULL && !ht_recipe_is_step_id (step->use))
    ht_located_node_report (step->node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_PASS,
                            "'%s' is no name of a technique", step->use);
  if (reader->registry == NULL)
    {
      step->given = has_params ? ht_located_node_to_json (step->with, NULL) : NULL;
      return;
    }
  step->pass = ht_pass_registry_create (reader->registry, step->use, &error);
  if (step->pass == NULL)
    ht_located_node_report_error (step->node, reader->problems, HT_RECIPE_ERROR_UNKNOWN_PASS, error);
  else if (has_params)
    ht_recipe_read_params (reader, step->with, prefix, G_OBJECT_GET_CLASS (step->pass), ht_recipe_set_object_param,
                           step->pass);
}

/* `code`: that of the first error; 0 where it was used up, then the kind follows from the steps concerned. */
static void
report_finding (HtRecipeReader *reader, guint index, gint *code)
{
  HtRecipe *recipe = reader->recipe;
  const char *message, *reference = NULL;
  gint severity = HT_SEVERITY_ERROR, other = -1;
  guint number = 0;
  g_autoptr (GString) text = g_string_new (NULL);
  HtRecipeStep *step;

  message = ht_plan_get_finding (recipe->plan, index, &severity, &number, &other, &reference);
  if (number >= recipe->steps->len)
    return;
  step = g_ptr_array_index (recipe->steps, number);
  g_string_append (text, message);
  if (other >= 0 && (guint) other < recipe->steps->len && (guint) other != number)
    {
      HtRecipeStep *second = g_ptr_array_index (recipe->steps, (guint) other);

      g_string_append_printf (text, " ('%s' stands in line %u)", second->id, ht_located_node_get_line (second->node));
    }
  if (reference != NULL && *reference != '\0')
    g_string_append_printf (text, " [%s]", reference);
  if (severity != HT_SEVERITY_ERROR || *code == 0)
    ht_located_node_report (step->node, reader->problems, (HtSeverity) severity,
                            other >= 0 ? HT_RECIPE_ERROR_CONFLICT : HT_RECIPE_ERROR_UNSATISFIED, "%s", text->str);
  else
    {
      ht_located_node_report (step->node, reader->problems, HT_SEVERITY_ERROR, *code, "%s", text->str);
      *code = 0;
    }
}

void
ht_recipe_check_plan (HtRecipeReader *reader)
{
  HtRecipe *recipe = reader->recipe;
  guint n_before = reader->problems->len;
  GError *error = NULL;
  gboolean legal;
  gint code;

  if (reader->registry == NULL || reader->plan_unclear || reader->in_space)
    return;
  for (guint i = 0; i < recipe->steps->len; i++)
    {
      HtRecipeStep *step = g_ptr_array_index (recipe->steps, i);

      ht_plan_add_step (recipe->plan, step->id, step->pass);
    }
  legal = ht_plan_check (recipe->plan, &error);
  code = legal || error == NULL ? 0 : error->code;
  for (guint i = 0; i < ht_plan_get_n_findings (recipe->plan); i++)
    report_finding (reader, i, &code);
  if (!legal && error != NULL && reader->problems->len == n_before && recipe->steps->len > 0)
    ht_located_node_report_error (((HtRecipeStep *) g_ptr_array_index (recipe->steps, 0))->node, reader->problems,
                                  HT_RECIPE_ERROR_CONFLICT, g_steal_pointer (&error));
  g_clear_error (&error);
}

HtRecipeStep *
ht_recipe_read_step (HtRecipeReader *reader, HtLocatedNode *node)
{
  HtRecipeStep *step = read_step (reader, node);

  if (step == NULL)
    return NULL;
  name_step (reader->recipe->steps, step);
  make_pass (reader, step);
  if (step->pass != NULL)
    return step;
  ht_recipe_step_free (step);
  return NULL;
}

static void
read_steps (HtRecipeReader *reader, HtLocatedNode *node)
{
  GPtrArray *steps = reader->recipe->steps;

  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtRecipeStep *step = read_step (reader, ht_located_node_get_child (node, i));

      if (step == NULL)
        continue;
      check_given_id (reader, step);
      g_ptr_array_add (steps, step);
    }
  for (guint i = 0; i < steps->len; i++)
    {
      name_step (steps, g_ptr_array_index (steps, i));
      make_pass (reader, g_ptr_array_index (steps, i));
    }
}

void
ht_recipe_read_pipeline (HtRecipeReader *reader, HtLocatedNode *node, gpointer section)
{
  guint n_before = reader->problems->len;

  if (ht_located_node_get_kind (node) == HT_LOCATED_SEQUENCE)
    read_steps (reader, node);
  else if (!ht_recipe_refuse_search (reader, node))
    {
      g_autofree char *found = ht_located_node_describe (node);

      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                              "the pipeline is %s, must be a list of steps, each of which begins with '- '", found);
    }
  reader->plan_unclear |= reader->problems->len > n_before;
}
