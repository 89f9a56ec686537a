#include "engine/write/writer.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "engine/catalog/builtin_relations.h"
#include "engine/text/text_field.h"
#include "engine/vector/vector_field.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"
#include "storage/commit_writes.h"

namespace cookix::engine {
namespace {

using internal::v1::TombstoneRecord;
using storage::Family;

// Some 50 MB when full.
constexpr size_t kIdentityCacheEntries = 1'000'000;
constexpr int64_t kCollectBatch = 1000;
// Records that one round of the collector looks at for each that it may delete.
constexpr int64_t kLookedAtPerRecord = 20;

absl::Status NamespaceMissing(std::string_view name) {
  return NotFound("NAMESPACE_NOT_FOUND", "namespace",
                  absl::StrCat("namespace \"", std::string(name.empty() ? kDefaultName : name),
                               "\" does not exist"),
                  "Create the namespace, or name one that ListNamespaces shows");
}

std::string Member(const std::string& field, std::string_view member) {
  return field.empty() ? std::string(member) : field + "." + std::string(member);
}

// A namespace with its default collection and the built-in relations.
std::shared_ptr<NamespaceInfo> NewNamespace(NamespaceId id, const v1::Namespace& given,
                                            int64_t time_ms) {
  auto ns = std::make_shared<NamespaceInfo>();
  ns->id = id;
  ns->record.set_id(id);
  ns->record.set_name(given.name());
  ns->record.set_description(given.description());
  *ns->record.mutable_labels() = given.labels();
  ns->record.set_created_ms(time_ms);
  ns->record.set_next_collection_id(kDefaultCollectionId + 1);
  ns->record.set_next_relation_id(static_cast<uint32_t>(kBuiltinRelations.size()) + 1);
  auto collection = std::make_shared<CollectionInfo>();
  collection->id = kDefaultCollectionId;
  collection->record.set_id(kDefaultCollectionId);
  collection->record.mutable_collection()->set_name(std::string(kDefaultName));
  collection->record.mutable_collection()->set_created_ms(time_ms);
  *collection->record.mutable_collection()->add_text_fields() = DefaultTextField();
  ns->collections_by_id[kDefaultCollectionId] = collection;
  ns->collections[std::string(kDefaultName)] = std::move(collection);
  RelationId relation_id = 0;
  for (const BuiltinRelation& builtin : kBuiltinRelations) {
    auto relation = std::make_shared<RelationInfo>();
    relation->id = ++relation_id;
    relation->record.set_id(relation_id);
    relation->record.set_registered(true);
    v1::Relation* shown = relation->record.mutable_relation();
    shown->set_name(std::string(builtin.name));
    shown->set_symmetric(builtin.symmetric);
    shown->set_transitive(builtin.transitive);
    shown->set_inverse(std::string(builtin.inverse));
    shown->set_description(std::string(builtin.description));
    std::string_view words = builtin.asked_by;
    while (!words.empty()) {
      const size_t comma = words.find(',');
      shown->add_asked_by(std::string(words.substr(0, comma)));
      words = comma == std::string_view::npos ? std::string_view() : words.substr(comma + 1);
    }
    shown->set_built_in(true);
    ns->relations[std::string(builtin.name)] = std::move(relation);
  }
  ResolveRelations(ns.get());
  return ns;
}

void PutNamespace(storage::CommitBatch& batch, const NamespaceInfo& ns, NamespaceId next_id) {
  batch.Put(Family::kCatalog, NamespaceRecordKey(ns.record.name()), ns.record.SerializeAsString());
  for (const auto& [name, collection] : ns.collections) {
    batch.Put(Family::kCatalog, CollectionRecordKey(ns.id, name),
              collection->record.SerializeAsString());
  }
  for (const auto& [name, relation] : ns.relations) {
    batch.Put(Family::kCatalog, RelationRecordKey(ns.id, name),
              relation->record.SerializeAsString());
  }
  std::string next;
  PutFixed32(&next, next_id);
  batch.Put(Family::kCatalog, NextNamespaceIdKey(), next);
  internal::v1::ChangeRecord change;
  change.add_events()->mutable_catalog()->set_namespace_id(0);
  batch.SetChange(change.SerializeAsString());
}

std::shared_ptr<const Catalog> WithNamespace(const Catalog& catalog,
                                             std::shared_ptr<const NamespaceInfo> ns) {
  auto changed = std::make_shared<Catalog>(catalog);
  changed->namespaces_by_id[ns->id] = ns;
  changed->namespaces[ns->record.name()] = std::move(ns);
  return changed;
}

}  // namespace

absl::StatusOr<PreparedMutation> Prepare(const v1::ObjectWrite& write, std::string field,
                                         const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CheckObjectWrite(write, field, limits));
  PreparedMutation prepared;
  prepared.action = &write;
  prepared.field = std::move(field);
  const v1::Object& object = write.object();
  prepared.record.set_content(object.content());
  *prepared.record.mutable_properties() = object.properties();
  prepared.record.set_expires_ms(object.expires_ms());
  std::vector<std::string> labels(object.labels().begin(), object.labels().end());
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  for (std::string& label : labels) prepared.record.add_labels(std::move(label));
  std::vector<std::string> vectors;
  for (const auto& [name, vector] : object.vectors()) vectors.push_back(name);
  std::sort(vectors.begin(), vectors.end());
  for (std::string& name : vectors) prepared.record.add_vector_fields(std::move(name));
  return prepared;
}

