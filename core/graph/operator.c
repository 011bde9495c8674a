/* SPDX-License-Identifier: MIT */
#include "graph/operator.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>

#include <stdarg.h>
#include <string.h>

/* Entries by "domain\x1fop_type": arrays of const HtOperator *, ascending since_version. Written while the built-in
 * table loads (and by tests), read by every thread. */
static GRWLock table_lock;
static GHashTable *table;

static const char *
canonical_domain (const char *domain)
{
  return domain == NULL || strcmp (domain, "ai.onnx") == 0 ? "" : domain;
}

static void
insert_sorted (GPtrArray *entries, const HtOperator *entry)
{
  guint position = 0;
  while (position < entries->len
         && ((const HtOperator *) g_ptr_array_index (entries, position))->since_version < entry->since_version)
    position++;
  g_ptr_array_insert (entries, (gint) position, (gpointer) entry);
}

void
ht_operator_register (const HtOperator *operators, gsize n_operators)
{
  g_rw_lock_writer_lock (&table_lock);
  if (table == NULL)
    table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  for (gsize i = 0; i < n_operators; i++)
    {
      char *key = g_strconcat (canonical_domain (operators[i].domain), "\x1f", operators[i].op_type, NULL);
      GPtrArray *entries = g_hash_table_lookup (table, key);
      if (entries == NULL)
        {
          entries = g_ptr_array_new ();
          g_hash_table_insert (table, key, entries);
        }
      else
        {
          g_free (key);
        }
      insert_sorted (entries, &operators[i]);
    }
  g_rw_lock_writer_unlock (&table_lock);
}

const HtOperator *
ht_operator_find (const char *domain, const char *op_type, gint64 opset)
{
  static gsize loaded = 0;
  const HtOperator *found = NULL;

  g_return_val_if_fail (op_type != NULL, NULL);

  if (g_once_init_enter (&loaded))
    {
      ht_operator_load_builtin ();
      g_once_init_leave (&loaded, 1);
    }
  g_autofree char *key = g_strconcat (canonical_domain (domain), "\x1f", op_type, NULL);
  g_rw_lock_reader_lock (&table_lock);
  GPtrArray *entries = table ? g_hash_table_lookup (table, key) : NULL;
  for (guint i = 0; entries && i < entries->len; i++)
    {
      const HtOperator *entry = g_ptr_array_index (entries, i);
      if (entry->since_version <= opset)
        found = entry;
    }
  g_rw_lock_reader_unlock (&table_lock);
  return found;
}

const HtInferValue *
ht_infer_get_input (const HtInfer *infer, guint index)
{
  return index < infer->n_inputs ? infer->inputs[index] : NULL;
}

HtDataType
ht_infer_get_type (const HtInfer *infer, guint index)
{
  const HtInferValue *value = ht_infer_get_input (infer, index);
  return value ? value->type : HT_DATA_TYPE_UNDEFINED;
}

HtShape *
ht_infer_get_shape (const HtInfer *infer, guint index)
{
  const HtInferValue *value = ht_infer_get_input (infer, index);
  return value ? value->shape : NULL;
}

gboolean
ht_infer_value_has_elements (const HtInferValue *value, gsize *n_elements)
{
  if (value == NULL)
    return FALSE;
  if (value->constant && ht_data_type_is_integer (ht_tensor_get_data_type (value->constant))
      && ht_tensor_get_n_dims (value->constant) <= 1)
    {
      *n_elements = ht_tensor_get_n_elements (value->constant);
      return TRUE;
    }
  *n_elements = value->n_elements;
  return value->elements != NULL;
}

HtSymbolicInt
ht_infer_value_get_element (const HtInferValue *value, gsize index)
{
  HtSymbolicInt element = { FALSE, 0, NULL };
  gsize n_elements;

  if (ht_infer_value_has_elements (value, &n_elements) && index < n_elements)
    {
      if (value->elements)
        return value->elements[index];
      element.known = TRUE;
      element.value = ht_tensor_get_int64 (value->constant, index);
    }
  return element;
}

