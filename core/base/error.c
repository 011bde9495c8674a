/* SPDX-License-Identifier: MIT */
#include <halftone/error.h>

/**
 * ht_error_quark:
 *
 * The domain of the errors of #HtError.
 *
 * Returns: the error domain
 */
G_DEFINE_QUARK (ht-error-quark, ht_error)

/**
 * ht_recipe_error_quark:
 *
 * The domain of the errors of #HtRecipeError.
 *
 * Returns: the error domain
 */
G_DEFINE_QUARK (ht-recipe-error-quark, ht_recipe_error)

/**
 * ht_plugin_error_quark:
 *
 * The domain of the errors of #HtPluginError.
 *
 * Returns: the error domain
 */
G_DEFINE_QUARK (ht-plugin-error-quark, ht_plugin_error)
