/* SPDX-License-Identifier: MIT */
#include "exec/exec-chain.h"

#include "exec/executor-private.h"
#include "graph/written-out.h"
#include "kernels/isa.h"

#include <math.h>
#include <string.h>

enum
{
  STAGE_AFFINE,
  STAGE_INNER, /* the inner grid is set */
  STAGE_RESIDUAL,
  STAGE_CLAMPED,
  STAGE_ACTIVE,
};

typedef enum
{
  AFFINE_ADD,
  AFFINE_SUBTRACT,
  AFFINE_SUBTRACT_FROM, /* c - x */
  AFFINE_MULTIPLY,
  AFFINE_DIVIDE,
  AFFINE_NORMALIZE, /* scale, shift, mean, variance */
} AffineKind;

typedef struct
{
  AffineKind kind;
  float epsilon;
  guint n_params;
  HtExecParam params[4];
} Affine;

void
ht_exec_param_init (HtExecParam *self, HtExecBuilder *builder, const char *name)
{
  self->name = g_strdup (name);
  self->tensor = ht_tensor_ref (ht_exec_builder_get_constant (builder, name));
}

void
ht_exec_param_clear (HtExecParam *self)
{
  g_clear_pointer (&self->name, g_free);
  g_clear_pointer (&self->tensor, ht_tensor_unref);
}

static void
affine_clear (gpointer data)
{
  Affine *affine = data;
  for (guint i = 0; i < affine->n_params; i++)
    ht_exec_param_clear (&affine->params[i]);
}

static gboolean
fits (HtExecBuilder *builder, const char *tensor, HtExecLayout layout)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;
  gsize n_grids = 1;

  if (layout == HT_EXEC_LAYOUT_BLOCKED)
    return ht_exec_builder_can_block (builder, tensor);
  HtEncoding *encoding = ht_exec_builder_get_encoding (builder, tensor);
  if (encoding)
    ht_encoding_get_scales (encoding, &n_grids);
  return n_grids == 1 && ht_exec_builder_get_float_dims (builder, tensor, dims, &n_dims);
}

HtExecChain *
ht_exec_chain_new (HtExecBuilder *builder, const char *tensor, HtExecLayout layout, guint axis, HtExecChainParts parts)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (!fits (builder, tensor, layout) || !ht_exec_builder_get_float_dims (builder, tensor, dims, &n_dims)
      || axis >= n_dims)
    return NULL;
  HtExecChain *self = g_new0 (HtExecChain, 1);
  self->layout = layout;
  self->axis = axis;
  self->channels = (gsize)dims[axis];
  self->parts = parts;
  self->output = g_strdup (tensor);
  self->affines = g_array_new (FALSE, TRUE, sizeof (Affine));
  g_array_set_clear_func (self->affines, affine_clear);
  return self;
}

void
ht_exec_chain_free (HtExecChain *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->affines);
  g_free (self->inner);
  g_free (self->output);
  g_free (self->residual);
  g_clear_pointer (&self->scale, g_aligned_free);
  g_clear_pointer (&self->shift, g_aligned_free);
  ht_exec_chain_free (self->next);
  g_free (self);
}

HtExecChain *
ht_exec_chain_get_end (HtExecChain *self)
{
  while (self->next)
    self = self->next;
  return self;
}

static void
add_affine (HtExecChain *self, HtExecBuilder *builder, AffineKind kind, const char *constant)
{
  Affine affine = { .kind = kind, .n_params = 1 };
  ht_exec_param_init (&affine.params[0], builder, constant);
  g_array_append_val (self->affines, affine);
}

/* One element, or one for each channel and broadcast along all other axes of the chain's tensor. */
static gboolean
is_channel_constant (HtExecChain *self, HtExecBuilder *builder, const char *name, guint rank)
{
  HtTensor *constant = name[0] ? ht_exec_builder_get_constant (builder, name) : NULL;
  guint n_dims;

  if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_FLOAT)
    return FALSE;
  const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
  if (n_dims > rank)
    return FALSE;
  for (guint i = 0; i < n_dims; i++)
    if (dims[i] != 1 && (rank - n_dims + i != self->axis || (gsize)dims[i] != self->channels))
      return FALSE;
  return TRUE;
}

