/* SPDX-License-Identifier: MIT */
#include "exec/gradient-build.h"

#include "exec/gradient-blocked.h"

#include <halftone/error.h>
#include <string.h>

static gboolean
is_float (HtDataType type)
{
  return type == HT_DATA_TYPE_FLOAT || type == HT_DATA_TYPE_DOUBLE;
}

HtExecValue *
ht_gradient_builder_describe (HtGradientBuilder *self, guint value)
{
  return ht_exec_plan_value (self->plan->forward, value);
}

HtGradientTask *
ht_gradient_builder_last_task (HtGradientBuilder *self)
{
  return ht_gradient_plan_task (self->plan, self->plan->tasks->len - 1);
}

void
ht_gradient_builder_set_slot (HtGradientBuilder *self, guint slot, guint buffer, HtGradientAccess access)
{
  ht_gradient_builder_last_task (self)->slots[slot] = (HtGradientSlot){ buffer, access };
}

gboolean
ht_gradient_builder_is_active (HtGradientBuilder *self, guint value)
{
  return value != HT_EXEC_NONE && self->values[value].read_active;
}

static guint
add_value_buffer (HtGradientBuilder *self, guint value, HtGradientPlace place, HtExecLayout layout)
{
  const HtExecValue *known = ht_gradient_builder_describe (self, value);
  return ht_gradient_plan_add_buffer (self->plan, known->name, place, known->type, known->dims, known->n_dims,
                                      layout == HT_EXEC_LAYOUT_BLOCKED);
}

guint
ht_gradient_builder_new_gradient (HtGradientBuilder *self, guint value, HtExecLayout layout)
{
  return add_value_buffer (self, value, HT_GRADIENT_ARENA, layout);
}

guint
ht_gradient_builder_get_shape (HtGradientBuilder *self, guint index, HtExecLayout layout)
{
  if (index == HT_EXEC_NONE)
    return HT_GRADIENT_NONE;
  guint buffer = self->values[index].raw[layout];
  return buffer == HT_GRADIENT_NONE ? add_value_buffer (self, index, HT_GRADIENT_ARENA, layout) : buffer;
}

guint
ht_gradient_builder_new_vector (HtGradientBuilder *self, const char *name, HtGradientPlace place, HtDataType type,
                                gsize n)
{
  gint64 dim = (gint64)n;
  return ht_gradient_plan_add_buffer (self->plan, name, place, type, &dim, 1, FALSE);
}

guint
ht_gradient_builder_make (HtGradientBuilder *self, guint value, HtExecLayout layout)
{
  if (value == HT_EXEC_NONE)
    return HT_GRADIENT_NONE;
  return self->values[value].raw[layout] = add_value_buffer (self, value, HT_GRADIENT_ARENA, layout);
}

/* From one layout to the other. */
static guint
convert (HtGradientBuilder *self, guint buffer, HtExecLayout layout)
{
  HtGradientBuffer *from = ht_gradient_plan_buffer (self->plan, buffer);
  g_autofree char *name = g_strdup (from->name);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims = from->n_dims;
  HtDataType type = from->type;

  memcpy (dims, from->dims, sizeof dims);
  guint to = ht_gradient_plan_add_buffer (self->plan, name, HT_GRADIENT_ARENA, type, dims, n_dims,
                                          layout == HT_EXEC_LAYOUT_BLOCKED);
  ht_gradient_plan_add_task (self->plan, &ht_gradient_reorder_kind, NULL, 2);
  ht_gradient_builder_set_slot (self, 0, buffer, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, to, HT_GRADIENT_WRITE);
  return to;
}

static void
quantize (HtGradientBuilder *self, HtGradientValue *value, HtExecLayout layout)
{
  HtGradientBuffer *raw = ht_gradient_plan_buffer (self->plan, value->raw[layout]);
  g_autofree char *name = g_strdup (raw->name);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims = raw->n_dims;

  memcpy (dims, raw->dims, sizeof dims);
  value->read[layout] = ht_gradient_plan_add_buffer (self->plan, name, HT_GRADIENT_ARENA, HT_DATA_TYPE_FLOAT, dims,
                                                     n_dims, layout == HT_EXEC_LAYOUT_BLOCKED);
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &ht_gradient_quantize_kind, NULL, 2);
  task->share = HT_GRADIENT_SHARE_DYING;
  task->share_from = 1;
  task->share_to = 1;
  ht_gradient_builder_set_slot (self, 0, value->raw[layout], HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, value->read[layout], HT_GRADIENT_WRITE);
}

