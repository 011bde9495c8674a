/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/model-state.h>
#include <halftone/param.h>
#include <halftone/quantization.h>

G_BEGIN_DECLS

typedef struct _HtPassContext HtPassContext;

/* The fixed vocabulary, so that third parties can speak it; other facts may be named by plugins. */
#define HT_FACT_BATCHNORM_LIVE         "batchnorm-live"
#define HT_FACT_BATCHNORM_STATISTICS   "batchnorm-statistics"
#define HT_FACT_EQUALIZED              "equalized"
#define HT_FACT_WEIGHTS_ROUNDED        "weights-rounded"
#define HT_FACT_BIAS_CORRECTED         "bias-corrected"
#define HT_FACT_RANGES_LEARNED         "ranges-learned"
#define HT_FACT_WEIGHT_ENCODINGS_FIXED "weight-encodings-fixed"

/**
 * HtRuleKind:
 * @HT_RULE_REQUIRES: the fact must be true before the step
 * @HT_RULE_REQUIRES_NOT: the fact must be false before the step
 * @HT_RULE_REQUIRES_SETTING: the `when` condition must hold; the subject names it
 * @HT_RULE_PROVIDES: the fact is true after the step
 * @HT_RULE_ENDS: the fact is false after the step
 * @HT_RULE_CONFLICTS: the fact may be true neither before nor after, anywhere in the pipeline
 * @HT_RULE_EFFECT: what the step changes: changes-weights, changes-biases, changes-weight-grid, changes-topology,
 *   rescales-channels
 * @HT_RULE_CONTINUES: the step may change what the fact says is settled, and keeps it true
 * @HT_RULE_CARRIES_ENCODINGS: the step's effects carry the encodings along; the subject is the effect
 * @HT_RULE_AFTER: soft order: better after a provider of the fact
 * @HT_RULE_BEFORE: soft order: better before a provider of the fact
 *
 * What a rule declares. Every rule gives a reason; see ht_pass_class_add_rule().
 */
typedef enum
{
  HT_RULE_REQUIRES,
  HT_RULE_REQUIRES_NOT,
  HT_RULE_REQUIRES_SETTING,
  HT_RULE_PROVIDES,
  HT_RULE_ENDS,
  HT_RULE_CONFLICTS,
  HT_RULE_EFFECT,
  HT_RULE_CONTINUES,
  HT_RULE_CARRIES_ENCODINGS,
  HT_RULE_AFTER,
  HT_RULE_BEFORE,
} HtRuleKind;

/**
 * HtPassReads:
 *
 * What a pass looks at besides the graph. Its context refuses the rest, and cache keys hold exactly these.
 */
typedef enum /*< flags >*/
{
  HT_PASS_READS_NOTHING = 0,
  HT_PASS_READS_CALIBRATION_DATA = 1 << 0,
  HT_PASS_READS_LABELS = 1 << 1,
  HT_PASS_READS_WEIGHT_SETTINGS = 1 << 2,
  HT_PASS_READS_ACTIVATION_SETTINGS = 1 << 3,
  HT_PASS_READS_REFERENCE_NETWORK = 1 << 4,
} HtPassReads;

#define HT_TYPE_PASS (ht_pass_get_type ())
HT_API
G_DECLARE_DERIVABLE_TYPE (HtPass, ht_pass, HT, PASS, GObject)

/**
 * HtPassClass:
 * @run: carries the technique out on @state, an editable copy; on failure the caller discards it
 *
 * The base of every technique. Its hyper-parameters are its GObject properties.
 */
struct _HtPassClass
{
  GObjectClass parent_class;

  gboolean (*run) (HtPass *self, HtModelState *state, HtPassContext *context, GError **error);

  /*< private >*/
  gpointer reserved[16];
};

/* Class metadata, called from class_init */
HT_API void ht_pass_class_set_info (HtPassClass *klass, const char *id, const char *summary, const char *description);
HT_API void ht_pass_class_add_reference (HtPassClass *klass, const char *reference);
HT_API void ht_pass_class_set_reads (HtPassClass *klass, HtPassReads reads);
HT_API void ht_pass_class_add_reads (HtPassClass *klass, HtPassReads reads, const char *when);
HT_API void ht_pass_class_add_rule (HtPassClass *klass, HtRuleKind kind, const char *subject, const char *reason,
                                    const char *reference, const char *when);

HT_API const char *ht_pass_class_get_id (HtPassClass *klass);
HT_API const char *ht_pass_class_get_summary (HtPassClass *klass);
HT_API const char *ht_pass_class_get_description (HtPassClass *klass);
HT_API const char *const *ht_pass_class_get_references (HtPassClass *klass);
HT_API HtPassReads ht_pass_class_get_reads (HtPassClass *klass);
HT_API HtPassReads ht_pass_class_get_added_reads (HtPassClass *klass, guint index, const char **when);
HT_API guint ht_pass_class_get_n_rules (HtPassClass *klass);
HT_API HtRuleKind ht_pass_class_get_rule (HtPassClass *klass, guint index, const char **subject, const char **reason,
                                          const char **reference, const char **when);

HT_API HtPassReads ht_pass_get_reads (HtPass *self, HtQuantizationConfig *config);
HT_API gboolean ht_pass_run (HtPass *self, HtModelState *state, HtPassContext *context, GError **error);

G_END_DECLS
