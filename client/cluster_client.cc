#include "client/cluster_client.h"

#include <algorithm>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include "client/call_kinds.h"
#include "client/cluster_attempts.h"
#include "client/request_id.h"
#include "client/resumed_stream.h"
#include "storage/base/status.h"

namespace cookix::client {
namespace {

using std::chrono::milliseconds;

// What ReadOptions.wait_ms means when it is 0.
constexpr int32_t kDefaultWaitMs = 2'000;
// Parts a page token of one server and the server's address; in neither.
constexpr std::string_view kTokenMark = "@";

// A call under way, for the choice between servers.
class Outstanding {
 public:
  explicit Outstanding(ClusterServer& server) : server_(server) { ++server_.outstanding; }
  ~Outstanding() { --server_.outstanding; }
  Outstanding(const Outstanding&) = delete;
  Outstanding& operator=(const Outstanding&) = delete;

 private:
  ClusterServer& server_;
};

// Reads that a replica answers as well as the primary, once it is as far.
constexpr bool ReplicaMayAnswer(std::string_view service, std::string_view method) {
  if (service == "Admin") return method == "GetInfo" || method == "GetStats";
  return service != "Backup";
}

// Calls that are about a server to be named.
template <class Request>
constexpr bool kConcernsOneServer =
    std::is_same_v<Request, v1::PromoteRequest> || std::is_same_v<Request, v1::FollowRequest>;

// How long a server is to wait for a position when the caller asks for `asked`.
int32_t WaitMs(const ClusterOptions& options, int32_t asked, bool waits_less) {
  // What is out of range the server refuses.
  if (!waits_less || asked < 0) return asked;
  const int64_t wait_ms = asked == 0 ? kDefaultWaitMs : asked;
  return static_cast<int32_t>(std::min(wait_ms, options.replica_wait_ms));
}

// A read as it is sent: with the session's position if it names none.
template <class Request>
class PositionedRequest {
 public:
  // Borrows both.
  PositionedRequest(const ClusterOptions& options, const ClusterSession& session,
                    const Request& request)
      : options_(options), request_(request) {
    if (options.session && request.options().min_position().empty()) {
      session_position_ = session.token();
    }
    const bool waits = !session_position_.empty() || !request.options().min_position().empty();
    if (!waits) return;
    sent_ = request;
    if (!session_position_.empty()) {
      sent_->mutable_options()->set_min_position(session_position_);
    }
  }

  // Empty when the position is the caller's own, or there is none.
  const std::string& session_position() const { return session_position_; }

  const Request& For(bool waits_less) {
    if (!sent_) return request_;
    sent_->mutable_options()->set_wait_ms(
        WaitMs(options_, request_.options().wait_ms(), waits_less));
    return *sent_;
  }

 private:
  const ClusterOptions& options_;
  const Request& request_;
  std::string session_position_;
  std::optional<Request> sent_;
};

// The token of the next page says which server has it.
template <class Response>
void MarkToken(const ClusterServer& server, Response* response) {
  if (response->next_page_token().empty()) return;
  response->mutable_next_page_token()->append(kTokenMark).append(server.address);
}

uint64_t EpochOf(const std::string& position) {
  const auto decoded = storage::DecodePosition(position);
  return decoded.ok() ? decoded->epoch : 0;
}

absl::Status LostHistory(const ClusterServer& primary) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "what this client has seen is not in the history of the primary " +
                       primary.address + ": a promotion gave it up",
                   {"POSITION_UNKNOWN", "",
                    "Call again, which reads what the primary has, and write again what is "
                    "missing.",
                    false});
}

bool IsDenied(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated ||
         status.code() == absl::StatusCode::kPermissionDenied;
}

// What a failed read says about where to read instead.
enum class Next { kNowhere, kAtPrimary, kElsewhere };

Next AfterFailedRead(const absl::Status& status, bool at_primary) {
  const std::string reason = ReasonOf(status);
  if (reason == "POSITION_NOT_REACHED" || reason == "POSITION_UNKNOWN") {
    return at_primary ? Next::kNowhere : Next::kAtPrimary;
  }
  if (status.code() == absl::StatusCode::kUnavailable) return Next::kElsewhere;
  // A replica may not know of a new key yet.
  return IsDenied(status) && !at_primary ? Next::kAtPrimary : Next::kNowhere;
}

}  // namespace

