/* SPDX-License-Identifier: MIT */
#include "recipe/forbid.h"

#include <string.h>

#include "pass/pass-private.h"

typedef struct
{
  HtConditionScope scope;
  HtPassScope settings; /* for the names of quantization settings; a technique without parameters */
  GArray *known;
  GArray *present; /* NULL: nothing is asked yet */
} Scope;

void
ht_forbid_rule_free (gpointer rule)
{
  HtForbidRule *self = rule;

  ht_condition_free (self->condition);
  g_free (self->why);
  g_free (self->place);
  g_free (self);
}

/* The argument of "word(argument)", or NULL. */
static char *
get_argument (const char *name, const char *word)
{
  gsize length = strlen (word);

  if (strncmp (name, word, length) != 0 || name[length] != '(')
    return NULL;
  return g_strndup (name + length + 1, strlen (name) - length - 2);
}

static HtForbidStep *
find_step (GArray *steps, const char *id, const char *param)
{
  for (guint i = 0; i < steps->len; i++)
    {
      HtForbidStep *step = &g_array_index (steps, HtForbidStep, i);

      if (strcmp (step->id, id) == 0
          && (param == NULL || ht_object_find_param (G_OBJECT_GET_CLASS (step->pass), param) != NULL))
        return step;
    }
  return NULL;
}

static GParamSpec *
get_presence_pspec (void)
{
  static gsize presence = 0;

  if (g_once_init_enter (&presence))
    {
      GParamSpec *pspec
          = g_param_spec_boolean ("on", "On", "Whether the step is in the pipeline", FALSE, G_PARAM_READWRITE);

      g_once_init_leave (&presence, (gsize)g_param_spec_ref_sink (pspec));
    }
  return (GParamSpec *)presence;
}

static void
list_steps (GArray *steps, GPtrArray *ids)
{
  for (guint i = 0; i < steps->len; i++)
    if (!g_ptr_array_find_with_equal_func (ids, g_array_index (steps, HtForbidStep, i).id, g_str_equal, NULL))
      g_ptr_array_add (ids, (gpointer)g_array_index (steps, HtForbidStep, i).id);
  g_ptr_array_add (ids, NULL);
}

static gboolean
check_id (const Scope *self, const char *id, GError **error)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new ();
  g_autofree char *all = NULL;
  const char *near;

  if (find_step (self->known, id, NULL) != NULL)
    return TRUE;
  list_steps (self->known, ids);
  near = ht_suggest (id, (const char *const *)ids->pdata);
  all = g_strjoinv (", ", (char **)ids->pdata);
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "there is no step '%s'%s%s%s (steps: %s)", id,
               near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "",
               *all != '\0' ? all : "none");
  return FALSE;
}

static GParamSpec *
find_param (const Scope *self, const char *argument, GError **error)
{
  const char *dot = strchr (argument, '.');
  g_autofree char *id = dot != NULL ? g_strndup (argument, (gsize)(dot - argument)) : NULL;
  HtForbidStep *step;

  if (dot == NULL)
    {
      g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                   "param(%s) names no parameter: write param(STEP.PARAMETER)", argument);
      return NULL;
    }
  if (!check_id (self, id, error))
    return NULL;
  step = find_step (self->known, id, dot + 1);
  if (step != NULL)
    return ht_object_find_param (G_OBJECT_GET_CLASS (step->pass), dot + 1);
  step = find_step (self->known, id, NULL);
  g_autoptr (GPtrArray) params = ht_object_list_params (G_OBJECT_GET_CLASS (step->pass));
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (guint i = 0; i < params->len; i++)
    g_ptr_array_add (names, (gpointer)g_param_spec_get_name (g_ptr_array_index (params, i)));
  g_ptr_array_add (names, NULL);
  g_autofree char *all = g_strjoinv (", ", (char **)names->pdata);
  const char *near = ht_suggest (dot + 1, (const char *const *)names->pdata);
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
               "step '%s' has no parameter '%s'%s%s%s (parameters: %s)", id, dot + 1,
               near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "",
               *all != '\0' ? all : "none");
  return NULL;
}