/* A blocked tensor has one grid of integers or is quantized in the plain layout. */
static HtExecLayout
choose_quantizer_layout (const HtGradientValue *value)
{
  gsize n_grids;
  if (value->raw[HT_EXEC_LAYOUT_BLOCKED] == HT_GRADIENT_NONE)
    return HT_EXEC_LAYOUT_PLAIN;
  ht_encoding_get_scales (value->encoding, &n_grids);
  return n_grids == 1 && ht_encoding_is_integer (value->encoding) ? HT_EXEC_LAYOUT_BLOCKED : HT_EXEC_LAYOUT_PLAIN;
}

static gboolean
is_tapped (HtGradientBuilder *self, guint value)
{
  const char *const *taps = self->request->taps;
  return taps && g_strv_contains (taps, ht_gradient_builder_describe (self, value)->name);
}

static void
tap (HtGradientBuilder *self, guint value)
{
  if (!is_tapped (self, value))
    return;
  guint buffer = ht_gradient_builder_read (self, value, HT_EXEC_LAYOUT_PLAIN);
  ht_gradient_plan_add_task (self->plan, &ht_gradient_tap_kind, NULL, 1);
  ht_gradient_builder_set_slot (self, 0, buffer, HT_GRADIENT_READ);
}

void
ht_gradient_builder_finish (HtGradientBuilder *self, guint index)
{
  HtGradientValue *value = index == HT_EXEC_NONE ? NULL : &self->values[index];

  if (value == NULL)
    return;
  if (value->encoding)
    {
      HtExecLayout layout = choose_quantizer_layout (value);
      if (value->raw[layout] == HT_GRADIENT_NONE)
        value->raw[layout] = convert (self, value->raw[!layout], layout);
      quantize (self, value, layout);
    }
  else
    {
      memcpy (value->read, value->raw, sizeof value->read);
    }
  tap (self, index);
}

/* What exists before the first task. */
static void
begin_value (HtGradientBuilder *self, guint index)
{
  const HtExecValue *known = ht_gradient_builder_describe (self, index);
  HtGradientValue *value = &self->values[index];
  gboolean is_given = known->is_given;

  if (!is_given && known->place != HT_EXEC_CONSTANT)
    return;
  guint buffer
      = add_value_buffer (self, index, is_given ? HT_GRADIENT_GIVEN : HT_GRADIENT_CONSTANT, HT_EXEC_LAYOUT_PLAIN);
  value->raw[HT_EXEC_LAYOUT_PLAIN] = buffer;
  if (!is_given)
    ht_gradient_plan_buffer (self->plan, buffer)->constant = ht_tensor_ref (known->constant);
}

guint
ht_gradient_builder_read (HtGradientBuilder *self, guint index, HtExecLayout layout)
{
  if (index == HT_EXEC_NONE)
    return HT_GRADIENT_NONE;
  HtGradientValue *value = &self->values[index];
  /* Given tensors are quantized when the first task reads them. */
  if (value->read[HT_EXEC_LAYOUT_PLAIN] == HT_GRADIENT_NONE && value->read[HT_EXEC_LAYOUT_BLOCKED] == HT_GRADIENT_NONE)
    ht_gradient_builder_finish (self, index);
  if (value->read[layout] == HT_GRADIENT_NONE)
    {
      value->read[layout] = convert (self, value->read[!layout], layout);
      if (value->encoding == NULL)
        value->raw[layout] = value->read[layout];
    }
  return value->read[layout];
}

static HtExecLayout
layout_of (HtGradientBuilder *self, guint buffer)
{
  return ht_gradient_plan_buffer (self->plan, buffer)->blocked ? HT_EXEC_LAYOUT_BLOCKED : HT_EXEC_LAYOUT_PLAIN;
}

