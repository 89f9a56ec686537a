// Short ways to write the wire requests that tests need most.
#ifndef COOKIX_TESTS_SUPPORT_REQUESTS_H_
#define COOKIX_TESTS_SUPPORT_REQUESTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "client/client.h"
#include "cookix/v1/common.pb.h"

namespace cookix::tests {

v1::ObjectRef Ref(std::string_view key, std::string_view collection = "");

v1::Edge MakeEdge(std::string_view source, std::string_view relation, std::string_view target,
                  double weight = 1.0);

// An object with a key and content.
v1::ObjectWrite MakeObject(std::string_view key, std::string_view content = "");

v1::PutObjectRequest PutRequest(std::string_view key, std::string_view content = "");
v1::GetObjectRequest GetRequest(std::string_view key);
v1::PutEdgeRequest LinkRequest(std::string_view source, std::string_view relation,
                               std::string_view target, double weight = 1.0);

// A filter `field = value`.
v1::Filter Equals(std::string_view field, std::string_view value);

// "a -[r]-> b -[s]-> c", with `~` before the relation of a virtual step, as the
// step was followed.
std::string PathText(const v1::Path& path);

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_SUPPORT_REQUESTS_H_
