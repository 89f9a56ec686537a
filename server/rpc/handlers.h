// Handlers that only pass a call on to the engine.
#ifndef COOKIX_SERVER_RPC_HANDLERS_H_
#define COOKIX_SERVER_RPC_HANDLERS_H_

#include <string_view>

#include "server/rpc/router.h"

namespace cookix::server {

// Answers `name` with `method` of the engine's `api`, such as
// &engine::Database::objects and &engine::ObjectApi::PutObject.
template <typename Api, typename Request, typename Response>
void Forward(Router& router, std::string_view name, Api& (engine::Database::*api)(),
             absl::Status (Api::*method)(engine::CallContext&, const Request&, Response*)) {
  router.Unary<Request, Response>(
      name, [api, method](CallScope& scope, const Request& request, Response* response) {
        return ((scope.database().*api)().*method)(scope.context, request, response);
      });
}

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_HANDLERS_H_
