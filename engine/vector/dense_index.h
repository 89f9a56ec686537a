// The index of one dense vector field: FLAT or HNSW.
//
// A vector is found from the moment it is put: until it is linked into the graph it is in
// the tail, which every search compares one by one. Below 2,048 vectors there is no graph.
// The graph is built behind by IndexSome(), in as many threads as call it.
//
// Up to some 16,384 vectors (fewer where they are long) it takes less time to compare sketches
// than to walk through a graph. IndexSome() makes the sketches (dense_sketches.cc) and
// measures whether they find what is near; where they do not, or not any more, the graph is
// built as if there were none.
//
// How a search is answered, by what the filter lets through:
//   no filter    the graph ("graph"), or sketches ("sketch")
//   few          every one is compared ("scan"): up to 4,096, or a 64th of all
//   otherwise    the graph is searched without the filter, which shows how much of what is
//                near the query matches. If it is enough, that is the answer. If it is about
//                the share that is to be expected, the search goes on from there among what
//                matches ("filtered_graph"). If it is much less, the filter is against the
//                query: one wider look is taken where that costs less than comparing all
//                that matches, and where it does not find enough, all are compared ("scan").
// What a filter lets through is kept, for the last four, and from the second use on the codes
// of it too, where they take at most 4 MiB (code_copies.h). Later uses sketch them and try how
// well that finds what is near (sketched_matches.h).
//
// Deletion hides at once; when a fifth of the slots is dead, Maintain() takes them out of
// the graph and frees them.
//
// With product quantization, what is put first is kept as int8 does, all of it in the tail,
// until there are 4,096 vectors to learn from. Then IndexSome() learns the codebooks and
// writes every code anew beside the searches, which go over to the new codes when all are
// there. The best are ranked by the stored vectors.
//
// Several vectors of one object: for cosine and dot the mean of an object's scores is the
// score of its mean vector, so with MEAN that one is kept; with FIRST the first one. With
// MAX, and with MEAN for l2 and hamming, each vector has a slot.
#ifndef COOKIX_ENGINE_VECTOR_DENSE_INDEX_H_
#define COOKIX_ENGINE_VECTOR_DENSE_INDEX_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/call_context.h"
#include "engine/vector/code_copies.h"
#include "engine/vector/hnsw_graph.h"
#include "engine/vector/reader_gate.h"
#include "engine/vector/sketch_codec.h"
#include "engine/vector/sketched_matches.h"
#include "engine/vector/slot_table.h"
#include "engine/vector/vector_search.h"
#include "engine/vector/vector_storage.h"
#include "storage/checked_file.h"

namespace cookix::engine {

class DenseIndex {
 public:
  using Put = VectorPut;
  // Reads the vector of an object as stored at the reader's commit; false when it has none.
  using ReadStored = std::function<absl::StatusOr<bool>(Ordinal, v1::Vector*)>;

  // Up to so many vectors there is neither a graph nor sketches: comparing all is as fast.
  static constexpr size_t kScanBelow = 2048;

  // `field` has its defaults filled in. No more than `most_sketched` vectors are searched by
  // sketches; by default that follows from the dimension alone.
  explicit DenseIndex(v1::VectorField field, std::optional<size_t> most_sketched = std::nullopt);
  ~DenseIndex();
  DenseIndex(const DenseIndex&) = delete;
  DenseIndex& operator=(const DenseIndex&) = delete;

  const v1::VectorField& field() const { return field_; }

  // Writer. RESOURCE_EXHAUSTED when the system has no memory.
  absl::Status Apply(std::span<const Put> puts, uint64_t commit);

  // Answers as of `commit`. False when it cannot: too much has changed since.
  absl::StatusOr<bool> Search(const CallContext& context, const VectorSearch& search,
                              uint64_t commit, const ReadStored& stored,
                              VectorSearchResult* result) const;

  // Links some slots of the tail into the graph, or sketches them, or learns codebooks first;
  // false when there is nothing to do. Any thread.
  bool IndexSome();
  // Takes dead slots out of the graph and frees them when there are many, or `always`.
  // False when there was nothing to do or another thread does it.
  bool Maintain(bool always = false);

