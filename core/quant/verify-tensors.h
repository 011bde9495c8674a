/* SPDX-License-Identifier: MIT */
/* The quantized tensors of a simulation, and where an exported file has them. */
#pragma once

#include "quant/verify-compare.h"

#include <halftone/verification.h>

struct _HtVerifiedTensor
{
  gatomicrefcount n_refs;
  char *name;  /* in the simulation */
  char *place; /* in the file; NULL: it has none */
  char *layer;
  char *problem;        /* what is wrong with it before anything runs, or NULL */
  HtEncoding *encoding; /* NULL: an output in floating point */
  HtTensor *constant;   /* on its grid; NULL: an activation */
  HtDeviation alone;    /* of the layer, given what the simulation's layer reads */
  HtDeviation whole;    /* in a run of the whole file */
};

/* In graph order: inputs, then for each node its constants, its bias and what it makes. Element type HtVerifiedTensor.
 */
GPtrArray *ht_verify_list_tensors (HtSimulation *simulation, HtGraph *file, GError **error);
