#include "tools/bench/server_bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cookix/v1/object_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"

namespace cookix::bench {
namespace {

constexpr uint32_t kBatch = 1000;

// GetObject calls with `in_flight` unanswered ones, on one completion queue.
absl::Status GetMany(const std::string& target, const RandomGraph& graph, uint64_t seed, int calls,
                     int in_flight) {
  struct Call {
    grpc::ClientContext context;
    v1::GetObjectResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::GetObjectResponse>> reader;
    uint32_t node = 0;
  };
  grpc::ChannelArguments arguments;
  // A connection of its own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto stub = v1::ObjectService::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
  grpc::CompletionQueue queue;
  std::mt19937_64 random(seed);
  v1::GetObjectRequest request;
  int started = 0;
  auto start = [&] {
    auto* call = new Call;
    call->node = static_cast<uint32_t>(random() % graph.objects);
    request.mutable_ref()->set_key(NodeKey(call->node));
    call->reader = stub->AsyncGetObject(&call->context, request, &queue);
    call->reader->Finish(&call->response, &call->status, call);
    ++started;
  };
  while (started < std::min(calls, in_flight)) start();
  absl::Status status;
  void* tag = nullptr;
  bool ok = false;
  for (int done = 0; done < started && queue.Next(&tag, &ok); ++done) {
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    if (!call->status.ok()) {
      status.Update(absl::InternalError(call->status.error_message()));
    } else if (call->response.object().ref().key() != NodeKey(call->node)) {
      status.Update(Wrong("another object was sent"));
    }
    if (status.ok() && started < calls) start();
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerBench>> ServerBench::Start(const std::string& data_dir,
                                                                const RandomGraph& graph) {
  std::unique_ptr<ServerBench> bench(new ServerBench(graph));
  tests::TestServerOptions options;
  options.data_dir = data_dir;
  options.flags = {"--sync_mode=full"};
  COOKIX_ASSIGN_OR_RETURN(bench->server_, tests::TestServer::Start(std::move(options)));
  return bench;
}

absl::Status ServerBench::CheckNode(client::Client& client, uint32_t node) {
  v1::ListNeighborsRequest request;
  request.mutable_ref()->set_key(NodeKey(node));
  v1::ListNeighborsResponse response;
  COOKIX_RETURN_IF_ERROR(client.ListNeighbors(request, &response));
  std::set<std::pair<std::string, double>> expected, got;
  for (uint32_t e = 0; e < graph_.degree; ++e) {
    const size_t at = static_cast<size_t>(node) * graph_.degree + e;
    expected.emplace(NodeKey(graph_.targets[at]), graph_.weights[at]);
  }
  for (const v1::Neighbor& neighbor : response.neighbors()) {
    got.emplace(neighbor.ref().key(), neighbor.edge().weight());
  }
  return expected == got ? absl::OkStatus() : Wrong("an object has other edges");
}

absl::Status ServerBench::Import(Report* report) {
  std::unique_ptr<client::Client> client = server_->Connect();
  const auto begin = Clock::now();
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<client::BulkWriter> writer, client->OpenBulkWriter());
  for (uint32_t first = 0; first < graph_.objects; first += kBatch) {
    COOKIX_RETURN_IF_ERROR(
        writer->Write(MakeWrite(graph_, first, std::min(first + kBatch, graph_.objects))));
  }
  COOKIX_RETURN_IF_ERROR(writer->Finish());
  const double seconds = SecondsSince(begin);

  v1::CountObjectsResponse count;
  COOKIX_RETURN_IF_ERROR(client->CountObjects(v1::CountObjectsRequest(), &count));
  if (count.count() != graph_.objects) return Wrong("objects are missing");
  std::mt19937_64 random(4);
  for (int i = 0; i < 200; ++i) {
    COOKIX_RETURN_IF_ERROR(CheckNode(*client, static_cast<uint32_t>(random() % graph_.objects)));
  }
  report->Add({"import/objects", graph_.objects / seconds, "objects/s", Goal::kAtLeast, 25'000});
  report->Add("import/edges", static_cast<double>(graph_.targets.size()) / seconds, "edges/s");
  return absl::OkStatus();
}

absl::Status ServerBench::UnaryGet(int calls, Report* report) {
  constexpr int kThreads = 2;
  constexpr int kInFlight = 32;
  absl::Status statuses[kThreads];
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      statuses[t] = GetMany(server_->target(), graph_, static_cast<uint64_t>(t) + 10,
                            calls / kThreads, kInFlight);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = SecondsSince(begin);
  for (const absl::Status& status : statuses) COOKIX_RETURN_IF_ERROR(status);
  report->Add(
      {"unary_get/rate", calls / kThreads * kThreads / seconds, "calls/s", Goal::kAtLeast, 15'000});
  return absl::OkStatus();
}

absl::Status ServerBench::Restart(Report* report) {
  if (server_->Terminate().code != 0) return absl::InternalError("the server did not stop well");
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(server_->Restart());
  report->Add("restart/serving", SecondsSince(begin), "s");
  std::unique_ptr<client::Client> client = server_->Connect();
  v1::GetStatsResponse stats;
  while (true) {
    COOKIX_RETURN_IF_ERROR(client->GetStats(v1::GetStatsRequest(), &stats));
    const bool ready = std::all_of(stats.views().begin(), stats.views().end(),
                                   [](const auto& v) { return v.state() == v1::VIEW_STATE_READY; });
    if (ready) break;
    if (SecondsSince(begin) > 600) return absl::DeadlineExceededError("views were not built");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  report->Add("restart/views_ready", SecondsSince(begin), "s");
  const double objects = graph_.objects;
  const double edges = static_cast<double>(graph_.targets.size());
  for (const v1::ViewStats& view : stats.views()) {
    const bool of_edges = view.name() == "adjacency";
    report->Add(absl::StrCat("memory/", view.name()),
                static_cast<double>(view.memory_bytes()) / (of_edges ? edges : objects),
                of_edges ? "B/edge" : "B/object");
  }
  const double resident = static_cast<double>(stats.resident_bytes());
  report->Add("memory/resident", resident / (1 << 20), "MiB");
  // All of the process, against 300 bytes an object and 40 an edge.
  const double allowed = 300 * objects + 40 * edges;
  report->Add({"memory/of_allowed", resident / allowed * 100, "%", Goal::kAtMost, 100});
  std::mt19937_64 random(5);
  for (int i = 0; i < 200; ++i) {
    COOKIX_RETURN_IF_ERROR(CheckNode(*client, static_cast<uint32_t>(random() % graph_.objects)));
  }
  return absl::OkStatus();
}

}  // namespace cookix::bench
