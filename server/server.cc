#include "server/server.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/version.h"
#include "server/authenticator.h"
#include "server/bootstrap.h"
#include "server/election/etcd_coordinator.h"
#include "server/environment.h"
#include "server/executor.h"
#include "server/listen_address.h"
#include "server/log_archiver.h"
#include "server/replication/grpc_primary_link.h"
#include "server/replication/replication.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/backup_service.h"
#include "server/rpc/call_server.h"
#include "server/rpc/catalog_service.h"
#include "server/rpc/graph_service.h"
#include "server/rpc/health_service.h"
#include "server/rpc/object_service.h"
#include "server/rpc/query_service.h"
#include "server/rpc/reasoning_service.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/replication_service.h"
#include "server/rpc/router.h"
#include "server/rpc/search_service.h"
#include "server/rpc/security_service.h"
#include "server/rpc/watch_service.h"
#include "server/tls.h"
#include "storage/base/status.h"
#include "storage/base/wall_clock.h"

namespace cookix::server {
namespace {

constexpr int64_t kMegabyte = 1 << 20;

absl::Status SettingError(std::string_view setting, std::string_view message,
                          std::string_view remedy) {
  return MakeError(absl::StatusCode::kFailedPrecondition, message,
                   {"INVALID_FIELD", std::string(setting), std::string(remedy), false});
}

std::string HostName() {
  char name[256] = "";
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

AuthMode ToAuthMode(const std::string& text) {
  if (text == "on") return AuthMode::kOn;
  return text == "off" ? AuthMode::kOff : AuthMode::kAuto;
}

storage::SyncMode ToSyncMode(const std::string& text) {
  if (text == "normal") return storage::SyncMode::kNormal;
  return text == "off" ? storage::SyncMode::kOff : storage::SyncMode::kFull;
}

storage::Compression ToCompression(const std::string& text) {
  if (text == "zstd") return storage::Compression::kZstd;
  return text == "none" ? storage::Compression::kNone : storage::Compression::kLz4;
}

// Exit code 2 is for settings that cannot work anywhere, which these are not.
absl::Status StoreError(const absl::Status& status) {
  ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail{});
  if (detail.reason.empty()) detail.reason = "IO_ERROR";
  if (detail.remedy.empty()) detail.remedy = "Check the data directory and its disk.";
  detail.field = "data_dir";
  const absl::StatusCode code = status.code() == absl::StatusCode::kInvalidArgument
                                    ? absl::StatusCode::kFailedPrecondition
                                    : status.code();
  return MakeError(code, std::string_view(status.message().data(), status.message().size()),
                   detail);
}

// What a part of the server says, into its log. `part` is a literal.
std::function<void(std::string_view level, std::string_view message)> LogAs(Log& log,
                                                                            const char* part) {
  return [&log, part](std::string_view level, std::string_view message) {
    LogLevel parsed = LogLevel::kInfo;
    ParseLogLevel(level, &parsed);
    log.Write(parsed, part, message);
  };
}

engine::DatabaseOptions ToDatabaseOptions(const Config& config, Log& log, Metrics& metrics) {
  engine::DatabaseOptions options;
  auto& store = options.storage;
  store.path = config.data_dir;
  store.must_exist = !config.create_data_dir;
  store.in_memory = config.in_memory;
  store.sync_mode = ToSyncMode(config.sync_mode);
  store.normal_sync_interval_ms = config.normal_sync_interval_ms;
  store.compression = ToCompression(config.compression);
  store.zstd_level = static_cast<int>(config.zstd_level);
  store.memory_budget_bytes = config.memory_budget_mb * kMegabyte;
  store.background_jobs = static_cast<int>(config.background_jobs);
  store.ring_bytes = config.log_ring_mb * kMegabyte;
  store.wal_keep_bytes = config.wal_keep_mb * kMegabyte;
  store.wal_keep_seconds = config.wal_keep_seconds;
  store.low_disk_bytes = config.low_disk_mb * kMegabyte;
  store.max_commit_bytes = config.max_commit_mb * kMegabyte;
  store.request_id_keep_ms = config.request_id_keep_seconds * 1000;
  store.log = LogAs(log, "storage");
  options.on_lane_searched = [&metrics](std::string_view lane, std::string_view strategy,
                                        double seconds) {
    metrics.LaneSearched(lane, strategy, seconds);
  };
  options.limits = config.limits;
  options.adjacency_bytes = config.adjacency_mb * kMegabyte;
  options.names_bytes = config.names_mb * kMegabyte;
  options.field_index = config.field_index;
  options.vectors.max_bytes = config.vectors_mb * kMegabyte;
  options.vectors.cell_bytes = config.cells_mb * kMegabyte;
  options.vectors.tail_vectors = config.vector_tail;
  options.vectors.bulk_tail_vectors = config.vector_bulk_tail;
  options.vectors.threads = static_cast<int>(config.vector_threads);
  options.text.max_bytes = config.text_mb * kMegabyte;
  options.text.threads = static_cast<int>(config.text_threads);
  options.views.checkpoints = config.view_checkpoint_mb > 0;
  options.views.checkpoint_bytes = config.view_checkpoint_mb * kMegabyte;
  options.views.checkpoint_interval = std::chrono::seconds(config.view_checkpoint_seconds);
  options.views.max_lag_commits = static_cast<uint64_t>(config.view_max_lag_commits);
  options.views.max_lag_bytes = config.view_max_lag_mb * kMegabyte;
  options.checkpoint_dir = config.checkpoint_dir;
  options.backup_dir = config.backup_dir;
  return options;
}

absl::StatusOr<std::string> ReadPassword(const std::string& path) {
  std::string password;
  if (std::ifstream file(path); !std::getline(file, password) || password.empty()) {
    return SettingError("metrics_password_file",
                        absl::StrCat("The file ", path, " cannot be read or is empty"),
                        "Write the password into its first line.");
  }
  if (password.back() == '\r') password.pop_back();
  return password;
}

// By way of a rename, so that a reader sees all of it or nothing.
absl::Status WriteLineFile(std::string_view setting, const std::string& path, int64_t number) {
  const std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::trunc);
  file << number << '\n';
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    return SettingError(setting, absl::StrCat("The file ", path, " cannot be written"),
                        "Name a file in a directory that can be written.");
  }
  return absl::OkStatus();
}

}  // namespace

