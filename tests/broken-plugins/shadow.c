/* SPDX-License-Identifier: MIT */
/* Has the name of the first plugin. */
#define PLUGIN_NAME "shadow"
#define PASS_ID     "shadow"
#define TYPE_NAME   "HtBrokenShadow"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.name = "a-sound")
