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
  HtModelState *parent;          /* sealed: what the step starts from */
  guint64 memory_budget;         /* bytes; 0: any amount */
  const char *scratch_folder;    /* temporary files go below it; nullable: where the system keeps them */
  const char *checkpoint_folder; /* nullable: none are kept */
  GCancellable *cancellable; /* nullable */
  HtProgressFunc progress;   /* nullable; gets the fraction of the step */
  gpointer progress_data;
} HtPassContextSetup;

HtPassContext *ht_pass_context_new (const HtPassContextSetup *setup);
/* The context outlives its step where a pass keeps it: from here on it reports no progress. */
void ht_pass_context_end (HtPassContext *self);
/* Adds "notes", "skipped" and "tables". */
void ht_pass_context_collect (HtPassContext *self, JsonObject *report);
/* Tables of what differs between two runs; NULL: there are none. */
JsonObject *ht_pass_context_get_timings (HtPassContext *self);

/* All that was told for the report so far, in order: a list of HT_PASS_CONTEXT_LOG_TYPE from the entry `first` on, a
 * floating reference; and such a list told again. */
#define HT_PASS_CONTEXT_LOG_TYPE "a(ysssd)"
guint ht_pass_context_get_log_length (HtPassContext *self);
GVariant *ht_pass_context_get_log (HtPassContext *self, guint first);
void ht_pass_context_tell_again (HtPassContext *self, GVariant *log);
