#include "engine/api/object_api.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/read_support.h"
#include "engine/api/request_fingerprint.h"
#include "engine/cursor_table.h"
#include "engine/database.h"
#include "engine/fill_edge.h"
#include "engine/filter/filter.h"
#include "engine/write/validate.h"
#include "engine/write/writer.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

// A request as it counts for its request id: without the id and the waiting.
template <typename Request>
uint64_t WriteFingerprint(const Request& request) {
  if (request.options().request_id().empty()) return 0;
  Request copy = request;
  copy.clear_options();
  return FingerprintOf(copy);
}

absl::Status TooMany(std::string_view field, int64_t count, int64_t limit) {
  return LimitExceeded(field, absl::StrCat(count, " entries, more than ", limit),
                       "Split the request");
}

absl::Status CheckCount(std::string_view field, int64_t count, int64_t limit) {
  if (count == 0) return InvalidField(field, "the list is empty", "Send at least one entry");
  if (count > limit) return TooMany(field, count, limit);
  return absl::OkStatus();
}

std::string RefName(const v1::ObjectRef& ref) {
  return (ref.collection().empty() ? std::string(kDefaultName) : ref.collection()) + "/" +
         ref.key();
}

absl::Status ObjectMissing(const v1::ObjectRef& ref) {
  return NotFound("OBJECT_NOT_FOUND", "ref",
                  absl::StrCat("object \"", ref.key(), "\" does not exist"),
                  "Check collection and key");
}

absl::StatusOr<bool> ReadObject(const NamespaceView& view, const v1::ObjectRef& ref,
                                const v1::ObjectMask& mask, std::string_view field,
                                v1::Object* object) {
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, view.FindOrdinal(ref, field));
  if (ordinal == 0) return false;
  internal::v1::ObjectRecord record;
  COOKIX_ASSIGN_OR_RETURN(const bool found, view.ReadRecord(ordinal, &record));
  if (!found || !record.exists()) return false;
  COOKIX_RETURN_IF_ERROR(FillObject(view, ordinal, mask, std::move(record), object));
  return true;
}

absl::StatusOr<uint64_t> ObjectsIn(const NamespaceView& view, CollectionId collection) {
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(
      const bool found,
      view.snapshot->Get(Family::kCatalog, ObjectCountKey(view.id(), collection), &value));
  std::string_view bytes = value;
  uint64_t count = 0;
  if (found && !GetFixed64(&bytes, &count)) {
    return Corruption("a counter is malformed", "Restore the store from a checkpoint");
  }
  return count;
}

// Walks the objects of one collection in key order.
class ObjectScan {
 public:
  ObjectScan(const NamespaceView& view, CollectionId collection, std::string_view prefix,
             std::string_view start, std::string_view end)
      : view_(view), base_(IdentityKey(view.id(), collection, "")) {
    storage::ScanBounds bounds = storage::PrefixBounds(base_ + std::string(prefix));
    if (const std::string lower = base_ + std::string(start); lower > bounds.lower) {
      bounds.lower = lower;
    }
    if (!end.empty()) {
      const std::string upper = base_ + std::string(end);
      if (bounds.upper.empty() || upper < bounds.upper) bounds.upper = upper;
    }
    empty_ = !bounds.upper.empty() && bounds.lower >= bounds.upper;
    bounds_ = bounds;
    if (!empty_) it_ = view.snapshot->Scan(Family::kIdentity, std::move(bounds));
  }

  // Leaves out what is not in `set`. A small set is walked instead of all keys.
  absl::Status Narrow(const CallContext& context, CollectionId collection,
                      std::shared_ptr<const OrdinalSet> set) {
    set_ = std::move(set);
    if (empty_) return absl::OkStatus();
    COOKIX_ASSIGN_OR_RETURN(const uint64_t objects, ObjectsIn(view_, collection));
    if (set_->Count() > objects / kFewOf) return absl::OkStatus();
    few_ = true;
    absl::Status status;
    int64_t steps = 0;
    set_->ForEach([&](Ordinal ordinal) {
      if (!status.ok()) return;
      if (++steps % 256 == 0) status = context.Check();
      CollectionId id = 0;
      std::string key;
      const absl::StatusOr<bool> found = view_.FindName(ordinal, &id, &key);
      status.Update(found.status());
      if (!status.ok() || !*found || id != collection) return;
      const std::string whole = base_ + key;
      if (whole < bounds_.lower || (!bounds_.upper.empty() && whole >= bounds_.upper)) return;
      those_.emplace_back(std::move(key), ordinal);
    });
    std::sort(those_.begin(), those_.end());
    return status;
  }

