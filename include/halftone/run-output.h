/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/recipe.h>
#include <halftone/simulation.h>

G_BEGIN_DECLS

/* The folder that a run wrote, opened again. */
#define HT_TYPE_RUN_OUTPUT (ht_run_output_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtRunOutput, ht_run_output, HT, RUN_OUTPUT, GObject)

HT_API HtRunOutput *ht_run_output_open (const char *folder, GError **error);
HT_API HtRecipe *ht_run_output_get_recipe (HtRunOutput *self);
HT_API HtSimulation *ht_run_output_get_simulation (HtRunOutput *self);
HT_API char *ht_run_output_find_file (HtRunOutput *self, const char *format, GError **error);

G_END_DECLS
