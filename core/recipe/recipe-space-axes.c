/* SPDX-License-Identifier: MIT */
/* Finds the axes of a recipe: walks the located tree, where each choice is written. */
#include <math.h>
#include <string.h>

#include "recipe/recipe-space-private.h"

/* Trees over the steps are walked by recursion. */
#define MAX_STEPS 1000u
/* Of one choice; each is read once. */
#define MAX_VALUES 1000u

/* Where the walk is. */
typedef struct
{
  HtRecipeSpace *space;
  GPtrArray *problems;
  GPtrArray *found; /* HtSpaceAxis, in the order of the text */
  GHashTable *names;
  gint slot;
  HtPassReads half;
  GHashTable *takers; /* id -> number of the place of the pipeline that has it, from 1 */
} Walk;

static void walk_value (Walk *self, HtLocatedNode *node, const char *name, HtSpaceAxis *parent, guint parent_value);

void
ht_space_axis_free (gpointer axis)
{
  HtSpaceAxis *self = axis;

  g_free (self->name);
  g_ptr_array_unref (self->values);
  g_ptr_array_unref (self->children);
  g_free (self);
}

void
ht_space_slot_free (gpointer slot)
{
  HtSpaceSlot *self = slot;

  g_ptr_array_unref (self->alternatives);
  g_free (self);
}

double
ht_space_axis_get_number (const HtSpaceAxis *self, guint index)
{
  double number = self->low + index * self->step;

  if (self->kind != HT_AXIS_INTEGER && self->kind != HT_AXIS_NUMBER)
    return NAN;
  return MIN (number, self->high);
}

static void G_GNUC_PRINTF (4, 5) refuse (Walk *self, HtLocatedNode *node, gint code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  ht_located_node_report (node, self->problems, HT_SEVERITY_ERROR, code, "%s", message);
}

/* A name that no other axis has. */
static char *
make_name (Walk *self, const char *name)
{
  char *unique = g_strdup (name);

  for (guint n = 2; g_hash_table_contains (self->names, unique); n++)
    {
      g_free (unique);
      unique = g_strdup_printf ("%s-%u", name, n);
    }
  g_hash_table_add (self->names, g_strdup (unique));
  return unique;
}

static HtSpaceAxis *
add_axis (Walk *self, HtAxisKind kind, HtLocatedNode *node, const char *name, HtSpaceAxis *parent, guint parent_value)
{
  HtSpaceAxis *axis = g_new0 (HtSpaceAxis, 1);

  axis->name = make_name (self, name);
  axis->kind = kind;
  axis->node = node;
  axis->values = g_ptr_array_new ();
  axis->children = g_ptr_array_new ();
  axis->parent = parent;
  axis->parent_value = parent_value;
  axis->slot = self->slot;
  axis->half = self->half;
  g_ptr_array_add (self->found, axis);
  g_hash_table_insert (self->space->by_node, node, axis);
  return axis;
}

static void
drop (Walk *self, HtLocatedNode *node)
{
  g_hash_table_add (self->space->dropped, node);
}

/* Whether it is a list of at least one item; an item that is there twice is reported. */
static gboolean
check_list (Walk *self, HtLocatedNode *list, const char *what)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (ht_located_node_get_kind (list) != HT_LOCATED_SEQUENCE)
    {
      g_autofree char *found = ht_located_node_describe (list);

      refuse (self, list, HT_RECIPE_ERROR_WRONG_TYPE, "'%s' is %s, must be a list of what to choose from", what, found);
      return FALSE;
    }
  if (ht_located_node_get_n_children (list) == 0)
    {
      refuse (self, list, HT_RECIPE_ERROR_MISSING_KEY, "'%s' is empty: there is nothing to choose from", what);
      return FALSE;
    }
  if (ht_located_node_get_n_children (list) > MAX_VALUES)
    {
      refuse (self, list, HT_RECIPE_ERROR_OUT_OF_RANGE, "'%s' has %u items, at most %u are searched over", what,
              ht_located_node_get_n_children (list), MAX_VALUES);
      return FALSE;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (list); i++)
    {
      HtLocatedNode *item = ht_located_node_get_child (list, i);
      g_autoptr (JsonNode) json = ht_located_node_to_json (item, NULL);

      if (json != NULL && !g_hash_table_add (seen, json_to_string (json, FALSE)))
        refuse (self, item, HT_RECIPE_ERROR_DUPLICATE_KEY, "'%s' has this item twice: remove one", what);
    }
  return TRUE;
}

