// A Debian package index as objects and edges.
#ifndef COOKIX_TOOLS_CLI_PACKAGE_INDEX_H_
#define COOKIX_TOOLS_CLI_PACKAGE_INDEX_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/object_service.pb.h"

namespace cookix::cli {

// Relations of the graph, with the inverses registered for them. Lower weights
// are stronger.
struct PackageRelationInfo {
  const char* field;    // of the control file
  const char* name;     // of the edge
  const char* inverse;  // empty for a symmetric one
  double weight;
  const char* meaning;
};
const std::vector<PackageRelationInfo>& PackageRelations();

// Everything that was read: packages, and the virtual packages that they provide.
// Of several versions of a package the newest counts.
class PackageIndex {
 public:
  // One entry for each package or virtual package, by name.
  struct Entry {
    v1::ObjectWrite write;
    std::string version;  // empty for a virtual package
    bool is_virtual = false;
    int64_t installed_bytes = 0;
    int64_t needed_by = 0;  // depends and pre_depends edges that point here
    int64_t needs = 0;      // such edges that start here
  };

  // Adds the text of one index. `installed_only` leaves out paragraphs whose
  // Status is not "installed".
  absl::Status Add(std::string_view text, bool installed_only);
  // Builds entries from what was added; call once, after the last Add.
  void Finish();

  const std::map<std::string, Entry>& entries() const { return entries_; }
  const Entry* Find(const std::string& name) const;
  int64_t edge_count() const { return edge_count_; }
  int64_t package_count() const { return package_count_; }
  // Names that relations mention and nothing in the index is or provides.
  int64_t missing_count() const { return missing_count_; }
  // Identifies the content and the form in which it is loaded.
  std::string Fingerprint() const;

 private:
  std::map<std::string, std::map<std::string, std::string, std::less<>>> paragraphs_;
  std::map<std::string, Entry> entries_;
  int64_t edge_count_ = 0;
  int64_t package_count_ = 0;
  int64_t missing_count_ = 0;
};

// The files to read: `source` (a file or a directory), else the apt lists of this
// machine, else its dpkg status file. NOT_FOUND says what was looked for.
struct PackageSource {
  std::vector<std::string> files;
  bool installed_only = false;
  std::string description;
};
absl::StatusOr<PackageSource> FindPackageSource(const std::string& source);

// A file's text, decompressed by the ending of its name: .lz4 and .gz.
absl::StatusOr<std::string> ReadIndexFile(const std::string& path);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_PACKAGE_INDEX_H_
