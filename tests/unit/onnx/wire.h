// SPDX-License-Identifier: MIT
// Serialized messages by hand, so that the tests do not lean on the code that they judge.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace wire
{

inline std::string
varint (uint64_t value)
{
  std::string out;
  for (; value >= 0x80; value >>= 7)
    out += (char) (value | 0x80);
  return out + (char) value;
}

inline std::string
number (unsigned field, uint64_t value)
{
  return varint (field << 3) + varint (value);
}

inline std::string
bytes (unsigned field, const std::string &content)
{
  return varint (field << 3 | 2) + varint (content.size ()) + content;
}

template <typename T>
std::string
raw (const std::vector<T> &values)
{
  return std::string ((const char *) values.data (), values.size () * sizeof (T));
}

inline std::string
packed (unsigned field, const std::vector<int64_t> &values)
{
  std::string out;
  for (int64_t value : values)
    out += varint ((uint64_t) value);
  return bytes (field, out);
}

// Messages of ONNX

inline std::string
tensor (int type, const std::vector<int64_t> &dims, const std::string &content, const std::string &name = "w")
{
  std::string out;
  for (int64_t dim : dims)
    out += number (1, (uint64_t) dim);
  return out + number (2, (uint64_t) type) + content + bytes (8, name);
}

inline std::string
external (const std::string &key, const std::string &value)
{
  return bytes (13, bytes (1, key) + bytes (2, value));
}

inline std::string
external_tensor (const std::string &location, const std::string &offset, const std::string &length, int64_t count)
{
  return tensor (1, { count },
                 external ("location", location) + external ("offset", offset) + external ("length", length)
                     + number (14, 1));
}

// A float value of one dimension; 0: without type.
inline std::string
value (const std::string &name, int64_t dim)
{
  std::string shape = bytes (2, bytes (1, number (1, (uint64_t) dim)));
  return bytes (1, name) + (dim ? bytes (2, bytes (1, number (1, 1) + shape)) : "");
}

inline std::string
node (const std::string &op, const std::vector<std::string> &inputs, const std::vector<std::string> &outputs,
      const std::string &more = "")
{
  std::string out;
  for (const std::string &input : inputs)
    out += bytes (1, input);
  for (const std::string &output : outputs)
    out += bytes (2, output);
  return out + bytes (4, op) + more;
}

inline std::string
opset (int64_t version, const std::string &domain = "")
{
  return bytes (8, bytes (1, domain) + number (2, (uint64_t) version));
}

inline std::string
model (const std::string &graph, int64_t version = 13, int64_t ir = 8)
{
  return number (1, (uint64_t) ir) + bytes (7, bytes (2, "g") + graph) + opset (version);
}

// y = x + w: `w` is the serialized initializer of `count` floats.
inline std::string
add_model (const std::string &w, int64_t count)
{
  return model (bytes (1, node ("Add", { "x", "w" }, { "y" })) + bytes (5, w) + bytes (11, value ("x", count))
                + bytes (12, value ("y", count)));
}

}
