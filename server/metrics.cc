#include "server/metrics.h"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/method_table.h"
#include "server/rpc/status.h"
#include "storage/base/status.h"
#include "storage/base/wall_clock.h"

namespace cookix::server {
namespace {

using Clock = std::chrono::steady_clock;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::map<std::string, std::string>;

// What lanes of searches look by, and how.
constexpr std::pair<std::string_view, std::string_view> kSearches[] = {
    {"vector", "scan"},         {"vector", "graph"},  {"vector", "filtered_graph"},
    {"vector", "sketch"},       {"vector", "cells"},  {"vector", "inverted"},
    {"vector", "records"},      {"text", "inverted"}, {"text", "records"},
    {"neighbourhood", "paths"},
};

constexpr int kCodes = 17;
constexpr auto kSampleInterval = std::chrono::seconds(1);

const std::vector<double>& Buckets() {
  static const auto* const kBuckets =
      new std::vector<double>{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                              0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10};
  return *kBuckets;
}

// Families of single values, built anew at each scrape.
class Builder {
 public:
  void Gauge(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    Add(name, help, MetricType::Gauge, value, std::move(labels));
  }
  void Counter(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    Add(name, help, MetricType::Counter, value, std::move(labels));
  }
  std::vector<MetricFamily> Take() && { return std::move(families_); }

