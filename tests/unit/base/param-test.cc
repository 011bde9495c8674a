// SPDX-License-Identifier: MIT
// Recipe values to properties and back, and what the lint refuses.
#include "support.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace
{

enum Mode
{
  MODE_EXACT,
  MODE_REPLACE,
  MODE_SKIP
};

enum Part
{
  PART_NOTHING = 0,
  PART_WEIGHTS = 1,
  PART_BIASES = 2
};

GType
mode_get_type ()
{
  static const GEnumValue values[] = { { MODE_EXACT, "MODE_EXACT", "exact" },
                                       { MODE_REPLACE, "MODE_REPLACE", "replace" },
                                       { MODE_SKIP, "MODE_SKIP", "skip" },
                                       { 0, nullptr, nullptr } };
  static GType type = g_enum_register_static ("TestMode", values);
  return type;
}

GType
part_get_type ()
{
  static const GFlagsValue values[] = { { PART_NOTHING, "PART_NOTHING", "nothing" },
                                        { PART_WEIGHTS, "PART_WEIGHTS", "weights" },
                                        { PART_BIASES, "PART_BIASES", "biases" },
                                        { 0, nullptr, nullptr } };
  static GType type = g_flags_register_static ("TestPart", values);
  return type;
}

enum
{
  PROP_0,
  PROP_SWITCH,
  PROP_INT,
  PROP_UINT,
  PROP_INT64,
  PROP_UINT64,
  PROP_DOUBLE,
  PROP_STRING,
  PROP_NOTHING,
  PROP_MODE,
  PROP_PARTS,
  PROP_NAMES,
  PROP_STEPS,
  PROP_SCALES,
  PROP_TAGS,
  PROP_READ_ONLY,
  N_PROPS
};

struct Things
{
  GObject parent_instance;
  GValue values[N_PROPS];
};

struct ThingsClass
{
  GObjectClass parent_class;
};

void
things_set (GObject *object, guint id, const GValue *value, GParamSpec *)
{
  GValue *slot = &reinterpret_cast<Things *> (object)->values[id];
  if (G_IS_VALUE (slot))
    g_value_unset (slot);
  g_value_init (slot, G_VALUE_TYPE (value));
  g_value_copy (value, slot);
}

void
things_get (GObject *object, guint id, GValue *value, GParamSpec *)
{
  GValue *slot = &reinterpret_cast<Things *> (object)->values[id];
  if (G_IS_VALUE (slot))
    g_value_copy (slot, value);
}

void
things_finalize (GObject *object)
{
  for (GValue &value : reinterpret_cast<Things *> (object)->values)
    if (G_IS_VALUE (&value))
      g_value_unset (&value);
  G_OBJECT_CLASS (g_type_class_peek (G_TYPE_OBJECT))->finalize (object);
}

void
things_class_init (gpointer klass, gpointer)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->set_property = things_set;
  object_class->get_property = things_get;
  object_class->finalize = things_finalize;
  auto add = [&] (guint id, GParamSpec *pspec) { g_object_class_install_property (object_class, id, pspec); };
  add (PROP_SWITCH, g_param_spec_boolean ("switch", "Switch", "A switch", TRUE, HT_PARAM_RW));
  add (PROP_INT, g_param_spec_int ("max-iterations", "I", "Rounds at most", 1, 1000, 2, HT_PARAM_RW));
  add (PROP_UINT, g_param_spec_uint ("count", "U", "How many", 0, G_MAXUINT, 3, HT_PARAM_RW));
  add (PROP_INT64, g_param_spec_int64 ("big", "B", "A big number", G_MININT64, G_MAXINT64, 0, HT_PARAM_RW));
  add (PROP_UINT64, g_param_spec_uint64 ("seed", "S", "A seed", 0, G_MAXINT64, 7, HT_PARAM_RW));
  add (PROP_DOUBLE, g_param_spec_double ("weight", "W", "A weight", 0.0, 1.0, 0.01, HT_PARAM_RW));
  add (PROP_STRING, g_param_spec_string ("name", "N", "A name", "none", HT_PARAM_RW));
  add (PROP_NOTHING, g_param_spec_string ("nothing", "N", "May be nothing", nullptr, HT_PARAM_RW));
  add (PROP_MODE, g_param_spec_enum ("mode", "M", "How", mode_get_type (), MODE_EXACT, HT_PARAM_RW));
  add (PROP_PARTS, g_param_spec_flags ("parts", "P", "Which", part_get_type (), PART_WEIGHTS, HT_PARAM_RW));
  add (PROP_NAMES, g_param_spec_boxed ("names", "N", "Names", G_TYPE_STRV, HT_PARAM_RW));
  add (PROP_STEPS, g_param_spec_variant ("steps", "S", "Steps", G_VARIANT_TYPE ("ai"), nullptr, HT_PARAM_RW));
  add (PROP_SCALES, g_param_spec_variant ("scales", "S", "Scales", G_VARIANT_TYPE ("ad"), nullptr, HT_PARAM_RW));
  add (PROP_TAGS, g_param_spec_variant ("tags", "T", "Tags", G_VARIANT_TYPE ("as"), nullptr, HT_PARAM_RW));
  add (PROP_READ_ONLY, g_param_spec_int ("state", "S", "What it is", 0, 9, 0, G_PARAM_READABLE));
}

