// SPDX-License-Identifier: MIT
// A graph of one node, built and run in a line: what the operator tests share.
#pragma once

#include "support.h"

#include <functional>
#include <random>
#include <vector>

namespace support
{

struct Array
{
  std::vector<gint64> dims;
  std::vector<float> values;

  size_t size () const
  {
    size_t n = 1;
    for (gint64 dim : dims)
      n *= static_cast<size_t> (dim);
    return n;
  }
};

inline Array
random_array (std::vector<gint64> dims, std::mt19937 &engine)
{
  std::normal_distribution<float> normal;
  Array array{ std::move (dims), {} };
  array.values.resize (array.size ());
  for (float &value : array.values)
    value = normal (engine);
  return array;
}

inline HtTensor *
to_tensor (const Array &array)
{
  HtTensor *tensor
      = ht_tensor_new (HT_DATA_TYPE_FLOAT, array.dims.data (), static_cast<guint> (array.dims.size ()), nullptr);
  if (!array.values.empty ())
    memcpy (ht_tensor_get_writable_data (tensor), array.values.data (), array.values.size () * sizeof (float));
  return tensor;
}

inline Array
to_array (HtTensor *tensor)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  Array array{ { dims, dims + n_dims }, {} };
  const float *data = static_cast<const float *> (ht_tensor_get_data (tensor));
  array.values.assign (data, data + ht_tensor_get_n_elements (tensor));
  return array;
}

class OneNode
{
public:
  OneNode (const char *op, gint64 opset, guint n_outputs = 1) : op_ (op), opset_ (opset), n_outputs_ (n_outputs) {}
  ~OneNode ()
  {
    for (HtTensor *tensor : inputs_)
      if (tensor)
        ht_tensor_unref (tensor);
  }

  OneNode &input (const Array &array)
  {
    inputs_.push_back (to_tensor (array));
    return *this;
  }
  OneNode &input (HtTensor *tensor /* transfer full */)
  {
    inputs_.push_back (tensor);
    return *this;
  }
  OneNode &absent ()
  {
    inputs_.push_back (nullptr);
    return *this;
  }
  OneNode &with (std::function<void (HtGraph *, HtNode *)> edit)
  {
    edits_.push_back (std::move (edit));
    return *this;
  }
  OneNode &ints (const char *name, std::vector<gint64> values)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_ints (g, n, name, values.data (), values.size ()); });
  }
  OneNode &number (const char *name, gint64 value)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_int (g, n, name, value); });
  }
  OneNode &real (const char *name, double value)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_float (g, n, name, value); });
  }
  OneNode &text (const char *name, const char *value)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_string (g, n, name, value); });
  }

  // The outputs; empty with *error set when something failed.
  std::vector<Array> run (GError **error)
  {
    std::vector<HtTensor *> tensors = run_tensors (error);
    std::vector<Array> arrays;
    for (HtTensor *tensor : tensors)
      {
        arrays.push_back (to_array (tensor));
        ht_tensor_unref (tensor);
      }
    return arrays;
  }

  std::vector<HtTensor *> run_tensors (GError **error)
  {
    g_autoptr (HtGraph) graph = ht_graph_new ("one-node");
    g_autoptr (GHashTable) given = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, nullptr);
    std::vector<std::string> in, out;
    std::vector<const char *> in_names, out_names;
    ht_graph_set_opset (graph, "", opset_);
    for (size_t i = 0; i < inputs_.size (); i++)
      in.push_back (inputs_[i] ? "in" + std::to_string (i) : "");
    for (guint i = 0; i < n_outputs_; i++)
      out.push_back ("out" + std::to_string (i));
    for (size_t i = 0; i < inputs_.size (); i++)
      {
        in_names.push_back (in[i].c_str ());
        if (inputs_[i] == nullptr)
          continue;
        ht_graph_add_input (graph, in[i].c_str (), ht_tensor_get_data_type (inputs_[i]), nullptr);
        g_hash_table_insert (given, g_strdup (in[i].c_str ()), inputs_[i]);
      }
    for (const std::string &name : out)
      {
        out_names.push_back (name.c_str ());
        ht_graph_add_output (graph, name.c_str (), HT_DATA_TYPE_UNDEFINED, nullptr);
      }
    in_names.push_back (nullptr);
    out_names.push_back (nullptr);
    HtNode *node = ht_graph_add_node (graph, op_, "", "node", in_names.data (), out_names.data ());
    for (auto &edit : edits_)
      edit (graph, node);
    g_autoptr (HtExecutor) executor = ht_executor_new (graph, error);
    std::vector<HtTensor *> results;
    if (executor == nullptr)
      return results;
    g_autoptr (GHashTable) table = ht_executor_run (executor, given, nullptr, nullptr, error);
    for (guint i = 0; table && i < n_outputs_; i++)
      results.push_back (ht_tensor_ref (static_cast<HtTensor *> (g_hash_table_lookup (table, out[i].c_str ()))));
    return results;
  }

private:
  const char *op_;
  gint64 opset_;
  guint n_outputs_;
  std::vector<HtTensor *> inputs_;
  std::vector<std::function<void (HtGraph *, HtNode *)> > edits_;
};

// Largest difference, against the size of what was summed to get there.
inline void
expect_close (const Array &found, const std::vector<gint64> &dims, const std::vector<double> &expected,
              const std::vector<double> &magnitude, double tolerance, const std::string &what)
{
  ASSERT_EQ (found.dims, dims) << what;
  ASSERT_EQ (found.values.size (), expected.size ()) << what;
  for (size_t i = 0; i < expected.size (); i++)
    {
      if (found.values[i] == expected[i])
        continue; // infinities too
      ASSERT_NEAR (found.values[i], expected[i], tolerance * (magnitude.empty () ? 1.0 : magnitude[i]) + 1e-30)
          << what << " element " << i;
    }
}

}
