#include "server/replication/grpc_primary_link.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/rpc_error.h"
#include "client/tls_diagnosis.h"
#include "cookix/internal/v1/replication.grpc.pb.h"
#include "server/channel_credentials.h"
#include "server/listen_address.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using internal::v1::FollowRequest;
using internal::v1::FollowResponse;
using internal::v1::ReplicationService;

// A copy of a large store takes long to make: all of it is read once.
constexpr std::chrono::hours kCopyTimeout{12};

// Cancels what is under way when told to, from another thread.
class Cancellation {
 public:
  class Use {
   public:
    Use(Cancellation& owner, grpc::ClientContext& context) : owner_(owner), context_(context) {
      const std::lock_guard<std::mutex> lock(owner_.mutex_);
      owner_.context_ = &context_;
      if (owner_.cancelled_) context_.TryCancel();
    }
    ~Use() {
      const std::lock_guard<std::mutex> lock(owner_.mutex_);
      if (owner_.context_ == &context_) owner_.context_ = nullptr;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Cancellation& owner_;
    grpc::ClientContext& context_;
  };

  void Cancel() {
    const std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  std::mutex mutex_;
  bool cancelled_ = false;                  // guarded by mutex_
  grpc::ClientContext* context_ = nullptr;  // guarded by mutex_
};

class GrpcFollowStream final : public FollowStream {
 public:
  GrpcFollowStream(ReplicationService::Stub& stub, Cancellation& cancellation,
                   client::TlsDiagnosis& server, std::unique_ptr<grpc::ClientContext> context,
                   const FollowRequest& hello)
      : server_(server),
        context_(std::move(context)),
        use_(cancellation, *context_),
        stream_(stub.PrepareAsyncFollow(context_.get(), &queue_)) {
    outgoing_.push_back(hello);
    stream_->StartCall(Tag(kStart));
  }

  ~GrpcFollowStream() override {
    context_->TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  absl::Status Read(std::chrono::milliseconds timeout, FollowResponse* response) override {
    const auto deadline = std::chrono::system_clock::now() + timeout;
    if (started_ && !reading_) StartRead();
    while (true) {
      void* tag = nullptr;
      bool ok = false;
      switch (queue_.AsyncNext(&tag, &ok, deadline)) {
        case grpc::CompletionQueue::TIMEOUT:
          return MakeError(
              absl::StatusCode::kUnavailable,
              absl::StrCat("nothing came from ", server_.target(), " for ", timeout.count(), " ms"),
              {"IO_ERROR", "", "It is tried again.", true});
        case grpc::CompletionQueue::SHUTDOWN:
          return absl::CancelledError("the stream was closed");
        case grpc::CompletionQueue::GOT_EVENT:
          break;
      }
      switch (static_cast<Event>(reinterpret_cast<intptr_t>(tag))) {
        case kStart:
          if (!ok) {
            Finish();
            break;
          }
          started_ = true;
          StartRead();
          Write();
          break;
        case kRead:
          reading_ = false;
          if (!ok) {
            Finish();
            break;
          }
          response->Swap(&incoming_);
          return absl::OkStatus();
        case kWrite:
          writing_ = false;
          // A write that failed is followed by a read that fails.
          if (ok) Write();
          break;
        case kFinish: {
          const absl::Status status = client::FromRpcStatus(status_, server_);
          if (!status.ok()) return status;
          return MakeError(absl::StatusCode::kUnavailable,
                           absl::StrCat(server_.target(), " has ended the stream"),
                           {"IO_ERROR", "", "It is tried again.", true});
        }
      }
    }
  }

  void Send(const FollowRequest& request) override {
    // Of what was not sent yet only the newest matters, but for hello.
    if (!outgoing_.empty() && outgoing_.back().has_received()) outgoing_.pop_back();
    outgoing_.push_back(request);
    if (started_) Write();
  }

 private:
  enum Event : intptr_t { kStart = 1, kRead, kWrite, kFinish };
  static void* Tag(Event event) { return reinterpret_cast<void*>(event); }

  void StartRead() {
    reading_ = true;
    incoming_.Clear();
    stream_->Read(&incoming_, Tag(kRead));
  }

  void Write() {
    if (writing_ || outgoing_.empty()) return;
    writing_ = true;
    stream_->Write(outgoing_.front(), Tag(kWrite));
    // gRPC has serialized it.
    outgoing_.pop_front();
  }

  void Finish() {
    if (std::exchange(finishing_, true)) return;
    stream_->Finish(&status_, Tag(kFinish));
  }

  client::TlsDiagnosis& server_;
  grpc::CompletionQueue queue_;
  const std::unique_ptr<grpc::ClientContext> context_;
  const Cancellation::Use use_;
  const std::unique_ptr<grpc::ClientAsyncReaderWriter<FollowRequest, FollowResponse>> stream_;
  std::deque<FollowRequest> outgoing_;
  FollowResponse incoming_;
  grpc::Status status_;
  bool started_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool finishing_ = false;
};

class GrpcPrimaryLink final : public PrimaryLink {
 public:
  GrpcPrimaryLink(std::string address, client::TlsSettings tls, std::string key,
                  std::chrono::milliseconds timeout, std::shared_ptr<grpc::Channel> channel)
      : server_(std::move(address), std::move(tls)),
        key_(std::move(key)),
        timeout_(timeout),
        stub_(ReplicationService::NewStub(std::move(channel))) {}

