/* SPDX-License-Identifier: MIT */
/* Channel shuffles before convolutions: Reshape, Transpose and Reshape that take the channels of groups in turn. A
 * plain tensor becomes a blocked one on the way. */
#include "exec/exec-codes.h"
#include "exec/lower.h"

#include "graph/tensor-private.h"

#include <string.h>

typedef struct
{
  gsize batch, channels, positions, groups;
} Shuffle;

static gboolean
shuffle_forward (const HtExecCall *call, GError **error)
{
  const Shuffle *self = call->step->data;

  ht_blocked_shuffle_from_plain (self->batch, self->channels, self->positions, self->groups,
                                 ht_tensor_get_data (call->inputs[0]), call->outputs[0]->data);
  return TRUE;
}

/* The grid of the result is that of the input. */
static const HtExecKind shuffle_kind
    = { .name = "shuffle", .forward = shuffle_forward, .free = g_free, .quantizes = TRUE };

static gboolean
adds_no_grid (HtExecBuilder *builder, const char *x, const char *name)
{
  return ht_exec_builder_get_encoding (builder, name) == NULL || ht_exec_builder_has_same_encoding (builder, x, name);
}

/* The one node that reads what `node` makes, which must be of this type and nobody else's business; NULL: none. */
static HtNode *
find_next (HtExecBuilder *builder, HtNode *node, const char *op_type)
{
  const char *output = ht_node_get_output (node, 0);
  HtNode *next = ht_exec_builder_get_use (builder, output, 0);

  if (!ht_exec_builder_is_inner (builder, output, 1) || !ht_node_is_op (next, op_type)
      || strcmp (ht_node_get_input (next, 0), output) != 0 || g_hash_table_contains (builder->taken, next)
      || !adds_no_grid (builder, ht_node_get_input (node, 0), output))
    return NULL;
  return next;
}

static gboolean
swaps_groups (HtNode *transpose, guint n_dims)
{
  gsize n = 0;
  const gint64 *perm = ht_node_get_ints (transpose, "perm", &n);

  if (perm == NULL || n != n_dims || perm[0] != 0 || perm[1] != 2 || perm[2] != 1)
    return FALSE;
  for (guint i = 3; i < n_dims; i++)
    if (perm[i] != i)
      return FALSE;
  return TRUE;
}

/* Is `split` the shape of x with the channels as two axes? */
static gboolean
splits_channels (const gint64 *x, guint n_x, const gint64 *split, guint n_split)
{
  return n_x >= 3 && n_split == n_x + 1 && split[0] == x[0] && split[1] > 0 && split[2] > 0 && split[1] <= x[1]
         && split[1] * split[2] == x[1] && memcmp (split + 3, x + 2, (n_x - 2) * sizeof *x) == 0;
}

static gboolean
is_read_by_conv (HtExecBuilder *builder, const char *name)
{
  for (guint i = 0; i < ht_exec_builder_get_n_uses (builder, name); i++)
    if (ht_node_is_op (ht_exec_builder_get_use (builder, name, i), "Conv"))
      return TRUE;
  return FALSE;
}

static gboolean
find_shuffle (HtExecBuilder *builder, HtNode *node, HtNode *nodes[2], Shuffle *shuffle)
{
  gint64 x[HT_TENSOR_MAX_DIMS], split[HT_TENSOR_MAX_DIMS], y[HT_TENSOR_MAX_DIMS];
  const char *input = ht_node_get_input (node, 0);
  guint n_x, n_split, n_y;

  if (builder->request->mode != HT_EXEC_FUSED || (nodes[0] = find_next (builder, node, "Transpose")) == NULL
      || (nodes[1] = find_next (builder, nodes[0], "Reshape")) == NULL)
    return FALSE;
  const char *output = ht_node_get_output (nodes[1], 0);
  if (!ht_exec_builder_get_float_dims (builder, input, x, &n_x)
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_output (node, 0), split, &n_split)
      || !ht_exec_builder_get_float_dims (builder, output, y, &n_y) || !splits_channels (x, n_x, split, n_split)
      || n_y != n_x || memcmp (x, y, n_x * sizeof *x) != 0 || !swaps_groups (nodes[0], n_split)
      || !ht_exec_builder_can_block (builder, output) || ht_exec_builder_is_given (builder, output)
      || !adds_no_grid (builder, input, output) || !is_read_by_conv (builder, output))
    return FALSE;
  *shuffle = (Shuffle){ (gsize)x[0], (gsize)x[1], 1, (gsize)split[1] };
  for (guint i = 2; i < n_x; i++)
    shuffle->positions *= (gsize)x[i];
  return TRUE;
}

const char *
ht_exec_find_shuffled (HtExecBuilder *builder, HtNode *node)
{
  HtNode *nodes[2];
  Shuffle shuffle;

  return find_shuffle (builder, node, nodes, &shuffle) ? ht_node_get_output (nodes[1], 0) : NULL;
}

gboolean
ht_exec_lower_shuffle (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  const char *x = ht_node_get_input (node, 0);
  HtNode *nodes[2];
  Shuffle shuffle;
  guint input;

  if (!find_shuffle (builder, node, nodes, &shuffle) || !ht_exec_builder_is_made (builder, x))
    return TRUE;
  const char *output = ht_node_get_output (nodes[1], 0);
  gboolean coded
      = ht_exec_builder_has (builder, x, HT_EXEC_LAYOUT_PLAIN_CODES) || ht_exec_builder_is_coded (builder, x);
  coded
      = coded && ht_exec_builder_has_same_encoding (builder, x, output) && ht_exec_codes_suit_tensor (builder, output);
  if (!ht_exec_builder_read (builder, node, x, coded ? HT_EXEC_LAYOUT_PLAIN_CODES : HT_EXEC_LAYOUT_PLAIN, &input,
                             error))
    return FALSE;
  ht_exec_builder_add_step (builder, node, &shuffle_kind, g_memdup2 (&shuffle, sizeof shuffle), &input, 1, output,
                            coded ? HT_EXEC_LAYOUT_BLOCKED_CODES : HT_EXEC_LAYOUT_BLOCKED);
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    ht_exec_builder_take (builder, nodes[i]);
  *taken = TRUE;
  return TRUE;
}
