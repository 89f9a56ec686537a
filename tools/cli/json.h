// Between messages of the wire and JSON as people and jq like it.
//
// Names are those of the proto files. Integers are numbers, property values are
// natural JSON, positions are hexadecimal, enumerations are lower-case words
// without their prefix. A reference named `ref` becomes "key" (and "collection"
// unless it is the default one); another, `source` say, becomes "source" (and
// "source_collection"). Bytes in properties are {"$bytes": "<hexadecimal>"}. A
// vector is a list of numbers, a sparse one {"indices": […], "values": […]}, one
// of bits {"bits": "<base64>"}.
// Integers keep 64 bits both ways; a double stays a double (1.0, not 1).
#ifndef COOKIX_TOOLS_CLI_JSON_H_
#define COOKIX_TOOLS_CLI_JSON_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace cookix::cli {

// Keeps the order of the fields.
using Json = nlohmann::ordered_json;

Json ToJson(const google::protobuf::Message& message);
Json ValueToJson(const v1::Value& value);
// An object with its edges in the form that FromJson reads back.
Json ObjectWriteToJson(const v1::ObjectWrite& write);

absl::StatusOr<v1::Value> ValueFromJson(const Json& json);
// A vector in one of its three forms; `field` is named in errors.
absl::StatusOr<v1::Vector> VectorFromJson(const Json& json, const std::string& field);
// Reads {"key":…, "collection"?, "content"?, "properties"?, "labels"?,
// "vectors"? : {"name": vector}, "expires_ms"?, "edges"? : [{"relation", "target",
// "target_collection"?, "weight"?, "properties"?, "discriminator"?, "valid_from_ms"?,
// "valid_until_ms"?}]}. Output-only fields are ignored; unknown ones are errors.
absl::StatusOr<v1::ObjectWrite> ObjectWriteFromJson(const Json& json);
// An edge as above, with "source" and "source_collection"; `source_required`
// says whether it may be left out.
absl::StatusOr<v1::Edge> EdgeFromJson(const Json& json, bool source_required);

// Parses text; the error says where. Duplicated names: the last wins.
absl::StatusOr<Json> ParseJson(std::string_view text);
// One line; bytes that are not UTF-8 become U+FFFD.
std::string Dump(const Json& json);
std::string Hex(std::string_view bytes);
// Nothing when `text` is not hexadecimal.
absl::StatusOr<std::string> FromHex(std::string_view text);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_JSON_H_
