// SPDX-License-Identifier: MIT
// The located tree: what YAML 1.2 and RFC 8259 say of these texts, and what must be refused (style.md E1).
#include "base/located.h"
#include "support.h"

namespace
{

struct Parsed
{
  GPtrArray *problems = ht_diagnostic_list_new ();
  HtLocatedDocument *document = nullptr;
  ~Parsed ()
  {
    g_ptr_array_unref (problems);
    if (document)
      ht_located_document_unref (document);
  }
  explicit Parsed (const std::string &text) { document = ht_located_document_parse (text.data (), (gssize) text.size (), "t", problems); }
  HtLocatedNode *root () { return ht_located_document_get_root (document); }
  HtLocatedNode *at (const char *key) { return ht_located_node_lookup (root (), key, nullptr); }
  // "line:column message" of all problems
  std::string complaint ()
  {
    std::string all;
    for (guint i = 0; i < problems->len; i++)
      {
        auto *d = (HtDiagnostic *) problems->pdata[i];
        all += std::to_string (ht_diagnostic_get_line (d)) + ":" + std::to_string (ht_diagnostic_get_column (d)) + " "
               + ht_diagnostic_get_message (d) + "\n";
      }
    return all;
  }
};

void
expect_refused (const std::string &text, const std::string &begin)
{
  Parsed p (text);
  std::string got = p.complaint ();
  EXPECT_EQ (got.substr (0, begin.size ()), begin) << "text: " << text.substr (0, 200) << "\ngot: " << got;
  EXPECT_GT (p.problems->len, 0u);
}

void
expect_json (const std::string &text, const std::string &json)
{
  Parsed p (text);
  ASSERT_NE (p.document, nullptr) << p.complaint ();
  EXPECT_EQ (p.complaint (), "");
  g_autoptr (JsonNode) node = ht_located_node_to_json (p.root (), nullptr);
  ASSERT_NE (node, nullptr);
  g_autofree char *got = json_to_string (node, FALSE);
  EXPECT_EQ (std::string (got), json);
}

}

TEST (Located, ReadsYaml)
{
  expect_json ("a: 1\nb: [x, \"y\", 'it''s', -2.5e1]\nc:\n- p\n-   q: true\n    r: null\nd: {e: {}, f: []}\n# end\n",
               "{\"a\":1,\"b\":[\"x\",\"y\",\"it's\",-25.0],\"c\":[\"p\",{\"q\":true,\"r\":null}],\"d\":{\"e\":{},\"f\":[]}}");
  expect_json ("---\na: \"\\u00e9\\t\\\"\"\n", "{\"a\":\"é\\t\\\"\"}");
  expect_json ("a: 60s\nb: 1.0.0\nc: 2021-01-01\nd: yes\ne: 0.5pp\nf: http://x:80/y#z\ng: a,b]c\n",
               "{\"a\":\"60s\",\"b\":\"1.0.0\",\"c\":\"2021-01-01\",\"d\":\"yes\",\"e\":\"0.5pp\",\"f\":\"http://x:80/y#z\",\"g\":\"a,b]c\"}");
  expect_json ("- - 1\n  - 2\n-\n  - 3\n", "[[1,2],[3]]");
  expect_json ("a: ~\nb:\nc: 'null'\n", "{\"a\":null,\"b\":null,\"c\":\"null\"}");
  expect_json ("a: x # comment\nb:\n  - y z   # comment\n  # comment\n  - c#d #\n", "{\"a\":\"x\",\"b\":[\"y z\",\"c#d\"]}");
  expect_json ("a: 'x # y' # comment\nb: \"[{\"\n", "{\"a\":\"x # y\",\"b\":\"[{\"}");
  expect_json ("\xef\xbb\xbf" "a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}");
  expect_json ("x: -0\ny: 0\nz: 9223372036854775807\n", "{\"x\":0,\"y\":0,\"z\":9223372036854775807}");
}