struct Server::Impl {
  Impl(const Config& config_in, Log& log_in)
      : config(config_in), log(log_in), read_only(config_in.read_only) {}

  absl::Status Start();
  ReplicationOptions ToReplicationOptions();
  std::string AddressForOthers(const ListenAddress& listen) const;
  absl::Status UseElection(ReplicationOptions* options);
  absl::Status StartMetrics();
  absl::Status StartGrpc(const ListenAddress& listen);
  void AddServices();
  void Shutdown();

  // Constant after Start().
  const Config config;
  Log& log;
  int port = 0;
  int metrics_port = 0;
  bool keys_required = false;

  // Each uses those above it.
  std::atomic<bool> read_only;
  Metrics metrics;
  HealthState health;
  RateLimiter rate_limiter;
  QueryRegistry queries;
  DatabaseSlot databases;
  std::optional<Replication> replication;
  std::optional<LogArchiver> archiver;
  std::optional<Authenticator> authenticator;
  Router router;
  std::optional<Environment> environment;
  std::unique_ptr<CallServer> calls;
  std::unique_ptr<grpc::Server> grpc_server;
  // Last, so that their threads are gone before the calls they work on.
  std::unique_ptr<Executor> streams;
  std::unique_ptr<Executor> watches;
  std::unique_ptr<Executor> replicas;
  std::unique_ptr<Executor> work;

  // What Start() got to, for Shutdown() to undo.
  bool listening = false;
  bool wrote_pid_file = false;
  bool wrote_port_file = false;

  std::mutex shutdown_mutex;
  bool shut_down = false;  // guarded by shutdown_mutex
};

