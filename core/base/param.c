/* SPDX-License-Identifier: MIT */
/* Recipe values to properties and back. GObject itself narrows and clamps without a word: 4294967301 becomes 5 in an
 * int property, 7.9 becomes 7, 7 becomes TRUE. So the exact value is checked here, against the range that the
 * GParamSpec gives, before anything is stored. */
#include "base/param-family.h"
#include "base/param-private.h"

#include <halftone/error.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_TEXT_SHOWN  40
#define MAX_ITEMS_SHOWN 8
#define MAX_ITEMS       (1024 * 1024)

/* One value on its way into one property. */
typedef struct
{
  GParamSpec *pspec; /* resolved */
  const char *name;
  gint item; /* of a list; -1: the whole value */
} Target;

char *
ht_param_describe_text (const char *text)
{
  if (!g_utf8_validate (text, -1, NULL))
    return g_strdup ("text that is not UTF-8");
  if (g_utf8_strlen (text, -1) <= MAX_TEXT_SHOWN)
    return g_strdup_printf ("\"%s\"", text);
  g_autofree char *head = g_utf8_substring (text, 0, MAX_TEXT_SHOWN);
  return g_strdup_printf ("\"%s…\"", head);
}

static char *
describe_list (JsonArray *array)
{
  guint length = json_array_get_length (array);
  GString *text = g_string_new ("[");

  for (guint i = 0; i < MIN (length, MAX_ITEMS_SHOWN); i++)
    {
      JsonNode *item = json_array_get_element (array, i);
      /* One level is enough to recognise a value, and keeps the depth of the user's nesting out of our stack. */
      g_autofree char *shown = JSON_NODE_HOLDS_ARRAY (item) ? g_strdup ("[…]") : ht_param_describe_json (item);
      g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", shown);
    }
  g_string_append (text, length > MAX_ITEMS_SHOWN ? ", …]" : "]");
  return g_string_free (text, FALSE);
}

char *
ht_param_describe_json (JsonNode *node)
{
  switch (json_node_get_node_type (node))
    {
    case JSON_NODE_OBJECT:
      return g_strdup ("a mapping");
    case JSON_NODE_ARRAY:
      return describe_list (json_node_get_array (node));
    case JSON_NODE_NULL:
      return g_strdup ("null");
    case JSON_NODE_VALUE:
    default:
      break;
    }
  if (json_node_get_value_type (node) == G_TYPE_INT64)
    return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
  if (json_node_get_value_type (node) == G_TYPE_BOOLEAN)
    return g_strdup (json_node_get_boolean (node) ? "true" : "false");
  if (json_node_get_value_type (node) == G_TYPE_STRING)
    return ht_param_describe_text (json_node_get_string (node));
  g_autofree char *number = ht_param_format_double (json_node_get_double (node));
  gboolean looks_integer = strspn (number, "+-0123456789") == strlen (number);
  return g_strconcat (number, looks_integer ? ".0" : NULL, NULL);
}

static char *
describe_expectation (const Target *target, gboolean range_only)
{
  g_autofree char *range = ht_param_spec_describe_range (target->pspec, range_only);
  g_autofree char *type = NULL;

  if (range_only && range != NULL)
    return g_steal_pointer (&range);
  switch (ht_param_spec_get_kind (target->pspec))
    {
    case HT_PARAM_KIND_INTEGER:
      return g_strconcat ("an integer", range != NULL ? ", " : NULL, range, NULL);
    case HT_PARAM_KIND_NUMBER:
      return g_strconcat ("a number", range != NULL ? ", " : NULL, range, NULL);
    case HT_PARAM_KIND_FLAGS:
    case HT_PARAM_KIND_TEXTS:
    case HT_PARAM_KIND_LIST_TEXT:
    case HT_PARAM_KIND_LIST_INTEGER:
    case HT_PARAM_KIND_LIST_NUMBER:
      type = ht_param_spec_describe_type (target->pspec);
      return g_strconcat ("a ", type, NULL);
    default:
      return ht_param_spec_describe_type (target->pspec);
    }
}

