#include "engine/graph/adjacency_view.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <limits>
#include <new>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/graph/slab_allocator.h"
#include "engine/records.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr size_t kPageBits = 12;
constexpr size_t kPageNodes = size_t{1} << kPageBits;
// More arcs make a node a hub, fewer than the second make it plain again.
constexpr size_t kHubArcs = 512;
constexpr size_t kPlainArcs = 256;
constexpr size_t kChunkArcs = 1024;
// Chunks are made this full, and joined up to it when one gets small.
constexpr size_t kChunkFill = 768;
constexpr size_t kChunkSmall = 256;
constexpr size_t kSlots = 512;
constexpr uint64_t kNobody = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kKeyMask = (uint64_t{1} << (kOrdinalBits + kRelationBits)) - 1;
constexpr Ordinal kOrdinalEnd = Ordinal{1} << kOrdinalBits;

// Relation and other end: what arcs are sorted by, before the discriminator.
uint64_t KeyOf(const Arc& arc) { return arc.packed & kKeyMask; }

// Sorted arcs of a hub. The arcs follow, then the discriminators of those that
// have one, in their order: a length of 32 bits and the bytes.
struct Chunk {
  uint32_t count;
  uint32_t tail_bytes;

  Arc* arcs() { return reinterpret_cast<Arc*>(this + 1); }
  const Arc* arcs() const { return reinterpret_cast<const Arc*>(this + 1); }
};
static_assert(sizeof(Chunk) % alignof(Arc) == 0);

// All arcs of a node in one direction as of a commit. Arcs and discriminators
// follow as in Chunk; in a hub, the number of chunks and pointers to them.
struct Block {
  static constexpr uint32_t kHub = ~uint32_t{0};

  uint64_t commit = 0;
  // What it replaced; null when that was cut off.
  std::atomic<Block*> prev{nullptr};
  uint32_t count = 0;
  uint32_t tail_bytes = 0;

  bool hub() const { return tail_bytes == kHub; }
  Arc* arcs() { return reinterpret_cast<Arc*>(this + 1); }
  const Arc* arcs() const { return reinterpret_cast<const Arc*>(this + 1); }
  uint64_t* chunk_count() { return reinterpret_cast<uint64_t*>(this + 1); }
  const uint64_t* chunk_count() const { return reinterpret_cast<const uint64_t*>(this + 1); }
  Chunk** chunk_array() { return reinterpret_cast<Chunk**>(chunk_count() + 1); }
  std::span<Chunk*> chunks() { return {chunk_array(), static_cast<size_t>(*chunk_count())}; }
};
static_assert(sizeof(Block) == 24);

// Stands for no arcs ever since the object is there. Never freed.
constinit Block kEmpty;

// Null: not resident.
struct Node {
  std::atomic<Block*> ends[2];  // outgoing, incoming
};
static_assert(sizeof(Node) == 16);

struct Page {
  // Read since the clock's hand passed.
  std::atomic<bool> touched{false};
  Node nodes[kPageNodes] = {};
};

struct Directory {
  size_t size;
  std::atomic<Page*>* pages() { return reinterpret_cast<std::atomic<Page*>*>(this + 1); }
};

struct Table {
  std::atomic<Directory*> directory{nullptr};
  // Larger ordinals were never seen. Used by the applying thread.
  Ordinal highest = 0;
};

// What readers start from.
struct State {
  uint64_t base = 0;                                   // the bootstrap's commit
  std::vector<std::pair<NamespaceId, Table*>> tables;  // sorted

  Table* Find(NamespaceId ns) const {
    auto it = std::lower_bound(tables.begin(), tables.end(), ns,
                               [](const auto& entry, NamespaceId id) { return entry.first < id; });
    return it != tables.end() && it->first == ns ? it->second : nullptr;
  }
};

struct alignas(64) Slot {
  std::atomic<uint64_t> epoch{0};  // 0 = free
};

struct Entry {
  Arc arc;
  std::string_view discriminator;
};

// One change of one node.
struct Edit {
  NamespaceId ns;
  bool in;
  bool erase;
  uint32_t sequence;
  Ordinal near;
  Arc arc;
  std::string_view discriminator;
};

bool SameNode(const Edit& a, const Edit& b) {
  return a.ns == b.ns && a.near == b.near && a.in == b.in;
}

template <typename A, typename B>
int Compare(const A& a, const B& b) {
  if (KeyOf(a.arc) != KeyOf(b.arc)) return KeyOf(a.arc) < KeyOf(b.arc) ? -1 : 1;
  return a.discriminator.compare(b.discriminator);
}

void AppendEntries(const Arc* arcs, size_t count, std::vector<Entry>* out) {
  const char* tail = reinterpret_cast<const char*>(arcs + count);
  for (size_t i = 0; i < count; ++i) {
    std::string_view discriminator;
    if (arcs[i].has_discriminator()) {
      uint32_t size;
      memcpy(&size, tail, sizeof(size));
      discriminator = {tail + sizeof(size), size};
      tail += sizeof(size) + size;
    }
    out->push_back({arcs[i], discriminator});
  }
}

Entry FirstEntry(const Chunk* chunk) {
  Entry entry{chunk->arcs()[0], {}};
  if (entry.arc.has_discriminator()) {
    const char* tail = reinterpret_cast<const char*>(chunk->arcs() + chunk->count);
    uint32_t size;
    memcpy(&size, tail, sizeof(size));
    entry.discriminator = {tail + sizeof(size), size};
  }
  return entry;
}

