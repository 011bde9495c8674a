// SPDX-License-Identifier: MIT
// Entries come back as they were put or not at all: damage, full disks, crashes, other processes, threads.
#include "folder.h"

#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

extern "C"
{
#include "search/store.h"
}

namespace
{

// A state with a weight of its own and one that all states share.
class StoreTest : public test_folder::FolderTest
{
protected:
  void SetUp () override
  {
    FolderTest::SetUp ();
    root = path ("store");
    shared = make_tensor (0.5f, 4096);
  }
  void TearDown () override
  {
    ht_tensor_unref (shared);
    FolderTest::TearDown ();
  }
  static HtTensor *make_tensor (float value, gsize n)
  {
    std::vector<float> values (n, value);
    return ht_tensor_new_floats (values.data (), n);
  }
  HtModelState *make_state (float value)
  {
    const char *const in[] = { "shared", "own", nullptr }, *const out[] = { "y", nullptr };
    g_autoptr (HtGraph) graph = ht_graph_new ("g");
    g_autoptr (HtTensor) own = make_tensor (value, 1024);
    const gint64 dims[] = { 4096 };
    g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 1);
    ht_graph_set_opset (graph, "", 13);
    ht_graph_set_initializer (graph, "shared", shared);
    ht_graph_set_initializer (graph, "own", own);
    ht_graph_add_node (graph, "Gather", "", "gather", in, out);
    ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
    HtModelState *state = ht_model_state_new (graph);
    g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
    const double mean = value, deviation = 1.0;
    ht_batchnorm_statistics_set (statistics, "y", &mean, &deviation, 1);
    ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
    ht_model_state_seal (state);
    return state;
  }
  static std::string hash (HtModelState *state)
  {
    g_autofree char *text = ht_model_state_hash (state);
    return text;
  }
  HtStore *open (guint64 budget = G_MAXUINT64)
  {
    HtStore *store = ht_store_open (root.c_str (), budget, &error);
    EXPECT_NO_GERROR (error);
    if (store != nullptr)
      ht_store_set_repair_func (store, take_repair, this);
    return store;
  }
  static void take_repair (const char *what, const char *key, const char *reason, gpointer data)
  {
    static_cast<StoreTest *> (data)->repairs.push_back (std::string (what) + " " + key + ": " + reason);
  }
  bool put (HtStore *store, const std::string &key, float value)
  {
    g_autoptr (HtModelState) state = make_state (value);
    g_autoptr (JsonNode) report = json_from_string ("{\"notes\":[1,2.5,\"ä\"]}", nullptr);
    return ht_store_put_state (store, key.c_str (), state, report, 1.25, &error);
  }
  // What comes back of a key is what was put there.
  void expect_state (HtStore *store, const std::string &key, float value)
  {
    g_autoptr (JsonNode) report = nullptr;
    g_autoptr (JsonNode) expected = json_from_string ("{\"notes\":[1,2.5,\"ä\"]}", nullptr);
    double seconds = 0.0;
    g_autoptr (HtModelState) state = ht_store_get_state (store, key.c_str (), &report, &seconds, &error);
    ASSERT_NE (state, nullptr) << key << (error != nullptr ? error->message : " is not there");
    g_autoptr (HtModelState) same = make_state (value);
    EXPECT_EQ (hash (state), hash (same)) << key;
    ASSERT_NE (report, nullptr);
    EXPECT_TRUE (json_node_equal (report, expected));
    EXPECT_EQ (seconds, 1.25);
  }
  void expect_none (HtStore *store, const std::string &key)
  {
    EXPECT_EQ (ht_store_get_state (store, key.c_str (), nullptr, nullptr, &error), nullptr);
    EXPECT_NO_GERROR (error);
  }

  std::string root;
  HtTensor *shared = nullptr;
  std::vector<std::string> repairs;
};

const gsize own_bytes = 1024 * 4, shared_bytes = 4096 * 4, node_bytes = 1024;

}

