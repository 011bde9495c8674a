/* SPDX-License-Identifier: MIT */
/* Included by normalize-backward.c once for each REAL. */

HT_VECTORIZE static void
FN (add_products) (const REAL *x, const REAL *dy, gsize n, double mean, double *dy_lanes, double *product_lanes)
{
  gsize base = 0;
  for (; base + LANES <= n; base += LANES)
    for (gsize lane = 0; lane < LANES; lane++)
      {
        double g = (double)dy[base + lane];
        dy_lanes[lane] += g;
        product_lanes[lane] += g * ((double)x[base + lane] - mean);
      }
  for (gsize i = base; i < n; i++)
    {
      dy_lanes[i - base] += (double)dy[i];
      product_lanes[i - base] += (double)dy[i] * ((double)x[i] - mean);
    }
}

/* A row of channels. */
HT_VECTORIZE static void
FN (add_columns) (const REAL *x, const REAL *dy, gsize n, const double *mean, double *dy_sum, double *product_sum)
{
  for (gsize i = 0; i < n; i++)
    {
      dy_sum[i] += (double)dy[i];
      product_sum[i] += (double)dy[i] * ((double)x[i] - mean[i]);
    }
}

static void
FN (channel_sums) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Channels *work = user_data;
  for (gsize item = begin; item < end; item++)
    if (work->inner == 1)
      {
        gsize first = item * BLOCK, n = MIN (BLOCK, work->channels - first);
        for (gsize i = first; i < first + n; i++)
          work->dy_sum[i] = work->product_sum[i] = 0.0;
        for (gsize o = 0; o < work->outer; o++)
          FN (add_columns)
          ((const REAL *)work->x + o * work->channels + first, (const REAL *)work->dy + o * work->channels + first, n,
           work->mean + first, work->dy_sum + first, work->product_sum + first);
      }
    else
      {
        double dy_lanes[LANES] = { 0 }, product_lanes[LANES] = { 0 };
        for (gsize o = 0; o < work->outer; o++)
          {
            gsize at = (o * work->channels + item) * work->inner;
            FN (add_products)
            ((const REAL *)work->x + at, (const REAL *)work->dy + at, work->inner, work->mean[item], dy_lanes,
             product_lanes);
          }
        work->dy_sum[item] = sum_lanes (dy_lanes);
        work->product_sum[item] = sum_lanes (product_lanes);
      }
}

void
FN (ht_kernel_channel_sums) (const REAL *x, const REAL *dy, gsize outer, gsize channels, gsize inner,
                             const double *mean, double *dy_sum, double *product_sum)
{
  Channels work = { .x = x,
                    .dy = dy,
                    .outer = outer,
                    .channels = channels,
                    .inner = inner,
                    .mean = mean,
                    .dy_sum = dy_sum,
                    .product_sum = product_sum };
  gsize n_items = inner == 1 ? (channels + BLOCK - 1) / BLOCK : channels;
  ht_parallel_for (n_items, grain_of (outer * inner * (inner == 1 ? BLOCK : 1)), FN (channel_sums), &work);
}

HT_VECTORIZE static void
FN (plane_gradient) (const REAL *x, const REAL *dy, REAL *dx, gsize n, REAL mean, REAL a, REAL b, REAL d)
{
  for (gsize i = 0; i < n; i++)
    dx[i] = a * dy[i] + (b * (x[i] - mean) + d);
}

HT_VECTORIZE static void
FN (row_gradient) (const REAL *x, const REAL *dy, REAL *dx, gsize n, const double *mean, const double *a,
                   const double *b, const double *d)
{
  for (gsize i = 0; i < n; i++)
    dx[i] = (REAL)(a[i] * (double)dy[i] + (b[i] * ((double)x[i] - mean[i]) + d[i]));
}