size_t TailBytes(std::span<const Entry> entries) {
  size_t bytes = 0;
  for (const Entry& entry : entries) {
    if (entry.arc.has_discriminator()) bytes += sizeof(uint32_t) + entry.discriminator.size();
  }
  return bytes;
}

void WriteEntries(std::span<const Entry> entries, Arc* arcs) {
  char* tail = reinterpret_cast<char*>(arcs + entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    new (&arcs[i]) Arc(entries[i].arc);
    if (!entries[i].arc.has_discriminator()) continue;
    const uint32_t size = static_cast<uint32_t>(entries[i].discriminator.size());
    memcpy(tail, &size, sizeof(size));
    memcpy(tail + sizeof(size), entries[i].discriminator.data(), size);
    tail += sizeof(size) + size;
  }
}

// Adds `old` with `edits` made to it; both are sorted, edits of one arc by their
// order, of which the last counts. False when nothing is different.
bool Merge(std::span<const Entry> old, std::span<const Edit> edits, std::vector<Entry>* out) {
  bool changed = false;
  size_t at = 0;
  for (size_t i = 0; i < edits.size(); ++i) {
    if (i + 1 < edits.size() && Compare(edits[i], edits[i + 1]) == 0) continue;
    const Edit& edit = edits[i];
    while (at < old.size() && Compare(old[at], edit) < 0) out->push_back(old[at++]);
    const bool found = at < old.size() && Compare(old[at], edit) == 0;
    if (edit.erase) {
      changed |= found;
    } else {
      changed |= !found || memcmp(&old[at].arc, &edit.arc, sizeof(Arc)) != 0;
      out->push_back({edit.arc, edit.discriminator});
    }
    if (found) ++at;
  }
  out->insert(out->end(), old.begin() + static_cast<std::ptrdiff_t>(at), old.end());
  return changed;
}

}  // namespace

struct AdjacencyView::Impl {
  class Reader;

  enum class Kind : uint8_t { kMemory, kNode, kPage, kTable, kState };

  // Something that readers may still look at.
  struct Retired {
    Kind kind;
    uint64_t epoch;
    void* what;
    // The block that leads to it, for blocks that older readers follow.
    Block* owner;
    int64_t bytes;
  };

  explicit Impl(AdjacencyOptions given) : options(given) {}

  // Memory. Sizes are what is allocated, without rounding.

  static int64_t BytesOf(const Block* block) {
    const size_t content = block->hub() ? sizeof(uint64_t) + *block->chunk_count() * sizeof(Chunk*)
                                        : block->count * sizeof(Arc) + block->tail_bytes;
    return static_cast<int64_t>(sizeof(Block) + content);
  }
  static int64_t BytesOf(const Chunk* chunk) {
    return static_cast<int64_t>(sizeof(Chunk) + chunk->count * sizeof(Arc) + chunk->tail_bytes);
  }
  static int64_t BytesOf(const Directory* directory) {
    return static_cast<int64_t>(sizeof(Directory) + directory->size * sizeof(std::atomic<Page*>));
  }
  static constexpr int64_t kPageBytes = static_cast<int64_t>(sizeof(Page));

  void* Allocate(size_t bytes) { return slabs.Allocate(bytes); }
  void Free(void* what, int64_t bytes) { slabs.Free(what, static_cast<size_t>(bytes)); }
  void FreeBlock(Block* block) {
    if (block == nullptr || block == &kEmpty) return;
    if (block->hub()) {
      for (Chunk* chunk : block->chunks()) Free(chunk, BytesOf(chunk));
    }
    Free(block, BytesOf(block));
  }
  static int64_t SizeOfBlock(Block* block) {
    if (block == nullptr || block == &kEmpty) return 0;
    int64_t bytes = BytesOf(block);
    if (block->hub()) {
      for (Chunk* chunk : block->chunks()) bytes += BytesOf(chunk);
    }
    return bytes;
  }
  Page* NewPage() {
    Page* page = new (Allocate(sizeof(Page))) Page;
    pages.fetch_add(1, std::memory_order_relaxed);
    return page;
  }
  void FreePage(Page* page) {
    for (Node& node : page->nodes) {
      for (auto& end : node.ends) FreeBlock(end.load(std::memory_order_relaxed));
    }
    Free(page, kPageBytes);
  }
  static int64_t SizeOfPage(Page* page) {
    int64_t bytes = kPageBytes;
    for (Node& node : page->nodes) {
      for (auto& end : node.ends) bytes += SizeOfBlock(end.load(std::memory_order_relaxed));
    }
    return bytes;
  }
  static std::span<std::atomic<Page*>> PagesOf(const Table& table) {
    Directory* directory = table.directory.load(std::memory_order_relaxed);
    if (directory == nullptr) return {};
    return {directory->pages(), directory->size};
  }
  void FreeTable(Table* table) {
    for (auto& page : PagesOf(*table)) {
      if (Page* there = page.load(std::memory_order_relaxed)) FreePage(there);
    }
    if (Directory* directory = table->directory.load(std::memory_order_relaxed)) {
      Free(directory, BytesOf(directory));
    }
    delete table;
  }
  static int64_t SizeOfTable(Table* table) {
    int64_t bytes = 0;
    for (auto& page : PagesOf(*table)) {
      if (Page* there = page.load(std::memory_order_relaxed)) bytes += SizeOfPage(there);
    }
    if (Directory* directory = table->directory.load(std::memory_order_relaxed)) {
      bytes += BytesOf(directory);
    }
    return bytes;
  }

  // Blocks.