absl::StatusOr<PreparedMutation> Prepare(const v1::Mutation& mutation, std::string field,
                                         const Limits& limits) {
  PreparedMutation prepared;
  switch (mutation.action_case()) {
    case v1::Mutation::kPutObject:
      return Prepare(mutation.put_object(), Member(field, "put_object"), limits);
    case v1::Mutation::kPatchObject:
      prepared.field = Member(field, "patch_object");
      prepared.action = &mutation.patch_object();
      COOKIX_RETURN_IF_ERROR(CheckObjectPatch(mutation.patch_object(), prepared.field, limits));
      return prepared;
    case v1::Mutation::kDeleteObject:
      prepared.field = Member(field, "delete_object");
      prepared.action = &mutation.delete_object();
      COOKIX_RETURN_IF_ERROR(
          CheckRef(mutation.delete_object().ref(), Member(prepared.field, "ref"), limits));
      return prepared;
    case v1::Mutation::kPutEdge:
      prepared.field = Member(field, "put_edge");
      prepared.action = &mutation.put_edge();
      COOKIX_RETURN_IF_ERROR(CheckEdge(mutation.put_edge(), true, prepared.field, limits));
      return prepared;
    case v1::Mutation::kDeleteEdge: {
      prepared.field = Member(field, "delete_edge");
      prepared.action = &mutation.delete_edge();
      const v1::EdgeDelete& edge = mutation.delete_edge();
      COOKIX_RETURN_IF_ERROR(CheckRef(edge.source(), Member(prepared.field, "source"), limits));
      COOKIX_RETURN_IF_ERROR(CheckRef(edge.target(), Member(prepared.field, "target"), limits));
      COOKIX_RETURN_IF_ERROR(
          CheckRelationName(edge.relation(), Member(prepared.field, "relation"), limits));
      return prepared;
    }
    case v1::Mutation::kCheck:
      prepared.field = Member(field, "check");
      prepared.action = &mutation.check();
      COOKIX_RETURN_IF_ERROR(
          CheckRef(mutation.check().ref(), Member(prepared.field, "ref"), limits));
      return prepared;
    case v1::Mutation::ACTION_NOT_SET:
      break;
  }
  return InvalidField(field, "the mutation is empty", "Set one action");
}

Writer::Writer(storage::Store& store, const Limits& limits, Log log)
    : store_(store), limits_(limits), log_(std::move(log)), identities_(kIdentityCacheEntries) {}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Open(storage::Store& store, const Limits& limits,
                                                     Log log) {
  std::unique_ptr<Writer> writer(new Writer(store, limits, std::move(log)));
  const std::shared_ptr<const storage::Snapshot> snapshot = store.Latest();
  COOKIX_RETURN_IF_ERROR(writer->Load(*snapshot));
  writer->published_ = {snapshot, writer->state_.catalog};
  writer->published_counters_ = writer->state_.counters;
  writer->published_tombstones_ = writer->state_.tombstones;
  store.SetListener(writer.get());
  if (writer->state_.catalog->Find(kDefaultName) == nullptr) {
    CallContext context;
    v1::Namespace ns;
    ns.set_name(std::string(kDefaultName));
    ns.set_description("Where everything goes that names no namespace.");
    v1::WriteResult result;
    bool created;
    COOKIX_RETURN_IF_ERROR(
        writer->CreateNamespace(context, ns, true, v1::WriteOptions(), &result, &created));
  }
  return writer;
}

absl::Status Writer::Load(const storage::Snapshot& snapshot) {
  COOKIX_ASSIGN_OR_RETURN(LoadedCatalog loaded, LoadCatalog(snapshot));
  state_.catalog = loaded.catalog;
  state_.next_namespace_id = loaded.next_namespace_id;
  state_.counters = std::move(loaded.counters);
  state_.tombstones.clear();
  for (auto& [key, record] : loaded.tombstones) state_.tombstones[key] = std::move(record);
  state_.stale = false;
  identities_.Clear();
  next_expiry_ms_ = loaded.next_expiry_ms;
  pending_ = static_cast<int64_t>(state_.tombstones.size());
  return absl::OkStatus();
}

absl::Status Writer::RefreshIfStale() {
  if (!state_.stale) return absl::OkStatus();
  COOKIX_RETURN_IF_ERROR(Load(*store_.Latest()));
  std::lock_guard<std::mutex> lock(mutex_);
  published_counters_ = state_.counters;
  published_tombstones_ = state_.tombstones;
  return absl::OkStatus();
}

ReadView Writer::Read() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return published_;
}

void Writer::OnPublish(const std::vector<storage::LogCommitPtr>& commits,
                       const std::shared_ptr<const storage::Snapshot>& snapshot) {
  if (store_.follower()) {
    if (const absl::Status status = Follow(commits, *snapshot); !status.ok()) {
      // The catalog of before is shown until one can be read.
      state_.stale = true;
      if (log_) log_("error", absl::StrCat("following the catalog: ", status.message()));
    }
    if (followed_) followed_(commits);
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    published_ = {snapshot, state_.catalog};
    for (const NamespaceId ns : touched_) {
      auto it = state_.counters.find(ns);
      if (it == state_.counters.end()) {
        published_counters_.erase(ns);
      } else {
        published_counters_[ns] = it->second;
      }
    }
    touched_.clear();
    if (tombstones_touched_) published_tombstones_ = state_.tombstones;
    tombstones_touched_ = false;
  }
  pending_ = static_cast<int64_t>(state_.tombstones.size());
  if (views_ != nullptr) {
    for (const storage::LogCommitPtr& commit : commits) {
      views_->OnPublish(commit->commit, static_cast<int64_t>(commit->change.size()));
    }
  }
}

