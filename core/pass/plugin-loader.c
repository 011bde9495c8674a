/* SPDX-License-Identifier: MIT */
/* Opens plugin modules and checks what they say, one thing at a time, so that a broken plugin is an error on its object
 * and nothing else. A module stays for the whole life of the process: unloading code that types came from is not
 * possible, and a second registry finds what the first one opened. */
#include "pass/plugin-private.h"

#include "pass/pass-private.h"
#include "quant/calibrator-private.h"

#include <halftone/error.h>

#include <string.h>

#define MAX_STRING 4096
#define MAX_TYPES  256

#define HT_TYPE_PLUGIN_MODULE (ht_plugin_module_get_type ())
G_DECLARE_FINAL_TYPE (HtPluginModule, ht_plugin_module, HT, PLUGIN_MODULE, GTypeModule)

struct _HtPluginModule
{
  GTypeModule parent_instance;

  GModule *handle;
  const HtPluginDescriptor *descriptor; /* checked; NULL: not yet */
  gboolean registered;                  /* register_types has been called, whatever it said */
  GError *error;                        /* what was wrong with it, without the path */
  GArray *types;
  GArray *calibrators;
};

G_DEFINE_FINAL_TYPE (HtPluginModule, ht_plugin_module, G_TYPE_TYPE_MODULE)

static gboolean
ht_plugin_module_load (GTypeModule *module)
{
  return TRUE;
}

static void
ht_plugin_module_unload (GTypeModule *module)
{
}

static void
ht_plugin_module_init (HtPluginModule *self)
{
  self->types = g_array_new (FALSE, FALSE, sizeof (GType));
  self->calibrators = g_array_new (FALSE, FALSE, sizeof (GType));
}

static void
ht_plugin_module_class_init (HtPluginModuleClass *klass)
{
  G_TYPE_MODULE_CLASS (klass)->load = ht_plugin_module_load;
  G_TYPE_MODULE_CLASS (klass)->unload = ht_plugin_module_unload;
}

/* All modules that were opened, by real path. */
static GMutex modules_lock;
static GHashTable *modules;

static HtPluginModule *
open_module (HtPlugin *plugin)
{
  g_autofree char *real = realpath (plugin->path, NULL);
  const char *key = real != NULL ? real : plugin->path;

  if (modules == NULL)
    modules = g_hash_table_new (g_str_hash, g_str_equal);
  HtPluginModule *module = g_hash_table_lookup (modules, key);
  if (module != NULL)
    return module;
  /* Eager: with lazy binding a missing symbol ends the process when it is first called. */
  GModule *handle = g_module_open (plugin->path, G_MODULE_BIND_LOCAL);
  if (handle == NULL)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_OPEN, "cannot be opened as a shared module: %s", g_module_error ());
      return NULL;
    }
  g_module_make_resident (handle);
  module = g_object_new (HT_TYPE_PLUGIN_MODULE, NULL);
  module->handle = handle;
  g_type_module_set_name (G_TYPE_MODULE (module), key);
  g_type_module_use (G_TYPE_MODULE (module));
  g_hash_table_insert (modules, g_strdup (key), module);
  return module;
}

static gboolean
check_string (HtPlugin *plugin, const char *field, const char *text, gboolean mandatory)
{
  if (text == NULL)
    {
      if (mandatory)
        ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has no %s", field);
      return !mandatory;
    }
  gsize length = strnlen (text, MAX_STRING);
  if (length == MAX_STRING || !g_utf8_validate (text, (gssize)length, NULL))
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
                      "the %s in its descriptor is not UTF-8 or has %d bytes or more", field, MAX_STRING);
      return FALSE;
    }
  if (mandatory && length == 0)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has an empty %s", field);
      return FALSE;
    }
  return TRUE;
}