/* Settings may be called by the whole path that they have in a recipe. */
static const char *
skip_section (const char *name)
{
  return g_str_has_prefix (name, "quantization.") ? name + strlen ("quantization.") : name;
}

static GParamSpec *
find_in_scope (const HtConditionScope *scope, const char *name, GError **error)
{
  const Scope *self = (const Scope *)scope;
  g_autofree char *on = get_argument (name, "on"), *param = get_argument (name, "param");
  GParamSpec *pspec;

  if (on != NULL)
    return check_id (self, on, error) ? get_presence_pspec () : NULL;
  if (param != NULL)
    return find_param (self, param, error);
  pspec = self->settings.scope.find (&self->settings.scope, skip_section (name), NULL);
  if (pspec == NULL)
    g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                 "'%s' is nothing that a rule can ask for: write on(STEP), param(STEP.PARAMETER), weights.KEY, "
                 "activations.KEY or target",
                 name);
  return pspec;
}

static gboolean
get_in_scope (const HtConditionScope *scope, const char *name, GValue *value)
{
  const Scope *self = (const Scope *)scope;
  g_autofree char *on = get_argument (name, "on"), *param = get_argument (name, "param");
  HtForbidStep *step;
  GParamSpec *pspec;
  char *dot;

  if (self->present == NULL)
    return FALSE;
  if (on != NULL)
    {
      g_value_set_boolean (value, find_step (self->present, on, NULL) != NULL);
      return TRUE;
    }
  if (param == NULL)
    return self->settings.scope.get (&self->settings.scope, skip_section (name), value);
  dot = strchr (param, '.');
  if (dot == NULL)
    return FALSE;
  *dot = '\0';
  step = find_step (self->present, param, dot + 1);
  if (step == NULL)
    return FALSE;
  pspec = ht_object_find_param (G_OBJECT_GET_CLASS (step->pass), dot + 1);
  /* Alternatives of one step may have parameters of one name and other types. */
  if (!G_VALUE_HOLDS (value, G_PARAM_SPEC_VALUE_TYPE (pspec)))
    return FALSE;
  g_object_get_property (G_OBJECT (step->pass), pspec->name, value);
  return TRUE;
}

static void
scope_init (Scope *self, HtPassClass *klass, GArray *known, GArray *present, HtQuantizationConfig *config)
{
  self->scope.find = find_in_scope;
  self->scope.get = get_in_scope;
  self->known = known;
  self->present = present;
  ht_pass_scope_init (&self->settings, klass, NULL, config);
}

gboolean
ht_forbid_rule_check (const HtForbidRule *self, GArray *known, GError **error)
{
  g_autoptr (GTypeClass) klass = g_type_class_ref (HT_TYPE_PASS);
  Scope scope;

  scope_init (&scope, (HtPassClass *)klass, known, NULL, NULL);
  return ht_condition_check (self->condition, &scope.scope, error);
}

char *
ht_forbid_find (GPtrArray *rules, GArray *known, GArray *present, HtQuantizationConfig *config, guint *index)
{
  g_autoptr (GTypeClass) klass = NULL;
  Scope scope;

  if (rules->len == 0)
    return NULL;
  klass = g_type_class_ref (HT_TYPE_PASS);
  scope_init (&scope, (HtPassClass *)klass, known, present, config);
  for (guint i = 0; i < rules->len; i++)
    {
      HtForbidRule *rule = g_ptr_array_index (rules, i);

      if (ht_condition_evaluate (rule->condition, &scope.scope) != HT_FACT_TRUE)
        continue;
      if (index != NULL)
        *index = i;
      return g_strdup_printf ("the recipe forbids %s: %s (%s)", ht_condition_get_text (rule->condition), rule->why,
                              rule->place);
    }
  return NULL;
}
