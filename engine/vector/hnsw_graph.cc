#include "engine/vector/hnsw_graph.h"

#include <algorithm>

namespace cookix::engine {
namespace {

// Seeds that a search enters level 0 with.
constexpr size_t kSeeds = 2;
// A search that keeps so many candidates may take more than some milliseconds: it looks at
// the clock whenever it has expanded, or taken, so many more.
constexpr size_t kEfToCheck = 2048;
constexpr size_t kExpandedPerCheck = 512;
constexpr int64_t kDistancesPerCheck = 1 << 14;

HnswScratch& LocalScratch() {
  thread_local HnswScratch scratch;
  return scratch;
}

constexpr auto kSame = [](uint32_t slot) { return slot; };

}  // namespace

HnswGraph::HnswGraph(const VectorStorage& storage, HnswOptions options)
    : storage_(storage),
      options_(options),
      links_(PaddedLinks(static_cast<size_t>(options.m0)) * sizeof(Link), true),
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
                       HnswSearchStats* stats, const CallContext* context) const {
  HnswScratch& scratch = LocalScratch();
  Seed(query, ef, scratch, stats);
  if (context == nullptr || ef < kEfToCheck) {
    SearchLayer(Level0{this}, storage_, query, scratch, stats);
  } else {
    SearchLayer(Level0{this}, storage_, query, scratch, stats, [&](size_t expanded) {
      return expanded % kExpandedPerCheck == 0 && !context->Check().ok();
    });
  }
  found->resize(scratch.pool.size());
  for (size_t i = 0; i < found->size(); ++i) {
    (*found)[i] = {scratch.pool.distance(i), scratch.pool.node(i)};
  }
}

bool HnswGraph::SearchAccepted(const PreparedQuery& query, size_t ef, const SlotBits& accept,
                               std::span<const Slot> seeds, int64_t budget,
                               std::vector<Candidate>* found, HnswSearchStats* stats,
                               const CallContext* context) const {
  HnswScratch& scratch = LocalScratch();
  thread_local std::vector<Candidate> entries;
  const auto most = static_cast<size_t>(options_.m0);
  upper_.load(std::memory_order_acquire)->FindSeeds(query, kSeeds, scratch, &entries, stats);
  CandidatePool& pool = scratch.pool;
  pool.Reset(ef);
  scratch.visited.Reserve(links_.capacity());
  VisitedSet& visited = scratch.visited;
  std::vector<uint32_t>& batch = scratch.batch;
  std::vector<uint32_t>& bridges = scratch.bridges;
  batch.clear();
  bool within_budget = true;
  int64_t next_check = stats->distances + kDistancesPerCheck;
  const auto take = [&](Slot slot) {
    if (visited.Insert(slot)) batch.push_back(slot);
  };
  // Gathers the accepted neighbours of a node, and those behind neighbours that are not.
  const auto gather = [&](Slot node) {
    bridges.clear();
    const size_t before = batch.size();
    const Link* links = Links(node);
    for (size_t i = 0; i < most; ++i) {
      const uint32_t link = links[i].load(std::memory_order_acquire);
      if (link == 0) break;
      if (accept.Test(link - 1)) {
        take(link - 1);
      } else if (visited.Insert(link - 1)) {
        bridges.push_back(link - 1);
        PrefetchLinks(Links(link - 1), most);
      }
    }
    for (const Slot bridge : bridges) {
      if (batch.size() - before >= most) break;
      const Link* next = Links(bridge);
      for (size_t i = 0; i < most; ++i) {
        const uint32_t link = next[i].load(std::memory_order_acquire);
        if (link == 0) break;
        if (accept.Test(link - 1)) take(link - 1);
      }
    }
  };
  const auto compare = [&] {
    scratch.distances.resize(batch.size());
    storage_.Distances(query, batch.data(), batch.size(), scratch.distances.data());
    pool.Insert(scratch.distances.data(), batch.data(), batch.size());
    stats->distances += static_cast<int64_t>(batch.size());
    within_budget = stats->distances <= budget;
    if (stats->distances >= next_check && context != nullptr) {
      within_budget = within_budget && context->Check().ok();
      next_check = stats->distances + kDistancesPerCheck;
    }
    batch.clear();
  };
  for (const Slot seed : seeds) take(seed);
  for (const Candidate& entry : entries) {
    if (accept.Test(entry.slot)) take(entry.slot);
  }
  for (const Candidate& entry : entries) {
    if (!accept.Test(entry.slot) && visited.Insert(entry.slot)) gather(entry.slot);
  }
  compare();
  Slot node;
  while (within_budget && pool.Take(&node)) {
    gather(node);
    if (pool.Take(&node)) {
      gather(node);
      ++stats->expanded;
    }
    ++stats->expanded;
    compare();
  }
  scratch.visited.Clear();
  found->clear();
  if (!within_budget) return false;
  for (size_t i = 0; i < pool.size(); ++i) found->push_back({pool.distance(i), pool.node(i)});
  return true;
}