ReplicationOptions Server::Impl::ToReplicationOptions() {
  ReplicationOptions options;
  options.replica_of = config.replica_of;
  options.version = std::string(engine::kProgramVersion);
  options.source.window_bytes = config.replica_window_mb * kMegabyte;
  options.source.stall = std::chrono::seconds(config.replica_stall_seconds);
  options.source.max_replicas = static_cast<int>(config.max_replicas);
  options.source.copy_bytes_per_second = config.copy_mb_per_second * kMegabyte;
  options.replica.name = config.replica_name;
  if (options.replica.name.empty()) {
    options.replica.name = absl::StrCat(HostName(), ":", config.data_dir);
  }
  options.replica.data_dir = config.data_dir;
  options.replica.keep_free_bytes = static_cast<uint64_t>(config.low_disk_mb * kMegabyte);
  options.in_memory = config.in_memory;
  engine::DatabaseOptions database = ToDatabaseOptions(config, log, metrics);
  options.sync_replicas = static_cast<int>(config.sync_replicas);
  options.sync_timeout = std::chrono::milliseconds(config.sync_timeout_ms);
  if (config.sync_replicas > 0 || !config.etcd_endpoints.empty()) {
    database.replicated = [this](const engine::CallContext& context,
                                 const storage::Position& position) {
      return replication->Confirm(context, position);
    };
  }
  options.open = [database = std::move(database)](const StoreToOpen& store) {
    engine::DatabaseOptions opened = database;
    opened.storage.follower = store.follower;
    opened.storage.must_exist |= store.follower;
    opened.storage.file_system = store.file_system;
    // Where nothing outlives the process there is nothing to save.
    opened.views.checkpoints &= !opened.storage.in_memory;
    return engine::Database::Open(std::move(opened));
  };
  options.cancel_calls = [this] { queries.CancelAll(); };
  options.serving = [this](bool serving) { health.SetServing(serving); };
  options.log = LogAs(log, "replication");
  GrpcLinkOptions links;
  links.key_file = config.replication_key_file;
  links.tls_ca = config.replication_tls_ca;
  links.tls_cert = config.replication_tls_cert;
  links.tls_key = config.replication_tls_key;
  links.tls_name = config.replication_tls_name;
  links.allow_plaintext = config.allow_plaintext;
  options.connect = GrpcLinks(std::move(links));
  return options;
}

absl::Status Server::Impl::UseElection(ReplicationOptions* options) {
  if (config.etcd_endpoints.empty()) return absl::OkStatus();
  EtcdOptions etcd;
  etcd.endpoints = config.etcd_endpoints;
  etcd.prefix = config.etcd_prefix;
  etcd.tls_ca = config.etcd_tls_ca;
  etcd.tls_cert = config.etcd_tls_cert;
  etcd.tls_key = config.etcd_tls_key;
  etcd.user = config.etcd_user;
  etcd.password_file = config.etcd_password_file;
  // So that the lease outlives a member of etcd that does not answer.
  const auto lease = std::chrono::milliseconds(config.lease_seconds * 1000);
  etcd.timeout = std::min(etcd.timeout, lease / 5);
  COOKIX_ASSIGN_OR_RETURN(options->coordinator, NewEtcdCoordinator(std::move(etcd)));
  options->election.name = options->replica.name;
  options->election.founder = config.found_cluster;
  options->election.lease = lease;
  options->election.margin = std::chrono::milliseconds(config.lease_margin_ms);
  options->election.sync_replicas = options->sync_replicas;
  options->election.max_lag = static_cast<uint64_t>(config.failover_max_lag);
  options->prepare = [this](engine::Database& database) {
    return EnsureAdministrator(config, database.keys(), log);
  };
  return absl::OkStatus();
}

