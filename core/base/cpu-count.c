/* SPDX-License-Identifier: MIT */
#include "base/cpu-count.h"

#include <sched.h>
#include <string.h>

static guint
count_affinity (void)
{
#ifdef __linux__
  /* The kernel refuses a mask smaller than its own: grow until it fits. */
  for (int n_cpus = 1024; n_cpus <= 1 << 20; n_cpus *= 2)
    {
      gsize size = CPU_ALLOC_SIZE (n_cpus);
      cpu_set_t *set = CPU_ALLOC (n_cpus);
      if (set == NULL)
        break;
      CPU_ZERO_S (size, set);
      gboolean ok = sched_getaffinity (0, size, set) == 0;
      guint count = ok ? (guint)CPU_COUNT_S (size, set) : 0;
      CPU_FREE (set);
      if (ok && count > 0)
        return count;
    }
#endif
  return g_get_num_processors ();
}

guint
ht_cpu_count_parse_quota (const char *line)
{
  char *end;
  if (!g_ascii_isdigit (line[0]))
    return 0;
  guint64 quota = g_ascii_strtoull (line, &end, 10);
  guint64 period = g_ascii_strtoull (end, NULL, 10);
  if (quota == 0 || period == 0 || quota == G_MAXUINT64)
    return 0;
  return (guint)MIN ((quota - 1) / period + 1, G_MAXUINT / 2);
}

static guint
read_quota (const char *path)
{
  g_autofree char *text = NULL;
  return g_file_get_contents (path, &text, NULL, NULL) ? ht_cpu_count_parse_quota (text) : 0;
}

/* The unified hierarchy: every ancestor of the process's group may set a limit, the smallest one holds. */
static guint
count_control_group (void)
{
  g_autofree char *groups = NULL;
  guint limit = 0;

  if (!g_file_get_contents ("/proc/self/cgroup", &groups, NULL, NULL))
    return 0;
  const char *line = g_str_has_prefix (groups, "0::/") ? groups : strstr (groups, "\n0::/");
  if (line == NULL)
    return 0;
  const char *start = strchr (line, '/');
  g_autofree char *group = g_strndup (start, strcspn (start, "\n"));
  for (;;)
    {
      g_autofree char *path = g_build_filename ("/sys/fs/cgroup", group, "cpu.max", NULL);
      guint quota = read_quota (path);
      if (quota > 0 && (limit == 0 || quota < limit))
        limit = quota;
      char *slash = strrchr (group, '/');
      if (slash == NULL || group[0] == '\0')
        break;
      *slash = '\0';
    }
  return limit;
}

guint
ht_cpu_count (void)
{
  guint count = count_affinity ();
  guint quota = count_control_group ();
  if (quota > 0 && quota < count)
    count = quota;
  return MAX (count, 1);
}
