/* SPDX-License-Identifier: MIT */
/* Values and steps of a plan under construction. */
#include "exec/exec-build.h"

#include "kernels/blocked.h"
#include "kernels/isa.h"

#include <halftone/error.h>
#include <string.h>

const HtInferValue *
ht_exec_builder_look_up (HtExecBuilder *self, const char *name)
{
  return ht_value_table_lookup (self->table, name);
}

gboolean
ht_exec_builder_is_given (HtExecBuilder *self, const char *name)
{
  return g_hash_table_contains (self->request->given, name);
}

HtTensor *
ht_exec_builder_get_constant (HtExecBuilder *self, const char *name)
{
  if (ht_exec_builder_is_given (self, name) || g_hash_table_contains (self->tainted, name))
    return NULL;
  const HtInferValue *value = ht_value_table_lookup (self->table, name);
  return value ? value->constant : NULL;
}

HtEncoding *
ht_exec_builder_get_encoding (HtExecBuilder *self, const char *name)
{
  return g_hash_table_lookup (self->request->encodings, name);
}

gboolean
ht_exec_builder_has_same_encoding (HtExecBuilder *self, const char *a, const char *b)
{
  HtEncoding *encoding = ht_exec_builder_get_encoding (self, a);
  return encoding && encoding == ht_exec_builder_get_encoding (self, b);
}

guint
ht_exec_builder_get_n_uses (HtExecBuilder *self, const char *name)
{
  GPtrArray *uses = g_hash_table_lookup (self->uses, name);
  return uses ? uses->len : 0;
}

HtNode *
ht_exec_builder_get_use (HtExecBuilder *self, const char *name, guint use)
{
  GPtrArray *uses = g_hash_table_lookup (self->uses, name);
  return uses && use < uses->len ? g_ptr_array_index (uses, use) : NULL;
}

gboolean
ht_exec_builder_is_inner (HtExecBuilder *self, const char *name, guint n_uses)
{
  return !g_hash_table_contains (self->visible, name) && !ht_exec_builder_is_given (self, name)
         && ht_exec_builder_get_n_uses (self, name) == n_uses;
}

static gboolean
is_output_of (GPtrArray *nodes, guint n, const char *name)
{
  for (guint i = 0; i < n; i++)
    if (strcmp (ht_node_get_output (g_ptr_array_index (nodes, i), 0), name) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
can_fuse_inputs (HtExecBuilder *self, GPtrArray *nodes, guint index, const char *const *inputs)
{
  HtNode *node = g_ptr_array_index (nodes, index);

  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);
      if (input[0] == '\0' || g_strv_contains (inputs, input) || is_output_of (nodes, index, input))
        continue;
      if (ht_exec_builder_get_constant (self, input) == NULL || ht_exec_builder_get_encoding (self, input))
        return FALSE;
    }
  return TRUE;
}

gboolean
ht_exec_builder_can_fuse (HtExecBuilder *self, GPtrArray *nodes, const char *const *inputs)
{
  if (self->request->mode != HT_EXEC_FUSED)
    return FALSE;
  for (guint i = 0; i < nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (nodes, i);
      const char *output = ht_node_get_output (node, 0);
      guint n_uses = 0;

      if (g_hash_table_contains (self->taken, node) || ht_exec_builder_get_constant (self, output)
          || ht_exec_builder_is_given (self, output) || !can_fuse_inputs (self, nodes, i, inputs))
        return FALSE;
      for (guint k = i + 1; k < nodes->len; k++)
        for (guint input = 0; input < ht_node_get_n_inputs (g_ptr_array_index (nodes, k)); input++)
          n_uses += strcmp (ht_node_get_input (g_ptr_array_index (nodes, k), input), output) == 0;
      if (i + 1 < nodes->len
          && (ht_exec_builder_get_encoding (self, output) || !ht_exec_builder_is_inner (self, output, n_uses)))
        return FALSE;
    }
  return TRUE;
}

gboolean
ht_exec_builder_is_made (HtExecBuilder *self, const char *name)
{
  return g_hash_table_contains (self->made, name) || ht_exec_builder_is_given (self, name)
         || ht_exec_builder_get_constant (self, name) != NULL;
}

