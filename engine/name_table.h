// Names of ordinals in memory, so that answers need not read a record to name an
// object.
//
// An ordinal keeps its collection and key for ever and is never given to another
// object, so a name that is here is right at every commit: no reader has to wait
// for the table, and what is missing is read from the store.
//
// Memory: 8 bytes for each ordinal, its key, and 2 or 3 bytes more.
#ifndef COOKIX_ENGINE_NAME_TABLE_H_
#define COOKIX_ENGINE_NAME_TABLE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/records.h"

namespace cookix::engine {

class NameTable {
  struct Page;
  struct Directory;
  struct Generation;

 public:
  struct Name {
    CollectionId collection = 0;
    // Valid as long as the Reader.
    std::string_view key;
  };

  // The names of one namespace. Cheap to copy; keeps memory from being freed, so hold
  // it for a query. Thread-safe, and may outlive the table.
  class Reader {
   public:
    // Knows nothing.
    Reader() = default;
    // False when the name is not known.
    bool Find(Ordinal ordinal, Name* name) const;

   private:
    friend class NameTable;
    const Directory* directory_ = nullptr;
    std::shared_ptr<const Generation> pin_;
  };

  // Names beyond `max_bytes` are not kept.
  explicit NameTable(int64_t max_bytes);
  ~NameTable();
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;

  // Thread-safe, beside the changes too.
  Reader Read(NamespaceId ns) const;
  int64_t MemoryBytes() const { return bytes_.load(std::memory_order_relaxed); }
  int64_t size() const { return size_.load(std::memory_order_relaxed); }

  // Changes come from one thread at a time. Put() leaves a name that is there.
  void Put(NamespaceId ns, Ordinal ordinal, CollectionId collection, std::string_view key);
  void Remove(NamespaceId ns, Ordinal ordinal);
  void RemoveNamespace(NamespaceId ns);
  void Clear();

 private:
  Page* PageFor(NamespaceId ns, Ordinal ordinal);
  void Publish(NamespaceId ns, Directory* directory);
  void Retire(std::vector<std::unique_ptr<Page>> pages, std::unique_ptr<Directory> directory);

  const int64_t max_bytes_;
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> size_{0};
  // Of the changing thread; the pages of a directory belong to it.
  std::map<NamespaceId, std::unique_ptr<Directory>> directories_;
  mutable std::mutex mutex_;
  // What readers start from; guarded by mutex_.
  std::map<NamespaceId, const Directory*> published_;
  std::shared_ptr<Generation> generation_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_NAME_TABLE_H_
