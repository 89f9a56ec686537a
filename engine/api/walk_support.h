// What the calls that walk have in common: checking fields and filling answers.
#ifndef COOKIX_ENGINE_API_WALK_SUPPORT_H_
#define COOKIX_ENGINE_API_WALK_SUPPORT_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/graph_service.pb.h"
#include "engine/call_context.h"
#include "engine/database.h"
#include "engine/filter/ordinal_set.h"
#include "engine/graph/geodesic.h"
#include "engine/graph/steps.h"
#include "engine/read_view.h"

namespace cookix::engine {

// INVALID_FIELD when negative, LIMIT_EXCEEDED when above `most`; 0 becomes
// `by_default`.
absl::StatusOr<int64_t> CheckedSize(int64_t asked, int64_t by_default, int64_t most,
                                    std::string_view field);
absl::StatusOr<v1::Direction> CheckedDirection(v1::Direction direction);

// The ordinal of a reference that must be known: OBJECT_NOT_FOUND when nothing has it
// or refers to it.
absl::StatusOr<Ordinal> KnownOrdinal(const NamespaceView& view, const v1::ObjectRef& ref,
                                     std::string_view field);

// Objects that match both; null when everything does.
absl::StatusOr<std::shared_ptr<const OrdinalSet>> MatchingObjects(
    Database& database, const CallContext& context, const NamespaceView& view,
    const v1::Filter& filter, std::string_view field,
    const google::protobuf::RepeatedPtrField<std::string>& labels);

// The object of an ordinal, dangling ones included.
absl::Status FillWalkedObject(const NamespaceView& view, Ordinal ordinal, v1::Object* object);

absl::Status FillPath(const NamespaceView& view, Ordinal anchor, const std::vector<Step>& steps,
                      int64_t valid_at_ms, v1::Path* path);

// Gives a call without a deadline the longest time that a query may take.
void LimitTime(CallContext& context, const Limits& limits);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_WALK_SUPPORT_H_
