/* SPDX-License-Identifier: MIT */
/* Progress, tables, JSON, recipe problems. Results go to standard output, all else to standard error. */
#include "cli/cli.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct _CliProgress
{
  gboolean terminal;
  gint64 start, last;
  char *message;
  guint n_drawn; /* lines */
};

CliProgress *
cli_progress_new (void)
{
  CliProgress *self = g_new0 (CliProgress, 1);
  self->terminal = isatty (STDERR_FILENO) != 0;
  self->start = g_get_monotonic_time ();
  return self;
}

static glong
get_width (void)
{
  struct winsize size;
  return ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Back to the first line of what was drawn, with nothing behind. */
static void
erase (CliProgress *self)
{
  if (self->n_drawn > 1)
    g_printerr ("\033[%uA", self->n_drawn - 1);
  if (self->n_drawn > 0)
    g_printerr ("\r\033[J");
  self->n_drawn = 0;
}

/* A line that the terminal would break could not be erased. */
static void
draw_line (CliProgress *self, const char *line)
{
  g_autofree char *valid = g_utf8_make_valid (line, -1);
  g_autofree char *shown = g_utf8_substring (valid, 0, MIN (g_utf8_strlen (valid, -1), get_width () - 1));
  g_printerr ("%s%s", self->n_drawn > 0 ? "\n" : "", shown);
  self->n_drawn++;
}

/* The bar stands before the first line of the message. */
static void
draw (CliProgress *self, double fraction, const char *message, gint64 now)
{
  char bar[31];
  int filled = (int) (fraction * 30);
  double passed = (double) (now - self->start) / G_USEC_PER_SEC;
  g_auto (GStrv) lines = g_strsplit (message, "\n", -1);
  g_autofree char *left = fraction > 0.02 && passed > 1
                              ? g_strdup_printf (", %.0f s left", passed * (1 - fraction) / fraction)
                              : g_strdup ("");
  for (int i = 0; i < 30; i++)
    bar[i] = i < filled ? '=' : ' ';
  bar[30] = '\0';
  g_autofree char *first
      = g_strdup_printf ("[%s] %3.0f %% %s%s", bar, fraction * 100, lines[0] != NULL ? lines[0] : "", left);
  erase (self);
  draw_line (self, first);
  for (guint i = 1; lines[0] != NULL && lines[i] != NULL; i++)
    draw_line (self, lines[i]);
}

void
cli_progress_update (double fraction, const char *message, gpointer progress)
{
  CliProgress *self = progress;
  gint64 now = g_get_monotonic_time ();
  gboolean fresh = g_strcmp0 (message, self->message) != 0;
  fraction = CLAMP (fraction, 0, 1);
  if (self->terminal && (fresh || now - self->last > 100000 || fraction >= 1))
    {
      draw (self, fraction, message != NULL ? message : "", now);
      self->last = now;
    }
  else if (!self->terminal && message != NULL && (fresh ? now - self->last > 1000000 : now - self->last > 10000000))
    {
      g_auto (GStrv) lines = g_strsplit (message, "\n", -1);
      g_autofree char *line = g_strjoinv (", ", lines);
      g_printerr ("%3.0f %% %s\n", fraction * 100, line);
      self->last = now;
    }
  if (fresh)
    {
      g_free (self->message);
      self->message = g_strdup (message);
    }
}

void
cli_progress_free (CliProgress *self)
{
  erase (self);
  g_free (self->message);
  g_free (self);
}

void
cli_print_json (JsonNode *node)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  json_generator_set_root (generator, node);
  json_generator_set_pretty (generator, TRUE);
  g_autofree char *text = json_generator_to_data (generator, NULL);
  g_print ("%s\n", text);
}

void
cli_print_diagnostics (GPtrArray *diagnostics)
{
  for (guint i = 0; i < diagnostics->len; i++)
    {
      g_autofree char *text = ht_diagnostic_format (g_ptr_array_index (diagnostics, i));
      g_printerr ("%s%s", text, g_str_has_suffix (text, "\n") ? "" : "\n");
    }
}

void
cli_print_table (GPtrArray *rows)
{
  gsize widths[16] = { 0 };
  for (guint r = 0; r < rows->len; r++)
    {
      char **cells = g_ptr_array_index (rows, r);
      for (guint c = 0; cells[c] != NULL && c < G_N_ELEMENTS (widths); c++)
        widths[c] = MAX (widths[c], (gsize) g_utf8_strlen (cells[c], -1));
    }
  for (guint r = 0; r < rows->len; r++)
    {
      char **cells = g_ptr_array_index (rows, r);
      g_autoptr (GString) line = g_string_new (NULL);
      for (guint c = 0; cells[c] != NULL && c < G_N_ELEMENTS (widths); c++)
        {
          g_string_append (line, cells[c]);
          for (gsize pad = (gsize) g_utf8_strlen (cells[c], -1); cells[c + 1] != NULL && pad < widths[c] + 2; pad++)
            g_string_append_c (line, ' ');
        }
      g_print ("%s\n", line->str);
    }
}

static char *
format_metric (HtMetrics *metrics, const char *name, const char *format, double factor)
{
  double value = ht_metrics_get (metrics, name);
  if (isnan (value))
    return g_strdup ("-");
  if (isinf (value))
    return g_strdup ("exact");
  char text[64];
  g_ascii_formatd (text, sizeof text, format, value * factor);
  return g_strdup (text);
}

static char *
format_accuracy (HtMetrics *metrics)
{
  g_autofree char *top1 = format_metric (metrics, "top1", "%.2f", 100);
  g_autofree char *low = format_metric (metrics, "top1-low", "%.1f", 100);
  g_autofree char *high = format_metric (metrics, "top1-high", "%.1f", 100);
  return g_str_equal (top1, "-") ? g_strdup ("-") : g_strdup_printf ("%s (%s to %s)", top1, low, high);
}

void
cli_print_metrics (const char *const *stages, HtMetrics *const *metrics)
{
  static const char *const head[] = { "stage", "top-1 % (95 %)", "top-5 %", "same class %", "SQNR dB", "max difference", NULL };
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  g_ptr_array_add (rows, g_strdupv ((char **) head));
  for (guint i = 0; stages[i] != NULL; i++)
    {
      char **cells = g_new0 (char *, 7);
      cells[0] = g_strdup (stages[i]);
      cells[1] = format_accuracy (metrics[i]);
      cells[2] = format_metric (metrics[i], "top5", "%.2f", 100);
      cells[3] = format_metric (metrics[i], "agreement", "%.2f", 100);
      cells[4] = format_metric (metrics[i], "sqnr", "%.1f", 1);
      cells[5] = format_metric (metrics[i], "max-difference", "%.4g", 1);
      g_ptr_array_add (rows, cells);
    }
  cli_print_table (rows);
}
