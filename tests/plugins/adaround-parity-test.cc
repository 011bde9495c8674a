// SPDX-License-Identifier: MIT
// The exact solver against the published method, layer by layer, on the same samples, 4 bits a weight, errors of the
// hard-rounded weights on samples that neither has seen. By default some layers and iterations; with HALFTONE_PARITY
// set to "full" all that follow, with 10,000 iterations, and a table in Markdown on the standard output.
#include "network.h"
#include "rounding-comparison.h"

using namespace network;

namespace
{

constexpr double most_before_activation = 1.005, most_behind_activation = 1.02;

struct Case
{
  const char *model, *data;
  HtLayout layout;
  double scale;
  std::vector<double> mean, std;
  guint n_samples, batch;
  std::vector<const char *> layers; // none: all
  std::vector<const char *> quick;  // those of the default run
};

const Case cases[] = {
  { "resnet20_cifar10",
    "cifar10_calib_x",
    HT_LAYOUT_NHWC,
    1.0 / 255,
    { 0.485, 0.456, 0.406 },
    { 0.229, 0.224, 0.225 },
    1000,
    32,
    {},
    { "/layer2/layer2.2/conv1/", "/layer3/layer3.2/conv2/", "/linear/" } },
  { "mobilenetv1_100_trunk_cifar10",
    "cifar10_calib_x",
    HT_LAYOUT_NHWC,
    1.0 / 127.5,
    { 1.0 },
    {},
    512,
    32,
    { "/f/f.0/c/", "/f/f.4/c/", "/f/f.7/c/", "/f/f.12/c/", "/f/f.17/c/", "/f/f.24/c/" },
    { "/f/f.17/c/" } },
  { "kwt1_speechcommands12_op17",
    "speechcommands_kwt_mfcc_x",
    HT_LAYOUT_NCHW,
    1.0,
    {},
    {},
    64,
    8,
    { "/emb/", "/b/b.0/v/", "/b/b.3/o/", "/b/b.5/f1/", "/b/b.7/f2/", "/b/b.11/q/" },
    { "/b/b.5/f1/" } },
};

void
set_doubles (HtPreprocess *preprocess, const char *name, const std::vector<double> &values)
{
  if (!values.empty ())
    g_object_set (preprocess, name,
                  g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, values.data (), values.size (), sizeof (double)),
                  nullptr);
}

struct Run
{
  bool full;
  guint n_layers;
};

void
judge (const RoundingComparison *row, gpointer user_data)
{
  auto *run = (Run *)user_data;
  SCOPED_TRACE (row->layer);
  run->n_layers++;
  EXPECT_LE (row->exact, most_before_activation * row->relaxation);
  EXPECT_LT (row->relaxation, row->nearest);
  if (row->has_activation)
    {
      EXPECT_LE (row->refined, most_behind_activation * row->relaxation_aware);
    }
  if (!run->full)
    return;
  printf ("| %s | %.5g | %.5g | %.5g | %.3f |", row->layer, row->nearest, row->exact, row->relaxation,
          row->exact / row->relaxation);
  if (row->has_activation)
    printf (" %.5g | %.5g | %.5g | %.3f |", row->unrefined, row->refined, row->relaxation_aware,
            row->refined / row->relaxation_aware);
  else
    printf (" | | | |");
  printf (" %.3f | %.2f | %.1f |\n", row->exact_seconds, row->refinement_seconds, row->relaxation_seconds);
  fflush (stdout);
}

void
compare (const Case &c, bool full)
{
  REQUIRE_ASSET (model, std::string ("models/") + c.model + ".onnx");
  REQUIRE_ASSET (data, std::string ("data/") + c.data + ".npy");
  g_autoptr (GError) error = nullptr;
  Graph graph (ht_graph_load (model.c_str (), &error));
  ASSERT_NO_GERROR (error);
  g_strfreev (ht_graph_prepare (graph.get (), &error));
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  const char *const *inputs = ht_graph_get_inputs (graph.get ());
  ASSERT_TRUE (ht_dataset_add_file (dataset, inputs[0], data.c_str (), &error)) << error->message;
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  g_object_set (preprocess, "layout", c.layout, "scale", c.scale, nullptr);
  set_doubles (preprocess, "mean", c.mean);
  set_doubles (preprocess, "std", c.std);
  ht_dataset_set_preprocess (dataset, preprocess);
  ht_dataset_set_limit (dataset, full ? c.n_samples : std::min (c.n_samples, 128u));
  ASSERT_TRUE (ht_dataset_bind (dataset, graph.get (), &error)) << error->message;

  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_object_set (ht_quantization_config_get_weights (config), "bits", 4u, nullptr);
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  g_autoptr (HtPass) folding = ht_pass_registry_create (registry (), "batchnorm-folding", &error);
  ASSERT_NO_GERROR (error);
  std::vector<const char *> layers = full ? c.layers : c.quick;
  layers.push_back (nullptr);
  Run judged = { full, 0 };
  g_autoptr (HtPass) comparison
      = rounding_comparison_new (full ? 10000 : 800, layers.size () > 1 ? layers.data () : nullptr, judge, &judged);
  ht_plan_add_step (plan, "batchnorm-folding", folding);
  ht_plan_add_step (plan, "rounding-comparison", comparison);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_calibration (manager, dataset, c.batch);
  g_autoptr (HtModelState) start = ht_model_state_new (graph.get ());
  ht_model_state_seal (start);
  if (full)
    printf ("\n%s\n\n| layer | nearest | exact | relaxation | ratio | activated: exact | aware | relaxation | ratio | "
            "exact s | refinement s | relaxation s |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
            c.model);
  State result (ht_pass_manager_run (manager, start, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_GT (judged.n_layers, 0u);
}

class Parity : public ::testing::TestWithParam<Case>
{
};

TEST_P (Parity, ExactIsNotWorseThanThePublishedMethod)
{
  const char *how = g_getenv ("HALFTONE_PARITY");
  compare (GetParam (), how != nullptr && g_str_equal (how, "full"));
}

INSTANTIATE_TEST_SUITE_P (Assets, Parity, ::testing::ValuesIn (cases),
                          [] (const auto &info) { return std::string (info.param.model); });

} // namespace
