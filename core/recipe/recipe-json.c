/* SPDX-License-Identifier: MIT */
/* The effective recipe: everything that was given and everything that was not, in one canonical form, which is itself a
 * recipe. */
#include "base/param-private.h"
#include "recipe/recipe-private.h"

#include <halftone/enums.h>

static JsonNode *
take_object (JsonObject *object)
{
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  json_node_take_object (node, object);
  return node;
}

static JsonNode *
take_array (JsonArray *array)
{
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);

  json_node_take_array (node, array);
  return node;
}

static JsonNode *
words_to_json (char **words)
{
  JsonArray *array = json_array_new ();

  for (guint i = 0; words[i] != NULL; i++)
    json_array_add_string_element (array, words[i]);
  return take_array (array);
}

static JsonNode *
source_to_json (const HtRecipeSource *source)
{
  JsonObject *object = json_object_new ();

  if (source->command != NULL)
    {
      g_autofree char *seconds = ht_param_format_double (source->timeout), *text = g_strconcat (seconds, "s", NULL);

      json_object_set_member (object, "command", words_to_json (source->command));
      json_object_set_string_member (object, "timeout", text);
      return take_object (object);
    }
  if (source->paths->len == 1 && *(const char *)g_ptr_array_index (source->inputs, 0) == '\0')
    json_object_set_string_member (object, "path", g_ptr_array_index (source->paths, 0));
  else
    {
      JsonObject *paths = json_object_new ();

      for (guint i = 0; i < source->paths->len; i++)
        json_object_set_string_member (paths, g_ptr_array_index (source->inputs, i),
                                       g_ptr_array_index (source->paths, i));
      json_object_set_object_member (object, "path", paths);
    }
  if (source->labels != NULL)
    json_object_set_string_member (object, "labels", source->labels);
  if (source->samples > 0)
    json_object_set_int_member (object, "samples", source->samples);
  json_object_set_int_member (object, "batch", source->batch);
  return take_object (object);
}

/* A parameter that has no value is left out: the format has no word for it. */
static JsonNode *
params_to_json (gpointer object)
{
  JsonNode *node = ht_object_params_to_json (G_OBJECT (object));
  JsonObject *members = json_node_get_object (node);
  g_autoptr (GList) names = json_object_get_members (members);

  for (GList *item = names; item != NULL; item = item->next)
    {
      if (json_object_get_null_member (members, item->data))
        json_object_remove_member (members, item->data);
    }
  return node;
}

static JsonNode *
data_to_json (HtRecipe *self)
{
  static const char *const roles[HT_RECIPE_N_ROLES] = { "calibration", "evaluation", "training" };
  JsonObject *object = json_object_new ();

  json_object_set_member (object, "preprocess", params_to_json (self->preprocess));
  for (guint i = 0; i < HT_RECIPE_N_ROLES; i++)
    {
      if (self->sources[i].given)
        json_object_set_member (object, roles[i], source_to_json (&self->sources[i]));
    }
  return take_object (object);
}

static void
set_enum (JsonObject *object, const char *key, GType type, gint value)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (type);

  json_object_set_string_member (object, key, g_enum_get_value (klass, value)->value_nick);
}

/* What is left to the target stays so. */
static JsonNode *
settings_to_json (HtQuantizerSettings *settings)
{
  JsonNode *node = params_to_json (settings);
  JsonObject *members = json_node_get_object (node);
  g_autoptr (GList) names = json_object_get_members (members);

  for (GList *item = names; item != NULL; item = item->next)
    {
      if (!ht_quantizer_settings_is_explicit (settings, item->data))
        json_object_remove_member (members, item->data);
    }
  return node;
}

static JsonNode *
quantization_to_json (HtRecipe *self)
{
  HtQuantizationConfig *config = self->quantization;
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "target", ht_quantization_config_get_target (config));
  json_object_set_member (object, "weights", settings_to_json (ht_quantization_config_get_weights (config)));
  json_object_set_member (object, "activations", settings_to_json (ht_quantization_config_get_activations (config)));
  if (self->encodings != NULL)
    {
      JsonObject *encodings = json_object_new ();

      json_object_set_string_member (encodings, "path", self->encodings);
      set_enum (encodings, "freeze", HT_TYPE_FREEZE, self->freeze);
      json_object_set_boolean_member (encodings, "partial", self->partial);
      json_object_set_object_member (object, "encodings", encodings);
    }
  json_object_set_member (object, "rules",
                          self->rules != NULL ? json_node_copy (self->rules) : take_array (json_array_new ()));
  return take_object (object);
}

static JsonNode *
pipeline_to_json (HtRecipe *self)
{
  JsonArray *array = json_array_new ();

  for (guint i = 0; i < self->steps->len; i++)
    {
      HtRecipeStep *step = g_ptr_array_index (self->steps, i);
      JsonObject *object = json_object_new ();

      json_object_set_string_member (object, "id", step->id);
      json_object_set_string_member (object, "use", step->use);
      if (step->pass != NULL)
        json_object_set_member (object, "with", params_to_json (step->pass));
      else if (step->given != NULL)
        json_object_set_member (object, "with", json_node_copy (step->given));
      json_array_add_object_element (array, object);
    }
  return take_array (array);
}

/**
 * ht_recipe_to_json:
 * @self: a recipe
 *
 * Writes the effective recipe: what the text says and every default that holds where it says nothing, in a fixed order,
 * with paths as the text has them. Settings of weights and activations that the text leaves to the target are left out.
 * The result is a recipe again, with the same meaning.
 *
 * Returns: (transfer full): a JSON object
 */
JsonNode *
ht_recipe_to_json (HtRecipe *self)
{
  JsonObject *object, *output, *qdq;

  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);

  object = json_object_new ();
  json_object_set_string_member (object, "recipe", HT_RECIPE_VERSION);
  json_object_set_string_member (object, "name", self->name);
  if (self->model != NULL)
    json_object_set_string_member (object, "model", self->model);
  json_object_set_int_member (object, "seed", (gint64)self->seed);
  json_object_set_member (object, "data", data_to_json (self));
  json_object_set_member (object, "quantization", quantization_to_json (self));
  json_object_set_member (object, "pipeline", pipeline_to_json (self));
  output = json_object_new ();
  json_object_set_string_member (output, "directory", self->output);
  json_object_set_member (output, "formats", words_to_json (self->formats));
  qdq = json_object_new ();
  set_enum (qdq, "weights", HT_TYPE_QDQ_WEIGHTS, self->qdq_weights);
  json_object_set_object_member (output, "qdq", qdq);
  json_object_set_member (output, "report", words_to_json (self->reports));
  json_object_set_object_member (object, "output", output);
  return take_object (object);
}
