// SPDX-License-Identifier: MIT
// The little language of conditions.
#include "test-pass.h"

extern "C"
{
#include "pass/condition.h"
#include "pass/pass-private.h"
}

namespace
{

class ConditionTest : public ::testing::Test
{
protected:
  static void SetUpTestSuite () { type = test_pass::make_type ({ "conditional", {} }); }
  void SetUp () override
  {
    pass = test_pass::make (type);
    config = ht_quantization_config_new ();
    ht_pass_scope_init (&scope, HT_PASS_GET_CLASS (pass), pass, config);
  }
  void TearDown () override
  {
    g_object_unref (pass);
    g_object_unref (config);
    g_clear_error (&error);
  }
  // 't', 'f', '?', or '!' where the condition is refused.
  char evaluate (const char *text)
  {
    g_clear_error (&error);
    g_autoptr (HtCondition) condition = ht_condition_parse (text, &error);
    if (condition == nullptr || !ht_condition_check (condition, &scope.scope, &error))
      return '!';
    HtFactValue value = ht_condition_evaluate (condition, &scope.scope);
    return value == HT_FACT_TRUE ? 't' : value == HT_FACT_FALSE ? 'f' : '?';
  }
  void set (const char *name, const char *text)
  {
    ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (pass), name, text, nullptr));
  }
  static GType type;
  HtPass *pass = nullptr;
  HtQuantizationConfig *config = nullptr;
  HtPassScope scope;
  GError *error = nullptr;
};

GType ConditionTest::type;

TEST_F (ConditionTest, ComparesParametersOfTheStep)
{
  EXPECT_EQ (evaluate ("iterations = 10000"), 't');
  EXPECT_EQ (evaluate ("iterations == 10000"), 't');
  EXPECT_EQ (evaluate ("iterations != 10000"), 'f');
  EXPECT_EQ (evaluate ("iterations < 10000"), 'f');
  EXPECT_EQ (evaluate ("iterations <= 10000"), 't');
  EXPECT_EQ (evaluate ("iterations > 9999.5"), 't');
  EXPECT_EQ (evaluate ("iterations >= 1e5"), 'f');
  EXPECT_EQ (evaluate ("iterations > -1"), 't');
  EXPECT_EQ (evaluate ("iterations = 10000steps"), 't');
  EXPECT_EQ (evaluate ("mode = nearest"), 't');
  EXPECT_EQ (evaluate ("mode = \"learned\""), 'f');
  EXPECT_EQ (evaluate ("mode != learned"), 't');
  EXPECT_EQ (evaluate ("fast"), 'f');
  EXPECT_EQ (evaluate ("fast = false"), 't');
  EXPECT_EQ (evaluate ("!fast"), 't');
  set ("mode", "learned");
  set ("fast", "true");
  EXPECT_EQ (evaluate ("mode=learned&&fast"), 't');
}

TEST_F (ConditionTest, ComparesSettings)
{
  EXPECT_EQ (evaluate ("weights.bits = 8"), 't');
  EXPECT_EQ (evaluate ("activations.symmetric"), 'f');
  EXPECT_EQ (evaluate ("target = default"), 't');
  EXPECT_EQ (evaluate ("target != default"), 'f');
  ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (ht_quantization_config_get_weights (config)), "granularity",
                                           "channel", nullptr));
  EXPECT_EQ (evaluate ("weights.granularity = channel"), 't');
  EXPECT_EQ (evaluate ("weights.granularity = tensor"), 'f');
  EXPECT_EQ (evaluate ("activations.granularity = tensor"), 't');
}

TEST_F (ConditionTest, AndBindsTighterThanOr)
{
  EXPECT_EQ (evaluate ("!fast || fast && fast"), 't');
  EXPECT_EQ (evaluate ("(!fast || fast) && fast"), 'f');
  EXPECT_EQ (evaluate ("!(fast || !fast)"), 'f');
  EXPECT_EQ (evaluate ("!!fast"), 'f');
}

TEST_F (ConditionTest, UnknownOnlyWhereItMatters)
{
  ht_pass_scope_init (&scope, HT_PASS_GET_CLASS (pass), pass, nullptr);
  EXPECT_EQ (evaluate ("weights.bits = 8"), '?');
  EXPECT_EQ (evaluate ("!(weights.bits = 8)"), '?');
  EXPECT_EQ (evaluate ("weights.bits = 8 && fast"), 'f');
  EXPECT_EQ (evaluate ("weights.bits = 8 && !fast"), '?');
  EXPECT_EQ (evaluate ("weights.bits = 8 || !fast"), 't');
  EXPECT_EQ (evaluate ("fast || target = default"), '?');
}

TEST_F (ConditionTest, RefusesWithAPlace)
{
  struct
  {
    const char *text, *message;
  } cases[] = {
    { "", "found the end at character 1, expected a name, '!' or '('" },
    { "weights.bits << 4", "found '<' at character 15, expected a number, a word or a text in double quotes" },
    { "fast fast", "found 'fast' at character 6, expected '&&', '||' or the end" },
    { "(fast", "found the end at character 6, expected ')', '&&' or '||'" },
    { "fast)", "found ')' at character 5" },
    { "fast & fast", "found '&' at character 6" },
    { "fast &&", "found the end at character 8, expected a name" },
    { "mode = \"x", "a text without a closing" },
    { "iterations = 99999999999999999999", "expected a number that fits 64 bits" },
    { "iterations = 1e999", "expected a number that fits 64 bits" },
    { "on(", "found the end at character 4, expected a name" },
    { "on(a", "expected ')'" },
    { "on(a)", "'on(a)' is neither a parameter of this technique nor a setting" },
    { "speed = 3", "'speed' is neither a parameter of this technique nor a setting" },
    { "weights.colour = 3", "'weights.colour' is neither" },
    { "mode = nerest", "'mode' is one of nearest, learned, never 'nerest'" },
    { "mode < learned", "'mode' is a word and cannot be compared with 'learned' this way" },
    { "mode", "'mode' is a word, so it needs a comparison; only a switch stands alone" },
    { "fast = 1", "'fast' is true or false and cannot be compared with '1'" },
    { "fast < true", "cannot be compared" },
    { "iterations = many", "'iterations' is a number and cannot be compared with 'many'" },
    { "iterations > 3ms", "'iterations' is in steps, not in 'ms'" },
    { "weights.symmetric > 3", "cannot be compared" },
    { "target = 3", "'target' is text and cannot be compared with '3'" },
    { "\xff", "is not UTF-8" },
  };
  for (const auto &test : cases)
    {
      EXPECT_EQ (evaluate (test.text), '!') << test.text;
      ASSERT_NE (error, nullptr) << test.text;
      EXPECT_NE (std::string (error->message).find (test.message), std::string::npos) << error->message;
    }
}

TEST_F (ConditionTest, DepthAndLengthAreLimited)
{
  std::string deep = std::string (100, '(') + "fast" + std::string (100, ')');
  EXPECT_EQ (evaluate (deep.c_str ()), '!');
  EXPECT_NE (std::string (error->message).find ("32 levels"), std::string::npos);
  std::string nots = std::string (900, '!') + "fast";
  EXPECT_EQ (evaluate (nots.c_str ()), '!');
  std::string wide = "fast";
  while (wide.size () < 900)
    wide += " || fast";
  EXPECT_EQ (evaluate (wide.c_str ()), 'f');
  wide += std::string (200, ' ');
  EXPECT_EQ (evaluate (wide.c_str ()), '!');
}

}