TEST (Located, ReadsJson)
{
  expect_json ("{\"a\":1,\n\t\"b\" : [1, 2,\n 3],\t\"c\":{\"d\":\"\\u0041\\n\"}}\n", "{\"a\":1,\"b\":[1,2,3],\"c\":{\"d\":\"A\\n\"}}");
  expect_json ("[1e5,true,false,null,\"\"]", "[100000.0,true,false,null,\"\"]");
  expect_json ("a: \"\\x41\\U0001f600\\\\n\\_'\"\n", "{\"a\":\"A\xf0\x9f\x98\x80\\\\n\xc2\xa0'\"}");
  expect_json ("{\"a\": \"\\ud83d\\ude00 \\/\"}", "{\"a\":\"\xf0\x9f\x98\x80 /\"}");
}

TEST (Located, KnowsThePlaces)
{
  Parsed p ("recipe: \"1.0\"\nnä: {a: 1, \"b\": [x, yy]}\nempty:\n");
  ASSERT_NE (p.document, nullptr) << p.complaint ();
  HtLocatedNode *node = p.at ("nä");
  EXPECT_EQ (ht_located_node_get_line (node), 2u);
  EXPECT_EQ (ht_located_node_get_column (node), 5u);
  HtLocatedNode *key = nullptr;
  HtLocatedNode *list = ht_located_node_lookup (node, "b", &key);
  EXPECT_EQ (ht_located_node_get_column (key), 12u);
  HtLocatedNode *item = ht_located_node_get_child (list, 1);
  EXPECT_EQ (ht_located_node_get_column (item), 21u);
  g_autofree char *path = ht_located_node_get_path (item);
  EXPECT_STREQ (path, "nä.b[1]");
  g_autofree char *name = ht_located_node_get_name (item);
  EXPECT_STREQ (name, "item 2 of 'b'");
  ht_located_node_report (item, p.problems, HT_SEVERITY_ERROR, 0, "m");
  ht_located_node_report (p.at ("recipe"), p.problems, HT_SEVERITY_ERROR, 0, "m");
  ht_located_node_report (p.at ("empty"), p.problems, HT_SEVERITY_ERROR, 0, "m");
  g_autofree char *first = ht_diagnostic_format ((HtDiagnostic *) p.problems->pdata[0]);
  EXPECT_STREQ (first, "t:2:21: error: m\n   2 | nä: {a: 1, \"b\": [x, yy]}\n     |                     ^~");
  g_autofree char *second = ht_diagnostic_format ((HtDiagnostic *) p.problems->pdata[1]);
  EXPECT_STREQ (second, "t:1:9: error: m\n   1 | recipe: \"1.0\"\n     |         ^~~~~");
  g_autofree char *third = ht_diagnostic_format ((HtDiagnostic *) p.problems->pdata[2]);
  EXPECT_STREQ (third, "t:3:1: error: m\n   3 | empty:\n     | ^~~~~");
}

TEST (Located, RefusesNumbersThatJsonDoesNotHave)
{
  expect_refused ("a: 0x10\n", "1:4 '0x10': hexadecimal");
  expect_refused ("a: 0777\n", "1:4 '0777': a number has no leading zeros");
  expect_refused ("a: 0o17\n", "1:4 '0o17': octal");
  expect_refused ("a: 0b1\n", "1:4 '0b1': binary");
  expect_refused ("a: 1_000\n", "1:4 '1_000': a number has no underscores");
  expect_refused ("a: .5\n", "1:4 '.5': a number begins with a digit");
  expect_refused ("a: -.5e3\n", "1:4 '-.5e3': a number begins with a digit");
  expect_refused ("a: 1.\n", "1:4 '1.': a number does not end with its point");
  expect_refused ("a: +1\n", "1:4 '+1': a number has no leading '+'");
  expect_refused ("a: 1e\n", "1:4 '1e': the exponent");
  expect_refused ("a: .inf\n", "1:4 '.inf': only finite");
  expect_refused ("a: [.nan, -Infinity, NaN]\n", "1:5 '.nan': only finite numbers are supported; if text is meant, quote it\n1:11 '-Infinity': only finite");
  expect_refused ("a: 1e400\n", "1:4 '1e400': this number is beyond");
  expect_refused ("a: 1e-400\n", "1:4 '1e-400': this number is closer to zero");
  expect_refused ("a: 99999999999999999999\n", "1:4 '99999999999999999999': this integer does not fit 64 bits");
  expect_refused ("a: -9223372036854775809\n", "1:4 '-9223372036854775809': this integer does not fit");
  expect_json ("a: 0e0\nb: -0.0e-5\nc: 5e-324\n", "{\"a\":0.0,\"b\":-0.0,\"c\":4.9406564584124654e-324}");
}

