#include "storage/store_copy.h"

#include <limits>
#include <unordered_set>

#include "absl/strings/escaping.h"
#include "storage/base/status.h"
#include "storage/store_file.h"
#include "storage/view_files.h"

namespace cookix::storage {
namespace {

constexpr uint64_t kMaxBytes = std::numeric_limits<int64_t>::max();

// A path that came from elsewhere, fit for a message.
std::string Quoted(std::string_view path) {
  constexpr size_t kShown = 200;
  std::string text = absl::CHexEscape(ToAbsl(path.substr(0, kShown)));
  if (path.size() > kShown) text += "...";
  return "\"" + text + "\"";
}

absl::Status Refused(size_t file, std::string_view path, std::string_view why) {
  return InvalidField("files[" + std::to_string(file) + "].path",
                      "the file " + Quoted(path) + " of the copy " + std::string(why),
                      "Ask for another copy, of a store of this version.");
}

// Why a path is no path inside a directory; empty when it is one.
std::string_view WhyNoPath(std::string_view path) {
  if (path.empty()) return "has no name";
  if (path.size() > kMaxCopyPath) return "has too long a path";
  if (path.find('\0') != std::string_view::npos) return "has a zero byte in its path";
  if (path.find('\\') != std::string_view::npos) return "has a backslash in its path";
  if (path.front() == '/') return "has an absolute path";
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty()) return "has an empty part in its path";
    if (part == "." || part == "..") return "has a path that leads elsewhere";
    if (part.size() > kMaxCopyPathPart) return "has too long a part in its path";
    if (slash == std::string_view::npos) return "";
    path.remove_prefix(slash + 1);
  }
}

// Of a store's names, those that a copy has.
bool MayBeCopied(std::string_view path) {
  const std::string_view entry = path.substr(0, path.find('/'));
  if (!IsStoreEntry(entry) || entry == kCopyDirectory) return false;
  return entry == kStoreFileName ? path == kStoreFileName : !entry.starts_with(kStoreFileName);
}

}  // namespace

bool IsStoreEntry(std::string_view name) {
  if (name == kStoreLockName) return false;
  for (const std::string_view whole :
       {kArchiveDirectory, kViewDirectory, kCopyDirectory, std::string_view("CURRENT"),
        std::string_view("IDENTITY"), std::string_view("LOG")}) {
    if (name == whole) return true;
  }
  for (const std::string_view prefix : {"MANIFEST-", "OPTIONS-", "METADB-", "LOG.old"}) {
    if (name.starts_with(prefix)) return true;
  }
  for (const std::string_view suffix : {".sst", ".log", ".blob", ".dbtmp", ".trash"}) {
    if (name.ends_with(suffix)) return true;
  }
  return name == kStoreFileName || name.starts_with(std::string(kStoreFileName) + ".");
}

absl::Status CheckManifest(const CopyManifest& manifest) {
  if (manifest.files.size() > kMaxCopyFiles) {
    return LimitExceeded("files",
                         "the copy has " + std::to_string(manifest.files.size()) +
                             " files, the limit is " + std::to_string(kMaxCopyFiles) +
                             "; the first beyond it is " +
                             Quoted(manifest.files[kMaxCopyFiles].path),
                         "Compact the store that it is made of.");
  }
  std::unordered_set<std::string_view> paths;
  uint64_t total = 0;
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const CopyFile& file = manifest.files[i];
    if (const std::string_view why = WhyNoPath(file.path); !why.empty()) {
      return Refused(i, file.path, why);
    }
    if (!MayBeCopied(file.path)) return Refused(i, file.path, "is none that a store has");
    if (!paths.insert(file.path).second) return Refused(i, file.path, "is there twice");
    if (file.size > kMaxBytes - total) {
      return InvalidField("files[" + std::to_string(i) + "].size",
                          "the copy has too many bytes, up to the file " + Quoted(file.path),
                          "Ask for another copy.");
    }
    total += file.size;
  }
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const std::string_view path = manifest.files[i].path;
    for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      if (paths.contains(path.substr(0, slash))) {
        return Refused(i, path, "lies beneath another file");
      }
    }
  }
  if (!paths.contains(kStoreFileName)) {
    return InvalidField("files", "the copy has no file " + std::string(kStoreFileName),
                        "Ask for another copy.");
  }
  return absl::OkStatus();
}

}  // namespace cookix::storage
