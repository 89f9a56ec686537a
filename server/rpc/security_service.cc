#include "server/rpc/security_service.h"

#include "engine/api/security_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {

using engine::Database;
using engine::SecurityApi;

void AddSecurityService(Router& router) {
  Forward(router, "cookix.v1.SecurityService/CreateKey", &Database::security,
          &SecurityApi::CreateKey);
  Forward(router, "cookix.v1.SecurityService/ListKeys", &Database::security,
          &SecurityApi::ListKeys);
  Forward(router, "cookix.v1.SecurityService/RevokeKey", &Database::security,
          &SecurityApi::RevokeKey);
  Forward(router, "cookix.v1.SecurityService/RotateKey", &Database::security,
          &SecurityApi::RotateKey);
  Forward(router, "cookix.v1.SecurityService/WhoAmI", &Database::security, &SecurityApi::WhoAmI);
}

}  // namespace cookix::server
