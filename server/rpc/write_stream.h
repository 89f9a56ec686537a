#ifndef COOKIX_SERVER_RPC_WRITE_STREAM_H_
#define COOKIX_SERVER_RPC_WRITE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "server/rpc/router.h"

namespace cookix::server {

// A stream of writes, each of which is one commit and gets one answer: BulkWrite and
// InsertVectors. Messages are read ahead while one write is under way; writes happen
// one after the other, so that an answer stands for everything before it and nothing
// after the first failure is applied. A stream holds a thread only while it has
// messages, and gives it back after some of them, so that more streams than threads
// share them evenly.
class WriteStreamSession : public Session {
 public:
  WriteStreamSession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}

  void OnStart() override { port_.Read(); }
  void OnMessage(grpc::ByteBuffer bytes) override;
  void OnHalfClose() override;
  void OnShutdown() override;

 protected:
  // Checks what is checked for every write of a stream on `namespace_name`.
  absl::Status Admit(const std::string& namespace_name);
  // Parses a request, applies it and makes the answer.
  virtual absl::Status Apply(CallScope& scope, grpc::ByteBuffer* request,
                             grpc::ByteBuffer* answer) = 0;

 private:
  // Read ahead until either is reached.
  static constexpr size_t kMaxAheadMessages = 8;
  static constexpr size_t kMaxAheadBytes = 16 << 20;
  static constexpr int kMessagesPerTurn = 16;

  // REQUIRES: mutex_ is held.
  bool HasRoom() const {
    return inbox_.size() < kMaxAheadMessages && inbox_bytes_ < kMaxAheadBytes;
  }
  bool SubmitDrain();
  void Drain();
  absl::Status WriteOne(grpc::ByteBuffer bytes);

  CallScope& scope_;
  StreamPort& port_;
  bool first_ = true;  // only used while draining

  std::mutex mutex_;
  std::list<grpc::ByteBuffer> inbox_;  // guarded by mutex_
  size_t inbox_bytes_ = 0;             // guarded by mutex_
  bool draining_ = false;              // guarded by mutex_
  bool paused_ = false;                // guarded by mutex_; no read is under way
  bool half_closed_ = false;           // guarded by mutex_
  bool shutting_down_ = false;         // guarded by mutex_
};

// Of requests about the namespace `namespace_of`, answered by `apply`.
template <typename Request, typename Response>
class WriteStream final : public WriteStreamSession {
 public:
  using NamespaceOf = const std::string& (*)(const Request&);
  using Handler = absl::Status (*)(CallScope&, const Request&, Response*);

  WriteStream(CallScope& scope, StreamPort& port, NamespaceOf namespace_of, Handler handler)
      : WriteStreamSession(scope, port), namespace_of_(namespace_of), handler_(handler) {}

 private:
  absl::Status Apply(CallScope& scope, grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override {
    Request request;
    COOKIX_RETURN_IF_ERROR(ParseMessage(bytes, &request));
    COOKIX_RETURN_IF_ERROR(Admit(namespace_of_(request)));
    Response response;
    COOKIX_RETURN_IF_ERROR(handler_(scope, request, &response));
    return SerializeMessage(response, answer);
  }

  const NamespaceOf namespace_of_;
  const Handler handler_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_WRITE_STREAM_H_
