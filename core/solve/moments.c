/* SPDX-License-Identifier: MIT */
/* Second moments, streamed: products in float over short stretches of samples, sums in double. */
#include "base/blas.h"
#include "base/thread-pool.h"

#include <halftone/error.h>
#include <halftone/moments.h>

#include <cblas.h>
#include <math.h>
#include <string.h>

/* Tiles of the Gram matrix are what threads share; slots, for small matrices, stretches of samples. */
#define TILE_SIDE  ((gsize)256)
#define N_SLOTS    ((gsize)4)
#define SLOT_SIDE  ((gsize)512) /* larger matrices have tiles enough */
#define DOT_SIDE   ((gsize)32)  /* below it, a product of matrices costs more to prepare than to compute */
#define MAX_STRIDE ((gsize)G_MAXINT)

/**
 * HtMoments:
 *
 * For each group of a layer: the number of positions N, the means, and the second moments of its inputs x (a patch of
 * the input for each output position, `n_inputs` values) and of its targets y (`n_outputs` values):
 * G = E[x x'], B = E[x y'], E[y^2]. A row of weights w with target channel o has the mean squared error
 * w'Gw - 2 w'B_o + E[y_o^2], whatever N was.
 *
 * Samples are shifted by the means of the first ones before they are multiplied, so that inputs that hardly vary keep
 * their variance. The sums are the same bytes at any number of threads.
 */
struct _HtMoments
{
  gatomicrefcount n_refs;
  gsize n_groups, n_inputs, n_outputs;
  gsize n_slots;
  guint64 n_positions;
  double *input_shifts;  /* [group][input] */
  double *target_shifts; /* [group][output] */
  double *input_sums;    /* of the shifted values, as all that follows */
  double *target_sums;
  double *target_squares;
  double *gram;  /* [slot][group][input][input], upper triangle */
  double *cross; /* [slot][group][input][output] */
};

G_DEFINE_BOXED_TYPE (HtMoments, ht_moments, ht_moments_ref, ht_moments_unref)

static gsize
slots_for (gsize n_groups, gsize n_inputs)
{
  return n_groups == 1 && n_inputs <= SLOT_SIDE ? N_SLOTS : 1;
}

static gsize
gram_length (HtMoments *self)
{
  return self->n_slots * self->n_groups * self->n_inputs * self->n_inputs;
}

static gsize
cross_length (HtMoments *self)
{
  return self->n_slots * self->n_groups * self->n_inputs * self->n_outputs;
}

/**
 * ht_moments_estimate_memory:
 * @n_groups: groups of the layer
 * @n_inputs: inputs per group and output position
 * @n_outputs: outputs per group
 *
 * Returns: the bytes that moments of this size take
 */
guint64
ht_moments_estimate_memory (gsize n_groups, gsize n_inputs, gsize n_outputs)
{
  double columns = (double)n_inputs + (double)n_outputs;
  double bytes = 8.0 * (double)n_groups * columns * ((double)slots_for (n_groups, n_inputs) * (double)n_inputs + 3.0);
  return bytes < 1e18 ? (guint64)bytes : G_MAXUINT64;
}

/**
 * ht_moments_new:
 * @n_groups: groups of the layer
 * @n_inputs: inputs per group and output position
 * @n_outputs: outputs per group; 0 to keep moments of the inputs alone
 *
 * Makes moments of no sample yet.
 *
 * Returns: (transfer full) (nullable): new moments; %NULL when there is no memory for them
 */