  absl::Status Introduce(const internal::v1::IntroduceRequest& request,
                         internal::v1::IntroduceResponse* response) override {
    return Call(&ReplicationService::Stub::Introduce, request, response, timeout_);
  }

  absl::StatusOr<std::unique_ptr<FollowStream>> Follow(const FollowRequest& hello) override {
    auto context = std::make_unique<grpc::ClientContext>();
    AddKey(*context);
    return std::make_unique<GrpcFollowStream>(*stub_, cancellation_, server_, std::move(context),
                                              hello);
  }

  absl::Status BeginCopy(const internal::v1::BeginCopyRequest& request,
                         internal::v1::BeginCopyResponse* response) override {
    return Call(&ReplicationService::Stub::BeginCopy, request, response, kCopyTimeout);
  }

  absl::Status ReadCopy(
      const internal::v1::ReadCopyRequest& request,
      absl::FunctionRef<absl::Status(const internal::v1::ReadCopyResponse&)> take) override {
    grpc::ClientContext context;
    AddKey(context);
    const Cancellation::Use use(cancellation_, context);
    const auto reader = stub_->ReadCopy(&context, request);
    internal::v1::ReadCopyResponse piece;
    absl::Status status;
    while (status.ok() && reader->Read(&piece)) status = take(piece);
    if (!status.ok()) context.TryCancel();
    const grpc::Status ended = reader->Finish();
    return status.ok() ? client::FromRpcStatus(ended, server_) : status;
  }

  absl::Status EndCopy(const internal::v1::EndCopyRequest& request) override {
    internal::v1::EndCopyResponse response;
    return Call(&ReplicationService::Stub::EndCopy, request, &response, timeout_);
  }

  void Cancel() override { cancellation_.Cancel(); }

 private:
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (ReplicationService::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                    const Request& request, Response* response, std::chrono::milliseconds timeout) {
    grpc::ClientContext context;
    AddKey(context);
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    const Cancellation::Use use(cancellation_, context);
    return client::FromRpcStatus(((*stub_).*method)(&context, request, response), server_);
  }

  void AddKey(grpc::ClientContext& context) const {
    if (!key_.empty()) context.AddMetadata("authorization", "Bearer " + key_);
  }

  client::TlsDiagnosis server_;
  const std::string key_;
  const std::chrono::milliseconds timeout_;
  const std::unique_ptr<ReplicationService::Stub> stub_;
  Cancellation cancellation_;
};

absl::StatusOr<std::unique_ptr<PrimaryLink>> Connect(const GrpcLinkOptions& options,
                                                     const std::string& address) {
  COOKIX_ASSIGN_OR_RETURN(const ListenAddress parsed,
                          ParseListenAddress(address, "address", /*allow_unix=*/true));
  std::string key;
  if (!options.key_file.empty()) {
    COOKIX_ASSIGN_OR_RETURN(key, ReadFirstLine("replication_key_file", options.key_file));
    if (options.tls_ca.empty() && !options.allow_plaintext && !parsed.IsLocal()) {
      return InvalidField("replication_tls_ca",
                          absl::StrCat("The key would travel to ", address, " in plain text"),
                          "Set replication_tls_ca, or --allow-plaintext where the network is "
                          "trusted.");
    }
  }
  COOKIX_ASSIGN_OR_RETURN(
      client::TlsSettings tls,
      ReadTlsSettings("replication_tls", options.tls_ca, options.tls_cert, options.tls_key));
  tls.server_name = options.tls_name;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  // Tried again by the replica, which knows how long to wait. The minimum is, despite its name,
  // how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  if (!tls.server_name.empty()) arguments.SetSslTargetNameOverride(tls.server_name);
  auto channel = grpc::CreateCustomChannel(address, client::ToCredentials(tls), arguments);
  return std::make_unique<GrpcPrimaryLink>(address, std::move(tls), std::move(key), options.timeout,
                                           std::move(channel));
}

}  // namespace

LinkFactory GrpcLinks(GrpcLinkOptions options) {
  return [options = std::move(options)](const std::string& address) {
    return Connect(options, address);
  };
}

}  // namespace cookix::server
