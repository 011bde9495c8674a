/* SPDX-License-Identifier: MIT */
/* Fails without a word. */
#define PLUGIN_NAME "register-mute"
#define PASS_ID     "register-mute"
#define TYPE_NAME   "HtBrokenMute"
#include "sound.h"

static gboolean
fail (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  return FALSE;
}

SOUND_DESCRIPTOR (descriptor.register_types = fail)
