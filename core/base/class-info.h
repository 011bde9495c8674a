/* SPDX-License-Identifier: MIT */
/* What a class that recipes choose by name says of itself, and the checks that every such class passes through. */
#pragma once

#include <glib-object.h>

typedef struct
{
  char *id; /* NULL: not said */
  char *summary;
  char *description;
  GPtrArray *references; /* %NULL-terminated */
} HtClassInfo;

void ht_class_info_init (HtClassInfo *self);
void ht_class_info_clear (HtClassInfo *self);
void ht_class_info_set (HtClassInfo *self, const char *id, const char *summary, const char *description);
void ht_class_info_add_reference (HtClassInfo *self, const char *reference);

/* Each adds what is wrong to `problems`, a line for each. `setter` is what a class_init calls. */
void ht_class_info_lint (const HtClassInfo *self, const char *setter, GPtrArray *problems);
void ht_class_params_lint (GType type, GPtrArray *problems);
void ht_class_complain (GPtrArray *problems, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* "KIND 'ID': one; two", the id or else the type's name. */
char *ht_class_describe_problems (const char *kind, GType type, const HtClassInfo *self, GPtrArray *problems);

/* "a", "ab-c2" */
gboolean ht_is_word (const char *text);
/* Not empty, UTF-8. */
gboolean ht_is_text (const char *text);