TEST_F (StoreTest, WhatWasPutComesBackFromMemoryAndFromDisk)
{
  {
    g_autoptr (HtStore) store = open ();
    ASSERT_NE (store, nullptr);
    expect_none (store, "a");
    EXPECT_FALSE (ht_store_has_state (store, "a"));
    ASSERT_TRUE (put (store, "a", 1.0f)) << error->message;
    ASSERT_TRUE (put (store, "b", 2.0f)) << error->message;
    expect_state (store, "a", 1.0f);
    // A second result of the same key is the same result.
    ASSERT_TRUE (put (store, "a", 1.0f)) << error->message;
    EXPECT_EQ (test_folder::count (root + "/temporary"), 0u);
  }
  g_autoptr (HtStore) store = open ();
  ASSERT_NE (store, nullptr);
  EXPECT_TRUE (ht_store_has_state (store, "a"));
  EXPECT_EQ (ht_store_get_memory (store), 0u);
  g_autoptr (JsonNode) report = nullptr;
  double seconds = 0.0;
  EXPECT_TRUE (ht_store_get_report (store, "b", &report, &seconds, &error));
  EXPECT_EQ (seconds, 1.25);
  EXPECT_NE (report, nullptr);
  EXPECT_EQ (ht_store_get_memory (store), 0u) << "the state itself is not read";
  EXPECT_FALSE (ht_store_get_report (store, "c", nullptr, nullptr, &error));
  EXPECT_NO_GERROR (error);
  expect_state (store, "a", 1.0f);
  expect_state (store, "b", 2.0f);
  EXPECT_TRUE (repairs.empty ());
}

TEST_F (StoreTest, AReportMayBeMissing)
{
  for (int round = 0; round < 2; round++)
    {
      g_autoptr (HtStore) store = open ();
      g_autoptr (HtModelState) state = make_state (1.0f);
      ASSERT_TRUE (ht_store_put_state (store, "a", state, nullptr, 0.0, &error)) << error->message;
      g_autoptr (JsonNode) report = nullptr;
      g_autoptr (HtModelState) read = ht_store_get_state (store, "a", &report, nullptr, &error);
      ASSERT_NE (read, nullptr);
      EXPECT_EQ (report, nullptr);
    }
}

TEST_F (StoreTest, OutcomesAreExact)
{
  const double values[] = { 1.0 / 3.0, -0.0, G_MAXDOUBLE, NAN, 5e-324 };
  GVariant *outcome
      = g_variant_new ("(s@ad)", "top1", g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, values, 5, sizeof (double)));
  g_variant_ref_sink (outcome);
  for (int round = 0; round < 2; round++)
    {
      g_autoptr (HtStore) store = open ();
      ASSERT_TRUE (ht_store_put_outcome (store, "leaf-1", outcome, &error)) << error->message;
      g_autoptr (GVariant) read = ht_store_get_outcome (store, "leaf-1", &error);
      ASSERT_NE (read, nullptr);
      EXPECT_EQ (g_variant_get_size (read), g_variant_get_size (outcome));
      EXPECT_EQ (memcmp (g_variant_get_data (read), g_variant_get_data (outcome), g_variant_get_size (read)), 0);
      EXPECT_EQ (ht_store_get_outcome (store, "leaf-2", &error), nullptr);
      EXPECT_NO_GERROR (error);
    }
  g_variant_unref (outcome);
}

TEST_F (StoreTest, MemoryCountsSharedTensorsOnceAndStaysWithinItsBudget)
{
  const guint64 two = shared_bytes + 2 * (own_bytes + node_bytes);
  g_autoptr (HtStore) store = open (two);
  ASSERT_TRUE (put (store, "a", 1.0f));
  EXPECT_EQ (ht_store_get_memory (store), shared_bytes + own_bytes + node_bytes);
  ASSERT_TRUE (put (store, "b", 2.0f));
  EXPECT_EQ (ht_store_get_memory (store), two);
  expect_state (store, "a", 1.0f);
  ASSERT_TRUE (put (store, "c", 3.0f));
  EXPECT_EQ (ht_store_get_memory (store), two) << "b was the least recently used one";
  test_folder::remove_tree (root + "/states/a");
  test_folder::remove_tree (root + "/states/b");
  expect_state (store, "a", 1.0f);
  expect_none (store, "b");
}

TEST_F (StoreTest, ABudgetOfNothingKeepsAllOnDisk)
{
  g_autoptr (HtStore) store = open (0);
  ASSERT_TRUE (put (store, "a", 1.0f));
  EXPECT_EQ (ht_store_get_memory (store), 0u);
  expect_state (store, "a", 1.0f);
  EXPECT_EQ (ht_store_get_memory (store), 0u);
}

