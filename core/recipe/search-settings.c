/* SPDX-License-Identifier: MIT */
#include <halftone/search-settings.h>

#include <halftone/enums.h>

/**
 * HtSearchSettings:
 *
 * How a search goes about it, and what it may cost. Properties only; see `halftone recipe schema`.
 */
struct _HtSearchSettings
{
  GObject parent_instance;

  HtSearchStrategy strategy;
  HtSearchStop stop;
  guint64 seed;
  guint jobs;
  gboolean prune;
  guint restarts;
  double time;
  guint trials;
  guint64 memory;
};

G_DEFINE_FINAL_TYPE (HtSearchSettings, ht_search_settings, G_TYPE_OBJECT)

enum
{
  PROP_STRATEGY = 1,
  PROP_STOP,
  PROP_SEED,
  PROP_JOBS,
  PROP_PRUNE,
  PROP_RESTARTS,
  PROP_TIME,
  PROP_TRIALS,
  PROP_MEMORY,
};

static void
ht_search_settings_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtSearchSettings *self = HT_SEARCH_SETTINGS (object);

  switch (id)
    {
    case PROP_STRATEGY:
      self->strategy = (HtSearchStrategy)g_value_get_enum (value);
      break;
    case PROP_STOP:
      self->stop = (HtSearchStop)g_value_get_enum (value);
      break;
    case PROP_SEED:
      self->seed = g_value_get_uint64 (value);
      break;
    case PROP_JOBS:
      self->jobs = g_value_get_uint (value);
      break;
    case PROP_PRUNE:
      self->prune = g_value_get_boolean (value);
      break;
    case PROP_RESTARTS:
      self->restarts = g_value_get_uint (value);
      break;
    case PROP_TIME:
      self->time = g_value_get_double (value);
      break;
    case PROP_TRIALS:
      self->trials = g_value_get_uint (value);
      break;
    case PROP_MEMORY:
      self->memory = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_search_settings_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtSearchSettings *self = HT_SEARCH_SETTINGS (object);

  switch (id)
    {
    case PROP_STRATEGY:
      g_value_set_enum (value, (gint)self->strategy);
      break;
    case PROP_STOP:
      g_value_set_enum (value, (gint)self->stop);
      break;
    case PROP_SEED:
      g_value_set_uint64 (value, self->seed);
      break;
    case PROP_JOBS:
      g_value_set_uint (value, self->jobs);
      break;
    case PROP_PRUNE:
      g_value_set_boolean (value, self->prune);
      break;
    case PROP_RESTARTS:
      g_value_set_uint (value, self->restarts);
      break;
    case PROP_TIME:
      g_value_set_double (value, self->time);
      break;
    case PROP_TRIALS:
      g_value_set_uint (value, self->trials);
      break;
    case PROP_MEMORY:
      g_value_set_uint64 (value, self->memory);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_search_settings_class_init (HtSearchSettingsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamSpec *time, *memory;

  object_class->set_property = ht_search_settings_set_property;
  object_class->get_property = ht_search_settings_get_property;
  g_object_class_install_property (object_class, PROP_STRATEGY,
                                   g_param_spec_enum ("strategy", "Strategy", "How combinations are chosen",
                                                      HT_TYPE_SEARCH_STRATEGY, HT_SEARCH_STRATEGY_AUTO, HT_PARAM_RW));
  g_object_class_install_property (object_class, PROP_STOP,
                                   g_param_spec_enum ("stop", "Stop",
                                                      "Whether a candidate that meets all conditions ends the search",
                                                      HT_TYPE_SEARCH_STOP, HT_SEARCH_STOP_BUDGET, HT_PARAM_RW));
  g_object_class_install_property (object_class, PROP_SEED,
                                   g_param_spec_uint64 ("seed", "Seed", "Of random starts and samples of the search", 0,
                                                        G_MAXINT64, 0, HT_PARAM_RW));
  g_object_class_install_property (
      object_class, PROP_JOBS,
      g_param_spec_uint ("jobs", "Jobs", "Branches that are worked on at once", 1, 256, 1, HT_PARAM_RW));
  g_object_class_install_property (
      object_class, PROP_PRUNE,
      g_param_spec_boolean ("prune", "Prune",
                            "Whether branches are left out that exact weights would not lift over the best so far",
                            FALSE, HT_PARAM_RW));
  g_object_class_install_property (object_class, PROP_RESTARTS,
                                   g_param_spec_uint ("restarts", "Restarts",
                                                      "Further random starts of the greedy strategy", 0, 1000, 2,
                                                      HT_PARAM_RW));
  time = g_param_spec_double ("time", "Time", "Budget of time; 0: no limit", 0, 1e9, 0, HT_PARAM_RW);
  ht_param_spec_set_unit (time, "s");
  g_object_class_install_property (object_class, PROP_TIME, time);
  g_object_class_install_property (
      object_class, PROP_TRIALS,
      g_param_spec_uint ("trials", "Trials", "Budget of combinations; 0: no limit", 0, G_MAXINT32, 0, HT_PARAM_RW));
  memory = g_param_spec_uint64 ("memory", "Memory", "Budget of states and buffers in memory; 0: no limit", 0,
                                G_MAXINT64, 0, HT_PARAM_RW);
  ht_param_spec_set_unit (memory, "B");
  g_object_class_install_property (object_class, PROP_MEMORY, memory);
}

static void
ht_search_settings_init (HtSearchSettings *self)
{
}

/**
 * ht_search_settings_new:
 *
 * Makes settings with every property at its default.
 *
 * Returns: (transfer full): the settings
 */
HtSearchSettings *
ht_search_settings_new (void)
{
  return g_object_new (HT_TYPE_SEARCH_SETTINGS, NULL);
}

/**
 * ht_search_settings_get_strategy:
 * @self: settings
 *
 * Gets how combinations are chosen.
 *
 * Returns: the setting
 */
HtSearchStrategy
ht_search_settings_get_strategy (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), HT_SEARCH_STRATEGY_AUTO);
  return self->strategy;
}

