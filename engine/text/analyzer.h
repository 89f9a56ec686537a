// Analysis: what a text is searched by.
//
// A text becomes terms in five steps, each of which sees what the one before made:
//   1. Words: Unicode word boundaries (UAX #29) as ICU finds them, by dictionary in
//      Chinese, Japanese, Thai, Lao, Khmer and Burmese. '@' always separates. A word
//      has a letter, a digit or an emoji; all else lies between words.
//   2. Folding: NFKC, case, invisible characters, one kind of apostrophe. An elided
//      article ("l'" in French and Italian) is cut off.
//   3. Stop words of the language vanish, and keep their position.
//   4. Stemming by Snowball, of words as they are spelled, with their accents.
//   5. Accents of Latin, Greek and Cyrillic letters vanish, from the stem. Marks of
//      other scripts are vowels and sounds, and stay.
// docs/adr/0015-text-analysis.md says why in this order.
//
// Text of European letters takes a path by tables, all else goes through ICU; both
// give the same terms.
#ifndef COOKIX_ENGINE_TEXT_ANALYZER_H_
#define COOKIX_ENGINE_TEXT_ANALYZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cookix::engine {

// A property of a text field: what is stored with the field's definition.
struct AnalyzerSettings {
  // ISO 639-1 code of the texts' language, such as "en": see KnownLanguages().
  // "" for texts of any language: neither stemming nor stop words of a language.
  std::string language;
  // Without a language, there is no stemming.
  bool stemming = true;
  // The stop words of the language. Some languages have none.
  bool stop_words = true;
  // Stop words besides, whatever `stop_words` says; folded like the text, but for their
  // accents. At most kMaxStopWords, each a single word.
  std::vector<std::string> extra_stop_words;
  // Without it, stemming and the stop words of the language know lower case only.
  bool case_folding = true;
  bool accent_folding = true;

  static constexpr size_t kMaxStopWords = 1000;

  bool operator==(const AnalyzerSettings&) const = default;
};

// One word of a text.
struct Token {
  // UTF-8, valid until the sink returns. Empty: the word is not searched for (a stop
  // word, or longer than kMaxTokenBytes).
  std::string_view term;
  // Counts all words from 0, those without a term as well.
  uint32_t position = 0;
  // Bytes [begin, end) of the text given to Analyze.
  uint32_t begin = 0;
  uint32_t end = 0;
};

// OK for UTF-8 text. INVALID_ARGUMENT, reason INVALID_FIELD, names the byte where it
// stops to be.
absl::Status ValidateText(std::string_view text, std::string_view field);

// Immutable; every method may be called from any number of threads, and by a sink.
class Analyzer {
 public:
  // Words longer than this, in the text or folded, have a position and no term.
  static constexpr size_t kMaxTokenBytes = 1024;
  // Longest text; Analyze ignores what follows.
  static constexpr size_t kMaxTextBytes = size_t{1} << 30;

  using Sink = absl::FunctionRef<void(const Token&)>;

  // The analyzer of these settings: the one there is already while somebody holds it, as
  // each keeps half a MiB for every thread that uses it.
  //
  // INVALID_ARGUMENT, reason INVALID_FIELD: the language is unknown (the remedy lists
  // those known), or an extra stop word is not one word. LIMIT_EXCEEDED: there are more
  // than kMaxStopWords. INTERNAL: a library on this machine lacks what it should have.
  // `field` is what the request calls the settings.
  static absl::StatusOr<std::shared_ptr<const Analyzer>> Create(AnalyzerSettings settings,
                                                                std::string_view field);
  ~Analyzer();
  Analyzer(const Analyzer&) = delete;
  Analyzer& operator=(const Analyzer&) = delete;

  // Calls `sink` for every word that has a term, in order of the text. Time is linear
  // in the text and memory independent of it, but for runs of one of the scripts that
  // need a dictionary. Bytes that are no UTF-8 separate words.
  void Analyze(std::string_view text, Sink sink) const;

  // The same for every word, those without a term as well.
  void AnalyzeAllWords(std::string_view text, Sink sink) const;

  // Calls `sink` for every word of `text` with the term that a prefix or fuzzy word is
  // matched by: folded, without accents, neither stemmed nor checked for stop words.
  void AnalyzeUnstemmed(std::string_view text, Sink sink) const;

  // The same as AnalyzeAllWords by ICU alone: what the tables are compared with.
  void AnalyzeByIcuForTest(std::string_view text, Sink sink) const;

  const AnalyzerSettings& settings() const { return settings_; }

  // Names everything that terms depend on: settings, stop words, this code, the
  // versions of Unicode and ICU, what the stemmer makes of sample words. Postings made
  // under another version have to be made again. Printable ASCII.
  const std::string& version() const { return version_; }

 private:
  class Worker;
  class Lease;
  class Registry;
  struct Rules;

  Analyzer(AnalyzerSettings settings, std::unique_ptr<const Rules> rules, std::string version);
  std::unique_ptr<Worker> TakeWorker() const;
  void ReturnWorker(std::unique_ptr<Worker> worker) const;

  const AnalyzerSettings settings_;
  const std::unique_ptr<const Rules> rules_;
  const std::string version_;

  // Stemmers and break iterators serve one thread at a time.
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Worker>> idle_;  // guarded by mutex_
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_ANALYZER_H_
