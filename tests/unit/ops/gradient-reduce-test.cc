// SPDX-License-Identifier: MIT
// Backward of what joins elements: reductions, softmax, pools, LRN.
#include "gradient.h"

using namespace support;

namespace
{

Tensor
input_for (const std::string &op, std::vector<gint64> dims)
{
  return op == "ReduceLogSum"                     ? uniform (dims, 0.25, 2)
         : op == "ReduceMax" || op == "ReduceMin" ? distinct (dims)
                                                  : any (dims);
}

TEST (ReduceGradient, Reductions)
{
  for (const char *op : { "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1",
                          "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd" })
    for (gint64 keep : { 0, 1 })
      {
        for (const std::vector<gint64> &axes :
             { std::vector<gint64>{ 1 }, { -1 }, { 0, 2 }, { 0, 1 }, { -3, -2, -1 }, {} })
          Gradient (op, 18, { input_for (op, { 2, 3, 4 }), whole (axes) }).number ("keepdims", keep).check ();
        Gradient (op, 18, { input_for (op, { 2, 3, 4 }), whole ({}) })
            .number ("noop_with_empty_axes", 1)
            .number ("keepdims", keep)
            .check ();
        Gradient (op, 11, { input_for (op, { 2, 3, 4 }) }).ints ("axes", { 1 }).number ("keepdims", keep).check ();
        Gradient (op, 18, { input_for (op, { 2, 3 }) }).number ("keepdims", keep).check ();
        Gradient (op, 18, { input_for (op, { 3 }) }).number ("keepdims", keep).check ();
      }
}

TEST (ReduceGradient, ProductsOfZeros)
{
  for (int zeros : { 1, 2 })
    {
      Tensor x = any ({ 3, 4 });
      for (int i = 0; i < zeros; i++)
        doubles (x)[5 + i] = 0;
      for (gint64 axis : { 0, 1 })
        Gradient ("ReduceProd", 18, { x, whole ({ axis }) }).check ();
    }
}

TEST (ReduceGradient, TopK)
{
  for (gint64 axis : { -1, 0, 1 })
    for (gint64 largest : { 0, 1 })
      for (size_t unused : { 0, 1 })
        Gradient ("TopK", 11, { distinct ({ 3, 4, 5 }), whole ({ 2 }) }, unused ? 2 : 1)
            .number ("axis", axis)
            .number ("largest", largest)
            .check ();
}

TEST (ReduceGradient, Softmax)
{
  for (const char *op : { "Softmax", "LogSoftmax" })
    {
      for (gint64 axis : { -1, 0, 1, 2 })
        Gradient (op, 13, { any ({ 2, 5, 3 }) }).number ("axis", axis).check ();
      Gradient (op, 11, { any ({ 2, 2, 3 }) }).check ();
      Gradient (op, 11, { any ({ 2, 2, 3 }) }).number ("axis", 2).check ();
    }
}

struct PoolCase
{
  std::vector<gint64> x, kernel, strides, pads, dilations;
};

const std::vector<PoolCase> pools = {
  { { 2, 3, 9 }, { 3 }, { 2 }, { 1, 1 }, { 1 } },
  { { 2, 3, 6, 7 }, { 2, 3 }, { 1, 2 }, { 0, 0, 0, 0 }, { 1, 1 } },
  { { 1, 2, 7, 6 }, { 3, 3 }, { 2, 2 }, { 1, 0, 1, 2 }, { 1, 1 } },
  { { 1, 2, 7, 8 }, { 2, 3 }, { 1, 1 }, { 0, 1, 1, 1 }, { 3, 2 } },
  { { 1, 2, 3, 4, 5 }, { 2, 2, 3 }, { 1, 2, 2 }, { 1, 0, 1, 0, 1, 1 }, { 1, 1, 1 } },
};

TEST (ReduceGradient, Pools)
{
  for (const PoolCase &c : pools)
    for (gint64 flag : { 0, 1 })
      {
        auto set = [&] (Gradient gradient) {
          gradient.ints ("kernel_shape", c.kernel)
              .ints ("strides", c.strides)
              .ints ("pads", c.pads)
              .number ("ceil_mode", flag);
          return gradient;
        };
        set (Gradient ("MaxPool", 12, { distinct (c.x) }, flag ? 2 : 1)).ints ("dilations", c.dilations).check ();
        set (Gradient ("AveragePool", 19, { any (c.x) }))
            .ints ("dilations", c.dilations)
            .number ("count_include_pad", flag)
            .check ();
        set (Gradient ("AveragePool", 19, { any (c.x) })).number ("count_include_pad", 1 - flag).check ();
      }
  Gradient ("AveragePool", 11, { any ({ 1, 2, 5, 5 }) })
      .ints ("kernel_shape", { 2, 2 })
      .text ("auto_pad", "SAME_UPPER")
      .check ();
  for (const std::vector<gint64> &dims : { std::vector<gint64>{ 2, 3, 4, 5 }, { 2, 3, 4 }, { 2, 3 } })
    {
      Gradient ("GlobalAveragePool", 1, { any (dims) }).check ();
      Gradient ("GlobalMaxPool", 1, { distinct (dims) }).check ();
    }
}

TEST (ReduceGradient, Lrn)
{
  for (gint64 size : { 1, 2, 3, 5 })
    Gradient ("LRN", 13, { any ({ 2, 6, 3, 2 }) })
        .number ("size", size)
        .real ("alpha", 0.5)
        .real ("bias", 1.5)
        .check ();
  Gradient ("LRN", 13, { any ({ 1, 4, 3 }) }).number ("size", 3).real ("alpha", 0.25).real ("beta", 0.5).check ();
}

TEST (ReduceGradient, SameBytesAtAnyNumberOfThreads)
{
  Gradient ("ReduceMean", 18, { any ({ 300, 700 }), whole ({ 0 }) }).check_threads ();
  Gradient ("ReduceMax", 18, { any ({ 300, 700 }), whole ({ 0 }) }).check_threads ();
  Gradient ("Softmax", 13, { any ({ 300, 700 }) }).check_threads ();
  Gradient ("Softmax", 13, { any ({ 300, 700 }) }).number ("axis", 0).check_threads ();
  for (const char *op : { "MaxPool", "AveragePool" })
    Gradient (op, 12, { any ({ 4, 16, 50, 50 }) })
        .ints ("kernel_shape", { 3, 3 })
        .ints ("strides", { 2, 2 })
        .check_threads ();
  Gradient ("GlobalAveragePool", 1, { any ({ 4, 16, 50, 50 }) }).check_threads ();
  Gradient ("LRN", 13, { any ({ 4, 16, 50, 50 }) }).number ("size", 5).check_threads ();
}

}