/* Has the form of an SPDX expression: ids joined by AND, OR or WITH, perhaps in parentheses. */
static gboolean
is_license (const char *text)
{
  g_autofree char *spaced = NULL;
  g_auto (GStrv) words = NULL;
  GString *padded = g_string_new (NULL);
  gboolean wants_id = TRUE;
  gint depth = 0;

  for (const char *p = text; *p != '\0'; p++)
    g_string_append_printf (padded, *p == '(' || *p == ')' ? " %c " : "%c", *p);
  spaced = g_string_free (padded, FALSE);
  words = g_strsplit (spaced, " ", -1);
  for (gsize i = 0; words[i] != NULL; i++)
    {
      const char *word = words[i];
      gboolean joins = g_str_equal (word, "AND") || g_str_equal (word, "OR") || g_str_equal (word, "WITH");
      if (word[0] == '\0')
        continue;
      if (g_str_equal (word, "(") || g_str_equal (word, ")"))
        {
          if (wants_id != (word[0] == '('))
            return FALSE;
          depth += word[0] == '(' ? 1 : -1;
          if (depth < 0)
            return FALSE;
          continue;
        }
      if (joins == wants_id)
        return FALSE;
      for (const char *p = word; !joins && *p != '\0'; p++)
        if (!g_ascii_isalnum (*p) && strchr (".-:", *p) == NULL && !(*p == '+' && p[1] == '\0'))
          return FALSE;
      wants_id = joins;
    }
  return !wants_id && depth == 0;
}

static gboolean
check_abi (HtPlugin *plugin, const HtPluginDescriptor *descriptor)
{
  if (descriptor->magic != HT_PLUGIN_MAGIC)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
                      "its descriptor starts with 0x%08x, not with 0x%08x; describe it with HT_PLUGIN_DEFINE()",
                      descriptor->magic, HT_PLUGIN_MAGIC);
      return FALSE;
    }
  if (descriptor->struct_size < G_STRUCT_OFFSET (HtPluginDescriptor, pass_class_size))
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has %u bytes, at least %u are needed",
                      descriptor->struct_size, (guint)sizeof (HtPluginDescriptor));
      return FALSE;
    }
  if (descriptor->abi_major != HT_PLUGIN_ABI_MAJOR || descriptor->abi_minor > HT_PLUGIN_ABI_MINOR)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_ABI_MISMATCH,
                      "built for plugin ABI %u.%u, this library accepts %u.0 to %u.%u; rebuild it against halftone-1 "
                      "(pkg-config --variable=abi halftone-1 says %u.%u)",
                      descriptor->abi_major, descriptor->abi_minor, HT_PLUGIN_ABI_MAJOR, HT_PLUGIN_ABI_MAJOR,
                      HT_PLUGIN_ABI_MINOR, HT_PLUGIN_ABI_MAJOR, HT_PLUGIN_ABI_MINOR);
      return FALSE;
    }
  if (descriptor->struct_size < sizeof (HtPluginDescriptor))
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has %u bytes, at least %u are needed",
                      descriptor->struct_size, (guint)sizeof (HtPluginDescriptor));
      return FALSE;
    }
  if (descriptor->pass_class_size != sizeof (HtPassClass))
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_ABI_MISMATCH,
                      "built with an HtPassClass of %u bytes, in this library it has %u; rebuild it against halftone-1",
                      descriptor->pass_class_size, (guint)sizeof (HtPassClass));
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_strings (HtPlugin *plugin, const HtPluginDescriptor *descriptor)
{
  if (descriptor->abi_extra == NULL || strnlen (descriptor->abi_extra, 1) != 0)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_ABI_MISMATCH,
                      "built for a derived product: its descriptor's abi_extra is not the empty text");
      return FALSE;
    }
  if (!check_string (plugin, "name", descriptor->name, TRUE)
      || !check_string (plugin, "version", descriptor->version, TRUE)
      || !check_string (plugin, "license", descriptor->license, TRUE)
      || !check_string (plugin, "summary", descriptor->summary, TRUE)
      || !check_string (plugin, "author", descriptor->author, FALSE)
      || !check_string (plugin, "origin", descriptor->origin, FALSE))
    return FALSE;
  if (!ht_is_word (descriptor->name))
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its name '%s' is not of the form [a-z][a-z0-9-]*",
                      descriptor->name);
      return FALSE;
    }
  if (!is_license (descriptor->license))
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
                      "its license '%s' is not an SPDX expression, such as MIT or LicenseRef-Proprietary",
                      descriptor->license);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_type_names (HtPlugin *plugin, const HtPluginDescriptor *descriptor)
{
  gsize n_types = 0;

  if (descriptor->register_types == NULL)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has no register_types function");
      return FALSE;
    }
  while (descriptor->type_names != NULL && n_types < MAX_TYPES && descriptor->type_names[n_types] != NULL)
    {
      const char *name = descriptor->type_names[n_types++];
      gsize length = strnlen (name, MAX_STRING);
      gboolean valid = length >= 3 && length < MAX_STRING && (g_ascii_isalpha (name[0]) || name[0] == '_');
      for (gsize i = 0; valid && i < length; i++)
        valid = g_ascii_isalnum (name[i]) || strchr ("-_+", name[i]) != NULL;
      if (!valid)
        {
          ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
                          "type name %u in its descriptor is not a GType name of three letters or more",
                          (guint)n_types);
          return FALSE;
        }
    }
  if (n_types == 0 || n_types == MAX_TYPES)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
                      "its descriptor names %s types; give those it registers, up to %d, with NULL behind the last",
                      n_types == 0 ? "no" : "too many", MAX_TYPES - 1);
      return FALSE;
    }
  return TRUE;
}