TEST (Located, RefusesStructuralMistakes)
{
  expect_refused ("a: 1\nb: 2\na: 3\n", "3:1 the key 'a' is given twice, first in line 1, column 1");
  expect_refused ("{\"a\": 1, \"\\u0061\": 2}", "1:10 the key 'a' is given twice, first in line 1, column 2");
  expect_refused ("", "0:0 the file is empty");
  expect_refused (" \n\n", "0:0 the file is empty");
  expect_refused ("# only a comment\n", "1:1 the file is empty");
  expect_refused ("{\"a\": 1} {\"b\": 2}", "1:10 text after the end of a value");
  expect_refused ("{\"a\": 1}\n{\"b\": 2}", "2:1");
  expect_refused ("{\"a\": 1}\ntrailing\n", "2:");
  expect_refused ("a: 1\n---\nb: 2\n", "2:1 a second document begins here");
  expect_refused ("a: 1\n...\n", "2:1 the end marker");
  expect_refused ("a: [1, 2\nb: 3\n", "2:1 a comma or closing bracket is missing");
  expect_refused ("a: [1, 2\n", "1:4 this bracket is never closed");
  expect_refused ("a: {b: 1]\n", "1:9 ']' does not close the '{' of line 1, column 4");
  expect_refused ("a: 1]\nb: ]\n", "2:4 this bracket closes none");
  expect_refused ("{\"a\": 1\n \"b\": 2}", "2:2 a comma or closing bracket is missing");
  expect_refused ("[1,,2]", "1:4 a value is missing before this comma");
  expect_refused ("a: \"open\n", "1:4 the text that this quote opens");
  expect_refused ("a: 'open\n", "1:4 the text that this quote opens");
  expect_refused ("a: 1\n b: 2\n", "");
  expect_refused ("a: one\n  two\n", "1:4 this text goes over several lines");
  expect_refused ("a:\n\t- b\n", "2:1 a tab in the indentation");
  expect_refused ("a: &x 1\nb: *x\n", "1:4 anchors and aliases");
  expect_refused ("a: *x\n", "1:4 anchors and aliases");
  expect_refused ("a: !!int 1\n", "1:4 tags");
  expect_refused ("a: {<<: {b: 1}}\n", "1:5 merge keys");
  expect_refused ("? a\n: b\n", "1:1 keys are single words");
  expect_refused ("[a]: b\n", "1:1 a key must be a word");
  expect_refused ("%YAML 1.1\n---\na: 1\n", "1:1 directives");
  expect_refused ("a: |\n  text\n", "1:4 text over several lines");
  expect_refused ("a: \"x\\u0000y\"\n", "1:4 this text holds a NUL");
  expect_refused ("a: \"\\ud800\"\n", "1:");
  expect_refused ("a: \"\\ud800\\u0041\"\n", "1:");
  expect_refused ("a: \"\\P\"\n", "1:4 this text has an escape for a character that is not allowed");
  expect_refused ("a: \"\\u0085\"\n", "1:4 this text has an escape for a character that is not allowed");
  expect_refused ("a: \"\\q\"\n", "1:");
  expect_refused ("a: \"\\x4\"\n", "1:");
  expect_refused (std::string ("a: 1\nb: x\0y\n", 12), "2:5 a NUL byte follows");
  expect_refused ("a: \xff\n", "1:4 the byte 0xFF");
  expect_refused ("a: \x01\n", "1:4 the character U+0001");
  expect_refused ("a: x\xe2\x80\xa8y\n", "1:5 the character U+2028");
  expect_refused (": 1\n", "1:1 a key is missing");
}

