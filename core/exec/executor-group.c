/* SPDX-License-Identifier: MIT */
/* Many executors of one graph on the same inputs. Their plans are compared step by step; what several have in common is
 * run by one of them, which waits where another one branches off while that one finishes from a copy of what it needs.
 */
#include <halftone/executor-group.h>

#include "exec/exec-prefix.h"
#include "exec/executor-private.h"
#include "graph/tensor-private.h"

#include <halftone/error.h>
#include <string.h>

/**
 * HtExecutorGroup:
 *
 * Executors of one graph that differ in their encodings: a network and its simulations, or simulations with different
 * parts switched on. A run of the group gives each executor's results to the byte as a run of that executor alone does,
 * but steps that several of them would do alike on the same values are done once. Runs of the group hold the memory of
 * few executors at a time: no more than the logarithm of their number.
 */
struct _HtExecutorGroup
{
  GObject parent_instance;

  GPtrArray *executors;
  HtExecStore *store; /* of their constants */
  GPtrArray *arenas;  /* Arena, by how many runs wait around the one that uses it */
  GPtrArray *tree;    /* Variant, by executor, of the last run */
  double work;
};

G_DEFINE_FINAL_TYPE (HtExecutorGroup, ht_executor_group, G_TYPE_OBJECT)

typedef struct
{
  gpointer memory;
  gsize size;
} Arena;

/* One executor, and where its run starts: at its first step, or as a branch of another one's. */
typedef struct
{
  HtExecutor *executor;
  HtExecPlan *plan;
  guint64 serial, encoding_changes; /* of plan and executor, when the tree was made */
  HtExecProfile *profile;
  guint cut;        /* the first step that it runs itself; 0: it is no branch */
  GArray *branches; /* guint: those that branch off here, by cut */
} Variant;

static void
variant_free (gpointer data)
{
  Variant *self = data;
  ht_exec_profile_free (self->profile);
  g_array_unref (self->branches);
  g_free (self);
}

static void
arena_free (gpointer data)
{
  Arena *self = data;
  ht_executor_free_arena (self->memory);
  g_free (self);
}

static void
ht_executor_group_finalize (GObject *object)
{
  HtExecutorGroup *self = HT_EXECUTOR_GROUP (object);

  g_ptr_array_unref (self->tree);
  g_ptr_array_unref (self->arenas);
  g_ptr_array_unref (self->executors);
  ht_exec_store_unref (self->store);
  G_OBJECT_CLASS (ht_executor_group_parent_class)->finalize (object);
}

static void
ht_executor_group_class_init (HtExecutorGroupClass *class)
{
  G_OBJECT_CLASS (class)->finalize = ht_executor_group_finalize;
}

static void
ht_executor_group_init (HtExecutorGroup *self)
{
  self->executors = g_ptr_array_new_with_free_func (g_object_unref);
  self->arenas = g_ptr_array_new_with_free_func (arena_free);
  self->store = ht_exec_store_new ();
  self->tree = g_ptr_array_new_with_free_func (variant_free);
}

/**
 * ht_executor_group_new:
 *
 * Makes a group without executors.
 *
 * Returns: (transfer full): the group
 */
HtExecutorGroup *
ht_executor_group_new (void)
{
  return g_object_new (HT_TYPE_EXECUTOR_GROUP, NULL);
}

/**
 * ht_executor_group_can_add:
 * @self: a group
 * @executor: an executor
 *
 * Tells whether ht_executor_group_add() would take an executor.
 *
 * Returns: %TRUE if it is for the graph of the others and not yet in the group
 */
gboolean
ht_executor_group_can_add (HtExecutorGroup *self, HtExecutor *executor)
{
  g_return_val_if_fail (HT_IS_EXECUTOR_GROUP (self) && HT_IS_EXECUTOR (executor), FALSE);

  HtExecutor *first = self->executors->len > 0 ? g_ptr_array_index (self->executors, 0) : executor;
  return executor->snapshot == first->snapshot && !g_ptr_array_find (self->executors, executor, NULL);
}

