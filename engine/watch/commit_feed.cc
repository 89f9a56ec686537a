#include "engine/watch/commit_feed.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "cookix/internal/v1/records.pb.h"
#include "engine/catalog/catalog_store.h"
#include "engine/fill_edge.h"
#include "engine/read_view.h"
#include "engine/records.h"
#include "engine/watch/commit_names.h"
#include "google/protobuf/arena.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/commit_writes.h"

namespace cookix::engine {
namespace {

using internal::v1::ChangeEvent;
using internal::v1::ChangeRecord;
using internal::v1::ObjectRecord;
using internal::v1::OrdinalName;
using storage::Family;

absl::Status Malformed() {
  return Corruption("a change in the log is malformed",
                    "Read what there is now and watch from that position");
}

void SetRef(std::string_view collection, std::string_view key, v1::ObjectRef* ref) {
  if (collection != kDefaultName) ref->set_collection(std::string(collection));
  ref->set_key(std::string(key));
}

v1::ChangeKind KindOf(bool before, bool after) {
  if (!before) return v1::CHANGE_KIND_CREATED;
  return after ? v1::CHANGE_KIND_UPDATED : v1::CHANGE_KIND_DELETED;
}

// One of the two values of an edge.
struct EdgeImage {
  bool there = false;
  EdgeValue value;

  bool Decode(std::string_view bytes) {
    there = !bytes.empty();
    return !there || DecodeEdgeValue(bytes, &value);
  }

  // Whether a filter over edges holds. False on malformed bytes.
  bool Matches(const CompiledFilter& filter, bool* matches) const {
    *matches = there && filter.matches_everything();
    if (!there || filter.matches_everything()) return true;
    ObjectRecord record;
    record.set_exists(true);
    record.set_version(value.version);
    v1::MapValue properties;
    if (!properties.ParseFromArray(value.properties.data(),
                                   static_cast<int>(value.properties.size()))) {
      return false;
    }
    record.mutable_properties()->swap(*properties.mutable_fields());
    *matches = filter.Matches(record, kDefaultName);
    return true;
  }
};

}  // namespace

// One commit on its way through the feed.
class CommitFeed::Commit {
 public:
  Commit(CommitFeed& feed, const storage::LogCommit& logged, const ChangeRecord& change,
         const Catalog& catalog, Emit emit)
      : feed_(feed),
        selection_(feed.selection_),
        logged_(logged),
        change_(change),
        names_(change, catalog),
        emit_(emit) {}

  absl::Status Translate() {
    for (const ChangeEvent& event : change_.events()) {
      COOKIX_ASSIGN_OR_RETURN(const bool wanted, InNamespace(event));
      if (!wanted) continue;
      switch (event.event_case()) {
        case ChangeEvent::kObject:
          COOKIX_RETURN_IF_ERROR(TranslateObject(event.object()));
          break;
        case ChangeEvent::kEdge:
          COOKIX_RETURN_IF_ERROR(TranslateEdge(event.edge()));
          break;
        case ChangeEvent::kTombstone:
          COOKIX_RETURN_IF_ERROR(TranslateTombstone(event.tombstone()));
          break;
        case ChangeEvent::kCatalog:
          COOKIX_RETURN_IF_ERROR(TranslateCatalog(event.catalog().namespace_id()));
          break;
        default:
          break;
      }
    }
    return absl::OkStatus();
  }

 private:
  // Of an early version, which did not write down what things are called.
  absl::Status Nameless() const {
    return MakeError(
        absl::StatusCode::kOutOfRange,
        absl::StrCat("commit ", logged_.commit,
                     " was logged by an early version and concerns what was dropped since"),
        {"POSITION_EXPIRED", "", "Read what there is now and watch from that position", false});
  }

  static NamespaceId NamespaceOf(const internal::v1::TombstoneRecord& tombstone) {
    switch (tombstone.what_case()) {
      case internal::v1::TombstoneRecord::kEdges:
        return tombstone.edges().namespace_id();
      case internal::v1::TombstoneRecord::kCollection:
        return tombstone.collection().namespace_id();
      case internal::v1::TombstoneRecord::kNamespace:
        return tombstone.namespace_().namespace_id();
      default:
        return 0;
    }
  }

  void See(std::string_view collection) {
    if (!feed_.seen_.contains(ToAbsl(collection))) feed_.seen_.emplace(collection);
  }

