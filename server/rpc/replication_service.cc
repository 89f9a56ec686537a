#include "server/rpc/replication_service.h"

#include <memory>
#include <mutex>
#include <utility>

#include "cookix/internal/v1/replication.pb.h"
#include "cookix/v1/replication_service.pb.h"
#include "server/replication/replication.h"
#include "server/replication/replication_source.h"

namespace cookix::server {
namespace {

namespace internal_v1 = internal::v1;

absl::Status Busy() {
  return MakeError(absl::StatusCode::kResourceExhausted, "The server has too many replicas",
                   {"OVERLOADED", "", "Follow another server, or raise max_replicas.", true});
}

// The log, to one replica.
class FollowSession final : public Session {
 public:
  FollowSession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}

  void OnStart() override { port_.Read(); }

  void OnMessage(grpc::ByteBuffer bytes) override {
    internal_v1::FollowRequest request;
    if (absl::Status status = ParseMessage(&bytes, &request); !status.ok()) {
      port_.Close(std::move(status));
      return;
    }
    if (!std::exchange(greeted_, true)) {
      Begin(std::move(request));
    } else {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (feed_ != nullptr) feed_->OnReceived(request.received().commit());
    }
    port_.Read();
  }

  void OnHalfClose() override { Stop(); }
  void OnDone() override { Stop(); }
  void OnShutdown() override { Stop(); }

 private:
  void Begin(internal_v1::FollowRequest request) {
    if (!request.has_hello()) {
      port_.Close(InvalidField("hello", "The first message says nothing of the replica",
                               "Send hello first."));
      return;
    }
    auto task = [this, hold = port_.Hold(), hello = request.hello()]() mutable {
      port_.Close(Run(std::move(hello)));
    };
    if (!scope_.env.replicas.Submit(std::move(task))) port_.Close(Busy());
  }

  absl::Status Run(internal_v1::FollowRequest::Hello hello) {
    COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<ReplicationSource::Feed> feed,
                            scope_.env.replication.source().Follow(std::move(hello)));
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_) return absl::OkStatus();
      feed_ = feed;
    }
    absl::Status key;
    const absl::Status status = feed->Run([&](const internal_v1::FollowResponse& response) {
      grpc::ByteBuffer bytes;
      key = scope_.RequireActiveKey();
      if (key.ok()) key = SerializeMessage(response, &bytes);
      return key.ok() && port_.SendAndWait(std::move(bytes));
    });
    return key.ok() ? status : key;
  }

  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    if (feed_ != nullptr) feed_->Stop();
  }

  CallScope& scope_;
  StreamPort& port_;
  bool greeted_ = false;  // only used in OnMessage()

  std::mutex mutex_;
  bool stopped_ = false;                           // guarded by mutex_
  std::shared_ptr<ReplicationSource::Feed> feed_;  // guarded by mutex_
};

// One file of a copy.
class ReadCopySession final : public Session {
 public:
  ReadCopySession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}

  void OnStart() override { port_.Read(); }

  void OnMessage(grpc::ByteBuffer bytes) override {
    auto task = [this, hold = port_.Hold(), message = std::move(bytes)]() mutable {
      port_.Close(Run(std::move(message)));
    };
    if (!scope_.env.replicas.Submit(std::move(task))) port_.Close(Busy());
  }

  void OnHalfClose() override {
    port_.Close(InvalidField("", "The call has no message", "Send exactly one message."));
  }

 private:
  absl::Status Run(grpc::ByteBuffer bytes) {
    internal_v1::ReadCopyRequest request;
    COOKIX_RETURN_IF_ERROR(ParseMessage(&bytes, &request));
    absl::Status sent;
    const absl::Status status = scope_.env.replication.source().ReadCopy(
        request, [&](const internal_v1::ReadCopyResponse& piece) {
          grpc::ByteBuffer chunk;
          sent = scope_.RequireActiveKey();
          if (sent.ok()) sent = SerializeMessage(piece, &chunk);
          return sent.ok() && port_.SendAndWait(std::move(chunk));
        });
    return sent.ok() ? status : sent;
  }

  CallScope& scope_;
  StreamPort& port_;
};

absl::Status GetReplicationStatus(CallScope& scope, const v1::GetReplicationStatusRequest& request,
                                  v1::GetReplicationStatusResponse* response) {
  scope.env.replication.GetStatus(response);
  return absl::OkStatus();
}

absl::Status Promote(CallScope& scope, const v1::PromoteRequest& request,
                     v1::PromoteResponse* response) {
  return scope.env.replication.Promote(request, response);
}

absl::Status Follow(CallScope& scope, const v1::FollowRequest& request,
                    v1::FollowResponse* response) {
  return scope.env.replication.Follow(request);
}

absl::Status Introduce(CallScope& scope, const internal_v1::IntroduceRequest& request,
                       internal_v1::IntroduceResponse* response) {
  return scope.env.replication.Introduce(request, response);
}

absl::Status BeginCopy(CallScope& scope, const internal_v1::BeginCopyRequest& request,
                       internal_v1::BeginCopyResponse* response) {
  return scope.env.replication.source().BeginCopy(request, response);
}

absl::Status EndCopy(CallScope& scope, const internal_v1::EndCopyRequest& request,
                     internal_v1::EndCopyResponse* response) {
  scope.env.replication.source().EndCopy(request);
  return absl::OkStatus();
}

}  // namespace

void AddReplicationService(Router& router) {
  router.Unary<v1::GetReplicationStatusRequest, v1::GetReplicationStatusResponse>(
      "cookix.v1.ReplicationService/GetReplicationStatus", GetReplicationStatus);
  router.Unary<v1::PromoteRequest, v1::PromoteResponse>("cookix.v1.ReplicationService/Promote",
                                                        Promote);
  router.Unary<v1::FollowRequest, v1::FollowResponse>("cookix.v1.ReplicationService/Follow",
                                                      Follow);
  router.Unary<internal_v1::IntroduceRequest, internal_v1::IntroduceResponse>(
      "cookix.internal.v1.ReplicationService/Introduce", Introduce);
  router.Unary<internal_v1::BeginCopyRequest, internal_v1::BeginCopyResponse>(
      "cookix.internal.v1.ReplicationService/BeginCopy", BeginCopy);
  router.Unary<internal_v1::EndCopyRequest, internal_v1::EndCopyResponse>(
      "cookix.internal.v1.ReplicationService/EndCopy", EndCopy);
  router.Stream("cookix.internal.v1.ReplicationService/Follow",
                [](CallScope& scope, StreamPort& port) {
                  return std::make_unique<FollowSession>(scope, port);
                });
  router.Stream("cookix.internal.v1.ReplicationService/ReadCopy",
                [](CallScope& scope, StreamPort& port) {
                  return std::make_unique<ReadCopySession>(scope, port);
                });
}

}  // namespace cookix::server