/**
 * ht_executor_group_add:
 * @self: a group that is not running
 * @executor: an executor that is not running
 * @error: return location for an error
 *
 * Adds an executor. All of a group are for one sealed graph: executors of a simulation are, and one made for
 * ht_simulation_get_graph().
 *
 * Returns: %TRUE, or %FALSE with %HT_ERROR_INVALID_ARGUMENT when it is for another graph or already in the group
 */
gboolean
ht_executor_group_add (HtExecutorGroup *self, HtExecutor *executor, GError **error)
{
  g_return_val_if_fail (HT_IS_EXECUTOR_GROUP (self) && HT_IS_EXECUTOR (executor), FALSE);

  HtExecutor *first = self->executors->len > 0 ? g_ptr_array_index (self->executors, 0) : executor;
  if (executor->snapshot != first->snapshot)
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
          "adding to a group of executors: found one for graph '%s', expected one for the very graph '%s' of the "
          "others; make both for one sealed graph",
          ht_graph_get_name (executor->snapshot), ht_graph_get_name (first->snapshot));
      return FALSE;
    }
  if (g_ptr_array_find (self->executors, executor, NULL))
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                           "adding to a group of executors: this one is in the group already; add each once");
      return FALSE;
    }
  g_ptr_array_add (self->executors, g_object_ref (executor));
  g_mutex_lock (&executor->lock);
  if (executor->store == NULL)
    executor->store = ht_exec_store_ref (self->store);
  g_mutex_unlock (&executor->lock);
  return TRUE;
}

/**
 * ht_executor_group_get_n_executors:
 * @self: a group
 *
 * Counts the executors.
 *
 * Returns: their number
 */
guint
ht_executor_group_get_n_executors (HtExecutorGroup *self)
{
  g_return_val_if_fail (HT_IS_EXECUTOR_GROUP (self), 0);
  return self->executors->len;
}

/**
 * ht_executor_group_get_work:
 * @self: a group that has run
 *
 * Tells how much sharing saved: the steps that the last run did, as a share of those that its executors have in all.
 *
 * Returns: a share, 1 where nothing was shared, 0 before the first run
 */
double
ht_executor_group_get_work (HtExecutorGroup *self)
{
  g_return_val_if_fail (HT_IS_EXECUTOR_GROUP (self), 0);
  return self->work;
}

/* ---- Who branches off where ---- */

/* A radix tree over step sequences: what lies beneath a node has the first `end` steps in common. */
typedef struct _Fork Fork;
struct _Fork
{
  guint end;
  guint variant;    /* any beneath */
  guint size;       /* how many are beneath */
  GPtrArray *forks; /* NULL: a single variant */
};

static void
fork_free (gpointer data)
{
  Fork *self = data;
  g_clear_pointer (&self->forks, g_ptr_array_unref);
  g_free (self);
}

static Fork *
fork_new (guint end, guint variant, guint size)
{
  Fork *self = g_new0 (Fork, 1);
  self->end = end;
  self->variant = variant;
  self->size = size;
  return self;
}

static Variant *
get_variant (HtExecutorGroup *self, guint index)
{
  return g_ptr_array_index (self->tree, index);
}

/* Deep trees are chains: hence the loop. */
static void
insert (HtExecutorGroup *self, Fork *root, guint index)
{
  const HtExecProfile *profile = get_variant (self, index)->profile;
  Fork *leaf = fork_new (profile->plan->steps->len, index, 1), *fork = root;

  for (;;)
    {
      guint common = 0, i;

      fork->size++;
      for (i = 0; i < fork->forks->len; i++)
        {
          Fork *child = g_ptr_array_index (fork->forks, i);
          common = ht_exec_profile_count_common (get_variant (self, child->variant)->profile, profile, fork->end);
          if (common > fork->end)
            break;
        }
      if (i == fork->forks->len)
        break;
      Fork *child = g_ptr_array_index (fork->forks, i);
      if (child->forks == NULL || common < child->end)
        {
          Fork *middle = fork_new (common, child->variant, child->size);
          middle->forks = g_ptr_array_new_with_free_func (fork_free);
          g_ptr_array_add (middle->forks, child);
          fork->forks->pdata[i] = middle;
          child = middle;
        }
      fork = child;
    }
  g_ptr_array_add (fork->forks, leaf);
}

