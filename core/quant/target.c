/* SPDX-License-Identifier: MIT */
#include "quant/target-private.h"

#include <halftone/error.h>
#include <string.h>

/**
 * HtTarget:
 *
 * What a device quantizes, and how: which operators have quantized inputs and outputs, which parameters are symmetric
 * or per channel, which operators are one to the device. Read from AIMET's JSON format; what that format has no words
 * for stands in the same file under the key `halftone`. Immutable.
 */
G_DEFINE_FINAL_TYPE (HtTarget, ht_target, G_TYPE_OBJECT)

void
ht_target_op_init (HtTargetOp *self)
{
  static const HtTargetWord unset = HT_TARGET_UNSET;

  memset (self, 0, sizeof *self);
  self->input_quantized = self->output_quantized = self->symmetric = self->per_channel = unset;
  self->params = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

void
ht_target_op_clear (HtTargetOp *self)
{
  g_hash_table_unref (self->params);
}

static void
op_free (gpointer data)
{
  ht_target_op_clear (data);
  g_free (data);
}

static void
group_free (gpointer data)
{
  HtTargetGroup *group = data;

  g_strfreev (group->op_types);
  g_free (group);
}

static void
setting_free (gpointer data)
{
  HtTargetSetting *setting = data;

  g_free (setting->key);
  json_node_unref (setting->value);
  g_free (setting);
}

static void
ht_target_finalize (GObject *object)
{
  HtTarget *self = HT_TARGET (object);

  g_free (self->name);
  g_free (self->file);
  g_free (self->hash);
  g_free (self->description);
  ht_target_op_clear (&self->ops);
  g_hash_table_unref (self->param_kinds);
  g_hash_table_unref (self->op_types);
  g_ptr_array_unref (self->groups);
  g_strfreev (self->switches.tie_inputs);
  g_strfreev (self->switches.tie_outputs);
  g_strfreev (self->switches.grid_preserving);
  g_ptr_array_unref (self->switches.settings[0]);
  g_ptr_array_unref (self->switches.settings[1]);
  G_OBJECT_CLASS (ht_target_parent_class)->finalize (object);
}

static void
ht_target_class_init (HtTargetClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_target_finalize;
}

static void
ht_target_init (HtTarget *self)
{
  static const HtTargetWord unset = HT_TARGET_UNSET;

  ht_target_op_init (&self->ops);
  self->params.quantized = self->params.symmetric = unset;
  self->strict = self->unsigned_symmetric = self->per_channel = self->model_input = self->model_output = unset;
  self->param_kinds = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->op_types = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, op_free);
  self->groups = g_ptr_array_new_with_free_func (group_free);
  self->switches.least_norm_bits = 8;
  for (guint i = 0; i < 2; i++)
    self->switches.settings[i] = g_ptr_array_new_with_free_func (setting_free);
}

HtTargetOp *
ht_target_find_op (HtTarget *self, const char *op_type)
{
  return g_hash_table_lookup (self->op_types, op_type);
}

/* What a file is called without folder and ending. */
static char *
name_of (const char *file)
{
  char *name = g_path_get_basename (file);

  if (g_str_has_suffix (name, ".json"))
    name[strlen (name) - strlen (".json")] = '\0';
  return name;
}

HtTarget *
ht_target_open (const char *target, const char *folder, GPtrArray *problems, GError **error)
{
  g_autoptr (HtTarget) self = NULL;
  g_autoptr (HtLocatedDocument) document = NULL;
  g_autofree char *file = NULL, *text = NULL;
  gsize length;
  guint n_before = problems->len;

  text = ht_target_find_text (target, folder, &file, &length, error);
  if (!text)
    return NULL;
  document = ht_located_document_parse (text, (gssize)length, file, problems);
  if (!document)
    return NULL;
  self = g_object_new (HT_TYPE_TARGET, NULL);
  self->name = name_of (file);
  self->file = g_steal_pointer (&file);
  self->hash = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *)text, length);
  ht_target_read (self, ht_located_document_get_root (document), problems);
  for (guint i = n_before; i < problems->len; i++)
    if (ht_diagnostic_get_severity (g_ptr_array_index (problems, i)) == HT_SEVERITY_ERROR)
      return NULL;
  return g_steal_pointer (&self);
}

/**
 * ht_target_load:
 * @target: the name of a target, or the path of a file
 * @diagnostics: (element-type HtDiagnostic) (nullable): receives all problems of the file, warnings too
 * @error: return location for an error
 *
 * Reads a target configuration. A word with a `/` or the ending `.json` is a path; any other names one of those that
 * come with the library, see ht_target_list_names(), or, with that ending, a file in a folder of
 * `HALFTONE_TARGET_PATH`.
 *
 * Returns: (transfer full) (nullable): the target, or %NULL with @error set when there is none of that name or the file
 * is malformed; the error is that of the first problem, with its place
 */
HtTarget *
ht_target_load (const char *target, GPtrArray *diagnostics, GError **error)
{
  g_autoptr (HtTarget) self = NULL;
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  GError *unread = NULL;

  g_return_val_if_fail (target != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  self = ht_target_open (target, NULL, problems, &unread);
  if (unread)
    {
      g_propagate_error (error, unread);
      return NULL;
    }
  if (!ht_diagnostic_list_finish (problems, diagnostics, HT_ERROR, HT_ERROR_INVALID_DATA, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* The library's own file: that it reads is tested, that it is there is how the library is built. */
HtTarget *
ht_target_get_default (void)
{
  static HtTarget *target = NULL;

  if (g_once_init_enter (&target))
    {
      HtTarget *loaded = ht_target_load ("default", NULL, NULL);

      g_assert (loaded != NULL);
      g_once_init_leave (&target, loaded);
    }
  return g_object_ref (target);
}

/**
 * ht_target_get_name:
 * @self: a target
 *
 * Gets what the target is called: its file's name without folder and ending.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_target_get_name (HtTarget *self)
{
  g_return_val_if_fail (HT_IS_TARGET (self), NULL);

  return self->name;
}

/**
 * ht_target_get_file:
 * @self: a target
 *
 * Gets the file that the target was read from; of one that comes with the library, the name in the library.
 *
 * Returns: (transfer none): the path
 */
const char *
ht_target_get_file (HtTarget *self)
{
  g_return_val_if_fail (HT_IS_TARGET (self), NULL);

  return self->file;
}

/**
 * ht_target_get_description:
 * @self: a target
 *
 * Gets what the file says of itself.
 *
 * Returns: (transfer none) (nullable): a line of text
 */
const char *
ht_target_get_description (HtTarget *self)
{
  g_return_val_if_fail (HT_IS_TARGET (self), NULL);

  return self->description;
}
