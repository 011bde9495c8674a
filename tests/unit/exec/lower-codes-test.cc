// SPDX-License-Identifier: MIT
// Steps that take codes as they are, or do several rounds of arithmetic and rounding at once: they give the same bytes
// as the separate steps, and the plan holds them.
#include "integer-layer.h"

#include "exec/executor-private.h"

using small::Builder;
using small::clamp_code;
using small::Codes;
using small::floats;
using small::Grid;
using small::Layer;
using small::set;
using small::set_layer;
using small::Table;
using small::to_codes;
using small::to_values;
using small::values;

namespace
{

const Grid x_grid = { 0.031f, -100 }, a_grid = { 0.073f, 0 }, b_grid = { 0.097f, -128 }, c_grid = { 0.061f, -131 };

HtEncoding *
encoding (const Grid &grid)
{
  const double scale = grid.scale;
  const gint64 offset = grid.offset;
  return ht_encoding_new (8, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
}

std::vector<float>
wave (gsize n)
{
  std::vector<float> x;
  for (gsize i = 0; i < n; i++)
    x.push_back (3.5f * std::sin (0.7f * (float)i) + 0.5f);
  return x;
}

// A graph with layers on integers and an executor for it.
struct Network
{
  Builder b;
  HtExecutor *executor = nullptr;
  std::vector<std::pair<const Layer *, std::pair<std::string, float> > > layers;

  ~Network ()
  {
    if (executor)
      g_object_unref (executor);
  }

  void layer (const Layer &layer, const char *name, const char *input, const char *output, float input_scale,
              gint64 pad)
  {
    std::string w = std::string ("w") + name, bias = std::string ("b") + name;
    gint64 n_in = (gint64)(layer.in / layer.groups), n_out = (gint64)layer.out;
    b.constant (w.c_str (), floats ({ n_out, n_in, 3, 3 }, layer.weight_values ()));
    b.constant (bias.c_str (), floats ({ n_out }, layer.bias_values (input_scale)));
    HtNode *node = b.node ("Conv", { input, w.c_str (), bias.c_str () }, { output });
    const gint64 pads[] = { pad, pad, pad, pad };
    ht_graph_set_ints (b.graph (), node, "pads", pads, 4);
    ht_graph_set_int (b.graph (), node, "group", (gint64)layer.groups);
    layers.push_back ({ &layer, { name, input_scale } });
  }

  void start ()
  {
    executor = ht_executor_new (b.graph (), nullptr);
    for (auto &[layer, how] : layers)
      set_layer (executor, *layer, how.second, ("w" + how.first).c_str (), ("b" + how.first).c_str ());
  }

  void encode (const char *name, const Grid &grid) { set (executor, name, 8, FALSE, { grid.scale }, grid.offset); }

  void encode (std::vector<const char *> names, HtEncoding *grid /* transfer full */)
  {
    for (const char *name : names)
      ht_executor_set_encoding (executor, name, grid);
    ht_encoding_unref (grid);
  }

  std::vector<float> run (GHashTable *in, const char *output, std::vector<const char *> taps = {})
  {
    GError *error = nullptr;
    taps.push_back (nullptr);
    Table out (ht_executor_run_tapped (
        executor, in, nullptr, taps.data (), [] (const char *, HtTensor *, gpointer) {}, nullptr, nullptr, &error));
    EXPECT_EQ (error, nullptr) << (error ? error->message : "");
    return error ? std::vector<float>{} : values (out[output]);
  }

  // Kinds of the latest plan's steps; those that read or make codes have a star.
  std::vector<std::string> kinds () const
  {
    std::vector<std::string> result;
    HtExecPlan *plan = nullptr;
    for (guint i = 0; i < executor->plans->len; i++)
      {
        auto *other = static_cast<HtExecPlan *> (g_ptr_array_index (executor->plans, i));
        if (plan == nullptr || other->last_use > plan->last_use)
          plan = other;
      }
    for (guint i = 0; plan && i < plan->steps->len; i++)
      {
        const HtExecStep *step = ht_exec_plan_step (plan, i);
        bool in = ht_exec_plan_value (plan, step->inputs[0])->layout >= HT_EXEC_LAYOUT_PLAIN_CODES;
        bool out = ht_exec_plan_value (plan, step->outputs[0])->layout >= HT_EXEC_LAYOUT_PLAIN_CODES;
        result.push_back ((in ? "*" : "") + std::string (step->kind->name) + (out ? "*" : ""));
      }
    return result;
  }
};

using Kinds = std::vector<std::string>;

TEST (LowerCodes, APadOnTheGridOfItsInputIsPartOfTheLayer)
{
  Layer a (20, 24, 1, 1), c (24, 24, 24, 3);
  Network net;
  net.b.input ("x", { 2, 20, 6, 6 });
  net.layer (a, "a", "x", "a", x_grid.scale, 1);
  net.b.node ("Relu", { "a" }, { "ra" });
  const gint64 begin_and_end[] = { 0, 0, 0, 1, 0, 0, 2, 3 };
  net.b.constant ("pads", ht_tensor_new_int64s (begin_and_end, 8));
  net.b.node ("Pad", { "ra", "pads" }, { "padded" });
  net.layer (c, "c", "padded", "y", a_grid.scale, 0);
  net.b.output ("y");
  net.start ();
  net.encode ("x", x_grid);
  net.encode ({ "ra", "padded" }, encoding (a_grid));
  net.encode ("y", c_grid);
  Table in;
  in.add ("x", floats ({ 2, 20, 6, 6 }, wave (2 * 20 * 36)));
  std::vector<float> merged = net.run (in, "y");
  EXPECT_EQ (net.kinds (), (Kinds{ "reorder", "convert*", "*conv*", "*conv", "reorder" }));
  EXPECT_EQ (merged, net.run (in, "y", { "padded" }));
  EXPECT_GT (net.kinds ().size (), 5u) << "what is tapped must exist";

  // Grids that are equal but not the same may part ways.
  net.encode ("ra", a_grid);
  EXPECT_EQ (merged, net.run (in, "y"));
  EXPECT_GT (net.kinds ().size (), 5u);
  net.encode ({ "ra", "padded" }, encoding (a_grid));
  EXPECT_EQ (merged, net.run (in, "y"));
  EXPECT_EQ (net.kinds ().size (), 5u);
  net.encode ("ra", { 0.041f, 0 });
  std::vector<float> parted = net.run (in, "y");
  EXPECT_NE (merged, parted);
  EXPECT_EQ (parted, net.run (in, "y", { "padded" }));
}

TEST (LowerCodes, MaxPoolsTakeTheLargestCode)
{
  Layer a (20, 24, 1, 1), c (24, 20, 1, 3);
  Network net;
  net.b.input ("x", { 2, 20, 12, 12 });
  net.layer (a, "a", "x", "a", x_grid.scale, 1);
  HtNode *pool = net.b.node ("MaxPool", { "a" }, { "p" });
  const gint64 kernel[] = { 3, 3 }, strides[] = { 2, 2 }, pads[] = { 1, 1, 1, 1 };
  ht_graph_set_ints (net.b.graph (), pool, "kernel_shape", kernel, 2);
  ht_graph_set_ints (net.b.graph (), pool, "strides", strides, 2);
  ht_graph_set_ints (net.b.graph (), pool, "pads", pads, 4);
  net.layer (c, "c", "p", "y", b_grid.scale, 1);
  net.b.output ("y");
  net.start ();
  net.encode ("x", x_grid);
  net.encode ({ "a", "p" }, encoding (b_grid));
  net.encode ("y", c_grid);
  Table in;
  in.add ("x", floats ({ 2, 20, 12, 12 }, wave (2 * 20 * 144)));
  std::vector<float> merged = net.run (in, "y");
  EXPECT_EQ (net.kinds (), (Kinds{ "reorder", "convert*", "*conv*", "*pool*", "*conv", "reorder" }));
  net.encode ("p", b_grid);
  EXPECT_EQ (merged, net.run (in, "y"));
  EXPECT_EQ (net.kinds (), (Kinds{ "reorder", "convert*", "*conv", "pool*", "*conv", "reorder" }));
}

// What a batch norm that cannot be folded, and the arithmetic around it, look like: a grid behind every node.
TEST (LowerCodes, RoundsOfArithmeticAreOneStep)
{
  Layer a (20, 24, 1, 1), d (24, 24, 24, 5), c (24, 20, 1, 3);
  Network net;
  std::vector<float> scale, shift;
  for (int i = 0; i < 24; i++)
    {
      scale.push_back (0.3f + 0.05f * (float)i);
      shift.push_back (0.4f * (float)(i % 7) - 1.0f);
    }
  net.b.input ("x", { 2, 20, 6, 6 });
  net.b.constant ("scale", floats ({ 24, 1, 1 }, scale)).constant ("shift", floats ({ 24, 1, 1 }, shift));
  net.layer (a, "a", "x", "a", x_grid.scale, 1);
  net.b.node ("Mul", { "a", "scale" }, { "ma" });
  net.b.node ("Add", { "shift", "ma" }, { "sa" });
  net.b.node ("Relu", { "sa" }, { "ra" });
  net.layer (d, "d", "ra", "d", a_grid.scale, 1);
  net.b.node ("Mul", { "d", "scale" }, { "md" });
  net.b.node ("Relu", { "md" }, { "rd" });
  net.b.node ("Add", { "rd", "shift" }, { "sd" });
  net.layer (c, "c", "sd", "y", c_grid.scale, 1);
  net.b.output ("y").output ("d");
  net.start ();
  for (const char *name : { "a", "d" })
    net.encode (name, b_grid);
  net.encode ("x", x_grid);
  net.encode ("ma", { 0.2f, -140 });
  net.encode ("ra", a_grid);
  net.encode ("md", { 0.15f, -100 });
  net.encode ("sd", c_grid);
  net.encode ("y", c_grid);
  Table in;
  in.add ("x", floats ({ 2, 20, 6, 6 }, wave (2 * 20 * 36)));
  std::vector<float> merged = net.run (in, "y");
  EXPECT_EQ (net.kinds (),
             (Kinds{ "reorder", "convert*", "*conv*", "*conv", "reorder", "elementwise*", "*conv", "reorder" }));
  EXPECT_EQ (merged, net.run (in, "y", { "a", "ma", "sa", "ra", "md", "rd", "sd" }));
  for (guint n_threads : { 1u, 2u, 3u })
    {
      ht_set_n_threads (n_threads);
      EXPECT_EQ (merged, net.run (in, "y"));
    }
  ht_set_n_threads (0);
  // Another grid of a tensor inside a step: the plan stays and the step follows.
  net.encode ("ma", { 0.11f, -120 });
  std::vector<float> other = net.run (in, "y");
  EXPECT_NE (merged, other);
  EXPECT_EQ (other, net.run (in, "y", { "a", "ma", "ra", "md" }));
  // A grid too wide for kernels ends the step.
  set (net.executor, "ma", 32, FALSE, { 1e-7 }, -2000000000);
  std::vector<float> wide = net.run (in, "y");
  EXPECT_EQ (net.kinds ()[3], "elementwise*");
  EXPECT_EQ (wide, net.run (in, "y", { "a", "ma", "ra", "md" }));
}

// A sum of two tensors that are codes, for a layer on integers: it reads codes and leaves codes.
TEST (LowerCodes, AdditionsReadAndLeaveCodes)
{
  Layer a (20, 20, 1, 1), d (20, 20, 20, 5), c (20, 17, 1, 3), e (20, 17, 1, 7);
  Network net;
  const Grid sum_grid = { 0.11f, 0 };
  net.b.input ("x", { 1, 20, 6, 6 });
  net.layer (a, "a", "x", "a", x_grid.scale, 1);
  net.layer (d, "d", "a", "d", a_grid.scale, 1);
  net.layer (c, "c", "d", "c", b_grid.scale, 1);
  net.b.node ("Add", { "a", "d" }, { "sum" });
  net.b.node ("Relu", { "sum" }, { "rs" });
  net.layer (e, "e", "rs", "e", sum_grid.scale, 1);
  net.b.output ("c").output ("e");
  net.start ();
  net.encode ("x", x_grid);
  net.encode ("a", a_grid);
  net.encode ("d", b_grid);
  net.encode ("rs", sum_grid);
  for (const char *name : { "c", "e" })
    net.encode (name, c_grid);
  Table in;
  in.add ("x", floats ({ 1, 20, 6, 6 }, wave (20 * 36)));
  Codes x = to_codes (wave (20 * 36), x_grid), ca = a.run (x, x_grid.scale, a_grid, 0);
  Codes cd = d.run (ca, a_grid.scale, b_grid, -128), sum;
  for (gsize i = 0; i < ca.size (); i++)
    {
      volatile float left = (float)ca[i] * a_grid.scale, right = (float)cd[i] * b_grid.scale;
      volatile float total = left + right;
      sum.push_back ((gint64)clamp_code (std::max ((float)total, 0.0f) / sum_grid.scale, sum_grid));
    }
  EXPECT_EQ (net.run (in, "e"), to_values (e.run (sum, sum_grid.scale, c_grid, -131), c_grid.scale));
  EXPECT_EQ (net.kinds (), (Kinds{ "reorder", "convert*", "*conv*", "*conv*", "*conv", "reorder", "*elementwise*",
                                   "*conv", "reorder" }));
}

// Blocks that two tensors share; tensors of values and of codes; grids that differ and one for all.
TEST (LowerCodes, ConcatenationsRoundWhatTheyMove)
{
  Layer a (20, 24, 1, 1), d (20, 19, 1, 5), f (24, 20, 1, 7), c (63, 20, 1, 3);
  Network net;
  net.b.input ("x", { 2, 20, 6, 6 });
  net.layer (a, "a", "x", "a", x_grid.scale, 1);
  net.layer (d, "d", "x", "d", x_grid.scale, 1);
  net.layer (f, "f", "a", "f", a_grid.scale, 1);
  HtNode *concat = net.b.node ("Concat", { "a", "d", "f" }, { "all" });
  ht_graph_set_int (net.b.graph (), concat, "axis", 1);
  net.layer (c, "c", "all", "y", b_grid.scale, 1);
  net.b.output ("y");
  net.start ();
  net.encode ("x", x_grid);
  net.encode ("a", a_grid);
  net.encode ("d", c_grid);
  net.encode ("f", a_grid);
  net.encode ("all", b_grid);
  net.encode ("y", c_grid);
  Table in;
  in.add ("x", floats ({ 2, 20, 6, 6 }, wave (2 * 20 * 36)));
  std::vector<float> merged = net.run (in, "y");
  EXPECT_EQ (net.kinds (),
             (Kinds{ "reorder", "convert*", "*conv*", "*conv", "*conv", "*concat*", "*conv", "reorder" }));

  // The parts, and what rounding makes of them.
  const char *const names[] = { "a", "d", "f", "all", nullptr };
  Table parts (ht_executor_run (net.executor, in, names, nullptr, nullptr));
  std::vector<float> expected;
  for (gsize image = 0; image < 2; image++)
    for (const char *name : { "a", "d", "f" })
      {
        std::vector<float> part = values (parts[name]);
        gsize size = part.size () / 2;
        expected.insert (expected.end (), part.begin () + (gssize)(image * size),
                         part.begin () + (gssize)((image + 1) * size));
      }
  EXPECT_EQ (values (parts["all"]), to_values (to_codes (expected, b_grid), b_grid.scale));

  net.encode ({ "a", "d", "f", "all" }, encoding (b_grid));
  std::vector<float> shared = net.run (in, "y");
  EXPECT_EQ (net.kinds (),
             (Kinds{ "reorder", "convert*", "*conv*", "*conv*", "*conv*", "*concat*", "*conv", "reorder" }));
  for (const char *name : { "a", "d", "f", "all" })
    net.encode (name, b_grid);
  EXPECT_EQ (shared, net.run (in, "y"));
  EXPECT_NE (shared, merged);
}

// Groups that do not fill blocks, and channels taken from them in turn, as ShuffleNet has them.
TEST (LowerCodes, ShufflesOfGroupsMoveCodes)
{
  Layer a (24, 36, 4, 1), d (36, 36, 36, 5), e (36, 24, 4, 3), f (24, 20, 4, 7);
  Network net;
  net.b.input ("x", { 2, 24, 6, 6 });
  const gint64 split[] = { 2, 4, 9, 6, 6 }, whole[] = { 2, 36, 6, 6 }, perm[] = { 0, 2, 1, 3, 4 };
  net.b.constant ("split", ht_tensor_new_int64s (split, 5)).constant ("whole", ht_tensor_new_int64s (whole, 4));
  net.layer (a, "a", "x", "a", x_grid.scale, 1);
  net.b.node ("Relu", { "a" }, { "ra" });
  net.b.node ("Reshape", { "ra", "split" }, { "s" });
  HtNode *transpose = net.b.node ("Transpose", { "s" }, { "t" });
  ht_graph_set_ints (net.b.graph (), transpose, "perm", perm, 5);
  net.b.node ("Reshape", { "t", "whole" }, { "u" });
  net.layer (d, "d", "u", "d", a_grid.scale, 1);
  net.layer (e, "e", "d", "e", b_grid.scale, 1);
  net.b.node ("Add", { "e", "x" }, { "sum" });
  net.b.node ("Relu", { "sum" }, { "rs" });
  net.layer (f, "f", "rs", "f", a_grid.scale, 1);
  net.b.output ("f");
  net.start ();
  net.encode ("x", x_grid);
  net.encode ({ "ra", "u" }, encoding (a_grid));
  net.encode ("d", b_grid);
  net.encode ("e", c_grid);
  net.encode ("sum", b_grid);
  net.encode ("rs", a_grid);
  net.encode ("f", c_grid);
  Table in;
  in.add ("x", floats ({ 2, 24, 6, 6 }, wave (2 * 24 * 36)));
  std::vector<float> merged = net.run (in, "f");
  EXPECT_EQ (net.kinds (),
             (Kinds{ "convert*", "*plain conv*", "*shuffle*", "*conv*", "*reorder*", "*plain conv*", "*plain conv" }));
  for (guint n_threads : { 1u, 2u, 3u })
    {
      ht_set_n_threads (n_threads);
      EXPECT_EQ (merged, net.run (in, "f"));
    }
  ht_set_n_threads (0);
  EXPECT_EQ (merged, net.run (in, "f", { "s", "e", "sum" }));
  EXPECT_GT (net.kinds ().size (), 10u) << "what is tapped must exist";

  // By integers: the first image's groups and channels.
  const char *const names[] = { "ra", "u", nullptr };
  Table parts (ht_executor_run (net.executor, in, names, nullptr, nullptr));
  std::vector<float> first (wave (24 * 36)), ra = values (parts["ra"]), u = values (parts["u"]);
  std::vector<float> expected = to_values (a.run (to_codes (first, x_grid), x_grid.scale, a_grid, 0), a_grid.scale);
  ra.resize (expected.size ());
  EXPECT_EQ (ra, expected);
  for (gsize i = 0; i < expected.size (); i++)
    EXPECT_EQ (u[i], expected[(i / 36 % 4 * 9 + i / 36 / 4) * 36 + i % 36]);
}

}
