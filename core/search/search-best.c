/* SPDX-License-Identifier: MIT */
/* The best candidate on disk: a folder with all output formats and a report. `best` is a link that is swapped at once,
 * so that at any moment it leads to a whole model. */
#include "pass/scratch-folder.h"
#include "search/run-private.h"
#include "search/search-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <unistd.h>

gboolean
ht_search_fail_errno (GError **error, const char *what, const char *path)
{
  int code = errno;
  g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "cannot %s '%s': %s", what, path, g_strerror (code));
  return FALSE;
}

/* The steps' own reports, in the order of the pipeline. */
static void
take_steps (HtRun *run, HtSearchNode *node)
{
  if (node->parent != NULL)
    take_steps (run, node->parent);
  if (node->kind == HT_SEARCH_NODE_STEP)
    ht_run_add_step (run, node->report, NULL, node->seconds);
}

static HtRun *
make_run (HtSearch *self, HtCandidate *candidate, HtModelState *state, const char *folder, GError **error)
{
  g_autoptr (HtSimulation) simulation
      = ht_search_restore_simulation (state, ht_recipe_get_quantization (candidate->recipe), error);
  if (simulation == NULL)
    return NULL;
  g_autoptr (HtRun) run = ht_run_new (candidate->recipe);
  ht_run_set_model_path (run, self->model_path);
  ht_run_set_output_folder (run, folder);
  run->inputs.holds_out = self->inputs.holds_out;
  run->inputs.memory_budget = self->inputs.memory_budget;
  run->inputs.given = g_object_ref (self->inputs.given);
  run->inputs.preparation = g_strdupv (self->inputs.preparation);
  g_set_object (&run->inputs.calibration, self->inputs.calibration);
  g_set_object (&run->inputs.evaluation, self->inputs.evaluation);
  g_set_object (&run->state, state);
  g_set_object (&run->simulation, simulation);
  if (self->baseline != NULL)
    g_hash_table_insert (run->metrics, (gpointer)HT_STAGE_FLOAT, g_object_ref (self->baseline));
  g_hash_table_insert (run->metrics, (gpointer)HT_STAGE_RESULT, g_object_ref (candidate->metrics));
  take_steps (run, candidate->calibrated);
  return g_steal_pointer (&run);
}

static gboolean
swap_link (HtSearch *self, const char *target, GError **error)
{
  g_autofree char *link = g_build_filename (self->output_folder, "best", NULL);
  g_autofree char *fresh = g_build_filename (self->output_folder, ".best", NULL);
  g_unlink (fresh);
  if (symlink (target, fresh) != 0)
    return ht_search_fail_errno (error, "make the link", fresh);
  return g_rename (fresh, link) == 0 || ht_search_fail_errno (error, "put into place", link);
}

/* Candidates that are best no more, and what a process that was killed has left. */
static void
remove_others (const char *folder, const char *keep)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      if (!g_str_equal (name, keep))
        ht_remove_folder (path);
    }
}

/* Where the link leads; NULL where there is none, or it leads nowhere. */
static char *
read_link (HtSearch *self)
{
  g_autofree char *link = g_build_filename (self->output_folder, "best", NULL);
  return g_file_test (link, G_FILE_TEST_IS_DIR) ? g_file_read_link (link, NULL) : NULL;
}

/* A folder is named for the candidate, what it was made of and the samples that it was scored on, so that a link that
 * leads to it leads to a whole one, and a folder that no link leads to is what a killed process has left. */
gboolean
ht_search_write_best (HtSearch *self, HtCandidate *candidate, GCancellable *cancellable, GError **error)
{
  g_autofree char *name
      = g_strdup_printf ("%u-%.12s-%u", candidate->number, candidate->calibrated->key, candidate->n_parts);
  g_autofree char *folder = g_build_filename (self->output_folder, "candidates", NULL);
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *target = g_build_filename ("candidates", name, NULL);
  g_autofree char *before = read_link (self);
  if (g_strcmp0 (before, target) == 0)
    return TRUE;
  ht_remove_folder (path);
  g_autoptr (HtModelState) state = ht_search_work_get_state (&self->work, candidate->calibrated, cancellable, error);
  g_autoptr (HtRun) run = state != NULL ? make_run (self, candidate, state, path, error) : NULL;
  if (run == NULL || !ht_run_write (run, error) || !swap_link (self, target, error))
    return FALSE;
  remove_others (folder, name);
  return TRUE;
}
