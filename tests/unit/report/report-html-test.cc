// SPDX-License-Identifier: MIT
// The page against what a report may hold: hostile names, values of other types, trees without an end.
#include "support.h"

#include <json-glib/json-glib.h>

extern "C"
{
#include "report/report-html.h"
}

#include <algorithm>
#include <string>

namespace
{

// JSON with ' for ".
JsonNode *
parse (std::string text)
{
  std::replace (text.begin (), text.end (), '\'', '"');
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (json_parser_load_from_data (parser, text.c_str (), -1, &error)) << (error ? error->message : "");
  return json_parser_steal_root (parser);
}

std::string
make_page (const std::string &report, const std::string &best = "")
{
  g_autoptr (JsonNode) node = parse (report);
  g_autoptr (JsonNode) best_node = best.empty () ? nullptr : parse (best);
  g_autofree char *html = ht_report_to_html (node, best_node);
  return html;
}

std::size_t
count (const std::string &text, const std::string &part)
{
  std::size_t n = 0;
  for (std::size_t at = text.find (part); at != std::string::npos; at = text.find (part, at + part.size ()))
    n++;
  return n;
}

#define EXPECT_PART(page, part) EXPECT_GE (count ((page), (part)), 1u) << (part)

const char *const search_report
    = "{'search': {"
      "'strategy': 'exhaustive', 'objective': {'maximize': 'top1', 'subject-to': ['top1 >= baseline - 1pp']},"
      "'best': 2, 'ties': [2, 3], 'target-met': true, 'combinations': 5, 'front': {'cost': 'size', 'candidates': [2]},"
      "'baseline': {'top1': 0.95}, 'candidates': ["
      "{'number': 1, 'description': 'none', 'status': 'scored', 'feasible': false, 'path': [0, 1],"
      " 'metrics': {'top1': 0.5, 'top1-low': 0.45, 'top1-high': 0.55}, 'costs': {'size': 2000},"
      " 'difference-to-best': {'value': -0.4, 'low': -0.5, 'high': -0.3}},"
      "{'number': 2, 'description': 'folding <b>', 'status': 'scored', 'feasible': true, 'path': [0, 2, 3],"
      " 'metrics': {'top1': 0.9}, 'costs': {'size': 1000}},"
      "{'number': 3, 'description': 'tied', 'status': 'scored', 'feasible': true, 'path': [0, 2, 4],"
      " 'metrics': {'top1': 0.9}, 'costs': {'size': 1500}},"
      "{'number': 4, 'description': 'broken', 'status': 'failed', 'path': [0],"
      " 'failure': {'class': 'plugin', 'message': 'layer <x> is bad'}},"
      "{'number': 5, 'description': 'early', 'status': 'stopped', 'stopped-by': 'it loses to 2', 'path': [0]}],"
      "'attribution': [{'axis': 'fold', 'from': 'none', 'to': 'folding', 'pairs': 3, 'gain': 0.4, 'low': 0.3, 'high': 0.5,"
      " 'least': 0.35}],"
      "'excluded': [{'law': 'a & b', 'combinations': 7}],"
      "'tree': [{'number': 0, 'kind': 'start'}, {'number': 1, 'kind': 'calibrate', 'parent': 0},"
      "{'number': 2, 'kind': 'step', 'step': 'fold', 'parent': 0}, {'number': 3, 'kind': 'calibrate', 'parent': 2},"
      "{'number': 4, 'kind': 'calibrate', 'parent': 2}]},"
      "'timings': {'seconds': 3.5, 'nodes': [{'number': 2, 'seconds': 1.25}]}}";

}

TEST (ReportHtml, EscapesEveryText)
{
  std::string bad = "'</script><script>alert(1)</script><img src=x onerror=alert(1)>\\\"&'";
  std::string page = make_page (
      "{'recipe': {'name': " + bad + "}, 'environment': {" + bad + ": " + bad + "}, 'results': {'metrics': {" + bad
      + ": {'samples': 3}}, 'unquantized': [" + bad + "], 'steps': [{'id': " + bad + ", 'pass': " + bad
      + ", 'parameters': {" + bad + ": " + bad + "}, 'notes': [{'subject': " + bad + ", 'text': " + bad
      + "}], 'tables': {" + bad + ": [{'subject': " + bad + ", " + bad + ": 1}]}}], 'quantizers': [{'tensor': " + bad
      + ", 'reason': " + bad + "}]}}");
  EXPECT_EQ (count (page, "<script>"), 1u); // ours
  EXPECT_EQ (count (page, "<img"), 0u);
  EXPECT_GE (count (page, "&lt;img src=x onerror=alert(1)&gt;"), 12u);
  // Scripts run by their hash alone.
  EXPECT_PART (page, "default-src 'none'; style-src 'sha256-");
  EXPECT_EQ (count (page, "unsafe"), 0u);
  EXPECT_EQ (count (page, "http://"), 0u);
  EXPECT_EQ (count (page, "https://"), 0u);
}

