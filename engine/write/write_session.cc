#include "engine/write/write_session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/read_view.h"
#include "engine/text/text_field.h"
#include "engine/vector/vector_field.h"
#include "google/protobuf/arena.h"
#include "sodium.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using internal::v1::ObjectRecord;
using internal::v1::TombstoneRecord;
using storage::Family;

constexpr uint64_t kDangling = uint64_t{1} << 63;

std::string Sub(std::string_view field, std::string_view member) {
  std::string out(field);
  if (!out.empty()) out += '.';
  out += member;
  return out;
}

std::string VectorKey(NamespaceId ns, Ordinal ordinal, std::string_view field) {
  std::string key = ObjectKey(ns, ordinal);
  key.append(field);
  return key;
}

absl::Status MalformedObject() {
  return Corruption("an object record is malformed", "Restore the store from a checkpoint");
}
absl::Status MalformedEdge() {
  return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
}

}  // namespace

IdentityCache::IdentityCache(size_t max_entries) : max_entries_(max_entries) {
  static_assert(sizeof(hash_key_) == crypto_shorthash_siphashx24_KEYBYTES);
  randombytes_buf(hash_key_.data(), hash_key_.size());
}
IdentityCache::Fingerprint IdentityCache::Of(std::string_view identity_key) const {
  Fingerprint fingerprint;
  static_assert(sizeof(fingerprint) == crypto_shorthash_siphashx24_BYTES);
  crypto_shorthash_siphashx24(reinterpret_cast<unsigned char*>(fingerprint.data()),
                              reinterpret_cast<const unsigned char*>(identity_key.data()),
                              identity_key.size(), hash_key_.data());
  return fingerprint;
}
KnownOrdinal IdentityCache::Find(std::string_view identity_key) const {
  auto it = entries_.find(Of(identity_key));
  if (it == entries_.end()) return {};
  return {it->second & ~kDangling, (it->second & kDangling) != 0};
}
void IdentityCache::Put(std::string_view identity_key, KnownOrdinal known) {
  if (entries_.size() >= max_entries_) entries_.clear();
  entries_[Of(identity_key)] = known.ordinal | (known.dangling ? kDangling : 0);
}
void IdentityCache::Erase(std::string_view identity_key) { entries_.erase(Of(identity_key)); }

WriteSession::WriteSession(storage::CommitBatch& batch, std::shared_ptr<const NamespaceInfo> ns,
                           const NamespaceCounters& counters, IdentityCache& identities,
                           const Limits& limits)
    : batch_(batch),
      base_ns_(std::move(ns)),
      ns_(base_ns_.get()),
      counters_before_(counters),
      next_ordinal_(counters.next_ordinal),
      next_edge_id_(counters.next_edge_id),
      identities_cache_(identities),
      limits_(limits),
      commit_(batch.commit()),
      time_ms_(batch.time_ms()) {}

NamespaceInfo* WriteSession::MutableNamespace() {
  if (changed_ns_ == nullptr) {
    changed_ns_ = std::make_shared<NamespaceInfo>(*base_ns_);
    ns_ = changed_ns_.get();
    catalog_changed_ = true;
  }
  return changed_ns_.get();
}

std::shared_ptr<const NamespaceInfo> WriteSession::namespace_info() const {
  return changed_ns_ != nullptr ? std::shared_ptr<const NamespaceInfo>(changed_ns_) : base_ns_;
}

void WriteSession::PutRelationRecord(const RelationInfo& relation) {
  catalog_writes_.emplace_back(RelationRecordKey(ns_->id, relation.record.relation().name()),
                               relation.record.SerializeAsString());
}
void WriteSession::PutCollectionRecord(const CollectionInfo& collection) {
  catalog_writes_.emplace_back(CollectionRecordKey(ns_->id, collection.record.collection().name()),
                               collection.record.SerializeAsString());
}
void WriteSession::PutNamespaceRecord() {
  catalog_writes_.emplace_back(NamespaceRecordKey(ns_->record.name()),
                               ns_->record.SerializeAsString());
}

absl::StatusOr<RelationId> WriteSession::RelationFor(std::string_view name,
                                                     std::string_view field) {
  if (const RelationInfo* relation = ns_->FindRelation(name); relation != nullptr) {
    return relation->id;
  }
  NamespaceInfo* ns = MutableNamespace();
  const RelationId id = ns->record.next_relation_id();
  if (static_cast<int64_t>(id) > limits_.max_relations) {
    return LimitExceeded(field,
                         absl::StrCat("the namespace has ", limits_.max_relations, " relations"),
                         "Use an existing relation");
  }
  ns->record.set_next_relation_id(id + 1);
  auto relation = std::make_shared<RelationInfo>();
  relation->id = id;
  relation->record.set_id(id);
  relation->record.mutable_relation()->set_name(std::string(name));
  relation->record.set_registered(false);
  PutRelationRecord(*relation);
  PutNamespaceRecord();
  if (ns->relations_by_id.size() <= id) ns->relations_by_id.resize(id + 1);
  ns->relations_by_id[id] = relation;
  ns->relations[std::string(name)] = std::move(relation);
  return id;
}

absl::StatusOr<CollectionId> WriteSession::CollectionFor(std::string_view name,
                                                         std::string_view field) const {
  const CollectionInfo* collection = ns_->FindCollection(name);
  if (collection != nullptr) return collection->id;
  return NotFound("COLLECTION_NOT_FOUND", Sub(field, "collection"),
                  absl::StrCat("collection \"", std::string(name), "\" does not exist"),
                  "Create the collection first");
}

absl::StatusOr<KnownOrdinal> WriteSession::Find(CollectionId collection, std::string_view key) {
  const std::string identity = IdentityKey(ns_->id, collection, key);
  if (auto it = identities_.find(identity); it != identities_.end()) return it->second;
  if (const KnownOrdinal cached = identities_cache_.Find(identity); cached.ordinal != 0) {
    identities_[identity] = cached;
    return cached;
  }
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(const bool found, batch_.Get(Family::kIdentity, identity, &value));
  KnownOrdinal known;
  if (found) {
    std::string_view bytes = value;
    if (!GetFixed64(&bytes, &known.ordinal) || known.ordinal == 0) {
      return Corruption("an identity record is malformed", "Restore the store from a checkpoint");
    }
    identities_[identity] = known;
  }
  return known;
}

