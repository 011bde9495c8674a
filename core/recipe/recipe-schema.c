/* SPDX-License-Identifier: MIT */
/* The JSON Schema of recipes. Names, types, ranges, defaults and help texts of parameters are those of the GParamSpecs;
 * the sections have the keys that their readers know, which a test compares. */
#include <string.h>

#include "base/param-family.h"
#include "base/param-private.h"
#include "recipe/recipe-private.h"

#include <halftone/enums.h>

static JsonNode *
take (JsonObject *object)
{
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  json_node_take_object (node, object);
  return node;
}

static JsonObject *
new_type (const char *type, const char *description)
{
  JsonObject *object = json_object_new ();

  if (type != NULL)
    json_object_set_string_member (object, "type", type);
  if (description != NULL)
    json_object_set_string_member (object, "description", description);
  return object;
}

static JsonObject *
new_reference (const char *name)
{
  JsonObject *object = json_object_new ();
  g_autofree char *path = g_strdup_printf ("#/$defs/%s", name);

  json_object_set_string_member (object, "$ref", path);
  return object;
}

static JsonObject *
new_words (const char *const *words, const char *description)
{
  JsonObject *object = new_type (NULL, description);
  JsonArray *array = json_array_new ();

  for (gsize i = 0; words[i] != NULL; i++)
    json_array_add_string_element (array, words[i]);
  json_object_set_array_member (object, "enum", array);
  return object;
}

static JsonObject *
new_enum (GType type, const char *description)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (type);
  g_autoptr (GPtrArray) words = g_ptr_array_new ();

  for (guint i = 0; i < klass->n_values; i++)
    g_ptr_array_add (words, (gpointer)klass->values[i].value_nick);
  g_ptr_array_add (words, NULL);
  return new_words ((const char *const *)words->pdata, description);
}

static JsonObject *
new_list (JsonObject *items, const char *description)
{
  JsonObject *object = new_type ("array", description);

  json_object_set_object_member (object, "items", items);
  return object;
}

/* Of several schemas, which are taken. */
static JsonObject *
new_any (JsonObject *first, JsonObject *second)
{
  JsonObject *object = json_object_new ();
  JsonArray *array = json_array_new ();

  json_array_add_object_element (array, first);
  json_array_add_object_element (array, second);
  json_object_set_array_member (object, "anyOf", array);
  return object;
}

/* A mapping without other keys than those that are added to its "properties". */
static JsonObject *
new_mapping (const char *description, JsonObject **properties)
{
  JsonObject *object = new_type ("object", description);

  *properties = json_object_new ();
  json_object_set_object_member (object, "properties", *properties);
  json_object_set_boolean_member (object, "additionalProperties", FALSE);
  return object;
}

static void
require (JsonObject *mapping, const char *key)
{
  JsonArray *array = json_array_new ();

  json_array_add_string_element (array, key);
  json_object_set_array_member (mapping, "required", array);
}

static JsonObject *params_to_schema (GObjectClass *klass, const char *description, gboolean searchable);

/* {name: {parameter: value}} */
static JsonObject *
family_to_schema (const HtParamFamily *family)
{
  g_auto (GStrv) names = family->list ();
  JsonObject *properties, *mapping = new_mapping (NULL, &properties);

  for (gsize i = 0; names[i] != NULL; i++)
    {
      GType type = family->find (names[i], NULL);
      g_autoptr (GTypeClass) klass = type != G_TYPE_INVALID ? g_type_class_ref (type) : NULL;

      if (klass != NULL)
        json_object_set_object_member (
            properties, names[i],
            new_any (params_to_schema (G_OBJECT_CLASS (klass), NULL, TRUE), new_type ("null", NULL)));
    }
  json_object_set_int_member (mapping, "minProperties", 1);
  json_object_set_int_member (mapping, "maxProperties", 1);
  return new_any (new_words ((const char *const *)names, NULL), mapping);
}