gboolean
ht_exec_builder_is_blocked (HtExecBuilder *self, const char *name)
{
  return ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED)
         || ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED_CODES);
}

gboolean
ht_exec_builder_is_coded (HtExecBuilder *self, const char *name)
{
  return ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED_CODES)
         && !ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED);
}

gboolean
ht_exec_builder_has (HtExecBuilder *self, const char *name, HtExecLayout layout)
{
  return g_hash_table_contains (self->values[layout], name);
}

gboolean
ht_exec_builder_get_float_dims (HtExecBuilder *self, const char *name, gint64 *dims, guint *n_dims)
{
  HtTensor *given = g_hash_table_lookup (self->request->given, name);

  if (given)
    {
      const gint64 *known = ht_tensor_get_dims (given, n_dims);
      for (guint i = 0; i < *n_dims; i++)
        dims[i] = known[i];
      return ht_tensor_get_data_type (given) == HT_DATA_TYPE_FLOAT;
    }
  const HtInferValue *value = ht_value_table_lookup (self->table, name);
  if (value == NULL || value->type != HT_DATA_TYPE_FLOAT || value->shape == NULL || !ht_shape_is_static (value->shape)
      || ht_shape_get_n_dims (value->shape) > HT_TENSOR_MAX_DIMS)
    return FALSE;
  *n_dims = ht_shape_get_n_dims (value->shape);
  for (guint i = 0; i < *n_dims; i++)
    dims[i] = ht_shape_get_dim (value->shape, i);
  return TRUE;
}

gboolean
ht_exec_builder_can_block (HtExecBuilder *self, const char *name)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gsize size = sizeof (float) * ht_isa_get_block (), n_grids = 1;
  guint n_dims;

  if (!ht_exec_builder_get_float_dims (self, name, dims, &n_dims) || n_dims < 3 || n_dims > 2 + HT_CONV_AXES)
    return FALSE;
  for (guint i = 0; i < n_dims; i++)
    if (dims[i] < 1 || !g_size_checked_mul (&size, size, (gsize)dims[i]))
      return FALSE;
  HtEncoding *encoding = ht_exec_builder_get_encoding (self, name);
  if (encoding)
    ht_encoding_get_scales (encoding, &n_grids);
  return size <= G_MAXSSIZE / 2 && n_grids == 1;
}

/* Fills in what inference knows. Strings have no fixed size. */
static void
set_static (HtExecValue *value, HtDataType type, const gint64 *dims, guint n_dims)
{
  gsize size = ht_data_type_get_bits (type);

  if (size == 0 || type == HT_DATA_TYPE_STRING)
    return;
  for (guint i = 0; i < n_dims; i++)
    if (dims[i] < 0 || !g_size_checked_mul (&size, size, (gsize)dims[i]))
      return;
  if (size > G_MAXSIZE / 2)
    return;
  value->type = type;
  value->n_dims = n_dims;
  value->dims = g_memdup2 (dims, MAX (n_dims, 1) * sizeof (gint64));
  value->size = (size + 7) / 8;
  value->is_static = TRUE;
}

static void
set_static_from_infer (HtExecValue *value, const HtInferValue *known)
{
  gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 };

  if (known == NULL || known->shape == NULL || known->type == HT_DATA_TYPE_UNDEFINED
      || !ht_shape_is_static (known->shape) || ht_shape_get_n_dims (known->shape) > HT_TENSOR_MAX_DIMS)
    return;
  for (guint i = 0; i < ht_shape_get_n_dims (known->shape); i++)
    dims[i] = ht_shape_get_dim (known->shape, i);
  set_static (value, known->type, dims, ht_shape_get_n_dims (known->shape));
}

/* Whether the blocked form of a tensor is shown to a tap, so that no plain one need be made: all of its lanes hold
 * values. The form that was made first is shown. */
gboolean
ht_exec_builder_shows_blocked (HtExecBuilder *self, const char *name)
{
  gpointer index = g_hash_table_lookup (self->values[HT_EXEC_LAYOUT_BLOCKED], name);

  return index && ht_exec_plan_value (self->plan, GPOINTER_TO_UINT (index) - 1)->is_tapped;
}

