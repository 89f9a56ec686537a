#include "tools/cli/package_index.h"

#include <lz4frame.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/arguments.h"
#include "tools/cli/debian_control_parser.h"
#include "tools/cli/debian_version.h"
#include "tools/cli/json.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

namespace fs = std::filesystem;

// Raised when entries are built differently, so that a loaded index is not
// mistaken for the present form.
constexpr int kFormOfEntries = 1;
constexpr char kAptLists[] = "/var/lib/apt/lists";
constexpr char kDpkgStatus[] = "/var/lib/dpkg/status";
constexpr size_t kMaxIndexBytes = 2u << 30;

std::string_view FieldOf(const ControlParagraph& fields, std::string_view name) {
  auto it = fields.find(name);
  return it == fields.end() ? std::string_view() : std::string_view(it->second);
}

void SetText(v1::Object* object, const char* name, std::string_view value) {
  if (value.empty() || !IsValidUtf8(value)) return;
  (*object->mutable_properties())[name].set_string_value(std::string(value));
}

// Puts an edge, or merges it into one with the same relation and target: the
// smaller weight counts, the version conditions are collected.
void AddEdge(v1::ObjectWrite* write, std::map<std::pair<std::string, std::string>, int>* seen,
             const PackageRelationInfo& info, const PackageRelation& package, size_t group,
             size_t alternative, size_t alternatives) {
  const double weight = info.weight * (1.0 + 0.5 * static_cast<double>(alternative));
  const std::string condition =
      package.relation.empty() ? "" : package.relation + " " + package.version;
  const auto [it, fresh] =
      seen->emplace(std::pair(std::string(info.name), package.name), write->edges_size());
  if (!fresh) {
    v1::Edge* edge = write->mutable_edges(it->second);
    edge->set_weight(std::min(edge->weight(), weight));
    if (condition.empty()) {
      // One unconditional mention of a conflict is a conflict with every version;
      // of a need, the stricter conditions stay.
      if (info.name == std::string_view("conflicts") || info.name == std::string_view("breaks")) {
        edge->mutable_properties()->erase("version");
      }
      return;
    }
    auto version = edge->mutable_properties()->find("version");
    if (version != edge->mutable_properties()->end()) {
      version->second.set_string_value(version->second.string_value() + ", " + condition);
    }
    return;
  }
  v1::Edge* edge = write->add_edges();
  edge->set_relation(info.name);
  edge->mutable_target()->set_key(package.name);
  edge->set_weight(weight);
  if (!condition.empty() && IsValidUtf8(condition)) {
    (*edge->mutable_properties())["version"].set_string_value(condition);
  }
  if (!package.arch.empty() && package.arch != "any" && IsValidUtf8(package.arch)) {
    (*edge->mutable_properties())["architecture"].set_string_value(package.arch);
  }
  if (alternatives > 1) {
    (*edge->mutable_properties())["group"].set_int_value(static_cast<int64_t>(group));
    (*edge->mutable_properties())["alternative"].set_int_value(static_cast<int64_t>(alternative));
    (*edge->mutable_properties())["alternatives"].set_int_value(static_cast<int64_t>(alternatives));
  }
}

absl::StatusOr<std::string> ReadLz4(const std::string& path, const std::string& packed) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) {
    return absl::ResourceExhaustedError("no memory to decompress " + path);
  }
  const std::unique_ptr<LZ4F_dctx, void (*)(LZ4F_dctx*)> context(
      raw, [](LZ4F_dctx* dead) { LZ4F_freeDecompressionContext(dead); });
  std::string text;
  std::vector<char> chunk(1 << 20);
  size_t at = 0;
  size_t hint = 1;
  while (at < packed.size()) {
    size_t out = chunk.size();
    size_t in = packed.size() - at;
    hint = LZ4F_decompress(context.get(), chunk.data(), &out, packed.data() + at, &in, nullptr);
    if (LZ4F_isError(hint) || text.size() + out > kMaxIndexBytes) {
      return absl::DataLossError(path + " is not a valid lz4 file");
    }
    text.append(chunk.data(), out);
    at += in;
    if (in == 0 && out == 0) break;
  }
  if (hint != 0) return absl::DataLossError(path + " ends in the middle");
  return text;
}

absl::StatusOr<std::string> ReadGzip(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return absl::NotFoundError("cannot read " + path);
  std::string text;
  std::vector<char> chunk(1 << 20);
  int got = 0;
  while ((got = gzread(file, chunk.data(), static_cast<unsigned>(chunk.size()))) > 0) {
    text.append(chunk.data(), static_cast<size_t>(got));
    if (text.size() > kMaxIndexBytes) break;
  }
  const int closed = gzclose(file);
  if (got < 0 || closed != Z_OK || text.size() > kMaxIndexBytes) {
    return absl::DataLossError(path + " is not a valid gzip file");
  }
  return text;
}

