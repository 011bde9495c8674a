/* SPDX-License-Identifier: MIT */
/* Tensors that share one quantizer, since the device has one grid for what an operator reads and makes. */
#include "quant/placement-private.h"

#include <math.h>
#include <string.h>

static gboolean
is_listed (char **op_types, HtNode *node)
{
  return op_types && g_strv_contains ((const char *const *)op_types, ht_node_get_op_type (node));
}

static gboolean
ranges_equal (const HtTargetRange *a, const HtTargetRange *b)
{
  if (a->has_min != b->has_min || a->has_max != b->has_max)
    return FALSE;
  return (!a->has_min || a->min == b->min) && (!a->has_max || a->max == b->max);
}

/* The nodes that only move values, from the one that makes `tensor` back to the one that reads the tensor of `source`.
 */
static GPtrArray *
collect_path (HtPlacing *self, const char *tensor, const char *source)
{
  GPtrArray *path = g_ptr_array_new ();

  while (strcmp (tensor, source) != 0)
    {
      HtNode *producer = ht_graph_get_producer (self->graph, tensor);
      const char *next = NULL;

      for (guint i = 0; producer && !next && i < ht_node_get_n_inputs (producer); i++)
        if (g_strcmp0 (g_hash_table_lookup (self->result->grids, ht_node_get_input (producer, i)), source) == 0)
          next = ht_node_get_input (producer, i);
      if (!next)
        break;
      g_ptr_array_add (path, producer);
      tensor = next;
    }
  return path;
}

static void
add_readers (HtPlacing *self, const char *tensor, GPtrArray *path, GHashTable *readers)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (self->graph, tensor);

  for (guint i = 0; i < consumers->len; i++)
    if (!g_ptr_array_find (path, g_ptr_array_index (consumers, i), NULL))
      g_hash_table_add (readers, g_ptr_array_index (consumers, i));
}

/* How many nodes beside those of the path read the source or what the path makes of it, all parts of a Split. */
static guint
count_readers (HtPlacing *self, const char *source, GPtrArray *path)
{
  g_autoptr (GHashTable) readers = g_hash_table_new (NULL, NULL);

  add_readers (self, source, path, readers);
  for (guint i = 0; i < path->len; i++)
    {
      HtNode *node = g_ptr_array_index (path, i);

      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        if (ht_node_get_output (node, k)[0])
          add_readers (self, ht_node_get_output (node, k), path, readers);
    }
  return g_hash_table_size (readers);
}

/* Sources that the inputs of one operator, and of those of its kind that feed it, may share a quantizer with. */
typedef struct
{
  GPtrArray *sources; /* HtDraft */
  GPtrArray *ranges;  /* const HtTargetRange *, all different */
  GPtrArray *stack;   /* HtNode */
  GHashTable *visited;
} Backward;

static void
note_range (Backward *backward, const HtTargetRange *range)
{
  for (guint i = 0; i < backward->ranges->len; i++)
    if (ranges_equal (g_ptr_array_index (backward->ranges, i), range))
      return;
  g_ptr_array_add (backward->ranges, (gpointer)range);
}

static void
look_at_input (HtPlacing *self, Backward *backward, const char *input)
{
  HtDraft *source = ht_placing_find_grid (self, input);
  HtNode *producer = ht_graph_get_producer (self->graph, input);
  g_autoptr (GPtrArray) path = collect_path (self, input, source ? source->tensor : input);

  if (ht_graph_get_data_type (self->graph, input) != HT_DATA_TYPE_FLOAT)
    return;
  if (source)
    note_range (backward, &source->shared->range);
  if (count_readers (self, source ? source->tensor : input, path) > 1)
    return;
  if (source)
    g_ptr_array_add (backward->sources, source);
  if (producer && (is_listed (self->target->switches.tie_inputs, producer) || ht_placing_keeps_grid (self, producer)))
    g_ptr_array_add (backward->stack, producer);
}

static void
tie_inputs_of (HtPlacing *self, HtNode *node, Backward *backward)
{
  HtDraft *output = ht_node_get_n_outputs (node) > 0 ? ht_placing_find (self, ht_node_get_output (node, 0)) : NULL;

  g_ptr_array_set_size (backward->sources, 0);
  g_ptr_array_set_size (backward->ranges, 0);
  if (!output)
    return;
  g_ptr_array_add (backward->stack, node);
  while (backward->stack->len > 0)
    {
      HtNode *at = g_ptr_array_steal_index (backward->stack, backward->stack->len - 1);

      if (!g_hash_table_add (backward->visited, at))
        continue;
      for (guint i = 0; i < ht_node_get_n_inputs (at); i++)
        if (ht_node_get_input (at, i)[0])
          look_at_input (self, backward, ht_node_get_input (at, i));
    }
  /* One range that all inputs have is the output's too; of several, none is. */
  if (backward->ranges->len == 1)
    output->shared->range = *(const HtTargetRange *)g_ptr_array_index (backward->ranges, 0);
  for (guint i = 0; i < backward->sources->len; i++)
    {
      HtDraft *source = g_ptr_array_index (backward->sources, i);

      if (backward->ranges->len == 1 || !source->shared->range.has_min)
        source->shared = output->shared;
    }
}

static void
tie_inputs (HtPlacing *self)
{
  g_autoptr (GPtrArray) sources = g_ptr_array_new (), ranges = g_ptr_array_new (), stack = g_ptr_array_new ();
  g_autoptr (GHashTable) visited = g_hash_table_new (NULL, NULL);
  Backward backward = { sources, ranges, stack, visited };

  for (guint i = ht_graph_get_n_nodes (self->graph); i-- > 0;)
    if (is_listed (self->target->switches.tie_inputs, ht_graph_get_node (self->graph, i)))
      tie_inputs_of (self, ht_graph_get_node (self->graph, i), &backward);
}

