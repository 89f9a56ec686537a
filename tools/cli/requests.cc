#include "tools/cli/requests.h"

#include <chrono>
#include <limits>

#include "storage/base/status.h"
#include "tools/cli/where_parser.h"

namespace cookix::cli {

FlagSpec CollectionFlag() {
  return {"collection", "NAME", "the collection (default \"default\")", 'c'};
}
FlagSpec TargetCollectionFlag() {
  return {"target-collection", "NAME", "the target's collection (default that of --collection)"};
}
FlagSpec WhereFlag() {
  return {"where", "FILTER",
          "only objects that match, such as 'size > 1000 AND section = \"devel\"'"};
}
FlagSpec LimitFlag(std::string_view help) { return {"limit", "N", std::string(help)}; }
FlagSpec DirectionFlag() { return {"direction", "out|in|both", "which way edges are followed"}; }

std::vector<FlagSpec> ReadFlags() {
  return {{"min-position", "HEX", "read at or after this position (from an earlier write)"}};
}
std::vector<FlagSpec> WriteFlags() {
  return {{"request-id", "ID", "makes repeating this call harmless"},
          {"wait", "", "also wait until searches see the write"}};
}

std::vector<FlagSpec> Join(std::vector<std::vector<FlagSpec>> lists) {
  std::vector<FlagSpec> all;
  for (auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::vector<FlagSpec> StepFlags() {
  return {{"relation", "NAME", "only these relations", 'r', true},
          {"label", "NAME", "only onto objects with one of these labels", 'l', true},
          WhereFlag(),
          {"follow-inverses", "", "steps that name no relation follow inverses too"},
          {"at", "MS|now", "only edges valid at this time, Unix milliseconds"}};
}

absl::Status FillRead(const Context& context, v1::ReadOptions* options) {
  if (!context.args().Has("min-position")) return absl::OkStatus();
  auto position = FromHex(context.args().Get("min-position"));
  if (!position.ok()) {
    return UsageError("--min-position is not hexadecimal", "--min-position",
                      "pass the \"position\" of an earlier answer");
  }
  options->set_min_position(*std::move(position));
  return absl::OkStatus();
}

absl::Status FillWrite(const Context& context, v1::WriteOptions* options) {
  options->set_request_id(context.args().Get("request-id"));
  options->set_wait_for_views(context.args().Has("wait"));
  return absl::OkStatus();
}

absl::StatusOr<bool> FillWhere(const Context& context, v1::Filter* filter) {
  if (!context.args().Has("where")) return false;
  COOKIX_ASSIGN_OR_RETURN(*filter, ParseWhere(context.args().Get("where")));
  return true;
}

absl::StatusOr<v1::Direction> DirectionOf(const Context& context) {
  const std::string word = context.args().Get("direction", "out");
  if (word == "out") return v1::DIRECTION_OUT;
  if (word == "in") return v1::DIRECTION_IN;
  if (word == "both") return v1::DIRECTION_BOTH;
  return UsageError("--direction is \"" + word + "\"", "--direction", "use out, in or both");
}

absl::StatusOr<int64_t> ValidAt(const Context& context) {
  if (context.args().Get("at") == "now") {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  return context.args().GetInt("at", 0, 0, std::numeric_limits<int64_t>::max());
}

absl::Status FillSteps(const Context& context, v1::StepFilter* steps) {
  for (const std::string& name : context.args().GetAll("relation")) steps->add_relations(name);
  for (const std::string& name : context.args().GetAll("label")) steps->add_labels(name);
  if (context.args().Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, steps->mutable_filter()).status());
  }
  steps->set_follow_inverses(context.args().Has("follow-inverses"));
  COOKIX_ASSIGN_OR_RETURN(int64_t at, ValidAt(context));
  steps->set_valid_at_ms(at);
  return absl::OkStatus();
}

absl::StatusOr<std::pair<std::string, v1::Value>> ParseProperty(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return UsageError("--prop needs name=value, not \"" + std::string(text) + "\"", "--prop",
                      "write --prop size=12 or --prop 'note=two words'");
  }
  const std::string name(text.substr(0, equals));
  const std::string_view raw = text.substr(equals + 1);
  v1::Value value;
  if (const auto integer = ParseInt(raw)) {
    value.set_int_value(*integer);
  } else if (const auto number = ParseDouble(raw)) {
    value.set_double_value(*number);
  } else if (raw == "true" || raw == "false") {
    value.set_bool_value(raw == "true");
  } else if (raw == "null") {
    value.set_null_value(v1::NULL_VALUE_UNSPECIFIED);
  } else if (!raw.empty() && (raw[0] == '[' || raw[0] == '{' || raw[0] == '"')) {
    auto json = ParseJson(raw);
    if (!json.ok()) {
      return UsageError("--prop " + name + ": " + std::string(json.status().message()), "--prop",
                        "text that starts with [, { or \" must be JSON");
    }
    COOKIX_ASSIGN_OR_RETURN(value, ValueFromJson(*json));
  } else {
    value.set_string_value(std::string(raw));
  }
  return std::make_pair(name, std::move(value));
}

absl::StatusOr<v1::Edge> ParseEdge(std::string_view text, std::string_view target_collection) {
  v1::Edge edge;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return UsageError("--edge needs relation:target, not \"" + std::string(text) + "\"", "--edge",
                      "write --edge prevents:rain or --edge prevents:rain:0.5");
  }
  edge.set_relation(std::string(text.substr(0, colon)));
  std::string_view target = text.substr(colon + 1);
  const size_t last = target.rfind(':');
  if (last != std::string_view::npos && last > 0) {
    if (const auto weight = ParseDouble(target.substr(last + 1))) {
      edge.set_weight(*weight);
      target = target.substr(0, last);
    }
  }
  edge.mutable_target()->set_key(std::string(target));
  edge.mutable_target()->set_collection(std::string(target_collection));
  return edge;
}

}  // namespace cookix::cli
