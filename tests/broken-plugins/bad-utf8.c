/* SPDX-License-Identifier: MIT */
/* Its summary is Latin-1. */
#define PLUGIN_NAME "bad-utf8"
#define PASS_ID     "utf8"
#define TYPE_NAME   "HtBrokenUtf8"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.summary = "d\xe9j\xe0 vu")
