/* SPDX-License-Identifier: MIT */
#include "quant/verify-runtime.h"

#include "exec/onnxruntime.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <halftone/executor.h>

struct _HtVerifyRuntime
{
  HtOrt *ort; /* NULL: our own operators */
};

struct _HtVerifyProgram
{
  HtOrtSession *session; /* one of the two */
  HtExecutor *executor;
};

HtVerifyRuntime *
ht_verify_runtime_open (HtVerificationRuntime kind, GError **error)
{
  g_autoptr (HtVerifyRuntime) self = g_new0 (HtVerifyRuntime, 1);
  GError *problem = NULL;

  if (kind == HT_VERIFICATION_RUNTIME_OWN)
    return g_steal_pointer (&self);
  self->ort = ht_ort_open (&problem);
  if (problem)
    {
      g_propagate_error (error, problem);
      return NULL;
    }
  if (!self->ort && kind == HT_VERIFICATION_RUNTIME_ONNXRUNTIME)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                           "onnxruntime was asked for, but libonnxruntime.so is not among the system's libraries; name "
                           "its file or folder in HALFTONE_ONNXRUNTIME");
      return NULL;
    }
  return g_steal_pointer (&self);
}

void
ht_verify_runtime_free (HtVerifyRuntime *self)
{
  g_clear_pointer (&self->ort, ht_ort_unref);
  g_free (self);
}

gboolean
ht_verify_runtime_is_own (HtVerifyRuntime *self)
{
  return self->ort == NULL;
}

char *
ht_verify_runtime_describe (HtVerifyRuntime *self)
{
  return self->ort ? g_strdup_printf ("onnxruntime %s", ht_ort_get_version (self->ort))
                   : g_strdup ("the operators of Halftone");
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (folder);
}

/* onnxruntime reads files: large networks have their weights in one of their own. */
static HtOrtSession *
open_graph (HtOrt *ort, HtGraph *graph, gboolean optimize, GError **error)
{
  g_autofree char *folder = g_dir_make_tmp ("halftone-XXXXXX", error);
  g_autofree char *path = folder ? g_build_filename (folder, "network.onnx", NULL) : NULL;
  HtOrtSession *session = NULL;

  if (!folder)
    return NULL;
  if (ht_graph_save (graph, path, error))
    session = ht_ort_session_new (ort, path, optimize, error);
  remove_folder (folder);
  return session;
}

HtVerifyProgram *
ht_verify_program_new (HtVerifyRuntime *runtime, HtGraph *graph, const char *path, gboolean optimize, GError **error)
{
  g_autoptr (HtVerifyProgram) self = g_new0 (HtVerifyProgram, 1);

  if (!runtime->ort)
    self->executor = ht_executor_new (graph, error);
  else if (path)
    self->session = ht_ort_session_new (runtime->ort, path, optimize, error);
  else
    self->session = open_graph (runtime->ort, graph, optimize, error);
  return self->executor || self->session ? g_steal_pointer (&self) : NULL;
}

void
ht_verify_program_free (HtVerifyProgram *self)
{
  g_clear_pointer (&self->session, ht_ort_session_free);
  g_clear_object (&self->executor);
  g_free (self);
}

GHashTable *
ht_verify_program_run (HtVerifyProgram *self, GHashTable *inputs, const char *const *outputs, GCancellable *cancellable,
                       GError **error)
{
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  return self->session ? ht_ort_session_run (self->session, inputs, outputs, error)
                       : ht_executor_run (self->executor, inputs, outputs, cancellable, error);
}
