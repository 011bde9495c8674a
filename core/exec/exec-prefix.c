/* SPDX-License-Identifier: MIT */
/* Two steps do the same when they have the same kind, node, inputs and outputs in the same layouts, and when all
 * tensors of the graph that lie between their inputs and outputs have the same grids: nothing else goes into a step. */
#include "exec/exec-prefix.h"

#include "graph/graph-private.h"

#include <string.h>

static guint
hash_value (gconstpointer key)
{
  const HtExecValue *value = key;
  return g_str_hash (value->name) + (guint)value->layout;
}

static gboolean
equal_values (gconstpointer a, gconstpointer b)
{
  const HtExecValue *left = a, *right = b;
  return left->layout == right->layout && strcmp (left->name, right->name) == 0;
}

static gboolean
reads (const HtExecPlan *plan, const HtExecStep *step, const char *name)
{
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i] != HT_EXEC_NONE && strcmp (ht_exec_plan_value (plan, step->inputs[i])->name, name) == 0)
      return TRUE;
  for (guint i = 0; i < step->n_captures; i++)
    if (strcmp (ht_exec_plan_value (plan, step->captures[i])->name, name) == 0)
      return TRUE;
  return FALSE;
}

/* A walk from what a step makes back to what it reads. */
typedef struct
{
  HtExecProfile *profile;
  HtGraph *graph;
  const HtExecStep *step;
  GHashTable *seen; /* names */
  GPtrArray *open;  /* names whose producer is still to be looked at */
} Walk;

static void
look_at (Walk *walk, const char *name)
{
  if (name[0] == '\0' || !g_hash_table_add (walk->seen, (gpointer)name))
    return;
  HtEncoding *encoding = g_hash_table_lookup (walk->profile->encodings, name);
  if (encoding)
    {
      HtExecNamedGrid grid = { name, encoding };
      g_array_append_val (walk->profile->grids, grid);
    }
  if (!reads (walk->profile->plan, walk->step, name))
    g_ptr_array_add (walk->open, (gpointer)name);
}

static void look_into (Walk *walk, HtNode *node);

/* Tensors inside subgraphs have grids by name as well. */
static void
look_into_subgraph (HtGraph *subgraph, gpointer user_data)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (subgraph); i++)
    look_into (user_data, ht_graph_get_node (subgraph, i));
}

static void
look_into (Walk *walk, HtNode *node)
{
  for (guint i = 0; i < ht_node_get_n_outputs (node); i++)
    look_at (walk, ht_node_get_output (node, i));
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    look_at (walk, ht_node_get_input (node, i));
  ht_node_foreach_subgraph (node, look_into_subgraph, walk);
}

static void
find_grids (Walk *walk)
{
  const HtExecStep *step = walk->step;

  g_hash_table_remove_all (walk->seen);
  g_ptr_array_set_size (walk->open, 0);
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      look_at (walk, ht_exec_plan_value (walk->profile->plan, step->outputs[i])->name);
  if (step->node)
    look_into (walk, step->node);
  while (walk->open->len > 0)
    {
      const char *name = g_ptr_array_steal_index (walk->open, walk->open->len - 1);
      HtNode *producer = ht_graph_get_producer (walk->graph, name);
      if (producer)
        look_into (walk, producer);
    }
}

static void
find_uses (HtExecProfile *self)
{
  const HtExecPlan *plan = self->plan;

  for (guint i = 0; i < plan->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (plan, i);
      self->made[i] = self->last[i] = -1;
      g_hash_table_insert (self->values, value, GUINT_TO_POINTER (i + 1));
    }
  for (guint i = 0; i < plan->steps->len; i++)
    {
      const HtExecStep *step = ht_exec_plan_step (plan, i);
      for (guint k = 0; k < step->n_inputs; k++)
        if (step->inputs[k] != HT_EXEC_NONE)
          self->last[step->inputs[k]] = (gint)i;
      for (guint k = 0; k < step->n_captures; k++)
        self->last[step->captures[k]] = (gint)i;
      for (guint k = 0; k < step->n_outputs; k++)
        if (step->outputs[k] != HT_EXEC_NONE)
          self->made[step->outputs[k]] = (gint)i;
    }
  for (guint i = 0; i < plan->values->len; i++)
    if (ht_exec_plan_value (plan, i)->is_wanted)
      self->last[i] = G_MAXINT;
}

HtExecProfile *
ht_exec_profile_new (const HtExecPlan *plan, HtGraph *graph, GHashTable *encodings)
{
  HtExecProfile *self = g_new0 (HtExecProfile, 1);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) open = g_ptr_array_new ();

  self->plan = plan;
  self->encodings = encodings;
  self->grids = g_array_new (FALSE, FALSE, sizeof (HtExecNamedGrid));
  self->ends = g_new (guint, plan->steps->len + 1);
  self->made = g_new (gint, plan->values->len + 1);
  self->last = g_new (gint, plan->values->len + 1);
  self->values = g_hash_table_new (hash_value, equal_values);
  for (guint i = 0; i < plan->steps->len; i++)
    {
      Walk walk = { self, graph, ht_exec_plan_step (plan, i), seen, open };
      find_grids (&walk);
      self->ends[i] = self->grids->len;
    }
  find_uses (self);
  return self;
}

