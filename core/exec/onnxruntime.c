/* SPDX-License-Identifier: MIT */
/* The C interface of onnxruntime is a table of functions that only ever grows at its end (onnxruntime.ai/docs/api/c): a
 * version 1 table is the beginning of every later one. Here is the part of it that running a network takes. */
#include "exec/onnxruntime.h"

#include <gmodule.h>
#include <halftone/error.h>
#include <halftone/executor.h>
#include <string.h>

#define VARIABLE         "HALFTONE_ONNXRUNTIME"
#define PREFIX           "libonnxruntime.so"
#define API_VERSION      1
#define SEVERITY_ERROR   3
#define NO_OPTIMIZATION  0
#define DEVICE_ALLOCATOR 0
#define DEFAULT_MEMORY   0

/* Places in the table. */
enum
{
  GET_ERROR_MESSAGE = 2,
  CREATE_ENV_WITH_LOGGER = 4,
  CREATE_SESSION = 7,
  RUN = 9,
  CREATE_SESSION_OPTIONS = 10,
  SET_OPTIMIZATION_LEVEL = 23,
  SET_INTRA_OP_THREADS = 24,
  CREATE_TENSOR_WITH_DATA = 49,
  IS_TENSOR = 50,
  GET_TENSOR_DATA = 51,
  GET_ELEMENT_TYPE = 60,
  GET_DIMENSIONS_COUNT = 61,
  GET_DIMENSIONS = 62,
  GET_TENSOR_TYPE_AND_SHAPE = 65,
  CREATE_CPU_MEMORY_INFO = 69,
  RELEASE_ENV = 92,
  RELEASE_STATUS = 93,
  RELEASE_MEMORY_INFO = 94,
  RELEASE_SESSION = 95,
  RELEASE_VALUE = 96,
  RELEASE_TENSOR_TYPE_AND_SHAPE = 99,
  RELEASE_SESSION_OPTIONS = 100,
};

typedef void (*Function) (void);

typedef struct
{
  const Function *(*get_api) (guint32 version);
  const char *(*get_version) (void);
} ApiBase;

typedef gpointer Status; /* NULL: all is well */
typedef void (*Logger) (gpointer data, int severity, const char *category, const char *id, const char *where,
                        const char *message);

typedef const char *(*GetErrorMessage) (Status status);
typedef Status (*CreateEnvWithLogger) (Logger logger, gpointer data, int severity, const char *id, gpointer *env);
typedef Status (*CreateSession) (gpointer env, const char *path, gpointer options, gpointer *session);
typedef Status (*Run) (gpointer session, gpointer options, const char *const *input_names, const gpointer *inputs,
                       gsize n_inputs, const char *const *output_names, gsize n_outputs, gpointer *outputs);
typedef Status (*Create) (gpointer *object);
typedef Status (*SetInt) (gpointer object, int value);
typedef Status (*CreateTensorWithData) (gpointer memory, gpointer data, gsize size, const gint64 *dims, gsize n_dims,
                                        int type, gpointer *value);
typedef Status (*GetInt) (gpointer object, int *value);
typedef Status (*GetSize) (gpointer object, gsize *value);
typedef Status (*GetPointer) (gpointer object, gpointer *value);
typedef Status (*GetDimensions) (gpointer object, gint64 *dims, gsize n_dims);
typedef Status (*CreateCpuMemoryInfo) (int allocator, int memory, gpointer *info);
typedef void (*Release) (gpointer object);

struct _HtOrt
{
  gatomicrefcount n_refs;
  const Function *api;
  char *version;
  gpointer env, memory;
};

struct _HtOrtSession
{
  HtOrt *ort;
  gpointer session;
};

/* ---- Finding the library ---- */

/* The one with the highest version among the files of a folder, or NULL. */
static char *
find_in_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autofree char *best = NULL, *best_key = NULL;
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    {
      if (!g_str_has_prefix (name, PREFIX) || (name[strlen (PREFIX)] != '\0' && name[strlen (PREFIX)] != '.'))
        continue;
      g_autofree char *key = g_utf8_collate_key_for_filename (name, -1);
      if (best && strcmp (key, best_key) < 0)
        continue;
      g_free (best);
      g_free (best_key);
      best = g_build_filename (folder, name, NULL);
      best_key = g_steal_pointer (&key);
    }
  return g_steal_pointer (&best);
}

static GModule *
open_module (const char *path, GError **error)
{
  return g_module_open_full (path, G_MODULE_BIND_LAZY | G_MODULE_BIND_LOCAL, error);
}

static GModule *
open_system_module (void)
{
  static const char *const names[] = { PREFIX, PREFIX ".1" };
  static const char *const folders[]
      = { "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      GModule *module = open_module (names[i], NULL);
      if (module)
        return module;
    }
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++)
    {
      g_autofree char *path = find_in_folder (folders[i]);
      GModule *module = path ? open_module (path, NULL) : NULL;
      if (module)
        return module;
    }
  return NULL;
}

