// SPDX-License-Identifier: MIT
// Recurrent operators against the equations of the ONNX specification in double precision.
#include "one-node.h"

#include <cmath>

using support::Array;
using support::OneNode;

namespace
{

struct Model
{
  size_t time, batch, input, hidden, directions;
  Array x, w, r, b, h, c, p;
  std::vector<gint32> lengths;
  bool linear_before_reset = false;
};

double
sigmoid (double x)
{
  return 1 / (1 + std::exp (-x));
}

Model
random_model (std::mt19937 &engine, size_t gates, size_t directions)
{
  Model m;
  m.time = 1 + engine () % 6;
  m.batch = 1 + engine () % 4;
  m.input = 1 + engine () % 7;
  m.hidden = 1 + engine () % 9;
  m.directions = directions;
  gint64 t = static_cast<gint64> (m.time), n = static_cast<gint64> (m.batch), i = static_cast<gint64> (m.input);
  gint64 k = static_cast<gint64> (m.hidden), d = static_cast<gint64> (directions), g = static_cast<gint64> (gates);
  m.x = support::random_array ({ t, n, i }, engine);
  m.w = support::random_array ({ d, g * k, i }, engine);
  m.r = support::random_array ({ d, g * k, k }, engine);
  m.b = support::random_array ({ d, 2 * g * k }, engine);
  m.h = support::random_array ({ d, n, k }, engine);
  m.c = support::random_array ({ d, n, k }, engine);
  m.p = support::random_array ({ d, 3 * k }, engine);
  for (size_t j = 0; j < m.batch; j++)
    m.lengths.push_back (static_cast<gint32> (engine () % (m.time + 1)));
  return m;
}

// x_t W' + Wb, and separately h R' + Rb, for one row of a gate.
double
input_part (const Model &m, size_t gates, size_t d, size_t t, size_t n, size_t row)
{
  size_t rows = gates * m.hidden;
  double sum = m.b.values[d * 2 * rows + row];
  for (size_t i = 0; i < m.input; i++)
    sum += static_cast<double> (m.x.values[(t * m.batch + n) * m.input + i])
           * m.w.values[(d * rows + row) * m.input + i];
  return sum;
}

double
state_part (const Model &m, size_t gates, size_t d, const std::vector<double> &h, size_t row)
{
  size_t rows = gates * m.hidden;
  double sum = m.b.values[d * 2 * rows + rows + row];
  for (size_t i = 0; i < m.hidden; i++)
    sum += h[i] * m.r.values[(d * rows + row) * m.hidden + i];
  return sum;
}

void
lstm_step (const Model &m, size_t d, size_t t, size_t n, std::vector<double> &h, std::vector<double> &c)
{
  size_t k = m.hidden;
  std::vector<double> new_h (k);
  const float *p = &m.p.values[d * 3 * k];
  auto gate
      = [&] (size_t g, size_t i) { return input_part (m, 4, d, t, n, g * k + i) + state_part (m, 4, d, h, g * k + i); };
  for (size_t i = 0; i < k; i++)
    {
      double in = sigmoid (gate (0, i) + p[i] * c[i]), forget = sigmoid (gate (2, i) + p[2 * k + i] * c[i]);
      c[i] = forget * c[i] + in * std::tanh (gate (3, i));
      new_h[i] = sigmoid (gate (1, i) + p[k + i] * c[i]) * std::tanh (c[i]);
    }
  h = new_h;
}

void
gru_step (const Model &m, size_t d, size_t t, size_t n, std::vector<double> &h)
{
  size_t k = m.hidden;
  std::vector<double> update (k), reset (k), gated (k), new_h (k);
  for (size_t i = 0; i < k; i++)
    {
      update[i] = sigmoid (input_part (m, 3, d, t, n, i) + state_part (m, 3, d, h, i));
      reset[i] = sigmoid (input_part (m, 3, d, t, n, k + i) + state_part (m, 3, d, h, k + i));
      gated[i] = reset[i] * h[i];
    }
  for (size_t i = 0; i < k; i++)
    {
      double in = input_part (m, 3, d, t, n, 2 * k + i);
      double fresh = std::tanh (m.linear_before_reset ? in + reset[i] * state_part (m, 3, d, h, 2 * k + i)
                                                      : in + state_part (m, 3, d, gated, 2 * k + i));
      new_h[i] = (1 - update[i]) * fresh + update[i] * h[i];
    }
  h = new_h;
}

void
check (Model &m, const char *op, const char *direction)
{
  bool lstm = op[0] == 'L', gru = op[0] == 'G';
  size_t k = m.hidden;
  std::vector<double> y (m.time * m.directions * m.batch * k), y_h (m.directions * m.batch * k), y_c (y_h.size ());
  for (size_t d = 0; d < m.directions; d++)
    for (size_t n = 0; n < m.batch; n++)
      {
        std::vector<double> h, c;
        size_t length = static_cast<size_t> (m.lengths[n]);
        for (size_t i = 0; i < k; i++)
          {
            h.push_back (m.h.values[(d * m.batch + n) * k + i]);
            c.push_back (m.c.values[(d * m.batch + n) * k + i]);
          }
        for (size_t s = 0; s < length; s++)
          {
            size_t t = d == 1 || std::string (direction) == "reverse" ? length - 1 - s : s;
            if (lstm)
              lstm_step (m, d, t, n, h, c);
            else if (gru)
              gru_step (m, d, t, n, h);
            else
              {
                std::vector<double> new_h;
                for (size_t i = 0; i < k; i++)
                  new_h.push_back (std::tanh (input_part (m, 1, d, t, n, i) + state_part (m, 1, d, h, i)));
                h = new_h;
              }
            for (size_t i = 0; i < k; i++)
              y[((t * m.directions + d) * m.batch + n) * k + i] = h[i];
          }
        for (size_t i = 0; i < k; i++)
          {
            y_h[(d * m.batch + n) * k + i] = h[i];
            y_c[(d * m.batch + n) * k + i] = c[i];
          }
      }
  gint64 n_lengths = static_cast<gint64> (m.batch);
  HtTensor *lengths = ht_tensor_new (HT_DATA_TYPE_INT32, &n_lengths, 1, nullptr);
  memcpy (ht_tensor_get_writable_data (lengths), m.lengths.data (), m.batch * sizeof (gint32));
  OneNode node (op, 14, lstm ? 3 : 2);
  node.input (m.x).input (m.w).input (m.r).input (m.b).input (lengths).input (m.h);
  if (lstm)
    node.input (m.c).input (m.p);
  node.text ("direction", direction).number ("hidden_size", static_cast<gint64> (k));
  if (gru)
    node.number ("linear_before_reset", m.linear_before_reset);
  GError *error = nullptr;
  auto found = node.run (&error);
  ASSERT_NO_GERROR (error);
  gint64 dd = static_cast<gint64> (m.directions), nn = static_cast<gint64> (m.batch), kk = static_cast<gint64> (k);
  support::expect_close (found[0], { static_cast<gint64> (m.time), dd, nn, kk }, y, {}, 3e-6, op);
  support::expect_close (found[1], { dd, nn, kk }, y_h, {}, 3e-6, op);
  if (lstm)
    support::expect_close (found[2], { dd, nn, kk }, y_c, {}, 1e-5, op);
}

TEST (Rnn, AllCellsAndDirections)
{
  std::mt19937 engine (1);
  for (int i = 0; i < 30; i++)
    for (const char *direction : { "forward", "reverse", "bidirectional" })
      {
        size_t directions = direction[0] == 'b' ? 2 : 1;
        Model lstm = random_model (engine, 4, directions), gru = random_model (engine, 3, directions);
        Model rnn = random_model (engine, 1, directions);
        gru.linear_before_reset = i % 2;
        check (lstm, "LSTM", direction);
        check (gru, "GRU", direction);
        check (rnn, "RNN", direction);
      }
}

TEST (Rnn, WrongShapesAndWordsAreNamed)
{
  std::mt19937 engine (1);
  Array x = support::random_array ({ 2, 1, 3 }, engine), w = support::random_array ({ 1, 16, 3 }, engine);
  Array r = support::random_array ({ 1, 16, 4 }, engine), wrong = support::random_array ({ 1, 16, 5 }, engine);
  GError *error = nullptr;
  OneNode ("LSTM", 14).input (x).input (wrong).input (r).number ("hidden_size", 4).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "input 1");
  OneNode ("LSTM", 14).input (x).input (w).input (r).number ("hidden_size", 5).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "expected");
  OneNode ("LSTM", 14).input (x).input (w).input (r).number ("hidden_size", 4).text ("direction", "up").run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "direction");
}

}
