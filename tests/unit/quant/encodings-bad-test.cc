// SPDX-License-Identifier: MIT
// Encodings files with mistakes: each is told with its place, all of them at once, and nothing is taken over.
#include "net.h"

#include <fstream>

using namespace quant;

namespace
{

void
build (Net &net)
{
  net.input ("x", { 2, 3 }).weight ("w", { 4, 3 });
  HtNode *turn = net.node ("Transpose", { "w" }, { "wt" });
  net.set (turn, "perm", std::vector<gint64>{ 1, 0 });
  net.node ("MatMul", { "x", "wt" }, { "product" });
  net.node ("Relu", { "product" }, { "y" });
  net.output ("y");
}

std::string
entry (const char *name, const std::string &rest = "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", "
                                                   "\"is_sym\": false, \"offset\": [-85.0], \"scale\": [0.01]")
{
  return std::string ("{\"name\": \"") + name + "\", " + rest + "}";
}

std::string
file (const std::string &activations, const std::string &params, const char *version = "1.0.0")
{
  return std::string ("{\n\"activation_encodings\": [") + activations + "],\n\"param_encodings\": [" + params
         + "],\n\"version\": \"" + version + "\"\n}\n";
}

// Version 0.6.1
std::string
old_file (const std::string &activations)
{
  return "{\"version\": \"0.6.1\", \"param_encodings\": {},\n\"activation_encodings\": {" + activations + "}}";
}

// Version 2.0.0
std::string
new_file (const std::string &entries, const char *version = "2.0.0")
{
  return std::string ("{\"version\": \"") + version + "\",\n\"encodings\": [" + entries + "]}";
}

std::string
tensor (const std::string &scale, const std::string &offset, const char *bits = "8", const char *symmetric = "false")
{
  return std::string ("\"bw\": ") + bits + ", \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": "
         + symmetric + ", \"offset\": " + offset + ", \"scale\": " + scale;
}

std::string
grid (const std::string &scale, const std::string &offset, const char *bits = "8")
{
  return std::string ("{\"bitwidth\": ") + bits + ", \"dtype\": \"int\", \"is_symmetric\": \"False\", \"max\": 1, "
         + "\"min\": -1, \"offset\": " + offset + ", \"scale\": " + scale + "}";
}

HtSimulation *
make ()
{
  Net net;
  build (net);
  return simulate (net);
}

// What loading this text into a simulation says; "" when it is taken.
std::string
complain_about (HtSimulation *simulation, const std::string &text, bool partial)
{
  static support::TemporaryFolder folder;
  std::string path = folder / "some.encodings";
  g_autoptr (GError) error = nullptr;
  std::ofstream (path, std::ios::binary) << text;
  gboolean ok = ht_simulation_load_encodings (simulation, path.c_str (), partial, &error);
  EXPECT_EQ (ok, error == nullptr);
  return error ? error->message : "";
}

// The same with a new one, which a mistake leaves as it was.
std::string
complaint (const std::string &text, bool partial)
{
  g_autoptr (HtSimulation) simulation = make ();
  std::string said = complain_about (simulation, text, partial);
  if (said != "")
    {
      EXPECT_EQ (ht_simulation_get_encoding (simulation, "x"), nullptr);
      EXPECT_EQ (ht_simulation_get_encoding (simulation, "wt"), nullptr);
      EXPECT_EQ (ht_simulation_get_quantizer (simulation, "product"), nullptr);
    }
  return said;
}

}

TEST (EncodingsBad, TellsEveryDifference)
{
  std::string all = complaint (file (entry ("x") + "," + entry ("nowhere") + "," + entry ("product"),
                                     entry ("w", tensor ("[0.1]", "[-8.0]", "4", "true"))),
                               false);
  EXPECT_NE (all.find ("found 4 problems"), std::string::npos) << all;
  EXPECT_NE (all.find ("no tensor 'nowhere'"), std::string::npos) << all;
  EXPECT_NE (all.find ("'product' is not quantized"), std::string::npos) << all;
  EXPECT_NE (
      all.find (
          "'wt' has 4 bits, symmetric, one grid in all here; the settings say 8 bits, symmetric, one grid a channel"),
      std::string::npos)
      << all;
  EXPECT_NE (all.find ("no encoding for tensor 'y'"), std::string::npos) << all;
  EXPECT_NE (all.find ("some.encodings:2:"), std::string::npos) << all;
  EXPECT_NE (all.find ("some.encodings:3:"), std::string::npos) << all;
}