  absl::StatusOr<bool> InNamespace(const ChangeEvent& event) {
    NamespaceId ns = 0;
    if (event.has_object()) ns = event.object().namespace_id();
    if (event.has_edge()) ns = event.edge().namespace_id();
    if (event.has_tombstone()) ns = NamespaceOf(event.tombstone());
    if (event.has_catalog()) ns = event.catalog().namespace_id();
    if (ns == 0) return false;
    if (ns != last_namespace_) {
      const std::optional<std::string_view> name = names_.Namespace(ns);
      if (!name.has_value()) return Nameless();
      last_namespace_ = ns;
      last_wanted_ = *name == selection_.namespace_name;
    }
    return last_wanted_;
  }

  absl::Status TranslateObject(const internal::v1::ObjectChange& object) {
    if (object.hidden() || !selection_.objects.wanted) return absl::OkStatus();
    ObjectRecord before, after;
    if (!before.ParseFromString(object.before()) || !after.ParseFromString(object.after())) {
      return Malformed();
    }
    // Dangling targets are no objects; the collector changes what nobody sees and leaves the
    // version.
    if (!before.exists() && !after.exists()) return absl::OkStatus();
    if (before.exists() && after.exists() && before.version() == after.version()) {
      return absl::OkStatus();
    }
    const v1::ChangeKind kind = KindOf(before.exists(), after.exists());
    const ObjectRecord& named = after.exists() ? after : before;
    const auto collection = names_.Collection(object.namespace_id(), named.collection_id());
    if (!collection.has_value()) return Nameless();
    See(*collection);
    const ChangeSelection& wanted = selection_.objects;
    if (!wanted.WantsKind(kind) || !wanted.WantsCollection(*collection)) return absl::OkStatus();
    const auto matches = [&](const ObjectRecord& record) {
      return record.exists() && wanted.filter->Matches(record, *collection);
    };
    v1::FilterTransition transition = v1::FILTER_TRANSITION_UNSPECIFIED;
    if (!wanted.Sends(kind, matches(before), matches(after), &transition)) return absl::OkStatus();
    v1::Change change;
    v1::ObjectChange& out = *change.mutable_object();
    out.set_kind(kind);
    out.set_transition(transition);
    SetRef(*collection, named.key(), out.mutable_ref());
    if (selection_.with_before && before.exists()) {
      *out.mutable_before() = Image(std::move(before), *collection);
    }
    if (after.exists()) {
      if (selection_.with_after) *out.mutable_after() = Image(std::move(after), *collection);
      if (selection_.mask.with_vectors())
        COOKIX_RETURN_IF_ERROR(AddVectors(object.ordinal(), &out));
    }
    return emit_(std::move(change));
  }

  v1::Object Image(ObjectRecord&& record, std::string_view collection) const {
    if (selection_.mask.without_content()) record.clear_content();
    if (selection_.mask.without_properties()) record.clear_properties();
    return ToObject(std::move(record), collection);
  }

  // The vectors that the commit put and removed, which only its batch has.
  absl::Status ReadVectors() {
    const auto write = [&](std::string_view key, const std::string_view* value) {
      NamespaceId ns = 0;
      Ordinal ordinal = 0;
      if (!GetBigEndian32(&key, &ns) || !GetBigEndian64(&key, &ordinal)) return;
      if (ns != last_namespace_) return;
      std::optional<std::string_view> bytes;
      if (value != nullptr) bytes = *value;
      vectors_[ordinal].emplace_back(key, bytes);
    };
    return storage::ForEachWrite(logged_.batch, Family::kVectors, write);
  }

  absl::Status AddVectors(Ordinal ordinal, v1::ObjectChange* out) {
    if (!std::exchange(vectors_read_, true)) COOKIX_RETURN_IF_ERROR(ReadVectors());
    const auto it = vectors_.find(ordinal);
    if (it == vectors_.end()) return absl::OkStatus();
    for (const auto& [field, bytes] : it->second) {
      if (!bytes.has_value()) {
        if (out->kind() == v1::CHANGE_KIND_UPDATED) out->add_removed_vectors(std::string(field));
      } else if (selection_.with_after) {
        v1::Vector& vector = (*out->mutable_after()->mutable_vectors())[std::string(field)];
        if (!vector.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
          return Malformed();
        }
      }
    }
    return absl::OkStatus();
  }