static GModule *
open_given_module (const char *place, GError **error)
{
  g_autofree char *found = NULL;

  if (g_file_test (place, G_FILE_TEST_IS_DIR))
    {
      found = find_in_folder (place);
      if (found == NULL)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                       "loading onnxruntime: " VARIABLE " names the folder '%s', which has no file " PREFIX
                       "*; name the "
                       "folder or the file of the library, or leave the variable unset",
                       place);
          return NULL;
        }
      place = found;
    }
  g_autoptr (GError) problem = NULL;
  GModule *module = g_file_test (place, G_FILE_TEST_EXISTS) ? open_module (place, &problem) : NULL;
  if (module == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                 "loading onnxruntime: " VARIABLE
                 " names '%s': %s; name the folder or the file of the library, or leave the "
                 "variable unset",
                 place, problem ? problem->message : "there is no such file");
  return module;
}

/* ---- Calling it ---- */

/* What it has to say comes back as a status. */
static void
ignore_message (gpointer data, int severity, const char *category, const char *id, const char *where,
                const char *message)
{
}

static gboolean
succeeds (HtOrt *self, Status status, GError **error, const char *what, const char *on)
{
  if (status == NULL)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "onnxruntime %s, %s '%s': %s", self->version, what, on,
               ((GetErrorMessage)self->api[GET_ERROR_MESSAGE]) (status));
  ((Release)self->api[RELEASE_STATUS]) (status);
  return FALSE;
}

static void
release (HtOrt *self, guint how, gpointer object)
{
  if (object)
    ((Release)self->api[how]) (object);
}

static HtOrt *
open_api (GModule *module, GError **error)
{
  gpointer symbol = NULL;
  const ApiBase *base = NULL;
  const Function *api = NULL;

  if (g_module_symbol (module, "OrtGetApiBase", &symbol) && symbol)
    {
      const ApiBase *(*get_base) (void);
      memcpy (&get_base, &symbol, sizeof symbol);
      base = get_base ();
    }
  if (base && base->get_api)
    api = base->get_api (API_VERSION);
  if (api == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "loading onnxruntime: '%s' is a library without its C interface (OrtGetApiBase); name the file of "
                   "onnxruntime in " VARIABLE ", or leave it unset",
                   g_module_name (module));
      return NULL;
    }
  g_autoptr (HtOrt) self = g_new0 (HtOrt, 1);
  g_atomic_ref_count_init (&self->n_refs);
  self->api = api;
  self->version = g_strdup (base->get_version ? base->get_version () : "of an unknown version");
  if (!succeeds (self,
                 ((CreateEnvWithLogger)api[CREATE_ENV_WITH_LOGGER]) (ignore_message, NULL, SEVERITY_ERROR, "halftone",
                                                                     &self->env),
                 error, "starting", g_module_name (module))
      || !succeeds (
          self, ((CreateCpuMemoryInfo)api[CREATE_CPU_MEMORY_INFO]) (DEVICE_ALLOCATOR, DEFAULT_MEMORY, &self->memory),
          error, "starting", g_module_name (module)))
    return NULL;
  return g_steal_pointer (&self);
}

HtOrt *
ht_ort_open (GError **error)
{
  const char *place = g_getenv (VARIABLE);
  GModule *module;

  if (place && *place == '\0')
    return NULL;
  module = place ? open_given_module (place, error) : open_system_module ();
  if (module == NULL)
    return NULL;
  HtOrt *self = open_api (module, error);
  /* It has threads and thread-local storage of its own: once started it stays. */
  if (self)
    g_module_make_resident (module);
  g_module_close (module);
  return self;
}

HtOrt *
ht_ort_ref (HtOrt *self)
{
  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

void
ht_ort_unref (HtOrt *self)
{
  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  release (self, RELEASE_MEMORY_INFO, self->memory);
  release (self, RELEASE_ENV, self->env);
  g_free (self->version);
  g_free (self);
}

const char *
ht_ort_get_version (HtOrt *self)
{
  return self->version;
}

HtOrtSession *
ht_ort_session_new (HtOrt *ort, const char *path, gboolean optimize, GError **error)
{
  g_autoptr (HtOrtSession) self = g_new0 (HtOrtSession, 1);
  gpointer options = NULL;

  self->ort = ht_ort_ref (ort);
  gboolean fine = succeeds (ort, ((Create)ort->api[CREATE_SESSION_OPTIONS]) (&options), error, "opening", path)
                  && succeeds (ort, ((SetInt)ort->api[SET_INTRA_OP_THREADS]) (options, (int)ht_get_n_threads ()), error,
                               "opening", path)
                  && (optimize
                      || succeeds (ort, ((SetInt)ort->api[SET_OPTIMIZATION_LEVEL]) (options, NO_OPTIMIZATION), error,
                                   "opening", path))
                  && succeeds (ort, ((CreateSession)ort->api[CREATE_SESSION]) (ort->env, path, options, &self->session),
                               error, "opening", path);
  release (ort, RELEASE_SESSION_OPTIONS, options);
  return fine ? g_steal_pointer (&self) : NULL;
}

void
ht_ort_session_free (HtOrtSession *self)
{
  release (self->ort, RELEASE_SESSION, self->session);
  ht_ort_unref (self->ort);
  g_free (self);
}

/* The value reads the tensor's memory. Element types have ONNX's numbers on both sides. */
static gpointer
make_value (HtOrt *ort, const char *name, HtTensor *tensor, GError **error)
{
  gpointer value = NULL;
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);

  if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_STRING)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "giving onnxruntime '%s': strings are not passed on", name);
      return NULL;
    }
  if (!succeeds (ort,
                 ((CreateTensorWithData)ort->api[CREATE_TENSOR_WITH_DATA]) (
                     ort->memory, (gpointer)ht_tensor_get_data (tensor), ht_tensor_get_size (tensor), dims, n_dims,
                     (int)ht_tensor_get_data_type (tensor), &value),
                 error, "giving it", name))
    return NULL;
  return value;
}

