// SPDX-License-Identifier: MIT
// Simulations by part: what is on runs on its grid, everything else in floating point, biases by both.
#include "net.h"

using namespace quant;

namespace
{

const auto all_kinds = (HtQuantizerKinds)HT_QUANTIZERS_ALL;
const auto no_kinds = (HtQuantizerKinds)0;

// Two layers; the first one's bias would be int32 where its input and its weight have grids.
class Parts : public testing::Test
{
protected:
  Parts ()
  {
    net_.input ("x", { 1, 1, 1, 2 }).values_of ("w1", { 2, 1, 1, 1 }, { 0.93f, -0.41f });
    net_.values_of ("b1", { 2 }, { 0.52f, 1.31f }).values_of ("w2", { 2, 2, 1, 1 }, { 0.6f, -0.5f, 0.35f, 0.8f });
    net_.node ("Conv", { "x", "w1", "b1" }, { "sum" });
    net_.node ("Relu", { "sum" }, { "h" });
    net_.node ("Conv", { "h", "w2" }, { "y" });
    net_.output ("y");
    simulation_ = simulate (net_);
    for (const char *tensor : { "x", "h", "y" })
      give (tensor, 0.3, -3, -1);
    give ("w1", 0.3, -8, -1);
    give ("w2", 0.25, -8, -1);
    g_autoptr (HtTensor) x = tensor_of ({ 1.234f, -0.777f }, { 1, 1, 1, 2 });
    x_ = ht_tensor_ref (x);
  }
  ~Parts () override
  {
    g_object_unref (simulation_);
    ht_tensor_unref (x_);
  }
  void give (const char *tensor, double scale, gint64 offset, gint axis)
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtEncoding) encoding = ht_encoding_new (4, FALSE, FALSE, axis, &scale, &offset, 1, &error);
    ASSERT_TRUE (ht_simulation_set_encoding (simulation_, tensor, encoding, &error)) << error->message;
  }
  std::vector<float> run_with (HtSimulationParts *parts)
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtExecutor) executor = ht_simulation_parts_create_executor (parts, &error);
    EXPECT_NO_GERROR (error);
    return run (executor, "x", x_);
  }
  // The network with these tensors alone on their grids, by an executor that was told so one by one.
  std::vector<float> run_encoded (const Names &tensors)
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtExecutor) executor = ht_executor_new (ht_simulation_get_graph (simulation_), &error);
    EXPECT_NO_GERROR (error);
    for (const std::string &name : tensors)
      ht_executor_set_encoding (executor, name.c_str (), ht_simulation_get_encoding (simulation_, name.c_str ()));
    return run (executor, "x", x_);
  }
  Names on (HtSimulationParts *parts)
  {
    Names names;
    for (const std::string &name : quantized (simulation_))
      if (ht_simulation_parts_is_on (parts, name.c_str ()))
        names.push_back (name);
    return names;
  }

  Net net_;
  HtSimulation *simulation_;
  HtTensor *x_;
};

}

TEST_F (Parts, AreChosenByKind)
{
  g_autoptr (HtSimulationParts) nothing = ht_simulation_parts_new (simulation_, no_kinds);
  g_autoptr (HtSimulationParts) weights = ht_simulation_parts_new (simulation_, HT_QUANTIZERS_WEIGHTS);
  g_autoptr (HtSimulationParts) activations = ht_simulation_parts_new (simulation_, HT_QUANTIZERS_ACTIVATIONS);
  EXPECT_EQ (on (nothing), Names ());
  EXPECT_EQ (on (weights), (Names{ "w1", "w2" }));
  EXPECT_EQ (on (activations), (Names{ "x", "h", "y" }));
  EXPECT_EQ (run_with (nothing), run_encoded ({}));
  // No layer has grids on both sides of its product: biases stay as they are.
  EXPECT_EQ (run_with (weights), run_encoded ({ "w1", "w2" }));
  EXPECT_EQ (run_with (activations), run_encoded ({ "x", "h", "y" }));
  EXPECT_NE (run_with (weights), run_with (nothing));
  EXPECT_NE (run_with (activations), run_with (nothing));
}

