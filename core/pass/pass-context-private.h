/* SPDX-License-Identifier: MIT */
/* How the pass manager fills a context and reads its report. */
#pragma once

#include <halftone/pass-context.h>

typedef struct
{
  const char *step;
  HtPass *pass;
  HtQuantizationConfig *config; /* nullable */
  HtDataset *calibration;       /* nullable */
  guint batch;
  guint64 seed;
  GCancellable *cancellable; /* nullable */
  HtProgressFunc progress;   /* nullable; gets the fraction of the step */
  gpointer progress_data;
} HtPassContextSetup;

HtPassContext *ht_pass_context_new (const HtPassContextSetup *setup);
/* The context outlives its step where a pass keeps it: from here on it reports no progress. */
void ht_pass_context_end (HtPassContext *self);
/* Adds "notes", "skipped" and "tables". */
void ht_pass_context_collect (HtPassContext *self, JsonObject *report);
