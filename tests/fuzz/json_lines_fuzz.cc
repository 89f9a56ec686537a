// Lines of JSON Lines imports, and JSON values on the command line.
#include "google/protobuf/util/message_differencer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tools/cli/importer.h"
#include "tools/cli/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line = cookix::tests::FuzzInput(data, size);
  const auto mutation = cookix::cli::ParseJsonLine(line, cookix::cli::ImportOptions());
  if (!mutation.ok()) {
    FUZZ_CHECK(mutation.status().code() == absl::StatusCode::kInvalidArgument);
  }
  const auto json = cookix::cli::ParseJson(line);
  if (!json.ok()) return 0;
  const auto value = cookix::cli::ValueFromJson(*json);
  if (value.ok()) {
    const auto again = cookix::cli::ValueFromJson(cookix::cli::ValueToJson(*value));
    FUZZ_CHECK(again.ok());
    FUZZ_CHECK(google::protobuf::util::MessageDifferencer::Equals(*value, *again));
  }
  const auto write = cookix::cli::ObjectWriteFromJson(*json);
  if (write.ok()) {
    // What an export writes, an import reads back.
    const std::string exported = cookix::cli::Dump(cookix::cli::ObjectWriteToJson(*write));
    const auto parsed = cookix::cli::ParseJson(exported);
    FUZZ_CHECK(parsed.ok());
    const auto again = cookix::cli::ObjectWriteFromJson(*parsed);
    FUZZ_CHECK(again.ok());
    FUZZ_CHECK(cookix::cli::Dump(cookix::cli::ObjectWriteToJson(*again)) == exported);
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      R"({"key":"rain","content":"Water","labels":["weather"],"properties":{"wet":true,"n":-3,"x":2.5,"s":"t","l":[1,"two",null],"m":{"k":{"d":1}}}})",
      R"({"key":"a","collection":"notes","expires_ms":1700000000000,"edges":[{"relation":"causes","target":"b","target_collection":"notes","weight":0.5,"discriminator":"d","valid_from_ms":1,"valid_until_ms":2,"properties":{"p":1}}]})",
      R"({"source":"a","relation":"causes","target":"b","weight":1.0})",
      R"({"key":"b","properties":{"raw":{"$bytes":"00ff"}}})",
      R"({"key":"c","vectors":{"v":[0.1,-2.5],"s":{"indices":[1,7],"values":[0.5,1]},"b":{"bits":"AYD/"}}})",
      R"({"key":"\u00e9\ud83d\ude00","version":7,"created_ms":1})",
      R"([1,2.0,"three",true,null,{"a":{}}])",
      "9223372036854775807",
      "-1e308",
  };
}
