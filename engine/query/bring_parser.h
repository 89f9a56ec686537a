// The `bring` format: nested names and values, and how its text is read. What a document
// means as a query is said in bring_query.h.
//
//   document  = "bring" name block
//   block     = "{" { member } "}"                nothing between members but space
//   member    = name ( "=" value | block )
//   value     = ( literal | list | block ) { "@" name "=" ( literal | list ) }
//   list      = "[" [ value { "," value } ] "]"
//   literal   = text | number | "true" | "false" | "null"
//   name      = bare name | text
//
// A bare name is letters, digits, _ $ . - and anything beyond ASCII, not beginning with a
// digit, "." or "-". Text is in double quotes; in it \" \\ \n \r \t and \u{1F36A} are
// escapes. Numbers are JSON's; one with a fraction or an exponent is a double. Literals
// are strict: a bare word is no text, and true, false and null are in small letters. A #
// begins a comment up to the end of the line.
#ifndef COOKIX_ENGINE_QUERY_BRING_PARSER_H_
#define COOKIX_ENGINE_QUERY_BRING_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "engine/limits.h"
#include "engine/query/query_source.h"

namespace cookix::engine {

struct BringMember;

struct BringValue {
  enum class Kind : uint8_t { kLiteral, kList, kBlock };

  Kind kind = Kind::kLiteral;
  // A literal: null, bool, int, double or string.
  v1::Value literal;
  // Of a list.
  std::vector<BringValue> items;
  // Of a block, in order.
  std::vector<BringMember> members;
  // What "@" adds, in order.
  std::vector<BringMember> attributes;
  // The first byte of the value.
  size_t at = 0;
};

struct BringMember {
  std::string name;
  // The name was written as text.
  bool quoted = false;
  BringValue value;
  // The first byte of the name.
  size_t at = 0;
};

struct BringDocument {
  std::string name;
  BringValue block;
};

// INVALID_ARGUMENT as `source` makes it. At most 150 values deep: as many as the deepest filter
// takes.
absl::StatusOr<BringDocument> ParseBring(QuerySource source, size_t max_bytes);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_BRING_PARSER_H_