 private:
  void Add(const std::string& name, const std::string& help, MetricType type, double value,
           Labels labels) {
    MetricFamily* family = nullptr;
    for (MetricFamily& existing : families_) {
      if (existing.name == name) family = &existing;
    }
    if (family == nullptr) {
      families_.emplace_back();
      family = &families_.back();
      family->name = name;
      family->help = help;
      family->type = type;
    }
    ClientMetric metric;
    for (auto& [label, text] : labels) metric.label.push_back({label, text});
    if (type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family->metric.push_back(std::move(metric));
  }

  std::vector<MetricFamily> families_;
};

void AddProcess(Builder* out) {
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
  // The second field is the program's name in parentheses and may hold anything.
  const size_t name_end = text.rfind(')');
  if (name_end != std::string::npos) {
    std::istringstream fields(text.substr(name_end + 1));
    std::vector<std::string> values;
    for (std::string value; fields >> value;) values.push_back(std::move(value));
    // Numbered from field 3: utime 14, stime 15, threads 20, start 22.
    if (values.size() > 19) {
      const double user = std::strtod(values[11].c_str(), nullptr);
      const double system = std::strtod(values[12].c_str(), nullptr);
      out->Counter("process_cpu_seconds_total", "Processor time used.", (user + system) / ticks);
      out->Gauge("process_threads", "Threads.", std::strtod(values[17].c_str(), nullptr));
      std::ifstream boot("/proc/stat");
      for (std::string word; boot >> word;) {
        if (word != "btime") continue;
        double seconds = 0;
        boot >> seconds;
        out->Gauge("process_start_time_seconds", "When the process started, Unix seconds.",
                   seconds + std::strtod(values[19].c_str(), nullptr) / ticks);
        break;
      }
    }
  }
  double size = 0;
  double resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  out->Gauge("process_virtual_memory_bytes", "Virtual memory.", size * page);
  out->Gauge("process_resident_memory_bytes", "Resident memory.", resident * page);
  if (DIR* descriptors = opendir("/proc/self/fd")) {
    int count = -3;  // ".", ".." and the directory itself
    while (readdir(descriptors) != nullptr) ++count;
    closedir(descriptors);
    out->Gauge("process_open_fds", "Open file descriptors.", count);
  }
}

void AddStore(const v1::GetStatsResponse& stats, const v1::GetInfoResponse& info, Builder* out) {
  out->Gauge(
      "cookix_build_info", "The version that runs; always 1.", 1,
      {{"version", info.version()}, {"format_version", absl::StrCat(info.format_version())}});
  out->Gauge("cookix_store_commit", "The last commit.", static_cast<double>(info.commit()));
  out->Gauge("cookix_store_epoch", "The present epoch.", static_cast<double>(info.epoch()));
  out->Gauge("cookix_read_only", "1 when writes are refused.", info.read_only() ? 1 : 0);
  for (const auto& family : stats.families()) {
    const Labels labels = {{"family", family.name()}};
    out->Gauge("cookix_store_family_keys", "Estimated keys of a column family.",
               static_cast<double>(family.keys()), labels);
    out->Gauge("cookix_store_family_sst_bytes", "Bytes in sorted files.",
               static_cast<double>(family.sst_bytes()), labels);
    out->Gauge("cookix_store_family_sst_files", "Sorted files.",
               static_cast<double>(family.sst_files()), labels);
    out->Gauge("cookix_store_family_memtable_bytes", "Bytes in memory tables.",
               static_cast<double>(family.memtable_bytes()), labels);
  }
  out->Gauge("cookix_store_wal_bytes", "Bytes of the log.", static_cast<double>(stats.wal_bytes()));
  out->Gauge("cookix_store_wal_files", "Files of the log.", static_cast<double>(stats.wal_files()));
  out->Gauge("cookix_store_block_cache_bytes", "Block cache in use.",
             static_cast<double>(stats.block_cache_bytes()));
  out->Gauge("cookix_store_disk_free_bytes", "Free bytes of the disk.",
             static_cast<double>(stats.disk_free_bytes()));
  out->Counter("cookix_store_commits_total", "Commits since the start.",
               static_cast<double>(stats.commits()));
  out->Counter("cookix_store_commit_groups_total", "Groups of commits, one sync each.",
               static_cast<double>(stats.commit_groups()));
  out->Gauge("cookix_store_pending_tombstones", "Deletions that are yet to be worked off.",
             static_cast<double>(stats.pending_tombstones()));
  out->Counter("cookix_store_collected_records_total", "Records removed in the background.",
               static_cast<double>(stats.collected_records()));
  for (const auto& view : stats.views()) {
    const Labels labels = {{"view", view.name()}};
    out->Gauge("cookix_view_visible_commit", "Last commit that searches find.",
               static_cast<double>(view.visible_commit()), labels);
    out->Gauge("cookix_view_indexed_commit", "Last commit in the structure proper.",
               static_cast<double>(view.indexed_commit()), labels);
    out->Gauge("cookix_view_lag_commits", "Commits that the view has yet to show.",
               static_cast<double>(std::max<int64_t>(0, info.commit() - view.visible_commit())),
               labels);
    out->Gauge("cookix_view_memory_bytes", "Memory of the view.",
               static_cast<double>(view.memory_bytes()), labels);
    out->Gauge("cookix_view_ready", "1 when the view follows the log.",
               view.state() == v1::VIEW_STATE_READY ? 1 : 0, labels);
    out->Gauge("cookix_view_build_progress_ratio", "Progress of a build, 0 to 1.", view.progress(),
               labels);
    out->Gauge("cookix_view_restored", "1 when the view began from what was saved.",
               view.restored() ? 1 : 0, labels);
    out->Gauge("cookix_view_checkpoint_commit", "Commit of the saved state; 0 without one.",
               static_cast<double>(view.checkpoint_commit()), labels);
    out->Gauge("cookix_view_checkpoint_failing", "1 when the last attempt to save it failed.",
               view.checkpoint_error().empty() ? 0 : 1, labels);
  }
}

void AddReplication(const v1::GetReplicationStatusResponse& status, Builder* out) {
  out->Gauge("cookix_replication_primary", "1 on the server that takes writes.",
             status.role() == v1::REPLICATION_ROLE_PRIMARY ? 1 : 0);
  if (status.role() != v1::REPLICATION_ROLE_PRIMARY) {
    out->Gauge("cookix_replication_following", "1 when a replica gets commits as they are made.",
               status.state() == v1::REPLICA_STATE_FOLLOWING ? 1 : 0);
    out->Gauge("cookix_replication_lag_commits", "Commits that the replica has yet to get.",
               static_cast<double>(status.lag_commits()));
    out->Gauge("cookix_replication_lag_seconds", "How long ago the replica had everything.",
               static_cast<double>(status.lag_ms()) / 1000);
    out->Gauge("cookix_replication_last_contact_seconds",
               "When the replica last heard from the server that it follows, Unix seconds; 0 "
               "before the first time.",
               static_cast<double>(status.last_contact_ms()) / 1000);
    out->Counter("cookix_replication_seeds_total",
                 "Copies of the store that the replica has begun with since it was started.",
                 static_cast<double>(status.seeds()));
  }
  if (status.has_cluster()) {
    const v1::ClusterStatus& cluster = status.cluster();
    out->Gauge("cookix_cluster_in_sync", "1 when this server may become the primary.",
               cluster.self_in_sync() ? 1 : 0);
    out->Gauge("cookix_cluster_in_sync_members",
               "Servers that have what was acknowledged, the primary included.",
               cluster.in_sync_size());
    out->Gauge("cookix_cluster_lease_seconds",
               "For how long the primary may acknowledge writes unless it renews its lease.",
               static_cast<double>(cluster.lease_ms()) / 1000);
    out->Gauge("cookix_cluster_etcd_reachable", "1 when the last call to etcd succeeded.",
               cluster.last_error().empty() ? 1 : 0);
    out->Counter("cookix_cluster_elections_won_total",
                 "How often this server became the primary since it was started.",
                 static_cast<double>(cluster.elections_won()));
  }
  for (const v1::ReplicaStatus& replica : status.replicas()) {
    const Labels labels = {{"replica", replica.name()}};
    const bool connected = replica.state() == v1::REPLICA_STATE_FOLLOWING ||
                           replica.state() == v1::REPLICA_STATE_CATCHING_UP;
    out->Gauge("cookix_replica_connected", "1 when the replica follows this server.",
               connected ? 1 : 0, labels);
    out->Gauge("cookix_replica_lag_commits", "Commits that are not durable on the replica.",
               static_cast<double>(replica.lag_commits()), labels);
    out->Gauge("cookix_replica_lag_seconds",
               "Age of the oldest commit that was sent to it and is not durable there.",
               static_cast<double>(replica.lag_ms()) / 1000, labels);
  }
}

bool EqualSecret(const std::string& a, const std::string& b) {
  // Hashes have one length, so the comparison tells nothing about the password's.
  std::array<unsigned char, 32> hash_a;
  std::array<unsigned char, 32> hash_b;
  crypto_generichash(hash_a.data(), hash_a.size(), reinterpret_cast<const unsigned char*>(a.data()),
                     a.size(), nullptr, 0);
  crypto_generichash(hash_b.data(), hash_b.size(), reinterpret_cast<const unsigned char*>(b.data()),
                     b.size(), nullptr, 0);
  return sodium_memcmp(hash_a.data(), hash_b.data(), hash_a.size()) == 0;
}

}  // namespace

struct Metrics::Impl {
  struct Method {
    std::array<std::atomic<prometheus::Counter*>, kCodes> codes{};
    prometheus::Histogram* duration = nullptr;
    std::string name;
  };