HtMoments *
ht_moments_new (gsize n_groups, gsize n_inputs, gsize n_outputs)
{
  g_return_val_if_fail (n_groups > 0 && n_inputs > 0, NULL);

  if (ht_moments_estimate_memory (n_groups, n_inputs, n_outputs) > (guint64)1 << 46)
    return NULL;
  g_autoptr (HtMoments) self = g_new0 (HtMoments, 1);
  g_atomic_ref_count_init (&self->n_refs);
  self->n_groups = n_groups;
  self->n_inputs = n_inputs;
  self->n_outputs = n_outputs;
  self->n_slots = slots_for (n_groups, n_inputs);
  self->input_shifts = g_new0 (double, n_groups *n_inputs);
  self->input_sums = g_new0 (double, n_groups *n_inputs);
  self->target_shifts = g_new0 (double, n_groups *n_outputs);
  self->target_sums = g_new0 (double, n_groups *n_outputs);
  self->target_squares = g_new0 (double, n_groups *n_outputs);
  self->gram = g_try_new0 (double, gram_length (self));
  self->cross = g_try_new0 (double, cross_length (self));
  if (self->gram == NULL || (self->cross == NULL && n_outputs > 0))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * ht_moments_copy:
 * @self: moments
 *
 * Returns: (transfer full) (nullable): an independent copy; %NULL when there is no memory for it
 */
HtMoments *
ht_moments_copy (HtMoments *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  HtMoments *copy = ht_moments_new (self->n_groups, self->n_inputs, self->n_outputs);
  if (copy == NULL)
    return NULL;
  gsize n_inputs = self->n_groups * self->n_inputs, n_outputs = self->n_groups * self->n_outputs;
  copy->n_positions = self->n_positions;
  memcpy (copy->input_shifts, self->input_shifts, n_inputs * sizeof (double));
  memcpy (copy->input_sums, self->input_sums, n_inputs * sizeof (double));
  memcpy (copy->gram, self->gram, gram_length (self) * sizeof (double));
  if (n_outputs > 0)
    {
      memcpy (copy->target_shifts, self->target_shifts, n_outputs * sizeof (double));
      memcpy (copy->target_sums, self->target_sums, n_outputs * sizeof (double));
      memcpy (copy->target_squares, self->target_squares, n_outputs * sizeof (double));
      memcpy (copy->cross, self->cross, cross_length (self) * sizeof (double));
    }
  return copy;
}

HtMoments *
ht_moments_ref (HtMoments *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

void
ht_moments_unref (HtMoments *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_free (self->input_shifts);
  g_free (self->input_sums);
  g_free (self->target_shifts);
  g_free (self->target_sums);
  g_free (self->target_squares);
  g_free (self->gram);
  g_free (self->cross);
  g_free (self);
}

gsize
ht_moments_get_n_groups (HtMoments *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_groups;
}

gsize
ht_moments_get_n_inputs (HtMoments *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_inputs;
}

gsize
ht_moments_get_n_outputs (HtMoments *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_outputs;
}

guint64
ht_moments_get_n_positions (HtMoments *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_positions;
}

/* One call's samples on their way into the sums. */
typedef struct
{
  HtMoments *self;
  float *inputs, *targets;
  gsize n_positions, stride;
  gsize n_tiles, n_target_tiles; /* along a side of the matrices */
  gsize n_products;              /* of one slot and group */
  float *scratch;                /* a tile for each thread */
  gint bad;                      /* a value was not finite */
} Addition;

/* Shifts one row and adds up its values, and their squares where asked for. */
static gboolean
shift_row (float *row, gsize n, gboolean first, double *shift, double *sum, double *square)
{
  double total = 0.0, squares = 0.0;

  if (first)
    {
      for (gsize i = 0; i < n; i++)
        total += (double)row[i];
      *shift = (double)(float)(total / (double)n);
      total = 0.0;
    }
  float by = (float)*shift;
  for (gsize i = 0; i < n; i++)
    {
      row[i] -= by;
      total += (double)row[i];
      if (square != NULL)
        squares += (double)row[i] * (double)row[i];
    }
  *sum += total;
  if (square != NULL)
    *square += squares;
  return isfinite (total) && isfinite (squares);
}

static void
shift_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  Addition *a = user_data;
  HtMoments *self = a->self;
  gsize n_inputs = self->n_groups * self->n_inputs;
  gboolean first = self->n_positions == 0;

  for (gsize i = begin; i < end; i++)
    {
      gsize o = i - n_inputs;
      gboolean fine = i < n_inputs
                          ? shift_row (a->inputs + i * a->stride, a->n_positions, first, &self->input_shifts[i],
                                       &self->input_sums[i], NULL)
                          : shift_row (a->targets + o * a->stride, a->n_positions, first, &self->target_shifts[o],
                                       &self->target_sums[o], &self->target_squares[o]);
      if (!fine)
        g_atomic_int_set (&a->bad, 1);
    }
}

/* `rows` x `columns` products of rows of a and b over n positions, into c; the upper triangle where a and b are one. */
static void
multiply (const float *a, gsize rows, const float *b, gsize columns, gsize stride, gsize n, float *c)
{
  if (rows <= DOT_SIDE && columns <= DOT_SIDE)
    {
      for (gsize i = 0; i < rows; i++)
        for (gsize j = a == b ? i : 0; j < columns; j++)
          c[i * columns + j] = cblas_sdot ((int)n, a + i * stride, 1, b + j * stride, 1);
    }
  else if (a == b)
    cblas_ssyrk (CblasRowMajor, CblasUpper, CblasNoTrans, (int)rows, (int)n, 1.0f, a, (int)stride, 0.0f, c,
                 (int)columns);
  else
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, (int)n, 1.0f, a, (int)stride, b,
                 (int)stride, 0.0f, c, (int)columns);
}

