#include "server/election/etcd_coordinator.h"

#include <grpcpp/grpcpp.h>

#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/rpc_error.h"
#include "client/tls_diagnosis.h"
#include "nlohmann/json.hpp"
#include "server/channel_credentials.h"
#include "server/listen_address.h"
#include "storage/base/status.h"
#include "third_party/etcd/etcd.grpc.pb.h"

namespace cookix::server {

namespace {

namespace etcd = etcdserverpb;

// Of the two values; a program that does not know it refuses them.
constexpr int kValueFormat = 1;

nlohmann::json ToJson(const ClusterMember& member) {
  return {{"id", member.id}, {"name", member.name}};
}

std::string Encode(const ClusterRecord& record) {
  nlohmann::json members = nlohmann::json::array();
  for (const ClusterMember& member : record.in_sync) members.push_back(ToJson(member));
  return nlohmann::json{{"format", kValueFormat},
                        {"store", record.store_id},
                        {"epoch", record.epoch},
                        {"in_sync", members},
                        {"successor", record.successor}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Encode(const ClusterLeader& leader) {
  return nlohmann::json{
      {"format", kValueFormat}, {"member", ToJson(leader.member)}, {"address", leader.address}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::Status Malformed(std::string_view key) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("what etcd holds under ", ToAbsl(key), " is not CookiX's"),
                   {"FORMAT_MISMATCH", "etcd_prefix",
                    "Choose a prefix that nobody else uses, or a newer program.", false});
}

std::string Text(const nlohmann::json& json, const char* field) {
  return json.contains(field) && json[field].is_string() ? json[field].get<std::string>() : "";
}

ClusterMember ToMember(const nlohmann::json& json) {
  return {Text(json, "id"), Text(json, "name")};
}

// An object of this format; null otherwise.
nlohmann::json Parse(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool known = json.is_object() && json.contains("format") && json["format"] == kValueFormat;
  return known ? json : nlohmann::json();
}

absl::StatusOr<ClusterRecord> DecodeRecord(const std::string& key, const std::string& text) {
  const nlohmann::json json = Parse(text);
  if (json.is_null() || !json.contains("epoch") || !json["epoch"].is_number_unsigned() ||
      !json.contains("in_sync") || !json["in_sync"].is_array()) {
    return Malformed(key);
  }
  ClusterRecord record;
  record.store_id = Text(json, "store");
  record.epoch = json["epoch"].get<uint64_t>();
  record.successor = Text(json, "successor");
  for (const nlohmann::json& member : json["in_sync"]) record.in_sync.push_back(ToMember(member));
  return record;
}

absl::StatusOr<ClusterLeader> DecodeLeader(const std::string& key, const std::string& text) {
  const nlohmann::json json = Parse(text);
  if (json.is_null() || !json.contains("member")) return Malformed(key);
  return ClusterLeader{ToMember(json["member"]), Text(json, "address")};
}

using Clock = std::chrono::steady_clock;

// A channel that fails is replaced after so long.
constexpr std::chrono::seconds kChannelAge{1};

// One member of etcd. What is shown to it is read from its files for each channel, and there is a
// new one after one that failed: whoever renews a certificate need not restart the server.
struct Endpoint {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<client::TlsDiagnosis> diagnosis;
  Clock::time_point made;
};

absl::StatusOr<Endpoint> Connect(const EtcdOptions& options, const std::string& address) {
  COOKIX_ASSIGN_OR_RETURN(
      const client::TlsSettings tls,
      ReadTlsSettings("etcd_tls", options.tls_ca, options.tls_cert, options.tls_key));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return Endpoint{address,
                  grpc::CreateCustomChannel(address, client::ToCredentials(tls), arguments),
                  std::make_shared<client::TlsDiagnosis>(address, tls), Clock::now()};
}

// What etcd answers to a token that it does not know, or no longer: it was restarted, the token's
// time is over, or users were changed. Nothing was done then.
bool WantsAnotherToken(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
         status.error_message() == "etcdserver: revision of auth store is old";
}

class EtcdCoordinator final : public Coordinator {
 public:
  EtcdCoordinator(EtcdOptions options, std::vector<Endpoint> endpoints)
      : options_(std::move(options)),
        record_key_(options_.prefix + "/record"),
        leader_key_(options_.prefix + "/leader"),
        endpoints_(std::move(endpoints)) {}

  absl::StatusOr<ClusterState> Read() override {
    etcd::RangeRequest request;
    request.set_key(options_.prefix + "/");
    // The character after '/': all that begins with the prefix and a slash.
    request.set_range_end(options_.prefix + "0");
    etcd::RangeResponse response;
    COOKIX_RETURN_IF_ERROR(Call<etcd::KV>(&etcd::KV::Stub::Range, request, &response));
    ClusterState state;
    for (const etcd::KeyValue& pair : response.kvs()) {
      if (pair.key() == record_key_) {
        COOKIX_ASSIGN_OR_RETURN(state.record, DecodeRecord(record_key_, pair.value()));
        state.revision = pair.mod_revision();
      } else if (pair.key() == leader_key_) {
        COOKIX_ASSIGN_OR_RETURN(state.leader, DecodeLeader(leader_key_, pair.value()));
        state.leader_lease = pair.lease();
      }
    }
    return state;
  }

  absl::StatusOr<Lease> Grant(std::chrono::milliseconds duration) override {
    etcd::LeaseGrantRequest request;
    request.set_ttl(std::chrono::ceil<std::chrono::seconds>(duration).count());
    etcd::LeaseGrantResponse response;
    COOKIX_RETURN_IF_ERROR(Call<etcd::Lease>(&etcd::Lease::Stub::LeaseGrant, request, &response));
    return Lease{response.id(), std::chrono::seconds(response.ttl())};
  }

  absl::StatusOr<Lease> Renew(int64_t lease) override {
    etcd::LeaseKeepAliveRequest request;
    request.set_id(lease);
    etcd::LeaseKeepAliveResponse response;
    COOKIX_RETURN_IF_ERROR(WithToken([&](const Endpoint& endpoint, const std::string& token) {
      grpc::ClientContext context;
      Prepare(context, token);
      const auto stub = etcd::Lease::NewStub(endpoint.channel);
      const auto stream = stub->LeaseKeepAlive(&context);
      stream->Write(request);
      stream->WritesDone();
      const bool answered = stream->Read(&response);
      const grpc::Status ended = stream->Finish();
      if (!answered && ended.ok()) {
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream of leases ended");
      }
      return answered ? CheckTerm(endpoint, token, response.header().raft_term()) : ended;
    }));
    if (response.ttl() <= 0) return absl::NotFoundError("the lease has ended");
    return Lease{lease, std::chrono::seconds(response.ttl())};
  }

  void Revoke(int64_t lease) override {
    etcd::LeaseRevokeRequest request;
    request.set_id(lease);
    etcd::LeaseRevokeResponse response;
    // It ends by itself otherwise.
    Call<etcd::Lease>(&etcd::Lease::Stub::LeaseRevoke, request, &response).IgnoreError();
  }

  absl::StatusOr<int64_t> Lead(int64_t revision, const ClusterRecord& record,
                               const ClusterLeader& leader, int64_t lease) override {
    etcd::TxnRequest request = Put(revision, record);
    etcd::Compare& nobody = *request.add_compare();
    nobody.set_key(leader_key_);
    nobody.set_target(etcd::Compare::CREATE);
    nobody.set_create_revision(0);
    etcd::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(leader_key_);
    put.set_value(Encode(leader));
    put.set_lease(lease);
    return Commit(request);
  }

  absl::StatusOr<int64_t> Update(int64_t revision, const ClusterRecord& record,
                                 int64_t lease) override {
    etcd::TxnRequest request = Put(revision, record);
    etcd::Compare& leading = *request.add_compare();
    leading.set_key(leader_key_);
    leading.set_target(etcd::Compare::LEASE);
    leading.set_lease(lease);
    return Commit(request);
  }

 private:
  etcd::TxnRequest Put(int64_t revision, const ClusterRecord& record) const {
    etcd::TxnRequest request;
    etcd::Compare& unchanged = *request.add_compare();
    unchanged.set_key(record_key_);
    unchanged.set_target(etcd::Compare::MOD);
    unchanged.set_mod_revision(revision);
    etcd::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(record_key_);
    put.set_value(Encode(record));
    return request;
  }

  absl::StatusOr<int64_t> Commit(const etcd::TxnRequest& request) {
    etcd::TxnResponse response;
    COOKIX_RETURN_IF_ERROR(Call<etcd::KV>(&etcd::KV::Stub::Txn, request, &response));
    return response.succeeded() ? response.header().revision() : 0;
  }

  template <typename Service, typename Request, typename Response>
  absl::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
                    const Request& request, Response* response) {
    return WithToken([&](const Endpoint& endpoint, const std::string& token) {
      grpc::ClientContext context;
      Prepare(context, token);
      const auto stub = Service::NewStub(endpoint.channel);
      return ((*stub).*method)(&context, request, response);
    });
  }

  // Calls with the present endpoint. The next call goes to another one if this one failed: to
  // try again at once could do twice what is done once.
  template <typename Function>
  absl::Status WithToken(Function call) {
    COOKIX_ASSIGN_OR_RETURN(const Endpoint endpoint, Present());
    std::string token;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      token = token_;
    }
    WaitForConnection(*endpoint.channel);
    absl::Status ready;
    const bool known = !token.empty();
    if (!options_.user.empty() && !known) ready = Authenticate(endpoint, &token);
    grpc::Status status;
    if (ready.ok()) status = call(endpoint, token);
    if (ready.ok() && known && WantsAnotherToken(status)) {
      ready = Authenticate(endpoint, &token);
      if (ready.ok()) status = call(endpoint, token);
    }
    if (ready.ok()) ready = FromEtcd(status, endpoint);
    const std::lock_guard<std::mutex> lock(mutex_);
    token_ = ready.ok() ? token : std::string();
    if (ready.ok()) return ready;
    ++present_;
    const bool replace = ready.code() == absl::StatusCode::kUnavailable &&
                         Clock::now() - endpoint.made >= kChannelAge;
    for (Endpoint& one : endpoints_) {
      if (replace && one.channel == endpoint.channel) one.channel = nullptr;
    }
    return ready;
  }

  // The endpoint whose turn it is, with a channel.
  absl::StatusOr<Endpoint> Present() {
    const std::lock_guard<std::mutex> lock(mutex_);
    Endpoint& endpoint = endpoints_[present_ % endpoints_.size()];
    if (endpoint.channel == nullptr) {
      COOKIX_ASSIGN_OR_RETURN(endpoint, Connect(options_, endpoint.address));
    }
    return endpoint;
  }

  // An error that says which etcd and which user, and what to do about it.
  absl::Status FromEtcd(const grpc::Status& status, const Endpoint& endpoint) const {
    const std::string at = absl::StrCat("etcd at ", endpoint.address);
    const auto error = [&](absl::StatusCode code, const std::string& what, std::string field,
                           std::string remedy) {
      return MakeError(code, absl::StrCat(at, " ", what, ": ", status.error_message()),
                       {"IO_ERROR", std::move(field), std::move(remedy), true});
    };
    const std::string& message = status.error_message();
    if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) {
      return error(absl::StatusCode::kPermissionDenied,
                   absl::StrCat("does not let user \"", options_.user, "\" read and write below ",
                                options_.prefix, "/"),
                   "etcd_user", "Grant a role of the user readwrite on that prefix.");
    }
    if (message == "etcdserver: user name is empty") {
      return error(absl::StatusCode::kUnauthenticated, "wants a user", "etcd_user",
                   "Set etcd_user and etcd_password_file.");
    }
    if (message == "etcdserver: authentication is not enabled") {
      return error(absl::StatusCode::kFailedPrecondition, "knows no users", "etcd_user",
                   "Enable authentication there, or leave etcd_user empty.");
    }
    if (absl::StrContains(message, "authentication failed") ||
        status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
      return error(absl::StatusCode::kUnauthenticated,
                   absl::StrCat("does not accept user \"", options_.user, "\" with the password"),
                   "etcd_password_file", "Write the user's password into that file.");
    }
    return client::FromRpcStatus(status, *endpoint.diagnosis);
  }

