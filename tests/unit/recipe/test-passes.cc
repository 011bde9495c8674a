// SPDX-License-Identifier: MIT
#include "test-passes.h"

#include "support.h"

namespace
{

struct Tidy
{
  HtPass parent;
  guint rounds;
  guint max_size;
  double strength;
  HtGranularity mode;
  GVariant *sizes;
};

struct Polish
{
  HtPass parent;
  guint64 level;
};

gboolean
run_nothing (HtPass *, HtModelState *, HtPassContext *, GError **)
{
  return TRUE;
}

void
tidy_set (GObject *object, guint id, const GValue *value, GParamSpec *)
{
  auto *self = reinterpret_cast<Tidy *> (object);
  switch (id)
    {
    case 1:
      self->rounds = g_value_get_uint (value);
      break;
    case 2:
      self->strength = g_value_get_double (value);
      break;
    case 3:
      self->mode = (HtGranularity) g_value_get_enum (value);
      break;
    case 4:
      g_clear_pointer (&self->sizes, g_variant_unref);
      self->sizes = g_value_dup_variant (value);
      break;
    default:
      self->max_size = g_value_get_uint (value);
    }
}

void
tidy_get (GObject *object, guint id, GValue *value, GParamSpec *)
{
  auto *self = reinterpret_cast<Tidy *> (object);
  switch (id)
    {
    case 1:
      g_value_set_uint (value, self->rounds);
      break;
    case 2:
      g_value_set_double (value, self->strength);
      break;
    case 3:
      g_value_set_enum (value, self->mode);
      break;
    case 4:
      g_value_set_variant (value, self->sizes);
      break;
    default:
      g_value_set_uint (value, self->max_size);
    }
}

void
tidy_finalize (GObject *object)
{
  g_clear_pointer (&reinterpret_cast<Tidy *> (object)->sizes, g_variant_unref);
  G_OBJECT_CLASS (g_type_class_peek (HT_TYPE_PASS))->finalize (object);
}

void
tidy_class_init (gpointer klass, gpointer)
{
  auto *object_class = G_OBJECT_CLASS (klass);
  auto *pass_class = HT_PASS_CLASS (klass);
  object_class->set_property = tidy_set;
  object_class->get_property = tidy_get;
  object_class->finalize = tidy_finalize;
  g_object_class_install_property (object_class, 1,
                                   g_param_spec_uint ("rounds", "Rounds", "How often to tidy", 1, 1000, 2, HT_PARAM_RW));
  g_object_class_install_property (
      object_class, 2, g_param_spec_double ("strength", "Strength", "How hard to tidy", 0, 1, 0.5, HT_PARAM_RW));
  g_object_class_install_property (object_class, 3,
                                   g_param_spec_enum ("mode", "Mode", "What to tidy at once", HT_TYPE_GRANULARITY,
                                                      HT_GRANULARITY_TENSOR, HT_PARAM_RW));
  g_object_class_install_property (object_class, 4,
                                   g_param_spec_variant ("sizes", "Sizes", "The sizes to tidy", G_VARIANT_TYPE ("ai"),
                                                         g_variant_new_array (G_VARIANT_TYPE_INT32, nullptr, 0),
                                                         HT_PARAM_RW));
  g_object_class_install_property (
      object_class, 5, g_param_spec_uint ("max-size", "Largest size", "The largest size", 0, 9, 5, HT_PARAM_RW));
  pass_class->run = run_nothing;
  ht_pass_class_set_info (pass_class, "tidy", "Tidies", "Tidies the network for tests.");
  ht_pass_class_add_rule (pass_class, HT_RULE_PROVIDES, "tidied", "tidying tidies", nullptr, nullptr);
}

void
polish_set (GObject *object, guint, const GValue *value, GParamSpec *)
{
  reinterpret_cast<Polish *> (object)->level = g_value_get_uint64 (value);
}

void
polish_get (GObject *object, guint, GValue *value, GParamSpec *)
{
  g_value_set_uint64 (value, reinterpret_cast<Polish *> (object)->level);
}

void
polish_class_init (gpointer klass, gpointer)
{
  auto *object_class = G_OBJECT_CLASS (klass);
  auto *pass_class = HT_PASS_CLASS (klass);
  object_class->set_property = polish_set;
  object_class->get_property = polish_get;
  g_object_class_install_property (
      object_class, 1, g_param_spec_uint64 ("level", "Level", "How much shine", 0, G_MAXINT64, 1, HT_PARAM_RW));
  pass_class->run = run_nothing;
  ht_pass_class_set_info (pass_class, "polish", "Polishes", "Polishes a tidy network for tests.");
  ht_pass_class_add_rule (pass_class, HT_RULE_REQUIRES, "tidied", "only what is tidy can shine", "Shine 2020", nullptr);
}

void
stain_class_init (gpointer klass, gpointer)
{
  auto *pass_class = HT_PASS_CLASS (klass);
  pass_class->run = run_nothing;
  ht_pass_class_set_info (pass_class, "stain", "Stains", "Stains the network for tests.");
  ht_pass_class_add_rule (pass_class, HT_RULE_CONFLICTS, "tidied", "a stain undoes tidying", nullptr, nullptr);
}

GType
make_type (const char *name, gsize size, GClassInitFunc init)
{
  GType type = g_type_from_name (name);
  if (type)
    return type;
  return g_type_register_static_simple (HT_TYPE_PASS, name, sizeof (HtPassClass), init, (guint) size, nullptr,
                                        (GTypeFlags) 0);
}

}

HtPassRegistry *
test_registry_new (void)
{
  HtPassRegistry *registry = ht_pass_registry_new ();
  const GType types[] = { make_type ("TestTidy", sizeof (Tidy), tidy_class_init),
                          make_type ("TestPolish", sizeof (Polish), polish_class_init),
                          make_type ("TestStain", sizeof (HtPass), stain_class_init) };
  for (GType type : types)
    {
      g_autoptr (GError) error = nullptr;
      EXPECT_TRUE (ht_pass_registry_add_type (registry, type, &error));
      EXPECT_NO_GERROR (error);
    }
  return registry;
}
