// Lines of triples, and the files of names beside them.
#include <cmath>
#include <sstream>

#include "tests/fuzz/fuzz_target.h"
#include "tools/cli/importer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = cookix::tests::FuzzInput(data, size);
  const auto triple = cookix::cli::ParseTriple(text);
  if (triple.ok()) {
    FUZZ_CHECK(!triple->head.empty() && !triple->relation.empty() && !triple->tail.empty());
    FUZZ_CHECK(std::isfinite(triple->weight) && triple->weight >= 0);
  } else {
    FUZZ_CHECK(triple.status().code() == absl::StatusCode::kInvalidArgument);
  }
  std::istringstream names{std::string(text)};
  const auto read = cookix::cli::ReadNames(names);
  if (!read.ok()) FUZZ_CHECK(read.status().code() == absl::StatusCode::kInvalidArgument);
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      "00260881\t_hypernym\t00260622",
      "a\tcauses\tb\t0.5",
      "a\tcauses\tb\t1e300\r",
      "/m/027rn\t/location/country/form_of_government\t/m/06cx9",
      "14854262\tstool, solid excretory product\n00590383\tchieftainship\n",
      "a\tb\tnan",
      "a\tb\tc\t-1",
      "a\tb\tc\tinf",
      "a\t\tc",
      "\xc3\xa9\tr\t\xf0\x9f\x98\x80",
  };
}