// However many there are.
TEST (EncodingsBad, ListsCompletely)
{
  std::string entries;
  for (guint i = 0; i < 500; i++)
    entries += (i ? "," : "") + entry (("nowhere" + std::to_string (i)).c_str ());
  std::string all = complaint (file (entries, ""), true);
  EXPECT_NE (all.find ("found 500 problems"), std::string::npos);
  EXPECT_NE (all.find ("'nowhere499'"), std::string::npos);
}

TEST (EncodingsBad, PartialTakesWhatThereIs)
{
  EXPECT_EQ (complaint (file (entry ("x") + "," + entry ("product"), ""), true), "");
  EXPECT_NE (complaint (file (entry ("nowhere"), ""), true).find ("no tensor 'nowhere'"), std::string::npos);
  EXPECT_NE (complaint (file (entry ("x") + "," + entry ("x"), ""), true).find ("second encoding"), std::string::npos);
  EXPECT_NE (complaint (file ("", entry ("w") + "," + entry ("wt")), true).find ("second encoding"), std::string::npos);
}

TEST (EncodingsBad, TellsWhere)
{
  // The third number of the list in the fifth line.
  std::string text
      = "{\"version\": \"1.0.0\",\n\"activation_encodings\": [],\n\"param_encodings\": [\n{\"name\": \"w\","
        "\n\"scale\": [1, 1, -1, 0],\n\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_CHANNEL\", "
        "\"is_sym\": true,\n\"offset\": [-128, -128, -128, -127.5]}]}";
  std::string said = complaint (text, true);
  EXPECT_NE (said.find (":5:17: item 3 of 'scale' is -1; expected a positive number"), std::string::npos) << said;
  EXPECT_NE (said.find ("1 more"), std::string::npos) << said;
}

