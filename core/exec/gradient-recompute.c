/* SPDX-License-Identifier: MIT */
/* Trades time for memory. The forward phase is cut into segments. What a segment makes for its own backward tasks is
 * not kept but made again right before them, from what crosses into the segment. Only the last segment keeps
 * everything: its backward tasks follow at once. Cuts divide the kept bytes evenly, each moved to where the fewest
 * bytes cross.
 *
 * Few segments are tried first, more only while the budget is missed, so that no more than needed is computed twice.
 * Forward tasks are the same functions on the same values: the results have the same bytes. */
#include "exec/gradient-kinds.h"

#include <string.h>

typedef struct
{
  HtGradientPlan *plan;
  guint n_tasks, n_forward;
  guint n_buffers;
  gint *producer;     /* by buffer: the task that writes it, -1: none */
  gint *last_forward; /* the last forward task that reads it, -1: none */
  gboolean *kept;     /* a backward task reads it */
  gboolean *pinned;   /* a loss reads it */
} Use;

static void
find_uses (Use *use, HtGradientPlan *plan)
{
  use->plan = plan;
  use->n_tasks = plan->tasks->len;
  use->n_forward = plan->n_forward;
  use->n_buffers = plan->buffers->len;
  use->producer = g_new (gint, use->n_buffers);
  use->last_forward = g_new (gint, use->n_buffers);
  use->kept = g_new0 (gboolean, use->n_buffers);
  use->pinned = g_new0 (gboolean, use->n_buffers);
  for (guint i = 0; i < use->n_buffers; i++)
    use->producer[i] = use->last_forward[i] = -1;
  for (guint i = 0; i < use->n_tasks; i++)
    {
      const HtGradientTask *task = ht_gradient_plan_task (plan, i);
      for (guint k = 0; k < task->n_slots; k++)
        {
          guint buffer = task->slots[k].buffer;
          if (buffer == HT_GRADIENT_NONE)
            continue;
          if (task->slots[k].access == HT_GRADIENT_WRITE)
            use->producer[buffer] = (gint)i;
          else if (task->slots[k].access == HT_GRADIENT_READ && i < use->n_forward)
            use->last_forward[buffer] = (gint)i;
          else if (task->slots[k].access == HT_GRADIENT_READ)
            use->kept[buffer] = TRUE;
          if (task->kind == &ht_gradient_seed_kind)
            use->pinned[buffer] = TRUE;
        }
    }
}

static void
use_clear (Use *use)
{
  g_free (use->producer);
  g_free (use->last_forward);
  g_free (use->kept);
  g_free (use->pinned);
}

/* The first task of each segment but the first; fewer than asked for where the network is too short. */
static GArray *
choose_cuts (const Use *use, guint n_segments)
{
  g_autofree gsize *kept = g_new0 (gsize, use->n_forward + 1);     /* made for backward before task i */
  g_autofree gsize *crossing = g_new0 (gsize, use->n_forward + 1); /* made before task i, read from there on */
  GArray *cuts = g_array_new (FALSE, FALSE, sizeof (guint));

  for (guint b = 0; b < use->n_buffers; b++)
    {
      const HtGradientBuffer *buffer = ht_gradient_plan_buffer (use->plan, b);
      gint made = use->producer[b];
      if (made < 0 || made >= (gint)use->n_forward || buffer->place != HT_GRADIENT_ARENA)
        continue;
      if (use->kept[b])
        kept[made + 1] += buffer->size;
      for (gint i = made + 1; i <= use->last_forward[b]; i++)
        crossing[i] += buffer->size;
    }
  for (guint i = 0; i < use->n_forward; i++)
    kept[i + 1] += kept[i];
  gsize all = kept[use->n_forward], slack = all / n_segments / 3;
  for (guint s = 1; s < n_segments; s++)
    {
      gsize target = (gsize)((double)all * s / n_segments);
      guint best = 0, after = cuts->len > 0 ? g_array_index (cuts, guint, cuts->len - 1) : 0;
      for (guint i = after + 1; i < use->n_forward; i++)
        if (kept[i] + slack >= target && kept[i] <= target + slack && (best == 0 || crossing[i] < crossing[best]))
          best = i;
      if (best > 0)
        g_array_append_val (cuts, best);
    }
  return cuts;
}

