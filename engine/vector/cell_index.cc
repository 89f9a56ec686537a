#include "engine/vector/cell_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::LocalBatch;
using storage::LocalSnapshot;
using storage::LocalValue;

constexpr uint32_t kFormat = 1;

// A key is the number of the index (u32, big-endian), a kind of record, and the cell (u32) or
// ordinal (u64) it is about, big-endian. Values are little-endian. The header is
//   u32 format, u32 metric, u32 quantization, u32 dimension, u64 commit, u32 next cell,
//   u64 end of the ordinals seen, length-prefixed position
constexpr char kHeaderRecord = 'h';
constexpr char kCentreRecord = 'z';    // the floats of the centre
constexpr char kCentroidRecord = 'c';  // cell -> the floats of its centroid
constexpr char kCountRecord = 'n';     // cell -> u32 size, u32 pending, f32 variance
constexpr char kEntriesRecord = 'e';   // cell -> cell_entries.h
constexpr char kOrdinalRecord = 'o';   // ordinal -> u32 cell
// u32 cells that a search reads; u64 vectors and u64 cells that there were when it was learned
constexpr char kProbesRecord = 'p';

// A batch, and the vectors of a cell, take no more than that.
constexpr size_t kPortionBytes = 4 << 20;
// An empty index takes so many at once before it makes cells of them.
constexpr size_t kFirstPortion = 2048;
// A cell is rewritten when so many entries and removals, and a quarter of it, are new.
constexpr uint32_t kLeastPending = 16;
// Cells around a split one whose centroids its vectors are compared with, and those whose
// vectors are compared with its parts.
constexpr size_t kPushedTo = 16;
constexpr size_t kPulledFrom = 8;
// A search among a share s of the vectors reads s^-kRareness times as many cells.
constexpr double kRareness = 0.75;
constexpr size_t kAnyNumber = SIZE_MAX / 4;
// Cells that a search reads which does not say: as many as hold 99 of 100 of the ten that are
// nearest to 48 stored vectors, of what twice as many hold; above the least not so many that
// they take more bytes than that.
constexpr size_t kLeastProbed = 32;
constexpr size_t kMostProbed = 512;
constexpr size_t kMostProbedBytes = 16 << 20;
constexpr int kAskedFor = 48;
constexpr size_t kAskedNearest = 10;
constexpr double kProbedRecall = 0.99;
// Below so many vectors nothing is learned.
constexpr int64_t kLeastLearned = 2048;
// Steps of Maintain() that asking for one vector counts as.
constexpr int64_t kStepsToLearn = 8;
// Cells that a search has in memory at a time.
constexpr size_t kGroup = 16;

absl::Status Damaged(std::string_view what) {
  return Corruption("a cell index is damaged: " + std::string(what),
                    "Nothing has to be done: the index is built anew.");
}

std::string_view Bytes(const std::vector<float>& floats) {
  return {reinterpret_cast<const char*>(floats.data()), floats.size() * sizeof(float)};
}

bool ToFloats(std::string_view bytes, size_t dimension, std::vector<float>* floats) {
  if (bytes.size() != dimension * sizeof(float)) return false;
  floats->resize(dimension);
  if (!bytes.empty()) std::memcpy(floats->data(), bytes.data(), bytes.size());
  return true;
}

// Vectors are kept as cells are chosen: for kDot by Euclidean distance, with lengths, which
// inner products have no use for.
void ForgetNorms(std::span<CodeParams> params) {
  for (CodeParams& p : params) p.norm = 0;
}

// `vector` as codes are made from it.
const float* Prepared(Metric metric, const float* vector, size_t dimension,
                      std::vector<float>* buffer) {
  if (metric != Metric::kCosine) return vector;
  buffer->assign(vector, vector + dimension);
  double squares = 0;
  for (const float x : *buffer) squares += static_cast<double>(x) * x;
  if (squares > 0) {
    const auto inverse = static_cast<float>(1 / std::sqrt(squares));
    for (float& x : *buffer) x *= inverse;
  }
  return buffer->data();
}

}  // namespace

struct CellIndex::Header {
  uint64_t commit = 0;
  std::string position;
  CellId next_cell = 1;
  uint64_t end_ordinal = 0;
};

// Changes that are written together.
struct CellIndex::Edit {
  struct Cell {
    explicit Cell(const VectorCodec& codec) : added(codec) {}
    // The cell is new or its entries replace what it had.
    bool rewritten = false;
    std::string entries;
    uint32_t size = 0;
    uint32_t pending = 0;
    float variance = 0;
    // On top of that.
    std::vector<uint64_t> removed;
    CellEntryList added;
    // A new centroid; empty = the one it has.
    std::vector<float> centroid;
    bool dropped = false;
  };

  Edit(const VectorCodec* c, Header h) : codec(c), header(std::move(h)) {}

  Cell& cell(CellId id) { return cells.try_emplace(id, *codec).first->second; }
  void PutOrdinal(std::string_view key, CellId cell) {
    batch.Put(key, {reinterpret_cast<const char*>(&cell), sizeof(cell)});
  }

  // May be null when no cell changes.
  const VectorCodec* const codec;
  Header header;
  // References into it stay.
  std::unordered_map<CellId, Cell> cells;
  // Records of ordinals, and whatever else there is.
  LocalBatch batch;
};

struct CellIndex::Part {
  explicit Part(const VectorCodec& codec) : entries(codec) {}
  CellId cell = 0;
  std::vector<float> centroid;
  float variance = 0;
  PreparedQuery query;
  CellEntryList entries;
  // Entries that came or went since the centroid was computed.
  uint32_t strangers = 0;
  int64_t pulled = 0;
};

// The best so far by their codes; those whose cells are let go, by their residues too.
class CellIndex::Collector {
 public:
  Collector(const VectorCodec& codec, const float* vector, size_t limit, const OrdinalSet* accept,
            const CallContext* context)
      : codec_(codec), room_(limit + limit / 2 + 32), accept_(accept), context_(context) {
    codec.PrepareQuery(vector, &query_);
    best_.reserve(room_ + 1);
  }

