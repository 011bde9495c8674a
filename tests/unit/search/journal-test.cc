// SPDX-License-Identifier: MIT
// Events come back in order; torn ends are cut off, other damage is an error; a full disk leaves what was there.
#include "folder.h"

#include <thread>
#include <vector>

extern "C"
{
#include "search/journal.h"
}

namespace
{

class JournalTest : public test_folder::FolderTest
{
protected:
  void SetUp () override
  {
    FolderTest::SetUp ();
    file = path ("journal.jsonl");
  }
  HtJournal *open ()
  {
    HtJournal *journal = ht_journal_open (file.c_str (), &error);
    EXPECT_NO_GERROR (error);
    return journal;
  }
  std::string read ()
  {
    g_autofree char *text = nullptr;
    gsize size = 0;
    EXPECT_TRUE (g_file_get_contents (file.c_str (), &text, &size, nullptr));
    return std::string (text, size);
  }
  void write (const std::string &text)
  {
    ASSERT_TRUE (g_file_set_contents (file.c_str (), text.data (), (gssize)text.size (), nullptr));
  }
  std::string file;
};

gboolean
append (HtJournal *journal, gint64 n, GError **error, const char *text = "ä \"\n\\")
{
  JsonObject *event = json_object_new ();
  json_object_set_string_member (event, "event", text);
  json_object_set_int_member (event, "n", n);
  json_object_set_double_member (event, "third", 1.0 / 3.0);
  gboolean done = ht_journal_append (journal, event, error);
  json_object_unref (event);
  return done;
}

gint64
number (HtJournal *journal, guint index)
{
  JsonObject *event = ht_journal_get_event (journal, index);
  gint64 n = event != nullptr ? json_object_get_int_member (event, "n") : -1;
  if (event != nullptr)
    json_object_unref (event);
  return n;
}

}

TEST_F (JournalTest, EventsComeBackInOrder)
{
  for (int round = 0; round < 3; round++)
    {
      g_autoptr (HtJournal) journal = open ();
      ASSERT_NE (journal, nullptr);
      EXPECT_EQ (ht_journal_get_n_cut (journal), 0u);
      ASSERT_EQ (ht_journal_get_n_events (journal), guint (2 * round));
      for (int i = 0; i < 2; i++)
        ASSERT_TRUE (append (journal, 2 * round + i, &error)) << error->message;
      for (guint i = 0; i < guint (2 * round + 2); i++)
        EXPECT_EQ (number (journal, i), gint64 (i));
      JsonObject *event = ht_journal_get_event (journal, 0);
      EXPECT_STREQ (json_object_get_string_member (event, "event"), "ä \"\n\\");
      EXPECT_EQ (json_object_get_double_member (event, "third"), 1.0 / 3.0) << "doubles are exact";
      json_object_unref (event);
      EXPECT_EQ (ht_journal_get_event (journal, guint (2 * round + 2)), nullptr);
    }
  g_autoptr (GPtrArray) events = ht_journal_load (file.c_str (), &error);
  ASSERT_NE (events, nullptr);
  EXPECT_EQ (events->len, 6u);
}

// Wherever a crash cuts the file, all whole lines before are there, and the next event follows them.
TEST_F (JournalTest, ATornEndIsCutOff)
{
  {
    g_autoptr (HtJournal) journal = open ();
    for (int i = 0; i < 2; i++)
      ASSERT_TRUE (append (journal, i, &error, "ä"));
  }
  const std::string whole = read ();
  for (gsize length = 0; length <= whole.size (); length++)
    {
      write (whole.substr (0, length));
      gsize n_whole = 0, last = 0;
      for (gsize i = 0; i < length; i++)
        if (whole[i] == '\n')
          {
            n_whole++;
            last = i + 1;
          }
      g_autoptr (GPtrArray) events = ht_journal_load (file.c_str (), &error);
      ASSERT_NE (events, nullptr);
      ASSERT_EQ (events->len, n_whole) << length;
      g_autoptr (HtJournal) journal = open ();
      ASSERT_NE (journal, nullptr);
      ASSERT_EQ (ht_journal_get_n_events (journal), n_whole) << length;
      ASSERT_EQ (ht_journal_get_n_cut (journal), length - last) << length;
      ASSERT_TRUE (append (journal, 77, &error));
      ASSERT_EQ (read ().substr (0, last), whole.substr (0, last));
    }
}

