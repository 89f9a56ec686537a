// Text fields, words and lanes of searches as command lines say them.
#ifndef COOKIX_TOOLS_CLI_SEARCH_ARGUMENTS_H_
#define COOKIX_TOOLS_CLI_SEARCH_ARGUMENTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "tools/cli/command.h"

namespace cookix::cli {

// "NAME[:PART]…", where the parts, in any order, are a language of two letters, a boost,
// "source=PROPERTY" ("source=$content" for the content), a switch (no-stemming,
// no-stop-words, no-case-folding, no-accent-folding, no-positions, by-name,
// by-default) or "stop=WORD". What is not said is left to the server. Errors name
// --text-field.
absl::StatusOr<v1::TextField> ParseTextField(std::string_view text);
// What there is to say of a field beside its name, on one line: "en boost=2 by-name".
std::string TextFieldSettings(const v1::TextField& field);

// any, all, phrase or raw; "" for UNSPECIFIED.
absl::StatusOr<v1::TextQueryMode> ParseTextMode(std::string_view word, std::string_view flag);
// rrf or normalized; "" for UNSPECIFIED.
absl::StatusOr<v1::FusionMethod> ParseFusion(std::string_view word, std::string_view flag);

// "KIND[,SETTING=VALUE]…:QUERY"; see `cookix help lanes`. Errors name --lane.
absl::StatusOr<v1::SearchLane> ParseLane(Context& context, const std::string& text);

// The parts between commas, none of them empty.
std::vector<std::string> SplitNames(std::string_view text);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_SEARCH_ARGUMENTS_H_