absl::StatusOr<Ordinal> WriteSession::FindOrdinal(CollectionId collection, std::string_view key) {
  COOKIX_ASSIGN_OR_RETURN(const KnownOrdinal known, Find(collection, key));
  return known.ordinal;
}

std::string WriteSession::IdentityOf(const ObjectRecord& record) const {
  return IdentityKey(ns_->id, record.collection_id(), record.key());
}

WriteSession::StagedObject* WriteSession::NewObject(CollectionId collection, std::string_view key) {
  auto object = std::make_unique<StagedObject>();
  object->ordinal = next_ordinal_++;
  object->has_record = true;
  object->dirty = true;
  object->record.set_collection_id(collection);
  object->record.set_key(std::string(key));
  StagedObject* raw = object.get();
  identities_[IdentityKey(ns_->id, collection, key)] = {raw->ordinal, false};
  objects_[raw->ordinal] = std::move(object);
  object_order_.push_back(raw);
  return raw;
}

absl::StatusOr<WriteSession::StagedObject*> WriteSession::LoadObject(Ordinal ordinal) {
  if (auto it = objects_.find(ordinal); it != objects_.end()) return it->second.get();
  auto object = std::make_unique<StagedObject>();
  object->ordinal = ordinal;
  COOKIX_ASSIGN_OR_RETURN(
      const bool found, batch_.Get(Family::kObjects, ObjectKey(ns_->id, ordinal), &object->before));
  if (found) {
    if (!object->record.ParseFromString(object->before)) return MalformedObject();
    object->had_record = object->has_record = true;
    object->existed = object->record.exists();
    object->expires_before = object->record.expires_ms();
  }
  StagedObject* raw = object.get();
  objects_[ordinal] = std::move(object);
  object_order_.push_back(raw);
  return raw;
}

absl::StatusOr<WriteSession::StagedObject*> WriteSession::LoadObject(KnownOrdinal known,
                                                                     CollectionId collection,
                                                                     std::string_view key) {
  if (!known.dangling || objects_.count(known.ordinal) > 0) return LoadObject(known.ordinal);
  // The record of a dangling target is its name and nothing else.
  auto object = std::make_unique<StagedObject>();
  object->ordinal = known.ordinal;
  object->record.set_collection_id(collection);
  object->record.set_key(std::string(key));
  object->record.AppendToString(&object->before);
  object->had_record = object->has_record = true;
  StagedObject* raw = object.get();
  objects_[known.ordinal] = std::move(object);
  object_order_.push_back(raw);
  return raw;
}

absl::StatusOr<Ordinal> WriteSession::OrdinalForTarget(const v1::ObjectRef& ref,
                                                       std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionId collection, CollectionFor(ref.collection(), field));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, FindOrdinal(collection, ref.key()));
  if (ordinal != 0) return ordinal;
  return NewObject(collection, ref.key())->ordinal;
}

