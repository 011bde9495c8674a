/* SPDX-License-Identifier: MIT */
/* Where stretches of memory lie in one arena, given when each is needed. */
#pragma once

#include <glib.h>

#define HT_EXEC_ALIGNMENT ((gsize)64)

/* A stretch of the arena over a stretch of time. */
typedef struct
{
  gsize size;
  gint first, last;
  gsize *offset; /* written */
  guint order;
} HtExecBlock;

void ht_exec_blocks_add (GArray *blocks, gsize size, gint first, gint last, gsize *offset);
/* Chooses all offsets, largest first, each in the lowest gap; returns the size of the arena. Sorts `blocks`. */
gsize ht_exec_blocks_place (GArray *blocks);
