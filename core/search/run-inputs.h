/* SPDX-License-Identifier: MIT */
/* What the work of a recipe starts from: its model, prepared, and its data. */
#pragma once

#include <halftone/recipe.h>

typedef struct
{
  HtRecipe *recipe;
  char *model_path;
  guint64 memory_budget; /* bytes of a forward pass; 0: any amount */
  gboolean holds_out;    /* a part of the calibration samples is kept for choosing */

  /* Filled by ht_run_inputs_open() */
  HtGraph *given;     /* prepared, sealed */
  char **preparation; /* what preparing it did */
  HtDataset *calibration, *evaluation;
  HtDataset *held_out;               /* NULL: nothing is held out */
  guint batch[HT_DATA_TRAINING + 1]; /* by HtDataRole */
  double load_seconds;
} HtRunInputs;

void ht_run_inputs_init (HtRunInputs *self, HtRecipe *recipe);
void ht_run_inputs_clear (HtRunInputs *self);
gboolean ht_run_inputs_open (HtRunInputs *self, GError **error);
/* The given network, sealed, with the encodings that the recipe gives under these settings. */
HtModelState *ht_run_inputs_make_start (HtRunInputs *self, HtQuantizationConfig *config, GError **error);
/* Calibrates what is open; an error where that needs data and there is none. */
gboolean ht_run_inputs_calibrate (HtRunInputs *self, HtSimulation *simulation, HtProgressFunc progress,
                                  gpointer user_data, GCancellable *cancellable, GError **error);
/* The batch for a data set: that of its role. */
guint ht_run_inputs_get_batch (HtRunInputs *self, HtDataset *dataset);
