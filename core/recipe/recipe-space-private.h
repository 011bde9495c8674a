/* SPDX-License-Identifier: MIT */
/* What the files of a recipe space share. */
#pragma once

#include <halftone/recipe-space.h>

#include "base/located-substitute.h"
#include "recipe/recipe-private.h"

#define HT_COMBINATION_INACTIVE G_MAXUINT

typedef struct
{
  guint index; /* HT_COMBINATION_INACTIVE: the axis does not count */
  double number;
} HtCombinationValue;

struct _HtCombination
{
  gatomicrefcount ref_count;
  guint n_axes;
  HtCombinationValue values[];
};

HtCombination *ht_combination_new (guint n_axes);

typedef enum
{
  HT_AXIS_STEP,    /* alternatives of a step */
  HT_AXIS_CHOICE,  /* $choice */
  HT_AXIS_INTEGER, /* $int */
  HT_AXIS_NUMBER,  /* $float */
} HtAxisKind;

typedef struct _HtSpaceAxis HtSpaceAxis;
struct _HtSpaceAxis
{
  char *name;
  HtAxisKind kind;
  HtLocatedNode *node; /* which the chosen value replaces */
  GPtrArray *values;   /* of a step or $choice: HtLocatedNode, NULL for no step */
  guint n_values;      /* 0: continuous */
  HtSpaceAxis *parent; /* the axis counts only where that one has parent_value; or NULL */
  guint parent_value;
  double low, high, step; /* of a range; step 0: continuous */
  gboolean log;
  gint slot;           /* step of the pipeline, or -1: of the quantization settings */
  HtPassReads half;    /* of those: weight or activation settings, or both */
  guint index;         /* in the order of the enumeration */
  GPtrArray *children; /* HtSpaceAxis, in that order */
  guint64 n_points;
};

/* What may stand at one place of the pipeline. */
typedef struct
{
  HtLocatedNode *node;
  HtSpaceAxis *axis;       /* which alternative; NULL: there is one */
  GPtrArray *alternatives; /* of HtLocatedNode */
  HtPassReads reads;       /* of all of them */
} HtSpaceSlot;

struct _HtRecipeSpace
{
  GObject parent_instance;

  GMutex lock; /* reading a tree, and what was read */
  char *path;
  HtPassRegistry *registry;
  HtLocatedDocument *document;
  HtLocatedNode *quantization; /* or NULL */
  HtLocatedNode *pipeline;     /* or NULL */
  HtRecipe *recipe;            /* the first combination; what all share */
  HtObjective *objective;
  HtSearchSettings *settings;
  HtFactValue batchnorm_live;

  GPtrArray *axes;        /* HtSpaceAxis, in order */
  GPtrArray *roots;       /* those without a parent */
  GPtrArray *slots;       /* HtSpaceSlot */
  GHashTable *by_node;    /* HtLocatedNode -> HtSpaceAxis */
  GHashTable *ids;        /* HtLocatedNode of an alternative -> char *, the step's id */
  GHashTable *dropped;    /* HtLocatedNode that was refused */
  GArray *known;          /* HtForbidStep of all alternatives */
  GPtrArray *known_steps; /* HtRecipeStep, which those point into */

  GHashTable *targets; /* word -> HtTarget */
  GHashTable *read;    /* key of a part's choices -> HtQuantizationConfig or HtRecipeStep */
  GHashTable *shared;  /* canonical text -> the same objects, so that what means the same is the same */
};

/* recipe-space-axes.c: finds the axes; whatever is wrong with a choice itself is added to `problems`. */
void ht_recipe_space_find_axes (HtRecipeSpace *self, GPtrArray *problems);
/* The technique that an alternative names, or NULL where it is malformed. */
HtLocatedNode *ht_recipe_space_find_use (HtLocatedNode *node);
void ht_space_axis_free (gpointer axis);
void ht_space_slot_free (gpointer slot);
/* What an axis of a range or list has at an index. */
double ht_space_axis_get_number (const HtSpaceAxis *self, guint index);

/* recipe-space-read.c */
/* The recipe's tree with the choices made; `whole`: with objective, search and forbid. */
HtLocatedDocument *ht_recipe_space_substitute (HtRecipeSpace *self, HtLocatedNode *from, HtCombination *combination,
                                               gboolean whole);
/* Checks each value of each axis where it stands. */
void ht_recipe_space_check_values (HtRecipeSpace *self, GPtrArray *problems);
/* Appends to `problems` those of `found` that are not there yet. */
void ht_recipe_space_merge_problems (GPtrArray *problems, GPtrArray *found);
/* The settings and the step, NULL for none, of a combination. Shared; with `problems`, read anew. */
HtQuantizationConfig *ht_recipe_space_read_quantization (HtRecipeSpace *self, HtCombination *combination,
                                                         GPtrArray *problems);
HtRecipeStep *ht_recipe_space_read_slot (HtRecipeSpace *self, guint slot, HtCombination *combination,
                                         GPtrArray *problems);

/* recipe-space-count.c */
void ht_recipe_space_count (HtRecipeSpace *self);
/* A combination of wanted values (for all axes), of which those that do not count are made inactive. */
HtCombination *ht_recipe_space_settle (HtRecipeSpace *self, const HtCombinationValue *wanted);