/* "'max-iterations' is 0, must be 1 … 1000 (default 2)" */
static gboolean
refuse_words (const Target *target, gint code, const char *found, const char *suggestion, GError **error)
{
  g_autofree char *expected = describe_expectation (target, code == HT_RECIPE_ERROR_OUT_OF_RANGE);
  g_autofree char *fallback = ht_param_spec_describe_default (target->pspec);
  g_autofree char *place = target->item >= 0 ? g_strdup_printf ("[%d]", target->item) : g_strdup ("");

  g_set_error (error, HT_RECIPE_ERROR, code, "'%s%s' is %s, must be %s (default %s)%s%s%s", target->name, place, found,
               expected, fallback, suggestion != NULL ? "; did you mean '" : "", suggestion != NULL ? suggestion : "",
               suggestion != NULL ? "'?" : "");
  return FALSE;
}

static gboolean
refuse (const Target *target, gint code, JsonNode *node, const char *suggestion, GError **error)
{
  g_autofree char *found = ht_param_describe_json (node);
  return refuse_words (target, code, found, suggestion, error);
}

static gboolean
is_value_of (JsonNode *node, GType type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

static gboolean
set_integer (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  gint64 minimum, maximum;

  if (!is_value_of (node, G_TYPE_INT64))
    return refuse (target, HT_RECIPE_ERROR_WRONG_TYPE, node, NULL, error);
  gint64 given = json_node_get_int (node);
  ht_param_spec_get_integer_range (target->pspec, &minimum, &maximum);
  if (given < minimum || given > maximum)
    return refuse (target, HT_RECIPE_ERROR_OUT_OF_RANGE, node, NULL, error);
  if (G_VALUE_HOLDS_INT (value))
    g_value_set_int (value, (gint)given);
  else if (G_VALUE_HOLDS_UINT (value))
    g_value_set_uint (value, (guint)given);
  else if (G_VALUE_HOLDS_INT64 (value))
    g_value_set_int64 (value, given);
  else
    g_value_set_uint64 (value, (guint64)given);
  return TRUE;
}

/* Any finite number; integers are numbers too. */
static gboolean
read_number (const Target *target, JsonNode *node, double *number, GError **error)
{
  if (is_value_of (node, G_TYPE_INT64))
    *number = (double)json_node_get_int (node);
  else if (is_value_of (node, G_TYPE_DOUBLE))
    *number = json_node_get_double (node);
  else
    return refuse (target, HT_RECIPE_ERROR_WRONG_TYPE, node, NULL, error);
  if (!isfinite (*number))
    return refuse (target, HT_RECIPE_ERROR_OUT_OF_RANGE, node, NULL, error);
  return TRUE;
}

static gboolean
set_number (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  GParamSpecDouble *limits = G_PARAM_SPEC_DOUBLE (target->pspec);
  double given = 0.0;

  if (!read_number (target, node, &given, error))
    return FALSE;
  if (given < limits->minimum || given > limits->maximum)
    return refuse (target, HT_RECIPE_ERROR_OUT_OF_RANGE, node, NULL, error);
  g_value_set_double (value, given);
  return TRUE;
}

static const char *
read_text (const Target *target, JsonNode *node, GError **error)
{
  if (!is_value_of (node, G_TYPE_STRING) || !g_utf8_validate (json_node_get_string (node), -1, NULL))
    {
      refuse (target, HT_RECIPE_ERROR_WRONG_TYPE, node, NULL, error);
      return NULL;
    }
  return json_node_get_string (node);
}

static gboolean
set_text (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  /* What has no value by default may be given none. */
  if (JSON_NODE_HOLDS_NULL (node) && G_PARAM_SPEC_STRING (target->pspec)->default_value == NULL)
    return TRUE;
  const char *text = read_text (target, node, error);
  if (text != NULL)
    g_value_set_string (value, text);
  return text != NULL;
}

static gboolean
set_enum (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  GEnumClass *klass = G_PARAM_SPEC_ENUM (target->pspec)->enum_class;
  const char *nick = read_text (target, node, error);

  if (nick == NULL)
    return FALSE;
  GEnumValue *found = g_enum_get_value_by_nick (klass, nick);
  if (found == NULL)
    {
      g_autoptr (GPtrArray) nicks = g_ptr_array_new ();
      for (guint i = 0; i < klass->n_values; i++)
        g_ptr_array_add (nicks, (gpointer)klass->values[i].value_nick);
      g_ptr_array_add (nicks, NULL);
      const char *suggestion = ht_suggest (nick, (const char *const *)nicks->pdata);
      return refuse (target, HT_RECIPE_ERROR_UNKNOWN_VALUE, node, suggestion, error);
    }
  g_value_set_enum (value, found->value);
  return TRUE;
}

static JsonArray *
read_list (const Target *target, JsonNode *node, GError **error)
{
  if (!JSON_NODE_HOLDS_ARRAY (node))
    {
      refuse (target, HT_RECIPE_ERROR_WRONG_TYPE, node, NULL, error);
      return NULL;
    }
  JsonArray *list = json_node_get_array (node);
  if (json_array_get_length (list) <= MAX_ITEMS)
    return list;
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "'%s' has %u items, at most %d are allowed",
               target->name, json_array_get_length (list), MAX_ITEMS);
  return NULL;
}

