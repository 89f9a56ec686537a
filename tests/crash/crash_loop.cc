// Kills a real server under load, again and again, and checks what it holds.
//
//   crash_loop [--cycles=30] [--seed=1] [--workers=6] [--sync_mode=full]
//              [--max_load_ms=500] [--data_dir=DIR]
//
// Each cycle: workers write objects, edges, texts and vectors (single calls, atomic writes of many
// mutations, bulk streams), the server is killed at a random moment (SIGKILL; one time in ten
// SIGTERM, after which it must exit with code 0, and two times SIGKILL while it stops and
// saves its views), sometimes killed again while it recovers, and started again. Views save
// themselves as often as they can. Then everything is read back:
//   * every acknowledged write is there, and of the unacknowledged ones of each
//     worker a beginning, none by half (expected_state.h);
//   * every edge is found from both ends;
//   * versions are those that were acknowledged, commit and epoch never go back;
//   * the counts are those of what is there;
//   * searches, exact and not, by the store and by the indexes, find what is near among the
//     vectors that are there, and nothing else (search_check.h);
//   * searches by words find and score what a plain BM25 does (text_check.h);
//   * repeating an unacknowledged write with its request id applies it exactly
//     once in all.
// Prints what it did and exits with 0, or with 1 at the first contradiction,
// keeping the data directory.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/client.h"
#include "tests/crash/expected_state.h"
#include "tests/crash/search_check.h"
#include "tests/crash/text_check.h"
#include "tests/crash/vector_fields.h"
#include "tests/crash/workload.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

struct Flags {
  int64_t cycles = 30;
  int64_t seed = 1;
  int64_t workers = 6;
  int64_t max_load_ms = 500;
  std::string sync_mode = "full";
  std::string data_dir;
};

struct Totals {
  int64_t kills = 0;
  int64_t terminations = 0;
  int64_t interrupted_recoveries = 0;
  int64_t acknowledged = 0;
  int64_t unacknowledged = 0;
  int64_t found_applied = 0;
  int64_t repeated = 0;
  int64_t compared = 0;
  // Kills that found a view being saved.
  int64_t interrupted_saves = 0;
  // By strategy.
  std::map<std::string, int64_t> searches;
};

// One thread's part of the key space. Most make single calls and atomic
// writes, every third one streams.
struct Worker {
  Worker(int index, uint64_t seed)
      : number(index), streams(index % 3 == 2), workload(index, index % 3 == 2, seed) {}

  const int number;
  const bool streams;
  Workload workload;
  ExpectedState expected;
  int64_t acknowledged = 0;
  // The first answer that no crash explains; empty = none.
  std::string problem;
};

bool IsCrash(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
      return true;
    default:
      // A connection that broke in the middle of a frame.
      return status.code() == absl::StatusCode::kInternal && !GetErrorDetail(status).has_value();
  }
}

void RunCalls(client::Client& client, const std::atomic<bool>& stop, Worker* worker) {
  while (!stop.load()) {
    v1::WriteRequest request = worker->workload.Next(worker->expected.latest());
    worker->expected.Sent(request);
    const WriteAnswer answer = Send(client, request, /*variety=*/true);
    if (!answer.status.ok()) {
      if (!IsCrash(answer.status)) {
        worker->problem = absl::StrCat("a write was refused: ", answer.status.ToString(), "\n",
                                       request.ShortDebugString());
      }
      return;
    }
    if (!worker->expected.Acknowledged(answer.commit)) {
      worker->problem =
          absl::StrCat("commit ", answer.commit, " came after ", worker->expected.last_commit());
      return;
    }
    ++worker->acknowledged;
  }
}

void RunStream(client::Client& client, const std::atomic<bool>& stop, Worker* worker) {
  auto writer = client.OpenBulkWriter(8);
  absl::Status status = writer.status();
  int64_t taken = 0;
  const auto take_answers = [&] {
    for (; taken < (*writer)->acknowledged(); ++taken) {
      if (!worker->expected.Acknowledged(0)) worker->problem = "more answers than writes";
      ++worker->acknowledged;
    }
  };
  while (status.ok() && !stop.load()) {
    v1::WriteRequest request = worker->workload.Next(worker->expected.latest());
    worker->expected.Sent(request);
    status = (*writer)->Write(std::move(request));
    take_answers();
  }
  if (writer.ok()) {
    const absl::Status finished = (*writer)->Finish();
    if (status.ok()) status = finished;
    take_answers();
  }
  if (!status.ok() && !IsCrash(status)) {
    worker->problem = absl::StrCat("a stream failed: ", status.ToString());
  }
}

