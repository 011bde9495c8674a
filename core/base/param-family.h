/* SPDX-License-Identifier: MIT */
/* Families: types that a parameter chooses from by name. In a recipe such a value is `name` or
 * `{name: {parameter: value}}`, as a property it is an object of that type. */
#pragma once

#include <halftone/param.h>

typedef struct
{
  const char *fallback; /* the name that NULL stands for */
  char **(*list) (void);
  /* G_TYPE_INVALID: there is none. `reason`, if set, says why (a plugin that failed to load). */
  GType (*find) (const char *name, char **reason);
  const char *(*get_name) (GType type);
} HtParamFamily;

/* `family` must stay; objects of `base` and its subclasses belong to it from now on. */
void ht_param_family_register (GType base, const HtParamFamily *family);
/* NULL: this is no such parameter. */
const HtParamFamily *ht_param_family_get (GParamSpec *pspec);
/* A member with its default parameters. The error says which names there are and which one was probably meant. */
GObject *ht_param_family_create (const HtParamFamily *family, const char *name, GError **error);
/* From and to recipe values. */
GObject *ht_param_family_from_json (const HtParamFamily *family, JsonNode *node, GError **error);
JsonNode *ht_param_family_to_json (const HtParamFamily *family, GObject *object);