static JsonObject *
integer_to_schema (GParamSpec *pspec)
{
  JsonObject *object = new_type ("integer", NULL);
  gint64 minimum, maximum;

  ht_param_spec_get_integer_range (pspec, &minimum, &maximum);
  json_object_set_int_member (object, "minimum", minimum);
  json_object_set_int_member (object, "maximum", maximum);
  return object;
}

/* Beyond this a limit says nothing to a person; json-glib writes such numbers as 1e+30.0, which is no JSON. */
#define LARGE 1e15

static JsonObject *
number_to_schema (GParamSpec *pspec)
{
  JsonObject *object = new_type ("number", NULL);
  GParamSpecDouble *number = G_PARAM_SPEC_DOUBLE (ht_param_spec_resolve (pspec));

  if (number->minimum > -LARGE)
    json_object_set_double_member (object, "minimum", number->minimum);
  if (number->maximum < LARGE)
    json_object_set_double_member (object, "maximum", number->maximum);
  return object;
}

static JsonObject *
type_to_schema (GParamSpec *pspec)
{
  g_autofree char *nicks = NULL;
  g_auto (GStrv) words = NULL;

  switch (ht_param_spec_get_kind (pspec))
    {
    case HT_PARAM_KIND_BOOLEAN:
      return new_type ("boolean", NULL);
    case HT_PARAM_KIND_INTEGER:
      return integer_to_schema (pspec);
    case HT_PARAM_KIND_NUMBER:
      return number_to_schema (pspec);
    case HT_PARAM_KIND_ENUM:
      return new_enum (G_PARAM_SPEC_VALUE_TYPE (ht_param_spec_resolve (pspec)), NULL);
    case HT_PARAM_KIND_FLAGS:
      nicks = ht_param_spec_list_nicks (pspec);
      words = g_strsplit (nicks, ", ", -1);
      return new_list (new_words ((const char *const *)words, NULL), NULL);
    case HT_PARAM_KIND_LIST_INTEGER:
      return new_list (new_type ("integer", NULL), NULL);
    case HT_PARAM_KIND_LIST_NUMBER:
      return new_list (new_type ("number", NULL), NULL);
    case HT_PARAM_KIND_TEXTS:
    case HT_PARAM_KIND_LIST_TEXT:
      return new_list (new_type ("string", NULL), NULL);
    case HT_PARAM_KIND_FAMILY:
      return family_to_schema (ht_param_family_get (pspec));
    default:
      return new_type ("string", NULL);
    }
}

/* A parameter that is searched over may also be a choice; its description and default stand beside both. */
static JsonObject *
param_to_schema (GParamSpec *pspec, gboolean searchable)
{
  JsonObject *plain = type_to_schema (pspec);
  JsonObject *object = searchable ? new_any (plain, new_reference ("choice")) : plain;
  const char *blurb = g_param_spec_get_blurb (pspec), *unit = ht_param_spec_get_unit (pspec);
  g_autofree char *description
      = unit != NULL ? g_strdup_printf ("%s, in %s", blurb, unit) : g_strdup (blurb != NULL ? blurb : "");
  JsonNode *fallback = NULL;

  json_object_set_string_member (object, "description", description);
  if (ht_param_spec_get_kind (pspec) != HT_PARAM_KIND_FAMILY)
    fallback = ht_param_value_to_json (pspec, g_param_spec_get_default_value (ht_param_spec_resolve (pspec)));
  if (fallback != NULL && JSON_NODE_HOLDS_VALUE (fallback))
    json_object_set_member (object, "default", fallback);
  else
    g_clear_pointer (&fallback, json_node_unref);
  return object;
}

static void
add_params (JsonObject *properties, GObjectClass *klass, gboolean searchable)
{
  g_autoptr (GPtrArray) params = ht_object_list_params (klass);

  for (guint i = 0; i < params->len; i++)
    {
      GParamSpec *pspec = g_ptr_array_index (params, i);

      json_object_set_object_member (properties, pspec->name, param_to_schema (pspec, searchable));
    }
}

