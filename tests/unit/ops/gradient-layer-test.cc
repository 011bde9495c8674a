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

TEST (LayerGradient, SameBytesAtAnyNumberOfThreads)
{
  Gradient ("Gemm", 13, { any ({ 200, 150 }), any ({ 150, 170 }), any ({ 170 }) }).check_threads ();
  Gradient ("MatMul", 13, { any ({ 8, 100, 64 }), any ({ 64, 200 }) }).check_threads ();
  Gradient ("MatMul", 13, { any ({ 8, 100, 64 }), any ({ 8, 64, 100 }) }).check_threads ();
}

}
