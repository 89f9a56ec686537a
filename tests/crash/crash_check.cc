#include "tests/crash/crash_check.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/crash/search_check.h"
#include "tests/crash/text_check.h"
#include "tests/crash/vector_fields.h"
#include "tests/crash/workload.h"

namespace cookix::tests {

CrashCheck::CrashCheck(int64_t workers, uint64_t seed) : random_(seed) {
  for (int i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(i, random_()));
}

CrashCheck::~CrashCheck() {
  stop_.store(true);
  for (std::thread& thread : threads_) thread.join();
}

bool CrashCheck::Prepare(client::Client& client) {
  v1::UpdateCollectionResponse updated;
  return Check(client.UpdateCollection(AddVectorFields(), &updated), "adding vector fields");
}

void CrashCheck::StartLoad(const std::function<std::unique_ptr<client::Client>()>& connect,
                           Explains explains) {
  stop_.store(false);
  for (const auto& worker : workers_) {
    clients_.push_back(connect());
    threads_.emplace_back([this, explains, &client = *clients_.back(), w = worker.get()] {
      RunWorker(client, stop_, explains, w);
    });
  }
}

bool CrashCheck::EndLoad() {
  stop_.store(true);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  clients_.clear();
  for (const auto& worker : workers_) {
    totals_.acknowledged += worker->acknowledged;
    worker->acknowledged = 0;
    totals_.unacknowledged += static_cast<int64_t>(worker->expected.pending().size());
    if (!worker->problem.empty()) {
      return Fail(absl::StrCat("worker ", worker->number, ": ", worker->problem));
    }
  }
  return true;
}

bool CrashCheck::Verify(client::Client& client) {
  std::vector<GraphState> found;
  if (!ReadAll(client, &found) || !CheckSearches(client, found, false)) return false;
  std::map<std::string, std::map<EdgeName, ExpectedEdge>> incoming;
  std::map<std::string, std::map<EdgeName, ExpectedEdge>> outgoing;
  int64_t objects = 0;
  int64_t edges = 0;
  int64_t last_commit = 0;
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = *workers_[i];
    std::string why;
    const std::optional<size_t> applied = worker.expected.Match(found[i], &why);
    if (!applied.has_value()) {
      return Fail(absl::StrCat("worker ", i, worker.streams ? " (stream): " : ": ", why));
    }
    applied_[i] = *applied;
    totals_.found_applied += static_cast<int64_t>(*applied);
    last_commit = std::max(last_commit, worker.expected.last_commit());
    objects += static_cast<int64_t>(found[i].objects.size());
    edges += static_cast<int64_t>(found[i].edges.size());
    for (const auto& [name, edge] : found[i].edges) {
      incoming[std::get<2>(name)][name] = edge;
      outgoing[std::get<0>(name)][name] = edge;
    }
  }
  totals_.compared += objects + edges;

  if (!CheckInfo(client, last_commit) || !CheckCounts(client, objects, edges)) return false;
  for (size_t i = 0; i < workers_.size(); ++i) {
    for (int k = 0; k < Workload::kKeys; ++k) {
      const std::string key = workers_[i]->workload.Key(k);
      if (!CheckNeighbors(client, key, v1::DIRECTION_IN, incoming[key]) ||
          !CheckNeighbors(client, key, v1::DIRECTION_OUT, outgoing[key])) {
        return false;
      }
    }
  }
  for (int hub = 0; hub < Workload::kHubs; ++hub) {
    const std::string key = Workload::Hub(hub);
    if (!CheckNeighbors(client, key, v1::DIRECTION_IN, incoming[key])) return false;
  }
  found_ = std::move(found);
  return true;
}

bool CrashCheck::RepeatUnacknowledged(client::Client& client) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = *workers_[i];
    const std::deque<PendingWrite> pending = worker.expected.pending();
    worker.expected.Resolve(applied_[i], found_[i]);
    // Every other time the writes that are not there are given up instead.
    const bool give_up = random_() % 2 == 0;
    for (size_t w = 0; w < pending.size(); ++w) {
      const bool was_applied = w < applied_[i];
      if (!was_applied && give_up) continue;
      const v1::WriteRequest& request = pending[w].request;
      // A stream's writes are the same writes as those of Write.
      const WriteAnswer answer = Send(client, request, !worker.streams);
      if (!Check(answer.status, "repeating a write")) return false;
      if (answer.replayed != was_applied) {
        return Fail(absl::StrCat("a repeated write that was ", was_applied ? "" : "not ",
                                 "applied was ", answer.replayed ? "" : "not ", "replayed"));
      }
      if (!was_applied) {
        worker.expected.Sent(request);
        if (!worker.expected.Acknowledged(answer.commit)) {
          return Fail("the commit of a repeated write went back");
        }
      }
      ++totals_.repeated;
    }
  }
  // Repeating must have left exactly the acknowledged states.
  std::vector<GraphState> found;
  if (!ReadAll(client, &found)) return false;
  for (size_t i = 0; i < workers_.size(); ++i) {
    std::string why;
    if (!workers_[i]->expected.Match(found[i], &why).has_value()) {
      return Fail(absl::StrCat("after repeating, worker ", i, ": ", why));
    }
    workers_[i]->expected.Resolve(1, found[i]);
  }
  return CheckSearches(client, found, true);
}

