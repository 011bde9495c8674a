/* SPDX-License-Identifier: MIT */
/* The code that results come from: built anew under an old version number, it may compute something else. */
#pragma once

#include <halftone/plugin.h>

/* The library's own file. */
void ht_digest_library (GChecksum *checksum);
/* The file of a plugin. */
void ht_digest_plugin (GChecksum *checksum, HtPlugin *plugin);
