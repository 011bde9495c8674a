/* SPDX-License-Identifier: MIT */
#include "pass/step-key.h"

#include "kernels/isa.h"
#include "pass/plan-private.h"
#include "quant/quantization-config.h"

#include <halftone/init.h>
#include <string.h>

static void
digest_text (GChecksum *checksum, const char *text)
{
  /* Length first, so that neighbours stay apart and NULL is not "". */
  guint64 length = text != NULL ? GUINT64_TO_LE (strlen (text) + 1) : 0;

  g_checksum_update (checksum, (const guchar *)&length, sizeof length);
  if (text != NULL)
    g_checksum_update (checksum, (const guchar *)text, (gssize)strlen (text));
}

static void
digest_number (GChecksum *checksum, guint64 number)
{
  number = GUINT64_TO_LE (number);
  g_checksum_update (checksum, (const guchar *)&number, sizeof number);
}

/* Results are the same bytes where these agree. */
static GChecksum *
begin (const char *kind, const char *parent)
{
  GChecksum *checksum = g_checksum_new (G_CHECKSUM_SHA256);

  digest_text (checksum, kind);
  digest_text (checksum, parent);
  digest_text (checksum, ht_get_version ());
  digest_text (checksum, ht_get_blas_core ());
  digest_text (checksum, ht_isa_get_name ());
  return checksum;
}

static void
digest_calibration (GChecksum *checksum, const HtStepInputs *inputs)
{
  digest_text (checksum, inputs->calibration);
  digest_number (checksum, inputs->calibration != NULL ? inputs->batch : 0);
}

static void
digest_settings (GChecksum *checksum, HtQuantizationConfig *config, gboolean weights, gboolean activations)
{
  g_autofree char *hash = NULL;

  if (config != NULL && (weights || activations))
    hash = ht_quantization_config_hash (config, weights, activations);
  digest_text (checksum, hash);
}

char *
ht_step_key_new (const char *parent, const char *step, HtPass *pass, HtQuantizationConfig *config,
                 const HtStepInputs *inputs)
{
  g_autoptr (GChecksum) checksum = begin ("halftone step 1", parent);
  HtPassMeta *meta = ht_pass_class_get_meta (HT_PASS_GET_CLASS (pass));
  HtPassReads reads = ht_pass_get_reads (pass, config);
  g_autoptr (JsonNode) params = ht_object_params_to_json (G_OBJECT (pass));
  g_autofree char *text = json_to_string (params, FALSE);

  digest_text (checksum, meta->info.id);
  digest_text (checksum, meta->version);
  digest_text (checksum, text);
  /* Random streams are derived from these two. */
  digest_text (checksum, step);
  digest_number (checksum, inputs->seed);
  digest_number (checksum, reads);
  if ((reads & (HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_LABELS)) != 0)
    digest_calibration (checksum, inputs);
  digest_settings (checksum, config, (reads & HT_PASS_READS_WEIGHT_SETTINGS) != 0,
                   (reads & HT_PASS_READS_ACTIVATION_SETTINGS) != 0);
  return g_strdup (g_checksum_get_string (checksum));
}

char *
ht_step_key (const char *parent, HtPlan *plan, guint step, const HtStepInputs *inputs)
{
  HtPlanStep *at = ht_plan_get_step (plan, step);

  return ht_step_key_new (parent, at->id, at->pass, plan->config, inputs);
}

char *
ht_leaf_key (const char *parent, HtQuantizationConfig *config, const HtStepInputs *inputs, const char *evaluation)
{
  g_autoptr (GChecksum) checksum = begin ("halftone leaf 1", parent);

  digest_calibration (checksum, inputs);
  digest_settings (checksum, config, TRUE, TRUE);
  digest_text (checksum, evaluation);
  return g_strdup (g_checksum_get_string (checksum));
}