static void
copy_descriptor (HtPlugin *plugin, const HtPluginDescriptor *descriptor)
{
  plugin->name = g_strdup (descriptor->name);
  plugin->version = g_strdup (descriptor->version);
  plugin->license = g_strdup (descriptor->license);
  plugin->summary = g_strdup (descriptor->summary);
  plugin->author = g_strdup (descriptor->author);
  plugin->origin = g_strdup (descriptor->origin);
}

static gboolean
check_usable (HtPlugin *plugin, const HtPluginDescriptor *descriptor)
{
  g_autofree char *reason = NULL;

  if (descriptor->usable == NULL || descriptor->usable (&reason))
    return TRUE;
  ht_plugin_fail (plugin, HT_PLUGIN_ERROR_NOT_USABLE, "it cannot run here: %s",
                  reason != NULL ? reason : "it gives no reason");
  return FALSE;
}

static gboolean
describe_module (HtPlugin *plugin, HtPluginModule *module)
{
  gpointer symbol = NULL;

  if (!g_module_symbol (module->handle, HT_PLUGIN_QUERY_SYMBOL, &symbol) || symbol == NULL)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_NOT_A_PLUGIN,
                      "it has no function '%s'; a plugin gets it from HT_PLUGIN_DEFINE()", HT_PLUGIN_QUERY_SYMBOL);
      return FALSE;
    }
  const HtPluginDescriptor *descriptor = ((HtPluginQueryFunc)symbol) ();
  if (descriptor == NULL)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its function '%s' gives no descriptor",
                      HT_PLUGIN_QUERY_SYMBOL);
      return FALSE;
    }
  if (!check_abi (plugin, descriptor) || !check_strings (plugin, descriptor))
    return FALSE;
  copy_descriptor (plugin, descriptor);
  plugin->state = HT_PLUGIN_DESCRIBED;
  if (!check_type_names (plugin, descriptor) || !check_usable (plugin, descriptor))
    return FALSE;
  module->descriptor = descriptor;
  return TRUE;
}

gboolean
ht_plugin_describe (HtPlugin *self)
{
  gboolean done = FALSE;

  g_mutex_lock (&modules_lock);
  HtPluginModule *module = open_module (self);
  if (module != NULL)
    {
      self->module = module;
      self->state = HT_PLUGIN_OPENED;
      done = describe_module (self, module);
    }
  if (done)
    self->state = HT_PLUGIN_USABLE;
  g_mutex_unlock (&modules_lock);
  return done;
}

