// SPDX-License-Identifier: MIT
#include "support.h"
#include "wire.h"

extern "C"
{
#include "onnx/onnx.pb-c.h"
#include "onnx/wire-scan.h"
}

namespace
{

bool
scan (const std::string &data, GError **error)
{
  return ht_wire_scan ((const guint8 *) data.data (), data.size (), &onnx__model_proto__descriptor, "m.onnx", error);
}

// A graph in a node's attribute in a graph, and so on: three messages a level.
std::string
nested_model (int levels)
{
  std::string graph = wire::bytes (2, "innermost");
  for (int i = 0; i < levels; i++)
    graph = wire::bytes (1, wire::bytes (5, wire::bytes (6, graph)));
  return wire::number (1, 8) + wire::bytes (7, graph);
}

void
expect_refused (const std::string &data, const char *text)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (scan (data, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, text);
}

TEST (WireScan, AcceptsWhatIsWellFormed)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (scan (wire::add_model (wire::tensor (1, { 1 }, wire::bytes (9, "abcd")), 1), &error));
  EXPECT_NO_GERROR (error);
  EXPECT_TRUE (scan (nested_model (32), &error)); // 2 + 3 * 32 = 98 messages
  EXPECT_NO_GERROR (error);
}

TEST (WireScan, RefusesDeepNesting)
{
  expect_refused (nested_model (33), "nested more than 100 deep");
  expect_refused (nested_model (2000), "nested more than 100 deep");
}

TEST (WireScan, RefusesLengthsOutsideTheFile)
{
  expect_refused (wire::varint (7 << 3 | 2) + wire::varint (5) + "abc", "at byte 1;");
  expect_refused (wire::varint (7 << 3 | 2) + wire::varint (0xffffffffu), "where 0 bytes are left");
  // Inside the file, but outside the message that holds it.
  expect_refused (wire::bytes (7, wire::varint (2 << 3 | 2) + wire::varint (4) + "ab") + "abcdef", "at byte 3;");
}

TEST (WireScan, RefusesMalformedNumbers)
{
  expect_refused (std::string ("\x08") + std::string (10, '\xff') + "\x01", "longer than 10 bytes");
  expect_refused (std::string ("\x08\xff"), "runs past the end");
  expect_refused (std::string (6, '\xff'), "longer than 5 bytes");
  expect_refused (std::string ("\x15\x01\x02", 3), "wire type 5");
  expect_refused (wire::varint (99 << 3 | 5) + "abc", "runs past the end");
}

TEST (WireScan, RefusesGroupsAndFieldZero)
{
  expect_refused (wire::varint (99 << 3 | 3), "unsupported wire type 3");
  expect_refused (wire::varint (99 << 3 | 7), "unsupported wire type 7");
  expect_refused (wire::varint (0 << 3 | 0) + "\x01", "field number 0");
}

TEST (WireScan, RefusesWrongTypesOfKnownFields)
{
  expect_refused (wire::bytes (1, "8"), "'ir_version'");
  expect_refused (wire::number (7, 1), "'graph'");
  expect_refused (wire::bytes (7, wire::bytes (5, wire::bytes (4, "abcde"))), "'float_data' holds 5 bytes");
}

TEST (WireScan, RefusesTextThatIsNone)
{
  expect_refused (wire::bytes (2, "a\xff"), "'producer_name' is no UTF-8 text at byte 3");
  expect_refused (wire::bytes (2, std::string ("a\0b", 3)), "'producer_name'");
}

TEST (WireScan, RefusesSecondGraphs)
{
  expect_refused (wire::bytes (7, "") + wire::bytes (7, ""), "'graph' is given a second time");
}

TEST (WireScan, RefusesAbsurdCounts)
{
  // Two bytes each, several hundred in memory.
  std::string attributes;
  for (int i = 0; i < 2000000; i++)
    attributes += wire::bytes (5, "");
  expect_refused (wire::bytes (7, wire::bytes (1, attributes)), "more elements than a file of this size may hold");
}

}
