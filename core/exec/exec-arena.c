/* SPDX-License-Identifier: MIT */
#include "exec/exec-arena.h"

static gint
compare_blocks (gconstpointer a, gconstpointer b)
{
  const HtExecBlock *left = a, *right = b;
  if (left->size != right->size)
    return left->size > right->size ? -1 : 1;
  return left->order < right->order ? -1 : 1;
}

static gint
compare_offsets (gconstpointer a, gconstpointer b)
{
  const HtExecBlock *left = *(const HtExecBlock *const *)a, *right = *(const HtExecBlock *const *)b;
  return *left->offset < *right->offset ? -1 : *left->offset > *right->offset ? 1 : 0;
}

/* The lowest gap among those placed before that live at the same time. */
static gsize
find_gap (GArray *blocks, guint n_placed, const HtExecBlock *block, GPtrArray *neighbours)
{
  gsize offset = 0;

  g_ptr_array_set_size (neighbours, 0);
  for (guint i = 0; i < n_placed; i++)
    {
      HtExecBlock *other = &g_array_index (blocks, HtExecBlock, i);
      if (other->first <= block->last && block->first <= other->last)
        g_ptr_array_add (neighbours, other);
    }
  g_ptr_array_sort (neighbours, compare_offsets);
  for (guint i = 0; i < neighbours->len; i++)
    {
      const HtExecBlock *other = g_ptr_array_index (neighbours, i);
      if (*other->offset >= offset && *other->offset - offset >= block->size)
        break;
      offset = MAX (offset, *other->offset + other->size);
    }
  return offset;
}

void
ht_exec_blocks_add (GArray *blocks, gsize size, gint first, gint last, gsize *offset)
{
  HtExecBlock block
      = { (MAX (size, 1) + HT_EXEC_ALIGNMENT - 1) & ~(HT_EXEC_ALIGNMENT - 1), first, last, offset, blocks->len };
  g_array_append_val (blocks, block);
}

gsize
ht_exec_blocks_place (GArray *blocks)
{
  g_autoptr (GPtrArray) neighbours = g_ptr_array_new ();
  gsize size = 0;

  g_array_sort (blocks, compare_blocks);
  for (guint i = 0; i < blocks->len; i++)
    {
      HtExecBlock *block = &g_array_index (blocks, HtExecBlock, i);
      *block->offset = find_gap (blocks, i, block, neighbours);
      size = MAX (size, *block->offset + block->size);
    }
  return size;
}