/* The run that reaches the largest of the parts goes on; the others branch off it, so that few wait at a time. */
static guint
choose_runner (HtExecutorGroup *self, Fork *fork)
{
  guint heaviest = 0, runner;

  if (fork->forks == NULL)
    return fork->variant;
  for (guint i = 1; i < fork->forks->len; i++)
    if (((Fork *)g_ptr_array_index (fork->forks, i))->size > ((Fork *)g_ptr_array_index (fork->forks, heaviest))->size)
      heaviest = i;
  runner = choose_runner (self, g_ptr_array_index (fork->forks, heaviest));
  for (guint i = 0; i < fork->forks->len; i++)
    {
      if (i == heaviest)
        continue;
      guint other = choose_runner (self, g_ptr_array_index (fork->forks, i));
      Variant *branch = get_variant (self, other);
      branch->cut = fork->end;
      if (branch->cut > 0)
        g_array_append_val (get_variant (self, runner)->branches, other);
    }
  return runner;
}

static gint
compare_cuts (gconstpointer a, gconstpointer b, gpointer group)
{
  guint left = get_variant (group, *(const guint *)a)->cut, right = get_variant (group, *(const guint *)b)->cut;
  return left < right ? -1 : left > right ? 1 : 0;
}

/* A value that a branch still needs may be gone by then: it branches off earlier, or runs alone. */
static void
settle_branches (HtExecutorGroup *self)
{
  for (guint i = 0; i < self->tree->len; i++)
    {
      Variant *variant = get_variant (self, i);
      for (guint k = variant->branches->len; k-- > 0;)
        {
          Variant *branch = get_variant (self, g_array_index (variant->branches, guint, k));
          branch->cut = ht_exec_profile_find_cut (branch->profile, variant->profile, branch->cut);
          if (branch->cut > 0 && branch->cut >= variant->cut)
            continue;
          branch->cut = 0;
          g_array_remove_index (variant->branches, k);
        }
      g_array_sort_with_data (variant->branches, compare_cuts, self);
    }
}

static void
grow_tree (HtExecutorGroup *self)
{
  Fork *root = fork_new (0, 0, 0);

  root->forks = g_ptr_array_new_with_free_func (fork_free);
  for (guint i = 0; i < self->tree->len; i++)
    insert (self, root, i);
  choose_runner (self, root);
  fork_free (root);
  settle_branches (self);
}

/* Plans live as long as their executor's encodings stay as they are, and some runs more. */
static gboolean
is_current (HtExecutorGroup *self, GPtrArray *plans)
{
  if (self->tree->len != plans->len)
    return FALSE;
  for (guint i = 0; i < plans->len; i++)
    {
      Variant *variant = get_variant (self, i);
      HtExecPlan *plan = g_ptr_array_index (plans, i);
      if (variant->plan != plan || variant->serial != plan->serial
          || variant->encoding_changes != variant->executor->encoding_changes)
        return FALSE;
    }
  return TRUE;
}

