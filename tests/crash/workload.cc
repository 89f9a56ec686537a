#include "tests/crash/workload.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/crash/vector_fields.h"
#include "tests/crash/word_texts.h"

namespace cookix::tests {
namespace {

constexpr const char* kRelations[] = {"causes", "depends_on", "similar_to"};
constexpr int kMostWords = 20;

}  // namespace

Workload::Workload(int worker, bool bulk, uint64_t seed)
    : worker_(worker), bulk_(bulk), random_(seed) {}

std::string Workload::Key(int index) const { return absl::StrCat("w", worker_, "/k", index); }
std::string Workload::Hub(int index) { return absl::StrCat("hub/", index); }

int64_t Workload::Below(int64_t bound) {
  return static_cast<int64_t>(random_() % static_cast<uint64_t>(bound));
}

std::string Workload::AnyKey() { return Key(static_cast<int>(Below(kKeys))); }

v1::Mutation Workload::Put(const std::string& key, int64_t counter) {
  v1::Mutation mutation;
  v1::Object* object = mutation.mutable_put_object()->mutable_object();
  object->mutable_ref()->set_key(key);
  (*object->mutable_properties())["counter"].set_int_value(counter);
  // Some kilobytes now and then, so that memory tables are flushed under load.
  object->set_content(RandomText(kMostWords, random_) +
                      std::string(Below(10) == 0 ? 8192 : 0, '.'));
  object->add_labels(absl::StrCat("worker", worker_));
  AddVectors(3, object);
  return mutation;
}

void Workload::AddVectors(int64_t of_four, v1::Object* object) {
  for (const std::string field : kVectorFields) {
    if (Below(4) < of_four) (*object->mutable_vectors())[field] = RandomVector(field, random_);
  }
}

void Workload::PutMany(v1::WriteRequest* request) {
  request->mutable_options()->set_bulk(true);
  const int64_t first = Below(kBulkKeys);
  const int64_t count = 50 + Below(200);
  for (int64_t i = 0; i < count; ++i) {
    v1::Object* object = request->add_mutations()->mutable_put_object()->mutable_object();
    object->mutable_ref()->set_key(absl::StrCat("w", worker_, "/b", (first + i) % kBulkKeys));
    (*object->mutable_properties())["counter"].set_int_value(++counter_);
    object->set_content(RandomText(kMostWords, random_));
    // All in this one, which has a graph from some thousand vectors on.
    (*object->mutable_vectors())["graph"] = RandomVector("graph", random_);
    AddVectors(1, object);
  }
}

void Workload::Patch(const std::string& key, v1::ObjectPatch* patch) {
  patch->mutable_ref()->set_key(key);
  (*patch->mutable_set_properties())["counter"].set_int_value(++counter_);
  if (Below(2) == 0) patch->set_content(RandomText(kMostWords, random_));
  for (const std::string field : kVectorFields) {
    const int64_t dice = Below(4);
    if (dice == 0) (*patch->mutable_set_vectors())[field] = RandomVector(field, random_);
    if (dice == 1) patch->add_remove_vectors(field);
  }
}

v1::Mutation Workload::Link(const std::string& source, const std::string& target) {
  v1::Mutation mutation;
  v1::Edge* edge = mutation.mutable_put_edge();
  edge->mutable_source()->set_key(source);
  edge->set_relation(kRelations[Below(3)]);
  edge->mutable_target()->set_key(target);
  edge->set_weight(static_cast<double>(++counter_));
  return mutation;
}

v1::WriteRequest Workload::Next(const GraphState& state) {
  v1::WriteRequest request;
  request.mutable_options()->set_request_id(absl::StrCat("w", worker_, "-", ++request_));
  std::vector<std::string> present;
  for (const auto& [key, object] : state.objects) present.push_back(key);
  const auto any_present = [&] {
    return present[static_cast<size_t>(Below(static_cast<int64_t>(present.size())))];
  };
  if (bulk_ && Below(6) == 0) {
    PutMany(&request);
    return request;
  }
  const int64_t dice = present.size() < 4 ? 0 : Below(100);
  if (dice < 20) {
    *request.add_mutations() = Put(AnyKey(), ++counter_);
  } else if (dice < 30) {
    Patch(any_present(), request.add_mutations()->mutable_patch_object());
  } else if (dice < 38) {
    v1::ObjectDelete* deletion = request.add_mutations()->mutable_delete_object();
    deletion->mutable_ref()->set_key(any_present());
    deletion->set_leave_dangling(Below(3) == 0);
  } else if (dice < 55) {
    *request.add_mutations() =
        Link(any_present(), Below(4) == 0 ? Hub(static_cast<int>(Below(kHubs))) : AnyKey());
  } else if (dice < 60 && !state.edges.empty()) {
    auto edge = state.edges.begin();
    std::advance(edge, Below(static_cast<int64_t>(state.edges.size())));
    v1::EdgeDelete* deletion = request.add_mutations()->mutable_delete_edge();
    deletion->mutable_source()->set_key(std::get<0>(edge->first));
    deletion->set_relation(std::get<1>(edge->first));
    deletion->mutable_target()->set_key(std::get<2>(edge->first));
  } else if (dice < 70) {
    // Many puts at once, with edges, some replacing those the object had.
    std::vector<int> keys(kKeys);
    for (int i = 0; i < kKeys; ++i) keys[static_cast<size_t>(i)] = i;
    std::shuffle(keys.begin(), keys.end(), random_);
    const int64_t count = 2 + Below(10);
    for (int64_t i = 0; i < count; ++i) {
      v1::Mutation put = Put(Key(keys[static_cast<size_t>(i)]), ++counter_);
      const std::string target = AnyKey();
      const v1::Mutation link = Link("", target);
      *put.mutable_put_object()->add_edges() = link.put_edge();
      put.mutable_put_object()->mutable_edges(0)->clear_source();
      put.mutable_put_object()->set_replace_edges(Below(2) == 0);
      *request.add_mutations() = std::move(put);
    }
  } else {
    // Two objects that always carry the same counter, tied by an edge, while
    // others go.
    const int64_t counter = ++counter_;
    const std::string a = AnyKey();
    const std::string b = AnyKey();
    *request.add_mutations() = Put(a, counter);
    *request.add_mutations() = Put(b, counter);
    *request.add_mutations() = Link(a, b);
    const std::string victim = any_present();
    if (victim != a && victim != b) {
      request.add_mutations()->mutable_delete_object()->mutable_ref()->set_key(victim);
    }
  }
  return request;
}

WriteAnswer Send(client::Client& client, const v1::WriteRequest& request, bool variety) {
  WriteAnswer answer;
  const auto take = [&answer](absl::Status status, const v1::WriteResult& result) {
    answer.status = std::move(status);
    answer.commit = result.commit();
    answer.replayed = result.replayed();
    return answer;
  };
  const auto all_puts = [&request] {
    return std::all_of(request.mutations().begin(), request.mutations().end(),
                       [](const v1::Mutation& mutation) { return mutation.has_put_object(); });
  };
  if (variety && request.mutations_size() == 1) {
    const v1::Mutation& mutation = request.mutations(0);
    switch (mutation.action_case()) {
      case v1::Mutation::kPutObject: {
        v1::PutObjectRequest call;
        v1::PutObjectResponse response;
        *call.mutable_write() = mutation.put_object();
        *call.mutable_options() = request.options();
        absl::Status status = client.PutObject(call, &response);
        return take(std::move(status), response.result());
      }
      case v1::Mutation::kPatchObject: {
        v1::PatchObjectRequest call;
        v1::PatchObjectResponse response;
        *call.mutable_patch() = mutation.patch_object();
        *call.mutable_options() = request.options();
        absl::Status status = client.PatchObject(call, &response);
        return take(std::move(status), response.result());
      }
      case v1::Mutation::kDeleteObject: {
        v1::DeleteObjectRequest call;
        v1::DeleteObjectResponse response;
        *call.mutable_delete_() = mutation.delete_object();
        *call.mutable_options() = request.options();
        absl::Status status = client.DeleteObject(call, &response);
        return take(std::move(status), response.result());
      }
      case v1::Mutation::kPutEdge: {
        v1::PutEdgeRequest call;
        v1::PutEdgeResponse response;
        *call.mutable_edge() = mutation.put_edge();
        *call.mutable_options() = request.options();
        absl::Status status = client.PutEdge(call, &response);
        return take(std::move(status), response.result());
      }
      case v1::Mutation::kDeleteEdge: {
        v1::DeleteEdgeRequest call;
        v1::DeleteEdgeResponse response;
        *call.mutable_delete_() = mutation.delete_edge();
        *call.mutable_options() = request.options();
        absl::Status status = client.DeleteEdge(call, &response);
        return take(std::move(status), response.result());
      }
      case v1::Mutation::kCheck:
      case v1::Mutation::ACTION_NOT_SET:
        break;
    }
  } else if (variety && all_puts()) {
    v1::BatchPutObjectsRequest call;
    v1::BatchPutObjectsResponse response;
    for (const v1::Mutation& mutation : request.mutations()) {
      *call.add_writes() = mutation.put_object();
    }
    *call.mutable_options() = request.options();
    absl::Status status = client.BatchPutObjects(call, &response);
    return take(std::move(status), response.result());
  }
  v1::WriteResponse response;
  absl::Status status = client.Write(request, &response);
  return take(std::move(status), response.result());
}

}  // namespace cookix::tests