gboolean
ht_exec_chain_add_shift (HtExecChain *self, HtExecBuilder *builder, const char *name)
{
  HtTensor *constant = ht_exec_builder_get_constant (builder, name);
  guint n_dims;

  if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_FLOAT)
    return FALSE;
  gsize n = ht_tensor_get_n_elements (constant);
  const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
  if (n != 1 && (n != self->channels || (gsize)dims[n_dims - 1] != n))
    return FALSE;
  add_affine (self, builder, AFFINE_ADD, name);
  return TRUE;
}

static gboolean
read_scalar (HtExecBuilder *builder, const char *name, float *value)
{
  HtTensor *constant = ht_exec_builder_get_constant (builder, name);

  if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_FLOAT
      || ht_tensor_get_n_elements (constant) != 1 || ht_exec_builder_get_encoding (builder, name))
    return FALSE;
  *value = *(const float *)ht_tensor_get_data (constant);
  return TRUE;
}

static gboolean
append_normalization (HtExecChain *self, HtExecBuilder *builder, HtNode *node)
{
  Affine affine = { .kind = AFFINE_NORMALIZE, .epsilon = (float)ht_node_get_float (node, "epsilon", 1e-5) };

  if (ht_node_get_int (node, "training_mode", 0) != 0 || ht_node_get_int (node, "spatial", 1) == 0
      || ht_node_get_n_inputs (node) != 5 || self->axis != 1)
    return FALSE;
  for (guint i = 1; i < 5; i++)
    {
      HtTensor *constant = ht_exec_builder_get_constant (builder, ht_node_get_input (node, i));
      if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_FLOAT
          || ht_tensor_get_n_elements (constant) != self->channels)
        return FALSE;
    }
  for (guint i = 1; i < 5; i++)
    ht_exec_param_init (&affine.params[affine.n_params++], builder, ht_node_get_input (node, i));
  g_array_append_val (self->affines, affine);
  return TRUE;
}

/* Add and its kin with a constant; Add with another tensor of the same shape is a residual. */
static gboolean
append_arithmetic (HtExecChain *self, HtExecBuilder *builder, HtNode *node, guint position)
{
  const char *type = ht_node_get_op_type (node), *other = ht_node_get_input (node, 1 - position);
  gint64 dims[HT_TENSOR_MAX_DIMS], other_dims[HT_TENSOR_MAX_DIMS];
  guint n_dims, n_other;
  AffineKind kind = AFFINE_ADD;

  if (ht_node_get_n_inputs (node) != 2)
    return FALSE;
  if (!ht_exec_builder_get_float_dims (builder, self->output, dims, &n_dims))
    return FALSE;
  if (strcmp (type, "Sub") == 0)
    kind = position == 0 ? AFFINE_SUBTRACT : AFFINE_SUBTRACT_FROM;
  else if (strcmp (type, "Mul") == 0)
    kind = AFFINE_MULTIPLY;
  else if (strcmp (type, "Div") == 0)
    kind = AFFINE_DIVIDE;
  if (self->stage == STAGE_AFFINE && self->parts & HT_CHAIN_AFFINE && !(kind == AFFINE_DIVIDE && position == 1)
      && is_channel_constant (self, builder, other, n_dims))
    {
      add_affine (self, builder, kind, other);
      return TRUE;
    }
  if (kind != AFFINE_ADD || self->stage >= STAGE_RESIDUAL || !(self->parts & HT_CHAIN_RESIDUAL)
      || strcmp (other, self->output) == 0 || !ht_exec_builder_is_made (builder, other)
      || ht_exec_builder_get_constant (builder, other) || !fits (builder, other, self->layout)
      || !ht_exec_builder_get_float_dims (builder, other, other_dims, &n_other) || n_other != n_dims
      || memcmp (dims, other_dims, n_dims * sizeof *dims) != 0)
    return FALSE;
  self->residual = g_strdup (other);
  self->stage = STAGE_RESIDUAL;
  return TRUE;
}

