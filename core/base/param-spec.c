/* SPDX-License-Identifier: MIT */
/* What a GParamSpec says of a hyper-parameter, in words. */
#include "base/param-family.h"
#include "base/param-private.h"

#include <halftone/error.h>

#include <float.h>
#include <math.h>
#include <string.h>

#define MAX_BLURB 80

static GQuark
unit_quark (void)
{
  return g_quark_from_static_string ("halftone-param-unit");
}

/**
 * ht_param_spec_set_unit:
 * @pspec: a parameter
 * @unit: the unit of its values, as it is written after a number: "images", "ms"
 *
 * Says in which unit a parameter counts.
 */
void
ht_param_spec_set_unit (GParamSpec *pspec, const char *unit)
{
  g_return_if_fail (G_IS_PARAM_SPEC (pspec));
  g_return_if_fail (unit != NULL);
  g_param_spec_set_qdata_full (pspec, unit_quark (), g_strdup (unit), g_free);
}

/**
 * ht_param_spec_get_unit:
 * @pspec: a parameter
 *
 * Gets the unit of a parameter.
 *
 * Returns: (transfer none) (nullable): the unit, or %NULL where it is a bare number
 */
const char *
ht_param_spec_get_unit (GParamSpec *pspec)
{
  g_return_val_if_fail (G_IS_PARAM_SPEC (pspec), NULL);
  return g_param_spec_get_qdata (pspec, unit_quark ());
}

GParamSpec *
ht_param_spec_resolve (GParamSpec *pspec)
{
  GParamSpec *target = g_param_spec_get_redirect_target (pspec);
  return target != NULL ? target : pspec;
}

HtParamKind
ht_param_spec_get_kind (GParamSpec *pspec)
{
  pspec = ht_param_spec_resolve (pspec);
  if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    return HT_PARAM_KIND_BOOLEAN;
  if (G_IS_PARAM_SPEC_INT (pspec) || G_IS_PARAM_SPEC_UINT (pspec) || G_IS_PARAM_SPEC_INT64 (pspec)
      || G_IS_PARAM_SPEC_UINT64 (pspec))
    return HT_PARAM_KIND_INTEGER;
  if (G_IS_PARAM_SPEC_DOUBLE (pspec))
    return HT_PARAM_KIND_NUMBER;
  if (G_IS_PARAM_SPEC_STRING (pspec))
    return HT_PARAM_KIND_TEXT;
  if (G_IS_PARAM_SPEC_ENUM (pspec))
    return HT_PARAM_KIND_ENUM;
  if (G_IS_PARAM_SPEC_FLAGS (pspec))
    return HT_PARAM_KIND_FLAGS;
  if (G_IS_PARAM_SPEC_BOXED (pspec) && pspec->value_type == G_TYPE_STRV)
    return HT_PARAM_KIND_TEXTS;
  if (G_IS_PARAM_SPEC_VARIANT (pspec))
    {
      const GVariantType *type = G_PARAM_SPEC_VARIANT (pspec)->type;
      if (g_variant_type_equal (type, G_VARIANT_TYPE ("ai")))
        return HT_PARAM_KIND_LIST_INTEGER;
      if (g_variant_type_equal (type, G_VARIANT_TYPE ("ad")))
        return HT_PARAM_KIND_LIST_NUMBER;
      if (g_variant_type_equal (type, G_VARIANT_TYPE ("as")))
        return HT_PARAM_KIND_LIST_TEXT;
    }
  if (ht_param_family_get (pspec) != NULL)
    return HT_PARAM_KIND_FAMILY;
  return HT_PARAM_KIND_UNSUPPORTED;
}

void
ht_param_spec_get_integer_range (GParamSpec *pspec, gint64 *minimum, gint64 *maximum)
{
  pspec = ht_param_spec_resolve (pspec);
  if (G_IS_PARAM_SPEC_INT (pspec))
    {
      *minimum = G_PARAM_SPEC_INT (pspec)->minimum;
      *maximum = G_PARAM_SPEC_INT (pspec)->maximum;
    }
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    {
      *minimum = G_PARAM_SPEC_UINT (pspec)->minimum;
      *maximum = G_PARAM_SPEC_UINT (pspec)->maximum;
    }
  else if (G_IS_PARAM_SPEC_INT64 (pspec))
    {
      *minimum = G_PARAM_SPEC_INT64 (pspec)->minimum;
      *maximum = G_PARAM_SPEC_INT64 (pspec)->maximum;
    }
  else
    {
      *minimum = (gint64)MIN (G_PARAM_SPEC_UINT64 (pspec)->minimum, (guint64)G_MAXINT64);
      *maximum = (gint64)MIN (G_PARAM_SPEC_UINT64 (pspec)->maximum, (guint64)G_MAXINT64);
    }
}