namespace
{

struct Volatile
{
  GObject parent_instance;
};

GType
volatile_get_type ()
{
  static GType type = [] {
    const GTypeInfo info = { sizeof (GObjectClass), nullptr, nullptr, nullptr, nullptr, nullptr,
                             sizeof (Volatile),     0,       nullptr, nullptr };
    const GInterfaceInfo interface_info
        = { [] (gpointer iface, gpointer) {
             static_cast<HtArtifactInterface *> (iface)->copy = [] (HtArtifact *) {
               return HT_ARTIFACT (g_object_new (g_type_from_name ("HtTestStoreVolatile"), nullptr));
             };
             static_cast<HtArtifactInterface *> (iface)->digest = [] (HtArtifact *, GChecksum *) {};
           },
            nullptr, nullptr };
    GType made = g_type_register_static (G_TYPE_OBJECT, "HtTestStoreVolatile", &info, GTypeFlags (0));
    g_type_add_interface_static (made, HT_TYPE_ARTIFACT, &interface_info);
    return made;
  }();
  return type;
}

}

TEST_F (StoreTest, StatesThatCannotBeWrittenStayInMemory)
{
  {
    g_autoptr (HtStore) store = open (0);
    g_autoptr (HtModelState) plain = make_state (1.0f);
    g_autoptr (HtModelState) state = ht_model_state_edit (plain);
    g_autoptr (GObject) artifact = G_OBJECT (g_object_new (volatile_get_type (), nullptr));
    ht_model_state_set_artifact (state, "fleeting", artifact);
    ht_model_state_seal (state);
    ASSERT_TRUE (ht_store_put_state (store, "v", state, nullptr, 1.0, &error)) << error->message;
    EXPECT_TRUE (ht_store_has_state (store, "v"));
    g_autoptr (HtModelState) same = ht_store_get_state (store, "v", nullptr, nullptr, &error);
    EXPECT_EQ (same, state);
    EXPECT_EQ (test_folder::count (root + "/states"), 0u);
    EXPECT_EQ (test_folder::count (root + "/temporary"), 0u);
  }
  g_autoptr (HtStore) store = open ();
  expect_none (store, "v");
}

// Damage of every kind in every file: the entry goes, somebody is told, and the next put brings it back.
TEST_F (StoreTest, DamagedStatesAreRemovedAndToldOf)
{
  enum
  {
    FLIP_FIRST,
    FLIP_LAST,
    SHORTEN,
    EMPTY,
    REMOVE,
    FOLDER,
    N_KINDS
  };
  for (const char *name : { "graph.onnx", "state.bin", "record" })
    for (int kind = 0; kind < N_KINDS; kind++)
      {
        {
          g_autoptr (HtStore) store = open ();
          ASSERT_TRUE (put (store, "a", 1.0f)) << error->message;
        }
        const std::string file = root + "/states/a/" + name;
        g_autofree char *bytes = nullptr;
        gsize size = 0;
        ASSERT_TRUE (g_file_get_contents (file.c_str (), &bytes, &size, nullptr));
        if (kind == FLIP_FIRST || kind == FLIP_LAST)
          bytes[kind == FLIP_FIRST ? 0 : size - 1] ^= 4;
        size = kind == SHORTEN ? size / 2 : kind == EMPTY ? 0 : size;
        g_remove (file.c_str ());
        if (kind == FOLDER)
          {
            ASSERT_EQ (g_mkdir (file.c_str (), 0755), 0);
          }
        else if (kind != REMOVE)
          {
            ASSERT_TRUE (g_file_set_contents (file.c_str (), bytes, (gssize)size, nullptr));
          }
        repairs.clear ();
        g_autoptr (HtStore) store = open ();
        expect_none (store, "a");
        ASSERT_EQ (repairs.size (), 1u) << name << " " << kind;
        EXPECT_EQ (repairs[0].substr (0, 9), "state a: ") << repairs[0];
        EXPECT_FALSE (ht_store_has_state (store, "a"));
        expect_none (store, "a");
        EXPECT_EQ (repairs.size (), 1u);
        EXPECT_EQ (test_folder::count (root + "/temporary"), 0u);
        ASSERT_TRUE (put (store, "a", 1.0f)) << error->message;
        expect_state (store, "a", 1.0f);
      }
}