  Chunk* NewChunk(std::span<const Entry> entries) {
    const size_t tail = TailBytes(entries);
    void* memory = Allocate(sizeof(Chunk) + entries.size() * sizeof(Arc) + tail);
    Chunk* chunk =
        new (memory) Chunk{static_cast<uint32_t>(entries.size()), static_cast<uint32_t>(tail)};
    WriteEntries(entries, chunk->arcs());
    return chunk;
  }
  void AppendChunks(std::span<const Entry> entries, std::vector<Chunk*>* out) {
    const size_t pieces = (entries.size() + kChunkFill - 1) / kChunkFill;
    for (size_t i = 0; i < pieces; ++i) {
      const size_t from = entries.size() * i / pieces;
      out->push_back(NewChunk(entries.subspan(from, entries.size() * (i + 1) / pieces - from)));
    }
  }
  Block* NewHub(const std::vector<Chunk*>& chunks, uint64_t commit) {
    void* memory = Allocate(sizeof(Block) + sizeof(uint64_t) + chunks.size() * sizeof(Chunk*));
    Block* block = new (memory) Block;
    block->commit = commit;
    block->tail_bytes = Block::kHub;
    new (block->chunk_count()) uint64_t{chunks.size()};
    for (size_t i = 0; i < chunks.size(); ++i) {
      new (block->chunk_array() + i) Chunk*(chunks[i]);
      block->count += chunks[i]->count;
    }
    return block;
  }
  Block* NewBlock(std::span<const Entry> entries, uint64_t commit) {
    const size_t tail = TailBytes(entries);
    if (entries.size() > kHubArcs) {
      std::vector<Chunk*> chunks;
      AppendChunks(entries, &chunks);
      return NewHub(chunks, commit);
    }
    void* memory = Allocate(sizeof(Block) + entries.size() * sizeof(Arc) + tail);
    Block* block = new (memory) Block;
    block->commit = commit;
    block->count = static_cast<uint32_t>(entries.size());
    block->tail_bytes = static_cast<uint32_t>(tail);
    WriteEntries(entries, block->arcs());
    return block;
  }

  // `old` after `edits`, or `old` itself when nothing is different. Adds the
  // chunks that only `old` and what was before it use to `replaced`.
  Block* Changed(Block* old, std::span<const Edit> edits, uint64_t commit,
                 std::vector<Chunk*>* replaced) {
    merged.clear();
    if (!old->hub()) {
      old_entries.clear();
      AppendEntries(old->arcs(), old->count, &old_entries);
      return Merge(old_entries, edits, &merged) ? NewBlock(merged, commit) : old;
    }
    const std::span<Chunk*> chunks = old->chunks();
    std::vector<Chunk*> result;
    // The first of these in `result` are the old block's own.
    std::vector<bool> made;
    bool changed = false;
    size_t next_chunk = 0;
    for (size_t i = 0; i < edits.size();) {
      // The last chunk that does not begin after the edit.
      auto after =
          std::upper_bound(chunks.begin() + static_cast<std::ptrdiff_t>(next_chunk), chunks.end(),
                           edits[i], [](const Edit& edit, const Chunk* chunk) {
                             return Compare(edit, FirstEntry(chunk)) < 0;
                           });
      size_t at = static_cast<size_t>(after - chunks.begin());
      if (at > next_chunk) --at;
      size_t end = i + 1;
      while (end < edits.size() &&
             (at + 1 == chunks.size() || Compare(edits[end], FirstEntry(chunks[at + 1])) < 0)) {
        ++end;
      }
      for (; next_chunk < at; ++next_chunk) {
        result.push_back(chunks[next_chunk]);
        made.push_back(false);
      }
      old_entries.clear();
      merged.clear();
      AppendEntries(chunks[at]->arcs(), chunks[at]->count, &old_entries);
      if (Merge(old_entries, edits.subspan(i, end - i), &merged)) {
        changed = true;
        replaced->push_back(chunks[at]);
        Chunk* joined = nullptr;
        if (merged.size() < kChunkSmall && !result.empty() &&
            result.back()->count + merged.size() <= kChunkFill) {
          joined = result.back();
          old_entries.clear();
          AppendEntries(joined->arcs(), joined->count, &old_entries);
          merged.insert(merged.begin(), old_entries.begin(), old_entries.end());
        }
        const size_t before = result.size();
        if (merged.size() <= kChunkArcs) {
          if (!merged.empty()) result.push_back(NewChunk(merged));
        } else {
          AppendChunks(merged, &result);
        }
        made.resize(result.size(), true);
        if (joined != nullptr) {
          if (made[before - 1]) {
            Free(joined, BytesOf(joined));
          } else {
            replaced->push_back(joined);
          }
          result.erase(result.begin() + static_cast<std::ptrdiff_t>(before) - 1);
          made.erase(made.begin() + static_cast<std::ptrdiff_t>(before) - 1);
        }
      } else {
        result.push_back(chunks[at]);
        made.push_back(false);
      }
      next_chunk = at + 1;
      i = end;
    }
    if (!changed) return old;
    for (; next_chunk < chunks.size(); ++next_chunk) {
      result.push_back(chunks[next_chunk]);
      made.push_back(false);
    }
    size_t count = 0;
    for (const Chunk* chunk : result) count += chunk->count;
    if (count > kPlainArcs) return NewHub(result, commit);
    old_entries.clear();
    for (const Chunk* chunk : result) AppendEntries(chunk->arcs(), chunk->count, &old_entries);
    Block* block = NewBlock(old_entries, commit);
    for (size_t i = 0; i < result.size(); ++i) {
      if (made[i]) {
        Free(result[i], BytesOf(result[i]));
      } else {
        replaced->push_back(result[i]);
      }
    }
    return block;
  }

