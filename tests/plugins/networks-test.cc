// SPDX-License-Identifier: MIT
// Folding and equalization keep the floating-point function of real networks: max |difference| / max |output| <= 1e-4.
#include "network.h"

using namespace network;

namespace
{

void
expect_function_kept (const std::string &path, float low, float high)
{
  g_autoptr (GError) error = nullptr;
  Graph graph (ht_graph_load (path.c_str (), &error));
  ASSERT_NO_GERROR (error);
  g_strfreev (ht_graph_prepare (graph.get (), &error));
  ASSERT_NO_GERROR (error);
  guint n_batchnorms = count (graph.get (), "BatchNormalization");
  State state = run (graph.get (), { { "batchnorm-folding", {} }, { "cross-layer-equalization", {} } }, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_LT (distance (graph.get (), graph_of (state), 2, low, high), 1e-4);
  if (n_batchnorms > 0)
    {
      EXPECT_EQ (count (graph_of (state), "BatchNormalization"), 0u);
    }
}

class Networks : public ::testing::TestWithParam<const char *>
{
};

TEST_P (Networks, KeepTheirFunction)
{
  REQUIRE_ASSET (path, std::string ("models/") + GetParam () + ".onnx");
  expect_function_kept (path, -1, 1);
}

INSTANTIATE_TEST_SUITE_P (Assets, Networks,
                          ::testing::Values ("autoencoder_ad01_mlperftiny", "dscnn_kws_mlperftiny",
                                             "kwt1_speechcommands12", "kwt1_speechcommands12_op17", "mnist_cnn_opset8",
                                             "mobilenetv1_025_vww96", "mobilenetv1_100_trunk_cifar10",
                                             "resnet20_cifar10", "resnet20_cifar10_raw", "resnet32_cifar10",
                                             "squeezenet1_1_imagenet", "ultraface_rfb320"),
                          [] (const auto &info) { return std::string (info.param); });

TEST (Demo, KeepsItsFunction)
{
  const char *source = g_getenv ("HALFTONE_SOURCE");
  ASSERT_NE (source, nullptr);
  expect_function_kept (std::string (source) + "/recipes/demo/model.onnx", -1, 1);
}

}