TEST_F (StoreTest, ADamagedReportIsFoundWithoutTheState)
{
  {
    g_autoptr (HtStore) store = open ();
    ASSERT_TRUE (put (store, "a", 1.0f));
  }
  ASSERT_TRUE (g_file_set_contents ((root + "/states/a/record").c_str (), "x", 1, nullptr));
  g_autoptr (HtStore) store = open ();
  EXPECT_FALSE (ht_store_get_report (store, "a", nullptr, nullptr, &error));
  EXPECT_NO_GERROR (error);
  EXPECT_EQ (repairs.size (), 1u);
  EXPECT_FALSE (ht_store_has_state (store, "a"));
}

// Each byte of an outcome.
TEST_F (StoreTest, DamagedOutcomesAreRemovedAndToldOf)
{
  g_autoptr (HtStore) store = open ();
  const std::string file = root + "/outcomes/leaf";
  ASSERT_TRUE (ht_store_put_outcome (store, "leaf", g_variant_new_double (0.75), &error));
  g_autofree char *bytes = nullptr;
  gsize size = 0;
  ASSERT_TRUE (g_file_get_contents (file.c_str (), &bytes, &size, nullptr));
  for (gsize i = 0; i < size; i++)
    {
      repairs.clear ();
      bytes[i] ^= 1;
      ASSERT_TRUE (g_file_set_contents (file.c_str (), bytes, (gssize)size, nullptr));
      bytes[i] ^= 1;
      EXPECT_EQ (ht_store_get_outcome (store, "leaf", &error), nullptr) << i;
      EXPECT_NO_GERROR (error);
      ASSERT_EQ (repairs.size (), 1u);
      EXPECT_EQ (repairs[0].substr (0, 14), "outcome leaf: ");
      EXPECT_FALSE (g_file_test (file.c_str (), G_FILE_TEST_EXISTS));
    }
  ASSERT_TRUE (ht_store_put_outcome (store, "leaf", g_variant_new_double (0.75), &error));
  g_autoptr (GVariant) read = ht_store_get_outcome (store, "leaf", &error);
  EXPECT_EQ (g_variant_get_double (read), 0.75);
}

// An entry with the files of another one is no entry, though each file is whole.
TEST_F (StoreTest, FilesOfTwoEntriesAreNotMixed)
{
  {
    g_autoptr (HtStore) store = open ();
    ASSERT_TRUE (put (store, "a", 1.0f));
    ASSERT_TRUE (put (store, "b", 2.0f));
  }
  ASSERT_EQ (g_rename ((root + "/states/b/state.bin").c_str (), (root + "/states/a/state.bin").c_str ()), 0);
  g_autoptr (HtStore) store = open ();
  expect_none (store, "a");
  expect_none (store, "b");
  EXPECT_EQ (repairs.size (), 2u);
}

TEST_F (StoreTest, OnlyOneProcessMayOpenIt)
{
  g_autoptr (HtStore) store = open ();
  ASSERT_NE (store, nullptr);
  g_autofree char *expected = g_strdup_printf ("process %d is at work there", int (getpid ()));
  EXPECT_EQ (ht_store_open (root.c_str (), 0, &error), nullptr) << "not even a second time here";
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, expected);
  EXPECT_EQ (test_folder::in_child ([&] {
               GError *refused = nullptr;
               HtStore *other = ht_store_open (root.c_str (), 0, &refused);
               return other == nullptr && strstr (refused->message, expected) != nullptr ? 0 : 1;
             }),
             0);
  g_clear_error (&error);
  ASSERT_TRUE (put (store, "a", 1.0f)) << "who has it open is not disturbed";
  g_clear_pointer (&store, ht_store_close);
  store = open ();
  EXPECT_NE (store, nullptr);
}

TEST_F (StoreTest, ADeadProcessDoesNotHoldIt)
{
  EXPECT_EQ (test_folder::in_child ([&] {
               ht_store_open (root.c_str (), 0, nullptr);
               raise (SIGKILL);
               return 1;
             }),
             -1);
  g_autoptr (HtStore) store = open ();
  EXPECT_NE (store, nullptr);
}