static HtGradientTask
copy_task (const HtGradientTask *task)
{
  HtGradientTask copy = *task;
  copy.slots = g_memdup2 (task->slots, (task->n_slots + 1) * sizeof (HtGradientSlot));
  return copy;
}

static guint
copy_buffer (HtGradientPlan *plan, guint index)
{
  HtGradientBuffer copy = *ht_gradient_plan_buffer (plan, index);
  copy.name = g_strdup (copy.name);
  copy.place = HT_GRADIENT_ARENA;
  copy.view = NULL;
  g_array_append_val (plan->buffers, copy);
  return plan->buffers->len - 1;
}

typedef struct
{
  const Use *use;
  guint n_segments;
  guint *segment;    /* by forward task */
  gboolean *dropped; /* by buffer: made again for backward */
  gboolean *again;   /* by forward task: runs twice */
  guint *copies;     /* by buffer: what was made again */
} Cutting;

static gboolean
is_local (const Cutting *cutting, guint buffer)
{
  gint made = cutting->use->producer[buffer], last = cutting->use->last_forward[buffer];
  return last < 0 || cutting->segment[last] == cutting->segment[made];
}

/* Marks what must run again so that `buffer` exists once more. */
static void
mark_again (Cutting *cutting, guint buffer)
{
  const Use *use = cutting->use;
  gint made = use->producer[buffer];

  if (cutting->again[made])
    return;
  cutting->again[made] = TRUE;
  const HtGradientTask *task = ht_gradient_plan_task (use->plan, (guint)made);
  for (guint k = 0; k < task->n_slots; k++)
    {
      guint read = task->slots[k].buffer;
      if (read == HT_GRADIENT_NONE || task->slots[k].access != HT_GRADIENT_READ || use->producer[read] < 0
          || ht_gradient_plan_buffer (use->plan, read)->place != HT_GRADIENT_ARENA)
        continue;
      /* What another segment made, or what is kept anyway, is read where it is. */
      if (cutting->segment[use->producer[read]] == cutting->segment[made]
          && (cutting->dropped[read] || !use->kept[read]))
        mark_again (cutting, read);
    }
}

static void
find_dropped (Cutting *cutting)
{
  const Use *use = cutting->use;

  for (guint b = 0; b < use->n_buffers; b++)
    {
      gint made = use->producer[b];
      if (made < 0 || made >= (gint)use->n_forward || !use->kept[b] || use->pinned[b]
          || ht_gradient_plan_buffer (use->plan, b)->place != HT_GRADIENT_ARENA)
        continue;
      cutting->dropped[b] = cutting->segment[made] + 1 < cutting->n_segments && is_local (cutting, b);
    }
  for (guint b = 0; b < use->n_buffers; b++)
    if (cutting->dropped[b])
      mark_again (cutting, b);
}

static void
emit_again (Cutting *cutting, guint segment, GArray *tasks)
{
  HtGradientPlan *plan = cutting->use->plan;

  for (guint i = 0; i < cutting->use->n_forward; i++)
    {
      if (!cutting->again[i] || cutting->segment[i] != segment)
        continue;
      HtGradientTask task = copy_task (&g_array_index (plan->tasks, HtGradientTask, i));
      for (guint k = 0; k < task.n_slots; k++)
        {
          guint buffer = task.slots[k].buffer;
          if (buffer == HT_GRADIENT_NONE)
            continue;
          if (task.slots[k].access == HT_GRADIENT_WRITE)
            cutting->copies[buffer] = copy_buffer (plan, buffer);
          if (cutting->copies[buffer] != HT_GRADIENT_NONE)
            task.slots[k].buffer = cutting->copies[buffer];
        }
      g_array_append_val (tasks, task);
    }
}