  // Calls `each` with key and ordinal, from after `after` on (from the first when it
  // is empty), until it returns false or an error.
  template <typename Each>
  absl::Status Run(const CallContext& context, bool reverse, std::string_view after, Each&& each) {
    if (empty_) return absl::OkStatus();
    if (few_) return RunThose(context, reverse, after, each);
    if (after.empty()) {
      reverse ? it_->SeekToLast() : it_->SeekToFirst();
    } else {
      const std::string key = base_ + std::string(after);
      reverse ? it_->SeekForPrev(key) : it_->Seek(key);
      if (it_->Valid() && it_->key() == key) reverse ? it_->Prev() : it_->Next();
    }
    int steps = 0;
    while (it_->Valid()) {
      if (++steps % 256 == 0) COOKIX_RETURN_IF_ERROR(context.Check());
      std::string_view bytes = it_->value();
      Ordinal ordinal;
      if (!GetFixed64(&bytes, &ordinal)) {
        return Corruption("an identity record is malformed", "Restore the store from a checkpoint");
      }
      if (set_ == nullptr || set_->Contains(ordinal)) {
        COOKIX_ASSIGN_OR_RETURN(const bool more, each(it_->key().substr(base_.size()), ordinal));
        if (!more) return absl::OkStatus();
      }
      reverse ? it_->Prev() : it_->Next();
    }
    return it_->status();
  }

 private:
  // Looking up the names of one in this many costs less than walking all keys.
  static constexpr uint64_t kFewOf = 8;

  template <typename Each>
  absl::Status RunThose(const CallContext& context, bool reverse, std::string_view after,
                        Each& each) {
    if (reverse) std::reverse(those_.begin(), those_.end());
    int steps = 0;
    for (const auto& [key, ordinal] : those_) {
      if (!after.empty() && (reverse ? key >= after : key <= after)) continue;
      if (++steps % 256 == 0) COOKIX_RETURN_IF_ERROR(context.Check());
      COOKIX_ASSIGN_OR_RETURN(const bool more, each(key, ordinal));
      if (!more) break;
    }
    return absl::OkStatus();
  }

  const NamespaceView& view_;
  const std::string base_;
  storage::ScanBounds bounds_;
  std::unique_ptr<storage::Iterator> it_;
  bool empty_ = false;
  std::shared_ptr<const OrdinalSet> set_;
  // Only `those_` are walked: the set's objects in the bounds, by key.
  bool few_ = false;
  std::vector<std::pair<std::string, Ordinal>> those_;
};

}  // namespace

absl::Status ObjectApi::PutObject(CallContext& context, const v1::PutObjectRequest& request,
                                  v1::PutObjectResponse* response) {
  std::vector<PreparedMutation> mutations;
  COOKIX_ASSIGN_OR_RETURN(PreparedMutation prepared,
                          Prepare(request.write(), "write", database_.limits()));
  if (request.write().edges_size() > database_.limits().max_batch_edges) {
    return TooMany("write.edges", request.write().edges_size(), database_.limits().max_batch_edges);
  }
  mutations.push_back(std::move(prepared));
  std::vector<bool> results;
  COOKIX_RETURN_IF_ERROR(database_.writer().Apply(context, request.namespace_(), mutations,
                                                  request.options(), WriteFingerprint(request),
                                                  response->mutable_result(), &results));
  response->set_created(results[0]);
  return absl::OkStatus();
}