bool CrashCheck::Fail(std::string problem) {
  problem_ = std::move(problem);
  return false;
}

bool CrashCheck::Check(const absl::Status& status, std::string_view what) {
  return status.ok() || Fail(absl::StrCat(ToAbsl(what), ": ", status.ToString()));
}

bool CrashCheck::ReadAll(client::Client& client, std::vector<GraphState>* found) {
  found->assign(workers_.size(), {});
  std::string problem;
  v1::StreamObjectsRequest request;
  request.set_with_edges(true);
  request.mutable_mask()->set_with_vectors(true);
  const absl::Status status = client.StreamObjects(request, [&](v1::StreamObjectsResponse&& chunk) {
    for (const v1::ObjectWrite& write : chunk.objects()) {
      const std::string& key = write.object().ref().key();
      size_t worker = 0;
      if (!absl::SimpleAtoi(absl::string_view(key).substr(1, key.find('/') - 1), &worker) ||
          worker >= found->size()) {
        problem = absl::StrCat("an object that nobody put: ", key);
        return false;
      }
      GraphState& state = (*found)[worker];
      ExpectedObject& object = state.objects[key];
      object = {write.object().properties().at("counter").int_value(),
                write.object().version(),
                {},
                write.object().content()};
      for (const auto& [field, vector] : write.object().vectors()) {
        object.vectors[field] = vector.SerializeAsString();
      }
      for (const v1::Edge& edge : write.edges()) {
        state.edges[{key, edge.relation(), edge.target().key()}] = {edge.weight(), edge.version()};
      }
    }
    return true;
  });
  if (!problem.empty()) return Fail(problem);
  return Check(status, "reading everything");
}

bool CrashCheck::CheckSearches(client::Client& client, const std::vector<GraphState>& states,
                               bool by_indexes) {
  const auto run = [&](auto check) {
    const absl::Status status = check.Run(by_indexes);
    for (const auto& [strategy, count] : check.searches()) totals_.searches[strategy] += count;
    return Check(status, "searching");
  };
  return run(SearchCheck(client, states, random_())) && run(TextCheck(client, states, random_()));
}

bool CrashCheck::CheckInfo(client::Client& client, int64_t last_commit) {
  v1::GetInfoResponse info;
  if (!Check(client.GetInfo({}, &info), "GetInfo")) return false;
  if (info.commit() < last_commit || info.commit() < last_info_.commit()) {
    return Fail(absl::StrCat("the last commit went back to ", info.commit()));
  }
  if (info.epoch() < last_info_.epoch()) return Fail("the epoch went back");
  if (!last_info_.store_id().empty() && info.store_id() != last_info_.store_id()) {
    return Fail("the store has another identity");
  }
  last_info_ = info;
  return true;
}

bool CrashCheck::CheckCounts(client::Client& client, int64_t objects, int64_t edges) {
  v1::CountObjectsResponse count;
  if (!Check(client.CountObjects({}, &count), "CountObjects")) return false;
  if (count.count() != objects) {
    return Fail(absl::StrCat("CountObjects says ", count.count(), ", there are ", objects));
  }
  v1::GetNamespaceResponse space;
  if (!Check(client.GetNamespace({}, &space), "GetNamespace")) return false;
  if (space.namespace_().object_count() != objects || space.namespace_().edge_count() != edges) {
    return Fail(absl::StrCat("the namespace counts ", space.namespace_().object_count(),
                             " objects and ", space.namespace_().edge_count(), " edges, there are ",
                             objects, " and ", edges));
  }
  return true;
}

bool CrashCheck::CheckNeighbors(client::Client& client, const std::string& key,
                                v1::Direction direction,
                                const std::map<EdgeName, ExpectedEdge>& expected) {
  v1::ListNeighborsRequest request;
  request.mutable_ref()->set_key(key);
  request.set_direction(direction);
  request.set_page_size(10'000);
  v1::ListNeighborsResponse response;
  const absl::Status status = client.ListNeighbors(request, &response);
  // Nothing refers to the key.
  if (status.code() == absl::StatusCode::kNotFound) {
    return expected.empty() || Fail(absl::StrCat(key, " is unknown but has edges"));
  }
  if (!Check(status, "ListNeighbors")) return false;
  for (const v1::Neighbor& neighbor : response.neighbors()) {
    const v1::Edge& edge = neighbor.edge();
    const auto it = expected.find({edge.source().key(), edge.relation(), edge.target().key()});
    if (it == expected.end() || it->second.weight != edge.weight() ||
        it->second.version != edge.version()) {
      return Fail(absl::StrCat("seen from ", key, " an edge differs: ", edge.ShortDebugString()));
    }
  }
  if (static_cast<size_t>(response.neighbors_size()) != expected.size()) {
    return Fail(absl::StrCat("seen from ", key, " there are ", response.neighbors_size(),
                             " edges and not ", expected.size()));
  }
  return true;
}

}  // namespace cookix::tests
