/* SPDX-License-Identifier: MIT */
/* Its licence is a sentence, not an SPDX expression. */
#define PLUGIN_NAME "bad-license"
#define PASS_ID     "license"
#define TYPE_NAME   "HtBrokenLicense"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.license = "free for all")