  // Readers and what they hold.
  //
  // A reader claims a slot with the epoch it read, and reads the epoch again until
  // it is the same. The applying thread unlinks, raises the epoch and then looks at
  // the slots. All of these are sequentially consistent: so either it sees the
  // reader's slot, or the reader sees the raised epoch and with it the unlinking.

  Slot* Pin() {
    uint64_t now = epoch.load();
    for (size_t i = 0; i < kSlots; ++i) {
      uint64_t free = 0;
      if (slots[i].epoch.load(std::memory_order_relaxed) != 0 ||
          !slots[i].epoch.compare_exchange_strong(free, now)) {
        continue;
      }
      size_t used = slots_used.load();
      while (used <= i && !slots_used.compare_exchange_weak(used, i + 1)) {
      }
      for (uint64_t again = epoch.load(); again != now; again = epoch.load()) {
        now = again;
        slots[i].epoch.store(now);
      }
      return &slots[i];
    }
    return nullptr;
  }
  // The oldest epoch that a reader holds.
  uint64_t OldestPinned() const {
    uint64_t oldest = kNobody;
    const size_t used = slots_used.load();
    for (size_t i = 0; i < used; ++i) {
      const uint64_t held = slots[i].epoch.load();
      if (held != 0) oldest = std::min(oldest, held);
    }
    return oldest;
  }
  void AddDead(int64_t bytes) { dead.fetch_add(bytes, std::memory_order_relaxed); }

  // To be freed when nobody looks at it; nothing leads to it any more.
  void Retire(Kind kind, void* what, int64_t bytes) {
    AddDead(bytes);
    retired.push_back({kind, epoch.load(std::memory_order_relaxed), what, nullptr, bytes});
  }
  // The same for what `owner` leads to (null: what only the one before it uses).
  void RetireLater(void* what, int64_t bytes, Block* owner) {
    AddDead(bytes);
    followed.push_back({Kind::kMemory, epoch.load(std::memory_order_relaxed), what, owner, bytes});
  }
  void Replace(std::atomic<Block*>& end, Block* block, const std::vector<Chunk*>& replaced,
               bool readers) {
    Block* old = end.load(std::memory_order_relaxed);
    if (old == &kEmpty || readers) block->prev.store(old, std::memory_order_relaxed);
    end.store(block, std::memory_order_release);
    if (old == &kEmpty) return;
    if (readers) {
      RetireLater(old, BytesOf(old), block);
      for (Chunk* chunk : replaced) RetireLater(chunk, BytesOf(chunk), nullptr);
    } else {
      Retire(Kind::kMemory, old, BytesOf(old));
      for (Chunk* chunk : replaced) Retire(Kind::kMemory, chunk, BytesOf(chunk));
    }
  }
  void Unlink(std::atomic<Block*>& end) {
    Block* old = end.load(std::memory_order_relaxed);
    if (old == nullptr) return;
    end.store(nullptr, std::memory_order_release);
    if (old != &kEmpty) Retire(Kind::kNode, old, SizeOfBlock(old));
  }
  void Reclaim() {
    epoch.fetch_add(1);
    if (followed.empty() && retired.empty()) return;
    uint64_t oldest = OldestPinned();
    if (!followed.empty() && followed.front().epoch < oldest) {
      const uint64_t now = epoch.load(std::memory_order_relaxed);
      while (!followed.empty() && followed.front().epoch < oldest) {
        Retired one = followed.front();
        followed.pop_front();
        if (one.owner != nullptr) one.owner->prev.store(nullptr, std::memory_order_release);
        one.epoch = now;
        retired.push_back(one);
      }
      epoch.fetch_add(1);
      oldest = OldestPinned();
    }
    // A block that is still followed will be cut from its owner: the owner stays.
    if (!followed.empty()) oldest = std::min(oldest, followed.front().epoch);
    while (!retired.empty() && retired.front().epoch < oldest) {
      const Retired one = retired.front();
      retired.pop_front();
      AddDead(-one.bytes);
      switch (one.kind) {
        case Kind::kMemory:
          Free(one.what, one.bytes);
          break;
        case Kind::kNode:
          FreeBlock(static_cast<Block*>(one.what));
          break;
        case Kind::kPage:
          FreePage(static_cast<Page*>(one.what));
          break;
        case Kind::kTable:
          FreeTable(static_cast<Table*>(one.what));
          break;
        case Kind::kState:
          delete static_cast<State*>(one.what);
          break;
      }
    }
  }

  // Tables.