  // What `contents` borrows must stay until Refine().
  void Offer(const CellContents& contents) {
    ++cells_;
    size_t n = contents.size();
    const CodeParams* const* params = contents.params_at.data();
    const uint8_t* const* codes = contents.codes.data();
    if (accept_ != nullptr) {
      accepted_.clear();
      codes_.clear();
      params_.clear();
      for (size_t i = 0; i < n; ++i) {
        if (!accept_->Contains(contents.ordinals[i])) continue;
        accepted_.push_back(static_cast<uint32_t>(i));
        codes_.push_back(contents.codes[i]);
        params_.push_back(contents.params_at[i]);
      }
      n = accepted_.size();
      params = params_.data();
      codes = codes_.data();
    }
    if (n == 0) return;
    compared_ += static_cast<int64_t>(n);
    distances_.resize(n);
    codec_.Distances(query_, codes, params, n, distances_.data());
    for (size_t i = 0; i < n; ++i) {
      if (best_.size() >= room_ && distances_[i] >= best_.front().distance) continue;
      const size_t at = accept_ != nullptr ? accepted_[i] : i;
      best_.push_back({distances_[i], 0, contents.entry(at), cells_, false});
      std::push_heap(best_.begin(), best_.end(), Farther);
      if (best_.size() <= room_) continue;
      std::pop_heap(best_.begin(), best_.end(), Farther);
      best_.pop_back();
    }
  }

  // Before the cells that were offered are let go.
  void Refine() {
    for (Item& item : best_) {
      if (item.is_refined) continue;
      item.refined = codec_.Refine(query_, item.entry.code, item.entry.residue, item.entry.params);
      item.is_refined = true;
    }
  }

  absl::Status Check() const { return context_ != nullptr ? context_->Check() : absl::OkStatus(); }
  int64_t compared() const { return compared_; }
  int64_t cells() const { return cells_; }

  // Adds how many cells had to be offered for each of the `limit` nearest but `self`.
  // REQUIRES: all are refined.
  void AddCellsNeeded(size_t limit, uint64_t self, std::vector<int64_t>* needed) {
    std::erase_if(best_, [self](const Item& item) { return item.entry.ordinal == self; });
    const size_t kept = std::min(limit, best_.size());
    std::partial_sort(best_.begin(), best_.begin() + static_cast<ptrdiff_t>(kept), best_.end(),
                      [](const Item& a, const Item& b) { return a.refined < b.refined; });
    for (size_t i = 0; i < kept; ++i) needed->push_back(best_[i].cells);
  }

  std::vector<CellHit> Take(size_t limit) const {
    std::vector<CellHit> hits;
    hits.reserve(best_.size());
    for (const Item& item : best_) hits.push_back({item.entry.ordinal, item.refined});
    const size_t kept = std::min(limit, hits.size());
    std::partial_sort(hits.begin(), hits.begin() + static_cast<ptrdiff_t>(kept), hits.end());
    hits.resize(kept);
    return hits;
  }

 private:
  struct Item {
    float distance;
    float refined;
    CellEntry entry;
    // How many cells had been offered, its own with them.
    int64_t cells;
    bool is_refined;
  };
  static bool Farther(const Item& a, const Item& b) { return a.distance < b.distance; }

  const VectorCodec& codec_;
  const size_t room_;
  const OrdinalSet* const accept_;
  const CallContext* const context_;
  PreparedQuery query_;
  // A heap, the farthest first.
  std::vector<Item> best_;
  int64_t compared_ = 0;
  int64_t cells_ = 0;
  std::vector<float> distances_;
  std::vector<uint32_t> accepted_;
  std::vector<const uint8_t*> codes_;
  std::vector<const CodeParams*> params_;
};

CellIndex::Header CellIndex::CurrentHeader() const {
  return {commit_, position_, next_cell_, end_ordinal_};
}

// ---- records ----------------------------------------------------------------

std::string CellIndex::Key(char kind) const {
  std::string key;
  PutBigEndian32(&key, index_);
  key.push_back(kind);
  return key;
}

std::string CellIndex::CellKey(char kind, CellId cell) const {
  std::string key = Key(kind);
  PutBigEndian32(&key, cell);
  return key;
}

std::string CellIndex::OrdinalKey(uint64_t ordinal) const {
  std::string key = Key(kOrdinalRecord);
  PutBigEndian64(&key, ordinal);
  return key;
}

// ---- opening ----------------------------------------------------------------

CellIndex::CellIndex(storage::LocalStore& store, uint32_t index, const CellOptions& options)
    : store_(store), index_(index), options_(options), cells_probed_(kLeastProbed) {}

absl::StatusOr<std::unique_ptr<CellIndex>> CellIndex::Open(storage::LocalStore& store,
                                                           uint32_t index,
                                                           const CellOptions& options) {
  if (options.dimension == 0 || options.metric == Metric::kHamming ||
      options.quantization == Quantization::kBits) {
    return InvalidField("index", "cells are for vectors of floats",
                        "Use FLAT or HNSW for vectors of bits.");
  }
  std::unique_ptr<CellIndex> opened(new CellIndex(store, index, options));
  COOKIX_RETURN_IF_ERROR(opened->Load());
  return opened;
}

absl::Status CellIndex::Drop(storage::LocalStore& store, uint32_t index) {
  std::string prefix;
  PutBigEndian32(&prefix, index);
  LocalBatch batch;
  batch.DeletePrefix(prefix);
  return store.Write(batch);
}

void CellIndex::MakeCodecs(std::vector<float> centre) {
  centre_ = std::move(centre);
  const Metric metric = options_.metric;
  codec_ = VectorCodec::Make(metric, options_.quantization, options_.dimension, centre_);
  assignment_ = VectorCodec::Make(metric == Metric::kCosine ? Metric::kCosine : Metric::kL2,
                                  options_.quantization, options_.dimension, centre_);
}

