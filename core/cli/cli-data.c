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
