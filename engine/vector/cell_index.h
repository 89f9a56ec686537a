// A vector index for collections larger than memory.
//
// Space is divided into Voronoi cells: each vector is in the cell whose centroid is the
// nearest. Centroids are in memory (cell_centroids.h), cells in a LocalStore, a value
// each (cell_entries.h). A search reads the cells whose centroids are nearest to the
// query, compares by codes, and the best again by their residues.
//
// Cells follow the data. What arrives is appended to its cell; when a quarter of a cell
// is new, Maintain() rewrites it, and then looks at its shape:
//   * Above `max_variance` or `max_cell_size` it is bisected. A cell is not split for its
//     variance below the floor of max_cell_size / 8 (at least 32) vectors: in many
//     dimensions noise alone has a variance that no split lowers. Vectors of the split
//     cell and of its neighbours that are then nearer to another centroid move there, as
//     in LIRE (Xu et al., "SPFresh", 2023).
//   * Below an eighth of the floor it is dissolved: its vectors go to their nearest cells.
//   * When its centroid has drifted by more than `max_drift` it is computed anew.
//
// How many cells a search has to read depends on the data: where clusters are smaller than
// cells, what is near lies in many. Each time a quarter of the vectors or cells has changed,
// Maintain() looks from stored vectors how many cells hold what is nearest to them.
//
// Memory is that for centroids, 400 to 900 bytes for a cell of 128 dimensions, and what the
// LocalStore holds. With `memory_bytes` the floor rises with the number of vectors, and
// small cells are dissolved, so that the centroids fit: cells become larger and searches
// slower instead. (Cells of more than 4 MiB are not made, whatever the memory.)
//
// Crashes. Every change is one batch of the LocalStore, with the watermark; after a crash
// the index is as it was at some such batch, and commit() says which commits it has.
// Applying a commit again changes nothing.
//
// Threads. Apply(), Maintain(), Reshape() and CheckIntegrity() by one thread at a time; the rest
// from any thread, beside them.
#ifndef COOKIX_ENGINE_VECTOR_CELL_INDEX_H_
#define COOKIX_ENGINE_VECTOR_CELL_INDEX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/filter/ordinal_set.h"
#include "engine/vector/cell_centroids.h"
#include "engine/vector/cell_entries.h"
#include "engine/vector/cell_split.h"
#include "engine/vector/vector_codec.h"
#include "storage/local_store.h"

namespace cookix::engine {

struct CellOptions {
  // kCosine, kL2 or kDot.
  Metric metric = Metric::kCosine;
  // kInt8, or kNone: floats.
  Quantization quantization = Quantization::kInt8;
  size_t dimension = 0;
  // The rest may differ each time the index is opened.
  // Mean squared distance from the mean (under kCosine of vectors of unit length).
  double max_variance = 0.15;
  // 16 to 65,536. Less where the vectors of a cell would take more than 4 MiB.
  size_t max_cell_size = 1024;
  // Radians; see Drift().
  double max_drift = 0.03;
  // Bytes that centroids may take. 0 = any.
  int64_t memory_bytes = 0;
};

struct CellChange {
  uint64_t ordinal = 0;
  // Null removes. Borrowed; finite. Need not have unit length under kCosine.
  const float* vector = nullptr;
};

struct CellQuery {
  const float* vector = nullptr;
  size_t limit = 10;
  // 0 = CellIndexStats::cells_probed.
  size_t cells_probed = 0;
  // Compares with all that are accepted.
  bool exact = false;
  // Only these; null = all.
  const OrdinalSet* accept = nullptr;
};

struct CellHit {
  uint64_t ordinal = 0;
  // As VectorCodec's.
  float distance = 0;
  bool operator<(const CellHit& other) const {
    return distance < other.distance || (distance == other.distance && ordinal < other.ordinal);
  }
};

struct CellSearchResult {
  // Ascending.
  std::vector<CellHit> hits;
  // All that are accepted were compared.
  bool exact = false;
  int64_t cells_read = 0;
  int64_t distances = 0;
};

// Counters are since it was opened.
struct CellIndexStats {
  int64_t vectors = 0;
  int64_t cells = 0;
  // That a search reads which does not say.
  int64_t cells_probed = 0;
  // Without the LocalStore's.
  int64_t memory_bytes = 0;
  int64_t rewrites = 0;
  int64_t splits = 0;
  int64_t merges = 0;
  // Centroids computed anew because of drift.
  int64_t recentred = 0;
  // Vectors that a split moved between other cells.
  int64_t moved = 0;
};

class CellIndex {
 public:
  // Opens the index of that number in `store`, which is borrowed, or begins an empty one.
  // Errors:
  //   kDataLoss            CORRUPTION: damaged, or of another metric, quantization or
  //                        dimension; Drop() it and apply everything again
  //   kFailedPrecondition  written by a newer program; the same helps
  //   kResourceExhausted   no memory for the centroids
  static absl::StatusOr<std::unique_ptr<CellIndex>> Open(storage::LocalStore& store, uint32_t index,
                                                         const CellOptions& options);
  // Removes all of an index. REQUIRES: it is not open.
  static absl::Status Drop(storage::LocalStore& store, uint32_t index);

