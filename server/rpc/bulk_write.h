#ifndef COOKIX_SERVER_RPC_BULK_WRITE_H_
#define COOKIX_SERVER_RPC_BULK_WRITE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "server/rpc/router.h"

namespace cookix::server {

// ObjectService.BulkWrite. Messages are read ahead while one write is under way;
// writes happen one after the other, so that an answer stands for everything
// before it and nothing after the first failure is applied. A stream holds a
// thread only while it has messages, and gives it back after some of them, so that
// more streams than threads share them evenly.
class BulkWriteSession final : public Session {
 public:
  BulkWriteSession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}

  void OnStart() override { port_.Read(); }
  void OnMessage(grpc::ByteBuffer bytes) override;
  void OnHalfClose() override;
  void OnShutdown() override;

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

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_BULK_WRITE_H_