static gboolean
walk_choice (Walk *self, HtLocatedNode *node, HtLocatedNode *list, const char *name, HtSpaceAxis *parent,
             guint parent_value)
{
  HtSpaceAxis *axis;

  if (!check_list (self, list, "$choice"))
    return FALSE;
  axis = add_axis (self, HT_AXIS_CHOICE, node, name, parent, parent_value);
  axis->n_values = ht_located_node_get_n_children (list);
  for (guint i = 0; i < axis->n_values; i++)
    {
      HtLocatedNode *value = ht_located_node_get_child (list, i);

      g_ptr_array_add (axis->values, value);
      walk_value (self, value, name, axis, i);
    }
  return TRUE;
}

/* An end or the step of a range. */
static gboolean
read_number (Walk *self, HtLocatedNode *node, gboolean integer, double *value)
{
  GError *error = NULL;
  gint64 whole;

  if (!integer && ht_located_node_get_double (node, -G_MAXDOUBLE, G_MAXDOUBLE, value, &error))
    return TRUE;
  /* Up to 2^53 a double holds every integer. */
  if (integer
      && ht_located_node_get_int64 (node, -(G_GINT64_CONSTANT (1) << 53), G_GINT64_CONSTANT (1) << 53, &whole, &error))
    {
      *value = (double)whole;
      return TRUE;
    }
  ht_located_node_report_error (node, self->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
  return FALSE;
}

static gboolean
read_ends (Walk *self, HtLocatedNode *list, const char *what, gboolean integer, double *low, double *high)
{
  if (ht_located_node_get_kind (list) != HT_LOCATED_SEQUENCE || ht_located_node_get_n_children (list) != 2)
    {
      g_autofree char *found = ht_located_node_get_kind (list) == HT_LOCATED_SEQUENCE
                                   ? g_strdup_printf ("a list of %u items", ht_located_node_get_n_children (list))
                                   : ht_located_node_describe (list);

      refuse (self, list, HT_RECIPE_ERROR_WRONG_TYPE, "'%s' is %s, must be its two ends, as in [%s]", what, found,
              integer ? "1, 16" : "0.1, 0.9");
      return FALSE;
    }
  if (!read_number (self, ht_located_node_get_child (list, 0), integer, low)
      || !read_number (self, ht_located_node_get_child (list, 1), integer, high))
    return FALSE;
  if (*low < *high)
    return TRUE;
  refuse (self, list, HT_RECIPE_ERROR_OUT_OF_RANGE, "'%s' ends where it begins or before: the lower end comes first",
          what);
  return FALSE;
}

static gboolean
read_log (Walk *self, HtLocatedNode *node, HtSpaceAxis *axis)
{
  GError *error = NULL;

  if (!ht_located_node_get_boolean (node, &axis->log, &error))
    {
      ht_located_node_report_error (node, self->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return FALSE;
    }
  if (!axis->log || axis->low > 0)
    return TRUE;
  refuse (self, node, HT_RECIPE_ERROR_OUT_OF_RANGE, "a logarithmic range must begin above 0");
  return FALSE;
}

static gboolean
read_step (Walk *self, HtLocatedNode *node, HtSpaceAxis *axis)
{
  if (!read_number (self, node, axis->kind == HT_AXIS_INTEGER, &axis->step))
    return FALSE;
  if (axis->step > 0 && axis->step <= axis->high - axis->low)
    return TRUE;
  refuse (self, node, HT_RECIPE_ERROR_OUT_OF_RANGE, "'step' is %s, must be above 0 and not wider than the range",
          ht_located_node_get_text (node));
  return FALSE;
}

static gboolean
walk_range (Walk *self, HtLocatedNode *node, HtAxisKind kind, const char *name, HtSpaceAxis *parent, guint parent_value)
{
  const char *what = kind == HT_AXIS_INTEGER ? "$int" : "$float";
  HtLocatedNode *log = ht_located_node_lookup (node, "log", NULL);
  HtLocatedNode *step = ht_located_node_lookup (node, "step", NULL);
  HtSpaceAxis *axis;
  double low, high;

  if (!read_ends (self, ht_located_node_lookup (node, what, NULL), what, kind == HT_AXIS_INTEGER, &low, &high))
    return FALSE;
  axis = add_axis (self, kind, node, name, parent, parent_value);
  axis->low = low;
  axis->high = high;
  axis->step = kind == HT_AXIS_INTEGER ? 1 : 0;
  if ((step != NULL && !read_step (self, step, axis)) || (log != NULL && !read_log (self, log, axis)))
    return FALSE;
  if (axis->log && step != NULL)
    {
      refuse (self, step, HT_RECIPE_ERROR_CONFLICT,
              "'step' and 'log' exclude each other: a step is the same everywhere");
      return FALSE;
    }
  if (axis->step > 0 && (high - low) / axis->step >= G_MAXINT32)
    {
      refuse (self, node, HT_RECIPE_ERROR_OUT_OF_RANGE, "this range has too many values: give a greater 'step'");
      return FALSE;
    }
  /* A last step that only rounding keeps from the end counts. */
  axis->n_values = axis->step > 0 ? (guint)floor ((high - low) / axis->step + 1e-9) + 1 : 0;
  return TRUE;
}

static void
refuse_keys (Walk *self, HtLocatedNode *node, const char *what, const char *const *known)
{
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *key = ht_located_node_get_key_node (node, i);
      const char *word = ht_located_node_get_text (key);
      const char *near = ht_suggest (word, known);

      if (g_strv_contains (known, word))
        continue;
      g_autofree char *all = g_strjoinv (", ", (char **)known);
      refuse (self, key, HT_RECIPE_ERROR_UNKNOWN_KEY, "unknown key beside '%s': '%s'%s%s%s (known: %s)", what, word,
              near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "", all);
    }
}

/* A mapping that begins with $: TRUE, whatever becomes of it. */
static gboolean
walk_search (Walk *self, HtLocatedNode *node, const char *name, HtSpaceAxis *parent, guint parent_value)
{
  static const char *const choice_keys[] = { "$choice", NULL };
  static const char *const int_keys[] = { "$int", "step", "log", NULL };
  static const char *const float_keys[] = { "$float", "step", "log", NULL };
  const char *key;
  gboolean good;

  if (ht_located_node_get_kind (node) != HT_LOCATED_MAPPING || ht_located_node_get_n_children (node) == 0)
    return FALSE;
  key = ht_located_node_get_key (node, 0);
  if (strcmp (key, "$choice") == 0)
    {
      refuse_keys (self, node, key, choice_keys);
      good = walk_choice (self, node, ht_located_node_get_child (node, 0), name, parent, parent_value);
    }
  else if (strcmp (key, "$int") == 0 || strcmp (key, "$float") == 0)
    {
      gboolean integer = key[1] == 'i';

      refuse_keys (self, node, key, integer ? int_keys : float_keys);
      good = walk_range (self, node, integer ? HT_AXIS_INTEGER : HT_AXIS_NUMBER, name, parent, parent_value);
    }
  else
    return FALSE; /* the section's reader reports other words that begin with $ */
  if (!good)
    drop (self, node);
  return TRUE;
}

static void
walk_value (Walk *self, HtLocatedNode *node, const char *name, HtSpaceAxis *parent, guint parent_value)
{
  if (walk_search (self, node, name, parent, parent_value))
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      HtLocatedNode *child = ht_located_node_get_child (node, i);
      g_autofree char *below = ht_located_node_get_kind (node) == HT_LOCATED_MAPPING
                                   ? g_strdup_printf ("%s.%s", name, ht_located_node_get_key (node, i))
                                   : g_strdup_printf ("%s[%u]", name, i);

      walk_value (self, child, below, parent, parent_value);
    }
}