  // Null when the change does not say what the ordinal is called.
  const OrdinalName* FindRef(Ordinal ordinal) {
    if (refs_.empty()) {
      for (const OrdinalName& ref : change_.refs()) refs_[ref.ordinal()] = &ref;
    }
    const auto it = refs_.find(ordinal);
    return it == refs_.end() ? nullptr : it->second;
  }

  absl::Status TranslateEdge(const internal::v1::EdgeChange& edge) {
    const ChangeSelection& wanted = selection_.edges;
    if (!wanted.wanted) return absl::OkStatus();
    EdgeImage before, after;
    if (!before.Decode(edge.hidden_before() ? std::string_view() : edge.before()) ||
        !after.Decode(edge.after())) {
      return Malformed();
    }
    if (!before.there && !after.there) return absl::OkStatus();
    const v1::ChangeKind kind = KindOf(before.there, after.there);
    if (!wanted.WantsKind(kind)) return absl::OkStatus();
    const auto relation = names_.Relation(edge.namespace_id(), edge.relation_id());
    if (!relation.has_value()) return Nameless();
    if (!wanted.WantsRelation(*relation)) return absl::OkStatus();
    const OrdinalName* source = FindRef(edge.source());
    const OrdinalName* target = FindRef(edge.target());
    // Only what a tombstone hid, in logs of early versions, has an end without a name.
    if (source == nullptr || target == nullptr) return absl::OkStatus();
    const auto from = names_.Collection(edge.namespace_id(), source->collection_id());
    const auto to = names_.Collection(edge.namespace_id(), target->collection_id());
    if (!from.has_value() || !to.has_value()) return Nameless();
    See(*from);
    if (!wanted.WantsCollection(*from)) return absl::OkStatus();
    bool matched = false, matches = false;
    if (!before.Matches(*wanted.filter, &matched) || !after.Matches(*wanted.filter, &matches)) {
      return Malformed();
    }
    v1::FilterTransition transition = v1::FILTER_TRANSITION_UNSPECIFIED;
    if (!wanted.Sends(kind, matched, matches, &transition)) return absl::OkStatus();
    v1::Change change;
    v1::EdgeChange& out = *change.mutable_edge();
    out.set_kind(kind);
    out.set_transition(transition);
    SetRef(*from, source->key(), out.mutable_source());
    SetRef(*to, target->key(), out.mutable_target());
    out.set_relation(std::string(*relation));
    out.set_discriminator(edge.discriminator());
    const auto fill = [&](const EdgeImage& image, v1::Edge* filled) {
      *filled->mutable_source() = out.source();
      *filled->mutable_target() = out.target();
      return FillEdge(*relation, edge.discriminator(), image.value, filled);
    };
    if (selection_.with_before && before.there) {
      COOKIX_RETURN_IF_ERROR(fill(before, out.mutable_before()));
    }
    if (selection_.with_after && after.there) {
      COOKIX_RETURN_IF_ERROR(fill(after, out.mutable_after()));
    }
    return emit_(std::move(change));
  }

  absl::Status TranslateTombstone(const internal::v1::TombstoneRecord& tombstone) {
    if (tombstone.has_edges()) return TranslateDroppedEdges(tombstone.edges());
    if (tombstone.has_collection()) return TranslateDroppedCollection(tombstone.collection());
    if (!tombstone.has_namespace_()) return absl::OkStatus();
    feed_.ended_ = true;
    v1::Change change;
    change.mutable_namespace_dropped();
    return emit_(std::move(change));
  }

  // Whether the object was of a collection that is gone already.
  bool Hidden(Ordinal ordinal) const {
    for (const ChangeEvent& event : change_.events()) {
      if (event.has_object() && event.object().ordinal() == ordinal) return event.object().hidden();
    }
    return false;
  }

  absl::Status TranslateDroppedEdges(const internal::v1::EdgesOfObject& edges) {
    const ChangeSelection& wanted = selection_.edges;
    if (!wanted.WantsKind(v1::CHANGE_KIND_DELETED) || Hidden(edges.ordinal())) {
      return absl::OkStatus();
    }
    const OrdinalName* object = FindRef(edges.ordinal());
    if (object == nullptr) return Malformed();
    const auto collection = names_.Collection(edges.namespace_id(), object->collection_id());
    if (!collection.has_value()) return Nameless();
    const bool incoming = edges.scope() == internal::v1::TOMBSTONE_SCOPE_BOTH;
    if (!incoming && !wanted.WantsCollection(*collection)) return absl::OkStatus();
    v1::Change change;
    v1::EdgesDropped& out = *change.mutable_edges_dropped();
    SetRef(*collection, object->key(), out.mutable_ref());
    out.set_incoming(incoming);
    return emit_(std::move(change));
  }

