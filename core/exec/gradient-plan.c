/* SPDX-License-Identifier: MIT */
/* The parts of a plan of gradients. */
#include "exec/gradient-blocked.h"

#include <string.h>

static void
buffer_clear (gpointer data)
{
  HtGradientBuffer *buffer = data;
  g_free (buffer->name);
  g_clear_pointer (&buffer->constant, ht_tensor_unref);
  g_clear_pointer (&buffer->view, ht_tensor_unref);
}

static void
named_clear (gpointer data)
{
  g_free (((HtGradientNamed *)data)->name);
}

static void
range_clear (gpointer data)
{
  g_free (((HtGradientRange *)data)->name);
}

static GArray *
new_array (gsize size, GDestroyNotify clear)
{
  GArray *array = g_array_new (FALSE, TRUE, (guint)size);
  g_array_set_clear_func (array, clear);
  return array;
}

void
ht_gradient_plan_free (HtGradientPlan *self)
{
  if (self == NULL)
    return;
  g_free (self->signature);
  for (guint i = 0; self->tasks && i < self->tasks->len; i++)
    g_free (ht_gradient_plan_task (self, i)->slots);
  g_clear_pointer (&self->tasks, g_array_unref);
  g_clear_pointer (&self->data, g_ptr_array_unref);
  g_clear_pointer (&self->buffers, g_array_unref);
  g_clear_pointer (&self->gradients, g_array_unref);
  g_clear_pointer (&self->outputs, g_array_unref);
  g_clear_pointer (&self->statistics, g_array_unref);
  g_clear_pointer (&self->ranges, g_array_unref);
  g_clear_pointer (&self->forward, ht_exec_plan_free);
  g_free (self);
}

guint
ht_gradient_plan_add_buffer (HtGradientPlan *self, const char *name, HtGradientPlace place, HtDataType type,
                             const gint64 *dims, guint n_dims, gboolean blocked)
{
  HtGradientBuffer buffer = { .name = g_strdup (name), .place = place, .type = type, .n_dims = n_dims };

  buffer.blocked = blocked;
  buffer.size = (ht_data_type_get_bits (type) + 7) / 8;
  memcpy (buffer.dims, dims, n_dims * sizeof (gint64));
  if (blocked)
    buffer.size *= ht_gradient_blocked_floats (dims, n_dims);
  else
    for (guint i = 0; i < n_dims; i++)
      buffer.size *= (gsize)dims[i];
  g_array_append_val (self->buffers, buffer);
  return self->buffers->len - 1;
}

HtGradientTask *
ht_gradient_plan_add_task (HtGradientPlan *self, const HtGradientKind *kind, const HtExecStep *step, guint n_slots)
{
  HtGradientTask task
      = { .kind = kind, .step = step, .n_slots = n_slots, .slots = g_new (HtGradientSlot, n_slots + 1) };

  for (guint i = 0; i < n_slots; i++)
    task.slots[i] = (HtGradientSlot){ HT_GRADIENT_NONE, HT_GRADIENT_SHAPE };
  g_array_append_val (self->tasks, task);
  return ht_gradient_plan_task (self, self->tasks->len - 1);
}

HtGradientPlan *
ht_gradient_plan_alloc (void)
{
  HtGradientPlan *self = g_new0 (HtGradientPlan, 1);

  self->buffers = new_array (sizeof (HtGradientBuffer), buffer_clear);
  self->tasks = g_array_new (FALSE, TRUE, sizeof (HtGradientTask));
  self->data = g_ptr_array_new_with_free_func (g_free);
  self->gradients = new_array (sizeof (HtGradientNamed), named_clear);
  self->outputs = new_array (sizeof (HtGradientNamed), named_clear);
  self->statistics = new_array (sizeof (HtGradientNamed), named_clear);
  self->ranges = new_array (sizeof (HtGradientRange), range_clear);
  self->n_segments = 1;
  return self;
}
