// SPDX-License-Identifier: MIT
// Gradients of whole graphs: against central differences in double, and properties of the plan.
#include "small-graph.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <tuple>

extern "C"
{
#include "exec/gradient-run.h"
}

using small::Builder;
using small::floats;
using small::Table;
using small::values;

namespace
{

std::mt19937 engine (3);

HtTensor *
doubles (std::vector<gint64> dims, double spread = 1.0)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_DOUBLE, dims.data (), static_cast<guint> (dims.size ()), nullptr);
  std::normal_distribution<double> normal (0.0, spread);
  double *data = static_cast<double *> (ht_tensor_get_writable_data (tensor));
  for (size_t i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    do
      data[i] = normal (engine);
    while (std::fabs (data[i]) < 0.02);
  return tensor;
}

HtTensor *
random_floats (std::vector<gint64> dims, float spread = 1.0f)
{
  HtTensor *tensor = floats (dims, {});
  std::normal_distribution<float> normal (0.0f, spread);
  float *data = static_cast<float *> (ht_tensor_get_writable_data (tensor));
  for (size_t i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    data[i] = normal (engine);
  return tensor;
}

using Names = std::vector<const char *>;

Names
ended (Names names)
{
  names.push_back (nullptr);
  return names;
}

HtGradient *
make (HtGraph *graph, const Names &tensors)
{
  GError *error = nullptr;
  HtGradient *gradient = ht_gradient_new (graph, ended (tensors).data (), &error);
  EXPECT_NE (gradient, nullptr) << (error ? error->message : "");
  g_clear_error (&error);
  return gradient;
}

HtGradientResult *
run (HtGradient *gradient, GHashTable *inputs, GHashTable *seeds, const Names &outputs = {})
{
  GError *error = nullptr;
  HtGradientResult *result = ht_gradient_run (gradient, inputs, seeds, ended (outputs).data (), nullptr, &error);
  EXPECT_NE (result, nullptr) << (error ? error->message : "");
  g_clear_error (&error);
  return result;
}

std::string
failure (HtGradient *gradient, GHashTable *inputs, GHashTable *seeds, int code)
{
  GError *error = nullptr;
  g_autoptr (HtGradientResult) result = ht_gradient_run (gradient, inputs, seeds, nullptr, nullptr, &error);
  EXPECT_EQ (result, nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, code)) << (error ? error->message : "no error");
  std::string message = error ? error->message : "";
  g_clear_error (&error);
  return message;
}

// The loss, with one element of one given tensor moved.
double
loss_at (HtGradient *gradient, const Table &in, const Table &seeds, const char *name, size_t index, double by)
{
  g_autoptr (GHashTable) moved
      = g_hash_table_new_full (g_str_hash, g_str_equal, nullptr, (GDestroyNotify)ht_tensor_unref);
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init (&iter, in);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (moved, key, ht_tensor_ref (static_cast<HtTensor *> (value)));
  HtTensor *copy = ht_tensor_copy (in[name], nullptr);
  static_cast<double *> (ht_tensor_get_writable_data (copy))[index] += by;
  g_hash_table_insert (moved, const_cast<char *> (name), copy);
  g_autoptr (HtGradientResult) result = run (gradient, moved, seeds);
  return result ? ht_gradient_result_get_loss (result) : 0.0;
}

void
check_differences (HtGradient *gradient, const Table &in, const Table &seeds, const Names &tensors)
{
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds);
  ASSERT_NE (result, nullptr);
  for (const char *name : tensors)
    {
      HtTensor *found = ht_gradient_result_get_gradient (result, name);
      ASSERT_NE (found, nullptr) << name;
      for (size_t i = 0; i < ht_tensor_get_n_elements (found); i++)
        {
          const double step = 1e-6;
          double expected
              = (loss_at (gradient, in, seeds, name, i, step) - loss_at (gradient, in, seeds, name, i, -step))
                / (2 * step);
          EXPECT_NEAR (ht_tensor_get_double (found, i), expected, 1e-6 * (1 + std::fabs (expected)))
              << name << " element " << i;
        }
    }
}

Builder &
in_double (Builder &b, const char *name, std::vector<gint64> dims)
{
  return b.input (name, dims, HT_DATA_TYPE_DOUBLE);
}

