/* SPDX-License-Identifier: MIT */
/* Has no name. */
#define PLUGIN_NAME "null-name"
#define PASS_ID     "name"
#define TYPE_NAME   "HtBrokenName"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.name = NULL)
