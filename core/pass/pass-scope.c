/* SPDX-License-Identifier: MIT */
#include "pass/pass-private.h"

#include <halftone/error.h>

#include <string.h>

/* The class that has the settings of a prefix, the object that has their values, and the key behind the prefix. */
static const char *
split_setting (const HtPassScope *self, const char *name, GType *type, GObject **object)
{
  *object = NULL;
  if (g_str_has_prefix (name, "weights."))
    {
      *type = HT_TYPE_WEIGHT_SETTINGS;
      if (self->config != NULL)
        *object = G_OBJECT (ht_quantization_config_get_weights (self->config));
      return name + strlen ("weights.");
    }
  if (g_str_has_prefix (name, "activations."))
    {
      *type = HT_TYPE_ACTIVATION_SETTINGS;
      if (self->config != NULL)
        *object = G_OBJECT (ht_quantization_config_get_activations (self->config));
      return name + strlen ("activations.");
    }
  return NULL;
}

static GParamSpec *
get_target_pspec (void)
{
  static gsize target = 0;

  if (g_once_init_enter (&target))
    {
      GParamSpec *pspec = g_param_spec_string ("target", "Target", "The target configuration", NULL, G_PARAM_READWRITE);
      g_once_init_leave (&target, (gsize)g_param_spec_ref_sink (pspec));
    }
  return (GParamSpec *)target;
}

static GParamSpec *
find_in_scope (const HtConditionScope *scope, const char *name, GError **error)
{
  const HtPassScope *self = (const HtPassScope *)scope;
  GParamSpec *pspec;
  GObject *object;
  GType type;

  if (g_str_equal (name, "target"))
    return get_target_pspec ();
  const char *key = split_setting (self, name, &type, &object);
  if (key != NULL)
    {
      /* A static type's class stays for ever once it was made, and its pspecs with it. */
      GObjectClass *settings = g_type_class_ref (type);
      pspec = ht_object_find_param (settings, key);
      g_type_class_unref (settings);
    }
  else
    {
      pspec = ht_object_find_param (G_OBJECT_CLASS (self->klass), name);
    }
  if (pspec == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                 "'%s' is neither a parameter of this technique nor a setting (weights.KEY, activations.KEY, target)",
                 name);
  return pspec;
}

static gboolean
get_in_scope (const HtConditionScope *scope, const char *name, GValue *value)
{
  const HtPassScope *self = (const HtPassScope *)scope;
  GObject *object;
  GType type;

  if (g_str_equal (name, "target"))
    {
      if (self->config != NULL)
        g_value_set_string (value, ht_quantization_config_get_target (self->config));
      return self->config != NULL;
    }
  const char *key = split_setting (self, name, &type, &object);
  if (key == NULL)
    {
      key = name;
      object = G_OBJECT (self->pass);
    }
  if (object == NULL)
    return FALSE;
  GParamSpec *pspec = ht_object_find_param (G_OBJECT_GET_CLASS (object), key);
  if (pspec == NULL)
    return FALSE;
  g_object_get_property (object, pspec->name, value);
  return TRUE;
}

void
ht_pass_scope_init (HtPassScope *self, HtPassClass *klass, HtPass *pass, HtQuantizationConfig *config)
{
  self->scope.find = find_in_scope;
  self->scope.get = get_in_scope;
  self->klass = klass;
  self->pass = pass;
  self->config = config;
}

HtFactValue
ht_pass_rule_applies (const HtPassRule *rule, const HtPassScope *scope)
{
  if (rule->condition == NULL || rule->kind == HT_RULE_REQUIRES_SETTING)
    return HT_FACT_TRUE;
  return ht_condition_evaluate (rule->condition, &scope->scope);
}
