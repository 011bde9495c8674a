/* SPDX-License-Identifier: MIT */
/* The generator MT19937 of Matsumoto and Nishimura, seeded and read as numpy.random.seed() and uniform() do: what the
 * ONNX project's own expected values were drawn with. */
#pragma once

#include <glib.h>

#define HT_MERSENNE_TWISTER_WORDS 624

typedef struct
{
  guint32 state[HT_MERSENNE_TWISTER_WORDS];
  guint next; /* word to give out */
} HtMersenneTwister;

void ht_mersenne_twister_seed (HtMersenneTwister *self, guint32 seed);
guint32 ht_mersenne_twister_next (HtMersenneTwister *self);
/* In [0, 1), with 53 random bits. */
double ht_mersenne_twister_uniform (HtMersenneTwister *self);