void Writer::OnAbort() { state_.stale = true; }

void Writer::TakeOver(WriteSession& session) {
  const std::shared_ptr<const NamespaceInfo> ns = session.namespace_info();
  session.ApplyCounters(&state_.counters[ns->id]);
  session.TeachIdentities();
  if (session.namespace_changed()) state_.catalog = WithNamespace(*state_.catalog, ns);
  for (const auto& [key, record] : session.new_tombstones()) state_.tombstones[key] = record;
  for (const std::string& key : session.removed_tombstones()) state_.tombstones.erase(key);
  if (!session.new_tombstones().empty() || !session.removed_tombstones().empty()) {
    std::lock_guard<std::mutex> lock(mutex_);
    tombstones_touched_ = true;
  }
  if (const int64_t expiry = session.earliest_expiry_ms(); expiry != 0) {
    const int64_t next = next_expiry_ms_.load();
    if (next == 0 || expiry < next) next_expiry_ms_ = expiry;
  }
  Touch(ns->id);
}

void Writer::Touch(NamespaceId ns) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (std::find(touched_.begin(), touched_.end(), ns) == touched_.end()) touched_.push_back(ns);
}

absl::Status Writer::Follow(const std::vector<storage::LogCommitPtr>& commits,
                            const storage::Snapshot& snapshot) {
  // Counters change with nearly every commit, everything else in the catalog seldom: then all
  // of it is read.
  bool changed = state_.stale;
  int64_t expiry = 0;
  absl::Status status;
  const auto write = [&](std::string_view key, const std::string_view* value) {
    NamespaceId ns = 0;
    int64_t expires_ms = 0;
    Ordinal ordinal = 0;
    if (NamespaceOfCounter(key, &ns)) {
      if (value == nullptr) {
        changed = true;
      } else if (ReadCounter(key, *value, &state_.counters[ns])) {
        Touch(ns);
      } else {
        status =
            Corruption("a counter of a repeated commit is malformed", "Seed the replica again");
      }
    } else if (DecodeExpiryKey(key, &expires_ms, &ns, &ordinal)) {
      if (value != nullptr && (expiry == 0 || expires_ms < expiry)) expiry = expires_ms;
    } else {
      changed = true;
    }
  };
  const auto erase = [&](std::string_view, std::string_view) { changed = true; };
  for (const storage::LogCommitPtr& commit : commits) {
    COOKIX_RETURN_IF_ERROR(storage::ForEachWrite(commit->batch, Family::kCatalog, write, erase));
  }
  COOKIX_RETURN_IF_ERROR(status);
  if (changed) {
    COOKIX_RETURN_IF_ERROR(Load(snapshot));
    std::lock_guard<std::mutex> lock(mutex_);
    published_counters_ = state_.counters;
    tombstones_touched_ = true;
    return absl::OkStatus();
  }
  const int64_t next = next_expiry_ms_.load();
  if (expiry != 0 && (next == 0 || expiry < next)) next_expiry_ms_ = expiry;
  return absl::OkStatus();
}

absl::Status Writer::InSession(storage::CommitBatch& batch, std::string_view namespace_name,
                               absl::FunctionRef<absl::Status(WriteSession&)> change) {
  COOKIX_RETURN_IF_ERROR(RefreshIfStale());
  std::shared_ptr<const NamespaceInfo> ns = state_.catalog->Find(namespace_name);
  if (ns == nullptr) return NamespaceMissing(namespace_name);
  const NamespaceId id = ns->id;
  WriteSession session(batch, std::move(ns), state_.counters[id], identities_, limits_);
  COOKIX_RETURN_IF_ERROR(change(session));
  COOKIX_ASSIGN_OR_RETURN(const bool wrote, session.Finish());
  if (vector_room_) {
    for (const auto& [place, bytes] : session.vectors_put()) {
      const CollectionInfo* collection = session.ns().FindCollection(place.first);
      if (collection == nullptr) continue;
      const v1::VectorField* field = FindVectorField(collection->record.collection(), place.second);
      if (field != nullptr) COOKIX_RETURN_IF_ERROR(vector_room_(*field, bytes));
    }
  }
  if (text_room_ && session.text_bytes_put() > 0) {
    COOKIX_RETURN_IF_ERROR(text_room_(session.text_bytes_put()));
  }
  if (wrote) TakeOver(session);
  return absl::OkStatus();
}