/* A second clamp acts on the ends of the first. */
static gboolean
append_clamp (HtExecChain *self, float low, float high)
{
  if (self->stage > STAGE_CLAMPED || !(self->parts & HT_CHAIN_ACTIVATION))
    return FALSE;
  if (self->stage == STAGE_CLAMPED)
    {
      self->epilogue.low = MIN (MAX (self->epilogue.low, low), high);
      self->epilogue.high = MIN (MAX (self->epilogue.high, low), high);
    }
  else
    {
      self->epilogue.low = low;
      self->epilogue.high = high;
    }
  self->epilogue.activation = HT_ACTIVATION_CLAMP;
  self->stage = STAGE_CLAMPED;
  return TRUE;
}

static gboolean
append_activation (HtExecChain *self, HtActivation activation, float slope, float low)
{
  if (self->stage >= STAGE_CLAMPED || !(self->parts & HT_CHAIN_ACTIVATION))
    return FALSE;
  self->epilogue.activation = activation;
  self->epilogue.slope = slope;
  self->epilogue.low = low;
  self->stage = STAGE_ACTIVE;
  return TRUE;
}

/* Clip has its ends as attributes before opset 11 and as inputs since. */
static gboolean
append_clip (HtExecChain *self, HtExecBuilder *builder, HtNode *node)
{
  float low = (float)ht_node_get_float (node, "min", -G_MAXFLOAT);
  float high = (float)ht_node_get_float (node, "max", G_MAXFLOAT);

  for (guint i = 1; i < MIN (ht_node_get_n_inputs (node), 3); i++)
    if (ht_node_get_input (node, i)[0] && !read_scalar (builder, ht_node_get_input (node, i), i == 1 ? &low : &high))
      return FALSE;
  /* Where the ends cross, the specification lets the upper one win. */
  return append_clamp (self, MIN (low, high), high);
}

static gboolean
append_function (HtExecChain *self, HtExecBuilder *builder, HtNode *node, guint position)
{
  const char *type = ht_node_get_op_type (node);
  float bound;

  if (strcmp (type, "Relu") == 0)
    return append_clamp (self, 0.0f, INFINITY);
  if (strcmp (type, "Clip") == 0)
    return position == 0 && append_clip (self, builder, node);
  if (strcmp (type, "Max") == 0 || strcmp (type, "Min") == 0)
    return ht_node_get_n_inputs (node) == 2 && read_scalar (builder, ht_node_get_input (node, 1 - position), &bound)
           && (type[1] == 'a' ? append_clamp (self, bound, INFINITY) : append_clamp (self, -INFINITY, bound));
  if (strcmp (type, "LeakyRelu") == 0)
    return append_activation (self, HT_ACTIVATION_LEAKY, (float)ht_node_get_float (node, "alpha", 0.01), 0.0f);
  if (strcmp (type, "Sigmoid") == 0)
    return append_activation (self, HT_ACTIVATION_SIGMOID, 0.0f, 0.0f);
  if (strcmp (type, "Tanh") == 0)
    return append_activation (self, HT_ACTIVATION_TANH, 0.0f, 0.0f);
  if (strcmp (type, "HardSigmoid") == 0)
    return append_activation (self, HT_ACTIVATION_HARD_SIGMOID, (float)ht_node_get_float (node, "alpha", 0.2),
                              (float)ht_node_get_float (node, "beta", 0.5));
  if (strcmp (type, "HardSwish") == 0)
    return append_activation (self, HT_ACTIVATION_HARD_SWISH, 1.0f / 6.0f, 0.5f);
  if (strcmp (type, "Gelu") == 0)
    {
      const char *how = ht_node_get_string (node, "approximate", "none");
      return append_activation (self, strcmp (how, "tanh") == 0 ? HT_ACTIVATION_GELU_TANH : HT_ACTIVATION_GELU, 0.0f,
                                0.0f);
    }
  return FALSE;
}

