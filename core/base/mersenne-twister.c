/* SPDX-License-Identifier: MIT */
#include "base/mersenne-twister.h"

#define WORDS HT_MERSENNE_TWISTER_WORDS
#define SHIFT 397 /* how far the word lies ahead that is mixed in */

void
ht_mersenne_twister_seed (HtMersenneTwister *self, guint32 seed)
{
  self->state[0] = seed;
  for (guint i = 1; i < WORDS; i++)
    self->state[i] = 1812433253u * (self->state[i - 1] ^ (self->state[i - 1] >> 30)) + i;
  self->next = WORDS;
}

static void
twist (HtMersenneTwister *self)
{
  for (guint i = 0; i < WORDS; i++)
    {
      guint32 joined = (self->state[i] & 0x80000000u) | (self->state[(i + 1) % WORDS] & 0x7fffffffu);
      self->state[i] = self->state[(i + SHIFT) % WORDS] ^ (joined >> 1) ^ (joined & 1 ? 0x9908b0dfu : 0);
    }
  self->next = 0;
}

guint32
ht_mersenne_twister_next (HtMersenneTwister *self)
{
  if (self->next >= WORDS)
    twist (self);
  guint32 word = self->state[self->next++];
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680u;
  word ^= (word << 15) & 0xefc60000u;
  return word ^ (word >> 18);
}

double
ht_mersenne_twister_uniform (HtMersenneTwister *self)
{
  guint32 high = ht_mersenne_twister_next (self) >> 5, low = ht_mersenne_twister_next (self) >> 6;
  return ((double)high * 67108864.0 + (double)low) / 9007199254740992.0;
}
