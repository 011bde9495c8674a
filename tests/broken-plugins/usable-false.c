/* SPDX-License-Identifier: MIT */
/* Says that it cannot run on this machine. */
#define PLUGIN_NAME "usable-false"
#define PASS_ID     "usable"
#define TYPE_NAME   "HtBrokenUsable"
#include "sound.h"

static gboolean
refuse (char **reason)
{
  *reason = g_strdup ("this machine has no abacus");
  return FALSE;
}

SOUND_DESCRIPTOR (descriptor.usable = refuse)
