/* SPDX-License-Identifier: MIT */
/* Wants the id that the first plugin's technique has. */
#define PLUGIN_NAME "duplicate-id"
#define PASS_ID     "sound"
#define TYPE_NAME   "HtBrokenSecond"
#include "sound.h"

SOUND_DESCRIPTOR ()
