// What ids of the catalog were called when a commit was made.
#ifndef COOKIX_ENGINE_WATCH_COMMIT_NAMES_H_
#define COOKIX_ENGINE_WATCH_COMMIT_NAMES_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "cookix/internal/v1/records.pb.h"
#include "engine/catalog/catalog.h"

namespace cookix::engine {

// Names are those that the commit's change carries. Where it carries none, for it was logged by
// an early version, they are those that `catalog` has: of that commit or a later one, so that
// what was dropped since is not found. Borrows both; names live as long as they do.
class CommitNames {
 public:
  CommitNames(const internal::v1::ChangeRecord& change, const Catalog& catalog);

  std::optional<std::string_view> Namespace(NamespaceId ns) const;
  std::optional<std::string_view> Collection(NamespaceId ns, CollectionId collection) const;
  std::optional<std::string_view> Relation(NamespaceId ns, RelationId relation) const;

 private:
  using What = internal::v1::CatalogName::WhatCase;
  using Id = std::tuple<NamespaceId, What, uint32_t>;
  std::optional<std::string_view> Find(const Id& id) const;

  const Catalog& catalog_;
  absl::flat_hash_map<Id, std::string_view> names_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WATCH_COMMIT_NAMES_H_
