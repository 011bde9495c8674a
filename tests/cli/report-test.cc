// SPDX-License-Identifier: MIT
// The page of a run, as readers see it: in a browser where there is one.
#include "command.h"

#include <sys/stat.h>

using command::demo;
using command::run;

namespace
{

std::string
read_recipe (const std::string &report)
{
  std::string text = command::read_all (demo ("demo.yaml"));
  for (const char *name : { "model.onnx", "calibration.npy", "evaluation.npy", "labels.npy" })
    for (std::size_t at = text.find (name); at != std::string::npos; at = text.find (name, at))
      {
        std::size_t length = demo (name).size ();
        text.replace (at, strlen (name), demo (name));
        at += length;
      }
  std::size_t output = text.find ("\noutput:");
  return text.substr (0, output == std::string::npos ? text.size () : output)
         + "\noutput: {formats: [onnx], report: " + report + "}\n";
}

// The document after loading; `messages` receives what the browser logs.
std::string
load (const std::string &browser, const std::string &page, const std::string &profile, std::string &messages)
{
  std::vector<std::string> argv = { browser,
                                    "--headless",
                                    "--no-sandbox",
                                    "--disable-gpu",
                                    "--enable-logging=stderr",
                                    "--user-data-dir=" + profile,
                                    "--virtual-time-budget=2000",
                                    "--dump-dom" };
  argv.push_back ("file://" + page);
  std::vector<const char *> raw;
  for (const std::string &word : argv)
    raw.push_back (word.c_str ());
  raw.push_back (nullptr);
  g_autoptr (GError) error = nullptr;
  g_autoptr (GSubprocess) process = g_subprocess_newv (
      raw.data (), (GSubprocessFlags)(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE), &error);
  EXPECT_NE (process, nullptr) << error->message;
  g_autoptr (GBytes) out = nullptr, err = nullptr;
  EXPECT_TRUE (g_subprocess_communicate (process, nullptr, nullptr, &out, &err, nullptr));
  messages.assign ((const char *)g_bytes_get_data (err, nullptr), g_bytes_get_size (err));
  return { (const char *)g_bytes_get_data (out, nullptr), g_bytes_get_size (out) };
}

}

TEST (Report, IsWrittenByARunAndMadeAgain)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", read_recipe ("[html, json]"));
  auto result = run ({ "run", folder / "r.yaml", "-o", folder / "out" });
  ASSERT_EQ (result.code, 0) << result.err;
  std::string page = command::read_all (folder / "out/report.html");
  EXPECT_LT (page.size (), 2u << 20);
  EXPECT_HAS (page, "class=\"before\"");
  EXPECT_HAS (page, "class=\"after\"");
  EXPECT_HAS (page, "stem.weight");
  g_autoptr (JsonNode) report = command::parse (command::read_all (folder / "out/report.json"));
  // The weights of a layer that folding changes are other ones after it; each value is counted once.
  JsonArray *quantizers = json_node_get_array (command::find (report, { "results", "quantizers" }));
  guint n_drawn = 0, n_moved = 0;
  for (guint i = 0; i < json_array_get_length (quantizers); i++)
    {
      JsonObject *quantizer = json_array_get_object_element (quantizers, i);
      if (!json_object_has_member (quantizer, "histogram"))
        continue;
      JsonObject *both = json_object_get_object_member (quantizer, "histogram");
      gint64 total[2] = { 0, 0 };
      const char *sides[] = { "before", "after" };
      for (int side = 0; side < 2 && json_object_has_member (both, sides[side]); side++)
        {
          JsonArray *counts
              = json_object_get_array_member (json_object_get_object_member (both, sides[side]), "counts");
          EXPECT_LE (json_array_get_length (counts), 64u);
          for (guint k = 0; k < json_array_get_length (counts); k++)
            total[side] += json_array_get_int_element (counts, k);
        }
      EXPECT_EQ (total[0], total[1]) << json_object_get_string_member (quantizer, "tensor");
      n_drawn++;
      n_moved += !json_node_equal (json_object_get_member (both, "before"), json_object_get_member (both, "after"));
    }
  EXPECT_GE (n_drawn, 20u);
  EXPECT_GE (n_moved, 5u);
  ASSERT_EQ (unlink ((folder / "out/report.html").c_str ()), 0);
  result = run ({ "report", folder / "out" });
  ASSERT_EQ (result.code, 0) << result.err;
  EXPECT_EQ (command::read_all (folder / "out/report.html"), page);
}

TEST (Report, NamesWhatItCannotRead)
{
  support::TemporaryFolder folder;
  auto result = run ({ "report", folder / "nothing" });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "there is no");
  command::write_all (folder / "report.json", "{ \"results\": ");
  result = run ({ "report", folder / "." });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "cannot be read");
  command::write_all (folder / "report.json", "{}");
  result = run ({ "report", folder / "." });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "neither 'results' nor 'search'");
}

