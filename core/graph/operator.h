/* SPDX-License-Identifier: MIT */
/* The operator table: one entry says all that Halftone knows of an ONNX operator. */
#pragma once

#include "graph/element-type.h"

/* An element of an integer tensor of rank 0 or 1 that shape arithmetic produced: a number, a symbol, or unknown. */
typedef struct
{
  gboolean known;
  gint64 value;
  const char *symbol; /* interned; NULL when known or unnamed */
} HtSymbolicInt;

/* What is known of a value before it exists. */
typedef struct
{
  HtDataType type;         /* UNDEFINED: not known */
  HtShape *shape;          /* NULL: rank not known; of a list: its length */
  HtTensor *constant;      /* NULL: not a constant */
  HtSymbolicInt *elements; /* NULL: content not known; else n_elements of an integer tensor of rank <= 1 */
  gsize n_elements;
  HtElementType *element; /* of a sequence or an optional value; NULL: not known */
} HtInferValue;

/* Inference of one node. Inputs that are absent are NULL. The rule fills `outputs`; what it leaves stays unknown.
 * A rule fails on a node that breaks the specification (required inputs, attributes, ranks, axes, element types), as far
 * as its inputs are known. forward() is only called after the rule passed with all types and shapes known, so it checks
 * no more than what stands in the data, such as indices. */
typedef struct
{
  HtGraph *graph;
  HtNode *node;
  struct _HtValueTable *scope; /* what nodes of `graph` can see, for subgraphs; NULL: not known */
  gint64 opset; /* of the operator's domain */
  guint n_inputs;
  const HtInferValue *const *inputs;
  guint n_outputs;
  HtInferValue *outputs;
} HtInfer;

typedef struct _HtOpCall HtOpCall;

/* One execution of one node. forward() of a view copies when its output has other memory than its input. Output tensors are allocated by the plan with the shapes inference gave; an operator whose
 * flag is HT_OP_MAKES_OUTPUTS gets NULL and stores new tensors itself. */
struct _HtOpCall
{
  HtNode *node;
  gint64 opset;
  guint n_inputs;
  HtTensor *const *inputs; /* NULL: absent */
  guint n_outputs;
  HtTensor **outputs; /* NULL: not wanted */
  gpointer workspace; /* as many bytes as the operator's workspace() asked for, 64-byte aligned */
  gsize workspace_size;
  GCancellable *cancellable;
  /* Runs a subgraph attribute (If, Loop, Scan): `outputs` receives new references, one for each subgraph output. */
  gboolean (*run_subgraph) (const HtOpCall *call, HtGraph *subgraph, GHashTable *inputs, HtTensor **outputs,
                            GError **error);
  gpointer runner;
};

typedef enum
{
  HT_OP_NONE = 0,
  HT_OP_IN_PLACE = 1 << 0,        /* output 0 may share the memory of an input of the same type and size */
  HT_OP_VIEW = 1 << 1,            /* output 0 is input 0 with other dimensions */
  HT_OP_MAKES_OUTPUTS = 1 << 2,   /* output shapes are only known by running */
  HT_OP_KEEPS_GRID = 1 << 3,      /* moves or selects values of input 0 (or of all inputs): a quantizer's grid passes */
  HT_OP_NON_DETERMINISTIC = 1 << 4, /* never folded (random operators) */
  HT_OP_LISTS = 1 << 5, /* takes sequences or optional values; what others get is refused before their rule sees it */
} HtOperatorFlags;

