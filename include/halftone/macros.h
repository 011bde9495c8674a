/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib-object.h>

/* Everything is hidden unless marked: the exported symbols are exactly those of include/halftone/. */
#define HT_API __attribute__ ((visibility ("default"))) extern
