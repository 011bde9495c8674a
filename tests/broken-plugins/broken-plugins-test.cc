// SPDX-License-Identifier: MIT
// Each broken plugin is a state with an error: its code and its text, and never a crash or a word on the terminal.
#include "support.h"

#include <map>

namespace
{

struct Broken
{
  HtPluginError code;
  const char *text;  // behind "plugin 'PATH': "
  bool whole = true; // or only its beginning, where the rest is the dynamic linker's
};

const std::map<std::string, Broken> &
expectations ()
{
  static const std::map<std::string, Broken> all = {
    { "text", { HT_PLUGIN_ERROR_OPEN, "cannot be opened as a shared module: ", false } },
    { "empty", { HT_PLUGIN_ERROR_OPEN, "cannot be opened as a shared module: ", false } },
    { "undefined-symbol", { HT_PLUGIN_ERROR_OPEN, "cannot be opened as a shared module: ", false } },
    { "no-symbol",
      { HT_PLUGIN_ERROR_NOT_A_PLUGIN,
        "it has no function 'ht_plugin_query'; a plugin gets it from HT_PLUGIN_DEFINE()" } },
    { "null-descriptor", { HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its function 'ht_plugin_query' gives no descriptor" } },
    { "wrong-magic",
      { HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
        "its descriptor starts with 0x12345678, not with 0x50545448; describe it with HT_PLUGIN_DEFINE()" } },
    { "abi-newer-major",
      { HT_PLUGIN_ERROR_ABI_MISMATCH,
        "built for plugin ABI 2.0, this library accepts 1.0 to 1.0; rebuild it against halftone-1 (pkg-config "
        "--variable=abi halftone-1 says 1.0)" } },
    { "abi-newer-minor",
      { HT_PLUGIN_ERROR_ABI_MISMATCH,
        "built for plugin ABI 1.1, this library accepts 1.0 to 1.0; rebuild it against halftone-1 (pkg-config "
        "--variable=abi halftone-1 says 1.0)" } },
    { "short-struct", { HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has 40 bytes, at least 160 are needed" } },
    { "wrong-class-size",
      { HT_PLUGIN_ERROR_ABI_MISMATCH,
        "built with an HtPassClass of 8 bytes, in this library it has 272; rebuild it against halftone-1" } },
    { "null-name", { HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "its descriptor has no name" } },
    { "bad-utf8",
      { HT_PLUGIN_ERROR_BAD_DESCRIPTOR, "the summary in its descriptor is not UTF-8 or has 4096 bytes or more" } },
    { "bad-license",
      { HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
        "its license 'free for all' is not an SPDX expression, such as MIT or LicenseRef-Proprietary" } },
    { "no-types",
      { HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
        "its descriptor names no types; give those it registers, up to 255, with NULL behind the last" } },
    { "usable-false", { HT_PLUGIN_ERROR_NOT_USABLE, "it cannot run here: this machine has no abacus" } },
    { "register-fails", { HT_PLUGIN_ERROR_REGISTER, "registering its types failed: the table of kernels is damaged" } },
    { "register-mute", { HT_PLUGIN_ERROR_REGISTER, "registering its types failed: it gives no reason" } },
    { "undeclared-type",
      { HT_PLUGIN_ERROR_REGISTER, "it added the type 'HtBrokenUndeclared', which its descriptor does not name" } },
    { "duplicate-type",
      { HT_PLUGIN_ERROR_TYPE_CONFLICT, "it wants to register the type 'HtBrokenSound', which " BROKEN_PLUGINS
                                       "/halftone-a-sound.so has registered already; rename the type" } },
    { "duplicate-id",
      { HT_PLUGIN_ERROR_ID_CONFLICT,
        "its technique 'sound' is already provided by '" BROKEN_PLUGINS "/halftone-a-sound.so'" } },
    { "not-a-pass",
      { HT_PLUGIN_ERROR_BAD_PASS, "type 'HtBrokenNotAPass' is not a technique: it does not derive from HtPass" } },
    { "calibrator-id", { HT_PLUGIN_ERROR_ID_CONFLICT, "its calibrator 'mse' is already provided by 'the program'" } },
    { "calibrator-lint", { HT_PLUGIN_ERROR_BAD_PASS, "calibrator 'blind': it does not implement observe()" } },
    { "param-lint",
      { HT_PLUGIN_ERROR_BAD_PASS, "technique 'lint': parameter 'Iterations' has a name that is not of the form "
                                  "[a-z][a-z0-9-]*; parameter 'rate' is "
                                  "of a type that parameters cannot have (allowed: boolean, int, uint, int64, uint64, "
                                  "double, string, enum, flags, "
                                  "strv and the variants ai, ad, as); parameter 'forgotten' is 0 in a new object, but "
                                  "its GParamSpec says 5; make "
                                  "it with HT_PARAM_RW" } },
    { "bad-condition",
      { HT_PLUGIN_ERROR_BAD_PASS,
        "technique 'condition': rule 0: condition 'weights.bits << 4': found '<' at character 15, expected a number, a "
        "word or a text in double quotes; rule 1: condition 'speed > 3': 'speed' is neither a parameter of this "
        "technique "
        "nor a setting (weights.KEY, activations.KEY, target)" } },
  };
  return all;
}

std::string
name_of (HtPlugin *plugin)
{
  std::string path = ht_plugin_get_path (plugin);
  std::string file = path.substr (path.rfind ('/') + 1);
  return file.substr (strlen ("halftone-"), file.size () - strlen ("halftone-") - strlen (".so"));
}

HtPassRegistry *
load ()
{
  g_setenv ("HALFTONE_SYSTEM_PLUGIN_PATH", BROKEN_PLUGINS, TRUE);
  g_setenv ("HALFTONE_PLUGIN_PATH", "", TRUE);
  HtPassRegistry *registry = ht_pass_registry_new ();
  ht_pass_registry_load (registry);
  return registry;
}

void
expect_states (HtPassRegistry *registry)
{
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  EXPECT_EQ (plugins->len, expectations ().size () + 2) << "the broken ones, the sound one and its shadow";
  for (guint i = 0; i < plugins->len; i++)
    {
      HtPlugin *plugin = HT_PLUGIN (g_ptr_array_index (plugins, i));
      std::string name = name_of (plugin);
      const GError *error = ht_plugin_get_error (plugin);
      if (name == "a-sound")
        {
          EXPECT_EQ (ht_plugin_get_state (plugin), HT_PLUGIN_REGISTERED) << error->message;
          EXPECT_EQ (error, nullptr);
          continue;
        }
      ASSERT_NE (error, nullptr) << name;
      if (name == "shadow")
        {
          EXPECT_EQ (ht_plugin_get_state (plugin), HT_PLUGIN_SHADOWED);
          EXPECT_STREQ (error->message, "plugin '" BROKEN_PLUGINS "/halftone-shadow.so': not loaded, '" BROKEN_PLUGINS
                                        "/halftone-a-sound.so' comes first in the search order and has the same name");
          continue;
        }
      auto found = expectations ().find (name);
      ASSERT_NE (found, expectations ().end ()) << name;
      EXPECT_EQ (ht_plugin_get_state (plugin), HT_PLUGIN_FAILED) << name;
      EXPECT_EQ (error->domain, HT_PLUGIN_ERROR) << name;
      EXPECT_EQ (error->code, found->second.code) << name << ": " << error->message;
      std::string expected = std::string ("plugin '") + ht_plugin_get_path (plugin) + "': " + found->second.text;
      std::string message = error->message;
      EXPECT_EQ (found->second.whole ? message : message.substr (0, expected.size ()), expected);
    }
}

TEST (BrokenPluginsTest, EachHasItsError)
{
  g_autoptr (HtPassRegistry) registry = load ();
  expect_states (registry);
}

TEST (BrokenPluginsTest, ASecondRegistryFindsTheSame)
{
  g_autoptr (HtPassRegistry) first = load ();
  g_autoptr (HtPassRegistry) second = load ();
  expect_states (second);
}

TEST (BrokenPluginsTest, TheSoundOneWorksAmongThem)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtPassRegistry) registry = load ();
  g_auto (GStrv) ids = ht_pass_registry_list_passes (registry);
  g_autofree char *list = g_strjoinv (",", ids);
  EXPECT_STREQ (list, "sound") << "nothing of a broken plugin gets in";
  HtPlugin *plugin = ht_pass_registry_get_plugin (registry, "sound");
  ASSERT_NE (plugin, nullptr);
  EXPECT_STREQ (ht_plugin_get_name (plugin), "a-sound");
  EXPECT_STREQ (ht_plugin_get_version (plugin), "1.2.3");
  EXPECT_STREQ (ht_plugin_get_license (plugin), "MIT OR (Apache-2.0 WITH LLVM-exception)");
  EXPECT_STREQ (ht_plugin_get_summary (plugin), "A sound plugin");
  EXPECT_STREQ (ht_plugin_get_author (plugin), "Its author");
  EXPECT_STREQ (ht_plugin_get_origin (plugin), "https://example.org");
  EXPECT_STREQ (ht_plugin_get_pass_ids (plugin)[0], "sound");
  g_autoptr (HtPass) pass = ht_pass_registry_create (registry, "sound", &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (G_OBJECT_TYPE_NAME (pass), "HtBrokenSound");
}

TEST (BrokenPluginsTest, ARecipeHearsWhichPluginFailed)
{
  g_autoptr (HtPassRegistry) registry = load ();
  GError *error = nullptr;
  EXPECT_EQ (ht_pass_registry_find (registry, "wrong-magic", &error), G_TYPE_INVALID) << "by the name of its file";
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
                 "pass 'wrong-magic' is provided by " BROKEN_PLUGINS
                 "/halftone-wrong-magic.so, which failed to load: ");
  EXPECT_EQ (ht_pass_registry_find (registry, "lint", &error), G_TYPE_INVALID) << "by the id that it registered";
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "halftone-param-lint.so, which failed to load: ");
  EXPECT_EQ (ht_pass_registry_find (registry, "sonud", &error), G_TYPE_INVALID);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_PASS, "did you mean 'sound'?");
}

TEST (BrokenPluginsTest, ARecipeHearsWhichPluginHadTheCalibrator)
{
  g_autoptr (HtPassRegistry) registry = load ();
  GError *error = nullptr;
  EXPECT_EQ (ht_calibrator_new ("blind", &error), nullptr);
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_OPEN,
                 "the calibrator is \"blind\", which '" BROKEN_PLUGINS
                 "/halftone-calibrator-lint.so' provides, but failed to load: ");
  g_autoptr (HtCalibrator) own = ht_calibrator_new ("mse", &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STRNE (G_OBJECT_TYPE_NAME (own), "HtBrokenCalibratorId");
}

}
