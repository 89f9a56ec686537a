// Files of vectors: .fvecs, .bvecs and .npy.
//
// The first byte chooses the format, the second where rows are passed over.
#include <cmath>
#include <sstream>

#include "tests/fuzz/fuzz_target.h"
#include "tools/cli/vector_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using cookix::cli::VectorFile;
  using cookix::cli::VectorFormat;
  std::string_view input = cookix::tests::FuzzInput(data, size);
  static constexpr VectorFormat kFormats[] = {VectorFormat::kFvecs, VectorFormat::kBvecs,
                                              VectorFormat::kNpy};
  const VectorFormat format = kFormats[cookix::tests::TakeNumber(&input, 1) % 3];
  const auto skipped = static_cast<int64_t>(cookix::tests::TakeNumber(&input, 1));
  std::istringstream in{std::string(input)};
  const auto file = VectorFile::Read(in, format);
  if (!file.ok()) {
    FUZZ_CHECK(file.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  std::vector<float> components;
  int64_t rows = 0;
  while (true) {
    components.clear();
    const auto more = (*file)->Next(&components);
    if (!more.ok()) FUZZ_CHECK(more.status().code() == absl::StatusCode::kInvalidArgument);
    if (!more.ok() || !*more) {
      FUZZ_CHECK(components.empty());
      break;
    }
    FUZZ_CHECK(components.size() == static_cast<size_t>((*file)->dimension()));
    for (float component : components) FUZZ_CHECK(std::isfinite(component));
    ++rows;
    FUZZ_CHECK((*file)->row() == rows);
    FUZZ_CHECK((*file)->offset() <= static_cast<int64_t>(input.size()));
  }
  // Passing over rows finds no more of them than reading does.
  std::istringstream again{std::string(input)};
  const auto second = VectorFile::Read(again, format);
  FUZZ_CHECK(second.ok());
  if ((*second)->Skip(skipped).ok()) FUZZ_CHECK((*second)->row() == skipped);
  if (skipped <= rows) FUZZ_CHECK((*second)->row() == skipped);
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  auto text = [](const char* bytes, size_t size) { return std::string(bytes, size); };
  const std::string fvecs = text("\2\0\0\0\0\0\200\77\0\0\0\300", 12);
  const std::string bvecs = text("\3\0\0\0\1\2\377", 7);
  auto npy = [&text](const std::string& version, const std::string& length,
                     const std::string& header, const std::string& body) {
    return text("\2\1\223NUMPY", 8) + version + length + header + body;
  };
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }    \n";
  const std::string bytes = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }    \n";
  const std::string length(1, static_cast<char>(header.size()));
  const std::string zero(1, '\0');
  return {
      text("\0\1", 2) + fvecs + fvecs,
      text("\0\0", 2) + fvecs + fvecs + text("\3\0\0\0", 4),
      text("\1\2", 2) + bvecs + bvecs + bvecs,
      npy(text("\1\0", 2), length + zero, header, text("\0\0\200\77\0\0\0\300", 8)),
      npy(text("\2\0", 2), length + zero + zero + zero, header, text("\0\0\200\177\0\0\0\300", 8)),
      npy(text("\3\0", 2), length + zero + zero + zero, bytes, "abcdef"),
      npy(text("\1\0", 2), text("\74\0", 2),
          "{'descr': '<f2', 'fortran_order': True, 'shape': (2, 1), }  \n", "abcd"),
      npy(text("\1\0", 2), text("\377\377", 2), "{", ""),
  };
}
