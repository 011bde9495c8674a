/* SPDX-License-Identifier: MIT */
#include "search/external-evaluator.h"

#include <errno.h>
#include <glib-unix.h>
#include <halftone/error.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* A number is short; of complaints the end is kept. */
#define MAX_OUTPUT 4096
#define SLICE      20 /* milliseconds */

typedef struct
{
  const char *program;
  GPid pid;
  int out, err; /* -1: at its end */
  GString *output, *complaints;
  gboolean too_much;
  int status;
} Child;

/* A group of its own, so that all that it starts can be ended with it; and it does not outlive us. */
static void
set_up_child (gpointer data)
{
  setpgid (0, 0);
#ifdef __linux__
  prctl (PR_SET_PDEATHSIG, SIGKILL);
#endif
}

static char **
fill_in (const char *const *command, const char *model_path)
{
  g_autofree char *absolute = g_canonicalize_filename (model_path, NULL);
  g_autoptr (GStrvBuilder) words = g_strv_builder_new ();

  for (; *command != NULL; command++)
    {
      g_auto (GStrv) parts = g_strsplit (*command, "{model}", -1);
      g_autofree char *word = g_strjoinv (absolute, parts);
      g_strv_builder_add (words, word);
    }
  return g_strv_builder_end (words);
}

static void
take_in (Child *self, int *fd, GString *text, gboolean keep_end)
{
  char buffer[MAX_OUTPUT];
  gssize n_bytes;

  while (*fd >= 0 && (n_bytes = read (*fd, buffer, sizeof buffer)) != 0)
    {
      if (n_bytes < 0 && errno == EINTR)
        continue;
      if (n_bytes < 0 && errno == EAGAIN)
        return;
      if (n_bytes < 0)
        break;
      g_string_append_len (text, buffer, n_bytes);
      if (text->len > MAX_OUTPUT && keep_end)
        g_string_erase (text, 0, (gssize)(text->len - MAX_OUTPUT));
      else if (text->len > MAX_OUTPUT)
        {
          g_string_truncate (text, MAX_OUTPUT);
          self->too_much = TRUE;
        }
    }
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

static void
drain (Child *self)
{
  take_in (self, &self->out, self->output, FALSE);
  take_in (self, &self->err, self->complaints, TRUE);
}

static gboolean
wait_a_little (Child *self, GCancellable *cancellable)
{
  struct pollfd fds[3];
  nfds_t n_fds = 0;
  GPollFD cancel;
  gboolean has_cancel = g_cancellable_make_pollfd (cancellable, &cancel);
  const int sources[] = { self->out, self->err, has_cancel ? cancel.fd : -1 };

  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    if (sources[i] >= 0)
      fds[n_fds++] = (struct pollfd){ .fd = sources[i], .events = POLLIN };
  poll (fds, n_fds, SLICE);
  if (has_cancel)
    g_cancellable_release_fd (cancellable);
  drain (self);
  pid_t ended = waitpid (self->pid, &self->status, WNOHANG);
  if (ended < 0 && errno == ECHILD)
    self->status = -1;
  return ended == self->pid || (ended < 0 && errno == ECHILD);
}

/* Also what it has left running behind it. */
static void
end_group (Child *self, gboolean reap)
{
  kill (-self->pid, SIGKILL);
  if (!reap)
    return;
  kill (self->pid, SIGKILL);
  while (waitpid (self->pid, &self->status, 0) < 0 && errno == EINTR)
    ;
}

static gboolean
watch (Child *self, double timeout, GCancellable *cancellable, GError **error)
{
  gint64 start = g_get_monotonic_time ();

  while (!wait_a_little (self, cancellable))
    {
      double seconds = (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC;
      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        {
          end_group (self, TRUE);
          return FALSE;
        }
      if (timeout > 0.0 && seconds > timeout)
        {
          end_group (self, TRUE);
          g_set_error (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED,
                       "the evaluator '%s' was still running after %g seconds and was ended; raise "
                       "'data.evaluation.timeout', or make it faster",
                       self->program, timeout);
          return FALSE;
        }
    }
  drain (self);
  end_group (self, FALSE);
  return TRUE;
}

/* ": its last words", or nothing. */
static char *
quote_complaints (Child *self)
{
  g_autofree char *text = g_utf8_make_valid (self->complaints->str, (gssize)self->complaints->len);
  const char *line = strrchr (g_strchomp (text), '\n');

  line = line != NULL ? line + 1 : text;
  return *line != '\0' ? g_strdup_printf (": %s", line) : g_strdup ("");
}

static gboolean
check_status (Child *self, GError **error)
{
  g_autofree char *words = quote_complaints (self);

  if (self->status == 0)
    return TRUE;
  if (self->status < 0)
    g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "the evaluator '%s' was lost; nobody else may wait for children",
                 self->program);
  else if (WIFSIGNALED (self->status))
    g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "the evaluator '%s' was ended by signal %d (%s)%s", self->program,
                 WTERMSIG (self->status), g_strsignal (WTERMSIG (self->status)), words);
  else
    g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "the evaluator '%s' ended with exit code %d; expected 0%s",
                 self->program, WEXITSTATUS (self->status), words);
  return FALSE;
}

static gboolean
read_score (Child *self, double *score, GError **error)
{
  g_autofree char *valid = g_utf8_make_valid (self->output->str, (gssize)self->output->len);
  const char *text = g_strstrip (valid);
  char *end = NULL;

  *score = g_ascii_strtod (text, &end);
  if (*text == '\0')
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "the evaluator '%s' printed nothing; expected one number",
                 self->program);
  else if (self->too_much || *end != '\0' || strspn (text, "0123456789+-.eE") != strlen (text))
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                 "the evaluator '%s' printed '%.60s%s'; expected one finite number, such as 71.25, and nothing else",
                 self->program, text, strlen (text) > 60 ? "…" : "");
  else if (!isfinite (*score))
    g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC, "the evaluator '%s' printed %.60s, which is out of range",
                 self->program, text);
  else
    return TRUE;
  return FALSE;
}

gboolean
ht_external_evaluator_run (const char *const *command, const char *folder, double timeout, const char *model_path,
                           GCancellable *cancellable, double *score, GError **error)
{
  g_auto (GStrv) words = fill_in (command, model_path);
  g_autoptr (GError) local = NULL;
  Child child = { .program = words[0], .out = -1, .err = -1 };

  g_return_val_if_fail (command[0] != NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (!g_spawn_async_with_pipes (folder, words, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, set_up_child,
                                 NULL, &child.pid, NULL, &child.out, &child.err, &local))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND, "the evaluator '%s' cannot be started: %s", words[0],
                   local->message);
      return FALSE;
    }
  child.output = g_string_new (NULL);
  child.complaints = g_string_new (NULL);
  g_unix_set_fd_nonblocking (child.out, TRUE, NULL);
  g_unix_set_fd_nonblocking (child.err, TRUE, NULL);
  gboolean done = watch (&child, timeout, cancellable, error) && check_status (&child, error)
                  && read_score (&child, score, error);
  if (child.out >= 0)
    close (child.out);
  if (child.err >= 0)
    close (child.err);
  g_string_free (child.output, TRUE);
  g_string_free (child.complaints, TRUE);
  return done;
}
