#include "engine/watch/commit_names.h"

namespace cookix::engine {

using internal::v1::CatalogName;

CommitNames::CommitNames(const internal::v1::ChangeRecord& change, const Catalog& catalog)
    : catalog_(catalog) {
  for (const CatalogName& name : change.names()) {
    const uint32_t id = name.has_collection_id() ? name.collection_id() : name.relation_id();
    names_[{name.namespace_id(), name.what_case(), id}] = name.name();
  }
}

std::optional<std::string_view> CommitNames::Find(const Id& id) const {
  const auto it = names_.find(id);
  if (it == names_.end()) return std::nullopt;
  return it->second;
}

std::optional<std::string_view> CommitNames::Namespace(NamespaceId ns) const {
  if (ns == kDefaultNamespaceId) return kDefaultName;
  if (const auto name = Find({ns, CatalogName::WHAT_NOT_SET, 0})) return name;
  const auto info = catalog_.namespaces_by_id.find(ns);
  if (info == catalog_.namespaces_by_id.end()) return std::nullopt;
  return info->second->record.name();
}

std::optional<std::string_view> CommitNames::Collection(NamespaceId ns,
                                                        CollectionId collection) const {
  if (collection == kDefaultCollectionId) return kDefaultName;
  if (const auto name = Find({ns, CatalogName::kCollectionId, collection})) return name;
  const auto info = catalog_.namespaces_by_id.find(ns);
  if (info == catalog_.namespaces_by_id.end()) return std::nullopt;
  const CollectionInfo* found = info->second->FindCollection(collection);
  if (found == nullptr) return std::nullopt;
  return found->record.collection().name();
}

std::optional<std::string_view> CommitNames::Relation(NamespaceId ns, RelationId relation) const {
  if (const auto name = Find({ns, CatalogName::kRelationId, relation})) return name;
  const auto info = catalog_.namespaces_by_id.find(ns);
  if (info == catalog_.namespaces_by_id.end()) return std::nullopt;
  const RelationInfo* found = info->second->FindRelation(relation);
  if (found == nullptr) return std::nullopt;
  return found->record.relation().name();
}

}  // namespace cookix::engine