absl::Status ObjectApi::BatchPutObjects(CallContext& context,
                                        const v1::BatchPutObjectsRequest& request,
                                        v1::BatchPutObjectsResponse* response) {
  const Limits& limits = database_.limits();
  COOKIX_RETURN_IF_ERROR(CheckCount("writes", request.writes_size(), limits.max_batch_objects));
  std::vector<PreparedMutation> mutations;
  mutations.reserve(static_cast<size_t>(request.writes_size()));
  std::vector<std::pair<std::string, int>> names;
  names.reserve(static_cast<size_t>(request.writes_size()));
  int64_t edges = 0;
  for (int i = 0; i < request.writes_size(); ++i) {
    COOKIX_ASSIGN_OR_RETURN(PreparedMutation prepared,
                            Prepare(request.writes(i), absl::StrCat("writes[", i, "]"), limits));
    mutations.push_back(std::move(prepared));
    names.emplace_back(RefName(request.writes(i).object().ref()), i);
    edges += request.writes(i).edges_size();
  }
  if (edges > limits.max_batch_edges) return TooMany("writes.edges", edges, limits.max_batch_edges);
  std::sort(names.begin(), names.end());
  for (size_t i = 1; i < names.size(); ++i) {
    if (names[i].first != names[i - 1].first) continue;
    return InvalidField(absl::StrCat("writes[", names[i].second, "].object.ref"),
                        absl::StrCat("object \"", names[i].first, "\" is in the batch twice"),
                        "Send each object once");
  }
  std::vector<bool> results;
  COOKIX_RETURN_IF_ERROR(database_.writer().Apply(context, request.namespace_(), mutations,
                                                  request.options(), WriteFingerprint(request),
                                                  response->mutable_result(), &results));
  response->set_created_count(std::count(results.begin(), results.end(), true));
  return absl::OkStatus();
}

absl::Status ObjectApi::GetObject(CallContext& context, const v1::GetObjectRequest& request,
                                  v1::GetObjectResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckRef(request.ref(), "ref", database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const bool found, ReadObject(view, request.ref(), request.mask(), "ref",
                                                       response->mutable_object()));
  if (!found) return ObjectMissing(request.ref());
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

absl::Status ObjectApi::BatchGetObjects(CallContext& context,
                                        const v1::BatchGetObjectsRequest& request,
                                        v1::BatchGetObjectsResponse* response) {
  const Limits& limits = database_.limits();
  COOKIX_RETURN_IF_ERROR(CheckCount("refs", request.refs_size(), limits.max_batch_objects));
  for (int i = 0; i < request.refs_size(); ++i) {
    COOKIX_RETURN_IF_ERROR(CheckRef(request.refs(i), absl::StrCat("refs[", i, "]"), limits));
  }
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  for (int i = 0; i < request.refs_size(); ++i) {
    if (i % 256 == 255) COOKIX_RETURN_IF_ERROR(context.Check());
    v1::ObjectResult* result = response->add_results();
    COOKIX_ASSIGN_OR_RETURN(const bool found,
                            ReadObject(view, request.refs(i), request.mask(),
                                       absl::StrCat("refs[", i, "]"), result->mutable_object()));
    result->set_found(found);
    if (!found) result->clear_object();
  }
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

absl::Status ObjectApi::PatchObject(CallContext& context, const v1::PatchObjectRequest& request,
                                    v1::PatchObjectResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckObjectPatch(request.patch(), "patch", database_.limits()));
  std::vector<PreparedMutation> mutations(1);
  mutations[0].action = &request.patch();
  mutations[0].field = "patch";
  std::vector<bool> results;
  return database_.writer().Apply(context, request.namespace_(), mutations, request.options(),
                                  WriteFingerprint(request), response->mutable_result(), &results);
}

absl::Status ObjectApi::DeleteObject(CallContext& context, const v1::DeleteObjectRequest& request,
                                     v1::DeleteObjectResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckRef(request.delete_().ref(), "delete.ref", database_.limits()));
  std::vector<PreparedMutation> mutations(1);
  mutations[0].action = &request.delete_();
  mutations[0].field = "delete";
  std::vector<bool> results;
  COOKIX_RETURN_IF_ERROR(database_.writer().Apply(context, request.namespace_(), mutations,
                                                  request.options(), WriteFingerprint(request),
                                                  response->mutable_result(), &results));
  response->set_existed(results[0]);
  return absl::OkStatus();
}

