/* SPDX-License-Identifier: MIT */
/* What the files lower-FAMILY.c offer to the table of lower.c: rules as exec-build.h describes them. */
#pragma once

#include "exec/exec-build.h"
