/* SPDX-License-Identifier: MIT */
#include "pass/scratch-folder.h"
#include "search/run-private.h"

#include <glib/gstdio.h>

/* Below the output folder */
#define WORK_FOLDER       ".halftone"
#define CHECKPOINT_FOLDER "checkpoints"

static char *
find_checkpoints (HtRun *self)
{
  return g_build_filename (self->output_folder, WORK_FOLDER, CHECKPOINT_FOLDER, NULL);
}

void
ht_run_begin_work (HtRun *self, HtPassManager *manager)
{
  g_autofree char *work = g_build_filename (self->output_folder, WORK_FOLDER, NULL);
  g_autofree char *checkpoints = find_checkpoints (self);

  self->has_begun = TRUE;
  self->had_folder = g_file_test (self->output_folder, G_FILE_TEST_EXISTS);
  if (self->is_fresh)
    ht_remove_folder (checkpoints);
  ht_pass_manager_set_memory_budget (manager, self->inputs.memory_budget);
  ht_pass_manager_set_scratch_folder (manager, work);
  ht_pass_manager_set_checkpoint_folder (manager, checkpoints);
}

void
ht_run_end_work (HtRun *self, gboolean done)
{
  g_autofree char *work = g_build_filename (self->output_folder, WORK_FOLDER, NULL);

  if (done)
    ht_remove_folder (work);
  /* Folders that the run made and left empty. */
  else if (g_rmdir (work) == 0 && !self->had_folder)
    g_rmdir (self->output_folder);
}

/**
 * ht_run_find_kept_work:
 * @self: a run
 *
 * Finds the work that a run with this output folder has finished and did not come to write out, since it was
 * interrupted. A run of the same recipe takes it up.
 *
 * Returns: (transfer full) (nullable) (type filename): the folder that holds it, or %NULL where there is none
 */
char *
ht_run_find_kept_work (HtRun *self)
{
  g_return_val_if_fail (HT_IS_RUN (self), NULL);
  g_autofree char *checkpoints = find_checkpoints (self);
  return g_file_test (checkpoints, G_FILE_TEST_IS_DIR) ? g_steal_pointer (&checkpoints) : NULL;
}

/**
 * ht_run_set_fresh:
 * @self: a run
 * @fresh: whether to do all work anew
 *
 * By default a run takes up what an interrupted run of the same recipe with the same output folder has finished; the
 * result is the same.
 */
void
ht_run_set_fresh (HtRun *self, gboolean fresh)
{
  g_return_if_fail (HT_IS_RUN (self));
  self->is_fresh = fresh;
}
