// Filters as people write them, into the filter of the wire.
//
//   size > 1000 AND section = "devel"
//   NOT (section IN (games, "x11")) OR $key ^= "lib"
//   EXISTS homepage
//
// Operators: = == != <> < <= > >= and ^= (starts with). Words AND, OR, NOT, IN,
// EXISTS, TRUE and FALSE in any case. NOT binds tighter than AND, AND tighter
// than OR. Values: numbers, true, false, text in single or double quotes (with
// backslash escapes) or a bare word. A field with other characters than letters,
// digits and _ . $ - is written in back quotes.
#ifndef COOKIX_TOOLS_CLI_WHERE_PARSER_H_
#define COOKIX_TOOLS_CLI_WHERE_PARSER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"

namespace cookix::cli {

// INVALID_ARGUMENT names the column, counted in characters from 1. At most 64
// levels deep.
absl::StatusOr<v1::Filter> ParseWhere(std::string_view text);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_WHERE_PARSER_H_