absl::Status CellIndex::Load() {
  const std::shared_ptr<const LocalSnapshot> snapshot = store_.Latest();
  LocalValue value;
  COOKIX_ASSIGN_OR_RETURN(const bool exists, snapshot->Get(Key(kHeaderRecord), &value));
  if (!exists) {
    Publish();
    return absl::OkStatus();
  }
  std::string_view in = value.view();
  uint32_t format, metric, quantization, dimension, next_cell;
  std::string_view position;
  if (!GetFixed32(&in, &format)) return Damaged("its header is cut off");
  if (format > kFormat) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "a cell index was written by a newer program",
                     {"FORMAT_TOO_NEW", "", "Nothing has to be done: it is built anew.", false});
  }
  if (!GetFixed32(&in, &metric) || !GetFixed32(&in, &quantization) ||
      !GetFixed32(&in, &dimension) || !GetFixed64(&in, &commit_) || !GetFixed32(&in, &next_cell) ||
      !GetFixed64(&in, &end_ordinal_) || !GetLengthPrefixed(&in, &position) || !in.empty()) {
    return Damaged("its header is malformed");
  }
  next_cell_ = next_cell;
  position_ = position;
  if (metric != static_cast<uint32_t>(options_.metric) ||
      quantization != static_cast<uint32_t>(options_.quantization) ||
      dimension != options_.dimension) {
    return Damaged("it is of another metric, quantization or dimension");
  }
  COOKIX_ASSIGN_OR_RETURN(const bool has_centre, snapshot->Get(Key(kCentreRecord), &value));
  if (!has_centre) {
    // Nothing was ever added.
    Publish();
    return absl::OkStatus();
  }
  std::vector<float> centre;
  if (!ToFloats(value.view(), value.view().empty() ? 0 : options_.dimension, &centre)) {
    return Damaged("its centre is malformed");
  }
  MakeCodecs(std::move(centre));

  const size_t prefix = Key(kCountRecord).size();
  const auto cell_of = [&](std::string_view key, CellId* cell) {
    key.remove_prefix(prefix);
    return GetBigEndian32(&key, cell) && key.empty() && *cell < next_cell_;
  };
  COOKIX_RETURN_IF_ERROR(snapshot->Scan(
      Key(kCountRecord), [&](std::string_view key, std::string_view counts) -> absl::Status {
        CellId cell;
        CellInfo info;
        uint32_t variance;
        if (!cell_of(key, &cell) || !GetFixed32(&counts, &info.size) ||
            !GetFixed32(&counts, &info.pending) || !GetFixed32(&counts, &variance) ||
            !counts.empty()) {
          return Damaged("the counts of a cell are malformed");
        }
        info.variance = std::bit_cast<float>(variance);
        vectors_ += info.size;
        cells_.emplace(cell, info);
        return absl::OkStatus();
      }));
  COOKIX_RETURN_IF_ERROR(MakeRoom(cells_.size()));
  size_t centroids = 0;
  std::vector<float> centroid;
  COOKIX_RETURN_IF_ERROR(snapshot->Scan(
      Key(kCentroidRecord), [&](std::string_view key, std::string_view floats) -> absl::Status {
        CellId cell;
        if (!cell_of(key, &cell) || !ToFloats(floats, options_.dimension, &centroid)) {
          return Damaged("a centroid is malformed");
        }
        const auto found = cells_.find(cell);
        if (found == cells_.end()) return Damaged("a centroid has no cell");
        found->second.slot = centroids_->Add(cell, centroid.data(), step_);
        ++centroids;
        return absl::OkStatus();
      }));
  if (centroids != cells_.size()) return Damaged("a cell has no centroid");
  COOKIX_ASSIGN_OR_RETURN(const bool learned, snapshot->Get(Key(kProbesRecord), &value));
  if (learned) {
    uint32_t probed;
    uint64_t vectors, cells;
    std::string_view record = value.view();
    // Another one is learned.
    if (GetFixed32(&record, &probed) && GetFixed64(&record, &vectors) &&
        GetFixed64(&record, &cells) && probed >= kLeastProbed && probed <= kMostProbed) {
      cells_probed_ = probed;
      learned_vectors_ = static_cast<int64_t>(vectors);
      learned_cells_ = static_cast<int64_t>(cells);
    }
  }
  for (const auto& [cell, info] : cells_) QueueIfDue(cell);
  Publish();
  return absl::OkStatus();
}

uint64_t CellIndex::commit() const { return state()->commit; }

std::string CellIndex::position() const { return state()->position; }

CellIndexStats CellIndex::Stats() const {
  const std::shared_ptr<const State> now = state();
  CellIndexStats stats;
  stats.vectors = now->vectors;
  stats.cells = now->cells;
  stats.cells_probed = static_cast<int64_t>(now->cells_probed);
  stats.memory_bytes = memory_bytes_.load();
  stats.rewrites = rewrites_.load();
  stats.splits = splits_.load();
  stats.merges = merges_.load();
  stats.recentred = recentred_.load();
  stats.moved = moved_.load();
  return stats;
}

void CellIndex::Publish() {
  auto next = std::make_shared<State>();
  next->snapshot = store_.Latest();
  next->codec = codec_;
  next->centroids = centroids_;
  next->step = step_;
  next->commit = commit_;
  next->position = position_;
  next->vectors = vectors_;
  next->cells = static_cast<int64_t>(cells_.size());
  next->cells_probed = std::min(cells_probed_, MostProbed());
  memory_bytes_.store(
      (centroids_ != nullptr ? centroids_->Bytes() : 0) +
      static_cast<int64_t>(cells_.capacity() * (sizeof(CellId) + sizeof(CellInfo) + 1) +
                           due_.size() * sizeof(CellId) + centre_.size() * sizeof(float)));
  std::shared_ptr<const State> last = std::move(next);
  {
    const std::lock_guard lock(state_mutex_);
    last.swap(state_);
  }
}

// ---- what cells should be like ----------------------------------------------

size_t CellIndex::CellsInMemory() const {
  if (options_.memory_bytes <= 0) return kAnyNumber;
  // Slots are up to twice the cells, and hash tables up to twice their elements.
  const int64_t cell_bytes = 2 * CellCentroids::SlotBytes(options_.dimension) +
                             3 * static_cast<int64_t>(sizeof(CellId) + sizeof(CellInfo));
  return static_cast<size_t>(std::max<int64_t>(options_.memory_bytes / cell_bytes, 8));
}

size_t CellIndex::Floor() const {
  size_t floor = std::max<size_t>(options_.max_cell_size / 8, 32);
  const size_t cells = CellsInMemory();
  if (cells != kAnyNumber) floor = std::max(floor, 3 * static_cast<size_t>(vectors_) / cells);
  return std::min(floor, std::max<size_t>(LargestSize() / 2, 4));
}

size_t CellIndex::StarvedSize() const {
  // When all have a third of the floor, they are few enough.
  return Floor() / (cells_.size() > CellsInMemory() ? 3 : 8);
}

size_t CellIndex::LargestSize() const { return std::max<size_t>(kPortionBytes / EntryBytes(), 8); }

size_t CellIndex::MaxSize() const {
  return std::max(std::min(options_.max_cell_size, LargestSize()), 2 * Floor());
}

size_t CellIndex::MostProbed() const {
  const size_t bytes = static_cast<size_t>(vectors_) * EntryBytes();
  const size_t cell_bytes = std::max<size_t>(bytes / std::max<size_t>(cells_.size(), 1), 1);
  return std::clamp(kMostProbedBytes / cell_bytes, kLeastProbed, kMostProbed);
}

size_t CellIndex::EntryBytes() const {
  return options_.dimension *
             (options_.quantization == Quantization::kNone ? sizeof(float) : 2 * sizeof(uint8_t)) +
         sizeof(uint64_t) + sizeof(CodeParams);
}

