// Queries as `bring` documents. The seeds define the format (bring_parser.h) and leave
// open what a query is in it; this is what it is here. Every member of a document is a
// member of BuilderQuery, so that documents can say whatever builders can:
//
//   bring papers {
//     keys = ["a", "b"]                       start from these
//     search = "wet coat" @mode="all"         or from what is found by words,
//     near = [0.1, 0.9] @field="embedding"    by a vector, or near = "key" of an object
//     lanes = [{ search = "rain" weight = 2.0 }
//            , { around { anchors = ["umbrella"] relations = ["causes"] hops = 2 } }]
//     fusion { method = "normalized_score" alpha = 0.7 rank_constant = 60 }
//     top = 5                                 the best of the search to go on with
//     min_score = 0.25
//     snippets { fields = ["title"] max_words = 10 max_snippets = 1 }
//     where { year = { gte = 2020 } }
//     follow = ["causes"] @hops=2             any number of these, done in order
//     at = 1700000000000                      edges valid at this time, in ms
//     select = ["title", "$content"]
//     aggregates = ["count", "sum" @field="price" @name="total"]
//     group = ["year"]
//     order = ["year" @desc=true, "$key"]
//     limit = 10
//     offset = 20
//   }
//
// A value with attributes and a block are the same thing written in two ways: the
// attributes are the other members of the block. What stands before them is
//
//   search      text       other members: mode ("any", "all", "phrase", "raw"), fields,
//                          boosts { title = 2.0 }
//   near        key when it is text, else vector; other members: field, ef, cells,
//                          exact, metric, indices (then vector has the weights),
//                          bits (in hexadecimal, instead of vector)
//   follow      relations, [] for any; other members: hops, direction ("out", "in",
//                          "both"), inverses, where { }
//   order       field; other member: desc
//   aggregates  function ("count", "sum", "min", "max", "avg"); other members: field, name
//   lanes       are blocks of name, weight, candidates and one of search, near, around
//   around      anchors, each a key or { collection = "c" key = "k" }; other members:
//                          relations, hops
//
// A member of where is a field and what must hold of it; all of them must:
//
//   status = "open"                equal
//   status = ["open", "held"]      equal to one of these
//   status = null                  missing or null
//   price = { gt = 3 lte = 5 }     all of eq, ne, gt, gte, lt, lte, in, prefix, exists
//   all = [{ } , { }]              all of these; any = [{ }, { }]; not { }
//
// A field called all, any or not is written in double quotes.
#ifndef COOKIX_ENGINE_QUERY_BRING_QUERY_H_
#define COOKIX_ENGINE_QUERY_BRING_QUERY_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/limits.h"

namespace cookix::engine {

// INVALID_ARGUMENT about `field` with line, column, byte and what was expected. Limits and
// fields that exclude each other are left to compiling.
absl::StatusOr<v1::BuilderQuery> ParseBringQuery(std::string_view text, const Limits& limits,
                                                 std::string_view field);

// A document from which ParseBringQuery() makes a query with the same plan. Nothing for
// what the format cannot write: filters on bytes, numbers that are not finite, and text
// with the character NUL. `query` was compiled without an error.
std::optional<std::string> WriteBring(const v1::BuilderQuery& query);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_BRING_QUERY_H_