TEST (Report, ReadsInABrowserWithAndWithoutScripts)
{
  g_autofree char *browser = g_find_program_in_path ("chromium");
  if (browser == nullptr)
    GTEST_SKIP () << "no 'chromium' in PATH; the Debian package of that name has it";
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", read_recipe ("[html, json]"));
  auto result = run ({ "run", folder / "r.yaml", "-o", folder / "out" });
  ASSERT_EQ (result.code, 0) << result.err;
  std::string messages;
  std::string page = load (browser, folder / "out/report.html", folder / "profile", messages);
  EXPECT_EQ (messages.find ("CONSOLE"), std::string::npos) << messages;
  EXPECT_HAS (page, "<button type=\"button\">stage</button>"); // the script ran under the page's policy
  EXPECT_HAS (page, "<input type=\"search\">");
  // What is there without scripts; a browser that runs none dumps nothing.
  std::string text = command::read_all (folder / "out/report.html");
  std::size_t from = text.find ("<script>"), to = text.find ("</script>");
  ASSERT_LT (from, to);
  command::write_all (folder / "plain.html", text.substr (0, from) + text.substr (to + strlen ("</script>")));
  page = load (browser, folder / "plain.html", folder / "profile", messages);
  EXPECT_EQ (messages.find ("CONSOLE"), std::string::npos) << messages;
  EXPECT_EQ (page.find ("<button"), std::string::npos);
  for (const char *part : { "stem.weight", "Accuracy by stage", "block0.depthwise.norm", "class=\"after\"" })
    EXPECT_HAS (page, part);
}

namespace
{

// The demo recipe in two folders that differ in the bits of their weights.
void
run_twice (const support::TemporaryFolder &folder)
{
  std::string text = read_recipe ("[json]");
  text.replace (text.find ("formats: [onnx]"), strlen ("formats: [onnx]"), "formats: [onnx, encodings-1.0.0]");
  command::write_all (folder / "a.yaml", text);
  text.replace (text.find ("bits: 8, symmetric: true"), strlen ("bits: 8"), "bits: 3");
  command::write_all (folder / "b.yaml", text);
  for (const char *name : { "a", "b" })
    {
      auto result = run ({ "run", folder / (std::string (name) + ".yaml"), "-o", folder / name });
      ASSERT_EQ (result.code, 0) << result.err;
    }
}

}

TEST (Compare, TellsTwoRunsApartInPairs)
{
  support::TemporaryFolder folder;
  run_twice (folder);
  auto result = run ({ "compare", folder / "a", folder / "b", "--json" });
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) node = command::parse (result.out);
  // The figures are those of the runs themselves, and what differs lies in the interval.
  for (const char *side : { "a", "b" })
    {
      g_autoptr (JsonNode) report = command::parse (command::read_all (folder / (std::string (side) + "/report.json")));
      std::string key = side == std::string ("a") ? "first-metrics" : "second-metrics";
      for (const char *metric : { "top1", "sqnr" })
        EXPECT_NEAR (command::number (node, { key, metric }),
                     command::number (report, { "results", "metrics", "result", metric }), 1e-9);
    }
  double difference = command::number (node, { "differences", "top1", "difference" });
  EXPECT_NEAR (difference,
               command::number (node, { "second-metrics", "top1" })
                   - command::number (node, { "first-metrics", "top1" }),
               1e-12);
  EXPECT_LT (difference, 0);
  EXPECT_LE (command::number (node, { "differences", "top1", "low" }), difference);
  EXPECT_GE (command::number (node, { "differences", "top1", "high" }), difference);
  EXPECT_LT (command::number (node, { "differences", "sqnr", "high" }), 0);
  EXPECT_STREQ (json_node_get_string (command::find (node, { "differences", "sqnr", "verdict" })), "first is better");
  EXPECT_STREQ (json_node_get_string (command::find (node, { "differences", "kl", "verdict" })), "first is better");
  // A run and itself.
  result = run ({ "compare", folder / "a", folder / "a" });
  EXPECT_EQ (result.code, 0) << result.err;
  EXPECT_HAS (result.out, "not told apart");
  EXPECT_EQ (result.out.find ("is better"), std::string::npos);
}

TEST (Compare, RefusesOtherData)
{
  support::TemporaryFolder folder;
  run_twice (folder);
  auto result = run ({ "run", folder / "b.yaml", "-o", folder / "c", "--evaluation", demo ("calibration.npy") });
  ASSERT_EQ (result.code, 0) << result.err;
  result = run ({ "compare", folder / "a", folder / "c" });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "was measured on other data");
  EXPECT_HAS (result.err, "--data");
  result = run ({ "compare", folder / "a", demo ("model.onnx") });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "names no evaluation data");
  result = run ({ "compare", folder / "a", folder / "missing" });
  EXPECT_EQ (result.code, 3);
  result = run ({ "compare", folder / "a" });
  EXPECT_EQ (result.code, 2);
}

TEST (Compare, TakesNetworksAndData)
{
  support::TemporaryFolder folder;
  auto result
      = run ({ "compare", demo ("model.onnx"), demo ("model.onnx"), "--data", demo ("evaluation.npy"), "--labels",
               demo ("labels.npy"), "--layout", "NHWC", "--scale", "0.00784313725490196", "--mean", "1", "--json" });
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) node = command::parse (result.out);
  EXPECT_GT (command::number (node, { "first-metrics", "top1" }), 0.99);
  EXPECT_EQ (command::number (node, { "differences", "top1", "difference" }), 0);
}
