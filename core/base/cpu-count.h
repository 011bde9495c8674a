/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* How many CPUs this process may use: the affinity mask, less where a control group grants a smaller quota. */
guint ht_cpu_count (void);
/* The CPUs a control group's "cpu.max" line ("QUOTA PERIOD" or "max PERIOD") grants, rounded up; 0: no limit. */
guint ht_cpu_count_parse_quota (const char *line);
