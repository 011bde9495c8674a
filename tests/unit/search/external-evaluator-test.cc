// SPDX-License-Identifier: MIT
// Programs that behave, and all the ways in which they do not.
#include "folder.h"

#include <thread>
#include <vector>

extern "C"
{
#include "search/external-evaluator.h"
}

namespace
{

class ExternalEvaluatorTest : public test_folder::FolderTest
{
protected:
  // Runs a line of the shell; "$1" is the model.
  bool run (const char *line, double timeout = 20.0, GCancellable *cancellable = nullptr)
  {
    const char *const command[] = { "/bin/sh", "-c", line, "judge", "{model}", nullptr };
    g_clear_error (&error);
    score = -77.0;
    return ht_external_evaluator_run (command, folder.c_str (), timeout, "some model.onnx", cancellable, &score,
                                      &error);
  }
  double score = 0.0;
};

double
seconds_of (const std::function<void ()> &work)
{
  gint64 start = g_get_monotonic_time ();
  work ();
  return double (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

}

TEST_F (ExternalEvaluatorTest, OneNumberIsTheScore)
{
  ASSERT_TRUE (run ("echo 71.25")) << error->message;
  EXPECT_EQ (score, 71.25);
  ASSERT_TRUE (run ("printf ' -3e-2\\n\\n'")) << error->message;
  EXPECT_EQ (score, -0.03);
  ASSERT_TRUE (run ("echo chatter >&2; printf 7")) << error->message;
  EXPECT_EQ (score, 7.0);
}

TEST_F (ExternalEvaluatorTest, TheModelIsGivenAsAnAbsolutePath)
{
  g_autofree char *here = g_get_current_dir ();
  const std::string expected = std::string (here) + "/some model.onnx";
  const std::string line = "test \"$1\" = '" + expected + "' && echo 1";
  ASSERT_TRUE (run (line.c_str ())) << error->message;
  const char *const inside[]
      = { "/bin/sh", "-c", "test '--model={model}' = \"--model=$0\" && echo 2", expected.c_str (), nullptr };
  ASSERT_TRUE (ht_external_evaluator_run (inside, nullptr, 20.0, "some model.onnx", nullptr, &score, &error))
      << error->message;
  EXPECT_EQ (score, 2.0);
}

TEST_F (ExternalEvaluatorTest, ItRunsInTheFolderGiven)
{
  ASSERT_TRUE (g_file_set_contents (path ("judge").c_str (), "#!/bin/sh\necho 5\n", -1, nullptr));
  ASSERT_EQ (g_chmod (path ("judge").c_str (), 0755), 0);
  const char *const command[] = { "./judge", "{model}", nullptr };
  ASSERT_TRUE (ht_external_evaluator_run (command, folder.c_str (), 20.0, "m", nullptr, &score, &error))
      << error->message;
  EXPECT_EQ (score, 5.0);
}

TEST_F (ExternalEvaluatorTest, OutputThatIsNotOneNumberIsAnError)
{
  EXPECT_FALSE (run ("true"));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "printed nothing");
  for (const char *line : { "echo 1 2", "echo 1; echo 2", "echo accuracy 0.5", "echo 0,5", "echo nan", "echo inf",
                            "echo 0x10", "echo 50%", "printf '1\\0002'", "printf '\\377'", "echo 1..2" })
    {
      EXPECT_FALSE (run (line)) << line;
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "expected one finite number");
    }
  EXPECT_FALSE (run ("echo 1e999"));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "out of range");
}

TEST_F (ExternalEvaluatorTest, ALotOfOutputNeitherBlocksNorFillsTheMemory)
{
  EXPECT_FALSE (run ("head -c 30000000 /dev/zero | tr '\\0' 1; echo")) << score;
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "expected one finite number");
  ASSERT_TRUE (run ("head -c 30000000 /dev/zero | tr '\\0' x >&2; echo 4")) << error->message;
  EXPECT_EQ (score, 4.0);
}

TEST_F (ExternalEvaluatorTest, FailuresQuoteTheLastWords)
{
  EXPECT_FALSE (run ("echo 1; echo first >&2; echo 'no such label file' >&2; exit 3"));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "exit code 3; expected 0: no such label file");
  EXPECT_FALSE (run ("echo 1; kill -SEGV $$"));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "signal 11");
}

TEST_F (ExternalEvaluatorTest, AProgramThatIsNotThereIsNamed)
{
  const char *const command[] = { "./no-judge", "{model}", nullptr };
  EXPECT_FALSE (ht_external_evaluator_run (command, folder.c_str (), 20.0, "m", nullptr, &score, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "'./no-judge' cannot be started");
}

TEST_F (ExternalEvaluatorTest, ATimeLimitEndsItWithAllThatItStarted)
{
  const std::string mark = path ("mark");
  const std::string line = "(sleep 3; touch '" + mark + "') & sleep 60; echo 1";
  double seconds = seconds_of ([&] { EXPECT_FALSE (run (line.c_str (), 0.3)); });
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED, "still running after 0.3 seconds");
  EXPECT_LT (seconds, 2.5);
  g_usleep (4 * G_USEC_PER_SEC);
  EXPECT_FALSE (g_file_test (mark.c_str (), G_FILE_TEST_EXISTS));
}

TEST_F (ExternalEvaluatorTest, ClosingItsOutputDoesNotEndTheTimeLimit)
{
  EXPECT_FALSE (run ("echo 1; exec >&- 2>&-; sleep 60", 0.3));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED, "still running");
}

TEST_F (ExternalEvaluatorTest, WhatItLeftRunningDoesNotHoldUsUp)
{
  double seconds = seconds_of ([&] { ASSERT_TRUE (run ("sleep 60 & echo 6")) << error->message; });
  EXPECT_EQ (score, 6.0);
  EXPECT_LT (seconds, 10.0);
}

TEST_F (ExternalEvaluatorTest, CancellingEndsIt)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  std::thread thread ([&] {
    g_usleep (200000);
    g_cancellable_cancel (cancellable);
  });
  double seconds = seconds_of ([&] { EXPECT_FALSE (run ("sleep 60; echo 1", 0.0, cancellable)); });
  thread.join ();
  EXPECT_GERROR (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "");
  EXPECT_LT (seconds, 2.0);
  EXPECT_FALSE (run ("echo 1", 0.0, cancellable)) << "cancelled before";
}

TEST_F (ExternalEvaluatorTest, SeveralMayRunAtOnce)
{
  std::vector<std::thread> threads;
  std::vector<double> scores (8, 0.0);
  for (int i = 0; i < 8; i++)
    threads.emplace_back ([i, &scores] {
      const std::string line = "sleep 0.1; echo " + std::to_string (i);
      const char *const command[] = { "/bin/sh", "-c", line.c_str (), nullptr };
      EXPECT_TRUE (ht_external_evaluator_run (command, nullptr, 20.0, "m", nullptr, &scores[i], nullptr));
    });
  for (std::thread &thread : threads)
    thread.join ();
  for (int i = 0; i < 8; i++)
    EXPECT_EQ (scores[i], i);
}
