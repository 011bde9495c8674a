/* SPDX-License-Identifier: MIT */
/* Does not start as a descriptor does. */
#define PLUGIN_NAME "wrong-magic"
#define PASS_ID     "magic"
#define TYPE_NAME   "HtBrokenMagic"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.magic = 0x12345678)
