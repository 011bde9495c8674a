/* SPDX-License-Identifier: MIT */
/* What choices do together. */
#pragma once

#include "search/search-private.h"

/* For each two choices: the mean of what the second gains beside the first less what it gains without it, over all
 * candidates that were scored with every one of the four. Empty where there are none. */
JsonArray *ht_search_describe_interactions (HtSearch *self);
/* The Shapley values of the steps that are optional, around the best; where a set of them was not scored, why there are
 * none. NULL: less than two steps are optional. */
JsonObject *ht_search_describe_shapley (HtSearch *self);