static void
FN (channel_gradient) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Channels *work = user_data;
  for (gsize item = begin; item < end; item++)
    {
      gsize c = item % work->channels, n = work->inner == 1 ? work->channels : work->inner, at = item * n;
      const REAL *x = (const REAL *)work->x + at, *dy = (const REAL *)work->dy + at;
      if (work->inner == 1)
        FN (row_gradient) (x, dy, (REAL *)work->dx + at, n, work->mean, work->a, work->b, work->d);
      else
        FN (plane_gradient)
        (x, dy, (REAL *)work->dx + at, n, (REAL)work->mean[c], (REAL)work->a[c], (REAL)work->b[c], (REAL)work->d[c]);
    }
}

void
FN (ht_kernel_channel_gradient) (const REAL *x, const REAL *dy, REAL *dx, gsize outer, gsize channels, gsize inner,
                                 const double *mean, const double *a, const double *b, const double *d)
{
  Channels work = { .x = x,
                    .dy = dy,
                    .dx = dx,
                    .outer = outer,
                    .channels = channels,
                    .inner = inner,
                    .mean = mean,
                    .a = a,
                    .b = b,
                    .d = d };
  ht_parallel_for (inner == 1 ? outer : outer * channels, grain_of (inner == 1 ? channels : inner),
                   FN (channel_gradient), &work);
}

/* Rows */

static void
FN (row_statistics) (const REAL *x, gsize n, double epsilon, double *mean, double *inverse)
{
  double lanes[LANES] = { 0 };
  gsize whole = n / LANES * LANES;
  for (gsize i = 0; i < whole; i += LANES)
    for (gsize lane = 0; lane < LANES; lane++)
      lanes[lane] += (double)x[i + lane];
  for (gsize i = whole; i < n; i++)
    lanes[i - whole] += (double)x[i];
  *mean = sum_lanes (lanes) / (double)n;
  for (gsize lane = 0; lane < LANES; lane++)
    lanes[lane] = 0.0;
  for (gsize i = 0; i < whole; i += LANES)
    for (gsize lane = 0; lane < LANES; lane++)
      {
        double from = (double)x[i + lane] - *mean;
        lanes[lane] += from * from;
      }
  for (gsize i = whole; i < n; i++)
    lanes[i - whole] += ((double)x[i] - *mean) * ((double)x[i] - *mean);
  *inverse = 1.0 / sqrt (sum_lanes (lanes) / (double)n + epsilon);
}

/* dx = inverse * (g - mean (g) - xhat * mean (g * xhat)), where g = dy * factor: an affine function of dy * factor and
 * x
 * - mean. */
static void
FN (row_dx) (const HtRowNormBackward *norm, gsize row, double mean, double inverse)
{
  gsize segment = norm->n / norm->factor_count;
  const REAL *x = (const REAL *)norm->x + row * norm->n, *dy = (const REAL *)norm->dy + row * norm->n;
  const REAL *factor = (const REAL *)norm->factor + row % norm->factor_rows * norm->factor_count;
  REAL *dx = (REAL *)norm->dx + row * norm->n;
  double dy_lanes[LANES] = { 0 }, product_lanes[LANES] = { 0 };

  for (gsize f = 0; f < norm->factor_count; f++)
    for (gsize i = f * segment; i < (f + 1) * segment; i++)
      dx[i] = dy[i] * factor[f];
  FN (add_products) (x, dx, norm->n, mean, dy_lanes, product_lanes);
  double d = -inverse * sum_lanes (dy_lanes) / (double)norm->n;
  double b = -inverse * inverse * inverse * sum_lanes (product_lanes) / (double)norm->n;
  FN (plane_gradient) (x, dx, dx, norm->n, (REAL)mean, (REAL)inverse, (REAL)b, (REAL)d);
}

