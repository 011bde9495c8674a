// SPDX-License-Identifier: MIT
// What may be registered as a technique, and how one is found.
#include "test-pass.h"

#include <fstream>

extern "C"
{
#include "pass/pass-private.h"
#include "pass/plugin-private.h"
}

namespace
{

using test_pass::Spec;

class RegistryTest : public ::testing::Test
{
protected:
  void SetUp () override { registry = ht_pass_registry_new (); }
  void TearDown () override
  {
    g_object_unref (registry);
    g_clear_error (&error);
  }
  bool add (const Spec &spec)
  {
    g_clear_error (&error);
    return ht_pass_registry_add_type (registry, test_pass::make_type (spec), &error);
  }
  HtPassRegistry *registry = nullptr;
  GError *error = nullptr;
};

TEST_F (RegistryTest, FindsWhatWasAdded)
{
  ASSERT_TRUE (add ({ "second", {} })) << error->message;
  ASSERT_TRUE (add ({ "first", {} }));
  g_auto (GStrv) ids = ht_pass_registry_list_passes (registry);
  g_autofree char *list = g_strjoinv (",", ids);
  EXPECT_STREQ (list, "first,second");
  g_autoptr (HtPass) pass = ht_pass_registry_create (registry, "first", &error);
  ASSERT_NE (pass, nullptr);
  EXPECT_STREQ (ht_pass_class_get_id (HT_PASS_GET_CLASS (pass)), "first");
  EXPECT_EQ (ht_pass_registry_get_plugin (registry, "first"), nullptr);
  EXPECT_EQ (ht_pass_registry_find (registry, "frist", &error), G_TYPE_INVALID);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_PASS,
                 "there is no pass 'frist'; did you mean 'first'? (known: first, second)");
  EXPECT_EQ (ht_pass_registry_create (registry, "adaround", &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_PASS,
                 "there is no pass 'adaround' (known: first, second)");
}

TEST_F (RegistryTest, IdsAreUnique)
{
  ASSERT_TRUE (add ({ "one", {} }));
  EXPECT_FALSE (add ({ "one", {} }));
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_ID_CONFLICT,
                 "technique 'one' is already provided by 'the program'");
}

TEST_F (RegistryTest, LintSaysEverythingThatIsWrong)
{
  const Spec bad[] = {
    { nullptr, {} },
    { "Upper", {} },
    { "no-run", {}, 0, nullptr, "Cannot run", false },
    { "no-summary", {}, 0, nullptr, nullptr },
    { "effect", { { HT_RULE_EFFECT, "changes-everything", "x" } } },
    { "carries", { { HT_RULE_CARRIES_ENCODINGS, "weights-rounded", "x" } } },
    { "fact", { { HT_RULE_REQUIRES, "Batch Norm", "x" } } },
    { "no-subject", { { HT_RULE_REQUIRES, nullptr, "x" } } },
    { "no-reason", { { HT_RULE_REQUIRES, "equalized", nullptr } } },
    { "empty-reason", { { HT_RULE_REQUIRES, "equalized", "" } } },
    { "syntax", { { HT_RULE_PROVIDES, "equalized", "x", "weights.bits << 4" } } },
    { "unknown-name", { { HT_RULE_PROVIDES, "equalized", "x", "speed = 3" } } },
    { "unknown-nick", { { HT_RULE_PROVIDES, "equalized", "x", "weights.granularity = row" } } },
    { "no-when", { { HT_RULE_REQUIRES_SETTING, "low bits", "x" } } },
    { "kind", { { HtRuleKind (15), "equalized", "x" } } },
    { "contradiction", { { HT_RULE_PROVIDES, "equalized", "x" }, { HT_RULE_ENDS, "equalized", "x" } } },
    { "demands", { { HT_RULE_REQUIRES, "equalized", "x" }, { HT_RULE_REQUIRES_NOT, "equalized", "x" } } },
  };
  const char *const messages[] = {
    "it has no id",
    "its id is not of the form [a-z][a-z0-9-]*",
    "technique 'no-run': it does not implement run()",
    "it has no summary",
    "rule 0 names the effect 'changes-everything'; effects are changes-weights, changes-biases, changes-weight-grid, "
    "changes-topology, rescales-channels",
    "rule 0 names the effect 'weights-rounded'",
    "rule 0 names the fact 'Batch Norm'",
    "rule 0 has no subject",
    "rule 0 gives no reason",
    "rule 0 gives no reason",
    "rule 0: condition 'weights.bits << 4': found '<' at character 15",
    "'speed' is neither a parameter",
    "'weights.granularity' is one of tensor, channel, block, lpbq, never 'row'",
    "rule 0 requires a setting without a condition",
    "rule 0 is of a kind that this version does not know",
    "rules 0 and 1 contradict each other about 'equalized'",
    "rules 0 and 1 contradict each other about 'equalized'",
  };
  static_assert (G_N_ELEMENTS (bad) == G_N_ELEMENTS (messages), "one message for each");
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      EXPECT_FALSE (add (bad[i])) << messages[i];
      EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, messages[i]);
    }
  EXPECT_FALSE (add ({ "Both", { { HT_RULE_REQUIRES, nullptr, nullptr } } }));
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                 "[a-z][a-z0-9-]*; rule 0 has no subject; rule 0 gives no reason");
  g_auto (GStrv) ids = ht_pass_registry_list_passes (registry);
  EXPECT_EQ (ids[0], nullptr);
}

