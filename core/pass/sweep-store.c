/* SPDX-License-Identifier: MIT */
#include "pass/sweep-store.h"

#include "base/map-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <unistd.h>

struct _HtSweepStore
{
  HtPassContext *context;
  guint n_batches;
  guint64 budget;
  GHashTable **batches;          /* name -> HtTensor; NULL: not set yet */
  guint64 *in_memory, *in_files; /* bytes of each batch */
  guint64 used;                  /* in memory, of all */
};

HtSweepStore *
ht_sweep_store_new (HtPassContext *context, guint n_batches, guint64 budget)
{
  HtSweepStore *self = g_new0 (HtSweepStore, 1);

  self->context = context;
  self->n_batches = n_batches;
  self->budget = budget;
  self->batches = g_new0 (GHashTable *, n_batches);
  self->in_memory = g_new0 (guint64, n_batches);
  self->in_files = g_new0 (guint64, n_batches);
  return self;
}

void
ht_sweep_store_free (HtSweepStore *self)
{
  if (self == NULL)
    return;
  for (guint i = 0; i < self->n_batches; i++)
    g_clear_pointer (&self->batches[i], g_hash_table_unref);
  g_free (self->batches);
  g_free (self->in_memory);
  g_free (self->in_files);
  g_free (self);
}

void
ht_sweep_store_count (HtSweepStore *self, guint64 *in_memory, guint64 *in_files)
{
  *in_memory = self->used;
  *in_files = 0;
  for (guint i = 0; i < self->n_batches; i++)
    *in_files += self->in_files[i];
}

GHashTable *
ht_sweep_store_get (HtSweepStore *self, guint batch)
{
  return self->batches[batch];
}

/* The file has no name any more when this returns: it goes away with the tensor, however the process ends. */
static HtTensor *
spill (HtSweepStore *self, HtTensor *tensor, GError **error)
{
  const char *folder = ht_pass_context_get_scratch_folder (self->context, error);
  g_autofree char *path = folder != NULL ? g_build_filename (folder, "activation-XXXXXX", NULL) : NULL;
  g_autoptr (GBytes) bytes = NULL;
  const char *data = ht_tensor_get_data (tensor);
  gsize size = ht_tensor_get_size (tensor), done = 0;
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);

  if (path == NULL)
    return NULL;
  int fd = g_mkstemp_full (path, O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0)
    {
      int code = errno;
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "keeping activations: cannot make a file in '%s': %s", folder,
                   g_strerror (code));
      return NULL;
    }
  while (done < size)
    {
      gssize written = write (fd, data + done, size - done);
      if (written < 0 && errno != EINTR)
        break;
      done += (gsize)MAX (written, 0);
    }
  if (!g_close (fd, NULL) || done < size)
    g_set_error (error, HT_ERROR, HT_ERROR_FAILED,
                 "keeping activations: writing %" G_GSIZE_FORMAT " bytes to '%s' failed; make room there, take fewer "
                 "samples or more memory",
                 size, path);
  else
    bytes = ht_map_file (path, "activation", error);
  g_unlink (path);
  return bytes != NULL ? ht_tensor_new_from_bytes (ht_tensor_get_data_type (tensor), dims, n_dims, bytes, error) : NULL;
}

gboolean
ht_sweep_store_set (HtSweepStore *self, guint batch, GHashTable *tensors, GError **error)
{
  GHashTable *kept = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  GHashTableIter iter;
  gpointer name, value;

  self->used -= self->in_memory[batch];
  self->in_memory[batch] = self->in_files[batch] = 0;
  g_hash_table_iter_init (&iter, tensors);
  while (g_hash_table_iter_next (&iter, &name, &value))
    {
      HtTensor *tensor = value;
      gsize size = ht_tensor_get_size (tensor);
      GHashTable *old = self->batches[batch];
      gboolean was_there = old != NULL && g_hash_table_lookup (old, name) == tensor;
      gboolean fits = self->used + self->in_memory[batch] + size <= self->budget;
      if (fits || size == 0 || ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_STRING)
        {
          self->in_memory[batch] += size;
          tensor = ht_tensor_ref (tensor);
        }
      else
        {
          self->in_files[batch] += size;
          tensor = was_there ? ht_tensor_ref (tensor) : spill (self, tensor, error);
        }
      if (tensor == NULL)
        {
          g_hash_table_unref (kept);
          return FALSE;
        }
      g_hash_table_insert (kept, g_strdup (name), tensor);
    }
  self->used += self->in_memory[batch];
  g_clear_pointer (&self->batches[batch], g_hash_table_unref);
  self->batches[batch] = kept;
  return TRUE;
}