  // Leases are renewed by etcd's leader alone, without the others: also by one that was stopped
  // for a while and has not heard of its successor, whose leases go on ending. What is read passes
  // by the majority. In the same term as before, the leader was the leader.
  grpc::Status CheckTerm(const Endpoint& endpoint, const std::string& token, uint64_t term) {
    etcd::RangeRequest request;
    request.set_key(leader_key_);
    etcd::RangeResponse response;
    grpc::ClientContext context;
    Prepare(context, token);
    const grpc::Status status =
        etcd::KV::NewStub(endpoint.channel)->Range(&context, request, &response);
    if (!status.ok() || response.header().raft_term() == term) return status;
    return {grpc::StatusCode::UNAVAILABLE, "etcd has another leader than before"};
  }

  // With the password as it is in its file now.
  absl::Status Authenticate(const Endpoint& endpoint, std::string* token) {
    etcd::AuthenticateRequest request;
    request.set_name(options_.user);
    COOKIX_ASSIGN_OR_RETURN(*request.mutable_password(),
                            ReadFirstLine("etcd_password_file", options_.password_file));
    etcd::AuthenticateResponse response;
    grpc::ClientContext context;
    Prepare(context, "");
    const grpc::Status status =
        etcd::Auth::NewStub(endpoint.channel)->Authenticate(&context, request, &response);
    *token = response.token();
    return FromEtcd(status, endpoint);
  }

