// SPDX-License-Identifier: MIT
// Small networks built by hand, a way to run one technique on them, and the distance between two networks' outputs.
#pragma once

#include "support.h"

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace network
{

struct Unref
{
  void operator() (gpointer object) const { g_object_unref (object); }
  void operator() (HtTensor *tensor) const { ht_tensor_unref (tensor); }
};
using Graph = std::unique_ptr<HtGraph, Unref>;
using State = std::unique_ptr<HtModelState, Unref>;
using Tensor = std::unique_ptr<HtTensor, Unref>;
using Dims = std::vector<gint64>;

inline Tensor
tensor (const Dims &dims, const std::vector<float> &values)
{
  Tensor made (ht_tensor_new (HT_DATA_TYPE_FLOAT, dims.data (), (guint) dims.size (), nullptr));
  g_assert (ht_tensor_get_n_elements (made.get ()) == values.size ());
  std::copy (values.begin (), values.end (), (float *) ht_tensor_get_writable_data (made.get ()));
  return made;
}

// Builds one network; random values come from one seeded stream, in the order of the calls.
class Builder
{
public:
  explicit Builder (gint64 opset = 13, unsigned seed = 1) : graph_ (ht_graph_new ("test")), random_ (seed)
  {
    ht_graph_set_opset (graph_.get (), "", opset);
  }

  std::string input (const Dims &dims, const std::string &name = "x")
  {
    HtShape *shape = ht_shape_new (dims.data (), nullptr, (guint) dims.size ());
    ht_graph_add_input (graph_.get (), name.c_str (), HT_DATA_TYPE_FLOAT, shape);
    ht_shape_unref (shape);
    return name;
  }

  void output (const std::string &name) { ht_graph_add_output (graph_.get (), name.c_str (), HT_DATA_TYPE_FLOAT, nullptr); }

  std::string constant (const std::string &name, const Dims &dims, const std::vector<float> &values)
  {
    ht_graph_set_initializer (graph_.get (), name.c_str (), tensor (dims, values).get ());
    return name;
  }

  std::string weights (const std::string &name, const Dims &dims, float low = -1, float high = 1)
  {
    gint64 n = 1;
    for (gint64 dim : dims)
      n *= dim;
    return constant (name, dims, values ((size_t) n, low, high));
  }

  std::vector<float> values (size_t n, float low, float high)
  {
    std::uniform_real_distribution<float> distribution (low, high);
    std::vector<float> drawn (n);
    for (float &value : drawn)
      value = distribution (random_);
    return drawn;
  }

  std::string ints (const std::string &name, const std::vector<gint64> &values)
  {
    HtTensor *made = ht_tensor_new_int64s (values.data (), values.size ());
    ht_graph_set_initializer (graph_.get (), name.c_str (), made);
    ht_tensor_unref (made);
    return name;
  }

  // Adds a node named like its output.
  std::string node (const std::string &op, const std::string &name, const std::vector<std::string> &inputs,
                    const std::map<std::string, std::vector<gint64>> &attributes = {})
  {
    std::vector<const char *> in;
    for (const std::string &input : inputs)
      in.push_back (input.c_str ());
    in.push_back (nullptr);
    const char *out[] = { name.c_str (), nullptr };
    std::string label = name + "_node";
    last_ = ht_graph_add_node (graph_.get (), op.c_str (), "", label.c_str (), in.data (), out);
    for (const auto &[key, list] : attributes)
      if (list.size () == 1 && key != "pads" && key != "axes" && key != "strides" && key != "kernel_shape")
        ht_graph_set_int (graph_.get (), last_, key.c_str (), list[0]);
      else
        ht_graph_set_ints (graph_.get (), last_, key.c_str (), list.data (), list.size ());
    return name;
  }

  std::string batchnorm (const std::string &name, const std::string &x, gint64 channels)
  {
    weights (name + ".scale", { channels }, -2, 2);
    weights (name + ".shift", { channels }, -1, 1);
    weights (name + ".mean", { channels }, -1, 1);
    weights (name + ".var", { channels }, 0.3f, 2);
    return node ("BatchNormalization", name, { x, name + ".scale", name + ".shift", name + ".mean", name + ".var" });
  }

  HtNode *last () { return last_; }
  HtGraph *graph () { return graph_.get (); }

  // The finished graph: in order, shapes known.
  Graph finish ()
  {
    g_autoptr (GError) error = nullptr;
    EXPECT_TRUE (ht_graph_sort (graph_.get (), &error)) << error->message;
    EXPECT_TRUE (ht_graph_infer_shapes (graph_.get (), &error)) << error->message;
    EXPECT_TRUE (ht_graph_verify (graph_.get (), &error)) << error->message;
    return std::move (graph_);
  }

private:
  Graph graph_;
  std::mt19937 random_;
  HtNode *last_ = nullptr;
};

inline guint
count (HtGraph *graph, const char *op_type)
{
  guint n = 0;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    n += ht_node_is_op (ht_graph_get_node (graph, i), op_type);
  return n;
}

inline std::vector<float>
constant_values (HtGraph *graph, const std::string &name)
{
  g_autoptr (HtTensor) constant = ht_graph_get_constant (graph, name.c_str ());
  std::vector<float> values;
  for (gsize i = 0; constant != nullptr && i < ht_tensor_get_n_elements (constant); i++)
    values.push_back ((float) ht_tensor_get_double (constant, i));
  return values;
}

// Random values for each input of the graph; unknown dimensions become `batch`.
inline GHashTable *
random_inputs (HtGraph *graph, gint64 batch, unsigned seed, float low, float high)
{
  GHashTable *inputs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_tensor_unref);
  std::mt19937 random (seed);
  std::uniform_real_distribution<float> distribution (low, high);
  for (const char *const *name = ht_graph_get_inputs (graph); *name != nullptr; name++)
    {
      HtShape *shape = ht_graph_get_shape (graph, *name);
      Dims dims;
      for (guint i = 0; i < ht_shape_get_n_dims (shape); i++)
        dims.push_back (ht_shape_get_dim (shape, i) < 0 ? batch : ht_shape_get_dim (shape, i));
      HtTensor *value = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims.data (), (guint) dims.size (), nullptr);
      float *data = (float *) ht_tensor_get_writable_data (value);
      for (gsize i = 0; i < ht_tensor_get_n_elements (value); i++)
        data[i] = distribution (random);
      g_hash_table_insert (inputs, g_strdup (*name), value);
    }
  return inputs;
}