GType
things_get_type ()
{
  static GType type = g_type_register_static_simple (G_TYPE_OBJECT, "TestThings", sizeof (ThingsClass),
                                                     things_class_init, sizeof (Things), nullptr, GTypeFlags (0));
  return type;
}

JsonNode *
json_int (gint64 value)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);
  json_node_set_int (node, value);
  return node;
}

JsonNode *
json_double (double value)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);
  json_node_set_double (node, value);
  return node;
}

JsonNode *
json_bool (bool value)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);
  json_node_set_boolean (node, value);
  return node;
}

JsonNode *
json_text (const char *value)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);
  json_node_set_string (node, value);
  return node;
}

JsonNode *
json_list (std::vector<JsonNode *> items)
{
  JsonArray *array = json_array_new ();
  for (JsonNode *item : items)
    json_array_add_element (array, item);
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

class ParamTest : public ::testing::Test
{
protected:
  void SetUp () override { object = G_OBJECT (g_object_new (things_get_type (), nullptr)); }
  void TearDown () override
  {
    g_object_unref (object);
    g_clear_error (&error);
  }
  bool set (const char *name, JsonNode *value)
  {
    g_clear_error (&error);
    bool done = ht_object_set_param (object, name, value, &error);
    json_node_unref (value);
    return done;
  }
  bool set_text (const char *name, const char *text)
  {
    g_clear_error (&error);
    return ht_object_set_param_string (object, name, text, &error);
  }
  std::string get (const char *name)
  {
    g_autoptr (GError) local = nullptr;
    g_autoptr (JsonNode) node = ht_object_get_param (object, name, &local);
    if (node == nullptr)
      return std::string ("error: ") + local->message;
    g_autofree char *text = json_to_string (node, FALSE);
    return text;
  }
  GObject *object = nullptr;
  GError *error = nullptr;
};

TEST_F (ParamTest, DefaultsComeFromTheGParamSpec)
{
  g_autoptr (JsonNode) all = ht_object_params_to_json (object);
  g_autofree char *text = json_to_string (all, FALSE);
  EXPECT_STREQ (text, "{\"switch\":true,\"max-iterations\":2,\"count\":3,\"big\":0,\"seed\":7,\"weight\":0.01,"
                      "\"name\":\"none\",\"nothing\":null,\"mode\":\"exact\",\"parts\":[\"weights\"],\"names\":[],"
                      "\"steps\":[],\"scales\":[],\"tags\":[]}");
}

TEST_F (ParamTest, IntegersAreCheckedBeforeTheyAreNarrowed)
{
  EXPECT_TRUE (set ("max-iterations", json_int (1000)));
  EXPECT_EQ (get ("max-iterations"), "1000");
  EXPECT_FALSE (set ("max-iterations", json_int (0)));
  EXPECT_STREQ (error->message, "'max-iterations' is 0, must be 1 … 1000 (default 2)");
  EXPECT_TRUE (g_error_matches (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE));
  // 2^32 + 5 becomes 5 where GObject narrows it.
  EXPECT_FALSE (set ("max-iterations", json_int (4294967301)));
  EXPECT_STREQ (error->message, "'max-iterations' is 4294967301, must be 1 … 1000 (default 2)");
  EXPECT_FALSE (set ("count", json_int (4294967296)));
  EXPECT_STREQ (error->message, "'count' is 4294967296, must be 0 … 4294967295 (default 3)");
  EXPECT_TRUE (set ("count", json_int (4294967295)));
  EXPECT_FALSE (set ("seed", json_int (-1)));
  EXPECT_TRUE (set ("big", json_int (G_MININT64)));
  EXPECT_EQ (get ("big"), "-9223372036854775808");
  EXPECT_EQ (get ("max-iterations"), "1000") << "a refused value changes nothing";
}

TEST_F (ParamTest, NothingIsConverted)
{
  EXPECT_FALSE (set ("max-iterations", json_double (7.0)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                 "'max-iterations' is 7.0, must be an integer, 1 … 1000 (default 2)");
  EXPECT_FALSE (set ("max-iterations", json_bool (true)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "is true, must be an integer");
  EXPECT_FALSE (set ("max-iterations", json_text ("7")));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "is \"7\", must be an integer");
  EXPECT_FALSE (set ("switch", json_int (1)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                 "'switch' is 1, must be true or false (default true)");
  EXPECT_FALSE (set ("switch", json_text ("true")));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "");
  EXPECT_FALSE (set ("weight", json_bool (false)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "must be a number, 0 … 1 (default 0.01)");
  EXPECT_FALSE (set ("name", json_int (3)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'name' is 3, must be text (default \"none\")");
  EXPECT_FALSE (set ("name", json_node_new (JSON_NODE_NULL)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'name' is null");
  EXPECT_FALSE (set ("mode", json_int (1)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                 "'mode' is 1, must be one of exact, replace, skip");
  EXPECT_FALSE (set ("steps", json_int (1)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'steps' is 1, must be a list of integers");
}

TEST_F (ParamTest, NumbersTakeIntegersAndMustBeFinite)
{
  EXPECT_TRUE (set ("weight", json_int (1)));
  EXPECT_EQ (get ("weight"), "1.0");
  EXPECT_FALSE (set ("weight", json_double (std::nextafter (1.0, 2.0))));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "must be 0 … 1");
  EXPECT_FALSE (set ("weight", json_double (INFINITY)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "inf");
  EXPECT_FALSE (set ("weight", json_double (NAN)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "nan");
}

TEST_F (ParamTest, EnumsByNickWithASuggestion)
{
  EXPECT_TRUE (set ("mode", json_text ("skip")));
  EXPECT_EQ (get ("mode"), "\"skip\"");
  EXPECT_FALSE (set ("mode", json_text ("exct")));
  EXPECT_STREQ (error->message,
                "'mode' is \"exct\", must be one of exact, replace, skip (default exact); did you mean 'exact'?");
  EXPECT_TRUE (g_error_matches (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE));
  EXPECT_FALSE (set ("mode", json_text ("MODE_SKIP")));
  EXPECT_EQ (get ("mode"), "\"skip\"");
}

TEST_F (ParamTest, FlagsAreListsOfNicks)
{
  EXPECT_TRUE (set ("parts", json_list ({ json_text ("biases"), json_text ("weights") })));
  EXPECT_EQ (get ("parts"), "[\"weights\",\"biases\"]");
  EXPECT_FALSE (set ("parts", json_list ({ json_text ("biases"), json_text ("biases") })));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY, "'parts[1]' says 'biases' again");
  EXPECT_FALSE (set ("parts", json_list ({ json_text ("bias") })));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "did you mean 'biases'?");
  EXPECT_FALSE (set ("parts", json_list ({ json_text ("nothing") })));
  EXPECT_TRUE (set ("parts", json_list ({})));
  EXPECT_EQ (get ("parts"), "[]");
}

TEST_F (ParamTest, ListsCheckEachItem)
{
  EXPECT_TRUE (set ("steps", json_list ({ json_int (3), json_int (-4) })));
  EXPECT_EQ (get ("steps"), "[3,-4]");
  EXPECT_FALSE (set ("steps", json_list ({ json_int (3), json_double (4.0) })));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'steps[1]' is 4.0, must be an integer");
  EXPECT_FALSE (set ("steps", json_list ({ json_int (2147483648) })));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "'steps[0]' is 2147483648");
  EXPECT_EQ (get ("steps"), "[3,-4]");
  EXPECT_TRUE (set ("scales", json_list ({ json_double (0.5), json_int (2) })));
  EXPECT_EQ (get ("scales"), "[0.5,2.0]");
  EXPECT_FALSE (set ("scales", json_list ({ json_double (NAN) })));
  EXPECT_TRUE (set ("names", json_list ({ json_text ("a"), json_text ("ü") })));
  EXPECT_EQ (get ("names"), "[\"a\",\"ü\"]");
  EXPECT_FALSE (set ("tags", json_list ({ json_text ("\xff") })));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "UTF-8");
  EXPECT_FALSE (set ("tags", json_list ({ json_list ({ json_list ({}) }) })));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "'tags[0]' is [[…]], must be text");
}

TEST_F (ParamTest, UnknownNames)
{
  EXPECT_FALSE (set ("max-iteratons", json_int (3)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_KEY,
                 "there is no parameter \"max-iteratons\"; did you mean 'max-iterations'?");
  EXPECT_FALSE (set ("zzzzzzzz", json_int (3)));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_KEY, "known: switch, max-iterations");
  EXPECT_FALSE (set ("state", json_int (3))) << "a read-only property is no parameter";
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_KEY, "state");
  EXPECT_FALSE (set ("TestThings::switch", json_bool (false)));
  EXPECT_FALSE (set ("", json_int (3)));
  EXPECT_FALSE (set ("\xff", json_int (3)));
  EXPECT_TRUE (set ("max_iterations", json_int (4))) << "both spellings are one name";
  EXPECT_EQ (get ("max-iterations"), "4");
}

TEST_F (ParamTest, TextOfACommandLine)
{
  EXPECT_TRUE (set_text ("max-iterations", "12"));
  EXPECT_EQ (get ("max-iterations"), "12");
  for (const char *text : { "", "1.0", "0x10", "1e2", " 3", "3 ", "three", "-" })
    {
      EXPECT_FALSE (set_text ("max-iterations", text)) << text;
      EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE, "must be an integer, 1 … 1000 (default 2)");
    }
  EXPECT_FALSE (set_text ("max-iterations", "99999999999999999999"));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE,
                 "'max-iterations' is 99999999999999999999, must be 1 … 1000 (default 2)");
  EXPECT_TRUE (set_text ("weight", "1e-3"));
  EXPECT_EQ (get ("weight"), "0.001");
  for (const char *text : { "", "inf", "nan", "0x1p0", "1,0", "--1", "1e" })
    EXPECT_FALSE (set_text ("weight", text)) << text;
  EXPECT_FALSE (set_text ("weight", "1e999"));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE, "1e999");
  EXPECT_TRUE (set_text ("switch", "false"));
  EXPECT_FALSE (set_text ("switch", "no"));
  EXPECT_FALSE (set_text ("switch", "0"));
  EXPECT_TRUE (set_text ("mode", "replace"));
  EXPECT_TRUE (set_text ("parts", "weights, biases"));
  EXPECT_EQ (get ("parts"), "[\"weights\",\"biases\"]");
  EXPECT_TRUE (set_text ("steps", "[1, 2]"));
  EXPECT_EQ (get ("steps"), "[1,2]");
  EXPECT_TRUE (set_text ("steps", "[]"));
  EXPECT_EQ (get ("steps"), "[]");
  EXPECT_FALSE (set_text ("steps", "1,,2"));
  EXPECT_TRUE (set_text ("name", "7"));
  EXPECT_EQ (get ("name"), "\"7\"");
  EXPECT_FALSE (set_text ("name", "\xff\xfe"));
}

TEST_F (ParamTest, WhatIsReadCanBeSetAgain)
{
  set ("weight", json_double (0.1 + 0.2));
  set ("names", json_list ({ json_text ("x") }));
  g_autoptr (JsonNode) before = ht_object_params_to_json (object);
  g_autoptr (GObject) other = G_OBJECT (g_object_new (things_get_type (), nullptr));
  g_autoptr (GList) names = json_object_get_members (json_node_get_object (before));
  for (GList *item = names; item != nullptr; item = item->next)
    {
      const char *name = static_cast<const char *> (item->data);
      JsonNode *value = json_object_get_member (json_node_get_object (before), name);
      EXPECT_TRUE (ht_object_set_param (other, name, value, &error)) << name << ": " << error->message;
      g_clear_error (&error);
    }
  g_autoptr (JsonNode) after = ht_object_params_to_json (other);
  EXPECT_TRUE (json_node_equal (before, after));
}

TEST_F (ParamTest, Descriptions)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (object);
  auto type = [&] (const char *name) {
    g_autofree char *text = ht_param_spec_describe_type (ht_object_find_param (klass, name));
    return std::string (text);
  };
  auto fallback = [&] (const char *name) {
    g_autofree char *text = ht_param_spec_describe_default (ht_object_find_param (klass, name));
    return std::string (text);
  };
  EXPECT_EQ (type ("max-iterations"), "integer, 1 … 1000");
  EXPECT_EQ (type ("count"), "integer, at least 0");
  EXPECT_EQ (type ("big"), "integer");
  EXPECT_EQ (type ("weight"), "number, 0 … 1");
  EXPECT_EQ (type ("mode"), "one of exact, replace, skip");
  EXPECT_EQ (type ("parts"), "list of any of weights, biases");
  EXPECT_EQ (fallback ("weight"), "0.01");
  EXPECT_EQ (fallback ("mode"), "exact");
  EXPECT_EQ (fallback ("nothing"), "none");
  EXPECT_EQ (fallback ("parts"), "[\"weights\"]");
  EXPECT_EQ (ht_param_spec_get_unit (ht_object_find_param (klass, "count")), nullptr);
  ht_param_spec_set_unit (ht_object_find_param (klass, "count"), "images");
  EXPECT_STREQ (ht_param_spec_get_unit (ht_object_find_param (klass, "count")), "images");
  EXPECT_EQ (ht_object_find_param (klass, "state"), nullptr);
  g_autoptr (GPtrArray) params = ht_object_list_params (klass);
  EXPECT_EQ (params->len, 14u);
}

struct LintCase
{
  GParamSpec *pspec;
  const char *problem; // NULL: none
};

TEST (ParamLintTest, RefusesWhatRecipesCannotSay)
{
  const std::string eighty (80, 'x'), eighty_one (81, 'x');
  const LintCase cases[] = {
    { g_param_spec_int ("ok", "N", "Fine", 0, 1, 0, HT_PARAM_RW), nullptr },
    { g_param_spec_int ("ok", "N", eighty.c_str (), 0, 1, 0, GParamFlags (G_PARAM_READWRITE)), nullptr },
    { g_param_spec_int ("Loud", "N", "A name", 0, 1, 0, HT_PARAM_RW), "not of the form [a-z][a-z0-9-]*" },
    { g_param_spec_int ("ok", "N", "Ends badly.", 0, 1, 0, HT_PARAM_RW), "ends in a period" },
    { g_param_spec_int ("ok", "N", "", 0, 1, 0, HT_PARAM_RW), "has no description" },
    { g_param_spec_int ("ok", "N", nullptr, 0, 1, 0, HT_PARAM_RW), "has no description" },
    { g_param_spec_int ("ok", "N", eighty_one.c_str (), 0, 1, 0, GParamFlags (G_PARAM_READWRITE)), "80 characters" },
    { g_param_spec_int ("ok", "N", "Broken \xff", 0, 1, 0, HT_PARAM_RW), "not UTF-8" },
    { g_param_spec_int ("ok", "N", "Read only", 0, 1, 0, G_PARAM_READABLE), "cannot be both read and written" },
    { g_param_spec_int ("ok", "N", "Once only", 0, 1, 0, GParamFlags (G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY)),
      "at construction only" },
    { g_param_spec_float ("ok", "N", "A float", 0, 1, 0, HT_PARAM_RW), "of a type that parameters cannot have" },
    { g_param_spec_pointer ("ok", "N", "A pointer", HT_PARAM_RW), "of a type that parameters cannot have" },
    { g_param_spec_object ("ok", "N", "An object", G_TYPE_OBJECT, HT_PARAM_RW), "of a type" },
    { g_param_spec_variant ("ok", "N", "A variant", G_VARIANT_TYPE ("ax"), nullptr, HT_PARAM_RW), "of a type" },
    { g_param_spec_uint64 ("ok", "N", "Too big", 0, G_MAXUINT64, 0, HT_PARAM_RW), "does not fit a signed 64-bit" },
    { g_param_spec_string ("ok", "N", "A text", nullptr, HT_PARAM_RW), nullptr },
  };
  for (const LintCase &test : cases)
    {
      g_autoptr (GError) error = nullptr;
      g_param_spec_ref_sink (test.pspec);
      EXPECT_EQ (ht_param_spec_lint (test.pspec, &error), test.problem == nullptr)
          << (test.problem ? test.problem : error->message);
      if (test.problem != nullptr && error != nullptr)
        {
          EXPECT_TRUE (g_error_matches (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS));
          EXPECT_NE (std::string (error->message).find (test.problem), std::string::npos) << error->message;
        }
      g_param_spec_unref (test.pspec);
    }
}

}
