/* SPDX-License-Identifier: MIT */
/* Gives no descriptor. */
#define PLUGIN_NAME "null-descriptor"
#define PASS_ID     "null"
#define TYPE_NAME   "HtBrokenNull"
#include "sound.h"

SOUND_DESCRIPTOR (return NULL)