/**
 * ht_search_settings_get_stop:
 * @self: settings
 *
 * Gets when the search ends.
 *
 * Returns: the setting
 */
HtSearchStop
ht_search_settings_get_stop (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), HT_SEARCH_STOP_BUDGET);
  return self->stop;
}

/**
 * ht_search_settings_get_seed:
 * @self: settings
 *
 * Gets the seed of random starts and samples of the search; those of steps come from the recipe.
 *
 * Returns: the setting
 */
guint64
ht_search_settings_get_seed (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), 0);
  return self->seed;
}

/**
 * ht_search_settings_get_jobs:
 * @self: settings
 *
 * Gets how many branches are worked on at once.
 *
 * Returns: the setting
 */
guint
ht_search_settings_get_jobs (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), 1);
  return self->jobs;
}

/**
 * ht_search_settings_get_prune:
 * @self: settings
 *
 * Gets whether hopeless branches are left out.
 *
 * Returns: the setting
 */
gboolean
ht_search_settings_get_prune (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), FALSE);
  return self->prune;
}

/**
 * ht_search_settings_get_restarts:
 * @self: settings
 *
 * Gets how many further random starts the greedy strategy makes.
 *
 * Returns: the setting
 */
guint
ht_search_settings_get_restarts (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), 0);
  return self->restarts;
}

/**
 * ht_search_settings_get_time:
 * @self: settings
 *
 * Gets the budget of time in seconds; 0 is no limit.
 *
 * Returns: the setting
 */
double
ht_search_settings_get_time (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), 0);
  return self->time;
}

/**
 * ht_search_settings_get_trials:
 * @self: settings
 *
 * Gets the budget of combinations; 0 is no limit.
 *
 * Returns: the setting
 */
guint
ht_search_settings_get_trials (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), 0);
  return self->trials;
}

/**
 * ht_search_settings_get_memory:
 * @self: settings
 *
 * Gets the budget of memory in bytes; 0 is no limit.
 *
 * Returns: the setting
 */
guint64
ht_search_settings_get_memory (HtSearchSettings *self)
{
  g_return_val_if_fail (HT_IS_SEARCH_SETTINGS (self), 0);
  return self->memory;
}
