/* SPDX-License-Identifier: MIT */
/* Fits arrays to the inputs of a network: names, types, shapes, counts, the fixed batch. */
#include "data/dataset-private.h"

#include <halftone/error.h>
#include <halftone/param.h>

#include <string.h>

int
ht_compare_names (const void *a, const void *b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* What binding finds, before anything is changed. */
typedef struct
{
  char *input;
  HtDataType type;
  HtPreprocessPlan *plan;
} Binding;

static void
binding_free (Binding *self)
{
  g_free (self->input);
  g_clear_pointer (&self->plan, ht_preprocess_plan_free);
  g_free (self);
}

static gboolean
check_names (HtDataset *self, HtGraph *graph, GError **error)
{
  const char *const *inputs = ht_graph_get_inputs (graph);
  guint n_inputs = g_strv_length ((char **)inputs);
  g_autofree char *all = g_strjoinv ("', '", (char **)inputs);
  const HtDataSource *only = self->sources->len == 1 ? g_ptr_array_index (self->sources, 0) : NULL;

  if (only && only->name == NULL && n_inputs == 1)
    return TRUE;
  if (only && only->name == NULL)
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "Binding '%s' to a network of %u inputs ('%s'): expected the name of the input that it feeds; give one "
          "array for each input",
          only->origin, n_inputs, all);
      return FALSE;
    }
  for (guint i = 0; i < self->sources->len; i++)
    {
      const HtDataSource *source = g_ptr_array_index (self->sources, i);
      if (!g_strv_contains (inputs, source->name))
        {
          const char *near = ht_suggest (source->name, inputs);
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                       "Binding '%s': the network has no input '%s'%s%s%s; its inputs are '%s'", source->origin,
                       source->name, near ? ", did you mean '" : "", near ? near : "", near ? "'" : "", all);
          return FALSE;
        }
    }
  for (guint i = 0; i < n_inputs; i++)
    {
      gboolean found = FALSE;
      for (guint j = 0; j < self->sources->len && !found; j++)
        found = g_str_equal (((HtDataSource *)g_ptr_array_index (self->sources, j))->name, inputs[i]);
      if (!found)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                       "Binding a data set: found no array for the network input '%s', expected one for each of '%s'; "
                       "add it",
                       inputs[i], all);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
check_counts (HtDataset *self, GError **error)
{
  const HtDataSource *first = NULL;

  for (guint i = 0; i < self->sources->len; i++)
    {
      const HtDataSource *source = g_ptr_array_index (self->sources, i);
      if (ht_tensor_get_n_dims (source->array) == 0)
        continue;
      if (first == NULL)
        first = source;
      if (ht_tensor_get_dim (source->array, 0) == ht_tensor_get_dim (first->array, 0))
        continue;
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Binding a data set: '%s' has %" G_GINT64_FORMAT " samples and '%s' has %" G_GINT64_FORMAT
                   ", expected as many; cut the longer array",
                   first->origin, ht_tensor_get_dim (first->array, 0), source->origin,
                   ht_tensor_get_dim (source->array, 0));
      return FALSE;
    }
  if (self->labels && first && ht_tensor_get_n_elements (self->labels) != (gsize)ht_tensor_get_dim (first->array, 0))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Binding a data set: '%s' has %" G_GINT64_FORMAT " samples and the labels '%s' %" G_GSIZE_FORMAT
                   ", expected as many; give the labels of these samples",
                   first->origin, ht_tensor_get_dim (first->array, 0), self->labels_origin,
                   ht_tensor_get_n_elements (self->labels));
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_type (const HtDataSource *source, const char *input, HtDataType type, GError **error)
{
  HtDataType found = ht_tensor_get_data_type (source->array);

  if (ht_data_type_is_float (type) || !ht_data_type_is_float (found))
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
               "Binding '%s' to the network input '%s': found %s elements, expected %s; convert the array with "
               "array.astype('%s')",
               source->origin, input, ht_data_type_get_name (found), ht_data_type_get_name (type),
               ht_data_type_get_name (type));
  return FALSE;
}

