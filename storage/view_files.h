// The directory of a store in which views save themselves.
#ifndef COOKIX_STORAGE_VIEW_FILES_H_
#define COOKIX_STORAGE_VIEW_FILES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/checked_file.h"
#include "storage/local_store.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace cookix::storage {

inline constexpr std::string_view kViewDirectory = "views";
// Of the files, `<view>.view`. A database of a view has another one.
inline constexpr std::string_view kViewFileSuffix = ".view";

// Thread-safe, except that one view's file has one user at a time. See the methods
// of Store of the same names.
class ViewFiles {
 public:
  // The files are in `<store>/views`. At least `keep_free_bytes` stay free on the
  // disk.
  ViewFiles(std::shared_ptr<rocksdb::FileSystem> fs, const std::string& store,
            uint64_t keep_free_bytes);

  absl::StatusOr<std::unique_ptr<CheckedFileReader>> Open(std::string_view view,
                                                          uint32_t newest_version);
  absl::StatusOr<std::unique_ptr<CheckedFileWriter>> Create(std::string_view view,
                                                            uint32_t version);
  absl::Status Delete(std::string_view view);

  // Databases are in `<store>/views/<view>.local`.
  absl::StatusOr<std::unique_ptr<LocalStore>> OpenLocal(std::string_view view,
                                                        int64_t memory_bytes);
  absl::Status DeleteLocal(std::string_view view);

  // Removes what crashes have left, as far as it can. Before any file is created.
  void RemoveTemporary();

 private:
  absl::StatusOr<std::string> PathOf(std::string_view view, std::string_view suffix) const;
  absl::Status MakeDirectory();

  const std::shared_ptr<rocksdb::FileSystem> fs_;
  const std::string store_;
  const std::string directory_;
  const uint64_t keep_free_bytes_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_VIEW_FILES_H_