static gboolean
check_names_free (HtPluginModule *module, HtPlugin *plugin)
{
  for (gsize i = 0; module->descriptor->type_names[i] != NULL; i++)
    {
      const char *name = module->descriptor->type_names[i];
      GType taken = g_type_from_name (name);
      if (taken == G_TYPE_INVALID)
        continue;
      GTypePlugin *owner = g_type_get_plugin (taken);
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_TYPE_CONFLICT,
                      "it wants to register the type '%s', which %s has registered already; rename the type", name,
                      HT_IS_PLUGIN_MODULE (owner) ? G_TYPE_MODULE (owner)->name : "the program");
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_types_named (HtPluginModule *module, HtPlugin *plugin, GArray *types)
{
  for (guint i = 0; i < types->len; i++)
    {
      GType type = g_array_index (types, GType, i);
      const char *name = type != G_TYPE_INVALID ? g_type_name (type) : NULL;
      if (name == NULL || !g_strv_contains (module->descriptor->type_names, name))
        {
          ht_plugin_fail (plugin, HT_PLUGIN_ERROR_REGISTER,
                          "it added the type '%s', which its descriptor does not name", name != NULL ? name : "(none)");
          return FALSE;
        }
    }
  return TRUE;
}

/* Called once for each module. */
static void
register_module (HtPluginModule *module, HtPlugin *plugin)
{
  g_autoptr (GError) error = NULL;

  if (!check_names_free (module, plugin))
    return;
  if (!module->descriptor->register_types (G_TYPE_MODULE (module), plugin, &error) || error != NULL)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_REGISTER, "registering its types failed: %s",
                      error != NULL ? error->message : "it gives no reason");
      return;
    }
  if (plugin->types->len == 0 && plugin->calibrators->len == 0)
    {
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_REGISTER,
                      "it registered no technique and no calibrator; call ht_plugin_add_pass() or "
                      "ht_plugin_add_calibrator() in register_types");
      return;
    }
  if (check_types_named (module, plugin, plugin->types))
    check_types_named (module, plugin, plugin->calibrators);
}

static void
check_calibrators (HtPlugin *self, GString *problems)
{
  for (guint i = 0; i < self->calibrators->len; i++)
    {
      g_autoptr (GError) error = NULL;
      GType type = g_array_index (self->calibrators, GType, i);
      gboolean valid = ht_calibrator_type_lint (type, &error);
      if (g_type_is_a (type, HT_TYPE_CALIBRATOR))
        {
          const char *id = ht_calibrator_class_get_id (g_type_class_ref (type)); /* for ever, as above */
          if (ht_is_word (id))
            g_ptr_array_insert (self->calibrator_ids, (gint)self->calibrator_ids->len - 1, g_strdup (id));
        }
      if (!valid)
        g_string_append_printf (problems, "%s%s", problems->len > 0 ? "; " : "", error->message);
    }
}

static void
check_types (HtPlugin *self)
{
  g_autoptr (GString) problems = g_string_new (NULL);

  for (guint i = 0; i < self->types->len; i++)
    {
      g_autoptr (GError) error = NULL;
      GType type = g_array_index (self->types, GType, i);
      gboolean valid = ht_pass_type_lint (type, &error);
      if (g_type_is_a (type, HT_TYPE_PASS))
        {
          HtPassClass *klass = g_type_class_ref (type); /* for ever: a dynamic class may not come and go */
          HtPassMeta *meta = ht_pass_class_get_meta (klass);
          g_free (meta->version);
          meta->version = g_strdup (self->version);
          if (ht_is_word (meta->info.id))
            g_ptr_array_insert (self->ids, (gint)self->ids->len - 1, g_strdup (meta->info.id));
        }
      if (!valid)
        g_string_append_printf (problems, "%s%s", problems->len > 0 ? "; " : "", error->message);
    }
  check_calibrators (self, problems);
  if (problems->len > 0)
    ht_plugin_fail (self, HT_PLUGIN_ERROR_BAD_PASS, "%s", problems->str);
}

gboolean
ht_plugin_register (HtPlugin *self)
{
  HtPluginModule *module = self->module;

  g_return_val_if_fail (self->state == HT_PLUGIN_USABLE, FALSE);

  g_mutex_lock (&modules_lock);
  if (module->registered)
    {
      g_array_append_vals (self->types, module->types->data, module->types->len);
      g_array_append_vals (self->calibrators, module->calibrators->data, module->calibrators->len);
      if (module->error != NULL)
        {
          self->error = g_error_copy (module->error);
          self->state = HT_PLUGIN_FAILED;
        }
    }
  else
    {
      module->registered = TRUE;
      register_module (module, self);
      g_array_append_vals (module->types, self->types->data, self->types->len);
      g_array_append_vals (module->calibrators, self->calibrators->data, self->calibrators->len);
      module->error = self->error != NULL ? g_error_copy (self->error) : NULL;
    }
  if (self->error == NULL)
    check_types (self);
  g_mutex_unlock (&modules_lock);
  if (self->error != NULL)
    return FALSE;
  self->state = HT_PLUGIN_REGISTERED;
  return TRUE;
}