static gboolean
add_flag (const Target *target, JsonNode *node, guint *flags, GError **error)
{
  GFlagsClass *klass = G_PARAM_SPEC_FLAGS (target->pspec)->flags_class;
  const char *nick = read_text (target, node, error);

  if (nick == NULL)
    return FALSE;
  GFlagsValue *found = g_flags_get_value_by_nick (klass, nick);
  if (found == NULL || found->value == 0)
    {
      g_autoptr (GPtrArray) nicks = g_ptr_array_new ();
      for (guint i = 0; i < klass->n_values; i++)
        if (klass->values[i].value != 0)
          g_ptr_array_add (nicks, (gpointer)klass->values[i].value_nick);
      g_ptr_array_add (nicks, NULL);
      const char *suggestion = ht_suggest (nick, (const char *const *)nicks->pdata);
      return refuse (target, HT_RECIPE_ERROR_UNKNOWN_VALUE, node, suggestion, error);
    }
  if ((*flags & found->value) == found->value)
    {
      g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY, "'%s[%d]' says '%s' again", target->name,
                   target->item, nick);
      return FALSE;
    }
  *flags |= found->value;
  return TRUE;
}

static gboolean
set_flags (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  JsonArray *list = read_list (target, node, error);
  guint flags = 0;

  if (list == NULL)
    return FALSE;
  for (guint i = 0; i < json_array_get_length (list); i++)
    {
      Target item = { target->pspec, target->name, (gint)i };
      if (!add_flag (&item, json_array_get_element (list, i), &flags, error))
        return FALSE;
    }
  g_value_set_flags (value, flags);
  return TRUE;
}

static gboolean
refuse_item (const Target *target, JsonNode *node, gint code, const char *expected, GError **error)
{
  g_autofree char *found = ht_param_describe_json (node);
  g_set_error (error, HT_RECIPE_ERROR, code, "'%s[%d]' is %s, must be %s", target->name, target->item, found, expected);
  return FALSE;
}

static gboolean
check_item (const Target *target, HtParamKind kind, JsonNode *node, GError **error)
{
  if (kind == HT_PARAM_KIND_LIST_INTEGER)
    {
      if (!is_value_of (node, G_TYPE_INT64))
        return refuse_item (target, node, HT_RECIPE_ERROR_WRONG_TYPE, "an integer", error);
      if (json_node_get_int (node) < G_MININT32 || json_node_get_int (node) > G_MAXINT32)
        return refuse_item (target, node, HT_RECIPE_ERROR_OUT_OF_RANGE, "-2147483648 … 2147483647", error);
      return TRUE;
    }
  if (kind == HT_PARAM_KIND_LIST_NUMBER)
    {
      if (is_value_of (node, G_TYPE_INT64))
        return TRUE;
      if (!is_value_of (node, G_TYPE_DOUBLE))
        return refuse_item (target, node, HT_RECIPE_ERROR_WRONG_TYPE, "a number", error);
      if (!isfinite (json_node_get_double (node)))
        return refuse_item (target, node, HT_RECIPE_ERROR_OUT_OF_RANGE, "a finite number", error);
      return TRUE;
    }
  if (!is_value_of (node, G_TYPE_STRING) || !g_utf8_validate (json_node_get_string (node), -1, NULL))
    return refuse_item (target, node, HT_RECIPE_ERROR_WRONG_TYPE, "text", error);
  return TRUE;
}

