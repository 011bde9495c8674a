/* SPDX-License-Identifier: MIT */
/* Samples in files, and how they become inputs. */
#include "cli/cli.h"

#include <string.h>

static gboolean
take_option (const char *option, const char *value, gpointer preprocess, GError **error)
{
  const char *name = option + strspn (option, "-");
  return ht_object_set_param_string (G_OBJECT (preprocess), name, value, error);
}

GOptionGroup *
cli_preprocess_group (HtPreprocess *preprocess)
{
  g_autoptr (GPtrArray) params = ht_object_list_params (G_OBJECT_GET_CLASS (preprocess));
  GOptionGroup *group = g_option_group_new ("preprocess", "Preprocessing:", "Preprocessing", preprocess, NULL);
  for (guint i = 0; i < params->len; i++)
    {
      GParamSpec *pspec = g_ptr_array_index (params, i);
      GOptionEntry entries[] = { { g_param_spec_get_name (pspec), 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)take_option,
                                   g_param_spec_get_blurb (pspec), "VALUE" },
                                 { NULL } };
      g_option_group_add_entries (group, entries);
    }
  return group;
}

gboolean
cli_add_data (HtDataset *dataset, char **files, GError **error)
{
  for (char **file = files; file != NULL && *file != NULL; file++)
    {
      const char *equals = strchr (*file, '=');
      g_autofree char *input = equals != NULL ? g_strndup (*file, (gsize)(equals - *file)) : NULL;
      if (!ht_dataset_add_file (dataset, input, equals != NULL ? equals + 1 : *file, error))
        return FALSE;
    }
  return TRUE;
}

GOptionGroup *
cli_data_options_group (CliDataOptions *data)
{
  GOptionEntry entries[] = {
    { "calibration", 0, 0, G_OPTION_ARG_FILENAME, &data->calibration, "Take this data instead of the recipe's", "FILE" },
    { "evaluation", 0, 0, G_OPTION_ARG_FILENAME, &data->evaluation, "Take this data instead of the recipe's", "FILE" },
    { "labels", 0, 0, G_OPTION_ARG_FILENAME, &data->labels, "The labels of --evaluation", "FILE" },
    { "raw", 0, 0, G_OPTION_ARG_NONE, &data->raw,
      "Take data as the network reads it, without the recipe's preprocessing", NULL },
    { NULL }
  };
  GOptionGroup *group = g_option_group_new ("data", "Data:", "Data", data, NULL);
  g_option_group_add_entries (group, entries);
  return group;
}

void
cli_data_options_clear (CliDataOptions *self)
{
  g_free (self->calibration);
  g_free (self->evaluation);
  g_free (self->labels);
}

int
cli_data_options_check (const CliDataOptions *self, const char *verb)
{
  if (self->labels == NULL || self->evaluation != NULL)
    return -1;
  return cli_usage (verb, "--labels belong to the data of --evaluation, which is missing");
}
