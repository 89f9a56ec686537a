#include "client/cluster_servers.h"

#include <algorithm>
#include <utility>

#include "client/cluster_session.h"
#include "storage/base/status.h"

namespace cookix::client {
namespace {

// Learned servers are forgotten, and others taken for unknown, after so long a silence.
constexpr std::chrono::minutes kForgetAfter{10};
// Whatever servers say of each other.
constexpr size_t kMaxServers = 64;

// Errors that a server which is there gives, and will go on giving.
bool Passes(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInvalidArgument:
      return false;
    default:
      return true;
  }
}

std::string_view RoleText(v1::ReplicationRole role) {
  switch (role) {
    case v1::REPLICATION_ROLE_PRIMARY:
      return "was the primary of an earlier epoch";
    case v1::REPLICATION_ROLE_REPLICA:
      return "is a replica";
    case v1::REPLICATION_ROLE_FENCED:
      return "takes no writes any more";
    default:
      return "has not said what it is";
  }
}

absl::Status CheckOptions(const ClusterOptions& options) {
  if (options.addresses.empty()) {
    return InvalidField("addresses", "no server is named", "give host:port of one at least");
  }
  if (options.addresses.size() > kMaxServers) {
    return InvalidField("addresses", "more than 64 servers are named",
                        "name a few: the others are learned from them");
  }
  const std::pair<const char*, int64_t> positive[] = {
      {"replica_wait_ms", options.replica_wait_ms},
      {"refresh_ms", options.refresh_ms},
      {"probe_timeout_ms", options.probe_timeout_ms}};
  for (const auto& [name, value] : positive) {
    if (value < 1) return InvalidField(name, "the time is less than 1 ms", "give more");
  }
  const std::pair<const char*, int64_t> not_negative[] = {{"failover_ms", options.failover_ms},
                                                          {"rest_ms", options.rest_ms}};
  for (const auto& [name, value] : not_negative) {
    if (value < 0) return InvalidField(name, "the time is negative", "give 0 or more");
  }
  return absl::OkStatus();
}

}  // namespace

ClusterServer::ClusterServer(std::string address_in, bool given_in,
                             std::unique_ptr<RemoteClient> calls_in)
    : address(std::move(address_in)), given(given_in), calls(std::move(calls_in)) {}

ClusterServers::ClusterServers(const ClusterOptions& options)
    : options_(options), random_(RandomSeed() | 1) {}

absl::StatusOr<std::unique_ptr<ClusterServers>> ClusterServers::Open(
    const ClusterOptions& options) {
  COOKIX_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<ClusterServers> servers(new ClusterServers(options));
  for (const std::string& address : options.addresses) {
    if (servers->Find(address) != nullptr) continue;
    COOKIX_ASSIGN_OR_RETURN(Server server, servers->NewServer(address, /*given=*/true));
    servers->servers_.push_back(std::move(server));
  }
  servers->thread_ = std::thread([raw = servers.get()] { raw->Run(); });
  return servers;
}

ClusterServers::~ClusterServers() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<ClusterServers::Server> ClusterServers::NewServer(const std::string& address,
                                                                 bool given) const {
  RemoteOptions remote = options_.remote;
  remote.target = address;
  remote.retry.max_attempts = 1;
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<RemoteClient> calls,
                          RemoteClient::Connect(std::move(remote)));
  return std::make_shared<ClusterServer>(address, given, std::move(calls));
}

// --- Asking ---

void ClusterServers::Run() {
  Backoff pauses(options_.remote.retry.initial_backoff_ms, options_.remote.retry.max_backoff_ms,
                 RandomSeed());
  std::unique_lock<std::mutex> lock(mutex_);
  const auto stopping = [this] { return stopping_; };
  while (!stopping_) {
    doubted_ = false;
    const std::vector<Server> servers = servers_;
    lock.unlock();
    Ask(servers);
    lock.lock();
    ++rounds_;
    ForgetSilent(Clock::now());
    changed_.notify_all();
    // Some may just have been learned.
    if (SomeUnasked()) continue;
    if (waiting_ == 0) pauses.Reset();
    // However much is doubted, and by however many calls.
    wake_.wait_for(lock, std::chrono::milliseconds(pauses.NextMs()), stopping);
    wake_.wait_for(lock, std::chrono::milliseconds(options_.refresh_ms),
                   [this] { return stopping_ || doubted_ || waiting_ > 0; });
  }
}

void ClusterServers::Ask(const std::vector<Server>& servers) {
  std::vector<std::thread> questions;
  questions.reserve(servers.size());
  for (const Server& server : servers) {
    questions.emplace_back([this, server] {
      v1::GetReplicationStatusResponse answer;
      const absl::Status status = server->calls->GetReplicationStatusOnce(
          v1::GetReplicationStatusRequest(), &answer,
          std::chrono::milliseconds(options_.probe_timeout_ms));
      Learn(server, status, answer);
    });
  }
  for (std::thread& question : questions) question.join();
}