bool CellIndex::IsDue(const CellInfo& info) const {
  const size_t floor = Floor();
  return info.pending >= std::max(kLeastPending, info.size / 4) || info.size > MaxSize() ||
         info.size == 0 || (info.size < StarvedSize() && cells_.size() > 1) ||
         (info.variance > options_.max_variance && info.size > floor &&
          cells_.size() < CellsInMemory());
}

void CellIndex::QueueIfDue(CellId cell) {
  CellInfo& info = cells_.at(cell);
  if (info.queued || !IsDue(info)) return;
  info.queued = true;
  due_.push_back(cell);
}

void CellIndex::Reshape(double max_variance, size_t max_cell_size, double max_drift) {
  options_.max_variance = max_variance;
  options_.max_cell_size = max_cell_size;
  options_.max_drift = max_drift;
  learning_.reset();
  for (const auto& [cell, info] : cells_) QueueIfDue(cell);
}

// ---- writing ----------------------------------------------------------------

absl::Status CellIndex::MakeRoom(size_t slots) {
  if (centroids_ != nullptr && centroids_->count() + slots <= centroids_->capacity()) {
    return absl::OkStatus();
  }
  const size_t capacity =
      std::max(std::min(2 * (cells_.size() + slots), 2 * CellsInMemory()), cells_.size() + slots) +
      16;
  std::shared_ptr<CellCentroids> room =
      CellCentroids::Make(options_.metric, options_.dimension, centre_, capacity);
  if (room == nullptr) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "there is no memory for the centroids of a vector index",
                     {"MEMORY_EXHAUSTED", "", "Give the server more memory.", true});
  }
  if (centroids_ != nullptr) {
    std::vector<float> centroid(options_.dimension);
    for (auto& [cell, info] : cells_) {
      centroids_->Decode(info.slot, centroid.data());
      info.slot = room->Add(cell, centroid.data(), step_);
    }
    centroids_ = std::move(room);
    Publish();
  } else {
    centroids_ = std::move(room);
  }
  return absl::OkStatus();
}

absl::Status CellIndex::Write(Edit& edit) {
  size_t slots = 0;
  for (const auto& [id, cell] : edit.cells) slots += cell.centroid.empty() ? 0 : 1;
  COOKIX_RETURN_IF_ERROR(MakeRoom(slots));

  std::vector<std::pair<CellId, CellInfo>> infos;
  std::string value;
  for (auto& [id, cell] : edit.cells) {
    if (cell.dropped) {
      edit.batch.Delete(CellKey(kCentroidRecord, id));
      edit.batch.Delete(CellKey(kCountRecord, id));
      edit.batch.Delete(CellKey(kEntriesRecord, id));
      continue;
    }
    const auto known = cells_.find(id);
    CellInfo info = known != cells_.end() ? known->second : CellInfo();
    value.clear();
    if (cell.rewritten) {
      value = std::move(cell.entries);
      info.size = cell.size;
      info.pending = cell.pending;
      info.variance = cell.variance;
    }
    AppendRemovals(cell.removed, &value);
    cell.added.AppendTo(&value);
    info.size += static_cast<uint32_t>(cell.added.size());
    info.size -= static_cast<uint32_t>(cell.removed.size());
    info.pending += static_cast<uint32_t>(cell.added.size() + cell.removed.size());
    if (cell.rewritten) {
      edit.batch.Put(CellKey(kEntriesRecord, id), value);
    } else if (!value.empty()) {
      edit.batch.Append(CellKey(kEntriesRecord, id), value);
    }
    if (!cell.centroid.empty()) edit.batch.Put(CellKey(kCentroidRecord, id), Bytes(cell.centroid));
    value.clear();
    PutFixed32(&value, info.size);
    PutFixed32(&value, info.pending);
    PutFixed32(&value, std::bit_cast<uint32_t>(info.variance));
    edit.batch.Put(CellKey(kCountRecord, id), value);
    infos.emplace_back(id, info);
  }
  value.clear();
  PutFixed32(&value, kFormat);
  PutFixed32(&value, static_cast<uint32_t>(options_.metric));
  PutFixed32(&value, static_cast<uint32_t>(options_.quantization));
  PutFixed32(&value, static_cast<uint32_t>(options_.dimension));
  PutFixed64(&value, edit.header.commit);
  PutFixed32(&value, edit.header.next_cell);
  PutFixed64(&value, edit.header.end_ordinal);
  PutLengthPrefixed(&value, edit.header.position);
  edit.batch.Put(Key(kHeaderRecord), value);
  COOKIX_RETURN_IF_ERROR(store_.Write(edit.batch));

  // It is written: from here on nothing fails.
  ++step_;
  commit_ = edit.header.commit;
  position_ = edit.header.position;
  next_cell_ = edit.header.next_cell;
  end_ordinal_ = edit.header.end_ordinal;
  for (const auto& [id, cell] : edit.cells) {
    if (!cell.dropped) continue;
    const auto known = cells_.find(id);
    if (known == cells_.end()) continue;
    centroids_->Remove(known->second.slot, step_);
    vectors_ -= known->second.size;
    cells_.erase(known);
  }
  for (auto& [id, info] : infos) {
    const std::vector<float>& centroid = edit.cells.at(id).centroid;
    const auto known = cells_.find(id);
    if (known != cells_.end()) vectors_ -= known->second.size;
    vectors_ += info.size;
    if (!centroid.empty()) {
      const Slot old = info.slot;
      info.slot = centroids_->Add(id, centroid.data(), step_);
      if (old != kNoSlot) centroids_->Remove(old, step_);
    }
    cells_.insert_or_assign(id, info);
  }
  for (const auto& [id, info] : infos) QueueIfDue(id);
  Publish();
  return absl::OkStatus();
}

absl::Status CellIndex::Apply(std::span<const CellChange> changes, uint64_t commit,
                              std::string_view position) {
  // What was applied before stays applied.
  const std::string old_position = position_;
  if (commit < commit_) {
    commit = commit_;
    position = old_position;
  }
  // The last change of an ordinal, in the order of ordinals.
  std::vector<CellChange> last(changes.begin(), changes.end());
  std::stable_sort(last.begin(), last.end(),
                   [](const CellChange& a, const CellChange& b) { return a.ordinal < b.ordinal; });
  size_t kept = 0;
  for (size_t i = 0; i < last.size(); ++i) {
    if (i + 1 < last.size() && last[i + 1].ordinal == last[i].ordinal) continue;
    last[kept++] = last[i];
  }
  last.resize(kept);
  for (std::span<const CellChange> left = last;;) {
    const size_t most =
        std::clamp<size_t>(std::min(kPortionBytes / EntryBytes(),
                                    std::max(kFirstPortion, static_cast<size_t>(vectors_))),
                           1, std::max<size_t>(left.size(), 1));
    if (most >= left.size()) return ApplyPortion(left, commit, position);
    COOKIX_RETURN_IF_ERROR(ApplyPortion(left.first(most), commit_, old_position));
    left = left.subspan(most);
    // What comes finds cells in shape.
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(const bool done, Maintain(64));
      if (done) break;
    }
  }
}

