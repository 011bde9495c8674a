/* SPDX-License-Identifier: MIT */
#include "pass/checkpoint-key.h"

#include "pass/code-digest.h"
#include "pass/step-key.h"

#include <string.h>

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

  g_checksum_update (checksum, (const guchar *)step, (gssize)strlen (step));
  ht_digest_library (checksum);
  if (HT_IS_PLUGIN (plugin))
    ht_digest_plugin (checksum, HT_PLUGIN (plugin));
  return g_strdup (g_checksum_get_string (checksum));
}