void ClusterServers::Learn(const Server& server, const absl::Status& status,
                           const v1::GetReplicationStatusResponse& answer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  server->asked = true;
  server->answers = status.ok();
  server->error = status;
  if (status.ok()) {
    server->role = answer.role();
    server->epoch = answer.epoch();
    server->store_id = answer.store_id();
    server->position = storage::DecodePosition(answer.position()).value_or(storage::Position());
    server->advertised = answer.address();
    server->answered_at = Clock::now();
    if (server->given) {
      // The same server, learned by its other name.
      std::erase_if(servers_, [&](const Server& other) {
        return !other->given && other->address == server->advertised;
      });
    }
    ChoosePrimary();
    LearnAddress(answer.primary_address());
    for (const v1::ReplicaStatus& replica : answer.replicas()) LearnAddress(replica.address());
  }
  changed_.notify_all();
}

void ClusterServers::LearnAddress(const std::string& address) {
  if (address.empty() || servers_.size() >= kMaxServers) return;
  for (const Server& server : servers_) {
    if (server->address == address || server->advertised == address) return;
  }
  // Not one that the key could only reach in plain text.
  absl::StatusOr<Server> learned = NewServer(address, /*given=*/false);
  if (learned.ok()) servers_.push_back(*std::move(learned));
}

void ClusterServers::ForgetSilent(Clock::time_point now) {
  const auto silent = [now](const Server& server) {
    return server->asked && !server->answers && now - server->answered_at > kForgetAfter;
  };
  for (const Server& server : servers_) {
    if (!silent(server)) continue;
    server->role = v1::REPLICATION_ROLE_UNSPECIFIED;
    server->epoch = 0;
  }
  std::erase_if(servers_, [&](const Server& server) { return !server->given && silent(server); });
  ChoosePrimary();
}

void ClusterServers::ChoosePrimary() {
  const auto claims = [](const Server& server) {
    return server->role == v1::REPLICATION_ROLE_PRIMARY;
  };
  if (store_id_.empty()) {
    const auto first = std::find_if(servers_.begin(), servers_.end(), claims);
    if (first == servers_.end()) return;
    store_id_ = (*first)->store_id;
  }
  // Of servers that are in doubt too, lest one of an earlier epoch take their place.
  int64_t latest = 0;
  for (const Server& server : servers_) {
    if (server->store_id == store_id_) latest = std::max(latest, server->epoch);
  }
  const auto leads = [&](const Server& server) {
    return claims(server) && server->store_id == store_id_ && server->epoch == latest;
  };
  if (primary_ != nullptr && leads(primary_) &&
      std::find(servers_.begin(), servers_.end(), primary_) != servers_.end()) {
    return;
  }
  const auto leader = std::find_if(servers_.begin(), servers_.end(), leads);
  primary_ = leader == servers_.end() ? nullptr : *leader;
}

// --- Choosing ---

bool ClusterServers::CanRead(const ClusterServer& server) const {
  if (server.role == v1::REPLICATION_ROLE_UNSPECIFIED || server.store_id.empty()) return false;
  if (!store_id_.empty() && server.store_id != store_id_) return false;
  // What a primary of an earlier epoch has may be given up.
  return server.role != v1::REPLICATION_ROLE_PRIMARY || &server == primary_.get();
}

bool ClusterServers::SomeUnasked() const {
  return std::any_of(servers_.begin(), servers_.end(),
                     [](const Server& server) { return !server->asked; });
}

ClusterServers::Server ClusterServers::ChooseReader(const std::set<const ClusterServer*>& avoid) {
  // The first that answer may not be those that are preferred.
  if (options_.read_from != ReadFrom::kAll && rounds_ == 0) return nullptr;
  const Clock::time_point now = Clock::now();
  // Small is good: fit before resting before silent, and preferred before others.
  const auto rank = [&](const Server& server) {
    const int fitness = !server->answers ? 2 : server->rests_until > now ? 1 : 0;
    const bool primary = server == primary_;
    const bool preferred = options_.read_from == ReadFrom::kAll ||
                           primary == (options_.read_from == ReadFrom::kPrimary);
    return 2 * fitness + (preferred ? 0 : 1);
  };
  int best = 6;
  std::vector<Server> fit;
  for (const Server& server : servers_) {
    if (!CanRead(*server) || avoid.count(server.get()) > 0) continue;
    const int its = rank(server);
    if (its < best) {
      best = its;
      fit.clear();
    }
    if (its == best) fit.push_back(server);
  }
  if (fit.empty()) return nullptr;
  const auto any = [&] {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return fit[random_ % fit.size()];
  };
  const Server one = any();
  const Server other = any();
  return other->outstanding.load() < one->outstanding.load() ? other : one;
}

