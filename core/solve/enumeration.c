/* SPDX-License-Identifier: MIT */
/* The closest code by depth-first search of the tree of all codes, nearest branches first, cut where the best known
 * is passed: C. P. Schnorr and M. Euchner, "Lattice basis reduction" (1994). */
#include "solve/least-squares.h"

#include <math.h>
#include <string.h>

/* A level of the tree: a column with all columns behind it in the order decided. */
typedef struct
{
  double centre; /* in codes */
  double weight; /* of a squared distance from it */
  double scale, low, high;
  double below, above; /* the next codes to try on either side */
  double before;       /* the cost of the columns decided */
  double error;        /* value - t of the code taken */
} Level;

typedef struct
{
  const HtPanel *panel;
  const HtNormalSystem *system;
  gsize row;
  Level levels[HT_ENUMERATION_COLUMNS];
  double codes[HT_ENUMERATION_COLUMNS];
} Search;

static void
enter_level (Search *s, gsize i, double before)
{
  const HtNormalSystem *system = s->system;
  gsize n = system->n, width = s->panel->n_rows, column = system->order[i];
  double pivot = system->r[i * n + i], behind = 0.0;
  Level *level = &s->levels[i];

  for (gsize j = i + 1; j < n; j++)
    behind += system->r[i * n + j] * s->levels[j].error;
  double free = s->panel->free[column * width + s->row] - behind / pivot;
  level->centre = free / level->scale;
  level->weight = pivot * level->scale * (pivot * level->scale);
  level->before = before;
  double nearest = rint (level->centre);
  nearest = CLAMP (nearest, level->low, level->high);
  level->below = nearest <= level->centre ? nearest : nearest - 1.0;
  level->above = level->below + 1.0;
}

/* The next code of a level by distance; FALSE when none is left. */
static gboolean
next_code (Level *level, double *code)
{
  gboolean has_below = level->below >= level->low, has_above = level->above <= level->high;

  if (!has_below && !has_above)
    return FALSE;
  if (!has_above || (has_below && level->centre - level->below <= level->above - level->centre))
    *code = level->below--;
  else
    *code = level->above++;
  return TRUE;
}

/* TRUE when the whole tree was searched; *best falls with what is found. */
static gboolean
search_row (Search *s, double *best, double *best_codes, gboolean *found, guint64 max_nodes)
{
  gsize n = s->system->n, width = s->panel->n_rows, i = n - 1;

  enter_level (s, i, 0.0);
  for (guint64 node = 0; node < max_nodes; node++)
    {
      Level *level = &s->levels[i];
      double code = 0.0, cost = INFINITY;
      if (next_code (level, &code))
        cost = level->before + level->weight * (code - level->centre) * (code - level->centre);
      if (!(cost < *best))
        {
          if (++i == n)
            return TRUE;
          continue;
        }
      gsize column = s->system->order[i];
      s->codes[column] = code;
      level->error = level->scale * code - s->panel->free[column * width + s->row];
      if (i > 0)
        enter_level (s, --i, cost);
      else
        {
          *best = cost;
          *found = TRUE;
          memcpy (best_codes, s->codes, n * sizeof (double));
        }
    }
  return FALSE;
}

guint
ht_panel_enumerate (HtPanel *self, const HtNormalSystem *system, guint64 max_nodes)
{
  gsize n = self->n, width = self->n_rows;
  guint n_exact = 0;

  g_return_val_if_fail (n <= HT_ENUMERATION_COLUMNS, 0);
  for (gsize o = 0; o < width; o++)
    {
      Search s = { .panel = self, .system = system, .row = o };
      double best_codes[HT_ENUMERATION_COLUMNS], best = self->excess[o];
      gboolean found = FALSE;
      for (gsize i = 0; i < n; i++)
        {
          gsize grid = system->order[i] / self->block * width + o;
          s.levels[i] = (Level){ .scale = self->scales[grid], .low = self->lows[grid], .high = self->highs[grid] };
        }
      n_exact += search_row (&s, &best, best_codes, &found, max_nodes);
      if (!found)
        continue;
      self->excess[o] = best;
      for (gsize i = 0; i < n; i++)
        self->codes[i * width + o] = best_codes[i];
    }
  return n_exact;
}
