// For tests: what a text index must answer, by going through all texts, and random texts
// and queries.
#ifndef COOKIX_ENGINE_TEXT_TEXT_INDEX_MODEL_H_
#define COOKIX_ENGINE_TEXT_TEXT_INDEX_MODEL_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/filter/ordinal_set.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/text_index.h"

namespace cookix::engine {

// By field, the elements of a list of texts.
using ModelTexts = std::vector<std::vector<std::string>>;
// Objects at one commit.
using ModelState = std::map<Ordinal, ModelTexts>;

class ModelSet : public OrdinalSet {
 public:
  explicit ModelSet(std::set<Ordinal> ordinals) : ordinals_(std::move(ordinals)) {}
  bool Contains(Ordinal ordinal) const override { return ordinals_.count(ordinal) > 0; }
  uint64_t Count() const override { return ordinals_.size(); }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    for (const Ordinal ordinal : ordinals_) each(ordinal);
  }

 private:
  const std::set<Ordinal> ordinals_;
};

// Scores a state by the definitions, with nothing but maps: terms are the words between
// spaces.
class Model {
 public:
  Model(const ModelState& state, size_t fields) : fields_(fields) {
    for (const auto& [ordinal, texts] : state) {
      std::vector<Terms> terms(fields);
      for (size_t f = 0; f < std::min(fields, texts.size()); ++f) terms[f] = TermsOf(texts[f]);
      documents_.emplace(ordinal, std::move(terms));
    }
  }

  // By ordinal, everything that matches.
  std::map<Ordinal, double> Scores(const AnalyzedQuery& query) const {
    std::map<const AnalyzedQuery*, std::map<Ordinal, double>> leaves;
    Collect(query, &leaves);
    std::map<Ordinal, double> scores;
    for (const auto& [ordinal, terms] : documents_) {
      double score = 0;
      if (Matches(query, ordinal, leaves, &score)) scores[ordinal] = score;
    }
    return scores;
  }

  std::set<std::string> Expansions(const AnalyzedQuery& query) const {
    std::set<std::string> all;
    if (query.expands()) {
      for (const auto& [ordinal, terms] : documents_) {
        for (const auto& [text, places] : terms[query.field]) {
          if (Stands(query, text)) all.insert(text);
        }
      }
    }
    for (const auto* list : {&query.children, &query.excluded}) {
      for (const AnalyzedQuery& child : *list) all.merge(Expansions(child));
    }
    return all;
  }

 private:
  using Kind = AnalyzedQuery::Kind;
  using Terms = std::map<std::string, std::vector<int64_t>>;

  static Terms TermsOf(const std::vector<std::string>& elements) {
    Terms terms;
    int64_t base = 0;
    for (const std::string& element : elements) {
      int64_t position = base;
      for (size_t at = 0; at < element.size();) {
        const size_t end = std::min(element.find(' ', at), element.size());
        if (end > at) terms[element.substr(at, end - at)].push_back(position++);
        at = end + 1;
      }
      base = position + 1'000'000;
    }
    return terms;
  }

  static size_t Edits(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) {
      for (size_t j = 0; j <= b.size(); ++j) {
        if (i == 0 || j == 0) {
          d[i][j] = i + j;
          continue;
        }
        d[i][j] = std::min(
            {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      }
    }
    return d[a.size()][b.size()];
  }

  static bool Stands(const AnalyzedQuery& leaf, const std::string& text) {
    if (leaf.kind == Kind::kPrefix) return text.compare(0, leaf.term.size(), leaf.term) == 0;
    const size_t same = std::min<size_t>(leaf.prefix_length, leaf.term.size());
    return text.substr(0, same) == leaf.term.substr(0, same) &&
           Edits(text.substr(std::min(same, text.size())), leaf.term.substr(same)) <=
               leaf.max_edits;
  }

  static int64_t PhraseTf(const AnalyzedQuery& leaf, const Terms& terms) {
    const auto first = terms.find(leaf.phrase[0].term);
    if (first == terms.end()) return 0;
    int64_t count = 0;
    for (const int64_t place : first->second) {
      int64_t off = 0;
      for (const auto& word : leaf.phrase) {
        const auto found = terms.find(word.term);
        if (found == terms.end()) return 0;
        int64_t nearest = 1'000'000;
        for (const int64_t at : found->second) {
          nearest = std::min(nearest, std::abs(at - (place + int64_t{word.offset})));
        }
        off += nearest;
      }
      count += off <= int64_t{leaf.slop};
    }
    return count;
  }

  void Collect(const AnalyzedQuery& node,
               std::map<const AnalyzedQuery*, std::map<Ordinal, double>>* leaves) const {
    for (const AnalyzedQuery& child : node.children) Collect(child, leaves);
    for (const AnalyzedQuery& child : node.excluded) Collect(child, leaves);
    if (!node.leaf()) return;
    double n = 0, words = 0;
    std::map<Ordinal, double> tfs, lengths;
    std::map<std::string, double> df;
    for (const auto& [ordinal, fields] : documents_) {
      const Terms& terms = fields[node.field];
      if (terms.empty()) continue;
      double length = 0;
      int64_t tf = 0;
      for (const auto& [text, places] : terms) {
        length += static_cast<double>(places.size());
        if (node.kind == Kind::kPhrase) {
          const bool in_phrase = std::any_of(node.phrase.begin(), node.phrase.end(),
                                             [&](const auto& word) { return word.term == text; });
          if (in_phrase) ++df[text];
        } else if (node.kind == Kind::kTerm ? text == node.term : Stands(node, text)) {
          tf += static_cast<int64_t>(places.size());
        }
      }
      if (node.kind == Kind::kPhrase) {
        tf = PhraseTf(node, terms);
      } else if (tf > 0) {
        ++df[""];
      }
      ++n;
      words += length;
      lengths[ordinal] = length;
      if (tf > 0) tfs[ordinal] = static_cast<double>(tf);
    }
    const auto idf = [&](double with) { return std::log(1 + (n - with + 0.5) / (with + 0.5)); };
    double weight = 0;
    if (node.kind == Kind::kPhrase) {
      for (const auto& word : node.phrase) weight += idf(df[word.term]);
    } else {
      weight = idf(df[""]);
    }
    for (const auto& [ordinal, tf] : tfs) {
      (*leaves)[&node][ordinal] = node.boost * weight * tf * 2.2 /
                                  (tf + 1.2 * (0.25 + 0.75 * lengths[ordinal] / (words / n)));
    }
  }

  static bool Matches(const AnalyzedQuery& node, Ordinal ordinal,
                      const std::map<const AnalyzedQuery*, std::map<Ordinal, double>>& leaves,
                      double* score) {
    double sum = 0;
    if (node.inner()) {
      size_t matched = 0;
      for (const AnalyzedQuery& child : node.children) {
        matched += Matches(child, ordinal, leaves, &sum);
      }
      double ignored = 0;
      for (const AnalyzedQuery& child : node.excluded) {
        if (Matches(child, ordinal, leaves, &ignored)) return false;
      }
      if (matched < (node.kind == Kind::kAnd ? node.children.size() : 1)) return false;
    } else {
      const auto leaf = leaves.find(&node);
      if (leaf == leaves.end()) return false;
      const auto found = leaf->second.find(ordinal);
      if (found == leaf->second.end()) return false;
      sum = found->second;
    }
    *score += sum;
    return true;
  }

  const size_t fields_;
  std::map<Ordinal, std::vector<Terms>> documents_;
};

// Random texts and queries over a small vocabulary, so that there are many matches and
// ties.
class ModelRandom {
 public:
  ModelRandom(uint64_t seed, size_t vocabulary, size_t fields)
      : random_(seed), vocabulary_(vocabulary), fields_(fields) {}

