/* SPDX-License-Identifier: MIT */
/* Lifetimes over the forward and the backward phase, sharing, and offsets in one arena. */
#include "exec/exec-arena.h"
#include "exec/gradient-plan.h"

#include "graph/tensor-private.h"

static gboolean
owns_arena (HtGradientPlan *self, guint buffer)
{
  return buffer != HT_GRADIENT_NONE && ht_gradient_plan_buffer (self, buffer)->place == HT_GRADIENT_ARENA;
}

static void
find_lifetimes (HtGradientPlan *self)
{
  for (guint i = 0; i < self->buffers->len; i++)
    {
      HtGradientBuffer *buffer = ht_gradient_plan_buffer (self, i);
      buffer->root = i;
      buffer->first = buffer->last = -1;
    }
  for (guint i = 0; i < self->tasks->len; i++)
    {
      HtGradientTask *task = ht_gradient_plan_task (self, i);
      for (guint k = 0; k < task->n_slots; k++)
        {
          if (task->slots[k].buffer == HT_GRADIENT_NONE || task->slots[k].access == HT_GRADIENT_SHAPE)
            continue;
          HtGradientBuffer *buffer = ht_gradient_plan_buffer (self, task->slots[k].buffer);
          if (task->slots[k].access == HT_GRADIENT_WRITE)
            buffer->first = (gint)i;
          buffer->last = MAX (buffer->last, (gint)i);
        }
    }
}

static gboolean
dies_at (HtGradientPlan *self, guint buffer, gint task)
{
  return ht_gradient_plan_buffer (self, ht_gradient_plan_buffer (self, buffer)->root)->last <= task;
}

static void
share (HtGradientPlan *self, guint to, guint from)
{
  guint root = ht_gradient_plan_buffer (self, from)->root;
  HtGradientBuffer *owner = ht_gradient_plan_buffer (self, root), *taker = ht_gradient_plan_buffer (self, to);

  taker->root = root;
  owner->last = MAX (owner->last, taker->last);
}

/* Another read slot lies in the same memory under another name: element by element may no longer hold. */
static gboolean
is_read_twice (HtGradientPlan *self, const HtGradientTask *task, guint slot)
{
  guint buffer = task->slots[slot].buffer, root = ht_gradient_plan_buffer (self, buffer)->root;
  for (guint k = 0; k < task->n_slots; k++)
    if (task->slots[k].access == HT_GRADIENT_READ && task->slots[k].buffer != HT_GRADIENT_NONE
        && task->slots[k].buffer != buffer && ht_gradient_plan_buffer (self, task->slots[k].buffer)->root == root)
      return TRUE;
  return FALSE;
}

static void
share_of_task (HtGradientPlan *self, guint index)
{
  HtGradientTask *task = ht_gradient_plan_task (self, index);
  guint to = task->share == HT_GRADIENT_SHARE_NONE ? HT_GRADIENT_NONE : task->slots[task->share_to].buffer;

  if (!owns_arena (self, to))
    return;
  for (guint k = 0; k < task->n_slots && k < 32; k++)
    {
      guint from = task->slots[k].buffer;
      if (!(task->share_from & (1u << k)) || !owns_arena (self, from)
          || ht_gradient_plan_buffer (self, from)->size != ht_gradient_plan_buffer (self, to)->size
          || ht_gradient_plan_buffer (self, from)->first < 0)
        continue;
      if (task->share == HT_GRADIENT_SHARE_VIEW
          || (dies_at (self, from, (gint)index) && !is_read_twice (self, task, k)))
        {
          share (self, to, from);
          return;
        }
    }
}

static void
place_blocks (HtGradientPlan *self)
{
  g_autoptr (GArray) blocks = g_array_new (FALSE, FALSE, sizeof (HtExecBlock));

  self->result_size = 0;
  for (guint i = 0; i < self->buffers->len; i++)
    {
      HtGradientBuffer *buffer = ht_gradient_plan_buffer (self, i);
      if (buffer->place == HT_GRADIENT_RESULT)
        self->result_size += buffer->size;
      if (buffer->place == HT_GRADIENT_ARENA && buffer->root == i && buffer->first >= 0)
        ht_exec_blocks_add (blocks, buffer->size, buffer->first, buffer->last, &buffer->offset);
    }
  for (guint i = 0; i < self->tasks->len; i++)
    {
      HtGradientTask *task = ht_gradient_plan_task (self, i);
      if (task->workspace_size > 0)
        ht_exec_blocks_add (blocks, task->workspace_size, (gint)i, (gint)i, &task->workspace_offset);
    }
  self->arena_size = ht_exec_blocks_place (blocks);
}

void
ht_gradient_plan_lay_out (HtGradientPlan *self)
{
  find_lifetimes (self);
  for (guint i = 0; i < self->tasks->len; i++)
    share_of_task (self, i);
  place_blocks (self);
  self->bound = NULL;
}

void
ht_gradient_plan_bind (HtGradientPlan *self, gpointer arena)
{
  for (guint i = 0; i < self->buffers->len; i++)
    {
      HtGradientBuffer *buffer = ht_gradient_plan_buffer (self, i);
      if (buffer->place != HT_GRADIENT_ARENA)
        continue;
      g_clear_pointer (&buffer->view, ht_tensor_unref);
      /* Blocked memory is a row of floats to whoever does not know the layout. */
      gint64 floats = (gint64)(buffer->size / sizeof (float));
      buffer->view = _ht_tensor_new_view (buffer->type, buffer->blocked ? &floats : buffer->dims,
                                          buffer->blocked ? 1 : buffer->n_dims,
                                          (char *)arena + ht_gradient_plan_buffer (self, buffer->root)->offset);
    }
  self->bound = arena;
}