char *
ht_param_format_double (double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  for (int digits = 15; digits <= 17; digits++)
    {
      char format[8];
      g_snprintf (format, sizeof format, "%%.%dg", digits);
      g_ascii_formatd (text, sizeof text, format, value);
      if (g_ascii_strtod (text, NULL) == value)
        break;
    }
  return g_strdup (text);
}

static gboolean
is_integer_type_limit (GParamSpec *pspec, gint64 value, gboolean upper)
{
  if (G_IS_PARAM_SPEC_INT (pspec))
    return value == (upper ? G_MAXINT : G_MININT);
  if (G_IS_PARAM_SPEC_UINT (pspec))
    return upper && value == (gint64)G_MAXUINT;
  if (G_IS_PARAM_SPEC_INT64 (pspec))
    return value == (upper ? G_MAXINT64 : G_MININT64);
  return upper && value == G_MAXINT64;
}

char *
ht_param_spec_describe_range (GParamSpec *pspec, gboolean exact)
{
  g_autofree char *low = NULL;
  g_autofree char *high = NULL;

  pspec = ht_param_spec_resolve (pspec);
  if (ht_param_spec_get_kind (pspec) == HT_PARAM_KIND_INTEGER)
    {
      gint64 minimum, maximum;
      ht_param_spec_get_integer_range (pspec, &minimum, &maximum);
      if (exact || !is_integer_type_limit (pspec, minimum, FALSE))
        low = g_strdup_printf ("%" G_GINT64_FORMAT, minimum);
      if (exact || !is_integer_type_limit (pspec, maximum, TRUE))
        high = g_strdup_printf ("%" G_GINT64_FORMAT, maximum);
    }
  else if (G_IS_PARAM_SPEC_DOUBLE (pspec))
    {
      GParamSpecDouble *number = G_PARAM_SPEC_DOUBLE (pspec);
      if (number->minimum > -DBL_MAX)
        low = ht_param_format_double (number->minimum);
      if (number->maximum < DBL_MAX)
        high = ht_param_format_double (number->maximum);
    }
  if (low != NULL && high != NULL)
    return g_strdup_printf ("%s … %s", low, high);
  if (low != NULL)
    return g_strdup_printf ("at least %s", low);
  if (high != NULL)
    return g_strdup_printf ("at most %s", high);
  return NULL;
}

char *
ht_param_spec_list_nicks (GParamSpec *pspec)
{
  GString *text = g_string_new (NULL);

  pspec = ht_param_spec_resolve (pspec);
  if (ht_param_family_get (pspec) != NULL)
    {
      g_auto (GStrv) names = ht_param_family_get (pspec)->list ();
      for (gsize i = 0; names[i] != NULL; i++)
        g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", names[i]);
    }
  else if (G_IS_PARAM_SPEC_ENUM (pspec))
    {
      GEnumClass *klass = G_PARAM_SPEC_ENUM (pspec)->enum_class;
      for (guint i = 0; i < klass->n_values; i++)
        g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", klass->values[i].value_nick);
    }
  else if (G_IS_PARAM_SPEC_FLAGS (pspec))
    {
      GFlagsClass *klass = G_PARAM_SPEC_FLAGS (pspec)->flags_class;
      for (guint i = 0; i < klass->n_values; i++)
        if (klass->values[i].value != 0)
          g_string_append_printf (text, "%s%s", text->len > 0 ? ", " : "", klass->values[i].value_nick);
    }
  return g_string_free (text, FALSE);
}

/**
 * ht_param_spec_describe_type:
 * @pspec: a parameter
 *
 * Says in words what a parameter takes: "integer, 1 … 1000", "one of exact, replace, skip".
 *
 * Returns: (transfer full): the words
 */
