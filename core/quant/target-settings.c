/* SPDX-License-Identifier: MIT */
#include "quant/target-settings.h"

#include "quant/quantizer-settings.h"

#include <string.h>

char *
ht_target_describe_word (HtTarget *self, guint line, guint column, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (line == 0)
    return g_strdup_printf ("target '%s': %s is not written (%s)", self->name, text, self->file);
  return g_strdup_printf ("target '%s': %s (%s:%u:%u)", self->name, text, self->file, line, column);
}

/* What is not written is false. */
static const HtTargetWord *
or_false (const HtTargetWord *word)
{
  static const HtTargetWord unwritten = { FALSE, 0, 0 };

  return word->value < 0 ? &unwritten : word;
}

typedef struct
{
  HtTarget *target;
  HtQuantizerSettings *settings;
  GHashTable *origins;
} Applied;

static void
take_origin (Applied *self, const char *key, char *origin)
{
  if (self->origins && !ht_quantizer_settings_is_explicit (self->settings, key))
    g_hash_table_replace (self->origins, g_strdup (key), origin);
  else
    g_free (origin);
}

static void
apply_value (Applied *self, const char *key, JsonNode *value)
{
  if (!ht_quantizer_settings_is_explicit (self->settings, key))
    ht_quantizer_settings_set_default (self->settings, key, value, NULL);
}

static void
apply_flag (Applied *self, const char *key, gboolean flag)
{
  g_autoptr (JsonNode) value = json_node_init_boolean (json_node_alloc (), flag);

  apply_value (self, key, value);
}

/* A switch of the file, if it is set: `path` says where it stands. */
static void
apply_word (Applied *self, const char *key, const HtTargetWord *word, const char *path, const char *name,
            const char *last)
{
  if (word->value < 0)
    return;
  apply_flag (self, key, word->value);
  take_origin (self, key,
               ht_target_describe_word (self->target, word->line, word->column, "%s%s%s%s", path, name ? "." : "",
                                        name ? name : "", last));
}

static void
apply_granularity (Applied *self, const HtTargetWord *word, const char *path, const char *name)
{
  g_autoptr (JsonNode) value = NULL;

  if (word->value < 0)
    return;
  value = json_node_init_string (json_node_alloc (), word->value ? "channel" : "tensor");
  apply_value (self, "granularity", value);
  take_origin (self, "granularity",
               ht_target_describe_word (self->target, word->line, word->column, "%s%s%s.per_channel_quantization", path,
                                        name ? "." : "", name ? name : ""));
}

static void
apply_settings (Applied *self, gboolean weights)
{
  GPtrArray *list = self->target->switches.settings[weights ? 0 : 1];

  for (guint i = 0; i < list->len; i++)
    {
      HtTargetSetting *setting = g_ptr_array_index (list, i);

      apply_value (self, setting->key, setting->value);
      take_origin (self, setting->key,
                   ht_target_describe_word (self->target, setting->line, setting->column, "halftone.%s.%s",
                                            weights ? "weights" : "activations", setting->key));
    }
}

static void
apply_weight (Applied *self, const HtTargetUse *use)
{
  HtTarget *target = self->target;
  HtTargetOp *op = use->op_type ? ht_target_find_op (target, use->op_type) : NULL;
  HtTargetParam *kind = use->kind ? g_hash_table_lookup (target->param_kinds, use->kind) : NULL;
  HtTargetParam *of_op = op && use->kind ? g_hash_table_lookup (op->params, use->kind) : NULL;
  g_autofree char *path = of_op ? g_strdup_printf ("op_type.%s.params", use->op_type) : NULL;

  apply_word (self, "symmetric", or_false (&target->params.symmetric), "defaults.params", NULL, ".is_symmetric");
  apply_granularity (self, or_false (&target->per_channel), "defaults", NULL);
  apply_settings (self, TRUE);
  if (kind)
    apply_word (self, "symmetric", &kind->symmetric, "params", use->kind, ".is_symmetric");
  if (op)
    apply_granularity (self, &op->per_channel, "op_type", use->op_type);
  if (of_op)
    apply_word (self, "symmetric", &of_op->symmetric, path, use->kind, ".is_symmetric");
}

static void
apply_activation (Applied *self, const HtTargetUse *use)
{
  HtTarget *target = self->target;
  HtTargetOp *op = use->op_type ? ht_target_find_op (target, use->op_type) : NULL;

  apply_word (self, "symmetric", or_false (&target->ops.symmetric), "defaults.ops", NULL, ".is_symmetric");
  apply_settings (self, FALSE);
  if (op)
    apply_word (self, "symmetric", &op->symmetric, "op_type", use->op_type, ".is_symmetric");
  for (guint i = 0; use->readers && use->readers[i]; i++)
    {
      HtTargetOp *reader = ht_target_find_op (target, use->readers[i]);

      if (reader)
        apply_word (self, "symmetric", &reader->symmetric, "op_type", use->readers[i], ".is_symmetric");
    }
}

void
ht_target_apply (HtTarget *self, const HtTargetUse *use, HtQuantizerSettings *settings, GHashTable *origins)
{
  Applied applied = { self, settings, origins };

  apply_word (&applied, "strict", or_false (&self->strict), "defaults", NULL, ".strict_symmetric");
  apply_word (&applied, "unsigned-symmetric", or_false (&self->unsigned_symmetric), "defaults", NULL,
              ".unsigned_symmetric");
  if (use->is_weight)
    apply_weight (&applied, use);
  else
    apply_activation (&applied, use);
}

gboolean
ht_target_quantizes_inputs (HtTarget *self, const char *op_type)
{
  HtTargetOp *op = ht_target_find_op (self, op_type);

  return (op && op->input_quantized.value >= 0 ? op : &self->ops)->input_quantized.value == TRUE;
}

gboolean
ht_target_quantizes_param (HtTarget *self, const char *op_type, const char *kind, char **origin)
{
  HtTargetOp *op = ht_target_find_op (self, op_type);
  HtTargetParam *of_kind = g_hash_table_lookup (self->param_kinds, kind);
  HtTargetParam *of_op = op ? g_hash_table_lookup (op->params, kind) : NULL;
  HtTargetWord *word = &self->params.quantized;
  g_autofree char *path = g_strdup ("defaults.params");

  if (of_op && of_op->quantized.value >= 0)
    {
      word = &of_op->quantized;
      g_free (path);
      path = g_strdup_printf ("op_type.%s.params.%s", op_type, kind);
    }
  else if (of_kind && of_kind->quantized.value >= 0)
    {
      word = &of_kind->quantized;
      g_free (path);
      path = g_strdup_printf ("params.%s", kind);
    }
  if (origin)
    *origin = ht_target_describe_word (self, word->line, word->column, "%s.is_quantized%s", path,
                                       word->value == FALSE ? " is False" : "");
  return word->value == TRUE;
}
