/* SPDX-License-Identifier: MIT */
/* Built for the next incompatible library, whose descriptor is smaller. */
#define PLUGIN_NAME "abi-newer-major"
#define PASS_ID     "major"
#define TYPE_NAME   "HtBrokenMajor"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.abi_major = HT_PLUGIN_ABI_MAJOR + 1; descriptor.struct_size = 64)
