// SPDX-License-Identifier: MIT
// What most tests need: errors, assets, temporary folders.
#pragma once

#include <glib/gstdio.h>
#include <gtest/gtest.h>
#include <halftone/halftone.h>

#include <string>

// The call must have succeeded; prints the error otherwise.
#define ASSERT_NO_GERROR(error) ASSERT_EQ ((error), nullptr) << ((error) ? (error)->message : "")
#define EXPECT_NO_GERROR(error) EXPECT_EQ ((error), nullptr) << ((error) ? (error)->message : "")

// The call must have failed with this domain and code, and a message that contains `text`; clears the error.
#define EXPECT_GERROR(error, domain_, code_, text)                                                                     \
  do                                                                                                                   \
    {                                                                                                                  \
      ASSERT_NE ((error), nullptr);                                                                                    \
      EXPECT_TRUE (g_error_matches ((error), (domain_), (code_))) << (error)->message;                                 \
      EXPECT_NE (std::string ((error)->message).find (text), std::string::npos) << (error)->message;                   \
      g_clear_error (&(error));                                                                                        \
    }                                                                                                                  \
  while (0)

namespace support
{

// The path of an asset, or "" where the assets are missing.
inline std::string
asset (const std::string &relative)
{
  const char *root = g_getenv ("HALFTONE_ASSETS");
  std::string path = std::string (root ? root : "../shared/assets") + "/" + relative;
  return g_file_test (path.c_str (), G_FILE_TEST_EXISTS) ? path : "";
}

#define REQUIRE_ASSET(variable, relative)                                                                              \
  std::string variable = support::asset (relative);                                                                    \
  if (variable.empty ())                                                                                               \
  GTEST_SKIP () << "asset " << (relative) << " is missing (set HALFTONE_ASSETS)"

// A folder that is removed with everything in it at the end of the scope.
class TemporaryFolder
{
public:
  TemporaryFolder ()
  {
    g_autofree char *made = g_dir_make_tmp ("halftone-XXXXXX", nullptr);
    path_ = made;
  }
  ~TemporaryFolder () { remove_tree (path_); }
  std::string operator/ (const std::string &name) const { return path_ + "/" + name; }
  const std::string &path () const { return path_; }

private:
  static void remove_tree (const std::string &folder)
  {
    if (GDir *dir = g_dir_open (folder.c_str (), 0, nullptr))
      {
        while (const char *name = g_dir_read_name (dir))
          {
            std::string entry = folder + "/" + name;
            if (g_file_test (entry.c_str (), G_FILE_TEST_IS_DIR) && !g_file_test (entry.c_str (), G_FILE_TEST_IS_SYMLINK))
              remove_tree (entry);
            else
              g_unlink (entry.c_str ());
          }
        g_dir_close (dir);
      }
    g_rmdir (folder.c_str ());
  }
  std::string path_;
};

}
