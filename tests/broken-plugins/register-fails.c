/* SPDX-License-Identifier: MIT */
/* Says that its registration failed. */
#define PLUGIN_NAME "register-fails"
#define PASS_ID     "register-fails"
#define TYPE_NAME   "HtBrokenRegister"
#include "sound.h"

static gboolean
fail (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "the table of kernels is damaged");
  return FALSE;
}

SOUND_DESCRIPTOR (descriptor.register_types = fail)
