// SPDX-License-Identifier: MIT
// Metrics against numbers worked out by hand.
#include "support.h"

#include <cmath>
#include <vector>

namespace
{

// y = x + shift (and z = x): a network whose outputs are known.
HtGraph *
make_graph (const std::vector<gint64> &dims, float shift, bool two = false)
{
  HtGraph *graph = ht_graph_new ("test");
  g_autoptr (HtShape) shape = ht_shape_new (dims.data (), nullptr, (guint)dims.size ());
  g_autoptr (HtTensor) value = ht_tensor_new_floats (&shift, 1);
  const char *inputs[] = { "x", "shift", nullptr }, *outputs[] = { "y", nullptr };
  const char *plain[] = { "x", nullptr }, *second[] = { "z", nullptr };
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_set_initializer (graph, "shift", value);
  ht_graph_add_node (graph, "Add", "", "add", inputs, outputs);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
  if (two)
    {
      ht_graph_add_node (graph, "Identity", "", "identity", plain, second);
      ht_graph_add_output (graph, "z", HT_DATA_TYPE_FLOAT, shape);
    }
  return graph;
}

HtDataset *
make_dataset (const std::vector<gint64> &dims, const std::vector<float> &values, const std::vector<gint64> &labels)
{
  HtDataset *dataset = ht_dataset_new ();
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (values.data (), values.size ());
  g_autoptr (HtTensor) array = ht_tensor_reshape (flat, dims.data (), (guint)dims.size (), nullptr);
  EXPECT_TRUE (ht_dataset_add_array (dataset, nullptr, array, nullptr));
  if (!labels.empty ())
    {
      g_autoptr (HtTensor) numbers = ht_tensor_new_int64s (labels.data (), labels.size ());
      EXPECT_TRUE (ht_dataset_set_labels (dataset, numbers, nullptr));
    }
  return dataset;
}

HtMetrics *
evaluate (HtGraph *graph, HtGraph *reference, HtDataset *dataset, guint batch, GError **error)
{
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, error);
  g_autoptr (HtExecutor) other = reference ? ht_executor_new (reference, error) : nullptr;
  EXPECT_TRUE (executor && (other || !reference));
  if (!ht_dataset_bind (dataset, graph, error))
    return nullptr;
  return ht_evaluate (executor, other, dataset, batch, nullptr, nullptr, nullptr, error);
}

// Ten samples of six classes: scores fall from class 5 to class 0 but for the class that leads.
std::vector<float>
ten_samples ()
{
  std::vector<float> scores;
  for (int sample = 0; sample < 10; sample++)
    for (int c = 0; c < 6; c++)
      scores.push_back (c == sample % 6 ? 10.f : (float)c);
  return scores;
}

}

TEST (Evaluator, CountsTop1AndTop5)
{
  g_autoptr (GError) error = nullptr;
  // Eight right. Sample 8 leads with class 2; of the others class 0 is last (rank 5). Sample 9 leads with 3; class 5 is
  // next.
  const std::vector<gint64> labels = { 0, 1, 2, 3, 4, 5, 0, 1, 0, 5 };
  g_autoptr (HtGraph) graph = make_graph ({ -1, 6 }, 1);
  g_autoptr (HtDataset) dataset = make_dataset ({ 10, 6 }, ten_samples (), labels);
  for (guint batch : { 1u, 3u, 10u, 64u })
    {
      g_autoptr (HtMetrics) metrics = evaluate (graph, nullptr, dataset, batch, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (ht_metrics_get_n_samples (metrics), 10u);
      EXPECT_DOUBLE_EQ (ht_metrics_get (metrics, "top1"), 0.8);
      EXPECT_DOUBLE_EQ (ht_metrics_get (metrics, "top5"), 0.9);
      // statsmodels.stats.proportion.proportion_confint (8, 10, method='wilson')
      EXPECT_NEAR (ht_metrics_get (metrics, "top1-low"), 0.4901625, 1e-6);
      EXPECT_NEAR (ht_metrics_get (metrics, "top1-high"), 0.9433178, 1e-6);
      EXPECT_TRUE (std::isnan (ht_metrics_get (metrics, "sqnr")));
      EXPECT_TRUE (std::isnan (ht_metrics_get (metrics, "nothing")));
    }
}

TEST (Evaluator, GivesTiesToTheFirstClass)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ -1, 3, 1, 1 }, 0);
  g_autoptr (HtDataset) dataset = make_dataset ({ 2, 3, 1, 1 }, { 1, 1, 0, 1, 1, 0 }, { 0, 1 });
  g_autoptr (HtMetrics) metrics = evaluate (graph, nullptr, dataset, 2, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_DOUBLE_EQ (ht_metrics_get (metrics, "top1"), 0.5);
  EXPECT_TRUE (std::isnan (ht_metrics_get (metrics, "top5"))); // says nothing of three classes
}

