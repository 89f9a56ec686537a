// Flags that several commands share, and how they become parts of requests.
#ifndef COOKIX_TOOLS_CLI_REQUESTS_H_
#define COOKIX_TOOLS_CLI_REQUESTS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "tools/cli/command.h"

namespace cookix::cli {

FlagSpec CollectionFlag();
FlagSpec TargetCollectionFlag();
FlagSpec WhereFlag();
FlagSpec LimitFlag(std::string_view help);
// --min-position, --request-id, --wait.
std::vector<FlagSpec> ReadFlags();
std::vector<FlagSpec> WriteFlags();
std::vector<FlagSpec> Join(std::vector<std::vector<FlagSpec>> lists);

absl::Status FillRead(const Context& context, v1::ReadOptions* options);
absl::Status FillWrite(const Context& context, v1::WriteOptions* options);
// Leaves the filter unset without --where.
absl::StatusOr<bool> FillWhere(const Context& context, v1::Filter* filter);
// --direction out|in|both.
absl::StatusOr<v1::Direction> DirectionOf(const Context& context);
FlagSpec DirectionFlag();
// --relation (repeated), --label, --where, --follow-inverses, --valid-at.
std::vector<FlagSpec> StepFlags();
absl::Status FillSteps(const Context& context, v1::StepFilter* steps);
// --at MS | now; 0 without it.
absl::StatusOr<int64_t> ValidAt(const Context& context);

// "name=value": a whole number, a number, true or false, JSON in [] or {} or in
// double quotes, null; else text.
absl::StatusOr<std::pair<std::string, v1::Value>> ParseProperty(std::string_view text);
// "relation:target[:weight]". A trailing part counts as weight only when it is a
// number.
absl::StatusOr<v1::Edge> ParseEdge(std::string_view text, std::string_view target_collection);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_REQUESTS_H_