  CellIndex(const CellIndex&) = delete;
  CellIndex& operator=(const CellIndex&) = delete;

  const CellOptions& options() const { return options_; }

  // Makes the changes of everything up to `commit` visible; `position` says the same to the
  // caller, who alone knows which history the commit is of. The last change of an ordinal
  // counts. What is removed or replaced is hidden when it returns. All in one batch, so
  // that a crash leaves all or nothing; only of more than 4 MiB, or more than the index
  // holds, parts may be left, with the older watermark, and applying it again completes
  // them. After an error too it may be applied again.
  absl::Status Apply(std::span<const CellChange> changes, uint64_t commit,
                     std::string_view position = {});

  // Brings cells that need it into shape, each in a batch of its own, then learns from stored
  // vectors how many a search has to read. Takes at most `steps`: a cell is one, a vector
  // eight. Returns true when nothing is left. To be called after each Apply() until then, or
  // searches become slow.
  absl::StatusOr<bool> Maintain(int64_t steps);

  // Other settings from here on; Maintain() brings cells into the shape that they say.
  void Reshape(double max_variance, size_t max_cell_size, double max_drift);

  // Every commit up to it is in the index.
  uint64_t commit() const;
  // What was given with it; to be checked, after opening, against the store's history.
  std::string position() const;
  CellIndexStats Stats() const;

  // Sees what was visible when it began. `context` may be null. Errors: kDataLoss, those of
  // the context, and reading errors.
  absl::StatusOr<CellSearchResult> Search(const CellQuery& query, const CallContext* context) const;

  // Reads everything and compares it with what the records say: kDataLoss with the first
  // difference. Every ordinal is in exactly one cell, which its record names, and counts
  // are right.
  absl::Status CheckIntegrity() const;

  // The centroid of each cell as searches use it, with the shape of what the cell holds.
  struct CellReport {
    CellId cell = 0;
    size_t size = 0;
    size_t pending = 0;
    std::vector<float> centroid;
    CellShape shape;
  };
  absl::StatusOr<std::vector<CellReport>> ReportForTest() const;

 private:
  // What readers see. Immutable.
  struct State {
    std::shared_ptr<const storage::LocalSnapshot> snapshot;
    // Null while nothing was ever added; then there are no cells.
    std::shared_ptr<const VectorCodec> codec;
    std::shared_ptr<const CellCentroids> centroids;
    uint64_t step = 0;
    uint64_t commit = 0;
    std::string position;
    int64_t vectors = 0;
    int64_t cells = 0;
    size_t cells_probed = 0;
  };
  struct CellInfo {
    Slot slot = kNoSlot;
    uint32_t size = 0;
    // Entries and removals since the cell was rewritten.
    uint32_t pending = 0;
    float variance = 0;
    bool queued = false;
  };
  // How many cells had to be read, as far as stored vectors were asked.
  struct Learning {
    std::mt19937_64 random;
    size_t looked_at = 0;
    int asked = 0;
    // For each of the nearest of each.
    std::vector<int64_t> needed;
  };
  struct Header;
  struct Edit;
  class Collector;

  CellIndex(storage::LocalStore& store, uint32_t index, const CellOptions& options);

  absl::Status Load();
  void MakeCodecs(std::vector<float> centre);
  std::string Key(char kind) const;
  std::string CellKey(char kind, CellId cell) const;
  std::string OrdinalKey(uint64_t ordinal) const;