  // Reads the database when somebody scrapes.
  class Sampler : public prometheus::Collectable {
   public:
    std::vector<MetricFamily> Collect() const override {
      Builder builder;
      AddProcess(&builder);
      std::lock_guard<std::mutex> lock(mutex);
      if (source) {
        const auto now = Clock::now();
        if (!sampled || now - sampled_at >= kSampleInterval) {
          sample = Sample();
          source(&sample);
          sampled = true;
          sampled_at = now;
        }
        AddStore(sample.stats, sample.info, &builder);
        AddReplication(sample.replication, &builder);
      }
      return std::move(builder).Take();
    }

    mutable std::mutex mutex;
    Source source;                         // guarded by mutex
    mutable bool sampled = false;          // guarded by mutex
    mutable Clock::time_point sampled_at;  // guarded by mutex
    mutable Sample sample;                 // guarded by mutex
  };

  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::shared_ptr<Sampler> sampler = std::make_shared<Sampler>();
  prometheus::Family<prometheus::Counter>* calls = nullptr;
  prometheus::Counter* auth_failures = nullptr;
  prometheus::Counter* rate_limited = nullptr;
  prometheus::Gauge* in_flight = nullptr;
  prometheus::Gauge* watches = nullptr;
  prometheus::Counter* watch_messages = nullptr;
  prometheus::Counter* watch_changes = nullptr;
  prometheus::Counter* watches_dropped = nullptr;
  prometheus::Gauge* archive_time = nullptr;
  prometheus::Gauge* archived_commit = nullptr;
  prometheus::Counter* archive_failures = nullptr;
  prometheus::Family<prometheus::Histogram>* search_durations = nullptr;
  std::array<prometheus::Histogram*, std::size(kSearches)> searches{};
  std::vector<Method> methods;
  std::unique_ptr<prometheus::Exposer> exposer;

