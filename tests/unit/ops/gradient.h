// SPDX-License-Identifier: MIT
// The gradient of one node: backward() in double against central differences of forward(), in float against double.
#pragma once

#include "support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <vector>

extern "C"
{
#include "graph/operator.h"
}

namespace support
{

using Tensor = std::shared_ptr<HtTensor>;

inline Tensor
own (HtTensor *tensor)
{
  return Tensor (tensor, [] (HtTensor *t) {
    if (t)
      ht_tensor_unref (t);
  });
}

inline Tensor
new_tensor (HtDataType type, const std::vector<gint64> &dims)
{
  return own (ht_tensor_new (type, dims.data (), static_cast<guint> (dims.size ()), nullptr));
}

inline Tensor
like (const Tensor &other, HtDataType type)
{
  return own (
      ht_tensor_new (type, ht_tensor_get_dims (other.get (), nullptr), ht_tensor_get_n_dims (other.get ()), nullptr));
}

inline double *
doubles (const Tensor &tensor)
{
  return static_cast<double *> (ht_tensor_get_writable_data (tensor.get ()));
}

inline size_t
count (const Tensor &tensor)
{
  return ht_tensor_get_n_elements (tensor.get ());
}

inline std::mt19937 &
engine ()
{
  static std::mt19937 generator (7);
  return generator;
}

// Away from zero, where many functions have a kink.
inline Tensor
any (std::vector<gint64> dims, double from = 0.05)
{
  Tensor tensor = new_tensor (HT_DATA_TYPE_DOUBLE, dims);
  std::normal_distribution<double> normal;
  for (size_t i = 0; i < count (tensor); i++)
    do
      doubles (tensor)[i] = normal (engine ());
    while (std::fabs (doubles (tensor)[i]) < from);
  return tensor;
}

inline Tensor
uniform (std::vector<gint64> dims, double low, double high)
{
  Tensor tensor = new_tensor (HT_DATA_TYPE_DOUBLE, dims);
  std::uniform_real_distribution<double> real (low, high);
  for (size_t i = 0; i < count (tensor); i++)
    doubles (tensor)[i] = real (engine ());
  return tensor;
}

// No two elements close to each other, and none to those of the last few such tensors: for what selects the largest.
inline Tensor
distinct (std::vector<gint64> dims)
{
  static int calls = 0;
  double shift = 0.25 + calls++ % 10 / 10.0;
  Tensor tensor = new_tensor (HT_DATA_TYPE_DOUBLE, dims);
  double *data = doubles (tensor);
  for (size_t i = 0; i < count (tensor); i++)
    data[i] = (static_cast<double> (i) - static_cast<double> (count (tensor)) / 2 + shift) * 0.03125;
  std::shuffle (data, data + count (tensor), engine ());
  return tensor;
}

inline Tensor
whole (std::vector<gint64> values, std::vector<gint64> dims = { -1 })
{
  if (dims == std::vector<gint64>{ -1 })
    dims = { static_cast<gint64> (values.size ()) };
  Tensor tensor = new_tensor (HT_DATA_TYPE_INT64, dims);
  if (!values.empty ())
    memcpy (ht_tensor_get_writable_data (tensor.get ()), values.data (), values.size () * sizeof (gint64));
  return tensor;
}

inline Tensor
truth (std::vector<int> values, std::vector<gint64> dims)
{
  Tensor tensor = new_tensor (HT_DATA_TYPE_BOOL, dims);
  for (size_t i = 0; i < values.size (); i++)
    static_cast<guint8 *> (ht_tensor_get_writable_data (tensor.get ()))[i] = values[i] != 0;
  return tensor;
}

inline Tensor
reals (std::vector<double> values, std::vector<gint64> dims)
{
  Tensor tensor = new_tensor (HT_DATA_TYPE_DOUBLE, dims);
  std::copy (values.begin (), values.end (), doubles (tensor));
  return tensor;
}

inline Tensor
convert (const Tensor &tensor, HtDataType type)
{
  return own (ht_tensor_cast (tensor.get (), type, nullptr));
}

using Tensors = std::vector<Tensor>;
using Forward = std::function<Tensors (const Tensors &)>;

class Gradient
{
public:
  Gradient (const char *op, gint64 opset, Tensors inputs, guint n_outputs = 1)
      : op_ (op), opset_ (opset), inputs_ (std::move (inputs)), n_outputs_ (n_outputs)
  {
    for (const Tensor &input : inputs_)
      differentiable_.push_back (input && ht_tensor_get_data_type (input.get ()) == HT_DATA_TYPE_DOUBLE);
  }

