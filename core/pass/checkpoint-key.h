/* SPDX-License-Identifier: MIT */
/* The key of a step, and the code that carries it out: within one key, pieces of work are the same bytes. */
#pragma once

#include "pass/pass-context-private.h"

/* Reads all calibration data. */
char *ht_checkpoint_key (const HtPassContextSetup *setup, GError **error);