static gboolean
plan_all (HtExecutorGroup *self, const HtExecRun *run, GError **error)
{
  g_autoptr (GPtrArray) plans = g_ptr_array_new ();
  guint n_steps = 0, n_run = 0;

  for (guint i = 0; i < self->executors->len; i++)
    {
      HtExecPlan *plan = ht_executor_find_plan (g_ptr_array_index (self->executors, i), run, NULL, error);
      if (plan == NULL)
        return FALSE;
      g_ptr_array_add (plans, plan);
    }
  if (!is_current (self, plans))
    {
      g_ptr_array_set_size (self->tree, 0);
      for (guint i = 0; i < plans->len; i++)
        {
          Variant *variant = g_new0 (Variant, 1);
          variant->executor = g_ptr_array_index (self->executors, i);
          variant->plan = g_ptr_array_index (plans, i);
          variant->serial = variant->plan->serial;
          variant->encoding_changes = variant->executor->encoding_changes;
          variant->profile
              = ht_exec_profile_new (variant->plan, variant->executor->snapshot, variant->executor->encodings);
          variant->branches = g_array_new (FALSE, FALSE, sizeof (guint));
          g_ptr_array_add (self->tree, variant);
        }
      grow_tree (self);
    }
  for (guint i = 0; i < self->tree->len; i++)
    {
      n_steps += get_variant (self, i)->plan->steps->len;
      n_run += get_variant (self, i)->plan->steps->len - get_variant (self, i)->cut;
    }
  self->work = n_steps > 0 ? (double)n_run / n_steps : 1;
  return TRUE;
}

/* ---- Running ---- */

typedef struct
{
  HtExecutorGroup *group;
  const HtExecRun *run;
  HtExecutorGroupFunc func;
  gpointer user_data;
} GroupRun;

/* Executors that do not run at the same time use the same memory. */
static void
lend_arena (HtExecutorGroup *self, HtExecutor *executor, guint depth)
{
  if (self->arenas->len == depth)
    g_ptr_array_add (self->arenas, g_new0 (Arena, 1));
  Arena *arena = g_ptr_array_index (self->arenas, depth);
  if (executor->arena_size > arena->size)
    {
      ht_executor_free_arena (arena->memory);
    }
  else
    {
      ht_executor_free_arena (executor->arena);
      executor->arena = arena->memory;
      executor->arena_size = arena->size;
    }
  arena->memory = NULL;
  arena->size = 0;
}

static void
take_arena_back (HtExecutorGroup *self, HtExecutor *executor, guint depth)
{
  Arena *arena = g_ptr_array_index (self->arenas, depth);
  arena->memory = g_steal_pointer (&executor->arena);
  arena->size = executor->arena_size;
  executor->arena_size = 0;
}

/* What the steps before the cut made, from the run that made it. */
static gboolean
copy_value (const HtExecProfile *from, const HtExecProfile *to, guint index, GError **error)
{
  const HtExecValue *value = ht_exec_plan_value (to->plan, index);
  HtTensor *made = from->plan->tensors[ht_exec_profile_find (to, from, index)];
  HtTensor **tensor = &to->plan->tensors[index];

  if (value->place == HT_EXEC_ARENA)
    memcpy ((*tensor)->data, made->data, value->size);
  else if (value->place == HT_EXEC_DYNAMIC && !value->is_wanted)
    *tensor = ht_tensor_ref (made);
  else
    *tensor = ht_tensor_copy (made, error);
  return *tensor != NULL;
}

