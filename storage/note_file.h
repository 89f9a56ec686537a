// Small files beside a store, written whole: what a program must know before, or without,
// opening it.
#ifndef COOKIX_STORAGE_NOTE_FILE_H_
#define COOKIX_STORAGE_NOTE_FILE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace cookix::storage {

// Replaces `directory`/`name`: a temporary file, synced, renamed, directory synced. After a
// crash the file has the old text or the new one. The directory exists.
absl::Status WriteDurably(rocksdb::FileSystem& fs, const std::string& directory,
                          std::string_view name, std::string_view text);

// The note that a server keeps in its store's directory of the part that it has in
// replication. Receiving a copy of a store leaves it alone.
inline constexpr std::string_view kReplicationNote = "REPLICATION";

// The identity that a server has, with this store, among those that elect their primary.
inline constexpr std::string_view kMemberNote = "MEMBER";

// Lies in a directory while a backup is restored there: what else it holds is not yet what was
// asked for, and opens as no store (see Options::restoring).
inline constexpr std::string_view kRestoreNote = "RESTORING";

// Writes a note with a checksum, and the directory if it is missing. `fs` null = the operating
// system's.
absl::Status WriteNote(const std::shared_ptr<rocksdb::FileSystem>& fs, const std::string& directory,
                       std::string_view name, std::string_view text);
// kNotFound when there is none, kDataLoss when it is damaged.
absl::StatusOr<std::string> ReadNote(const std::shared_ptr<rocksdb::FileSystem>& fs,
                                     const std::string& directory, std::string_view name);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_NOTE_FILE_H_
