// Ordered maps from values to the ordinals that have them.
//
// Made for the two extremes: few values with very many ordinals each, and very
// many values (every object its own) with one each. A value's ordinals are held
// in one word when there is one, in a sorted array up to kMaxListed, in a Roaring
// bitmap beyond. Values lie in blocks of up to 512, side by side, so that a range
// over half a million values reads memory in order:
//
//   blocks --> [ keys: k0 k1 k2 ... | postings: p0 p1 p2 ... ]
//          --> [ ...                                         ]
#ifndef COOKIX_ENGINE_VIEW_POSTING_MAP_H_
#define COOKIX_ENGINE_VIEW_POSTING_MAP_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/records.h"
#include "engine/view/ordinal_bitmap.h"

namespace cookix::engine {

// The ordinals of one value, in one word. Copies refer to the same memory; Free()
// releases it.
class Posting {
 public:
  static constexpr size_t kMaxListed = 128;

  explicit Posting(Ordinal ordinal) : word_(ordinal << 2 | kOne) {}

  void Add(Ordinal ordinal);
  // True when none is left; then nothing is to be freed.
  bool Remove(Ordinal ordinal);
  void Free();

  void AddTo(OrdinalCollector* collector) const;
  OrdinalBitmap ToBitmap() const;
  int64_t MemoryBytes() const;

 private:
  // The low bits of the word; the rest is an ordinal or a pointer.
  enum : uint64_t { kOne = 0, kList = 1, kBitmap = 2, kTagMask = 3 };
  using List = std::vector<Ordinal>;

  uint64_t tag() const { return word_ & kTagMask; }
  Ordinal one() const { return word_ >> 2; }
  List* list() const { return reinterpret_cast<List*>(word_ & ~kTagMask); }
  OrdinalBitmap* bitmap() const { return reinterpret_cast<OrdinalBitmap*>(word_ & ~kTagMask); }
  void Set(List* list) { word_ = reinterpret_cast<uint64_t>(list) | kList; }
  void Set(OrdinalBitmap* bitmap) { word_ = reinterpret_cast<uint64_t>(bitmap) | kBitmap; }

  uint64_t word_;
};
static_assert(sizeof(Posting) == 8);

// Keys of a fixed size.
template <typename K>
class FixedKeys {
 public:
  using Key = K;
  size_t size() const { return keys_.size(); }
  const K& Get(size_t i) const { return keys_[i]; }
  void Insert(size_t i, const K& key) {
    keys_.insert(keys_.begin() + static_cast<ptrdiff_t>(i), key);
  }
  void Erase(size_t i) { keys_.erase(keys_.begin() + static_cast<ptrdiff_t>(i)); }
  // Moves the keys from `i` on into `tail`, which is empty.
  void Split(size_t i, FixedKeys* tail) {
    tail->keys_.assign(keys_.begin() + static_cast<ptrdiff_t>(i), keys_.end());
    keys_.resize(i);
  }
  int64_t MemoryBytes() const { return static_cast<int64_t>(keys_.capacity() * sizeof(K)); }

 private:
  std::vector<K> keys_;
};

// Text, one after the other.
class TextKeys {
 public:
  using Key = std::string_view;
  size_t size() const { return ends_.size(); }
  std::string_view Get(size_t i) const {
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_.data() + begin, ends_[i] - begin);
  }
  void Insert(size_t i, std::string_view key) {
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    bytes_.insert(begin, key);
    ends_.insert(ends_.begin() + static_cast<ptrdiff_t>(i), begin);
    for (size_t j = i; j < ends_.size(); ++j) ends_[j] += static_cast<uint32_t>(key.size());
  }
  void Erase(size_t i) {
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    const uint32_t size = ends_[i] - begin;
    bytes_.erase(begin, size);
    ends_.erase(ends_.begin() + static_cast<ptrdiff_t>(i));
    for (size_t j = i; j < ends_.size(); ++j) ends_[j] -= size;
  }
  void Split(size_t i, TextKeys* tail) {
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    tail->bytes_.assign(bytes_, begin);
    for (size_t j = i; j < ends_.size(); ++j) tail->ends_.push_back(ends_[j] - begin);
    bytes_.resize(begin);
    bytes_.shrink_to_fit();
    ends_.resize(i);
  }
  int64_t MemoryBytes() const {
    return static_cast<int64_t>(bytes_.capacity() + ends_.capacity() * sizeof(uint32_t));
  }

 private:
  std::vector<uint32_t> ends_;
  std::string bytes_;
};

template <typename Keys>
class PostingMap {
 public:
  using Key = typename Keys::Key;

  // A place between two values; the place before the first of `block` is
  // {block, 0}.
  struct Cursor {
    size_t block = 0;
    size_t at = 0;
    bool operator==(const Cursor&) const = default;
  };

  PostingMap() = default;
  ~PostingMap() {
    for (auto& block : blocks_) {
      for (Posting& posting : block->postings) posting.Free();
    }
  }
  PostingMap(const PostingMap&) = delete;
  PostingMap& operator=(const PostingMap&) = delete;

  size_t size() const { return size_; }