  absl::Status ApplyPortion(std::span<const CellChange> changes, uint64_t commit,
                            std::string_view position);
  // As it is.
  Header CurrentHeader() const;
  absl::StatusOr<bool> FindCell(const storage::LocalSnapshot& snapshot, uint64_t ordinal,
                                storage::LocalValue* value, CellId* cell) const;
  absl::Status ReadCell(const State& state, CellId cell, storage::LocalValue* value,
                        CellContents* contents) const;

  // Learns how many cells hold what searches look for: from one stored vector at a time.
  bool IsTimeToLearn() const;
  void BeginLearning();
  absl::Status LearnFromOne();
  void EndLearning(size_t cells_probed);
  absl::Status Rework(CellId cell);
  absl::Status Split(CellId cell, const CellContents& contents, const CellVectors& vectors);
  absl::Status Dissolve(CellId cell, const CellContents& contents, const CellVectors& vectors);
  // A cell that a split makes.
  struct Part;
  // Moves entries of neighbours that are nearer to one of the parts there.
  absl::Status PullFromNeighbours(std::span<const NearCell> neighbours, Edit* edit, Part* parts);

  // Writes an edit and shows it.
  absl::Status Write(Edit& edit);
  absl::Status MakeRoom(size_t slots);
  void Publish();
  void QueueIfDue(CellId cell);
  bool IsDue(const CellInfo& info) const;
  // Cells whose centroids may be in memory.
  size_t CellsInMemory() const;
  // Vectors that a cell must have to be split for its variance, those above which it is
  // split whatever it is like, and those below which it is dissolved.
  size_t Floor() const;
  size_t StarvedSize() const;
  size_t MaxSize() const;
  // Cells that a search may be found to need.
  size_t MostProbed() const;
  size_t LargestSize() const;
  size_t EntryBytes() const;

  std::shared_ptr<const State> state() const {
    const std::lock_guard lock(state_mutex_);
    return state_;
  }
  // At most `count` cells, the nearest first.
  void NearestCells(const State& state, const float* vector, size_t count,
                    std::vector<NearCell>* cells) const;
  absl::Status ReadCells(const State& state, std::span<const NearCell> cells,
                         Collector* collector) const;
  // Reads cells in the order of `order`, made ascending on the way, until `wanted` were
  // compared and `limit` found, or all are read, which it returns.
  absl::StatusOr<bool> ReadInOrder(const State& state, std::vector<NearCell> order, double wanted,
                                   size_t limit, Collector* collector) const;
  // Reads the cells of the accepted ordinals.
  absl::Status ReadAccepted(const State& state, const OrdinalSet& accept,
                            Collector* collector) const;

  storage::LocalStore& store_;
  const uint32_t index_;
  // Reshape() changes some, which only the changing thread reads.
  CellOptions options_;

  // The writer's. Codecs are fixed when there are vectors: the centre is that of the first.
  std::shared_ptr<const VectorCodec> codec_;
  // The same codes, as they are made and as they are compared to choose cells.
  std::unique_ptr<const VectorCodec> assignment_;
  std::vector<float> centre_;
  std::shared_ptr<CellCentroids> centroids_;
  uint64_t step_ = 0;
  uint64_t commit_ = 0;
  std::string position_;
  CellId next_cell_ = 1;
  uint64_t end_ordinal_ = 0;
  int64_t vectors_ = 0;
  size_t cells_probed_;
  // Changes since that was learned, and what there was then.
  int64_t changed_since_ = 0;
  int64_t learned_vectors_ = 0;
  int64_t learned_cells_ = 0;
  std::optional<Learning> learning_;
  absl::flat_hash_map<CellId, CellInfo> cells_;
  std::deque<CellId> due_;

  mutable std::mutex state_mutex_;
  std::shared_ptr<const State> state_;

  std::atomic<int64_t> memory_bytes_{0};
  std::atomic<int64_t> rewrites_{0};
  std::atomic<int64_t> splits_{0};
  std::atomic<int64_t> merges_{0};
  std::atomic<int64_t> recentred_{0};
  std::atomic<int64_t> moved_{0};
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CELL_INDEX_H_
