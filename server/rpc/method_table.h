// Every method that the server has, and what it asks of its caller.
#ifndef COOKIX_SERVER_RPC_METHOD_TABLE_H_
#define COOKIX_SERVER_RPC_METHOD_TABLE_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "cookix/v1/security_service.pb.h"

namespace cookix::server {

// Where the role of a method must be held.
enum class Access {
  // Anyone, if the operator allowed it; else any valid key.
  kHealth,
  // Any valid key.
  kAnyKey,
  // The role, on the namespace of the request.
  kNamespace,
  // The role, on all namespaces.
  kEverywhere,
  // The handler looks at more than one namespace.
  kHandler,
};

enum class Shape { kUnary, kServerStream, kBidirectional };

struct MethodSpec {
  // Without the leading slash: "cookix.v1.ObjectService/GetObject".
  std::string_view name;
  Access access = Access::kEverywhere;
  // With kHandler, the least role that any use needs somewhere.
  v1::Role role = v1::ROLE_ADMIN;
  Shape shape = Shape::kUnary;
  // Changes data: refused in read-only mode and by replicas.
  bool write = false;
  // Refused by replicas.
  bool primary = false;
  // Works while the server has no database.
  bool storeless = false;
  // Short enough for a network thread when it need not wait for a position.
  bool quick = false;
  // Runs as long as its caller's deadline allows, not only max_query_ms.
  bool long_running = false;
};

// The table; a method's place in it is its index.
std::span<const MethodSpec> MethodTable();

// Index of a method, or MethodTable().size() when the server does not have it.
size_t FindMethod(std::string_view name);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_METHOD_TABLE_H_
