#ifndef COOKIX_SERVER_RPC_STREAM_OBJECTS_H_
#define COOKIX_SERVER_RPC_STREAM_OBJECTS_H_

#include "server/rpc/router.h"

namespace cookix::server {

// ObjectService.StreamObjects. Reads the next chunk from the store while the one
// before is sent, and no further: a slow client slows the scan.
class StreamObjectsSession final : public Session {
 public:
  StreamObjectsSession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}

  void OnStart() override { port_.Read(); }
  void OnMessage(grpc::ByteBuffer bytes) override;
  void OnHalfClose() override;

 private:
  absl::Status Run(grpc::ByteBuffer bytes);

  CallScope& scope_;
  StreamPort& port_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_STREAM_OBJECTS_H_