TEST (ReportHtml, ShowsWhatASearchFound)
{
  std::string page = make_page (search_report);
  for (const char *outcome : { "best", "tied", "missed", "failed", "stopped" })
    EXPECT_PART (page, "class=\"" + std::string (outcome) + "\"><td");
  EXPECT_EQ (count (page, "<tr id=\"candidate-"), 5u);
  EXPECT_EQ (count (page, "href=\"#candidate-2\""), 2u); // in the chart and in the tree
  EXPECT_EQ (count (page, "href=\"#candidate-4\""), 1u); // it has no place in the chart
  EXPECT_PART (page, "50.00 (45.00 … 55.00)");
  EXPECT_PART (page, "-40.00 (-50.00 … -30.00)");
  EXPECT_PART (page, "plugin: layer &lt;x&gt; is bad");
  EXPECT_PART (page, "it loses to 2");
  EXPECT_PART (page, "a &amp; b");
  EXPECT_PART (page, "folding instead of none");
  EXPECT_PART (page, "class=\"baseline\"");
  EXPECT_PART (page, "data-value=\"1.25\"");
}

TEST (ReportHtml, ShowsTheBestOfASearchAsARun)
{
  std::string best = "{'recipe': {'name': 'demo'}, 'results': {'metrics': {'result': {'samples': 10, 'top1': 0.9}},"
                     "'quantizers': [{'tensor': 'w', 'kind': 'weight', 'bits': 4, 'encoding': {'minimum': -1, 'maximum': 1},"
                     "'histogram': {'before': {'low': -2, 'high': 2, 'counts': [1, 4, 9, 16]},"
                     "'after': {'low': -1, 'high': 1, 'counts': [4, 4]}}}]}}";
  std::string page = make_page (search_report, best);
  EXPECT_PART (page, "<title>demo</title>");
  EXPECT_PART (page, "The best combination");
  // Four bins over 200 units, heights by the square root of the counts on 42 units of 44.
  EXPECT_PART (page, "<path class=\"before\" d=\"M0.0 44V33.5 H50.0V23.0 H100.0V12.5 H150.0V2.0 H200.0V44Z\"/>");
  EXPECT_PART (page, "<path class=\"after\" d=\"M50.0 44V2.0 H100.0V2.0 H150.0V44Z\"/>");
  EXPECT_EQ (count (page, "<line class=\"edge\" x1=\"50.0\""), 1u);
  EXPECT_EQ (count (page, "<line class=\"edge\" x1=\"150.0\""), 1u);
}

TEST (ReportHtml, TakesAnyJson)
{
  for (const char *text :
       { "[]", "{}", "{'search': 3}", "{'search': {'candidates': [1, null, {}], 'tree': [null, 4, {}]}}",
         "{'search': {'best': 'x', 'ties': {}, 'objective': [], 'candidates': [{'number': 'x', 'path': {}, 'metrics': [],"
         "'costs': 1, 'failure': []}], 'front': {'cost': 3}, 'attribution': [1], 'excluded': [null]}}",
         "{'results': {'metrics': [], 'steps': [3], 'quantizers': [null, {'histogram': {'before': {'low': 1, 'high': 0,"
         "'counts': [1]}, 'after': {'low': 0, 'high': 1, 'counts': ['x', null, -4]}}}], 'unquantized': {}}}",
         "{'search': {'candidates': [{'number': 1, 'status': 'scored', 'metrics': {'top1': 1e308}, 'costs': {'size': -1e308}},"
         "{'number': 2, 'status': 'scored', 'metrics': {'top1': -1e308}, 'costs': {'size': 1e308}}]}}" })
    {
      SCOPED_TRACE (text);
      EXPECT_PART (make_page (text), "</html>");
    }
}

TEST (ReportHtml, DrawsTreesOfAnyDepth)
{
  std::string tree = "{'number': 0, 'kind': 'start'}";
  for (int i = 1; i < 50000; i++)
    tree += ",{'number': " + std::to_string (i) + ", 'kind': 'step', 'step': 's', 'parent': " + std::to_string (i - 1) + "}";
  std::string page = make_page ("{'search': {'tree': [" + tree
                                + "], 'candidates': [{'number': 1, 'status': 'scored', 'path': [20, 49999]}]}}");
  EXPECT_EQ (count (page, "href=\"#candidate-1\""), 1u);
}
