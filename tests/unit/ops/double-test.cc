// SPDX-License-Identifier: MIT
// The double paths against the float ones, on random shapes: they share no loop.
#include "one-node.h"

using support::Array;
using support::OneNode;

namespace
{

struct Draw
{
  std::mt19937 engine;
  gint64 between (gint64 low, gint64 high) { return std::uniform_int_distribution<gint64> (low, high) (engine); }
};

using Node = std::function<void (OneNode &)>;

// Runs the node on `inputs` in both types.
void
expect_same_in_double (const char *op, gint64 opset, const std::vector<Array> &inputs, const Node &edit,
                       guint n_outputs = 1)
{
  GError *error = nullptr;
  OneNode narrow (op, opset, n_outputs), wide (op, opset, n_outputs);
  for (const Array &array : inputs)
    {
      g_autoptr (HtTensor) tensor = support::to_tensor (array);
      narrow.input (array);
      wide.input (ht_tensor_cast (tensor, HT_DATA_TYPE_DOUBLE, nullptr));
    }
  edit (narrow);
  edit (wide);
  std::vector<Array> expected = narrow.run (&error);
  ASSERT_NO_GERROR (error);
  std::vector<HtTensor *> found = wide.run_tensors (&error);
  ASSERT_NO_GERROR (error);
  for (guint i = 0; i < n_outputs; i++)
    {
      EXPECT_EQ (ht_tensor_get_data_type (found[i]), HT_DATA_TYPE_DOUBLE);
      g_autoptr (HtTensor) rounded = ht_tensor_cast (found[i], HT_DATA_TYPE_FLOAT, nullptr);
      Array array = support::to_array (rounded);
      std::vector<double> values (expected[i].values.begin (), expected[i].values.end ());
      support::expect_close (array, expected[i].dims, values, {}, 2e-5, op);
      ht_tensor_unref (found[i]);
    }
}

class DoublePath : public testing::TestWithParam<unsigned>
{
protected:
  Draw draw{ std::mt19937 (GetParam ()) };
  std::vector<gint64> pads (size_t n_axes, gint64 most)
  {
    std::vector<gint64> values (2 * n_axes);
    for (gint64 &value : values)
      value = draw.between (0, most);
    return values;
  }
  std::vector<gint64> several (size_t n, gint64 low, gint64 high)
  {
    std::vector<gint64> values (n);
    for (gint64 &value : values)
      value = draw.between (low, high);
    return values;
  }
};

TEST_P (DoublePath, Convolutions)
{
  for (const char *op : { "Conv", "ConvTranspose" })
    {
      bool transposed = strcmp (op, "ConvTranspose") == 0;
      size_t n_axes = (size_t)draw.between (1, 3);
      gint64 group = draw.between (1, 3), c = draw.between (1, 3), m = draw.between (1, 3);
      std::vector<gint64> kernel = several (n_axes, 1, 3), x{ draw.between (1, 3), c * group };
      std::vector<gint64> w = transposed ? std::vector<gint64>{ c * group, m } : std::vector<gint64>{ m * group, c };
      std::vector<gint64> size = several (n_axes, 5, 9);
      x.insert (x.end (), size.begin (), size.end ());
      w.insert (w.end (), kernel.begin (), kernel.end ());
      std::vector<gint64> strides = several (n_axes, 1, 3), dilations = several (n_axes, 1, 2), pad = pads (n_axes, 1);
      expect_same_in_double (
          op, 11,
          { support::random_array (x, draw.engine), support::random_array (w, draw.engine),
            support::random_array ({ m * group }, draw.engine) },
          [&] (OneNode &node) {
            node.number ("group", group).ints ("strides", strides).ints ("dilations", dilations).ints ("pads", pad);
          });
    }
}

TEST_P (DoublePath, Pools)
{
  size_t n_axes = (size_t)draw.between (1, 3);
  std::vector<gint64> kernel = several (n_axes, 2, 3), x{ 2, 3 }, size = several (n_axes, 5, 9);
  x.insert (x.end (), size.begin (), size.end ());
  std::vector<gint64> strides = several (n_axes, 1, 3), dilations = several (n_axes, 1, 2), pad = pads (n_axes, 1);
  gint64 padding_counts = draw.between (0, 1), ceil = draw.between (0, 1);
  Array data = support::random_array (x, draw.engine);
  expect_same_in_double ("AveragePool", 19, { data }, [&] (OneNode &node) {
    node.ints ("kernel_shape", kernel)
        .ints ("strides", strides)
        .ints ("dilations", dilations)
        .ints ("pads", pad)
        .number ("count_include_pad", padding_counts)
        .number ("ceil_mode", ceil);
  });
  for (const char *op : { "GlobalAveragePool", "GlobalMaxPool" })
    expect_same_in_double (op, 11, { data }, [] (OneNode &) {});
}

TEST_P (DoublePath, Norms)
{
  gint64 c = 2 * draw.between (1, 3);
  Array x = support::random_array ({ 3, c, draw.between (1, 6), 5 }, draw.engine);
  Array scale = support::random_array ({ c }, draw.engine), bias = support::random_array ({ c }, draw.engine);
  Array mean = support::random_array ({ c }, draw.engine), variance{ { c }, std::vector<float> ((size_t)c, 0.7f) };
  expect_same_in_double ("BatchNormalization", 15, { x, scale, bias, mean, variance }, [] (OneNode &) {});
  expect_same_in_double (
      "BatchNormalization", 15, { x, scale, bias, mean, variance },
      [] (OneNode &node) { node.number ("training_mode", 1); }, 3);
  expect_same_in_double ("InstanceNormalization", 6, { x, scale, bias }, [] (OneNode &) {});
  expect_same_in_double ("GroupNormalization", 21, { x, scale, bias },
                         [] (OneNode &node) { node.number ("num_groups", 2); });
  Array factor = support::random_array ({ 5 }, draw.engine), term = support::random_array ({ 5 }, draw.engine);
  expect_same_in_double ("LayerNormalization", 17, { x, factor, term }, [] (OneNode &) {});
}

TEST_P (DoublePath, Recurrent)
{
  gint64 time = draw.between (1, 4), batch = draw.between (1, 3), n = draw.between (1, 5), h = draw.between (1, 5);
  for (auto [op, gates, n_outputs] :
       { std::make_tuple ("RNN", 1, 2u), std::make_tuple ("GRU", 3, 2u), std::make_tuple ("LSTM", 4, 3u) })
    expect_same_in_double (
        op, 14,
        { support::random_array ({ time, batch, n }, draw.engine),
          support::random_array ({ 2, gates * h, n }, draw.engine),
          support::random_array ({ 2, gates * h, h }, draw.engine),
          support::random_array ({ 2, 2 * gates * h }, draw.engine) },
        [&] (OneNode &node) { node.number ("hidden_size", h).text ("direction", "bidirectional"); }, n_outputs);
}

INSTANTIATE_TEST_SUITE_P (Seeds, DoublePath, testing::Range (0u, 8u));

} // namespace