absl::StatusOr<bool> CellIndex::FindCell(const LocalSnapshot& snapshot, uint64_t ordinal,
                                         LocalValue* value, CellId* cell) const {
  COOKIX_ASSIGN_OR_RETURN(const bool found, snapshot.Get(OrdinalKey(ordinal), value));
  if (!found) return false;
  std::string_view in = value->view();
  if (!GetFixed32(&in, cell) || !in.empty()) return Damaged("an ordinal's record is malformed");
  return true;
}

absl::Status CellIndex::ApplyPortion(std::span<const CellChange> changes, uint64_t commit,
                                     std::string_view position) {
  const size_t dimension = options_.dimension;
  std::vector<float> buffer;
  const bool is_first = codec_ == nullptr;
  if (is_first || cells_.empty()) {
    std::vector<double> sum(dimension, 0);
    size_t count = 0;
    for (const CellChange& change : changes) {
      if (change.vector == nullptr) continue;
      const float* v = Prepared(options_.metric, change.vector, dimension, &buffer);
      for (size_t d = 0; d < dimension; ++d) sum[d] += v[d];
      ++count;
    }
    if (count == 0) {
      // There is nothing to remove.
      Edit edit(codec_.get(), CurrentHeader());
      edit.header.commit = commit;
      edit.header.position = position;
      return Write(edit);
    }
    std::vector<float> mean(dimension);
    for (size_t d = 0; d < dimension; ++d) {
      mean[d] = static_cast<float>(sum[d] / static_cast<double>(count));
    }
    if (is_first) {
      const bool centred =
          options_.metric != Metric::kDot && options_.quantization == Quantization::kInt8;
      MakeCodecs(centred ? mean : std::vector<float>());
    }
    Edit edit(codec_.get(), CurrentHeader());
    ++edit.header.next_cell;
    edit.batch.Put(Key(kCentreRecord), Bytes(centre_));
    Edit::Cell& cell = edit.cell(next_cell_);
    cell.rewritten = true;
    cell.centroid = CentroidOf(options_.metric, mean);
    COOKIX_RETURN_IF_ERROR(Write(edit));
  }

  Edit edit(codec_.get(), CurrentHeader());
  edit.header.commit = commit;
  edit.header.position = position;
  const std::shared_ptr<const State> now = state();
  LocalValue value;
  std::vector<NearCell> nearest;
  std::vector<uint8_t> code(codec_->code_bytes());
  std::vector<uint8_t> residue(codec_->residue_bytes());
  for (const CellChange& change : changes) {
    CellId old = 0;
    bool has_old = false;
    // Ordinals that are new, as most are, need not be looked for.
    if (change.ordinal < end_ordinal_) {
      COOKIX_ASSIGN_OR_RETURN(has_old, FindCell(*now->snapshot, change.ordinal, &value, &old));
    }
    if (has_old && !cells_.contains(old)) return Damaged("an ordinal is in a cell that is not");
    if (has_old) edit.cell(old).removed.push_back(change.ordinal);
    if (change.vector == nullptr) {
      if (has_old) edit.batch.Delete(OrdinalKey(change.ordinal));
      continue;
    }
    const float* v = Prepared(options_.metric, change.vector, dimension, &buffer);
    centroids_->Nearest(v, 1, step_, &nearest);
    const CellId cell = nearest.front().cell;
    CellEntry entry;
    entry.ordinal = change.ordinal;
    assignment_->Encode(v, code.data(), residue.data(), &entry.params);
    entry.code = code.data();
    entry.residue = residue.data();
    edit.cell(cell).added.Add(entry);
    if (!has_old || old != cell) edit.PutOrdinal(OrdinalKey(change.ordinal), cell);
    edit.header.end_ordinal = std::max(edit.header.end_ordinal, change.ordinal + 1);
  }
  COOKIX_RETURN_IF_ERROR(Write(edit));
  changed_since_ += static_cast<int64_t>(changes.size());
  return absl::OkStatus();
}

// ---- upkeep -----------------------------------------------------------------

absl::StatusOr<bool> CellIndex::Maintain(int64_t steps) {
  if (cells_.size() > CellsInMemory()) {
    for (const auto& [cell, info] : cells_) QueueIfDue(cell);
  }
  int64_t step = 0;
  for (; !due_.empty(); ++step) {
    if (step >= steps) return false;
    const CellId cell = due_.front();
    const auto found = cells_.find(cell);
    if (found != cells_.end() && IsDue(found->second)) COOKIX_RETURN_IF_ERROR(Rework(cell));
    due_.pop_front();
    const auto after = cells_.find(cell);
    if (after == cells_.end()) continue;
    after->second.queued = false;
    QueueIfDue(cell);
  }
  if (!learning_.has_value() && IsTimeToLearn()) BeginLearning();
  for (; learning_.has_value(); step += kStepsToLearn) {
    if (step >= steps) return false;
    COOKIX_RETURN_IF_ERROR(LearnFromOne());
  }
  return true;
}

absl::Status CellIndex::ReadCell(const State& state, CellId cell, LocalValue* value,
                                 CellContents* contents) const {
  COOKIX_ASSIGN_OR_RETURN(const bool found,
                          state.snapshot->GetSelfChecked(CellKey(kEntriesRecord, cell), value));
  if (!found) return Damaged("a cell has no entries");
  return contents->Parse(*state.codec, value->view());
}