gboolean
ht_infer_get_ints (const HtInfer *infer, guint input, gint64 **values, gsize *n_values)
{
  const HtInferValue *value = ht_infer_get_input (infer, input);

  *values = NULL;
  *n_values = 0;
  if (value == NULL)
    return FALSE;
  gsize n = value->n_elements;
  if (value->constant)
    {
      if (!ht_data_type_is_integer (ht_tensor_get_data_type (value->constant)))
        return FALSE;
      n = ht_tensor_get_n_elements (value->constant);
    }
  else if (value->elements == NULL)
    {
      return FALSE;
    }
  g_autofree gint64 *result = g_try_new (gint64, MAX (n, 1));
  if (result == NULL)
    return FALSE;
  for (gsize i = 0; i < n; i++)
    {
      if (value->constant == NULL && !value->elements[i].known)
        return FALSE;
      result[i] = value->constant ? ht_tensor_get_int64 (value->constant, i) : value->elements[i].value;
    }
  *values = g_steal_pointer (&result);
  *n_values = n;
  return TRUE;
}

void
ht_infer_set_output (HtInfer *infer, guint index, HtDataType type, HtShape *shape)
{
  if (index >= infer->n_outputs)
    {
      g_clear_pointer (&shape, ht_shape_unref);
      return;
    }
  HtInferValue *output = &infer->outputs[index];
  output->type = type;
  g_clear_pointer (&output->shape, ht_shape_unref);
  output->shape = shape;
}

void
ht_infer_set_output_dims (HtInfer *infer, guint index, HtDataType type, const gint64 *dims, guint n_dims)
{
  ht_infer_set_output (infer, index, type, ht_shape_new (dims, NULL, n_dims));
}

void
ht_infer_set_output_list (HtInfer *infer, guint index, HtDataType type, gint64 n_elements, HtElementType *element)
{
  ht_infer_set_output (infer, index, type, ht_shape_new (&n_elements, NULL, 1));
  if (index >= infer->n_outputs)
    return;
  HtElementType *kept = element ? ht_element_type_ref (element) : NULL;
  g_clear_pointer (&infer->outputs[index].element, ht_element_type_unref);
  infer->outputs[index].element = kept;
}

/* A message shows no more inputs than these. */
#define SHOWN_INPUTS 8

static char *
describe_value (gconstpointer inputs, guint index)
{
  const HtInferValue *value = ((const HtInferValue *const *) inputs)[index];
  if (value == NULL)
    return NULL;
  g_autofree char *shape = value->shape ? ht_shape_to_string (value->shape) : NULL;
  return g_strconcat (value->type == HT_DATA_TYPE_UNDEFINED ? "tensor" : ht_data_type_get_name (value->type),
                      shape ? shape : " of unknown rank", NULL);
}

static char *
describe_tensor (gconstpointer inputs, guint index)
{
  HtTensor *tensor = ((HtTensor *const *) inputs)[index];
  return tensor ? ht_tensor_describe (tensor) : NULL;
}

/* What was done to which node, what is wrong, and what its inputs are. */
G_GNUC_PRINTF (8, 0)
static void
fail (HtNode *node, const char *doing, int code, GError **error, char *(*describe) (gconstpointer, guint),
      gconstpointer inputs, guint n_inputs, const char *format, va_list arguments)
{
  g_autofree char *detail = g_strdup_vprintf (format, arguments);
  g_autofree char *described = ht_node_describe (node);
  g_autoptr (GString) listed = g_string_new (NULL);

  for (guint i = 0; i < MIN (n_inputs, SHOWN_INPUTS); i++)
    {
      g_autofree char *input = describe (inputs, i);
      if (input)
        g_string_append_printf (listed, "%s'%s' %s", listed->len > 0 ? ", " : "", ht_node_get_input (node, i), input);
    }
  if (n_inputs > SHOWN_INPUTS)
    g_string_append_printf (listed, " and %u more", n_inputs - SHOWN_INPUTS);
  g_set_error (error, HT_ERROR, code, "%s %s: %s%s%s%s", doing, described, detail, listed->len > 0 ? " (inputs: " : "",
               listed->str, listed->len > 0 ? ")" : "");
}

gboolean
ht_infer_fail (const HtInfer *infer, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  fail (infer->node, "inferring the shape of", HT_ERROR_INVALID_MODEL, error, describe_value, infer->inputs,
        infer->n_inputs, format, arguments);
  va_end (arguments);
  return FALSE;
}

gboolean
ht_op_fail (const HtOpCall *call, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  fail (call->node, "running", HT_ERROR_FAILED, error, describe_tensor, call->inputs, call->n_inputs, format,
        arguments);
  va_end (arguments);
  return FALSE;
}

gboolean
ht_op_fail_gradient (const HtOpCall *call, guint input, GError **error)
{
  g_autofree char *described = ht_node_describe (call->node);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "differentiating %s: there is no gradient with respect to input %u ('%s')", described, input,
               ht_node_get_input (call->node, input));
  return FALSE;
}
