#include <utility>

#include "engine/query/plan.h"

namespace cookix::engine {
namespace {

// The filter that matches everything is unset; the one that matches nothing is an empty
// `any`.
bool IsEverything(const v1::Filter& filter) {
  return filter.expression_case() == v1::Filter::EXPRESSION_NOT_SET;
}
bool IsNothing(const v1::Filter& filter) {
  return filter.has_any() && filter.any().operands_size() == 0;
}
v1::Filter Nothing() {
  v1::Filter filter;
  filter.mutable_any();
  return filter;
}

v1::Filter NormalizeList(const v1::FilterList& list, bool all) {
  v1::Filter normal;
  v1::FilterList* out = all ? normal.mutable_all() : normal.mutable_any();
  for (const v1::Filter& operand : list.operands()) {
    v1::Filter each = NormalizeFilter(operand);
    if (all ? IsEverything(each) : IsNothing(each)) continue;
    if (all ? IsNothing(each) : IsEverything(each)) return each;
    if (all ? each.has_all() : each.has_any()) {
      v1::FilterList* inner = all ? each.mutable_all() : each.mutable_any();
      for (v1::Filter& one : *inner->mutable_operands()) *out->add_operands() = std::move(one);
    } else {
      *out->add_operands() = std::move(each);
    }
  }
  if (out->operands_size() == 0) return all ? v1::Filter() : normal;
  if (out->operands_size() == 1) {
    v1::Filter only;
    only.Swap(out->mutable_operands(0));
    return only;
  }
  return normal;
}

}  // namespace

v1::Filter NormalizeFilter(const v1::Filter& filter) {
  if (filter.has_all()) return NormalizeList(filter.all(), true);
  if (filter.has_any()) return NormalizeList(filter.any(), false);
  if (!filter.has_negation()) return filter;
  v1::Filter operand = NormalizeFilter(filter.negation());
  if (IsEverything(operand)) return Nothing();
  if (IsNothing(operand)) return {};
  v1::Filter normal;
  if (operand.has_negation()) {
    normal.Swap(operand.mutable_negation());
  } else {
    normal.mutable_negation()->Swap(&operand);
  }
  return normal;
}

}  // namespace cookix::engine