absl::Status CellIndex::Rework(CellId cell) {
  const std::shared_ptr<const State> now = state();
  const CellInfo info = cells_.at(cell);
  LocalValue value;
  CellContents contents;
  COOKIX_RETURN_IF_ERROR(ReadCell(*now, cell, &value, &contents));
  const size_t n = contents.size();
  if (n != info.size) return Damaged("a cell has another number of entries than its record says");
  if (n == 0) {
    Edit edit(codec_.get(), CurrentHeader());
    edit.cell(cell).dropped = true;
    COOKIX_RETURN_IF_ERROR(Write(edit));
    merges_.fetch_add(1);
    return absl::OkStatus();
  }
  const size_t dimension = options_.dimension;
  std::vector<float> floats(n * dimension);
  for (size_t i = 0; i < n; ++i) {
    codec_->Decode(contents.codes[i], contents.residues[i], contents.params[i],
                   floats.data() + i * dimension);
  }
  const CellVectors vectors{floats.data(), n, dimension};
  if (n < StarvedSize() && cells_.size() > 1) return Dissolve(cell, contents, vectors);
  const CellShape shape = ShapeOf(vectors);
  if (n > MaxSize() ||
      (n > Floor() && shape.variance > options_.max_variance && cells_.size() < CellsInMemory())) {
    return Split(cell, contents, vectors);
  }
  std::vector<float> centroid(dimension);
  centroids_->Decode(info.slot, centroid.data());
  Edit edit(codec_.get(), CurrentHeader());
  Edit::Cell& change = edit.cell(cell);
  change.rewritten = true;
  CellEntryList entries(*codec_);
  for (size_t i = 0; i < n; ++i) entries.Add(contents.entry(i));
  entries.AppendTo(&change.entries);
  change.size = static_cast<uint32_t>(n);
  change.variance = static_cast<float>(shape.variance);
  const bool drifted = Drift(options_.metric, centroid, shape) > options_.max_drift;
  if (drifted) change.centroid = CentroidOf(options_.metric, shape.mean);
  COOKIX_RETURN_IF_ERROR(Write(edit));
  rewrites_.fetch_add(1);
  if (drifted) recentred_.fetch_add(1);
  return absl::OkStatus();
}

absl::Status CellIndex::Dissolve(CellId cell, const CellContents& contents,
                                 const CellVectors& vectors) {
  Edit edit(codec_.get(), CurrentHeader());
  edit.cell(cell).dropped = true;
  std::vector<NearCell> nearest;
  for (size_t i = 0; i < contents.size(); ++i) {
    centroids_->Nearest(vectors.at(i), 2, step_, &nearest);
    if (nearest.size() < 2) {
      centroids_->All(vectors.at(i), false, step_, &nearest);
      std::partial_sort(nearest.begin(), nearest.begin() + 2, nearest.end());
    }
    const CellId to = nearest[0].cell != cell ? nearest[0].cell : nearest[1].cell;
    edit.cell(to).added.Add(contents.entry(i));
    edit.PutOrdinal(OrdinalKey(contents.ordinals[i]), to);
  }
  COOKIX_RETURN_IF_ERROR(Write(edit));
  merges_.fetch_add(1);
  return absl::OkStatus();
}

absl::Status CellIndex::Split(CellId cell, const CellContents& contents,
                              const CellVectors& vectors) {
  const size_t n = contents.size();
  const size_t dimension = options_.dimension;
  Bisection halves = Bisect(options_.metric, vectors);
  // The larger half keeps the cell, so that fewer records of ordinals change.
  const auto second =
      static_cast<size_t>(std::count(halves.side.begin(), halves.side.end(), uint8_t{1}));
  const uint8_t kept = 2 * second > n ? 1 : 0;
  Edit edit(codec_.get(), CurrentHeader());
  ++edit.header.next_cell;
  Part parts[2] = {Part(*codec_), Part(*codec_)};
  for (uint8_t side = 0; side < 2; ++side) {
    Part& part = parts[side];
    part.cell = side == kept ? cell : next_cell_;
    part.centroid = CentroidOf(options_.metric, halves.shapes[side].mean);
    part.variance = static_cast<float>(halves.shapes[side].variance);
    assignment_->PrepareQuery(part.centroid.data(), &part.query);
  }

  std::vector<float> centroid(dimension);
  centroids_->Decode(cells_.at(cell).slot, centroid.data());
  std::vector<NearCell> neighbours;
  centroids_->Nearest(centroid.data(), kPushedTo + 1, step_, &neighbours);
  std::erase_if(neighbours, [&](const NearCell& near) { return near.cell == cell; });

  // Where each vector of the cell is nearest: its half, or a neighbour.
  std::vector<float> best(n);
  std::vector<float> distances(n);
  std::vector<int> target(n);
  for (int side = 0; side < 2; ++side) {
    assignment_->Distances(parts[side].query, contents.codes.data(), contents.params_at.data(), n,
                           distances.data());
    for (size_t i = 0; i < n; ++i) {
      if (halves.side[i] == side) best[i] = distances[i];
    }
  }
  for (size_t i = 0; i < n; ++i) target[i] = -1 - halves.side[i];
  std::vector<PreparedQuery> queries(neighbours.size());
  for (size_t k = 0; k < neighbours.size(); ++k) {
    centroids_->Decode(neighbours[k].slot, centroid.data());
    assignment_->PrepareQuery(centroid.data(), &queries[k]);
    assignment_->Distances(queries[k], contents.codes.data(), contents.params_at.data(), n,
                           distances.data());
    for (size_t i = 0; i < n; ++i) {
      if (distances[i] >= best[i]) continue;
      best[i] = distances[i];
      target[i] = static_cast<int>(k);
    }
  }
  int64_t moved = 0;
  for (size_t i = 0; i < n; ++i) {
    Part& part = parts[halves.side[i]];
    const CellEntry entry = contents.entry(i);
    if (target[i] >= 0) {
      const auto k = static_cast<size_t>(target[i]);
      // Codes may err about what is almost the same.
      if (assignment_->Refine(queries[k], entry.code, entry.residue, entry.params) <
          assignment_->Refine(part.query, entry.code, entry.residue, entry.params)) {
        edit.cell(neighbours[k].cell).added.Add(entry);
        edit.PutOrdinal(OrdinalKey(entry.ordinal), neighbours[k].cell);
        ++part.strangers;
        ++moved;
        continue;
      }
    }
    part.entries.Add(entry);
    if (part.cell != cell) edit.PutOrdinal(OrdinalKey(entry.ordinal), part.cell);
  }
  COOKIX_RETURN_IF_ERROR(PullFromNeighbours(
      std::span<const NearCell>(neighbours).first(std::min(kPulledFrom, neighbours.size())), &edit,
      parts));
  for (Part& part : parts) {
    if (part.entries.size() == 0) {
      if (part.cell == cell) edit.cell(cell).dropped = true;
      continue;
    }
    Edit::Cell& change = edit.cell(part.cell);
    change.rewritten = true;
    part.entries.AppendTo(&change.entries);
    change.size = static_cast<uint32_t>(part.entries.size());
    change.pending = part.strangers;
    change.variance = part.variance;
    change.centroid = std::move(part.centroid);
    moved += part.pulled;
  }
  COOKIX_RETURN_IF_ERROR(Write(edit));
  splits_.fetch_add(1);
  moved_.fetch_add(moved);
  return absl::OkStatus();
}

