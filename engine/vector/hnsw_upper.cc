#include "engine/vector/hnsw_upper.h"

#include <algorithm>
#include <span>

namespace cookix::engine {
namespace {

constexpr int kRatioBits = 6;
// A level with more nodes than this is searched, not scanned.
constexpr uint32_t kScanAtMost = 128;
// Candidates kept on the way down, and when a node is inserted.
constexpr size_t kDescentWidth = 2;
constexpr size_t kInsertWidth = 64;

uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

HnswUpper::HnswUpper(const VectorStorage& storage, size_t m)
    : storage_(storage),
      m_(m),
      nodes_(sizeof(Header) + static_cast<size_t>(kLevels) * PaddedLinks(m) * sizeof(Link), false) {
  for (int level = 1; level <= kLevels; ++level) {
    members_[static_cast<size_t>(level)] =
        std::make_unique<SlotArray>(sizeof(std::atomic<uint32_t>), false);
  }
}

int HnswUpper::LevelOf(Slot slot) {
  uint64_t hash = Mix(slot);
  int level = 0;
  while (level < kLevels && (hash & ((1u << kRatioBits) - 1)) == 0) {
    ++level;
    hash >>= kRatioBits;
  }
  return level;
}

bool HnswUpper::Grow(size_t slots) {
  std::lock_guard<std::mutex> lock(mutex_);
  // Twice as many as there will be, and a little for chance.
  const size_t nodes = slots / 32 + 1024;
  if (!nodes_.Grow(nodes)) return false;
  for (int level = 1; level <= kLevels; ++level) {
    if (!members_[static_cast<size_t>(level)]->Grow(nodes)) return false;
  }
  return true;
}

void HnswUpper::Scan(int level, const PreparedQuery& query, size_t ef, HnswScratch& scratch,
                     HnswSearchStats* stats) const {
  CandidatePool& pool = scratch.pool;
  pool.Reset(ef);
  const auto index = static_cast<size_t>(level);
  const uint32_t count = member_counts_[index].load(std::memory_order_acquire);
  uint32_t nodes[64];
  Slot slots[64];
  float distances[64];
  for (uint32_t begin = 0; begin < count; begin += 64) {
    const size_t n = std::min<uint32_t>(64, count - begin);
    for (size_t i = 0; i < n; ++i) {
      nodes[i] = reinterpret_cast<std::atomic<uint32_t>*>(
                     members_[index]->At(begin + static_cast<uint32_t>(i)))
                     ->load(std::memory_order_relaxed);
      slots[i] = HeaderOf(nodes[i])->slot;
    }
    storage_.Distances(query, slots, n, distances);
    pool.Insert(distances, nodes, n);
  }
  stats->distances += count;
}

void HnswUpper::Find(int level, const PreparedQuery& query, size_t ef, HnswScratch& scratch,
                     HnswSearchStats* stats) const {
  int entry = level;
  while (entry < kLevels &&
         member_counts_[static_cast<size_t>(entry)].load(std::memory_order_acquire) > kScanAtMost &&
         member_counts_[static_cast<size_t>(entry) + 1].load(std::memory_order_acquire) > 0) {
    ++entry;
  }
  CandidatePool& pool = scratch.pool;
  Scan(entry, query, entry == level ? ef : kDescentWidth, scratch, stats);
  std::array<Candidate, kDescentWidth> best;
  for (int at = entry - 1; at >= level; --at) {
    const size_t n = std::min(pool.size(), kDescentWidth);
    for (size_t i = 0; i < n; ++i) best[i] = {pool.distance(i), pool.node(i)};
    scratch.visited.Reserve(count_.load(std::memory_order_acquire) + 64);
    pool.Reset(at == level ? ef : kDescentWidth);
    for (size_t i = 0; i < n; ++i) {
      scratch.visited.Insert(best[i].slot);
      pool.Insert(best[i].distance, best[i].slot);
    }
    SearchLayer(Layer{this, at}, storage_, query, scratch, stats);
  }
}

void HnswUpper::FindSeeds(const PreparedQuery& query, size_t seeds, HnswScratch& scratch,
                          std::vector<Candidate>* found, HnswSearchStats* stats) const {
  found->clear();
  if (member_counts_[1].load(std::memory_order_acquire) == 0) return;
  Find(1, query, seeds, scratch, stats);
  for (size_t i = 0; i < scratch.pool.size(); ++i) {
    found->push_back({scratch.pool.distance(i), HeaderOf(scratch.pool.node(i))->slot});
  }
}

void HnswUpper::Insert(Slot slot, HnswScratch& scratch) {
  std::lock_guard<std::mutex> lock(mutex_);
  const int level = LevelOf(slot);
  const uint32_t node = count_.load(std::memory_order_relaxed);
  if (node >= nodes_.capacity()) return;  // chance was beaten; the slot does without
  Header* header = HeaderOf(node);
  header->slot = slot;
  header->level = static_cast<uint32_t>(level);
  count_.store(node + 1, std::memory_order_release);
  storage_.Prepare(slot, &scratch.query);
  HnswSearchStats stats;
  const auto slot_of = [this](uint32_t id) { return HeaderOf(id)->slot; };
  for (int at = level; at >= 1; --at) {
    Find(at, scratch.query, kInsertWidth, scratch, &stats);
    scratch.candidates.clear();
    for (size_t i = 0; i < scratch.pool.size(); ++i) {
      if (scratch.pool.node(i) == node) continue;
      scratch.candidates.push_back({scratch.pool.distance(i), scratch.pool.node(i)});
    }
    std::vector<Slot> neighbours;
    ChooseNeighbours(storage_, slot, scratch.candidates, m_, slot_of, scratch, &neighbours);
    Link* own = Links(node, at);
    for (size_t i = 0; i < neighbours.size(); ++i) {
      own[i].store(neighbours[i] + 1, std::memory_order_release);
    }
    for (const Slot neighbour : neighbours) {
      Link* links = Links(neighbour, at);
      size_t count = 0;
      while (count < m_ && links[count].load(std::memory_order_relaxed) != 0) ++count;
      if (count < m_) {
        links[count].store(node + 1, std::memory_order_release);
        continue;
      }
      // Full: choose again, the new node among them.
      PreparedQuery base;
      storage_.Prepare(HeaderOf(neighbour)->slot, &base);
      scratch.candidates.clear();
      for (size_t i = 0; i < m_; ++i) {
        const uint32_t id = links[i].load(std::memory_order_relaxed) - 1;
        scratch.candidates.push_back({storage_.Distance(base, HeaderOf(id)->slot), id});
      }
      scratch.candidates.push_back({storage_.Distance(base, slot), node});
      std::sort(scratch.candidates.begin(), scratch.candidates.end());
      ChooseNeighbours(storage_, HeaderOf(neighbour)->slot, scratch.candidates, m_, slot_of,
                       scratch, &scratch.chosen);
      for (size_t i = 0; i < m_; ++i) {
        links[i].store(i < scratch.chosen.size() ? scratch.chosen[i] + 1 : 0,
                       std::memory_order_release);
      }
    }
  }
  for (int at = 1; at <= level; ++at) {
    const auto index = static_cast<size_t>(at);
    const uint32_t members = member_counts_[index].load(std::memory_order_relaxed);
    reinterpret_cast<std::atomic<uint32_t>*>(members_[index]->At(members))
        ->store(node, std::memory_order_relaxed);
    member_counts_[index].store(members + 1, std::memory_order_release);
  }
}

int64_t HnswUpper::Bytes() const {
  return static_cast<int64_t>(count_.load() * (nodes_.record_bytes() + sizeof(uint32_t)));
}

}  // namespace cookix::engine
