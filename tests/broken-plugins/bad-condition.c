/* SPDX-License-Identifier: MIT */
/* One of its rules has a condition that cannot be read, another one names nothing. */
#define PLUGIN_NAME "bad-condition"
#define PASS_ID     "condition"
#define TYPE_NAME   "HtBrokenCondition"
#define IN_CLASS_INIT(klass)                                                                                           \
  ht_pass_class_add_rule (klass, HT_RULE_PROVIDES, "equalized", "so it is", NULL, "weights.bits << 4");                \
  ht_pass_class_add_rule (klass, HT_RULE_REQUIRES, "polished", "so it is", NULL, "speed > 3")
#include "sound.h"

SOUND_DESCRIPTOR ()
