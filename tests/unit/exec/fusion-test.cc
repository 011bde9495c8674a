// SPDX-License-Identifier: MIT
// Blocked layouts and fused chains against one operator a step. Numbers are small integers and scales powers of two, so
// that all arithmetic is exact and the bytes must be the same.
#include "small-graph.h"

extern "C"
{
#include "exec/executor-private.h"
}

#include <functional>
#include <map>
#include <random>

using small::Builder;
using small::floats;
using small::Table;
using small::values;

namespace
{

std::mt19937 engine (7);

HtTensor *
integers (std::vector<gint64> dims, int low, int high)
{
  size_t n = 1;
  for (gint64 dim : dims)
    n *= static_cast<size_t> (dim);
  std::vector<float> x (n);
  for (float &value : x)
    value = static_cast<float> (std::uniform_int_distribution<int> (low, high) (engine));
  return floats (dims, x);
}

HtTensor *
all (gint64 n, float value)
{
  return floats ({ n }, std::vector<float> (static_cast<size_t> (n), value));
}

void
set_ints (Builder &b, HtNode *node, const char *name, std::vector<gint64> list)
{
  ht_graph_set_ints (b.graph (), node, name, list.data (), list.size ());
}

// Conv without bias, batch norm with whole numbers.
void
add_conv (Builder &b, const char *x, const char *conv, const char *norm, gint64 in, gint64 out, gint64 group = 1,
          gint64 kernel = 3)
{
  std::string prefix (conv);
  b.constant ((prefix + ".w").c_str (), integers ({ out, in / group, kernel, kernel }, -2, 2));
  HtNode *node = b.node ("Conv", { x, (prefix + ".w").c_str () }, { conv });
  set_ints (b, node, "pads", { kernel / 2, kernel / 2, kernel / 2, kernel / 2 });
  ht_graph_set_int (b.graph (), node, "group", group);
  if (norm == nullptr)
    return;
  b.constant ((prefix + ".s").c_str (), integers ({ out }, 1, 2))
      .constant ((prefix + ".b").c_str (), integers ({ out }, -9, 9))
      .constant ((prefix + ".m").c_str (), integers ({ out }, -5, 5))
      .constant ((prefix + ".v").c_str (), all (out, 1.0f));
  HtNode *bn = b.node (
      "BatchNormalization",
      { conv, (prefix + ".s").c_str (), (prefix + ".b").c_str (), (prefix + ".m").c_str (), (prefix + ".v").c_str () },
      { norm });
  ht_graph_set_float (b.graph (), bn, "epsilon", 0.0);
}

HtEncoding *
grid (guint bits, double scale)
{
  const gint64 offset = -(gint64 (1) << (bits - 1));
  return ht_encoding_new (bits, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
}

std::map<std::string, std::vector<float> >
run (HtExecutor *executor, GHashTable *in, const std::vector<const char *> &taps = {})
{
  std::map<std::string, std::vector<float> > found;
  std::vector<const char *> names (taps);
  names.push_back (nullptr);
  GError *error = nullptr;
  Table out (ht_executor_run_tapped (
      executor, in, nullptr, names.data (),
      [] (const char *name, HtTensor *tensor, gpointer data) {
        (*static_cast<std::map<std::string, std::vector<float> > *> (data))[std::string ("tap ") + name]
            = values (tensor);
      },
      &found, nullptr, &error));
  EXPECT_EQ (error, nullptr) << (error ? error->message : "");
  g_clear_error (&error);
  if (out.get () == nullptr)
    return found;
  GHashTableIter iter;
  gpointer name, tensor;
  g_hash_table_iter_init (&iter, out);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    found[static_cast<const char *> (name)] = values (static_cast<HtTensor *> (tensor));
  return found;
}

// The three modes side by side.
class Sides
{
public:
  explicit Sides (HtGraph *graph)
  {
    for (HtExecMode mode : { HT_EXEC_PLAIN, HT_EXEC_UNFUSED, HT_EXEC_FUSED })
      {
        executors_.push_back (ht_executor_new (graph, nullptr));
        ht_executor_set_mode (executors_.back (), mode);
      }
  }
  ~Sides ()
  {
    for (HtExecutor *executor : executors_)
      g_object_unref (executor);
  }
  void set (const char *name, HtEncoding *encoding /* transfer full, nullable */)
  {
    for (HtExecutor *executor : executors_)
      ht_executor_set_encoding (executor, name, encoding);
    if (encoding)
      ht_encoding_unref (encoding);
  }
  // What all of them give.
  std::map<std::string, std::vector<float> > same (GHashTable *in, const std::vector<const char *> &taps = {})
  {
    auto judge = run (executors_[0], in, taps);
    EXPECT_EQ (judge, run (executors_[1], in, taps)) << "unfused";
    EXPECT_EQ (judge, run (executors_[2], in, taps)) << "fused";
    return judge;
  }
  HtExecutor *fused () { return executors_[2]; }

private:
  std::vector<HtExecutor *> executors_;
};

// A residual block: r = bn (conv (x)), y = relu (bn (conv (r)) + r).
void
add_block (Builder &b, gint64 channels)
{
  b.input ("x", { HT_DIM_UNKNOWN, 3, 6, 5 });
  add_conv (b, "x", "c0", "r", 3, channels);
  add_conv (b, "r", "c1", "n1", channels, channels);
  b.node ("Add", { "n1", "r" }, { "s" });
  b.node ("Relu", { "s" }, { "y" });
  b.output ("y");
}

class FusionBlock : public testing::TestWithParam<gint64>
{
};

TEST_P (FusionBlock, KeepsEncodingsAtEveryPlaceOfTheChain)
{
  Builder b;
  add_block (b, GetParam ());
  const std::vector<const char *> names = { "c1", "n1", "s", "y", "r" };
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 2, 3, 6, 5 }, -3, 3));
  for (unsigned which = 0; which < 1u << names.size (); which++)
    {
      SCOPED_TRACE (which);
      for (size_t i = 0; i < names.size (); i++)
        sides.set (names[i], which & 1u << i ? grid (8, 4.0) : nullptr);
      sides.same (in);
    }
}

