#include "engine/catalog/catalog_store.h"

#include <algorithm>
#include <map>

#include "engine/vector/vector_field.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

// Of the records that count, before the namespace's number.
constexpr char kCounterPrefix = 'k';

absl::Status Malformed() {
  return Corruption("a catalog record is malformed", "Restore the store from a checkpoint");
}

std::string Prefixed(char prefix, NamespaceId ns, std::string_view name) {
  std::string key(1, prefix);
  PutBigEndian32(&key, ns);
  key.append(name);
  return key;
}

}  // namespace

std::string NamespaceRecordKey(std::string_view name) { return "n" + std::string(name); }
std::string CollectionRecordKey(NamespaceId ns, std::string_view name) {
  return Prefixed('c', ns, name);
}
std::string RelationRecordKey(NamespaceId ns, std::string_view name) {
  return Prefixed('r', ns, name);
}
std::string NextNamespaceIdKey() { return "i"; }
std::string SequencesKey(NamespaceId ns) { return Prefixed(kCounterPrefix, ns, "n"); }
std::string ObjectCountKey(NamespaceId ns, CollectionId collection) {
  std::string key = Prefixed(kCounterPrefix, ns, "o");
  PutBigEndian32(&key, collection);
  return key;
}
std::string EdgeCountKey(NamespaceId ns, RelationId relation) {
  std::string key = Prefixed(kCounterPrefix, ns, "r");
  PutBigEndian32(&key, relation);
  return key;
}
std::string TombstoneKey(uint64_t commit, uint32_t sequence) {
  std::string key = "t";
  PutBigEndian64(&key, commit);
  PutBigEndian32(&key, sequence);
  return key;
}
std::string ExpiryKey(int64_t expires_ms, NamespaceId ns, Ordinal ordinal) {
  std::string key = "x";
  PutBigEndian64(&key, static_cast<uint64_t>(expires_ms));
  PutBigEndian32(&key, ns);
  PutBigEndian64(&key, ordinal);
  return key;
}
bool DecodeExpiryKey(std::string_view key, int64_t* expires_ms, NamespaceId* ns, Ordinal* ordinal) {
  if (key.empty() || key.front() != 'x') return false;
  key.remove_prefix(1);
  uint64_t time;
  if (!GetBigEndian64(&key, &time) || !GetBigEndian32(&key, ns) || !GetBigEndian64(&key, ordinal) ||
      !key.empty()) {
    return false;
  }
  *expires_ms = static_cast<int64_t>(time);
  return true;
}

bool NamespaceOfCounter(std::string_view key, NamespaceId* ns) {
  if (key.empty() || key.front() != kCounterPrefix) return false;
  key.remove_prefix(1);
  return GetBigEndian32(&key, ns) && !key.empty();
}

bool ReadCounter(std::string_view key, std::string_view value, NamespaceCounters* counters) {
  NamespaceId ns;
  if (!NamespaceOfCounter(key, &ns)) return false;
  key.remove_prefix(1 + sizeof(ns));
  const char kind = key.front();
  key.remove_prefix(1);
  if (kind == 'n') {
    return key.empty() && GetFixed64(&value, &counters->next_ordinal) &&
           GetFixed64(&value, &counters->next_edge_id);
  }
  uint32_t id = 0;
  uint64_t number = 0;
  if ((kind != 'o' && kind != 'r') || !GetBigEndian32(&key, &id) || !key.empty() ||
      !GetFixed64(&value, &number)) {
    return false;
  }
  (kind == 'o' ? counters->objects : counters->edges)[id] = static_cast<int64_t>(number);
  return true;
}

void ResolveRelations(NamespaceInfo* ns) {
  RelationId top = 0;
  for (const auto& [name, relation] : ns->relations) top = std::max(top, relation->id);
  ns->relations_by_id.assign(top + 1, nullptr);
  for (auto& [name, relation] : ns->relations) {
    RelationId inverse = 0;
    if (auto it = ns->relations.find(relation->record.relation().inverse());
        !relation->record.relation().inverse().empty() && it != ns->relations.end()) {
      inverse = it->second->id;
    }
    if (relation->inverse != inverse) {
      auto changed = std::make_shared<RelationInfo>(*relation);
      changed->inverse = inverse;
      relation = std::move(changed);
    }
    ns->relations_by_id[relation->id] = relation;
  }
}