absl::Status ObjectApi::ScanObjects(CallContext& context, const v1::ScanObjectsRequest& request,
                                    v1::ScanObjectsResponse* response) {
  const Limits& limits = database_.limits();
  if (request.page_size() < 0) {
    return InvalidField("page_size", "the page size is negative", "Send 1 or more, or 0");
  }
  if (request.page_size() > limits.max_page_size) {
    return LimitExceeded("page_size",
                         absl::StrCat("the page size is more than ", limits.max_page_size),
                         "Ask for smaller pages");
  }
  const int64_t page_size = request.page_size() > 0 ? request.page_size() : 100;
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const CompiledFilter> filter,
                          CompiledFilter::Compile(request.filter(), "filter", limits));
  v1::ScanObjectsRequest same = request;
  same.clear_page_token();
  same.clear_options();
  const uint64_t fingerprint = FingerprintOf(same);
  CursorTable::Page page;
  if (!request.page_token().empty()) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    COOKIX_ASSIGN_OR_RETURN(page, database_.cursors().Resume(request.page_token(), fingerprint));
  } else {
    COOKIX_ASSIGN_OR_RETURN(page.view, database_.Read(context, request.options()));
  }
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(page.view, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const CollectionInfo* collection,
                          KnownCollection(view, request.collection(), "collection"));
  ObjectScan scan(view, collection->id, request.key_prefix(), request.start_key(),
                  request.end_key());
  if (!filter->matches_everything()) {
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const OrdinalSet> matching,
                            database_.Evaluate(context, view, *filter));
    COOKIX_RETURN_IF_ERROR(scan.Narrow(context, collection->id, std::move(matching)));
  }
  std::string last_key;
  bool more = false;
  COOKIX_RETURN_IF_ERROR(
      scan.Run(context, request.reverse(), page.resume,
               [&](std::string_view key, Ordinal ordinal) -> absl::StatusOr<bool> {
                 internal::v1::ObjectRecord record;
                 COOKIX_ASSIGN_OR_RETURN(const bool found, view.ReadRecord(ordinal, &record));
                 if (!found || !record.exists()) return true;
                 if (response->objects_size() == page_size) {
                   more = true;
                   return false;
                 }
                 last_key = key;
                 COOKIX_RETURN_IF_ERROR(FillObject(view, ordinal, request.mask(), std::move(record),
                                                   response->add_objects()));
                 return true;
               }));
  if (more) {
    response->set_next_page_token(
        database_.cursors().Next(page.cursor, page.view, fingerprint, last_key));
  } else {
    database_.cursors().Finish(page.cursor);
  }
  response->set_position(database_.PositionToken(view.commit()));
  return absl::OkStatus();
}

absl::Status ObjectApi::StreamObjects(CallContext& context, const v1::StreamObjectsRequest& request,
                                      absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) {
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const CompiledFilter> filter,
                          CompiledFilter::Compile(request.filter(), "filter", database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const CollectionInfo* collection,
                          KnownCollection(view, request.collection(), "collection"));
  const std::string position = database_.PositionToken(read.commit());
  constexpr size_t kChunkBytes = 256 << 10;
  v1::StreamObjectsResponse chunk;
  size_t bytes = 0;
  auto flush = [&]() -> absl::Status {
    chunk.set_position(position);
    v1::StreamObjectsResponse full;
    full.Swap(&chunk);
    bytes = 0;
    if (sink(std::move(full))) return absl::OkStatus();
    context.Cancel();
    return context.Check();
  };
  ObjectScan scan(view, collection->id, request.key_prefix(), "", "");
  if (!filter->matches_everything()) {
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const OrdinalSet> matching,
                            database_.Evaluate(context, view, *filter));
    COOKIX_RETURN_IF_ERROR(scan.Narrow(context, collection->id, std::move(matching)));
  }
  COOKIX_RETURN_IF_ERROR(scan.Run(
      context, false, "", [&](std::string_view key, Ordinal ordinal) -> absl::StatusOr<bool> {
        internal::v1::ObjectRecord record;
        COOKIX_ASSIGN_OR_RETURN(const bool found, view.ReadRecord(ordinal, &record));
        if (!found || !record.exists()) return true;
        v1::ObjectWrite* write = chunk.add_objects();
        COOKIX_RETURN_IF_ERROR(
            FillObject(view, ordinal, request.mask(), std::move(record), write->mutable_object()));
        bytes += write->object().ByteSizeLong();
        if (request.with_edges()) {
          auto it = view.snapshot->Scan(Family::kEdges,
                                        storage::PrefixBounds(EdgesPrefix(view.id(), ordinal)));
          for (it->SeekToFirst(); it->Valid(); it->Next()) {
            EdgeKey edge_key;
            EdgeValue value;
            if (!DecodeEdgeKey(it->key(), &edge_key) || !DecodeEdgeValue(it->value(), &value)) {
              return Corruption("an edge record is malformed",
                                "Restore the store from a checkpoint");
            }
            if (view.ns->EdgeHidden(ordinal, edge_key.far, value.version)) continue;
            internal::v1::ObjectRecord target;
            COOKIX_ASSIGN_OR_RETURN(const bool there, view.ReadRecord(edge_key.far, &target));
            if (!there) continue;
            v1::Edge* edge = write->add_edges();
            COOKIX_RETURN_IF_ERROR(
                FillEdge(view, edge_key.relation, edge_key.discriminator, value, edge));
            *edge->mutable_target() = view.ToObject(std::move(target)).ref();
            bytes += edge->ByteSizeLong();
          }
          COOKIX_RETURN_IF_ERROR(it->status());
        }
        if (bytes >= kChunkBytes) COOKIX_RETURN_IF_ERROR(flush());
        return true;
      }));
  return chunk.objects_size() > 0 ? flush() : absl::OkStatus();
}