static gboolean
take_over (HtExecState *state, const HtExecProfile *from, const Variant *variant, GError **error)
{
  for (guint i = 0; i < variant->plan->values->len; i++)
    {
      const HtExecValue *value = ht_exec_plan_value (variant->plan, i);
      if (value->place == HT_EXEC_GIVEN)
        variant->plan->tensors[i] = g_hash_table_lookup (state->run->given, value->name);
      else if (ht_exec_profile_needs (variant->profile, i, variant->cut)
               && !copy_value (from, variant->profile, i, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
finish (GroupRun *group_run, HtExecState *state, guint index, GError **error)
{
  g_autoptr (GHashTable) results = ht_exec_state_collect (state, error);
  return results && group_run->func (index, results, group_run->user_data, error);
}

static gboolean
run_variant (GroupRun *group_run, guint index, const HtExecProfile *from, guint depth, GError **error)
{
  HtExecutorGroup *self = group_run->group;
  Variant *variant = get_variant (self, index);
  HtExecState state = { variant->executor, group_run->run, variant->plan };
  guint next = 0, n_steps = variant->plan->steps->len;
  gboolean fine;

  lend_arena (self, variant->executor, depth);
  fine = ht_executor_ready_plan (variant->executor, variant->plan, error)
         && (from ? take_over (&state, from, variant, error) : ht_exec_state_enter (&state, error));
  for (guint i = variant->cut; i <= n_steps && fine; i++)
    {
      for (; next < variant->branches->len && fine; next++)
        {
          guint branch = g_array_index (variant->branches, guint, next);
          if (get_variant (self, branch)->cut != i)
            break;
          fine = run_variant (group_run, branch, variant->profile, depth + 1, error);
        }
      if (fine && i < n_steps)
        fine = ht_exec_state_run_step (&state, i, error);
    }
  fine = fine && finish (group_run, &state, index, error);
  ht_exec_state_leave (&state);
  take_arena_back (self, variant->executor, depth);
  return fine;
}

static gint
compare_addresses (gconstpointer a, gconstpointer b)
{
  const char *left = *(const char *const *)a, *right = *(const char *const *)b;
  return left < right ? -1 : left > right ? 1 : 0;
}

/* In one order everywhere, so that two groups with executors in common do not wait for each other. */
static gboolean
lock_all (GPtrArray *executors, GError **error)
{
  for (guint i = 0; i < executors->len; i++)
    {
      HtExecutor *executor = g_ptr_array_index (executors, i);
      if (g_atomic_pointer_get (&executor->running) == g_thread_self ())
        {
          g_set_error (
              error, HT_ERROR, HT_ERROR_CONFLICT,
              "running a group on graph '%s': one of its executors is running in this thread already; a tap must "
              "use another one",
              ht_graph_get_name (executor->snapshot));
          return FALSE;
        }
    }
  for (guint i = 0; i < executors->len; i++)
    {
      HtExecutor *executor = g_ptr_array_index (executors, i);
      g_mutex_lock (&executor->lock);
      g_atomic_pointer_set (&executor->running, g_thread_self ());
    }
  return TRUE;
}

static void
unlock_all (GPtrArray *executors)
{
  for (guint i = 0; i < executors->len; i++)
    {
      HtExecutor *executor = g_ptr_array_index (executors, i);
      g_atomic_pointer_set (&executor->running, NULL);
      g_mutex_unlock (&executor->lock);
    }
}

/**
 * ht_executor_group_run:
 * @self: a group
 * @inputs: (element-type utf8 HtTensor) (nullable): tensors by name, as for ht_executor_run()
 * @outputs: (array zero-terminated=1) (nullable): names of the wanted tensors, %NULL for the outputs of the graph
 * @func: (scope call): called with the results of each executor
 * @user_data: data for @func
 * @cancellable: (nullable): stops between two steps
 * @error: return location for an error
 *
 * Runs all executors on the same inputs. @func must not run executors of the group.
 *
 * Fails as ht_executor_run() does; results given to @func before are good.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_executor_group_run (HtExecutorGroup *self, GHashTable *inputs, const char *const *outputs, HtExecutorGroupFunc func,
                       gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_EXECUTOR_GROUP (self) && func != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (self->executors->len == 0)
    return TRUE;
  HtExecutor *first = g_ptr_array_index (self->executors, 0);
  g_autoptr (GHashTable) nothing = inputs ? NULL : g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();
  HtExecRun run = { .given = inputs ? inputs : nothing,
                    .outputs = outputs ? outputs : ht_graph_get_outputs (first->snapshot),
                    .cancellable = cancellable };
  GroupRun group_run = { self, &run, func, user_data };
  for (guint i = 0; i < self->executors->len; i++)
    g_ptr_array_add (sorted, g_ptr_array_index (self->executors, i));
  g_ptr_array_sort (sorted, compare_addresses);
  if (!lock_all (sorted, error))
    return FALSE;
  gboolean fine = ht_executor_check_request (first, &run, error) && plan_all (self, &run, error);
  for (guint i = 0; i < self->executors->len && fine; i++)
    if (get_variant (self, i)->cut == 0)
      fine = run_variant (&group_run, i, NULL, 0, error);
  unlock_all (sorted);
  return fine;
}