absl::Status WriteSession::CheckCondition(const v1::Condition& condition,
                                          const StagedObject* object,
                                          std::string_view field) const {
  const bool exists = object != nullptr && object->has_record && object->record.exists();
  switch (condition.requirement_case()) {
    case v1::Condition::kExists:
      if (condition.exists() == exists) return absl::OkStatus();
      return MakeError(absl::StatusCode::kAborted,
                       exists ? "the object exists already" : "the object does not exist",
                       {"CONDITION_FAILED", Sub(field, "condition.exists"),
                        "Read the object and decide again", false});
    case v1::Condition::kVersion: {
      const int64_t version = exists ? static_cast<int64_t>(object->record.version()) : 0;
      if (condition.version() == version) return absl::OkStatus();
      return MakeError(
          absl::StatusCode::kAborted,
          exists ? absl::StrCat("the object is at version ", version, ", not ", condition.version())
                 : std::string("the object does not exist"),
          {"CONDITION_FAILED", Sub(field, "condition.version"), "Read the object and decide again",
           false});
    }
    case v1::Condition::REQUIREMENT_NOT_SET:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

std::string* WriteSession::StagedObject::SetVector(const std::string& field) {
  for (auto& [name, bytes] : vectors) {
    if (name == field) return &bytes.emplace();
  }
  return &vectors.emplace_back(field, std::string()).second.value();
}

void WriteSession::StagedObject::RemoveVector(const std::string& field) {
  for (auto& [name, bytes] : vectors) {
    if (name != field) continue;
    bytes.reset();
    return;
  }
  vectors.emplace_back(field, std::nullopt);
}

absl::Status WriteSession::CheckVectors(
    const CollectionInfo& collection, const google::protobuf::Map<std::string, v1::Vector>& vectors,
    std::string_view field) {
  for (const auto& [name, vector] : vectors) {
    const std::string path = Sub(field, name);
    COOKIX_ASSIGN_OR_RETURN(const v1::VectorField* declared,
                            RequireVectorField(collection.record.collection(), name, path));
    COOKIX_RETURN_IF_ERROR(CheckVector(*declared, vector, path));
  }
  return absl::OkStatus();
}

absl::Status WriteSession::CheckPropertyBytes(const ObjectRecord& record,
                                              std::string_view field) const {
  size_t bytes = 0;
  for (const auto& [name, value] : record.properties()) {
    bytes += name.size() + value.ByteSizeLong() + 8;
  }
  if (static_cast<int64_t>(bytes) <= limits_.max_properties_bytes) return absl::OkStatus();
  return LimitExceeded(field, absl::StrCat("the properties would take ", bytes, " bytes"),
                       "Store less");
}

void WriteSession::SetExpiry(StagedObject& object) {
  const int64_t expires = object.record.expires_ms();
  if (expires != 0 && (earliest_expiry_ms_ == 0 || expires < earliest_expiry_ms_)) {
    earliest_expiry_ms_ = expires;
  }
}

void WriteSession::CountTextOf(const StagedObject& object) {
  if (!object.has_new_text || !object.has_record || !object.record.exists()) return;
  const CollectionInfo* collection = ns_->FindCollection(object.record.collection_id());
  if (collection == nullptr) return;
  for (const v1::TextField& field : collection->record.collection().text_fields()) {
    ForEachText(object.record, field, [&](std::string_view text) {
      text_bytes_put_ += static_cast<int64_t>(text.size());
    });
  }
}

absl::StatusOr<bool> WriteSession::PutObject(const v1::ObjectWrite& write, ObjectRecord&& record,
                                             std::string_view field) {
  const v1::ObjectRef& ref = write.object().ref();
  COOKIX_ASSIGN_OR_RETURN(const CollectionId collection,
                          CollectionFor(ref.collection(), Sub(field, "object.ref")));
  COOKIX_ASSIGN_OR_RETURN(const KnownOrdinal known, Find(collection, ref.key()));
  StagedObject* object = nullptr;
  if (known.ordinal != 0) {
    COOKIX_ASSIGN_OR_RETURN(object, LoadObject(known, collection, ref.key()));
  }
  COOKIX_RETURN_IF_ERROR(CheckCondition(write.condition(), object, field));
  if (!write.object().vectors().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckVectors(*ns_->FindCollection(collection), write.object().vectors(),
                                        Sub(field, "object.vectors")));
  }
  if (object == nullptr) object = NewObject(collection, ref.key());
  const bool existed = object->has_record && object->record.exists();
  const int64_t created = existed ? object->record.created_ms() : time_ms_;
  if (existed) {
    for (const std::string& old : object->record.vector_fields()) {
      if (write.object().vectors().count(old) == 0) object->RemoveVector(old);
    }
  }
  record.set_collection_id(collection);
  record.set_key(ref.key());
  record.set_exists(true);
  record.set_version(commit_);
  record.set_created_ms(created);
  record.set_updated_ms(time_ms_);
  object->record.Swap(&record);
  object->has_record = true;
  object->dirty = true;
  object->has_new_text = true;
  for (const auto& [name, vector] : write.object().vectors()) {
    *object->SetVector(name) = vector.SerializeAsString();
  }
  SetExpiry(*object);
  if (!existed) ++objects_delta_[collection];
  if (write.replace_edges() && existed) COOKIX_RETURN_IF_ERROR(RemoveOutgoing(*object));
  for (int i = 0; i < write.edges_size(); ++i) {
    absl::StatusOr<bool> staged = StageEdge(*object, write.edges(i), "");
    if (!staged.ok()) {
      // The path is only spelt out when it is needed.
      return StageEdge(*object, write.edges(i), Sub(field, absl::StrCat("edges[", i, "]")))
          .status();
    }
  }
  return !existed;
}

absl::StatusOr<bool> WriteSession::PatchObject(const v1::ObjectPatch& patch,
                                               std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionId collection,
                          CollectionFor(patch.ref().collection(), Sub(field, "ref")));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, FindOrdinal(collection, patch.ref().key()));
  StagedObject* object = nullptr;
  if (ordinal != 0) {
    COOKIX_ASSIGN_OR_RETURN(object, LoadObject(ordinal));
  }
  if (object == nullptr || !object->has_record || !object->record.exists()) {
    COOKIX_RETURN_IF_ERROR(CheckCondition(patch.condition(), object, field));
    return NotFound("OBJECT_NOT_FOUND", Sub(field, "ref"),
                    absl::StrCat("object \"", patch.ref().key(), "\" does not exist"),
                    "Put the object first");
  }
  COOKIX_RETURN_IF_ERROR(CheckCondition(patch.condition(), object, field));
  ObjectRecord& record = object->record;
  if (patch.has_content()) record.set_content(patch.content());
  for (const auto& [name, value] : patch.set_properties()) {
    (*record.mutable_properties())[name] = value;
  }
  for (const std::string& name : patch.remove_properties()) {
    record.mutable_properties()->erase(name);
  }
  if (patch.add_labels_size() + patch.remove_labels_size() != 0) {
    std::vector<std::string> labels(record.labels().begin(), record.labels().end());
    labels.insert(labels.end(), patch.add_labels().begin(), patch.add_labels().end());
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    for (const std::string& label : patch.remove_labels()) {
      labels.erase(std::remove(labels.begin(), labels.end(), label), labels.end());
    }
    if (static_cast<int64_t>(labels.size()) > limits_.max_labels) {
      return LimitExceeded(Sub(field, "add_labels"),
                           absl::StrCat("the object would have ", labels.size(), " labels"),
                           "Use fewer");
    }
    record.clear_labels();
    for (std::string& label : labels) record.add_labels(std::move(label));
  }
  COOKIX_RETURN_IF_ERROR(CheckPropertyBytes(record, Sub(field, "set_properties")));
  if (patch.set_vectors_size() + patch.remove_vectors_size() != 0) {
    COOKIX_RETURN_IF_ERROR(CheckVectors(*ns_->FindCollection(collection), patch.set_vectors(),
                                        Sub(field, "set_vectors")));
    std::vector<std::string> names(record.vector_fields().begin(), record.vector_fields().end());
    for (const auto& [name, vector] : patch.set_vectors()) {
      *object->SetVector(name) = vector.SerializeAsString();
      names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const std::string& name : patch.remove_vectors()) {
      auto it = std::find(names.begin(), names.end(), name);
      if (it == names.end()) continue;
      object->RemoveVector(name);
      names.erase(it);
    }
    record.clear_vector_fields();
    for (std::string& name : names) record.add_vector_fields(std::move(name));
  }
  if (patch.has_expires_ms()) record.set_expires_ms(patch.expires_ms());
  record.set_version(commit_);
  record.set_updated_ms(time_ms_);
  object->dirty = true;
  if (patch.has_content() || !patch.set_properties().empty()) object->has_new_text = true;
  SetExpiry(*object);
  for (int i = 0; i < patch.add_edges_size(); ++i) {
    COOKIX_RETURN_IF_ERROR(
        StageEdge(*object, patch.add_edges(i), Sub(field, absl::StrCat("add_edges[", i, "]")))
            .status());
  }
  return false;
}

