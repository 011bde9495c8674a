// SPDX-License-Identifier: MIT
// The one entry of every test program: an unexpected warning of any library is a failure.
#include <gio/gio.h>
#include <gtest/gtest.h>

#include <cstdio>

static GLogWriterOutput
fail_on_warning (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer)
{
  if (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    {
      g_autofree char *text = g_log_writer_format_fields (level, fields, n_fields, FALSE);
      ADD_FAILURE () << "unexpected log message: " << text;
    }
  return g_log_writer_default (level, fields, n_fields, nullptr);
}

int
main (int argc, char **argv)
{
  g_log_set_writer_func (fail_on_warning, nullptr, nullptr);
  ::testing::InitGoogleTest (&argc, argv);
  return RUN_ALL_TESTS ();
}