void HnswGraph::Insert(Slot slot, const AtomicSlotBits* dead, size_t extra) {
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
  Seed(query, static_cast<size_t>(options_.ef_construction) + extra, scratch, &stats);
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

void HnswGraph::Repair(const SlotBits& dead, const SlotBits& linked, Slot begin, Slot end) {
  HnswScratch& scratch = LocalScratch();
  const auto m0 = static_cast<size_t>(options_.m0);
  PreparedQuery base;
  std::vector<Slot> near, beyond;
  std::vector<float> distances;
  std::vector<Candidate> candidates;
  for (Slot slot = begin; slot < end; ++slot) {
    if (dead.Test(slot) || !linked.Test(slot)) continue;
    std::lock_guard<std::mutex> lock(LockOf(slot));
    const std::vector<Slot> neighbours = Neighbours(slot);
    const bool broken = std::any_of(neighbours.begin(), neighbours.end(),
                                    [&](Slot neighbour) { return dead.Test(neighbour); });
    if (!broken) continue;
    near.clear();
    std::vector<Slot>& chosen = scratch.chosen;
    chosen.clear();
    scratch.visited.Reserve(links_.capacity());
    scratch.visited.Insert(slot);
    // What is left of its neighbours stays.
    for (const Slot neighbour : neighbours) {
      if (!dead.Test(neighbour) && scratch.visited.Insert(neighbour)) chosen.push_back(neighbour);
    }
    // What lies behind the dead, and behind the dead behind them.
    beyond.clear();
    for (const Slot neighbour : neighbours) {
      if (!dead.Test(neighbour)) continue;
      for (const Slot behind : Neighbours(neighbour)) {
        if (!scratch.visited.Insert(behind)) continue;
        (dead.Test(behind) ? beyond : near).push_back(behind);
      }
    }
    for (const Slot gone : beyond) {
      for (const Slot behind : Neighbours(gone)) {
        if (!dead.Test(behind) && scratch.visited.Insert(behind)) near.push_back(behind);
      }
    }
    scratch.visited.Clear();
    storage_.Prepare(slot, &base);
    distances.resize(near.size());
    storage_.Distances(base, near.data(), near.size(), distances.data());
    candidates.clear();
    for (size_t i = 0; i < near.size(); ++i) candidates.push_back({distances[i], near[i]});
    std::sort(candidates.begin(), candidates.end());
    AddNeighbours(storage_, candidates, std::min(m0, neighbours.size()), kSame, scratch, &chosen);
    Rewrite(slot, scratch.chosen);
  }
}

void HnswGraph::FinishRepair(const SlotBits& live, size_t slots) {
  auto upper = std::make_unique<HnswUpper>(storage_, static_cast<size_t>(options_.m));
  HnswScratch& scratch = LocalScratch();
  Slot first = kNoSlot;
  if (upper->Grow(slots)) {
    live.ForEach([&](Slot slot) {
      if (first == kNoSlot) first = slot;
      if (HnswUpper::LevelOf(slot) > 0) upper->Insert(slot, scratch);
    });
  }
  first_.store(first, std::memory_order_release);
  upper_.store(upper.get(), std::memory_order_release);
  retired_.push_back(std::move(owned_upper_));
  owned_upper_ = std::move(upper);
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
