/* SPDX-License-Identifier: MIT */
#include "report/report-html-private.h"

#include <math.h>

#define ROW         26
#define COLUMN      170
#define LABEL_SPACE 360
#define MAX_LEAVES  500
#define MAX_DEPTH   100
#define MAX_LETTERS 22

typedef struct _Place Place;
struct _Place
{
  JsonObject *node;
  Place *parent;
  GPtrArray *children; /* of Place */
  GPtrArray *leaves;   /* of JsonObject: candidates that end here */
  const char *outcome; /* the best one below; NULL: no candidate is */
  guint depth;
  double y;
};

/* The best outcome of what a step led to colours it. */
static guint
rank (const char *outcome)
{
  static const char *const order[] = { "open", "failed", "stopped", "missed", "scored", "tied", "best" };
  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    if (g_str_equal (order[i], outcome))
      return i;
  return 0;
}

static void
free_place (gpointer data)
{
  Place *self = data;
  g_ptr_array_unref (self->children);
  g_ptr_array_unref (self->leaves);
  g_free (self);
}

/* Nodes by number. A parent comes before its children, so that no file can make a circle. */
static GHashTable *
place_nodes (JsonArray *tree, Place **root)
{
  GHashTable *places = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, free_place);
  *root = NULL;
  for (guint i = 0; i < ht_report_get_length (tree); i++)
    {
      JsonObject *node = ht_report_get_element (tree, i);
      gint64 number = (gint64)ht_report_get_number (node, "number", -1);
      gint64 above = (gint64)ht_report_get_number (node, "parent", -1);
      if (node == NULL || g_str_equal (ht_report_get_string (node, "kind", ""), "score")
          || g_hash_table_contains (places, &number))
        continue;
      Place *parent = g_hash_table_lookup (places, &above);
      if ((parent == NULL && *root != NULL) || (parent != NULL && parent->depth == MAX_DEPTH))
        continue;
      Place *place = g_new0 (Place, 1);
      place->node = node;
      place->parent = parent;
      place->children = g_ptr_array_new ();
      place->leaves = g_ptr_array_new ();
      place->depth = parent != NULL ? parent->depth + 1 : 0;
      if (parent != NULL)
        g_ptr_array_add (parent->children, place);
      else
        *root = place;
      g_hash_table_insert (places, g_memdup2 (&number, sizeof number), place);
    }
  return places;
}

/* Returns how many candidates have a place. */
static guint
hang_candidates (JsonObject *search, GHashTable *places)
{
  JsonArray *candidates = ht_report_get_array (search, "candidates");
  guint n_placed = 0;
  for (guint i = 0; i < ht_report_get_length (candidates) && n_placed < MAX_LEAVES; i++)
    {
      JsonObject *candidate = ht_report_get_element (candidates, i);
      JsonArray *path = ht_report_get_array (candidate, "path");
      const char *outcome = ht_html_get_outcome (search, candidate);
      Place *place = NULL;
      for (guint k = ht_report_get_length (path); k > 0 && place == NULL; k--)
        {
          gint64 number = (gint64)ht_report_get_element_number (path, k - 1, -1);
          place = g_hash_table_lookup (places, &number);
        }
      if (place == NULL)
        continue;
      g_ptr_array_add (place->leaves, candidate);
      n_placed++;
      for (; place != NULL; place = place->parent)
        if (place->outcome == NULL || rank (outcome) > rank (place->outcome))
          place->outcome = outcome;
    }
  return n_placed;
}

static void
lay_out (Place *place, double *next, guint *deepest)
{
  double first = *next, last;
  *deepest = MAX (*deepest, place->depth);
  for (guint i = 0; i < place->children->len; i++)
    if (((Place *)g_ptr_array_index (place->children, i))->outcome != NULL)
      lay_out (g_ptr_array_index (place->children, i), next, deepest);
  *next += ROW * place->leaves->len;
  if (*next == first)
    *next += ROW;
  last = *next - ROW;
  place->y = (first + last) / 2;
}

static const char *
name_node (JsonObject *node)
{
  const char *kind = ht_report_get_string (node, "kind", "");
  if (g_str_equal (kind, "step"))
    return ht_report_get_string (node, "step", "step");
  return g_str_equal (kind, "calibrate") ? "calibrate" : "start";
}

/* The end of a name says less than its beginning. */
static char *
shorten (const char *text, guint n_letters)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  if (g_utf8_strlen (valid, -1) <= (glong)n_letters)
    return g_steal_pointer (&valid);
  g_autofree char *start = g_utf8_substring (valid, 0, n_letters - 1);
  return g_strconcat (start, "…", NULL);
}

