/* SPDX-License-Identifier: MIT */
/* Operators that only move elements, on types of which several share a byte. */
#pragma once

#include "ops/loop.h"

/* TRUE when some input or output has elements smaller than a byte. */
gboolean ht_op_is_packed (const HtOpCall *call);
/* Runs `forward` with such tensors spread to one byte an element, and packs the results. */
gboolean ht_op_run_spread (const HtOpCall *call, HtForward forward, GError **error);
