// SPDX-License-Identifier: MIT
// A folder that goes away with the test, and what a child process does under limits.
#pragma once

#include "support.h"

#include <functional>
#include <glib/gstdio.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>
#include <unistd.h>

namespace test_folder
{

inline void
remove_tree (const std::string &path)
{
  GDir *dir = g_file_test (path.c_str (), G_FILE_TEST_IS_SYMLINK) ? nullptr : g_dir_open (path.c_str (), 0, nullptr);
  for (const char *name; dir != nullptr && (name = g_dir_read_name (dir)) != nullptr;)
    remove_tree (path + "/" + name);
  if (dir != nullptr)
    g_dir_close (dir);
  g_remove (path.c_str ());
}

inline guint
count (const std::string &path)
{
  guint n = 0;
  GDir *dir = g_dir_open (path.c_str (), 0, nullptr);
  while (dir != nullptr && g_dir_read_name (dir) != nullptr)
    n++;
  if (dir != nullptr)
    g_dir_close (dir);
  return n;
}

class FolderTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    g_autofree char *made = g_dir_make_tmp ("halftone-test-XXXXXX", nullptr);
    folder = made;
  }
  void TearDown () override
  {
    remove_tree (folder);
    g_clear_error (&error);
  }
  std::string path (const std::string &name) { return folder + "/" + name; }

  std::string folder;
  GError *error = nullptr;
};

// Runs something in a child; its exit code, or -1 where a signal ended it.
inline int
in_child (const std::function<int ()> &work)
{
  pid_t pid = fork ();
  if (pid == 0)
    _exit (work ());
  int status = 0;
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

// From here on no file of this process may be larger: writing more fails as on a full disk.
inline void
limit_files (rlim_t bytes)
{
  signal (SIGXFSZ, SIG_IGN);
  const struct rlimit limit = { bytes, bytes };
  setrlimit (RLIMIT_FSIZE, &limit);
}

}