/* What would make the shapes agree. */
static char *
advise (const HtPreprocessPlan *plan, HtTensor *array, HtShape *shape)
{
  guint n_dims = ht_shape_get_n_dims (shape);
  guint n_found = ht_tensor_get_n_dims (array);
  gsize elements = 1;
  g_autoptr (GString) wanted = g_string_new ("[");

  if (n_found == n_dims && n_dims > 2)
    {
      gboolean last = ht_shape_get_dim (shape, 1) == ht_tensor_get_dim (array, n_dims - 1);
      for (guint i = 2; i < n_dims; i++)
        last &= ht_shape_get_dim (shape, i) == HT_DIM_UNKNOWN
                || ht_shape_get_dim (shape, i) == ht_tensor_get_dim (array, i - 1);
      if (last && plan->channel_stride != 1)
        return g_strdup ("the file seems to store channels last: set 'layout' to NHWC");
    }
  for (guint i = 1; i < n_dims; i++)
    {
      if (ht_shape_get_dim (shape, i) == HT_DIM_UNKNOWN)
        return g_strdup ("set 'shape' to the dimensions of one sample, or check 'layout'");
      elements *= (gsize)ht_shape_get_dim (shape, i);
      g_string_append_printf (wanted, "%s%" G_GINT64_FORMAT, i > 1 ? ", " : "", ht_shape_get_dim (shape, i));
    }
  if (elements == plan->sample_elements)
    return g_strdup_printf (
        "a sample has as many elements as the network takes: set 'shape' to %s] if they are in that "
        "order",
        wanted->str);
  if (n_dims == 4 && plan->n_dims == 4 && plan->n_channels == ht_shape_get_dim (shape, 1)
      && plan->height >= ht_shape_get_dim (shape, 2) && plan->width >= ht_shape_get_dim (shape, 3))
    return g_strdup_printf ("set 'center-crop' to [%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT "] or resize the images",
                            ht_shape_get_dim (shape, 2), ht_shape_get_dim (shape, 3));
  return g_strdup ("give the data that belongs to this network, or check 'layout' and 'shape'");
}

static gboolean
check_shape (const HtDataSource *source, const char *input, const HtPreprocessPlan *plan, HtShape *shape,
             GError **error)
{
  gboolean agrees = ht_shape_get_n_dims (shape) == plan->n_dims;
  g_autofree char *wanted = NULL;
  g_autofree char *advice = NULL;
  g_autofree char *file = NULL;
  g_autoptr (GString) found = NULL;

  for (guint i = 1; agrees && i < plan->n_dims; i++)
    agrees = ht_shape_get_dim (shape, i) == HT_DIM_UNKNOWN || ht_shape_get_dim (shape, i) == plan->dims[i];
  if (agrees)
    return TRUE;
  wanted = ht_shape_to_string (shape);
  advice = advise (plan, source->array, shape);
  file = ht_tensor_describe (source->array);
  found = g_string_new ("[N");
  for (guint i = 1; i < plan->n_dims; i++)
    g_string_append_printf (found, "x%" G_GINT64_FORMAT, plan->dims[i]);
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
               "Binding '%s' (%s) to the network input '%s': found %s] after preprocessing, expected %s; %s",
               source->origin, file, input, found->str, wanted, advice);
  return FALSE;
}

/* The batch that the input insists on; 0: any. */
static gboolean
note_batch (HtShape *shape, const char *input, guint *fixed, GError **error)
{
  gint64 dim = shape && ht_shape_get_n_dims (shape) > 0 ? ht_shape_get_dim (shape, 0) : HT_DIM_UNKNOWN;

  if (dim == HT_DIM_UNKNOWN)
    return TRUE;
  if (dim < 1 || dim > G_MAXINT || (*fixed != 0 && (gint64)*fixed != dim))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "Binding a data set: the network input '%s' has a first dimension of %" G_GINT64_FORMAT
                   ", expected the number of samples of a batch%s; run this network with 'halftone infer'",
                   input, dim, *fixed != 0 ? ", the same for all inputs" : "");
      return FALSE;
    }
  *fixed = (guint)dim;
  return TRUE;
}

