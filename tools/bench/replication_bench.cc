#include "tools/bench/replication_bench.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <mutex>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"
#include "tools/bench/vector_data.h"
#include "tools/bench/vector_stream.h"

namespace cookix::bench {
namespace {

constexpr int kWriters = 8;
constexpr int kTextBytes = 200;
constexpr char kCollection[] = "facts";
constexpr char kVectors[] = "vectors";
constexpr double kGiveUpSeconds = 600;

std::string KeyOfObject(int number) { return absl::StrCat("fact-", number); }

// Words of a vocabulary of a few thousand, the same for the same number.
std::string TextOf(int number) {
  std::string text;
  for (uint64_t word = static_cast<uint64_t>(number) + 1; text.size() < kTextBytes;) {
    word = word * 6364136223846793005ULL + 1442695040888963407ULL;
    absl::StrAppend(&text, "word", (word >> 33) % 5000, " ");
  }
  text.resize(kTextBytes);
  return text;
}

v1::WriteRequest WriteOf(int number) {
  v1::WriteRequest request;
  v1::ObjectWrite& put = *request.add_mutations()->mutable_put_object();
  put.mutable_object()->mutable_ref()->set_collection(kCollection);
  put.mutable_object()->mutable_ref()->set_key(KeyOfObject(number));
  (*put.mutable_object()->mutable_properties())["text"].set_string_value(TextOf(number));
  for (const int back : {1, 17}) {
    v1::Edge& edge = *put.add_edges();
    edge.set_relation("causes");
    edge.mutable_target()->set_collection(kCollection);
    edge.mutable_target()->set_key(KeyOfObject(std::max(0, number - back)));
  }
  return request;
}

// Of a process, user and system together.
double CpuSeconds(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::vector<std::string> values{std::istream_iterator<std::string>(fields), {}};
  // Numbered from field 3: utime 14, stime 15.
  const double ticks = std::stod(values.at(11)) + std::stod(values.at(12));
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

absl::StatusOr<std::string> PositionOf(client::Client& client, int64_t* commit = nullptr) {
  v1::GetInfoResponse info;
  COOKIX_RETURN_IF_ERROR(client.GetInfo(v1::GetInfoRequest(), &info));
  if (commit != nullptr) *commit = info.commit();
  return info.position();
}

// Waits until a server shows a position.
absl::Status WaitFor(client::Client& client, const std::string& position) {
  const auto begin = Clock::now();
  while (true) {
    v1::CountObjectsRequest request;
    request.mutable_options()->set_min_position(position);
    request.mutable_options()->set_wait_ms(10'000);
    v1::CountObjectsResponse response;
    const absl::Status status = client.CountObjects(request, &response);
    if (status.ok()) return status;
    if (SecondsSince(begin) > kGiveUpSeconds) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<tests::TestServer>> ReplicationBench::StartReplica(
    const std::string& name) {
  tests::TestServerOptions options;
  options.data_dir = absl::StrCat(options_.directory, "/", name);
  options.flags = {"--sync_mode=full", absl::StrCat("--replica_of=", primary_->target())};
  return tests::TestServer::Start(std::move(options));
}

absl::Status ReplicationBench::Write(int count, int rate,
                                     const std::function<absl::Status()>& meanwhile) {
  std::atomic<int> next{written_};
  const int end = written_ + count;
  std::mutex mutex;
  absl::Status failure;
  std::atomic<int> running{kWriters};
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < kWriters; ++t) {
    threads.emplace_back([&] {
      const std::unique_ptr<client::Client> client = primary_->Connect();
      auto writer = client->OpenBulkWriter(4);
      absl::Status status = writer.status();
      for (int number = next++; status.ok() && number < end; number = next++) {
        if (rate > 0) {
          std::this_thread::sleep_until(
              begin + std::chrono::duration<double>(static_cast<double>(number - written_) / rate));
        }
        status = (*writer)->Write(WriteOf(number));
      }
      if (status.ok()) status = (*writer)->Finish();
      const std::lock_guard<std::mutex> lock(mutex);
      if (failure.ok()) failure = status;
      --running;
    });
  }
  absl::Status other;
  while (running > 0) {
    if (meanwhile != nullptr && other.ok()) {
      other = meanwhile();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  for (std::thread& thread : threads) thread.join();
  written_ = end;
  return failure.ok() ? other : failure;
}

absl::Status ReplicationBench::MeasureCost(double* seconds_per_commit) {
  const int count = options_.rate * options_.seconds / 2;
  const double before = CpuSeconds(primary_->pid());
  COOKIX_RETURN_IF_ERROR(Write(count, options_.rate, nullptr));
  *seconds_per_commit = (CpuSeconds(primary_->pid()) - before) / count;
  return absl::OkStatus();
}

absl::Status ReplicationBench::MeasureLag(client::Client& replica, Report* report) {
  const std::unique_ptr<client::Client> primary = primary_->Connect();
  Times times;
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(Write(options_.rate * options_.seconds, options_.rate, [&] {
    // From the moment at which the primary has a commit until a read on the replica shows it.
    COOKIX_ASSIGN_OR_RETURN(const std::string position, PositionOf(*primary));
    const auto asked = Clock::now();
    COOKIX_RETURN_IF_ERROR(WaitFor(replica, position));
    times.Add(MicrosSince(asked));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return absl::OkStatus();
  }));
  const double rate = options_.rate * options_.seconds / SecondsSince(begin);
  report->Add({"replica/written", rate, "writes/s", Goal::kAtLeast, 0.95 * options_.rate});
  const std::string note = absl::StrCat(times.size(), " reads");
  report->Add(
      {"replica/lag_p50", times.Median() / 1000, "ms", Goal::kAtMost, 5, std::nullopt, 0, note});
  report->Add({"replica/lag_p99", times.Percentile(0.99) / 1000, "ms", Goal::kAtMost, 50,
               std::nullopt, 0, note});
  return absl::OkStatus();
}

absl::Status ReplicationBench::MeasureCatchUp(tests::TestServer& replica, Report* report) {
  if (replica.Terminate().code != 0) return absl::InternalError("the replica did not stop well");
  COOKIX_RETURN_IF_ERROR(Write(options_.backlog, 0, nullptr));
  int64_t last = 0;
  COOKIX_ASSIGN_OR_RETURN(const std::string position, PositionOf(*primary_->Connect(), &last));
  COOKIX_RETURN_IF_ERROR(replica.Restart());
  const std::unique_ptr<client::Client> client = replica.Connect();
  int64_t first = 0;
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(PositionOf(*client, &first).status());
  COOKIX_RETURN_IF_ERROR(WaitFor(*client, position));
  report->Add({"replica/catch_up", static_cast<double>(last - first) / SecondsSince(begin),
               "commits/s", Goal::kAtLeast, 5.0 * options_.rate, std::nullopt, 0,
               absl::StrCat(last - first, " commits")});
  return absl::OkStatus();
}

absl::Status ReplicationBench::Compare(client::Client& replica) {
  const std::unique_ptr<client::Client> primary = primary_->Connect();
  COOKIX_ASSIGN_OR_RETURN(const std::string position, PositionOf(*primary));
  COOKIX_RETURN_IF_ERROR(WaitFor(replica, position));
  for (int i = 0; i < 200; ++i) {
    const int number = static_cast<int>((static_cast<int64_t>(i) * 7919) % std::max(1, written_));
    v1::SearchRequest search;
    search.set_collection(kCollection);
    search.set_limit(10);
    search.mutable_text()->set_text(TextOf(number).substr(0, 30));
    v1::SearchResponse there, here;
    COOKIX_RETURN_IF_ERROR(primary->Search(search, &there));
    COOKIX_RETURN_IF_ERROR(replica.Search(search, &here));
    v1::ListNeighborsRequest neighbors;
    neighbors.mutable_ref()->set_collection(kCollection);
    neighbors.mutable_ref()->set_key(KeyOfObject(number));
    v1::ListNeighborsResponse from, to;
    COOKIX_RETURN_IF_ERROR(primary->ListNeighbors(neighbors, &from));
    COOKIX_RETURN_IF_ERROR(replica.ListNeighbors(neighbors, &to));
    bool same = there.hits_size() == here.hits_size() &&
                from.SerializeAsString() == to.SerializeAsString() && here.hits_size() > 0;
    for (int h = 0; same && h < here.hits_size(); ++h) {
      same = here.hits(h).ref().key() == there.hits(h).ref().key() &&
             here.hits(h).score() == there.hits(h).score();
    }
    if (!same) return Wrong(absl::StrCat("the servers differ about object ", number));
  }
  return absl::OkStatus();
}

absl::Status ReplicationBench::WaitUntilSaved(client::Client& primary, int64_t commit) {
  v1::DescribeIndexRequest request;
  request.set_collection(kVectors);
  int64_t indexed = -1;
  const auto begin = Clock::now();
  while (SecondsSince(begin) < kGiveUpSeconds) {
    v1::DescribeIndexResponse index;
    COOKIX_RETURN_IF_ERROR(primary.DescribeIndex(request, &index));
    v1::GetStatsResponse stats;
    COOKIX_RETURN_IF_ERROR(primary.GetStats(v1::GetStatsRequest(), &stats));
    const bool saved =
        std::all_of(stats.views().begin(), stats.views().end(), [&](const v1::ViewStats& view) {
          return view.name() != "vectors" || view.checkpoint_commit() >= commit;
        });
    // The last ones may stay outside of the graph for good.
    if (saved && index.indexed_vectors() == indexed) return absl::OkStatus();
    indexed = index.indexed_vectors();
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return absl::DeadlineExceededError("the vectors were not indexed and saved");
}

absl::Status ReplicationBench::MeasureBootstrap(Report* report) {
  const std::unique_ptr<client::Client> primary = primary_->Connect();
  const VectorData data =
      MakeClusters("seeds", static_cast<size_t>(options_.objects),
                   static_cast<size_t>(options_.dimension), 1000, 10, options_.seed);
  v1::CreateCollectionRequest request;
  request.mutable_collection()->set_name(kVectors);
  v1::VectorField& field = *request.mutable_collection()->add_vector_fields();
  field.set_name("v");
  field.set_dimension(options_.dimension);
  field.set_metric(data.metric);
  field.set_index(v1::VECTOR_INDEX_KIND_HNSW);
  v1::CreateCollectionResponse created;
  COOKIX_RETURN_IF_ERROR(primary->CreateCollection(request, &created));
  COOKIX_RETURN_IF_ERROR(
      InsertAll(primary_->target(), kVectors, data, [](size_t, v1::InsertVectorsRequest*) {}));
  int64_t commit = 0;
  COOKIX_ASSIGN_OR_RETURN(const std::string position, PositionOf(*primary, &commit));
  COOKIX_RETURN_IF_ERROR(WaitUntilSaved(*primary, commit));
  const auto begin = Clock::now();
  COOKIX_ASSIGN_OR_RETURN(const auto replica, StartReplica("second"));
  const std::unique_ptr<client::Client> client = replica->Connect();
  COOKIX_RETURN_IF_ERROR(WaitFor(*client, position));
  report->Add({"bootstrap/first_read", SecondsSince(begin), "s", Goal::kAtMost, 60, std::nullopt, 0,
               absl::StrCat(options_.objects, " objects with vectors")});
  v1::SearchRequest search;
  search.set_collection(kVectors);
  search.set_limit(10);
  const float* values = data.Query(0);
  search.mutable_vector()->mutable_vector()->mutable_values()->Add(values, values + data.dimension);
  v1::SearchResponse found;
  while (true) {
    COOKIX_RETURN_IF_ERROR(client->Search(search, &found));
    if (found.hits_size() != 10) return Wrong("a search on the replica finds too little");
    if (found.diagnostics().strategy() != "records") break;
    if (SecondsSince(begin) > kGiveUpSeconds) return absl::DeadlineExceededError("no index");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  report->Add({"bootstrap/indexed_search", SecondsSince(begin), "s", Goal::kAtMost, 60});
  return absl::OkStatus();
}

absl::Status ReplicationBench::Run(Report* report) {
  tests::TestServerOptions options;
  options.data_dir = options_.directory + "/primary";
  // Views save themselves as on a server that runs for a while, sooner.
  options.flags = {"--sync_mode=full", "--view_checkpoint_seconds=5"};
  COOKIX_ASSIGN_OR_RETURN(primary_, tests::TestServer::Start(std::move(options)));
  v1::CreateCollectionRequest request;
  request.mutable_collection()->set_name(kCollection);
  request.mutable_collection()->add_text_fields()->set_name("text");
  v1::CreateCollectionResponse created;
  COOKIX_RETURN_IF_ERROR(primary_->Connect()->CreateCollection(request, &created));
  // Until memory and files are as they stay.
  COOKIX_RETURN_IF_ERROR(Write(options_.rate * 2, options_.rate, nullptr));
  double alone = 0;
  COOKIX_RETURN_IF_ERROR(MeasureCost(&alone));
  {
    COOKIX_ASSIGN_OR_RETURN(const auto replica, StartReplica("first"));
    std::unique_ptr<client::Client> client = replica->Connect();
    COOKIX_ASSIGN_OR_RETURN(const std::string position, PositionOf(*primary_->Connect()));
    COOKIX_RETURN_IF_ERROR(WaitFor(*client, position));
    double followed = 0;
    COOKIX_RETURN_IF_ERROR(MeasureCost(&followed));
    report->Add("primary/cpu_alone", alone * 1e6, "us/commit");
    report->Add("primary/cpu_followed", followed * 1e6, "us/commit");
    report->Add({"primary/cpu_ratio", followed / alone, "times", Goal::kAtMost, 1.1});
    COOKIX_RETURN_IF_ERROR(MeasureLag(*client, report));
    COOKIX_RETURN_IF_ERROR(Compare(*client));
    client.reset();
    COOKIX_RETURN_IF_ERROR(MeasureCatchUp(*replica, report));
    client = replica->Connect();
    COOKIX_RETURN_IF_ERROR(Compare(*client));
  }
  return options_.objects > 0 ? MeasureBootstrap(report) : absl::OkStatus();
}

}  // namespace cookix::bench