TEST (Evaluator, MeasuresDistancesOverAllSamples)
{
  g_autoptr (GError) error = nullptr;
  // reference 1 2 3 4, network 2 3 4 5: signal 30, noise 4, dot 40, own 54
  g_autoptr (HtGraph) graph = make_graph ({ -1, 2 }, 1), reference = make_graph ({ -1, 2 }, 0);
  g_autoptr (HtDataset) dataset = make_dataset ({ 2, 2 }, { 1, 2, 3, 4 }, {});
  for (guint batch : { 1u, 2u })
    {
      g_autoptr (HtMetrics) metrics = evaluate (graph, reference, dataset, batch, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_NEAR (ht_metrics_get (metrics, "sqnr"), 10 * std::log10 (30. / 4), 1e-9);
      EXPECT_NEAR (ht_metrics_get (metrics, "cosine"), 40 / std::sqrt (30. * 54), 1e-12);
      EXPECT_DOUBLE_EQ (ht_metrics_get (metrics, "max-difference"), 1);
      EXPECT_DOUBLE_EQ (ht_metrics_get (metrics, "agreement"), 1);
      EXPECT_TRUE (std::isnan (ht_metrics_get (metrics, "top1")));
    }
}

TEST (Evaluator, ReportsTheWorstOutput)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ -1, 2 }, 1, true), reference = make_graph ({ -1, 2 }, 0, true);
  g_autoptr (HtDataset) dataset = make_dataset ({ 2, 2 }, { 1, 2, 3, 4 }, {});
  g_autoptr (HtMetrics) metrics = evaluate (graph, reference, dataset, 2, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_NEAR (ht_metrics_get (metrics, "sqnr"), 10 * std::log10 (30. / 4), 1e-9);
  g_autoptr (HtMetrics) same = evaluate (graph, graph, dataset, 2, &error);
  EXPECT_TRUE (std::isinf (ht_metrics_get (same, "sqnr")));
  EXPECT_DOUBLE_EQ (ht_metrics_get (same, "cosine"), 1);
}

TEST (Evaluator, DropsTheRowsThatOnlyFillAFixedBatch)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) any = make_graph ({ -1, 2 }, 1), any_reference = make_graph ({ -1, 2 }, 0);
  g_autoptr (HtGraph) four = make_graph ({ 4, 2 }, 1), four_reference = make_graph ({ 4, 2 }, 0);
  g_autoptr (HtDataset) dataset
      = make_dataset ({ 6, 2 }, { 1, 2, 3, 4, 8, 7, 6, 5, 9, 3, 0, 50 }, { 1, 1, 0, 0, 0, 0 });
  g_autoptr (HtMetrics) expected = evaluate (any, any_reference, dataset, 6, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_DOUBLE_EQ (ht_metrics_get (expected, "top1"), 5. / 6);
  g_autoptr (HtMetrics) metrics = evaluate (four, four_reference, dataset, 32, &error);
  ASSERT_NO_GERROR (error);
  g_auto (GStrv) names = ht_metrics_list (expected);
  for (char **name = names; *name; name++)
    EXPECT_NEAR (ht_metrics_get (metrics, *name), ht_metrics_get (expected, *name), 1e-12) << *name;
}

TEST (Evaluator, ComparesTheLastAxisOfOutputsWithMoreAxes)
{
  g_autoptr (GError) error = nullptr;
  // Shifting changes no arg max; a network that is compared with itself agrees everywhere.
  g_autoptr (HtGraph) graph = make_graph ({ -1, 2, 2 }, 1), reference = make_graph ({ -1, 2, 2 }, 0);
  g_autoptr (HtDataset) dataset = make_dataset ({ 1, 2, 2 }, { 1, 2, 4, 3 }, {});
  g_autoptr (HtMetrics) metrics = evaluate (graph, reference, dataset, 1, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_DOUBLE_EQ (ht_metrics_get (metrics, "agreement"), 1);
  // float32 has 24 bits: 1 + 2^25 = 2 + 2^25, so the first pair ties and its first wins; the second pair was 4 > 3.
  g_autoptr (HtGraph) blurred = make_graph ({ -1, 2, 2 }, 1073741824.f);
  g_autoptr (HtMetrics) half = evaluate (blurred, reference, dataset, 1, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_DOUBLE_EQ (ht_metrics_get (half, "agreement"), 0.5);
}

TEST (Evaluator, RefusesLabelsThatAreNoClasses)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ -1, 2 }, 0);
  for (gint64 label : { (gint64)-1, (gint64)2 })
    {
      g_autoptr (HtDataset) dataset = make_dataset ({ 2, 2 }, { 1, 2, 3, 4 }, { 0, label });
      EXPECT_EQ (evaluate (graph, nullptr, dataset, 2, &error), nullptr);
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "sample 1");
    }
  g_autoptr (HtGraph) boxes = make_graph ({ -1, 2, 2 }, 0);
  g_autoptr (HtDataset) dataset = make_dataset ({ 1, 2, 2 }, { 1, 2, 3, 4 }, { 0 });
  EXPECT_EQ (evaluate (boxes, nullptr, dataset, 2, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "leave the labels out");
}

