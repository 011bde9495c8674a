/* SPDX-License-Identifier: MIT */
/* The prefix tree of a space: which steps its legal combinations share. */
#include <halftone/search-plan.h>
#include <string.h>

#include "quant/quantization-config.h"

/* Larger spaces are looked at in a sample. */
#define MAX_COMPLETE 100000
#define SAMPLE       2000

typedef struct
{
  char *law;
  guint64 n_excluded;
} Law;

/* A step after the steps above it. */
typedef struct _Node Node;
struct _Node
{
  Node *parent;
  guint depth;
  HtPassReads reads; /* of the step and of those above it */
  char *label;
  guint64 n_combinations;
  GPtrArray *children;
};

/**
 * HtSearchPlan:
 *
 * Counts of what a search over all legal combinations of a space would do. Steps are counted as the search counts them:
 * two combinations share a step where it has the same technique, id and parameters, follows the same steps, and what it
 * declares to read of the settings is the same. No model and no data is opened.
 */
struct _HtSearchPlan
{
  GObject parent_instance;

  HtRecipeSpace *space;
  guint64 n_looked_at;
  guint64 n_legal;
  guint64 n_steps_apart;
  guint depth;
  gboolean complete;
  GPtrArray *laws; /* Law */
  GHashTable *by_law;
  Node *root;
  GHashTable *nodes;  /* what tells a step apart -> Node, not owned */
  GHashTable *leaves; /* what tells an evaluation apart */
  GHashTable *hashes; /* "config half" -> interned hash of its settings */
  GHashTable *alive;  /* axis and value of a legal combination */
  GHashTable *seen;   /* of any */
};

G_DEFINE_FINAL_TYPE (HtSearchPlan, ht_search_plan, G_TYPE_OBJECT)

static void
law_free (gpointer data)
{
  Law *law = data;

  g_free (law->law);
  g_free (law);
}

static void
node_free (gpointer data)
{
  Node *node = data;

  g_ptr_array_unref (node->children);
  g_free (node->label);
  g_free (node);
}

static Node *
node_new (Node *parent, char *label)
{
  Node *node = g_new0 (Node, 1);

  node->parent = parent;
  node->label = label;
  node->depth = parent != NULL ? parent->depth + 1 : 0;
  node->children = g_ptr_array_new_with_free_func (node_free);
  if (parent != NULL)
    g_ptr_array_add (parent->children, node);
  return node;
}

static void
ht_search_plan_finalize (GObject *object)
{
  HtSearchPlan *self = HT_SEARCH_PLAN (object);

  g_clear_object (&self->space);
  g_ptr_array_unref (self->laws);
  g_hash_table_unref (self->by_law);
  g_hash_table_unref (self->nodes);
  g_hash_table_unref (self->leaves);
  g_hash_table_unref (self->hashes);
  g_hash_table_unref (self->alive);
  g_hash_table_unref (self->seen);
  node_free (self->root);
  G_OBJECT_CLASS (ht_search_plan_parent_class)->finalize (object);
}

static void
ht_search_plan_class_init (HtSearchPlanClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_search_plan_finalize;
}

static void
ht_search_plan_init (HtSearchPlan *self)
{
  self->laws = g_ptr_array_new_with_free_func (law_free);
  self->by_law = g_hash_table_new (g_str_hash, g_str_equal);
  self->nodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->leaves = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->hashes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->alive = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  self->seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  self->root = node_new (NULL, NULL);
}

/* Settings that say the same have the same pointer. */
static const char *
hash_settings (HtSearchPlan *self, HtQuantizationConfig *config, HtPassReads reads)
{
  gboolean weights = (reads & HT_PASS_READS_WEIGHT_SETTINGS) != 0;
  gboolean activations = (reads & HT_PASS_READS_ACTIVATION_SETTINGS) != 0;
  g_autofree char *key = NULL, *hash = NULL;
  const char *known;

  if (!weights && !activations)
    return "";
  key = g_strdup_printf ("%p %d %d", (void *)config, weights, activations);
  known = g_hash_table_lookup (self->hashes, key);
  if (known != NULL)
    return known;
  hash = ht_quantization_config_hash (config, weights, activations);
  known = g_intern_string (hash);
  g_hash_table_insert (self->hashes, g_steal_pointer (&key), (gpointer)known);
  return known;
}