absl::Status Writer::Commit(CallContext& context, const storage::CommitOptions& commit_options,
                            const v1::WriteOptions& options,
                            absl::FunctionRef<absl::Status(storage::CommitBatch&)> builder,
                            v1::WriteResult* result, std::string* response) {
  COOKIX_RETURN_IF_ERROR(CheckWriteOptions(options, limits_));
  COOKIX_RETURN_IF_ERROR(context.Check());
  if (views_ != nullptr) COOKIX_RETURN_IF_ERROR(views_->WaitForRoom(context, options.bulk()));
  absl::StatusOr<storage::CommitResult> answer = store_.Commit(commit_options, builder);
  if (!answer.ok()) {
    const std::optional<ErrorDetail> detail = GetErrorDetail(answer.status());
    if (detail.has_value() && detail->reason == "REQUEST_ID_REUSED") {
      return WithField(answer.status(), "options.request_id");
    }
    return answer.status();
  }
  storage::CommitResult committed = *std::move(answer);
  result->set_position(storage::EncodePosition(committed.position));
  result->set_commit(static_cast<int64_t>(committed.position.commit));
  result->set_replayed(committed.replayed);
  if (response != nullptr) *response = std::move(committed.response);
  // Also when it is a repetition: the first answer may have been that it is not there yet.
  if (replicated_ != nullptr) COOKIX_RETURN_IF_ERROR(replicated_(context, committed.position));
  if (options.wait_for_views() && views_ != nullptr) {
    const int64_t wait = options.wait_ms() > 0 ? options.wait_ms() : limits_.default_wait_ms;
    const auto deadline =
        std::min(context.deadline(), CallContext::Clock::now() + std::chrono::milliseconds(wait));
    result->set_visible(views_->WaitAllVisible(committed.position.commit, deadline));
  }
  return absl::OkStatus();
}

absl::Status Writer::ConfirmLatest(const CallContext& context) const {
  if (replicated_ == nullptr) return absl::OkStatus();
  return replicated_(context, store_.Latest()->position());
}

absl::Status Writer::Apply(CallContext& context, std::string_view namespace_name,
                           std::vector<PreparedMutation>& mutations,
                           const v1::WriteOptions& options, uint64_t request_fingerprint,
                           v1::WriteResult* result, std::vector<bool>* results) {
  storage::CommitOptions commit_options;
  if (!options.request_id().empty()) {
    commit_options.request_id =
        std::string(namespace_name.empty() ? kDefaultName : namespace_name) + "/" +
        options.request_id();
    commit_options.request_fingerprint = request_fingerprint;
  }
  commit_options.reclaims_space =
      std::all_of(mutations.begin(), mutations.end(), [](const PreparedMutation& mutation) {
        return std::holds_alternative<const v1::ObjectDelete*>(mutation.action) ||
               std::holds_alternative<const v1::EdgeDelete*>(mutation.action) ||
               std::holds_alternative<const v1::ConditionCheck*>(mutation.action);
      });
  std::string flags;
  auto builder = [&](storage::CommitBatch& batch) -> absl::Status {
    flags.clear();
    COOKIX_RETURN_IF_ERROR(
        InSession(batch, namespace_name, [&](WriteSession& session) -> absl::Status {
          for (PreparedMutation& mutation : mutations) {
            absl::StatusOr<bool> changed = false;
            if (auto* put = std::get_if<const v1::ObjectWrite*>(&mutation.action)) {
              changed = session.PutObject(**put, std::move(mutation.record), mutation.field);
            } else if (auto* patch = std::get_if<const v1::ObjectPatch*>(&mutation.action)) {
              changed = session.PatchObject(**patch, mutation.field);
            } else if (auto* object = std::get_if<const v1::ObjectDelete*>(&mutation.action)) {
              changed = session.DeleteObject(**object, mutation.field);
            } else if (auto* edge = std::get_if<const v1::Edge*>(&mutation.action)) {
              changed = session.PutEdge(**edge, mutation.field);
            } else if (auto* gone = std::get_if<const v1::EdgeDelete*>(&mutation.action)) {
              changed = session.DeleteEdge(**gone, mutation.field);
            } else {
              COOKIX_RETURN_IF_ERROR(session.Check(
                  *std::get<const v1::ConditionCheck*>(mutation.action), mutation.field));
            }
            COOKIX_RETURN_IF_ERROR(changed.status());
            flags.push_back(*changed ? '1' : '0');
          }
          return absl::OkStatus();
        }));
    batch.SetResponse(flags);
    return absl::OkStatus();
  };
  std::string response;
  COOKIX_RETURN_IF_ERROR(Commit(context, commit_options, options, builder, result, &response));
  // A builder that wrote nothing leaves no response behind.
  if (response.empty()) response = flags;
  results->clear();
  for (const char flag : response) results->push_back(flag == '1');
  results->resize(mutations.size(), false);
  return absl::OkStatus();
}

