/* SPDX-License-Identifier: MIT */
/* Built for a later library of this line. */
#define PLUGIN_NAME "abi-newer-minor"
#define PASS_ID     "minor"
#define TYPE_NAME   "HtBrokenMinor"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.abi_minor = HT_PLUGIN_ABI_MINOR + 1)
