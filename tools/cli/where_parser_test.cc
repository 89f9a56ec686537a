#include "tools/cli/where_parser.h"

#include <string>

#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::cli {
namespace {

void ExpectFilter(const std::string& text, const std::string& expected) {
  auto filter = ParseWhere(text);
  ASSERT_TRUE(filter.ok()) << text << ": " << filter.status();
  v1::Filter wanted;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(expected, &wanted));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*filter, wanted))
      << text << "\n"
      << filter->DebugString();
}

void ExpectError(const std::string& text, int column) {
  auto filter = ParseWhere(text);
  ASSERT_FALSE(filter.ok()) << text << "\n" << filter->DebugString();
  const std::string message(filter.status().message());
  EXPECT_NE(message.find("column " + std::to_string(column) + ":"), std::string::npos)
      << text << ": " << message;
  EXPECT_FALSE(GetErrorDetail(filter.status())->remedy.empty());
}

TEST(WhereParserTest, Comparisons) {
  ExpectFilter(
      "size > 1000",
      "comparison { field: 'size' op: COMPARISON_OPERATOR_GREATER value { int_value: 1000 } }");
  ExpectFilter(
      "a.b != -1.5",
      "comparison { field: 'a.b' op: COMPARISON_OPERATOR_NOT_EQUAL value { double_value: -1.5 } }");
  ExpectFilter(
      "x=true",
      "comparison { field: 'x' op: COMPARISON_OPERATOR_EQUAL value { bool_value: true } }");
  ExpectFilter(
      "$key ^= 123",
      "comparison { field: '$key' op: COMPARISON_OPERATOR_PREFIX value { string_value: '123' } }");
  ExpectFilter("`odd name` = 'it\\'s'",
               "comparison { field: 'odd name' op: COMPARISON_OPERATOR_EQUAL value { string_value: "
               "\"it's\" } }");
  ExpectFilter(
      "v <= \"10\"",
      "comparison { field: 'v' op: COMPARISON_OPERATOR_LESS_EQUAL value { string_value: '10' } }");
}

TEST(WhereParserTest, Precedence) {
  ExpectFilter("a=1 or b=2 and not c=3",
               "any { operands { comparison { field: 'a' op: COMPARISON_OPERATOR_EQUAL value { "
               "int_value: 1 } } }"
               " operands { all {"
               "  operands { comparison { field: 'b' op: COMPARISON_OPERATOR_EQUAL value { "
               "int_value: 2 } } }"
               "  operands { negation { comparison { field: 'c' op: COMPARISON_OPERATOR_EQUAL "
               "value { int_value: 3 } } } } } } }");
  ExpectFilter("(a=1 OR b=2) AND EXISTS c",
               "all { operands { any {"
               "  operands { comparison { field: 'a' op: COMPARISON_OPERATOR_EQUAL value { "
               "int_value: 1 } } }"
               "  operands { comparison { field: 'b' op: COMPARISON_OPERATOR_EQUAL value { "
               "int_value: 2 } } } } }"
               " operands { existence { field: 'c' } } }");
}

TEST(WhereParserTest, Membership) {
  ExpectFilter("section IN (games, 'x 11', 3)",
               "membership { field: 'section' values { string_value: 'games' }"
               " values { string_value: 'x 11' } values { int_value: 3 } }");
}

TEST(WhereParserTest, ErrorsNameTheColumn) {
  ExpectError("", 1);
  ExpectError("size", 5);
  ExpectError("size >", 7);
  ExpectError("size > 1 AND", 13);
  ExpectError("size > 1 x = 2", 10);
  ExpectError("(a = 1", 1);
  ExpectError("a = 1)", 6);
  ExpectError("a = \"x", 5);
  ExpectError("a IN 1", 6);
  ExpectError("a IN (1", 8);
  ExpectError("a IN ()", 7);
  ExpectError("a ? 1", 3);
  ExpectError("\xc3\xa9 = = 1", 5);
  ExpectError("EXISTS", 7);
}

TEST(WhereParserTest, RefusesDepthInsteadOfOverflowing) {
  EXPECT_FALSE(ParseWhere(std::string(100'000, '(') + "a=1").ok());
  std::string nots;
  for (int i = 0; i < 100'000; ++i) nots += "NOT ";
  EXPECT_FALSE(ParseWhere(nots + "a=1").ok());
}

}  // namespace
}  // namespace cookix::cli
