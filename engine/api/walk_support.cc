#include "engine/api/walk_support.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {

absl::StatusOr<int64_t> CheckedSize(int64_t asked, int64_t by_default, int64_t most,
                                    std::string_view field) {
  if (asked < 0) {
    return InvalidField(field, absl::StrCat(std::string(field), " is negative"),
                        "Send 1 or more, or 0 for the default");
  }
  if (asked > most) {
    return LimitExceeded(field,
                         absl::StrCat(std::string(field), " is ", asked, ", more than ", most),
                         "Ask for less");
  }
  return asked == 0 ? by_default : asked;
}

absl::StatusOr<v1::Direction> CheckedDirection(v1::Direction direction) {
  COOKIX_RETURN_IF_ERROR(CheckDirection(direction, "direction"));
  return direction == v1::DIRECTION_UNSPECIFIED ? v1::DIRECTION_OUT : direction;
}

absl::StatusOr<Ordinal> KnownOrdinal(const NamespaceView& view, const v1::ObjectRef& ref,
                                     std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, view.FindOrdinal(ref, field));
  if (ordinal != 0) return ordinal;
  return NotFound("OBJECT_NOT_FOUND", field,
                  absl::StrCat("object \"", ref.key(),
                               "\" does not exist, and nothing points "
                               "at it"),
                  "Check collection and key");
}

absl::StatusOr<std::shared_ptr<const OrdinalSet>> MatchingObjects(
    Database& database, const CallContext& context, const NamespaceView& view,
    const v1::Filter& filter, std::string_view field,
    const google::protobuf::RepeatedPtrField<std::string>& labels) {
  COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledFilter> compiled,
                          CompiledFilter::Compile(filter, field, database.limits()));
  if (!labels.empty()) {
    compiled =
        CompiledFilter::And(compiled, CompiledFilter::AnyLabel({labels.begin(), labels.end()}));
  }
  if (compiled->matches_everything()) return std::shared_ptr<const OrdinalSet>();
  return database.Evaluate(context, view, *compiled);
}

absl::Status FillWalkedObject(const NamespaceView& view, Ordinal ordinal, v1::Object* object) {
  internal::v1::ObjectRecord record;
  COOKIX_ASSIGN_OR_RETURN(const bool found, view.ReadRecord(ordinal, &record));
  if (!found) {
    return Corruption(absl::StrCat("object ", ordinal, " has edges but no record"),
                      "Restore the store from a checkpoint");
  }
  *object = view.ToObject(std::move(record));
  return absl::OkStatus();
}

absl::Status FillPath(const NamespaceView& view, Ordinal anchor, const std::vector<Step>& steps,
                      int64_t valid_at_ms, v1::Path* path) {
  Ordinal at = anchor;
  const v1::ObjectRef* at_ref = nullptr;
  double weight = 0;
  for (const Step& step : steps) {
    v1::PathStep* out = path->add_steps();
    COOKIX_RETURN_IF_ERROR(FillStep(view, at, at_ref, step, valid_at_ms, out));
    at_ref = step.reversed ? &out->source() : &out->target();
    weight += step.weight;
    at = step.to;
  }
  path->set_weight(weight);
  return absl::OkStatus();
}

void LimitTime(CallContext& context, const Limits& limits) {
  context.set_deadline(
      std::min(context.deadline(),
               CallContext::Clock::now() + std::chrono::milliseconds(limits.max_query_ms)));
}

}  // namespace cookix::engine