static gboolean
set_list (const Target *target, HtParamKind kind, JsonNode *node, GValue *value, GError **error)
{
  JsonArray *list = read_list (target, node, error);

  if (list == NULL)
    return FALSE;
  guint length = json_array_get_length (list);
  for (guint i = 0; i < length; i++)
    {
      Target item = { target->pspec, target->name, (gint)i };
      if (!check_item (&item, kind, json_array_get_element (list, i), error))
        return FALSE;
    }
  if (kind == HT_PARAM_KIND_TEXTS)
    {
      char **texts = g_new0 (char *, length + 1);
      for (guint i = 0; i < length; i++)
        texts[i] = g_strdup (json_array_get_string_element (list, i));
      g_value_take_boxed (value, texts);
      return TRUE;
    }

  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_PARAM_SPEC_VARIANT (target->pspec)->type);
  for (guint i = 0; i < length; i++)
    {
      JsonNode *item = json_array_get_element (list, i);
      if (kind == HT_PARAM_KIND_LIST_INTEGER)
        g_variant_builder_add (&builder, "i", (gint32)json_node_get_int (item));
      else if (kind == HT_PARAM_KIND_LIST_NUMBER)
        g_variant_builder_add (&builder, "d",
                               is_value_of (item, G_TYPE_INT64) ? (double)json_node_get_int (item)
                                                                : json_node_get_double (item));
      else
        g_variant_builder_add (&builder, "s", json_node_get_string (item));
    }
  g_value_take_variant (value, g_variant_ref_sink (g_variant_builder_end (&builder)));
  return TRUE;
}

static gboolean
set_member (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  GObject *object = ht_param_family_from_json (ht_param_family_get (target->pspec), node, error);

  if (object == NULL)
    g_prefix_error (error, "'%s' ", target->name);
  else
    g_value_take_object (value, object);
  return object != NULL;
}

static gboolean
convert (const Target *target, JsonNode *node, GValue *value, GError **error)
{
  HtParamKind kind = ht_param_spec_get_kind (target->pspec);

  switch (kind)
    {
    case HT_PARAM_KIND_BOOLEAN:
      if (!is_value_of (node, G_TYPE_BOOLEAN))
        return refuse (target, HT_RECIPE_ERROR_WRONG_TYPE, node, NULL, error);
      g_value_set_boolean (value, json_node_get_boolean (node));
      return TRUE;
    case HT_PARAM_KIND_INTEGER:
      return set_integer (target, node, value, error);
    case HT_PARAM_KIND_NUMBER:
      return set_number (target, node, value, error);
    case HT_PARAM_KIND_TEXT:
      return set_text (target, node, value, error);
    case HT_PARAM_KIND_ENUM:
      return set_enum (target, node, value, error);
    case HT_PARAM_KIND_FLAGS:
      return set_flags (target, node, value, error);
    case HT_PARAM_KIND_TEXTS:
    case HT_PARAM_KIND_LIST_INTEGER:
    case HT_PARAM_KIND_LIST_NUMBER:
    case HT_PARAM_KIND_LIST_TEXT:
      return set_list (target, kind, node, value, error);
    case HT_PARAM_KIND_FAMILY:
      return set_member (target, node, value, error);
    case HT_PARAM_KIND_UNSUPPORTED:
    default:
      g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                   "'%s' is of type %s, which cannot be set from a recipe", target->name,
                   g_type_name (G_PARAM_SPEC_VALUE_TYPE (target->pspec)));
      return FALSE;
    }
}

