// SPDX-License-Identifier: MIT
// Three techniques that do nothing but have parameters and rules.
#pragma once

#include <halftone/halftone.h>

// tidy: provides "tidied". polish: requires it. stain: conflicts with it.
HtPassRegistry *test_registry_new (void);