static void
walk_quantization (Walk *self, HtLocatedNode *node)
{
  self->slot = -1;
  if (ht_located_node_get_kind (node) != HT_LOCATED_MAPPING)
    return;
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    {
      const char *key = ht_located_node_get_key (node, i);
      g_autofree char *name = g_strdup_printf ("quantization.%s", key);

      /* Given encodings make another start, not another combination. */
      if (strcmp (key, "encodings") == 0)
        continue;
      self->half = strcmp (key, "weights") == 0 ? HT_PASS_READS_WEIGHT_SETTINGS
                   : strcmp (key, "activations") == 0
                       ? HT_PASS_READS_ACTIVATION_SETTINGS
                       : HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS;
      walk_value (self, ht_located_node_get_child (node, i), name, NULL, 0);
    }
}

/* The technique that an alternative names, or NULL where it is malformed. */
HtLocatedNode *
ht_recipe_space_find_use (HtLocatedNode *node)
{
  HtLocatedNode *use = NULL;

  if (ht_located_node_get_kind (node) == HT_LOCATED_STRING)
    use = node;
  else if (ht_located_node_get_kind (node) == HT_LOCATED_MAPPING && ht_recipe_is_long_step (node))
    use = ht_located_node_lookup (node, "use", NULL);
  else if (ht_located_node_get_kind (node) == HT_LOCATED_MAPPING && ht_located_node_get_n_children (node) == 1)
    use = ht_located_node_get_key_node (node, 0);
  if (use == NULL || ht_located_node_get_kind (use) != HT_LOCATED_STRING || *ht_located_node_get_text (use) == '$')
    return NULL;
  return use;
}

