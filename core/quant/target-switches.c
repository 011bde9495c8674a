/* SPDX-License-Identifier: MIT */
/* The key `halftone` of a target file: what AIMET's format has no words for. */
#include "quant/target-read.h"

#include "graph/operator.h"

#include <halftone/error.h>
#include <halftone/quantization.h>
#include <string.h>

const char *
ht_target_read_text (HtTargetReader *reader, HtLocatedNode *node)
{
  GError *error = NULL;
  const char *text = ht_located_node_get_string (node, &error);

  if (!text)
    ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
  else if (text[0] == '\0')
    {
      ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                              "this text is empty");
      return NULL;
    }
  return text;
}

/* Names of operators that somebody might mean; devices have others of their own, so that a stranger is no error. */
static const char *const near_operators[] = {
  "Conv",
  "ConvTranspose",
  "Gemm",
  "MatMul",
  "BatchNormalization",
  "Relu",
  "LeakyRelu",
  "PRelu",
  "Clip",
  "Sigmoid",
  "HardSigmoid",
  "HardSwish",
  "Tanh",
  "Softmax",
  "LayerNormalization",
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Concat",
  "AveragePool",
  "GlobalAveragePool",
  "MaxPool",
  "Reshape",
  "Transpose",
  "Squeeze",
  "Unsqueeze",
  "Gather",
  "Resize",
  "Upsample",
  "ReduceMean",
  "GroupNormalization",
  "RMSNormalization",
  "InstanceNormalization",
  NULL,
};

/* Those that files of AIMET name, and that Halftone does not carry out. */
static const char *const other_operators[] = {
  "BatchPermutation",  "BatchToSpace", "ChannelShuffle", "Col2Im",          "CropAndResize", "MaxRoiPool",
  "NonMaxSuppression", "NonZero",      "SpaceToBatch",   "SplitToSequence", "branch",        NULL,
};

void
ht_target_check_op_type (HtTargetReader *reader, HtLocatedNode *node, const char *op_type)
{
  const char *near;

  if (ht_operator_find ("", op_type, G_MAXINT) || g_strv_contains (other_operators, op_type))
    return;
  near = ht_suggest (op_type, near_operators);
  if (near)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "'%s' is no operator of ONNX; did you mean '%s'?", op_type, near);
}

char **
ht_target_read_op_types (HtTargetReader *reader, HtLocatedNode *node)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  if (!ht_target_check_kind (reader, node, HT_LOCATED_SEQUENCE))
    return NULL;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *item = ht_located_node_get_child (node, i);
      const char *text = ht_target_read_text (reader, item);

      if (!text)
        return NULL;
      ht_target_check_op_type (reader, item, text);
      g_strv_builder_add (builder, text);
    }
  return g_strv_builder_end (builder);
}

static void
read_op_types (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  char **op_types = ht_target_read_op_types (reader, node);

  if (op_types)
    {
      g_strfreev (*(char ***)section);
      *(char ***)section = op_types;
    }
}

static void
read_switch (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  GError *error = NULL;

  if (!ht_located_node_get_boolean (node, section, &error))
    ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
}

static void
read_description (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  const char *text = ht_target_read_text (reader, node);

  if (text)
    {
      g_free (reader->target->description);
      reader->target->description = g_strdup (text);
    }
}

/* One word of a fixed set; -1: reported. */
static gint
read_choice (HtTargetReader *reader, HtLocatedNode *node, const char *const *words)
{
  const char *text = ht_target_read_text (reader, node);
  g_autofree char *all = g_strjoinv (", ", (char **)words);
  g_autofree char *name = ht_located_node_get_name (node);
  const char *near;

  for (gint i = 0; text && words[i]; i++)
    if (strcmp (text, words[i]) == 0)
      return i;
  near = text ? ht_suggest (text, words) : NULL;
  if (text)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "%s is '%s'%s%s%s (known: %s)", name, text, near ? "; did you mean '" : "",
                            near ? near : "", near ? "'?" : "", all);
  return -1;
}

static void
read_constants (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const char *const words[] = { "data", "all", NULL };
  gint choice = read_choice (reader, node, words);

  if (choice >= 0)
    reader->target->switches.constants = (HtTargetConstants)choice;
}

static void
read_functions (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  static const char *const words[] = { "layer-normalization", "gelu", NULL };
  HtTargetSwitches *switches = &reader->target->switches;

  if (!ht_target_check_kind (reader, node, HT_LOCATED_SEQUENCE))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      gint choice = read_choice (reader, ht_located_node_get_child (node, i), words);

      switches->written_out_layer_norm |= choice == 0;
      switches->written_out_gelu |= choice == 1;
    }
}

static void
read_norm_bits (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  GError *error = NULL;
  guint64 value;

  if (ht_located_node_get_uint64 (node, 2, 16, &value, &error))
    reader->target->switches.least_norm_bits = (guint)value;
  else
    ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
}

