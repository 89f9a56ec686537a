// What a watch asks for, checked.
#ifndef COOKIX_ENGINE_WATCH_WATCH_SELECTION_H_
#define COOKIX_ENGINE_WATCH_WATCH_SELECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "cookix/v1/watch_service.pb.h"
#include "engine/filter/filter.h"
#include "engine/limits.h"

namespace cookix::engine {

// Of objects or of edges.
struct ChangeSelection {
  // False: no change of them.
  bool wanted = false;
  // Empty = all. "default" is spelt out.
  absl::flat_hash_set<std::string> collections;
  absl::flat_hash_set<std::string> relations;  // of edges
  std::shared_ptr<const CompiledFilter> filter;
  // Bits of ChangeKind.
  uint32_t kinds = 0;

  bool WantsKind(v1::ChangeKind kind) const { return wanted && (kinds >> kind & 1) != 0; }
  bool WantsCollection(std::string_view name) const;
  bool WantsRelation(std::string_view name) const;

  // Whether a change of this kind is sent, by whether the filter matches what was before and
  // what is after, and what it means for the filter.
  bool Sends(v1::ChangeKind kind, bool matched, bool matches,
             v1::FilterTransition* transition) const;
};

struct WatchSelection {
  // INVALID_ARGUMENT naming the field.
  static absl::StatusOr<WatchSelection> Compile(const v1::WatchRequest& request,
                                                const Limits& limits);

  // "default" is spelt out.
  std::string namespace_name;
  ChangeSelection objects;
  ChangeSelection edges;
  v1::ObjectMask mask;
  bool with_before = false;
  bool with_after = true;
  bool with_definitions = false;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WATCH_WATCH_SELECTION_H_