absl::Status Writer::InsertVectors(CallContext& context, const v1::InsertVectorsRequest& request,
                                   uint64_t request_fingerprint, v1::WriteResult* result,
                                   int64_t* created) {
  const v1::WriteOptions& options = request.options();
  const std::string& name = request.namespace_();
  // Nearly all of the checking needs only the catalog, so it is done before the commit's
  // turn comes. A request that may be a repetition is answered as the first one was,
  // whatever has become of the catalog since.
  absl::StatusOr<VectorRows> rows = NamespaceMissing(name);
  if (const std::shared_ptr<const NamespaceInfo> ns = Read().catalog->Find(name); ns != nullptr) {
    rows = VectorRows::Check(*ns, request, limits_);
  }
  storage::CommitOptions commit_options;
  if (options.request_id().empty()) {
    COOKIX_RETURN_IF_ERROR(rows.status());
  } else {
    commit_options.request_id =
        (name.empty() ? std::string(kDefaultName) : name) + "/" + options.request_id();
    commit_options.request_fingerprint = request_fingerprint;
  }
  std::string response;
  COOKIX_RETURN_IF_ERROR(Commit(
      context, commit_options, options,
      [&](storage::CommitBatch& batch) -> absl::Status {
        int64_t count = 0;
        COOKIX_RETURN_IF_ERROR(InSession(batch, name, [&](WriteSession& session) -> absl::Status {
          if (!rows.ok() || !rows->Fit(session.ns())) {
            COOKIX_ASSIGN_OR_RETURN(const VectorRows again,
                                    VectorRows::Check(session.ns(), request, limits_));
            COOKIX_ASSIGN_OR_RETURN(count, session.PutVectors(again));
            return absl::OkStatus();
          }
          COOKIX_ASSIGN_OR_RETURN(count, session.PutVectors(*rows));
          return absl::OkStatus();
        }));
        std::string bytes;
        PutVarint64(&bytes, static_cast<uint64_t>(count));
        batch.SetResponse(std::move(bytes));
        return absl::OkStatus();
      },
      result, &response));
  std::string_view bytes = response;
  uint64_t count = 0;
  if (!GetVarint64(&bytes, &count)) {
    return Corruption("the answer to a request id is malformed", "Restore from a checkpoint");
  }
  *created = static_cast<int64_t>(count);
  return absl::OkStatus();
}

absl::Status Writer::ChangeNamespace(CallContext& context, std::string_view namespace_name,
                                     bool reclaims, const v1::WriteOptions& options,
                                     uint64_t request_fingerprint,
                                     absl::FunctionRef<absl::Status(WriteSession&)> change,
                                     v1::WriteResult* result) {
  storage::CommitOptions commit_options;
  commit_options.reclaims_space = reclaims;
  if (!options.request_id().empty()) {
    commit_options.request_id =
        std::string(namespace_name.empty() ? kDefaultName : namespace_name) + "/" +
        options.request_id();
    commit_options.request_fingerprint = request_fingerprint;
  }
  return Commit(
      context, commit_options, options,
      [&](storage::CommitBatch& batch) { return InSession(batch, namespace_name, change); }, result,
      nullptr);
}

absl::Status Writer::CreateNamespace(CallContext& context, const v1::Namespace& ns,
                                     bool if_not_exists, const v1::WriteOptions& options,
                                     v1::WriteResult* result, bool* created) {
  storage::CommitOptions commit_options;
  if (!options.request_id().empty()) {
    commit_options.request_id = "*/" + options.request_id();
    commit_options.request_fingerprint =
        std::hash<std::string>()(ns.name() + "\n" + ns.description());
  }
  *created = false;
  return Commit(
      context, commit_options, options,
      [&](storage::CommitBatch& batch) -> absl::Status {
        COOKIX_RETURN_IF_ERROR(RefreshIfStale());
        if (state_.catalog->Find(ns.name()) != nullptr) {
          if (if_not_exists) return absl::OkStatus();
          return MakeError(absl::StatusCode::kAlreadyExists,
                           absl::StrCat("namespace \"", ns.name(), "\" exists already"),
                           {"ALREADY_EXISTS", "namespace.name",
                            "Use another name, or set if_not_exists", false});
        }
        if (static_cast<int64_t>(state_.catalog->namespaces.size()) >= limits_.max_namespaces) {
          return LimitExceeded("namespace.name", "there are too many namespaces",
                               "Delete one first");
        }
        std::shared_ptr<NamespaceInfo> info =
            NewNamespace(state_.next_namespace_id, ns, batch.time_ms());
        PutNamespace(batch, *info, state_.next_namespace_id + 1);
        ++state_.next_namespace_id;
        state_.counters[info->id] = NamespaceCounters();
        {
          std::lock_guard<std::mutex> lock(mutex_);
          touched_.push_back(info->id);
        }
        state_.catalog = WithNamespace(*state_.catalog, std::move(info));
        *created = true;
        return absl::OkStatus();
      },
      result, nullptr);
}

