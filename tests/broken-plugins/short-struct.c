/* SPDX-License-Identifier: MIT */
/* Its descriptor ends too early. */
#define PLUGIN_NAME "short-struct"
#define PASS_ID     "short"
#define TYPE_NAME   "HtBrokenShort"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.struct_size = 40)
