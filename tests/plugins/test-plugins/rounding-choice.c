/* SPDX-License-Identifier: MIT */
/* What it provides depends on its own parameter and on the settings; it leaves an artifact of a type of its own.
 * Written against the installed headers, as any plugin is. */
#include <halftone/halftone.h>

#include <string.h>

/* How often a state has passed through: an artifact needs no more than copy and digest. */
struct _TallyMarks
{
  GObject parent_instance;
  guint count;
};

#define TYPE_TALLY_MARKS (tally_marks_get_type ())
GType tally_marks_get_type (void);
G_DECLARE_FINAL_TYPE (TallyMarks, tally_marks, TALLY, MARKS, GObject)

static HtArtifact *
tally_marks_copy (HtArtifact *artifact)
{
  TallyMarks *copy = g_object_new (TYPE_TALLY_MARKS, NULL);
  copy->count = TALLY_MARKS (artifact)->count;
  return HT_ARTIFACT (copy);
}

static void
tally_marks_digest (HtArtifact *artifact, GChecksum *checksum)
{
  guint32 bytes = GUINT32_TO_LE (TALLY_MARKS (artifact)->count);
  g_checksum_update (checksum, (const guchar *)&bytes, sizeof bytes);
}

static void
tally_marks_artifact_init (HtArtifactInterface *iface, gpointer data)
{
  iface->copy = tally_marks_copy;
  iface->digest = tally_marks_digest;
}

G_DEFINE_DYNAMIC_TYPE_EXTENDED (TallyMarks, tally_marks, G_TYPE_OBJECT, 0,
                                G_IMPLEMENT_INTERFACE_DYNAMIC (HT_TYPE_ARTIFACT, tally_marks_artifact_init))

static void
tally_marks_init (TallyMarks *self)
{
}

static void
tally_marks_class_init (TallyMarksClass *klass)
{
}

static void
tally_marks_class_finalize (TallyMarksClass *klass)
{
}

typedef enum
{
  MODE_NEAREST,
  MODE_LEARNED,
} Mode;

struct _RoundingChoice
{
  HtPass parent_instance;
  Mode mode;
};

#define TYPE_ROUNDING_CHOICE (rounding_choice_get_type ())
GType rounding_choice_get_type (void);
G_DECLARE_FINAL_TYPE (RoundingChoice, rounding_choice, ROUNDING, CHOICE, HtPass)
G_DEFINE_DYNAMIC_TYPE (RoundingChoice, rounding_choice, HT_TYPE_PASS)

static GType mode_type;

static void
register_mode (GTypeModule *module)
{
  static const GEnumValue values[]
      = { { MODE_NEAREST, "MODE_NEAREST", "nearest" }, { MODE_LEARNED, "MODE_LEARNED", "learned" }, { 0, NULL, NULL } };
  mode_type = g_type_module_register_enum (module, "RoundingChoiceMode", values);
}

static void
rounding_choice_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  ROUNDING_CHOICE (object)->mode = (Mode)g_value_get_enum (value);
}

static void
rounding_choice_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  g_value_set_enum (value, ROUNDING_CHOICE (object)->mode);
}

static gboolean
rounding_choice_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  TallyMarks *marks = (TallyMarks *)ht_model_state_get_artifact (state, "tally-marks");

  if (ht_pass_context_get_quantization (context, error) == NULL)
    return FALSE;
  if (marks == NULL)
    {
      g_autoptr (TallyMarks) first = g_object_new (TYPE_TALLY_MARKS, NULL);
      ht_model_state_set_artifact (state, "tally-marks", G_OBJECT (first));
      marks = (TallyMarks *)ht_model_state_get_artifact (state, "tally-marks");
    }
  marks->count++;
  ht_pass_context_add_row (context, "tally", "marks", "count", marks->count);
  return TRUE;
}

static void
rounding_choice_init (RoundingChoice *self)
{
}

static void
rounding_choice_class_init (RoundingChoiceClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  HtPassClass *pass_class = HT_PASS_CLASS (klass);

  object_class->set_property = rounding_choice_set_property;
  object_class->get_property = rounding_choice_get_property;
  pass_class->run = rounding_choice_run;
  g_object_class_install_property (
      object_class, 1, g_param_spec_enum ("mode", "Mode", "How to round", mode_type, MODE_NEAREST, HT_PARAM_RW));
  ht_pass_class_set_info (pass_class, "rounding-choice", "Rounds, or leaves that to the simulation", NULL);
  ht_pass_class_set_reads (pass_class, HT_PASS_READS_WEIGHT_SETTINGS);
  ht_pass_class_add_rule (pass_class, HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "the learned mode rounds by itself",
                          NULL, "mode = learned");
  ht_pass_class_add_rule (pass_class, HT_RULE_PROVIDES, HT_FACT_WEIGHT_ENCODINGS_FIXED,
                          "few bits leave one sensible grid", NULL, "weights.bits <= 4");
}

static void
rounding_choice_class_finalize (RoundingChoiceClass *klass)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  register_mode (module);
  tally_marks_register_type (module);
  rounding_choice_register_type (module);
  ht_plugin_add_pass (plugin, TYPE_ROUNDING_CHOICE);
  return TRUE;
}

HT_PLUGIN_DEFINE ("rounding-choice", "0.1", "MIT", "A technique of the tests", "The Halftone authors", "halftone", NULL,
                  register_types, "RoundingChoice", "RoundingChoiceMode", "TallyMarks")