TEST (EncodingsBad, RefusesMalformedEntries)
{
  const char *channels = "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_CHANNEL\", \"is_sym\": true, ";
  const char *blocks = "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_BLOCK\", \"is_sym\": true, ";
  const char *lpbq = "\"bw\": 8, \"compressed_bw\": 4, \"dtype\": \"INT\", \"enc_type\": \"LPBQ\", \"is_sym\": true, ";
  const std::pair<std::string, const char *> cases[] = {
    { "", "" },
    { "{", "" },
    { "[]", "" },
    { file ("", "", "0.4.0"), "version '0.4.0'" },
    { file ("", "", "3.0.0"), "expected 0.6.1, 1.0.0, 2.0.0 or 2.1.0" },
    { "{\"version\": 1.0}", "'version'" },
    { "{\"version\": \"1.0.0\"}", "'activation_encodings' is missing" },
    { file ("{}", ""), "'name' is missing" },
    { file ("3", ""), "" },
    { file (entry ("x", "\"bw\": 8"), ""), "'enc_type' is missing" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"FLOAT\", \"enc_type\": \"PER_TENSOR\""), ""), "16 bits" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"BOOL\", \"enc_type\": \"PER_TENSOR\""), ""), "'dtype' is 'BOOL'" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_DAY\""), ""), "'enc_type' is 'PER_DAY'" },
    { file (entry ("x", tensor ("[1]", "[0]", "99")), ""), "bw" },
    { file (entry ("x", tensor ("[1]", "[0]", "8", "\"False\"")), ""), "is_sym" },
    { file (entry ("x", tensor ("[1]", "[-0.5]")), ""), "whole number" },
    { file (entry ("x", tensor ("[1]", "[]")), ""), "empty" },
    { file (entry ("x", tensor ("[1, 1]", "[0, 0]")), ""), "expected 1" },
    { file (entry ("x", tensor ("[1, 1]", "[0]")), ""), "as many" },
    { file (entry ("x", tensor ("1", "[0]")), ""), "a list" },
    { file (entry ("x", tensor ("[[1]]", "[0]")), ""), "lists in its list" },
    { file (entry ("x", tensor ("[\"1\"]", "[0]")), ""), "a number" },
    { file (entry ("x", tensor ("[0]", "[0]")), ""), "is 0; expected a positive number" },
    { file (entry ("x", tensor ("[-1]", "[0]")), ""), "is -1; expected a positive number" },
    { file (entry ("x", tensor ("[NaN]", "[0]")), ""), "finite" },
    { file (entry ("x", tensor ("[Infinity]", "[0]")), ""), "finite" },
    { file (entry ("x", tensor ("[1e39]", "[0]")), ""), "float32" },
    { file (entry ("x", tensor ("[1e-60]", "[0]")), ""), "float32" },
    { file (entry ("x", tensor ("[1e999]", "[0]")), ""), "" },
    { file (entry ("x", tensor ("[1]", "[5]")), ""), "offset 5" },
    { file (entry ("x", tensor ("[1]", "[-256]")), ""), "offset -256" },
    { file (entry ("x", tensor ("[1]", "[-1e300]")), ""), "33 bits" },
    { file (entry ("x", tensor ("[1]", "[-100]", "8", "true")), ""), "symmetric" },
    { file (entry ("x", tensor ("[1]", "[0]") + ", \"color\": 1"), ""), "'color' is not known" },
    { file (entry ("x", tensor ("[1]", "[0]") + ", \"zero_point_shift\": [0.5]"), ""), "zero_point_shift" },
    { file (entry ("x", tensor ("[1]", "[0]") + ", \"bw\": 8"), ""), "twice" },
    { file (entry ("x", std::string (channels) + "\"offset\": [-128, -128, -128], \"scale\": [1, 1, 1]"), ""),
      "one for the whole tensor" },
    { file ("", entry ("w", std::string (channels) + "\"offset\": [-128, -128, -128], \"scale\": [1, 1, 1]")),
      "has 3 grids here; expected 4" },
    { file ("", entry ("w", std::string (blocks) + "\"offset\": [-128], \"scale\": [1]")), "'block_size' is missing" },
    { file ("", entry ("w", std::string (blocks) + "\"block_size\": 0, \"offset\": [-128], \"scale\": [1]")),
      "block_size" },
    { file ("", entry ("w", std::string (blocks) + "\"block_size\": 3, \"offset\": [-128], \"scale\": [1]")),
      "expected 4, 1 blocks of 3" },
    { file ("", entry ("w", std::string (lpbq)
                                + "\"block_size\": 3, \"offset\": [-8, -8, -8, -8], \"scale\": "
                                  "[1, 1, 1, 1], \"per_block_int_scale\": [1, 1, 1, 1]")),
      "-128" },
    { file ("", entry ("w", std::string (lpbq)
                                + "\"block_size\": 3, \"offset\": [-128, -128, -128, -128], \"scale\": "
                                  "[1, 1, 1, 1], \"per_block_int_scale\": [1, 0, 17, 1]")),
      "is 0; expected 1" },
    { file ("", entry ("w", std::string (lpbq)
                                + "\"block_size\": 3, \"offset\": [-128, -128, -128, -128], \"scale\": "
                                  "[1, 1, 1, 1], \"per_block_int_scale\": [1, 1, 17, 1]")),
      "block scale 17" },
    { old_file ("\"x\": {}"), "a list" },
    { old_file ("\"x\": []"), "empty list" },
    { old_file ("\"x\": [3]"), "a mapping" },
    { old_file ("\"x\": [{}]"), "'dtype' is missing" },
    { old_file ("\"x\": [" + grid ("0", "0") + "]"), "is 0; expected a positive number" },
    { old_file ("\"x\": [" + grid ("1", "0.5") + "]"), "whole number" },
    { old_file ("\"x\": [" + grid ("1", "3") + "]"), "offset 3" },
    { old_file ("\"x\": [" + grid ("1", "0") + ", " + grid ("1", "0", "4") + "]"), "other bits" },
    { old_file ("\"x\": [" + grid ("1", "0") + "], \"x\": [" + grid ("1", "0") + "]"), "twice" },
    { old_file ("\"x\": [{\"bitwidth\": 8, \"dtype\": \"float\"}]"), "one of 16 bits" },
    { new_file ("{\"name\": \"x\"}"), "'output_dtype' is missing" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\"}"), "'y_scale' is missing" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": 0}"), "positive" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"int99\", \"y_scale\": 1}"), "'int99'" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"float4e2m1\", \"y_scale\": 1}"), "'float4e2m1'" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": 1, \"y_zero_point\": 0.5}"), "whole" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": 1, \"y_zero_point\": 256}"), "0 … 255" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"int8\", \"y_scale\": 1, \"y_zero_point\": 128}"), "-128 … 127" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": [1, 2]}"), "'axis'" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": [1, 2], \"axis\": 0}"), "whole tensor" },
    { new_file ("{\"name\": \"w\", \"output_dtype\": \"int8\", \"y_scale\": [1, 2, 3, 4], \"axis\": 7}"),
      "2 dimensions" },
    { new_file ("{\"name\": \"w\", \"output_dtype\": \"int8\", \"y_scale\": [1, 2, 3, 4], \"axis\": 99}"), "axis" },
    { new_file ("{\"name\": \"w\", \"output_dtype\": \"int8\", \"y_scale\": [[1], [2, 3]], \"axis\": 0, "
                "\"block_size\": 1}"),
      "list of 1" },
    { new_file ("{\"name\": \"w\", \"output_dtype\": \"int8\", \"y_scale\": [[[1]], [[2]]], \"axis\": 1, "
                "\"block_size\": 2}"),
      "nested 3 deep" },
    { new_file ("{\"name\": \"w\", \"output_dtype\": \"int8\", \"y_scale\": [[1, 1], [2, 3]], \"axis\": 0, "
                "\"block_size\": 2}"),
      "grids here" },
    // As many as there have to be, turned.
    { new_file ("{\"name\": \"w\", \"output_dtype\": \"int8\", \"y_scale\": [[1, 2, 3, 4], [5, 6, 7, 8]], \"axis\": 1, "
                "\"block_size\": 2}"),
      "lists of 2 along axis 0 here; expected 4" },
    { new_file (
          "{\"name\": \"w\", \"output_dtype\": \"int4\", \"axis\": 1, \"block_size\": 2, \"per_block_int_scale\": "
          "[[1, 2, 3, 4], [5, 6, 7, 8]], \"per_channel_float_scale\": [[1], [2], [3], [4]]}"),
      "lists of 2 along axis 0 here; expected 4" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": {\"x\": 1, \"x_scale\": 1}}"), "2.1.0" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": {\"x\": 1}}", "2.1.0"), "'x_scale'" },
    { new_file ("{\"name\": \"x\", \"output_dtype\": \"uint8\", \"y_scale\": {\"x\": -1, \"x_scale\": 1}}", "2.1.0"),
      "gives the scale -1" },
  };
  for (const auto &one : cases)
    {
      std::string said = complaint (one.first, true);
      EXPECT_NE (said, "") << one.first;
      EXPECT_NE (said.find (one.second), std::string::npos) << one.first << "\n" << said;
    }
}

