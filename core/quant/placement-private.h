/* SPDX-License-Identifier: MIT */
/* What the files that place quantizers share. */
#pragma once

#include "graph/graph-private.h"
#include "quant/operand.h"
#include "quant/placement.h"
#include "quant/quantization-config.h"

/* A quantizer to be: what it is for, and what the target says of it besides the settings. */
typedef struct _HtDraft HtDraft;
struct _HtDraft
{
  char *tensor;
  gboolean is_weight, is_constant;
  gint axis;
  const char *kind;    /* of a parameter: "weight", "bias", …; else NULL */
  const char *op_type; /* whose words hold: the layer's, or the producer's; NULL: a network input */
  GPtrArray *nodes;    /* HtNode: what rules may match */
  HtTargetRange range;
  GPtrArray *exceptions; /* HtSettingException */
  guint least_bits;
  char *reason;
  HtDraft *shared; /* the draft whose quantizer this tensor has: itself, unless it is tied to another */
};

typedef struct
{
  HtGraph *graph;
  HtQuantizationConfig *config;
  HtTarget *target;
  HtPlacement *result;
  GPtrArray *drafts;     /* HtDraft, in graph order */
  GHashTable *by_tensor; /* tensor -> HtDraft */
  GHashTable *groups;    /* HtNode -> GPtrArray of HtNode: the chain that the node is in */
  GHashTable *functions; /* those of the chains that are a written-out function */
  GHashTable *op_types;  /* HtNode -> the operator that its group is to the device, where that is another */
  GHashTable *roles;     /* constants inside of written-out functions -> "weight" or "bias" */
  GHashTable *interior;  /* names of tensors inside a chain */
  GHashTable *requested; /* names of tensors that an operator wants quantized */
  GHashTable *shielded;  /* names of constants that some node needs in floating point */
  GHashTable *listed;    /* names of constants that were listed already */
} HtPlacing;

HtDraft *ht_placing_add (HtPlacing *self, const char *tensor, const char *op_type, HtNode *const *nodes, gsize n_nodes,
                         const char *reason);
HtDraft *ht_placing_find (HtPlacing *self, const char *tensor);
/* The draft whose grid the values of a tensor lie on, or NULL. */
HtDraft *ht_placing_find_grid (HtPlacing *self, const char *tensor);
void ht_placing_list_tensor (HtPlacing *self, const char *tensor, const char *format, ...) G_GNUC_PRINTF (3, 4);
void ht_placing_list_node (HtPlacing *self, HtNode *node, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* Why a tensor has no quantizer of its own; the first word counts. */
void ht_placing_say (HtPlacing *self, const char *tensor, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* What the node is to the device. */
const char *ht_placing_get_op_type (HtPlacing *self, HtNode *node);
gboolean ht_placing_keeps_grid (HtPlacing *self, HtNode *node);
/* A node that only makes a constant (a Transpose of a weight) is no place for quantizers: its result's uses are. */
gboolean ht_placing_makes_constant (HtPlacing *self, HtNode *node);
/* The node of a chain that a rule leaves in floating point, or NULL. */
HtNode *ht_placing_find_skipped (HtPlacing *self, GPtrArray *chain);

/* Groups. placement-groups.c */
void ht_placing_find_groups (HtPlacing *self);

/* Constants: weights, parameters, operands. placement-constants.c */
HtOperandKind ht_placing_classify (HtPlacing *self, HtNode *node, guint index, gint *axis);
void ht_placing_find_shielded (HtPlacing *self);
void ht_placing_place_constants (HtPlacing *self, HtNode *node);

/* What holds for single tensors beside the words of the file: normalizations, dynamic operands. placement-exceptions.c
 */
gboolean ht_placing_add_exceptions (HtPlacing *self, GError **error);
void ht_draft_add_flag (HtDraft *self, const char *key, gboolean value, const char *origin);
void ht_draft_add_bits (HtDraft *self, guint bits, const char *origin);
/* The settings that a draft will have. */
HtQuantizerSettings *ht_placing_resolve (HtPlacing *self, HtDraft *draft, GHashTable *origins, GError **error);

/* Tensors that share one quantizer. placement-ties.c */
gboolean ht_placing_tie (HtPlacing *self, GError **error);
