// The filter language of the CLI.
#include "engine/filter/filter.h"
#include "tests/fuzz/fuzz_target.h"
#include "tools/cli/where_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto filter = cookix::cli::ParseWhere(cookix::tests::FuzzInput(data, size));
  if (!filter.ok()) {
    FUZZ_CHECK(filter.status().code() == absl::StatusCode::kInvalidArgument);
    FUZZ_CHECK(!filter.status().message().empty());
    return 0;
  }
  // What the parser makes, the engine can judge.
  const auto compiled =
      cookix::engine::CompiledFilter::Compile(*filter, "filter", cookix::engine::Limits());
  if (!compiled.ok()) {
    FUZZ_CHECK(compiled.status().code() == absl::StatusCode::kInvalidArgument);
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      R"(size > 1000 AND section = "devel")",
      R"(NOT (section IN (games, "x11")) OR $key ^= "lib")",
      "EXISTS homepage",
      R"(`odd name` != 'it\'s' and a.b.c >= -1.5e3)",
      "a == true or b <> false or c < 9223372036854775807",
      "((((((((a = 1))))))))",
      "NOT NOT NOT EXISTS x",
  };
}