TEST_F (StoreTest, AFullDiskIsAnErrorThatLeavesNothing)
{
  {
    g_autoptr (HtStore) store = open ();
    ASSERT_TRUE (put (store, "a", 1.0f));
  }
  for (rlim_t bytes : { rlim_t (1), rlim_t (200), rlim_t (10000), rlim_t (20000) })
    EXPECT_EQ (test_folder::in_child ([&] {
                 g_autoptr (HtStore) store = open ();
                 test_folder::limit_files (bytes);
                 if (put (store, "b", 2.0f))
                   return 1;
                 if (error == nullptr || strstr (error->message, "keeping a result in") == nullptr)
                   return 2;
                 if (ht_store_has_state (store, "b") || test_folder::count (root + "/temporary") != 0)
                   return 3;
                 expect_state (store, "a", 1.0f);
                 g_clear_error (&error);
                 g_autofree char *text = g_strnfill (30000, 'x');
                 if (ht_store_put_outcome (store, "o", g_variant_new_string (text), &error) || error == nullptr)
                   return 4;
                 if (test_folder::count (root + "/temporary") != 0 || test_folder::count (root + "/outcomes") != 0)
                   return 5;
                 return HasFailure () ? 6 : 0;
               }),
               0)
        << bytes;
  g_autoptr (HtStore) store = open ();
  expect_none (store, "b");
  expect_state (store, "a", 1.0f);
  ASSERT_TRUE (put (store, "b", 2.0f)) << "with room again";
  expect_state (store, "b", 2.0f);
}

namespace
{

// Root may do everything: be somebody else.
void
drop_privileges ()
{
  if (geteuid () == 0 && (setgid (65534) != 0 || setuid (65534) != 0))
    _exit (99);
}

}

