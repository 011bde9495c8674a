/* SPDX-License-Identifier: MIT */
/* How the hot loops are compiled. They are plain C that the compiler vectorizes; where it can, each is compiled for
 * several instruction sets and the processor chooses at load time. Contraction is off and reductions have a fixed
 * order, so every version gives the same bytes. */
#pragma once

#include <glib.h>

#if defined(HT_HAVE_TARGET_CLONES) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HT_VECTORIZE __attribute__ ((target_clones ("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define HT_VECTORIZE
#endif

/* Enough elements for a thread to be worth waking. Part of the fixed partition: never depends on the machine. */
#define HT_KERNEL_GRAIN ((gsize)32768)
