// SPDX-License-Identifier: MIT
#include "support.h"

extern "C"
{
#include "base/cpu-count.h"
#include "base/thread-pool.h"
}

#include <atomic>
#include <thread>
#include <vector>

namespace
{

struct Count
{
  std::vector<std::atomic<int> > seen;
  std::atomic<bool> bad{ false };
  size_t grain;
  guint limit;
  std::vector<std::atomic<int> > inside;
  Count (size_t n, size_t grain_, guint limit_) : seen (n), grain (grain_), limit (limit_), inside (256) {}
};

void
count (gsize begin, gsize end, guint worker, gpointer user_data)
{
  Count *self = static_cast<Count *> (user_data);
  if (worker >= self->limit || end - begin > self->grain || begin % self->grain != 0)
    self->bad = true;
  if (self->inside[worker]++ != 0)
    self->bad = true;
  for (gsize i = begin; i < end; i++)
    self->seen[i]++;
  self->inside[worker]--;
}

class ThreadPool : public testing::Test
{
protected:
  ~ThreadPool () override { ht_thread_pool_set_size (0); }
};

TEST_F (ThreadPool, EveryItemOnceInFixedChunks)
{
  for (guint size : { 1u, 2u, 3u, 8u })
    for (size_t n : { 0, 1, 2, 10, 1000, 1001 })
      for (size_t grain : { 1, 7, 1000 })
        {
          ht_thread_pool_set_size (size);
          Count work (n, grain, size);
          ht_parallel_for (n, grain, count, &work);
          EXPECT_FALSE (work.bad);
          for (auto &seen : work.seen)
            ASSERT_EQ (seen, 1);
        }
}

TEST_F (ThreadPool, TheLimitHoldsForWorkerNumbers)
{
  ht_thread_pool_set_size (8);
  for (guint limit : { 1u, 2u, 5u })
    {
      Count work (3000, 1, limit);
      ht_parallel_for_limited (3000, 1, limit, count, &work);
      EXPECT_FALSE (work.bad);
    }
}

void
nest (gsize begin, gsize end, guint, gpointer user_data)
{
  auto *works = static_cast<std::vector<Count *> *> (user_data);
  for (gsize i = begin; i < end; i++)
    ht_parallel_for_limited (1000, 10, 1, count, (*works)[i]);
}

TEST_F (ThreadPool, NestedCallsRunInTheirWorker)
{
  ht_thread_pool_set_size (4);
  std::vector<Count *> works;
  for (int i = 0; i < 50; i++)
    works.push_back (new Count (1000, 10, 1));
  ht_parallel_for (works.size (), 1, nest, &works);
  for (Count *work : works)
    {
      EXPECT_FALSE (work->bad);
      for (auto &seen : work->seen)
        EXPECT_EQ (seen, 1);
      delete work;
    }
}

TEST_F (ThreadPool, ManyCallersAndChangingSizes)
{
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; t++)
    callers.emplace_back ([t] {
      for (int i = 0; i < 300; i++)
        {
          if (t == 0)
            ht_thread_pool_set_size (1 + static_cast<guint> (i % 5));
          Count work (500, 3, 256);
          ht_parallel_for (500, 3, count, &work);
          EXPECT_FALSE (work.bad);
          for (auto &seen : work.seen)
            ASSERT_EQ (seen, 1);
        }
    });
  for (auto &caller : callers)
    caller.join ();
}

TEST_F (ThreadPool, TheEnvironmentIsChecked)
{
  const char *old = g_getenv ("HALFTONE_THREADS");
  std::string saved = old ? old : "";
  for (const char *text : { "zero", "0", "-1", "257", "2x", " 2" })
    {
      GError *error = nullptr;
      g_setenv ("HALFTONE_THREADS", text, TRUE);
      EXPECT_FALSE (ht_thread_pool_check_environment (&error)) << text;
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "HALFTONE_THREADS");
    }
  g_setenv ("HALFTONE_THREADS", "5", TRUE);
  EXPECT_TRUE (ht_thread_pool_check_environment (nullptr));
  ht_thread_pool_set_size (0);
  EXPECT_EQ (ht_thread_pool_get_size (), 5u);
  if (old)
    g_setenv ("HALFTONE_THREADS", saved.c_str (), TRUE);
  else
    g_unsetenv ("HALFTONE_THREADS");
}

TEST (CpuCount, QuotasAreRoundedUp)
{
  EXPECT_EQ (ht_cpu_count_parse_quota ("max 100000\n"), 0u);
  EXPECT_EQ (ht_cpu_count_parse_quota ("150000 100000\n"), 2u);
  EXPECT_EQ (ht_cpu_count_parse_quota ("200000 100000\n"), 2u);
  EXPECT_EQ (ht_cpu_count_parse_quota ("1 100000\n"), 1u);
  EXPECT_EQ (ht_cpu_count_parse_quota ("100000"), 0u);
  EXPECT_EQ (ht_cpu_count_parse_quota (""), 0u);
  EXPECT_GE (ht_cpu_count (), 1u);
}

}