absl::StatusOr<int64_t> WriteSession::PutVectors(const VectorRows& rows) {
  int64_t created = 0;
  const v1::InsertVectorsRequest& request = *rows.request;
  const auto count = static_cast<size_t>(request.keys_size());
  identities_.reserve(identities_.size() + count);
  objects_.reserve(objects_.size() + count);
  object_order_.reserve(object_order_.size() + count);
  for (int i = 0; i < request.keys_size(); ++i) {
    const std::string& key = request.keys(i);
    COOKIX_ASSIGN_OR_RETURN(const KnownOrdinal known, Find(rows.collection, key));
    StagedObject* object = nullptr;
    if (known.ordinal != 0) {
      COOKIX_ASSIGN_OR_RETURN(object, LoadObject(known, rows.collection, key));
    }
    // One that this commit has deleted has no record and no ordinal any more.
    if (object == nullptr || !object->has_record) object = NewObject(rows.collection, key);
    ObjectRecord& record = object->record;
    if (!record.exists()) {
      record.set_exists(true);
      record.set_created_ms(time_ms_);
      ++objects_delta_[rows.collection];
      ++created;
    }
    record.set_version(commit_);
    record.set_updated_ms(time_ms_);
    auto* names = record.mutable_vector_fields();
    const auto place = std::lower_bound(names->begin(), names->end(), rows.field.name());
    if (place == names->end() || *place != rows.field.name()) {
      const auto at = static_cast<int>(place - names->begin());
      names->Add(std::string(rows.field.name()));
      for (int last = names->size() - 1; last > at; --last) names->SwapElements(last, last - 1);
    }
    if (request.properties_size() > 0) {
      for (const auto& [name, value] : request.properties(i).fields()) {
        (*record.mutable_properties())[name] = value;
      }
      if (object->had_record) {
        COOKIX_RETURN_IF_ERROR(CheckPropertyBytes(record, absl::StrCat("properties[", i, "]")));
      }
    }
    object->dirty = true;
    rows.Encode(i, object->SetVector(rows.field.name()));
  }
  return created;
}

absl::StatusOr<WriteSession::StagedEdge*> WriteSession::LoadEdge(Ordinal source,
                                                                 RelationId relation,
                                                                 Ordinal target,
                                                                 std::string_view discriminator,
                                                                 bool may_be_stored) {
  std::string key = EncodeEdgeKey(ns_->id, source, relation, target, discriminator);
  auto [it, inserted] = edges_.try_emplace(std::move(key), nullptr);
  if (!inserted) return it->second.get();
  auto edge = std::make_unique<StagedEdge>();
  edge->source = source;
  edge->relation = relation;
  edge->target = target;
  edge->discriminator = discriminator;
  if (may_be_stored) {
    auto found = batch_.Get(Family::kEdges, it->first, &edge->before);
    if (!found.ok()) {
      edges_.erase(it);
      return found.status();
    }
    if (*found) {
      EdgeValue value;
      if (!DecodeEdgeValue(edge->before, &value)) {
        edges_.erase(it);
        return MalformedEdge();
      }
      edge->visible_before = !base_ns_->EdgeHidden(source, target, value.version) &&
                             !ns_->EdgeHidden(source, target, value.version);
      if (edge->visible_before) edge->after = edge->before;
    }
  }
  StagedEdge* raw = edge.get();
  it->second = std::move(edge);
  edge_order_.push_back(raw);
  edges_out_[source].push_back(raw);
  edges_in_[target].push_back(raw);
  return raw;
}

absl::StatusOr<bool> WriteSession::StageEdge(StagedObject& source, const v1::Edge& edge,
                                             std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const RelationId relation,
                          RelationFor(edge.relation(), Sub(field, "relation")));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal target,
                          OrdinalForTarget(edge.target(), Sub(field, "target")));
  // Only objects have outgoing edges, so what was none has none stored, but for those
  // that a tombstone hides and nobody has collected yet.
  const bool may_be_stored =
      source.existed || ns_->tombstones_out.find(source.ordinal) != ns_->tombstones_out.end();
  COOKIX_ASSIGN_OR_RETURN(StagedEdge * staged, LoadEdge(source.ordinal, relation, target,
                                                        edge.discriminator(), may_be_stored));
  EdgeValue value;
  const bool existed = !staged->after.empty();
  if (existed) {
    EdgeValue before;
    if (!DecodeEdgeValue(staged->after, &before)) return MalformedEdge();
    value.id = before.id;
  } else {
    value.id = next_edge_id_++;
  }
  value.weight = edge.has_weight() ? edge.weight() + 0.0 : 1.0;
  value.version = commit_;
  value.valid_from_ms = edge.valid_from_ms();
  value.valid_until_ms = edge.valid_until_ms();
  std::string properties;
  if (!edge.properties().empty()) {
    v1::MapValue map;
    for (const auto& [name, property] : edge.properties()) {
      (*map.mutable_fields())[name] = property;
    }
    properties = map.SerializeAsString();
    value.properties = properties;
  }
  staged->after.clear();
  EncodeEdgeValue(value, &staged->after);
  staged->dirty = true;
  return !existed;
}

absl::StatusOr<bool> WriteSession::PutEdge(const v1::Edge& edge, std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionId collection,
                          CollectionFor(edge.source().collection(), Sub(field, "source")));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal source, FindOrdinal(collection, edge.source().key()));
  StagedObject* object = nullptr;
  if (source != 0) {
    COOKIX_ASSIGN_OR_RETURN(object, LoadObject(source));
  }
  if (object == nullptr || !object->has_record || !object->record.exists()) {
    return NotFound("OBJECT_NOT_FOUND", Sub(field, "source"),
                    absl::StrCat("object \"", edge.source().key(), "\" does not exist"),
                    "Put the object that the edge starts at first");
  }
  return StageEdge(*object, edge, field);
}

void WriteSession::RemoveEdge(StagedEdge* edge) {
  edge->after.clear();
  edge->dirty = true;
  maybe_unreferenced_.insert(edge->target);
}

