/* SPDX-License-Identifier: MIT */
/* Einsum: sums of products over labelled dimensions. Operands are joined from left to right, each time as a batch of
 * matrix products, so that large ones run at their speed. */
#include "graph/tensor-private.h"
#include "kernels/gemm.h"
#include "ops/einsum-equation.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

/* The size of every label; a dimension of 1 stretches. FALSE: they do not fit. */
static gboolean
join_dim (gint64 *size, gint64 dim)
{
  if (*size >= 0 && dim >= 0 && *size != dim && *size != 1 && dim != 1)
    return FALSE;
  *size = dim == 1 ? *size : *size == 1 || *size < 0 ? dim : dim < 0 ? *size : dim;
  return TRUE;
}

static gboolean
einsum_infer (HtInfer *infer, GError **error)
{
  g_autofree guint *ranks = g_new0 (guint, MAX (infer->n_inputs, 1));
  gint64 sizes[HT_EINSUM_LABELS];
  const char *symbols[HT_EINSUM_LABELS] = { NULL };
  HtEinsumEquation equation;
  HtDims dims, out = { 0 };

  if (!ht_infer_check_arity (infer, MAX (infer->n_inputs, 1), 0, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  gboolean known = TRUE;
  for (guint i = 0; i < infer->n_inputs; i++)
    {
      if (!ht_infer_check_type (infer, i, HT_TYPES_NUMBER, error) || !ht_infer_check_same_type (infer, 0, i, error))
        return FALSE;
      known = known && ht_infer_read_dims (infer, i, &dims);
      ranks[i] = known ? dims.n : 0;
    }
  if (!known)
    return TRUE;
  g_autofree char *problem
      = ht_einsum_parse (&equation, ht_node_get_string (infer->node, "equation", ""), ranks, infer->n_inputs);
  for (guint i = 0; i < HT_EINSUM_LABELS; i++)
    sizes[i] = 1;
  for (guint i = 0; i < infer->n_inputs && problem == NULL; i++)
    {
      ht_infer_read_dims (infer, i, &dims);
      for (guint k = 0; k < dims.n && problem == NULL; k++)
        {
          guint label = equation.inputs[i].label[k];
          if (!join_dim (&sizes[label], dims.dim[k]))
            problem = g_strdup_printf ("dimension %u of input %u is %" G_GINT64_FORMAT
                                       ", another input has %" G_GINT64_FORMAT " there",
                                       k, i, dims.dim[k], sizes[label]);
          if (dims.dim[k] < 0)
            symbols[label] = dims.symbol[k];
        }
    }
  for (guint k = 0; k < equation.output.n && problem == NULL; k++)
    ht_dims_append (&out, sizes[equation.output.label[k]], symbols[equation.output.label[k]]);
  ht_einsum_clear (&equation);
  if (problem)
    return ht_infer_fail (infer, error, "%s", problem);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

/* A tensor by its labels: strides in elements, 0 where it is stretched. */
typedef struct
{
  gboolean has[HT_EINSUM_LABELS];
  gint64 stride[HT_EINSUM_LABELS];
  gconstpointer data;
} Operand;

static void
read_operand (HtTensor *tensor, const HtEinsumTerm *term, const gint64 *sizes, Operand *operand)
{
  gint64 strides[HT_TENSOR_MAX_DIMS];
  const gint64 *dims = ht_tensor_get_dims (tensor, NULL);

  memset (operand, 0, sizeof *operand);
  operand->data = ht_tensor_get_data (tensor);
  ht_strides (dims, term->n, strides);
  for (guint k = 0; k < term->n; k++)
    {
      /* A label that stands twice walks the diagonal. */
      operand->has[term->label[k]] = TRUE;
      operand->stride[term->label[k]] += dims[k] == 1 && sizes[term->label[k]] != 1 ? 0 : strides[k];
    }
}

typedef struct
{
  guint n;
  guint8 label[HT_EINSUM_LABELS];
  gsize size; /* product */
} Group;

static void
group_add (Group *group, guint label, const gint64 *sizes)
{
  group->label[group->n++] = (guint8)label;
  group->size *= (gsize)sizes[label];
}

/* The operand as a contiguous array [groups[0]][groups[1]][groups[2]]. NULL with an error. */
static gpointer
arrange (const HtOpCall *call, const Operand *operand, const Group *const groups[3], const gint64 *sizes, gsize element,
         GError **error)
{
  gint64 dims[HT_TENSOR_MAX_DIMS], strides[HT_TENSOR_MAX_DIMS];
  guint n = 0;
  gsize bytes = element;
  gboolean fits = TRUE;

  for (guint g = 0; g < 3; g++)
    {
      fits = fits && g_size_checked_mul (&bytes, bytes, groups[g]->size);
      for (guint i = 0; i < groups[g]->n && fits; i++)
        {
          fits = n < HT_TENSOR_MAX_DIMS;
          if (!fits)
            break;
          dims[n] = sizes[groups[g]->label[i]];
          strides[n++] = operand->stride[groups[g]->label[i]];
        }
    }
  gpointer copy = fits ? g_try_malloc (MAX (bytes, 1)) : NULL;
  if (copy == NULL)
    {
      ht_op_fail (call, error, "no memory for an operand of %" G_GSIZE_FORMAT " bytes and %u dimensions", bytes, n);
      return NULL;
    }
  ht_copy_strided (copy, operand->data, element, n, dims, strides);
  return copy;
}

/* [batch][m][k] by [batch][k][n]. WIDE keeps the product of two small integers from overflowing as int. */
#define PLAIN(T, WIDE)                                                                                                 \
  static void plain_##T (gsize n_batch, gsize m, gsize n, gsize k, gconstpointer a_, gconstpointer b_, gpointer c_)    \
  {                                                                                                                    \
    const T *a = a_, *b = b_;                                                                                          \
    T *c = c_;                                                                                                         \
    memset (c, 0, n_batch *m *n * sizeof *c);                                                                          \
    for (gsize row = 0; row < n_batch * m; row++, c += n)                                                              \
      for (gsize l = 0; l < k; l++)                                                                                    \
        for (gsize j = 0; j < n; j++)                                                                                  \
          c[j] = (T)(c[j] + (WIDE)a[row * k + l] * (WIDE)b[(row / m * k + l) * n + j]);                                \
  }
PLAIN (double, double)
PLAIN (guint8, guint32)
PLAIN (guint16, guint32)
PLAIN (guint32, guint32)
PLAIN (guint64, guint64)

static gboolean
multiply (const HtOpCall *call, HtDataType type, gsize n_batch, gsize m, gsize n, gsize k, gconstpointer a,
          gconstpointer b, gpointer c, GError **error)
{
  gsize element = ht_element_size (type);

  if (k == 0)
    memset (c, 0, n_batch * m * n * element);
  else if (type == HT_DATA_TYPE_FLOAT)
    {
      HtGemmShape shape = { .m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n, .alpha = 1.0f };
      g_autofree gsize *a_offsets = g_new (gsize, MAX (n_batch, 1)), *b_offsets = g_new (gsize, MAX (n_batch, 1));
      for (gsize i = 0; i < n_batch; i++)
        {
          a_offsets[i] = i * m * k;
          b_offsets[i] = i * k * n;
        }
      if (!ht_kernel_gemm_fits (&shape))
        return ht_op_fail (call, error, "its matrices have more than %d rows or columns", G_MAXINT);
      ht_kernel_gemm_batch (&shape, n_batch, a, a_offsets, b, b_offsets, c, m * n);
    }
  else if (type == HT_DATA_TYPE_DOUBLE)
    plain_double (n_batch, m, n, k, a, b, c);
  else if (element == 8)
    plain_guint64 (n_batch, m, n, k, a, b, c);
  else if (element == 4)
    plain_guint32 (n_batch, m, n, k, a, b, c);
  else if (element == 2)
    plain_guint16 (n_batch, m, n, k, a, b, c);
  else
    plain_guint8 (n_batch, m, n, k, a, b, c);
  return TRUE;
}

/* Joins b to a: what neither the result nor a later operand needs is summed. The new a owns *memory. */
static gboolean
contract (const HtOpCall *call, Operand *a, const Operand *b, const gboolean *needed, const gint64 *sizes,
          HtDataType type, gpointer *memory, GError **error)
{
  Group batch = { .size = 1 }, rows = { .size = 1 }, columns = { .size = 1 }, summed = { .size = 1 };
  const Group *const left[] = { &batch, &rows, &summed }, *const right[] = { &batch, &summed, &columns };
  gsize element = ht_element_size (type), bytes = element;

  for (guint label = 0; label < HT_EINSUM_LABELS; label++)
    if (a->has[label] || b->has[label])
      group_add (!needed[label]                   ? &summed
                 : a->has[label] && b->has[label] ? &batch
                 : a->has[label]                  ? &rows
                                                  : &columns,
                 label, sizes);
  if (!g_size_checked_mul (&bytes, bytes, batch.size) || !g_size_checked_mul (&bytes, bytes, rows.size)
      || !g_size_checked_mul (&bytes, bytes, columns.size))
    return ht_op_fail (call, error, "what it sums is larger than memory");
  g_autofree gpointer a_copy = arrange (call, a, left, sizes, element, error);
  g_autofree gpointer b_copy = a_copy ? arrange (call, b, right, sizes, element, error) : NULL;
  g_autofree gpointer result = b_copy ? g_try_malloc (MAX (bytes, 1)) : NULL;
  if (b_copy == NULL)
    return FALSE;
  if (result == NULL)
    return ht_op_fail (call, error, "no memory for %" G_GSIZE_FORMAT " bytes", bytes);
  if (!multiply (call, type, batch.size, rows.size, columns.size, summed.size, a_copy, b_copy, result, error))
    return FALSE;
  const Group *const made[] = { &batch, &rows, &columns };
  gint64 stride = 1;
  memset (a, 0, sizeof *a);
  for (guint g = 3; g-- > 0;)
    for (guint i = made[g]->n; i-- > 0;)
      {
        a->has[made[g]->label[i]] = TRUE;
        a->stride[made[g]->label[i]] = stride;
        stride *= sizes[made[g]->label[i]];
      }
  g_free (*memory);
  a->data = *memory = g_steal_pointer (&result);
  return TRUE;
}

static gboolean
run (const HtOpCall *call, const HtEinsumEquation *equation, GError **error)
{
  HtTensor *y = call->outputs[0];
  HtDataType type = ht_tensor_get_data_type (y);
  gint64 sizes[HT_EINSUM_LABELS], strides[HT_TENSOR_MAX_DIMS];
  gboolean needed[HT_EINSUM_LABELS];
  g_autofree gpointer memory = NULL;
  Operand sum, next;

  for (guint i = 0; i < HT_EINSUM_LABELS; i++)
    sizes[i] = 1;
  for (guint i = 0; i < equation->n_inputs; i++)
    for (guint k = 0; k < equation->inputs[i].n; k++)
      join_dim (&sizes[equation->inputs[i].label[k]], ht_tensor_get_dim (call->inputs[i], k));
  read_operand (call->inputs[0], &equation->inputs[0], sizes, &sum);
  for (guint i = 1; i <= equation->n_inputs; i++)
    {
      gboolean last = i == equation->n_inputs, surplus = FALSE;
      memset (needed, 0, sizeof needed);
      for (guint k = 0; k < equation->output.n; k++)
        needed[equation->output.label[k]] = TRUE;
      for (guint later = i + 1; later < equation->n_inputs; later++)
        for (guint k = 0; k < equation->inputs[later].n; k++)
          needed[equation->inputs[later].label[k]] = TRUE;
      for (guint label = 0; label < HT_EINSUM_LABELS; label++)
        surplus = surplus || (sum.has[label] && !needed[label]);
      if (last && !surplus)
        break;
      /* What a lone operand sums is a product with 1. */
      g_autoptr (HtTensor) one = last ? ht_tensor_new_scalar (1.0, type, error) : NULL;
      if (last && one == NULL)
        return FALSE;
      static const HtEinsumTerm none = { 0 };
      read_operand (last ? one : call->inputs[i], last ? &none : &equation->inputs[i], sizes, &next);
      if (!contract (call, &sum, &next, needed, sizes, type, &memory, error))
        return FALSE;
    }
  for (guint k = 0; k < equation->output.n; k++)
    strides[k] = sum.stride[equation->output.label[k]];
  ht_copy_strided (ht_tensor_get_writable_data (y), sum.data, ht_element_size (type), equation->output.n,
                   ht_tensor_get_dims (y, NULL), strides);
  return TRUE;
}

static gboolean
einsum_forward (const HtOpCall *call, GError **error)
{
  g_autofree guint *ranks = g_new0 (guint, MAX (call->n_inputs, 1));
  HtEinsumEquation equation;

  if (ht_op_is_half (call))
    return ht_op_widen (call, einsum_forward, error);
  for (guint i = 0; i < call->n_inputs; i++)
    ranks[i] = ht_tensor_get_n_dims (call->inputs[i]);
  g_autofree char *problem
      = ht_einsum_parse (&equation, ht_node_get_string (call->node, "equation", ""), ranks, call->n_inputs);
  gboolean fine = problem == NULL || ht_op_fail (call, error, "%s", problem);
  fine = fine && (ht_tensor_get_n_elements (call->outputs[0]) == 0 || run (call, &equation, error));
  ht_einsum_clear (&equation);
  return fine;
}

static const HtOperator operators[] = {
  { .op_type = "Einsum", .since_version = 12, .infer = einsum_infer, .forward = einsum_forward },
};

void
ht_ops_register_einsum (void)
{
  HT_OPS_REGISTER (operators);
}