  void Publish(State* next) {
    State* old = state.load(std::memory_order_relaxed);
    state.store(next, std::memory_order_release);
    if (old != nullptr) Retire(Kind::kState, old, 0);
  }
  Table* AddTable(NamespaceId ns) {
    auto* next = new State(*state.load(std::memory_order_relaxed));
    Table* table = new Table;
    next->tables.emplace_back(ns, table);
    std::sort(next->tables.begin(), next->tables.end());
    Publish(next);
    return table;
  }
  void RetireTable(Table* table) {
    int64_t there = 0;
    for (auto& page : PagesOf(*table)) there += page.load(std::memory_order_relaxed) != nullptr;
    pages.fetch_sub(there, std::memory_order_relaxed);
    Retire(Kind::kTable, table, SizeOfTable(table));
  }
  void DropTable(NamespaceId ns) {
    const State* now = state.load(std::memory_order_relaxed);
    Table* table = now->Find(ns);
    if (table == nullptr) return;
    auto* next = new State(*now);
    std::erase_if(next->tables, [ns](const auto& entry) { return entry.first == ns; });
    Publish(next);
    RetireTable(table);
  }
  static Node* FindNode(const Table& table, Ordinal ordinal) {
    const std::span<std::atomic<Page*>> all = PagesOf(table);
    const size_t at = ordinal >> kPageBits;
    if (at >= all.size()) return nullptr;
    Page* page = all[at].load(std::memory_order_relaxed);
    return page == nullptr ? nullptr : &page->nodes[ordinal & (kPageNodes - 1)];
  }
  // The page's place in the directory; null when the directory would be larger than
  // the bound.
  std::atomic<Page*>* PlaceOf(Table& table, size_t at) {
    Directory* old = table.directory.load(std::memory_order_relaxed);
    if (old == nullptr || at >= old->size) {
      const size_t size = std::max<size_t>({16, at + 1, old == nullptr ? 0 : old->size * 2});
      const size_t bytes = sizeof(Directory) + size * sizeof(std::atomic<Page*>);
      if (static_cast<int64_t>(bytes) > options.max_bytes) return nullptr;
      auto* grown = new (Allocate(bytes)) Directory{size};
      for (size_t i = 0; i < size; ++i) {
        Page* page = old == nullptr || i >= old->size
                         ? nullptr
                         : old->pages()[i].load(std::memory_order_relaxed);
        new (&grown->pages()[i]) std::atomic<Page*>(page);
      }
      table.directory.store(grown, std::memory_order_release);
      if (old != nullptr) Retire(Kind::kMemory, old, BytesOf(old));
      return &grown->pages()[at];
    }
    return &old->pages()[at];
  }
  // What is allocated, with what waits for readers.
  int64_t Total() const { return slabs.used(); }
  int64_t Live() const { return Total() - dead.load(std::memory_order_relaxed); }
  bool Crowded() const { return Total() > options.max_bytes + options.max_bytes / 4; }
  // Evicts pages that were not read since the clock's hand passed them last.
  void Evict() {
    if (Live() <= options.max_bytes) return;
    const State& now = *state.load(std::memory_order_relaxed);
    for (int unproductive = 0; unproductive < 3 && Live() > options.max_bytes;) {
      if (hand_table >= now.tables.size()) {
        hand_table = 0;
        hand_page = 0;
        ++unproductive;
        if (now.tables.empty()) return;
      }
      const std::span<std::atomic<Page*>> all = PagesOf(*now.tables[hand_table].second);
      for (; hand_page < all.size() && Live() > options.max_bytes; ++hand_page) {
        Page* page = all[hand_page].load(std::memory_order_relaxed);
        if (page == nullptr) continue;
        if (page->touched.exchange(false, std::memory_order_relaxed)) continue;
        all[hand_page].store(nullptr, std::memory_order_release);
        Retire(Kind::kPage, page, SizeOfPage(page));
        pages.fetch_sub(1, std::memory_order_relaxed);
        evicted.fetch_add(1, std::memory_order_relaxed);
      }
      if (hand_page >= all.size()) {
        ++hand_table;
        hand_page = 0;
      }
    }
  }

  // Applying.

  void Create(NamespaceId ns, Ordinal ordinal, uint64_t commit) {
    Table* table = state.load(std::memory_order_relaxed)->Find(ns);
    if (table == nullptr) table = AddTable(ns);
    const bool never_seen = ordinal > table->highest;
    table->highest = std::max(table->highest, ordinal);
    if (Crowded()) return;
    std::atomic<Page*>* place = PlaceOf(*table, ordinal >> kPageBits);
    if (place == nullptr) return;
    Page* page = place->load(std::memory_order_relaxed);
    if (page == nullptr) {
      page = NewPage();
      page->touched.store(true, std::memory_order_relaxed);
      place->store(page, std::memory_order_release);
    }
    for (auto& end : page->nodes[ordinal & (kPageNodes - 1)].ends) {
      if (end.load(std::memory_order_relaxed) != nullptr) continue;
      end.store(never_seen ? &kEmpty : NewBlock({}, commit), std::memory_order_release);
    }
  }