TEST_F (JournalTest, BlocksThatACrashLeftEmptyAreCutOff)
{
  write (std::string ("{\"n\":1}\n") + std::string (64, '\0'));
  g_autoptr (HtJournal) journal = open ();
  ASSERT_NE (journal, nullptr);
  EXPECT_EQ (ht_journal_get_n_events (journal), 1u);
  EXPECT_EQ (ht_journal_get_n_cut (journal), 64u);
  EXPECT_EQ (read (), "{\"n\":1}\n");
}

TEST_F (JournalTest, OtherDamageIsAnErrorWithItsPlace)
{
  const std::string deep = std::string (100000, '[') + std::string (100000, ']');
  for (const std::string &line : { std::string ("{\"n\":"), std::string ("[1]"), std::string (""), std::string ("7"),
                                   std::string ("{\"n\":\"\xff\"}"), std::string (3, '\0'), "{\"n\":" + deep + "}" })
    {
      const std::string text = "{\"n\":1}\n" + line + "\n{\"n\":2}\n";
      write (text);
      g_clear_error (&error);
      EXPECT_EQ (ht_journal_open (file.c_str (), &error), nullptr);
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "journal.jsonl:2:");
      EXPECT_EQ (read (), text) << "nothing is lost";
    }
}

TEST_F (JournalTest, WhatCannotBeReadBackIsNotWritten)
{
  g_autoptr (HtJournal) journal = open ();
  JsonObject *event = json_object_new ();
  json_object_set_double_member (event, "x", G_MAXDOUBLE * 10.0);
  EXPECT_FALSE (ht_journal_append (journal, event, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "cannot be read back");
  json_object_unref (event);
  EXPECT_EQ (read (), "");
}

TEST_F (JournalTest, ThreadsDoNotMixTheirLines)
{
  {
    g_autoptr (HtJournal) journal = open ();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
      threads.emplace_back ([&journal, t] {
        for (int i = 0; i < 25; i++)
          EXPECT_TRUE (append (journal, 100 * t + i, nullptr));
      });
    for (std::thread &thread : threads)
      thread.join ();
    EXPECT_EQ (ht_journal_get_n_events (journal), 100u);
  }
  g_autoptr (HtJournal) journal = open ();
  ASSERT_EQ (ht_journal_get_n_events (journal), 100u);
  std::vector<gint64> next (4, 0);
  for (guint i = 0; i < 100; i++)
    {
      gint64 n = number (journal, i);
      EXPECT_EQ (n % 100, next[n / 100]++) << "each thread's events keep their order";
    }
}

TEST_F (JournalTest, AFullDiskIsAnErrorAndLeavesWhatWasThere)
{
  {
    g_autoptr (HtJournal) journal = open ();
    ASSERT_TRUE (append (journal, 0, &error));
  }
  const std::string before = read ();
  EXPECT_EQ (test_folder::in_child ([&] {
               test_folder::limit_files (before.size () + 10);
               HtJournal *journal = ht_journal_open (file.c_str (), nullptr);
               GError *full = nullptr;
               if (journal == nullptr || append (journal, 1, &full) || full == nullptr)
                 return 1;
               if (strstr (full->message, "cannot write to the journal") == nullptr)
                 return 2;
               return ht_journal_get_n_events (journal) == 1 ? 0 : 3;
             }),
             0);
  EXPECT_EQ (read (), before);
}

TEST_F (JournalTest, AFolderThatIsMissingIsAnError)
{
  EXPECT_EQ (ht_journal_open (path ("no/journal.jsonl").c_str (), &error), nullptr);
  EXPECT_GERROR (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "cannot open the journal");
}