static HtTensor *
copy_tensor (HtOrt *ort, const char *name, gpointer value, gpointer shape, GError **error)
{
  gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 };
  gpointer data = NULL;
  gsize n_dims = 0;
  int type = 0;

  if (!succeeds (ort, ((GetInt)ort->api[GET_ELEMENT_TYPE]) (shape, &type), error, "reading", name)
      || !succeeds (ort, ((GetSize)ort->api[GET_DIMENSIONS_COUNT]) (shape, &n_dims), error, "reading", name))
    return NULL;
  if (n_dims > HT_TENSOR_MAX_DIMS || ht_data_type_get_bits ((HtDataType)type) == 0 || type == HT_DATA_TYPE_STRING)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "reading '%s' from onnxruntime: found element type %d and %" G_GSIZE_FORMAT
                   " dimensions, expected numbers in at most %d",
                   name, type, n_dims, HT_TENSOR_MAX_DIMS);
      return NULL;
    }
  if (!succeeds (ort, ((GetDimensions)ort->api[GET_DIMENSIONS]) (shape, dims, n_dims), error, "reading", name)
      || !succeeds (ort, ((GetPointer)ort->api[GET_TENSOR_DATA]) (value, &data), error, "reading", name))
    return NULL;
  HtTensor *tensor = ht_tensor_new ((HtDataType)type, dims, (guint)n_dims, error);
  if (tensor && ht_tensor_get_size (tensor) > 0)
    memcpy (ht_tensor_get_writable_data (tensor), data, ht_tensor_get_size (tensor));
  return tensor;
}

static HtTensor *
read_value (HtOrt *ort, const char *name, gpointer value, GError **error)
{
  HtTensor *tensor = NULL;
  gpointer shape = NULL;
  int is_tensor = 0;

  if (!succeeds (ort, ((GetInt)ort->api[IS_TENSOR]) (value, &is_tensor), error, "reading", name))
    return NULL;
  if (!is_tensor)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "reading '%s' from onnxruntime: it is no tensor", name);
      return NULL;
    }
  if (succeeds (ort, ((GetPointer)ort->api[GET_TENSOR_TYPE_AND_SHAPE]) (value, &shape), error, "reading", name))
    tensor = copy_tensor (ort, name, value, shape, error);
  release (ort, RELEASE_TENSOR_TYPE_AND_SHAPE, shape);
  return tensor;
}

static GHashTable *
read_values (HtOrt *ort, const char *const *names, GPtrArray *values, GError **error)
{
  g_autoptr (GHashTable) results
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);

  for (guint i = 0; i < values->len; i++)
    {
      HtTensor *tensor = read_value (ort, names[i], g_ptr_array_index (values, i), error);
      if (tensor == NULL)
        return NULL;
      g_hash_table_insert (results, g_strdup (names[i]), tensor);
    }
  return g_steal_pointer (&results);
}

GHashTable *
ht_ort_session_run (HtOrtSession *self, GHashTable *inputs, const char *const *outputs, GError **error)
{
  HtOrt *ort = self->ort;
  g_autoptr (GPtrArray) names = g_ptr_array_new (), given = g_ptr_array_new (), made = g_ptr_array_new ();
  GHashTable *results = NULL;
  gboolean fine = TRUE;
  GHashTableIter iter;
  gpointer name, tensor;

  g_hash_table_iter_init (&iter, inputs);
  while (fine && g_hash_table_iter_next (&iter, &name, &tensor))
    {
      gpointer value = make_value (ort, name, tensor, error);
      fine = value != NULL;
      if (fine)
        {
          g_ptr_array_add (names, name);
          g_ptr_array_add (given, value);
        }
    }
  g_ptr_array_set_size (made, (gint)g_strv_length ((char **)outputs));
  fine = fine
         && succeeds (ort,
                      ((Run)ort->api[RUN]) (self->session, NULL, (const char *const *)names->pdata, given->pdata,
                                            given->len, outputs, made->len, made->pdata),
                      error, "running for", outputs[0]);
  if (fine)
    results = read_values (ort, outputs, made, error);
  for (guint i = 0; i < given->len; i++)
    release (ort, RELEASE_VALUE, g_ptr_array_index (given, i));
  for (guint i = 0; i < made->len; i++)
    release (ort, RELEASE_VALUE, g_ptr_array_index (made, i));
  return results;
}
