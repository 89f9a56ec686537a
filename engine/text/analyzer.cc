#include "engine/text/analyzer.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

#include "engine/text/term_cache.h"
#include "engine/text/term_folding.h"
#include "engine/text/text_languages.h"
#include "engine/text/word_segmenter.h"
#include "libstemmer.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/base/utf8.h"
#include "unicode/uchar.h"

namespace cookix::engine {
namespace {

// Grows when this code makes other terms of the same text.
constexpr int kAnalysisVersion = 1;

// Workers kept for the next call. More exist while more threads analyze at once.
constexpr size_t kMaxIdleWorkers = 16;

struct StemmerDeleter {
  void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};
using Stemmer = std::unique_ptr<sb_stemmer, StemmerDeleter>;

Stemmer MakeStemmer(const TextLanguage& language) {
  return Stemmer(sb_stemmer_new(std::string(language.stemmer).c_str(), "UTF_8"));
}

std::string_view Stem(sb_stemmer* stemmer, std::string_view word) {
  const sb_symbol* stem = sb_stemmer_stem(stemmer, reinterpret_cast<const sb_symbol*>(word.data()),
                                          static_cast<int>(word.size()));
  const int size = sb_stemmer_length(stemmer);
  if (stem == nullptr || size == 0) return word;
  return {reinterpret_cast<const char*>(stem), static_cast<size_t>(size)};
}

// Calls visit(word) for each of the words between spaces.
template <typename Visit>
void ForEachListed(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    if (end > 0) visit(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

// Snowball does not say which version it is of: what it does tells. The sample is the
// stop words of all languages, and some words in the scripts that have none.
// REQUIRES: there is a stemmer of the language.
uint32_t SumOfStems(const TextLanguage& language) {
  constexpr std::string_view kSample =
      "running nationalization relational cities happily "
      "والكتاب المدرسة كتابات يكتبون المعلمين लड़कियाँ किताबों जाएगी करना घरहरू मानिसहरूले "
      "மரங்கள் வீடுகளில் புத்தகத்தை պատմություն գրքերից קינדער ביכלעך књигама девојчица "
      "etxeetan liburuarekin bhfuinneoga leabharlann pembangunan membacakan namuose knygomis";
  const Stemmer stemmer = MakeStemmer(language);
  if (stemmer == nullptr) std::abort();  // out of memory: there was one before
  uint32_t sum = 0;
  const auto add = [&](std::string_view word) {
    sum = ExtendCrc32c(ExtendCrc32c(sum, Stem(stemmer.get(), word)), " ");
  };
  ForEachListed(kSample, add);
  for (const TextLanguage& known : KnownLanguages()) ForEachListed(known.stop_words, add);
  return sum;
}

bool IsAscii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) >= 0x80) return false;
  }
  return true;
}

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using WordSet = std::unordered_set<std::string, StringHash, std::equal_to<>>;

absl::Status IsBroken(std::string_view library, std::string_view what) {
  return MakeError(
      absl::StatusCode::kInternal, std::string(library) + " has no " + std::string(what),
      {.reason = "INTERNAL", .remedy = "Install the library " + std::string(library) + " anew."});
}

}  // namespace

absl::Status ValidateText(std::string_view text, std::string_view field) {
  const size_t valid = Utf8PrefixSize(text);
  if (valid == text.size()) return absl::OkStatus();
  return InvalidField(field, "the text is no UTF-8 at byte " + std::to_string(valid),
                      "Send text in UTF-8; bytes of other kinds belong into properties.");
}

// What is fixed at creation and shared by all threads.
struct Analyzer::Rules {
  const TextLanguage* language = nullptr;  // null: none
  std::unique_ptr<const icu::BreakIterator> word_iterator;
  const WordClassTable* word_classes = nullptr;
  std::unique_ptr<const TermFolder> folder;
  WordSet stop_words;  // folded
  bool stemming = false;
  bool accent_folding = false;

  // Errors as of Create.
  absl::Status Init(const AnalyzerSettings& settings, std::string_view field);
  absl::Status AddExtraStopWord(std::string_view text, std::string_view field);

  std::string Version(const AnalyzerSettings& settings) const;

