/* SPDX-License-Identifier: MIT */
/* Values of a recipe's text, replaced from outside before it is read. */
#pragma once

#include "base/located.h"

/* Each of `settings` (NULL-terminated) is KEY=VALUE: the place of a single value that the text has, as in
 * quantization.weights.bits, and the value to read there instead. A message about it marks the text's own value. */
HtLocatedDocument *ht_recipe_set_values (HtLocatedDocument *document, const char *const *settings, GError **error);
