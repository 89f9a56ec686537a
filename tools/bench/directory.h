// A directory of a benchmark.
#ifndef COOKIX_TOOLS_BENCH_DIRECTORY_H_
#define COOKIX_TOOLS_BENCH_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace cookix::bench {

// New, and goes away with everything in it.
class Directory {
 public:
  // `parent` may be empty: then below the system's directory for temporary files.
  explicit Directory(const std::string& parent) {
    std::string pattern =
        (parent.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(parent)) /
        "cookix_bench_XXXXXX";
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Directory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_DIRECTORY_H_