  Gradient &with (std::function<void (HtGraph *, HtNode *)> edit)
  {
    edits_.push_back (std::move (edit));
    return *this;
  }
  Gradient &ints (const char *name, std::vector<gint64> values)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_ints (g, n, name, values.data (), values.size ()); });
  }
  Gradient &number (const char *name, gint64 value)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_int (g, n, name, value); });
  }
  Gradient &real (const char *name, double value)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_float (g, n, name, value); });
  }
  Gradient &text (const char *name, const char *value)
  {
    return with ([=] (HtGraph *g, HtNode *n) { ht_graph_set_string (g, n, name, value); });
  }
  // No gradient is asked for with respect to this input.
  Gradient &constant (size_t input)
  {
    differentiable_[input] = false;
    return *this;
  }
  // An output that carries no gradient.
  Gradient &unused (size_t output)
  {
    unused_.push_back (output);
    return *this;
  }
  Gradient &tolerance (double value)
  {
    tolerance_ = value;
    return *this;
  }
  // The forward function in double, where the operator's own has single precision only.
  Gradient &forward (Forward function)
  {
    forward_ = std::move (function);
    return *this;
  }

  void check ()
  {
    build (inputs_);
    Tensors outputs = run (inputs_);
    if (::testing::Test::HasFatalFailure ())
      return;
    Tensors weights;
    for (size_t i = 0; i < outputs.size (); i++)
      {
        bool none = !outputs[i] || std::count (unused_.begin (), unused_.end (), i) > 0
                    || ht_tensor_get_data_type (outputs[i].get ()) != HT_DATA_TYPE_DOUBLE;
        guint n_dims = none ? 0 : ht_tensor_get_n_dims (outputs[i].get ());
        const gint64 *dims = none ? nullptr : ht_tensor_get_dims (outputs[i].get (), nullptr);
        weights.push_back (none ? nullptr : any ({ dims, dims + n_dims }));
      }
    Tensors found = run_backward (inputs_, outputs, weights, HT_DATA_TYPE_DOUBLE, {});
    if (::testing::Test::HasFatalFailure ())
      return;
    for (size_t i = 0; i < inputs_.size (); i++)
      if (found[i])
        compare_differences (i, found[i], weights);
    compare_float (outputs, weights, found);
    compare_alone (outputs, weights, found);
  }

  // The same bytes at one and two threads, in float.
  void check_threads ()
  {
    Tensors inputs = narrow (inputs_), weights;
    build (inputs);
    Tensors outputs = run (inputs);
    if (::testing::Test::HasFatalFailure ())
      return;
    for (const Tensor &output : outputs)
      {
        guint n_dims = ht_tensor_get_n_dims (output.get ());
        const gint64 *dims = ht_tensor_get_dims (output.get (), nullptr);
        weights.push_back (convert (any ({ dims, dims + n_dims }), HT_DATA_TYPE_FLOAT));
      }
    guint before = ht_get_n_threads ();
    ht_set_n_threads (1);
    Tensors one = run_backward (inputs, outputs, weights, HT_DATA_TYPE_FLOAT, {});
    ht_set_n_threads (2);
    Tensors two = run_backward (inputs, outputs, weights, HT_DATA_TYPE_FLOAT, {});
    ht_set_n_threads (before);
    for (size_t i = 0; i < inputs.size (); i++)
      EXPECT_TRUE (!one[i] || ht_tensor_equal (one[i].get (), two[i].get ())) << describe () << ", input " << i;
  }