  prometheus::Histogram& SearchHistogram(std::string_view lane, std::string_view strategy) {
    return search_durations->Add({{"lane", std::string(lane)}, {"strategy", std::string(strategy)}},
                                 Buckets());
  }

  prometheus::Counter& CallCounter(size_t index, int code) {
    Method& method = methods[std::min(index, methods.size() - 1)];
    const auto slot = static_cast<size_t>(code >= 0 && code < kCodes ? code : 2);
    prometheus::Counter* counter = method.codes[slot].load(std::memory_order_acquire);
    if (counter == nullptr) {
      // Adding the same labels again gives the same counter.
      counter = &calls->Add({{"method", method.name},
                             {"code", std::string(CodeName(static_cast<grpc::StatusCode>(slot)))}});
      method.codes[slot].store(counter, std::memory_order_release);
    }
    return *counter;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  auto& registry = *impl_->registry;
  impl_->calls = &prometheus::BuildCounter()
                      .Name("cookix_rpc_calls_total")
                      .Help("Calls that ended, by method and gRPC status code.")
                      .Register(registry);
  auto& durations = prometheus::BuildHistogram()
                        .Name("cookix_rpc_duration_seconds")
                        .Help("Time from the first byte of a call to its answer.")
                        .Register(registry);
  impl_->search_durations = &prometheus::BuildHistogram()
                                 .Name("cookix_search_duration_seconds")
                                 .Help("Time of each lane of a search, by kind and strategy.")
                                 .Register(registry);
  for (size_t i = 0; i < std::size(kSearches); ++i) {
    impl_->searches[i] = &impl_->SearchHistogram(kSearches[i].first, kSearches[i].second);
  }
  impl_->in_flight = &prometheus::BuildGauge()
                          .Name("cookix_rpc_in_flight")
                          .Help("Calls under way.")
                          .Register(registry)
                          .Add({});
  impl_->auth_failures = &prometheus::BuildCounter()
                              .Name("cookix_auth_failures_total")
                              .Help("Calls without a valid key where one is required.")
                              .Register(registry)
                              .Add({});
  impl_->rate_limited = &prometheus::BuildCounter()
                             .Name("cookix_rate_limited_total")
                             .Help("Calls refused because of their key's rate.")
                             .Register(registry)
                             .Add({});
  impl_->watches = &prometheus::BuildGauge()
                        .Name("cookix_watches")
                        .Help("Watches of the change feed that are open.")
                        .Register(registry)
                        .Add({});
  impl_->watch_messages = &prometheus::BuildCounter()
                               .Name("cookix_watch_messages_total")
                               .Help("Messages sent to watches, signs of life included.")
                               .Register(registry)
                               .Add({});
  impl_->watch_changes = &prometheus::BuildCounter()
                              .Name("cookix_watch_changes_total")
                              .Help("Changes sent to watches.")
                              .Register(registry)
                              .Add({});
  impl_->watches_dropped = &prometheus::BuildCounter()
                                .Name("cookix_watches_dropped_total")
                                .Help("Watches that ended because their clients were too slow.")
                                .Register(registry)
                                .Add({});
  impl_->archive_time = &prometheus::BuildGauge()
                             .Name("cookix_archive_last_success_timestamp_seconds")
                             .Help(
                                 "When the server last archived the log by itself, Unix "
                                 "seconds; 0 = never.")
                             .Register(registry)
                             .Add({});
  impl_->archived_commit = &prometheus::BuildGauge()
                                .Name("cookix_archive_last_commit")
                                .Help(
                                    "The last commit that the server has archived by itself; "
                                    "0 = none.")
                                .Register(registry)
                                .Add({});
  impl_->archive_failures = &prometheus::BuildCounter()
                                 .Name("cookix_archive_failures_total")
                                 .Help("How often the server could not archive the log.")
                                 .Register(registry)
                                 .Add({});
  const auto table = MethodTable();
  impl_->methods = std::vector<Impl::Method>(table.size() + 1);
  for (size_t i = 0; i <= table.size(); ++i) {
    impl_->methods[i].name = i < table.size() ? std::string(table[i].name) : "unknown";
    impl_->methods[i].duration = &durations.Add({{"method", impl_->methods[i].name}}, Buckets());
  }
}

Metrics::~Metrics() = default;

void Metrics::BeginCall() { impl_->in_flight->Increment(); }

void Metrics::EndCall(size_t method, int code, double seconds) {
  impl_->in_flight->Decrement();
  impl_->CallCounter(method, code).Increment();
  impl_->methods[std::min(method, impl_->methods.size() - 1)].duration->Observe(seconds);
}

void Metrics::RejectCall(size_t method, int code) { impl_->CallCounter(method, code).Increment(); }

void Metrics::AuthFailure() { impl_->auth_failures->Increment(); }

void Metrics::RateLimited() { impl_->rate_limited->Increment(); }

void Metrics::LaneSearched(std::string_view lane, std::string_view strategy, double seconds) {
  const auto known =
      std::find(std::begin(kSearches), std::end(kSearches), std::pair(lane, strategy));
  // Adding the same labels again gives the same histogram.
  prometheus::Histogram& histogram = known != std::end(kSearches)
                                         ? *impl_->searches[known - std::begin(kSearches)]
                                         : impl_->SearchHistogram(lane, strategy);
  histogram.Observe(seconds);
}

void Metrics::LogArchived(bool ok, int64_t last) {
  if (!ok) {
    impl_->archive_failures->Increment();
    return;
  }
  impl_->archive_time->Set(static_cast<double>(WallClockMs()) / 1000);
  if (last > 0) impl_->archived_commit->Set(static_cast<double>(last));
}

void Metrics::WatchBegan() { impl_->watches->Increment(); }

void Metrics::WatchSent(int64_t changes) {
  impl_->watch_messages->Increment();
  impl_->watch_changes->Increment(static_cast<double>(changes));
}

void Metrics::WatchEnded(bool too_slow) {
  impl_->watches->Decrement();
  if (too_slow) impl_->watches_dropped->Increment();
}

int64_t Metrics::calls_in_flight() const { return static_cast<int64_t>(impl_->in_flight->Value()); }

void Metrics::SetSource(Source source) {
  std::lock_guard<std::mutex> lock(impl_->sampler->mutex);
  impl_->sampler->source = std::move(source);
}

std::string Metrics::Text() {
  std::vector<MetricFamily> families = impl_->registry->Collect();
  for (MetricFamily& family : impl_->sampler->Collect()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

absl::StatusOr<int> Metrics::Serve(const std::string& address, const std::string& password) {
  try {
    impl_->exposer = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", address, "num_threads", "2",
                                 "request_timeout_ms", "10000", "enable_keep_alive", "no"});
    impl_->exposer->RegisterCollectable(impl_->registry);
    impl_->exposer->RegisterCollectable(impl_->sampler);
    if (!password.empty()) {
      impl_->exposer->RegisterAuth(
          [password](const std::string& user, const std::string& given) {
            return (user == "metrics") & EqualSecret(given, password);
          },
          "CookiX metrics");
    }
  } catch (const std::exception&) {
    impl_->exposer.reset();
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("Metrics cannot be served on ", address,
                                  ": the address is in use or not of this machine"),
                     {"INVALID_FIELD", "metrics_listen",
                      "Choose another address or port, or set metrics_listen to nothing.", false});
  }
  const std::vector<int> ports = impl_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace cookix::server
