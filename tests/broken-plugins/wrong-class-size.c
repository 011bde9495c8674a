/* SPDX-License-Identifier: MIT */
/* GType does not check the class size of a dynamic type, so the descriptor carries it. */
#define PLUGIN_NAME "wrong-class-size"
#define PASS_ID     "size"
#define TYPE_NAME   "HtBrokenSize"
#include "sound.h"

SOUND_DESCRIPTOR (descriptor.pass_class_size = 8)