TEST_F (StoreTest, MissingPermissionsAreErrorsAndNotDamage)
{
  {
    g_autoptr (HtStore) store = open ();
    ASSERT_TRUE (put (store, "a", 1.0f));
    ASSERT_TRUE (ht_store_put_outcome (store, "o", g_variant_new_int32 (1), &error));
  }
  g_chmod (folder.c_str (), 0755);
  g_chmod (root.c_str (), 0777);
  g_chmod ((root + "/lock").c_str (), 0666);
  g_chmod ((root + "/states").c_str (), 0555);
  g_chmod ((root + "/outcomes").c_str (), 0555);
  g_chmod ((root + "/states/a/graph.onnx").c_str (), 0);
  g_chmod ((root + "/outcomes/o").c_str (), 0);
  EXPECT_EQ (test_folder::in_child ([&] {
               drop_privileges ();
               g_autoptr (HtStore) store = open ();
               if (store == nullptr)
                 return 1;
               if (ht_store_get_state (store, "a", nullptr, nullptr, &error) != nullptr
                   || !g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
                 return 2;
               g_clear_error (&error);
               if (ht_store_get_outcome (store, "o", &error) != nullptr
                   || !g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
                 return 3;
               g_clear_error (&error);
               if (put (store, "b", 2.0f) || error == nullptr || test_folder::count (root + "/temporary") != 0)
                 return 4;
               return repairs.empty () ? 0 : 5;
             }),
             0);
  g_chmod (root.c_str (), 0555);
  g_chmod ((root + "/lock").c_str (), 0444);
  EXPECT_EQ (test_folder::in_child ([&] {
               drop_privileges ();
               GError *refused = nullptr;
               HtStore *store = ht_store_open (root.c_str (), 0, &refused);
               return store == nullptr && g_error_matches (refused, G_FILE_ERROR, G_FILE_ERROR_ACCES) ? 0 : 1;
             }),
             0);
  for (const char *name : { "", "/states", "/outcomes" })
    g_chmod ((root + name).c_str (), 0755);
}

// Killed at any moment, the store has whole entries only.
TEST_F (StoreTest, AKilledProcessLeavesWholeEntriesOnly)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  guint n_found = 0, n_unfinished = 0;

  for (int round = 0; round < 40; round++)
    {
      int ready[2];
      ASSERT_EQ (pipe (ready), 0);
      pid_t pid = fork ();
      if (pid == 0)
        {
          HtStore *store = ht_store_open (root.c_str (), 0, nullptr);
          if (store == nullptr)
            _exit (1);
          for (int i = 0;; i++)
            {
              // Some are killed in their first put, some after it.
              if (i == round % 2 && write (ready[1], "x", 1) != 1)
                _exit (1);
              put (store, "s-" + std::to_string (round) + "-" + std::to_string (i), float (round * 1000 + i));
              ht_store_put_outcome (store, ("o-" + std::to_string (round) + "-" + std::to_string (i)).c_str (),
                                    g_variant_new_int32 (round * 1000 + i), nullptr);
            }
        }
      char byte = 0;
      ASSERT_EQ (read (ready[0], &byte, 1), 1);
      g_usleep ((gulong)g_rand_int_range (random, 0, 20000));
      kill (pid, SIGKILL);
      waitpid (pid, nullptr, 0);
      close (ready[0]);
      close (ready[1]);
      n_unfinished += test_folder::count (root + "/temporary");

      g_autoptr (HtStore) store = open (0);
      ASSERT_NE (store, nullptr);
      EXPECT_EQ (test_folder::count (root + "/temporary"), 0u);
      for (int i = 0;; i++)
        {
          const std::string name = std::to_string (round) + "-" + std::to_string (i);
          if (!ht_store_has_state (store, ("s-" + name).c_str ()))
            break;
          expect_state (store, "s-" + name, float (round * 1000 + i));
          g_autoptr (GVariant) outcome = ht_store_get_outcome (store, ("o-" + name).c_str (), &error);
          const gint32 expected = round * 1000 + i;
          EXPECT_EQ (outcome != nullptr ? g_variant_get_int32 (outcome) : expected, expected);
          n_found++;
        }
      EXPECT_TRUE (repairs.empty ()) << repairs[0];
    }
  EXPECT_GT (n_found, 0u);
  EXPECT_GT (n_unfinished, 0u) << "some were killed in the middle of a put";
}

TEST_F (StoreTest, ThreadsMayPutAndGetAtOnce)
{
  for (guint64 budget : { guint64 (0), guint64 (2 * (shared_bytes + own_bytes)), G_MAXUINT64 })
    {
      test_folder::remove_tree (root);
      g_autoptr (HtStore) store = open (budget);
      std::vector<std::thread> threads;
      std::atomic<int> n_wrong (0);
      for (int t = 0; t < 4; t++)
        threads.emplace_back ([&, t] {
          for (int i = 0; i < 24; i++)
            {
              int n = (i * (t + 1)) % 6;
              const std::string key = "k-" + std::to_string (n);
              g_autoptr (HtModelState) expected = make_state (float (n));
              g_autoptr (HtModelState) read = ht_store_get_state (store, key.c_str (), nullptr, nullptr, nullptr);
              n_wrong += read != nullptr && hash (read) != hash (expected);
              if (read == nullptr && !ht_store_put_state (store, key.c_str (), expected, nullptr, 0.0, nullptr))
                n_wrong++;
              g_autoptr (GVariant) outcome = ht_store_get_outcome (store, key.c_str (), nullptr);
              n_wrong += outcome != nullptr && g_variant_get_int32 (outcome) != n;
              if (outcome == nullptr && !ht_store_put_outcome (store, key.c_str (), g_variant_new_int32 (n), nullptr))
                n_wrong++;
            }
        });
      for (std::thread &thread : threads)
        thread.join ();
      EXPECT_EQ (n_wrong, 0);
      EXPECT_TRUE (repairs.empty ());
      EXPECT_LE (ht_store_get_memory (store), budget);
      EXPECT_EQ (test_folder::count (root + "/states"), 6u);
      EXPECT_EQ (test_folder::count (root + "/temporary"), 0u);
    }
}

// While some threads find an entry damaged and remove it, others put it anew: nobody removes the good one.
TEST_F (StoreTest, RepairingIsNotUndoneByAnotherThread)
{
  g_autoptr (HtStore) store = open (0);
  ht_store_set_repair_func (store, nullptr, nullptr);
  for (int round = 0; round < 10; round++)
    {
      ASSERT_TRUE (put (store, "a", 1.0f));
      ASSERT_TRUE (g_file_set_contents ((root + "/states/a/graph.onnx").c_str (), "x", 1, nullptr));
      std::vector<std::thread> threads;
      std::atomic<int> n_errors (0);
      for (int t = 0; t < 4; t++)
        threads.emplace_back ([&] {
          GError *local = nullptr;
          g_autoptr (HtModelState) read = ht_store_get_state (store, "a", nullptr, nullptr, &local);
          g_autoptr (HtModelState) state = make_state (1.0f);
          if (local != nullptr || (read == nullptr && !ht_store_put_state (store, "a", state, nullptr, 0.0, nullptr)))
            n_errors++;
          g_clear_error (&local);
        });
      for (std::thread &thread : threads)
        thread.join ();
      EXPECT_EQ (n_errors, 0);
      g_autoptr (HtModelState) read = ht_store_get_state (store, "a", nullptr, nullptr, &error);
      EXPECT_NE (read, nullptr);
    }
}