TEST_F (Parts, OfAllAreTheSimulation)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSimulationParts) all = ht_simulation_parts_new (simulation_, all_kinds);
  g_autoptr (HtExecutor) whole = ht_simulation_create_executor (simulation_, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (run_with (all), run (whole, "x", x_));
}

TEST_F (Parts, RoundABiasWhereInputAndWeightAreOn)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSimulationParts) parts = ht_simulation_parts_new (simulation_, no_kinds);
  ASSERT_TRUE (ht_simulation_parts_switch (parts, "x", TRUE, &error));
  ASSERT_TRUE (ht_simulation_parts_switch (parts, "w1", TRUE, &error));
  const double step = (double)(0.3f * 0.3f);
  const gint64 lowest = -G_GINT64_CONSTANT (2147483648);
  g_autoptr (HtEncoding) bias = ht_encoding_new (32, TRUE, FALSE, -1, &step, &lowest, 1, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtExecutor) judge = ht_executor_new (ht_simulation_get_graph (simulation_), &error);
  for (const char *name : { "x", "w1" })
    ht_executor_set_encoding (judge, name, ht_simulation_get_encoding (simulation_, name));
  ht_executor_set_encoding (judge, "b1", bias);
  EXPECT_EQ (run_with (parts), run (judge, "x", x_));
  EXPECT_NE (run_with (parts), run_encoded ({ "x", "w1" }));
  // Without the weight the bias is floating point again.
  ASSERT_TRUE (ht_simulation_parts_switch (parts, "w1", FALSE, &error));
  EXPECT_EQ (run_with (parts), run_encoded ({ "x" }));
}

TEST_F (Parts, OfALayerAreItsConstantsAndWhatItGives)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSimulationParts) parts = ht_simulation_parts_new (simulation_, no_kinds);
  ASSERT_TRUE (ht_simulation_parts_switch_layer (parts, "sum", HT_QUANTIZERS_ACTIVATIONS, TRUE, &error));
  EXPECT_EQ (on (parts), Names{ "h" });
  ASSERT_TRUE (ht_simulation_parts_switch_layer (parts, "sum", HT_QUANTIZERS_WEIGHTS, TRUE, &error));
  EXPECT_EQ (on (parts), (Names{ "w1", "h" }));
  g_autoptr (HtSimulationParts) rest = ht_simulation_parts_new (simulation_, all_kinds);
  g_autoptr (HtSimulationParts) copy = ht_simulation_parts_copy (rest);
  ASSERT_TRUE (ht_simulation_parts_switch_layer (rest, "sum", all_kinds, FALSE, &error));
  EXPECT_EQ (on (rest), (Names{ "x", "w2", "y" }));
  EXPECT_EQ (on (copy).size (), 5u);
  EXPECT_EQ (run_with (rest), run_encoded ({ "x", "w2", "y" }));
}

TEST_F (Parts, NameWhatIsNotThere)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSimulationParts) parts = ht_simulation_parts_new (simulation_, no_kinds);
  EXPECT_FALSE (ht_simulation_parts_switch (parts, "sum", TRUE, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
  g_clear_error (&error);
  EXPECT_FALSE (ht_simulation_parts_switch_layer (parts, "nobody", HT_QUANTIZERS_WEIGHTS, TRUE, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
  g_clear_error (&error);
  EXPECT_FALSE (ht_simulation_parts_switch_layer (parts, "h", HT_QUANTIZERS_WEIGHTS, TRUE, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
  EXPECT_EQ (on (parts), Names ());
}

TEST (PartsWithoutNames, NodesWithoutANameAreFoundByWhatTheyMake)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 1, 1, 2 }).values_of ("w", { 1, 1, 1, 1 }, { 0.93f });
  const char *inputs[] = { "x", "w", nullptr }, *outputs[] = { "y", nullptr };
  ht_graph_add_node (net.graph (), "Conv", nullptr, nullptr, inputs, outputs);
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_autoptr (HtSimulationParts) parts = ht_simulation_parts_new (simulation, no_kinds);
  EXPECT_FALSE (ht_simulation_parts_switch_layer (parts, "", HT_QUANTIZERS_WEIGHTS, TRUE, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
  EXPECT_TRUE (ht_simulation_parts_switch_layer (parts, "y", HT_QUANTIZERS_WEIGHTS, TRUE, nullptr));
}
