/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/macros.h>

G_BEGIN_DECLS

HT_API const char *ht_get_version (void);
HT_API const char *ht_get_blas_core (void);
HT_API const char *ht_get_cpu (void);

G_END_DECLS