/* Rewrites the tasks; those of the old list move to the new one. */
static void
rewrite (Cutting *cutting)
{
  const Use *use = cutting->use;
  HtGradientPlan *plan = use->plan;
  GArray *tasks = g_array_new (FALSE, TRUE, sizeof (HtGradientTask));
  g_autofree gboolean *emitted = g_new0 (gboolean, cutting->n_segments);

  for (guint i = 0; i < use->n_tasks; i++)
    {
      HtGradientTask task = *ht_gradient_plan_task (plan, i);
      for (guint k = 0; k < task.n_slots && i >= use->n_forward; k++)
        {
          guint buffer = task.slots[k].buffer;
          if (buffer == HT_GRADIENT_NONE || buffer >= use->n_buffers || !cutting->dropped[buffer]
              || task.slots[k].access != HT_GRADIENT_READ)
            continue;
          guint segment = cutting->segment[use->producer[buffer]];
          if (!emitted[segment])
            emit_again (cutting, segment, tasks);
          emitted[segment] = TRUE;
          task.slots[k].buffer = cutting->copies[buffer];
        }
      g_array_append_val (tasks, task);
    }
  g_array_unref (plan->tasks);
  plan->tasks = tasks;
}

static void
cut_plan (HtGradientPlan *plan, const Use *use, guint n_segments)
{
  g_autoptr (GArray) cuts = choose_cuts (use, n_segments);
  g_autofree guint *segment = g_new0 (guint, use->n_forward + 1);
  g_autofree gboolean *dropped = g_new0 (gboolean, use->n_buffers);
  g_autofree gboolean *again = g_new0 (gboolean, use->n_forward + 1);
  g_autofree guint *copies = g_new (guint, use->n_buffers);
  Cutting cutting = { use, cuts->len + 1, segment, dropped, again, copies };
  guint s = 0;

  for (guint i = 0; i < use->n_forward; i++)
    {
      if (s < cuts->len && i >= g_array_index (cuts, guint, s))
        s++;
      segment[i] = s;
    }
  for (guint b = 0; b < use->n_buffers; b++)
    copies[b] = HT_GRADIENT_NONE;
  find_dropped (&cutting);
  rewrite (&cutting);
  plan->n_segments = cutting.n_segments;
}

static void
clear_tasks (GArray *tasks)
{
  for (guint i = 0; i < tasks->len; i++)
    g_free (g_array_index (tasks, HtGradientTask, i).slots);
  g_array_set_size (tasks, 0);
}

static void
append_tasks (GArray *to, const GArray *from)
{
  for (guint i = 0; i < from->len; i++)
    {
      HtGradientTask copy = copy_task (&g_array_index (from, HtGradientTask, i));
      g_array_append_val (to, copy);
    }
}

static gboolean
try_segments (HtGradientPlan *plan, const Use *use, const GArray *tasks, guint n_segments, gsize budget)
{
  clear_tasks (plan->tasks);
  append_tasks (plan->tasks, tasks);
  g_array_set_size (plan->buffers, use->n_buffers);
  plan->n_segments = 1;
  if (n_segments > 1)
    cut_plan (plan, use, n_segments);
  ht_gradient_plan_lay_out (plan);
  return plan->arena_size + plan->result_size <= budget;
}

void
ht_gradient_plan_fit (HtGradientPlan *plan, gsize budget)
{
  static const guint counts[] = { 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64 };
  gsize least = plan->arena_size;
  guint best = 1;
  gboolean fits = FALSE;
  Use use;

  if (plan->arena_size + plan->result_size <= budget)
    return;
  find_uses (&use, plan);
  g_autoptr (GArray) tasks = g_array_new (FALSE, TRUE, sizeof (HtGradientTask));
  append_tasks (tasks, plan->tasks);
  for (guint i = 0; i < G_N_ELEMENTS (counts) && !fits; i++)
    {
      fits = try_segments (plan, &use, tasks, counts[i], budget);
      if (plan->arena_size < least)
        {
          least = plan->arena_size;
          best = counts[i];
        }
    }
  if (!fits)
    try_segments (plan, &use, tasks, best, budget);
  clear_tasks (tasks);
  use_clear (&use);
}
