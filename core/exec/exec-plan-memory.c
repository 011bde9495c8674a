/* SPDX-License-Identifier: MIT */
/* Liveness, sharing and offsets: all fixed places of a plan lie in one arena. */
#include "exec/exec-arena.h"
#include "exec/exec-plan.h"

#include "graph/tensor-private.h"

/* A value in the arena whose memory may be handed on. */
static gboolean
owns_arena (HtExecPlan *self, guint value)
{
  return value != HT_EXEC_NONE && ht_exec_plan_value (self, value)->place == HT_EXEC_ARENA;
}

static void
share (HtExecPlan *self, guint output, guint input)
{
  guint root = ht_exec_plan_value (self, input)->root;
  HtExecValue *from = ht_exec_plan_value (self, root);
  HtExecValue *to = ht_exec_plan_value (self, output);

  to->root = root;
  from->last = MAX (from->last, to->last);
}

static gboolean
dies_at (HtExecPlan *self, guint value, gint step)
{
  return ht_exec_plan_value (self, ht_exec_plan_value (self, value)->root)->last <= step;
}

static gboolean
same_form (const HtExecValue *a, const HtExecValue *b)
{
  if (a->layout != b->layout || a->type != b->type || a->n_dims != b->n_dims)
    return FALSE;
  for (guint i = 0; i < a->n_dims; i++)
    if (a->dims[i] != b->dims[i])
      return FALSE;
  return TRUE;
}

/* An encoding changes a value where it lies, so an encoded output may only take memory that nobody else reads later. */
static void
share_view (HtExecPlan *self, const HtExecStep *step, gint index, GHashTable *encodings)
{
  guint input = step->n_inputs > 0 ? step->inputs[0] : HT_EXEC_NONE;
  const HtExecValue *output = ht_exec_plan_value (self, step->outputs[0]);

  if (owns_arena (self, input) && ht_exec_plan_value (self, input)->size == output->size
      && (dies_at (self, input, index) || !g_hash_table_contains (encodings, output->name)))
    share (self, step->outputs[0], input);
}

/* A fused step reads its other inputs at other times than the one it overwrites. */
static gboolean
lies_alone (HtExecPlan *self, const HtExecStep *step, guint input)
{
  guint root = ht_exec_plan_value (self, step->inputs[input])->root;

  for (guint i = 0; i < step->n_inputs && step->op == NULL; i++)
    if (i != input && step->inputs[i] != HT_EXEC_NONE && ht_exec_plan_value (self, step->inputs[i])->root == root)
      return FALSE;
  return TRUE;
}

static void
share_of_step (HtExecPlan *self, gint index, GHashTable *encodings)
{
  HtExecStep *step = ht_exec_plan_step (self, (guint)index);

  if (!step->is_static || step->n_outputs == 0 || !owns_arena (self, step->outputs[0]))
    return;
  if (step->op && step->op->flags & HT_OP_VIEW)
    {
      share_view (self, step, index, encodings);
      return;
    }
  for (guint i = 0; i < MIN (step->n_inputs, 32); i++)
    if (step->in_place & 1u << i && owns_arena (self, step->inputs[i]) && dies_at (self, step->inputs[i], index)
        && same_form (ht_exec_plan_value (self, step->inputs[i]), ht_exec_plan_value (self, step->outputs[0]))
        && lies_alone (self, step, i))
      {
        share (self, step->outputs[0], step->inputs[i]);
        break;
      }
}

static void
place_blocks (HtExecPlan *self)
{
  g_autoptr (GArray) blocks = g_array_new (FALSE, FALSE, sizeof (HtExecBlock));

  for (guint i = 0; i < self->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (self, i);
      if (value->place == HT_EXEC_ARENA && value->root == i)
        ht_exec_blocks_add (blocks, value->size, value->first, value->last, &value->offset);
    }
  for (guint i = 0; i < self->steps->len; i++)
    {
      HtExecStep *step = ht_exec_plan_step (self, i);
      if (step->workspace_size > 0)
        ht_exec_blocks_add (blocks, step->workspace_size, (gint)i, (gint)i, &step->workspace_offset);
    }
  self->arena_size = ht_exec_blocks_place (blocks);
}

/* Uses by subgraphs count as uses by their node. What is wanted lives to the end. */
static void
find_lifetimes (HtExecPlan *self)
{
  for (guint i = 0; i < self->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (self, i);
      value->root = i;
      value->first = value->last = -1;
    }
  for (guint i = 0; i < self->steps->len; i++)
    {
      HtExecStep *step = ht_exec_plan_step (self, i);
      for (guint k = 0; k < step->n_inputs; k++)
        if (step->inputs[k] != HT_EXEC_NONE)
          ht_exec_plan_value (self, step->inputs[k])->last = (gint)i;
      for (guint k = 0; k < step->n_captures; k++)
        ht_exec_plan_value (self, step->captures[k])->last = (gint)i;
      for (guint k = 0; k < step->n_outputs; k++)
        if (step->outputs[k] != HT_EXEC_NONE)
          {
            HtExecValue *value = ht_exec_plan_value (self, step->outputs[k]);
            value->first = (gint)i;
            value->last = MAX (value->last, (gint)i);
          }
    }
  for (guint i = 0; i < self->values->len; i++)
    if (ht_exec_plan_value (self, i)->is_wanted)
      ht_exec_plan_value (self, i)->last = G_MAXINT;
}

/* Dynamic values are let go as soon as possible: they may be large. */
static void
find_releases (HtExecPlan *self)
{
  for (guint i = 0; i < self->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (self, i);
      if (value->place == HT_EXEC_DYNAMIC && value->last >= 0 && value->last < (gint)self->steps->len)
        {
          HtExecStep *step = ht_exec_plan_step (self, (guint)value->last);
          if (step->released == NULL)
            step->released = g_array_new (FALSE, FALSE, sizeof (guint));
          g_array_append_val (step->released, i);
        }
    }
}

void
ht_exec_plan_lay_out (HtExecPlan *self, GHashTable *encodings)
{
  find_lifetimes (self);
  for (guint i = 0; i < self->steps->len; i++)
    share_of_step (self, (gint)i, encodings);
  place_blocks (self);
  find_releases (self);
}

void
ht_exec_plan_bind (HtExecPlan *self, gpointer arena)
{
  for (guint i = 0; i < self->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (self, i);
      if (value->place != HT_EXEC_ARENA)
        continue;
      g_clear_pointer (&value->view, ht_tensor_unref);
      value->view = _ht_tensor_new_view (value->type, value->dims, value->n_dims,
                                         (char *)arena + ht_exec_plan_value (self, value->root)->offset);
      self->tensors[i] = value->view;
    }
  self->bound = arena;
}