static JsonObject *
params_to_schema (GObjectClass *klass, const char *description, gboolean searchable)
{
  JsonObject *properties, *mapping = new_mapping (description, &properties);

  add_params (properties, klass, searchable);
  return mapping;
}

/* {$choice: […]}, {$int: [low, high]}, {$float: [low, high]} */
static JsonObject *
choice_to_schema (void)
{
  JsonObject *properties, *mapping = new_mapping ("A value that a search chooses", &properties);
  JsonObject *ends = new_list (new_type ("number", NULL), "Lower and upper end");
  JsonObject *whole_ends = new_list (new_type ("integer", NULL), "Lower and upper end");
  JsonObject *step = new_type ("number", "The distance of values"), *values = new_type ("array", "What to choose from");

  json_object_set_int_member (values, "minItems", 1);
  json_object_set_int_member (ends, "minItems", 2);
  json_object_set_int_member (ends, "maxItems", 2);
  json_object_set_int_member (whole_ends, "minItems", 2);
  json_object_set_int_member (whole_ends, "maxItems", 2);
  json_object_set_int_member (step, "exclusiveMinimum", 0);
  json_object_set_object_member (properties, "$choice", values);
  json_object_set_object_member (properties, "$int", whole_ends);
  json_object_set_object_member (properties, "$float", ends);
  json_object_set_object_member (properties, "step", step);
  json_object_set_object_member (properties, "log", new_type ("boolean", "Whether ratios count, not differences"));
  return mapping;
}

static void
add_technique (HtPassRegistry *registry, const char *id, JsonObject *definitions, JsonArray *forms,
               JsonArray *conditions)
{
  g_autoptr (HtPass) pass = ht_pass_registry_create (registry, id, NULL);
  g_autofree char *name = g_strdup_printf ("technique-%s", id);
  JsonObject *properties, *form, *condition, *when, *then, *use;

  if (pass == NULL)
    return;
  json_object_set_object_member (
      definitions, name,
      params_to_schema (G_OBJECT_GET_CLASS (pass), ht_pass_class_get_summary (HT_PASS_GET_CLASS (pass)), TRUE));
  form = new_mapping (ht_pass_class_get_summary (HT_PASS_GET_CLASS (pass)), &properties);
  json_object_set_object_member (properties, id, new_any (new_reference (name), new_type ("null", NULL)));
  require (form, id);
  json_array_add_object_element (forms, form);

  use = json_object_new ();
  json_object_set_string_member (use, "const", id);
  when = json_object_new ();
  properties = json_object_new ();
  json_object_set_object_member (properties, "use", use);
  json_object_set_object_member (when, "properties", properties);
  require (when, "use");
  then = json_object_new ();
  properties = json_object_new ();
  json_object_set_object_member (properties, "with", new_any (new_reference (name), new_type ("null", NULL)));
  json_object_set_object_member (then, "properties", properties);
  condition = json_object_new ();
  json_object_set_object_member (condition, "if", when);
  json_object_set_object_member (condition, "then", then);
  json_array_add_object_element (conditions, condition);
}

static JsonObject *
step_id_to_schema (void)
{
  JsonObject *object = new_type ("string", "The step's own name");

  json_object_set_string_member (object, "pattern", "^[A-Za-z][A-Za-z0-9_-]*$");
  return object;
}