static void
draw_leaf (GString *html, JsonObject *search, JsonObject *candidate, double x, double y)
{
  const char *metric = ht_html_get_objective_metric (search, NULL);
  HtHtmlNumber value;
  double low, high, number = ht_html_get_metric (search, candidate, metric, &low, &high);
  gint64 index = (gint64)ht_report_get_number (candidate, "number", 0);
  g_autofree char *description = ht_html_describe (candidate);
  const char *outcome = ht_html_get_outcome (search, candidate);
  g_autofree char *label = isnan (number) ? g_strdup (outcome)
                                          : g_strdup_printf ("%s%s", ht_html_format_metric (value, metric, number),
                                                             ht_html_get_unit (metric));
  g_autofree char *brief = shorten (description, 34);
  ht_html_add (
      html,
      "<a href=\"#candidate-%" G_GINT64_FORMAT "\" class=\"mark %s\"><title>%s: %s, %s</title>"
      "<circle cx=\"%d\" cy=\"%d\" r=\"6\"/><text x=\"%d\" y=\"%d\">%" G_GINT64_FORMAT " · %s · %s</text></a>\n",
      index, outcome, description, label, outcome, (int)x, (int)y, (int)x + 12, (int)y + 4, index, label, brief);
}

static void
draw (GString *html, JsonObject *search, Place *place)
{
  int x = 16 + (int)place->depth * COLUMN, y = 18 + (int)place->y;
  g_autofree char *name = shorten (name_node (place->node), MAX_LETTERS);
  for (guint i = 0; i < place->children->len; i++)
    {
      Place *child = g_ptr_array_index (place->children, i);
      int below = 18 + (int)child->y, right = x + COLUMN;
      if (child->outcome == NULL)
        continue;
      ht_html_add (html, "<path class=\"edge\" d=\"M%d %d C%d %d %d %d %d %d\"/>\n", x, y, x + COLUMN / 2, y,
                   right - COLUMN / 2, below, right, below);
      draw (html, search, child);
    }
  for (guint i = 0; i < place->leaves->len; i++)
    {
      int below = 18 + (int)(place->y * 2 - (place->leaves->len - 1.0) * ROW) / 2 + (int)i * ROW;
      if (place->children->len > 0)
        below = 18 + (int)place->y + (int)(i + 1) * ROW / 2;
      ht_html_add (html, "<path class=\"edge\" d=\"M%d %d L%d %d\"/>\n", x, y, x + COLUMN / 2 + 30, below);
      draw_leaf (html, search, g_ptr_array_index (place->leaves, i), x + COLUMN / 2 + 30, below);
    }
  ht_html_add (html,
               "<g class=\"node %s\"><title>%s</title><rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" rx=\"2\"/>",
               place->outcome, name_node (place->node), x - 5, y - 5);
  if (place->leaves->len == 0)
    ht_html_add (html, "<text x=\"%d\" y=\"%d\">%s</text>", x - 5, y - 9, name);
  g_string_append (html, "</g>\n");
}

void
ht_html_add_tree (GString *html, JsonObject *search)
{
  Place *root;
  g_autoptr (GHashTable) places = place_nodes (ht_report_get_array (search, "tree"), &root);
  guint n_candidates = ht_report_get_length (ht_report_get_array (search, "candidates"));
  guint n_placed = root != NULL ? hang_candidates (search, places) : 0, deepest = 0;
  double height = 0;
  if (n_placed == 0)
    return;
  lay_out (root, &height, &deepest);
  g_string_append (html,
                   "<section id=\"tree\"><h2>Combinations</h2>\n<p>Steps that combinations share were carried out "
                   "once. A square has the colour of the best outcome behind it.</p>\n");
  if (n_placed < n_candidates)
    ht_html_add (html, "<p>Shown are %u of %u combinations; the table below has them all.</p>\n", n_placed,
                 n_candidates);
  g_string_append (html,
                   "<p class=\"legend\"><span class=\"best\">best</span> <span class=\"tied\">not to be told apart "
                   "from the best</span> <span class=\"scored\">worse</span> <span class=\"missed\">misses the "
                   "conditions</span> <span class=\"stopped\">stopped early</span> <span class=\"failed\">failed</span>"
                   "</p>\n");
  int width = 16 + (int)deepest * COLUMN + COLUMN / 2 + LABEL_SPACE;
  ht_html_add (
      html,
      "<div class=\"scroll\" tabindex=\"0\"><svg class=\"tree\" role=\"group\" aria-label=\"tree of combinations\" "
      "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n",
      width, (int)height + 18, width, (int)height + 18);
  draw (html, search, root);
  g_string_append (html, "</svg></div></section>\n");
}
