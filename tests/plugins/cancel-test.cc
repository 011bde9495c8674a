// SPDX-License-Identifier: MIT
// Techniques that go over layers stop within a second wherever they are, and leave the state they were given.
#include "rounding.h"

#include <atomic>
#include <random>

using namespace rounding;

namespace
{

// Layers whose moments and codes take a while.
Graph
large_network ()
{
  Builder b;
  b.input ({ -1, 3, 12, 12 });
  b.weights ("w1", { 96, 3, 3, 3 });
  b.weights ("w2", { 96, 96, 3, 3 });
  b.weights ("w3", { 256, 96, 3, 3 });
  b.weights ("w4", { 256, 512 });
  b.node ("Conv", "c1", { "x", "w1" }, { { "pads", { 1, 1, 1, 1 } } });
  b.node ("Relu", "r1", { "c1" });
  b.node ("Conv", "c2", { "r1", "w2" }, { { "pads", { 1, 1, 1, 1 } } });
  b.node ("Relu", "r2", { "c2" });
  b.node ("Conv", "c3", { "r2", "w3" }, { { "pads", { 1, 1, 1, 1 } } });
  b.node ("GlobalAveragePool", "p", { "c3" });
  b.node ("Flatten", "f", { "p" });
  b.node ("MatMul", "m", { "f", "w4" });
  b.output ("m");
  return b.finish ();
}

struct Watch
{
  GCancellable *cancellable;
  double at;                          // the share of the step at which it is cancelled
  std::atomic<gint64> cancelled{ 0 }; // when it was
};

void
cancel_there (double fraction, const char *, gpointer user_data)
{
  auto *watch = static_cast<Watch *> (user_data);
  if (fraction >= watch->at && watch->cancelled == 0)
    {
      watch->cancelled = (gint64)clock ();
      g_cancellable_cancel (watch->cancellable);
    }
}

// Processor seconds, all threads together, between the cancellation and the end; -1 where the step was done before.
double
seconds_to_stop (HtGraph *graph, HtDataset *data, const char *technique, const Parameters &parameters, double at)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  g_autoptr (HtPass) pass = ht_pass_registry_create (registry (), technique, &error);
  for (const auto &[key, value] : parameters)
    EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (pass), key.c_str (), value.c_str (), &error));
  ht_plan_add_step (plan, technique, pass);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Watch watch{ cancellable, at };
  ht_pass_manager_set_calibration (manager, data, 16);
  ht_pass_manager_set_progress (manager, cancel_there, &watch, nullptr);
  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  ht_model_state_seal (start);
  g_autofree char *before = ht_model_state_hash (start);
  g_autoptr (HtModelState) result = ht_pass_manager_run (manager, start, cancellable, &error);
  double seconds = (double)(clock () - (clock_t)watch.cancelled.load ()) / CLOCKS_PER_SEC;
  g_autofree char *after = ht_model_state_hash (start);
  EXPECT_STREQ (before, after);
  if (result != nullptr)
    return -1.0;
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) << error->message;
  EXPECT_NE (watch.cancelled, 0);
  return seconds;
}

} // namespace

TEST (Cancellation, StopsWithinASecondWhereverTheStepIs)
{
  Graph graph = large_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 3, 48);
  const std::pair<const char *, Parameters> steps[] = {
    { "adaround", {} },
    { "adaround", { { "scale", "joint" }, { "bias", "joint" }, { "candidates", "4" } } },
    { "adaround", { { "solver", "relaxation" }, { "iterations", "40" } } },
    { "bias-correction", {} },
    { "seqmse", {} },
  };
  for (const auto &[technique, parameters] : steps)
    for (double at : { 0.0, 0.3, 0.7 })
      {
        if (parameters.count ("solver") && at > 0.3)
          continue; // an iteration is like another
        SCOPED_TRACE (technique + std::string (" at ") + std::to_string (at));
        double seconds = seconds_to_stop (graph.get (), data, technique, parameters, at);
        EXPECT_LT (seconds, 1.0);
      }
}