absl::Status CellIndex::PullFromNeighbours(std::span<const NearCell> neighbours, Edit* edit,
                                           Part* parts) {
  const std::shared_ptr<const State> now = state();
  LocalValue value;
  CellContents contents;
  std::vector<float> centroid(options_.dimension);
  PreparedQuery own;
  std::vector<float> own_distances, part_distances[2];
  for (const NearCell& neighbour : neighbours) {
    COOKIX_RETURN_IF_ERROR(ReadCell(*now, neighbour.cell, &value, &contents));
    const size_t n = contents.size();
    centroids_->Decode(neighbour.slot, centroid.data());
    assignment_->PrepareQuery(centroid.data(), &own);
    own_distances.resize(n);
    assignment_->Distances(own, contents.codes.data(), contents.params_at.data(), n,
                           own_distances.data());
    for (int side = 0; side < 2; ++side) {
      part_distances[side].resize(n);
      assignment_->Distances(parts[side].query, contents.codes.data(), contents.params_at.data(), n,
                             part_distances[side].data());
    }
    for (size_t i = 0; i < n; ++i) {
      const int side = part_distances[1][i] < part_distances[0][i] ? 1 : 0;
      if (part_distances[side][i] >= own_distances[i]) continue;
      const CellEntry entry = contents.entry(i);
      if (assignment_->Refine(parts[side].query, entry.code, entry.residue, entry.params) >=
          assignment_->Refine(own, entry.code, entry.residue, entry.params)) {
        continue;
      }
      edit->cell(neighbour.cell).removed.push_back(entry.ordinal);
      edit->PutOrdinal(OrdinalKey(entry.ordinal), parts[side].cell);
      parts[side].entries.Add(entry);
      ++parts[side].strangers;
      ++parts[side].pulled;
    }
  }
  return absl::OkStatus();
}

bool CellIndex::IsTimeToLearn() const {
  const auto changed = [](int64_t from, int64_t to) { return 4 * std::abs(to - from) >= from; };
  return vectors_ >= kLeastLearned &&
         (4 * changed_since_ >= learned_vectors_ || changed(learned_vectors_, vectors_) ||
          changed(learned_cells_, static_cast<int64_t>(cells_.size())));
}

void CellIndex::BeginLearning() {
  learning_.emplace();
  learning_->random.seed(static_cast<uint64_t>(vectors_));
  learning_->looked_at = std::min(4 * cells_probed_, MostProbed());
}

absl::Status CellIndex::LearnFromOne() {
  const size_t most = std::min(MostProbed(), cells_.size());
  if (most <= kLeastProbed) {
    EndLearning(kLeastProbed);
    return absl::OkStatus();
  }
  const std::shared_ptr<const State> now = state();
  Learning& learning = *learning_;
  // A cell of those that there are.
  auto cell = cells_.end();
  while (cell == cells_.end()) {
    const auto slot = static_cast<Slot>(learning.random() % centroids_->count());
    cell = cells_.find(centroids_->cell(slot));
    if (cell != cells_.end() && cell->second.slot != slot) cell = cells_.end();
  }
  LocalValue value;
  CellContents contents;
  COOKIX_RETURN_IF_ERROR(ReadCell(*now, cell->first, &value, &contents));
  if (contents.size() > 0) {
    const CellEntry entry = contents.entry(learning.random() % contents.size());
    std::vector<float> vector(options_.dimension);
    codec_->Decode(entry.code, entry.residue, entry.params, vector.data());
    std::vector<NearCell> near;
    NearestCells(*now, vector.data(), learning.looked_at, &near);
    Collector collector(*codec_, vector.data(), kAskedNearest + 1, nullptr, nullptr);
    COOKIX_RETURN_IF_ERROR(ReadCells(*now, near, &collector));
    collector.AddCellsNeeded(kAskedNearest, entry.ordinal, &learning.needed);
  }
  if (++learning.asked < kAskedFor) return absl::OkStatus();
  std::vector<int64_t>& all = learning.needed;
  size_t needed = kLeastProbed;
  if (!all.empty()) {
    const auto at = static_cast<size_t>(kProbedRecall * static_cast<double>(all.size() - 1));
    std::nth_element(all.begin(), all.begin() + static_cast<ptrdiff_t>(at), all.end());
    needed = static_cast<size_t>(all[at]);
  }
  // What lies in the farthest of the cells that are looked at says that more are needed.
  if (learning.looked_at >= most || 2 * needed <= learning.looked_at) {
    EndLearning(std::clamp(needed, kLeastProbed, most));
    return absl::OkStatus();
  }
  learning.looked_at = std::min(2 * learning.looked_at, most);
  learning.asked = 0;
  all.clear();
  return absl::OkStatus();
}

void CellIndex::EndLearning(size_t cells_probed) {
  cells_probed_ = cells_probed;
  changed_since_ = 0;
  learned_vectors_ = vectors_;
  learned_cells_ = static_cast<int64_t>(cells_.size());
  learning_.reset();
  std::string record;
  PutFixed32(&record, static_cast<uint32_t>(cells_probed));
  PutFixed64(&record, static_cast<uint64_t>(learned_vectors_));
  PutFixed64(&record, static_cast<uint64_t>(learned_cells_));
  LocalBatch batch;
  batch.Put(Key(kProbesRecord), record);
  // What is not saved is learned again.
  store_.Write(batch).IgnoreError();
  Publish();
}

// ---- searching --------------------------------------------------------------

void CellIndex::NearestCells(const State& state, const float* vector, size_t count,
                             std::vector<NearCell>* cells) const {
  const bool by_inner_product = options_.metric == Metric::kDot;
  if (!by_inner_product && static_cast<int64_t>(count) < state.cells) {
    state.centroids->Nearest(vector, count, state.step, cells);
    return;
  }
  state.centroids->All(vector, by_inner_product, state.step, cells);
  const size_t kept = std::min(count, cells->size());
  std::partial_sort(cells->begin(), cells->begin() + static_cast<ptrdiff_t>(kept), cells->end());
  cells->resize(kept);
}

