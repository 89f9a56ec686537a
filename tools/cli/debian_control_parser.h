// Package indexes in the control format of Debian: paragraphs of fields.
#ifndef COOKIX_TOOLS_CLI_DEBIAN_CONTROL_PARSER_H_
#define COOKIX_TOOLS_CLI_DEBIAN_CONTROL_PARSER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace cookix::cli {

// A paragraph: lower-case field name to value. Folded lines are joined with
// '\n', without their leading space; a line of " ." is an empty one.
using ControlParagraph = std::map<std::string, std::string, std::less<>>;

// One package of a relationship field.
struct PackageRelation {
  std::string name;      // without architecture qualifier
  std::string arch;      // "any", "amd64" … after a colon; empty = none
  std::string relation;  // << <= = >= >>, or empty
  std::string version;   // empty without a relation
};
// "a | b": any one of them will do.
using Alternatives = std::vector<PackageRelation>;

// Calls `paragraph` for each one; stops when it returns false. INVALID_ARGUMENT
// names the line that has neither a field nor a continuation.
absl::Status ParseControl(std::string_view text,
                          absl::FunctionRef<bool(ControlParagraph&&)> paragraph);

// "a (>= 1), b:any | c [amd64]": the groups, in order. Architecture lists in
// brackets and build profiles in angle brackets are dropped. Pieces that are not
// a package name are left out.
std::vector<Alternatives> ParseRelationField(std::string_view field);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_DEBIAN_CONTROL_PARSER_H_
