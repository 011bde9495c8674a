/* SPDX-License-Identifier: MIT */
/* Registers a type that its descriptor does not name. */
#define PLUGIN_NAME "undeclared-type"
#define PASS_ID     "undeclared"
#define TYPE_NAME   "HtBrokenUndeclared"
#include "sound.h"

SOUND_DESCRIPTOR (static const char *const other[] = { "HtBrokenDeclared", NULL }; descriptor.type_names = other)