absl::StatusOr<bool> WriteSession::DeleteEdge(const v1::EdgeDelete& request,
                                              std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionId source_collection,
                          CollectionFor(request.source().collection(), Sub(field, "source")));
  COOKIX_ASSIGN_OR_RETURN(const CollectionId target_collection,
                          CollectionFor(request.target().collection(), Sub(field, "target")));
  const RelationInfo* relation = ns_->FindRelation(request.relation());
  COOKIX_ASSIGN_OR_RETURN(const Ordinal source,
                          FindOrdinal(source_collection, request.source().key()));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal target,
                          FindOrdinal(target_collection, request.target().key()));
  if (relation == nullptr || source == 0 || target == 0) return false;
  COOKIX_ASSIGN_OR_RETURN(StagedEdge * edge,
                          LoadEdge(source, relation->id, target, request.discriminator(), true));
  if (edge->after.empty()) return false;
  RemoveEdge(edge);
  return true;
}

absl::Status WriteSession::Check(const v1::ConditionCheck& check, std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionId collection,
                          CollectionFor(check.ref().collection(), Sub(field, "ref")));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, FindOrdinal(collection, check.ref().key()));
  StagedObject* object = nullptr;
  if (ordinal != 0) {
    COOKIX_ASSIGN_OR_RETURN(object, LoadObject(ordinal));
  }
  return CheckCondition(check.condition(), object, field);
}

absl::StatusOr<std::vector<WriteSession::StagedEdge*>> WriteSession::EdgesAt(Ordinal ordinal,
                                                                             bool out, size_t limit,
                                                                             bool* more) {
  *more = false;
  std::vector<StagedEdge*> found;
  const Family family = out ? Family::kEdges : Family::kReverseEdges;
  auto it = batch_.Scan(family, storage::PrefixBounds(EdgesPrefix(ns_->id, ordinal)));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    EdgeKey key;
    EdgeValue value;
    if (!DecodeEdgeKey(it->key(), &key) || !DecodeEdgeValue(it->value(), &value)) {
      return MalformedEdge();
    }
    const Ordinal source = out ? ordinal : key.far;
    const Ordinal target = out ? key.far : ordinal;
    if (ns_->EdgeHidden(source, target, value.version)) continue;
    if (found.size() >= limit) {
      *more = true;
      break;
    }
    COOKIX_ASSIGN_OR_RETURN(StagedEdge * edge,
                            LoadEdge(source, key.relation, target, key.discriminator, true));
    if (!edge->after.empty()) found.push_back(edge);
  }
  COOKIX_RETURN_IF_ERROR(it->status());
  // Those that this commit has put, also where the limit cut the stored ones off.
  auto& staged = out ? edges_out_ : edges_in_;
  if (auto entry = staged.find(ordinal); entry != staged.end()) {
    for (StagedEdge* edge : entry->second) {
      if (!edge->after.empty() && (edge->dirty || !edge->visible_before)) found.push_back(edge);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

absl::StatusOr<bool> WriteSession::HasIncoming(Ordinal ordinal, Ordinal except_source) {
  if (auto entry = edges_in_.find(ordinal); entry != edges_in_.end()) {
    for (const StagedEdge* edge : entry->second) {
      if (!edge->after.empty() && edge->source != except_source) return true;
    }
  }
  auto it =
      batch_.Scan(Family::kReverseEdges, storage::PrefixBounds(EdgesPrefix(ns_->id, ordinal)));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    EdgeKey key;
    EdgeValue value;
    if (!DecodeEdgeKey(it->key(), &key) || !DecodeEdgeValue(it->value(), &value)) {
      return MalformedEdge();
    }
    if (key.far == except_source || ns_->EdgeHidden(key.far, ordinal, value.version)) continue;
    auto staged =
        edges_.find(EncodeEdgeKey(ns_->id, key.far, key.relation, ordinal, key.discriminator));
    if (staged == edges_.end()) return true;
    // A staged edge was looked at above.
  }
  COOKIX_RETURN_IF_ERROR(it->status());
  return false;
}

void WriteSession::MakeTombstone(Ordinal ordinal, internal::v1::TombstoneScope scope) {
  // Edges of this very commit are dealt with one by one, so the tombstone covers
  // what was there before, and edges put after it in this commit stay.
  TombstoneRecord record;
  record.mutable_edges()->set_namespace_id(ns_->id);
  record.mutable_edges()->set_ordinal(ordinal);
  record.mutable_edges()->set_scope(scope);
  record.set_commit(commit_ - 1);
  NamespaceInfo* ns = MutableNamespace();
  (scope == internal::v1::TOMBSTONE_SCOPE_BOTH ? ns->tombstones_both
                                               : ns->tombstones_out)[ordinal] = commit_ - 1;
  new_tombstones_.emplace_back(TombstoneKey(commit_, static_cast<uint32_t>(new_tombstones_.size())),
                               std::move(record));
  // Staged edges that were stored before and are hidden now stop being visible.
  auto hide = [&](std::vector<StagedEdge*>& edges) {
    for (StagedEdge* edge : edges) {
      if (edge->visible_before && !edge->dirty) {
        edge->visible_before = false;
        edge->after.clear();
      }
    }
  };
  if (auto it = edges_out_.find(ordinal); it != edges_out_.end()) hide(it->second);
  if (scope == internal::v1::TOMBSTONE_SCOPE_BOTH) {
    if (auto it = edges_in_.find(ordinal); it != edges_in_.end()) hide(it->second);
  }
}

absl::Status WriteSession::RemoveOutgoing(StagedObject& object) {
  bool more = false;
  const size_t limit = static_cast<size_t>(limits_.max_edges_deleted_inline);
  COOKIX_ASSIGN_OR_RETURN(std::vector<StagedEdge*> edges,
                          EdgesAt(object.ordinal, true, limit, &more));
  for (StagedEdge* edge : edges) RemoveEdge(edge);
  if (more) MakeTombstone(object.ordinal, internal::v1::TOMBSTONE_SCOPE_OUT);
  return absl::OkStatus();
}

absl::Status WriteSession::DeleteStaged(StagedObject& object, bool leave_dangling) {
  const bool existed = object.record.exists();
  const CollectionId collection = object.record.collection_id();
  const size_t limit = static_cast<size_t>(limits_.max_edges_deleted_inline);
  bool more_out = false, more_in = false;
  COOKIX_ASSIGN_OR_RETURN(std::vector<StagedEdge*> edges,
                          EdgesAt(object.ordinal, true, limit, &more_out));
  if (!leave_dangling) {
    COOKIX_ASSIGN_OR_RETURN(
        std::vector<StagedEdge*> incoming,
        EdgesAt(object.ordinal, false, limit - std::min(limit, edges.size()), &more_in));
    edges.insert(edges.end(), incoming.begin(), incoming.end());
  }
  for (StagedEdge* edge : edges) {
    if (!edge->after.empty()) RemoveEdge(edge);
  }
  if (more_out || more_in) {
    MakeTombstone(object.ordinal, leave_dangling ? internal::v1::TOMBSTONE_SCOPE_OUT
                                                 : internal::v1::TOMBSTONE_SCOPE_BOTH);
  }
  bool keep = false;
  if (leave_dangling) {
    COOKIX_ASSIGN_OR_RETURN(keep, HasIncoming(object.ordinal, object.ordinal));
  }
  for (const std::string& name : object.record.vector_fields()) object.RemoveVector(name);
  if (keep) {
    ObjectRecord dangling;
    dangling.set_collection_id(collection);
    dangling.set_key(object.record.key());
    object.record.Swap(&dangling);
  } else {
    identities_[IdentityOf(object.record)] = {};
    object.has_record = false;
  }
  object.dirty = true;
  if (existed) --objects_delta_[collection];
  return absl::OkStatus();
}

absl::StatusOr<bool> WriteSession::DeleteObject(const v1::ObjectDelete& request,
                                                std::string_view field) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionId collection,
                          CollectionFor(request.ref().collection(), Sub(field, "ref")));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, FindOrdinal(collection, request.ref().key()));
  StagedObject* object = nullptr;
  if (ordinal != 0) {
    COOKIX_ASSIGN_OR_RETURN(object, LoadObject(ordinal));
  }
  COOKIX_RETURN_IF_ERROR(CheckCondition(request.condition(), object, field));
  if (object == nullptr || !object->has_record || !object->record.exists()) return false;
  COOKIX_RETURN_IF_ERROR(DeleteStaged(*object, request.leave_dangling()));
  return true;
}

