// SPDX-License-Identifier: MIT
// Reading target configurations: the shipped ones, one's own, and what is wrong with a file.
#include "support.h"

#include <algorithm>
#include <fstream>

namespace
{

std::string
source (const std::string &path)
{
  const char *root = g_getenv ("HALFTONE_SOURCE");
  return std::string (root ? root : ".") + "/tests/targets/" + path;
}

// As the command prints them, with the names of files alone.
std::string
problems_of (const std::string &path, bool *read)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtTarget) target = ht_target_load (path.c_str (), diagnostics, &error);
  std::string text, folder = path.substr (0, path.rfind ('/') + 1);
  *read = target != nullptr;
  EXPECT_EQ (target == nullptr, error != nullptr) << path;
  for (guint i = 0; i < diagnostics->len; i++)
    {
      g_autofree char *line = ht_diagnostic_format ((HtDiagnostic *)g_ptr_array_index (diagnostics, i));
      text += std::string (line) + "\n";
    }
  for (size_t at; (at = text.find (folder)) != std::string::npos;)
    text.erase (at, folder.size ());
  return text;
}

// The least that a file has to say, with single quotes as in `more`.
std::string
minimal (const std::string &more)
{
  std::string text = "{'defaults': {'ops': {'is_output_quantized': 'True'}, 'params': {'is_quantized': 'True'}}, "
                     "'params': {}, 'op_type': {}, 'supergroups': [], 'model_input': {}, 'model_output': {}"
                     + more + "}";
  std::replace (text.begin (), text.end (), '\'', '"');
  return text;
}

}

TEST (Target, AllThatComeWithTheLibraryAreRead)
{
  g_auto (GStrv) names = ht_target_list_names ();
  EXPECT_EQ (g_strv_length (names), 9u);
  for (char **name = names; *name; name++)
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
      g_autoptr (HtTarget) target = ht_target_load (*name, diagnostics, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_STREQ (ht_target_get_name (target), *name);
      EXPECT_NE (ht_target_get_description (target), nullptr) << *name;
      for (guint i = 0; i < diagnostics->len; i++)
        EXPECT_EQ (ht_diagnostic_get_severity ((HtDiagnostic *)g_ptr_array_index (diagnostics, i)), HT_SEVERITY_NOTE)
            << ht_diagnostic_get_message ((HtDiagnostic *)g_ptr_array_index (diagnostics, i));
    }
}

TEST (Target, ProblemsAreToldAllAtOnceWithTheirPlaces)
{
  for (const char *file : { "unknown-keys", "contradictions", "missing", "list", "syntax" })
    {
      std::string path = source (std::string ("bad/") + file + ".json");
      g_autofree char *expected = nullptr;
      bool read;
      std::string found = problems_of (path, &read);
      EXPECT_FALSE (read) << file;
      g_file_get_contents ((path + ".expected").c_str (), &expected, nullptr, nullptr);
      EXPECT_EQ (found, expected ? expected : "(no .expected)") << file;
    }
}

TEST (Target, ATargetOfOnesOwnIsFoundByPathAndByName)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder folder;
  std::ofstream (folder / "mine.json") << minimal (", 'halftone': {'description': 'mine', 'weights': {'bits': 6}}");
  g_autoptr (HtTarget) by_path = ht_target_load ((folder / "mine.json").c_str (), nullptr, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_target_get_name (by_path), "mine");
  EXPECT_STREQ (ht_target_get_description (by_path), "mine");
  EXPECT_EQ (ht_target_load ("mine", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "there is no 'mine'");
  g_setenv ("HALFTONE_TARGET_PATH", folder.path ().c_str (), TRUE);
  g_autoptr (HtTarget) by_name = ht_target_load ("mine", nullptr, &error);
  g_unsetenv ("HALFTONE_TARGET_PATH");
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_target_get_file (by_name), (folder / "mine.json").c_str ());
  EXPECT_EQ (ht_target_load ("defualt", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "did you mean 'default'?");
  EXPECT_EQ (ht_target_load ("/nowhere/t.json", nullptr, &error), nullptr);
  EXPECT_GERROR (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "/nowhere/t.json");
}

TEST (Target, WhatNobodyWritesIsTheTargetsToSay)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  HtQuantizerSettings *weights = ht_quantization_config_get_weights (config);
  g_autoptr (JsonNode) yes = json_from_string ("true", nullptr), eight = json_from_string ("8", nullptr);
  auto value = [&] (const char *path) {
    g_autofree char *text = ht_quantization_config_lookup (config, path);
    return std::string (text ? text : "(none)");
  };
  EXPECT_FALSE (ht_quantizer_settings_is_explicit (weights, "bits"));
  ASSERT_TRUE (ht_quantization_config_set_target (config, "onnxruntime-cpu-reduced", &error));
  EXPECT_EQ (value ("weights.bits"), "7");
  EXPECT_EQ (value ("target"), "onnxruntime-cpu-reduced");
  ASSERT_TRUE (ht_quantization_config_set_target (config, "tensorrt", &error));
  EXPECT_EQ (value ("weights.bits"), "8");
  EXPECT_EQ (value ("weights.strict"), "true");
  EXPECT_EQ (value ("activations.symmetric"), "true");
  ASSERT_TRUE (ht_quantization_config_set_target (config, "microcontroller", &error));
  EXPECT_EQ (value ("weights.granularity"), "tensor");
  EXPECT_EQ (value ("activations.symmetric"), "false");
  // Explicit, though it is what the setting would be anyway.
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (weights), "bits", eight, &error));
  EXPECT_TRUE (ht_quantizer_settings_is_explicit (weights, "bits"));
  g_autoptr (HtQuantizerSettings) copy = ht_quantizer_settings_copy (weights);
  EXPECT_TRUE (ht_quantizer_settings_is_explicit (copy, "bits"));
  EXPECT_FALSE (ht_quantizer_settings_is_explicit (copy, "strict"));
  ASSERT_TRUE (ht_quantization_config_set_target (config, "onnxruntime-cpu-reduced", &error));
  EXPECT_EQ (value ("weights.bits"), "8");
}