TEST (Located, BoundsDepthAndSize)
{
  std::string nested (100000, '[');
  expect_refused (nested, "1:65 lists and mappings are nested deeper than 64 levels");
  std::string objects;
  for (int i = 0; i < 100000; i++)
    objects += "{\"a\":";
  expect_refused (objects, "1:321 lists and mappings are nested deeper");
  std::string dashes;
  for (int i = 0; i < 100000; i++)
    dashes += "- ";
  expect_refused (dashes + "x", "1:129 lists and mappings are nested deeper");
  std::string indented;
  for (int i = 0; i < 3000; i++)
    indented += std::string ((size_t) i, ' ') + "a:\n";
  expect_refused (indented, "65:65 lists and mappings are nested deeper");
  std::string marked = "--- " + nested;
  expect_refused (marked, "1:69 lists and mappings are nested deeper");
  expect_refused (std::string (17u << 20, ' '), "0:0 the text has 17825792 bytes, at most 16777216 are read");
  std::string deep = std::string (64, '[') + std::string (64, ']');
  Parsed good (deep);
  EXPECT_NE (good.document, nullptr) << good.complaint ();
}

TEST (Located, ManyKeys)
{
  std::string text;
  for (int i = 0; i < 5000; i++)
    text += "key" + std::to_string (i) + ": " + std::to_string (i) + "\n";
  Parsed p (text + "key17: 1\n");
  EXPECT_EQ (p.complaint (), "5001:1 the key 'key17' is given twice, first in line 18, column 1: remove one\n");
  EXPECT_STREQ (ht_located_node_get_text (p.at ("key4999")), "4999");
  EXPECT_EQ (p.at ("key5000"), nullptr);
}

TEST (Located, TypedValuesAreExact)
{
  Parsed p ("i: 7\nbig: 18446744073709551615\nneg: -1\nd: 2.5\nt: true\nq: \"true\"\ns: x\nn: null\nl: [1]\n");
  ASSERT_NE (p.document, nullptr) << p.complaint ();
  g_autoptr (GError) error = nullptr;
  gint64 i;
  guint64 u;
  double d;
  gboolean b;
  ASSERT_TRUE (ht_located_node_get_int64 (p.at ("i"), 1, 7, &i, &error));
  EXPECT_EQ (i, 7);
  EXPECT_FALSE (ht_located_node_get_int64 (p.at ("i"), 1, 6, &i, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "'i' is 7, must be 1 … 6");
  EXPECT_FALSE (ht_located_node_get_int64 (p.at ("d"), 1, 6, &i, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'d' is the number 2.5, must be an integer");
  EXPECT_FALSE (ht_located_node_get_int64 (p.at ("big"), 0, G_MAXINT64, &i, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "'big' is 18446744073709551615, must be");
  ASSERT_TRUE (ht_located_node_get_uint64 (p.at ("big"), 0, G_MAXUINT64, &u, &error));
  EXPECT_EQ (u, G_MAXUINT64);
  EXPECT_FALSE (ht_located_node_get_uint64 (p.at ("neg"), 0, G_MAXUINT64, &u, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "'neg' is -1, must be 0 …");
  ASSERT_TRUE (ht_located_node_get_double (p.at ("i"), 0, 10, &d, &error));
  EXPECT_EQ (d, 7.0);
  ASSERT_TRUE (ht_located_node_get_boolean (p.at ("t"), &b, &error));
  EXPECT_TRUE (b);
  EXPECT_FALSE (ht_located_node_get_boolean (p.at ("q"), &b, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'q' is the text 'true', must be true or false");
  EXPECT_EQ (ht_located_node_get_string (p.at ("i"), &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'i' is the number 7, must be text: put it in quotes");
  EXPECT_EQ (ht_located_node_get_string (p.at ("n"), &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'n' is null, must be text");
  EXPECT_FALSE (ht_located_node_check_kind (p.at ("l"), HT_LOCATED_MAPPING, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'l' is a list, must be a mapping");
}

TEST (Located, Files)
{
  support::TemporaryFolder folder;
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_located_document_load ((folder / "none").c_str (), problems, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "there is no such file");
  EXPECT_EQ (ht_located_document_load (folder.path ().c_str (), problems, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "it is a folder");
  EXPECT_EQ (ht_located_document_load ("/dev/zero", problems, &error), nullptr);
  EXPECT_NO_GERROR (error);
  EXPECT_EQ (problems->len, 1u);
  std::string path = folder / "good";
  ASSERT_TRUE (g_file_set_contents (path.c_str (), "a: 1\n", -1, nullptr));
  g_autoptr (HtLocatedDocument) document = ht_located_document_load (path.c_str (), problems, &error);
  ASSERT_NE (document, nullptr);
}