/* Nothing happens in these at inference. */
static gboolean
is_passage (HtExecBuilder *builder, HtNode *node)
{
  if (strcmp (ht_node_get_op_type (node), "Identity") == 0)
    return TRUE;
  if (strcmp (ht_node_get_op_type (node), "Dropout") != 0)
    return FALSE;
  if (ht_node_get_n_inputs (node) < 3 || ht_node_get_input (node, 2)[0] == '\0')
    return TRUE;
  HtTensor *training = ht_exec_builder_get_constant (builder, ht_node_get_input (node, 2));
  return training && ht_tensor_get_data_type (training) == HT_DATA_TYPE_BOOL && ht_tensor_get_n_elements (training) == 1
         && *(const guint8 *)ht_tensor_get_data (training) == 0;
}

/* One output, of the default domain, that fits the layout. */
static gboolean
is_candidate (HtExecChain *self, HtExecBuilder *builder, HtNode *node)
{
  const char *domain = ht_node_get_domain (node);

  if (domain[0] != '\0' && strcmp (domain, "ai.onnx") != 0)
    return FALSE;
  for (guint i = 1; i < ht_node_get_n_outputs (node); i++)
    if (ht_node_get_output (node, i)[0])
      return FALSE;
  return ht_node_get_n_inputs (node) > 0 && ht_node_get_n_outputs (node) > 0 && ht_node_get_output (node, 0)[0]
         && !g_hash_table_contains (builder->taken, node)
         && !ht_exec_builder_is_given (builder, ht_node_get_output (node, 0))
         && !ht_exec_builder_get_constant (builder, ht_node_get_output (node, 0))
         && fits (builder, ht_node_get_output (node, 0), self->layout);
}

static void
move_to (HtExecChain *self, HtExecBuilder *builder, HtNode *node)
{
  ht_exec_builder_take (builder, node);
  g_free (self->output);
  self->output = g_strdup (ht_node_get_output (node, 0));
}

static gboolean
has_same_dims (HtExecBuilder *builder, const char *a, const char *b)
{
  gint64 a_dims[HT_TENSOR_MAX_DIMS], b_dims[HT_TENSOR_MAX_DIMS];
  guint n_a, n_b;

  return ht_exec_builder_get_float_dims (builder, a, a_dims, &n_a)
         && ht_exec_builder_get_float_dims (builder, b, b_dims, &n_b) && n_a == n_b
         && memcmp (a_dims, b_dims, n_a * sizeof *a_dims) == 0;
}

gboolean
ht_exec_chain_append (HtExecChain *self, HtExecBuilder *builder, HtNode *node)
{
  const char *type = ht_node_get_op_type (node);
  guint position = 0;
  gboolean fine;

  if (!is_candidate (self, builder, node) || !has_same_dims (builder, self->output, ht_node_get_output (node, 0)))
    return FALSE;
  while (position < ht_node_get_n_inputs (node) && strcmp (ht_node_get_input (node, position), self->output) != 0)
    position++;
  if (position > 1)
    return FALSE;
  if (is_passage (builder, node))
    fine = position == 0;
  else if (strcmp (type, "BatchNormalization") == 0)
    fine = position == 0 && self->stage == STAGE_AFFINE && self->parts & HT_CHAIN_AFFINE
           && append_normalization (self, builder, node);
  else if (strcmp (type, "Add") == 0 || strcmp (type, "Sub") == 0 || strcmp (type, "Mul") == 0
           || strcmp (type, "Div") == 0 || strcmp (type, "Sum") == 0)
    fine = append_arithmetic (self, builder, node, position);
  else
    fine = append_function (self, builder, node, position);
  if (fine)
    move_to (self, builder, node);
  return fine;
}

