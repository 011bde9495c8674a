/* SPDX-License-Identifier: MIT */
/* GRU, there and back: part of rnn-backward-template.h. Gates in the order update, reset, hidden. `inner` is what the
 * reset gate has to do with: where it multiplies after the product (linear_before_reset) the recurrent part of the
 * hidden sum, and going back its gradient; otherwise the state times the gate. */

/* The recurrent part of the hidden sums, from the state and the first two sums. It is left in c, or is added. */
static void
FN (gru_add_inner) (FN (Rnn) * self)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden;
  const REAL *bias = self->b && size->linear_before_reset ? self->b + 5 * n : NULL;
  HtGemmShape inner = { .transpose_b = TRUE,
                        .m = size->batch,
                        .n = n,
                        .k = n,
                        .lda = n,
                        .ldb = n,
                        .ldc = size->linear_before_reset ? n : 3 * n,
                        .alpha = 1.0f,
                        .beta = 1.0f };

  for (gsize b = 0; b < size->batch; b++)
    for (gsize i = 0; i < n; i++)
      self->c[b * n + i] = size->linear_before_reset
                               ? (bias ? bias[i] : 0)
                               : self->h[b * n + i] * FN (activate) (self->act[0], self->sums[b * 3 * n + n + i]);
  if (size->linear_before_reset)
    PRODUCT (&inner, self->h, self->r + 2 * n * n, self->c);
  else
    PRODUCT (&inner, self->c, self->r + 2 * n * n, self->sums + 2 * n);
}

static void
FN (gru_forward_row) (FN (Rnn) * self, gsize row, gsize b)
{
  gsize n = self->size.hidden;
  const REAL *sums = self->sums + b * 3 * n, *inner = self->c + b * n;
  REAL *gates = self->gates + row * 3 * n, *h = self->h + b * n;

  memcpy (self->inner + row * n, inner, n * sizeof (REAL));
  for (gsize i = 0; i < n; i++)
    {
      REAL update = FN (activate) (self->act[0], sums[i]), reset = FN (activate) (self->act[0], sums[n + i]);
      REAL fresh
          = FN (activate) (self->act[1], sums[2 * n + i] + (self->size.linear_before_reset ? reset * inner[i] : 0));
      h[i] = (1 - update) * fresh + update * h[i];
      gates[i] = update;
      gates[n + i] = reset;
      gates[2 * n + i] = fresh;
    }
}

/* gates become the gradients of the sums, but that of the reset gate where its product comes first: see
 * gru_go_through_reset(). sums: what goes through the recurrent product. */
static void
FN (gru_backward_row) (FN (Rnn) * self, gsize row, REAL *dh, REAL *sums)
{
  gsize n = self->size.hidden;
  REAL *gates = self->gates + row * 3 * n, *inner = self->inner + row * n;
  const REAL *before = self->states + row * n;

  for (gsize i = 0; i < n; i++)
    {
      REAL update = gates[i], reset = gates[n + i], fresh = gates[2 * n + i];
      REAL d_fresh = dh[i] * (1 - update) * FN (slope) (self->act[1], fresh);
      sums[i] = gates[i] = dh[i] * (before[i] - fresh) * FN (slope) (self->act[0], update);
      gates[2 * n + i] = d_fresh;
      dh[i] *= update;
      if (!self->size.linear_before_reset)
        continue;
      sums[n + i] = gates[n + i] = d_fresh * inner[i] * FN (slope) (self->act[0], reset);
      sums[2 * n + i] = inner[i] = d_fresh * reset;
    }
}

/* Where the reset gate multiplies the state: the gradient of that product, and what follows from it. */
static void
FN (gru_go_through_reset) (FN (Rnn) * self, gsize step)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden;
  HtGemmShape inner
      = { .m = size->batch, .n = n, .k = n, .lda = 3 * n, .ldb = n, .ldc = n, .alpha = 1.0f, .beta = 0.0f };

  if (size->linear_before_reset)
    return;
  for (gsize b = 0; b < size->batch; b++)
    {
      gsize row = FN (find_row) (self, step, b);
      if (row != G_MAXSIZE)
        memcpy (self->sums + (b * 3 + 2) * n, self->gates + (row * 3 + 2) * n, n * sizeof (REAL));
    }
  PRODUCT (&inner, self->sums + 2 * n, self->r + 2 * n * n, self->c);
  for (gsize b = 0; b < size->batch; b++)
    {
      gsize row = FN (find_row) (self, step, b);
      REAL *sums = self->sums + b * 3 * n;
      memset (sums + 2 * n, 0, n * sizeof (REAL));
      if (row == G_MAXSIZE)
        continue;
      for (gsize i = 0; i < n; i++)
        {
          REAL *gate = self->gates + row * 3 * n + n + i, reset = *gate, d = self->c[b * n + i];
          self->h[b * n + i] += d * reset;
          sums[n + i] = *gate = d * self->states[row * n + i] * FN (slope) (self->act[0], reset);
        }
    }
}

/* The gradients of the recurrent weights and biases of the hidden sums. dr and db may be NULL. */
static void
FN (gru_collect) (FN (Rnn) * self, REAL *dr, REAL *db)
{
  const Sizes *size = &self->size;
  gsize n = size->hidden, rows = size->time * size->batch;
  HtGemmShape to_r = { .transpose_a = TRUE,
                       .m = n,
                       .n = n,
                       .k = rows,
                       .lda = size->linear_before_reset ? n : 3 * n,
                       .ldb = n,
                       .ldc = n,
                       .alpha = 1.0f };

  if (dr && size->linear_before_reset)
    PRODUCT (&to_r, self->inner, self->states, dr + 2 * n * n);
  else if (dr)
    PRODUCT (&to_r, self->gates + 2 * n, self->inner, dr + 2 * n * n);
  if (db && size->linear_before_reset)
    FN (add_rows) (rows, n, n, self->inner, db + 5 * n);
}
