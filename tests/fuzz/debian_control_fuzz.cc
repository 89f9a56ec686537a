// Debian's package indexes: paragraphs, relationship fields, version numbers.
#include "tests/fuzz/fuzz_target.h"
#include "tools/cli/debian_control_parser.h"
#include "tools/cli/debian_version.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = cookix::tests::FuzzInput(data, size);
  const absl::Status status =
      cookix::cli::ParseControl(text, [](cookix::cli::ControlParagraph&& paragraph) {
        FUZZ_CHECK(!paragraph.empty());
        for (const auto& [name, value] : paragraph) {
          for (const auto& group : cookix::cli::ParseRelationField(value)) {
            FUZZ_CHECK(!group.empty());
            for (const auto& relation : group) FUZZ_CHECK(!relation.name.empty());
          }
        }
        return true;
      });
  if (!status.ok()) FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  // Versions are ordered: the same one is equal, and sides can be swapped.
  const std::string_view a = text.substr(0, text.size() / 2);
  const std::string_view b = text.substr(text.size() / 2);
  const auto sign = [](int value) { return (value > 0) - (value < 0); };
  FUZZ_CHECK(cookix::cli::CompareDebianVersions(a, a) == 0);
  FUZZ_CHECK(sign(cookix::cli::CompareDebianVersions(a, b)) ==
             -sign(cookix::cli::CompareDebianVersions(b, a)));
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      "Package: zlib1g\nVersion: 1:1.2.13.dfsg-1\nDepends: libc6 (>= 2.14), a:any | b [amd64] "
      "<!nocheck>\nDescription: compression\n long\n .\n text\n\nPackage: b\nProvides: c (= 1)\n",
      "Package: a\nStatus: install ok installed\nConflicts: x (<< 2~rc1), y\n\n\n\nPackage: d\n",
      "1:2.0~rc1-11:2.0-1",
      "0:0",
      "a (>= 1), b | c (<< 2), d:any",
  };
}