TEST_P (FusionBlock, ShowsTappedTensors)
{
  Builder b;
  add_block (b, GetParam ());
  const std::vector<const char *> names = { "c0", "r", "c1", "n1", "s", "y" };
  Sides sides (b.graph ());
  sides.set ("n1", grid (8, 2.0));
  Table in;
  in.add ("x", integers ({ 1, 3, 6, 5 }, -3, 3));
  auto whole = sides.same (in, names);
  EXPECT_EQ (whole.size (), names.size () + 1);
  for (const char *name : names)
    {
      auto one = sides.same (in, { name });
      EXPECT_EQ (one[std::string ("tap ") + name], whole[std::string ("tap ") + name]) << name;
      EXPECT_EQ (one["y"], whole["y"]) << name;
    }
}

TEST_P (FusionBlock, FollowsTheBatchAndTheThreads)
{
  Builder b;
  add_block (b, GetParam ());
  Sides sides (b.graph ());
  for (gint64 batch : { 1, 3, 1, 5 })
    {
      Table in;
      in.add ("x", integers ({ batch, 3, 6, 5 }, -3, 3));
      ht_set_n_threads (1);
      auto one = sides.same (in);
      ht_set_n_threads (3);
      EXPECT_EQ (one, sides.same (in));
      ht_set_n_threads (0);
    }
}

TEST_P (FusionBlock, StartsAndStopsAnywhere)
{
  Builder b;
  add_block (b, GetParam ());
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 1, 3, 6, 5 }, -3, 3));
  auto whole = sides.same (in, { "c1", "r" });
  Table middle;
  middle.add ("c1", floats ({ 1, GetParam (), 6, 5 }, whole["tap c1"]))
      .add ("r", floats ({ 1, GetParam (), 6, 5 }, whole["tap r"]));
  EXPECT_EQ (sides.same (middle)["y"], whole["y"]);
}

INSTANTIATE_TEST_SUITE_P (Channels, FusionBlock, testing::Values (8, 16, 20, 33));

