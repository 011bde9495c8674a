/* SPDX-License-Identifier: MIT */
#include <halftone/graph.h>

/**
 * HtShape:
 *
 * The shape of a value before it exists: each dimension is a number, a symbol such as "N", or unknown. Immutable.
 */
struct _HtShape
{
  gatomicrefcount ref_count;
  guint n_dims;
  gint64 *dims;
  char **symbols; /* interned GRefString or NULL */
};

G_DEFINE_BOXED_TYPE (HtShape, ht_shape, ht_shape_ref, ht_shape_unref)

/**
 * ht_shape_new:
 * @dims: (array length=n_dims) (nullable): the dimensions; %HT_DIM_UNKNOWN, as any negative number, is not known
 * @symbols: (array) (element-type utf8) (nullable): @n_dims names, %NULL or "" for a dimension without; a dimension
 *   that is known has none
 * @n_dims: the number of dimensions
 *
 * Makes a shape.
 *
 * Returns: (transfer full): the shape
 */
HtShape *
ht_shape_new (const gint64 *dims, const char *const *symbols, guint n_dims)
{
  g_return_val_if_fail (dims != NULL || n_dims == 0, NULL);

  HtShape *self = g_new0 (HtShape, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->n_dims = n_dims;
  self->dims = g_new0 (gint64, n_dims + 1);
  self->symbols = g_new0 (char *, n_dims + 1);
  for (guint i = 0; i < n_dims; i++)
    {
      self->dims[i] = dims[i] >= 0 ? dims[i] : HT_DIM_UNKNOWN;
      if (dims[i] < 0 && symbols != NULL && symbols[i] != NULL && *symbols[i] != '\0')
        self->symbols[i] = g_ref_string_new_intern (symbols[i]);
    }
  return self;
}

/**
 * ht_shape_ref:
 * @self: a shape
 *
 * Returns: (transfer full): @self
 */
HtShape *
ht_shape_ref (HtShape *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * ht_shape_unref:
 * @self: (transfer full): a shape
 */
void
ht_shape_unref (HtShape *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  for (guint i = 0; i < self->n_dims; i++)
    g_clear_pointer (&self->symbols[i], g_ref_string_release);
  g_free (self->symbols);
  g_free (self->dims);
  g_free (self);
}

/**
 * ht_shape_get_n_dims:
 * @self: a shape
 *
 * Returns: the number of dimensions
 */
guint
ht_shape_get_n_dims (HtShape *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_dims;
}

/**
 * ht_shape_get_dim:
 * @self: a shape
 * @axis: an axis below the number of dimensions
 *
 * Returns: the extent along @axis, or %HT_DIM_UNKNOWN
 */
gint64
ht_shape_get_dim (HtShape *self, guint axis)
{
  g_return_val_if_fail (self != NULL, HT_DIM_UNKNOWN);
  g_return_val_if_fail (axis < self->n_dims, HT_DIM_UNKNOWN);
  return self->dims[axis];
}

/**
 * ht_shape_get_symbol:
 * @self: a shape
 * @axis: an axis below the number of dimensions
 *
 * Returns: (transfer none) (nullable): the name of an unknown dimension, or %NULL
 */
const char *
ht_shape_get_symbol (HtShape *self, guint axis)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (axis < self->n_dims, NULL);
  return self->symbols[axis];
}

/**
 * ht_shape_is_static:
 * @self: a shape
 *
 * Returns: %TRUE when every dimension is a number
 */
gboolean
ht_shape_is_static (HtShape *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  for (guint i = 0; i < self->n_dims; i++)
    if (self->dims[i] < 0)
      return FALSE;
  return TRUE;
}

/**
 * ht_shape_equal:
 * @a: (nullable): a shape
 * @b: (nullable): another shape
 *
 * Compares numbers and symbols; %NULL, an unknown rank, equals only %NULL.
 *
 * Returns: %TRUE when they say the same
 */
gboolean
ht_shape_equal (HtShape *a, HtShape *b)
{
  if (a == b)
    return TRUE;
  if (a == NULL || b == NULL || a->n_dims != b->n_dims)
    return FALSE;
  for (guint i = 0; i < a->n_dims; i++)
    if (a->dims[i] != b->dims[i] || g_strcmp0 (a->symbols[i], b->symbols[i]) != 0)
      return FALSE;
  return TRUE;
}

/**
 * ht_shape_to_string:
 * @self: (nullable): a shape
 *
 * Writes a shape for messages, such as "[Nx3x?x224]"; "[...]" for %NULL, an unknown rank.
 *
 * Returns: (transfer full): the text
 */
char *
ht_shape_to_string (HtShape *self)
{
  if (self == NULL)
    return g_strdup ("[...]");
  GString *text = g_string_new ("[");
  for (guint i = 0; i < self->n_dims; i++)
    {
      if (i > 0)
        g_string_append_c (text, 'x');
      if (self->dims[i] >= 0)
        g_string_append_printf (text, "%" G_GINT64_FORMAT, self->dims[i]);
      else
        g_string_append (text, self->symbols[i] != NULL ? self->symbols[i] : "?");
    }
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}
