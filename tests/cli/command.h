// SPDX-License-Identifier: MIT
// Runs the command as a user does.
#pragma once

#include "support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace command
{

struct Result
{
  int code; // -1: ended by a signal
  std::string out;
  std::string err;
};

inline GSubprocess *
start (const std::vector<std::string> &arguments, GSubprocessFlags flags)
{
  g_autoptr (GError) error = nullptr;
  std::vector<const char *> argv = { g_getenv ("HALFTONE_COMMAND") };
  for (const std::string &argument : arguments)
    argv.push_back (argument.c_str ());
  argv.push_back (nullptr);
  GSubprocess *process = g_subprocess_newv (argv.data (), flags, &error);
  EXPECT_NE (process, nullptr) << error->message;
  return process;
}

inline Result
run (const std::vector<std::string> &arguments)
{
  g_autoptr (GSubprocess) process
      = start (arguments, (GSubprocessFlags)(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE));
  g_autoptr (GBytes) out = nullptr, err = nullptr;
  EXPECT_TRUE (g_subprocess_communicate (process, nullptr, nullptr, &out, &err, nullptr));
  auto text = [] (GBytes *bytes) {
    gsize size = 0;
    auto *data = (const char *)g_bytes_get_data (bytes, &size);
    return std::string (data ? data : "", size);
  };
  return { g_subprocess_get_if_exited (process) ? g_subprocess_get_exit_status (process) : -1, text (out), text (err) };
}

inline std::string
demo (const std::string &name)
{
  return std::string (g_getenv ("HALFTONE_SOURCE")) + "/recipes/demo/" + name;
}

inline std::string
read_all (const std::string &path)
{
  std::ifstream stream (path, std::ios::binary);
  return { std::istreambuf_iterator<char> (stream), {} };
}

inline void
write_all (const std::string &path, const std::string &content)
{
  std::ofstream (path, std::ios::binary) << content;
}

inline std::vector<std::string>
list (const std::string &folder)
{
  std::vector<std::string> names;
  g_autoptr (GDir) dir = g_dir_open (folder.c_str (), 0, nullptr);
  while (const char *name = dir ? g_dir_read_name (dir) : nullptr)
    names.push_back (name);
  std::sort (names.begin (), names.end ());
  return names;
}

// What stands at a path of member names; fails the test where there is nothing.
inline JsonNode *
find (JsonNode *node, const std::vector<std::string> &path)
{
  for (const std::string &name : path)
    {
      JsonObject *object = node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : nullptr;
      node = object ? json_object_get_member (object, name.c_str ()) : nullptr;
      EXPECT_NE (node, nullptr) << name;
    }
  return node;
}

inline double
number (JsonNode *node, const std::vector<std::string> &path)
{
  JsonNode *found = find (node, path);
  return found ? json_node_get_double (found) : 0;
}

inline JsonNode *
parse (const std::string &text)
{
  g_autoptr (GError) error = nullptr;
  JsonNode *node = json_from_string (text.c_str (), &error);
  EXPECT_EQ (error, nullptr) << error->message << "\n" << text;
  return node;
}

#define EXPECT_HAS(text, part)     EXPECT_NE ((text).find (part), std::string::npos) << (text)
#define EXPECT_HAS_NOT(text, part) EXPECT_EQ ((text).find (part), std::string::npos) << (text)

}