TEST (Fusion, HoldsEveryAffineAndClamp)
{
  Builder b;
  b.input ("x", { 2, 4, 5, 5 });
  add_conv (b, "x", "c", nullptr, 4, 18);
  b.constant ("k", floats ({ 1 }, { 2.0f })).constant ("each", integers ({ 1, 18, 1, 1 }, -3, 3));
  b.constant ("row", integers ({ 5 }, -3, 3));
  b.node ("Mul", { "c", "k" }, { "a1" });
  b.node ("Add", { "each", "a1" }, { "a2" });
  b.node ("Sub", { "k", "a2" }, { "a3" });
  b.node ("Div", { "a3", "k" }, { "a4" });
  b.node ("Identity", { "a4" }, { "a5" });
  b.constant ("low", floats ({}, { -6.0f })).constant ("high", floats ({}, { 9.0f }));
  b.node ("Clip", { "a5", "low", "high" }, { "p1" });
  b.node ("Relu", { "p1" }, { "p2" });
  b.node ("Min", { "p2", "k" }, { "p3" });
  // Along the last axis: not a matter of channels.
  b.node ("Add", { "p3", "row" }, { "y" });
  b.output ("y");
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 2, 4, 5, 5 }, -3, 3));
  sides.same (in);
  for (const char *name : { "a1", "a4", "p1", "p3", "k" })
    {
      sides.set (name, grid (8, 2.0));
      sides.same (in);
      sides.set (name, nullptr);
    }
}

// Groups of three channels have no place in blocks: such a convolution stays plain, with what follows it.
TEST (Fusion, PlainConvolutionsHaveEpilogues)
{
  Builder b;
  b.input ("x", { 2, 9, 5, 7 });
  add_conv (b, "x", "c", "n", 9, 6, 3, 1);
  b.node ("Relu", { "n" }, { "r" });
  add_conv (b, "r", "d", "m", 6, 6, 3, 1);
  b.node ("Add", { "m", "r" }, { "s" });
  b.constant ("high", floats ({}, { 9.0f })).constant ("low", floats ({}, { 0.0f }));
  b.node ("Clip", { "s", "low", "high" }, { "y" });
  b.output ("y");
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 2, 9, 5, 7 }, -3, 3));
  sides.same (in);
  auto *plan = static_cast<HtExecPlan *> (g_ptr_array_index (sides.fused ()->plans, 0));
  EXPECT_EQ (plan->steps->len, 2u);
  sides.same (in, { "n", "s" });
  for (const char *name : { "c", "n", "r", "m", "s", "y" })
    {
      sides.set (name, grid (8, 2.0));
      sides.same (in);
    }
}

TEST (Fusion, NormalizesPlainTensorsInOneStep)
{
  Builder b;
  b.input ("x", { 2, 6, 5, 7 }).input ("z", { 2, 6, 5, 7 });
  b.constant ("scale", floats ({ 6 }, { 1, 2, -1, 3, 1, 2 })).constant ("shift", floats ({ 6 }, { 0, 1, 2, -3, 4, 1 }));
  b.constant ("mean", floats ({ 6 }, { 1, 0, -1, 2, 1, 1 }))
      .constant ("variance", floats ({ 6 }, { 1, 1, 1, 1, 1, 1 }));
  HtNode *node = b.node ("BatchNormalization", { "x", "scale", "shift", "mean", "variance" }, { "n" });
  ht_graph_set_float (b.graph (), node, "epsilon", 0.0);
  b.node ("Add", { "n", "z" }, { "s" });
  b.constant ("high", floats ({}, { 9.0f })).constant ("low", floats ({}, { 0.0f }));
  b.node ("Clip", { "s", "low", "high" }, { "y" });
  b.output ("y");
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 2, 6, 5, 7 }, -3, 3)).add ("z", integers ({ 2, 6, 5, 7 }, -4, 4));
  sides.same (in);
  auto *plan = static_cast<HtExecPlan *> (g_ptr_array_index (sides.fused ()->plans, 0));
  EXPECT_EQ (plan->steps->len, 1u);
  sides.same (in, { "n", "s" });
  for (const char *name : { "n", "s", "y" })
    {
      sides.set (name, grid (8, 2.0));
      sides.same (in);
    }
}

