/* SPDX-License-Identifier: MIT */
/* The section `forbid`. */
#include "recipe/recipe-private.h"

typedef struct
{
  HtLocatedNode *when;
  const char *text;
  const char *why;
} Rule;

static void
read_when (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  Rule *rule = section;

  rule->when = value;
  rule->text = ht_recipe_read_text (reader, value);
}

static void
read_why (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Rule *)section)->why = ht_recipe_read_text (reader, value);
}

static void
read_rule (HtRecipeReader *reader, HtLocatedNode *node)
{
  static const HtRecipeKey keys[] = {
    { "when", read_when },
    { "why", read_why },
    { NULL, NULL },
  };
  Rule rule = { 0 };
  HtForbidRule *made;
  HtCondition *condition;
  GError *error = NULL;

  if (!ht_recipe_read_mapping (reader, node, "a rule of 'forbid'", keys, &rule))
    return;
  if (rule.when == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "this rule has no 'when': say what is forbidden, as in when: \"on(round)\"");
  if (ht_located_node_lookup (node, "why", NULL) == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "this rule has no 'why': give the reason, which is told where the rule applies");
  if (rule.text == NULL || rule.why == NULL)
    return;
  condition = ht_condition_parse (rule.text, &error);
  if (condition == NULL)
    {
      ht_located_node_report_error (rule.when, reader->problems, HT_RECIPE_ERROR_SYNTAX, error);
      return;
    }
  made = g_new0 (HtForbidRule, 1);
  made->condition = condition;
  made->why = g_strdup (rule.why);
  made->node = rule.when;
  made->place = g_strdup_printf ("%s:%u:%u", reader->recipe->path, ht_located_node_get_line (rule.when),
                                 ht_located_node_get_column (rule.when));
  g_ptr_array_add (reader->recipe->forbidden, made);
}

void
ht_recipe_read_forbid (HtRecipeReader *reader, HtLocatedNode *node, gpointer section)
{
  GError *error = NULL;

  if (!ht_located_node_check_kind (node, HT_LOCATED_SEQUENCE, &error))
    {
      ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    read_rule (reader, ht_located_node_get_child (node, i));
}

void
ht_recipe_check_forbid (HtRecipeReader *reader, GPtrArray *known)
{
  HtRecipe *recipe = reader->recipe;
  g_autoptr (GArray) steps = g_array_new (FALSE, FALSE, sizeof (HtForbidStep));
  guint n_before = reader->problems->len, index = 0;
  g_autofree char *law = NULL;

  if (reader->registry == NULL || reader->plan_unclear || recipe->forbidden->len == 0)
    return;
  for (guint i = 0; i < known->len; i++)
    {
      HtRecipeStep *step = g_ptr_array_index (known, i);
      HtForbidStep named = { step->id, step->pass };

      if (step->pass == NULL)
        return;
      g_array_append_val (steps, named);
    }
  for (guint i = 0; i < recipe->forbidden->len; i++)
    {
      HtForbidRule *rule = g_ptr_array_index (recipe->forbidden, i);
      GError *error = NULL;

      if (!ht_forbid_rule_check (rule, steps, &error))
        ht_located_node_report_error (rule->node, reader->problems, HT_RECIPE_ERROR_UNKNOWN_VALUE, error);
    }
  if (reader->in_space || reader->problems->len > n_before)
    return;
  law = ht_forbid_find (recipe->forbidden, steps, steps, recipe->quantization, &index);
  if (law != NULL)
    ht_located_node_report (((HtForbidRule *)g_ptr_array_index (recipe->forbidden, index))->node, reader->problems,
                            HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT, "%s", law);
}