/* Product `index` of a group: the tiles of the Gram matrix from the diagonal on, then those of the cross moments. */
static void
find_tile (const Addition *a, gsize index, gsize *row, gsize *column, gboolean *target)
{
  gsize n_gram = a->n_tiles * (a->n_tiles + 1) / 2;

  *target = index >= n_gram;
  if (*target)
    {
      *row = (index - n_gram) / a->n_target_tiles;
      *column = (index - n_gram) % a->n_target_tiles;
      return;
    }
  for (*row = 0; index >= a->n_tiles - *row; (*row)++)
    index -= a->n_tiles - *row;
  *column = *row + index;
}

static void
add_product (Addition *a, gsize slot, gsize group, gsize product, float *tile)
{
  HtMoments *self = a->self;
  gsize n = self->n_inputs, row, column;
  gboolean target;

  gsize begin = a->n_positions * slot / self->n_slots, end = a->n_positions * (slot + 1) / self->n_slots;
  if (begin == end)
    return;
  find_tile (a, product, &row, &column, &target);
  row *= TILE_SIDE;
  column *= TILE_SIDE;
  gsize ld = target ? self->n_outputs : n;
  gsize rows = MIN (TILE_SIDE, n - row), columns = MIN (TILE_SIDE, ld - column);
  const float *x = a->inputs + group * n * a->stride + begin;
  const float *y = target ? a->targets + group * self->n_outputs * a->stride + begin : x;
  const float *left = x + row * a->stride, *right = y + column * a->stride;
  multiply (left, rows, right, columns, a->stride, end - begin, tile);

  double *sum = (target ? self->cross : self->gram) + (slot * self->n_groups + group) * n * ld + row * ld + column;
  for (gsize i = 0; i < rows; i++)
    {
      gsize first = left == right ? i : 0;
      if (left == right && !isfinite (tile[i * columns + i]))
        g_atomic_int_set (&a->bad, 1);
      for (gsize j = first; j < columns; j++)
        sum[i * ld + j] += (double)tile[i * columns + j];
    }
}

static void
add_products (gsize begin, gsize end, guint worker, gpointer user_data)
{
  Addition *a = user_data;
  float *tile = a->scratch + worker * TILE_SIDE * TILE_SIDE;

  for (gsize item = begin; item < end; item++)
    {
      gsize product = item % a->n_products, group = item / a->n_products % a->self->n_groups;
      add_product (a, item / a->n_products / a->self->n_groups, group, product, tile);
    }
}

