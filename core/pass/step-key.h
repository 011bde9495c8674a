/* SPDX-License-Identifier: MIT */
/* Names of results by what they follow from. Steps with one key have one result: what differs between two keys is read,
 * what is not read is not in them. Keys are SHA-256 in hexadecimal and outlive the process. */
#pragma once

#include <halftone/plan.h>

/* What a step may get beside its parameters and the settings. */
typedef struct
{
  guint64 seed;
  const char *calibration; /* ht_dataset_hash(); NULL: no data */
  guint batch;             /* of the calibration data */
} HtStepInputs;

/* The key of the state that a step makes out of the one whose key is `parent`. Of a state that no step has made, its
 * hash is the key. */
char *ht_step_key_new (const char *parent, const char *step, HtPass *pass, HtQuantizationConfig *config,
                       const HtStepInputs *inputs);
char *ht_step_key (const char *parent, HtPlan *plan, guint step, const HtStepInputs *inputs);
/* The key of what calibrating a state under all the settings, and evaluating it, gives. `evaluation` (nullable) says
 * what it is evaluated on, and how. */
char *ht_leaf_key (const char *parent, HtQuantizationConfig *config, const HtStepInputs *inputs,
                   const char *evaluation);
