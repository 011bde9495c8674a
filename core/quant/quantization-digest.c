/* SPDX-License-Identifier: MIT */
/* The halves of a configuration, apart: who reads the settings of weights alone depends on nothing that is said of
 * activations, and its results need not be computed again when that changes. */
#include "quant/quantization-config.h"
#include "quant/quantization-rule.h"

#include <string.h>

HtQuantizationConfig *
ht_quantization_config_restrict (HtQuantizationConfig *self, gboolean weights, gboolean activations)
{
  if (weights && activations)
    return g_object_ref (self);

  HtQuantizationConfig *copy = ht_quantization_config_new ();
  HtQuantizerSettings **kept = weights ? &copy->weights : activations ? &copy->activations : NULL;
  ht_quantization_config_take_target (copy, self->word, self->target);
  if (kept != NULL)
    {
      guint half = weights ? 0 : 1;
      g_object_unref (*kept);
      *kept = ht_quantizer_settings_copy (weights ? self->weights : self->activations);
      g_hash_table_unref (copy->places[half]);
      copy->places[half] = g_hash_table_ref (self->places[half]);
    }
  for (guint i = 0; i < self->rules->len; i++)
    g_ptr_array_add (copy->rules, ht_rule_copy (g_ptr_array_index (self->rules, i), weights, activations));
  return copy;
}

static void
digest_text (GChecksum *checksum, const char *text)
{
  /* Length first, so that neighbours stay apart and NULL is not "". */
  guint64 length = text != NULL ? GUINT64_TO_LE (strlen (text) + 1) : 0;

  g_checksum_update (checksum, (const guchar *)&length, sizeof length);
  if (text != NULL)
    g_checksum_update (checksum, (const guchar *)text, (gssize)strlen (text));
}

/* Which keys somebody has set counts too: the words of a target hold for the others. */
static void
digest_settings (GChecksum *checksum, HtQuantizerSettings *settings)
{
  g_autoptr (JsonNode) values = ht_object_params_to_json (G_OBJECT (settings));
  g_autofree char *text = json_to_string (values, FALSE);
  g_autoptr (GPtrArray) params = ht_object_list_params (G_OBJECT_GET_CLASS (settings));

  digest_text (checksum, text);
  for (guint i = 0; i < params->len; i++)
    {
      const char *key = g_param_spec_get_name (g_ptr_array_index (params, i));

      if (ht_quantizer_settings_is_explicit (settings, key))
        digest_text (checksum, key);
    }
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static void
digest_values (GChecksum *checksum, GHashTable *values)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, values);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (keys, key);
  g_ptr_array_sort (keys, compare_names);
  for (guint i = 0; i < keys->len; i++)
    {
      g_autofree char *value = json_to_string (g_hash_table_lookup (values, g_ptr_array_index (keys, i)), FALSE);

      digest_text (checksum, g_ptr_array_index (keys, i));
      digest_text (checksum, value);
    }
}

static void
digest_rule (GChecksum *checksum, HtRule *rule, gboolean weights, gboolean activations)
{
  const char position[] = { (char)('0' + rule->position), rule->skip ? 's' : '-', '\0' };
  g_autofree char *pattern = rule->pattern != NULL ? g_strjoinv (" ", rule->pattern) : NULL;

  digest_text (checksum, "rule");
  digest_text (checksum, rule->op_type);
  digest_text (checksum, rule->glob);
  digest_text (checksum, pattern);
  digest_text (checksum, position);
  digest_text (checksum, "weights");
  if (weights)
    digest_values (checksum, rule->values[0]);
  digest_text (checksum, "activations");
  if (activations)
    digest_values (checksum, rule->values[1]);
}

char *
ht_quantization_config_hash (HtQuantizationConfig *self, gboolean weights, gboolean activations)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  digest_text (checksum, "halftone quantization 1");
  digest_text (checksum, self->word);
  digest_text (checksum, self->target->hash);
  digest_text (checksum, weights ? "weights" : NULL);
  if (weights)
    digest_settings (checksum, self->weights);
  digest_text (checksum, activations ? "activations" : NULL);
  if (activations)
    digest_settings (checksum, self->activations);
  for (guint i = 0; i < self->rules->len; i++)
    digest_rule (checksum, g_ptr_array_index (self->rules, i), weights, activations);
  return g_strdup (g_checksum_get_string (checksum));
}
