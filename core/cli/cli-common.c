/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

int
cli_usage (const char *verb, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_printerr ("halftone %s: %s; see 'halftone %s --help'\n", verb, text, verb);
  return CLI_USAGE;
}

/* GLib's message for an unknown option names no neighbour; ours does. */
static int
fail_options (const char *verb, const GError *error, const GOptionEntry *entries)
{
  const char *names[64] = { NULL };
  const char *dashes = strstr (error->message, "--");
  gsize n = 0;
  for (; entries[n].long_name != NULL && n + 1 < G_N_ELEMENTS (names); n++)
    names[n] = entries[n].long_name;
  g_autofree char *word = dashes != NULL ? g_strndup (dashes + 2, strcspn (dashes + 2, " =")) : NULL;
  const char *nearest = g_error_matches (error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION) && word != NULL
                            ? ht_suggest (word, names)
                            : NULL;
  return cli_usage (verb, "%s%s%s%s", error->message, nearest ? "; did you mean '--" : "", nearest ? nearest : "",
                    nearest ? "'?" : "");
}

int
cli_parse (int *argc, char ***argv, const char *verb, const char *arguments, const char *summary,
           const GOptionEntry *entries, GOptionGroup *more, int n_arguments)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *program = g_strdup_printf ("%s - %s", arguments, summary);
  g_autoptr (GOptionContext) context = g_option_context_new (program);
  g_autofree char *name = g_strdup_printf ("halftone %s", verb);
  g_set_prgname (name);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_help_enabled (context, FALSE);
  if (more != NULL)
    g_option_context_add_group (context, more);
  for (int i = 1; i < *argc; i++)
    if (g_str_equal ((*argv)[i], "--help") || g_str_equal ((*argv)[i], "-h"))
      {
        g_autofree char *help = g_option_context_get_help (context, FALSE, NULL);
        g_print ("%s", help);
        return CLI_DONE;
      }
  if (!g_option_context_parse (context, argc, argv, &error))
    return fail_options (verb, error, entries);
  if (*argc - 1 != n_arguments)
    return cli_usage (verb, *argc - 1 < n_arguments ? "%s is missing" : "only %s may be given besides options",
                      arguments);
  return -1;
}

static int
exit_code (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return CLI_INTERRUPTED;
  if (error->domain == HT_PLUGIN_ERROR)
    return CLI_PLUGIN;
  if (error->domain == HT_RECIPE_ERROR || error->domain == G_REGEX_ERROR)
    return CLI_INVALID;
  if (error->domain == HT_ERROR)
    return error->code == HT_ERROR_FAILED || error->code == HT_ERROR_NO_MEMORY ? CLI_FAILED : CLI_INVALID;
  if (g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT)
      || g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_ISDIR)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY))
    return CLI_INVALID;
  return CLI_FAILED;
}

int
cli_fail (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_printerr ("halftone: interrupted; no result was written\n");
  else
    g_printerr ("halftone: error: %s\n", error->message);
  return exit_code (error);
}

int
cli_set_threads (const char *verb, int n_threads)
{
  if (n_threads < 0 || n_threads > 1024)
    return cli_usage (verb, "--threads is %d, must be 1 … 1024, or 0 for one on each core", n_threads);
  if (n_threads > 0)
    ht_set_n_threads ((guint)n_threads);
  return -1;
}

static int interrupts[2]; /* a pipe: the handler may do no more than write to it */

static void
note_interrupt (int which G_GNUC_UNUSED)
{
  int saved = errno;
  gssize written = write (interrupts[1], "", 1);
  (void)written;
  errno = saved;
}

static gpointer
wait_for_interrupt (gpointer cancellable)
{
  char byte;
  gssize n;
  do
    n = read (interrupts[0], &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n == 1)
    g_cancellable_cancel (cancellable);
  return NULL;
}

/* The handler holds for the whole process: libraries have threads of their own, which may be the ones that are
 * interrupted. A second interrupt ends the command at once; an ignored one (nohup) stays ignored. */
GCancellable *
cli_watch_interrupts (void)
{
  static GCancellable *cancellable;
  static const int signals[] = { SIGINT, SIGTERM };
  struct sigaction action = { .sa_handler = note_interrupt, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };
  if (cancellable != NULL)
    return cancellable;
  cancellable = g_cancellable_new ();
  if (pipe (interrupts) != 0)
    return cancellable;
  g_thread_unref (g_thread_new ("interrupts", wait_for_interrupt, cancellable));
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      struct sigaction before;
      if (sigaction (signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction (signals[i], &action, NULL);
    }
  return cancellable;
}

/* Whether a problem of the recipe is that a plugin failed: its message then names the plugin's file. */
static gboolean
blames_plugin (HtPassRegistry *registry, HtDiagnostic *diagnostic)
{
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (registry);
  for (guint i = 0; i < plugins->len; i++)
    {
      HtPlugin *plugin = g_ptr_array_index (plugins, i);
      if (ht_plugin_get_state (plugin) == HT_PLUGIN_FAILED
          && strstr (ht_diagnostic_get_message (diagnostic), ht_plugin_get_path (plugin)) != NULL)
        return TRUE;
    }
  return FALSE;
}

int
cli_fail_recipe (HtPassRegistry *registry, GPtrArray *diagnostics, const GError *error)
{
  if (diagnostics->len == 0 || error->domain != HT_RECIPE_ERROR)
    return cli_fail (error);
  for (guint i = 0; i < diagnostics->len; i++)
    if (blames_plugin (registry, g_ptr_array_index (diagnostics, i)))
      return CLI_PLUGIN;
  return CLI_INVALID;
}

HtPassRegistry *
cli_load_registry (void)
{
  HtPassRegistry *registry = ht_pass_registry_new ();
  ht_pass_registry_load (registry);
  return registry;
}

int
cli_check_arithmetic (const char *verb, const char *arithmetic)
{
  if (arithmetic == NULL || g_str_equal (arithmetic, "device") || g_str_equal (arithmetic, "aimet"))
    return -1;
  return cli_usage (verb, "--arithmetic is '%s', must be device or aimet", arithmetic);
}

HtSimulation *
cli_open_simulation (HtGraph *graph, const char *encodings, const char *arithmetic, GError **error)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) simulation = ht_simulation_new (graph, config, error);
  /* The file says what is quantized and how: there is no recipe here that it would have to agree with. */
  if (simulation == NULL || !ht_simulation_load_encodings (simulation, encodings, TRUE, error))
    return NULL;
  if (arithmetic != NULL)
    ht_simulation_set_arithmetic (simulation, g_str_equal (arithmetic, "aimet") ? HT_ARITHMETIC_AIMET
                                                                                : HT_ARITHMETIC_DEVICE);
  return g_steal_pointer (&simulation);
}

HtExecutor *
cli_open_executor (HtGraph *graph, const char *encodings, const char *arithmetic, GError **error)
{
  if (encodings == NULL)
    return ht_executor_new (graph, error);
  g_autoptr (HtSimulation) simulation = cli_open_simulation (graph, encodings, arithmetic, error);
  return simulation != NULL ? ht_simulation_create_executor (simulation, error) : NULL;
}

char **
cli_read_strings (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  if (node == NULL || !JSON_NODE_HOLDS_ARRAY (node))
    return NULL;
  JsonArray *array = json_node_get_array (node);
  for (guint i = 0; i < json_array_get_length (array); i++)
    if (json_node_get_value_type (json_array_get_element (array, i)) == G_TYPE_STRING)
      g_strv_builder_add (builder, json_array_get_string_element (array, i));
  return g_strv_builder_end (builder);
}
