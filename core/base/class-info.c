/* SPDX-License-Identifier: MIT */
#include "base/class-info.h"

#include "base/param-private.h"

#define MAX_SUMMARY 100

void
ht_class_info_init (HtClassInfo *self)
{
  self->references = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (self->references, NULL);
}

void
ht_class_info_clear (HtClassInfo *self)
{
  g_clear_pointer (&self->id, g_free);
  g_clear_pointer (&self->summary, g_free);
  g_clear_pointer (&self->description, g_free);
  g_clear_pointer (&self->references, g_ptr_array_unref);
}

void
ht_class_info_set (HtClassInfo *self, const char *id, const char *summary, const char *description)
{
  g_free (self->id);
  g_free (self->summary);
  g_free (self->description);
  self->id = g_strdup (id);
  self->summary = g_strdup (summary);
  self->description = g_strdup (description);
}

void
ht_class_info_add_reference (HtClassInfo *self, const char *reference)
{
  g_ptr_array_insert (self->references, (gint)self->references->len - 1, g_strdup (reference));
}

gboolean
ht_is_word (const char *text)
{
  if (text == NULL || !g_ascii_islower (text[0]))
    return FALSE;
  for (const char *p = text; *p != '\0'; p++)
    if (!g_ascii_islower (*p) && !g_ascii_isdigit (*p) && *p != '-')
      return FALSE;
  return TRUE;
}

gboolean
ht_is_text (const char *text)
{
  return text != NULL && text[0] != '\0' && g_utf8_validate (text, -1, NULL);
}

void
ht_class_complain (GPtrArray *problems, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_ptr_array_add (problems, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

void
ht_class_info_lint (const HtClassInfo *self, const char *setter, GPtrArray *problems)
{
  if (self->id == NULL)
    ht_class_complain (problems, "it has no id; call %s() in its class_init", setter);
  else if (!g_utf8_validate (self->id, -1, NULL) || !ht_is_word (self->id))
    ht_class_complain (problems, "its id is not of the form [a-z][a-z0-9-]*");
  if (!ht_is_text (self->summary))
    ht_class_complain (problems, "it has no summary");
  else if (g_utf8_strlen (self->summary, -1) > MAX_SUMMARY)
    ht_class_complain (problems, "its summary has more than %d characters", MAX_SUMMARY);
  if (self->description != NULL && !g_utf8_validate (self->description, -1, NULL))
    ht_class_complain (problems, "its description is not UTF-8");
  for (guint i = 0; i + 1 < self->references->len; i++)
    if (!ht_is_text (g_ptr_array_index (self->references, i)))
      ht_class_complain (problems, "one of its references is empty or not UTF-8");
}

/* A GParamSpec without G_PARAM_CONSTRUCT says one default and the new object has another. */
static void
lint_default (GObject *object, GParamSpec *pspec, GPtrArray *problems)
{
  g_autoptr (JsonNode) stated = ht_param_value_to_json (pspec, g_param_spec_get_default_value (pspec));
  g_autoptr (JsonNode) found = ht_object_get_param (object, pspec->name, NULL);

  if (stated != NULL && found != NULL && json_node_equal (stated, found))
    return;
  g_autofree char *stated_text = stated != NULL ? ht_param_describe_json (stated) : g_strdup ("nothing");
  g_autofree char *found_text
      = found != NULL ? ht_param_describe_json (found) : g_strdup ("nothing that JSON can hold");
  ht_class_complain (problems,
                     "parameter '%s' is %s in a new object, but its GParamSpec says %s; make it with HT_PARAM_RW",
                     pspec->name, found_text, stated_text);
}

void
ht_class_params_lint (GType type, GPtrArray *problems)
{
  GObjectClass *klass = g_type_class_ref (type);
  g_autofree GParamSpec **all = NULL;
  g_autoptr (GObject) object = NULL;
  guint n_all;

  all = g_object_class_list_properties (klass, &n_all);
  if (n_all > 0)
    object = g_object_new (type, NULL);
  for (guint i = 0; i < n_all; i++)
    {
      g_autoptr (GError) error = NULL;
      if (!ht_param_spec_lint (all[i], &error))
        ht_class_complain (problems, "%s", error->message);
      else
        lint_default (object, all[i], problems);
    }
  g_type_class_unref (klass);
}

char *
ht_class_describe_problems (const char *kind, GType type, const HtClassInfo *self, GPtrArray *problems)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *id = self->id != NULL ? g_utf8_make_valid (self->id, -1) : NULL;

  g_string_printf (text, "%s '%s': ", kind, id != NULL ? id : g_type_name (type));
  for (guint i = 0; i < problems->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? "; " : "", (const char *)g_ptr_array_index (problems, i));
  return g_string_free (g_steal_pointer (&text), FALSE);
}