char *
ht_param_spec_describe_type (GParamSpec *pspec)
{
  g_autofree char *range = NULL;
  g_autofree char *nicks = NULL;

  g_return_val_if_fail (G_IS_PARAM_SPEC (pspec), NULL);

  HtParamKind kind = ht_param_spec_get_kind (pspec);
  switch (kind)
    {
    case HT_PARAM_KIND_BOOLEAN:
      return g_strdup ("true or false");
    case HT_PARAM_KIND_INTEGER:
    case HT_PARAM_KIND_NUMBER:
      range = ht_param_spec_describe_range (pspec, FALSE);
      return g_strconcat (kind == HT_PARAM_KIND_INTEGER ? "integer" : "number", range != NULL ? ", " : NULL, range,
                          NULL);
    case HT_PARAM_KIND_TEXT:
      return g_strdup ("text");
    case HT_PARAM_KIND_ENUM:
    case HT_PARAM_KIND_FAMILY:
      nicks = ht_param_spec_list_nicks (pspec);
      return g_strconcat ("one of ", nicks, NULL);
    case HT_PARAM_KIND_FLAGS:
      nicks = ht_param_spec_list_nicks (pspec);
      return g_strconcat ("list of any of ", nicks, NULL);
    case HT_PARAM_KIND_TEXTS:
    case HT_PARAM_KIND_LIST_TEXT:
      return g_strdup ("list of texts");
    case HT_PARAM_KIND_LIST_INTEGER:
      return g_strdup ("list of integers");
    case HT_PARAM_KIND_LIST_NUMBER:
      return g_strdup ("list of numbers");
    case HT_PARAM_KIND_UNSUPPORTED:
    default:
      return g_strdup (g_type_name (G_PARAM_SPEC_VALUE_TYPE (pspec)));
    }
}

/**
 * ht_param_spec_describe_default:
 * @pspec: a parameter
 *
 * Says what a parameter is where nobody sets it.
 *
 * Returns: (transfer full): the default as it would be written in a recipe, "none" where there is none
 */
char *
ht_param_spec_describe_default (GParamSpec *pspec)
{
  g_return_val_if_fail (G_IS_PARAM_SPEC (pspec), NULL);

  g_autoptr (JsonNode) node = ht_param_value_to_json (pspec, g_param_spec_get_default_value (pspec));
  if (node == NULL || JSON_NODE_HOLDS_NULL (node))
    return g_strdup ("none");
  if (ht_param_spec_get_kind (pspec) == HT_PARAM_KIND_ENUM || ht_param_spec_get_kind (pspec) == HT_PARAM_KIND_FAMILY)
    return g_strdup (json_node_get_string (node));
  if (ht_param_spec_get_kind (pspec) == HT_PARAM_KIND_NUMBER)
    return ht_param_format_double (json_node_get_double (node));
  return ht_param_describe_json (node);
}

static gboolean
is_param (GParamSpec *pspec)
{
  return (pspec->flags & G_PARAM_READWRITE) == G_PARAM_READWRITE && (pspec->flags & G_PARAM_CONSTRUCT_ONLY) == 0;
}

/**
 * ht_object_find_param:
 * @klass: (type GObject.ObjectClass): a class with parameters
 * @name: the name of a parameter; `num_iterations` and `num-iterations` are the same one
 *
 * Finds a parameter of a class. Parameters are the properties, inherited ones included, that can be read and that can
 * be written at any time; what a class keeps for itself is read-only or set at construction only.
 *
 * Returns: (transfer none) (nullable): the parameter, or %NULL where there is none of this name
 */
GParamSpec *
ht_object_find_param (GObjectClass *klass, const char *name)
{
  g_autofree char *canonical = NULL;

  g_return_val_if_fail (G_IS_OBJECT_CLASS (klass), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  canonical = g_strdelimit (g_strdup (name), "_", '-');
  for (const char *p = canonical; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && *p != '-')
      return NULL;
  GParamSpec *pspec = canonical[0] != '\0' ? g_object_class_find_property (klass, canonical) : NULL;
  return pspec != NULL && is_param (pspec) ? pspec : NULL;
}

/**
 * ht_object_list_params:
 * @klass: (type GObject.ObjectClass): a class with parameters
 *
 * Lists the parameters of a class, the base classes' first, then in the order of their declaration.
 *
 * Returns: (transfer container) (element-type GObject.ParamSpec): the parameters
 */
GPtrArray *
ht_object_list_params (GObjectClass *klass)
{
  g_autofree GParamSpec **all = NULL;
  guint n_all;

  g_return_val_if_fail (G_IS_OBJECT_CLASS (klass), NULL);

  GPtrArray *params = g_ptr_array_new ();
  all = g_object_class_list_properties (klass, &n_all);
  for (guint i = 0; i < n_all; i++)
    if (is_param (all[i]))
      g_ptr_array_add (params, all[i]);
  return params;
}

static gboolean
is_name (const char *name)
{
  if (!g_ascii_islower (name[0]))
    return FALSE;
  for (const char *p = name; *p != '\0'; p++)
    if (!g_ascii_islower (*p) && !g_ascii_isdigit (*p) && *p != '-')
      return FALSE;
  return TRUE;
}

static const char *
find_text_problem (GParamSpec *pspec)
{
  const char *blurb = g_param_spec_get_blurb (pspec);
  const char *nick = g_param_spec_get_nick (pspec);

  if (blurb == NULL || blurb[0] == '\0')
    return "has no description (the blurb of its GParamSpec)";
  if (!g_utf8_validate (blurb, -1, NULL) || (nick != NULL && !g_utf8_validate (nick, -1, NULL)))
    return "has a nick or blurb that is not UTF-8";
  if (g_utf8_strlen (blurb, -1) > MAX_BLURB)
    return "has a description of more than 80 characters";
  if (g_str_has_suffix (blurb, "."))
    return "has a description that ends in a period";
  return NULL;
}

static const char *
find_nick_problem (GParamSpec *pspec)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  gboolean is_enum = G_IS_PARAM_SPEC_ENUM (pspec);
  guint n_values
      = is_enum ? G_PARAM_SPEC_ENUM (pspec)->enum_class->n_values : G_PARAM_SPEC_FLAGS (pspec)->flags_class->n_values;

  for (guint i = 0; i < n_values; i++)
    {
      const char *nick = is_enum ? G_PARAM_SPEC_ENUM (pspec)->enum_class->values[i].value_nick
                                 : G_PARAM_SPEC_FLAGS (pspec)->flags_class->values[i].value_nick;
      if (nick == NULL || nick[0] == '\0')
        return "has a value without a nick";
      for (const char *p = nick; *p != '\0'; p++)
        if (!g_ascii_islower (*p) && !g_ascii_isdigit (*p) && *p != '-')
          return "has a nick with other characters than a-z, 0-9 and '-'";
      if (!g_hash_table_add (seen, (gpointer)nick))
        return "has two values with the same nick";
    }
  return n_values == 0 ? "has no values" : NULL;
}

