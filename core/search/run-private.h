/* SPDX-License-Identifier: MIT */
#pragma once

#include "search/run-inputs.h"

#include <halftone/pass-manager.h>
#include <halftone/run.h>

/* What a step of the pipeline said of itself. */
typedef struct
{
  JsonNode *report;
  JsonNode *timings; /* tables; NULL: none */
  double seconds;
} HtRunStep;

struct _HtRun
{
  GObject parent_instance;

  HtRunInputs inputs;
  char *output_folder;
  gboolean is_fresh;   /* takes up nothing of an earlier run */
  gboolean had_folder; /* the output folder was there before */
  gboolean has_begun;  /* the work of the steps */
  HtProgressFunc progress;
  gpointer progress_data;
  GDestroyNotify progress_destroy;
  double progress_from, progress_to; /* the part of the whole that the work at hand is */

  /* Filled by ht_run_execute() */
  HtModelState *start; /* the given network with the encodings that the recipe gives, sealed */
  GPtrArray *steps;    /* of HtRunStep, as many as the plan has */
  HtModelState *state;
  HtSimulation *simulation;
  GHashTable *metrics; /* stage -> HtMetrics */
  GPtrArray *files;    /* paths written */
  JsonObject *timings; /* stage -> seconds */
  JsonNode *report;
};

/* What a run keeps in its output folder while it works: finished work of steps, and temporary files. It goes when the
 * run is done; of a run that is not, the finished work stays. */
void ht_run_begin_work (HtRun *self, HtPassManager *manager);
void ht_run_end_work (HtRun *self, gboolean done);
void ht_run_add_step (HtRun *self, JsonNode *report, JsonNode *timings, double seconds);
/* Before the work: whether the output folder is one that can be written to or made. */
gboolean ht_run_check_folder (HtRun *self, GError **error);
/* Before the pipeline: whether the settings of a simulation can be written in the formats that are asked for. */
gboolean ht_run_check_formats (HtRun *self, HtSimulation *simulation, GError **error);
/* Writes all output files of the recipe and the report, or none. */
gboolean ht_run_write (HtRun *self, GError **error);
/* What lock.json holds, after the report was built. */
JsonNode *ht_run_describe_lock (HtRun *self, GError **error);
/* Where a run writes an output format. Encodings go by the recipe's name alone where it asks for one version. */
char *ht_run_name_file (HtRecipe *recipe, const char *folder, const char *format);
