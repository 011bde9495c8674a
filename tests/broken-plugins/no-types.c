/* SPDX-License-Identifier: MIT */
/* Names no types. */
#define PLUGIN_NAME "no-types"
#define PASS_ID     "no-types"
#define TYPE_NAME   "HtBrokenNoTypes"
#include "sound.h"

SOUND_DESCRIPTOR (static const char *const none[] = { NULL }; descriptor.type_names = none)
