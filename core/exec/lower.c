/* SPDX-License-Identifier: MIT */
/* The rules that choose something better than an operator's own forward function, by operator. */
#include "exec/lower.h"

#include <string.h>

static const HtExecRule rules[] = {
  { NULL, NULL },
};

const HtExecRule *
ht_exec_find_rule (HtNode *node)
{
  const char *domain = ht_node_get_domain (node);

  if (domain[0] != '\0' && strcmp (domain, "ai.onnx") != 0)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (rules[i].op_type && strcmp (rules[i].op_type, ht_node_get_op_type (node)) == 0)
      return &rules[i];
  return NULL;
}