static GParamSpec *
find_or_fail (GObject *object, const char *name, GError **error)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (object);
  GParamSpec *pspec = ht_object_find_param (klass, name);
  g_autoptr (GPtrArray) params = NULL;
  g_autoptr (GPtrArray) names = NULL;

  if (pspec != NULL)
    return pspec;
  params = ht_object_list_params (klass);
  names = g_ptr_array_new ();
  for (guint i = 0; i < params->len; i++)
    g_ptr_array_add (names, (gpointer)((GParamSpec *)g_ptr_array_index (params, i))->name);
  g_ptr_array_add (names, NULL);
  g_autofree char *known = g_strjoinv (", ", (char **)names->pdata);
  const char *suggestion = ht_suggest (name, (const char *const *)names->pdata);
  g_autofree char *shown = ht_param_describe_text (name);
  if (suggestion != NULL)
    g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_KEY, "there is no parameter %s; did you mean '%s'?",
                 shown, suggestion);
  else
    g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_KEY, "there is no parameter %s (known: %s)", shown,
                 params->len > 0 ? known : "none at all");
  return NULL;
}

/**
 * ht_object_set_param:
 * @object: an object with parameters
 * @name: the name of a parameter
 * @value: the value, as JSON
 * @error: return location for an error
 *
 * Sets a parameter. Nothing is converted in silence: an integer parameter takes integers only (not 7.0), a number takes
 * integers too, a switch takes true and false only, an enumeration takes its nicks, flags a list of nicks without
 * repetition, an object the name of its type or `{name: {parameter: value}}`. Fails with %HT_RECIPE_ERROR_UNKNOWN_KEY,
 * %HT_RECIPE_ERROR_WRONG_TYPE, %HT_RECIPE_ERROR_OUT_OF_RANGE, %HT_RECIPE_ERROR_UNKNOWN_VALUE or
 * %HT_RECIPE_ERROR_DUPLICATE_KEY and then leaves @object as it was.
 *
 * Returns: whether it was set
 */
