#include "engine/vector/hnsw_graph.h"

#include <algorithm>

namespace cookix::engine {
namespace {

// Seeds that a search enters level 0 with.
constexpr size_t kSeeds = 4;

HnswScratch& LocalScratch() {
  thread_local HnswScratch scratch;
  return scratch;
}

constexpr auto kSame = [](uint32_t slot) { return slot; };

}  // namespace

HnswGraph::HnswGraph(const VectorStorage& storage, HnswOptions options)
    : storage_(storage),
      options_(options),
      links_(static_cast<size_t>(options.m0) * sizeof(Link), true),
      owned_upper_(std::make_unique<HnswUpper>(storage, static_cast<size_t>(options.m))),
      upper_(owned_upper_.get()) {}

void HnswGraph::Seed(const PreparedQuery& query, size_t ef, HnswScratch& scratch,
                     HnswSearchStats* stats) const {
  thread_local std::vector<Candidate> seeds;
  upper_.load(std::memory_order_acquire)->FindSeeds(query, kSeeds, scratch, &seeds, stats);
  scratch.pool.Reset(ef);
  scratch.visited.Reserve(links_.capacity());
  if (seeds.empty()) {
    const Slot first = first_.load(std::memory_order_acquire);
    if (first == kNoSlot) return;
    seeds.push_back({storage_.Distance(query, first), first});
    ++stats->distances;
  }
  for (const Candidate& seed : seeds) {
    if (scratch.visited.Insert(seed.slot)) scratch.pool.Insert(seed.distance, seed.slot);
  }
}

void HnswGraph::Search(const PreparedQuery& query, size_t ef, std::vector<Candidate>* found,
                       HnswSearchStats* stats) const {
  HnswScratch& scratch = LocalScratch();
  Seed(query, ef, scratch, stats);
  SearchLayer(Level0{this}, storage_, query, scratch, stats);
  found->resize(scratch.pool.size());
  for (size_t i = 0; i < found->size(); ++i) {
    (*found)[i] = {scratch.pool.distance(i), scratch.pool.node(i)};
  }
}

void HnswGraph::Insert(Slot slot, const AtomicSlotBits* dead) {
  HnswScratch& scratch = LocalScratch();
  thread_local PreparedQuery query;
  thread_local std::vector<Slot> neighbours;
  if (first_.load(std::memory_order_acquire) == kNoSlot) {
    std::lock_guard<std::mutex> lock(first_mutex_);
    if (first_.load(std::memory_order_relaxed) == kNoSlot) {
      if (HnswUpper::LevelOf(slot) > 0) upper_.load()->Insert(slot, scratch);
      first_.store(slot, std::memory_order_release);
      return;
    }
  }
  storage_.Prepare(slot, &query);
  HnswSearchStats stats;
  Seed(query, static_cast<size_t>(options_.ef_construction), scratch, &stats);
  SearchLayer(Level0{this}, storage_, query, scratch, &stats);
  scratch.candidates.clear();
  for (size_t i = 0; i < scratch.pool.size(); ++i) {
    const Slot other = scratch.pool.node(i);
    if (other == slot || (dead != nullptr && dead->Test(other))) continue;
    scratch.candidates.push_back({scratch.pool.distance(i), other});
  }
  ChooseNeighbours(storage_, scratch.candidates, static_cast<size_t>(options_.m), kSame, scratch,
                   &neighbours);
  // Distances again, by what was chosen: they follow the candidates' order.
  thread_local std::vector<float> distances;
  distances.clear();
  for (size_t i = 0, at = 0; i < neighbours.size(); ++i) {
    while (scratch.candidates[at].slot != neighbours[i]) ++at;
    distances.push_back(scratch.candidates[at].distance);
  }
  {
    std::lock_guard<std::mutex> lock(LockOf(slot));
    // Others may have linked to this slot already, and it to them; what it chose comes first.
    Rewrite(slot, neighbours);
  }
  for (size_t i = 0; i < neighbours.size(); ++i) {
    LinkBack(neighbours[i], slot, distances[i], scratch, dead);
  }
  if (HnswUpper::LevelOf(slot) > 0) {
    upper_.load(std::memory_order_acquire)->Insert(slot, scratch);
  }
}

void HnswGraph::Rewrite(Slot slot, std::span<const Slot> neighbours) {
  Link* links = Links(slot);
  for (size_t i = 0; i < static_cast<size_t>(options_.m0); ++i) {
    links[i].store(i < neighbours.size() ? neighbours[i] + 1 : 0, std::memory_order_release);
  }
}

void HnswGraph::LinkBack(Slot from, Slot to, float distance, HnswScratch& scratch,
                         const AtomicSlotBits* dead) {
  const auto m0 = static_cast<size_t>(options_.m0);
  Link* links = Links(from);
  std::lock_guard<std::mutex> lock(LockOf(from));
  Slot present[256];
  size_t count = 0;
  for (; count < m0; ++count) {
    const uint32_t link = links[count].load(std::memory_order_relaxed);
    if (link == 0) break;
    if (link - 1 == to) return;
    present[count] = link - 1;
  }
  if (count < m0) {
    links[count].store(to + 1, std::memory_order_release);
    return;
  }
  // Full: choose again, the new one among them.
  thread_local PreparedQuery base;
  thread_local std::vector<Candidate> candidates;
  float distances[256];
  storage_.Prepare(from, &base);
  storage_.Distances(base, present, count, distances);
  candidates.clear();
  for (size_t i = 0; i < count; ++i) {
    if (dead != nullptr && dead->Test(present[i])) continue;
    candidates.push_back({distances[i], present[i]});
  }
  candidates.push_back({distance, to});
  std::sort(candidates.begin(), candidates.end());
  ChooseNeighbours(storage_, candidates, m0, kSame, scratch, &scratch.chosen);
  Rewrite(from, scratch.chosen);
}

std::vector<Slot> HnswGraph::Neighbours(Slot slot) const {
  std::vector<Slot> neighbours;
  const Link* links = Links(slot);
  for (size_t i = 0; i < static_cast<size_t>(options_.m0); ++i) {
    const uint32_t link = links[i].load(std::memory_order_acquire);
    if (link == 0) break;
    neighbours.push_back(link - 1);
  }
  return neighbours;
}

void HnswGraph::SetNeighbours(Slot slot, std::span<const Slot> neighbours) {
  Rewrite(slot, neighbours);
}

int64_t HnswGraph::Bytes(size_t slots) const {
  return static_cast<int64_t>(slots * static_cast<size_t>(options_.m0) * sizeof(Link)) +
         upper_.load(std::memory_order_acquire)->Bytes();
}

}  // namespace cookix::engine
