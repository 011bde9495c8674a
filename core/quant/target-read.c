/* SPDX-License-Identifier: MIT */
/* From the tree of a target file to a target: AIMET's keys here, our own in target-switches.c. */
#include "quant/target-read.h"

#include <halftone/error.h>
#include <halftone/param.h>
#include <string.h>

/* The names that AIMET gives the inputs of an operator that are parameters. */
static const char *const param_kinds[] = { "weight", "weight_r", "bias", "running_mean", "running_var", NULL };

static void
report (HtTargetReader *reader, HtLocatedNode *node, gint code, const char *what, const char *word,
        const char *const *known)
{
  const char *near = ht_suggest (word, known);
  g_autofree char *all = g_strjoinv (", ", (char **)known);

  ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, code, "%s '%s'%s%s%s (known: %s)", what, word,
                          near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", all);
}

static const char *const *
list_names (const HtTargetKey *keys, GPtrArray *names)
{
  for (; keys->name; keys++)
    g_ptr_array_add (names, (gpointer)keys->name);
  g_ptr_array_add (names, NULL);
  return (const char *const *)names->pdata;
}

gboolean
ht_target_check_kind (HtTargetReader *reader, HtLocatedNode *node, HtLocatedKind kind)
{
  GError *error = NULL;

  if (ht_located_node_check_kind (node, kind, &error))
    return TRUE;
  ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
  return FALSE;
}

void
ht_target_read_keys (HtTargetReader *reader, HtLocatedNode *node, const char *what, const HtTargetKey *keys,
                     gpointer section)
{
  if (!ht_target_check_kind (reader, node, HT_LOCATED_MAPPING))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *key_node = ht_located_node_get_key_node (node, i);
      HtLocatedNode *value = ht_located_node_get_child (node, i);
      const char *name = ht_located_node_get_text (key_node);
      const HtTargetKey *key = keys;

      while (key->name && strcmp (key->name, name) != 0)
        key++;
      if (!key->name)
        {
          g_autoptr (GPtrArray) names = g_ptr_array_new ();
          g_autofree char *subject = g_strdup_printf ("unknown key in %s:", what);

          report (reader, key_node, HT_RECIPE_ERROR_UNKNOWN_KEY, subject, name, list_names (keys, names));
        }
      /* Of a key that is given twice, which is reported already, the first value counts. */
      else if (ht_located_node_lookup (node, name, NULL) == value)
        key->read (reader, value, key->offset == HT_TARGET_NO_OFFSET ? section : (char *)section + key->offset);
    }
  for (; keys->name; keys++)
    if (keys->required && !ht_located_node_lookup (node, keys->name, NULL))
      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                              "%s lacks the key '%s'", what, keys->name);
}

/* AIMET writes its switches as text. */
static void
read_word (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  const char *text = ht_located_node_get_kind (node) == HT_LOCATED_STRING ? ht_located_node_get_text (node) : "";
  HtTargetWord *word = section;

  if (strcmp (text, "True") == 0 || strcmp (text, "False") == 0)
    {
      word->value = text[0] == 'T';
      word->line = ht_located_node_get_line (node);
      word->column = ht_located_node_get_column (node);
    }
  else
    {
      g_autofree char *name = ht_located_node_get_name (node);
      g_autofree char *found = ht_located_node_describe (node);

      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                              "%s is %s, must be \"True\" or \"False\", in quotes", name, found);
    }
}

static void
read_param (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "is_quantized", read_word, G_STRUCT_OFFSET (HtTargetParam, quantized) },
    { "is_symmetric", read_word, G_STRUCT_OFFSET (HtTargetParam, symmetric) },
    { NULL },
  };

  ht_target_read_keys (reader, node, "the settings of parameters", keys, section);
}

/* A mapping from kinds of parameters to what holds for them. */
static void
read_params (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  GHashTable *params = *(GHashTable **)section;

  if (!ht_target_check_kind (reader, node, HT_LOCATED_MAPPING))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      static const HtTargetParam unset = { HT_TARGET_UNSET, HT_TARGET_UNSET };
      HtLocatedNode *key_node = ht_located_node_get_key_node (node, i);
      const char *kind = ht_located_node_get_text (key_node);
      HtTargetParam *param;

      if (!g_strv_contains (param_kinds, kind))
        {
          report (reader, key_node, HT_RECIPE_ERROR_UNKNOWN_KEY, "unknown kind of parameter:", kind, param_kinds);
          continue;
        }
      if (g_hash_table_contains (params, kind))
        continue;
      param = g_memdup2 (&unset, sizeof unset);
      g_hash_table_insert (params, g_strdup (kind), param);
      read_param (reader, ht_located_node_get_child (node, i), param);
    }
}

static gboolean
read_bound (HtTargetReader *reader, HtLocatedNode *node, double *bound)
{
  GError *error = NULL;

  if (ht_located_node_get_double (node, -G_MAXFLOAT, G_MAXFLOAT, bound, &error))
    return TRUE;
  ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
  return FALSE;
}