  // How many bytes at the front of the word an apostrophe cuts off.
  size_t ElidedBytes(std::string_view word) const;
};

absl::Status Analyzer::Rules::Init(const AnalyzerSettings& settings, std::string_view field) {
  language = FindLanguage(settings.language);
  if (language == nullptr && !settings.language.empty()) {
    return InvalidField(field, "there is no language '" + settings.language + "'",
                        "Use one of " + KnownLanguageCodes() + ", or none.");
  }
  word_iterator = MakeWordIterator();
  word_classes = GetWordClasses();
  folder = TermFolder::Create({.case_folding = settings.case_folding,
                               .turkic_case = settings.case_folding && settings.language == "tr",
                               .comma_to_cedilla = settings.language == "ro"});
  if (word_iterator == nullptr || word_classes == nullptr || folder == nullptr) {
    return IsBroken("ICU", "data to analyze text with");
  }
  stemming = settings.stemming && language != nullptr;
  if (stemming && MakeStemmer(*language) == nullptr) {
    return IsBroken("libstemmer", "stemmer of the language " + settings.language);
  }
  accent_folding = settings.accent_folding;
  if (settings.stop_words && language != nullptr) {
    std::string folded;
    ForEachListed(language->stop_words, [&](std::string_view word) {
      folder->Fold(word, &folded);
      stop_words.insert(folded);
    });
  }
  if (settings.extra_stop_words.size() > AnalyzerSettings::kMaxStopWords) {
    return LimitExceeded(
        field, "there are " + std::to_string(settings.extra_stop_words.size()) + " stop words",
        "Give at most " + std::to_string(AnalyzerSettings::kMaxStopWords) + ".");
  }
  for (const std::string& word : settings.extra_stop_words) {
    COOKIX_RETURN_IF_ERROR(AddExtraStopWord(word, field));
  }
  return absl::OkStatus();
}

absl::Status Analyzer::Rules::AddExtraStopWord(std::string_view text, std::string_view field) {
  COOKIX_RETURN_IF_ERROR(ValidateText(text, field));
  WordSegmenter segmenter(*word_iterator, *word_classes);
  std::string folded;
  size_t words = 0;
  segmenter.SegmentByIcu(text, [&](size_t begin, size_t end) {
    std::string_view word = text.substr(begin, end - begin);
    word.remove_prefix(ElidedBytes(word));
    if (++words == 1 && word.size() <= kMaxTokenBytes) folder->Fold(word, &folded);
  });
  if (words != 1 || folded.empty()) {
    return InvalidField(field, "the stop word '" + std::string(text) + "' is not one word",
                        "Give each stop word by itself.");
  }
  stop_words.insert(folded);
  return absl::OkStatus();
}

std::string Analyzer::Rules::Version(const AnalyzerSettings& settings) const {
  UVersionInfo icu, unicode;
  u_getVersion(icu);
  u_getUnicodeVersion(unicode);
  char icu_text[U_MAX_VERSION_STRING_LENGTH], unicode_text[U_MAX_VERSION_STRING_LENGTH];
  u_versionToString(icu, icu_text);
  u_versionToString(unicode, unicode_text);
  uint32_t stop_sum = 0;
  for (const std::string& word : std::set<std::string>(stop_words.begin(), stop_words.end())) {
    stop_sum = ExtendCrc32c(stop_sum, word + ' ');
  }
  return "analysis " + std::to_string(kAnalysisVersion) + ", icu " + icu_text + ", unicode " +
         unicode_text + ", language '" + settings.language + "', stemmer " +
         std::to_string(stemming ? SumOfStems(*language) : 0) + ", stop words " +
         std::to_string(stop_words.size()) + "/" + std::to_string(stop_sum) + ", case " +
         (settings.case_folding ? "folded" : "kept") + ", accents " +
         (settings.accent_folding ? "folded" : "kept");
}