ClusterClient::ClusterClient(ClusterOptions options, std::unique_ptr<ClusterServers> servers)
    : options_(std::move(options)), servers_(std::move(servers)) {}

ClusterClient::~ClusterClient() = default;

void ClusterClient::Observe(std::string_view position) {
  // A server that gives no position is no reason to lose its answer.
  if (options_.session) static_cast<void>(session_.Observe(position));
}

// --- Where calls go ---

absl::Status ClusterClient::RunWrite(bool safe_to_repeat, Attempt attempt) {
  ClusterAttempts attempts(options_, options_.remote.timeout_ms);
  while (true) {
    COOKIX_ASSIGN_OR_RETURN(const ClusterServers::Server primary,
                            servers_->WaitForPrimary(attempts.Until()));
    const absl::Status status = attempt(*primary, attempts.Left());
    if (status.ok() || !MayHelpToRepeat(status)) return status;
    const std::string reason = ReasonOf(status);
    // The primary is where it was: the write waits for replicas.
    if (reason != "NOT_REPLICATED") servers_->Doubt(*primary);
    // Nothing was done only where nothing could be.
    if (!safe_to_repeat && reason != "NOT_PRIMARY") return status;
    if (!attempts.Pause()) return status;
  }
}

absl::Status ClusterClient::RunRead(int64_t timeout_ms, const std::string& position,
                                    ReadAttempt attempt) {
  ClusterAttempts attempts(options_, timeout_ms);
  std::set<const ClusterServer*> tried;
  ClusterServers::Server wanted;
  absl::Status status;
  while (true) {
    ClusterServers::Server server = std::exchange(wanted, nullptr);
    if (server == nullptr) {
      auto reader = servers_->WaitForReader(tried, attempts.Until());
      if (!reader.ok() && tried.empty()) return reader.status();
      if (!reader.ok()) {
        if (!attempts.Pause()) return status;
        tried.clear();
        continue;
      }
      server = *std::move(reader);
    }
    const bool at_primary = server == servers_->Primary();
    status = attempt(*server, /*waits_less=*/!at_primary, attempts.Left());
    if (status.ok()) return status;
    tried.insert(server.get());
    if (at_primary && !position.empty() && ReasonOf(status) == "POSITION_UNKNOWN") {
      if (servers_->EpochOf(*server) >= EpochOf(position)) {
        session_.Forget(position);
        return LostHistory(*server);
      }
      // It was primary once: somebody has begun a later epoch.
      servers_->Doubt(*server);
      continue;
    }
    switch (AfterFailedRead(status, at_primary)) {
      case Next::kNowhere:
        return status;
      case Next::kAtPrimary:
        wanted = servers_->Primary();
        if (wanted != nullptr) {
          servers_->Rest(*server);
          break;
        }
        // Who knows keys is the primary; for the rest somebody may become it, or this server has.
        if (IsDenied(status)) return status;
        servers_->Doubt(*server);
        break;
      case Next::kElsewhere:
        servers_->Doubt(*server);
        break;
    }
  }
}

absl::Status ClusterClient::RunPrimaryRead(bool elsewhere, Attempt attempt) {
  ClusterAttempts attempts(options_, options_.remote.timeout_ms);
  while (true) {
    COOKIX_ASSIGN_OR_RETURN(
        const ClusterServers::Server server,
        elsewhere ? servers_->WaitForPrimaryOrOneAt(session_.position(), attempts.Until())
                  : servers_->WaitForPrimary(attempts.Until()));
    const absl::Status status = attempt(*server, attempts.Left());
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    servers_->Doubt(*server);
    if (!attempts.Pause()) return status;
  }
}

// --- Calls ---

