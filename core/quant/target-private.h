/* SPDX-License-Identifier: MIT */
/* What a target configuration says, word by word, each with its place in the file. */
#pragma once

#include "base/located.h"

#include <halftone/target.h>

/* A switch that may be unset (-1), and where it was set. */
typedef struct
{
  gint value;
  guint line, column;
} HtTargetWord;

#define HT_TARGET_UNSET                                                                                                \
  {                                                                                                                    \
    -1, 0, 0                                                                                                           \
  }

/* What holds for the parameters of one kind: weight, bias, … */
typedef struct
{
  HtTargetWord quantized;
  HtTargetWord symmetric;
} HtTargetParam;

/* A range that calibration does not find; `max` may be left to it. */
typedef struct
{
  gboolean has_min, has_max;
  double min, max;
} HtTargetRange;

/* What holds for the nodes of one operator type. */
typedef struct
{
  HtTargetWord input_quantized;
  HtTargetWord output_quantized;
  HtTargetWord symmetric;
  HtTargetWord per_channel;
  HtTargetRange range;
  GHashTable *params; /* kind -> HtTargetParam */
} HtTargetOp;

typedef struct
{
  char **op_types;
  guint line, column;
} HtTargetGroup;

/* A default of one of our own settings: what a recipe could write under `weights` or `activations`. */
typedef struct
{
  char *key;
  JsonNode *value;
  guint line, column;
} HtTargetSetting;

/* Which constants that are data get a quantizer. */
typedef enum
{
  HT_TARGET_CONSTANTS_DATA, /* but for limits, slopes, exponents, and what another node needs in floating point */
  HT_TARGET_CONSTANTS_ALL,
} HtTargetConstants;

/* Under our own key `halftone`; what is not written is off. docs/target.md says what each means. */
typedef struct
{
  gboolean layer_groups;
  gboolean written_out_layer_norm, written_out_gelu;
  gboolean depthwise_outside_groups;
  gboolean groups_through_outputs;
  gboolean dynamic_operands_as_parameters;
  gboolean norm_parameters_as_reference;
  gboolean recurrent_states_tied;
  gboolean adjust_weight_scales;
  gboolean round_in_float;
  HtTargetConstants constants;
  guint least_norm_bits;
  char **tie_inputs;      /* operators whose inputs take the quantizer of the output */
  char **tie_outputs;     /* operators whose output takes the quantizer of the input */
  char **grid_preserving; /* NULL: what the operator table knows */
  GPtrArray *settings[2]; /* HtTargetSetting; of weights, of activations */
} HtTargetSwitches;

struct _HtTarget
{
  GObject parent_instance;

  char *name;
  char *file;
  char *hash; /* SHA-256 of the text of the file */
  char *description;
  HtTargetOp ops; /* defaults.ops */
  HtTargetParam params;
  HtTargetWord strict, unsigned_symmetric, per_channel;
  GHashTable *param_kinds; /* kind -> HtTargetParam */
  GHashTable *op_types;    /* op type -> HtTargetOp */
  GPtrArray *groups;       /* HtTargetGroup, the longest first */
  gboolean pass_matmul_add, pass_layer_norm;
  HtTargetWord model_input, model_output;
  guint hw_version; /* 0: none */
  HtTargetSwitches switches;
};

/* Reads the tree of a target file into `self`, which is empty; what is wrong is added to `problems`. */
void ht_target_read (HtTarget *self, HtLocatedNode *root, GPtrArray *problems);
/* The same as ht_target_load(), but a path that is not absolute is relative to `folder`, and problems of the text are
 * added to `problems` and do not set `error`. NULL with `error` unset: see `problems`. */
HtTarget *ht_target_open (const char *target, const char *folder, GPtrArray *problems, GError **error);
HtTarget *ht_target_get_default (void);
HtTargetOp *ht_target_find_op (HtTarget *self, const char *op_type);
void ht_target_op_init (HtTargetOp *self);
void ht_target_op_clear (HtTargetOp *self);

/* The text of a target and the file that it is from; NULL with `error` set. target-find.c */
char *ht_target_find_text (const char *target, const char *folder, char **file, gsize *length, GError **error);