/* Steps, and what may stand in the list of a step's alternatives. */
static void
add_steps (HtPassRegistry *registry, JsonObject *definitions)
{
  g_auto (GStrv) ids = ht_pass_registry_list_passes (registry);
  JsonArray *forms = json_array_new (), *conditions = json_array_new (), *alternatives = json_array_new ();
  JsonObject *properties, *form, *step = json_object_new (), *alternative = json_object_new (), *list;

  json_array_add_object_element (forms, new_words ((const char *const *)ids, "A technique with its defaults"));
  for (gsize i = 0; ids[i] != NULL; i++)
    add_technique (registry, ids[i], definitions, forms, conditions);

  form = new_mapping ("A technique with a name of its own", &properties);
  json_object_set_object_member (properties, "id", step_id_to_schema ());
  json_object_set_object_member (properties, "use", new_words ((const char *const *)ids, "The technique"));
  json_object_set_object_member (properties, "with", new_type (NULL, "Its parameters"));
  json_object_set_object_member (properties, "optional", new_type ("boolean", "Whether a search may leave it out"));
  if (json_array_get_length (conditions) > 0)
    json_object_set_array_member (form, "allOf", conditions);
  else
    json_array_unref (conditions);
  require (form, "use");
  json_array_add_object_element (forms, form);

  json_object_set_array_member (step, "anyOf", forms);
  json_object_set_object_member (definitions, "technique", step);
  json_array_add_string_element (alternatives, "none");
  json_object_set_array_member (alternative, "enum", alternatives);
  list = new_list (new_any (alternative, new_reference ("technique")), "What a search chooses from");
  json_object_set_int_member (list, "minItems", 1);
  form = new_mapping ("A step that a search chooses", &properties);
  json_object_set_object_member (properties, "id", step_id_to_schema ());
  json_object_set_object_member (properties, "one-of", list);
  json_object_set_object_member (properties, "optional", new_type ("boolean", "Whether a search may leave it out"));
  require (form, "one-of");
  json_object_set_object_member (definitions, "step", new_any (new_reference ("technique"), form));
}

static JsonObject *
count_to_schema (gint64 maximum, const char *description)
{
  JsonObject *object = new_type ("integer", description);

  json_object_set_int_member (object, "minimum", 1);
  json_object_set_int_member (object, "maximum", maximum);
  return object;
}

static JsonObject *
source_to_schema (const char *description, gboolean evaluation)
{
  JsonObject *properties, *mapping = new_mapping (description, &properties);
  JsonObject *files = new_type ("object", "A file for each input");

  json_object_set_object_member (files, "additionalProperties", new_type ("string", NULL));
  json_object_set_object_member (properties, "path", new_any (new_type ("string", "A .npy or .npz file"), files));
  json_object_set_object_member (properties, "labels", new_type ("string", "A .npy file with class numbers"));
  json_object_set_object_member (properties, "samples", count_to_schema (G_MAXINT32, "Only the first so many"));
  json_object_set_object_member (properties, "batch", count_to_schema (HT_RECIPE_MAX_BATCH, "Samples at once"));
  if (!evaluation)
    return mapping;
  json_object_set_object_member (
      properties, "command",
      new_list (new_type ("string", NULL), "A program that judges a model in place of arrays, and its arguments"));
  json_object_set_object_member (properties, "timeout", new_type ("string", "How long it may take, such as 60s"));
  return mapping;
}

static JsonObject *
data_to_schema (void)
{
  JsonObject *properties, *mapping = new_mapping ("Arrays", &properties);
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();

  json_object_set_object_member (
      properties, "preprocess",
      params_to_schema (G_OBJECT_GET_CLASS (preprocess), "How an array becomes an input", FALSE));
  json_object_set_object_member (properties, "calibration",
                                 source_to_schema ("What ranges and statistics are computed on", FALSE));
  json_object_set_object_member (properties, "evaluation", source_to_schema ("What accuracy is measured on", TRUE));
  json_object_set_object_member (properties, "training", source_to_schema ("What techniques that train use", FALSE));
  return mapping;
}

