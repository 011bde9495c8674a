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

TEST (ElementwiseGradient, SameBytesAtAnyNumberOfThreads)
{
  Gradient ("Relu", 14, { any ({ 300, 700 }) }).check_threads ();
  Gradient ("Add", 14, { any ({ 300, 700 }), any ({ 700 }) }).check_threads ();
  Gradient ("Add", 14, { any ({ 4, 3, 200, 100 }), any ({ 3, 1, 1 }) }).check_threads ();
  Gradient ("Add", 14, { any ({ 100000, 2 }), any ({ 2 }) }).check_threads ();
}

}
