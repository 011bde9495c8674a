// SPDX-License-Identifier: MIT
#include "base/diagnostic-list.h"
#include "support.h"

static std::string
format (guint line, guint column, guint length, const char *source, const char *message = "wrong")
{
  g_autoptr (HtDiagnostic) d = ht_diagnostic_new (HT_SEVERITY_ERROR, HT_RECIPE_ERROR_SYNTAX, "a.yaml", line, column,
                                                  length, source, message);
  g_autofree char *text = ht_diagnostic_format (d);
  return text;
}

TEST (Diagnostic, MarksTheText)
{
  EXPECT_EQ (format (3, 6, 3, "    - cle: 1"), "a.yaml:3:6: error: wrong\n   3 |     - cle: 1\n     |      ^~~");
  EXPECT_EQ (format (12345, 1, 1, "x"), "a.yaml:12345:1: error: wrong\n12345 | x\n      | ^");
}

TEST (Diagnostic, CountsCharactersAndAlignsWideOnes)
{
  // "日本" takes four columns on a terminal, "é" one.
  EXPECT_EQ (format (1, 5, 2, "日本é:xy"), "a.yaml:1:5: error: wrong\n   1 | 日本é:xy\n     |       ^~");
  EXPECT_EQ (format (1, 1, 2, "日本"), "a.yaml:1:1: error: wrong\n   1 | 日本\n     | ^~~~");
  EXPECT_EQ (format (1, 2, 1, "\tx\x1b[2J"), "a.yaml:1:2: error: wrong\n   1 |  x [2J\n     |  ^");
}

TEST (Diagnostic, StaysInsideTheLine)
{
  EXPECT_EQ (format (1, 2, 100, "abc"), "a.yaml:1:2: error: wrong\n   1 | abc\n     |  ^~");
  EXPECT_EQ (format (1, 4, 5, "abc"), "a.yaml:1:4: error: wrong\n   1 | abc\n     |    ^");
  EXPECT_EQ (format (1, 900, 5, "abc"), "a.yaml:1:900: error: wrong\n   1 | abc\n     |    ^");
  EXPECT_EQ (format (1, 1, 5, ""), "a.yaml:1:1: error: wrong\n   1 | \n     | ^");
}

TEST (Diagnostic, ClipsLongLines)
{
  std::string line = std::string (500, 'a') + "BAD" + std::string (500, 'c');
  std::string text = format (7, 501, 3, line.c_str ());
  std::string expected = "a.yaml:7:501: error: wrong\n   7 | …" + std::string (40, 'a') + "BAD" + std::string (67, 'c')
                         + "…\n     |  " + std::string (40, ' ') + "^~~";
  EXPECT_EQ (text, expected);
}

TEST (Diagnostic, WithoutPlace)
{
  EXPECT_EQ (format (0, 0, 0, nullptr), "a.yaml: error: wrong");
}

TEST (Diagnostic, SendsNothingToTheTerminal)
{
  EXPECT_EQ (format (0, 0, 0, nullptr, "no 'a\x1b[2J\n'"), "a.yaml: error: no 'a\\u001b[2J\\u000a'");
}

TEST (Diagnostic, TakesAnyBytes)
{
  std::string text = format (1, 2, 1, "\xff\xfe\xfd", "m\xff");
  EXPECT_TRUE (g_utf8_validate (text.c_str (), -1, nullptr));
}

TEST (DiagnosticList, SortsCutsAndSetsTheError)
{
  g_autoptr (GPtrArray) found = ht_diagnostic_list_new ();
  g_autoptr (GPtrArray) report = ht_diagnostic_list_new ();
  g_autoptr (GError) error = nullptr;

  for (guint i = 60; i > 0; i--)
    {
      g_autofree char *message = g_strdup_printf ("problem %u", i);
      g_ptr_array_add (found, ht_diagnostic_new (i == 1 ? HT_SEVERITY_WARNING : HT_SEVERITY_ERROR,
                                                 HT_RECIPE_ERROR_OUT_OF_RANGE, "f", i, 2, 1, "xyz", message));
    }
  EXPECT_FALSE (ht_diagnostic_list_finish (found, report, 0, 0, &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "f:2:2: problem 2 (and 58 more)");
  ASSERT_EQ (report->len, 51u);
  EXPECT_STREQ (ht_diagnostic_get_message ((HtDiagnostic *) report->pdata[0]), "problem 1");
  EXPECT_STREQ (ht_diagnostic_get_message ((HtDiagnostic *) report->pdata[50]), "… and 10 more problems");
  EXPECT_EQ (found->len, 0u);
}

TEST (DiagnosticList, WarningsAreNoError)
{
  g_autoptr (GPtrArray) found = ht_diagnostic_list_new ();
  g_autoptr (GError) error = nullptr;

  g_ptr_array_add (found, ht_diagnostic_new (HT_SEVERITY_WARNING, 0, "f", 1, 1, 1, "x", "m"));
  EXPECT_TRUE (ht_diagnostic_list_finish (found, nullptr, 0, 0, &error));
  EXPECT_NO_GERROR (error);
}
