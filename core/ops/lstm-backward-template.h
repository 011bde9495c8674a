/* SPDX-License-Identifier: MIT */
/* One row of LSTM, there and back: part of rnn-backward-template.h. Gates in the order input, output, forget, cell. */

static void
FN (lstm_forward_row) (FN (Rnn) * self, gsize row, const REAL *sums, REAL *h, REAL *c)
{
  gsize n = self->size.hidden;
  REAL *gates = self->gates + row * 4 * n;
  const REAL *p = self->p;

  memcpy (self->cells + row * n, c, n * sizeof (REAL));
  for (gsize i = 0; i < n; i++)
    {
      REAL in = FN (activate) (self->act[0], sums[i] + (p ? p[i] * c[i] : 0));
      REAL forget
          = self->size.couple ? 1 - in : FN (activate) (self->act[0], sums[2 * n + i] + (p ? p[2 * n + i] * c[i] : 0));
      REAL fresh = FN (activate) (self->act[1], sums[3 * n + i]);
      c[i] = forget * c[i] + in * fresh;
      REAL out = FN (activate) (self->act[0], sums[n + i] + (p ? p[n + i] * c[i] : 0));
      REAL squashed = FN (activate) (self->act[2], c[i]);
      h[i] = out * squashed;
      gates[i] = in;
      gates[n + i] = out;
      gates[2 * n + i] = forget;
      gates[3 * n + i] = fresh;
      self->squashed[row * n + i] = squashed;
    }
}

/* gates become the gradients of the sums; c that of the cell before the step. `dp` may be NULL. */
static void
FN (lstm_backward_row) (FN (Rnn) * self, gsize row, const REAL *dh, REAL *dc, REAL *dp)
{
  gsize n = self->size.hidden;
  REAL *gates = self->gates + row * 4 * n;
  const REAL *p = self->p, *before = self->cells + row * n;

  for (gsize i = 0; i < n; i++)
    {
      REAL in = gates[i], out = gates[n + i], forget = gates[2 * n + i], fresh = gates[3 * n + i];
      REAL squashed = self->squashed[row * n + i], after = forget * before[i] + in * fresh;
      REAL d_out = dh[i] * squashed * FN (slope) (self->act[0], out);
      REAL d = dc[i] + dh[i] * out * FN (slope) (self->act[2], squashed) + (p ? d_out * p[n + i] : 0);
      REAL d_forget = d * before[i];
      REAL d_in = (d * fresh - (self->size.couple ? d_forget : 0)) * FN (slope) (self->act[0], in);
      d_forget = self->size.couple ? 0 : d_forget * FN (slope) (self->act[0], forget);
      dc[i] = d * forget + (p ? d_in * p[i] + d_forget * p[2 * n + i] : 0);
      if (dp)
        {
          dp[i] += d_in * before[i];
          dp[n + i] += d_out * after;
          dp[2 * n + i] += d_forget * before[i];
        }
      gates[i] = d_in;
      gates[n + i] = d_out;
      gates[2 * n + i] = d_forget;
      gates[3 * n + i] = d * in * FN (slope) (self->act[1], fresh);
    }
}
