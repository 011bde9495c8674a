// SPDX-License-Identifier: MIT
// What a step is given to keep its work in: checkpoints that only the same step finds, a scratch folder that goes.
#include "test-pass.h"

#include <glib/gstdio.h>

namespace
{

const std::vector<test_pass::Rule> changes_weights = { { HT_RULE_EFFECT, "changes-weights", "it doubles the weight" } };

struct CheckpointTest : ::testing::Test
{
  support::TemporaryFolder folder;
  HtQuantizationConfig *config = ht_quantization_config_new ();
  std::string found; // by the last step: the data, or "none"
  bool keep = true;  // whether a step stores something
  guint64 seed = 1;
  guint batch = 4;
  float weight = 1.0f;
  std::string step = "round";
  std::vector<float> data = { 1, 2, 3, 4 };
  JsonNode *report = nullptr;

  void TearDown () override
  {
    g_clear_pointer (&report, json_node_unref);
    g_object_unref (config);
  }

  void run (const char *id = "keeping", int iterations = 10000)
  {
    g_autoptr (GError) error = nullptr;
    const test_pass::Spec spec
        = { id, changes_weights, HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_WEIGHT_SETTINGS,
            [this] (HtPass *, HtModelState *, HtPassContext *context, GError **e) -> gboolean {
              g_autoptr (GBytes) old = ht_pass_context_fetch_checkpoint (context, "a layer / of any name");
              gsize size = 0;
              auto *text = old ? (const char *)g_bytes_get_data (old, &size) : "none";
              found = old ? std::string (text, size) : "none";
              g_autoptr (GBytes) mine = g_bytes_new ("work", 4);
              return !keep || ht_pass_context_store_checkpoint (context, "a layer / of any name", mine, e);
            } };
    g_autoptr (HtPass) pass = test_pass::make (test_pass::make_type (spec));
    g_object_set (pass, "iterations", iterations, nullptr);
    g_autoptr (HtGraph) graph = ht_graph_new ("g");
    gint64 dims[] = { 1, 1 };
    g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 2);
    ht_graph_set_opset (graph, "", 17);
    ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
    g_autoptr (HtTensor) flat = ht_tensor_new_floats (&weight, 1), w = ht_tensor_reshape (flat, dims, 2, &error);
    ht_graph_set_initializer (graph, "w", w);
    const char *inputs[] = { "x", "w", nullptr }, *outputs[] = { "y", nullptr };
    ht_graph_add_node (graph, "MatMul", "", "mm", inputs, outputs);
    ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
    gint64 many[] = { (gint64)data.size (), 1 };
    g_autoptr (HtTensor) values = ht_tensor_new_floats (data.data (), data.size ());
    g_autoptr (HtTensor) samples = ht_tensor_reshape (values, many, 2, &error);
    g_autoptr (HtDataset) dataset = ht_dataset_new ();
    ht_dataset_add_array (dataset, "x", samples, &error);
    ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
    g_autoptr (HtPlan) plan = ht_plan_new (config);
    ht_plan_add_step (plan, step.c_str (), pass);
    g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
    ht_pass_manager_set_calibration (manager, dataset, batch);
    ht_pass_manager_set_seed (manager, seed);
    ht_pass_manager_set_checkpoint_folder (manager, (folder / "kept").c_str ());
    g_autoptr (HtModelState) state = ht_model_state_new (graph);
    ht_model_state_seal (state);
    g_autoptr (HtModelState) result = ht_pass_manager_run (manager, state, nullptr, &error);
    ASSERT_NE (result, nullptr) << error->message;
    g_clear_pointer (&report, json_node_unref);
    report = ht_pass_manager_get_step_report (manager, 0);
  }
  std::string only_file ()
  {
    g_autoptr (GDir) keys = g_dir_open ((folder / "kept").c_str (), 0, nullptr);
    std::string key = folder / "kept" + "/" + g_dir_read_name (keys);
    EXPECT_EQ (g_dir_read_name (keys), nullptr) << "one step, one folder";
    g_autoptr (GDir) files = g_dir_open (key.c_str (), 0, nullptr);
    std::string file = key + "/" + g_dir_read_name (files);
    EXPECT_EQ (g_dir_read_name (files), nullptr) << "no temporary file stays";
    return file;
  }
};

