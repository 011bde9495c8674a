/* SPDX-License-Identifier: MIT */
/* What the two halves of the parameter code share. */
#pragma once

#include <halftone/param.h>

/* The kinds of hyper-parameter there are; anything else fails the lint. */
typedef enum
{
  HT_PARAM_KIND_UNSUPPORTED,
  HT_PARAM_KIND_BOOLEAN,
  HT_PARAM_KIND_INTEGER,
  HT_PARAM_KIND_NUMBER,
  HT_PARAM_KIND_TEXT,
  HT_PARAM_KIND_ENUM,
  HT_PARAM_KIND_FLAGS,
  HT_PARAM_KIND_TEXTS,        /* boxed G_TYPE_STRV */
  HT_PARAM_KIND_LIST_INTEGER, /* variant 'ai' */
  HT_PARAM_KIND_LIST_NUMBER,  /* variant 'ad' */
  HT_PARAM_KIND_LIST_TEXT,    /* variant 'as' */
  HT_PARAM_KIND_FAMILY,       /* an object, see param-family.h */
} HtParamKind;

/* The pspec behind an override of a parent's property. */
GParamSpec *ht_param_spec_resolve (GParamSpec *pspec);
HtParamKind ht_param_spec_get_kind (GParamSpec *pspec);
/* Limits of an integer kind. Larger values than a signed 64-bit integer holds do not exist in recipes. */
void ht_param_spec_get_integer_range (GParamSpec *pspec, gint64 *minimum, gint64 *maximum);
/* "1 … 1000", "at least 0"; NULL: no range, or one that is the whole type. `exact` gives an integer's limits always. */
char *ht_param_spec_describe_range (GParamSpec *pspec, gboolean exact);

/* The shortest text that reads back as the same number. */
char *ht_param_format_double (double value);
char *ht_param_describe_text (const char *text);
/* A value as the user may have written it, cut where it is long. */
char *ht_param_describe_json (JsonNode *node);
/* NULL: an enumeration value without a name, or a number that JSON cannot hold. */
JsonNode *ht_param_value_to_json (GParamSpec *pspec, const GValue *value);
/* Does a list of nicks "a, b, c" of an enumeration or of flags. */
char *ht_param_spec_list_nicks (GParamSpec *pspec);
