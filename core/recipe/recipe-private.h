/* SPDX-License-Identifier: MIT */
/* What the files of this folder share: the recipe's fields and the reader that fills them from the located tree. */
#pragma once

#include <halftone/objective.h>
#include <halftone/recipe.h>
#include <halftone/search-settings.h>

#include "base/located.h"
#include "recipe/forbid.h"

G_BEGIN_DECLS

#define HT_RECIPE_VERSION   "1.0"
#define HT_RECIPE_MAX_BATCH 65536u
#define HT_RECIPE_BATCH     32u /* where the recipe says nothing */
#define HT_RECIPE_TIMEOUT   60.0 /* seconds, likewise */
#define HT_RECIPE_N_ROLES   3

/* One of data.calibration, data.evaluation, data.training. Paths are as the recipe has them. */
typedef struct
{
  gboolean given;
  GPtrArray *inputs; /* of char *, input names; "" for a single file */
  GPtrArray *paths;  /* of char *, as many */
  char *labels;
  guint samples; /* 0: all */
  guint batch;
  char **command; /* of the evaluation: a program, instead of paths; or NULL */
  double timeout; /* seconds, of that program */
} HtRecipeSource;

/* A step of the pipeline, in its order. */
typedef struct
{
  char *id;
  char *use;
  HtPass *pass;        /* NULL without a registry */
  JsonNode *given;     /* the parameters that the recipe gives, or NULL */
  HtLocatedNode *node; /* where the technique is named; only while reading */
  HtLocatedNode *id_node;
  HtLocatedNode *with;
} HtRecipeStep;

struct _HtRecipe
{
  GObject parent_instance;

  char *path;
  char *folder;
  char *name;
  char *model;
  char *model_path;
  guint64 seed;
  HtPreprocess *preprocess;
  HtRecipeSource sources[HT_RECIPE_N_ROLES];
  HtQuantizationConfig *quantization;
  JsonNode *rules; /* as given, or NULL */
  char *encodings; /* as the recipe has it, or NULL */
  char *encodings_path;
  HtFreeze freeze;
  gboolean partial;
  GPtrArray *steps;
  HtPlan *plan;
  char *output;
  char *output_folder;
  char **formats;
  HtQdqWeights qdq_weights;
  char **reports;
  GPtrArray *forbidden;     /* HtForbidRule */
  HtObjective *objective;   /* NULL: not given */
  HtSearchSettings *search; /* NULL: not given */
};

typedef struct
{
  HtRecipe *recipe;
  HtPassRegistry *registry;
  GPtrArray *problems;
  gboolean plan_unclear; /* problems in the steps or the settings: the planner would speak of what is not meant */
  gboolean in_space;     /* one of several recipes: whether values fit together is asked of each combination */
  gboolean ids_checked;  /* a space looks at the ids of all of its steps */
  GHashTable *targets;   /* word -> HtTarget, of a space that reads them often; or NULL */
  HtLocatedNode *metric; /* where the objective names it */
} HtRecipeReader;

/* What `output` may name. NULL-terminated. */
extern const char *const ht_recipe_output_formats[];
extern const char *const ht_recipe_report_formats[];

/* A key of a mapping. `read` NULL: the format has it, this version does not carry it out. */
typedef struct
{
  const char *name;
  void (*read) (HtRecipeReader *reader, HtLocatedNode *value, gpointer section);
} HtRecipeKey;

/* Stands in such a table where a key makes sense for a search alone. */
void ht_recipe_key_for_search (HtRecipeReader *reader, HtLocatedNode *value, gpointer section);
/* Reads a mapping by a table that ends with a NULL name. `what` names it in messages. FALSE: it is no mapping. */
gboolean ht_recipe_read_mapping (HtRecipeReader *reader, HtLocatedNode *node, const char *what, const HtRecipeKey *keys,
                                 gpointer section);
/* Of 60s, 2h: seconds. Of 512MiB: bytes. */
gboolean ht_recipe_read_duration (HtRecipeReader *reader, HtLocatedNode *node, double *seconds);
gboolean ht_recipe_read_bytes (HtRecipeReader *reader, HtLocatedNode *node, guint64 *bytes);
/* Whether the value is for a search ($choice, $int, $float); then that is reported. */
gboolean ht_recipe_refuse_search (HtRecipeReader *reader, HtLocatedNode *node);
void ht_recipe_report_unknown (HtRecipeReader *reader, HtLocatedNode *node, gint code, const char *what,
                               const char *word, const char *const *known);
const char *ht_recipe_read_text (HtRecipeReader *reader, HtLocatedNode *node);
/* A word of an enumeration. Any other is reported; `what` begins the message. */
gboolean ht_recipe_read_enum (HtRecipeReader *reader, HtLocatedNode *node, GType type, const char *what, gint *value);
gboolean ht_recipe_read_boolean (HtRecipeReader *reader, HtLocatedNode *node, gboolean *value);
gboolean ht_recipe_read_count (HtRecipeReader *reader, HtLocatedNode *node, guint maximum, guint *value);
/* A path, which is resolved against the recipe's folder; a warning where nothing is there. */
char *ht_recipe_read_path (HtRecipeReader *reader, HtLocatedNode *node, gboolean must_exist);
char *ht_recipe_resolve (HtRecipe *recipe, const char *path);

/* Sets one checked parameter somewhere. */
typedef gboolean (*HtRecipeSetFunc) (gpointer target, const char *name, JsonNode *value, GError **error);
gboolean ht_recipe_set_object_param (gpointer object, const char *name, JsonNode *value, GError **error);
/* Reads a mapping of parameters, whose names, types and ranges are those of `klass`. `prefix` begins each message. */
void ht_recipe_read_params (HtRecipeReader *reader, HtLocatedNode *node, const char *prefix, GObjectClass *klass,
                            HtRecipeSetFunc set, gpointer target);

/* The sections */
void ht_recipe_read_data (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_quantization (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_pipeline (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_output (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_forbid (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_objective (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_search (HtRecipeReader *reader, HtLocatedNode *node, gpointer section);
void ht_recipe_read_root (HtRecipeReader *reader, HtLocatedNode *root);
/* After all sections. */
void ht_recipe_check_plan (HtRecipeReader *reader);
void ht_recipe_check_objective (HtRecipeReader *reader);
/* Reports names in `forbid` that no step of `known` (HtRecipeStep) has; in a recipe that is no space, what it forbids. */
void ht_recipe_check_forbid (HtRecipeReader *reader, GPtrArray *known);

/* A step with its technique; its id must be given unless it follows from the steps of the recipe. NULL: reported. */
HtRecipeStep *ht_recipe_read_step (HtRecipeReader *reader, HtLocatedNode *node);
/* {use: …, one-of: …}, in contrast to {technique: {parameter: value}} */
gboolean ht_recipe_is_long_step (HtLocatedNode *node);
gboolean ht_recipe_is_step_id (const char *text);
HtRecipe *ht_recipe_new_for_file (const char *file);
/* Reads a tree into the reader's recipe and checks it as the reader says. */
void ht_recipe_read_tree (HtRecipeReader *reader, HtLocatedNode *root);
void ht_recipe_step_free (gpointer step);

G_END_DECLS