absl::Status Writer::DropNamespace(CallContext& context, std::string_view name, bool force,
                                   const v1::WriteOptions& options, v1::WriteResult* result) {
  storage::CommitOptions commit_options;
  commit_options.reclaims_space = true;
  if (!options.request_id().empty()) {
    commit_options.request_id = "*/" + options.request_id();
    commit_options.request_fingerprint = std::hash<std::string>()("drop " + std::string(name));
  }
  return Commit(
      context, commit_options, options,
      [&](storage::CommitBatch& batch) -> absl::Status {
        COOKIX_RETURN_IF_ERROR(RefreshIfStale());
        const std::shared_ptr<const NamespaceInfo> ns = state_.catalog->Find(name);
        if (ns == nullptr) return NamespaceMissing(name);
        if (ns->id == kDefaultNamespaceId) {
          return MakeError(absl::StatusCode::kFailedPrecondition,
                           "the namespace \"default\" cannot be deleted",
                           {"BUILT_IN", "namespace", "Delete its objects instead", false});
        }
        if (!force) {
          for (const auto& [collection, count] : state_.counters[ns->id].objects) {
            if (count == 0) continue;
            return MakeError(absl::StatusCode::kFailedPrecondition,
                             absl::StrCat("namespace \"", std::string(name), "\" has objects"),
                             {"NOT_EMPTY", "force", "Set force to delete them too", false});
          }
        }
        TombstoneRecord record;
        record.mutable_namespace_()->set_namespace_id(ns->id);
        record.set_commit(batch.commit());
        const std::string key = TombstoneKey(batch.commit(), 0);
        batch.Put(Family::kCatalog, key, record.SerializeAsString());
        batch.Delete(Family::kCatalog, NamespaceRecordKey(ns->record.name()));
        internal::v1::ChangeRecord change;
        change.add_events()->mutable_catalog()->set_namespace_id(0);
        *change.add_events()->mutable_tombstone() = record;
        internal::v1::CatalogName* dropped = change.add_names();
        dropped->set_namespace_id(ns->id);
        dropped->set_name(ns->record.name());
        batch.SetChange(change.SerializeAsString());
        auto catalog = std::make_shared<Catalog>(*state_.catalog);
        catalog->namespaces.erase(ns->record.name());
        catalog->namespaces_by_id.erase(ns->id);
        state_.catalog = std::move(catalog);
        state_.counters.erase(ns->id);
        state_.tombstones[key] = record;
        std::lock_guard<std::mutex> lock(mutex_);
        touched_.push_back(ns->id);
        tombstones_touched_ = true;
        return absl::OkStatus();
      },
      result, nullptr);
}

absl::Status Writer::InternalCommit(
    absl::FunctionRef<absl::Status(storage::CommitBatch&)> builder) {
  storage::CommitOptions options;
  options.reclaims_space = true;
  return store_.Commit(options, builder).status();
}

absl::StatusOr<int64_t> Writer::SweepExpired(int64_t now_ms, int64_t max_objects) {
  int64_t removed = 0;
  // Objects of one namespace at a time: a session belongs to one.
  COOKIX_RETURN_IF_ERROR(InternalCommit([&](storage::CommitBatch& batch) -> absl::Status {
    removed = 0;
    COOKIX_RETURN_IF_ERROR(RefreshIfStale());
    NamespaceId ns_id = 0;
    std::vector<std::pair<int64_t, Ordinal>> due;
    int64_t next = 0;
    storage::ScanBounds bounds = storage::PrefixBounds("x");
    auto it = batch.Scan(Family::kCatalog, bounds);
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      int64_t expires;
      NamespaceId entry_ns;
      Ordinal ordinal;
      if (!DecodeExpiryKey(it->key(), &expires, &entry_ns, &ordinal)) {
        return Corruption("an expiry record is malformed", "Restore from a checkpoint");
      }
      if (expires > now_ms || static_cast<int64_t>(due.size()) >= max_objects ||
          (ns_id != 0 && entry_ns != ns_id)) {
        next = expires;
        break;
      }
      ns_id = entry_ns;
      due.emplace_back(expires, ordinal);
    }
    COOKIX_RETURN_IF_ERROR(it->status());
    it.reset();
    next_expiry_ms_ = next;
    if (due.empty()) return absl::OkStatus();
    removed = static_cast<int64_t>(due.size());
    const std::shared_ptr<const NamespaceInfo> ns = state_.catalog->Find(ns_id);
    if (ns == nullptr) {
      // The namespace is gone; only the index entries are left.
      for (const auto& [expires, ordinal] : due) {
        batch.Delete(Family::kCatalog, ExpiryKey(expires, ns_id, ordinal));
      }
      internal::v1::ChangeRecord change;
      change.add_events()->mutable_catalog()->set_namespace_id(0);
      batch.SetChange(change.SerializeAsString());
      return absl::OkStatus();
    }
    return InSession(batch, ns->record.name(), [&](WriteSession& session) -> absl::Status {
      for (const auto& [expires, ordinal] : due) {
        session.RemoveExpiryEntry(expires, ordinal);
        COOKIX_RETURN_IF_ERROR(session.DeleteOrdinal(ordinal));
      }
      return absl::OkStatus();
    });
  }));
  return removed;
}

absl::StatusOr<int64_t> Writer::Collect(int64_t max_records) {
  std::map<std::string, TombstoneRecord> pending;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    pending = published_tombstones_;
  }
  int64_t removed = 0;
  for (const auto& [key, record] : pending) {
    if (removed >= max_records) break;
    absl::StatusOr<int64_t> done = 0;
    if (record.has_edges()) {
      done = CollectEdges(key, record, max_records - removed);
    } else if (record.has_collection()) {
      done = CollectCollection(key, record, max_records - removed);
    } else if (record.has_vector_field()) {
      done = CollectVectorField(key, record, max_records - removed);
    } else if (record.has_namespace_()) {
      done = CollectNamespace(key, record);
    } else {
      done = Corruption("a tombstone names nothing to delete", "Restore from a checkpoint");
    }
    COOKIX_RETURN_IF_ERROR(done.status());
    removed += *done;
  }
  return removed;
}

