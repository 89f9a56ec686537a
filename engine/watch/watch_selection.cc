#include "engine/watch/watch_selection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/records.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int kMaxNames = 1000;

bool Has(const absl::flat_hash_set<std::string>& names, std::string_view name) {
  return names.empty() || names.contains(ToAbsl(name));
}

template <typename Names>
absl::Status AddNames(const Names& names, const std::string& field,
                      absl::flat_hash_set<std::string>* added) {
  if (names.size() > kMaxNames) {
    return LimitExceeded(field, absl::StrCat(names.size(), " names, more than ", kMaxNames),
                         "Name fewer, or none for all");
  }
  added->insert(names.begin(), names.end());
  return absl::OkStatus();
}

template <typename Collections>
absl::Status AddCollections(const Collections& names, const std::string& field,
                            ChangeSelection* selection) {
  COOKIX_RETURN_IF_ERROR(AddNames(names, field, &selection->collections));
  if (selection->collections.erase("") > 0) {
    selection->collections.insert(std::string(kDefaultName));
  }
  return absl::OkStatus();
}

template <typename Kinds>
absl::Status AddKinds(const Kinds& kinds, const std::string& field, ChangeSelection* selection) {
  for (int i = 0; i < kinds.size(); ++i) {
    const auto kind = static_cast<v1::ChangeKind>(kinds[i]);
    if (kind == v1::CHANGE_KIND_UNSPECIFIED || !v1::ChangeKind_IsValid(kind)) {
      return InvalidField(absl::StrCat(field, "[", i, "]"), "the kind of change is unknown",
                          "Name created, updated or deleted, or none for all");
    }
    selection->kinds |= 1U << kind;
  }
  if (kinds.empty()) selection->kinds = ~0U;
  return absl::OkStatus();
}

// Edges have properties and a version.
bool FitsEdges(const FilterNode& node) {
  return (node.field == FilterField::kProperty || node.field == FilterField::kVersion) &&
         std::all_of(node.operands.begin(), node.operands.end(), FitsEdges);
}

absl::Status CompileObjects(const v1::ObjectSelection& request, const Limits& limits,
                            ChangeSelection* selection) {
  selection->wanted = true;
  COOKIX_RETURN_IF_ERROR(AddCollections(request.collections(), "objects.collections", selection));
  COOKIX_RETURN_IF_ERROR(AddKinds(request.kinds(), "objects.kinds", selection));
  COOKIX_ASSIGN_OR_RETURN(selection->filter,
                          CompiledFilter::Compile(request.filter(), "objects.filter", limits));
  return absl::OkStatus();
}

absl::Status CompileEdges(const v1::EdgeSelection& request, const Limits& limits,
                          ChangeSelection* selection) {
  selection->wanted = true;
  COOKIX_RETURN_IF_ERROR(AddNames(request.relations(), "edges.relations", &selection->relations));
  for (const std::string& name : selection->relations) {
    if (!name.empty() && static_cast<int64_t>(name.size()) <= limits.max_name_bytes) continue;
    return InvalidField("edges.relations", "a relation has a length that no relation has",
                        absl::StrCat("Use 1 to ", limits.max_name_bytes, " bytes"));
  }
  COOKIX_RETURN_IF_ERROR(AddCollections(request.collections(), "edges.collections", selection));
  COOKIX_RETURN_IF_ERROR(AddKinds(request.kinds(), "edges.kinds", selection));
  COOKIX_ASSIGN_OR_RETURN(selection->filter,
                          CompiledFilter::Compile(request.filter(), "edges.filter", limits));
  if (!FitsEdges(selection->filter->root())) {
    return InvalidField("edges.filter", "the filter asks for a system field that edges do not have",
                        "Name properties of edges, or $version");
  }
  return absl::OkStatus();
}

}  // namespace

bool ChangeSelection::WantsCollection(std::string_view name) const {
  return Has(collections, name);
}

bool ChangeSelection::WantsRelation(std::string_view name) const { return Has(relations, name); }

bool ChangeSelection::Sends(v1::ChangeKind kind, bool matched, bool matches,
                            v1::FilterTransition* transition) const {
  if (kind == v1::CHANGE_KIND_CREATED) return matches;
  if (kind == v1::CHANGE_KIND_DELETED) return matched;
  if (matched != matches) {
    *transition = matches ? v1::FILTER_TRANSITION_ENTERED : v1::FILTER_TRANSITION_LEFT;
  }
  return matched || matches;
}

absl::StatusOr<WatchSelection> WatchSelection::Compile(const v1::WatchRequest& request,
                                                       const Limits& limits) {
  WatchSelection selection;
  selection.namespace_name =
      request.namespace_().empty() ? std::string(kDefaultName) : request.namespace_();
  const bool all = !request.has_objects() && !request.has_edges();
  if (request.has_objects() || all) {
    COOKIX_RETURN_IF_ERROR(CompileObjects(request.objects(), limits, &selection.objects));
  }
  if (request.has_edges() || all) {
    COOKIX_RETURN_IF_ERROR(CompileEdges(request.edges(), limits, &selection.edges));
  }
  selection.mask = request.objects().mask();
  selection.with_before = request.with_before();
  selection.with_after = !request.without_after();
  selection.with_definitions = request.with_definitions();
  return selection;
}

}  // namespace cookix::engine