void
ht_gradient_builder_add_gradient (HtGradientBuilder *self, guint index, guint gradient)
{
  HtGradientValue *value = &self->values[index];

  if (gradient == HT_GRADIENT_NONE)
    return;
  if (value->gradient == HT_GRADIENT_NONE)
    {
      value->gradient = gradient;
      return;
    }
  HtExecLayout layout = layout_of (self, value->gradient);
  if (layout_of (self, gradient) != layout)
    gradient = convert (self, gradient, layout);
  guint sum = ht_gradient_builder_new_gradient (self, index, layout);
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &ht_gradient_add_kind, NULL, 3);
  task->share = HT_GRADIENT_SHARE_DYING;
  task->share_from = 3;
  task->share_to = 2;
  ht_gradient_builder_set_slot (self, 0, value->gradient, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, gradient, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 2, sum, HT_GRADIENT_WRITE);
  value->gradient = sum;
}

static guint
new_range (HtGradientBuilder *self, const char *name, gsize n)
{
  return ht_gradient_builder_new_vector (self, name, HT_GRADIENT_RESULT, HT_DATA_TYPE_FLOAT, n);
}

/* From the gradient that readers left to that of what was made. */
static void
quantize_backward (HtGradientBuilder *self, guint index)
{
  HtGradientValue *value = &self->values[index];
  HtExecLayout layout = choose_quantizer_layout (value);
  const char *name = ht_gradient_builder_describe (self, index)->name;
  guint from = value->gradient, dx = HT_GRADIENT_NONE;
  gsize n_grids;

  ht_encoding_get_scales (value->encoding, &n_grids);
  if (layout_of (self, from) != layout)
    from = convert (self, from, layout);
  if (value->active)
    dx = ht_gradient_builder_new_gradient (self, index, layout);
  HtGradientRange range = { NULL, HT_GRADIENT_NONE, HT_GRADIENT_NONE };
  if (value->has_range)
    {
      range = (HtGradientRange){ g_strdup (name), new_range (self, name, n_grids), new_range (self, name, n_grids) };
      g_array_append_val (self->plan->ranges, range);
    }
  gboolean blocked = layout == HT_EXEC_LAYOUT_BLOCKED;
  HtGradientTask *task = ht_gradient_plan_add_task (
      self->plan, blocked ? &ht_gradient_blocked_quantize_backward_kind : &ht_gradient_quantize_backward_kind, NULL, 5);
  const HtGradientBuffer *buffer = ht_gradient_plan_buffer (self->plan, value->raw[layout]);
  task->workspace_size = blocked ? ht_gradient_blocked_quantize_backward_workspace (buffer)
                                 : ht_gradient_quantize_backward_workspace (value->encoding, buffer);
  task->share = HT_GRADIENT_SHARE_DYING;
  task->share_from = 2;
  task->share_to = 2;
  ht_gradient_builder_set_slot (self, 0, value->raw[layout], HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, from, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 2, dx, HT_GRADIENT_WRITE);
  ht_gradient_builder_set_slot (self, 3, range.scale, HT_GRADIENT_WRITE);
  ht_gradient_builder_set_slot (self, 4, range.offset, HT_GRADIENT_WRITE);
  value->gradient = dx;
}

/* A result has memory of its own, in the plain layout. */
static guint
keep_result (HtGradientBuilder *self, guint buffer)
{
  if (layout_of (self, buffer) == HT_EXEC_LAYOUT_BLOCKED)
    buffer = convert (self, buffer, HT_EXEC_LAYOUT_PLAIN);
  ht_gradient_plan_buffer (self->plan, buffer)->place = HT_GRADIENT_RESULT;
  return buffer;
}

static void
name_buffer (GArray *list, const char *name, guint buffer)
{
  HtGradientNamed named = { g_strdup (name), buffer };
  g_array_append_val (list, named);
}

/* Everybody who reads the value has added to its gradient by now. */
static void
settle (HtGradientBuilder *self, guint index)
{
  HtGradientValue *value = &self->values[index];

  if (value->encoding && value->gradient != HT_GRADIENT_NONE)
    quantize_backward (self, index);
  if (!value->is_chosen)
    return;
  if (value->gradient == HT_GRADIENT_NONE)
    {
      value->gradient = ht_gradient_builder_new_gradient (self, index, HT_EXEC_LAYOUT_PLAIN);
      ht_gradient_plan_add_task (self->plan, &ht_gradient_zero_kind, NULL, 1);
      ht_gradient_builder_set_slot (self, 0, value->gradient, HT_GRADIENT_WRITE);
    }
  guint result = keep_result (self, value->gradient);
  name_buffer (self->plan->gradients, ht_gradient_builder_describe (self, index)->name, result);
}

