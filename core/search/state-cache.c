/* SPDX-License-Identifier: MIT */
#include "search/state-cache.h"

/* What a node and its names take, about. */
#define NODE_BYTES 1024

typedef struct
{
  HtModelState *state;
  JsonNode *report;
  double seconds;
  gboolean may_drop;
  GPtrArray *tensors; /* HtTensor, each once */
  guint64 own_bytes;  /* besides the tensors */
  GList link;         /* of the order of use; data: the key */
} Entry;

struct _HtStateCache
{
  guint64 budget;
  guint64 bytes;
  GHashTable *entries; /* key -> Entry */
  GHashTable *tensors; /* HtTensor -> how many entries have it */
  GQueue order;        /* keys, the most recently used first */
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_object_unref (entry->state);
  g_clear_pointer (&entry->report, json_node_unref);
  g_ptr_array_unref (entry->tensors);
  g_free (entry);
}

HtStateCache *
ht_state_cache_new (guint64 budget)
{
  HtStateCache *self = g_new0 (HtStateCache, 1);

  self->budget = budget;
  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, entry_free);
  self->tensors = g_hash_table_new (NULL, NULL);
  g_queue_init (&self->order);
  return self;
}

void
ht_state_cache_free (HtStateCache *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->entries);
  g_hash_table_unref (self->tensors);
  g_free (self);
}

/* States are copied on write: most of their tensors are those of their parents. */
static void
collect (Entry *entry, HtGraph *graph, GHashTable *seen)
{
  g_auto (GStrv) names = ht_graph_list_initializers (graph);

  for (gsize i = 0; names[i] != NULL; i++)
    {
      HtTensor *tensor = ht_graph_get_initializer (graph, names[i]);
      if (g_hash_table_add (seen, tensor))
        g_ptr_array_add (entry->tensors, ht_tensor_ref (tensor));
    }
  entry->own_bytes += (guint64)ht_graph_get_n_nodes (graph) * NODE_BYTES;
}

static Entry *
make_entry (HtModelState *state, JsonNode *report, double seconds, gboolean may_drop)
{
  Entry *entry = g_new0 (Entry, 1);
  g_autoptr (GPtrArray) networks = ht_model_state_list_networks (state);
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  entry->state = g_object_ref (state);
  entry->report = report != NULL ? json_node_copy (report) : NULL;
  entry->seconds = seconds;
  entry->may_drop = may_drop;
  entry->tensors = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_tensor_unref);
  for (guint i = 0; i < networks->len; i++)
    collect (entry, g_ptr_array_index (networks, i), seen);
  return entry;
}

static void
count_in (HtStateCache *self, Entry *entry)
{
  self->bytes += entry->own_bytes;
  for (guint i = 0; i < entry->tensors->len; i++)
    {
      HtTensor *tensor = g_ptr_array_index (entry->tensors, i);
      guint n_entries = GPOINTER_TO_UINT (g_hash_table_lookup (self->tensors, tensor));
      if (n_entries == 0)
        self->bytes += ht_tensor_get_size (tensor);
      g_hash_table_insert (self->tensors, tensor, GUINT_TO_POINTER (n_entries + 1));
    }
}

static void
drop (HtStateCache *self, Entry *entry)
{
  self->bytes -= entry->own_bytes;
  for (guint i = 0; i < entry->tensors->len; i++)
    {
      HtTensor *tensor = g_ptr_array_index (entry->tensors, i);
      guint n_entries = GPOINTER_TO_UINT (g_hash_table_lookup (self->tensors, tensor)) - 1;
      if (n_entries > 0)
        {
          g_hash_table_insert (self->tensors, tensor, GUINT_TO_POINTER (n_entries));
          continue;
        }
      self->bytes -= ht_tensor_get_size (tensor);
      g_hash_table_remove (self->tensors, tensor);
    }
  g_queue_unlink (&self->order, &entry->link);
  g_hash_table_remove (self->entries, entry->link.data);
}

static void
keep_budget (HtStateCache *self)
{
  GList *link = self->order.tail;

  while (link != NULL && self->bytes > self->budget)
    {
      Entry *entry = g_hash_table_lookup (self->entries, link->data);
      link = link->prev;
      if (entry->may_drop)
        drop (self, entry);
    }
}

void
ht_state_cache_add (HtStateCache *self, const char *key, HtModelState *state, JsonNode *report, double seconds,
                    gboolean may_drop)
{
  if (g_hash_table_contains (self->entries, key))
    return;
  Entry *entry = make_entry (state, report, seconds, may_drop);
  entry->link.data = g_strdup (key);
  g_hash_table_insert (self->entries, entry->link.data, entry);
  g_queue_push_head_link (&self->order, &entry->link);
  count_in (self, entry);
  keep_budget (self);
}

HtModelState *
ht_state_cache_get (HtStateCache *self, const char *key, JsonNode **report, double *seconds)
{
  Entry *entry = g_hash_table_lookup (self->entries, key);

  if (entry == NULL)
    return NULL;
  g_queue_unlink (&self->order, &entry->link);
  g_queue_push_head_link (&self->order, &entry->link);
  if (report != NULL)
    *report = entry->report != NULL ? json_node_copy (entry->report) : NULL;
  if (seconds != NULL)
    *seconds = entry->seconds;
  return g_object_ref (entry->state);
}

guint64
ht_state_cache_get_bytes (HtStateCache *self)
{
  return self->bytes;
}
