/* SPDX-License-Identifier: MIT */
/* Its parameters break the rules of parameters. */
#define PLUGIN_NAME          "param-lint"
#define PASS_ID              "lint"
#define TYPE_NAME            "HtBrokenLint"
#define IN_CLASS_INIT(klass) install_properties (klass)
static void install_properties (void *klass);
#include "sound.h"

static void
ignore_set (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
}

static void
ignore_get (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
}

static void
install_properties (void *klass)
{
  GObjectClass *object_class = klass;
  object_class->set_property = ignore_set;
  object_class->get_property = ignore_get;
  g_object_class_install_property (object_class, 1,
                                   g_param_spec_int ("Iterations", "I", "How often", 1, 9, 1, HT_PARAM_RW));
  g_object_class_install_property (object_class, 2, g_param_spec_float ("rate", "R", "How fast", 0, 1, 0, HT_PARAM_RW));
  g_object_class_install_property (object_class, 3,
                                   g_param_spec_int ("forgotten", "F", "Set nowhere", 0, 9, 5, HT_PARAM_RW));
}

SOUND_DESCRIPTOR ()