void Writer::DropTombstone(storage::CommitBatch& batch, const std::string& key,
                           const TombstoneRecord& record) {
  if (state_.tombstones.erase(key) == 0) return;
  batch.Delete(Family::kCatalog, key);
  internal::v1::ChangeRecord change;
  *change.add_events()->mutable_collected() = record;
  batch.SetChange(change.SerializeAsString());
  std::lock_guard<std::mutex> lock(mutex_);
  tombstones_touched_ = true;
}

absl::StatusOr<int64_t> Writer::CollectEdges(const std::string& key, const TombstoneRecord& record,
                                             int64_t max_records) {
  const NamespaceId ns_id = record.edges().namespace_id();
  const Ordinal ordinal = record.edges().ordinal();
  const bool both = record.edges().scope() == internal::v1::TOMBSTONE_SCOPE_BOTH;
  int64_t removed = 0;
  bool finished = false;
  while (!finished && removed < max_records) {
    int64_t batch_removed = 0;
    COOKIX_RETURN_IF_ERROR(InternalCommit([&](storage::CommitBatch& batch) -> absl::Status {
      batch_removed = 0;
      finished = false;
      COOKIX_RETURN_IF_ERROR(RefreshIfStale());
      const std::shared_ptr<const NamespaceInfo> ns = state_.catalog->Find(ns_id);
      if (ns == nullptr || state_.tombstones.count(key) == 0) {
        finished = true;
        DropTombstone(batch, key, record);
        return absl::OkStatus();
      }
      return InSession(batch, ns->record.name(), [&](WriteSession& session) -> absl::Status {
        bool complete = true;
        for (const bool out : {true, false}) {
          if (!out && !both) break;
          const Family family = out ? Family::kEdges : Family::kReverseEdges;
          const std::string cursor_key = key + (out ? "o" : "i");
          auto it = batch.Scan(family, storage::PrefixBounds(EdgesPrefix(ns_id, ordinal)));
          auto cursor = collector_cursors_.find(cursor_key);
          if (cursor == collector_cursors_.end()) {
            it->SeekToFirst();
          } else {
            it->Seek(cursor->second);
          }
          for (; it->Valid(); it->Next()) {
            if (batch_removed >= std::min(kCollectBatch, max_records - removed)) {
              collector_cursors_[cursor_key] = std::string(it->key());
              complete = false;
              break;
            }
            EdgeKey edge;
            EdgeValue value;
            if (!DecodeEdgeKey(it->key(), &edge) || !DecodeEdgeValue(it->value(), &value)) {
              return Corruption("an edge record is malformed", "Restore from a checkpoint");
            }
            if (value.version > record.commit()) continue;
            COOKIX_RETURN_IF_ERROR(session.CollectEdge(out ? ordinal : edge.far, edge.relation,
                                                       out ? edge.far : ordinal, edge.discriminator,
                                                       record.commit()));
            ++batch_removed;
          }
          COOKIX_RETURN_IF_ERROR(it->status());
          if (!complete) break;
        }
        if (complete) {
          session.RemoveTombstone(key, record);
          finished = true;
        }
        return absl::OkStatus();
      });
    }));
    removed += batch_removed;
  }
  if (finished) {
    collector_cursors_.erase(key + "o");
    collector_cursors_.erase(key + "i");
  }
  return removed + (finished ? 1 : 0);
}

absl::StatusOr<int64_t> Writer::CollectCollection(const std::string& key,
                                                  const TombstoneRecord& record,
                                                  int64_t max_records) {
  const NamespaceId ns_id = record.collection().namespace_id();
  const CollectionId collection = record.collection().collection_id();
  int64_t removed = 0;
  bool finished = false;
  while (!finished && removed < max_records) {
    int64_t batch_removed = 0;
    COOKIX_RETURN_IF_ERROR(InternalCommit([&](storage::CommitBatch& batch) -> absl::Status {
      batch_removed = 0;
      finished = false;
      COOKIX_RETURN_IF_ERROR(RefreshIfStale());
      const std::shared_ptr<const NamespaceInfo> ns = state_.catalog->Find(ns_id);
      if (ns == nullptr || state_.tombstones.count(key) == 0) {
        finished = true;
        DropTombstone(batch, key, record);
        return absl::OkStatus();
      }
      return InSession(batch, ns->record.name(), [&](WriteSession& session) -> absl::Status {
        auto it = batch.Scan(Family::kIdentity,
                             storage::PrefixBounds(IdentityKey(ns_id, collection, "")));
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
          // Each object may bring up to a thousand edges with it.
          if (batch_removed >= 20 || batch.ByteSize() > (1 << 20)) break;
          std::string_view bytes = it->value();
          Ordinal ordinal;
          if (!GetFixed64(&bytes, &ordinal)) {
            return Corruption("an identity record is malformed", "Restore from a checkpoint");
          }
          COOKIX_RETURN_IF_ERROR(session.DeleteOrdinal(ordinal));
          ++batch_removed;
        }
        COOKIX_RETURN_IF_ERROR(it->status());
        if (!it->Valid()) {
          session.RemoveTombstone(key, record);
          finished = true;
        }
        return absl::OkStatus();
      });
    }));
    removed += batch_removed;
  }
  return removed + (finished ? 1 : 0);
}

