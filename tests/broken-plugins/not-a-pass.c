/* SPDX-License-Identifier: MIT */
/* Its technique is a mere object. */
#define PLUGIN_NAME "not-a-pass"
#define PASS_ID     "not-a-pass"
#define TYPE_NAME   "HtBrokenNotAPass"
#define PARENT_TYPE G_TYPE_OBJECT
#include "sound.h"

SOUND_DESCRIPTOR ()