  absl::Status Apply(const AppliedCommit& commit) {
    if (state.load(std::memory_order_relaxed) == nullptr) {
      return absl::FailedPreconditionError("the adjacency view is not built");
    }
    const bool readers = OldestPinned() != kNobody;
    node_edits.clear();
    gone.clear();
    for (const auto& event : commit.change.events()) {
      if (event.has_object()) {
        const auto& object = event.object();
        if (object.ordinal() >= kOrdinalEnd) return Malformed();
        if (object.after().empty()) {
          gone.emplace_back(object.namespace_id(), object.ordinal());
        } else if (object.before().empty()) {
          Create(object.namespace_id(), object.ordinal(), commit.commit);
        }
      } else if (event.has_edge()) {
        const auto& edge = event.edge();
        EdgeValue value;
        if (edge.source() >= kOrdinalEnd || edge.target() >= kOrdinalEnd ||
            edge.relation_id() >> kRelationBits != 0 ||
            (!edge.after().empty() && !DecodeEdgeValue(edge.after(), &value))) {
          return Malformed();
        }
        const bool has_discriminator = !edge.discriminator().empty();
        const uint32_t sequence = static_cast<uint32_t>(node_edits.size());
        node_edits.push_back({edge.namespace_id(), false, edge.after().empty(), sequence,
                              edge.source(),
                              MakeArc(edge.target(), edge.relation_id(), value, has_discriminator),
                              edge.discriminator()});
        node_edits.push_back({edge.namespace_id(), true, edge.after().empty(), sequence,
                              edge.target(),
                              MakeArc(edge.source(), edge.relation_id(), value, has_discriminator),
                              edge.discriminator()});
      } else if (event.has_tombstone() && event.tombstone().has_namespace_()) {
        DropTable(event.tombstone().namespace_().namespace_id());
      }
    }
    std::sort(node_edits.begin(), node_edits.end(), [](const Edit& a, const Edit& b) {
      const auto left = std::make_tuple(a.ns, a.near, a.in);
      const auto right = std::make_tuple(b.ns, b.near, b.in);
      if (left != right) return left < right;
      const int order = Compare(a, b);
      return order != 0 ? order < 0 : a.sequence < b.sequence;
    });
    const State& now = *state.load(std::memory_order_relaxed);
    std::vector<Chunk*> replaced;
    for (size_t i = 0; i < node_edits.size();) {
      size_t end = i + 1;
      while (end < node_edits.size() && SameNode(node_edits[i], node_edits[end])) ++end;
      const Edit& first = node_edits[i];
      const Table* table = now.Find(first.ns);
      Node* node = table == nullptr ? nullptr : FindNode(*table, first.near);
      if (node != nullptr) {
        std::atomic<Block*>& place = node->ends[first.in ? 1 : 0];
        Block* old = place.load(std::memory_order_relaxed);
        if (old != nullptr && Crowded()) {
          Unlink(place);
        } else if (old != nullptr) {
          replaced.clear();
          Block* block =
              Changed(old, std::span(node_edits).subspan(i, end - i), commit.commit, &replaced);
          if (block != old) Replace(place, block, replaced, readers);
        }
      }
      i = end;
    }
    for (const auto& [ns, ordinal] : gone) {
      const Table* table = now.Find(ns);
      Node* node = table == nullptr ? nullptr : FindNode(*table, ordinal);
      if (node == nullptr) continue;
      for (auto& end : node->ends) Unlink(end);
    }
    Evict();
    applied.store(commit.commit, std::memory_order_release);
    Reclaim();
    return absl::OkStatus();
  }

  static absl::Status Malformed() {
    return Corruption("a logged change of an edge is malformed",
                      "Restore the store from a checkpoint");
  }

  // Building.

  // Reads the edges of one family in key order, node by node.
  struct Cursor {
    std::unique_ptr<storage::Iterator> it;
    EdgeKey key;
    bool malformed = false;

    bool Load() {
      if (!it->Valid()) return false;
      malformed = !DecodeEdgeKey(it->key(), &key) || key.near >= kOrdinalEnd ||
                  key.far >= kOrdinalEnd || key.relation >> kRelationBits != 0;
      return !malformed;
    }
  };

  // The entries of the cursor's node; leaves it at the next node.
  absl::Status ReadNode(Cursor& cursor, std::vector<Entry>* out) {
    out->clear();
    std::vector<size_t> sizes;
    strings.clear();
    const Ordinal near = cursor.key.near;
    bool more = true;
    while (more && cursor.key.near == near) {
      EdgeValue value;
      if (!DecodeEdgeValue(cursor.it->value(), &value)) return Malformed();
      const bool has = !cursor.key.discriminator.empty();
      out->push_back({MakeArc(cursor.key.far, cursor.key.relation, value, has), {}});
      if (has) {
        sizes.push_back(cursor.key.discriminator.size());
        strings.append(cursor.key.discriminator);
      }
      cursor.it->Next();
      more = cursor.Load();
    }
    if (cursor.malformed) return Malformed();
    size_t at = 0, offset = 0;
    for (Entry& entry : *out) {
      if (!entry.arc.has_discriminator()) continue;
      entry.discriminator = std::string_view(strings).substr(offset, sizes[at]);
      offset += sizes[at++];
    }
    return absl::OkStatus();
  }