absl::Status WriteSession::DeleteOrdinal(Ordinal ordinal) {
  COOKIX_ASSIGN_OR_RETURN(StagedObject * object, LoadObject(ordinal));
  if (!object->has_record) return absl::OkStatus();
  return DeleteStaged(*object, false);
}

absl::Status WriteSession::CollectEdge(Ordinal source, RelationId relation, Ordinal target,
                                       std::string_view discriminator, uint64_t up_to_version) {
  COOKIX_ASSIGN_OR_RETURN(StagedEdge * edge,
                          LoadEdge(source, relation, target, discriminator, true));
  if (edge->before.empty()) return absl::OkStatus();
  EdgeValue value;
  if (!DecodeEdgeValue(edge->before, &value)) return MalformedEdge();
  if (value.version > up_to_version) return absl::OkStatus();
  RemoveEdge(edge);
  return absl::OkStatus();
}

absl::StatusOr<bool> WriteSession::CollectVector(Ordinal ordinal, const std::string& field) {
  COOKIX_ASSIGN_OR_RETURN(StagedObject * object, LoadObject(ordinal));
  if (!object->has_record) return false;
  auto* names = object->record.mutable_vector_fields();
  auto it = std::find(names->begin(), names->end(), field);
  if (it == names->end()) return false;
  names->erase(it);
  object->RemoveVector(field);
  object->dirty = true;
  return true;
}

void WriteSession::RemoveTombstone(const std::string& key, const TombstoneRecord& record) {
  NamespaceInfo* ns = MutableNamespace();
  if (record.has_edges()) {
    auto& table = record.edges().scope() == internal::v1::TOMBSTONE_SCOPE_BOTH ? ns->tombstones_both
                                                                               : ns->tombstones_out;
    auto it = table.find(record.edges().ordinal());
    if (it != table.end() && it->second <= record.commit()) table.erase(it);
  } else if (record.has_collection()) {
    ns->dropped_collections.erase(record.collection().collection_id());
  } else if (record.has_vector_field()) {
    ns->dropped_vector_fields.erase(
        {record.vector_field().collection_id(), record.vector_field().field()});
  }
  catalog_writes_.emplace_back(key, std::nullopt);
  collected_.push_back(record);
  removed_tombstones_.push_back(key);
}

void WriteSession::RemoveExpiryEntry(int64_t expires_ms, Ordinal ordinal) {
  catalog_writes_.emplace_back(ExpiryKey(expires_ms, ns_->id, ordinal), std::nullopt);
  catalog_changed_ = true;
}

void WriteSession::DropCollection(const CollectionInfo& collection) {
  TombstoneRecord record;
  record.mutable_collection()->set_namespace_id(ns_->id);
  record.mutable_collection()->set_collection_id(collection.id);
  record.set_commit(commit_);
  catalog_writes_.emplace_back(CollectionRecordKey(ns_->id, collection.record.collection().name()),
                               std::nullopt);
  catalog_writes_.emplace_back(ObjectCountKey(ns_->id, collection.id), std::nullopt);
  const std::string name = collection.record.collection().name();
  const CollectionId id = collection.id;
  NamespaceInfo* ns = MutableNamespace();
  ns->collections.erase(name);
  ns->collections_by_id.erase(id);
  ns->dropped_collections[id] = commit_;
  new_tombstones_.emplace_back(TombstoneKey(commit_, static_cast<uint32_t>(new_tombstones_.size())),
                               std::move(record));
}

void WriteSession::DropVectorField(CollectionId collection, const std::string& field) {
  TombstoneRecord record;
  record.mutable_vector_field()->set_namespace_id(ns_->id);
  record.mutable_vector_field()->set_collection_id(collection);
  record.mutable_vector_field()->set_field(field);
  record.set_commit(commit_);
  MutableNamespace()->dropped_vector_fields.emplace(collection, field);
  new_tombstones_.emplace_back(TombstoneKey(commit_, static_cast<uint32_t>(new_tombstones_.size())),
                               std::move(record));
}

