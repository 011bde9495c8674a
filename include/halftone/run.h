/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/evaluator.h>
#include <halftone/recipe.h>
#include <halftone/simulation.h>

G_BEGIN_DECLS

/* The main job: one recipe, one model, one result. */
#define HT_TYPE_RUN (ht_run_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtRun, ht_run, HT, RUN, GObject)

/* The stages that are evaluated: the given network, its quantization by nearest rounding without any technique, the
 * floating-point network after the pipeline (where a step changed it), and the result. */
#define HT_STAGE_FLOAT                "float"
#define HT_STAGE_NAIVE                "naive"
#define HT_STAGE_FLOAT_AFTER_PIPELINE "float-after-pipeline"
#define HT_STAGE_RESULT               "result"

HT_API HtRun *ht_run_new (HtRecipe *recipe);
HT_API void ht_run_set_model_path (HtRun *self, const char *path);
HT_API void ht_run_set_output_folder (HtRun *self, const char *path);
HT_API void ht_run_set_memory_budget (HtRun *self, guint64 bytes);
HT_API void ht_run_set_fresh (HtRun *self, gboolean fresh);
HT_API void ht_run_set_progress (HtRun *self, HtProgressFunc func, gpointer user_data, GDestroyNotify destroy);
HT_API gboolean ht_run_execute (HtRun *self, GCancellable *cancellable, GError **error);

/* After ht_run_execute() */
HT_API char **ht_run_list_stages (HtRun *self);
HT_API HtMetrics *ht_run_get_metrics (HtRun *self, const char *stage);
HT_API HtModelState *ht_run_get_state (HtRun *self);
HT_API HtSimulation *ht_run_get_simulation (HtRun *self);
HT_API JsonNode *ht_run_get_report (HtRun *self);
HT_API char **ht_run_list_files (HtRun *self);

/* After a run that was interrupted */
HT_API char *ht_run_find_kept_work (HtRun *self);

G_END_DECLS