static JsonObject *
rules_to_schema (void)
{
  static const char *const layers[] = { "first", "last", NULL };
  JsonObject *properties, *mapping = new_mapping ("An exception for some nodes", &properties), *match;

  json_object_set_object_member (properties, "skip", new_type ("boolean", "Leaves them in floating point"));
  json_object_set_object_member (properties, "weights", new_reference ("weights"));
  json_object_set_object_member (properties, "activations", new_reference ("activations"));
  match = new_mapping ("The nodes", &properties);
  json_object_set_object_member (json_object_get_object_member (mapping, "properties"), "match", match);
  json_object_set_object_member (properties, "op", new_type ("string", "Their ONNX operator type"));
  json_object_set_object_member (properties, "name", new_type ("string", "Their name; * and ? are wild"));
  json_object_set_object_member (properties, "pattern",
                                 new_list (new_type ("string", NULL), "A chain of operators they are in"));
  json_object_set_object_member (properties, "layer", new_words (layers, "Which layer they are"));
  require (mapping, "match");
  return new_list (mapping, "Exceptions; a later one overrides an earlier one, key by key");
}

static JsonObject *
quantization_to_schema (void)
{
  JsonObject *properties, *mapping = new_mapping ("Grids", &properties), *encodings;

  json_object_set_object_member (
      properties, "target", new_any (new_type ("string", "A target, or the path of one"), new_reference ("choice")));
  json_object_set_object_member (properties, "weights", new_any (new_reference ("weights"), new_reference ("choice")));
  json_object_set_object_member (properties, "activations",
                                 new_any (new_reference ("activations"), new_reference ("choice")));
  json_object_set_object_member (properties, "rules", rules_to_schema ());
  encodings = new_mapping ("Grids to start from", &properties);
  json_object_set_object_member (json_object_get_object_member (mapping, "properties"), "encodings", encodings);
  json_object_set_object_member (properties, "path", new_type ("string", "A file of encodings"));
  json_object_set_object_member (properties, "freeze", new_enum (HT_TYPE_FREEZE, "Which encodings nobody moves"));
  json_object_set_object_member (properties, "partial", new_type ("boolean", "Whether the file may differ"));
  require (encodings, "path");
  return mapping;
}

static JsonObject *
output_to_schema (void)
{
  JsonObject *properties, *mapping = new_mapping ("Files", &properties), *qdq;

  json_object_set_object_member (properties, "directory", new_type ("string", "Where files go"));
  json_object_set_object_member (properties, "formats",
                                 new_list (new_words (ht_recipe_output_formats, NULL), "Formats of the result"));
  json_object_set_object_member (properties, "report",
                                 new_list (new_words (ht_recipe_report_formats, NULL), "Formats of the report"));
  qdq = new_mapping (NULL, &properties);
  json_object_set_object_member (json_object_get_object_member (mapping, "properties"), "qdq", qdq);
  json_object_set_object_member (properties, "weights",
                                 new_enum (HT_TYPE_QDQ_WEIGHTS, "How the Q/DQ file stores weights"));
  return mapping;
}

static JsonObject *
objective_to_schema (void)
{
  JsonObject *properties, *mapping = new_mapping ("What a search is after", &properties);

  json_object_set_object_member (properties, "maximize", new_enum (HT_TYPE_METRIC, "The metric that decides"));
  json_object_set_object_member (properties, "minimize", new_enum (HT_TYPE_METRIC, "The metric that decides"));
  json_object_set_object_member (
      properties, "subject-to",
      new_any (new_list (new_type ("string", NULL), NULL), new_type ("string", "As in top1 >= baseline - 0.5pp")));
  json_object_set_object_member (
      properties, "then-minimize",
      new_any (new_list (new_enum (HT_TYPE_COST, NULL), NULL), new_enum (HT_TYPE_COST, "What decides between equals")));
  json_object_set_object_member (properties, "on", new_enum (HT_TYPE_OBJECTIVE_DATA, "The samples that choose"));
  return mapping;
}