gboolean
ht_object_set_param (GObject *object, const char *name, JsonNode *value, GError **error)
{
  g_auto (GValue) converted = G_VALUE_INIT;

  g_return_val_if_fail (G_IS_OBJECT (object), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);
  g_return_val_if_fail (value != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  GParamSpec *pspec = find_or_fail (object, name, error);
  if (pspec == NULL)
    return FALSE;
  Target target = { ht_param_spec_resolve (pspec), pspec->name, -1 };
  g_value_init (&converted, G_PARAM_SPEC_VALUE_TYPE (target.pspec));
  if (!convert (&target, value, &converted, error))
    return FALSE;
  /* A GParamSpec may ask for more than its range, a string for a first character and the like. */
  if (!g_param_value_is_valid (target.pspec, &converted))
    return refuse (&target, HT_RECIPE_ERROR_OUT_OF_RANGE, value, NULL, error);
  g_object_set_property (object, pspec->name, &converted);
  return TRUE;
}

static JsonNode *
parse_integer (const Target *target, const char *text, GError **error)
{
  const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
  JsonNode *node;

  if (digits[0] == '\0' || strspn (digits, "0123456789") != strlen (digits))
    {
      g_autofree char *found = ht_param_describe_text (text);
      refuse_words (target, HT_RECIPE_ERROR_WRONG_TYPE, found, NULL, error);
      return NULL;
    }
  errno = 0;
  gint64 number = g_ascii_strtoll (text, NULL, 10);
  if (errno == ERANGE)
    {
      refuse_words (target, HT_RECIPE_ERROR_OUT_OF_RANGE, text, NULL, error);
      return NULL;
    }
  node = json_node_new (JSON_NODE_VALUE);
  json_node_set_int (node, number);
  return node;
}

static JsonNode *
parse_number (const Target *target, const char *text, GError **error)
{
  char *end = NULL;
  double number = 0.0;
  /* The characters keep out what strtod takes besides numbers: hexadecimal, "inf", "nan", blanks. */
  gboolean plain = text[0] != '\0' && strspn (text, "+-.0123456789eE") == strlen (text);

  if (plain)
    number = g_ascii_strtod (text, &end);
  if (!plain || end == text || *end != '\0')
    {
      g_autofree char *found = ht_param_describe_text (text);
      refuse_words (target, HT_RECIPE_ERROR_WRONG_TYPE, found, NULL, error);
      return NULL;
    }
  if (!isfinite (number))
    {
      refuse_words (target, HT_RECIPE_ERROR_OUT_OF_RANGE, text, NULL, error);
      return NULL;
    }
  JsonNode *node = json_node_new (JSON_NODE_VALUE);
  json_node_set_double (node, number);
  return node;
}

static JsonNode *parse_text (const Target *target, HtParamKind kind, const char *text, GError **error);

/* "a, b" or "[a, b]"; nothing between the brackets is the empty list. */
static JsonNode *
parse_list (const Target *target, HtParamKind item_kind, const char *text, GError **error)
{
  g_autofree char *inner = g_strstrip (g_strdup (text));
  g_autoptr (JsonArray) list = json_array_new ();
  gsize length = strlen (inner);

  if (length >= 2 && inner[0] == '[' && inner[length - 1] == ']')
    {
      inner[length - 1] = '\0';
      memmove (inner, inner + 1, length - 1);
      g_strstrip (inner);
    }
  g_auto (GStrv) parts = g_strsplit (inner, ",", -1);
  for (gint i = 0; inner[0] != '\0' && parts[i] != NULL; i++)
    {
      Target item = { target->pspec, target->name, i };
      JsonNode *node = parse_text (&item, item_kind, g_strstrip (parts[i]), error);
      if (node == NULL)
        return NULL;
      json_array_add_element (list, node);
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_set_array (node, list);
  return node;
}

static JsonNode *
parse_text (const Target *target, HtParamKind kind, const char *text, GError **error)
{
  JsonNode *node;

  switch (kind)
    {
    case HT_PARAM_KIND_INTEGER:
      return parse_integer (target, text, error);
    case HT_PARAM_KIND_NUMBER:
      return parse_number (target, text, error);
    case HT_PARAM_KIND_FLAGS:
    case HT_PARAM_KIND_TEXTS:
    case HT_PARAM_KIND_LIST_TEXT:
      return parse_list (target, HT_PARAM_KIND_TEXT, text, error);
    case HT_PARAM_KIND_LIST_INTEGER:
      return parse_list (target, HT_PARAM_KIND_INTEGER, text, error);
    case HT_PARAM_KIND_LIST_NUMBER:
      return parse_list (target, HT_PARAM_KIND_NUMBER, text, error);
    default:
      break;
    }
  node = json_node_new (JSON_NODE_VALUE);
  if (kind == HT_PARAM_KIND_BOOLEAN && (g_str_equal (text, "true") || g_str_equal (text, "false")))
    json_node_set_boolean (node, g_str_equal (text, "true"));
  else
    json_node_set_string (node, text);
  return node;
}

/**
 * ht_object_set_param_string:
 * @object: an object with parameters
 * @name: the name of a parameter
 * @text: the value as text: `true`, `12`, `0.5`, a nick, or a list as `a, b` or `[a, b]`
 * @error: return location for an error
 *
 * Sets a parameter from a word of a command line. The type of the parameter says how @text is read; otherwise as
 * ht_object_set_param().
 *
 * Returns: whether it was set
 */
gboolean
ht_object_set_param_string (GObject *object, const char *name, const char *text, GError **error)
{
  g_autoptr (JsonNode) node = NULL;

  g_return_val_if_fail (G_IS_OBJECT (object), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);
  g_return_val_if_fail (text != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  GParamSpec *pspec = find_or_fail (object, name, error);
  if (pspec == NULL)
    return FALSE;
  Target target = { ht_param_spec_resolve (pspec), pspec->name, -1 };
  node = parse_text (&target, ht_param_spec_get_kind (pspec), text, error);
  return node != NULL && ht_object_set_param (object, name, node, error);
}