static HtLocatedNode *
find_params (HtLocatedNode *node)
{
  if (ht_located_node_get_kind (node) != HT_LOCATED_MAPPING)
    return NULL;
  if (ht_recipe_is_long_step (node))
    return ht_located_node_lookup (node, "with", NULL);
  return ht_located_node_get_n_children (node) == 1 ? ht_located_node_get_child (node, 0) : NULL;
}

static const char *
find_id (HtLocatedNode *node)
{
  HtLocatedNode *id
      = ht_located_node_get_kind (node) == HT_LOCATED_MAPPING ? ht_located_node_lookup (node, "id", NULL) : NULL;

  return id != NULL && ht_located_node_get_kind (id) == HT_LOCATED_STRING ? ht_located_node_get_text (id) : NULL;
}

static gboolean
is_none (HtLocatedNode *node)
{
  return ht_located_node_get_kind (node) == HT_LOCATED_STRING && strcmp (ht_located_node_get_text (node), "none") == 0;
}

/* Whether another place of the pipeline has a step of this id. */
static gboolean
is_taken (Walk *self, const char *id, guint slot)
{
  guint taker = GPOINTER_TO_UINT (g_hash_table_lookup (self->takers, id));

  return taker != 0 && taker - 1 != slot;
}

static void
take_id (Walk *self, HtLocatedNode *node, char *id, guint slot)
{
  g_hash_table_insert (self->space->ids, node, id);
  if (!g_hash_table_contains (self->takers, id))
    g_hash_table_insert (self->takers, id, GUINT_TO_POINTER (slot + 1));
}

static void
read_optional (Walk *self, HtLocatedNode *node, gboolean *optional)
{
  HtLocatedNode *value = ht_located_node_lookup (node, "optional", NULL);
  GError *error = NULL;

  if (value != NULL && !ht_located_node_get_boolean (value, optional, &error))
    ht_located_node_report_error (value, self->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
}

/* {id: …, one-of: […], optional: …} */
static void
read_alternatives (Walk *self, HtLocatedNode *node, HtLocatedNode *list, HtSpaceSlot *slot, gboolean *has_none)
{
  static const char *const known[] = { "id", "one-of", "optional", NULL };
  HtLocatedNode *key = NULL;

  refuse_keys (self, node, "one-of", known);
  if (!check_list (self, list, "one-of"))
    {
      drop (self, node);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (list); i++)
    {
      HtLocatedNode *entry = ht_located_node_get_child (list, i);

      if (is_none (entry))
        {
          *has_none = TRUE;
          g_ptr_array_add (slot->alternatives, NULL);
        }
      else if (ht_located_node_get_kind (entry) == HT_LOCATED_MAPPING
               && (ht_located_node_lookup (entry, "one-of", &key) != NULL
                   || ht_located_node_lookup (entry, "optional", &key) != NULL))
        refuse (self, key, HT_RECIPE_ERROR_UNKNOWN_KEY, "'%s' stands in a step, not in one of its alternatives%s",
                ht_located_node_get_text (key),
                strcmp (ht_located_node_get_text (key), "optional") == 0 ? ": add 'none' to the list" : "");
      else
        g_ptr_array_add (slot->alternatives, entry);
    }
}

/* "adaround|bias-correction" */
static char *
name_slot (HtSpaceSlot *slot, const char *id)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new ();

  if (id != NULL)
    return g_strdup (id);
  for (guint i = 0; i < slot->alternatives->len; i++)
    {
      HtLocatedNode *node = g_ptr_array_index (slot->alternatives, i),
                    *use = node != NULL ? ht_recipe_space_find_use (node) : NULL;

      if (use != NULL && !g_ptr_array_find_with_equal_func (words, ht_located_node_get_text (use), g_str_equal, NULL))
        g_ptr_array_add (words, (gpointer)ht_located_node_get_text (use));
    }
  g_ptr_array_add (words, NULL);
  return words->len > 1 ? g_strjoinv ("|", (char **)words->pdata) : g_strdup ("step");
}

