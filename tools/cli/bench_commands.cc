// bench: a simple load against the server, with latencies.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <random>
#include <thread>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kNamespace[] = "cookix_bench";

struct PhaseResult {
  std::string name;
  int64_t calls = 0;
  double seconds = 0;
  std::vector<int64_t> micros;  // sorted
  int64_t Percentile(double p) const {
    if (micros.empty()) return 0;
    const auto index = static_cast<size_t>(std::ceil(p * static_cast<double>(micros.size()))) - 1;
    return micros[std::min(index, micros.size() - 1)];
  }
};

// Runs `call(worker's random source, index)` `calls` times from `threads` threads.
absl::StatusOr<PhaseResult> Measure(
    const std::string& name, int64_t calls, int64_t threads,
    const std::function<absl::Status(std::mt19937_64&, int64_t)>& call) {
  PhaseResult result;
  result.name = name;
  std::mutex mutex;
  absl::Status failure;
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  const auto start = Clock::now();
  std::vector<std::thread> workers;
  for (int64_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t) + 1);
      std::vector<int64_t> mine;
      while (!stop) {
        const int64_t index = next++;
        if (index >= calls) break;
        const auto begin = Clock::now();
        const absl::Status status = call(random, index);
        mine.push_back(
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
        if (!status.ok()) {
          stop = true;
          std::lock_guard lock(mutex);
          if (failure.ok()) failure = status;
          return;
        }
      }
      std::lock_guard lock(mutex);
      result.micros.insert(result.micros.end(), mine.begin(), mine.end());
    });
  }
  for (std::thread& worker : workers) worker.join();
  COOKIX_RETURN_IF_ERROR(failure);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.calls = calls;
  std::sort(result.micros.begin(), result.micros.end());
  return result;
}

std::string KeyOf(int64_t index) { return "k" + std::to_string(index); }

absl::Status DropBenchNamespace(client::Client& client) {
  v1::DeleteNamespaceRequest request;
  request.set_namespace_(kNamespace);
  request.set_force(true);
  v1::DeleteNamespaceResponse response;
  return client.DeleteNamespace(request, &response);
}

absl::Status Bench(Context& context) {
  const Arguments& args = context.args();
  COOKIX_ASSIGN_OR_RETURN(int64_t objects, args.GetInt("objects", 2000, 1, 10'000'000));
  COOKIX_ASSIGN_OR_RETURN(int64_t threads, args.GetInt("threads", 8, 1, 256));
  COOKIX_ASSIGN_OR_RETURN(int64_t degree, args.GetInt("edges", 4, 0, 100));
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());

  v1::CreateNamespaceRequest create;
  create.mutable_namespace_()->set_name(kNamespace);
  create.mutable_namespace_()->set_description("made by cookix bench, deleted at its end");
  v1::CreateNamespaceResponse created;
  absl::Status status = client->CreateNamespace(create, &created);
  if (absl::IsAlreadyExists(status)) {
    COOKIX_RETURN_IF_ERROR(DropBenchNamespace(*client));
    status = client->CreateNamespace(create, &created);
  }
  COOKIX_RETURN_IF_ERROR(status);

  std::vector<PhaseResult> results;
  auto run = [&]() -> absl::Status {
    auto phase = [&](const char* name, int64_t calls, auto call) -> absl::Status {
      if (!context.quiet() && !context.json()) context.err().Line(std::string(name) + " …");
      COOKIX_ASSIGN_OR_RETURN(PhaseResult result, Measure(name, calls, threads, call));
      results.push_back(std::move(result));
      return absl::OkStatus();
    };
    COOKIX_RETURN_IF_ERROR(phase("put", objects, [&](std::mt19937_64& random, int64_t index) {
      v1::PutObjectRequest request;
      request.set_namespace_(kNamespace);
      v1::ObjectWrite* write = request.mutable_write();
      write->mutable_object()->mutable_ref()->set_key(KeyOf(index));
      write->mutable_object()->set_content("object " + std::to_string(index));
      (*write->mutable_object()->mutable_properties())["n"].set_int_value(index);
      for (int64_t e = 0; e < degree; ++e) {
        v1::Edge* edge = write->add_edges();
        edge->set_relation("r" + std::to_string(e % 4));
        edge->mutable_target()->set_key(
            KeyOf(static_cast<int64_t>(random() % static_cast<uint64_t>(objects))));
      }
      v1::PutObjectResponse response;
      return client->PutObject(request, &response);
    }));
    auto random_key = [objects](std::mt19937_64& random) {
      return KeyOf(static_cast<int64_t>(random() % static_cast<uint64_t>(objects)));
    };
    COOKIX_RETURN_IF_ERROR(phase("get", objects * 4, [&](std::mt19937_64& random, int64_t) {
      v1::GetObjectRequest request;
      request.set_namespace_(kNamespace);
      request.mutable_ref()->set_key(random_key(random));
      v1::GetObjectResponse response;
      return client->GetObject(request, &response);
    }));
    return phase("query", objects * 2, [&](std::mt19937_64& random, int64_t) {
      v1::QueryRequest request;
      request.set_namespace_(kNamespace);
      request.mutable_anchor()->set_key(random_key(random));
      request.set_max_hops(4);
      v1::QueryResponse response;
      return client->Query(request, &response);
    });
  };
  const absl::Status outcome = run();
  const absl::Status dropped = DropBenchNamespace(*client);
  COOKIX_RETURN_IF_ERROR(outcome);
  COOKIX_RETURN_IF_ERROR(dropped);

  if (context.json()) {
    Json document = Json::object();
    document["objects"] = objects;
    document["edges_per_object"] = degree;
    document["threads"] = threads;
    document["phases"] = Json::array();
    for (const PhaseResult& result : results) {
      Json phase = Json::object();
      phase["name"] = result.name;
      phase["calls"] = result.calls;
      phase["seconds"] = result.seconds;
      phase["calls_per_second"] = static_cast<double>(result.calls) / result.seconds;
      for (const auto& [name, p] :
           {std::pair{"p50_us", 0.5}, {"p95_us", 0.95}, {"p99_us", 0.99}, {"max_us", 1.0}}) {
        phase[name] = result.Percentile(p);
      }
      document["phases"].push_back(std::move(phase));
    }
    context.out().JsonLine(document);
    return absl::OkStatus();
  }
  Table table({{"CALL", false, Tone::kBold},
               {"CALLS", true},
               {"PER SECOND", true},
               {"P50", true},
               {"P95", true},
               {"P99", true},
               {"MAX", true}});
  for (const PhaseResult& result : results) {
    table.Add({result.name, WithCommas(result.calls),
               WithCommas(static_cast<int64_t>(static_cast<double>(result.calls) / result.seconds)),
               HumanMicros(result.Percentile(0.5)), HumanMicros(result.Percentile(0.95)),
               HumanMicros(result.Percentile(0.99)), HumanMicros(result.Percentile(1.0))});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> BenchCommands() {
  return {{"bench",
           {},
           "measure puts, gets and 4-hop queries with concurrent callers",
           {},
           {{"objects", "N", "objects put (default 2000); four gets and two queries for each"},
            {"edges", "N", "edges of each object (default 4)"},
            {"threads", "N", "concurrent callers (default 8)"}},
           {"cookix bench", "cookix bench --objects 20000 --threads 16 --json"},
           Bench}};
}

}  // namespace cookix::cli