ClusterServers::Server ClusterServers::ChooseAt(const storage::Position& position) const {
  if (primary_ != nullptr) return primary_;
  if (rounds_ == 0) return nullptr;
  for (const Server& server : servers_) {
    if (CanRead(*server) && server->answers && !IsLater(position, server->position)) return server;
  }
  return nullptr;
}

// --- Waiting ---

template <class Choose>
absl::StatusOr<ClusterServers::Server> ClusterServers::Wait(std::string_view what,
                                                            Clock::time_point until,
                                                            Choose&& choose) {
  std::unique_lock<std::mutex> lock(mutex_);
  Server chosen = choose();
  if (chosen != nullptr) return chosen;
  const uint64_t begun = rounds_;
  ++waiting_;
  wake_.notify_all();
  absl::Status failed;
  while (true) {
    chosen = choose();
    if (chosen != nullptr) break;
    if (rounds_ == begun) {
      // A round ends soon: each question has its time.
      changed_.wait(lock);
      continue;
    }
    failed = Hopeless();
    if (failed.ok() && Clock::now() >= until) failed = Unavailable(what);
    if (!failed.ok()) break;
    changed_.wait_until(lock, until);
  }
  --waiting_;
  if (chosen != nullptr) return chosen;
  return failed;
}

absl::StatusOr<ClusterServers::Server> ClusterServers::WaitForPrimary(Clock::time_point until) {
  return Wait("takes writes", until, [this] { return primary_; });
}

absl::StatusOr<ClusterServers::Server> ClusterServers::WaitForReader(
    const std::set<const ClusterServer*>& avoid, Clock::time_point until) {
  if (avoid.empty()) return Wait("can answer", until, [&] { return ChooseReader(avoid); });
  const std::lock_guard<std::mutex> lock(mutex_);
  Server chosen = ChooseReader(avoid);
  if (chosen == nullptr) return absl::OutOfRangeError("every server was asked");
  return chosen;
}

absl::StatusOr<ClusterServers::Server> ClusterServers::WaitForPrimaryOrOneAt(
    const storage::Position& position, Clock::time_point until) {
  return Wait("can answer", until, [&] { return ChooseAt(position); });
}

absl::Status ClusterServers::Hopeless() const {
  absl::Status why;
  for (const Server& server : servers_) {
    if (!server->asked || server->answers) return absl::OkStatus();
    if (why.ok() && !Passes(server->error)) why = server->error;
  }
  return why;
}

absl::Status ClusterServers::Unavailable(std::string_view what) const {
  std::string message = "no server " + std::string(what) + ": ";
  for (const Server& server : servers_) {
    if (server != servers_.front()) message += "; ";
    message += server->address + " ";
    if (!server->error.ok()) {
      message += "did not answer (" + std::string(server->error.message()) + ")";
    } else if (!store_id_.empty() && !server->store_id.empty() && server->store_id != store_id_) {
      message += "has another store";
    } else {
      message += RoleText(server->role);
    }
  }
  return MakeError(absl::StatusCode::kUnavailable, message,
                   {"", "",
                    "check that the servers run and can be reached; when the primary is lost, "
                    "promote a replica",
                    true});
}

// --- For the calls ---

ClusterServers::Server ClusterServers::Find(std::string_view address) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Server& server : servers_) {
    if (server->address == address) return server;
  }
  return nullptr;
}

ClusterServers::Server ClusterServers::Primary() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return primary_;
}

uint64_t ClusterServers::EpochOf(const ClusterServer& server) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<uint64_t>(server.epoch);
}

void ClusterServers::Rest(ClusterServer& server) {
  const std::lock_guard<std::mutex> lock(mutex_);
  server.rests_until = Clock::now() + std::chrono::milliseconds(options_.rest_ms);
}

void ClusterServers::Doubt(ClusterServer& server) {
  const std::lock_guard<std::mutex> lock(mutex_);
  server.rests_until = Clock::now() + std::chrono::milliseconds(options_.rest_ms);
  // What else is known of it holds: it may still read.
  if (server.role == v1::REPLICATION_ROLE_PRIMARY) {
    server.role = v1::REPLICATION_ROLE_UNSPECIFIED;
    if (primary_.get() == &server) primary_ = nullptr;
    ChoosePrimary();
  }
  doubted_ = true;
  wake_.notify_all();
}

std::vector<ServerSummary> ClusterServers::Summaries() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<ServerSummary> summaries;
  for (const Server& server : servers_) {
    summaries.push_back({server->address, server == primary_, server->error, server->epoch});
  }
  std::sort(summaries.begin(), summaries.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return summaries;
}

}  // namespace cookix::client