template <class Request, class Response, class Once>
absl::Status ClusterClient::SpreadRead(const Request& request, Response* response, Once&& once) {
  if constexpr (PagedRead<Request>) {
    if (!request.page_token().empty()) return NextPage(request, response, once);
  }
  PositionedRequest<Request> positioned(options_, session_, request);
  return RunRead(
      options_.remote.timeout_ms, positioned.session_position(),
      [&](ClusterServer& server, bool waits_less, milliseconds limit) {
        const Outstanding outstanding(server);
        COOKIX_RETURN_IF_ERROR(once(*server.calls, positioned.For(waits_less), response, limit));
        Observe(response->position());
        if constexpr (PagedRead<Request>) MarkToken(server, response);
        return absl::OkStatus();
      });
}

template <class Request, class Response, class Once>
absl::Status ClusterClient::NextPage(const Request& request, Response* response, Once&& once) {
  const size_t mark = request.page_token().find(kTokenMark);
  ClusterServers::Server server;
  if (mark != std::string::npos) server = servers_->Find(request.page_token().substr(mark + 1));
  if (server == nullptr) {
    return MakeError(absl::StatusCode::kOutOfRange, "no server of this client gave the page token",
                     {"POSITION_EXPIRED", "page_token", "Start again from the first page", false});
  }
  Request sent = request;
  sent.mutable_page_token()->resize(mark);
  ClusterAttempts attempts(options_, options_.remote.timeout_ms);
  while (true) {
    const Outstanding outstanding(*server);
    const absl::Status status = once(*server->calls, sent, response, attempts.Left());
    if (status.ok()) {
      Observe(response->position());
      MarkToken(*server, response);
      return status;
    }
    if (status.code() != absl::StatusCode::kUnavailable || !attempts.Pause()) return status;
  }
}

template <class Request, class Response, class Once>
absl::Status ClusterClient::Call(std::string_view service, std::string_view method,
                                 const Request& request, Response* response, Once&& once) {
  if constexpr (PositionedRead<Request>) {
    return SpreadRead(request, response, once);
  } else if constexpr (kConcernsOneServer<Request>) {
    return InvalidField("server", std::string(method) + " concerns one server, to be named",
                        "connect to that server alone");
  } else if constexpr (IdempotentWrite<Request>) {
    Request identified;
    const Request* sent = &request;
    if (request.options().request_id().empty()) {
      identified = request;
      identified.mutable_options()->set_request_id(NewRequestId());
      sent = &identified;
    }
    return RunWrite(true, [&](ClusterServer& server, milliseconds limit) {
      const Outstanding outstanding(server);
      COOKIX_RETURN_IF_ERROR(once(*server.calls, *sent, response, limit));
      Observe(response->result().position());
      return absl::OkStatus();
    });
  } else {
    const auto attempt = [&](ClusterServer& server, milliseconds limit) {
      const Outstanding outstanding(server);
      return once(*server.calls, request, response, limit);
    };
    if (!IsRead(method)) return RunWrite(false, attempt);
    return RunPrimaryRead(ReplicaMayAnswer(service, method), attempt);
  }
}