TEST (Fusion, LeavesSharedTensorsToTheirReaders)
{
  Builder b;
  b.input ("x", { 1, 16, 4, 4 });
  add_conv (b, "x", "c", "n", 16, 16, 16);
  b.node ("Relu", { "n" }, { "r" });
  b.node ("Add", { "r", "n" }, { "s" });
  b.node ("Add", { "s", "s" }, { "t" });
  b.node ("Mul", { "t", "r" }, { "u" });
  add_conv (b, "u", "d", nullptr, 16, 16, 1, 1);
  b.node ("Add", { "d", "u" }, { "v" });
  b.node ("Add", { "u", "v" }, { "y" });
  b.output ("y").output ("s");
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 1, 16, 4, 4 }, -2, 2));
  sides.same (in);
  sides.same (in, { "n", "u" });
}

TEST (Fusion, PoolsJoinsAndMultiplies)
{
  Builder b;
  b.input ("x", { 2, 3, 8, 8 });
  add_conv (b, "x", "c", "n", 3, 20);
  HtNode *pool = b.node ("MaxPool", { "n" }, { "m" });
  set_ints (b, pool, "kernel_shape", { 2, 2 });
  set_ints (b, pool, "strides", { 2, 2 });
  add_conv (b, "m", "d", nullptr, 20, 12, 1, 1);
  b.node ("Relu", { "d" }, { "e" });
  HtNode *join = b.node ("Concat", { "e", "m", "d" }, { "j" });
  ht_graph_set_int (b.graph (), join, "axis", 1);
  b.node ("GlobalAveragePool", { "j" }, { "g" });
  b.node ("Mul", { "j", "g" }, { "h" });
  b.node ("GlobalMaxPool", { "h" }, { "i" });
  HtNode *flat = b.node ("Flatten", { "i" }, { "f" });
  ht_graph_set_int (b.graph (), flat, "axis", 1);
  b.constant ("w", integers ({ 44, 10 }, -2, 2)).constant ("bias", integers ({ 10 }, -3, 3));
  b.node ("Gemm", { "f", "w", "bias" }, { "q" });
  b.node ("Relu", { "q" }, { "y" });
  b.output ("y");
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 2, 3, 8, 8 }, -3, 3));
  sides.same (in);
  for (const char *name : { "m", "j", "h", "i", "q", "y", "w", "d.w" })
    {
      sides.set (name, grid (8, 4.0));
      sides.same (in, { name });
    }
}

TEST (Fusion, CutsAndPads)
{
  Builder b;
  b.input ("x", { 2, 16, 9, 8 });
  auto list = [] (std::vector<gint64> values) {
    gint64 n = static_cast<gint64> (values.size ());
    HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_INT64, &n, 1, nullptr);
    memcpy (ht_tensor_get_writable_data (tensor), values.data (), values.size () * sizeof (gint64));
    return tensor;
  };
  b.constant ("zero", floats ({}, { 0.0f }));
  b.constant ("around", list ({ 0, 0, 1, 0, 0, 0, 2, 1 })).constant ("beside", list ({ 0, 5, 0, 0, 0, 11, 0, 0 }));
  b.constant ("one", list ({ 1 })).constant ("end", list ({ G_MAXINT64 })).constant ("two", list ({ 2 }));
  b.constant ("minus", list ({ -1 })).constant ("rows", list ({ 2 }));
  b.node ("Pad", { "x", "around", "zero" }, { "p" });
  add_conv (b, "p", "c", "n", 16, 20);
  b.node ("Slice", { "n", "one", "end", "rows", "two" }, { "s1" });
  b.node ("Slice", { "s1", "one", "minus", "minus" }, { "s2" });
  b.node ("Pad", { "s2", "beside" }, { "t" });
  b.node ("Relu", { "t" }, { "u" });
  b.node ("Pad", { "u", "around" }, { "v" });
  add_conv (b, "v", "d", nullptr, 36, 16);
  b.node ("Relu", { "d" }, { "y" });
  b.output ("y");
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 2, 16, 9, 8 }, -3, 3));
  sides.same (in);
  for (const char *name : { "p", "s1", "s2", "t", "v" })
    {
      sides.same (in, { name });
      sides.set (name, grid (8, 4.0));
      sides.same (in);
      sides.set (name, nullptr);
    }
}