TEST_F (RegistryTest, RefusesOtherTypes)
{
  EXPECT_FALSE (ht_pass_registry_add_type (registry, G_TYPE_OBJECT, &error));
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "'GObject' is not a technique: it does not derive");
  EXPECT_FALSE (ht_pass_registry_add_type (registry, HT_TYPE_PASS, &error));
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "it is abstract");
  EXPECT_FALSE (ht_pass_registry_add_type (registry, G_TYPE_INVALID, &error));
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "is not a technique");
}

void
forgetful_class_init (gpointer klass, gpointer)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->set_property = test_pass::set_property;
  object_class->get_property = test_pass::get_property;
  HT_PASS_CLASS (klass)->run = [] (HtPass *, HtModelState *, HtPassContext *, GError **) -> gboolean { return TRUE; };
  // Without G_PARAM_CONSTRUCT the default of the GParamSpec is not the value.
  g_object_class_install_property (object_class, 3,
                                   g_param_spec_boolean ("fast", "Fast", "Whether to hurry", TRUE, G_PARAM_READWRITE));
  g_object_class_install_property (object_class, 2,
                                   g_param_spec_int ("target", "T", "A name that is taken", 0, 1, 0, HT_PARAM_RW));
  ht_pass_class_set_info (HT_PASS_CLASS (klass), "forgetful", "Forgets its defaults", nullptr);
}

TEST_F (RegistryTest, TheDefaultMustBeTheValue)
{
  GTypeInfo info = {};
  info.class_size = sizeof (test_pass::Class);
  info.class_init = forgetful_class_init;
  info.instance_size = sizeof (test_pass::Instance);
  GType type = g_type_register_static (HT_TYPE_PASS, "HtTestForgetful", &info, GTypeFlags (0));
  EXPECT_FALSE (ht_pass_registry_add_type (registry, type, &error));
  EXPECT_GERROR (
      error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
      "technique 'forgetful': parameter 'target' has the name of a quantization setting; parameter 'fast' is "
      "false in a new object, but its GParamSpec says true; make it with HT_PARAM_RW");
}

TEST_F (RegistryTest, MetadataBelongsToOneClass)
{
  GType parent = test_pass::make_type ({ "parent", { { HT_RULE_PROVIDES, "polished", "x" } }, HT_PASS_READS_LABELS });
  GType child = g_type_register_static_simple (parent, "HtTestChild", sizeof (test_pass::Class), nullptr,
                                               sizeof (test_pass::Instance), nullptr, GTypeFlags (0));
  auto *klass = HT_PASS_CLASS (g_type_class_ref (child));
  EXPECT_EQ (ht_pass_class_get_id (klass), nullptr);
  EXPECT_EQ (ht_pass_class_get_n_rules (klass), 0u);
  EXPECT_EQ (ht_pass_class_get_reads (klass), HT_PASS_READS_NOTHING);
  EXPECT_EQ (ht_pass_class_get_references (klass)[0], nullptr);
  ht_pass_class_add_reference (klass, "Somebody 2020");
  ht_pass_class_add_reference (klass, "Somebody 2021");
  EXPECT_STREQ (ht_pass_class_get_references (klass)[1], "Somebody 2021");
  EXPECT_EQ (ht_pass_class_get_references (klass)[2], nullptr);
  auto *parent_class = HT_PASS_CLASS (g_type_class_peek (parent));
  EXPECT_EQ (ht_pass_class_get_references (parent_class)[0], nullptr);
  const char *subject, *reason, *reference, *when;
  EXPECT_EQ (ht_pass_class_get_rule (parent_class, 0, &subject, &reason, &reference, &when), HT_RULE_PROVIDES);
  EXPECT_STREQ (subject, "polished");
  EXPECT_STREQ (reason, "x");
  EXPECT_EQ (reference, nullptr);
  EXPECT_EQ (when, nullptr);
  g_type_class_unref (klass);
}