static Binding *
bind_source (HtDataset *self, const HtDataSource *source, HtGraph *graph, guint *fixed, GError **error)
{
  const char *const *inputs = ht_graph_get_inputs (graph);
  const char *input = source->name ? source->name : inputs[0];
  HtShape *shape = ht_graph_get_shape (graph, input);
  HtDataType type = ht_graph_get_data_type (graph, input);
  gboolean constant = ht_tensor_get_n_dims (source->array) == 0;
  gboolean integer;
  Binding *binding;
  HtPreprocessPlan *plan = NULL;

  if (type == HT_DATA_TYPE_UNDEFINED)
    type = HT_DATA_TYPE_FLOAT;
  integer = !ht_data_type_is_float (type);
  if (!check_type (source, input, type, error))
    return NULL;
  if (constant && shape && ht_shape_get_n_dims (shape) != 0)
    {
      g_autofree char *wanted = ht_shape_to_string (shape);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "Binding '%s' to the network input '%s': found a single number, expected %s; give samples along the "
                   "first dimension",
                   source->origin, input, wanted);
      return NULL;
    }
  if (!constant)
    {
      gboolean applies = !integer || self->sources->len == 1;
      plan = ht_preprocess_plan_new (applies ? self->preprocess : NULL, source->array, source->origin, integer, error);
      if (plan == NULL)
        return NULL;
      if ((shape && !check_shape (source, input, plan, shape, error)) || !note_batch (shape, input, fixed, error))
        {
          ht_preprocess_plan_free (plan);
          return NULL;
        }
    }
  binding = g_new0 (Binding, 1);
  binding->input = g_strdup (input);
  binding->type = type;
  binding->plan = plan;
  return binding;
}

/**
 * ht_dataset_bind:
 * @self: a data set
 * @graph: the network that it will feed
 * @error: return location for an error
 *
 * Checks that the arrays fit the inputs of a network after preprocessing: one array for each input, of a type and shape
 * that it takes, all of as many samples, labels too. An array without a name feeds the only input. Notes the batch that
 * the network fixes, see ht_dataset_get_batch_size(). A data set may be bound again, to the same or another network.
 *
 * Returns: %TRUE, or %FALSE with @error set, an earlier binding kept
 */
gboolean
ht_dataset_bind (HtDataset *self, HtGraph *graph, GError **error)
{
  g_autoptr (GPtrArray) bindings = NULL;
  guint fixed = 0;

  g_return_val_if_fail (HT_IS_DATASET (self) && HT_IS_GRAPH (graph), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  if (self->sources->len == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "Binding a data set: it has no arrays; add one");
      return FALSE;
    }
  if (!check_names (self, graph, error) || !check_counts (self, error))
    return FALSE;
  bindings = g_ptr_array_new_with_free_func ((GDestroyNotify)binding_free);
  for (guint i = 0; i < self->sources->len; i++)
    {
      Binding *binding = bind_source (self, g_ptr_array_index (self->sources, i), graph, &fixed, error);
      if (binding == NULL)
        return FALSE;
      g_ptr_array_add (bindings, binding);
    }
  for (guint i = 0; i < self->sources->len; i++)
    {
      HtDataSource *source = g_ptr_array_index (self->sources, i);
      Binding *binding = g_ptr_array_index (bindings, i);
      g_free (source->input);
      g_clear_pointer (&source->plan, ht_preprocess_plan_free);
      source->input = g_steal_pointer (&binding->input);
      source->plan = g_steal_pointer (&binding->plan);
      source->type = binding->type;
    }
  self->fixed_batch = fixed;
  self->bound = TRUE;
  return TRUE;
}

gboolean
ht_dataset_check_integers (const HtDataSource *source, HtTensor *values, GError **error)
{
  guint bits = ht_data_type_get_bits (source->type);
  gboolean is_unsigned = source->type == HT_DATA_TYPE_UINT8 || source->type == HT_DATA_TYPE_UINT16
                         || source->type == HT_DATA_TYPE_UINT32 || source->type == HT_DATA_TYPE_UINT64;
  gint64 maximum = source->type == HT_DATA_TYPE_BOOL ? 1
                   : bits >= 63                      ? G_MAXINT64
                                                     : ((gint64)1 << (bits - !is_unsigned)) - 1;
  gint64 minimum = is_unsigned || source->type == HT_DATA_TYPE_BOOL ? 0 : -maximum - 1;
  gsize n_elements = ht_tensor_get_n_elements (values);

  for (gsize i = 0; i < n_elements; i++)
    {
      gint64 value = ht_tensor_get_int64 (values, i);
      if (value >= minimum && value <= maximum)
        continue;
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Reading '%s': found %" G_GINT64_FORMAT
                   ", expected values that fit the %s of the network input '%s'",
                   source->origin, value, ht_data_type_get_name (source->type), source->input);
      return FALSE;
    }
  return TRUE;
}
