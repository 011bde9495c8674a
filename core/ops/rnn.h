/* SPDX-License-Identifier: MIT */
/* What the inference of RNN, GRU and LSTM shares with their steps. */
#pragma once

#include "graph/operator.h"

typedef enum
{
  HT_RNN_RNN,
  HT_RNN_GRU,
  HT_RNN_LSTM,
} HtRnnCell;

/* Blocks of `hidden` rows in the weights, activations a direction has, and those that are the default. */
typedef struct
{
  guint n_gates, n_activations;
  const char *defaults[3];
} HtRnnCellInfo;

extern const HtRnnCellInfo ht_rnn_cells[];

HtRnnCell ht_rnn_cell_of (HtNode *node);
/* 0: the attribute is none of the three words. */
guint ht_rnn_count_directions (HtNode *node);

/* All inputs and outputs are of that type; the workspace holds what rnn.c asks for. */
gboolean ht_rnn_run_float (const HtOpCall *call, GError **error);
gboolean ht_rnn_run_double (const HtOpCall *call, GError **error);