static JsonObject *
search_to_schema (void)
{
  static const char *const budgets[] = { "time", "trials", "memory" };
  g_autoptr (HtSearchSettings) settings = ht_search_settings_new ();
  JsonObject *mapping = params_to_schema (G_OBJECT_GET_CLASS (settings), "How to search", FALSE);
  JsonObject *properties = json_object_get_object_member (mapping, "properties"), *inner, *budget;

  /* The budget is one group, with units written out. */
  for (gsize i = 0; i < G_N_ELEMENTS (budgets); i++)
    json_object_remove_member (properties, budgets[i]);
  budget = new_mapping ("What it may cost", &inner);
  json_object_set_object_member (inner, "time", new_type ("string", "Such as 2h"));
  json_object_set_object_member (inner, "trials", count_to_schema (G_MAXINT32, "Combinations"));
  json_object_set_object_member (inner, "memory", new_type ("string", "Such as 8GiB"));
  json_object_set_object_member (properties, "budget", budget);
  return mapping;
}

static JsonObject *
forbid_to_schema (void)
{
  JsonObject *properties, *mapping = new_mapping (NULL, &properties);

  json_object_set_object_member (properties, "when", new_type ("string", "As in on(round) && weights.bits = 4"));
  json_object_set_object_member (properties, "why", new_type ("string", "The reason, which is told"));
  return new_list (mapping, "Combinations that nobody wants");
}

/**
 * ht_recipe_schema:
 * @registry: the techniques
 *
 * Writes the JSON Schema (draft 2020-12) of recipes: what editors complete and check them by. It holds every technique
 * of the registry and every calibrator of the process with their parameters. What no schema can say (laws, units,
 * ranges of choices) is left to `halftone check`.
 *
 * Returns: (transfer full): a JSON object
 */
JsonNode *
ht_recipe_schema (HtPassRegistry *registry)
{
  g_autoptr (HtQuantizerSettings) weights = ht_quantizer_settings_new_weights ();
  g_autoptr (HtQuantizerSettings) activations = ht_quantizer_settings_new_activations ();
  JsonObject *properties, *schema, *definitions, *version, *seed;

  g_return_val_if_fail (HT_IS_PASS_REGISTRY (registry), NULL);

  schema = new_mapping ("A recipe of Halftone", &properties);
  json_object_set_string_member (schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
  json_object_set_string_member (schema, "title", "Halftone recipe");
  require (schema, "recipe");
  version = json_object_new ();
  json_object_set_string_member (version, "const", HT_RECIPE_VERSION);
  json_object_set_object_member (properties, "recipe", version);
  json_object_set_object_member (properties, "name", new_type ("string", "Names the result"));
  json_object_set_object_member (properties, "model", new_type ("string", "The ONNX model"));
  seed = new_type ("integer", "All random streams are derived from it");
  json_object_set_int_member (seed, "minimum", 0);
  json_object_set_object_member (properties, "seed", seed);
  json_object_set_object_member (properties, "data", data_to_schema ());
  json_object_set_object_member (properties, "quantization", quantization_to_schema ());
  json_object_set_object_member (properties, "pipeline",
                                 new_list (new_reference ("step"), "Techniques, in their order"));
  json_object_set_object_member (properties, "output", output_to_schema ());
  json_object_set_object_member (properties, "forbid", forbid_to_schema ());
  json_object_set_object_member (properties, "objective", objective_to_schema ());
  json_object_set_object_member (properties, "search", search_to_schema ());

  definitions = json_object_new ();
  json_object_set_object_member (schema, "$defs", definitions);
  json_object_set_object_member (definitions, "choice", choice_to_schema ());
  json_object_set_object_member (definitions, "weights",
                                 params_to_schema (G_OBJECT_GET_CLASS (weights), "Grids of weights", TRUE));
  json_object_set_object_member (definitions, "activations",
                                 params_to_schema (G_OBJECT_GET_CLASS (activations), "Grids of activations", TRUE));
  add_steps (registry, definitions);
  return take (schema);
}