TEST (Gradient, BranchesSharedWeightsAndViews)
{
  Builder b;
  in_double (b, "x", { 3, 4 });
  in_double (b, "w", { 4, 4 });
  in_double (b, "v", { 4 });
  const gint64 shape[] = { 4, 3 };
  b.constant ("shape", ht_tensor_new_int64s (shape, 2));
  b.node ("MatMul", { "x", "w" }, { "a" });
  b.node ("Add", { "a", "v" }, { "b" });
  b.node ("Tanh", { "b" }, { "c" });
  b.node ("MatMul", { "c", "w" }, { "d" }); // w again
  b.node ("Add", { "d", "x" }, { "e" });    // x again, around
  b.node ("Relu", { "e" }, { "f" });
  b.node ("Mul", { "f", "f" }, { "g" }); // one tensor twice in one node
  b.node ("Reshape", { "g", "shape" }, { "h" });
  b.node ("Sigmoid", { "h" }, { "y" });
  b.node ("Mul", { "h", "h" }, { "z" }); // the view has two readers
  b.output ("y").output ("z");
  Table in, seeds;
  in.add ("x", doubles ({ 3, 4 })).add ("w", doubles ({ 4, 4 })).add ("v", doubles ({ 4 }));
  seeds.add ("y", doubles ({ 4, 3 })).add ("z", doubles ({ 4, 3 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "x", "w", "v", "c" });
  check_differences (gradient, in, seeds, { "x", "w", "v" });
}

TEST (Gradient, OfActivations)
{
  Builder b;
  in_double (b, "x", { 2, 3 });
  b.node ("Tanh", { "x" }, { "a" });
  b.node ("Mul", { "a", "a" }, { "b" });
  b.node ("Add", { "b", "a" }, { "y" });
  b.output ("y");
  Table in, seeds;
  in.add ("x", doubles ({ 2, 3 }));
  seeds.add ("y", doubles ({ 2, 3 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "a", "y" });
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds, { "a" });
  HtTensor *a = ht_gradient_result_get_output (result, "a"), *da = ht_gradient_result_get_gradient (result, "a");
  for (size_t i = 0; i < 6; i++)
    {
      double g = ht_tensor_get_double (seeds["y"], i);
      EXPECT_DOUBLE_EQ (ht_tensor_get_double (ht_gradient_result_get_gradient (result, "y"), i), g);
      EXPECT_NEAR (ht_tensor_get_double (da, i), g * (2 * ht_tensor_get_double (a, i) + 1), 1e-12);
    }
  // The run may start there, too.
  Table from_a, from_seeds;
  from_a.add ("a", ht_tensor_copy (a, nullptr));
  from_seeds.add ("y", ht_tensor_copy (seeds["y"], nullptr));
  g_autoptr (HtGradientResult) again = run (gradient, from_a, from_seeds);
  EXPECT_TRUE (ht_tensor_equal (ht_gradient_result_get_gradient (again, "a"), da));
}

TEST (Gradient, IsZeroWhereNothingLeads)
{
  Builder b;
  in_double (b, "x", { 2 });
  in_double (b, "u", { 2 });
  b.node ("Tanh", { "x" }, { "y" });
  b.node ("Tanh", { "u" }, { "z" });
  b.output ("y").output ("z");
  Table in, seeds;
  in.add ("x", doubles ({ 2 })).add ("u", doubles ({ 2 }));
  seeds.add ("y", doubles ({ 2 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "u", "z", "x" });
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds);
  for (const char *name : { "u", "z" })
    for (size_t i = 0; i < 2; i++)
      EXPECT_EQ (ht_tensor_get_double (ht_gradient_result_get_gradient (result, name), i), 0.0);
  EXPECT_NE (ht_tensor_get_double (ht_gradient_result_get_gradient (result, "x"), 0), 0.0);
}

TEST (Gradient, BatchStatistics)
{
  Builder b;
  in_double (b, "x", { 4, 3, 5 });
  for (const char *name : { "scale", "shift" })
    in_double (b, name, { 3 });
  in_double (b, "mean", { 3 });
  in_double (b, "variance", { 3 });
  b.node ("BatchNormalization", { "x", "scale", "shift", "mean", "variance" }, { "n" });
  b.node ("Tanh", { "n" }, { "y" });
  b.output ("y");
  Table in, seeds;
  in.add ("x", doubles ({ 4, 3, 5 })).add ("scale", doubles ({ 3 })).add ("shift", doubles ({ 3 }));
  in.add ("mean", doubles ({ 3 })).add ("variance", doubles ({ 3 }));
  seeds.add ("y", doubles ({ 4, 3, 5 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "x", "scale", "shift" });
  ht_gradient_set_batch_statistics (gradient, TRUE);
  check_differences (gradient, in, seeds, { "x", "scale", "shift" });
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds);
  HtTensor *mean = ht_gradient_result_get_statistic (result, "mean");
  HtTensor *variance = ht_gradient_result_get_statistic (result, "variance");
  for (size_t c = 0; c < 3; c++)
    {
      double sum = 0, squares = 0;
      for (size_t n = 0; n < 4; n++)
        for (size_t i = 0; i < 5; i++)
          {
            double x = ht_tensor_get_double (in["x"], (n * 3 + c) * 5 + i);
            sum += x;
            squares += x * x;
          }
      double m = sum / 20, v = squares / 20 - m * m;
      // The attribute momentum of ONNX is a float of 0.9.
      EXPECT_NEAR (ht_tensor_get_double (mean, c), 0.9 * ht_tensor_get_double (in["mean"], c) + 0.1 * m, 1e-6);
      EXPECT_NEAR (ht_tensor_get_double (variance, c), 0.9 * ht_tensor_get_double (in["variance"], c) + 0.1 * v, 1e-6);
    }
}

// A chain of layers around which a residual goes, in float.
class Chain
{
public:
  explicit Chain (guint n) : n_ (n)
  {
    builder.input ("x", { 8, 16 });
    std::string last = "x";
    for (guint i = 0; i < n; i++)
      {
        std::string w = name ("w", i), m = name ("m", i), t = name ("t", i), y = name ("y", i);
        builder.constant (w.c_str (), random_floats ({ 16, 16 }, 0.3f));
        builder.node ("MatMul", { last.c_str (), w.c_str () }, { m.c_str () });
        builder.node ("Tanh", { m.c_str () }, { t.c_str () });
        if (i % 3 == 2)
          builder.node ("Add", { t.c_str (), last.c_str () }, { y.c_str () });
        else
          builder.node ("Sigmoid", { t.c_str () }, { y.c_str () });
        last = y;
      }
    builder.output (last.c_str ());
    output = last;
    in.add ("x", random_floats ({ 8, 16 }));
    seeds.add (output.c_str (), random_floats ({ 8, 16 }));
  }
  static std::string name (const char *prefix, guint i) { return prefix + std::to_string (i); }
  Names weights ()
  {
    Names names;
    names_.clear ();
    for (guint i = 0; i < n_; i++)
      names_.push_back (name ("w", i));
    for (const std::string &name : names_)
      names.push_back (name.c_str ());
    return names;
  }
  guint64 peak (HtGradient *gradient, guint *n_segments)
  {
    guint64 bytes = 0;
    const char *losses[] = { output.c_str (), nullptr };
    EXPECT_TRUE (ht_gradient_measure (gradient, in, losses, nullptr, &bytes, n_segments, nullptr));
    return bytes;
  }

  Builder builder;
  Table in, seeds;
  std::string output;

private:
  guint n_;
  std::vector<std::string> names_;
};

TEST (Gradient, RecomputationGivesTheSameBytes)
{
  Chain chain (24);
  g_autoptr (HtGradient) gradient = make (chain.builder.graph (), chain.weights ());
  g_autoptr (HtGradientResult) expected = run (gradient, chain.in, chain.seeds);
  guint n_segments = 0;
  guint64 all = chain.peak (gradient, &n_segments), results = 24 * 16 * 16 * 4;
  EXPECT_EQ (n_segments, 1u);
  ASSERT_GT (all, results);
  guint64 last = all;
  for (double part : { 0.8, 0.6, 0.5 })
    {
      guint64 budget = results + static_cast<guint64> (static_cast<double> (all - results) * part);
      ht_gradient_set_memory_budget (gradient, budget);
      guint64 bytes = chain.peak (gradient, &n_segments);
      EXPECT_GT (n_segments, 1u) << part;
      EXPECT_LE (bytes, budget) << part;
      EXPECT_LE (bytes, last);
      last = bytes;
      g_autoptr (HtGradientResult) result = run (gradient, chain.in, chain.seeds);
      ASSERT_NE (result, nullptr);
      for (const char *name : chain.weights ())
        EXPECT_TRUE (ht_tensor_equal (ht_gradient_result_get_gradient (expected, name),
                                      ht_gradient_result_get_gradient (result, name)))
            << name;
    }
  ht_gradient_set_memory_budget (gradient, results + 1);
  EXPECT_NE (failure (gradient, chain.in, chain.seeds, HT_ERROR_NO_MEMORY).find ("recomputation"), std::string::npos);
}

TEST (Gradient, TheSameBytesWithAnyNumberOfThreads)
{
  Chain chain (7);
  g_autoptr (HtGradient) gradient = make (chain.builder.graph (), chain.weights ());
  ht_set_n_threads (1);
  g_autoptr (HtGradientResult) one = run (gradient, chain.in, chain.seeds);
  ht_set_n_threads (3);
  g_autoptr (HtGradientResult) three = run (gradient, chain.in, chain.seeds);
  ht_set_n_threads (0);
  for (const char *name : chain.weights ())
    EXPECT_TRUE (
        ht_tensor_equal (ht_gradient_result_get_gradient (one, name), ht_gradient_result_get_gradient (three, name)));
}

TEST (Gradient, PartsOfABatchAddUp)
{
  Builder b;
  b.input ("x", { -1, 3 }).constant ("w", random_floats ({ 3, 2 }));
  b.node ("MatMul", { "x", "w" }, { "y" });
  b.output ("y");
  g_autoptr (HtGradient) gradient = make (b.graph (), { "w" });
  Table whole, whole_seeds, parts[2], part_seeds[2];
  std::vector<float> x = { 1, 2, 3, 4, 5, 6 }, g = { 1, -1, 2, -2 };
  whole.add ("x", floats ({ 2, 3 }, x));
  whole_seeds.add ("y", floats ({ 2, 2 }, g));
  g_autoptr (HtGradientResult) expected = run (gradient, whole, whole_seeds);
  HtGradientResult *results[2];
  for (int i = 0; i < 2; i++)
    {
      parts[i].add ("x", floats ({ 1, 3 }, { x.begin () + 3 * i, x.begin () + 3 * i + 3 }));
      part_seeds[i].add ("y", floats ({ 1, 2 }, { g.begin () + 2 * i, g.begin () + 2 * i + 2 }));
      results[i] = run (gradient, parts[i], part_seeds[i]);
    }
  EXPECT_TRUE (ht_gradient_result_accumulate (results[0], results[1], nullptr));
  EXPECT_EQ (values (ht_gradient_result_get_gradient (results[0], "w")),
             values (ht_gradient_result_get_gradient (expected, "w")));
  EXPECT_DOUBLE_EQ (ht_gradient_result_get_loss (results[0]), ht_gradient_result_get_loss (expected));
  ht_gradient_result_unref (results[0]);
  ht_gradient_result_unref (results[1]);
}

TEST (Gradient, ParametersCanBeReplaced)
{
  Builder b;
  b.input ("x", { 2 }).constant ("w", floats ({ 2 }, { 1, 2 }));
  b.node ("Mul", { "x", "w" }, { "y" });
  b.output ("y");
  g_autoptr (HtGradient) gradient = make (b.graph (), { "w", "x" });
  Table in, seeds;
  in.add ("x", floats ({ 2 }, { 3, 4 }));
  seeds.add ("y", floats ({ 2 }, { 1, 1 }));
  g_autoptr (HtGradientResult) before = run (gradient, in, seeds);
  EXPECT_EQ (values (ht_gradient_result_get_gradient (before, "x")), (std::vector<float>{ 1, 2 }));
  GError *error = nullptr;
  g_autoptr (HtTensor) replacement = floats ({ 2 }, { 5, 6 });
  ASSERT_TRUE (ht_gradient_set_parameter (gradient, "w", replacement, &error));
  g_autoptr (HtGradientResult) after = run (gradient, in, seeds);
  EXPECT_EQ (values (ht_gradient_result_get_gradient (after, "x")), (std::vector<float>{ 5, 6 }));
  EXPECT_EQ (values (ht_gradient_result_get_gradient (before, "x")), (std::vector<float>{ 1, 2 }));
  g_autoptr (HtTensor) wrong = floats ({ 3 }, { 1, 2, 3 });
  EXPECT_FALSE (ht_gradient_set_parameter (gradient, "w", wrong, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_SHAPE));
  g_clear_error (&error);
  EXPECT_FALSE (ht_gradient_set_parameter (gradient, "y", wrong, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
  g_clear_error (&error);
}

TEST (Gradient, ErrorsNameWhatIsWrong)
{
  Builder b;
  b.input ("x", { 4 });
  b.node ("NonZero", { "x" }, { "i" });
  b.node ("Relu", { "x" }, { "y" });
  b.node ("TopK", { "y", "k" }, { "top", "where" });
  const gint64 k[] = { 2 };
  b.constant ("k", ht_tensor_new_int64s (k, 1));
  b.output ("i").output ("y").output ("top");
  Table in, seeds, index_seeds, long_seeds;
  in.add ("x", floats ({ 4 }, { 1, 2, 3, 4 }));
  seeds.add ("y", floats ({ 4 }, { 1, 1, 1, 1 }));
  long_seeds.add ("y", floats ({ 5 }, { 1, 1, 1, 1, 1 }));
  index_seeds.add ("i", floats ({ 4 }, { 1, 1, 1, 1 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "x" });
  EXPECT_NE (failure (gradient, in, index_seeds, HT_ERROR_NOT_SUPPORTED).find ("NonZero"), std::string::npos);
  EXPECT_NE (failure (gradient, in, long_seeds, HT_ERROR_SHAPE).find ("'y'"), std::string::npos);
  GError *error = nullptr;
  const char *unknown[] = { "nobody", nullptr };
  EXPECT_EQ (ht_gradient_new (b.graph (), unknown, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
  g_clear_error (&error);
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();
  g_cancellable_cancel (cancelled);
  EXPECT_EQ (ht_gradient_run (gradient, in, seeds, nullptr, cancelled, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  g_clear_error (&error);
}

// y = flag ? tanh (x * w) : x * x, inside the branches under a name that the graph around has as well.
TEST (Gradient, GoesThroughTheBranchThatIsTaken)
{
  Builder b, then_branch, else_branch;
  then_branch.node ("Mul", { "x", "w" }, { "t" });
  then_branch.node ("Tanh", { "t" }, { "out" });
  then_branch.output ("out");
  else_branch.node ("Mul", { "x", "x" }, { "out" });
  else_branch.output ("out");
  in_double (b, "x", { 3 });
  in_double (b, "w", { 3 });
  b.input ("flag", { 1 }, HT_DATA_TYPE_INT64).input ("one", { 1 }, HT_DATA_TYPE_INT64);
  b.node ("Equal", { "flag", "one" }, { "condition" });
  HtNode *node = b.node ("If", { "condition" }, { "chosen" });
  ht_graph_set_subgraph (b.graph (), node, "then_branch", then_branch.graph ());
  ht_graph_set_subgraph (b.graph (), node, "else_branch", else_branch.graph ());
  b.node ("Mul", { "chosen", "chosen" }, { "t" });
  b.node ("Sigmoid", { "t" }, { "y" });
  b.output ("y");
  Table in, seeds;
  const gint64 numbers[] = { 1, 0 };
  in.add ("x", doubles ({ 3 })).add ("w", doubles ({ 3 })).add ("one", ht_tensor_new_int64s (numbers, 1));
  seeds.add ("y", doubles ({ 3 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "x", "w" });
  for (int flag : { 1, 0, 1 })
    {
      in.add ("flag", ht_tensor_new_int64s (numbers + 1 - flag, 1));
      check_differences (gradient, in, seeds, { "x", "w" });
      g_autoptr (HtGradientResult) result = run (gradient, in, seeds);
      EXPECT_EQ (ht_tensor_get_double (ht_gradient_result_get_gradient (result, "w"), 0) == 0.0, flag == 0);
    }
}

TEST (Gradient, OperatorsWithoutOneAreNamed)
{
  Builder b;
  b.input ("x", { 2, 2 });
  b.node ("Det", { "x" }, { "y" });
  b.output ("y");
  Table in, seeds;
  in.add ("x", floats ({ 2, 2 }, { 1, 2, 3, 4 }));
  seeds.add ("y", floats ({}, { 1 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "x" });
  EXPECT_NE (failure (gradient, in, seeds, HT_ERROR_NOT_SUPPORTED).find ("Det"), std::string::npos);
}

void
note (const char *name, HtTensor *value, gpointer user_data)
{
  static_cast<std::vector<std::string> *> (user_data)->push_back (std::string (name) + "="
                                                                  + std::to_string (values (value)[0]));
}

TEST (Gradient, TapsShowTheForwardPhase)
{
  Builder b;
  b.input ("x", { 1 }).constant ("w", floats ({ 1 }, { 3 }));
  b.node ("Mul", { "x", "w" }, { "m" });
  b.node ("Relu", { "m" }, { "y" });
  b.output ("y");
  Table in, seeds;
  in.add ("x", floats ({ 1 }, { 2 }));
  seeds.add ("y", floats ({ 1 }, { 1 }));
  g_autoptr (HtGradient) gradient = make (b.graph (), { "w" });
  std::vector<std::string> seen;
  const char *taps[] = { "x", "w", "m", "y", nullptr };
  g_autoptr (HtGradientResult) result
      = ht_gradient_run_tapped (gradient, in, seeds, nullptr, taps, note, &seen, nullptr, nullptr);
  ASSERT_NE (result, nullptr);
  EXPECT_EQ (seen.size (), 4u);
  for (const char *expected : { "x=2.000000", "w=3.000000", "m=6.000000", "y=6.000000" })
    EXPECT_NE (std::find (seen.begin (), seen.end (), expected), seen.end ()) << expected;
}

HtEncoding *
asymmetric (double scale, gint64 offset)
{
  return ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
}

TEST (Gradient, StraightThroughWithClipping)
{
  Builder b;
  b.input ("x", { 5 });
  b.node ("Identity", { "x" }, { "y" });
  b.output ("y");
  g_autoptr (HtGradient) gradient = make (b.graph (), { "x" });
  g_autoptr (HtEncoding) encoding = asymmetric (0.5, -4); // -2 to 5.5
  ht_gradient_set_encoding (gradient, "x", encoding);
  const char *ranges[] = { "x", nullptr };
  ht_gradient_set_ranges (gradient, ranges);
  Table in, seeds;
  std::vector<float> x = { -3.0f, -1.9f, 0.6f, 5.6f, 9.0f }, g = { 1, 2, 4, 8, 16 };
  in.add ("x", floats ({ 5 }, x));
  seeds.add ("y", floats ({ 5 }, g));
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds, { "y" });
  EXPECT_EQ (values (ht_gradient_result_get_output (result, "y")), (std::vector<float>{ -2, -2, 0.5, 5.5, 5.5 }));
  EXPECT_EQ (values (ht_gradient_result_get_gradient (result, "x")), (std::vector<float>{ 0, 2, 4, 8, 0 }));
  auto part = [&] (HtRangePart which) {
    return static_cast<double> (values (ht_gradient_result_get_range_gradient (result, "x", which))[0]);
  };
  double scale = 1 * -4 + 2 * (-4 + 3.8) + 4 * (1 - 1.2) + 8 * (11 - 11.2) + 16 * 11, offset = 0.5 * (1 + 16);
  EXPECT_NEAR (part (HT_RANGE_PART_SCALE), scale, 1e-4);
  EXPECT_NEAR (part (HT_RANGE_PART_OFFSET), offset, 1e-5);
  // scale = (max - min) / 15, offset = min / scale: max and min are 5.5 and -2.
  EXPECT_NEAR (part (HT_RANGE_PART_MINIMUM), -scale / 15 + 5.5 * 15 / (7.5 * 7.5) * offset, 1e-4);
  EXPECT_NEAR (part (HT_RANGE_PART_MAXIMUM), scale / 15 + 2.0 * 15 / (7.5 * 7.5) * offset, 1e-4);
}

TEST (Gradient, ClipAtTheMaximumFollowsIt)
{
  // Far beyond the range the output is the maximum: moving that by d moves the loss by d for each element.
  Builder b;
  b.input ("x", { 2 });
  b.node ("Identity", { "x" }, { "y" });
  b.output ("y");
  g_autoptr (HtGradient) gradient = make (b.graph (), {});
  g_autoptr (HtEncoding) encoding = asymmetric (0.5, -4);
  ht_gradient_set_encoding (gradient, "x", encoding);
  const char *ranges[] = { "x", nullptr };
  ht_gradient_set_ranges (gradient, ranges);
  Table in, seeds;
  in.add ("x", floats ({ 2 }, { 100, 200 }));
  seeds.add ("y", floats ({ 2 }, { 1, 3 }));
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds);
  EXPECT_NEAR (values (ht_gradient_result_get_range_gradient (result, "x", HT_RANGE_PART_MAXIMUM))[0], 4, 1e-4);
  EXPECT_NEAR (values (ht_gradient_result_get_range_gradient (result, "x", HT_RANGE_PART_MINIMUM))[0], 0, 1e-4);
}

TEST (Gradient, EncodedWeightsByChannelAndActivations)
{
  Builder b;
  b.input ("x", { 3, 2 }).constant ("w", floats ({ 2, 2 }, { 0.3f, 4.0f, -0.7f, 0.9f }));
  b.node ("MatMul", { "x", "w" }, { "m" });
  b.node ("Relu", { "m" }, { "y" });
  b.output ("y");
  g_autoptr (HtGradient) gradient = make (b.graph (), { "w", "x", "m" });
  const double scales[] = { 0.1, 0.2 };
  const gint64 offsets[] = { -8, -8 };
  g_autoptr (HtEncoding) by_channel = ht_encoding_new (4, TRUE, FALSE, 1, scales, offsets, 2, nullptr);
  g_autoptr (HtEncoding) grid = asymmetric (0.25, -6);
  ht_gradient_set_encoding (gradient, "w", by_channel);
  ht_gradient_set_encoding (gradient, "m", grid);
  const char *ranges[] = { "w", "m", nullptr };
  ht_gradient_set_ranges (gradient, ranges);
  Table in, seeds;
  std::vector<float> x = { 1, 2, -1, 0.5f, 0.25f, 3 };
  in.add ("x", floats ({ 3, 2 }, x));
  seeds.add ("y", floats ({ 3, 2 }, { 1, 2, 3, 4, 5, 6 }));
  g_autoptr (HtGradientResult) result = run (gradient, in, seeds, { "y" });
  ASSERT_NE (result, nullptr);
  // w is 0.3 and 1.4 (clipped), -0.7 and 0.8 on its grids; the clipped one gets no gradient.
  std::vector<float> m = { 0.3f - 1.4f, 1.4f + 1.6f, -0.3f - 0.35f, -1.4f + 0.4f, 0.075f - 2.1f, 0.35f + 2.4f };
  std::vector<float> g = { 1, 2, 3, 4, 5, 6 }, dm (6), dw (4);
  double by_scale = 0, by_offset = 0, w_scale[2] = { 0, 0 };
  for (size_t i = 0; i < 6; i++)
    {
      float r = std::nearbyint (m[i] / 0.25f), t = m[i] / 0.25f;
      float q = std::min (std::max (r, -6.0f), 9.0f);
      float behind = q > 0 ? g[i] : 0;
      bool on = r == q;
      dm[i] = on ? behind : 0;
      by_scale += static_cast<double> (behind * (on ? r - t : q));
      by_offset += static_cast<double> (on ? 0 : behind * 0.25f);
      for (size_t k = 0; k < 2; k++)
        dw[k * 2 + i % 2] += x[(i / 2) * 2 + k] * dm[i];
    }
  const float w[] = { 0.3f, 4.0f, -0.7f, 0.9f };
  for (size_t i = 0; i < 4; i++)
    {
      double s = scales[i % 2], t = static_cast<double> (w[i]) / s, r = std::nearbyint (t);
      bool on = r <= 7 && r >= -8;
      w_scale[i % 2] += static_cast<double> (dw[i]) * (on ? r - t : 7);
      dw[i] = on ? dw[i] : 0;
    }
  for (size_t i = 0; i < 6; i++)
    EXPECT_NEAR (values (ht_gradient_result_get_gradient (result, "m"))[i], dm[i], 1e-5) << i;
  for (size_t i = 0; i < 4; i++)
    EXPECT_NEAR (values (ht_gradient_result_get_gradient (result, "w"))[i], dw[i], 1e-5) << i;
  for (size_t c = 0; c < 2; c++)
    EXPECT_NEAR (
        static_cast<double> (values (ht_gradient_result_get_range_gradient (result, "w", HT_RANGE_PART_SCALE))[c]),
        w_scale[c], 1e-4);
  EXPECT_NEAR (
      static_cast<double> (values (ht_gradient_result_get_range_gradient (result, "m", HT_RANGE_PART_SCALE))[0]),
      by_scale, 1e-4);
  EXPECT_NEAR (
      static_cast<double> (values (ht_gradient_result_get_range_gradient (result, "m", HT_RANGE_PART_OFFSET))[0]),
      by_offset, 1e-5);
  // Another grid for the same tensor needs no other plan, and is used.
  g_autoptr (HtEncoding) wide = asymmetric (2.0, -8);
  ht_gradient_set_encoding (gradient, "m", wide);
  g_autoptr (HtGradientResult) again = run (gradient, in, seeds, { "m" });
  for (float value : values (ht_gradient_result_get_output (again, "m")))
    EXPECT_EQ (std::fmod (value, 2.0f), 0.0f);
}

// A small residual network: three channels in, a strided and a pointwise convolution, batch norms, a clamp between
// zero and something, pools, a concatenation and a linear layer.
class Convolutions
{
public:
  Convolutions ()
  {
    builder.input ("x", { 4, 3, 12, 12 });
    conv ("x", "c0", { 20, 3, 3, 3 }); // a bias before batch statistics has no gradient
    norm ("c0", "n0", 20);
    builder.node ("Relu", { "n0" }, { "r0" });
    conv ("r0", "c1", { 20, 20, 3, 3 });
    norm ("c1", "n1", 20);
    builder.node ("Add", { "n1", "r0" }, { "a1" });
    builder.node ("Relu", { "a1" }, { "r1" });
    builder.constant ("low", floats ({}, { 0 })).constant ("high", floats ({}, { 1.5f }));
    conv ("r1", "c2", { 32, 20, 1, 1 }, true);
    builder.node ("Clip", { "c2", "low", "high" }, { "r2" });
    conv ("r2", "c3", { 32, 1, 3, 3 }, false, 32);
    builder.node ("Sigmoid", { "c3" }, { "s3" });
    builder.node ("Mul", { "s3", "c3" }, { "m3" });
    ht_graph_set_int (builder.graph (), builder.node ("Concat", { "m3", "r1" }, { "cat" }), "axis", 1);
    set_ints (builder.node ("MaxPool", { "cat" }, { "pool" }), "kernel_shape", { 2, 2 }, "strides", { 2, 2 });
    conv ("pool", "c4", { 16, 52, 3, 3 });
    builder.node ("GlobalAveragePool", { "c4" }, { "g" });
    builder.node ("Flatten", { "g" }, { "f" });
    parameter ("lw", { 16, 5 });
    builder.node ("MatMul", { "f", "lw" }, { "y" });
    builder.output ("y");
    in.add ("x", random_floats ({ 4, 3, 12, 12 }));
    seeds.add ("y", random_floats ({ 4, 5 }));
  }
  Names chosen (bool inner)
  {
    Names names;
    for (const std::string &name : parameters_)
      names.push_back (name.c_str ());
    names.push_back ("x");
    if (inner)
      for (const char *name : { "c1", "a1", "r2", "cat", "m3" })
        names.push_back (name);
    return names;
  }

  Builder builder;
  Table in, seeds;

private:
  void parameter (const std::string &name, std::vector<gint64> dims)
  {
    float fan = 1;
    for (size_t i = 1; i < dims.size (); i++)
      fan *= static_cast<float> (dims[i]);
    builder.constant (name.c_str (), random_floats (dims, dims.size () > 1 ? std::sqrt (2.0f / fan) : 0.3f));
    parameters_.push_back (name);
  }
  void set_ints (HtNode *node, const char *a, std::vector<gint64> x, const char *b, std::vector<gint64> y) const
  {
    ht_graph_set_ints (builder.graph (), node, a, x.data (), x.size ());
    ht_graph_set_ints (builder.graph (), node, b, y.data (), y.size ());
  }
  void conv (const char *x, const char *y, std::vector<gint64> dims, bool bias = false, gint64 group = 1)
  {
    std::string w = std::string (y) + ".w", b = std::string (y) + ".b";
    gint64 pad = dims[2] / 2;
    parameter (w, dims);
    if (bias)
      parameter (b, { dims[0] });
    std::vector<const char *> inputs = { x, w.c_str () };
    if (bias)
      inputs.push_back (b.c_str ());
    HtNode *node = builder.node ("Conv", inputs, { y });
    set_ints (node, "pads", { pad, pad, pad, pad }, "kernel_shape", { dims[2], dims[3] });
    ht_graph_set_int (builder.graph (), node, "group", group);
  }
  void norm (const char *x, const char *y, gint64 channels)
  {
    std::string base = y;
    for (const char *end : { ".scale", ".shift" })
      parameter (base + end, { channels });
    builder.constant ((base + ".mean").c_str (), random_floats ({ channels }, 0.1f));
    HtTensor *variance = floats ({ channels }, std::vector<float> (static_cast<size_t> (channels), 0.8f));
    builder.constant ((base + ".variance").c_str (), variance);
    builder.node ("BatchNormalization",
                  { x, (base + ".scale").c_str (), (base + ".shift").c_str (), (base + ".mean").c_str (),
                    (base + ".variance").c_str () },
                  { y });
  }

  std::vector<std::string> parameters_;
};

double
relative_error (HtTensor *found, HtTensor *expected)
{
  double error = 0, norm = 0;
  for (size_t i = 0; i < ht_tensor_get_n_elements (expected); i++)
    {
      double x = ht_tensor_get_double (expected, i), d = ht_tensor_get_double (found, i) - x;
      error += d * d;
      norm += x * x;
    }
  return std::sqrt (error / (norm + 1e-12));
}

class BlockedGradient : public testing::TestWithParam<std::tuple<bool, bool, bool> >
{
};

// The parameters: statistics of the batch; inner tensors chosen, so that less can be fused; encoded.
TEST_P (BlockedGradient, IsThatOfTheOperators)
{
  auto [batch_statistics, inner, encoded] = GetParam ();
  Convolutions net;
  Names names = net.chosen (inner);
  HtGradientResult *results[2];
  const char *ranges[] = { "r1", "c2.w", "a1", nullptr };
  for (int plain = 0; plain < 2; plain++)
    {
      g_autoptr (HtGradient) gradient = make (net.builder.graph (), names);
      ht_gradient_set_plain (gradient, plain);
      ht_gradient_set_batch_statistics (gradient, batch_statistics);
      if (encoded)
        {
          g_autoptr (HtEncoding) grid = asymmetric (0.25, -4);
          std::vector<double> scales (32, 0.02);
          std::vector<gint64> offsets (32, -128);
          g_autoptr (HtEncoding) channels
              = ht_encoding_new (8, TRUE, FALSE, 0, scales.data (), offsets.data (), 32, nullptr);
          ht_gradient_set_encoding (gradient, "r1", grid);
          ht_gradient_set_encoding (gradient, "a1", grid);
          ht_gradient_set_encoding (gradient, "c2.w", channels);
          ht_gradient_set_ranges (gradient, ranges);
        }
      results[plain] = run (gradient, net.in, net.seeds);
      ASSERT_NE (results[plain], nullptr);
    }
  for (const char *name : names)
    EXPECT_LE (relative_error (ht_gradient_result_get_gradient (results[0], name),
                               ht_gradient_result_get_gradient (results[1], name)),
               encoded ? 0.05 : 2e-5)
        << name;
  for (const char *name : { "n0.mean", "n1.variance" })
    {
      HtTensor *found = ht_gradient_result_get_statistic (results[0], name);
      EXPECT_EQ (found != nullptr, batch_statistics);
      if (found)
        {
          EXPECT_LE (relative_error (found, ht_gradient_result_get_statistic (results[1], name)), 1e-5) << name;
        }
    }
  for (size_t i = 0; encoded && ranges[i]; i++)
    for (HtRangePart part : { HT_RANGE_PART_SCALE, HT_RANGE_PART_OFFSET })
      EXPECT_LE (relative_error (ht_gradient_result_get_range_gradient (results[0], ranges[i], part),
                                 ht_gradient_result_get_range_gradient (results[1], ranges[i], part)),
                 0.05)
          << ranges[i];
  ht_gradient_result_unref (results[0]);
  ht_gradient_result_unref (results[1]);
}

INSTANTIATE_TEST_SUITE_P (All, BlockedGradient,
                          testing::Combine (testing::Bool (), testing::Bool (), testing::Bool ()));

TEST (Gradient, BlockedBytesDependOnNothing)
{
  Convolutions net;
  Names names = net.chosen (false);
  g_autoptr (HtGradient) gradient = make (net.builder.graph (), names);
  ht_gradient_set_batch_statistics (gradient, TRUE);
  ht_set_n_threads (1);
  g_autoptr (HtGradientResult) expected = run (gradient, net.in, net.seeds);
  ht_set_n_threads (3);
  guint64 all = 0;
  const char *losses[] = { "y", nullptr };
  ASSERT_TRUE (ht_gradient_measure (gradient, net.in, losses, nullptr, &all, nullptr, nullptr));
  for (int budget = 0; budget < 2; budget++)
    {
      guint n_segments;
      ht_gradient_set_memory_budget (gradient, budget ? all * 9 / 10 : 0);
      ASSERT_TRUE (ht_gradient_measure (gradient, net.in, losses, nullptr, nullptr, &n_segments, nullptr));
      EXPECT_EQ (n_segments > 1, budget == 1);
      g_autoptr (HtGradientResult) result = run (gradient, net.in, net.seeds);
      ASSERT_NE (result, nullptr);
      for (const char *name : names)
        EXPECT_TRUE (ht_tensor_equal (ht_gradient_result_get_gradient (expected, name),
                                      ht_gradient_result_get_gradient (result, name)))
            << name << (budget ? " recomputed" : "");
    }
  ht_set_n_threads (0);
}

}
