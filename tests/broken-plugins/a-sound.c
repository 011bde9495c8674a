/* SPDX-License-Identifier: MIT */
/* Nothing is wrong with this one; it comes first and takes the names that later ones want. */
#define PLUGIN_NAME "a-sound"
#define PASS_ID     "sound"
#define TYPE_NAME   "HtBrokenSound"
#include "sound.h"

HT_PLUGIN_DEFINE (PLUGIN_NAME, "1.2.3", "MIT OR (Apache-2.0 WITH LLVM-exception)", "A sound plugin", "Its author",
                  "https://example.org", NULL, sound_register, TYPE_NAME)