size_t Analyzer::Rules::ElidedBytes(std::string_view word) const {
  if (language == nullptr || language->elisions.empty()) return 0;
  constexpr size_t kLongestElision = 7;
  std::string front;
  size_t at = 0;
  for (; at < word.size() && at <= kLongestElision; ++at) {
    const auto lower = static_cast<char>(word[at] | 0x20);
    if (lower < 'a' || lower > 'z') break;
    front += lower;
  }
  for (const std::string_view apostrophe : {"'", "\u2019", "\u02BC"}) {
    if (!word.substr(at).starts_with(apostrophe)) continue;
    bool elided = false;
    ForEachListed(language->elisions, [&](std::string_view known) { elided |= known == front; });
    const size_t cut = at + apostrophe.size();
    return elided && cut < word.size() ? cut : 0;
  }
  return 0;
}

// What serves one thread at a time.
class Analyzer::Worker {
 public:
  explicit Worker(const Rules& rules)
      : rules_(rules),
        segmenter_(*rules.word_iterator, *rules.word_classes),
        // ASCII that is neither stemmed nor looked up needs no cache.
        cached_(rules.stemming || !rules.stop_words.empty()) {
    if (!rules.stemming) return;
    stemmer_ = MakeStemmer(*rules.language);
    if (stemmer_ == nullptr) std::abort();  // out of memory: there was one before
  }

  enum class Words : uint8_t { kWithTerm, kAll, kUnstemmed };

  void Analyze(std::string_view text, Words words, Sink sink) {
    uint32_t position = 0;
    segmenter_.Segment(text, [&](size_t begin, size_t end, WordSegmenter::Alphabet alphabet) {
      Emit(text, begin, end, alphabet, words, position++, sink);
    });
  }

  void AnalyzeByIcu(std::string_view text, Sink sink) {
    uint32_t position = 0;
    segmenter_.SegmentByIcu(text, [&](size_t begin, size_t end) {
      Emit(text, begin, end, WordSegmenter::Alphabet::kAny, Words::kAll, position++, sink);
    });
  }

 private:
  void Emit(std::string_view text, size_t begin, size_t end, WordSegmenter::Alphabet alphabet,
            Words words, uint32_t position, Sink sink) {
    Token token{.position = position,
                .begin = static_cast<uint32_t>(begin),
                .end = static_cast<uint32_t>(end)};
    if (end - begin <= kMaxTokenBytes) {
      std::string_view word = text.substr(begin, end - begin);
      const size_t elided = rules_.ElidedBytes(word);
      word.remove_prefix(elided);
      token.begin += static_cast<uint32_t>(elided);
      const std::string_view folded = Fold(word, alphabet);
      token.term = words == Words::kUnstemmed ? WithoutAccents(folded) : TermOf(folded);
      if (token.term.size() > kMaxTokenBytes) token.term = {};
    }
    if (!token.term.empty() || words == Words::kAll) sink(token);
  }

  std::string_view Fold(std::string_view word, WordSegmenter::Alphabet alphabet) {
    const TermFolder& folder = *rules_.folder;
    if (alphabet == WordSegmenter::Alphabet::kAscii && folder.has_ascii_table()) {
      for (size_t i = 0; i < word.size(); ++i) {
        ascii_[i] = static_cast<char>(folder.FoldAscii(static_cast<uint8_t>(word[i])));
      }
      return {ascii_, word.size()};
    }
    if (alphabet == WordSegmenter::Alphabet::kAny) {
      folder.Fold(word, &folded_);
    } else {
      folder.FoldSimple(word, &folded_);
    }
    return folded_;
  }

  std::string_view TermOf(std::string_view folded) {
    if (!cached_) return WithoutAccents(folded);
    if (folded.empty() || folded.size() > TermCache::kMaxWordBytes) return MakeTerm(folded);
    const TermCache::Place place = TermCache::PlaceOf(folded);
    if (const auto known = cache_.Find(place, folded)) return *known;
    const std::string_view term = MakeTerm(folded);
    cache_.Put(place, folded, term);
    return term;
  }

  std::string_view MakeTerm(std::string_view folded) {
    if (rules_.stop_words.contains(folded)) return {};
    if (!rules_.stemming) return WithoutAccents(folded);
    // Turkish parts a name from its endings by an apostrophe.
    if (rules_.language->code == "tr") folded = folded.substr(0, folded.find('\''));
    return WithoutAccents(Stem(stemmer_.get(), folded));
  }