/* x * sigmoid (x), and the same with HardSigmoid: two readers of the chain's output, of which one reads the other. */
static gboolean
append_swish (HtExecChain *self, HtExecBuilder *builder)
{
  HtNode *gate = ht_exec_builder_get_use (builder, self->output, 0);
  HtNode *product = ht_exec_builder_get_use (builder, self->output, 1);

  if (strcmp (ht_node_get_op_type (product), "Mul") != 0)
    {
      HtNode *swap = gate;
      gate = product;
      product = swap;
    }
  if (gate == product || !is_candidate (self, builder, gate) || !is_candidate (self, builder, product)
      || strcmp (ht_node_get_op_type (product), "Mul") != 0)
    return FALSE;
  gboolean hard = strcmp (ht_node_get_op_type (gate), "HardSigmoid") == 0;
  const char *opening = ht_node_get_output (gate, 0);
  if ((!hard && strcmp (ht_node_get_op_type (gate), "Sigmoid") != 0) || ht_exec_builder_get_encoding (builder, opening)
      || !ht_exec_builder_is_inner (builder, opening, 1) || ht_exec_builder_get_use (builder, opening, 0) != product)
    return FALSE;
  if (!append_activation (self, hard ? HT_ACTIVATION_HARD_SWISH : HT_ACTIVATION_SWISH,
                          (float)ht_node_get_float (gate, "alpha", 0.2), (float)ht_node_get_float (gate, "beta", 0.5)))
    return FALSE;
  ht_exec_builder_take (builder, gate);
  move_to (self, builder, product);
  return TRUE;
}

/* The Tanh or Erf of a GELU lies some nodes after x. */
static HtNode *
find_anchor (HtExecBuilder *builder, HtNode *node)
{
  for (guint i = 0; node && i < 8; i++)
    {
      if (ht_node_is_op (node, "Tanh") || ht_node_is_op (node, "Erf"))
        return node;
      const char *output = ht_node_get_n_outputs (node) == 1 ? ht_node_get_output (node, 0) : "";
      node = ht_exec_builder_get_n_uses (builder, output) == 1 ? ht_exec_builder_get_use (builder, output, 0) : NULL;
    }
  return NULL;
}

/* A GELU that is written out: all readers of the chain's output belong to it. */
static gboolean
append_gelu (HtExecChain *self, HtExecBuilder *builder)
{
  HtGraph *graph = builder->request->graph;
  guint n_uses = ht_exec_builder_get_n_uses (builder, self->output), n_inside = 0;
  g_autoptr (GPtrArray) nodes = NULL;
  HtGeluForm form = HT_GELU_OTHER;
  const char *x = NULL;

  for (guint i = 0; i < MIN (n_uses, 8) && nodes == NULL; i++)
    {
      HtNode *anchor = find_anchor (builder, ht_exec_builder_get_use (builder, self->output, i));
      nodes = anchor ? ht_gelu_collect (graph, anchor, &x, &form) : NULL;
    }
  if (nodes == NULL || form == HT_GELU_OTHER || strcmp (x, self->output) != 0
      || !ht_exec_builder_can_fuse (builder, nodes, (const char *[]){ x, NULL }))
    return FALSE;
  for (guint i = 0; i < nodes->len; i++)
    for (guint k = 0; k < ht_node_get_n_inputs (g_ptr_array_index (nodes, i)); k++)
      n_inside += strcmp (ht_node_get_input (g_ptr_array_index (nodes, i), k), x) == 0;
  HtNode *end = g_ptr_array_index (nodes, nodes->len - 1);
  if (!ht_exec_builder_is_inner (builder, x, n_inside) || !is_candidate (self, builder, end)
      || !append_activation (self, form == HT_GELU_TANH ? HT_ACTIVATION_GELU_TANH : HT_ACTIVATION_GELU, 0.0f, 0.0f))
    return FALSE;
  for (guint i = 0; i + 1 < nodes->len; i++)
    ht_exec_builder_take (builder, g_ptr_array_index (nodes, i));
  move_to (self, builder, end);
  return TRUE;
}