guint
ht_gradient_builder_take_gradient (HtGradientBuilder *self, guint index, HtExecLayout layout)
{
  if (index == HT_EXEC_NONE || self->values[index].gradient == HT_GRADIENT_NONE)
    return HT_GRADIENT_NONE;
  guint gradient = self->values[index].gradient;
  return layout_of (self, gradient) == layout ? gradient : convert (self, gradient, layout);
}

void
ht_gradient_add_statistics (HtGradientBuilder *self, const HtExecStep *step, guint mean, guint variance)
{
  name_buffer (self->plan->statistics, ht_node_get_input (step->node, 3), mean);
  name_buffer (self->plan->statistics, ht_node_get_input (step->node, 4), variance);
}

static gboolean
fail_tensor (HtGradientBuilder *self, const char *name, const char *problem, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "gradients of graph '%s': tensor '%s' %s",
               ht_graph_get_name (self->request->graph), name, problem);
  return FALSE;
}

static guint
find_value (HtGradientBuilder *self, const char *name)
{
  for (guint i = 0; i < self->plan->forward->values->len; i++)
    if (strcmp (ht_gradient_builder_describe (self, i)->name, name) == 0)
      return i;
  return HT_EXEC_NONE;
}

static gboolean
check_chosen (HtGradientBuilder *self, const char *name, guint *index, GError **error)
{
  *index = find_value (self, name);
  if (*index == HT_EXEC_NONE)
    return fail_tensor (self, name, "is made by no node that runs", error);
  const HtExecValue *known = ht_gradient_builder_describe (self, *index);
  if (!known->is_static)
    return fail_tensor (self, name, "has a shape that only running tells", error);
  if (!is_float (known->type))
    return fail_tensor (self, name, "is not of 32- or 64-bit floats", error);
  return TRUE;
}

/* All buffers are planned beforehand, so every shape must be known. */
static gboolean
check_steps (HtGradientBuilder *self, GError **error)
{
  for (guint i = 0; i < self->plan->forward->steps->len; i++)
    {
      const HtExecStep *step = ht_exec_plan_step (self->plan->forward, i);
      if (step->is_static)
        continue;
      g_autofree char *described = ht_node_describe (step->node);
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "gradients through %s: operator '%s' (opset %" G_GINT64_FORMAT
                   ") %s; start behind it (give its outputs) or take a loss before it",
                   described, ht_node_get_op_type (step->node), step->opset,
                   step->n_captures > 0 || (step->op->flags & HT_OP_MAKES_OUTPUTS)
                       ? "runs subgraphs or chooses its own output shapes, which a plan of gradients cannot hold"
                       : "has shapes that only running tells");
      return FALSE;
    }
  return TRUE;
}

static gboolean
find_values (HtGradientBuilder *self, GError **error)
{
  const HtGradientRequest *request = self->request;
  HtExecPlan *forward = self->plan->forward;
  guint index;

  for (guint i = 0; i < forward->values->len; i++)
    {
      HtGradientValue *value = &self->values[i];
      memset (value->raw, 0xff, sizeof value->raw);
      memset (value->read, 0xff, sizeof value->read);
      value->gradient = HT_GRADIENT_NONE;
      value->writer = HT_EXEC_NONE;
      value->encoding = g_hash_table_lookup (request->encodings, ht_gradient_builder_describe (self, i)->name);
      begin_value (self, i);
    }
  const char *const *const visible[] = { request->losses, request->outputs, request->taps, request->tensors };
  for (guint k = 0; k < G_N_ELEMENTS (visible); k++)
    for (gsize i = 0; visible[k] && visible[k][i]; i++)
      {
        guint seen = find_value (self, visible[k][i]);
        if (seen != HT_EXEC_NONE)
          self->values[seen].is_visible = TRUE;
      }
  for (gsize i = 0; request->tensors && request->tensors[i]; i++)
    {
      if (!check_chosen (self, request->tensors[i], &index, error))
        return FALSE;
      self->values[index].is_chosen = self->values[index].active = TRUE;
    }
  for (gsize i = 0; request->ranges && request->ranges[i]; i++)
    {
      if (!check_chosen (self, request->ranges[i], &index, error))
        return FALSE;
      if (self->values[index].encoding == NULL)
        return fail_tensor (self, request->ranges[i], "has no encoding whose range could be differentiated", error);
      if (!ht_encoding_is_integer (self->values[index].encoding))
        return fail_tensor (self, request->ranges[i], "has a floating-point grid: only ranges of integers are learnt",
                            error);
      if (ht_encoding_get_scale_bits (self->values[index].encoding) > 0)
        return fail_tensor (self, request->ranges[i],
                            "has block scales that are integers: they cannot be differentiated", error);
      self->values[index].has_range = TRUE;
    }
  for (guint i = 0; i < forward->values->len; i++)
    {
      HtGradientValue *value = &self->values[i];
      value->read_active = value->active || value->has_range;
    }
  for (guint i = 0; i < forward->steps->len; i++)
    {
      const HtExecStep *step = ht_exec_plan_step (forward, i);
      gboolean active = FALSE;
      for (guint k = 0; k < step->n_inputs; k++)
        if (step->inputs[k] != HT_EXEC_NONE)
          {
            active = active || self->values[step->inputs[k]].read_active;
            self->values[step->inputs[k]].n_readers++;
            self->values[step->inputs[k]].reader = i;
          }
      for (guint k = 0; k < step->n_outputs; k++)
        if (step->outputs[k] != HT_EXEC_NONE)
          {
            HtGradientValue *value = &self->values[step->outputs[k]];
            value->writer = i;
            if (active && is_float (ht_gradient_builder_describe (self, step->outputs[k])->type))
              value->active = value->read_active = TRUE;
          }
    }
  return TRUE;
}