  std::string_view WithoutAccents(std::string_view term) {
    if (!rules_.accent_folding || IsAscii(term)) return term;
    StripAccents(term, &stripped_);
    return stripped_;
  }

  const Rules& rules_;
  WordSegmenter segmenter_;
  const bool cached_;
  Stemmer stemmer_;
  TermCache cache_;
  char ascii_[kMaxTokenBytes];
  std::string folded_;
  std::string stripped_;
};

// The analyzers that somebody holds.
class Analyzer::Registry {
 public:
  // Null when there is none.
  std::shared_ptr<const Analyzer> Find(const AnalyzerSettings& settings) {
    const std::lock_guard lock(mutex_);
    const auto known = analyzers_.find(KeyOf(settings));
    return known == analyzers_.end() ? nullptr : known->second.lock();
  }

  // The analyzer, or the one with its settings that another thread was faster to add.
  std::shared_ptr<const Analyzer> Add(std::shared_ptr<const Analyzer> analyzer) {
    const std::lock_guard lock(mutex_);
    std::erase_if(analyzers_, [](const auto& known) { return known.second.expired(); });
    std::weak_ptr<const Analyzer>& place = analyzers_[KeyOf(analyzer->settings())];
    if (auto known = place.lock()) return known;
    place = analyzer;
    return analyzer;
  }

 private:
  static std::string KeyOf(const AnalyzerSettings& settings) {
    std::string key = settings.language;
    for (const bool flag :
         {settings.stemming, settings.stop_words, settings.case_folding, settings.accent_folding}) {
      key += flag ? " 1" : " 0";
    }
    for (const std::string& word : settings.extra_stop_words) {
      key += ' ' + std::to_string(word.size()) + ' ' + word;
    }
    return key;
  }

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const Analyzer>> analyzers_;  // guarded by mutex_
};

// A worker for the time of one call.
class Analyzer::Lease {
 public:
  explicit Lease(const Analyzer& analyzer) : analyzer_(analyzer), worker_(analyzer.TakeWorker()) {}
  ~Lease() { analyzer_.ReturnWorker(std::move(worker_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Worker* operator->() const { return worker_.get(); }

 private:
  const Analyzer& analyzer_;
  std::unique_ptr<Worker> worker_;
};

Analyzer::Analyzer(AnalyzerSettings settings, std::unique_ptr<const Rules> rules,
                   std::string version)
    : settings_(std::move(settings)), rules_(std::move(rules)), version_(std::move(version)) {}

Analyzer::~Analyzer() = default;

absl::StatusOr<std::shared_ptr<const Analyzer>> Analyzer::Create(AnalyzerSettings settings,
                                                                 std::string_view field) {
  static auto* const registry = new Registry;
  if (auto known = registry->Find(settings)) return known;
  auto rules = std::make_unique<Rules>();
  COOKIX_RETURN_IF_ERROR(rules->Init(settings, field));
  std::string version = rules->Version(settings);
  return registry->Add(std::shared_ptr<const Analyzer>(
      new Analyzer(std::move(settings), std::move(rules), std::move(version))));
}

void Analyzer::Analyze(std::string_view text, Sink sink) const {
  Lease(*this)->Analyze(text.substr(0, kMaxTextBytes), Worker::Words::kWithTerm, sink);
}

void Analyzer::AnalyzeAllWords(std::string_view text, Sink sink) const {
  Lease(*this)->Analyze(text.substr(0, kMaxTextBytes), Worker::Words::kAll, sink);
}

void Analyzer::AnalyzeUnstemmed(std::string_view text, Sink sink) const {
  Lease(*this)->Analyze(text.substr(0, kMaxTextBytes), Worker::Words::kUnstemmed, sink);
}

void Analyzer::AnalyzeByIcuForTest(std::string_view text, Sink sink) const {
  Lease(*this)->AnalyzeByIcu(text.substr(0, kMaxTextBytes), sink);
}

std::unique_ptr<Analyzer::Worker> Analyzer::TakeWorker() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Worker> worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return std::make_unique<Worker>(*rules_);
}

void Analyzer::ReturnWorker(std::unique_ptr<Worker> worker) const {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdleWorkers) idle_.push_back(std::move(worker));
}

}  // namespace cookix::engine
