/* SPDX-License-Identifier: MIT */
#include "base/diagnostic-list.h"

GPtrArray *
ht_diagnostic_list_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
}

gboolean
ht_diagnostic_list_has_errors (GPtrArray *list)
{
  for (guint i = 0; i < list->len; i++)
    {
      if (ht_diagnostic_get_severity (g_ptr_array_index (list, i)) == HT_SEVERITY_ERROR)
        return TRUE;
    }
  return FALSE;
}

/* g_ptr_array_sort() is stable, so that problems of one place keep the order they were found in. */
static gint
compare_places (gconstpointer a, gconstpointer b)
{
  HtDiagnostic *first = *(HtDiagnostic *const *) a;
  HtDiagnostic *second = *(HtDiagnostic *const *) b;
  guint line_a = ht_diagnostic_get_line (first), line_b = ht_diagnostic_get_line (second);
  guint column_a = ht_diagnostic_get_column (first), column_b = ht_diagnostic_get_column (second);
  /* A text may name another one that is read along. */
  gint files = g_strcmp0 (ht_diagnostic_get_file (first), ht_diagnostic_get_file (second));

  if (files != 0)
    return files;
  if (line_a != line_b)
    return line_a < line_b ? -1 : 1;
  if (column_a != column_b)
    return column_a < column_b ? -1 : 1;
  return 0;
}

static void
set_error_from (GError **error, HtDiagnostic *first, guint n_errors, GQuark domain, gint code)
{
  g_autofree char *more = n_errors > 1 ? g_strdup_printf (" (and %u more)", n_errors - 1) : g_strdup ("");
  g_autofree char *place = ht_diagnostic_get_line (first) > 0
                               ? g_strdup_printf (":%u:%u", ht_diagnostic_get_line (first),
                                                  MAX (1u, ht_diagnostic_get_column (first)))
                               : g_strdup ("");

  g_set_error (error, domain ? domain : HT_RECIPE_ERROR, domain ? code : ht_diagnostic_get_code (first), "%s%s: %s%s",
               ht_diagnostic_get_file (first), place, ht_diagnostic_get_message (first), more);
}

gboolean
ht_diagnostic_list_finish (GPtrArray *found, GPtrArray *report, GQuark domain, gint code, GError **error)
{
  HtDiagnostic *first = NULL;
  guint n_errors = 0;

  g_ptr_array_sort (found, compare_places);
  for (guint i = 0; i < found->len; i++)
    {
      HtDiagnostic *item = g_ptr_array_index (found, i);

      if (ht_diagnostic_get_severity (item) == HT_SEVERITY_ERROR && n_errors++ == 0)
        first = item;
      if (report != NULL && i < HT_DIAGNOSTICS_MAX)
        g_ptr_array_add (report, ht_diagnostic_ref (item));
    }
  if (report != NULL && found->len > HT_DIAGNOSTICS_MAX)
    {
      guint n_more = found->len - HT_DIAGNOSTICS_MAX;
      g_autofree char *message = g_strdup_printf ("… and %u more problem%s", n_more, n_more == 1 ? "" : "s");
      const char *file = ht_diagnostic_get_file (g_ptr_array_index (found, 0));

      g_ptr_array_add (report, ht_diagnostic_new (HT_SEVERITY_NOTE, 0, file, 0, 0, 0, NULL, message));
    }
  if (first != NULL)
    set_error_from (error, first, n_errors, domain, code);
  g_ptr_array_set_size (found, 0);
  return n_errors == 0;
}