  struct Stats {
    int64_t vectors = 0;
    int64_t indexed = 0;
    int64_t dead = 0;
    int64_t memory_bytes = 0;
    // How many of a thousand of the true ten nearest the codes found, among some of the
    // vectors that came first; -1 where it was not measured (too few vectors yet, or codes
    // that are exact).
    int64_t codec_recall_permille = -1;
    // The same of sketches, at the field's own `ef`, when they were looked at last; -1 where
    // there are none.
    int64_t sketch_recall_permille = -1;
  };
  Stats stats() const;
  // Vectors in the tail that are waiting for the graph; 0 where there will be none.
  size_t backlog() const;
  int64_t MemoryBytes() const { return stats().memory_bytes; }
  // What one more vector takes, about.
  static int64_t BytesPerVector(const v1::VectorField& field);

  // What a save needs to know of this moment; slots that are dead are not used again while
  // it lives. By the writer.
  class Snapshot;
  std::shared_ptr<const Snapshot> TakeSnapshot() const;
  // Writes the index as of the snapshot. Any thread.
  absl::Status Save(const Snapshot& snapshot, storage::CheckedFileWriter& writer) const;
  // Into an index that was just made. kDataLoss when what is read makes no sense.
  absl::Status Load(storage::CheckedFileReader& reader);

 private:
  struct Range {
    Slot begin = 0;
    Slot end = 0;
  };
  struct Question;
  struct ObjectBounds;
  // Sketches by slot, and how many of the nearest by them are compared by codes, for each
  // candidate that a search asks for.
  struct SlotSketches;
  class Scanner;
  // What a filter lets through, for its next search.
  struct AcceptCache {
    std::weak_ptr<const OrdinalSet> accept;
    uint64_t stamp = 0;
    std::shared_ptr<const SlotBits> slots;
    // Null until the filter is used again.
    std::shared_ptr<const CodeCopies> copies;
    // Null where they are not worth it.
    std::shared_ptr<SketchedMatches> sketched;
  };
  // What ScanMatching() has of a filter.
  struct Copied {
    std::shared_ptr<const CodeCopies> copies;
    std::shared_ptr<SketchedMatches> sketched;
  };

  // Candidates compared again by their residues, beyond the hits wanted.
  static constexpr size_t kRefined = 16;

  bool hnsw() const { return field_.index() == v1::VECTOR_INDEX_KIND_HNSW; }
  bool bits() const { return field_.metric() == v1::VECTOR_METRIC_HAMMING; }
  // Whether each vector of an object has a slot of its own.
  bool keeps_all() const;
  // The vectors to keep of what was put, made ready for the codec.
  void Split(const v1::Vector& vector, std::vector<std::vector<float>>* floats,
             std::vector<std::string>* bit_strings) const;
  std::vector<float> MeanOf(std::span<const Put> puts) const;
  void UseCodec(std::unique_ptr<const VectorCodec> codec);
  std::shared_ptr<VectorStorage> Storage() const;
  std::unique_ptr<HnswGraph> MakeGraph(const VectorStorage& storage) const;
  // Keeps vectors for CheckCodec() while it has few.
  void Sample(const std::vector<float>& vector);
  void CheckCodec();
  // Learns codebooks and writes all codes anew; false when there is nothing to do.
  bool Train();
  // What Train() does when it has a codec. False without memory.
  bool Recode(std::unique_ptr<const VectorCodec> codec);
  [[nodiscard]] bool Grow(size_t slots);
  // The vectors of an object are gone. REQUIRES: write_mutex_.
  void Remove(Ordinal ordinal, uint64_t commit);
  void AddToTail(const std::vector<Slot>& slots);
  // Puts a slot behind the tail. REQUIRES: tail_mutex_.
  void PushToTail(Slot slot);
  // Whether so much of the graph is dead that what is linked now finds too few that live to
  // be linked to, and would not be found later.
  bool MostlyDead() const;
  std::vector<Range> Tail() const;
  // Of running_. REQUIRES: tail_mutex_.
  std::vector<Range>::iterator RunningFrom(Slot begin);

  // While the index is small (dense_sketches.cc). The most vectors that this field's index
  // sketches; 0 where it never does.
  size_t MostSketched() const;
  // Looks whether it is time for sketches, or for a graph. REQUIRES: tail_mutex_ and, once there
  // are writers, write_mutex_.
  void ChooseStructure();
  // Goes over from sketches to a graph. REQUIRES: as ChooseStructure().
  void LinkAll();
  // Sketches what is in the tail; false when there is nothing to do, or another thread does it.
  bool SketchSome();
  // Adds the sketches of what lives of `slots`; to a null pointer, with centres that are learned
  // from these. False without memory.
  bool SketchSlots(const SlotBits& slots, std::unique_ptr<SlotSketches>* sketches);
  // Finds the least width at which sketches are good enough; false where there is none. Sets
  // checked_.
  bool CheckSketches(SlotSketches* sketches);
  // Frees sketches that are not used any more.
  void DropSketches();