typedef struct
{
  const char *domain; /* "" is ai.onnx */
  const char *op_type;
  gint64 since_version; /* first opset this entry serves; the entry with the highest one not above the model's is used */
  HtOperatorFlags flags;
  gboolean (*infer) (HtInfer *infer, GError **error);
  gboolean (*forward) (const HtOpCall *call, GError **error);
  /* Gradients with respect to the inputs, given those of the outputs; NULL: not differentiable.
   * `call` is the forward call again: same node, inputs and outputs. Types and dimensions of all of them hold, the
   * content only of those that backward_inputs and backward_outputs name: the memory of the others may have been used
   * again. Outputs are as forward() left them, before any quantizer. `workspace` is that of backward_workspace().
   * output_gradients[i] (call->n_outputs of them) NULL is zero; one at least is not NULL.
   * input_gradients[i] (call->n_inputs of them) NULL is not wanted, else it has the type and dimensions of input i and
   * is overwritten, whatever it held; the caller adds up several uses of a tensor. It shares memory with nothing else.
   * Float and double; an input that no gradient exists for (indices, or sizes that were given as numbers) is an error
   * that ht_op_fail_gradient() words. */
  gboolean (*backward) (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                        GError **error);
  /* Bytes of scratch memory for a call with these shapes; may be NULL. */
  gsize (*workspace) (const HtInfer *infer);
  /* Bit i: every output element is an element of one of these inputs, moved or selected but never computed; bit 31
   * stands for all inputs. Shape arithmetic follows symbols through such operators by running them on positions. */
  guint32 moved_inputs;
  /* What backward() reads: bit i is input or output i; bit 31 stands for all. */
  guint32 backward_inputs, backward_outputs;
  /* Bytes of scratch memory for backward(); may be NULL. */
  gsize (*backward_workspace) (const HtInfer *infer);
} HtOperator;

#define HT_OP_KEEPS(i)         (1u << (i))
#define HT_OP_KEEPS_ALL        (1u << 31)
#define HT_OP_MOVES_INPUT(i)   (1u << (i))
#define HT_OP_MOVES_ALL_INPUTS (1u << 31)

/* The entries must live for ever (static tables). */
void ht_operator_register (const HtOperator *operators, gsize n_operators);
/* The entry with the highest since_version not above `opset`; "ai.onnx" is "". NULL: an operator we do not know. */
const HtOperator *ht_operator_find (const char *domain, const char *op_type, gint64 opset);
/* Registers what core/ops holds. This room only declares that somebody above it provides the table, the way a program
 * declares main(): no header of core/ops is included here and no operator is known by name, so the arrow between the
 * rooms stays one-way. The first ht_operator_find() calls it, once. */
void ht_operator_load_builtin (void);

/* Helpers for inference rules */
/* NULL: absent (out of range or ""). */
const HtInferValue *ht_infer_get_input (const HtInfer *infer, guint index);
HtDataType ht_infer_get_type (const HtInfer *infer, guint index);
HtShape *ht_infer_get_shape (const HtInfer *infer, guint index); /* (transfer none) */
/* Element `index` of an integer value of rank <= 1, from its constant or its elements; unknown when neither says. */
HtSymbolicInt ht_infer_value_get_element (const HtInferValue *value, gsize index);
/* How many elements of a value of rank <= 1 are at least partly known; FALSE: none. */
gboolean ht_infer_value_has_elements (const HtInferValue *value, gsize *n_elements);
void ht_infer_set_output (HtInfer *infer, guint index, HtDataType type, HtShape *shape /* transfer full, nullable */);
void ht_infer_set_output_dims (HtInfer *infer, guint index, HtDataType type, const gint64 *dims, guint n_dims);
/* A sequence or optional value of `n_elements` (-1: not known) elements. */
void ht_infer_set_output_list (HtInfer *infer, guint index, HtDataType type, gint64 n_elements,
                               HtElementType *element /* transfer none, nullable */);
/* All elements of an integer input, newly allocated; FALSE when one of them is not known or it is no integer tensor. */
gboolean ht_infer_get_ints (const HtInfer *infer, guint input, gint64 **values, gsize *n_values);
gboolean ht_infer_fail (const HtInfer *infer, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);
gboolean ht_op_fail (const HtOpCall *call, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);
gboolean ht_op_fail_gradient (const HtOpCall *call, guint input, GError **error);
