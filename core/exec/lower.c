/* SPDX-License-Identifier: MIT */
/* The rules that choose something better than an operator's own forward function, by operator. */
#include "exec/lower.h"

#include <string.h>

static const HtExecRule rules[] = {
  { "Add", ht_exec_lower_elementwise },
  { "AveragePool", ht_exec_lower_pool },
  { "BatchNormalization", ht_exec_lower_elementwise },
  { "Clip", ht_exec_lower_elementwise },
  { "Concat", ht_exec_lower_concat },
  { "Conv", ht_exec_lower_conv },
  { "Div", ht_exec_lower_elementwise },
  { "Dropout", ht_exec_lower_elementwise },
  { "Gelu", ht_exec_lower_elementwise },
  { "Gemm", ht_exec_lower_gemm },
  { "GlobalAveragePool", ht_exec_lower_global_pool },
  { "GlobalMaxPool", ht_exec_lower_global_pool },
  { "HardSigmoid", ht_exec_lower_elementwise },
  { "HardSwish", ht_exec_lower_elementwise },
  { "Identity", ht_exec_lower_elementwise },
  { "LeakyRelu", ht_exec_lower_elementwise },
  { "MatMul", ht_exec_lower_attention },
  { "Max", ht_exec_lower_elementwise },
  { "MaxPool", ht_exec_lower_pool },
  { "Min", ht_exec_lower_elementwise },
  { "Mul", ht_exec_lower_mul },
  { "Pad", ht_exec_lower_pad },
  { "ReduceMean", ht_exec_lower_layer_norm },
  { "Relu", ht_exec_lower_elementwise },
  { "Reshape", ht_exec_lower_shuffle },
  { "Sigmoid", ht_exec_lower_elementwise },
  { "Slice", ht_exec_lower_slice },
  { "Sub", ht_exec_lower_elementwise },
  { "Sum", ht_exec_lower_elementwise },
  { "Tanh", ht_exec_lower_elementwise },
  { "Transpose", ht_exec_lower_attention },
};

const HtExecRule *
ht_exec_find_rule (HtNode *node)
{
  const char *domain = ht_node_get_domain (node);

  if (domain[0] != '\0' && strcmp (domain, "ai.onnx") != 0)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (strcmp (rules[i].op_type, ht_node_get_op_type (node)) == 0)
      return &rules[i];
  return NULL;
}
