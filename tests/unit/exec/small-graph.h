// SPDX-License-Identifier: MIT
// Small graphs and tables of tensors for the executor's tests.
#pragma once

#include "support.h"

#include <string>
#include <vector>

namespace small
{

inline HtTensor *
floats (std::vector<gint64> dims, std::vector<float> values)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims.data (), static_cast<guint> (dims.size ()), nullptr);
  if (!values.empty ())
    memcpy (ht_tensor_get_writable_data (tensor), values.data (), values.size () * sizeof (float));
  return tensor;
}

inline std::vector<float>
values (HtTensor *tensor)
{
  const float *data = static_cast<const float *> (ht_tensor_get_data (tensor));
  return { data, data + ht_tensor_get_n_elements (tensor) };
}

// Name -> tensor, freed at the end.
class Table
{
public:
  Table () : table_ (g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref)) {}
  explicit Table (GHashTable *table /* transfer full */) : table_ (table) {}
  Table (const Table &) = delete;
  Table &operator= (const Table &) = delete;
  ~Table ()
  {
    if (table_)
      g_hash_table_unref (table_);
  }
  Table &add (const char *name, HtTensor *tensor /* transfer full */)
  {
    g_hash_table_replace (table_, g_strdup (name), tensor);
    return *this;
  }
  HtTensor *operator[] (const char *name) const { return static_cast<HtTensor *> (g_hash_table_lookup (table_, name)); }
  operator GHashTable * () const { return table_; }
  GHashTable *get () const { return table_; }

private:
  GHashTable *table_;
};

class Builder
{
public:
  explicit Builder (gint64 opset = 13) : graph_ (ht_graph_new ("small")) { ht_graph_set_opset (graph_, "", opset); }
  ~Builder () { g_object_unref (graph_); }

  HtNode *node (const char *op, std::vector<const char *> inputs, std::vector<const char *> outputs,
                const char *domain = "")
  {
    inputs.push_back (nullptr);
    outputs.push_back (nullptr);
    std::string name = std::string (op) + "_" + outputs[0];
    return ht_graph_add_node (graph_, op, domain, name.c_str (), inputs.data (), outputs.data ());
  }
  Builder &input (const char *name, std::vector<gint64> dims, HtDataType type = HT_DATA_TYPE_FLOAT)
  {
    g_autoptr (HtShape) shape = ht_shape_new (dims.data (), nullptr, static_cast<guint> (dims.size ()));
    ht_graph_add_input (graph_, name, type, shape);
    return *this;
  }
  Builder &output (const char *name)
  {
    ht_graph_add_output (graph_, name, HT_DATA_TYPE_UNDEFINED, nullptr);
    return *this;
  }
  Builder &constant (const char *name, HtTensor *tensor /* transfer full */)
  {
    ht_graph_set_initializer (graph_, name, tensor);
    ht_tensor_unref (tensor);
    return *this;
  }
  HtGraph *graph () const { return graph_; }

private:
  HtGraph *graph_;
};

}
