/* SPDX-License-Identifier: MIT */
#include "pass/checkpoint-key.h"

#include "pass/step-key.h"

#include <dlfcn.h>
#include <halftone/plugin.h>
#include <string.h>

static void
digest_file (GChecksum *checksum, const char *path)
{
  g_autoptr (GMappedFile) file = path != NULL ? g_mapped_file_new (path, FALSE, NULL) : NULL;
  gsize size = file != NULL ? g_mapped_file_get_length (file) : 0;
  guint64 length = GUINT64_TO_LE (size);

  g_checksum_update (checksum, (const guchar *)&length, sizeof length);
  if (size > 0)
    g_checksum_update (checksum, (const guchar *)g_mapped_file_get_contents (file), (gssize)size);
}

char *
ht_checkpoint_key (const HtPassContextSetup *setup, GError **error)
{
  g_autofree char *parent = ht_model_state_hash (setup->parent);
  g_autofree char *data = setup->calibration != NULL ? ht_dataset_hash (setup->calibration, error) : NULL;
  if (setup->calibration != NULL && data == NULL)
    return NULL;
  const HtStepInputs inputs = { .seed = setup->seed, .calibration = data, .batch = setup->batch };
  g_autofree char *step = ht_step_key_new (parent, setup->step, setup->pass, setup->config, &inputs);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  GTypePlugin *plugin = g_type_get_plugin (G_OBJECT_TYPE (setup->pass));
  Dl_info library;

  g_checksum_update (checksum, (const guchar *)step, (gssize)strlen (step));
  /* Code that was built anew under an old version number may compute something else. */
  if (dladdr ((gpointer)&ht_step_key_new, &library) != 0)
    digest_file (checksum, library.dli_fname);
  if (HT_IS_PLUGIN (plugin))
    digest_file (checksum, ht_plugin_get_path (HT_PLUGIN (plugin)));
  return g_strdup (g_checksum_get_string (checksum));
}