  // True when all of the namespace is resident.
  absl::StatusOr<bool> Load(const ReadView& view, NamespaceId ns, Table& table,
                            BootstrapMonitor& monitor, double from, double share) {
    auto bounds = storage::PrefixBounds(NamespacePrefix(ns));
    bounds.bypass_cache = true;
    Ordinal last = 0;
    {
      auto it = view.snapshot->Scan(storage::Family::kObjects, bounds);
      it->SeekToLast();
      if (it->Valid()) {
        std::string_view key = it->key();
        uint32_t id = 0;
        if (!GetBigEndian32(&key, &id) || !GetBigEndian64(&key, &last) || last >= kOrdinalEnd) {
          return Corruption("an object's key is malformed", "Restore the store from a checkpoint");
        }
      }
      COOKIX_RETURN_IF_ERROR(it->status());
    }
    table.highest = last;
    Cursor cursors[2];
    cursors[0].it = view.snapshot->Scan(storage::Family::kEdges, bounds);
    cursors[1].it = view.snapshot->Scan(storage::Family::kReverseEdges, bounds);
    for (Cursor& cursor : cursors) {
      cursor.it->SeekToFirst();
      if (!cursor.Load() && cursor.malformed) return Malformed();
    }
    std::vector<Entry> node;
    for (size_t at = 0;; ++at) {
      if (at > last >> kPageBits || last == 0) {
        // Objects that are gone may have edges that a tombstone hides.
        Ordinal next = kOrdinalEnd;
        for (Cursor& cursor : cursors) {
          if (cursor.it->Valid()) next = std::min(next, cursor.key.near);
        }
        if (next == kOrdinalEnd) break;
        at = next >> kPageBits;
      }
      if (monitor.cancelled()) return absl::CancelledError("the build was cancelled");
      monitor.Report(from + share * std::min(1.0, static_cast<double>(at << kPageBits) /
                                                      static_cast<double>(last + 1)));
      const int64_t room = options.max_bytes;
      if (Total() + static_cast<int64_t>(sizeof(Page)) > room) {
        return false;
      }
      std::atomic<Page*>* place = PlaceOf(table, at);
      if (place == nullptr) return false;
      Page* page = NewPage();
      place->store(page, std::memory_order_relaxed);
      const Ordinal begin = at << kPageBits;
      // No object has more than what is stored, so the rest has no edges.
      for (Ordinal i = 0; i < kPageNodes && begin + i <= last; ++i) {
        for (auto& end : page->nodes[i].ends) end.store(&kEmpty, std::memory_order_relaxed);
      }
      bool full = false;
      uint32_t nodes = 0;
      for (int in = 0; in < 2 && !full; ++in) {
        Cursor& cursor = cursors[in];
        while (cursor.it->Valid() && cursor.key.near < begin + kPageNodes) {
          const Ordinal near = cursor.key.near;
          table.highest = std::max(table.highest, near);
          COOKIX_RETURN_IF_ERROR(ReadNode(cursor, &node));
          page->nodes[near - begin].ends[in].store(NewBlock(node, view.commit()),
                                                   std::memory_order_relaxed);
          if (Total() > room) {
            full = true;
            break;
          }
          if ((++nodes & 255) == 0 && monitor.cancelled()) {
            return absl::CancelledError("the build was cancelled");
          }
        }
      }
      if (full) {
        place->store(nullptr, std::memory_order_relaxed);
        FreePage(page);
        pages.fetch_sub(1, std::memory_order_relaxed);
        return false;
      }
    }
    for (Cursor& cursor : cursors) COOKIX_RETURN_IF_ERROR(cursor.it->status());
    return true;
  }

  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) {
    Drop();
    auto next = std::make_unique<State>();
    next->base = view.commit();
    for (const auto& [id, ns] : view.catalog->namespaces_by_id) {
      next->tables.emplace_back(id, nullptr);
    }
    std::sort(next->tables.begin(), next->tables.end());
    const double share = 1.0 / static_cast<double>(std::max<size_t>(1, next->tables.size()));
    absl::Status status;
    bool full = false;
    for (size_t i = 0; i < next->tables.size() && status.ok(); ++i) {
      auto& [id, table] = next->tables[i];
      table = new Table;
      // Of namespaces that are not read it is not known which ordinals are new.
      table->highest = kOrdinalEnd;
      if (full) continue;
      auto all = Load(view, id, *table, monitor, share * static_cast<double>(i), share);
      status = all.status();
      full = all.ok() && !*all;
    }
    if (!status.ok()) {
      for (auto& [id, table] : next->tables) {
        if (table != nullptr) FreeTable(table);
      }
      pages.store(0, std::memory_order_relaxed);
      return status;
    }
    hand_table = hand_page = 0;
    state.store(next.release(), std::memory_order_release);
    applied.store(view.commit(), std::memory_order_release);
    Reclaim();
    monitor.Report(1.0);
    return absl::OkStatus();
  }

  void Drop() {
    State* old = state.load(std::memory_order_relaxed);
    if (old != nullptr) {
      state.store(nullptr, std::memory_order_release);
      for (const auto& [id, table] : old->tables) RetireTable(table);
      Retire(Kind::kState, old, 0);
    }
    Reclaim();
  }

  const AdjacencyOptions options;
  std::atomic<State*> state{nullptr};
  std::atomic<uint64_t> applied{0};
  std::atomic<uint64_t> epoch{1};
  std::atomic<size_t> slots_used{0};
  std::array<Slot, kSlots> slots;

  SlabAllocator slabs;           // of the applying thread
  std::atomic<int64_t> dead{0};  // what waits for readers
  std::atomic<int64_t> pages{0};
  std::atomic<int64_t> evicted{0};
  std::atomic<int64_t> block_reads{0};
  std::atomic<int64_t> fallback_reads{0};

  // Of the applying thread.
  std::deque<Retired> followed;  // a newer block leads to these
  std::deque<Retired> retired;   // nothing does
  size_t hand_table = 0, hand_page = 0;
  std::vector<Edit> node_edits;
  std::vector<std::pair<NamespaceId, Ordinal>> gone;
  std::vector<Entry> old_entries, merged;
  std::string strings;
};

class AdjacencyView::Impl::Reader : public ArcReader {
 public:
  Reader(Impl* impl, Slot* slot, Directory* directory, const NamespaceView& view,
         std::function<std::unique_ptr<ArcReader>(const NamespaceView&)> fallback)
      : impl_(impl),
        slot_(slot),
        directory_(directory),
        commit_(view.commit()),
        tombstones_(view.ns->has_tombstones()),
        view_(view),
        make_fallback_(std::move(fallback)) {}
  ~Reader() override {
    impl_->block_reads.fetch_add(block_reads_, std::memory_order_relaxed);
    impl_->fallback_reads.fetch_add(fallback_reads_, std::memory_order_relaxed);
    slot_->epoch.store(0, std::memory_order_release);
  }

  absl::StatusOr<std::span<const Arc>> Out(Ordinal ordinal) override { return Read(ordinal, 0); }
  absl::StatusOr<std::span<const Arc>> In(Ordinal ordinal) override { return Read(ordinal, 1); }