absl::StatusOr<int64_t> Writer::CollectVectorField(const std::string& key,
                                                   const TombstoneRecord& record,
                                                   int64_t max_records) {
  const NamespaceId ns_id = record.vector_field().namespace_id();
  const CollectionId collection = record.vector_field().collection_id();
  const std::string& field = record.vector_field().field();
  // No object gains the field while the tombstone is there, so those that a snapshot
  // shows to have it are all that can still have it, and one pass finds them.
  const ReadView read = Read();
  const auto it = read.snapshot->Scan(Family::kIdentity,
                                      storage::PrefixBounds(IdentityKey(ns_id, collection, "")));
  if (auto cursor = collector_cursors_.find(key); cursor != collector_cursors_.end()) {
    it->Seek(cursor->second);
  } else {
    it->SeekToFirst();
  }
  int64_t removed = 0;
  int64_t looked_at = 0;
  bool finished = false;
  while (!finished && removed < max_records && looked_at < max_records * kLookedAtPerRecord) {
    std::vector<Ordinal> found;
    size_t bytes = 0;
    const auto most = static_cast<size_t>(std::min(kCollectBatch, max_records - removed));
    std::string value;
    for (; it->Valid() && found.size() < most && bytes < (1 << 20) &&
           looked_at < max_records * kLookedAtPerRecord;
         it->Next(), ++looked_at) {
      std::string_view encoded = it->value();
      Ordinal ordinal;
      if (!GetFixed64(&encoded, &ordinal)) {
        return Corruption("an identity record is malformed", "Restore from a checkpoint");
      }
      COOKIX_ASSIGN_OR_RETURN(
          const bool there,
          read.snapshot->Get(Family::kObjects, ObjectKey(ns_id, ordinal), &value));
      internal::v1::ObjectRecord object;
      if (!there) continue;
      if (!object.ParseFromString(value)) {
        return Corruption("an object record is malformed", "Restore from a checkpoint");
      }
      const auto& names = object.vector_fields();
      if (std::find(names.begin(), names.end(), field) == names.end()) continue;
      found.push_back(ordinal);
      bytes += value.size();
    }
    COOKIX_RETURN_IF_ERROR(it->status());
    const bool last = !it->Valid();
    int64_t batch_removed = 0;
    auto collect = [&](storage::CommitBatch& batch) -> absl::Status {
      batch_removed = 0;
      finished = false;
      COOKIX_RETURN_IF_ERROR(RefreshIfStale());
      const std::shared_ptr<const NamespaceInfo> ns = state_.catalog->Find(ns_id);
      if (ns == nullptr || state_.tombstones.count(key) == 0) {
        finished = true;
        DropTombstone(batch, key, record);
        return absl::OkStatus();
      }
      return InSession(batch, ns->record.name(), [&](WriteSession& session) -> absl::Status {
        for (const Ordinal ordinal : found) {
          COOKIX_ASSIGN_OR_RETURN(const bool had, session.CollectVector(ordinal, field));
          if (had) ++batch_removed;
        }
        if (last) {
          session.RemoveTombstone(key, record);
          finished = true;
        }
        return absl::OkStatus();
      });
    };
    if (last || !found.empty()) COOKIX_RETURN_IF_ERROR(InternalCommit(collect));
    removed += batch_removed;
    if (!last) collector_cursors_[key] = std::string(it->key());
  }
  if (finished) collector_cursors_.erase(key);
  return removed + (finished ? 1 : 0);
}

absl::StatusOr<int64_t> Writer::CollectNamespace(const std::string& key,
                                                 const TombstoneRecord& record) {
  const NamespaceId ns_id = record.namespace_().namespace_id();
  COOKIX_RETURN_IF_ERROR(InternalCommit([&](storage::CommitBatch& batch) -> absl::Status {
    COOKIX_RETURN_IF_ERROR(RefreshIfStale());
    if (state_.tombstones.erase(key) == 0) return absl::OkStatus();
    const std::string begin = NamespacePrefix(ns_id);
    const std::string end = NamespacePrefix(ns_id + 1);
    for (const Family family : {Family::kIdentity, Family::kObjects, Family::kEdges,
                                Family::kReverseEdges, Family::kVectors, Family::kKeyValue}) {
      batch.DeleteRange(family, begin, end);
    }
    for (const char kind : {'c', 'r', 'k'}) {
      batch.DeleteRange(Family::kCatalog, std::string(1, kind) + begin, std::string(1, kind) + end);
    }
    batch.Delete(Family::kCatalog, key);
    internal::v1::ChangeRecord change;
    *change.add_events()->mutable_collected() = record;
    batch.SetChange(change.SerializeAsString());
    std::lock_guard<std::mutex> lock(mutex_);
    tombstones_touched_ = true;
    return absl::OkStatus();
  }));
  return 1;
}

Writer::Counts Writer::CountsOf(NamespaceId ns) const {
  Counts counts;
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = published_counters_.find(ns);
  if (it == published_counters_.end()) return counts;
  counts.by_collection = it->second.objects;
  counts.by_relation = it->second.edges;
  for (const auto& [collection, count] : it->second.objects) counts.objects += count;
  for (const auto& [relation, count] : it->second.edges) counts.edges += count;
  return counts;
}

int64_t Writer::ObjectsIn(NamespaceId ns, CollectionId collection) const {
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = published_counters_.find(ns);
  if (it == published_counters_.end()) return 0;
  auto count = it->second.objects.find(collection);
  return count == it->second.objects.end() ? 0 : count->second;
}

}  // namespace cookix::engine