private:
  std::string describe () const
  {
    std::string text = std::string (op_) + " at opset " + std::to_string (opset_);
    for (const Tensor &input : inputs_)
      {
        g_autofree char *shape = input ? ht_tensor_describe (input.get ()) : g_strdup ("absent");
        text += std::string (", ") + shape;
      }
    return text;
  }

  void build (const Tensors &inputs)
  {
    std::vector<std::string> in, out;
    std::vector<const char *> in_names, out_names;
    graph_.reset (ht_graph_new ("gradient"), g_object_unref);
    ht_graph_set_opset (graph_.get (), "", opset_);
    for (size_t i = 0; i < inputs_.size (); i++)
      in.push_back (inputs_[i] ? "in" + std::to_string (i) : "");
    for (guint i = 0; i < n_outputs_; i++)
      out.push_back ("out" + std::to_string (i));
    for (size_t i = 0; i < in.size (); i++)
      {
        in_names.push_back (in[i].c_str ());
        if (inputs_[i])
          ht_graph_add_input (graph_.get (), in[i].c_str (), ht_tensor_get_data_type (inputs[i].get ()), nullptr);
      }
    for (const std::string &name : out)
      {
        out_names.push_back (name.c_str ());
        ht_graph_add_output (graph_.get (), name.c_str (), HT_DATA_TYPE_UNDEFINED, nullptr);
      }
    in_names.push_back (nullptr);
    out_names.push_back (nullptr);
    node_ = ht_graph_add_node (graph_.get (), op_, "", "node", in_names.data (), out_names.data ());
    for (auto &edit : edits_)
      edit (graph_.get (), node_);
    operator_ = ht_operator_find ("", op_, opset_);
  }

  Tensors run (const Tensors &inputs)
  {
    Tensors outputs;
    if (forward_ && (inputs.empty () || ht_tensor_get_data_type (inputs[0].get ()) == HT_DATA_TYPE_DOUBLE))
      return forward_ (inputs);
    GError *error = nullptr;
    if (!executor_)
      executor_.reset (ht_executor_new (graph_.get (), &error), g_object_unref);
    EXPECT_NO_GERROR (error);
    g_autoptr (GHashTable) given = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, nullptr);
    for (size_t i = 0; i < inputs.size (); i++)
      if (inputs[i])
        g_hash_table_insert (given, g_strdup_printf ("in%zu", i), inputs[i].get ());
    g_autoptr (GHashTable) results = ht_executor_run (executor_.get (), given, nullptr, nullptr, &error);
    [&] { ASSERT_NO_GERROR (error) << describe (); }();
    g_clear_error (&error);
    for (guint i = 0; results && i < n_outputs_; i++)
      {
        std::string name = "out" + std::to_string (i);
        outputs.push_back (
            own (ht_tensor_ref (static_cast<HtTensor *> (g_hash_table_lookup (results, name.c_str ())))));
      }
    return outputs;
  }

  static bool keeps (guint32 mask, size_t index)
  {
    return (mask & HT_OP_KEEPS_ALL) != 0 || (index < 31 && (mask >> index & 1) != 0);
  }

  // Copies of what backward() may read; the rest is spoilt.
  Tensors prepare (const Tensors &from, guint32 mask, HtDataType type)
  {
    Tensors to;
    for (size_t i = 0; i < from.size (); i++)
      {
        bool is_real = from[i] && ht_data_type_is_float (ht_tensor_get_data_type (from[i].get ()));
        Tensor copy = !from[i]  ? nullptr
                      : is_real ? convert (from[i], type)
                                : own (ht_tensor_copy (from[i].get (), nullptr));
        if (copy && !keeps (mask, i) && ht_tensor_get_size (copy.get ()) > 0)
          {
            if (copy == from[i] || ht_tensor_get_data (copy.get ()) == ht_tensor_get_data (from[i].get ()))
              copy = own (ht_tensor_copy (from[i].get (), nullptr));
            memset (ht_tensor_get_writable_data (copy.get ()), 0xff, ht_tensor_get_size (copy.get ()));
          }
        to.push_back (copy);
      }
    return to;
  }

  static std::vector<HtTensor *> raw (const Tensors &tensors)
  {
    std::vector<HtTensor *> pointers;
    for (const Tensor &tensor : tensors)
      pointers.push_back (tensor.get ());
    pointers.push_back (nullptr);
    return pointers;
  }

  gsize ask_workspace (const std::vector<HtTensor *> &inputs, const std::vector<HtTensor *> &outputs)
  {
    std::vector<HtInferValue> in (inputs.size ()), out (outputs.size ());
    std::vector<const HtInferValue *> pointers (inputs.size ());
    auto fill = [] (HtTensor *tensor, HtInferValue *value) {
      guint n_dims;
      const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
      value->type = ht_tensor_get_data_type (tensor);
      value->shape = ht_shape_new (dims, nullptr, n_dims);
    };
    for (size_t i = 0; i < inputs.size (); i++)
      if (inputs[i])
        {
          fill (inputs[i], &in[i]);
          pointers[i] = &in[i];
        }
    for (size_t i = 0; i < outputs.size (); i++)
      if (outputs[i])
        fill (outputs[i], &out[i]);
    HtInfer infer = {};
    infer.graph = graph_.get ();
    infer.node = node_;
    infer.opset = opset_;
    infer.n_inputs = static_cast<guint> (inputs_.size ());
    infer.inputs = pointers.data ();
    infer.n_outputs = n_outputs_;
    infer.outputs = out.data ();
    gsize size = operator_->backward_workspace (&infer);
    for (HtInferValue &value : in)
      g_clear_pointer (&value.shape, ht_shape_unref);
    for (HtInferValue &value : out)
      g_clear_pointer (&value.shape, ht_shape_unref);
    return size;
  }

  // `only`: the inputs whose gradient is asked for; empty: all that have one.
  Tensors run_backward (const Tensors &inputs, const Tensors &outputs, const Tensors &output_gradients, HtDataType type,
                        std::vector<size_t> only)
  {
    Tensors gradients;
    [&] { ASSERT_TRUE (operator_ && operator_->backward) << op_ << " has no backward"; }();
    if (!operator_ || !operator_->backward)
      return Tensors (inputs.size ());
    Tensors kept_inputs = prepare (inputs, operator_->backward_inputs, type);
    Tensors kept_outputs = prepare (outputs, operator_->backward_outputs, type);
    Tensors weights = prepare (output_gradients, HT_OP_KEEPS_ALL, type);
    for (size_t i = 0; i < inputs.size (); i++)
      {
        bool wanted = differentiable_[i] && (only.empty () || std::count (only.begin (), only.end (), i) > 0);
        gradients.push_back (wanted ? like (inputs[i], type) : nullptr);
        if (wanted && ht_tensor_get_size (gradients[i].get ()) > 0)
          memset (ht_tensor_get_writable_data (gradients[i].get ()), 0xff, ht_tensor_get_size (gradients[i].get ()));
      }
    std::vector<HtTensor *> in = raw (kept_inputs), out = raw (kept_outputs), dy = raw (weights), dx = raw (gradients);
    HtOpCall call = {};
    call.node = node_;
    call.opset = opset_;
    call.n_inputs = static_cast<guint> (inputs.size ());
    call.inputs = in.data ();
    call.n_outputs = n_outputs_;
    call.outputs = out.data ();
    gsize size = operator_->backward_workspace ? ask_workspace (in, out) : 0;
    g_autofree char *memory = static_cast<char *> (g_malloc (size + 128));
    memset (memory, 0xff, size + 128);
    call.workspace = size ? memory + (64 - reinterpret_cast<guintptr> (memory) % 64) : nullptr;
    call.workspace_size = size;
    GError *error = nullptr;
    bool fine = operator_->backward (&call, dy.data (), dx.data (), &error);
    [&] { ASSERT_NO_GERROR (error) << describe (); }();
    g_clear_error (&error);
    EXPECT_TRUE (fine);
    return gradients;
  }

  // Differences in quadruple steps: the error falls with the fourth power of the step.
  void compare_differences (size_t index, const Tensor &found, const Tensors &weights)
  {
    const double step = 2e-4;
    size_t n = count (inputs_[index]), every = std::max<size_t> (1, n / 48);
    double largest = 0;
    Tensors moved = inputs_;
    moved[index] = own (ht_tensor_copy (inputs_[index].get (), nullptr));
    std::vector<double> expected, magnitude;
    for (size_t i = 0; i < n; i += every)
      {
        double x = doubles (inputs_[index])[i];
        std::vector<Tensors> at;
        for (double factor : { -2.0, -1.0, 1.0, 2.0 })
          {
            // The executor recognizes tensors that it has seen: each run has its own.
            moved[index] = own (ht_tensor_copy (moved[index].get (), nullptr));
            doubles (moved[index])[i] = x + factor * step;
            at.push_back (run (moved));
          }
        moved[index] = own (ht_tensor_copy (moved[index].get (), nullptr));
        doubles (moved[index])[i] = x;
        double sum = 0, size = 0;
        for (size_t o = 0; o < weights.size (); o++)
          for (size_t k = 0; weights[o] && k < count (weights[o]); k++)
            {
              double slope = (doubles (at[0][o])[k] - 8 * doubles (at[1][o])[k] + 8 * doubles (at[2][o])[k]
                              - doubles (at[3][o])[k])
                             / (12 * step);
              sum += slope * doubles (weights[o])[k];
              size += std::fabs (slope * doubles (weights[o])[k]);
            }
        expected.push_back (sum);
        magnitude.push_back (size);
        largest = std::max (largest, size);
      }
    for (size_t i = 0, k = 0; i < n; i += every, k++)
      ASSERT_NEAR (doubles (found)[i], expected[k], tolerance_ * (magnitude[k] + 0.01 * largest + 1e-4))
          << describe () << ": input " << index << ", element " << i;
  }

  Tensors narrow (const Tensors &tensors)
  {
    Tensors narrowed;
    for (const Tensor &tensor : tensors)
      narrowed.push_back (tensor && ht_tensor_get_data_type (tensor.get ()) == HT_DATA_TYPE_DOUBLE
                              ? convert (tensor, HT_DATA_TYPE_FLOAT)
                              : tensor);
    return narrowed;
  }

  void compare_float (const Tensors &outputs, const Tensors &weights, const Tensors &expected)
  {
    Tensors found = run_backward (inputs_, outputs, weights, HT_DATA_TYPE_FLOAT, {});
    for (size_t i = 0; i < inputs_.size (); i++)
      {
        double largest = 0;
        for (size_t k = 0; found[i] && k < count (found[i]); k++)
          largest = std::max (largest, std::fabs (doubles (expected[i])[k]));
        for (size_t k = 0; found[i] && k < count (found[i]); k++)
          ASSERT_NEAR (static_cast<const float *> (ht_tensor_get_data (found[i].get ()))[k], doubles (expected[i])[k],
                       3e-5 * largest + 1e-6)
              << describe () << ": float, input " << i << ", element " << k;
      }
  }

  // One gradient at a time gives what all together give.
  void compare_alone (const Tensors &outputs, const Tensors &weights, const Tensors &expected)
  {
    for (size_t i = 0; i < inputs_.size (); i++)
      if (expected[i])
        {
          Tensors found = run_backward (inputs_, outputs, weights, HT_DATA_TYPE_DOUBLE, { i });
          EXPECT_TRUE (ht_tensor_equal (found[i].get (), expected[i].get ())) << describe () << ": input " << i;
        }
  }

  const char *op_;
  gint64 opset_;
  Tensors inputs_;
  guint n_outputs_;
  std::vector<bool> differentiable_;
  std::vector<size_t> unused_;
  double tolerance_ = 1e-7;
  Forward forward_;
  std::vector<std::function<void (HtGraph *, HtNode *)> > edits_;
  std::shared_ptr<HtGraph> graph_;
  std::shared_ptr<HtExecutor> executor_;
  HtNode *node_ = nullptr;
  const HtOperator *operator_ = nullptr;
};

}