absl::Status Server::Impl::Start() {
  COOKIX_RETURN_IF_ERROR(ValidateConfig(config));
  COOKIX_ASSIGN_OR_RETURN(const ListenAddress listen,
                          ParseListenAddress(config.listen, "listen", /*allow_unix=*/true));
  if (!listen.IsLocal() && config.tls_cert.empty() && !config.allow_plaintext) {
    return SettingError("listen",
                        absl::StrCat("Refusing to listen on ", listen.ToString(),
                                     " without TLS: other machines can reach it, and keys and "
                                     "data would be readable on the way"),
                        "Set tls_cert and tls_key, or --allow-plaintext where the network is "
                        "trusted.");
  }

  ReplicationOptions replication_options = ToReplicationOptions();
  COOKIX_RETURN_IF_ERROR(UseElection(&replication_options));
  replication.emplace(std::move(replication_options), databases);
  if (absl::Status started = replication->Start(); !started.ok()) return StoreError(started);
  const bool primary = replication->CheckPrimary().ok();
  const DatabaseHandle database = databases.Get();
  // A replica has the keys of its primary.
  if (primary) COOKIX_RETURN_IF_ERROR(EnsureAdministrator(config, database->keys(), log));
  authenticator.emplace(databases, ToAuthMode(config.auth));
  keys_required = authenticator->KeysRequired();
  // A replica that has no store yet may get one without keys.
  const bool open_to_all = !keys_required || (database == nullptr && config.auth != "on");
  if (!listen.IsLocal() && open_to_all && !config.insecure) {
    return SettingError("listen",
                        absl::StrCat("Refusing to listen on ", listen.ToString(),
                                     " without keys: everyone who reaches it would be "
                                     "administrator"),
                        primary ? "Set auth=on and bootstrap_admin_key_file, or --insecure to let "
                                  "everyone in."
                                : "Set auth=on, or --insecure to let everyone in.");
  }

  streams = std::make_unique<Executor>(static_cast<int>(config.stream_threads),
                                       static_cast<size_t>(config.max_streams));
  work = std::make_unique<Executor>(static_cast<int>(config.executor_threads),
                                    static_cast<size_t>(config.executor_queue));
  watches = std::make_unique<Executor>(static_cast<int>(config.max_watches),
                                       static_cast<size_t>(config.max_watches));
  // Each replica holds one while it follows, and another while it receives a copy.
  const int replica_threads = 2 * std::max<int>(1, static_cast<int>(config.max_replicas));
  replicas = std::make_unique<Executor>(replica_threads, static_cast<size_t>(replica_threads));
  const int64_t started_ms = WallClockMs();
  environment.emplace(Environment{config, databases, *authenticator, log, metrics, health,
                                  rate_limiter, queries, *work, *streams, *watches, *replicas,
                                  *replication, read_only, started_ms});
  AddServices();
  COOKIX_RETURN_IF_ERROR(StartMetrics());
  COOKIX_RETURN_IF_ERROR(StartGrpc(listen));
  COOKIX_RETURN_IF_ERROR(replication->Begin(AddressForOthers(listen)));
  if (!config.pid_file.empty()) {
    COOKIX_RETURN_IF_ERROR(WriteLineFile("pid_file", config.pid_file, getpid()));
    wrote_pid_file = true;
  }
  if (config.archive_seconds > 0) {
    archiver.emplace(std::chrono::seconds(config.archive_seconds), databases, queries, metrics,
                     log);
  }
  health.SetServing(databases.Get() != nullptr);
  if (!config.port_file.empty()) {
    COOKIX_RETURN_IF_ERROR(WriteLineFile("port_file", config.port_file, port));
    wrote_port_file = true;
  }
  listening = true;
  log.Write(LogLevel::kInfo, "server", "listening",
            {{"address", std::string_view(config.listen)},
             {"port", int64_t{port}},
             {"tls", !config.tls_cert.empty()},
             {"client_certificates", !config.tls_client_ca.empty()},
             {"keys_required", keys_required},
             {"metrics_port", int64_t{metrics_port}},
             {"primary", primary},
             {"read_only", read_only.load()}});
  return absl::OkStatus();
}

std::string Server::Impl::AddressForOthers(const ListenAddress& listen) const {
  if (!config.advertise_address.empty() || listen.IsWildcard()) return config.advertise_address;
  ListenAddress bound = listen;
  bound.port = port;
  return bound.ToString();
}

void Server::Impl::AddServices() {
  AddObjectService(router);
  AddGraphService(router);
  AddReasoningService(router);
  AddSearchService(router);
  AddQueryService(router);
  AddCatalogService(router);
  AddSecurityService(router);
  AddAdminService(router);
  AddWatchService(router);
  AddBackupService(router);
  AddReplicationService(router);
  AddHealthService(router);
  if (config.reflection) AddReflectionService(router);
}