TEST (Evaluator, MakesResultsThatAreNoNumbersTheWorst)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ -1, 2 }, std::nanf ("")), reference = make_graph ({ -1, 2 }, 0);
  g_autoptr (HtDataset) dataset = make_dataset ({ 2, 2 }, { 1, 2, 3, 4 }, { 0, 0 });
  g_autoptr (HtMetrics) metrics = evaluate (graph, reference, dataset, 1, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_metrics_get (metrics, "top1"), 0);
  EXPECT_EQ (ht_metrics_get (metrics, "sqnr"), -INFINITY);
  EXPECT_EQ (ht_metrics_get (metrics, "max-difference"), INFINITY);
  EXPECT_EQ (ht_metrics_get (metrics, "cosine"), 0);
}

TEST (Evaluator, StopsWhenCancelledAndReportsProgress)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ -1, 2 }, 0);
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  g_autoptr (HtDataset) dataset = make_dataset ({ 3, 2 }, { 1, 2, 3, 4, 5, 6 }, {});
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  struct Seen
  {
    GCancellable *cancellable;
    std::vector<double> fractions;
  } seen{ cancellable, {} };
  auto stop = [] (double fraction, const char *, gpointer data) {
    ((Seen *)data)->fractions.push_back (fraction);
    if (fraction > 0.5)
      g_cancellable_cancel (((Seen *)data)->cancellable);
  };
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error));
  EXPECT_EQ (ht_evaluate (executor, nullptr, dataset, 1, stop, &seen, cancellable, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  ASSERT_EQ (seen.fractions.size (), 2u);
  EXPECT_DOUBLE_EQ (seen.fractions[0], 1. / 3);
}

TEST (Evaluator, MeasuresManyAsEachAlone)
{
  g_autoptr (GError) error = nullptr;
  const std::vector<gint64> labels = { 0, 1, 2, 3, 4, 5, 0, 1, 0, 5 };
  g_autoptr (HtGraph) graph = make_graph ({ -1, 6 }, 1, true);
  ht_graph_seal (graph);
  g_autoptr (HtDataset) dataset = make_dataset ({ 10, 6 }, ten_samples (), labels);
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error));
  g_autoptr (GPtrArray) executors = g_ptr_array_new_with_free_func (g_object_unref);
  for (double scale : { 0.0, 0.7, 2.5, 4.0 })
    {
      HtExecutor *executor = ht_executor_new (graph, &error);
      const gint64 offset = 0;
      g_autoptr (HtEncoding) encoding
          = scale > 0 ? ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, &error) : nullptr;
      ht_executor_set_encoding (executor, "y", encoding);
      g_ptr_array_add (executors, executor);
    }
  g_autoptr (HtExecutor) reference = ht_executor_new (graph, &error);
  for (HtExecutor *against : { reference, (HtExecutor *)nullptr, (HtExecutor *)g_ptr_array_index (executors, 0) })
    for (guint batch : { 1u, 3u, 64u })
      {
        g_autoptr (GPtrArray) all
            = ht_evaluate_all (executors, against, dataset, batch, nullptr, nullptr, nullptr, &error);
        ASSERT_NO_GERROR (error);
        for (guint i = 0; i < executors->len; i++)
          {
            g_autoptr (HtMetrics) alone = ht_evaluate ((HtExecutor *)g_ptr_array_index (executors, i), against, dataset,
                                                       batch, nullptr, nullptr, nullptr, &error);
            ASSERT_NO_GERROR (error);
            g_auto (GStrv) names = ht_metrics_list (alone);
            auto *together = (HtMetrics *)g_ptr_array_index (all, i);
            g_auto (GStrv) same = ht_metrics_list (together);
            EXPECT_TRUE (g_strv_equal (names, same));
            for (char **name = names; *name; name++)
              EXPECT_EQ (ht_metrics_get (alone, *name), ht_metrics_get (together, *name)) << *name;
          }
      }
}
