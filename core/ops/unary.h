/* SPDX-License-Identifier: MIT */
/* Functions of one element. */
#pragma once

#include "kernels/map.h"
#include "ops/loop.h"

typedef struct
{
  double a, b, c; /* what the attributes say, by operator */
} HtUnaryParameters;

typedef void (*HtUnaryLoop) (gsize n, gconstpointer in, gpointer out, const HtUnaryParameters *parameters);

typedef struct
{
  HtDataType type; /* UNDEFINED ends a list */
  HtUnaryLoop loop;
} HtUnaryKernel;

/* Runs the kernel of input 0's type; fp16 and bf16 go through float. `cost` is the weight of one element. */
gboolean ht_op_run_unary (const HtOpCall *call, const HtUnaryKernel *kernels, const HtUnaryParameters *parameters,
                          gsize cost, HtForward forward, GError **error);

#define HT_UNARY_LOOP(NAME, T, EXPRESSION)                                                                             \
  static void NAME##_##T (gsize n, gconstpointer in_, gpointer out_, const HtUnaryParameters *p)                       \
  {                                                                                                                    \
    const T *in = in_;                                                                                                 \
    T *out = out_;                                                                                                     \
    (void) p;                                                                                                          \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T x = in[i];                                                                                                   \
        out[i] = (T) (EXPRESSION);                                                                                     \
      }                                                                                                                \
  }

/* A forward function NAME_forward from the loops NAME_float and NAME_double. */
#define HT_UNARY_FORWARD(NAME, COST, ...)                                                                              \
  static gboolean NAME##_forward (const HtOpCall *call, GError **error)                                                \
  {                                                                                                                    \
    static const HtUnaryKernel kernels[] = { { HT_DATA_TYPE_FLOAT, NAME##_float },                                     \
                                             { HT_DATA_TYPE_DOUBLE, NAME##_double },                                   \
                                             { HT_DATA_TYPE_UNDEFINED, NULL } };                                       \
    HtUnaryParameters parameters = __VA_ARGS__;                                                                        \
    return ht_op_run_unary (call, kernels, &parameters, COST, NAME##_forward, error);                                  \
  }
/* The same from two expressions of x: in float and in double. */
#define HT_UNARY_FLOAT(NAME, COST, FLOAT_EXPRESSION, DOUBLE_EXPRESSION, PARAMETERS)                                    \
  HT_UNARY_LOOP (NAME, float, FLOAT_EXPRESSION)                                                                        \
  HT_UNARY_LOOP (NAME, double, DOUBLE_EXPRESSION)                                                                      \
  HT_UNARY_FORWARD (NAME, COST, PARAMETERS)
/* The same where a kernel of map.h does float. */
#define HT_UNARY_MAPPED(NAME, MAP, DOUBLE_EXPRESSION)                                                                  \
  static void NAME##_float (gsize n, gconstpointer in, gpointer out, const HtUnaryParameters *p)                       \
  {                                                                                                                    \
    HT_MAP (MAP) (n, in, out);                                                                                         \
  }                                                                                                                    \
  HT_UNARY_LOOP (NAME, double, DOUBLE_EXPRESSION)                                                                      \
  HT_UNARY_FORWARD (NAME, HT_MAP_COST, HT_NO_PARAMETERS)
#define HT_MAP_COST 2
#define HT_NO_PARAMETERS { 0 }