absl::Status WriteSession::DropUnreferencedTargets() {
  std::vector<Ordinal> candidates(maybe_unreferenced_.begin(), maybe_unreferenced_.end());
  std::sort(candidates.begin(), candidates.end());
  for (const Ordinal ordinal : candidates) {
    COOKIX_ASSIGN_OR_RETURN(StagedObject * object, LoadObject(ordinal));
    if (!object->has_record || object->record.exists()) continue;
    COOKIX_ASSIGN_OR_RETURN(const bool referenced, HasIncoming(ordinal, 0));
    if (referenced) continue;
    identities_[IdentityOf(object->record)] = {};
    object->has_record = false;
    object->dirty = true;
  }
  return absl::OkStatus();
}

absl::Status WriteSession::NameOrdinal(Ordinal ordinal, internal::v1::ChangeRecord* change) {
  CollectionId collection = 0;
  std::string key;
  if (auto it = objects_.find(ordinal);
      it != objects_.end() && (it->second->has_record || it->second->had_record)) {
    collection = it->second->record.collection_id();
    key = it->second->record.key();
  } else if (auto looked_up = looked_up_.find(ordinal); looked_up != looked_up_.end()) {
    std::string_view identity = looked_up->second;
    NamespaceId ns = 0;
    if (!GetBigEndian32(&identity, &ns) || !GetBigEndian32(&identity, &collection)) {
      return absl::InternalError("an identity was staged with a malformed key");
    }
    key = identity;
  } else {
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(const bool found,
                            batch_.Get(Family::kObjects, ObjectKey(ns_->id, ordinal), &value));
    // The object is gone already when its edges are collected.
    if (!found) return absl::OkStatus();
    if (!DecodeObjectName(value, &collection, &key)) return MalformedObject();
  }
  internal::v1::OrdinalName* name = change->add_refs();
  name->set_namespace_id(ns_->id);
  name->set_ordinal(ordinal);
  name->set_collection_id(collection);
  name->set_key(std::move(key));
  return absl::OkStatus();
}

bool WriteSession::WasDropped(CollectionId collection) const {
  return base_ns_->dropped_collections.contains(collection);
}

void WriteSession::HideEdgesOfDropped(internal::v1::ChangeRecord* change) const {
  if (base_ns_->dropped_collections.empty()) return;
  absl::flat_hash_set<Ordinal> dropped;
  for (const internal::v1::OrdinalName& ref : change->refs()) {
    if (WasDropped(ref.collection_id())) dropped.insert(ref.ordinal());
  }
  for (internal::v1::ChangeEvent& event : *change->mutable_events()) {
    if (!event.has_edge() || event.edge().before().empty()) continue;
    if (dropped.contains(event.edge().source()) || dropped.contains(event.edge().target())) {
      event.mutable_edge()->set_hidden_before(true);
    }
  }
}

void WriteSession::NameCatalog(internal::v1::ChangeRecord* change) const {
  absl::flat_hash_set<CollectionId> collections{kDefaultCollectionId};
  absl::flat_hash_set<RelationId> relations;
  const auto add = [&](const std::string& name) {
    internal::v1::CatalogName* added = change->add_names();
    added->set_namespace_id(ns_->id);
    added->set_name(name);
    return added;
  };
  const auto add_collection = [&](CollectionId id) {
    if (!collections.insert(id).second) return;
    // Before this commit, which may have dropped it.
    const CollectionInfo* info = base_ns_->FindCollection(id);
    if (info != nullptr) add(info->record.collection().name())->set_collection_id(id);
  };
  if (ns_->id != kDefaultNamespaceId) add(ns_->record.name());
  for (const internal::v1::OrdinalName& ref : change->refs()) add_collection(ref.collection_id());
  for (const internal::v1::ChangeEvent& event : change->events()) {
    if (event.tombstone().has_collection()) {
      add_collection(event.tombstone().collection().collection_id());
    }
    if (!event.has_edge() || !relations.insert(event.edge().relation_id()).second) continue;
    const RelationInfo* info = ns_->FindRelation(event.edge().relation_id());
    if (info != nullptr) add(info->record.relation().name())->set_relation_id(info->id);
  }
}

void WriteSession::PutInOrder(Family family, std::vector<Record>* records) {
  std::sort(records->begin(), records->end());
  for (const Record& record : *records) batch_.Put(family, record.first, record.second);
}

