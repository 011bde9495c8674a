// SPDX-License-Identifier: MIT
// Small networks, written down in a few lines.
#pragma once

#include "support.h"

#include <functional>
#include <string>
#include <vector>

namespace quant
{

using Names = std::vector<std::string>;
using Dims = std::vector<gint64>;

inline HtTensor *
tensor_of (const std::vector<float> &values, const Dims &dims)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims.data (), dims.size (), nullptr);
  std::copy (values.begin (), values.end (), (float *) ht_tensor_get_writable_data (tensor));
  return tensor;
}

class Net
{
public:
  explicit Net (gint64 opset = 13) : graph_ (ht_graph_new ("net")) { ht_graph_set_opset (graph_, "", opset); }
  ~Net () { g_object_unref (graph_); }
  Net (const Net &) = delete;
  Net &operator= (const Net &) = delete;
  HtGraph *graph () const { return graph_; }

  Net &input (const std::string &name, const Dims &dims, HtDataType type = HT_DATA_TYPE_FLOAT)
  {
    g_autoptr (HtShape) shape = ht_shape_new (dims.data (), nullptr, dims.size ());
    ht_graph_add_input (graph_, name.c_str (), type, shape);
    return *this;
  }
  Net &output (const std::string &name, HtDataType type = HT_DATA_TYPE_FLOAT)
  {
    ht_graph_add_output (graph_, name.c_str (), type, nullptr);
    return *this;
  }
  // Different values everywhere, in about [-1, 1].
  Net &weight (const std::string &name, const Dims &dims)
  {
    gsize n = 1;
    for (gint64 dim : dims)
      n *= dim;
    std::vector<float> values;
    for (gsize i = 0; i < n; i++)
      values.push_back ((float) ((i * 37 + 11) % 101) / 50.0f - 1.0f + (float) i * 1e-4f);
    return values_of (name, dims, values);
  }
  Net &values_of (const std::string &name, const Dims &dims, const std::vector<float> &values)
  {
    g_autoptr (HtTensor) tensor = tensor_of (values, dims);
    ht_graph_set_initializer (graph_, name.c_str (), tensor);
    return *this;
  }
  Net &ints (const std::string &name, const std::vector<gint64> &values)
  {
    g_autoptr (HtTensor) tensor = ht_tensor_new_int64s (values.data (), values.size ());
    ht_graph_set_initializer (graph_, name.c_str (), tensor);
    return *this;
  }
  // The node has the name of its first output.
  HtNode *node (const char *op_type, const Names &inputs, const Names &outputs, const char *domain = "")
  {
    std::vector<const char *> in, out;
    for (const std::string &name : inputs)
      in.push_back (name.c_str ());
    for (const std::string &name : outputs)
      out.push_back (name.c_str ());
    in.push_back (nullptr);
    out.push_back (nullptr);
    return ht_graph_add_node (graph_, op_type, domain, outputs[0].c_str (), in.data (), out.data ());
  }
  void set (HtNode *node, const char *name, gint64 value) { ht_graph_set_int (graph_, node, name, value); }
  void set (HtNode *node, const char *name, const std::vector<gint64> &values)
  {
    ht_graph_set_ints (graph_, node, name, values.data (), values.size ());
  }

private:
  HtGraph *graph_;
};

inline Names
quantized (HtSimulation *simulation)
{
  g_autoptr (GPtrArray) list = ht_simulation_list_quantizers (simulation);
  Names names;
  for (guint i = 0; i < list->len; i++)
    names.push_back (ht_quantizer_get_tensor ((HtQuantizer *) g_ptr_array_index (list, i)));
  return names;
}

inline std::string
skipped (HtSimulation *simulation)
{
  g_auto (GStrv) lines = ht_simulation_list_skipped (simulation);
  g_autofree char *text = g_strjoinv ("\n", lines);
  return text;
}

inline HtSimulation *
simulate (const Net &net, HtQuantizationConfig *config = nullptr)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) own = ht_quantization_config_new ();
  HtSimulation *simulation = ht_simulation_new (net.graph (), config ? config : own, &error);
  EXPECT_NO_GERROR (error);
  return simulation;
}

// Runs a graph on one input per name; the values of the outputs, in order, one after the other.
inline std::vector<float>
run (HtExecutor *executor, const std::string &input, HtTensor *value)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) inputs = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (inputs, (gpointer) input.c_str (), value);
  g_autoptr (GHashTable) outputs = ht_executor_run (executor, inputs, nullptr, nullptr, &error);
  EXPECT_NO_GERROR (error);
  std::vector<float> result;
  const char *const *names = ht_graph_get_outputs (ht_executor_get_graph (executor));
  for (guint i = 0; outputs && names[i]; i++)
    {
      HtTensor *tensor = (HtTensor *) g_hash_table_lookup (outputs, names[i]);
      for (gsize k = 0; k < ht_tensor_get_n_elements (tensor); k++)
        result.push_back ((float) ht_tensor_get_double (tensor, k));
    }
  return result;
}

}
