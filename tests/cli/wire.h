// SPDX-License-Identifier: MIT
// ONNX files byte by byte, so that they may say what no writer would. Field numbers are those of onnx.proto.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wire
{

inline std::string
varint (uint64_t value)
{
  std::string bytes;
  for (; value >= 0x80; value >>= 7)
    bytes += (char)(value | 0x80);
  return bytes + (char)value;
}

inline std::string
number (unsigned field, int64_t value)
{
  return varint (field << 3) + varint ((uint64_t)value);
}

inline std::string
text (unsigned field, const std::string &bytes)
{
  return varint (field << 3 | 2) + varint (bytes.size ()) + bytes;
}

inline std::string
node (const std::string &op, const std::vector<std::string> &inputs, const std::string &output,
      const std::string &domain = "")
{
  std::string bytes;
  for (const std::string &input : inputs)
    bytes += text (1, input);
  bytes += text (2, output) + text (3, "make-" + output) + text (4, op);
  return text (1, domain.empty () ? bytes : bytes + text (7, domain));
}

inline std::string
tensor (const std::vector<int64_t> &dims, int64_t type, const std::string &raw)
{
  std::string bytes;
  for (int64_t dim : dims)
    bytes += number (1, dim);
  return text (5, bytes + number (2, type) + text (8, "w") + text (9, raw));
}

// A float weight 'w' [4x4] that stands in another file.
inline std::string
external (const std::string &location)
{
  return text (5, number (1, 4) + number (1, 4) + number (2, 1) + text (8, "w")
                      + text (13, text (1, "location") + text (2, location)) + number (14, 1));
}

// A model of x [Nx4] -> y [Nx4], both float.
inline std::string
model (const std::string &body, int64_t opset = 13)
{
  std::string shape = text (2, text (1, text (2, "N")) + text (1, number (1, 4)));
  std::string type = text (2, text (1, number (1, 1) + shape));
  std::string graph = body + text (2, "wire") + text (11, text (1, "x") + type) + text (12, text (1, "y") + type);
  return number (1, 8) + text (7, graph) + text (8, number (2, opset));
}

// An .npy file with the given head.
inline std::string
npy (const std::string &descr, bool fortran, const std::string &shape, const std::string &data)
{
  std::string head
      = "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': (" + shape + "), }";
  head.resize (117, ' ');
  head += '\n';
  return std::string ("\x93NUMPY\x01\x00", 8) + (char)118 + (char)0 + head + data;
}

}