// max |a - b| / max |a| over all outputs of `a`.
inline double
distance (HtGraph *a, HtGraph *b, gint64 batch = 2, float low = -1, float high = 1)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutor) first = ht_executor_new (a, &error);
  g_autoptr (HtExecutor) second = ht_executor_new (b, &error);
  EXPECT_NO_GERROR (error);
  g_autoptr (GHashTable) inputs = random_inputs (a, batch, 7, low, high);
  g_autoptr (GHashTable) one = ht_executor_run (first, inputs, nullptr, nullptr, &error);
  EXPECT_NO_GERROR (error);
  g_autoptr (GHashTable) two = error == nullptr ? ht_executor_run (second, inputs, nullptr, nullptr, &error) : nullptr;
  EXPECT_NO_GERROR (error);
  double top = 0, worst = 0;
  for (const char *const *name = ht_graph_get_outputs (a); error == nullptr && *name != nullptr; name++)
    {
      auto *x = (HtTensor *) g_hash_table_lookup (one, *name), *y = (HtTensor *) g_hash_table_lookup (two, *name);
      EXPECT_NE (y, nullptr) << *name;
      for (gsize i = 0; y != nullptr && i < ht_tensor_get_n_elements (x); i++)
        {
          top = std::fmax (top, std::fabs (ht_tensor_get_double (x, i)));
          worst = std::fmax (worst, std::fabs (ht_tensor_get_double (x, i) - ht_tensor_get_double (y, i)));
        }
    }
  return error == nullptr ? worst / std::fmax (top, 1e-30) : INFINITY;
}

inline HtPassRegistry *
registry ()
{
  static HtPassRegistry *loaded = nullptr;
  if (loaded == nullptr)
    {
      loaded = ht_pass_registry_new ();
      ht_pass_registry_load (loaded);
    }
  return loaded;
}

using Parameters = std::map<std::string, std::string>;
using Steps = std::vector<std::pair<std::string, Parameters>>;

// Runs techniques in this order; without checking a plan when `check` is false.
inline State
run (HtGraph *graph, const Steps &steps, GError **error, JsonNode **report = nullptr)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  for (const auto &[id, parameters] : steps)
    {
      g_autoptr (HtPass) pass = ht_pass_registry_create (registry (), id.c_str (), error);
      if (pass == nullptr)
        return nullptr;
      for (const auto &[key, value] : parameters)
        if (!ht_object_set_param_string (G_OBJECT (pass), key.c_str (), value.c_str (), error))
          return nullptr;
      ht_plan_add_step (plan, id.c_str (), pass);
    }
  ht_plan_learn_from_graph (plan, graph);
  if (!ht_plan_check (plan, error))
    return nullptr;
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  ht_model_state_seal (start);
  State result (ht_pass_manager_run (manager, start, nullptr, error));
  if (report != nullptr && result != nullptr)
    *report = ht_pass_manager_get_step_report (manager, (guint) steps.size () - 1);
  return result;
}

inline HtGraph *
graph_of (const State &state)
{
  return ht_model_state_get_graph (state.get ());
}

}