TEST_F (CheckpointTest, IsFoundByTheSameStepAndNoOther)
{
  run ();
  EXPECT_EQ (found, "none");
  keep = false;
  run ();
  EXPECT_EQ (found, "work");
  run ("another");
  EXPECT_EQ (found, "none");
  run ("keeping", 9999);
  EXPECT_EQ (found, "none");
  auto differs = [this] (const char *what, auto &place, auto value) {
    SCOPED_TRACE (what);
    auto old = place;
    place = value;
    run ();
    EXPECT_EQ (found, "none");
    place = old;
    run ();
    EXPECT_EQ (found, "work");
  };
  differs ("the seed", seed, guint64 (2));
  differs ("the batch", batch, 2u);
  differs ("the state", weight, 2.0f);
  differs ("the step", step, std::string ("round2"));
  differs ("the data", data, std::vector<float>{ 1, 2, 3, 5 });
  g_object_set (ht_quantization_config_get_weights (config), "bits", 4, nullptr);
  run ();
  EXPECT_EQ (found, "none") << "the settings";
}

TEST_F (CheckpointTest, ADamagedFileIsNotedAndAsGoodAsNone)
{
  run ();
  const std::string path = only_file ();
  g_autofree char *content = nullptr;
  gsize size;
  ASSERT_TRUE (g_file_get_contents (path.c_str (), &content, &size, nullptr));
  keep = false;
  for (gsize length : { gsize (0), gsize (10), size - 1, size })
    {
      SCOPED_TRACE (length);
      g_autofree char *damaged = (char *)g_memdup2 (content, size);
      if (length == size)
        damaged[size - 1] ^= 1;
      ASSERT_TRUE (g_file_set_contents (path.c_str (), damaged, (gssize)length, nullptr));
      run ();
      EXPECT_EQ (found, "none");
      g_autofree char *text = json_to_string (report, FALSE);
      EXPECT_NE (strstr (text, "is damaged"), nullptr) << text;
      EXPECT_NE (strstr (text, "computed again"), nullptr) << text;
    }
  ASSERT_TRUE (g_file_set_contents (path.c_str (), content, (gssize)size, nullptr));
  run ();
  EXPECT_EQ (found, "work");
  g_autofree char *text = json_to_string (report, FALSE);
  EXPECT_EQ (strstr (text, "damaged"), nullptr) << text;
}

TEST_F (CheckpointTest, TheScratchFolderGoesWithTheStep)
{
  std::string path;
  gboolean was_there = FALSE;
  g_autoptr (GError) error = nullptr;
  const test_pass::Spec spec
      = { "scratching", {}, 0, [&] (HtPass *, HtModelState *, HtPassContext *context, GError **e) -> gboolean {
           const char *scratch = ht_pass_context_get_scratch_folder (context, e);
           if (scratch == nullptr)
             return FALSE;
           path = scratch;
           g_mkdir ((path + "/deep").c_str (), 0755);
           was_there = g_file_set_contents ((path + "/deep/file").c_str (), "x", 1, nullptr);
           EXPECT_EQ (ht_pass_context_get_memory_budget (context), 12345u);
           EXPECT_FALSE (ht_pass_context_keeps_checkpoints (context));
           return TRUE;
         } };
  g_autoptr (HtPass) pass = test_pass::make (test_pass::make_type (spec));
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  ht_plan_add_step (plan, "s", pass);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_scratch_folder (manager, (folder / "below").c_str ());
  ht_pass_manager_set_memory_budget (manager, 12345);
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  g_autoptr (HtModelState) state = ht_model_state_new (graph);
  g_autoptr (HtModelState) result = ht_pass_manager_run (manager, state, nullptr, &error);
  ASSERT_NE (result, nullptr) << error->message;
  EXPECT_TRUE (was_there);
  EXPECT_EQ (path.rfind (folder / "below", 0), 0u) << path;
  EXPECT_FALSE (g_file_test (path.c_str (), G_FILE_TEST_EXISTS));
}

} // namespace