void
ht_exec_profile_free (HtExecProfile *self)
{
  g_array_unref (self->grids);
  g_hash_table_unref (self->values);
  g_free (self->ends);
  g_free (self->made);
  g_free (self->last);
  g_free (self);
}

static gboolean
same_grid (HtEncoding *a, HtEncoding *b)
{
  return a == b || (a && b && ht_encoding_equal (a, b));
}

static gboolean
same_form (const HtExecValue *a, const HtExecValue *b)
{
  return equal_values (a, b) && a->place == b->place && a->is_static == b->is_static && a->is_given == b->is_given
         && a->type == b->type && a->n_dims == b->n_dims && (a->n_dims == 0 || (a->dims == NULL) == (b->dims == NULL))
         && (a->n_dims == 0 || a->dims == NULL || memcmp (a->dims, b->dims, a->n_dims * sizeof *a->dims) == 0);
}

static gboolean
same_values (const HtExecPlan *a, const guint *left, const HtExecPlan *b, const guint *right, guint n)
{
  for (guint i = 0; i < n; i++)
    if ((left[i] == HT_EXEC_NONE) != (right[i] == HT_EXEC_NONE)
        || (left[i] != HT_EXEC_NONE && !same_form (ht_exec_plan_value (a, left[i]), ht_exec_plan_value (b, right[i]))))
      return FALSE;
  return TRUE;
}

static gboolean
same_grids (const HtExecProfile *a, const HtExecProfile *b, guint step)
{
  guint from_a = step > 0 ? a->ends[step - 1] : 0, from_b = step > 0 ? b->ends[step - 1] : 0;

  if (a->ends[step] - from_a != b->ends[step] - from_b)
    return FALSE;
  for (guint i = 0; i < a->ends[step] - from_a; i++)
    {
      const HtExecNamedGrid *left = &g_array_index (a->grids, HtExecNamedGrid, from_a + i);
      const HtExecNamedGrid *right = &g_array_index (b->grids, HtExecNamedGrid, from_b + i);
      if (strcmp (left->name, right->name) != 0 || !same_grid (left->encoding, right->encoding))
        return FALSE;
    }
  return TRUE;
}

static gboolean
same_step (const HtExecProfile *a, const HtExecProfile *b, guint index)
{
  const HtExecStep *left = ht_exec_plan_step (a->plan, index), *right = ht_exec_plan_step (b->plan, index);

  return left->kind == right->kind && left->node == right->node && left->op == right->op
         && left->is_static == right->is_static && left->n_inputs == right->n_inputs
         && left->n_outputs == right->n_outputs && left->n_captures == right->n_captures
         && same_values (a->plan, left->inputs, b->plan, right->inputs, left->n_inputs)
         && same_values (a->plan, left->outputs, b->plan, right->outputs, left->n_outputs)
         && same_values (a->plan, left->captures, b->plan, right->captures, left->n_captures)
         && same_grids (a, b, index);
}

/* Given tensors are rounded before the first step. */
static gboolean
same_entries (const HtExecProfile *a, const HtExecProfile *b)
{
  for (guint i = 0; i < a->plan->entries->len; i++)
    {
      const HtExecValue *value = ht_exec_plan_value (a->plan, g_array_index (a->plan->entries, guint, i));
      guint index = GPOINTER_TO_UINT (g_hash_table_lookup (b->values, value));
      if (index == 0)
        continue;
      const HtExecValue *other = ht_exec_plan_value (b->plan, index - 1);
      if (!same_form (value, other)
          || !same_grid (g_hash_table_lookup (a->encodings, value->name),
                         g_hash_table_lookup (b->encodings, value->name)))
        return FALSE;
    }
  return TRUE;
}

guint
ht_exec_profile_count_common (const HtExecProfile *a, const HtExecProfile *b, guint from)
{
  guint n = MIN (a->plan->steps->len, b->plan->steps->len), i = from;

  if (from == 0 && !same_entries (a, b))
    return 0;
  while (i < n && same_step (a, b, i))
    i++;
  return i;
}

guint
ht_exec_profile_find (const HtExecProfile *self, const HtExecProfile *other, guint index)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (other->values, ht_exec_plan_value (self->plan, index))) - 1;
}

gboolean
ht_exec_profile_needs (const HtExecProfile *self, guint index, guint step)
{
  const HtExecValue *value = ht_exec_plan_value (self->plan, index);

  return value->place != HT_EXEC_CONSTANT && value->place != HT_EXEC_GIVEN && self->made[index] < (gint)step
         && self->last[index] >= (gint)step;
}

guint
ht_exec_profile_find_cut (const HtExecProfile *self, const HtExecProfile *source, guint step)
{
  /* An earlier cut needs other values: look again from the start. */
  for (guint i = 0; i < self->plan->values->len && step > 0; i++)
    {
      if (!ht_exec_profile_needs (self, i, step))
        continue;
      guint index = ht_exec_profile_find (self, source, i);
      if (index != HT_EXEC_NONE && source->last[index] >= (gint)step)
        continue;
      step--;
      i = G_MAXUINT;
    }
  return step;
}