absl::Status ObjectApi::CountObjects(CallContext& context, const v1::CountObjectsRequest& request,
                                     v1::CountObjectsResponse* response) {
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const CompiledFilter> filter,
                          CompiledFilter::Compile(request.filter(), "filter", database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const CollectionInfo* collection,
                          KnownCollection(view, request.collection(), "collection"));
  if (filter->matches_everything()) {
    COOKIX_ASSIGN_OR_RETURN(const uint64_t count, ObjectsIn(view, collection->id));
    response->set_count(static_cast<int64_t>(count));
  } else {
    COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const CompiledFilter> narrowed,
                            InCollection(*collection, database_.limits()));
    COOKIX_ASSIGN_OR_RETURN(
        const std::shared_ptr<const OrdinalSet> set,
        database_.Evaluate(context, view, *CompiledFilter::And(narrowed, filter)));
    response->set_count(static_cast<int64_t>(set->Count()));
  }
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

absl::Status ObjectApi::Write(CallContext& context, const v1::WriteRequest& request,
                              v1::WriteResponse* response) {
  const Limits& limits = database_.limits();
  COOKIX_RETURN_IF_ERROR(
      CheckCount("mutations", request.mutations_size(), limits.max_batch_objects));
  std::vector<PreparedMutation> mutations;
  mutations.reserve(static_cast<size_t>(request.mutations_size()));
  int64_t edges = 0;
  for (int i = 0; i < request.mutations_size(); ++i) {
    const v1::Mutation& mutation = request.mutations(i);
    COOKIX_ASSIGN_OR_RETURN(PreparedMutation prepared,
                            Prepare(mutation, absl::StrCat("mutations[", i, "]"), limits));
    mutations.push_back(std::move(prepared));
    edges += mutation.put_object().edges_size() + mutation.patch_object().add_edges_size();
  }
  if (edges > limits.max_batch_edges) {
    return TooMany("mutations.edges", edges, limits.max_batch_edges);
  }
  std::vector<bool> results;
  COOKIX_RETURN_IF_ERROR(database_.writer().Apply(context, request.namespace_(), mutations,
                                                  request.options(), WriteFingerprint(request),
                                                  response->mutable_result(), &results));
  for (const bool changed : results) {
    response->add_results()->set_changed_existence(changed);
  }
  return absl::OkStatus();
}

absl::Status ObjectApi::InsertVectors(CallContext& context, const v1::InsertVectorsRequest& request,
                                      v1::InsertVectorsResponse* response) {
  uint64_t fingerprint = 0;
  if (!request.options().request_id().empty()) {
    v1::InsertVectorsRequest copy = request;
    copy.clear_options();
    copy.clear_sequence();
    fingerprint = FingerprintOf(copy);
  }
  int64_t created = 0;
  COOKIX_RETURN_IF_ERROR(database_.writer().InsertVectors(context, request, fingerprint,
                                                          response->mutable_result(), &created));
  response->set_sequence(request.sequence());
  response->set_created_count(created);
  return absl::OkStatus();
}

}  // namespace cookix::engine
