/* SPDX-License-Identifier: MIT */
/* Looks into a report that may come from a file: what is missing or of another type is the fallback. */
#pragma once

#include <json-glib/json-glib.h>

/* The words "infinite" and "-infinite" are numbers. */
double ht_report_get_number (JsonObject *object, const char *name, double fallback);
const char *ht_report_get_string (JsonObject *object, const char *name, const char *fallback);
gboolean ht_report_get_flag (JsonObject *object, const char *name);
/* NULL: there is none. All functions take NULL for an object or array that is not there. */
JsonObject *ht_report_get_object (JsonObject *object, const char *name);
JsonArray *ht_report_get_array (JsonObject *object, const char *name);
guint ht_report_get_length (JsonArray *array);
JsonObject *ht_report_get_element (JsonArray *array, guint index);
double ht_report_get_element_number (JsonArray *array, guint index, double fallback);
/* The names of an object's members, in their order. */
GList *ht_report_list_members (JsonObject *object);
/* A value as text for readers: numbers short, lists and objects as JSON. */
char *ht_report_format_value (JsonNode *node);