/**
 * ht_moments_add:
 * @self: moments
 * @inputs: (array): [groups x inputs] rows of @stride values, of which the first @n_positions count; overwritten
 * @targets: (array) (nullable): [groups x outputs] such rows; overwritten
 * @n_positions: positions to add; some thousands at a time are fast and exact
 * @stride: distance of the rows, at least @n_positions
 * @error: return location for a #GError
 *
 * Adds positions. After a failure the moments are of no use.
 *
 * Returns: %FALSE with #HT_ERROR_NUMERIC when a value is not finite, or too large to be squared in float
 */
gboolean
ht_moments_add (HtMoments *self, float *inputs, float *targets, gsize n_positions, gsize stride, GError **error)
{
  g_return_val_if_fail (self != NULL && inputs != NULL, FALSE);
  g_return_val_if_fail (targets != NULL || self->n_outputs == 0, FALSE);
  g_return_val_if_fail (stride >= n_positions && stride <= MAX_STRIDE, FALSE);

  if (n_positions == 0)
    return TRUE;
  ht_blas_initialize ();
  guint n_workers = ht_thread_pool_get_size ();
  Addition a = { .self = self, .inputs = inputs, .targets = targets, .n_positions = n_positions, .stride = stride };
  a.n_tiles = (self->n_inputs - 1) / TILE_SIDE + 1;
  a.n_target_tiles = (self->n_outputs + TILE_SIDE - 1) / TILE_SIDE;
  a.n_products = a.n_tiles * (a.n_tiles + 1) / 2 + a.n_tiles * a.n_target_tiles;
  a.scratch = g_new (float, n_workers *TILE_SIDE *TILE_SIDE);
  ht_parallel_for_limited (self->n_groups * (self->n_inputs + self->n_outputs), 16, n_workers, shift_rows, &a);
  gsize grain = self->n_inputs <= DOT_SIDE ? 8 : 1;
  ht_parallel_for_limited (self->n_slots * self->n_groups * a.n_products, grain, n_workers, add_products, &a);
  g_free (a.scratch);
  if (a.bad)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                   "the samples hold a value that is not finite, or whose square is not; least squares needs finite "
                   "activations: look for overflow in the network or its preprocessing");
      return FALSE;
    }
  self->n_positions += n_positions;
  return TRUE;
}

/* Adds `from` with its shifts into `self`, whose shifts are lower by `by`: sums of (x + by). */
static void
merge_group (HtMoments *self, HtMoments *from, gsize group)
{
  gsize n = self->n_inputs, m = self->n_outputs;
  double count = (double)from->n_positions;
  g_autofree double *dx = g_new (double, n);
  g_autofree double *dy = g_new (double, m);

  for (gsize i = 0; i < n; i++)
    dx[i] = from->input_shifts[group * n + i] - self->input_shifts[group * n + i];
  for (gsize o = 0; o < m; o++)
    dy[o] = from->target_shifts[group * m + o] - self->target_shifts[group * m + o];
  const double *sx = from->input_sums + group * n, *sy = from->target_sums + group * m;
  for (gsize slot = 0; slot < from->n_slots; slot++)
    {
      const double *gram = from->gram + (slot * self->n_groups + group) * n * n;
      const double *cross = from->cross + (slot * self->n_groups + group) * n * m;
      for (gsize i = 0; i < n * n; i++)
        self->gram[group * n * n + i] += gram[i];
      for (gsize i = 0; i < n * m; i++)
        self->cross[group * n * m + i] += cross[i];
    }
  for (gsize i = 0; i < n; i++)
    {
      double *gram = self->gram + (group * n + i) * n, *cross = self->cross + (group * n + i) * m;
      for (gsize j = i; j < n; j++)
        gram[j] += sx[i] * dx[j] + dx[i] * sx[j] + count * dx[i] * dx[j];
      for (gsize o = 0; o < m; o++)
        cross[o] += sx[i] * dy[o] + dx[i] * sy[o] + count * dx[i] * dy[o];
    }
  for (gsize o = 0; o < m; o++)
    self->target_squares[group * m + o]
        += from->target_squares[group * m + o] + 2.0 * dy[o] * sy[o] + count * dy[o] * dy[o];
  for (gsize i = 0; i < n; i++)
    self->input_sums[group * n + i] += sx[i] + count * dx[i];
  for (gsize o = 0; o < m; o++)
    self->target_sums[group * m + o] += sy[o] + count * dy[o];
}

