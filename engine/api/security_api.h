// API keys: see proto/cookix/v1/security_service.proto.
#ifndef COOKIX_ENGINE_API_SECURITY_API_H_
#define COOKIX_ENGINE_API_SECURITY_API_H_

#include "absl/status/status.h"
#include "cookix/v1/security_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class SecurityApi {
 public:
  explicit SecurityApi(Database& database) : database_(database) {}

  absl::Status CreateKey(CallContext& context, const v1::CreateKeyRequest& request,
                         v1::CreateKeyResponse* response);
  absl::Status ListKeys(CallContext& context, const v1::ListKeysRequest& request,
                        v1::ListKeysResponse* response);
  absl::Status RevokeKey(CallContext& context, const v1::RevokeKeyRequest& request,
                         v1::RevokeKeyResponse* response);
  absl::Status RotateKey(CallContext& context, const v1::RotateKeyRequest& request,
                         v1::RotateKeyResponse* response);
  absl::Status WhoAmI(CallContext& context, const v1::WhoAmIRequest& request,
                      v1::WhoAmIResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SECURITY_API_H_