  // How a search goes (dense_search.cc). Makes the query ready for the codec.
  void Prepare(Question& question) const;
  // What may be among the nearest `more`, by codes.
  void FindCandidates(Question& question, size_t more) const;
  // Compares candidates again, by code and residue, until `more` are sure to be the nearest.
  void Refine(Question& question, size_t more) const;
  // The same for what is not among the candidates yet.
  void RefineUnordered(Question& question, size_t more) const;
  // Whether it may be any of the candidates that comes first.
  bool RanksAll(const Question& question) const;
  // Tells what is being tried what comparing all found.
  static void TrySketches(Question& question, size_t more);
  // Leaves of the candidates, which are in order, those that were there at the reader's commit and
  // may be among the nearest `more`, and adds those that died since. False when that is forgotten.
  bool Rewind(Question& question, size_t more) const;
  // Leaves of these what may become a hit.
  void LeaveHits(Question& question, size_t more) const;
  // Make hits of the candidates: by what the store holds, of those that may be as near as
  // `worst`; or by codes.
  absl::Status RankByStored(Question& question, double worst) const;
  absl::Status RankByCodes(Question& question) const;

  // Find what is near of all, of what matches, of the tail: in question.pool, or, where there are
  // many to compare at once, unordered. ScanMatching() takes the pool itself.
  void ScanAll(Question& question) const;
  void ScanAccepted(Question& question) const;
  void ScanCopies(Question& question, const CodeCopies& copies) const;
  // False where too many that are near are dead.
  bool ScanSketched(Question& question, const SketchedMatches& sketched) const;
  void ScanMatching(Question& question, size_t matches) const;
  void ScanTail(Question& question) const;
  // Finds by sketches, and in the tail, what may be among the nearest `more` once it is compared
  // again.
  void ScanSketches(Question& question, const SlotSketches& sketches, size_t more,
                    size_t wanted) const;
  // Compares by codes so many that sketches found.
  static void CompareFound(Question& question, size_t count);
  // Leaves of these at least the `near` nearest, and those that may be as near; returns how many.
  size_t KeepNearSlots(Question& question, size_t near, size_t count,
                       const CodeParams& widest) const;
  // Put places of what was compared in copies and may be near, at least `near`, where sketches put
  // what they find, and their distances side by side; return how many, 0 where there are no more.
  // Of halved codes, distances are by upper halves before; where these tell nothing, all are left.
  size_t FindNearCopies(Question& question, size_t near, const CodeCopies& copies) const;
  size_t FindNearHalves(Question& question, size_t near, const CodeCopies& copies,
                        const HalvedQuery& query) const;
  // Leaves of so many the question.want nearest.
  static size_t LeaveNearest(Question& question, size_t found);
  void PrefetchUnordered(const Question& question) const;
  // By so much the distance that a code of that scale tells is wrong at most, or is taken to be.
  static float Spread(const Question& question, const CodeParams& params);
  // That of codes of scale 1; 0 where it is not known, or nothing is to be made of it.
  float SpreadOfScale(const Question& question, const CodeParams& widest) const;
  // By so much the difference of two distances is wrong at most.
  static float MarginOf(const Question& question, const CodeParams& widest);
  // Makes the pool ready for a scan.
  static void ResetPool(Question& question);
  // Fill question.candidates, ascending.
  static void TakePool(Question& question);
  void CollectAll(const Question& question, std::vector<Candidate>* candidates) const;
  void SearchGraph(Question& question) const;
  void SearchFiltered(Question& question, HnswSearchStats* stats) const;
  void ScanMatches(Question& question, size_t matches) const;