#define COOKIX_DEFINE(Service, Method)                                                           \
  absl::Status ClusterClient::Method(const v1::Method##Request& request,                         \
                                     v1::Method##Response* response) {                           \
    return Call(                                                                                 \
        #Service, #Method, request, response,                                                    \
        [](RemoteClient& calls, const v1::Method##Request& sent, v1::Method##Response* received, \
           milliseconds limit) { return calls.Method##Once(sent, received, limit); });           \
  }
COOKIX_CLIENT_CALLS(COOKIX_DEFINE)
#undef COOKIX_DEFINE

// --- Streams ---

absl::Status ClusterClient::StreamObjects(
    const v1::StreamObjectsRequest& request,
    absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) {
  PositionedRequest<v1::StreamObjectsRequest> positioned(options_, session_, request);
  // How a stream ended that had delivered something.
  absl::Status broken;
  const absl::Status status = RunRead(
      /*timeout_ms=*/0, positioned.session_position(),
      [&](ClusterServer& server, bool waits_less, milliseconds) {
        const Outstanding outstanding(server);
        bool delivered = false;
        const auto deliver = [&](v1::StreamObjectsResponse&& chunk) {
          delivered = true;
          Observe(chunk.position());
          return sink(std::move(chunk));
        };
        const absl::Status ended = server.calls->StreamObjects(positioned.For(waits_less), deliver);
        if (!delivered) return ended;
        broken = ended;
        return absl::OkStatus();
      });
  return status.ok() ? broken : status;
}

absl::Status ClusterClient::Watch(const v1::WatchRequest& request,
                                  absl::FunctionRef<bool(v1::WatchResponse&&)> sink) {
  v1::WatchRequest next = request;
  if (options_.session && next.start_case() == v1::WatchRequest::START_NOT_SET) {
    const std::string seen = session_.token();
    if (!seen.empty()) next.set_after_position(seen);
  }
  while (true) {
    absl::Status cut;
    const absl::Status status =
        RunRead(/*timeout_ms=*/0, "", [&](ClusterServer& server, bool waits_less, milliseconds) {
          const Outstanding outstanding(server);
          bool told = false;
          next.set_wait_ms(WaitMs(options_, request.wait_ms(), waits_less));
          const auto tell = [&](v1::WatchResponse&& message) {
            told = true;
            next.set_after_position(message.position());
            Observe(message.position());
            return sink(std::move(message));
          };
          const absl::Status ended = server.calls->Watch(next, tell);
          // A replica that begins again with a copy cancels its calls.
          const bool lost = ended.code() == absl::StatusCode::kUnavailable ||
                            ended.code() == absl::StatusCode::kCancelled;
          if (!told || !lost) return ended;
          servers_->Doubt(server);
          cut = ended;
          return absl::OkStatus();
        });
    if (!status.ok() || cut.ok()) return status;
    // A watch that told something has all the time anew to find another server.
    if (!ClusterAttempts(options_, /*timeout_ms=*/0).Pause()) return cut;
  }
}

namespace {

class ClusterBulkWriter : public BulkWriter {
 public:
  using Stream = ResumedStream<BulkWriter, v1::WriteRequest>;
  ClusterBulkWriter(const ClusterOptions& options, ClusterServers& servers, Stream::Open open)
      : stream_(options, servers, std::move(open)) {}

  absl::Status Write(v1::WriteRequest&& request) override {
    return stream_.Write(std::move(request));
  }
  absl::Status Finish() override { return stream_.Finish(); }
  int64_t acknowledged() const override { return stream_.acknowledged(); }

 private:
  Stream stream_;
};

class ClusterVectorWriter : public VectorWriter {
 public:
  using Stream = ResumedStream<VectorWriter, v1::InsertVectorsRequest>;
  ClusterVectorWriter(const ClusterOptions& options, ClusterServers& servers, Stream::Open open)
      : stream_(options, servers, std::move(open)) {
    stream_.OnEnd([this](const VectorWriter& ended) { created_before_ += ended.created(); });
  }

  absl::Status Write(v1::InsertVectorsRequest&& request) override {
    return stream_.Write(std::move(request));
  }
  absl::Status Finish() override { return stream_.Finish(); }
  int64_t acknowledged() const override { return stream_.acknowledged(); }
  int64_t created() const override {
    return created_before_ + (stream_.writer() == nullptr ? 0 : stream_.writer()->created());
  }

 private:
  // By the streams that were given up.
  int64_t created_before_ = 0;
  Stream stream_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BulkWriter>> ClusterClient::OpenBulkWriter(int in_flight) {
  COOKIX_RETURN_IF_ERROR(CheckInFlight(in_flight));
  return std::make_unique<ClusterBulkWriter>(
      options_, *servers_, [this, in_flight](ClusterServer& server) {
        return server.calls->OpenBulkWriter(
            in_flight, [this](const std::string& position) { Observe(position); });
      });
}

absl::StatusOr<std::unique_ptr<VectorWriter>> ClusterClient::OpenVectorWriter(int in_flight) {
  COOKIX_RETURN_IF_ERROR(CheckInFlight(in_flight));
  return std::make_unique<ClusterVectorWriter>(
      options_, *servers_, [this, in_flight](ClusterServer& server) {
        return server.calls->OpenVectorWriter(
            in_flight, [this](const std::string& position) { Observe(position); });
      });
}

absl::StatusOr<std::unique_ptr<ClusterClient>> ConnectCluster(ClusterOptions options) {
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<ClusterServers> servers, ClusterServers::Open(options));
  return std::make_unique<ClusterClient>(std::move(options), std::move(servers));
}

}  // namespace cookix::client