static gboolean
axis_is_of (const char *axis, const char *id, HtPassReads reads)
{
  gsize length = strlen (id);

  if (strncmp (axis, id, length) == 0 && axis[length] == '.')
    return TRUE;
  if (g_str_has_prefix (axis, "quantization.weights"))
    return (reads & HT_PASS_READS_WEIGHT_SETTINGS) != 0;
  if (g_str_has_prefix (axis, "quantization.activations"))
    return (reads & HT_PASS_READS_ACTIVATION_SETTINGS) != 0;
  return g_str_has_prefix (axis, "quantization.")
         && (reads & (HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS)) != 0;
}

/* "round (adaround), round.iterations: 2000, quantization.weights.bits: 4": the choices that this step depends on, and
 * no step above it. */
static char *
make_label (HtSearchPlan *self, HtCombination *combination, const char *id, HtPass *pass, HtPassReads reads)
{
  const char *technique = ht_pass_class_get_id (HT_PASS_GET_CLASS (pass));
  GString *label = g_string_new (id);

  if (strcmp (id, technique) != 0)
    g_string_append_printf (label, " (%s)", technique);
  for (guint i = 0; i < ht_recipe_space_get_n_axes (self->space); i++)
    {
      const char *axis = ht_recipe_space_get_axis_name (self->space, i);

      if (ht_combination_is_active (combination, i) && axis_is_of (axis, id, reads))
        {
          g_autofree char *value = ht_recipe_space_format_value (self->space, combination, i);

          g_string_append_printf (label, ", %s: %s", axis, value);
        }
    }
  return g_string_free (label, FALSE);
}

static void
add_legal (HtSearchPlan *self, HtCombination *combination)
{
  g_autoptr (HtPlan) plan = ht_recipe_space_create_plan (self->space, combination);
  HtQuantizationConfig *config = ht_recipe_space_get_quantization (self->space, combination);
  Node *at = self->root;

  at->n_combinations++;
  for (guint i = 0; i < ht_plan_get_n_steps (plan); i++)
    {
      HtPass *pass = ht_plan_get_step_pass (plan, i);
      HtPassReads reads = ht_pass_get_reads (pass, config);
      char *key
          = g_strdup_printf ("%p %p %p", (void *)at, (void *)pass, (const void *)hash_settings (self, config, reads));
      Node *next = g_hash_table_lookup (self->nodes, key);

      if (next == NULL)
        {
          next = node_new (at, make_label (self, combination, ht_plan_get_step_id (plan, i), pass, reads & ~at->reads));
          next->reads = at->reads | reads;
          g_hash_table_insert (self->nodes, key, next);
        }
      else
        g_free (key);
      at = next;
      at->n_combinations++;
    }
  self->n_steps_apart += ht_plan_get_n_steps (plan);
  self->depth = MAX (self->depth, ht_plan_get_n_steps (plan));
  g_hash_table_add (
      self->leaves,
      g_strdup_printf ("%p %p", (void *)at,
                       (const void *)hash_settings (
                           self, config, HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS)));
}

static void
add_law (HtSearchPlan *self, char *law)
{
  Law *known = g_hash_table_lookup (self->by_law, law);

  if (known == NULL)
    {
      known = g_new0 (Law, 1);
      known->law = g_strdup (law);
      g_ptr_array_add (self->laws, known);
      g_hash_table_insert (self->by_law, known->law, known);
    }
  known->n_excluded++;
}

static void
note_values (HtSearchPlan *self, HtCombination *combination, GHashTable *values)
{
  for (guint i = 0; i < ht_recipe_space_get_n_axes (self->space); i++)
    {
      guint64 value = ((guint64)i << 32) | ht_combination_get_index (combination, i);

      if (ht_combination_is_active (combination, i) && !g_hash_table_contains (values, &value))
        g_hash_table_add (values, g_memdup2 (&value, sizeof value));
    }
}

static gint
compare_laws (gconstpointer a, gconstpointer b)
{
  const Law *first = *(Law *const *)a, *second = *(Law *const *)b;

  if (first->n_excluded != second->n_excluded)
    return first->n_excluded > second->n_excluded ? -1 : 1;
  return strcmp (first->law, second->law);
}

/**
 * ht_search_plan_new:
 * @space: a space
 *
 * Looks at all combinations of a space; of one that is continuous or has more than 100,000, at 2,000 drawn at random.
 *
 * Returns: (transfer full): what was found
 */
