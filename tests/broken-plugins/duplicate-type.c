/* SPDX-License-Identifier: MIT */
/* Wants a type name that the first plugin has. */
#define PLUGIN_NAME "duplicate-type"
#define PASS_ID     "another"
#define TYPE_NAME   "HtBrokenSound"
#include "sound.h"

SOUND_DESCRIPTOR ()
