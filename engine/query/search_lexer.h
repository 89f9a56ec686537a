// Words of SEARCH statements: see search_parser.h.
#ifndef COOKIX_ENGINE_QUERY_SEARCH_LEXER_H_
#define COOKIX_ENGINE_QUERY_SEARCH_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/query/query_source.h"
#include "google/protobuf/repeated_field.h"

namespace cookix::engine {

struct SearchToken {
  enum class Kind : uint8_t {
    kEnd,
    kName,        // a bare word: a keyword where one is expected, else a name
    kQuotedName,  // "in double quotes": never a keyword
    kText,        // 'in single quotes'
    kBytes,       // x'0aff'
    kNumber,
    kSymbol,  // ( ) [ ] , * = != <> < <= > >=
  };

  Kind kind = Kind::kEnd;
  // As meant: without quotes; bytes decoded; a symbol as written.
  std::string text;
  v1::Value number;
  // Where it stands.
  size_t begin = 0;
  size_t end = 0;
};

// True when a name can be written without quotes.
bool IsBareName(std::string_view name);
bool ContinuesBareName(char c);

// Reads a statement word by word, looking one ahead.
class SearchLexer {
 public:
  SearchLexer(std::string_view text, std::string_view field) : source_(text, field) {}

  // Checks the text and reads the first word.
  absl::Status Start(size_t max_bytes);
  // The word that is next.
  const SearchToken& token() const { return token_; }
  absl::Status Advance();

  // ASCII letters in any case.
  bool AtKeyword(std::string_view keyword) const;
  bool AtSymbol(std::string_view symbol) const {
    return token_.kind == SearchToken::Kind::kSymbol && token_.text == symbol;
  }
  bool At(SearchToken::Kind kind) const { return token_.kind == kind; }

  // Takes the word if it is this one.
  absl::StatusOr<bool> TakeKeyword(std::string_view keyword);
  absl::StatusOr<bool> TakeSymbol(std::string_view symbol);
  // Or fails, saying what was expected.
  absl::Status RequireKeyword(std::string_view keyword);
  absl::Status RequireSymbol(std::string_view symbol);
  absl::StatusOr<std::string> RequireName(std::string_view what);
  absl::StatusOr<std::string> RequireText(std::string_view what);
  // 0 to `most`.
  absl::StatusOr<int64_t> RequireCount(std::string_view what, int64_t most);
  absl::StatusOr<double> RequireNumber(std::string_view what);
  // One or more numbers in brackets.
  absl::Status RequireFloats(google::protobuf::RepeatedField<float>* values);

  absl::Status Expected(std::string_view what) const {
    return source_.Expected(token_.begin, token_.end, what);
  }
  const QuerySource& source() const { return source_; }

 private:
  absl::Status TakeQuoted(char quote, std::string_view what);
  absl::Status TakeBytes();
  absl::Status TakeSymbolToken();

  QuerySource source_;
  SearchToken token_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_SEARCH_LEXER_H_
