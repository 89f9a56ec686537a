// What the calls of the interface do: which read, which write, which may be repeated.
#ifndef COOKIX_CLIENT_CALL_KINDS_H_
#define COOKIX_CLIENT_CALL_KINDS_H_

#include <string_view>

namespace cookix::client {

// Requests that can carry a request id.
template <class Request>
concept IdempotentWrite = requires(Request request) {
  request.mutable_options()->mutable_request_id();
};

// Requests that can name the position to read at.
template <class Request>
concept PositionedRead = requires(Request request) {
  request.mutable_options()->mutable_min_position();
};

// Reads whose further pages come from the server that gave the first one.
template <class Request>
concept PagedRead = PositionedRead<Request> && requires(Request request) {
  request.mutable_page_token();
};

// Calls without write options that change nothing, so that repeating is safe.
constexpr bool IsRead(std::string_view method) {
  for (std::string_view prefix :
       {"Get", "BatchGet", "List", "Scan", "Count", "Find", "Traverse", "Query", "Verify", "WhoAmI",
        "Search", "BatchSearch", "Describe", "Compile", "Execute"}) {
    if (method.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CALL_KINDS_H_
