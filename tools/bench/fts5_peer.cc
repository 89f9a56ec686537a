#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/text_peers.h"

namespace cookix::bench {
namespace {

class Fts5Index : public TextContestant {
 public:
  explicit Fts5Index(const TextCorpus& corpus) : corpus_(corpus) {}

  ~Fts5Index() override {
    sqlite3_finalize(insert_);
    sqlite3_finalize(select_);
    sqlite3_close(database_);
  }

  absl::Status Open() {
    sqlite3_open(":memory:", &database_);
    COOKIX_RETURN_IF_ERROR(
        Run("CREATE VIRTUAL TABLE texts USING fts5(words, content='', tokenize='ascii')"));
    COOKIX_RETURN_IF_ERROR(Prepare("INSERT INTO texts(rowid, words) VALUES(?, ?)", &insert_));
    return Prepare("SELECT rowid, -rank FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?",
                   &select_);
  }

  std::string name() const override { return "fts5"; }

  absl::Status Add(size_t first, std::span<const std::string> texts) override {
    COOKIX_RETURN_IF_ERROR(Run("BEGIN"));
    for (size_t i = 0; i < texts.size(); ++i) {
      sqlite3_bind_int64(insert_, 1, static_cast<sqlite3_int64>(first + i));
      BindText(insert_, 2, texts[i]);
      const int result = sqlite3_step(insert_);
      sqlite3_reset(insert_);
      if (result != SQLITE_DONE) return Failed();
    }
    return Run("COMMIT");
  }

  absl::Status Finish() override { return Run("INSERT INTO texts(texts) VALUES('optimize')"); }

  absl::Status Search(const WordQuery& query, size_t k,
                      std::vector<RankedDocument>* hits) override {
    BindText(select_, 1, MatchOf(query));
    sqlite3_bind_int64(select_, 2, static_cast<sqlite3_int64>(k));
    hits->clear();
    int result = sqlite3_step(select_);
    for (; result == SQLITE_ROW; result = sqlite3_step(select_)) {
      hits->push_back({static_cast<uint32_t>(sqlite3_column_int64(select_, 0)),
                       sqlite3_column_double(select_, 1)});
    }
    sqlite3_reset(select_);
    return result == SQLITE_DONE ? absl::OkStatus() : Failed();
  }

  absl::StatusOr<int64_t> Bytes() const override {
    sqlite3_stmt* statement = nullptr;
    COOKIX_RETURN_IF_ERROR(Prepare(
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", &statement));
    sqlite3_step(statement);
    const int64_t bytes = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return bytes;
  }

 private:
  // The query in FTS5's grammar: words are strings, so that none is an operator.
  std::string MatchOf(const WordQuery& query) const {
    if (query.kind == TextQueryKind::kPhrase) {
      return absl::StrCat("\"", WordsOf(query, corpus_.vocabulary()), "\"");
    }
    std::string match;
    for (const WordId word : query.words) {
      if (!match.empty()) match += query.kind == TextQueryKind::kAnyWords ? " OR " : " AND ";
      absl::StrAppend(&match, "\"", corpus_.vocabulary().Word(word), "\"");
    }
    return match;
  }

  // Copied, for the statement keeps it.
  static void BindText(sqlite3_stmt* statement, int at, const std::string& text) {
    sqlite3_bind_text(statement, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }

  absl::Status Failed() const {
    return absl::InternalError(absl::StrCat("sqlite: ", sqlite3_errmsg(database_)));
  }

  absl::Status Run(const char* sql) {
    return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus()
                                                                                : Failed();
  }

  absl::Status Prepare(const char* sql, sqlite3_stmt** statement) const {
    return sqlite3_prepare_v2(database_, sql, -1, statement, nullptr) == SQLITE_OK
               ? absl::OkStatus()
               : Failed();
  }

  const TextCorpus& corpus_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
};

}  // namespace

TextContestantFactory Fts5Peer() {
  return [](const TextCorpus& corpus,
            const std::string&) -> absl::StatusOr<std::unique_ptr<TextContestant>> {
    auto index = std::make_unique<Fts5Index>(corpus);
    COOKIX_RETURN_IF_ERROR(index->Open());
    return index;
  };
}

}  // namespace cookix::bench
