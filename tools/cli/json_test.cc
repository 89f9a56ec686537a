#include "tools/cli/json.h"

#include <limits>

#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::cli {
namespace {

TEST(JsonTest, ValuesSurviveBothWays) {
  for (const char* text : {"null", "true", "1", "-9223372036854775808", "9223372036854775807",
                           "1.0", "1e300", "\"t\\u00e9xt\"", "[1,2.5,[\"a\"],{}]",
                           "{\"a\":{\"b\":[null]}}", "{\"$bytes\":\"00ff\"}"}) {
    auto json = ParseJson(text);
    ASSERT_TRUE(json.ok()) << text;
    auto value = ValueFromJson(*json);
    ASSERT_TRUE(value.ok()) << text << value.status();
    EXPECT_EQ(ValueToJson(*value), *json) << text;
  }
  EXPECT_EQ(ValueFromJson(*ParseJson("1"))->kind_case(), v1::Value::kIntValue);
  EXPECT_EQ(ValueFromJson(*ParseJson("1.0"))->kind_case(), v1::Value::kDoubleValue);
  EXPECT_EQ(Dump(*ParseJson("1.0")), "1.0");
  EXPECT_EQ(ValueFromJson(*ParseJson("{\"$bytes\":\"00ff\"}"))->bytes_value(),
            std::string("\0\xff", 2));
}

TEST(JsonTest, RefusesWhatTheWireCannotCarry) {
  EXPECT_FALSE(ValueFromJson(*ParseJson("18446744073709551615")).ok());
  EXPECT_FALSE(ValueFromJson(*ParseJson("{\"$bytes\":\"0\"}")).ok());
  std::string deep(1000, '[');
  deep += std::string(1000, ']');
  EXPECT_FALSE(ValueFromJson(*ParseJson(deep)).ok());
}

TEST(JsonTest, ObjectsSurviveBothWays) {
  const char* text =
      R"({"key":"a","collection":"c","content":"x","properties":{"n":1},"labels":["l"],)"
      R"("edges":[{"relation":"r","target":"b","weight":0.5,"properties":{"k":"v"}},)"
      R"({"relation":"s","target":"d","target_collection":"e"}]})";
  auto write = ObjectWriteFromJson(*ParseJson(text));
  ASSERT_TRUE(write.ok()) << write.status();
  EXPECT_EQ(write->edges(1).target().collection(), "e");
  EXPECT_FALSE(write->edges(1).has_weight());
  auto again = ObjectWriteFromJson(ObjectWriteToJson(*write));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*write, *again))
      << Dump(ObjectWriteToJson(*write));
}

TEST(JsonTest, ErrorsNameTheField) {
  auto field = [](const char* text) {
    auto write = ObjectWriteFromJson(*ParseJson(text));
    EXPECT_FALSE(write.ok()) << text;
    return GetErrorDetail(write.status())->field;
  };
  EXPECT_EQ(field("{}"), "key");
  EXPECT_EQ(field("[]"), "json");
  EXPECT_EQ(field(R"({"key":1})"), "key");
  EXPECT_EQ(field(R"({"key":"a","labels":"x"})"), "labels");
  EXPECT_EQ(field(R"({"key":"a","propertys":{}})"), "propertys");
  EXPECT_EQ(field(R"({"key":"a","properties":{"x":[{"y":18446744073709551615}]}})"),
            "properties.x[0].y");
  EXPECT_EQ(field(R"({"key":"a","edges":[{"target":"b"}]})"), "relation");
  EXPECT_EQ(field(R"({"key":"a","edges":[{"relation":"r"}]})"), "target");
  EXPECT_EQ(field(R"({"key":"a","edges":[{"relation":"r","target":"b","weight":"x"}]})"), "weight");
  EXPECT_NE(std::string(ParseJson("{\"key\":").status().message()).find("byte"), std::string::npos);
}

TEST(JsonTest, VectorsSurviveBothWays) {
  const char* text =
      R"({"key":"a","properties":{},"labels":[],"vectors":{"bits":{"bits":"AYD/"},)"
      R"("dense":[0.1,-2.5,0.0,3e+30],"sparse":{"indices":[3,4294967295],"values":[0.5,1.0]}},)"
      R"("content":"","edges":[]})";
  auto write = ObjectWriteFromJson(*ParseJson(text));
  ASSERT_TRUE(write.ok()) << write.status();
  const auto& vectors = write->object().vectors();
  EXPECT_EQ(vectors.at("bits").bits(), "\x01\x80\xff");
  EXPECT_EQ(vectors.at("dense").values(0), 0.1f);
  EXPECT_EQ(vectors.at("sparse").indices(1), 4294967295u);
  EXPECT_EQ(ObjectWriteToJson(*write)["vectors"], (*ParseJson(text))["vectors"]);
  // {"values": […]} alone is a dense vector too.
  auto dense = VectorFromJson(*ParseJson(R"({"values":[1,2]})"), "v");
  ASSERT_TRUE(dense.ok());
  EXPECT_EQ(Dump(ToJson(*dense)), "[1.0,2.0]");
}

TEST(JsonTest, RefusesWhatIsNoVector) {
  for (const auto& [text, field] : {
           std::pair{"1", "v"},
           {"{}", "v"},
           {"[\"x\"]", "v"},
           {"[1e39]", "v"},
           {"[null]", "v"},
           {R"({"values":[1],"weights":[2]})", "v.weights"},
           {R"({"values":1})", "v"},
           {R"({"values":[1],"indices":[]})", "v.indices"},
           {R"({"values":[1],"indices":[-1]})", "v.indices"},
           {R"({"values":[1],"indices":[4294967296]})", "v.indices"},
           {R"({"values":[1],"indices":7})", "v.indices"},
           {R"({"bits":"*"})", "v.bits"},
           {R"({"bits":7})", "v.bits"},
           {R"({"bits":"AQ==","values":[1]})", "v"},
       }) {
    const auto vector = VectorFromJson(*ParseJson(text), "v");
    ASSERT_FALSE(vector.ok()) << text;
    EXPECT_EQ(GetErrorDetail(vector.status())->field, field) << text;
  }
}

TEST(JsonTest, AnswersReadNaturally) {
  v1::PathStep step;
  step.mutable_source()->set_key("a");
  step.mutable_target()->set_key("b");
  step.mutable_target()->set_collection("c");
  step.set_relation("r");
  step.set_weight(1.0);
  EXPECT_EQ(Dump(ToJson(step)),
            R"({"source":"a","relation":"r","target":"b","target_collection":"c","weight":1.0,)"
            R"("virtual":false})");
  v1::WriteResult result;
  result.set_position("\x01\xff");
  result.set_commit(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Dump(ToJson(result)),
            R"({"position":"01ff","commit":9223372036854775807,"visible":false,"replayed":false})");
  v1::Comparison comparison;
  comparison.set_op(v1::COMPARISON_OPERATOR_LESS_EQUAL);
  EXPECT_EQ(ToJson(comparison)["op"], "less_equal");
}

}  // namespace
}  // namespace cookix::cli