// The search path, without opening anything: files that are no modules.
class SearchTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    for (const char *name : variables)
      saved.push_back (g_getenv (name) ? g_getenv (name) : "");
    g_setenv ("HALFTONE_PLUGIN_PATH", "", TRUE);
    g_setenv ("HALFTONE_SYSTEM_PLUGIN_PATH", "", TRUE);
  }
  void TearDown () override
  {
    for (size_t i = 0; i < saved.size (); i++)
      g_setenv (variables[i], saved[i].c_str (), TRUE);
  }
  static void write (const std::string &path) { std::ofstream (path) << "no module\n"; }
  static std::string list (HtPassRegistry *registry)
  {
    g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
    std::string text;
    for (guint i = 0; i < plugins->len; i++)
      {
        HtPlugin *plugin = HT_PLUGIN (g_ptr_array_index (plugins, i));
        g_autofree char *name = g_path_get_basename (ht_plugin_get_path (plugin));
        text += std::string (name) + (ht_plugin_get_state (plugin) == HT_PLUGIN_SHADOWED ? " shadowed" : " failed")
                + "\n";
      }
    return text;
  }
  const char *const variables[2] = { "HALFTONE_PLUGIN_PATH", "HALFTONE_SYSTEM_PLUGIN_PATH" };
  std::vector<std::string> saved;
};

TEST_F (SearchTest, FoldersInOrderFilesByName)
{
  support::TemporaryFolder a, b, c;
  write (a / "halftone-z.so");
  write (a / "halftone-b.so");
  write (a / "libother.so");
  write (a / "halftone-c.txt");
  g_mkdir ((a / "halftone-folder.so").c_str (), 0755);
  write (b / "halftone-b.so");
  write (b / "halftone-y.so");
  write (c / "halftone-y.so");
  write (c / "halftone-a.so");
  g_setenv ("HALFTONE_PLUGIN_PATH", (":" + b.path () + "::").c_str (), TRUE);
  g_setenv ("HALFTONE_SYSTEM_PLUGIN_PATH", (c.path () + ":" + b.path ()).c_str (), TRUE);
  g_autoptr (HtPassRegistry) registry = ht_pass_registry_new ();
  ht_pass_registry_add_search_path (registry, a.path ().c_str ());
  ht_pass_registry_load (registry);
  ht_pass_registry_load (registry);
  EXPECT_EQ (list (registry), "halftone-b.so failed\nhalftone-z.so failed\nhalftone-b.so shadowed\n"
                              "halftone-y.so failed\nhalftone-a.so failed\nhalftone-y.so shadowed\n");
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  HtPlugin *shadowed = HT_PLUGIN (g_ptr_array_index (plugins, 2));
  EXPECT_NE (std::string (ht_plugin_get_error (shadowed)->message).find ("comes first in the search order"),
             std::string::npos);
}

TEST_F (SearchTest, TheCurrentFolderIsNeverSearched)
{
  support::TemporaryFolder here;
  g_autofree char *before = g_get_current_dir ();
  write (here / "halftone-here.so");
  ASSERT_EQ (g_chdir (here.path ().c_str ()), 0);
  g_setenv ("HALFTONE_PLUGIN_PATH", ":.::./", TRUE);
  g_autoptr (HtPassRegistry) registry = ht_pass_registry_new ();
  ht_pass_registry_load (registry);
  ASSERT_EQ (g_chdir (before), 0);
  EXPECT_EQ (list (registry).find ("halftone-here"), std::string::npos);
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  ASSERT_EQ (plugins->len, 2u) << "said, not skipped in silence";
  EXPECT_STREQ (ht_plugin_get_error (HT_PLUGIN (g_ptr_array_index (plugins, 0)))->message,
                "plugin '.': HALFTONE_PLUGIN_PATH may name absolute folders only");
}

TEST_F (SearchTest, AFolderThatWasAskedForMustExist)
{
  g_autoptr (HtPassRegistry) registry = ht_pass_registry_new ();
  ht_pass_registry_add_search_path (registry, "/nowhere/at/all");
  ht_pass_registry_load (registry);
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  ASSERT_EQ (plugins->len, 1u);
  EXPECT_STREQ (ht_plugin_get_error (HT_PLUGIN (g_ptr_array_index (plugins, 0)))->message,
                "plugin '/nowhere/at/all': this plugin folder does not exist or is not a folder");
}

TEST_F (SearchTest, AFailedPluginIsNamedWhereItsTechniqueIsMissed)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  write (folder / "halftone-rounding.so");
  g_autoptr (HtPassRegistry) registry = ht_pass_registry_new ();
  ht_pass_registry_add_search_path (registry, folder.path ().c_str ());
  ht_pass_registry_load (registry);
  EXPECT_EQ (ht_pass_registry_find (registry, "rounding", &error), G_TYPE_INVALID);
  std::string expected
      = "pass 'rounding' is provided by " + folder.path () + "/halftone-rounding.so, which failed to load: plugin '";
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_OPEN, expected);
}

}
