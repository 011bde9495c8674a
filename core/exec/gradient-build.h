/* SPDX-License-Identifier: MIT */
/* How the tasks of a gradient plan are made. Steps of the forward plan (one for each node) are gathered in units; the
 * rule of a unit emits its forward tasks, and later, in reverse order, its backward tasks. */
#pragma once

#include "exec/gradient-kinds.h"

/* A value of the forward plan. */
typedef struct
{
  guint raw[2];         /* buffers by layout, as they are made; NONE: not in this layout */
  guint read[2];        /* as readers see them, after a quantizer */
  HtEncoding *encoding; /* NULL: none */
  gboolean is_chosen, has_range;
  gboolean active;      /* its gradient is wanted or leads to one that is */
  gboolean read_active; /* the same after its quantizer */
  guint gradient;       /* the sum so far, after its quantizer; NONE: zero */
  guint n_readers;      /* inputs of steps */
  guint reader;         /* the last step that reads it */
  gboolean is_blocked;  /* a unit makes it in the blocked layout */
  guint writer;         /* the step that makes it; NONE: given or constant */
  gboolean is_visible;  /* somebody outside looks at it: it must be made as it is */
} HtGradientValue;

typedef struct _HtGradientBuilder HtGradientBuilder;
typedef struct _HtGradientUnit HtGradientUnit;

typedef struct
{
  const char *name;
  gboolean (*forward) (HtGradientBuilder *self, HtGradientUnit *unit, GError **error);
  gboolean (*backward) (HtGradientBuilder *self, HtGradientUnit *unit, GError **error);
} HtGradientRule;

#define HT_GRADIENT_UNIT_STEPS 4

struct _HtGradientUnit
{
  const HtGradientRule *rule;
  guint n_steps;
  const HtExecStep *steps[HT_GRADIENT_UNIT_STEPS]; /* in order; what the last one makes is what the unit makes */
  gpointer data;                                   /* of the rule; the plan owns it */
  gboolean makes_plain;                            /* a unit in the blocked layout whose output is not */
  guint kept[4];                                   /* buffers that backward wants back */
};

struct _HtGradientBuilder
{
  const HtGradientRequest *request;
  HtGradientPlan *plan;
  HtGradientValue *values; /* by index of the forward plan */
  GArray *units;           /* HtGradientUnit */
  gboolean *taken;         /* by step: it is in a unit already */
};

HtExecValue *ht_gradient_builder_describe (HtGradientBuilder *self, guint value);
/* The buffer in this layout that readers see; converted where needed. */
guint ht_gradient_builder_read (HtGradientBuilder *self, guint value, HtExecLayout layout);
/* A buffer of its type and dimensions, whose content nobody may read. */
guint ht_gradient_builder_get_shape (HtGradientBuilder *self, guint value, HtExecLayout layout);
/* A new buffer for what a unit makes, and what follows once its task is there: quantizer, taps. */
guint ht_gradient_builder_make (HtGradientBuilder *self, guint value, HtExecLayout layout);
void ht_gradient_builder_finish (HtGradientBuilder *self, guint value);
/* The gradient of a value as it is made (before its quantizer); NONE: zero. */
guint ht_gradient_builder_take_gradient (HtGradientBuilder *self, guint value, HtExecLayout layout);
void ht_gradient_builder_add_gradient (HtGradientBuilder *self, guint value, guint gradient);
/* A new buffer of the shape of the value, for a contribution to its gradient. */
guint ht_gradient_builder_new_gradient (HtGradientBuilder *self, guint value, HtExecLayout layout);
/* A vector of `n` floats (or doubles). */
guint ht_gradient_builder_new_vector (HtGradientBuilder *self, const char *name, HtGradientPlace place, HtDataType type,
                                      gsize n);
gboolean ht_gradient_builder_is_active (HtGradientBuilder *self, guint value);
/* Fills slot `slot` of the task added last. */
void ht_gradient_builder_set_slot (HtGradientBuilder *self, guint slot, guint buffer, HtGradientAccess access);
HtGradientTask *ht_gradient_builder_last_task (HtGradientBuilder *self);

/* One node, by the functions of its operator, in the plain layout. gradient-operator.c */
extern const HtGradientRule ht_gradient_operator_rule;
/* One node that works element by element, in the blocked layout. */
extern const HtGradientRule ht_gradient_flat_rule;
/* One BatchNormalization with the statistics of the batch, in the plain layout. */
extern const HtGradientRule ht_gradient_batch_norm_rule;
gboolean ht_gradient_uses_batch_statistics (HtGradientBuilder *self, const HtExecStep *step);
void ht_gradient_add_statistics (HtGradientBuilder *self, const HtExecStep *step, guint mean, guint variance);
