/* SPDX-License-Identifier: MIT */
/* `report`: the page of a folder's report, made again. */
#include "cli/cli.h"

int
cli_report (int argc, char **argv)
{
  GOptionEntry entries[] = { { NULL } };
  g_autoptr (GError) error = NULL;
  int code = cli_parse (&argc, &argv, "report", "FOLDER", "write report.html from report.json", entries, NULL, 1);
  if (code >= 0)
    return code;
  g_autofree char *page = ht_report_write_html (argv[1], &error);
  if (page == NULL)
    return cli_fail (error);
  g_print ("wrote %s\n", page);
  return CLI_DONE;
}