static void
FN (norm_rows) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const HtRowNormBackward *norm = user_data;
  double *means = norm->workspace, *inverses = means + norm->n_rows;
  for (gsize row = begin; row < end; row++)
    {
      FN (row_statistics) ((const REAL *)norm->x + row * norm->n, norm->n, norm->epsilon, &means[row], &inverses[row]);
      if (norm->dx)
        FN (row_dx) (norm, row, means[row], inverses[row]);
    }
}

/* One factor for each element: a piece of the rows into sums of its own. */
static void
FN (norm_columns) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const HtRowNormBackward *norm = user_data;
  const double *means = norm->workspace, *inverses = means + norm->n_rows;
  gsize pieces = pieces_of (norm->n_rows, norm->n);
  for (gsize piece = begin; piece < end; piece++)
    {
      double *dy_sum = (double *)norm->workspace + 2 * norm->n_rows + 2 * piece * norm->n;
      double *product_sum = dy_sum + norm->n;
      for (gsize i = 0; i < 2 * norm->n; i++)
        dy_sum[i] = 0.0;
      for (gsize row = norm->n_rows * piece / pieces; row < norm->n_rows * (piece + 1) / pieces; row++)
        {
          const REAL *x = (const REAL *)norm->x + row * norm->n, *dy = (const REAL *)norm->dy + row * norm->n;
          for (gsize i = 0; i < norm->n; i++)
            {
              dy_sum[i] += (double)dy[i];
              product_sum[i] += (double)dy[i] * (((double)x[i] - means[row]) * inverses[row]);
            }
        }
    }
}

/* One factor for a segment: an item is one factor, over all rows that have it. */
static void
FN (norm_segments) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const HtRowNormBackward *norm = user_data;
  const double *means = norm->workspace, *inverses = means + norm->n_rows;
  gsize segment = norm->n / norm->factor_count;
  for (gsize item = begin; item < end; item++)
    {
      double dy_sum = 0.0, product_sum = 0.0;
      for (gsize row = item / norm->factor_count; row < norm->n_rows; row += norm->factor_rows)
        {
          double dy_lanes[LANES] = { 0 }, product_lanes[LANES] = { 0 };
          gsize at = row * norm->n + item % norm->factor_count * segment;
          FN (add_products)
          ((const REAL *)norm->x + at, (const REAL *)norm->dy + at, segment, means[row], dy_lanes, product_lanes);
          dy_sum += sum_lanes (dy_lanes);
          product_sum += sum_lanes (product_lanes) * inverses[row];
        }
      if (norm->d_factor)
        ((REAL *)norm->d_factor)[item] = (REAL)product_sum;
      if (norm->d_term)
        ((REAL *)norm->d_term)[item] = (REAL)dy_sum;
    }
}

void
FN (ht_kernel_row_norm_backward) (const HtRowNormBackward *norm)
{
  ht_parallel_for (norm->n_rows, grain_of (norm->n), FN (norm_rows), (gpointer)norm);
  if (norm->d_factor == NULL && norm->d_term == NULL)
    return;
  if (norm->factor_count < norm->n || norm->factor_rows > 1)
    {
      ht_parallel_for (norm->factor_rows * norm->factor_count, grain_of (norm->n_rows * norm->n), FN (norm_segments),
                       (gpointer)norm);
      return;
    }
  gsize pieces = pieces_of (norm->n_rows, norm->n);
  ht_parallel_for (pieces, 1, FN (norm_columns), (gpointer)norm);
  const double *sums = (const double *)norm->workspace + 2 * norm->n_rows;
  for (gsize i = 0; i < norm->n; i++)
    {
      double dy_sum = 0.0, product_sum = 0.0;
      for (gsize piece = 0; piece < pieces; piece++)
        {
          dy_sum += sums[2 * piece * norm->n + i];
          product_sum += sums[(2 * piece + 1) * norm->n + i];
        }
      if (norm->d_factor)
        ((REAL *)norm->d_factor)[i] = (REAL)product_sum;
      if (norm->d_term)
        ((REAL *)norm->d_term)[i] = (REAL)dy_sum;
    }
}