  uint64_t Below(uint64_t end) { return random_() % end; }
  // Small numbers are frequent.
  std::string Word() {
    const double part = static_cast<double>(Below(1 << 20)) / (1 << 20);
    return WordNumber(static_cast<size_t>(part * part * part * static_cast<double>(vocabulary_)));
  }
  static std::string WordNumber(size_t number) {
    std::string word = "q";
    for (size_t i = 0; i < 3; ++i, number /= 5)
      word += "bdfgk"[number % 5], word += "aeiou"[number % 3];
    return word;
  }
  std::string Text(size_t words) {
    std::string text;
    for (size_t i = 0; i < words; ++i) text += (i == 0 ? "" : " ") + Word();
    return text;
  }
  ModelTexts Texts() {
    ModelTexts texts(fields_);
    for (auto& elements : texts) {
      const uint64_t kind = Below(8);
      if (kind == 0) continue;
      elements.push_back(Text(kind == 1 ? 0 : kind == 2 ? 40 : 1 + Below(12)));
      if (kind == 3) elements.push_back(Text(3));
    }
    return texts;
  }

  AnalyzedQuery Leaf() {
    using Kind = AnalyzedQuery::Kind;
    AnalyzedQuery leaf{.kind = Kind::kTerm, .field = static_cast<uint32_t>(Below(fields_))};
    if (Below(4) == 0) leaf.boost = 0.25 * static_cast<double>(1 + Below(12));
    leaf.term = Below(20) == 0 ? "absent" : Word();
    const uint64_t kind = Below(10);
    if (kind == 0) {
      leaf.kind = Kind::kPrefix;
      leaf.term.resize(std::min<size_t>(leaf.term.size(), 3 + Below(4)));
    } else if (kind == 1) {
      leaf.kind = Kind::kFuzzy;
      leaf.max_edits = static_cast<uint32_t>(Below(3));
      leaf.prefix_length = static_cast<uint32_t>(1 + Below(3));
    } else if (kind <= 3) {
      leaf.kind = Kind::kPhrase;
      leaf.term.clear();
      if (Below(3) == 0) leaf.slop = static_cast<uint32_t>(Below(4));
      const uint64_t words = 2 + Below(2);
      uint32_t offset = 0;
      for (uint64_t i = 0; i < words; ++i) {
        leaf.phrase.push_back({Word(), offset});
        offset += 1 + (Below(4) == 0);
      }
    }
    return leaf;
  }

  AnalyzedQuery Query(size_t depth) {
    using Kind = AnalyzedQuery::Kind;
    if (depth == 0 || Below(4) == 0) return Leaf();
    AnalyzedQuery node{.kind = Below(2) == 0 ? Kind::kAnd : Kind::kOr};
    const uint64_t parts = 2 + Below(3);
    for (uint64_t i = 0; i < parts; ++i) {
      const bool exclude = node.kind == Kind::kAnd && !node.children.empty() && Below(3) == 0;
      (exclude ? node.excluded : node.children).push_back(Query(depth - 1));
    }
    return node;
  }

 private:
  std::mt19937_64 random_;
  const size_t vocabulary_;
  const size_t fields_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_INDEX_MODEL_H_
