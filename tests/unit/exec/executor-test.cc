// SPDX-License-Identifier: MIT
#include "small-graph.h"

#include <thread>

using small::Builder;
using small::floats;
using small::Table;
using small::values;

namespace
{

const std::vector<float> four = { -1, 2, -3, 4 };

// x -> Relu -> a -> Add b (constant 10) -> c -> Neg -> y; a is used twice: also Mul (a, a) -> z.
void
build_branches (Builder &b)
{
  b.input ("x", { -1, 2 }).constant ("b", floats ({ 2 }, { 10, 20 }));
  b.node ("Relu", { "x" }, { "a" });
  b.node ("Add", { "a", "b" }, { "c" });
  b.node ("Neg", { "c" }, { "y" });
  b.node ("Mul", { "a", "a" }, { "z" });
  b.output ("y").output ("z");
}

TEST (Executor, RunsAndReturnsIndependentTensors)
{
  Builder b;
  build_branches (b);
  GError *error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_executor_get_graph (executor), b.graph ());
  Table in;
  in.add ("x", floats ({ 2, 2 }, four));
  Table first (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  Table other;
  other.add ("x", floats ({ 2, 2 }, { 1, 1, 1, 1 }));
  Table second (ht_executor_run (executor, other, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (first["y"]), (std::vector<float>{ -10, -22, -10, -24 }));
  EXPECT_EQ (values (first["z"]), (std::vector<float>{ 0, 4, 0, 16 }));
  EXPECT_EQ (values (second["y"]), (std::vector<float>{ -11, -21, -11, -21 }));
  EXPECT_EQ (values (in["x"]), four);
}

TEST (Executor, BatchSizesMayChange)
{
  Builder b;
  build_branches (b);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  for (int round = 0; round < 3; round++)
    for (gint64 batch : { 1, 5, 2, 9, 3, 4, 1000, 0 })
      {
        GError *error = nullptr;
        Table in;
        std::vector<float> x;
        for (gint64 i = 0; i < 2 * batch; i++)
          x.push_back (static_cast<float> (i - batch));
        in.add ("x", floats ({ batch, 2 }, x));
        Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
        ASSERT_NO_GERROR (error);
        std::vector<float> y = values (out["y"]), z = values (out["z"]);
        ASSERT_EQ (y.size (), x.size ());
        for (size_t i = 0; i < x.size (); i++)
          {
            float a = std::max (x[i], 0.0f);
            ASSERT_EQ (y[i], -(a + (i % 2 ? 20 : 10)));
            ASSERT_EQ (z[i], a * a);
          }
      }
}

TEST (Executor, AnyTensorToAnyTensor)
{
  Builder b;
  build_branches (b);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  const char *wanted_c[] = { "c", "a", nullptr }, *wanted_y[] = { "y", nullptr }, *wanted_x[] = { "x", "b", nullptr };
  Table in, middle, nothing;
  in.add ("x", floats ({ 2, 2 }, four));
  middle.add ("c", floats ({ 1, 2 }, { 7, -7 }));
  Table c (ht_executor_run (executor, in, wanted_c, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (c["c"]), (std::vector<float>{ 10, 22, 10, 24 }));
  EXPECT_EQ (values (c["a"]), (std::vector<float>{ 0, 2, 0, 4 }));
  Table y (ht_executor_run (executor, middle, wanted_y, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (y["y"]), (std::vector<float>{ -7, 7 }));
  // Inputs and constants are tensors as well.
  Table x (ht_executor_run (executor, in, wanted_x, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (x["x"]), four);
  EXPECT_EQ (values (x["b"]), (std::vector<float>{ 10, 20 }));
  // The constant may be given instead.
  in.add ("b", floats ({ 2 }, { 0, 0 }));
  Table replaced (ht_executor_run (executor, in, wanted_y, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (replaced["y"]), (std::vector<float>{ -0.0f, -2, -0.0f, -4 }));
}

TEST (Executor, WrongInputsAreNamed)
{
  Builder b;
  build_branches (b);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  EXPECT_EQ (ht_executor_run (executor, nullptr, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "input 'x'");
  Table rank, dim, type, unknown;
  rank.add ("x", floats ({ 4 }, four));
  EXPECT_EQ (ht_executor_run (executor, rank, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "1 dimensions instead of 2");
  dim.add ("x", floats ({ 1, 4 }, four));
  EXPECT_EQ (ht_executor_run (executor, dim, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "dimension 1 is 4 instead of 2");
  const gint64 ints[] = { 1, 2 };
  type.add ("x", ht_tensor_new_int64s (ints, 2));
  EXPECT_EQ (ht_executor_run (executor, type, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "expected element type float");
  unknown.add ("x", floats ({ 1, 2 }, { 1, 2 })).add ("q", floats ({ 1 }, { 1 }));
  EXPECT_EQ (ht_executor_run (executor, unknown, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "'q'");
  const char *wanted[] = { "nowhere", nullptr };
  Table good;
  good.add ("x", floats ({ 1, 2 }, { 1, 2 }));
  EXPECT_EQ (ht_executor_run (executor, good, wanted, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "'nowhere'");
  // And it still works.
  Table out (ht_executor_run (executor, good, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
}

TEST (Executor, AnUnknownOperatorMattersOnlyWhereItMustRun)
{
  Builder b;
  b.input ("x", { 2 });
  b.node ("Relu", { "x" }, { "a" });
  b.node ("Mystery", { "a" }, { "m" }, "com.example");
  b.node ("Neg", { "m" }, { "y" });
  b.output ("y");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  Table in, after;
  in.add ("x", floats ({ 2 }, { -1, 1 }));
  EXPECT_EQ (ht_executor_run (executor, in, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "Mystery");
  const char *wanted[] = { "a", nullptr };
  Table a (ht_executor_run (executor, in, wanted, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (a["a"]), (std::vector<float>{ 0, 1 }));
  after.add ("m", floats ({ 3 }, { 1, 2, 3 }));
  Table y (ht_executor_run (executor, after, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (y["y"]), (std::vector<float>{ -1, -2, -3 }));
}

// Chains of in-place operators and views around values that are needed again later.
TEST (Executor, SharingMemoryNeverShows)
{
  const gint64 flat[] = { -1 };
  Builder b;
  b.input ("x", { -1, 2 }).constant ("flat", ht_tensor_new_int64s (flat, 1)).constant ("one", floats ({}, { 1 }));
  b.node ("Add", { "x", "one" }, { "a" });
  b.node ("Reshape", { "a", "flat" }, { "v" });
  b.node ("Neg", { "v" }, { "n" }); // v lives on: it is added below
  b.node ("Add", { "v", "n" }, { "zero" });
  b.node ("Relu", { "a" }, { "r" }); // the last use of a, but v shares its memory
  b.node ("Identity", { "v" }, { "i" });
  b.node ("Mul", { "i", "i" }, { "square" });
  b.node ("Add", { "square", "zero" }, { "y" });
  b.output ("y").output ("r");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 2, 2 }, four));
  for (int i = 0; i < 2; i++)
    {
      Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (values (out["y"]), (std::vector<float>{ 0, 9, 4, 25 }));
      EXPECT_EQ (values (out["r"]), (std::vector<float>{ 0, 3, 0, 5 }));
      EXPECT_EQ (values (in["x"]), four);
    }
}

struct Seen
{
  std::vector<std::string> names;
  std::vector<std::vector<float> > contents;
};

void
remember (const char *name, HtTensor *tensor, gpointer user_data)
{
  Seen *seen = static_cast<Seen *> (user_data);
  seen->names.push_back (name);
  seen->contents.push_back (values (tensor));
}

TEST (Executor, TapsSeeEveryTensorInOrder)
{
  Builder b;
  build_branches (b);
  b.node ("Exp", { "x" }, { "unused" });
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 2, 2 }, four));
  const char *taps[] = { "y", "a", "b", "c", "x", "unused", nullptr }, *wanted[] = { "y", nullptr };
  Seen seen;
  Table out (ht_executor_run_tapped (executor, in, wanted, taps, remember, &seen, nullptr, &error));
  ASSERT_NO_GERROR (error);
  ASSERT_EQ (seen.names.size (), 6u);
  auto at = [&] (const char *name) {
    return static_cast<size_t> (std::find (seen.names.begin (), seen.names.end (), name) - seen.names.begin ());
  };
  EXPECT_LT (at ("x"), at ("a"));
  EXPECT_LT (at ("b"), at ("c"));
  EXPECT_LT (at ("a"), at ("c"));
  EXPECT_LT (at ("c"), at ("y"));
  EXPECT_EQ (seen.contents[at ("a")], (std::vector<float>{ 0, 2, 0, 4 }));
  EXPECT_EQ (seen.contents[at ("c")], (std::vector<float>{ 10, 22, 10, 24 }));
  EXPECT_EQ (seen.contents[at ("y")], values (out["y"]));
  const char *wrong[] = { "nowhere", nullptr };
  EXPECT_EQ (ht_executor_run_tapped (executor, in, wanted, wrong, remember, &seen, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "'nowhere'");
}

struct Cancelling
{
  GCancellable *cancellable;
  int calls;
};

void
cancel (const char *, HtTensor *, gpointer user_data)
{
  Cancelling *self = static_cast<Cancelling *> (user_data);
  self->calls++;
  g_cancellable_cancel (self->cancellable);
}

TEST (Executor, CancellationStopsBetweenNodes)
{
  Builder b;
  build_branches (b);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Cancelling state = { cancellable, 0 };
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 2, 2 }, four));
  const char *taps[] = { "a", "y", nullptr };
  EXPECT_EQ (ht_executor_run_tapped (executor, in, nullptr, taps, cancel, &state, cancellable, &error), nullptr);
  EXPECT_EQ (state.calls, 1);
  ASSERT_NE (error, nullptr);
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  g_clear_error (&error);
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (out["z"]), (std::vector<float>{ 0, 4, 0, 16 }));
}

void
run_again (const char *, HtTensor *, gpointer user_data)
{
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 1, 2 }, { 1, 2 }));
  EXPECT_EQ (ht_executor_run (static_cast<HtExecutor *> (user_data), in, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "running");
}

TEST (Executor, ATapCannotRunItsOwnExecutor)
{
  Builder b;
  build_branches (b);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 2, 2 }, four));
  const char *taps[] = { "a", nullptr };
  Table out (ht_executor_run_tapped (executor, in, nullptr, taps, run_again, executor, nullptr, &error));
  ASSERT_NO_GERROR (error);
}

TEST (Executor, ThreadsTakeTurns)
{
  Builder b;
  build_branches (b);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back ([&, t] {
      for (int i = 0; i < 50; i++)
        {
          GError *error = nullptr;
          Table in;
          float value = static_cast<float> (t + 1);
          in.add ("x", floats ({ 1, 2 }, { value, -value }));
          Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
          ASSERT_NO_GERROR (error);
          ASSERT_EQ (values (out["z"])[0], value * value);
        }
    });
  for (std::thread &thread : threads)
    thread.join ();
}

TEST (Executor, LaterChangesOfTheGraphAreNotSeen)
{
  Builder b;
  build_branches (b);
  GError *error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  b.constant ("b", floats ({ 2 }, { 0, 0 }));
  Table in;
  in.add ("x", floats ({ 1, 2 }, { 1, 2 }));
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (out["y"]), (std::vector<float>{ -11, -22 }));
}

TEST (Executor, ACycleIsAnError)
{
  Builder b;
  b.input ("x", { 2 });
  b.node ("Add", { "x", "q" }, { "p" });
  b.node ("Relu", { "p" }, { "q" });
  b.output ("q");
  GError *error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  EXPECT_EQ (executor, nullptr);
  ASSERT_NE (error, nullptr);
  EXPECT_EQ (error->domain, HT_ERROR);
  g_clear_error (&error);
}

// A branch reads values around it, constants among them, and its shapes are known only when it runs.
TEST (Executor, BranchesReadWhatIsAroundThem)
{
  Builder b (16), yes (16), no (16);
  b.input ("x", { -1, 2 }).input ("which", {}, HT_DATA_TYPE_BOOL).constant ("b", floats ({ 2 }, { 10, 20 }));
  b.node ("Relu", { "x" }, { "a" });
  yes.node ("Add", { "a", "b" }, { "yes_out" });
  yes.output ("yes_out");
  no.node ("Neg", { "x" }, { "no_inner" });
  no.node ("Mul", { "no_inner", "a" }, { "no_out" });
  no.output ("no_out");
  HtNode *node = b.node ("If", { "which" }, { "i" });
  ht_graph_set_subgraph (b.graph (), node, "then_branch", yes.graph ());
  ht_graph_set_subgraph (b.graph (), node, "else_branch", no.graph ());
  b.node ("Neg", { "i" }, { "y" });
  b.output ("y");
  GError *error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  for (int round = 0; round < 2; round++)
    for (bool which : { true, false })
      {
        Table in;
        HtTensor *flag = ht_tensor_new (HT_DATA_TYPE_BOOL, nullptr, 0, nullptr);
        *static_cast<guint8 *> (ht_tensor_get_writable_data (flag)) = which;
        in.add ("x", floats ({ 2, 2 }, four)).add ("which", flag);
        const char *taps[] = { "no_inner", nullptr };
        Seen seen;
        Table out (ht_executor_run_tapped (executor, in, nullptr, taps, remember, &seen, nullptr, &error));
        ASSERT_NO_GERROR (error);
        EXPECT_EQ (values (out["y"]),
                   which ? (std::vector<float>{ -10, -22, -10, -24 }) : (std::vector<float>{ 0, 4, 0, 16 }));
        EXPECT_EQ (seen.names.size (), which ? 0u : 1u);
      }
}

TEST (Executor, AbsurdShapesFailWithoutMemory)
{
  const gint64 huge[] = { G_GINT64_CONSTANT (1) << 20, G_GINT64_CONSTANT (1) << 20, 1 << 10 };
  Builder b;
  b.input ("x", { 1 }).constant ("shape", ht_tensor_new_int64s (huge, 3));
  b.node ("Expand", { "x", "shape" }, { "e" });
  b.node ("Neg", { "e" }, { "y" });
  b.output ("y");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 1 }, { 1 }));
  EXPECT_EQ (ht_executor_run (executor, in, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NO_MEMORY, "memory");
}

}
