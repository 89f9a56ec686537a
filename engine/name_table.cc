#include "engine/name_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "storage/base/coding.h"

namespace cookix::engine {
namespace {

constexpr size_t kPageNames = 512;
// Names are put together in blocks of this size, or larger ones for long names.
constexpr size_t kBlockBytes = 2048;

}  // namespace

struct NameTable::Page {
  // Each points to: collection and length of the key as varints, then the key.
  std::array<std::atomic<const char*>, kPageNames> names = {};
  size_t live = 0;
  std::vector<std::unique_ptr<char[]>> blocks;
  char* free = nullptr;
  size_t room = 0;
  int64_t bytes = static_cast<int64_t>(sizeof(Page));
};

struct NameTable::Directory {
  explicit Directory(size_t size) : pages(size) {}
  std::vector<std::atomic<Page*>> pages;
  int64_t bytes() const { return static_cast<int64_t>(sizeof(Directory) + pages.size() * 8); }
};

// What was unlinked while this was the newest generation. Whoever holds a generation
// may look at all that was unlinked from then on, so each holds the one after it.
struct NameTable::Generation {
  std::vector<std::unique_ptr<Page>> pages;
  std::vector<std::unique_ptr<Directory>> directories;
  std::shared_ptr<Generation> next;

  ~Generation() {
    // Not by recursion: there may be many. What the loop frees gives it its own next.
    thread_local std::vector<std::shared_ptr<Generation>>* freeing = nullptr;
    if (next == nullptr) return;
    if (freeing != nullptr) {
      freeing->push_back(std::move(next));
      return;
    }
    std::vector<std::shared_ptr<Generation>> queue;
    queue.push_back(std::move(next));
    freeing = &queue;
    while (!queue.empty()) {
      const std::shared_ptr<Generation> one = std::move(queue.back());
      queue.pop_back();
    }
    freeing = nullptr;
  }
};

bool NameTable::Reader::Find(Ordinal ordinal, Name* name) const {
  if (directory_ == nullptr) return false;
  const size_t at = ordinal / kPageNames;
  if (at >= directory_->pages.size()) return false;
  const Page* page = directory_->pages[at].load(std::memory_order_acquire);
  if (page == nullptr) return false;
  const char* entry = page->names[ordinal % kPageNames].load(std::memory_order_acquire);
  if (entry == nullptr) return false;
  auto varint = [&entry] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = static_cast<uint8_t>(*entry++);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  name->collection = static_cast<CollectionId>(varint());
  const size_t size = static_cast<size_t>(varint());
  name->key = {entry, size};
  return true;
}

NameTable::NameTable(int64_t max_bytes)
    : max_bytes_(max_bytes), generation_(std::make_shared<Generation>()) {}

NameTable::~NameTable() { Clear(); }

NameTable::Reader NameTable::Read(NamespaceId ns) const {
  Reader reader;
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = published_.find(ns);
  if (it == published_.end()) return reader;
  reader.directory_ = it->second;
  reader.pin_ = generation_;
  return reader;
}

void NameTable::Publish(NamespaceId ns, Directory* directory) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (directory == nullptr) {
    published_.erase(ns);
  } else {
    published_[ns] = directory;
  }
}

void NameTable::Retire(std::vector<std::unique_ptr<Page>> pages,
                       std::unique_ptr<Directory> directory) {
  std::shared_ptr<Generation> old;
  auto next = std::make_shared<Generation>();
  std::lock_guard<std::mutex> lock(mutex_);
  old = std::move(generation_);
  old->pages = std::move(pages);
  if (directory != nullptr) old->directories.push_back(std::move(directory));
  old->next = next;
  generation_ = std::move(next);
}

NameTable::Page* NameTable::PageFor(NamespaceId ns, Ordinal ordinal) {
  std::unique_ptr<Directory>& directory = directories_[ns];
  const size_t at = ordinal / kPageNames;
  if (directory == nullptr || at >= directory->pages.size()) {
    const size_t old_size = directory == nullptr ? 0 : directory->pages.size();
    const size_t size = std::max(at + 1, old_size * 2);
    if (bytes_ + static_cast<int64_t>(size * 8) > max_bytes_) return nullptr;
    auto grown = std::make_unique<Directory>(size);
    for (size_t i = 0; i < old_size; ++i) {
      grown->pages[i].store(directory->pages[i].load(std::memory_order_relaxed),
                            std::memory_order_relaxed);
    }
    bytes_ += grown->bytes() - (directory == nullptr ? 0 : directory->bytes());
    Publish(ns, grown.get());
    std::swap(directory, grown);
    if (grown != nullptr) Retire({}, std::move(grown));
  }
  Page* page = directory->pages[at].load(std::memory_order_relaxed);
  if (page == nullptr) {
    page = new Page;
    bytes_ += page->bytes;
    directory->pages[at].store(page, std::memory_order_release);
  }
  return page;
}

void NameTable::Put(NamespaceId ns, Ordinal ordinal, CollectionId collection,
                    std::string_view key) {
  if (bytes_ >= max_bytes_) return;
  Page* page = PageFor(ns, ordinal);
  if (page == nullptr) return;
  auto& place = page->names[ordinal % kPageNames];
  if (place.load(std::memory_order_relaxed) != nullptr) return;
  std::string head;
  PutVarint64(&head, collection);
  PutVarint64(&head, key.size());
  const size_t size = head.size() + key.size();
  if (size > page->room) {
    const size_t block = std::max(size, kBlockBytes);
    page->blocks.push_back(std::make_unique<char[]>(block));
    page->free = page->blocks.back().get();
    page->room = block;
    page->bytes += static_cast<int64_t>(block);
    bytes_ += static_cast<int64_t>(block);
  }
  memcpy(page->free, head.data(), head.size());
  memcpy(page->free + head.size(), key.data(), key.size());
  place.store(page->free, std::memory_order_release);
  page->free += size;
  page->room -= size;
  ++page->live;
  ++size_;
}

void NameTable::Remove(NamespaceId ns, Ordinal ordinal) {
  auto it = directories_.find(ns);
  if (it == directories_.end() || ordinal / kPageNames >= it->second->pages.size()) return;
  auto& at = it->second->pages[ordinal / kPageNames];
  Page* page = at.load(std::memory_order_relaxed);
  if (page == nullptr) return;
  auto& place = page->names[ordinal % kPageNames];
  if (place.load(std::memory_order_relaxed) == nullptr) return;
  place.store(nullptr, std::memory_order_release);
  --size_;
  if (--page->live > 0) return;
  at.store(nullptr, std::memory_order_release);
  bytes_ -= page->bytes;
  std::vector<std::unique_ptr<Page>> pages;
  pages.emplace_back(page);
  Retire(std::move(pages), nullptr);
}

void NameTable::RemoveNamespace(NamespaceId ns) {
  auto it = directories_.find(ns);
  if (it == directories_.end()) return;
  Publish(ns, nullptr);
  std::unique_ptr<Directory> directory = std::move(it->second);
  directories_.erase(it);
  std::vector<std::unique_ptr<Page>> pages;
  bytes_ -= directory->bytes();
  for (auto& at : directory->pages) {
    Page* page = at.load(std::memory_order_relaxed);
    if (page == nullptr) continue;
    bytes_ -= page->bytes;
    size_ -= static_cast<int64_t>(page->live);
    pages.emplace_back(page);
  }
  Retire(std::move(pages), std::move(directory));
}

void NameTable::Clear() {
  while (!directories_.empty()) RemoveNamespace(directories_.begin()->first);
}

}  // namespace cookix::engine
