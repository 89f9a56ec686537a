// Runs a fuzz target over its seeds and mutations of them, as a test.
//
//   <target>_test [--runs=N] [FILE...]   N mutated inputs, or the given files
//
// The inputs depend on nothing but the target's seeds and N. The last input is
// kept in a file that is mapped into memory, so that it survives a crash.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz_target.h"

namespace cookix::tests {
namespace {

int64_t runs = 100'000;
std::vector<std::string> files;
constexpr size_t kMaxSize = 64 << 10;

// The input that is being run, in a file.
class LastInput {
 public:
  LastInput() {
    const char* dir = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    if (dir == nullptr) dir = std::getenv("TEST_TMPDIR");
    path_ = std::string(dir != nullptr ? dir : "/tmp") + "/last_input";
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd_ < 0 || ftruncate(fd_, kMaxSize) != 0) return;
    void* mapped = mmap(nullptr, kMaxSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (mapped != MAP_FAILED) bytes_ = static_cast<char*>(mapped);
  }
  ~LastInput() {
    if (bytes_ != nullptr) munmap(bytes_, kMaxSize);
    if (fd_ >= 0) close(fd_);
    unlink(path_.c_str());
  }
  LastInput(const LastInput&) = delete;
  LastInput& operator=(const LastInput&) = delete;

  void Set(const std::string& input) {
    if (bytes_ == nullptr) return;
    const size_t size = std::min(input.size(), kMaxSize - 8);
    const uint64_t stored = size;
    std::memcpy(bytes_, &stored, 8);
    std::memcpy(bytes_ + 8, input.data(), size);
  }

 private:
  std::string path_;
  int fd_ = -1;
  char* bytes_ = nullptr;
};

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> seeds) : seeds_(std::move(seeds)), random_(1) {}

  std::string Next() {
    std::string input = Below(50) == 0 ? RandomBytes(Below(64)) : seeds_[Below(seeds_.size())];
    for (uint64_t i = 0, changes = 1 + Below(6); i < changes; ++i) Change(&input);
    if (input.size() > kMaxSize - 8) input.resize(kMaxSize - 8);
    return input;
  }

 private:
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string RandomBytes(uint64_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random_());
    return bytes;
  }

  void Change(std::string* input) {
    static constexpr std::string_view kInteresting[] = {std::string_view("\0", 1),
                                                        "\x7f",
                                                        "\x80",
                                                        "\xff",
                                                        std::string_view("\0\0\0\0", 4),
                                                        "\xff\xff\xff\xff",
                                                        "\x7f\xff\xff\xff",
                                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                                        std::string_view("\0\0\0\0\0\0\xf0\x7f", 8),
                                                        "\n",
                                                        "\"",
                                                        "\t",
                                                        "{",
                                                        "\\u0000",
                                                        "\xc3\x28"};
    const size_t at = Below(input->size() + 1);
    const size_t length = Below(std::min<size_t>(input->size() - at, 32) + 1);
    switch (Below(9)) {
      case 0:
        if (at < input->size()) (*input)[at] = static_cast<char>((*input)[at] ^ (1 << Below(8)));
        break;
      case 1:
        if (at < input->size()) (*input)[at] = static_cast<char>(random_());
        break;
      case 2:
        input->insert(at, RandomBytes(1 + Below(8)));
        break;
      case 3:
        input->erase(at, length);
        break;
      case 4:
        input->insert(at, input->substr(at, length));
        break;
      case 5:
        input->resize(at);
        break;
      case 6: {
        const std::string_view piece = kInteresting[Below(std::size(kInteresting))];
        input->replace(at, std::min(piece.size(), input->size() - at), piece);
        break;
      }
      case 7: {
        const std::string_view piece = kInteresting[Below(std::size(kInteresting))];
        input->insert(at, piece);
        break;
      }
      default: {
        const std::string& other = seeds_[Below(seeds_.size())];
        input->replace(at, std::string::npos, other.substr(Below(other.size() + 1)));
        break;
      }
    }
  }

  const std::vector<std::string> seeds_;
  std::mt19937_64 random_;
};

void RunOne(const std::string& input, LastInput* last) {
  last->Set(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

TEST(FuzzTest, SeedsAndMutationsOfThem) {
  LastInput last;
  if (!files.empty()) {
    for (const std::string& path : files) {
      std::ifstream in(path, std::ios::binary);
      ASSERT_TRUE(in.good()) << path;
      RunOne(std::string(std::istreambuf_iterator<char>(in), {}), &last);
    }
    return;
  }
  const std::vector<std::string> seeds = FuzzSeeds();
  ASSERT_FALSE(seeds.empty());
  RunOne("", &last);
  for (const std::string& seed : seeds) {
    RunOne(seed, &last);
    // Every way to be cut short, and every single bit of the beginning.
    const size_t front = std::min<size_t>(seed.size(), 256);
    for (size_t size = 0; size < front; ++size) RunOne(seed.substr(0, size), &last);
    for (size_t bit = 0; bit < front * 8; ++bit) {
      std::string input = seed;
      input[bit / 8] = static_cast<char>(input[bit / 8] ^ (1 << bit % 8));
      RunOne(input, &last);
    }
  }
  Mutator mutator(seeds);
  for (int64_t run = 0; run < runs; ++run) RunOne(mutator.Next(), &last);
}

}  // namespace
}  // namespace cookix::tests

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("--runs=", 0) == 0) {
      cookix::tests::runs = std::strtoll(argument.c_str() + 7, nullptr, 10);
    } else {
      cookix::tests::files.push_back(argument);
    }
  }
  return RUN_ALL_TESTS();
}
