// SEARCH statements: queries as a line of text.
//
//   statement = "SEARCH" name { start } { follow } { result }
//
//   start     = [ "ANY" | "ALL" | "PHRASE" | "RAW" ] text [ "IN" names ]
//             | "NEAR" ( "KEY" text | "VECTOR" "[" number { "," number } "]" )
//               [ "IN" name ] [ "EXACT" ]
//             | "ALPHA" number                  the weight of NEAR beside words
//             | "TOP" integer                   the best of the search to go on with
//             | "MIN" "SCORE" number
//             | "KEYS" "(" text { "," text } ")"
//             | "WHERE" condition
//   follow    = "FOLLOW" ( "*" | names ) { "OUT" | "IN" | "BOTH" | "HOPS" integer
//             | "INVERSES" } [ "WHERE" condition ]
//   result    = "AT" integer                    edges valid at this time, in ms
//             | "RETURN" item { "," item }
//             | "GROUP" "BY" names
//             | "ORDER" "BY" name [ "ASC" | "DESC" ] { "," name [ "ASC" | "DESC" ] }
//             | "LIMIT" integer
//             | "OFFSET" integer
//   item      = "*" | name | function "(" [ "*" | name ] ")" [ "AS" name ]
//   function  = "COUNT" | "SUM" | "MIN" | "MAX" | "AVG"
//
//   condition = all { "OR" all }
//   all       = test { "AND" test }
//   test      = "NOT" test | "(" condition ")"
//             | name ( "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) literal
//             | name [ "NOT" ] "IN" "(" [ literal { "," literal } ] ")"
//             | name [ "NOT" ] "LIKE" text      only as a prefix: 'x%'
//             | name "IS" [ "NOT" ] "NULL"
//   literal   = text | number | "TRUE" | "FALSE" | "x'" hexadecimal digits "'"
//   names     = name { "," name }
//
// Each start and each result stands once, in any order among its like. Keywords may be in
// any case and are no reserved words: a name is read wherever one is expected, except that
// NOT begins a test. A name is letters, digits, _ $ . - and anything beyond ASCII, not
// beginning with a digit, "." or "-"; or any text in double quotes. Text is in single
// quotes. A quote within quotes is written twice. Numbers are JSON's; one with a fraction
// or an exponent is a double. In LIKE, a backslash before %, _ or a backslash takes its
// meaning away.
//
// NOT is plain logic: NOT (price > 3) holds for what has no price, as in filters.
#ifndef COOKIX_ENGINE_QUERY_SEARCH_PARSER_H_
#define COOKIX_ENGINE_QUERY_SEARCH_PARSER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/limits.h"

namespace cookix::engine {

// INVALID_ARGUMENT about `field` with line, column, byte and what was expected. What the
// grammar does not know of (limits, fields that exclude each other) is left to compiling.
absl::StatusOr<v1::BuilderQuery> ParseSearch(std::string_view text, const Limits& limits,
                                             std::string_view field);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_SEARCH_PARSER_H_
