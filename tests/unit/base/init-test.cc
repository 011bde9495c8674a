// SPDX-License-Identifier: MIT
#include "support.h"

#include <set>

namespace
{

TEST (Init, VersionIsTheHeaders)
{
  EXPECT_STREQ (ht_get_version (), HT_VERSION_S);
}

TEST (Init, MachineIsNamedOnce)
{
  const char *core = ht_get_blas_core ();
  const char *cpu = ht_get_cpu ();
  ASSERT_NE (core, nullptr);
  EXPECT_STRNE (core, "");
  ASSERT_NE (cpu, nullptr);
  EXPECT_STRNE (cpu, "");
  EXPECT_EQ (cpu, ht_get_cpu ());
  // The kernel read the same registers; only their blanks at the ends may differ.
  g_autofree char *text = nullptr;
  if (g_file_get_contents ("/proc/cpuinfo", &text, nullptr, nullptr) && strstr (text, "model name") != nullptr)
    {
      EXPECT_NE (strstr (text, cpu), nullptr) << cpu;
    }
}

TEST (Error, DomainsDiffer)
{
  std::set<GQuark> domains{ HT_ERROR, HT_RECIPE_ERROR, HT_PLUGIN_ERROR };
  EXPECT_EQ (domains.size (), 3u);
  EXPECT_STREQ (g_quark_to_string (HT_ERROR), "ht-error-quark");
}

}