class CrashLoop {
 public:
  explicit CrashLoop(const Flags& flags)
      : flags_(flags), random_(static_cast<uint64_t>(flags.seed)) {
    for (int i = 0; i < flags.workers; ++i) {
      workers_.push_back(std::make_unique<Worker>(i, random_()));
    }
    TestServerOptions options;
    options.data_dir = flags.data_dir.empty() ? MakeTempDir("crash") + "/data" : flags.data_dir;
    options.flags = {"--sync_mode=" + flags.sync_mode, "--view_checkpoint_mb=1",
                     "--view_checkpoint_seconds=1"};
    server_ = std::make_unique<TestServer>(options);
  }

  bool Run() {
    const auto begin = std::chrono::steady_clock::now();
    if (!Check(server_->Restart(), "the server starts")) return false;
    v1::UpdateCollectionResponse updated;
    if (!Check(server_->Connect()->UpdateCollection(AddVectorFields(), &updated),
               "adding vector fields")) {
      return false;
    }
    for (int64_t cycle = 1; cycle <= flags_.cycles; ++cycle) {
      if (!Load() || !CrashAndRecover() || !Verify() || !RepeatUnacknowledged()) {
        std::fprintf(stderr,
                     "crash_loop: cycle %ld of seed %ld failed: %s\ndata kept in %s\n"
                     "the end of the server's output:\n%s\n",
                     static_cast<long>(cycle), static_cast<long>(flags_.seed), problem_.c_str(),
                     server_->data_dir().c_str(), OutputTail().c_str());
        return false;
      }
      if (cycle % 10 == 0 || cycle == flags_.cycles) Report(cycle);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (totals_.acknowledged == 0 || totals_.kills == 0 || totals_.searches["inverted"] == 0 ||
        totals_.searches["cells"] == 0 || totals_.searches["text_inverted"] == 0) {
      std::fprintf(stderr, "crash_loop: nothing was tested\n");
      return false;
    }
    std::printf("passed: sync_mode=%s seed=%ld in %.1f s\n", flags_.sync_mode.c_str(),
                static_cast<long>(flags_.seed), seconds);
    return true;
  }

 private:
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(bound));
  }

  bool Fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool Check(const absl::Status& status, std::string_view what) {
    return status.ok() || Fail(absl::StrCat(ToAbsl(what), ": ", status.ToString()));
  }

  std::string OutputTail() const {
    const std::string output = server_->Output();
    return output.substr(output.size() - std::min<size_t>(output.size(), 4000));
  }

  void Report(int64_t cycle) const {
    std::printf(
        "cycles=%ld kills=%ld terminations=%ld interrupted_recoveries=%ld acknowledged=%ld "
        "unacknowledged=%ld found_applied=%ld repeated=%ld objects_and_edges_compared=%ld\n",
        static_cast<long>(cycle), static_cast<long>(totals_.kills),
        static_cast<long>(totals_.terminations), static_cast<long>(totals_.interrupted_recoveries),
        static_cast<long>(totals_.acknowledged), static_cast<long>(totals_.unacknowledged),
        static_cast<long>(totals_.found_applied), static_cast<long>(totals_.repeated),
        static_cast<long>(totals_.compared));
    std::printf("interrupted_saves=%ld", static_cast<long>(totals_.interrupted_saves));
    for (const auto& [strategy, count] : totals_.searches) {
      std::printf(" searches_by_%s=%ld", strategy.c_str(), static_cast<long>(count));
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  // Writes from all workers until the server is gone.
  bool Load() {
    std::atomic<bool> stop{false};
    std::vector<std::unique_ptr<client::Client>> clients;
    std::vector<std::thread> threads;
    for (const auto& worker : workers_) {
      clients.push_back(server_->Connect());
      client::Client& client = *clients.back();
      threads.emplace_back([&client, &stop, w = worker.get()] {
        if (w->streams) {
          RunStream(client, stop, w);
        } else {
          RunCalls(client, stop, w);
        }
      });
    }
    // The moment of the crash is random, down to the microsecond.
    std::this_thread::sleep_for(
        std::chrono::microseconds(20'000 + Below(flags_.max_load_ms * 1000)));
    bool exited_well = true;
    const int64_t manner = Below(10);
    if (manner == 0) {
      ++totals_.terminations;
      const ExitStatus exit = server_->Terminate();
      exited_well = exit.code == 0;
      if (!exited_well) {
        Fail(absl::StrCat("SIGTERM ended the server with code ", exit.code, " signal ",
                          exit.signal));
      }
    } else {
      ++totals_.kills;
      if (manner <= 2) {
        server_->Signal(SIGTERM);
        std::this_thread::sleep_for(std::chrono::microseconds(Below(60'000)));
      }
      server_->Kill();
    }
    if (SaveWasUnderWay()) ++totals_.interrupted_saves;
    stop.store(true);
    for (std::thread& thread : threads) thread.join();
    for (const auto& worker : workers_) {
      totals_.acknowledged += worker->acknowledged;
      worker->acknowledged = 0;
      totals_.unacknowledged += static_cast<int64_t>(worker->expected.pending().size());
      if (!worker->problem.empty()) {
        return Fail(absl::StrCat("worker ", worker->number, ": ", worker->problem));
      }
    }
    return exited_well;
  }

  // A save that was begun and not finished leaves its temporary file.
  bool SaveWasUnderWay() const {
    std::error_code none;
    for (const auto& file :
         std::filesystem::directory_iterator(server_->data_dir() + "/views", none)) {
      if (file.path().extension() == ".tmp") return true;
    }
    return false;
  }

  bool CrashAndRecover() {
    while (Below(4) == 0) {
      server_->Launch();
      std::this_thread::sleep_for(std::chrono::microseconds(Below(150'000)));
      ++totals_.interrupted_recoveries;
      server_->Kill();
      if (SaveWasUnderWay()) ++totals_.interrupted_saves;
    }
    return Check(server_->Restart(), "the server starts again");
  }

  // Reads everything, by worker.
  bool ReadAll(client::Client& client, std::vector<GraphState>* found) {
    found->assign(workers_.size(), {});
    std::string problem;
    v1::StreamObjectsRequest request;
    request.set_with_edges(true);
    request.mutable_mask()->set_with_vectors(true);
    const absl::Status status =
        client.StreamObjects(request, [&](v1::StreamObjectsResponse&& chunk) {
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
              state.edges[{key, edge.relation(), edge.target().key()}] = {edge.weight(),
                                                                          edge.version()};
            }
          }
          return true;
        });
    if (!problem.empty()) return Fail(problem);
    return Check(status, "reading everything");
  }

  bool CheckSearches(client::Client& client, const std::vector<GraphState>& states,
                     bool by_indexes) {
    const auto run = [&](auto check) {
      const absl::Status status = check.Run(by_indexes);
      for (const auto& [strategy, count] : check.searches()) totals_.searches[strategy] += count;
      return Check(status, "searching");
    };
    return run(SearchCheck(client, states, random_())) && run(TextCheck(client, states, random_()));
  }

  bool Verify() {
    const auto client = server_->Connect();
    std::vector<GraphState> found;
    if (!ReadAll(*client, &found) || !CheckSearches(*client, found, false)) return false;
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

    v1::GetInfoResponse info;
    if (!Check(client->GetInfo({}, &info), "GetInfo")) return false;
    if (info.commit() < last_commit || info.commit() < last_info_.commit()) {
      return Fail(absl::StrCat("the last commit went back to ", info.commit()));
    }
    if (info.epoch() < last_info_.epoch()) return Fail("the epoch went back");
    if (!last_info_.store_id().empty() && info.store_id() != last_info_.store_id()) {
      return Fail("the store has another identity");
    }
    last_info_ = info;

    v1::CountObjectsResponse count;
    if (!Check(client->CountObjects({}, &count), "CountObjects")) return false;
    if (count.count() != objects) {
      return Fail(absl::StrCat("CountObjects says ", count.count(), ", there are ", objects));
    }
    v1::GetNamespaceResponse space;
    if (!Check(client->GetNamespace({}, &space), "GetNamespace")) return false;
    if (space.namespace_().object_count() != objects || space.namespace_().edge_count() != edges) {
      return Fail(absl::StrCat("the namespace counts ", space.namespace_().object_count(),
                               " objects and ", space.namespace_().edge_count(),
                               " edges, there are ", objects, " and ", edges));
    }
    for (size_t i = 0; i < workers_.size(); ++i) {
      for (int k = 0; k < Workload::kKeys; ++k) {
        const std::string key = workers_[i]->workload.Key(k);
        if (!CheckNeighbors(*client, key, v1::DIRECTION_IN, incoming[key]) ||
            !CheckNeighbors(*client, key, v1::DIRECTION_OUT, outgoing[key])) {
          return false;
        }
      }
    }
    for (int hub = 0; hub < Workload::kHubs; ++hub) {
      const std::string key = Workload::Hub(hub);
      if (!CheckNeighbors(*client, key, v1::DIRECTION_IN, incoming[key])) return false;
    }
    found_ = std::move(found);
    return true;
  }

  bool CheckNeighbors(client::Client& client, const std::string& key, v1::Direction direction,
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

  // Sends every unacknowledged write again with its request id.
  bool RepeatUnacknowledged() {
    const auto client = server_->Connect();
    for (size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = *workers_[i];
      const std::deque<PendingWrite> pending = worker.expected.pending();
      worker.expected.Resolve(applied_[i], found_[i]);
      // Every other time the writes that are not there are given up instead.
      const bool give_up = Below(2) == 0;
      for (size_t w = 0; w < pending.size(); ++w) {
        const bool was_applied = w < applied_[i];
        if (!was_applied && give_up) continue;
        const v1::WriteRequest& request = pending[w].request;
        // A stream's writes are the same writes as those of Write.
        const WriteAnswer answer = Send(*client, request, !worker.streams);
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
    if (!ReadAll(*client, &found)) return false;
    for (size_t i = 0; i < workers_.size(); ++i) {
      std::string why;
      if (!workers_[i]->expected.Match(found[i], &why).has_value()) {
        return Fail(absl::StrCat("after repeating, worker ", i, ": ", why));
      }
      workers_[i]->expected.Resolve(1, found[i]);
    }
    return CheckSearches(*client, found, true);
  }

  const Flags flags_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<TestServer> server_;
  std::map<size_t, size_t> applied_;
  std::vector<GraphState> found_;
  v1::GetInfoResponse last_info_;
  Totals totals_;
  std::string problem_;
};

bool ParseFlag(absl::string_view argument, Flags* flags) {
  const auto number = [&](absl::string_view name, int64_t* value) {
    absl::string_view rest = argument;
    return absl::ConsumePrefix(&rest, name) && absl::SimpleAtoi(rest, value) && *value > 0;
  };
  const auto text = [&](absl::string_view name, std::string* value) {
    absl::string_view rest = argument;
    if (!absl::ConsumePrefix(&rest, name) || rest.empty()) return false;
    *value = std::string(rest);
    return true;
  };
  return number("--cycles=", &flags->cycles) || number("--seed=", &flags->seed) ||
         number("--workers=", &flags->workers) || number("--max_load_ms=", &flags->max_load_ms) ||
         text("--sync_mode=", &flags->sync_mode) || text("--data_dir=", &flags->data_dir);
}

}  // namespace
}  // namespace cookix::tests

int main(int argc, char** argv) {
  cookix::tests::Flags flags;
  for (int i = 1; i < argc; ++i) {
    if (!cookix::tests::ParseFlag(argv[i], &flags)) {
      std::fprintf(stderr, "crash_loop: bad argument %s\n", argv[i]);
      return 2;
    }
  }
  return cookix::tests::CrashLoop(flags).Run() ? 0 : 1;
}