HtSearchPlan *
ht_search_plan_new (HtRecipeSpace *space)
{
  HtSearchPlan *self;
  guint64 n_all;
  g_autoptr (GRand) random = g_rand_new_with_seed (0);

  g_return_val_if_fail (HT_IS_RECIPE_SPACE (space), NULL);

  self = g_object_new (HT_TYPE_SEARCH_PLAN, NULL);
  self->space = g_object_ref (space);
  n_all = ht_recipe_space_get_n_combinations (space);
  self->complete = n_all <= MAX_COMPLETE;
  self->n_looked_at = self->complete ? n_all : SAMPLE;
  for (guint64 i = 0; i < self->n_looked_at; i++)
    {
      g_autoptr (HtCombination) combination
          = self->complete ? ht_recipe_space_get_nth (space, i) : ht_recipe_space_random (space, random);
      g_autofree char *law = NULL;

      note_values (self, combination, self->seen);
      if (!ht_recipe_space_is_legal (space, combination, &law))
        {
          add_law (self, law);
          continue;
        }
      self->n_legal++;
      note_values (self, combination, self->alive);
      add_legal (self, combination);
    }
  g_ptr_array_sort (self->laws, compare_laws);
  return self;
}

/**
 * ht_search_plan_get_n_looked_at:
 * @self: a search plan
 *
 * Counts the combinations that all other counts are of.
 *
 * Returns: how many there are
 */
guint64
ht_search_plan_get_n_looked_at (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return self->n_looked_at;
}

/**
 * ht_search_plan_is_complete:
 * @self: a search plan
 *
 * Tells whether all combinations were looked at.
 *
 * Returns: %TRUE if so; %FALSE for a sample
 */
gboolean
ht_search_plan_is_complete (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), FALSE);
  return self->complete;
}

/**
 * ht_search_plan_get_n_legal:
 * @self: a search plan
 *
 * Counts the legal combinations.
 *
 * Returns: how many there are
 */
guint64
ht_search_plan_get_n_legal (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return self->n_legal;
}

/**
 * ht_search_plan_get_n_laws:
 * @self: a search plan
 *
 * Counts the laws that exclude combinations.
 *
 * Returns: how many there are
 */
guint
ht_search_plan_get_n_laws (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return self->laws->len;
}

/**
 * ht_search_plan_get_law:
 * @self: a search plan
 * @index: which law
 * @n_excluded: (out) (optional): how many combinations it excludes
 *
 * Gets a law, the one first that excludes most. A combination that breaks several counts for the first one.
 *
 * Returns: (transfer none): the law, as a sentence
 */
const char *
ht_search_plan_get_law (HtSearchPlan *self, guint index, guint64 *n_excluded)
{
  Law *law;

  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), NULL);
  g_return_val_if_fail (index < self->laws->len, NULL);
  law = g_ptr_array_index (self->laws, index);
  if (n_excluded != NULL)
    *n_excluded = law->n_excluded;
  return law->law;
}

/**
 * ht_search_plan_get_n_steps:
 * @self: a search plan
 *
 * Counts the steps that are carried out: the nodes of the prefix tree.
 *
 * Returns: how many there are
 */
guint64
ht_search_plan_get_n_steps (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return g_hash_table_size (self->nodes);
}

/**
 * ht_search_plan_get_n_steps_apart:
 * @self: a search plan
 *
 * Counts the steps that would be carried out if every combination were run on its own.
 *
 * Returns: how many there are
 */
guint64
ht_search_plan_get_n_steps_apart (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return self->n_steps_apart;
}

/**
 * ht_search_plan_get_n_evaluations:
 * @self: a search plan
 *
 * Counts the calibrations and evaluations: distinct states under distinct settings.
 *
 * Returns: how many there are
 */
guint64
ht_search_plan_get_n_evaluations (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return g_hash_table_size (self->leaves);
}

/**
 * ht_search_plan_get_depth:
 * @self: a search plan
 *
 * Gets the length of the longest legal pipeline.
 *
 * Returns: its steps
 */
guint
ht_search_plan_get_depth (HtSearchPlan *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), 0);
  return self->depth;
}

/**
 * ht_search_plan_list_dead:
 * @self: a search plan
 *
 * Lists the values that no legal combination has: "round: stain". Branches that can be removed from the recipe.
 *
 * Returns: (transfer full) (array zero-terminated=1): the values; none where only a sample was looked at
 */