/* Goes past an encoded tensor only where the epilogue has a place for its grid. */
static gboolean
step_over_grid (HtExecChain *self, HtEncoding *encoding, char **inner, guint *stage)
{
  *inner = NULL;
  *stage = self->stage;
  if (encoding == NULL)
    return TRUE;
  if (self->stage != STAGE_AFFINE || !ht_exec_can_fuse_grid (encoding) || !(self->parts & HT_CHAIN_AFFINE))
    return FALSE;
  *inner = g_strdup (self->output);
  *stage = STAGE_INNER;
  return TRUE;
}

/* Begins the next chain with the one reader of the output, where all that the kernel writes is in its final form. */
static void
go_on (HtExecChain *self, HtExecBuilder *builder)
{
  HtEncoding *encoding = ht_exec_builder_get_encoding (builder, self->output);

  if (!(self->parts & HT_CHAIN_NEXT) || (encoding && !ht_exec_can_fuse_grid (encoding))
      || !ht_exec_builder_is_inner (builder, self->output, 1))
    return;
  HtExecChain *next = ht_exec_chain_new (builder, self->output, self->layout, self->axis,
                                         HT_CHAIN_AFFINE | HT_CHAIN_ACTIVATION | HT_CHAIN_NEXT);
  if (next && ht_exec_chain_append (next, builder, ht_exec_builder_get_use (builder, self->output, 0)))
    {
      self->next = next;
      ht_exec_chain_extend (next, builder);
    }
  else
    {
      ht_exec_chain_free (next);
    }
}

void
ht_exec_chain_extend (HtExecChain *self, HtExecBuilder *builder)
{
  gboolean going = builder->request->mode == HT_EXEC_FUSED;

  while (going)
    {
      HtEncoding *encoding = ht_exec_builder_get_encoding (builder, self->output);
      guint old_stage = self->stage;
      char *inner;
      guint stage;
      if (!step_over_grid (self, encoding, &inner, &stage))
        break;
      self->stage = stage;
      if (ht_exec_builder_is_inner (builder, self->output, 1))
        going = ht_exec_chain_append (self, builder, ht_exec_builder_get_use (builder, self->output, 0));
      else
        going = (ht_exec_builder_is_inner (builder, self->output, 2) && append_swish (self, builder))
                || append_gelu (self, builder);
      if (!going)
        {
          self->stage = old_stage;
          g_free (inner);
        }
      else if (inner)
        {
          self->inner = inner;
        }
    }
  if (builder->request->mode == HT_EXEC_FUSED)
    go_on (self, builder);
}

gboolean
ht_exec_chain_is_empty (const HtExecChain *self)
{
  return self->affines->len == 0 && self->stage == STAGE_AFFINE;
}

guint
ht_exec_chain_count_affines (const HtExecChain *self)
{
  return self->affines->len;
}

gboolean
ht_exec_chain_has_encoded_constants (const HtExecChain *self, HtExecutor *executor)
{
  for (guint i = 0; i < self->affines->len; i++)
    {
      const Affine *affine = &g_array_index (self->affines, Affine, i);
      for (guint k = 0; k < affine->n_params; k++)
        if (g_hash_table_contains (executor->encodings, affine->params[k].name))
          return TRUE;
    }
  return FALSE;
}