static gboolean
can_show_blocked (HtExecBuilder *self, const HtExecValue *value, const char *name)
{
  return self->request->taps_in_any_order && value->layout == HT_EXEC_LAYOUT_BLOCKED
         && GPOINTER_TO_UINT (g_hash_table_lookup (self->visible, name)) == HT_EXEC_SEEN_TAPPED
         && !ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_PLAIN) && value->dims[1] % (gint64)ht_isa_get_block () == 0;
}

/* What the caller sees, it sees plain. */
static void
set_plain (HtExecBuilder *self, HtExecValue *value, const char *name)
{
  HtTensor *given = g_hash_table_lookup (self->request->given, name);
  HtTensor *constant = ht_exec_builder_get_constant (self, name);
  guint seen = GPOINTER_TO_UINT (g_hash_table_lookup (self->visible, name));
  guint n_dims;

  value->is_wanted = (seen & HT_EXEC_SEEN_WANTED) != 0;
  value->is_tapped = (seen & HT_EXEC_SEEN_TAPPED) != 0 && !ht_exec_builder_shows_blocked (self, name);
  if (given)
    {
      const gint64 *dims = ht_tensor_get_dims (given, &n_dims);
      value->is_given = TRUE;
      set_static (value, ht_tensor_get_data_type (given), dims, n_dims);
      /* An encoded input becomes a copy: the caller's tensor is never written. */
      if (value->is_static && ht_exec_builder_get_encoding (self, name))
        value->place = value->is_wanted ? HT_EXEC_HEAP : HT_EXEC_ARENA;
      else
        value->place = HT_EXEC_GIVEN;
    }
  else if (constant)
    {
      const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
      value->constant = ht_tensor_ref (constant);
      value->place = HT_EXEC_CONSTANT;
      set_static (value, ht_tensor_get_data_type (constant), dims, n_dims);
    }
  else
    {
      set_static_from_infer (value, ht_value_table_lookup (self->table, name));
    }
}

/* Forms that nobody outside sees, but for taps in any order. */
static void
set_inner (HtExecBuilder *self, HtExecValue *value, const char *name)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gsize positions = 1;
  guint n_dims;

  if (!ht_exec_builder_get_float_dims (self, name, dims, &n_dims))
    g_assert_not_reached ();
  set_static (value, HT_DATA_TYPE_FLOAT, dims, n_dims);
  for (guint i = 2; i < n_dims; i++)
    positions *= (gsize)dims[i];
  if (value->layout != HT_EXEC_LAYOUT_PLAIN_CODES)
    value->size = sizeof (float) * ht_blocked_floats ((gsize)dims[0], (gsize)dims[1], positions, ht_isa_get_block ());
  value->place = HT_EXEC_ARENA;
  value->is_tapped = can_show_blocked (self, value, name);
}

guint
ht_exec_builder_get_value (HtExecBuilder *self, const char *name, HtExecLayout layout)
{
  GHashTable *table = self->values[layout];
  gpointer index = g_hash_table_lookup (table, name);
  if (index)
    return GPOINTER_TO_UINT (index) - 1;

  HtExecValue value = { .name = g_strdup (name), .layout = layout, .place = HT_EXEC_DYNAMIC };
  if (layout == HT_EXEC_LAYOUT_PLAIN)
    set_plain (self, &value, name);
  else
    set_inner (self, &value, name);
  g_array_append_val (self->plan->values, value);
  g_hash_table_insert (table, g_strdup (name), GUINT_TO_POINTER (self->plan->values->len));
  return self->plan->values->len - 1;
}

static gboolean
fail_missing (HtExecBuilder *self, HtNode *reader, const char *name, GError **error)
{
  HtGraph *graph = self->request->graph;
  g_autofree char *who = reader ? ht_node_describe (reader) : g_strdup ("the caller");

  if (ht_graph_is_input (graph, name))
    {
      HtShape *shape = ht_graph_get_shape (graph, name);
      g_autofree char *expected = shape ? ht_shape_to_string (shape) : g_strdup ("of any shape");
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "running graph '%s': input '%s' (%s %s) is missing, %s needs it; give a tensor of that name",
                   ht_graph_get_name (graph), name, ht_data_type_get_name (ht_graph_get_data_type (graph, name)),
                   expected, who);
    }
  else
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                   "running graph '%s': %s needs tensor '%s', which no input, initializer or node before it provides",
                   ht_graph_get_name (graph), who, name);
    }
  return FALSE;
}

