// SPDX-License-Identifier: MIT
// Backward of what has weights: products, convolutions, normalizations.
#include "gradient.h"

using namespace support;

namespace
{

TEST (LayerGradient, Gemm)
{
  for (int transpose_a : { 0, 1 })
    for (int transpose_b : { 0, 1 })
      for (std::vector<gint64> c : { std::vector<gint64>{ 5 }, { 4, 5 }, { 4, 1 }, { 1 }, {} })
        Gradient ("Gemm", 13,
                  { any (transpose_a ? std::vector<gint64>{ 3, 4 } : std::vector<gint64>{ 4, 3 }),
                    any (transpose_b ? std::vector<gint64>{ 5, 3 } : std::vector<gint64>{ 3, 5 }), any (c) })
            .number ("transA", transpose_a)
            .number ("transB", transpose_b)
            .real ("alpha", 0.5)
            .real ("beta", 1.25)
            .check ();
  Gradient ("Gemm", 13, { any ({ 1, 3 }), any ({ 3, 1 }) }).check ();
  Gradient ("Gemm", 13, { any ({ 2, 0 }), any ({ 0, 3 }), any ({ 3 }) }).check ();
}

TEST (LayerGradient, MatMul)
{
  const std::vector<std::pair<std::vector<gint64>, std::vector<gint64> > > shapes
      = { { { 4, 3 }, { 3, 5 } },
          { { 3 }, { 3 } },
          { { 3 }, { 3, 5 } },
          { { 4, 3 }, { 3 } },
          { { 2, 4, 3 }, { 3, 5 } },
          { { 2, 4, 3 }, { 2, 3, 5 } },
          { { 4, 3 }, { 2, 3, 5 } },
          { { 2, 1, 4, 3 }, { 2, 3, 5 } },
          { { 3 }, { 2, 3, 5 } },
          { { 2, 4, 3 }, { 3 } },
          { { 2, 2, 4, 3 }, { 1, 2, 3, 5 } },
          { { 2, 4, 3 }, { 1, 3, 5 } },
          { { 0, 3 }, { 3, 5 } },
          { { 2, 0 }, { 0, 3 } } };
  for (const auto &pair : shapes)
    Gradient ("MatMul", 13, { any (pair.first), any (pair.second) }).check ();
}

struct ConvCase
{
  std::vector<gint64> x, w;
  gint64 group;
  std::vector<gint64> strides, dilations, pads;
};

const std::vector<ConvCase> convolutions = {
  { { 2, 3, 7 }, { 4, 3, 3 }, 1, { 1 }, { 1 }, { 0, 0 } },
  { { 2, 3, 9 }, { 4, 3, 3 }, 1, { 2 }, { 2 }, { 1, 3 } },
  { { 2, 3, 5, 6 }, { 4, 3, 3, 3 }, 1, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
  { { 2, 3, 5, 6 }, { 4, 3, 1, 1 }, 1, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
  { { 2, 3, 5, 6 }, { 4, 3, 1, 1 }, 1, { 2, 2 }, { 1, 1 }, { 0, 0, 0, 0 } },
  { { 2, 4, 6, 7 }, { 6, 2, 3, 2 }, 2, { 2, 1 }, { 1, 2 }, { 0, 1, 2, 0 } },
  { { 2, 4, 5, 5 }, { 4, 1, 3, 3 }, 4, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
  { { 2, 4, 7, 6 }, { 8, 1, 3, 3 }, 4, { 2, 2 }, { 1, 1 }, { 0, 0, 1, 1 } },
  { { 2, 4, 4, 3 }, { 4, 2, 1, 1 }, 2, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
  { { 1, 2, 3, 4, 5 }, { 3, 2, 2, 2, 3 }, 1, { 1, 2, 2 }, { 1, 1, 1 }, { 1, 0, 1, 0, 1, 1 } },
  { { 2, 2, 3, 3, 4 }, { 2, 1, 2, 3, 2 }, 2, { 1, 1, 1 }, { 1, 1, 2 }, { 0, 1, 1, 0, 1, 1 } },
  { { 1, 20, 4, 5 }, { 3, 20, 3, 3 }, 1, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
};

TEST (LayerGradient, Conv)
{
  for (const ConvCase &c : convolutions)
    for (bool bias : { false, true })
      {
        Tensors inputs = { any (c.x), any (c.w) };
        if (bias)
          inputs.push_back (any ({ c.w[0] }));
        Gradient ("Conv", 11, inputs)
            .number ("group", c.group)
            .ints ("strides", c.strides)
            .ints ("dilations", c.dilations)
            .ints ("pads", c.pads)
            .check ();
      }
  Gradient ("Conv", 11, { any ({ 1, 2, 5, 6 }), any ({ 3, 2, 3, 3 }) }).text ("auto_pad", "SAME_UPPER").check ();
  Gradient ("Conv", 11, { any ({ 0, 2, 5, 6 }), any ({ 3, 2, 3, 3 }), any ({ 3 }) }).check ();
}

TEST (LayerGradient, ConvTranspose)
{
  for (const ConvCase &c : convolutions)
    {
      // The data has the channels that the convolution would make, the sizes are small enough as they are.
      std::vector<gint64> x = c.x;
      x[1] = c.w[0];
      Gradient ("ConvTranspose", 11, { any (x), any (c.w), any ({ c.w[1] * c.group }) })
          .number ("group", c.group)
          .ints ("strides", c.strides)
          .ints ("dilations", c.dilations)
          .ints ("pads", c.pads)
          .check ();
    }
  Gradient ("ConvTranspose", 11, { any ({ 1, 2, 3, 3 }), any ({ 2, 3, 3, 3 }) })
      .ints ("strides", { 2, 2 })
      .ints ("output_padding", { 1, 1 })
      .check ();
}

const std::vector<std::vector<gint64> > images = { { 2, 3, 5 }, { 4, 3 }, { 2, 3, 3, 4 }, { 1, 3, 2, 2, 3 }, { 5 } };

TEST (LayerGradient, BatchNormalization)
{
  for (const std::vector<gint64> &dims : images)
    {
      gint64 c = dims.size () > 1 ? dims[1] : 1;
      Tensor x = any (dims), mean = any ({ c }), variance = uniform ({ c }, 0.5, 2);
      Gradient ("BatchNormalization", 15, { x, any ({ c }), any ({ c }), mean, variance }).check ();
      Gradient ("BatchNormalization", 9, { x, any ({ c }), any ({ c }), mean, variance })
          .real ("epsilon", 0.125)
          .check ();
      if (dims.size () > 1)
        Gradient ("BatchNormalization", 15, { x, any ({ c }), any ({ c }), mean, variance }, 3)
            .number ("training_mode", 1)
            .unused (1)
            .unused (2)
            .check ();
    }
  Gradient ("BatchNormalization", 7,
            { any ({ 3, 2, 2 }), any ({ 2, 2 }), any ({ 2, 2 }), any ({ 2, 2 }), uniform ({ 2, 2 }, 1, 2) })
      .number ("spatial", 0)
      .check ();
  Gradient ("BatchNormalization", 15, { any ({ 0, 2 }), any ({ 2 }), any ({ 2 }), any ({ 2 }), uniform ({ 2 }, 1, 2) })
      .check ();
}

TEST (LayerGradient, RowNormalizations)
{
  for (gint64 axis : { -1, 1, 0 })
    {
      std::vector<gint64> dims = { 2, 3, 5 };
      std::vector<gint64> factor (dims.begin () + (axis < 0 ? 2 : axis), dims.end ());
      Gradient ("LayerNormalization", 17, { any (dims), any (factor), any (factor) }).number ("axis", axis).check ();
      Gradient ("LayerNormalization", 17, { any (dims), any (factor) })
          .number ("axis", axis)
          .real ("epsilon", 0.25)
          .check ();
    }
  for (const std::vector<gint64> &dims : images)
    if (dims.size () > 2)
      Gradient ("InstanceNormalization", 6, { any (dims), any ({ 3 }), any ({ 3 }) }).check ();
  Gradient ("GroupNormalization", 18, { any ({ 2, 6, 3, 2 }), any ({ 3 }), any ({ 3 }) })
      .number ("num_groups", 3)
      .check ();
  Gradient ("GroupNormalization", 21, { any ({ 2, 6, 3, 2 }), any ({ 6 }), any ({ 6 }) })
      .number ("num_groups", 3)
      .check ();
  Gradient ("GroupNormalization", 21, { any ({ 2, 6 }), any ({ 6 }), any ({ 6 }) }).number ("num_groups", 1).check ();
}

// X, W, R and whatever of B, lengths, initial states and peepholes is asked for.
Tensors
lstm_inputs (gint64 directions, bool batch_first, bool bias, bool lengths, bool states, bool peepholes)
{
  const gint64 time = 4, batch = 2, input = 3, hidden = 2;
  auto state = [&] {
    return any (batch_first ? std::vector<gint64>{ batch, directions, hidden }
                            : std::vector<gint64>{ directions, batch, hidden });
  };
  Tensors inputs
      = { any (batch_first ? std::vector<gint64>{ batch, time, input } : std::vector<gint64>{ time, batch, input }),
          any ({ directions, 4 * hidden, input }), any ({ directions, 4 * hidden, hidden }) };
  inputs.push_back (bias ? any ({ directions, 8 * hidden }) : nullptr);
  inputs.push_back (lengths ? convert (whole ({ 4, 2 }), HT_DATA_TYPE_INT32) : nullptr);
  inputs.push_back (states ? state () : nullptr);
  inputs.push_back (states ? state () : nullptr);
  inputs.push_back (peepholes ? any ({ directions, 3 * hidden }) : nullptr);
  return inputs;
}

TEST (LayerGradient, Lstm)
{
  for (const char *direction : { "forward", "reverse", "bidirectional" })
    for (bool batch_first : { false, true })
      for (bool extras : { false, true })
        {
          gint64 directions = direction[0] == 'b' ? 2 : 1;
          auto gradient = [&] (bool bias, bool lengths, bool states, bool peepholes) {
            return Gradient ("LSTM", 14, lstm_inputs (directions, batch_first, bias, lengths, states, peepholes), 3)
                .number ("hidden_size", 2)
                .number ("layout", batch_first)
                .text ("direction", direction);
          };
          gradient (extras, extras, extras, extras).check ();
          gradient (true, extras, !extras, false).check ();
          gradient (true, false, extras, !extras).number ("input_forget", 1).check ();
          gradient (true, extras, true, false).unused (1).unused (2).check ();
          gradient (true, extras, true, false).unused (0).check ();
        }
}

TEST (LayerGradient, GruAndRnn)
{
  for (const char *op : { "GRU", "RNN" })
    for (const char *direction : { "forward", "reverse", "bidirectional" })
      for (bool batch_first : { false, true })
        for (bool linear : { false, true })
          for (bool extras : { false, true })
            {
              gint64 directions = direction[0] == 'b' ? 2 : 1, gates = op[0] == 'G' ? 3 : 1;
              auto gradient = [&] (bool bias, bool lengths, bool states) {
                Tensors inputs = lstm_inputs (directions, batch_first, bias, lengths, states, false);
                inputs[1] = any ({ directions, gates * 2, 3 });
                inputs[2] = any ({ directions, gates * 2, 2 });
                if (bias)
                  inputs[3] = any ({ directions, 2 * gates * 2 });
                inputs.resize (6);
                Gradient gradient (op, 14, inputs, 2);
                gradient.number ("hidden_size", 2).number ("layout", batch_first).text ("direction", direction);
                if (op[0] == 'G')
                  gradient.number ("linear_before_reset", linear);
                return gradient;
              };
              gradient (extras, extras, extras).check ();
              gradient (true, extras, !extras).check ();
              gradient (true, !extras, true).unused (0).check ();
              gradient (extras, true, true).unused (1).check ();
            }
}

TEST (LayerGradient, RmsNormAndLpNorm)
{
  Gradient ("RMSNormalization", 23, { any ({ 2, 3, 4 }), any ({ 4 }) }).check ();
  Gradient ("RMSNormalization", 23, { any ({ 2, 3, 4 }), any ({ 3, 4 }) }).number ("axis", 1).check ();
  Gradient ("RMSNormalization", 23, { any ({ 2, 3, 4 }), any ({ 3, 1 }) }).number ("axis", -2).check ();
  Gradient ("RMSNormalization", 23, { any ({ 2, 3, 4 }), any ({ 2, 1, 4 }) }).real ("epsilon", 0.5).check ();
  for (gint64 p : { 1, 2 })
    for (gint64 axis : { -1, 0, 1 })
      Gradient ("LpNormalization", 22, { any ({ 3, 4, 5 }) }).number ("p", p).number ("axis", axis).check ();
}

TEST (LayerGradient, SameBytesAtAnyNumberOfThreads)
{
  Gradient ("Gemm", 13, { any ({ 200, 150 }), any ({ 150, 170 }), any ({ 170 }) }).check_threads ();
  Gradient ("MatMul", 13, { any ({ 8, 100, 64 }), any ({ 64, 200 }) }).check_threads ();
  Gradient ("MatMul", 13, { any ({ 8, 100, 64 }), any ({ 8, 64, 100 }) }).check_threads ();
  for (gint64 group : { 1, 2, 16 })
    for (gint64 kernel : { 1, 3 })
      for (gint64 stride : { 1, 2 })
        {
          Tensor x = any ({ 5, 16, 40, 40 }), w = any ({ 32, 16 / group, kernel, kernel });
          Gradient ("Conv", 11, { x, w, any ({ 32 }) })
              .number ("group", group)
              .ints ("strides", { stride, stride })
              .check_threads ();
          Gradient ("ConvTranspose", 11, { any ({ 3, 32, 20, 20 }), w })
              .number ("group", group)
              .ints ("strides", { stride, stride })
              .check_threads ();
        }
  for (int training : { 0, 1 })
    for (const std::vector<gint64> &dims : { std::vector<gint64>{ 6, 20, 30, 30 }, { 2000, 100 } })
      {
        gint64 c = dims[1];
        Gradient ("BatchNormalization", 15,
                  { any (dims), any ({ c }), any ({ c }), any ({ c }), uniform ({ c }, 1, 2) })
            .number ("training_mode", training)
            .check_threads ();
      }
  Gradient ("LayerNormalization", 17, { any ({ 3000, 64 }), any ({ 64 }), any ({ 64 }) }).check_threads ();
  Gradient ("GroupNormalization", 21, { any ({ 5, 16, 50, 50 }), any ({ 16 }), any ({ 16 }) })
      .number ("num_groups", 4)
      .check_threads ();
}

}