  // Until there is one, the attempt failed, or half of the time is over. gRPC makes connections
  // only while somebody waits for something of theirs, and a call that finds the last attempt
  // failed does not.
  void WaitForConnection(grpc::Channel& channel) const {
    const auto deadline = std::chrono::system_clock::now() + options_.timeout / 2;
    bool connecting = false;
    while (true) {
      const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
      if (state == GRPC_CHANNEL_READY) return;
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && connecting) return;
      connecting |= state == GRPC_CHANNEL_CONNECTING;
      if (!channel.WaitForStateChange(state, deadline)) return;
    }
  }

  void Prepare(grpc::ClientContext& context, const std::string& token) const {
    context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
    if (!token.empty()) context.AddMetadata("token", token);
  }

  const EtcdOptions options_;
  const std::string record_key_;
  const std::string leader_key_;

  std::mutex mutex_;
  std::vector<Endpoint> endpoints_;  // guarded by mutex_
  size_t present_ = 0;               // guarded by mutex_
  std::string token_;                // guarded by mutex_
};

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> NewEtcdCoordinator(EtcdOptions options) {
  if (options.prefix.empty() || options.prefix.front() != '/' || options.prefix.back() == '/') {
    return InvalidField("etcd_prefix", "the prefix does not begin with a slash or ends with one",
                        "Write it like /cookix/default.");
  }
  if (!options.user.empty() && options.tls_ca.empty()) {
    return InvalidField("etcd_user", "the password would travel to etcd in plain text",
                        "Set etcd_tls_ca.");
  }
  if (!options.user.empty()) {
    COOKIX_RETURN_IF_ERROR(ReadFirstLine("etcd_password_file", options.password_file).status());
  }
  std::vector<Endpoint> endpoints;
  for (const std::string& text : std::vector<std::string>(absl::StrSplit(options.endpoints, ','))) {
    COOKIX_ASSIGN_OR_RETURN(const ListenAddress address,
                            ParseListenAddress(text, "etcd_endpoints", /*allow_unix=*/false));
    COOKIX_ASSIGN_OR_RETURN(endpoints.emplace_back(), Connect(options, address.ToString()));
  }
  return std::make_unique<EtcdCoordinator>(std::move(options), std::move(endpoints));
}

}  // namespace cookix::server
