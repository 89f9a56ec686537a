// BM25, the same to the last bit wherever it is computed.
//
// The score of a document is a sum over the leaves of the query (terms, phrases, prefixes,
// fuzzy words), from left to right as they stand in the tree, of those that are in a part
// of the query that the document matches. Each leaf adds
//
//   boost * idf * 2.2 * (tf / (tf + 1.2 * (0.25 + 0.75 * length / mean length)))
//   idf = ln(1 + (n - df + 0.5) / (df + 0.5))
//
//   n, mean length   of the documents that have a term in the leaf's field
//   length           occurrences of terms in the field
//   tf, df           of a term, as usual
//   of a phrase      tf: how often it occurs; idf: the sum over its words' idf, as Lucene
//                    has it, since counting the documents of a phrase means finding it
//                    everywhere
//   of a prefix or   all the terms that it stands for are one: tf is the sum of theirs, df
//   fuzzy word       the number of documents that have any of them
#ifndef COOKIX_ENGINE_TEXT_TEXT_SCORING_H_
#define COOKIX_ENGINE_TEXT_TEXT_SCORING_H_

#include <cstdint>

namespace cookix::engine {

// Of one field.
struct TextFieldTotals {
  // Documents that have a term in it, and the sum of their lengths.
  int64_t documents = 0;
  int64_t words = 0;
  bool operator==(const TextFieldTotals&) const = default;
};

// `documents` as in TextFieldTotals, `df` at most that.
double Bm25Idf(int64_t documents, int64_t df);

// What a leaf adds to a score. The default adds nothing.
class Bm25Leaf {
 public:
  Bm25Leaf() = default;
  Bm25Leaf(double boost, double idf, const TextFieldTotals& totals);

  // REQUIRES: tf > 0. Ascends with tf and descends with length.
  double Score(uint32_t tf, uint32_t length) const;

  // Score(tf, length) is weight * tf / (tf + base + slope * length), but for rounding.
  double weight() const { return weight_; }
  double base() const { return base_; }
  double slope() const { return slope_; }

 private:
  double weight_ = 0;
  double base_ = 0;
  double slope_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_SCORING_H_
