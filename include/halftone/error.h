/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/macros.h>

G_BEGIN_DECLS

/**
 * HtError:
 * @HT_ERROR_FAILED: a failure that fits no other code
 * @HT_ERROR_INVALID_ARGUMENT: a value given by the user is out of its domain
 * @HT_ERROR_NOT_FOUND: a named thing (file, tensor, node, pass) does not exist
 * @HT_ERROR_NOT_SUPPORTED: valid, but beyond what this version can do
 * @HT_ERROR_INVALID_MODEL: the ONNX file or graph breaks its specification
 * @HT_ERROR_SHAPE: a tensor has another shape than required
 * @HT_ERROR_DATA_TYPE: a tensor has another element type than required
 * @HT_ERROR_NUMERIC: not a number, infinite or diverged
 * @HT_ERROR_NO_MEMORY: a large buffer could not be had
 * @HT_ERROR_INVALID_DATA: a data file or data set is malformed or empty
 * @HT_ERROR_LIMIT_EXCEEDED: an input exceeds a stated limit
 * @HT_ERROR_CONFLICT: two requests cannot both be met
 *
 * Errors of the library outside recipes and plugins. A cancelled call reports %G_IO_ERROR_CANCELLED.
 */
typedef enum
{
  HT_ERROR_FAILED,
  HT_ERROR_INVALID_ARGUMENT,
  HT_ERROR_NOT_FOUND,
  HT_ERROR_NOT_SUPPORTED,
  HT_ERROR_INVALID_MODEL,
  HT_ERROR_SHAPE,
  HT_ERROR_DATA_TYPE,
  HT_ERROR_NUMERIC,
  HT_ERROR_NO_MEMORY,
  HT_ERROR_INVALID_DATA,
  HT_ERROR_LIMIT_EXCEEDED,
  HT_ERROR_CONFLICT,
} HtError;

/**
 * HtRecipeError:
 * @HT_RECIPE_ERROR_SYNTAX: not YAML or JSON
 * @HT_RECIPE_ERROR_UNKNOWN_KEY: a key the format does not have
 * @HT_RECIPE_ERROR_DUPLICATE_KEY: a key given twice
 * @HT_RECIPE_ERROR_MISSING_KEY: a required key is absent
 * @HT_RECIPE_ERROR_WRONG_TYPE: a value of another type than required
 * @HT_RECIPE_ERROR_OUT_OF_RANGE: a number outside its range
 * @HT_RECIPE_ERROR_UNKNOWN_VALUE: a word that is none of the allowed ones
 * @HT_RECIPE_ERROR_UNKNOWN_PASS: a technique no plugin provides
 * @HT_RECIPE_ERROR_CONFLICT: two steps that may not be combined
 * @HT_RECIPE_ERROR_UNSATISFIED: a step lacks what it requires
 * @HT_RECIPE_ERROR_NOT_SUPPORTED: a part of the format this version does not carry out
 * @HT_RECIPE_ERROR_VERSION: a recipe of another format version
 *
 * Problems of a recipe. The message carries `file:line:column`.
 */
typedef enum
{
  HT_RECIPE_ERROR_SYNTAX,
  HT_RECIPE_ERROR_UNKNOWN_KEY,
  HT_RECIPE_ERROR_DUPLICATE_KEY,
  HT_RECIPE_ERROR_MISSING_KEY,
  HT_RECIPE_ERROR_WRONG_TYPE,
  HT_RECIPE_ERROR_OUT_OF_RANGE,
  HT_RECIPE_ERROR_UNKNOWN_VALUE,
  HT_RECIPE_ERROR_UNKNOWN_PASS,
  HT_RECIPE_ERROR_CONFLICT,
  HT_RECIPE_ERROR_UNSATISFIED,
  HT_RECIPE_ERROR_NOT_SUPPORTED,
  HT_RECIPE_ERROR_VERSION,
} HtRecipeError;

/**
 * HtPluginError:
 * @HT_PLUGIN_ERROR_OPEN: the file cannot be opened as a shared module
 * @HT_PLUGIN_ERROR_NOT_A_PLUGIN: the query symbol is missing
 * @HT_PLUGIN_ERROR_BAD_DESCRIPTOR: the descriptor is malformed
 * @HT_PLUGIN_ERROR_ABI_MISMATCH: built for another plugin ABI
 * @HT_PLUGIN_ERROR_NOT_USABLE: the plugin says it cannot run here
 * @HT_PLUGIN_ERROR_REGISTER: registering its types failed
 * @HT_PLUGIN_ERROR_TYPE_CONFLICT: a type name is taken already
 * @HT_PLUGIN_ERROR_ID_CONFLICT: a technique id is taken already
 * @HT_PLUGIN_ERROR_BAD_PASS: a pass breaks the rules of its metadata or parameters
 *
 * What can be wrong with a plugin file; found in the plugin's error, see ht_plugin_get_error().
 */
typedef enum
{
  HT_PLUGIN_ERROR_OPEN,
  HT_PLUGIN_ERROR_NOT_A_PLUGIN,
  HT_PLUGIN_ERROR_BAD_DESCRIPTOR,
  HT_PLUGIN_ERROR_ABI_MISMATCH,
  HT_PLUGIN_ERROR_NOT_USABLE,
  HT_PLUGIN_ERROR_REGISTER,
  HT_PLUGIN_ERROR_TYPE_CONFLICT,
  HT_PLUGIN_ERROR_ID_CONFLICT,
  HT_PLUGIN_ERROR_BAD_PASS,
} HtPluginError;

#define HT_ERROR        (ht_error_quark ())
#define HT_RECIPE_ERROR (ht_recipe_error_quark ())
#define HT_PLUGIN_ERROR (ht_plugin_error_quark ())

HT_API GQuark ht_error_quark (void);
HT_API GQuark ht_recipe_error_quark (void);
HT_API GQuark ht_plugin_error_quark (void);

G_END_DECLS
