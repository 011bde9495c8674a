/* SPDX-License-Identifier: MIT */
/* The section `search`: parameters of HtSearchSettings, and a budget in written-out units. */
#include "recipe/recipe-private.h"

#include <string.h>

static void
set_number (HtRecipeReader *reader, HtLocatedNode *node, const char *name, JsonNode *value)
{
  g_autoptr (JsonNode) owned = value;
  GError *error = NULL;

  if (!ht_object_set_param (G_OBJECT (reader->recipe->search), name, owned, &error))
    ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_OUT_OF_RANGE, error);
}

static void
read_time (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  double seconds;

  if (ht_recipe_read_duration (reader, value, &seconds))
    set_number (reader, value, "time", json_node_init_double (json_node_alloc (), seconds));
}

static void
read_memory (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  guint64 bytes;

  if (ht_recipe_read_bytes (reader, value, &bytes))
    set_number (reader, value, "memory", json_node_init_int (json_node_alloc (), (gint64)bytes));
}

static void
read_trials (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  guint trials;

  if (ht_recipe_read_count (reader, value, G_MAXINT32, &trials))
    set_number (reader, value, "trials", json_node_init_int (json_node_alloc (), trials));
}

static void
read_budget (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "time", read_time },
    { "trials", read_trials },
    { "memory", read_memory },
    { NULL, NULL },
  };

  ht_recipe_read_mapping (reader, value, "'budget'", keys, section);
}

/* One of the settings that are no budget; the value is checked as every parameter is. */
static void
read_setting (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  const char *name = ht_located_node_get_text (ht_located_node_get_own_key (value));
  g_autoptr (JsonNode) json = NULL;
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, value))
    return;
  json = ht_located_node_to_json (value, &error);
  if (json != NULL && ht_object_set_param (G_OBJECT (reader->recipe->search), name, json, &error))
    return;
  ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_UNKNOWN_VALUE, error);
}

void
ht_recipe_read_search (HtRecipeReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "strategy", read_setting }, { "budget", read_budget }, { "stop", read_setting },     { "seed", read_setting },
    { "jobs", read_setting },     { "prune", read_setting }, { "restarts", read_setting }, { NULL, NULL },
  };

  if (reader->recipe->search == NULL)
    reader->recipe->search = ht_search_settings_new ();
  ht_recipe_read_mapping (reader, node, "'search'", keys, NULL);
}