absl::StatusOr<LoadedCatalog> LoadCatalog(const storage::Snapshot& snapshot) {
  LoadedCatalog loaded;
  std::map<NamespaceId, std::shared_ptr<NamespaceInfo>> namespaces;
  auto scan = [&](std::string_view prefix, auto&& each) -> absl::Status {
    auto it = snapshot.Scan(Family::kCatalog, storage::PrefixBounds(prefix));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      std::string_view key = it->key();
      key.remove_prefix(prefix.size());
      COOKIX_RETURN_IF_ERROR(each(key, it->value()));
    }
    return it->status();
  };
  COOKIX_RETURN_IF_ERROR(scan("n", [&](std::string_view, std::string_view value) -> absl::Status {
    auto ns = std::make_shared<NamespaceInfo>();
    if (!ns->record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      return Malformed();
    }
    ns->id = ns->record.id();
    namespaces[ns->id] = ns;
    return absl::OkStatus();
  }));
  COOKIX_RETURN_IF_ERROR(
      scan("c", [&](std::string_view key, std::string_view value) -> absl::Status {
        NamespaceId id;
        auto info = std::make_shared<CollectionInfo>();
        if (!GetBigEndian32(&key, &id) ||
            !info->record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          return Malformed();
        }
        info->id = info->record.id();
        for (v1::VectorField& field : *info->record.mutable_collection()->mutable_vector_fields()) {
          absl::StatusOr<v1::VectorField> resolved = ResolveStoredVectorField(field);
          if (!resolved.ok()) return Malformed();
          field = *std::move(resolved);
        }
        // Records of a namespace being dropped are left to the collector.
        if (auto it = namespaces.find(id); it != namespaces.end()) {
          it->second->collections[std::string(key)] = info;
          it->second->collections_by_id[info->id] = info;
        }
        return absl::OkStatus();
      }));
  COOKIX_RETURN_IF_ERROR(
      scan("r", [&](std::string_view key, std::string_view value) -> absl::Status {
        NamespaceId id;
        auto info = std::make_shared<RelationInfo>();
        if (!GetBigEndian32(&key, &id) ||
            !info->record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          return Malformed();
        }
        info->id = info->record.id();
        if (auto it = namespaces.find(id); it != namespaces.end()) {
          it->second->relations[std::string(key)] = info;
        }
        return absl::OkStatus();
      }));
  COOKIX_RETURN_IF_ERROR(
      scan("k", [&](std::string_view rest, std::string_view value) -> absl::Status {
        const std::string key = kCounterPrefix + std::string(rest);
        NamespaceId ns;
        if (!NamespaceOfCounter(key, &ns)) return Malformed();
        if (namespaces.count(ns) == 0) return absl::OkStatus();
        return ReadCounter(key, value, &loaded.counters[ns]) ? absl::OkStatus() : Malformed();
      }));
  COOKIX_RETURN_IF_ERROR(
      scan("t", [&](std::string_view key, std::string_view value) -> absl::Status {
        internal::v1::TombstoneRecord record;
        if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          return Malformed();
        }
        if (record.has_edges()) {
          if (auto it = namespaces.find(record.edges().namespace_id()); it != namespaces.end()) {
            auto& table = record.edges().scope() == internal::v1::TOMBSTONE_SCOPE_BOTH
                              ? it->second->tombstones_both
                              : it->second->tombstones_out;
            uint64_t& commit = table[record.edges().ordinal()];
            commit = std::max(commit, record.commit());
          }
        } else if (record.has_collection()) {
          if (auto it = namespaces.find(record.collection().namespace_id());
              it != namespaces.end()) {
            it->second->dropped_collections[record.collection().collection_id()] = record.commit();
          }
        } else if (record.has_vector_field()) {
          if (auto it = namespaces.find(record.vector_field().namespace_id());
              it != namespaces.end()) {
            it->second->dropped_vector_fields.emplace(record.vector_field().collection_id(),
                                                      record.vector_field().field());
          }
        }
        loaded.tombstones.emplace_back("t" + std::string(key), std::move(record));
        return absl::OkStatus();
      }));
  {
    auto it = snapshot.Scan(Family::kCatalog, storage::PrefixBounds("x"));
    it->SeekToFirst();
    if (it->Valid()) {
      NamespaceId ns;
      Ordinal ordinal;
      if (!DecodeExpiryKey(it->key(), &loaded.next_expiry_ms, &ns, &ordinal)) return Malformed();
    }
    COOKIX_RETURN_IF_ERROR(it->status());
  }
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(bool found, snapshot.Get(Family::kCatalog, NextNamespaceIdKey(), &value));
  if (found) {
    std::string_view bytes = value;
    if (!GetFixed32(&bytes, &loaded.next_namespace_id)) return Malformed();
  }
  auto catalog = std::make_shared<Catalog>();
  for (auto& [id, ns] : namespaces) {
    ResolveRelations(ns.get());
    catalog->namespaces[ns->record.name()] = ns;
    catalog->namespaces_by_id[id] = ns;
  }
  loaded.catalog = std::move(catalog);
  return loaded;
}

}  // namespace cookix::engine