/**
 * ht_moments_merge:
 * @self: moments
 * @other: moments of other samples of the same layer
 * @error: return location for a #GError
 *
 * Makes @self the moments of the samples of both.
 *
 * Returns: %FALSE with #HT_ERROR_SHAPE when the two differ in groups, inputs or outputs
 */
gboolean
ht_moments_merge (HtMoments *self, HtMoments *other, GError **error)
{
  g_return_val_if_fail (self != NULL && other != NULL && self != other, FALSE);

  if (self->n_groups != other->n_groups || self->n_inputs != other->n_inputs || self->n_outputs != other->n_outputs)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "moments of %" G_GSIZE_FORMAT " groups of %" G_GSIZE_FORMAT " inputs and %" G_GSIZE_FORMAT
                   " outputs cannot take in those of %" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT,
                   self->n_groups, self->n_inputs, self->n_outputs, other->n_groups, other->n_inputs, other->n_outputs);
      return FALSE;
    }
  if (other->n_positions == 0)
    return TRUE;
  if (self->n_positions == 0)
    {
      memcpy (self->input_shifts, other->input_shifts, self->n_groups * self->n_inputs * sizeof (double));
      if (self->n_outputs > 0)
        memcpy (self->target_shifts, other->target_shifts, self->n_groups * self->n_outputs * sizeof (double));
    }
  for (gsize group = 0; group < self->n_groups; group++)
    merge_group (self, other, group);
  self->n_positions += other->n_positions;
  return TRUE;
}

static double *
means_of (const double *sums, const double *shifts, gsize n, guint64 n_positions)
{
  double *means = g_new0 (double, MAX (n, 1));

  for (gsize i = 0; i < n && n_positions > 0; i++)
    means[i] = shifts[i] + sums[i] / (double)n_positions;
  return means;
}

/**
 * ht_moments_get_input_means:
 * @self: moments
 * @group: a group
 *
 * Returns: (transfer full) (array): the mean of each input of the group; free with g_free()
 */
double *
ht_moments_get_input_means (HtMoments *self, gsize group)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups, NULL);
  gsize at = group * self->n_inputs;
  return means_of (self->input_sums + at, self->input_shifts + at, self->n_inputs, self->n_positions);
}

/**
 * ht_moments_get_target_means:
 * @self: moments
 * @group: a group
 *
 * Returns: (transfer full) (array): the mean of each target of the group; free with g_free()
 */
double *
ht_moments_get_target_means (HtMoments *self, gsize group)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups, NULL);
  gsize at = group * self->n_outputs;
  return means_of (self->target_sums + at, self->target_shifts + at, self->n_outputs, self->n_positions);
}

/* E[ab] or, centred, the covariance of a and b from sums of their shifted values. */
static double
second_moment (double product, double sum_a, double sum_b, double shift_a, double shift_b, double count,
               gboolean centred)
{
  double a = sum_a / count, b = sum_b / count, covariance = product / count - a * b;
  return centred ? covariance : covariance + (shift_a + a) * (shift_b + b);
}

static double
sum_slots (const double *values, gsize n_slots, gsize stride)
{
  double sum = values[0];
  for (gsize slot = 1; slot < n_slots; slot++)
    sum += values[slot * stride];
  return sum;
}

/**
 * ht_moments_get_gram:
 * @self: moments
 * @group: a group
 * @centred: whether to give the covariance instead
 *
 * Returns: (transfer full) (array): E[x x'] of the group, [inputs, inputs]; free with g_free()
 */