/* Where an id is given first. */
static guint
find_line (Walk *self, const char *id)
{
  HtSpaceSlot *slot
      = g_ptr_array_index (self->space->slots, GPOINTER_TO_UINT (g_hash_table_lookup (self->takers, id)) - 1);

  for (guint i = 0; i < slot->alternatives->len; i++)
    {
      HtLocatedNode *node = g_ptr_array_index (slot->alternatives, i);
      const char *own = node != NULL ? find_id (node) : NULL;

      if (own != NULL && strcmp (own, id) == 0)
        return ht_located_node_get_line (ht_located_node_lookup (node, "id", NULL));
    }
  return ht_located_node_get_line (ht_located_node_lookup (slot->node, "id", NULL));
}

/* Ids that are given; those of a place of the pipeline hold for all of its alternatives without one of their own. */
static void
take_given_ids (Walk *self, HtSpaceSlot *slot, guint number)
{
  const char *common = find_id (slot->node);

  for (guint i = 0; i < slot->alternatives->len; i++)
    {
      HtLocatedNode *node = g_ptr_array_index (slot->alternatives, i);
      const char *own = node != NULL ? find_id (node) : NULL;
      const char *id = own != NULL ? own : common;

      if (node == NULL || id == NULL || !ht_recipe_is_step_id (id))
        continue;
      if (is_taken (self, id, number))
        refuse (self, ht_located_node_lookup (own != NULL ? node : slot->node, "id", NULL),
                HT_RECIPE_ERROR_DUPLICATE_KEY, "the step id '%s' is given twice, first in line %u: rename one", id,
                find_line (self, id));
      take_id (self, node, g_strdup (id), number);
    }
}

/* The others are called after their technique, numbered where another place of the pipeline has it already, whether or
 * not both are in the same combination: an id, and with it the random numbers of a step, depends on no other choice. */
static void
make_ids (Walk *self, HtSpaceSlot *slot, guint number)
{
  for (guint i = 0; i < slot->alternatives->len; i++)
    {
      HtLocatedNode *node = g_ptr_array_index (slot->alternatives, i),
                    *use = node != NULL ? ht_recipe_space_find_use (node) : NULL;
      char *id;

      if (use == NULL || g_hash_table_contains (self->space->ids, node))
        continue;
      id = g_strdup (ht_located_node_get_text (use));
      for (guint n = 2; is_taken (self, id, number); n++)
        {
          g_free (id);
          id = g_strdup_printf ("%s-%u", ht_located_node_get_text (use), n);
        }
      take_id (self, node, id, number);
    }
}

static void
read_slot (Walk *self, HtLocatedNode *node)
{
  HtSpaceSlot *slot = g_new0 (HtSpaceSlot, 1);
  HtLocatedNode *list = NULL, *id = NULL;
  gboolean optional = FALSE, has_none = FALSE;
  guint number = self->space->slots->len;

  slot->node = node;
  slot->alternatives = g_ptr_array_new ();
  g_ptr_array_add (self->space->slots, slot);
  if (ht_located_node_get_kind (node) == HT_LOCATED_MAPPING)
    {
      list = ht_located_node_lookup (node, "one-of", NULL);
      id = ht_located_node_lookup (node, "id", NULL);
      read_optional (self, node, &optional);
    }
  if (ht_located_node_get_kind (node) == HT_LOCATED_MAPPING && ht_located_node_lookup (node, "$choice", NULL) != NULL)
    {
      refuse (self, node, HT_RECIPE_ERROR_UNKNOWN_KEY, "a step is chosen by one-of: [technique, {use: …}, none]");
      drop (self, node);
    }
  if (list != NULL)
    read_alternatives (self, node, list, slot, &has_none);
  else
    g_ptr_array_add (slot->alternatives, node);
  if (list != NULL && id != NULL && (find_id (node) == NULL || !ht_recipe_is_step_id (find_id (node))))
    refuse (self, id, HT_RECIPE_ERROR_UNKNOWN_VALUE,
            "the step id must be a letter followed by letters, digits, '-' and '_'");
  if (optional && !has_none && slot->alternatives->len > 0)
    g_ptr_array_add (slot->alternatives, NULL);
  take_given_ids (self, slot, number);
}

static gboolean
has_axes (const HtSpaceSlot *slot)
{
  return slot->alternatives->len > 1 || slot->alternatives->len == 0
         || g_ptr_array_index (slot->alternatives, 0) != slot->node;
}