absl::Status Server::Impl::StartMetrics() {
  metrics.SetSource([this](Metrics::Sample* sample) {
    sample->info.set_read_only(read_only.load());
    replication->GetStatus(&sample->replication);
    const DatabaseHandle database = databases.Get();
    if (database == nullptr) return;
    engine::CallContext context;
    for (const absl::Status& status :
         {database->admin().GetStats(context, v1::GetStatsRequest(), &sample->stats),
          database->admin().GetInfo(context, v1::GetInfoRequest(), &sample->info)}) {
      if (!status.ok()) {
        log.Write(LogLevel::kWarning, "metrics", "statistics are incomplete",
                  {{"error", std::string_view(status.message().data(), status.message().size())}});
      }
    }
    sample->info.set_read_only(read_only.load());
  });
  if (config.metrics_listen.empty()) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(
      const ListenAddress address,
      ParseListenAddress(config.metrics_listen, "metrics_listen", /*allow_unix=*/false));
  std::string password;
  if (!config.metrics_password_file.empty()) {
    COOKIX_ASSIGN_OR_RETURN(password, ReadPassword(config.metrics_password_file));
  }
  if (!address.IsLocal() && password.empty() && !config.allow_anonymous_metrics) {
    return SettingError(
        "metrics_listen",
        absl::StrCat("Refusing to serve metrics on ", address.ToString(), " to everyone"),
        "Set metrics_password_file, or --allow-anonymous-metrics.");
  }
  ListenAddress bound = address;
  // civetweb takes addresses, not names.
  if (bound.host == "localhost") bound.host = "127.0.0.1";
  COOKIX_ASSIGN_OR_RETURN(metrics_port, metrics.Serve(bound.ToString(), password));
  return absl::OkStatus();
}

absl::Status Server::Impl::StartGrpc(const ListenAddress& listen) {
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                          MakeCredentials(config));
  grpc::ServerBuilder builder;
  // Two servers must not share a port by accident.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(config.max_calls_per_connection));
  if (config.connection_idle_seconds > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                               static_cast<int>(config.connection_idle_seconds * 1000));
  }
  // Clients that vanished are noticed, and their calls with them.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // gRPC cuts a message off without saying what to do; up to twice the limit we
  // read it and say so ourselves.
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(std::min<int64_t>(2 * config.max_message_mb * kMegabyte, (1LL << 31) - 1)));
  builder.SetMaxSendMessageSize(-1);
  // gRPC would measure a message after decompressing it: a small one could fill the
  // memory. So compressed messages are refused (UNIMPLEMENTED).
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  int bound = -1;
  // gRPC looks at a message's size when all of it is there; this bounds what
  // waits until then.
  grpc::ResourceQuota quota("cookix");
  quota.Resize(static_cast<size_t>(config.network_memory_mb * kMegabyte));
  builder.SetResourceQuota(quota);
  builder.AddListeningPort(listen.ToString(), credentials, &bound);
  calls = std::make_unique<CallServer>(*environment, router);
  calls->Register(builder);
  grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr || bound <= 0) {
    return SettingError("listen",
                        absl::StrCat("Cannot listen on ", listen.ToString(),
                                     ": the address is in use, not of this machine, or not "
                                     "allowed"),
                        "Stop what uses it, or choose another address or port.");
  }
  port = listen.unix_socket ? 0 : bound;
  calls->Start();
  return absl::OkStatus();
}

void Server::Impl::Shutdown() {
  std::lock_guard<std::mutex> lock(shutdown_mutex);
  if (std::exchange(shut_down, true)) return;
  health.SetServing(false);
  archiver.reset();
  if (replication.has_value()) replication->Stop();
  if (calls != nullptr) {
    if (listening) {
      log.Write(LogLevel::kInfo, "server", "shutting down",
                {{"calls_in_flight", metrics.calls_in_flight()}});
    }
    calls->BeginShutdown();
    if (grpc_server != nullptr) {
      grpc_server->Shutdown(std::chrono::system_clock::now() +
                            std::chrono::milliseconds(config.shutdown_grace_ms));
    }
    calls->Stop();
  }
  work.reset();
  streams.reset();
  watches.reset();
  replicas.reset();
  grpc_server.reset();
  calls.reset();
  // Waits for a scrape under way.
  metrics.SetSource(nullptr);
  databases.Close([] {});
  std::error_code ignored;
  if (wrote_port_file) std::filesystem::remove(config.port_file, ignored);
  if (wrote_pid_file) std::filesystem::remove(config.pid_file, ignored);
  // A failed start has one message of its own.
  if (listening) log.Write(LogLevel::kInfo, "server", "stopped");
  log.Flush();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Shutdown(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config, Log& log) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>(config, log)));
  COOKIX_RETURN_IF_ERROR(server->impl_->Start());
  return server;
}

std::string_view Server::Version() { return engine::kProgramVersion; }

int Server::port() const { return impl_->port; }

int Server::metrics_port() const { return impl_->metrics_port; }

void Server::Shutdown() { impl_->Shutdown(); }

engine::Database& Server::database() { return *impl_->databases.Get(); }

}  // namespace cookix::server