static void
read_minimum (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  HtTargetRange *range = section;

  range->has_min = read_bound (reader, node, &range->min);
}

static void
read_maximum (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  HtTargetRange *range = section;

  range->has_max = read_bound (reader, node, &range->max);
}

static void
read_range (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "min", read_minimum, HT_TARGET_NO_OFFSET, TRUE },
    { "max", read_maximum, HT_TARGET_NO_OFFSET },
    { NULL },
  };
  HtTargetRange *range = section;

  ht_target_read_keys (reader, node, "'encoding_constraints'", keys, range);
  if (range->has_min && range->has_max && !(range->min < range->max))
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                            "'encoding_constraints': the minimum %g is not below the maximum %g", range->min,
                            range->max);
  else if (range->has_min && (range->min > 0 || (range->has_max && range->max < 0)))
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE,
                            "'encoding_constraints': zero is not in the range; a grid has to represent it");
}

/* Widths stand in the recipe; AIMET itself does not enforce these either. */
static void
read_kernels (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  if (ht_target_check_kind (reader, node, HT_LOCATED_SEQUENCE))
    ht_located_node_report (node, reader->problems, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_NOT_SUPPORTED,
                            "'supported_kernels' has no effect: widths are those of the recipe");
}

static void
read_op_defaults (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "is_input_quantized", read_word, G_STRUCT_OFFSET (HtTargetOp, input_quantized) },
    { "is_output_quantized", read_word, G_STRUCT_OFFSET (HtTargetOp, output_quantized) },
    { "is_symmetric", read_word, G_STRUCT_OFFSET (HtTargetOp, symmetric) },
    { NULL },
  };

  ht_target_read_keys (reader, node, "'ops'", keys, section);
}

static void
read_hw_version (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  const char *text = ht_located_node_get_kind (node) == HT_LOCATED_STRING ? ht_located_node_get_text (node) : "";
  guint64 number = 0;

  if (text[0] == 'V' && g_ascii_string_to_unsigned (text + 1, 10, 1, 999, &number, NULL))
    *(guint *)section = (guint)number;
  else
    {
      g_autofree char *found = ht_located_node_describe (node);

      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                              "'hw_version' is %s, must be a V and a number, as in \"V73\"", found);
    }
}

static void
read_defaults (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "ops", read_op_defaults, G_STRUCT_OFFSET (HtTarget, ops), TRUE },
    { "params", read_param, G_STRUCT_OFFSET (HtTarget, params), TRUE },
    { "strict_symmetric", read_word, G_STRUCT_OFFSET (HtTarget, strict) },
    { "unsigned_symmetric", read_word, G_STRUCT_OFFSET (HtTarget, unsigned_symmetric) },
    { "per_channel_quantization", read_word, G_STRUCT_OFFSET (HtTarget, per_channel) },
    { "hw_version", read_hw_version, G_STRUCT_OFFSET (HtTarget, hw_version) },
    { "supported_kernels", read_kernels, HT_TARGET_NO_OFFSET },
    { NULL },
  };

  ht_target_read_keys (reader, node, "'defaults'", keys, section);
}

static void
check_op (HtTargetReader *reader, HtLocatedNode *node, const char *op_type, HtTargetOp *op)
{
  if (op->output_quantized.value == FALSE && op->range.has_min)
    ht_located_node_report (ht_located_node_lookup (node, "encoding_constraints", NULL), reader->problems,
                            HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                            "'encoding_constraints' of '%s' contradicts its 'is_output_quantized': an output without a "
                            "quantizer has no range",
                            op_type);
}

static void
read_op_type (HtTargetReader *reader, HtLocatedNode *node, const char *op_type)
{
  static const HtTargetKey keys[] = {
    { "is_input_quantized", read_word, G_STRUCT_OFFSET (HtTargetOp, input_quantized) },
    { "is_output_quantized", read_word, G_STRUCT_OFFSET (HtTargetOp, output_quantized) },
    { "is_symmetric", read_word, G_STRUCT_OFFSET (HtTargetOp, symmetric) },
    { "per_channel_quantization", read_word, G_STRUCT_OFFSET (HtTargetOp, per_channel) },
    { "params", read_params, G_STRUCT_OFFSET (HtTargetOp, params) },
    { "encoding_constraints", read_range, G_STRUCT_OFFSET (HtTargetOp, range) },
    { "supported_kernels", read_kernels, HT_TARGET_NO_OFFSET },
    { NULL },
  };
  g_autofree char *what = g_strdup_printf ("'op_type' '%s'", op_type);
  HtTargetOp *op = g_new (HtTargetOp, 1);

  ht_target_op_init (op);
  g_hash_table_insert (reader->target->op_types, g_strdup (op_type), op);
  ht_target_read_keys (reader, node, what, keys, op);
  check_op (reader, node, op_type, op);
}

