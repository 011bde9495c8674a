// SPDX-License-Identifier: MIT
// Techniques made of a description, for tests of the planner, the registry and the manager.
#pragma once

#include "support.h"

#include <functional>
#include <string>
#include <vector>

namespace test_pass
{

struct Rule
{
  HtRuleKind kind;
  const char *subject;
  const char *reason;
  const char *when = nullptr;
  const char *reference = nullptr;
};

using Run = std::function<gboolean (HtPass *, HtModelState *, HtPassContext *, GError **)>;

struct Spec
{
  const char *id;
  std::vector<Rule> rules;
  guint reads = HT_PASS_READS_NOTHING;
  Run run = [] (HtPass *, HtModelState *, HtPassContext *, GError **) { return TRUE; };
  const char *summary = "A technique of the tests";
  bool has_run = true;
};

enum Mode
{
  MODE_NEAREST,
  MODE_LEARNED
};

inline GType
mode_get_type ()
{
  static const GEnumValue values[] = { { MODE_NEAREST, "MODE_NEAREST", "nearest" },
                                       { MODE_LEARNED, "MODE_LEARNED", "learned" },
                                       { 0, nullptr, nullptr } };
  static GType type = g_enum_register_static ("HtTestPassMode", values);
  return type;
}

// Every test technique has the same three parameters.
struct Instance
{
  HtPass parent_instance;
  gint mode;
  gint iterations;
  gboolean fast;
};

struct Class
{
  HtPassClass parent_class;
  Spec *spec;
};

inline void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *)
{
  Instance *self = reinterpret_cast<Instance *> (object);
  if (id == 1)
    self->mode = g_value_get_enum (value);
  else if (id == 2)
    self->iterations = g_value_get_int (value);
  else
    self->fast = g_value_get_boolean (value);
}

inline void
get_property (GObject *object, guint id, GValue *value, GParamSpec *)
{
  Instance *self = reinterpret_cast<Instance *> (object);
  if (id == 1)
    g_value_set_enum (value, self->mode);
  else if (id == 2)
    g_value_set_int (value, self->iterations);
  else
    g_value_set_boolean (value, self->fast);
}

inline gboolean
run (HtPass *self, HtModelState *state, HtPassContext *context, GError **error)
{
  return reinterpret_cast<Class *> (G_OBJECT_GET_CLASS (self))->spec->run (self, state, context, error);
}

inline void
class_init (gpointer klass, gpointer data)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  Spec *spec = static_cast<Spec *> (data);

  static_cast<Class *> (klass)->spec = spec;
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  HtPassClass *pass_class = HT_PASS_CLASS (klass);
  pass_class->run = spec->has_run ? run : nullptr;
  g_object_class_install_property (
      object_class, 1, g_param_spec_enum ("mode", "Mode", "How to round", mode_get_type (), MODE_NEAREST, HT_PARAM_RW));
  g_object_class_install_property (
      object_class, 2, g_param_spec_int ("iterations", "Iterations", "Steps per layer", 1, 100000, 10000, HT_PARAM_RW));
  g_object_class_install_property (object_class, 3,
                                   g_param_spec_boolean ("fast", "Fast", "Whether to hurry", FALSE, HT_PARAM_RW));
  ht_param_spec_set_unit (g_object_class_find_property (object_class, "iterations"), "steps");
  ht_pass_class_set_info (pass_class, spec->id, spec->summary, nullptr);
  ht_pass_class_set_reads (pass_class, static_cast<HtPassReads> (spec->reads));
  for (const Rule &rule : spec->rules)
    ht_pass_class_add_rule (pass_class, rule.kind, rule.subject, rule.reason, rule.reference, rule.when);
}

// Types stay for ever, and so does the copy of the description.
inline GType
make_type (const Spec &spec)
{
  static int n_types = 0;
  g_autofree char *name = g_strdup_printf ("HtTestPass%d", n_types++);
  GTypeInfo info = {};
  info.class_size = sizeof (Class);
  info.class_init = class_init;
  info.class_data = new Spec (spec);
  info.instance_size = sizeof (Instance);
  return g_type_register_static (HT_TYPE_PASS, name, &info, GTypeFlags (0));
}

inline HtPass *
make (GType type)
{
  return HT_PASS (g_object_new (type, nullptr));
}

}
