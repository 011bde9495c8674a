/* SPDX-License-Identifier: MIT */
/* Kernels that are compiled once for each class of processors. A file NAME.isa.c is built several times, each time with
 * other instruction sets and another HT_ISA_SUFFIX, and defines one table of functions, HT_ISA_NAME (ht_NAME_kernels).
 * Everybody else reaches the table of this machine through HT_ISA_PICK. Unlike the rest of the library these files are
 * compiled with contraction to fused multiply-adds: results are the same on every machine of one class. */
#pragma once

#include <glib.h>

typedef enum
{
  HT_ISA_BASELINE,
  HT_ISA_AVX2,   /* AVX2 and FMA: 8 floats */
  HT_ISA_AVX512, /* 16 floats */
} HtIsa;

/* The class of this processor; HALFTONE_ISA (baseline, avx2, avx512) may choose a lower one. Never changes. */
HtIsa ht_isa_get (void);
const char *ht_isa_get_name (void);
/* Channels in a block of the blocked layout: 16 or 8. */
gsize ht_isa_get_block (void);

#ifdef HT_HAVE_ISA_VARIANTS
#define HT_ISA_DECLARE(type, name) extern const type name##_baseline, name##_avx2, name##_avx512
#define HT_ISA_PICK(name)                                                                                              \
  (ht_isa_get () == HT_ISA_AVX512 ? &name##_avx512 : ht_isa_get () == HT_ISA_AVX2 ? &name##_avx2 : &name##_baseline)
#else
#define HT_ISA_DECLARE(type, name) extern const type name##_baseline
#define HT_ISA_PICK(name)          (&name##_baseline)
#endif

/* For the files NAME.isa.c only */
#ifdef HT_ISA_SUFFIX
#define HT_ISA_PASTE_(name, suffix) name##_##suffix
#define HT_ISA_PASTE(name, suffix)  HT_ISA_PASTE_ (name, suffix)
#define HT_ISA_NAME(name)           HT_ISA_PASTE (name, HT_ISA_SUFFIX)

/* One block of channels in a register (two of them where registers are smaller). */
typedef float HtBlock __attribute__ ((vector_size (HT_ISA_BLOCK * 4), aligned (HT_ISA_BLOCK * 4), may_alias));
typedef float HtBlockUnaligned __attribute__ ((vector_size (HT_ISA_BLOCK * 4), aligned (4), may_alias));
typedef gint32 HtBlockMask __attribute__ ((vector_size (HT_ISA_BLOCK * 4), aligned (HT_ISA_BLOCK * 4), may_alias));
#define HT_ALWAYS_INLINE static inline __attribute__ ((always_inline))
#endif