static void
read_op_types (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  if (!ht_target_check_kind (reader, node, HT_LOCATED_MAPPING))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *key_node = ht_located_node_get_key_node (node, i);
      const char *op_type = ht_located_node_get_text (key_node);

      ht_target_check_op_type (reader, key_node, op_type);
      if (!ht_target_find_op (reader->target, op_type))
        read_op_type (reader, ht_located_node_get_child (node, i), op_type);
    }
}

static gboolean
groups_equal (HtTargetGroup *a, HtTargetGroup *b)
{
  return g_strv_equal ((const char *const *)a->op_types, (const char *const *)b->op_types);
}

static void
read_op_list (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  GPtrArray *groups = reader->target->groups;
  HtTargetGroup *group;
  char **op_types = ht_target_read_op_types (reader, node);

  if (!op_types)
    return;
  if (g_strv_length (op_types) < 2)
    {
      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE,
                              "'op_list' has to name two operators at least");
      g_strfreev (op_types);
      return;
    }
  group = g_new0 (HtTargetGroup, 1);
  group->op_types = op_types;
  group->line = ht_located_node_get_line (node);
  group->column = ht_located_node_get_column (node);
  g_ptr_array_add (groups, group);
  for (guint i = 0; i + 1 < groups->len; i++)
    {
      HtTargetGroup *other = g_ptr_array_index (groups, i);

      if (groups_equal (other, group))
        ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY,
                                "this supergroup is given twice, first in line %u, column %u: remove one", other->line,
                                other->column);
    }
}

static gint
compare_groups (gconstpointer a, gconstpointer b)
{
  const HtTargetGroup *x = *(const HtTargetGroup *const *)a, *y = *(const HtTargetGroup *const *)b;
  guint n = g_strv_length (x->op_types), m = g_strv_length (y->op_types);

  if (n != m)
    return n > m ? -1 : 1;
  if (x->line != y->line)
    return x->line < y->line ? -1 : 1;
  return x->column < y->column ? -1 : x->column > y->column;
}

static void
read_groups (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "op_list", read_op_list, HT_TARGET_NO_OFFSET, TRUE },
    { NULL },
  };

  if (!ht_target_check_kind (reader, node, HT_LOCATED_SEQUENCE))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    ht_target_read_keys (reader, ht_located_node_get_child (node, i), "a supergroup", keys, NULL);
  g_ptr_array_sort (reader->target->groups, compare_groups);
}

static void
read_passes (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const char *const known[] = { "MatmulAdd", "LayerNormalization", "RMSNormalization", "MaskedSoftmax", NULL };
  HtTarget *target = reader->target;

  if (!ht_target_check_kind (reader, node, HT_LOCATED_SEQUENCE))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *item = ht_located_node_get_child (node, i);
      const char *name = ht_target_read_text (reader, item);

      if (!name)
        continue;
      if (strcmp (name, "MatmulAdd") == 0)
        target->pass_matmul_add = TRUE;
      else if (strcmp (name, "LayerNormalization") == 0)
        target->pass_layer_norm = TRUE;
      else if (g_strv_contains (known, name))
        ht_located_node_report (
            item, reader->problems, HT_SEVERITY_NOTE, HT_RECIPE_ERROR_NOT_SUPPORTED,
            "the pass '%s' has no effect: where that function is written out as small nodes, they are "
            "quantized one by one",
            name);
      else
        report (reader, item, HT_RECIPE_ERROR_UNKNOWN_VALUE, "unknown pass", name, known);
    }
}

static void
read_model_input (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "is_input_quantized", read_word, G_STRUCT_OFFSET (HtTarget, model_input) },
    { NULL },
  };

  ht_target_read_keys (reader, node, "'model_input'", keys, section);
}

static void
read_model_output (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtTargetKey keys[] = {
    { "is_output_quantized", read_word, G_STRUCT_OFFSET (HtTarget, model_output) },
    { NULL },
  };

  ht_target_read_keys (reader, node, "'model_output'", keys, section);
}

void
ht_target_read (HtTarget *self, HtLocatedNode *root, GPtrArray *problems)
{
  static const HtTargetKey keys[] = {
    { "defaults", read_defaults, 0, TRUE },
    { "params", read_params, G_STRUCT_OFFSET (HtTarget, param_kinds), TRUE },
    { "op_type", read_op_types, HT_TARGET_NO_OFFSET, TRUE },
    { "supergroups", read_groups, HT_TARGET_NO_OFFSET, TRUE },
    { "supergroup_pass_list", read_passes, HT_TARGET_NO_OFFSET },
    { "model_input", read_model_input, 0, TRUE },
    { "model_output", read_model_output, 0, TRUE },
    { "halftone", ht_target_read_switches, HT_TARGET_NO_OFFSET },
    { NULL },
  };
  HtTargetReader reader = { self, problems };

  ht_target_read_keys (&reader, root, "a target configuration", keys, self);
  ht_target_check_switches (&reader, root);
}