static void
find_units (HtGradientBuilder *self)
{
  HtExecPlan *forward = self->plan->forward;
  for (guint i = 0; i < forward->steps->len; i++)
    {
      const HtExecStep *step = ht_exec_plan_step (forward, i);
      HtGradientUnit unit = { .rule = &ht_gradient_operator_rule, .n_steps = 1, .steps = { step } };
      memset (unit.kept, 0xff, sizeof unit.kept);
      if (self->taken[i])
        continue;
      if (ht_gradient_uses_batch_statistics (self, step))
        unit.rule = &ht_gradient_batch_norm_rule;
      if (!self->request->plain && ht_gradient_blocked_match (self, i, &unit))
        {
          const HtExecStep *last = unit.steps[unit.n_steps - 1];
          self->values[last->outputs[0]].is_blocked = !unit.makes_plain;
          for (guint k = 0; k < unit.n_steps; k++)
            self->taken[unit.steps[k] - step + i] = TRUE;
        }
      g_array_append_val (self->units, unit);
    }
}

static gint
compare_units (gconstpointer a, gconstpointer b)
{
  const HtGradientUnit *left = a, *right = b;
  const HtExecStep *x = left->steps[left->n_steps - 1], *y = right->steps[right->n_steps - 1];
  return x < y ? -1 : x > y ? 1 : 0;
}

static gboolean
add_seeds (HtGradientBuilder *self, GError **error)
{
  for (gsize i = 0; self->request->losses && self->request->losses[i]; i++)
    {
      guint index;
      if (!check_chosen (self, self->request->losses[i], &index, error))
        return FALSE;
      guint value = ht_gradient_builder_read (self, index, HT_EXEC_LAYOUT_PLAIN);
      guint seed = ht_gradient_builder_new_gradient (self, index, HT_EXEC_LAYOUT_PLAIN);
      ht_gradient_plan_add_task (self->plan, &ht_gradient_seed_kind, NULL, 2);
      ht_gradient_builder_set_slot (self, 0, value, HT_GRADIENT_READ);
      ht_gradient_builder_set_slot (self, 1, seed, HT_GRADIENT_WRITE);
      ht_gradient_builder_add_gradient (self, index, seed);
    }
  return TRUE;
}

static gboolean
return_outputs (HtGradientBuilder *self, GError **error)
{
  for (gsize i = 0; self->request->outputs && self->request->outputs[i]; i++)
    {
      const char *name = self->request->outputs[i];
      guint index = find_value (self, name);
      if (index == HT_EXEC_NONE)
        return fail_tensor (self, name, "is made by no node that runs", error);
      guint buffer = ht_gradient_builder_read (self, index, HT_EXEC_LAYOUT_PLAIN);
      if (ht_gradient_plan_buffer (self->plan, buffer)->place == HT_GRADIENT_ARENA)
        ht_gradient_plan_buffer (self->plan, buffer)->place = HT_GRADIENT_RESULT;
      name_buffer (self->plan->outputs, name, buffer);
    }
  return TRUE;
}