double *
ht_moments_get_gram (HtMoments *self, gsize group, gboolean centred)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups, NULL);

  gsize n = self->n_inputs, stride = self->n_groups * n * n;
  double count = (double)self->n_positions;
  const double *sums = self->input_sums + group * n, *shifts = self->input_shifts + group * n;
  double *gram = g_new0 (double, n *n);
  for (gsize i = 0; i < n && count > 0.0; i++)
    for (gsize j = i; j < n; j++)
      {
        double product = sum_slots (self->gram + (group * n + i) * n + j, self->n_slots, stride);
        gram[i * n + j] = gram[j * n + i]
            = second_moment (product, sums[i], sums[j], shifts[i], shifts[j], count, centred);
      }
  if (centred)
    for (gsize i = 0; i < n; i++)
      gram[i * n + i] = MAX (gram[i * n + i], 0.0);
  return gram;
}

/**
 * ht_moments_get_cross:
 * @self: moments
 * @group: a group
 * @centred: whether to give the covariances instead
 *
 * Returns: (transfer full) (array): E[x y'] of the group, [inputs, outputs]; free with g_free()
 */
double *
ht_moments_get_cross (HtMoments *self, gsize group, gboolean centred)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups, NULL);

  gsize n = self->n_inputs, m = self->n_outputs, stride = self->n_groups * n * m;
  double count = (double)self->n_positions;
  double *cross = g_new0 (double, MAX (n * m, 1));
  for (gsize i = 0; i < n && count > 0.0; i++)
    for (gsize o = 0; o < m; o++)
      {
        double product = sum_slots (self->cross + (group * n + i) * m + o, self->n_slots, stride);
        cross[i * m + o]
            = second_moment (product, self->input_sums[group * n + i], self->target_sums[group * m + o],
                             self->input_shifts[group * n + i], self->target_shifts[group * m + o], count, centred);
      }
  return cross;
}

/**
 * ht_moments_get_target_squares:
 * @self: moments
 * @group: a group
 * @centred: whether to give the variances instead
 *
 * Returns: (transfer full) (array): E[y^2] of each target of the group; free with g_free()
 */
double *
ht_moments_get_target_squares (HtMoments *self, gsize group, gboolean centred)
{
  g_return_val_if_fail (self != NULL && group < self->n_groups, NULL);

  gsize m = self->n_outputs;
  double count = (double)self->n_positions;
  double *squares = g_new0 (double, MAX (m, 1));
  for (gsize o = 0, i = group * m; o < m && count > 0.0; o++, i++)
    squares[o] = second_moment (self->target_squares[i], self->target_sums[i], self->target_sums[i],
                                self->target_shifts[i], self->target_shifts[i], count, centred);
  return squares;
}

/**
 * ht_moments_get_errors:
 * @self: moments
 * @weights: (array): [groups x outputs, inputs]
 * @centred: whether a bias, chosen for each output, may take up the mean of the error
 *
 * The mean squared error w'Gw - 2 w'b + E[y^2] of each output.
 *
 * Returns: (transfer full) (array): an error for each output of each group; free with g_free()
 */
double *
ht_moments_get_errors (HtMoments *self, const double *weights, gboolean centred)
{
  g_return_val_if_fail (self != NULL && weights != NULL, NULL);

  gsize n = self->n_inputs, m = self->n_outputs;
  double *errors = g_new0 (double, MAX (self->n_groups * m, 1));
  g_autofree double *product = g_new (double, n *MAX (m, 1));
  ht_blas_initialize ();
  for (gsize group = 0; group < self->n_groups && m > 0; group++)
    {
      const double *w = weights + group * m * n;
      g_autofree double *gram = ht_moments_get_gram (self, group, centred);
      g_autofree double *cross = ht_moments_get_cross (self, group, centred);
      g_autofree double *squares = ht_moments_get_target_squares (self, group, centred);
      cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)n, 1.0, w, (int)n, gram, (int)n, 0.0,
                   product, (int)n);
      for (gsize o = 0; o < m; o++)
        {
          double error = squares[o];
          for (gsize i = 0; i < n; i++)
            error += w[o * n + i] * (product[o * n + i] - 2.0 * cross[i * m + o]);
          errors[group * m + o] = MAX (error, 0.0);
        }
    }
  return errors;
}
