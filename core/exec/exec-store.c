/* SPDX-License-Identifier: MIT */
#include "exec/exec-store.h"

struct _HtExecStore
{
  gatomicrefcount n_refs;
  GMutex lock;
  GHashTable *kept; /* key -> HtExecKept, which takes itself out when nobody needs it any more */
};

struct _HtExecKept
{
  HtExecStore *store; /* NULL: nobody else's */
  guint n_refs;       /* under the store's lock */
  char *key;          /* NULL: another one has the place in the store */
  HtEncoding *encoding;
  gpointer data;
  GDestroyNotify free_data;
};

HtExecStore *
ht_exec_store_new (void)
{
  HtExecStore *self = g_new0 (HtExecStore, 1);
  g_atomic_ref_count_init (&self->n_refs);
  g_mutex_init (&self->lock);
  self->kept = g_hash_table_new (g_str_hash, g_str_equal);
  return self;
}

HtExecStore *
ht_exec_store_ref (HtExecStore *self)
{
  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

void
ht_exec_store_unref (HtExecStore *self)
{
  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_hash_table_unref (self->kept);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* An entry holds its encoding, so no other one has the same address meanwhile. */
static char *
make_key (const char *key, HtEncoding *encoding)
{
  return g_strdup_printf ("%s\x1f%p", key, (gpointer)encoding);
}

HtExecKept *
ht_exec_store_find (HtExecStore *store, const char *key, HtEncoding *encoding)
{
  if (store == NULL)
    return NULL;
  g_autofree char *full = make_key (key, encoding);
  g_mutex_lock (&store->lock);
  HtExecKept *kept = g_hash_table_lookup (store->kept, full);
  if (kept)
    kept->n_refs++;
  g_mutex_unlock (&store->lock);
  return kept;
}

HtExecKept *
ht_exec_store_keep (HtExecStore *store, const char *key, HtEncoding *encoding, gpointer data, GDestroyNotify free_data)
{
  HtExecKept *self = g_new0 (HtExecKept, 1);

  self->n_refs = 1;
  self->data = data;
  self->free_data = free_data;
  if (store == NULL)
    return self;
  self->store = ht_exec_store_ref (store);
  self->encoding = encoding ? ht_encoding_ref (encoding) : NULL;
  self->key = make_key (key, encoding);
  g_mutex_lock (&store->lock);
  if (g_hash_table_contains (store->kept, self->key))
    g_clear_pointer (&self->key, g_free);
  else
    g_hash_table_insert (store->kept, self->key, self);
  g_mutex_unlock (&store->lock);
  return self;
}

gpointer
ht_exec_kept_get (const HtExecKept *self)
{
  return self->data;
}

static gboolean
drop (HtExecKept *self)
{
  if (self->store == NULL)
    return --self->n_refs == 0;
  g_mutex_lock (&self->store->lock);
  gboolean last = --self->n_refs == 0;
  if (last && self->key)
    g_hash_table_remove (self->store->kept, self->key);
  g_mutex_unlock (&self->store->lock);
  return last;
}

void
ht_exec_kept_unref (HtExecKept *self)
{
  if (!drop (self))
    return;
  self->free_data (self->data);
  g_free (self->key);
  g_clear_pointer (&self->encoding, ht_encoding_unref);
  g_clear_pointer (&self->store, ht_exec_store_unref);
  g_free (self);
}