absl::StatusOr<bool> WriteSession::Finish() {
  COOKIX_RETURN_IF_ERROR(DropUnreferencedTargets());
  google::protobuf::Arena arena;
  auto* change = google::protobuf::Arena::CreateMessage<internal::v1::ChangeRecord>(&arena);
  absl::flat_hash_set<Ordinal> named;
  bool wrote = false;

  if (catalog_changed_ || !catalog_writes_.empty()) {
    change->add_events()->mutable_catalog()->set_namespace_id(ns_->id);
    wrote = true;
  }
  for (const auto& [key, record] : new_tombstones_) {
    batch_.Put(Family::kCatalog, key, record.SerializeAsString());
    *change->add_events()->mutable_tombstone() = record;
  }
  // Written in key order: the store finds the place of a record from that before it.
  std::vector<Record> objects, identities, vectors, edges, reverse_edges;
  std::string after;
  for (StagedObject* object : object_order_) {
    if (!object->dirty) continue;
    if (!object->had_record && !object->has_record) continue;  // came and went
    wrote = true;
    const std::string key = ObjectKey(ns_->id, object->ordinal);
    const int64_t expires =
        object->has_record && object->record.exists() ? object->record.expires_ms() : 0;
    if (object->expires_before != expires) {
      if (object->expires_before != 0) {
        batch_.Delete(Family::kCatalog,
                      ExpiryKey(object->expires_before, ns_->id, object->ordinal));
      }
      if (expires != 0) {
        batch_.Put(Family::kCatalog, ExpiryKey(expires, ns_->id, object->ordinal), "");
      }
    }
    for (auto& [name, bytes] : object->vectors) {
      std::string vector_key = VectorKey(ns_->id, object->ordinal, name);
      if (bytes.has_value()) {
        vectors_put_[{object->record.collection_id(), name}] += static_cast<int64_t>(bytes->size());
        vectors.emplace_back(std::move(vector_key), *std::move(bytes));
      } else if (object->had_record) {
        batch_.Delete(Family::kVectors, vector_key);
      }
    }
    CountTextOf(*object);
    auto* event = change->add_events()->mutable_object();
    event->set_namespace_id(ns_->id);
    event->set_ordinal(object->ordinal);
    if (object->had_record) event->set_before(object->before);
    if (WasDropped(object->record.collection_id())) event->set_hidden(true);
    if (object->has_record) {
      after.clear();
      object->record.AppendToString(&after);
      if (!object->had_record) {
        std::string ordinal;
        PutFixed64(&ordinal, object->ordinal);
        identities.emplace_back(IdentityOf(object->record), std::move(ordinal));
      }
      event->set_after(after);
      objects.emplace_back(key, after);
    } else {
      batch_.Delete(Family::kObjects, key);
      batch_.Delete(Family::kIdentity, IdentityOf(object->record));
    }
    if (named.insert(object->ordinal).second) {
      auto* name = change->add_refs();
      name->set_namespace_id(ns_->id);
      name->set_ordinal(object->ordinal);
      name->set_collection_id(object->record.collection_id());
      name->set_key(object->record.key());
    }
  }
  for (const auto& [identity, known] : identities_) looked_up_[known.ordinal] = identity;
  for (StagedEdge* edge : edge_order_) {
    if (!edge->dirty || (edge->before.empty() && edge->after.empty())) continue;
    wrote = true;
    std::string key =
        EncodeEdgeKey(ns_->id, edge->source, edge->relation, edge->target, edge->discriminator);
    std::string reverse =
        EncodeEdgeKey(ns_->id, edge->target, edge->relation, edge->source, edge->discriminator);
    auto* event = change->add_events()->mutable_edge();
    event->set_namespace_id(ns_->id);
    event->set_source(edge->source);
    event->set_relation_id(edge->relation);
    event->set_target(edge->target);
    if (!edge->discriminator.empty()) event->set_discriminator(edge->discriminator);
    if (!edge->before.empty()) event->set_before(edge->before);
    if (edge->after.empty()) {
      batch_.Delete(Family::kEdges, key);
      batch_.Delete(Family::kReverseEdges, reverse);
      --edges_delta_[edge->relation];
    } else {
      EdgeValue value;
      if (!DecodeEdgeValue(edge->after, &value)) return MalformedEdge();
      edges.emplace_back(std::move(key), edge->after);
      if (value.properties.empty()) {
        reverse_edges.emplace_back(std::move(reverse), edge->after);
      } else {
        value.properties = {};
        std::string bytes;
        EncodeEdgeValue(value, &bytes);
        reverse_edges.emplace_back(std::move(reverse), std::move(bytes));
      }
      event->set_after(edge->after);
      if (edge->before.empty()) ++edges_delta_[edge->relation];
    }
    for (const Ordinal end : {edge->source, edge->target}) {
      if (named.insert(end).second) COOKIX_RETURN_IF_ERROR(NameOrdinal(end, change));
    }
    if (!edge->before.empty() && !edge->visible_before) event->set_hidden_before(true);
  }
  HideEdgesOfDropped(change);
  NameCatalog(change);
  PutInOrder(Family::kIdentity, &identities);
  PutInOrder(Family::kObjects, &objects);
  PutInOrder(Family::kVectors, &vectors);
  PutInOrder(Family::kEdges, &edges);
  PutInOrder(Family::kReverseEdges, &reverse_edges);
  for (const auto& [key, value] : catalog_writes_) {
    if (value.has_value()) {
      batch_.Put(Family::kCatalog, key, *value);
    } else {
      batch_.Delete(Family::kCatalog, key);
    }
  }
  for (const TombstoneRecord& record : collected_) {
    *change->add_events()->mutable_collected() = record;
  }
  if (!wrote) return false;

  auto put_count = [&](const std::string& key, int64_t count) {
    std::string bytes;
    PutFixed64(&bytes, static_cast<uint64_t>(count));
    batch_.Put(Family::kCatalog, key, bytes);
  };
  for (const auto& [collection, delta] : objects_delta_) {
    if (delta == 0 || ns_->FindCollection(collection) == nullptr) continue;
    auto it = counters_before_.objects.find(collection);
    put_count(ObjectCountKey(ns_->id, collection),
              (it == counters_before_.objects.end() ? 0 : it->second) + delta);
  }
  for (const auto& [relation, delta] : edges_delta_) {
    if (delta == 0) continue;
    auto it = counters_before_.edges.find(relation);
    put_count(EdgeCountKey(ns_->id, relation),
              (it == counters_before_.edges.end() ? 0 : it->second) + delta);
  }
  if (next_ordinal_ != counters_before_.next_ordinal ||
      next_edge_id_ != counters_before_.next_edge_id) {
    if (next_ordinal_ >= (Ordinal{1} << kOrdinalBits)) {
      return LimitExceeded("", "the namespace has used up its ordinals",
                           "Copy it into a new namespace");
    }
    std::string bytes;
    PutFixed64(&bytes, next_ordinal_);
    PutFixed64(&bytes, next_edge_id_);
    batch_.Put(Family::kCatalog, SequencesKey(ns_->id), bytes);
  }
  std::string encoded;
  change->AppendToString(&encoded);
  batch_.SetChange(std::move(encoded));
  return true;
}

void WriteSession::ApplyCounters(NamespaceCounters* counters) const {
  counters->next_ordinal = next_ordinal_;
  counters->next_edge_id = next_edge_id_;
  for (const auto& [collection, delta] : objects_delta_) {
    if (ns_->FindCollection(collection) == nullptr) {
      counters->objects.erase(collection);
    } else {
      counters->objects[collection] += delta;
    }
  }
  for (const auto& [relation, delta] : edges_delta_) counters->edges[relation] += delta;
}

void WriteSession::TeachIdentities() {
  for (auto& [identity, known] : identities_) {
    if (known.ordinal == 0) {
      identities_cache_.Erase(identity);
      continue;
    }
    if (auto it = objects_.find(known.ordinal); it != objects_.end()) {
      known.dangling = it->second->has_record && !it->second->record.exists();
    }
    identities_cache_.Put(identity, known);
  }
}

}  // namespace cookix::engine
