/* SPDX-License-Identifier: MIT */
/* Whatever the bytes are, reading them as a recipe ends with a recipe or an error, and the effective recipe is one too. */
#include <halftone/recipe.h>

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_diagnostics (GPtrArray *diagnostics, HtRecipe *recipe)
{
  gboolean has_error = FALSE;

  for (guint i = 0; i < diagnostics->len; i++)
    {
      HtDiagnostic *diagnostic = g_ptr_array_index (diagnostics, i);
      g_autofree char *text = ht_diagnostic_format (diagnostic);

      has_error |= ht_diagnostic_get_severity (diagnostic) == HT_SEVERITY_ERROR;
      if (!g_utf8_validate (text, -1, NULL))
        g_error ("a diagnostic is not UTF-8");
    }
  if (has_error && recipe != NULL)
    g_error ("a recipe in spite of errors");
}

/* The effective recipe must be readable, and must be the same. */
static void
round_trip (HtRecipe *recipe, HtPassRegistry *registry)
{
  g_autoptr (JsonNode) node = ht_recipe_to_json (recipe);
  g_autofree char *text = json_to_string (node, FALSE);
  g_autoptr (GError) error = NULL;
  g_autoptr (HtRecipe) again = ht_recipe_parse (text, -1, "fuzz.yaml", registry, NULL, &error);

  if (again == NULL)
    g_error ("an effective recipe is refused: %s\n%s", error->message, text);
  g_autoptr (JsonNode) node_again = ht_recipe_to_json (again);
  g_autofree char *text_again = json_to_string (node_again, FALSE);
  if (!g_str_equal (text, text_again))
    g_error ("an effective recipe reads as another one:\n%s\n%s", text, text_again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static HtPassRegistry *empty;

  if (empty == NULL)
    empty = ht_pass_registry_new ();
  for (guint i = 0; i < 2; i++)
    {
      HtPassRegistry *registry = i == 0 ? NULL : empty;
      g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
      g_autoptr (GError) error = NULL;
      g_autoptr (HtRecipe) recipe
          = ht_recipe_parse ((const char *) data, (gssize) size, "fuzz.yaml", registry, diagnostics, &error);

      if ((recipe == NULL) != (error != NULL))
        g_error ("neither a recipe nor an error, or both");
      check_diagnostics (diagnostics, recipe);
      if (recipe != NULL)
        round_trip (recipe, registry);
    }
  return 0;
}