/* The form to make `layout` from, which may have to be made itself. */
static HtExecLayout
find_source (HtExecBuilder *self, const char *name, HtExecLayout layout)
{
  switch (layout)
    {
    case HT_EXEC_LAYOUT_PLAIN:
      if (ht_exec_builder_is_blocked (self, name))
        return HT_EXEC_LAYOUT_BLOCKED;
      return ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_PLAIN_CODES) ? HT_EXEC_LAYOUT_PLAIN_CODES
                                                                          : HT_EXEC_LAYOUT_PLAIN;
    case HT_EXEC_LAYOUT_BLOCKED:
      return ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED_CODES) ? HT_EXEC_LAYOUT_BLOCKED_CODES
                                                                            : HT_EXEC_LAYOUT_PLAIN;
    case HT_EXEC_LAYOUT_BLOCKED_CODES:
      return !ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED)
                     && ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_PLAIN_CODES)
                 ? HT_EXEC_LAYOUT_PLAIN_CODES
                 : HT_EXEC_LAYOUT_BLOCKED;
    case HT_EXEC_LAYOUT_PLAIN_CODES:
      return ht_exec_builder_has (self, name, HT_EXEC_LAYOUT_BLOCKED_CODES) ? HT_EXEC_LAYOUT_BLOCKED_CODES
                                                                            : HT_EXEC_LAYOUT_PLAIN;
    case HT_EXEC_N_LAYOUTS:
      break;
    }
  return HT_EXEC_LAYOUT_PLAIN;
}

gboolean
ht_exec_builder_read (HtExecBuilder *self, HtNode *reader, const char *name, HtExecLayout layout, guint *index,
                      GError **error)
{
  HtExecLayout source = layout;
  guint from;

  *index = HT_EXEC_NONE;
  if (name[0] == '\0')
    return TRUE;
  if (!ht_exec_builder_is_made (self, name))
    return fail_missing (self, reader, name, error);
  if (!ht_exec_builder_has (self, name, layout))
    source = find_source (self, name, layout);
  if (source != layout)
    {
      if (!ht_exec_builder_read (self, reader, name, source, &from, error))
        return FALSE;
      ht_exec_builder_add_step (self, NULL, ht_exec_choose_conversion (source, layout), NULL, &from, 1, name, layout);
    }
  *index = ht_exec_builder_get_value (self, name, layout);
  return TRUE;
}

void
ht_exec_builder_take (HtExecBuilder *self, HtNode *node)
{
  g_hash_table_add (self->taken, node);
}

HtExecStep *
ht_exec_builder_add_step (HtExecBuilder *self, HtNode *node, const HtExecKind *kind, gpointer data, const guint *inputs,
                          guint n_inputs, const char *output, HtExecLayout layout)
{
  HtExecPlan *plan = self->plan;
  HtExecStep step = { .kind = kind,
                      .data = data,
                      .node = node,
                      .n_inputs = n_inputs,
                      .n_outputs = 1,
                      .inputs = g_memdup2 (inputs, MAX (n_inputs, 1) * sizeof (guint)),
                      .outputs = g_new (guint, 1),
                      .is_static = TRUE };

  step.outputs[0] = ht_exec_builder_get_value (self, output, layout);
  HtExecValue *value = ht_exec_plan_value (plan, step.outputs[0]);
  if (layout == HT_EXEC_LAYOUT_PLAIN)
    value->place = value->is_wanted ? HT_EXEC_HEAP : HT_EXEC_ARENA;
  g_array_append_val (plan->steps, step);
  if (node)
    ht_exec_builder_take (self, node);
  g_hash_table_add (self->made, (gpointer)value->name);
  return ht_exec_plan_step (plan, plan->steps->len - 1);
}
