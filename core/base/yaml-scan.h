/* SPDX-License-Identifier: MIT */
/* Looks a YAML text over before libfyaml does: refuses what files of this project never need and what libfyaml 0.7.12
 * does not survive, with a message that says what to write instead. See docs/recipe.md, "The text". */
#pragma once

#include "base/source-text.h"

G_BEGIN_DECLS

/* Nesting of lists and mappings. */
#define HT_YAML_MAX_DEPTH 64

gboolean ht_yaml_scan (HtSourceText *source, GPtrArray *problems);

G_END_DECLS