bool EndsWith(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool IsIndexName(const std::string& name) {
  for (std::string_view end : {"_Packages", "_Packages.lz4", "_Packages.gz"}) {
    if (EndsWith(name, end)) return true;
  }
  return name == "Packages" || name == "Packages.lz4" || name == "Packages.gz";
}

std::vector<std::string> IndexesIn(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (IsIndexName(it->path().filename().string()) && it->is_regular_file(ignored) &&
        it->file_size(ignored) > 0) {
      files.push_back(it->path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

const std::vector<PackageRelationInfo>& PackageRelations() {
  static const auto* relations = new std::vector<PackageRelationInfo>{
      {"pre-depends", "pre_depends", "pre_needed_by", 0.5,
       "must be configured before the package is unpacked"},
      {"depends", "depends", "needed_by", 1, "must be there for the package to work"},
      {"recommends", "recommends", "recommended_by", 2, "is there in all but unusual cases"},
      {"suggests", "suggests", "suggested_by", 4, "makes the package more useful"},
      {"enhances", "enhances", "enhanced_by", 4, "makes the other package more useful"},
      {"conflicts", "conflicts", "", 1, "cannot be installed at the same time"},
      {"breaks", "breaks", "broken_by", 1, "makes the other package stop working"},
      {"provides", "provides", "provided_by", 0.25, "stands in for the other name"},
      {"replaces", "replaces", "replaced_by", 2, "may overwrite files of the other package"},
  };
  return *relations;
}

absl::Status PackageIndex::Add(std::string_view text, bool installed_only) {
  static const std::set<std::string, std::less<>> kKept = {
      "version",        "description",  "section",    "priority",   "size",
      "installed-size", "architecture", "maintainer", "source",     "homepage",
      "essential",      "pre-depends",  "depends",    "recommends", "suggests",
      "enhances",       "conflicts",    "breaks",     "provides",   "replaces"};
  return ParseControl(text, [&](ControlParagraph&& fields) {
    const std::string name(FieldOf(fields, "package"));
    if (name.empty() || !IsValidUtf8(name)) return true;
    if (installed_only && !EndsWith(std::string(FieldOf(fields, "status")), " installed")) {
      return true;
    }
    auto& kept = paragraphs_[name];
    if (!kept.empty() &&
        CompareDebianVersions(FieldOf(fields, "version"), FieldOf(kept, "version")) <= 0) {
      return true;
    }
    kept.clear();
    for (auto& [field, value] : fields) {
      if (kKept.count(field) > 0) kept.emplace(field, std::move(value));
    }
    if (kept.empty()) kept.emplace("version", "");
    return true;
  });
}

void PackageIndex::Finish() {
  std::map<std::string, std::vector<std::string>> providers;
  std::set<std::string> mentioned;
  for (auto& [name, fields] : paragraphs_) {
    Entry entry;
    v1::Object* object = entry.write.mutable_object();
    object->mutable_ref()->set_key(name);
    object->add_labels("package");
    if (FieldOf(fields, "essential") == "yes") object->add_labels("essential");
    if (IsValidUtf8(FieldOf(fields, "description"))) {
      object->set_content(std::string(FieldOf(fields, "description")));
    }
    entry.version = FieldOf(fields, "version");
    SetText(object, "version", entry.version);
    for (const char* field : {"section", "priority", "architecture", "homepage"}) {
      SetText(object, field, FieldOf(fields, field));
    }
    // "name (version)" when it differs from that of the package.
    const std::string_view source = FieldOf(fields, "source");
    SetText(object, "source",
            source.empty() ? std::string_view(name) : source.substr(0, source.find(' ')));
    const std::string_view maintainer = FieldOf(fields, "maintainer");
    SetText(object, "maintainer", maintainer.substr(0, maintainer.find(" <")));
    if (const auto size = ParseInt(FieldOf(fields, "size"))) {
      (*object->mutable_properties())["size"].set_int_value(*size);
    }
    if (const auto kib = ParseInt(FieldOf(fields, "installed-size"));
        kib && *kib >= 0 && *kib < (1LL << 40)) {
      entry.installed_bytes = *kib * 1024;
      (*object->mutable_properties())["installed_size"].set_int_value(entry.installed_bytes);
    }
    std::map<std::pair<std::string, std::string>, int> seen;
    for (const PackageRelationInfo& info : PackageRelations()) {
      const std::vector<Alternatives> groups = ParseRelationField(FieldOf(fields, info.field));
      for (size_t g = 0; g < groups.size(); ++g) {
        for (size_t a = 0; a < groups[g].size(); ++a) {
          const PackageRelation& package = groups[g][a];
          if (package.name == name) continue;
          AddEdge(&entry.write, &seen, info, package, g, a, groups[g].size());
          mentioned.insert(package.name);
        }
      }
    }
    for (const v1::Edge& edge : entry.write.edges()) {
      if (edge.relation() == "provides") providers[edge.target().key()].push_back(name);
    }
    entries_.emplace(name, std::move(entry));
    fields.clear();
  }
  package_count_ = static_cast<int64_t>(entries_.size());
  for (const auto& [name, names] : providers) {
    if (entries_.count(name) > 0) continue;
    Entry entry;
    entry.is_virtual = true;
    v1::Object* object = entry.write.mutable_object();
    object->mutable_ref()->set_key(name);
    object->add_labels("virtual-package");
    std::string content = "Virtual package, provided by ";
    constexpr size_t kShown = 8;
    for (size_t i = 0; i < names.size() && i < kShown; ++i) {
      content += (i == 0 ? "" : ", ") + names[i];
    }
    if (names.size() > kShown) content += " and " + std::to_string(names.size() - kShown) + " more";
    object->set_content(content);
    (*object->mutable_properties())["providers"].set_int_value(static_cast<int64_t>(names.size()));
    entries_.emplace(name, std::move(entry));
  }
  for (auto& [name, entry] : entries_) {
    edge_count_ += entry.write.edges_size();
    for (const v1::Edge& edge : entry.write.edges()) {
      if (edge.relation() != "depends" && edge.relation() != "pre_depends") continue;
      ++entry.needs;
      if (auto it = entries_.find(edge.target().key()); it != entries_.end()) {
        ++it->second.needed_by;
      }
    }
  }
  for (const std::string& name : mentioned) missing_count_ += entries_.count(name) == 0 ? 1 : 0;
  paragraphs_.clear();
}

const PackageIndex::Entry* PackageIndex::Find(const std::string& name) const {
  auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

std::string PackageIndex::Fingerprint() const {
  uint64_t hash = 0xcbf29ce484222325u + kFormOfEntries;
  auto mix = [&hash](std::string_view text) {
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    hash = (hash ^ 0xff) * 0x100000001b3u;
  };
  for (const auto& [name, entry] : entries_) {
    mix(name);
    mix(entry.version);
    for (const v1::Edge& edge : entry.write.edges()) {
      mix(edge.relation());
      mix(edge.target().key());
    }
  }
  char text[64];
  std::snprintf(text, sizeof text, "%016llx-%zu-%lld", static_cast<unsigned long long>(hash),
                entries_.size(), static_cast<long long>(edge_count_));
  return text;
}

absl::StatusOr<PackageSource> FindPackageSource(const std::string& source) {
  PackageSource found;
  std::error_code error;
  if (!source.empty()) {
    if (fs::is_directory(source, error)) {
      found.files = IndexesIn(source);
    } else if (fs::is_regular_file(source, error)) {
      found.files.push_back(source);
      found.installed_only = fs::path(source).filename() == "status";
    }
    found.description = source;
    if (found.files.empty()) {
      return MakeError(absl::StatusCode::kNotFound, "no package index at " + source,
                       {.reason = "",
                        .field = "--source",
                        .remedy = "give a Packages or status file, or a directory of "
                                  "*_Packages files (plain, .gz or .lz4)"});
    }
    return found;
  }
  found.files = IndexesIn(kAptLists);
  found.description = "the apt lists of this machine";
  if (!found.files.empty()) return found;
  if (fs::is_regular_file(kDpkgStatus, error)) {
    found.files.emplace_back(kDpkgStatus);
    found.installed_only = true;
    found.description = "the packages installed on this machine";
    return found;
  }
  return MakeError(
      absl::StatusCode::kNotFound,
      std::string("neither ") + kAptLists + " nor " + kDpkgStatus + " has a package index",
      {.reason = "", .field = "--source", .remedy = "run apt-get update, or give --source FILE"});
}

absl::StatusOr<std::string> ReadIndexFile(const std::string& path) {
  if (EndsWith(path, ".gz")) return ReadGzip(path);
  if (EndsWith(path, ".xz") || EndsWith(path, ".zst") || EndsWith(path, ".bz2")) {
    return UsageError(path + " is compressed in a way that is not read", "--source",
                      "decompress it first, or give a plain, .gz or .lz4 file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return MakeError(absl::StatusCode::kNotFound, "cannot read " + path,
                     {.reason = "", .field = "--source", .remedy = "check its permissions"});
  }
  std::ostringstream text;
  text << file.rdbuf();
  if (EndsWith(path, ".lz4")) return ReadLz4(path, text.str());
  return std::move(text).str();
}

}  // namespace cookix::cli