static HtPassReads
get_reads (Walk *self, const char *technique)
{
  g_autoptr (HtPass) pass = ht_pass_registry_create (self->space->registry, technique, NULL);

  return pass != NULL ? ht_pass_class_get_reads (HT_PASS_GET_CLASS (pass)) : HT_PASS_READS_NOTHING;
}

static void
walk_slot (Walk *self, HtSpaceSlot *slot, guint number)
{
  g_autofree char *name = NULL;

  self->slot = (gint)number;
  self->half = HT_PASS_READS_NOTHING;
  make_ids (self, slot, number);
  name = name_slot (slot, g_hash_table_contains (self->space->ids, slot->node)
                              ? g_hash_table_lookup (self->space->ids, slot->node)
                              : find_id (slot->node));
  if (has_axes (slot))
    {
      slot->axis = add_axis (self, HT_AXIS_STEP, slot->node, name, NULL, 0);
      slot->axis->n_values = slot->alternatives->len;
    }
  for (guint i = 0; i < slot->alternatives->len; i++)
    {
      HtLocatedNode *node = g_ptr_array_index (slot->alternatives, i);
      HtLocatedNode *use = node != NULL ? ht_recipe_space_find_use (node) : NULL,
                    *params = node != NULL ? find_params (node) : NULL;
      const char *id = node != NULL ? g_hash_table_lookup (self->space->ids, node) : NULL;

      if (slot->axis != NULL)
        g_ptr_array_add (slot->axis->values, node);
      if (use != NULL)
        slot->reads |= get_reads (self, ht_located_node_get_text (use));
      if (params != NULL && id != NULL)
        walk_value (self, params, id, slot->axis, i);
    }
}

static void
walk_pipeline (Walk *self, HtLocatedNode *node)
{
  if (ht_located_node_get_kind (node) != HT_LOCATED_SEQUENCE)
    return;
  if (ht_located_node_get_n_children (node) > MAX_STEPS)
    {
      refuse (self, node, HT_RECIPE_ERROR_OUT_OF_RANGE, "the pipeline has %u steps, at most %u are searched over",
              ht_located_node_get_n_children (node), MAX_STEPS);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
    read_slot (self, ht_located_node_get_child (node, i));
  for (guint i = 0; i < self->space->slots->len; i++)
    walk_slot (self, g_ptr_array_index (self->space->slots, i), i);
}

static void
take_axis (HtRecipeSpace *self, HtSpaceAxis *axis)
{
  axis->index = self->axes->len;
  g_ptr_array_add (self->axes, axis);
  for (guint i = 0; i < axis->children->len; i++)
    take_axis (self, g_ptr_array_index (axis->children, i));
}

static void
take_roots (HtRecipeSpace *self, GPtrArray *found, gint slot, HtPassReads halves)
{
  for (guint i = 0; i < found->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (found, i);

      if (axis->parent != NULL || axis->slot != slot || (slot < 0 && halves != 0 && (axis->half & halves) == 0)
          || g_ptr_array_find (self->roots, axis, NULL))
        continue;
      g_ptr_array_add (self->roots, axis);
      take_axis (self, axis);
    }
}

/* Depth-first: what a step looks at varies slower than what only later ones do. */
static void
order_axes (HtRecipeSpace *self, GPtrArray *found)
{
  const HtPassReads settings = HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS;

  for (guint i = 0; i < found->len; i++)
    {
      HtSpaceAxis *axis = g_ptr_array_index (found, i);

      if (axis->parent != NULL)
        g_ptr_array_add (axis->parent->children, axis);
    }
  for (guint i = 0; i < self->slots->len; i++)
    {
      HtPassReads reads = ((HtSpaceSlot *)g_ptr_array_index (self->slots, i))->reads & settings;

      if (reads != 0)
        take_roots (self, found, -1, reads);
      take_roots (self, found, (gint)i, 0);
    }
  take_roots (self, found, -1, 0);
}

void
ht_recipe_space_find_axes (HtRecipeSpace *self, GPtrArray *problems)
{
  HtLocatedNode *root = ht_located_document_get_root (self->document);
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) takers = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  Walk walk = { .space = self, .problems = problems, .found = found, .names = names, .takers = takers };

  self->quantization = ht_located_node_lookup (root, "quantization", NULL);
  self->pipeline = ht_located_node_lookup (root, "pipeline", NULL);
  if (self->pipeline != NULL)
    walk_pipeline (&walk, self->pipeline);
  if (self->quantization != NULL)
    walk_quantization (&walk, self->quantization);
  order_axes (self, found);
  ht_recipe_space_count (self);
}
