// Filters: one expression tree over properties, labels and system fields.
//
// A proto Filter is checked and compiled once. A compiled filter can be asked of
// one record (the truth), or evaluated by the field index view into a bitmap of
// ordinals (FieldIndexView::Evaluate), which every engine then consults.
//
// What a filter means:
//   * A field that is missing or null satisfies no comparison, NOT_EQUAL included;
//     a negation is plain logic, so the negation of EQUAL holds for it.
//   * Integers and doubles compare by value, exactly, beyond 2^53 too. Text orders
//     by its bytes. Truth values and bytes know only EQUAL and NOT_EQUAL. Values of
//     different kinds satisfy no comparison, NOT_EQUAL included.
//   * A list satisfies what any of its elements satisfies, at any depth.
//   * A dotted name means every way to read it (see VisitProperty in
//     filter_node.h). Existence holds for maps and for empty lists too.
//   * $label reads like a list. $expires_ms is missing from what never expires.
#ifndef COOKIX_ENGINE_FILTER_FILTER_H_
#define COOKIX_ENGINE_FILTER_FILTER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/filter/filter_node.h"
#include "engine/limits.h"

namespace cookix::engine {

// A checked filter. Immutable, thread-safe.
class CompiledFilter {
 public:
  // INVALID_ARGUMENT naming the path inside `field` for anything malformed:
  // unset or unknown operators, comparisons with lists, NaN, too deep, too large.
  // An unset filter, nested ones included, compiles to one that matches everything.
  static absl::StatusOr<std::shared_ptr<const CompiledFilter>> Compile(const v1::Filter& filter,
                                                                       std::string_view field,
                                                                       const Limits& limits);

  // A filter that holds for objects with any of `labels`; everything when empty.
  static std::shared_ptr<const CompiledFilter> AnyLabel(const std::vector<std::string>& labels);

  // Both hold. Null operands match everything.
  static std::shared_ptr<const CompiledFilter> And(std::shared_ptr<const CompiledFilter> a,
                                                   std::shared_ptr<const CompiledFilter> b);

  bool matches_everything() const { return matches_everything_; }

  // True when the object matches. Dangling targets match only filters that
  // match everything. `collection` is the name of its collection.
  bool Matches(const internal::v1::ObjectRecord& record, std::string_view collection) const;

  const v1::Filter& filter() const { return filter_; }
  const FilterNode& root() const { return root_; }
  // Equal for equal filters: the key of caches.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  CompiledFilter(v1::Filter filter, FilterNode root);
  v1::Filter filter_;
  FilterNode root_;
  std::string fingerprint_;
  bool matches_everything_ = false;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILTER_FILTER_H_