TEST (Fusion, LeavesGridsThatTheEpilogueCannotApply)
{
  Builder b;
  add_block (b, 16);
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 1, 3, 6, 5 }, -3, 3));
  sides.set ("n1", grid (24, 0.25));
  sides.same (in);
  sides.set ("y", grid (24, 0.25));
  sides.same (in);
  std::vector<double> scales (16);
  std::vector<gint64> offsets (16, -128);
  for (size_t i = 0; i < 16; i++)
    scales[i] = i % 2 ? 2.0 : 8.0;
  for (const char *name : { "c1", "r", "s", "y" })
    {
      sides.set (name, ht_encoding_new (8, FALSE, FALSE, 1, scales.data (), offsets.data (), 16, nullptr));
      sides.same (in);
    }
  // One grid for each channel becomes one for all of them: the plan has to follow.
  sides.set ("r", grid (8, 2.0));
  sides.same (in);
}

TEST (Fusion, PacksWeightsAgainWhenTheirGridChanges)
{
  Builder b;
  add_block (b, 16);
  Sides sides (b.graph ());
  Table in;
  in.add ("x", integers ({ 1, 3, 6, 5 }, -3, 3));
  auto before = sides.same (in);
  sides.set ("c1.w", grid (2, 2.0));
  auto coarse = sides.same (in);
  EXPECT_NE (before, coarse);
  sides.set ("c1.w", grid (8, 1.0));
  EXPECT_EQ (sides.same (in), before);
  sides.set ("c1.w", nullptr);
  EXPECT_EQ (sides.same (in), before);
}

TEST (Fusion, FollowsShapesThatOnlyRunningTells)
{
  Builder b;
  b.input ("x", { 1, 16, HT_DIM_UNKNOWN, HT_DIM_UNKNOWN });
  add_conv (b, "x", "c", "n", 16, 16);
  b.input ("keep", { HT_DIM_UNKNOWN }, HT_DATA_TYPE_BOOL);
  HtNode *compress = b.node ("Compress", { "n", "keep" }, { "k" });
  ht_graph_set_int (b.graph (), compress, "axis", 2);
  add_conv (b, "k", "d", "y", 16, 16);
  b.output ("y");
  Sides sides (b.graph ());
  for (gint64 side : { 4, 7, 4 })
    {
      Table in;
      gint64 dims[] = { side };
      HtTensor *keep = ht_tensor_new (HT_DATA_TYPE_BOOL, dims, 1, nullptr);
      memset (ht_tensor_get_writable_data (keep), 0, static_cast<size_t> (side));
      static_cast<guint8 *> (ht_tensor_get_writable_data (keep))[1] = 1;
      in.add ("x", integers ({ 1, 16, side, side }, -3, 3)).add ("keep", keep);
      sides.same (in);
    }
}

TEST (Fusion, StopsWhenCancelled)
{
  Builder b;
  add_block (b, 16);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = nullptr;
  Table in;
  in.add ("x", integers ({ 1, 3, 6, 5 }, -3, 3));
  g_cancellable_cancel (cancellable);
  EXPECT_EQ (ht_executor_run (executor, in, nullptr, cancellable, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  EXPECT_EQ (run (executor, in).count ("y"), 1u);
}

TEST (Fusion, ChoosesTheBatchByTheBudget)
{
  Builder b;
  add_block (b, 16);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  g_autoptr (GError) error = nullptr;
  auto total = [&] (guint batch) {
    guint64 parts[5];
    EXPECT_TRUE (ht_executor_estimate_memory (executor, batch, nullptr, nullptr, &parts[0], &parts[1], &parts[2],
                                              &parts[3], &parts[4], nullptr));
    return parts[0] + parts[1] + parts[2] + parts[3] + parts[4];
  };
  EXPECT_GT (total (64), total (8));
  EXPECT_EQ (ht_executor_choose_batch (executor, 64, total (64), nullptr, nullptr, &error), 64u);
  EXPECT_EQ (ht_executor_choose_batch (executor, 64, total (64) - 1, nullptr, nullptr, &error), 63u);
  EXPECT_EQ (ht_executor_choose_batch (executor, 64, total (1), nullptr, nullptr, &error), 1u);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_executor_choose_batch (executor, 64, total (1) - 1, nullptr, nullptr, &error), 0u);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED));
}

}
