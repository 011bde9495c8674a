// SPDX-License-Identifier: MIT
// Backward of functions of one element and of broadcast arithmetic.
#include "gradient.h"

using namespace support;

namespace
{

TEST (ElementwiseGradient, Activations)
{
  Gradient ("Relu", 14, { any ({ 3, 7 }) }).check ();
  Gradient ("Relu", 14, { any ({}) }).check ();
  Gradient ("Relu", 14, { any ({ 0, 3 }) }).check ();
  for (const char *op : { "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu",
                          "Celu", "Selu", "Mish", "Gelu" })
    Gradient (op, 22, { any ({ 5, 7 }) }).check ();
  for (const char *op : { "LeakyRelu", "Elu", "Celu" })
    Gradient (op, 22, { any ({ 5, 7 }) }).real ("alpha", 0.75).check ();
  Gradient ("Selu", 22, { any ({ 5, 7 }) }).real ("alpha", 1.5).real ("gamma", 0.5).check ();
  Gradient ("HardSigmoid", 22, { any ({ 5, 7 }) }).real ("alpha", 0.5).real ("beta", 0.375).check ();
  Gradient ("Gelu", 20, { any ({ 5, 7 }) }).text ("approximate", "tanh").check ();
  Gradient ("Swish", 24, { any ({ 5, 7 }) }).real ("alpha", 1.25).check ();
  Gradient ("ThresholdedRelu", 22, { any ({ 5, 7 }) }).real ("alpha", 0.01).check ();
  Gradient ("Shrink", 9, { any ({ 5, 7 }) }).real ("lambd", 0.03125).real ("bias", 0.25).check ();
}

TEST (ElementwiseGradient, Functions)
{
  for (const char *op : { "Abs", "Neg", "Exp", "Reciprocal", "Erf", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh" })
    Gradient (op, 22, { any ({ 4, 6 }, 0.25) }).check ();
  for (const char *op : { "Log", "Sqrt" })
    Gradient (op, 22, { uniform ({ 4, 6 }, 0.25, 3) }).check ();
  for (const char *op : { "Asin", "Acos", "Atanh", "Tan" })
    Gradient (op, 22, { uniform ({ 4, 6 }, -0.875, 0.875) }).check ();
  Gradient ("Acosh", 22, { uniform ({ 4, 6 }, 1.25, 3) }).check ();
  for (const char *op : { "Sign", "Floor", "Ceil", "Round" })
    Gradient (op, 22, { reals ({ -2.3, -0.7, 0.2, 1.6 }, { 4 }) }).check ();
}

TEST (ElementwiseGradient, Clip)
{
  Tensor low = reals ({ -0.5 }, {}), high = reals ({ 0.75 }, {});
  Gradient ("Clip", 13, { distinct ({ 6, 11 }), low, high }).check ();
  Gradient ("Clip", 13, { distinct ({ 6, 11 }), nullptr, high }).check ();
  Gradient ("Clip", 13, { distinct ({ 6, 11 }), low }).check ();
  Gradient ("Clip", 13, { distinct ({ 6, 11 }) }).check ();
  Gradient ("Clip", 6, { distinct ({ 6, 11 }) }).real ("min", -0.5).real ("max", 0.75).check ();
  Gradient ("Clip", 6, { distinct ({ 6, 11 }) }).real ("max", 0.75).check ();
}

struct Pair
{
  std::vector<gint64> a, b;
};

const std::vector<Pair> broadcasts = {
  { { 2, 3 }, { 2, 3 } }, { { 2, 3, 4 }, { 4 } },     { { 2, 3, 4 }, { 3, 1 } },  { { 2, 1, 4 }, { 5, 1 } },
  { {}, { 3, 2 } },       { { 1, 1, 3 }, { 3 } },     { { 3 }, { 1, 1, 3 } },     { { 2, 1, 3, 1, 2 }, { 4, 1, 5, 1 } },
  { { 1 }, { 1, 1 } },    { { 2, 3, 300 }, { 300 } }, { { 300, 2 }, { 300, 1 } }, { { 0, 3 }, { 3 } }
};

TEST (ElementwiseGradient, Add)
{
  for (const Pair &shapes : broadcasts)
    Gradient ("Add", 14, { any (shapes.a), any (shapes.b) }).check ();
  Gradient ("Sum", 13, { any ({ 2, 3 }), any ({ 3 }), any ({ 2, 1 }) }).check ();
}

TEST (ElementwiseGradient, Arithmetic)
{
  for (const Pair &shapes : broadcasts)
    {
      for (const char *op : { "Sub", "Mul", "Mean" })
        Gradient (op, 14, { any (shapes.a), any (shapes.b) }).check ();
      Gradient ("Div", 14, { any (shapes.a), any (shapes.b, 0.5) }).check ();
      // Away from where the whole quotient jumps
      for (const std::pair<double, double> &range : { std::pair<double, double>{ 7, 8.5 }, { -5.5, -3.5 }, { -1, 1 } })
        Gradient ("Mod", 13, { uniform (shapes.a, range.first, range.second), uniform (shapes.b, 3, 3.1) })
            .number ("fmod", 1)
            .check ();
      Gradient ("Pow", 15, { uniform (shapes.a, 0.5, 2), any (shapes.b) }).check ();
    }
  Gradient ("Mean", 13, { any ({ 2, 3 }), any ({ 3 }), any ({ 2, 1 }) }).check ();
  Gradient ("Pow", 15, { any ({ 3, 5 }), reals ({ 2 }, {}) }).constant (1).check ();
  Gradient ("Pow", 15, { any ({ 3, 5 }), reals ({ 3 }, { 1 }) }).constant (1).check ();
  Gradient ("Pow", 15, { any ({ 3, 5 }), whole ({ 3 }) }).check ();
  Gradient ("Pow", 15, { any ({ 2, 3 }), whole ({ 0, 1, 2 }) }).check ();
}

TEST (ElementwiseGradient, Extremes)
{
  for (const char *op : { "Min", "Max" })
    {
      for (const Pair &shapes : broadcasts)
        Gradient (op, 13, { distinct (shapes.a), distinct (shapes.b) }).check ();
      Tensor shifted = distinct ({ 3 }), moved = distinct ({ 2, 1 });
      for (size_t i = 0; i < 3; i++)
        doubles (shifted)[i] += 0.011;
      for (size_t i = 0; i < 2; i++)
        doubles (moved)[i] -= 0.0123;
      Gradient (op, 13, { distinct ({ 2, 3 }), shifted, moved }).check ();
      Gradient (op, 13, { distinct ({ 2, 3 }) }).check ();
    }
}

TEST (ElementwiseGradient, PReluAndWhere)
{
  Gradient ("PRelu", 16, { any ({ 2, 3, 4 }), any ({ 3, 1 }) }).check ();
  Gradient ("PRelu", 16, { any ({ 2, 3, 4 }), any ({ 1 }) }).check ();
  Gradient ("PRelu", 16, { any ({ 2, 3, 4 }), any ({ 2, 3, 4 }) }).check ();
  Gradient ("Where", 16, { truth ({ 1, 0, 0, 1, 1, 0 }, { 2, 3 }), any ({ 2, 3 }), any ({ 2, 3 }) }).check ();
  Gradient ("Where", 16, { truth ({ 1, 0, 1 }, { 3 }), any ({ 2, 1 }), any ({}) }).check ();
  Gradient ("Where", 16, { truth ({ 1, 0 }, { 2, 1, 1 }), any ({ 3, 1 }), any ({ 4 }) }).check ();
}

TEST (ElementwiseGradient, SameBytesAtAnyNumberOfThreads)
{
  Gradient ("Relu", 14, { any ({ 300, 700 }) }).check_threads ();
  Gradient ("Add", 14, { any ({ 300, 700 }), any ({ 700 }) }).check_threads ();
  Gradient ("Add", 14, { any ({ 4, 3, 200, 100 }), any ({ 3, 1, 1 }) }).check_threads ();
  Gradient ("Mul", 14, { any ({ 4, 3, 200, 100 }), any ({ 3, 1, 1 }) }).check_threads ();
  Gradient ("Max", 14, { any ({ 4, 3, 200, 100 }), any ({ 3, 1, 1 }) }).check_threads ();
  Gradient ("Sigmoid", 14, { any ({ 4, 3, 200, 100 }) }).check_threads ();
  Gradient ("Clip", 13, { any ({ 300, 700 }), reals ({ 0.25 }, {}) }).check_threads ();
  Gradient ("Add", 14, { any ({ 100000, 2 }), any ({ 2 }) }).check_threads ();
}

}