/* Our settings, by the names and ranges that their properties have. */
static void
read_settings (HtTargetReader *reader, HtLocatedNode *node, gboolean weights)
{
  g_autoptr (HtQuantizerSettings) probe
      = weights ? ht_quantizer_settings_new_weights () : ht_quantizer_settings_new_activations ();

  if (!ht_target_check_kind (reader, node, HT_LOCATED_MAPPING))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *key_node = ht_located_node_get_key_node (node, i);
      HtLocatedNode *value = ht_located_node_get_child (node, i);
      const char *key = ht_located_node_get_text (key_node);
      GError *error = NULL;
      g_autoptr (JsonNode) json = ht_located_node_to_json (value, &error);
      HtTargetSetting *setting;

      if (!json || !ht_object_set_param (G_OBJECT (probe), key, json, &error))
        {
          ht_located_node_report_error (ht_object_find_param (G_OBJECT_GET_CLASS (probe), key) ? value : key_node,
                                        reader->problems, HT_RECIPE_ERROR_UNKNOWN_KEY, error);
          continue;
        }
      setting = g_new0 (HtTargetSetting, 1);
      setting->key = g_strdup (key);
      setting->value = g_steal_pointer (&json);
      setting->line = ht_located_node_get_line (value);
      setting->column = ht_located_node_get_column (value);
      g_ptr_array_add (reader->target->switches.settings[weights ? 0 : 1], setting);
    }
}

static void
read_weights (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  read_settings (reader, node, TRUE);
}

static void
read_activations (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
  read_settings (reader, node, FALSE);
}

void
ht_target_read_switches (HtTargetReader *reader, HtLocatedNode *node, gpointer section)
{
#define AT(field) G_STRUCT_OFFSET (HtTargetSwitches, field)
  static const HtTargetKey keys[] = {
    { "description", read_description, HT_TARGET_NO_OFFSET },
    { "weights", read_weights, HT_TARGET_NO_OFFSET },
    { "activations", read_activations, HT_TARGET_NO_OFFSET },
    { "layer-groups", read_switch, AT (layer_groups) },
    { "written-out-functions", read_functions, HT_TARGET_NO_OFFSET },
    { "depthwise-outside-groups", read_switch, AT (depthwise_outside_groups) },
    { "groups-through-outputs", read_switch, AT (groups_through_outputs) },
    { "grid-preserving", read_op_types, AT (grid_preserving) },
    { "tie-inputs", read_op_types, AT (tie_inputs) },
    { "tie-outputs", read_op_types, AT (tie_outputs) },
    { "tie-recurrent-states", read_switch, AT (recurrent_states_tied) },
    { "constants", read_constants, HT_TARGET_NO_OFFSET },
    { "dynamic-operands-as-parameters", read_switch, AT (dynamic_operands_as_parameters) },
    { "norm-parameters-as-reference", read_switch, AT (norm_parameters_as_reference) },
    { "least-norm-parameter-bits", read_norm_bits, HT_TARGET_NO_OFFSET },
    { "round-weights-in-float", read_switch, AT (round_in_float) },
    { "adjust-weight-scales", read_switch, AT (adjust_weight_scales) },
    { NULL },
  };
#undef AT

  ht_target_read_keys (reader, node, "'halftone'", keys, &reader->target->switches);
}

static void
check_lists (HtTargetReader *reader, HtLocatedNode *lists, const char *name, char **op_types, const char *other_name,
             char **others)
{
  HtLocatedNode *node = lists ? ht_located_node_lookup (lists, name, NULL) : NULL;

  for (guint i = 0; node && op_types && op_types[i]; i++)
    if (others && g_strv_contains ((const char *const *)others, op_types[i]))
      ht_located_node_report (ht_located_node_get_child (node, i), reader->problems, HT_SEVERITY_ERROR,
                              HT_RECIPE_ERROR_CONFLICT, "'%s' stands in '%s' and in '%s': leave one out", op_types[i],
                              other_name, name);
}

/* A tie needs a quantizer on either side. */
static void
check_tied (HtTargetReader *reader, HtLocatedNode *lists, const char *name, char **op_types)
{
  HtLocatedNode *node = lists ? ht_located_node_lookup (lists, name, NULL) : NULL;

  for (guint i = 0; node && op_types && op_types[i]; i++)
    {
      HtTargetOp *op = ht_target_find_op (reader->target, op_types[i]);

      if (op && op->output_quantized.value == FALSE)
        ht_located_node_report (ht_located_node_get_child (node, i), reader->problems, HT_SEVERITY_ERROR,
                                HT_RECIPE_ERROR_CONFLICT,
                                "'%s' contradicts line %u, which leaves the output of '%s' without a quantizer", name,
                                op->output_quantized.line, op_types[i]);
    }
}

void
ht_target_check_switches (HtTargetReader *reader, HtLocatedNode *root)
{
  HtTargetSwitches *switches = &reader->target->switches;
  HtLocatedNode *lists = NULL;

  if (ht_located_node_get_kind (root) == HT_LOCATED_MAPPING)
    lists = ht_located_node_lookup (root, "halftone", NULL);
  if (!lists || ht_located_node_get_kind (lists) != HT_LOCATED_MAPPING)
    return;
  check_lists (reader, lists, "tie-outputs", switches->tie_outputs, "tie-inputs", switches->tie_inputs);
  check_lists (reader, lists, "tie-inputs", switches->tie_inputs, "grid-preserving", switches->grid_preserving);
  check_lists (reader, lists, "tie-outputs", switches->tie_outputs, "grid-preserving", switches->grid_preserving);
  check_tied (reader, lists, "tie-inputs", switches->tie_inputs);
  check_tied (reader, lists, "tie-outputs", switches->tie_outputs);
}