// Cut off anywhere, with any byte changed: never a crash, and what is taken is a whole file.
TEST (EncodingsBad, SurvivesDamage)
{
  const std::string texts[] = {
    file (entry ("x") + "," + entry ("y"), entry ("w", tensor ("[0.1]", "[-8.0]", "4", "true"))),
    old_file ("\"x\": [" + grid ("0.5", "-3") + "], \"y\": [{\"bitwidth\": 16, \"dtype\": \"float\"}]"),
    new_file ("{\"name\": \"w\", \"output_dtype\": \"int4\", \"axis\": -1, \"block_size\": 3, \"y_scale\": {\"x\": "
              "[[1], [2], [16], [4]], \"x_scale\": [1, 2, 3, 4], \"axis\": 0}}, {\"name\": \"x\", \"output_dtype\": "
              "\"uint8\", \"y_scale\": 0.1, \"y_zero_point\": 128}",
              "2.1.0"),
    new_file ("{\"name\": \"w\", \"output_dtype\": \"int4\", \"axis\": 1, \"block_size\": 3, \"per_block_int_scale\": "
              "[[1], [2], [16], [4]], \"per_channel_float_scale\": [[1], [2], [3], [4]]}"),
  };
  const char bytes[] = { '\0', '"', '[', ']', '{', '}', ',', ':', '-', '9', ' ', '\n', '\x80', 'e' };
  g_autoptr (HtSimulation) simulation = make ();
  for (const std::string &text : texts)
    {
      ASSERT_EQ (complain_about (simulation, text, true), "") << text;
      for (gsize i = 0; i + 2 < text.size (); i++)
        EXPECT_NE (complain_about (simulation, text.substr (0, i), true), "") << text.substr (0, i);
      for (gsize i = 0; i < text.size (); i++)
        {
          std::string damaged = text;
          damaged[i] = bytes[(i * 7 + text.size ()) % G_N_ELEMENTS (bytes)];
          complain_about (simulation, damaged, true);
        }
    }
}