  // Of the question's filter. Incomplete when nobody waits for the answer any more.
  std::shared_ptr<const SlotBits> AcceptedSlots(const Question& question) const;
  // Nulls where they are not worth the memory, or not yet.
  Copied CopiedMatches(const Question& question, size_t matches) const;
  // The entry of a filter, or null. REQUIRES: accept_mutex_.
  AcceptCache* CachedMatches(const std::shared_ptr<const OrdinalSet>& accept, uint64_t stamp) const;
  // By how much the distance of a candidate may be wrong.
  double ErrorOf(const Question& question, const Candidate& candidate) const;
  // So far away the nearest `more` may be; on the wire where objects have several vectors,
  // and question.bounds is then filled.
  double WorstThatMayCount(Question& question, size_t more) const;
  void BoundObjects(Question& question) const;
  double MeanDistance(const Question& question, Slot slot) const;
  double WireDistance(double distance) const;
  // To length 1, if it has any.
  static void Normalise(float* v, size_t n);

  // Reads which slots are one object's, in their order.
  absl::Status LoadLists(const SlotBits& alive, storage::CheckedFileReader& reader);

  const v1::VectorField field_;
  const size_t most_sketched_;
  mutable ReaderGate gate_;
  SlotTable table_;
  // Held by who writes vectors.
  std::mutex write_mutex_;
  std::atomic<int> writers_waiting_{0};
  // Null until the first vector comes. Set by the writer, before any slot is seen, and once
  // more by Train(), under write_mutex_ and pin_mutex_. Searches take current_, inside the
  // gate.
  std::shared_ptr<VectorStorage> storage_;
  std::atomic<const VectorStorage*> current_{nullptr};
  // Of vectors that come while Train() writes codes: they are written here too. Guarded by
  // write_mutex_.
  std::shared_ptr<VectorStorage> next_;
  // Null where there is none, and before Train(). Set before graph_wanted_.
  std::unique_ptr<HnswGraph> graph_;
  std::atomic<bool> ready_{false};

  std::mutex train_mutex_;
  std::atomic<bool> untrained_{false};
  std::atomic<bool> training_wanted_{false};
  std::vector<float> sample_;  // guarded by write_mutex_
  std::atomic<bool> sampling_{true};
  std::atomic<int64_t> codec_recall_{-1};

  // Held shared by who inserts into the graph, alone by who looks which slots are dying.
  mutable std::shared_mutex insert_mutex_;
  AtomicSlotBits in_graph_;
  std::atomic<size_t> in_graph_count_{0};
  std::atomic<bool> graph_wanted_{false};
  mutable std::mutex tail_mutex_;
  std::deque<Range> tail_;      // guarded by tail_mutex_
  std::vector<Range> running_;  // guarded by tail_mutex_: being inserted
  // Of both. 0 only where searches find without them what was in them.
  std::atomic<size_t> tail_count_{0};
  // Slots that left the tail because they are sketched.
  SlotBits sketched_;  // guarded by tail_mutex_

  // Held by who makes sketches, or frees them.
  std::mutex sketch_mutex_;
  std::unique_ptr<const SketchCodec> sketch_codec_;  // guarded by sketch_mutex_
  std::unique_ptr<SlotSketches> own_sketches_;       // guarded by sketch_mutex_
  // How many there were at the last check, and what came since.
  size_t checked_ = 0;    // guarded by sketch_mutex_
  size_t unchecked_ = 0;  // guarded by sketch_mutex_
  // What searches use: own_sketches_, or null. Set under write_mutex_ and tail_mutex_.
  std::atomic<const SlotSketches*> sketches_{nullptr};
  std::atomic<bool> sketches_wanted_{false};
  std::atomic<bool> sketches_left_{false};
  std::atomic<int64_t> sketch_bytes_{0};
  std::atomic<int64_t> sketch_recall_{-1};

  std::mutex maintain_mutex_;
  // Saves that are under way. Dead slots are freed when there is none.
  mutable std::mutex pin_mutex_;
  mutable std::condition_variable unpinned_;
  mutable int pins_ = 0;

  mutable std::mutex accept_mutex_;
  mutable std::deque<AcceptCache> accept_cache_;  // guarded by accept_mutex_
};

// Holds dead slots back while it lives.
class DenseIndex::Snapshot {
 public:
  Snapshot(const DenseIndex& index, std::shared_ptr<const VectorStorage> storage, size_t end,
           SlotBits alive, SlotBits in_graph);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  friend class DenseIndex;
  const DenseIndex& index_;
  const std::shared_ptr<const VectorStorage> storage_;
  const size_t end_;
  const SlotBits alive_;
  const SlotBits in_graph_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_DENSE_INDEX_H_
