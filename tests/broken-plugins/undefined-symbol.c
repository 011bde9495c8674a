/* SPDX-License-Identifier: MIT */
/* Calls a function that nobody has: with lazy binding that would end the process when it is called. */
#define PLUGIN_NAME "undefined-symbol"
#define PASS_ID     "undefined"
#define TYPE_NAME   "HtBrokenUndefined"
#include "sound.h"

void ht_function_that_nobody_has (void);
SOUND_DESCRIPTOR (ht_function_that_nobody_has ())
