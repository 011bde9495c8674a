/* SPDX-License-Identifier: MIT */
/* A plugin in which nothing is wrong. Each broken one includes this and breaks one thing: PLUGIN_NAME, PASS_ID and
 * TYPE_NAME are set before, IN_CLASS_INIT is what its class says besides. */
#pragma once

#include <halftone/halftone.h>

#ifndef IN_CLASS_INIT
#define IN_CLASS_INIT(klass)
#endif
#ifndef PARENT_TYPE
#define PARENT_TYPE HT_TYPE_PASS
#endif

#define UNUSED __attribute__ ((unused))

static gboolean
sound_run (HtPass *self, HtModelState *state, HtPassContext *context, GError **error)
{
  return TRUE;
}

static void UNUSED
sound_class_init (gpointer klass, gpointer data)
{
  HT_PASS_CLASS (klass)->run = sound_run;
  ht_pass_class_set_info (klass, PASS_ID, "Does nothing at all", NULL);
  IN_CLASS_INIT (klass);
}

static UNUSED gboolean
sound_register (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  GTypeQuery query;
  g_type_query (PARENT_TYPE, &query);
  GTypeInfo info = { .class_size = (guint16)query.class_size,
                     .class_init = PARENT_TYPE == HT_TYPE_PASS ? sound_class_init : NULL,
                     .instance_size = (guint16)query.instance_size };
  ht_plugin_add_pass (plugin, g_type_module_register_type (module, PARENT_TYPE, TYPE_NAME, &info, 0));
  return TRUE;
}

/* A descriptor that the statements given may break: SOUND_DESCRIPTOR (descriptor.magic = 1) */
#define SOUND_DESCRIPTOR(...)                                                                                          \
  __attribute__ ((visibility ("default"))) const HtPluginDescriptor *ht_plugin_query (void);                           \
  const HtPluginDescriptor *ht_plugin_query (void)                                                                     \
  {                                                                                                                    \
    static const char *const types[] = { TYPE_NAME, NULL };                                                            \
    static HtPluginDescriptor descriptor;                                                                              \
    descriptor = (HtPluginDescriptor){ .magic = HT_PLUGIN_MAGIC,                                                       \
                                       .struct_size = sizeof (HtPluginDescriptor),                                     \
                                       .abi_major = HT_PLUGIN_ABI_MAJOR,                                               \
                                       .abi_minor = HT_PLUGIN_ABI_MINOR,                                               \
                                       .pass_class_size = sizeof (HtPassClass),                                        \
                                       .abi_extra = "",                                                                \
                                       .name = PLUGIN_NAME,                                                            \
                                       .version = "1.0",                                                               \
                                       .license = "MIT",                                                               \
                                       .summary = "A plugin of the tests",                                             \
                                       .type_names = types,                                                            \
                                       .register_types = sound_register };                                             \
    __VA_ARGS__;                                                                                                       \
    return &descriptor;                                                                                                \
  }