  absl::Status TranslateDroppedCollection(const internal::v1::CollectionDrop& drop) {
    const auto collection = names_.Collection(drop.namespace_id(), drop.collection_id());
    if (!collection.has_value()) return Nameless();
    See(*collection);
    const bool objects = selection_.objects.WantsKind(v1::CHANGE_KIND_DELETED) &&
                         selection_.objects.WantsCollection(*collection);
    // Edges from anywhere may have pointed there.
    if (!objects && !selection_.edges.WantsKind(v1::CHANGE_KIND_DELETED)) return absl::OkStatus();
    v1::Change change;
    change.mutable_collection_dropped()->set_collection(std::string(*collection));
    return emit_(std::move(change));
  }

  absl::Status TranslateCatalog(NamespaceId ns) {
    const std::string collections = CollectionRecordKey(ns, "");
    const std::string relations = RelationRecordKey(ns, "");
    absl::Status status;
    const auto write = [&](std::string_view key, const std::string_view* value) {
      if (value == nullptr || !status.ok()) return;
      if (key.starts_with(collections)) {
        status = TranslateDefinition<internal::v1::CollectionRecord>(*value);
      } else if (key.starts_with(relations)) {
        status = TranslateDefinition<internal::v1::RelationRecord>(*value);
      }
    };
    COOKIX_RETURN_IF_ERROR(storage::ForEachWrite(logged_.batch, Family::kCatalog, write));
    return status;
  }

  template <typename Record>
  absl::Status TranslateDefinition(std::string_view bytes) {
    Record record;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Malformed();
    v1::Change change;
    if constexpr (std::is_same_v<Record, internal::v1::CollectionRecord>) {
      See(record.collection().name());
      change.mutable_collection()->Swap(record.mutable_collection());
    } else {
      change.mutable_relation()->Swap(record.mutable_relation());
      change.mutable_relation()->set_registered(record.registered());
    }
    return selection_.with_definitions ? emit_(std::move(change)) : absl::OkStatus();
  }

  CommitFeed& feed_;
  const WatchSelection& selection_;
  const storage::LogCommit& logged_;
  const ChangeRecord& change_;
  const CommitNames names_;
  const Emit emit_;

  NamespaceId last_namespace_ = 0;
  bool last_wanted_ = false;
  absl::flat_hash_map<Ordinal, const OrdinalName*> refs_;
  bool vectors_read_ = false;
  // By object: field, and the bytes put or nothing. Into the batch.
  absl::flat_hash_map<Ordinal,
                      std::vector<std::pair<std::string_view, std::optional<std::string_view>>>>
      vectors_;
};

absl::Status CommitFeed::Translate(const storage::LogCommit& commit, const Catalog& catalog,
                                   Emit emit) {
  google::protobuf::Arena arena;
  auto* change = google::protobuf::Arena::CreateMessage<ChangeRecord>(&arena);
  if (!change->ParseFromString(commit.change)) return Malformed();
  return Commit(*this, commit, *change, catalog, emit).Translate();
}

absl::Status CommitFeed::CheckNames(const Catalog& catalog) const {
  const std::shared_ptr<const NamespaceInfo> ns = catalog.Find(selection_.namespace_name);
  if (ns == nullptr) {
    return NotFound("NAMESPACE_NOT_FOUND", "namespace",
                    absl::StrCat("namespace \"", selection_.namespace_name, "\" does not exist"),
                    "Create the namespace, or name one that ListNamespaces shows");
  }
  const auto check = [&](const ChangeSelection& selection, std::string_view field) -> absl::Status {
    for (const std::string& name : selection.collections) {
      if (ns->FindCollection(name) != nullptr || seen_.contains(name)) continue;
      return NotFound("COLLECTION_NOT_FOUND", field,
                      absl::StrCat("collection \"", name, "\" does not exist"),
                      "Create the collection, or name one that ListCollections shows");
    }
    return absl::OkStatus();
  };
  COOKIX_RETURN_IF_ERROR(check(selection_.objects, "objects.collections"));
  return check(selection_.edges, "edges.collections");
}

}  // namespace cookix::engine