  void Add(const Key& key, Ordinal ordinal) {
    Cursor cursor = LowerBound(key);
    if (Posting* found = At(cursor, key)) {
      found->Add(ordinal);
      return;
    }
    ++size_;
    // A new value goes to the end of the block before rather than to the
    // beginning of the next: values that come in order then fill their blocks.
    if (cursor.at == 0 && cursor.block > 0) {
      --cursor.block;
      cursor.at = blocks_[cursor.block]->keys.size();
    }
    if (blocks_.empty()) blocks_.push_back(std::make_unique<Block>());
    if (blocks_[cursor.block]->keys.size() >= kBlockValues) {
      Block& full = *blocks_[cursor.block];
      auto tail = std::make_unique<Block>();
      const bool at_end = cursor.at == full.keys.size() && cursor.block + 1 == blocks_.size();
      const size_t half = at_end ? full.keys.size() : full.keys.size() / 2;
      if (!at_end) {
        full.keys.Split(half, &tail->keys);
        tail->postings.assign(full.postings.begin() + static_cast<ptrdiff_t>(half),
                              full.postings.end());
        full.postings.resize(half, Posting(0));
      }
      blocks_.insert(blocks_.begin() + static_cast<ptrdiff_t>(cursor.block) + 1, std::move(tail));
      if (cursor.at > half || at_end) {
        ++cursor.block;
        cursor.at -= half;
      }
    }
    Block& block = *blocks_[cursor.block];
    block.keys.Insert(cursor.at, key);
    block.postings.insert(block.postings.begin() + static_cast<ptrdiff_t>(cursor.at),
                          Posting(ordinal));
  }

  // Does nothing when the value does not have the ordinal.
  void Remove(const Key& key, Ordinal ordinal) {
    const Cursor cursor = LowerBound(key);
    Posting* found = At(cursor, key);
    if (found == nullptr || !found->Remove(ordinal)) return;
    --size_;
    Block& block = *blocks_[cursor.block];
    block.keys.Erase(cursor.at);
    block.postings.erase(block.postings.begin() + static_cast<ptrdiff_t>(cursor.at));
    if (block.postings.empty()) {
      blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(cursor.block));
    }
  }

  // Null when no object has the value.
  const Posting* Find(const Key& key) const {
    return const_cast<PostingMap*>(this)->At(LowerBound(key), key);
  }

  Cursor Begin() const { return {0, 0}; }
  Cursor End() const { return {blocks_.size(), 0}; }
  // The place before the first value that is not less than `key`.
  Cursor LowerBound(const Key& key) const {
    return Bound([&key](const Key& value) { return value < key; });
  }
  // The place before the first value that is greater than `key`.
  Cursor UpperBound(const Key& key) const {
    return Bound([&key](const Key& value) { return !(key < value); });
  }

  // Values between two places.
  size_t Count(Cursor from, Cursor to) const {
    if (!Before(from, to)) return 0;
    size_t count = 0;
    for (size_t b = from.block; b < to.block; ++b) count += blocks_[b]->keys.size();
    return count + to.at - from.at;
  }

  // Collects the ordinals of all values between two places.
  void Collect(Cursor from, Cursor to, OrdinalCollector* collector) const {
    if (!Before(from, to)) return;
    for (size_t b = from.block; b < blocks_.size() && b <= to.block; ++b) {
      const std::vector<Posting>& postings = blocks_[b]->postings;
      const size_t end = b == to.block ? to.at : postings.size();
      for (size_t i = b == from.block ? from.at : 0; i < end; ++i) postings[i].AddTo(collector);
    }
  }

  int64_t MemoryBytes() const {
    int64_t bytes = static_cast<int64_t>(blocks_.capacity() * sizeof(blocks_[0]));
    for (const auto& block : blocks_) {
      bytes += static_cast<int64_t>(sizeof(Block) + block->postings.capacity() * sizeof(Posting)) +
               block->keys.MemoryBytes();
      for (const Posting& posting : block->postings) bytes += posting.MemoryBytes();
    }
    return bytes;
  }

 private:
  static constexpr size_t kBlockValues = 512;

  struct Block {
    Keys keys;
    std::vector<Posting> postings;
  };

  static bool Before(Cursor a, Cursor b) {
    return a.block < b.block || (a.block == b.block && a.at < b.at);
  }

  // The posting at `cursor` when it is that of `key`, else null.
  Posting* At(Cursor cursor, const Key& key) {
    if (cursor.block >= blocks_.size()) return nullptr;
    Block& block = *blocks_[cursor.block];
    if (cursor.at >= block.keys.size() || block.keys.Get(cursor.at) != key) return nullptr;
    return &block.postings[cursor.at];
  }

  // The place after the last value for which `before` holds.
  template <typename F>
  Cursor Bound(F&& before) const {
    // The last block whose first value is before, and the place in it.
    size_t low = 0;
    size_t high = blocks_.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      if (before(blocks_[middle]->keys.Get(0))) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == 0) return {0, 0};
    const Keys& keys = blocks_[low - 1]->keys;
    size_t first = 0;
    size_t last = keys.size();
    while (first < last) {
      const size_t middle = (first + last) / 2;
      if (before(keys.Get(middle))) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    if (first == keys.size()) return {low, 0};
    return {low - 1, first};
  }

  // No block is empty.
  std::vector<std::unique_ptr<Block>> blocks_;
  size_t size_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_POSTING_MAP_H_
