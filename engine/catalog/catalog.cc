#include "engine/catalog/catalog.h"

namespace cookix::engine {

const RelationInfo* NamespaceInfo::FindRelation(std::string_view name) const {
  auto it = relations.find(name);
  return it == relations.end() ? nullptr : it->second.get();
}

const RelationInfo* NamespaceInfo::FindRelation(RelationId relation) const {
  return relation < relations_by_id.size() ? relations_by_id[relation].get() : nullptr;
}

const CollectionInfo* NamespaceInfo::FindCollection(std::string_view name) const {
  auto it = collections.find(name.empty() ? kDefaultName : name);
  return it == collections.end() ? nullptr : it->second.get();
}

const CollectionInfo* NamespaceInfo::FindCollection(CollectionId collection) const {
  auto it = collections_by_id.find(collection);
  return it == collections_by_id.end() ? nullptr : it->second.get();
}

std::shared_ptr<const NamespaceInfo> Catalog::Find(std::string_view name) const {
  auto it = namespaces.find(name.empty() ? kDefaultName : name);
  return it == namespaces.end() ? nullptr : it->second;
}

std::shared_ptr<const NamespaceInfo> Catalog::Find(NamespaceId id) const {
  auto it = namespaces_by_id.find(id);
  return it == namespaces_by_id.end() ? nullptr : it->second;
}

}  // namespace cookix::engine