absl::Status CellIndex::ReadCells(const State& state, std::span<const NearCell> cells,
                                  Collector* collector) const {
  LocalValue values[kGroup];
  CellContents contents[kGroup];
  for (size_t begin = 0; begin < cells.size(); begin += kGroup) {
    COOKIX_RETURN_IF_ERROR(collector->Check());
    const size_t n = std::min(kGroup, cells.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      COOKIX_RETURN_IF_ERROR(ReadCell(state, cells[begin + i].cell, &values[i], &contents[i]));
      if (options_.metric == Metric::kDot) ForgetNorms(contents[i].params);
      collector->Offer(contents[i]);
    }
    collector->Refine();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CellIndex::ReadInOrder(const State& state, std::vector<NearCell> order,
                                            double wanted, size_t limit,
                                            Collector* collector) const {
  const auto farther = [](const NearCell& a, const NearCell& b) { return b < a; };
  std::make_heap(order.begin(), order.end(), farther);
  std::vector<NearCell> group;
  while (!order.empty()) {
    if (static_cast<double>(collector->compared()) >= wanted &&
        collector->compared() >= static_cast<int64_t>(limit)) {
      return false;
    }
    group.clear();
    while (!order.empty() && group.size() < kGroup) {
      std::pop_heap(order.begin(), order.end(), farther);
      group.push_back(order.back());
      order.pop_back();
    }
    COOKIX_RETURN_IF_ERROR(ReadCells(state, group, collector));
  }
  return true;
}

absl::Status CellIndex::ReadAccepted(const State& state, const OrdinalSet& accept,
                                     Collector* collector) const {
  std::vector<CellId> cells;
  LocalValue value;
  absl::Status status;
  int64_t looked = 0;
  accept.ForEach([&](Ordinal ordinal) {
    if (!status.ok()) return;
    if (++looked % 256 == 0) status = collector->Check();
    CellId cell;
    const absl::StatusOr<bool> found = FindCell(*state.snapshot, ordinal, &value, &cell);
    if (!found.ok()) {
      status = found.status();
    } else if (*found) {
      cells.push_back(cell);
    }
  });
  COOKIX_RETURN_IF_ERROR(status);
  std::sort(cells.begin(), cells.end());
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  std::vector<NearCell> order(cells.size());
  for (size_t i = 0; i < cells.size(); ++i) order[i].cell = cells[i];
  return ReadCells(state, order, collector);
}

absl::StatusOr<CellSearchResult> CellIndex::Search(const CellQuery& query,
                                                   const CallContext* context) const {
  CellSearchResult result;
  const std::shared_ptr<const State> now = state();
  if (now->vectors == 0 || query.limit == 0) {
    result.exact = true;
    return result;
  }
  std::vector<float> buffer;
  const float* vector = Prepared(options_.metric, query.vector, options_.dimension, &buffer);
  Collector collector(*now->codec, vector, query.limit, query.accept, context);
  const bool by_inner_product = options_.metric == Metric::kDot;
  const auto vectors = static_cast<double>(now->vectors);
  const double cell_size = vectors / static_cast<double>(now->cells);
  const auto probes =
      static_cast<double>(query.cells_probed > 0 ? query.cells_probed : now->cells_probed);
  std::vector<NearCell> cells;
  if (query.accept != nullptr) {
    const auto accepted = static_cast<double>(query.accept->Count());
    // The rarer matches are, the farther away are the nearest of them: more cells have to
    // be read, though fewer vectors compared.
    const double share = std::clamp(accepted / vectors, 1e-9, 1.0);
    const double cells_wanted = probes / std::pow(share, kRareness);
    if (accepted <= (query.exact ? static_cast<double>(now->cells) : cells_wanted)) {
      COOKIX_RETURN_IF_ERROR(ReadAccepted(*now, *query.accept, &collector));
      result.exact = true;
    } else {
      now->centroids->All(vector, by_inner_product, now->step, &cells);
      COOKIX_ASSIGN_OR_RETURN(result.exact,
                              ReadInOrder(*now, std::move(cells),
                                          query.exact ? HUGE_VAL : cells_wanted * cell_size * share,
                                          query.limit, &collector));
    }
  } else {
    // Twice as many as wanted are to be compared at least.
    const double enough =
        std::max(probes, std::ceil(2 * static_cast<double>(query.limit) / cell_size));
    const bool all = query.exact || enough >= static_cast<double>(now->cells);
    if (all) {
      now->centroids->All(vector, by_inner_product, now->step, &cells);
    } else {
      NearestCells(*now, vector, static_cast<size_t>(enough), &cells);
    }
    COOKIX_RETURN_IF_ERROR(ReadCells(*now, cells, &collector));
    result.exact = all;
  }
  result.hits = collector.Take(query.limit);
  result.cells_read = collector.cells();
  result.distances = collector.compared();
  return result;
}

// ---- checking ---------------------------------------------------------------

absl::Status CellIndex::CheckIntegrity() const {
  const std::shared_ptr<const State> now = state();
  LocalValue value;
  CellContents contents;
  uint64_t entries = 0;
  for (const auto& [cell, info] : cells_) {
    COOKIX_RETURN_IF_ERROR(ReadCell(*now, cell, &value, &contents));
    if (contents.size() != info.size) return Damaged("the size of a cell is wrong");
    if (centroids_->cell(info.slot) != cell) return Damaged("a centroid is of another cell");
    entries += contents.size();
    LocalValue record;
    for (const uint64_t ordinal : contents.ordinals) {
      CellId named = 0;
      COOKIX_ASSIGN_OR_RETURN(const bool found, FindCell(*now->snapshot, ordinal, &record, &named));
      if (!found || named != cell) return Damaged("an entry is not where its record says");
    }
    std::sort(contents.ordinals.begin(), contents.ordinals.end());
    if (std::adjacent_find(contents.ordinals.begin(), contents.ordinals.end()) !=
        contents.ordinals.end()) {
      return Damaged("an ordinal is in a cell twice");
    }
  }
  uint64_t records = 0;
  COOKIX_RETURN_IF_ERROR(now->snapshot->Scan(
      Key(kOrdinalRecord), [&](std::string_view, std::string_view) -> absl::Status {
        ++records;
        return absl::OkStatus();
      }));
  if (records != entries || static_cast<int64_t>(entries) != now->vectors) {
    return Damaged("the number of vectors is wrong");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CellIndex::CellReport>> CellIndex::ReportForTest() const {
  const std::shared_ptr<const State> now = state();
  std::vector<CellReport> reports;
  LocalValue value;
  CellContents contents;
  for (const auto& [cell, info] : cells_) {
    COOKIX_RETURN_IF_ERROR(ReadCell(*now, cell, &value, &contents));
    CellReport report;
    report.cell = cell;
    report.size = contents.size();
    report.pending = info.pending;
    report.centroid.resize(options_.dimension);
    centroids_->Decode(info.slot, report.centroid.data());
    std::vector<float> floats(contents.size() * options_.dimension);
    for (size_t i = 0; i < contents.size(); ++i) {
      codec_->Decode(contents.codes[i], contents.residues[i], contents.params[i],
                     floats.data() + i * options_.dimension);
    }
    if (!floats.empty()) {
      report.shape = ShapeOf({floats.data(), contents.size(), options_.dimension});
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace cookix::engine