static const char *
find_default_problem (GParamSpec *pspec)
{
  const GValue *fallback = g_param_spec_get_default_value (pspec);
  g_autoptr (JsonNode) node = NULL;

  if (G_IS_PARAM_SPEC_DOUBLE (pspec)
      && (isnan (G_PARAM_SPEC_DOUBLE (pspec)->minimum) || isnan (G_PARAM_SPEC_DOUBLE (pspec)->maximum)
          || !isfinite (G_PARAM_SPEC_DOUBLE (pspec)->default_value)))
    return "has a limit or default that is not a finite number";
  if (G_IS_PARAM_SPEC_UINT64 (pspec) && G_PARAM_SPEC_UINT64 (pspec)->maximum > (guint64)G_MAXINT64)
    return "has a maximum that does not fit a signed 64-bit integer, the largest that recipes hold";
  if (!g_param_value_is_valid (pspec, fallback))
    return "has a default outside its range";
  node = ht_param_value_to_json (pspec, fallback);
  return node == NULL ? "has a default that has no name" : NULL;
}

static const char *
find_problem (GParamSpec *pspec)
{
  HtParamKind kind = ht_param_spec_get_kind (pspec);
  const char *problem;

  if (!is_name (pspec->name))
    return "has a name that is not of the form [a-z][a-z0-9-]*";
  if ((pspec->flags & G_PARAM_READWRITE) != G_PARAM_READWRITE)
    return "cannot be both read and written; make it with HT_PARAM_RW";
  if ((pspec->flags & G_PARAM_CONSTRUCT_ONLY) != 0)
    return "can be set at construction only; make it with HT_PARAM_RW";
  if (kind == HT_PARAM_KIND_UNSUPPORTED)
    return "is of a type that parameters cannot have (allowed: boolean, int, uint, int64, uint64, double, string, "
           "enum, "
           "flags, strv and the variants ai, ad, as)";
  if ((problem = find_text_problem (pspec)) != NULL)
    return problem;
  pspec = ht_param_spec_resolve (pspec);
  if ((kind == HT_PARAM_KIND_ENUM || kind == HT_PARAM_KIND_FLAGS) && (problem = find_nick_problem (pspec)) != NULL)
    return problem;
  return find_default_problem (pspec);
}

/**
 * ht_param_spec_lint:
 * @pspec: a property that is meant as a parameter
 * @error: return location for an error
 *
 * Checks that a property can be a parameter: its name, a description of at most 80 characters without a period at the
 * end, a type that recipes can express, nicks that recipes can write, and a default inside its range. Every parameter
 * of a technique passes through here when its plugin is loaded. Fails with %HT_PLUGIN_ERROR_BAD_PASS.
 *
 * Returns: whether it can be
 */
gboolean
ht_param_spec_lint (GParamSpec *pspec, GError **error)
{
  g_return_val_if_fail (G_IS_PARAM_SPEC (pspec), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  const char *problem = find_problem (pspec);
  if (problem == NULL)
    return TRUE;
  g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "parameter '%s' %s", pspec->name, problem);
  return FALSE;
}