  // Asks for the node now, and for the block of a node asked for before.
  void Prefetch(Ordinal ordinal, bool out) override {
    Page* page = PageOf(ordinal);
    if (page == nullptr) return;
    const std::atomic<Block*>* end = &page->nodes[ordinal & (kPageNodes - 1)].ends[out ? 0 : 1];
    __builtin_prefetch(end);
    std::swap(end, asked_[asked_at_++ % asked_.size()]);
    if (end == nullptr) return;
    if (const Block* block = end->load(std::memory_order_acquire)) {
      __builtin_prefetch(block);
      __builtin_prefetch(reinterpret_cast<const char*>(block) + 64);
      __builtin_prefetch(reinterpret_cast<const char*>(block) + 128);
    }
  }

 private:
  Page* PageOf(Ordinal ordinal) const {
    const size_t at = ordinal >> kPageBits;
    return at < directory_->size ? directory_->pages()[at].load(std::memory_order_acquire)
                                 : nullptr;
  }
  bool Tombstoned(Ordinal ordinal) const {
    return view_.ns->tombstones_both.contains(ordinal) ||
           view_.ns->tombstones_out.contains(ordinal);
  }
  absl::StatusOr<std::span<const Arc>> Fallback(Ordinal ordinal, int in) {
    ++fallback_reads_;
    if (fallback_ == nullptr) fallback_ = make_fallback_(view_);
    return in ? fallback_->In(ordinal) : fallback_->Out(ordinal);
  }
  absl::StatusOr<std::span<const Arc>> Read(Ordinal ordinal, int in) {
    Page* page = PageOf(ordinal);
    if (page == nullptr) return Fallback(ordinal, in);
    if (!page->touched.load(std::memory_order_relaxed)) {
      page->touched.store(true, std::memory_order_relaxed);
    }
    Block* block = page->nodes[ordinal & (kPageNodes - 1)].ends[in].load(std::memory_order_acquire);
    while (block != nullptr && block->commit > commit_) {
      block = block->prev.load(std::memory_order_acquire);
    }
    if (block == nullptr) return Fallback(ordinal, in);
    std::span<const Arc> arcs;
    if (!block->hub()) {
      arcs = {block->arcs(), block->count};
    } else {
      scratch_.resize(block->count);
      size_t at = 0;
      for (const Chunk* chunk : block->chunks()) {
        memcpy(scratch_.data() + at, chunk->arcs(), chunk->count * sizeof(Arc));
        at += chunk->count;
      }
      arcs = scratch_;
    }
    if (tombstones_) {
      if (Tombstoned(ordinal)) return Fallback(ordinal, in);
      for (const Arc& arc : arcs) {
        if (Tombstoned(arc.other())) return Fallback(ordinal, in);
      }
    }
    ++block_reads_;
    return arcs;
  }

  Impl* const impl_;
  Slot* const slot_;
  Directory* const directory_;
  const uint64_t commit_;
  const bool tombstones_;
  const NamespaceView view_;
  const std::function<std::unique_ptr<ArcReader>(const NamespaceView&)> make_fallback_;
  std::unique_ptr<ArcReader> fallback_;
  std::vector<Arc> scratch_;
  std::array<const std::atomic<Block*>*, kPrefetchAhead / 2> asked_ = {};
  size_t asked_at_ = 0;
  int64_t block_reads_ = 0, fallback_reads_ = 0;
};

AdjacencyView::AdjacencyView(AdjacencyOptions options) : impl_(std::make_unique<Impl>(options)) {}

AdjacencyView::~AdjacencyView() { impl_->Drop(); }

absl::Status AdjacencyView::Bootstrap(const ReadView& view, BootstrapMonitor& monitor) {
  return impl_->Bootstrap(view, monitor);
}

absl::Status AdjacencyView::Apply(const AppliedCommit& commit) { return impl_->Apply(commit); }

void AdjacencyView::Drop() { impl_->Drop(); }

int64_t AdjacencyView::MemoryBytes() const { return impl_->slabs.reserved(); }

std::map<std::string, int64_t> AdjacencyView::Counters() const {
  int64_t pinned = 0;
  for (const Slot& slot : impl_->slots) pinned += slot.epoch.load(std::memory_order_relaxed) != 0;
  return {{"resident_bytes", impl_->Live()},
          {"retired_bytes", impl_->dead.load(std::memory_order_relaxed)},
          {"resident_pages", impl_->pages.load(std::memory_order_relaxed)},
          {"evicted_pages", impl_->evicted.load(std::memory_order_relaxed)},
          {"pinned_readers", pinned},
          {"block_reads", impl_->block_reads.load(std::memory_order_relaxed)},
          {"fallback_reads", impl_->fallback_reads.load(std::memory_order_relaxed)}};
}

std::unique_ptr<ArcReader> AdjacencyView::NewReader(
    const NamespaceView& view,
    std::function<std::unique_ptr<ArcReader>(const NamespaceView&)> fallback) {
  if (!view.ns->dropped_collections.empty()) return fallback(view);
  Slot* slot = impl_->Pin();
  if (slot == nullptr) return fallback(view);
  const uint64_t applied = impl_->applied.load(std::memory_order_acquire);
  const State* state = impl_->state.load(std::memory_order_acquire);
  Directory* directory = nullptr;
  if (state != nullptr && view.commit() >= state->base && view.commit() <= applied) {
    if (const Table* table = state->Find(view.id())) {
      directory = table->directory.load(std::memory_order_acquire);
    }
  }
  if (directory == nullptr) {
    slot->epoch.store(0, std::memory_order_release);
    return fallback(view);
  }
  return std::make_unique<Impl::Reader>(impl_.get(), slot, directory, view, std::move(fallback));
}

}  // namespace cookix::engine