/* Folded in double precision; one rounding at the end. */
static gboolean
apply_affine (HtExecChain *self, HtExecutor *executor, const Affine *affine, double *scale, double *shift,
              GError **error)
{
  const float *values[4] = { NULL };
  gsize stride[4] = { 0 };

  for (guint i = 0; i < affine->n_params; i++)
    {
      const HtExecParam *param = &affine->params[i];
      HtTensor *tensor = ht_executor_get_quantized_constant (executor, param->name, param->tensor, error);
      if (tensor == NULL)
        return FALSE;
      values[i] = ht_tensor_get_data (tensor);
      stride[i] = ht_tensor_get_n_elements (tensor) > 1;
    }
  for (gsize c = 0; c < self->channels; c++)
    {
      double value = values[0][c * stride[0]], factor = 1.0, offset = 0.0;
      switch (affine->kind)
        {
        case AFFINE_ADD:
          offset = value;
          break;
        case AFFINE_SUBTRACT:
          offset = -value;
          break;
        case AFFINE_SUBTRACT_FROM:
          factor = -1.0;
          offset = value;
          break;
        case AFFINE_MULTIPLY:
          factor = value;
          break;
        case AFFINE_DIVIDE:
          factor = 1.0 / value;
          break;
        case AFFINE_NORMALIZE:
          factor = value / sqrt ((double)values[3][c * stride[3]] + (double)affine->epsilon);
          offset = values[1][c * stride[1]] - (double)values[2][c * stride[2]] * factor;
          break;
        }
      scale[c] *= factor;
      shift[c] = shift[c] * factor + offset;
    }
  return TRUE;
}

static float *
to_floats (const double *values, gsize n, gsize n_padded)
{
  float *result = g_aligned_alloc0 (MAX (n_padded, 1), sizeof (float), 64);
  for (gsize i = 0; i < n; i++)
    result[i] = (float)values[i];
  return result;
}

static gboolean
prepare_affine (HtExecChain *self, HtExecutor *executor, GError **error)
{
  gsize block = ht_isa_get_block (), n_padded = (self->channels + block - 1) / block * block;
  g_autofree double *scale = g_new (double, MAX (self->channels, 1));
  g_autofree double *shift = g_new0 (double, MAX (self->channels, 1));
  gboolean scales = FALSE;

  for (gsize c = 0; c < self->channels; c++)
    scale[c] = 1.0;
  for (guint i = 0; i < self->affines->len; i++)
    {
      const Affine *affine = &g_array_index (self->affines, Affine, i);
      if (!apply_affine (self, executor, affine, scale, shift, error))
        return FALSE;
      scales = scales || (affine->kind != AFFINE_ADD && affine->kind != AFFINE_SUBTRACT);
    }
  g_clear_pointer (&self->scale, g_aligned_free);
  g_clear_pointer (&self->shift, g_aligned_free);
  if (scales)
    self->scale = to_floats (scale, self->channels, n_padded);
  if (self->affines->len > 0)
    self->shift = to_floats (shift, self->channels, n_padded);
  return TRUE;
}

gboolean
ht_exec_chain_prepare (HtExecChain *self, HtExecutor *executor, GError **error)
{
  HtEncoding *encoding = g_hash_table_lookup (executor->encodings, self->output);
  HtEncoding *inner = self->inner ? g_hash_table_lookup (executor->encodings, self->inner) : NULL;

  if (!prepare_affine (self, executor, error) || (self->next && !ht_exec_chain_prepare (self->next, executor, error)))
    return FALSE;
  self->wide = encoding && !ht_exec_can_fuse_grid (encoding) ? encoding : NULL;
  if (encoding)
    self->grid = ht_exec_read_grid (encoding);
  if (inner)
    self->inner_grid = ht_exec_read_grid (inner);
  self->epilogue.scale = self->scale;
  self->epilogue.shift = self->shift;
  self->epilogue.inner_grid = inner ? &self->inner_grid : NULL;
  self->epilogue.grid = encoding && !self->wide ? &self->grid : NULL;
  self->epilogue.next = self->next ? &self->next->epilogue : NULL;
  return TRUE;
}

HtEpilogue
ht_exec_chain_get_epilogue (const HtExecChain *self, HtTensor *residual)
{
  HtEpilogue epilogue = self->epilogue;
  epilogue.residual = residual ? ht_tensor_get_data (residual) : NULL;
  if (self->clamp_in_grid)
    epilogue.activation = HT_ACTIVATION_NONE;
  return epilogue;
}

void
ht_exec_chain_finish (const HtExecChain *self, float *y, gsize n)
{
  while (self->next)
    self = self->next;
  if (self->wide)
    ht_exec_fake_quantize_floats (self->wide, y, n);
}