char **
ht_search_plan_list_dead (HtSearchPlan *self)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), NULL);
  for (guint i = 0; self->complete && i < ht_recipe_space_get_n_axes (self->space); i++)
    for (guint k = 0; k < ht_recipe_space_get_axis_n_values (self->space, i); k++)
      {
        guint64 value = ((guint64)i << 32) | k;
        g_autofree char *word = NULL, *text = NULL;

        if (g_hash_table_contains (self->alive, &value) || !g_hash_table_contains (self->seen, &value))
          continue;
        word = ht_recipe_space_format_axis_value (self->space, i, k);
        text = g_strdup_printf ("%s: %s", ht_recipe_space_get_axis_name (self->space, i), word);
        g_strv_builder_add (builder, text);
      }
  return g_strv_builder_end (builder);
}

static void
list_node (const Node *node, GPtrArray *lines, guint max_lines)
{
  if (node->parent != NULL)
    g_ptr_array_add (lines, g_strdup_printf ("%*s%s  [%" G_GUINT64_FORMAT "]", (int)(2 * (node->depth - 1)), "",
                                             node->label, node->n_combinations));
  for (guint i = 0; i < node->children->len && lines->len < max_lines; i++)
    list_node (g_ptr_array_index (node->children, i), lines, max_lines);
}

/**
 * ht_search_plan_list_tree:
 * @self: a search plan
 * @max_lines: how many lines to write
 *
 * Writes the prefix tree: a line for each step that is carried out, indented by its depth, with the choices that it
 * depends on and the number of combinations that share it.
 *
 * Returns: (transfer full) (array zero-terminated=1): the lines
 */
char **
ht_search_plan_list_tree (HtSearchPlan *self, guint max_lines)
{
  g_autoptr (GPtrArray) lines = NULL;

  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), NULL);
  lines = g_ptr_array_new ();
  list_node (self->root, lines, max_lines);
  g_ptr_array_add (lines, NULL);
  return (char **)g_ptr_array_steal (lines, NULL);
}

static JsonNode *
node_to_json (const Node *node)
{
  JsonArray *steps = json_array_new ();
  JsonNode *json = json_node_new (JSON_NODE_ARRAY);

  for (guint i = 0; i < node->children->len; i++)
    {
      const Node *child = g_ptr_array_index (node->children, i);
      JsonObject *step = json_object_new ();

      json_object_set_string_member (step, "step", child->label);
      json_object_set_int_member (step, "combinations", (gint64)child->n_combinations);
      json_object_set_member (step, "steps", node_to_json (child));
      json_array_add_object_element (steps, step);
    }
  json_node_take_array (json, steps);
  return json;
}

/**
 * ht_search_plan_to_json:
 * @self: a search plan
 *
 * Writes all of it for programs.
 *
 * Returns: (transfer full): an object
 */
JsonNode *
ht_search_plan_to_json (HtSearchPlan *self)
{
  JsonObject *object;
  JsonArray *laws, *dead;
  g_auto (GStrv) values = NULL;
  JsonNode *node;
  guint64 n_all;

  g_return_val_if_fail (HT_IS_SEARCH_PLAN (self), NULL);

  object = json_object_new ();
  n_all = ht_recipe_space_get_n_combinations (self->space);
  if (n_all <= G_MAXINT64)
    json_object_set_int_member (object, "combinations", (gint64)n_all);
  json_object_set_int_member (object, "looked-at", (gint64)self->n_looked_at);
  json_object_set_int_member (object, "legal", (gint64)self->n_legal);
  laws = json_array_new ();
  for (guint i = 0; i < self->laws->len; i++)
    {
      Law *law = g_ptr_array_index (self->laws, i);
      JsonObject *item = json_object_new ();

      json_object_set_string_member (item, "law", law->law);
      json_object_set_int_member (item, "excluded", (gint64)law->n_excluded);
      json_array_add_object_element (laws, item);
    }
  json_object_set_array_member (object, "laws", laws);
  json_object_set_int_member (object, "executions", (gint64)ht_search_plan_get_n_steps (self));
  json_object_set_int_member (object, "executions-apart", (gint64)self->n_steps_apart);
  json_object_set_int_member (object, "evaluations", (gint64)ht_search_plan_get_n_evaluations (self));
  dead = json_array_new ();
  values = ht_search_plan_list_dead (self);
  for (guint i = 0; values[i] != NULL; i++)
    json_array_add_string_element (dead, values[i]);
  json_object_set_array_member (object, "dead", dead);
  json_object_set_member (object, "tree", node_to_json (self->root));
  node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  return node;
}
