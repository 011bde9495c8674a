/* SPDX-License-Identifier: MIT */
/* What each choice brought, from the candidates that were scored. */
#pragma once

#include "search/search-private.h"

/* For each axis and each value of it but the first: the mean difference in the metric, positive where the value helps,
 * over all pairs of scored candidates that differ in it alone, with the number of pairs and an interval. */
JsonArray *ht_search_attribute (HtSearch *self);
