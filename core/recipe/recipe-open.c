/* SPDX-License-Identifier: MIT */
/* Data sets as a recipe describes them. */
#include "recipe/recipe-private.h"

/* Training without data of its own is training on the calibration set. */
static HtRecipeSource *
find_source (HtRecipe *self, HtDataRole role)
{
  if (role == HT_DATA_TRAINING && !self->sources[role].given)
    role = HT_DATA_CALIBRATION;
  return &self->sources[role];
}

/**
 * ht_recipe_has_data:
 * @self: a recipe
 * @role: what the data is for
 *
 * Tells whether the recipe names data for a role. Training falls back to the calibration set.
 *
 * Returns: whether ht_recipe_open_data() has something to open
 */
gboolean
ht_recipe_has_data (HtRecipe *self, HtDataRole role)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), FALSE);
  g_return_val_if_fail ((guint) role < HT_RECIPE_N_ROLES, FALSE);
  return find_source (self, role)->paths->len > 0;
}

/**
 * ht_recipe_get_batch:
 * @self: a recipe
 * @role: what the data is for
 *
 * Gets the number of samples that are run at once.
 *
 * Returns: the batch size, at least 1
 */
guint
ht_recipe_get_batch (HtRecipe *self, HtDataRole role)
{
  g_return_val_if_fail (HT_IS_RECIPE (self), 0);
  g_return_val_if_fail ((guint) role < HT_RECIPE_N_ROLES, 0);
  return find_source (self, role)->batch;
}

static const char *
role_word (HtDataRole role)
{
  return role == HT_DATA_CALIBRATION ? "calibration" : role == HT_DATA_EVALUATION ? "evaluation" : "training";
}

/**
 * ht_recipe_open_data:
 * @self: a recipe
 * @role: what the data is for
 * @error: return location for an error
 *
 * Opens the data of a role, with the recipe's preprocessing, labels and limit of samples. Training falls back to the
 * calibration set. The result is not yet bound to the inputs of a model, see ht_dataset_bind().
 *
 * Returns: (transfer full) (nullable): the data set, or %NULL with @error set where there is none or a file is missing
 *   or malformed
 */
HtDataset *
ht_recipe_open_data (HtRecipe *self, HtDataRole role, GError **error)
{
  g_autoptr (HtDataset) dataset = NULL;
  HtRecipeSource *source;

  g_return_val_if_fail (HT_IS_RECIPE (self), NULL);
  g_return_val_if_fail ((guint) role < HT_RECIPE_N_ROLES, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  source = find_source (self, role);
  if (source->paths->len == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                   "recipe '%s' has no %s data: give it under data.%s, as in {path: file.npy}", self->path,
                   role_word (role), role_word (role));
      return NULL;
    }
  dataset = ht_dataset_new ();
  for (guint i = 0; i < source->paths->len; i++)
    {
      const char *input = g_ptr_array_index (source->inputs, i);
      g_autofree char *path = ht_recipe_resolve (self, g_ptr_array_index (source->paths, i));

      if (!ht_dataset_add_file (dataset, *input != '\0' ? input : NULL, path, error))
        {
          g_prefix_error (error, "%s data: ", role_word (role));
          return NULL;
        }
    }
  if (source->labels != NULL)
    {
      g_autofree char *path = ht_recipe_resolve (self, source->labels);

      if (!ht_dataset_set_labels_file (dataset, path, error))
        {
          g_prefix_error (error, "labels of the %s data: ", role_word (role));
          return NULL;
        }
    }
  ht_dataset_set_preprocess (dataset, self->preprocess);
  if (source->samples > 0)
    ht_dataset_set_limit (dataset, source->samples);
  return g_steal_pointer (&dataset);
}

/**
 * ht_recipe_override_data:
 * @self: a recipe
 * @role: what the data is for
 * @path: (type filename): a file of arrays to take instead of the recipe's, relative to the current folder
 * @labels: (type filename) (nullable): its labels; the recipe's belong to the recipe's data and go
 *
 * Takes other data than the recipe names; preprocessing, batch and limit of samples stay.
 */
void
ht_recipe_override_data (HtRecipe *self, HtDataRole role, const char *path, const char *labels)
{
  g_return_if_fail (HT_IS_RECIPE (self));
  g_return_if_fail ((guint) role < HT_RECIPE_N_ROLES && path != NULL);

  HtRecipeSource *source = &self->sources[role];
  g_ptr_array_set_size (source->paths, 0);
  g_ptr_array_set_size (source->inputs, 0);
  g_ptr_array_add (source->paths, g_canonicalize_filename (path, NULL));
  g_ptr_array_add (source->inputs, g_strdup (""));
  g_clear_pointer (&source->command, g_strfreev);
  g_free (source->labels);
  source->labels = labels != NULL ? g_canonicalize_filename (labels, NULL) : NULL;
  source->given = TRUE;
}

/**
 * ht_recipe_drop_preprocessing:
 * @self: a recipe
 *
 * Takes data as it is, in the shape and range that the network reads.
 */
void
ht_recipe_drop_preprocessing (HtRecipe *self)
{
  g_return_if_fail (HT_IS_RECIPE (self));

  g_object_unref (self->preprocess);
  self->preprocess = ht_preprocess_new ();
}
