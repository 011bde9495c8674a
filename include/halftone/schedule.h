/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib-object.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

#define HT_TYPE_SCHEDULE (ht_schedule_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSchedule, ht_schedule, HT, SCHEDULE, GObject)

HT_API HtSchedule *ht_schedule_new_constant (void);
HT_API HtSchedule *ht_schedule_new_cosine (guint64 n_steps, double final_factor);
HT_API HtSchedule *ht_schedule_new_step (guint64 n_steps, double factor);
HT_API void ht_schedule_set_warmup (HtSchedule *self, guint64 n_steps, double first_factor);
HT_API double ht_schedule_get_factor (HtSchedule *self, guint64 step);

G_END_DECLS