static gboolean
merge (HtPlacing *self, HtDraft *input, HtDraft *output, GError **error)
{
  g_autoptr (HtQuantizerSettings) a = ht_placing_resolve (self, input, NULL, error);
  g_autoptr (HtQuantizerSettings) b = a ? ht_placing_resolve (self, output, NULL, error) : NULL;
  g_autofree char *origin = g_strdup_printf ("tied to '%s', which has fewer codes", output->tensor);

  if (!b)
    return FALSE;
  if (ht_quantizer_settings_get_bits (b) < ht_quantizer_settings_get_bits (a))
    ht_draft_add_bits (input, ht_quantizer_settings_get_bits (b), origin);
  if (ht_quantizer_settings_get_symmetric (b) && !ht_quantizer_settings_get_symmetric (a))
    ht_draft_add_flag (input, "symmetric", TRUE, origin);
  if (!input->range.has_min)
    input->range = output->range;
  if ((ht_quantizer_settings_get_symmetric (a) || ht_quantizer_settings_get_symmetric (b)) && input->range.has_min)
    {
      double limit = MAX (fabs (input->range.min), fabs (input->range.max));

      input->range.has_min = input->range.has_max;
      input->range.min = -limit;
      input->range.max = limit;
    }
  return TRUE;
}

/* Whether somebody else reads what a range would be forced upon; that the network gives it out does not count. */
static gboolean
fans_out (HtPlacing *self, const char *input, HtDraft *source)
{
  g_autoptr (GPtrArray) path = collect_path (self, input, source->tensor);

  for (guint i = 0; i <= path->len; i++)
    {
      const char *tensor = i == 0 ? source->tensor : ht_node_get_output (g_ptr_array_index (path, i - 1), 0);

      if (ht_graph_count_uses (self->graph, tensor) != (ht_graph_is_output (self->graph, tensor) ? 2 : 1))
        return TRUE;
    }
  return FALSE;
}

static gboolean
tie_output_of (HtPlacing *self, HtNode *node, GError **error)
{
  const char *input = ht_node_get_n_inputs (node) > 0 ? ht_node_get_input (node, 0) : "";
  HtDraft *source = input[0] ? ht_placing_find_grid (self, input) : NULL;

  for (guint i = 0; source && i < ht_node_get_n_outputs (node); i++)
    {
      HtDraft *output = ht_placing_find (self, ht_node_get_output (node, i));

      if (!output || output->shared == source->shared)
        continue;
      if (output->shared->range.has_min && !ranges_equal (&output->shared->range, &source->shared->range))
        {
          if (fans_out (self, input, source))
            continue;
          if (source->shared->range.has_min)
            {
              ht_placing_list_node (self, node,
                                    "its output '%s' and its input have different fixed ranges: they do not "
                                    "share a grid, as the target wants it",
                                    output->tensor);
              continue;
            }
        }
      if (!merge (self, source->shared, output->shared, error))
        return FALSE;
      output->shared = source->shared;
    }
  return TRUE;
}

static void
share_with (HtPlacing *self, const char *tensor, HtDraft *with)
{
  HtDraft *draft = tensor[0] ? ht_placing_find_grid (self, tensor) : NULL;
  HtDraft *old = draft ? draft->shared : NULL;

  for (guint i = 0; old && old != with->shared && i < self->drafts->len; i++)
    {
      HtDraft *other = g_ptr_array_index (self->drafts, i);

      if (other->shared == old)
        other->shared = with->shared;
    }
}

/* What a recurrent operator reads and makes is its hidden state; an LSTM has a cell state too. */
static void
tie_states (HtPlacing *self, HtNode *node)
{
  gboolean is_lstm = ht_node_is_op (node, "LSTM");
  guint n_inputs = ht_node_get_n_inputs (node), n_outputs = ht_node_get_n_outputs (node);
  HtDraft *states = n_outputs > 0 ? ht_placing_find (self, ht_node_get_output (node, 0)) : NULL;
  HtDraft *cell = is_lstm && n_outputs > 2 ? ht_placing_find (self, ht_node_get_output (node, 2)) : NULL;

  if (!is_lstm && !ht_node_is_op (node, "GRU") && !ht_node_is_op (node, "RNN"))
    return;
  if (states)
    {
      share_with (self, ht_node_get_input (node, 0), states);
      if (n_outputs > 1)
        share_with (self, ht_node_get_output (node, 1), states);
      if (n_inputs > 5)
        share_with (self, ht_node_get_input (node, 5), states);
    }
  if (cell && n_inputs > 6)
    share_with (self, ht_node_get_input (node, 6), cell);
}

gboolean
ht_placing_tie (HtPlacing *self, GError **error)
{
  guint n_nodes = ht_graph_get_n_nodes (self->graph);

  tie_inputs (self);
  for (guint i = 0; i < n_nodes; i++)
    if (is_listed (self->target->switches.tie_outputs, ht_graph_get_node (self->graph, i))
        && !tie_output_of (self, ht_graph_get_node (self->graph, i), error))
      return FALSE;
  for (guint i = 0; self->target->switches.recurrent_states_tied && i < n_nodes; i++)
    tie_states (self, ht_graph_get_node (self->graph, i));
  return TRUE;
}