static gboolean
has_gradient (HtGradientBuilder *self, const HtGradientUnit *unit)
{
  const HtExecStep *last = unit->steps[unit->n_steps - 1];
  for (guint k = 0; k < last->n_outputs; k++)
    if (last->outputs[k] != HT_EXEC_NONE && self->values[last->outputs[k]].gradient != HT_GRADIENT_NONE)
      return TRUE;
  return FALSE;
}

static gboolean
is_active_unit (HtGradientBuilder *self, const HtGradientUnit *unit)
{
  for (guint i = 0; i < unit->n_steps; i++)
    for (guint k = 0; k < unit->steps[i]->n_inputs; k++)
      if (ht_gradient_builder_is_active (self, unit->steps[i]->inputs[k]))
        return TRUE;
  return FALSE;
}

static gboolean
build (HtGradientBuilder *self, GError **error)
{
  HtExecPlan *forward = self->plan->forward;

  if (!check_steps (self, error) || !find_values (self, error))
    return FALSE;
  find_units (self);
  g_array_sort (self->units, compare_units);
  for (guint i = 0; i < forward->values->len; i++)
    if (self->values[i].writer == HT_EXEC_NONE && self->values[i].raw[HT_EXEC_LAYOUT_PLAIN] != HT_GRADIENT_NONE
        && is_tapped (self, i))
      ht_gradient_builder_read (self, i, HT_EXEC_LAYOUT_PLAIN);
  for (guint i = 0; i < self->units->len; i++)
    {
      HtGradientUnit *unit = &g_array_index (self->units, HtGradientUnit, i);
      if (!unit->rule->forward (self, unit, error))
        return FALSE;
    }
  if (!return_outputs (self, error))
    return FALSE;
  self->plan->n_forward = self->plan->tasks->len;
  if (!add_seeds (self, error))
    return FALSE;
  for (guint i = self->units->len; i-- > 0;)
    {
      HtGradientUnit *unit = &g_array_index (self->units, HtGradientUnit, i);
      const HtExecStep *last = unit->steps[unit->n_steps - 1];
      for (guint k = 0; k < last->n_outputs; k++)
        if (last->outputs[k] != HT_EXEC_NONE)
          settle (self, last->outputs[k]);
      if (has_gradient (self, unit) && is_active_unit (self, unit) && !unit->rule->backward (self, unit, error))
        return FALSE;
    }
  for (guint i = 0; i < forward->values->len; i++)
    if (self->values[i].writer == HT_EXEC_NONE)
      settle (self, i);
  return TRUE;
}

/* The forward plan, one step for each node: parameters are given tensors, quantizers are tasks of ours. */
static HtExecPlan *
plan_forward (const HtGradientRequest *request, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autoptr (GHashTable) nothing = g_hash_table_new (g_str_hash, g_str_equal);
  const char *const *const lists[] = { request->losses, request->outputs, request->tensors, request->ranges };

  for (guint k = 0; k < G_N_ELEMENTS (lists); k++)
    for (gsize i = 0; lists[k] && lists[k][i]; i++)
      g_ptr_array_add (names, (gpointer)lists[k][i]);
  g_ptr_array_add (names, NULL);
  HtExecRequest forward = { .graph = request->graph,
                            .given = request->given,
                            .outputs = (const char *const *)names->pdata,
                            .taps = request->taps,
                            .encodings = nothing,
                            .mode = HT_EXEC_PLAIN };
  return ht_exec_plan_new (&forward, error);
}

HtGradientPlan *
ht_gradient_plan_new (const HtGradientRequest *request, GError **error)
{
  g_autoptr (HtGradientPlan) plan = ht_gradient_plan_alloc ();
  g_autoptr (GArray) units = g_array_new (FALSE, TRUE, sizeof (HtGradientUnit));

  plan->forward = plan_forward (request, error);
  if (plan->forward == NULL)
    return NULL;
  g_autofree HtGradientValue *values = g_new0 (HtGradientValue, plan->forward->values->len + 1);
  g_autofree gboolean *taken = g_new0 (gboolean, plan->forward->steps->len + 1);
  HtGradientBuilder builder = { request, plan, values, units, taken };
  if (!build (&builder, error))
    return NULL;
  ht_gradient_plan_lay_out (plan);
  if (request->budget > 0)
    ht_gradient_plan_fit (plan, request->budget);
  return g_steal_pointer (&plan);
}
