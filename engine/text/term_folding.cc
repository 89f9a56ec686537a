#include "engine/text/term_folding.h"

#include <cstring>

#include "unicode/bytestream.h"
#include "unicode/normalizer2.h"
#include "unicode/uchar.h"
#include "unicode/uscript.h"
#include "unicode/utf8.h"

namespace cookix::engine {
namespace {

void AppendCharacter(uint32_t c, std::string* text) {
  char bytes[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  text->append(bytes, static_cast<size_t>(size));
}

// Calls visit(character) for each. Bytes that are no UTF-8 count as U+FFFD.
template <typename Visit>
void ForEachCharacter(std::string_view text, Visit&& visit) {
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    UChar32 c;
    U8_NEXT_OR_FFFD(text.data(), at, size, c);
    visit(static_cast<uint32_t>(c));
  }
}

// Turkish case pairs, before the rules of all other languages.
std::string FoldTurkicI(std::string_view word) {
  constexpr uint32_t kDotAbove = 0x307, kDotlessI = 0x131, kCapitalDottedI = 0x130;
  std::string result;
  bool after_capital_i = false;
  ForEachCharacter(word, [&](uint32_t c) {
    if (after_capital_i) AppendCharacter(c == kDotAbove ? 'i' : kDotlessI, &result);
    const bool dot = after_capital_i && c == kDotAbove;
    after_capital_i = c == 'I';
    if (dot || after_capital_i) return;
    AppendCharacter(c == kCapitalDottedI ? 'i' : c, &result);
  });
  if (after_capital_i) AppendCharacter(kDotlessI, &result);
  return result;
}

uint32_t CommaToCedilla(uint32_t c) {
  switch (c) {
    case 0x218:
      return 0x15E;
    case 0x219:
      return 0x15F;
    case 0x21A:
      return 0x162;
    case 0x21B:
      return 0x163;
    default:
      return c;
  }
}

bool IsApostrophe(uint32_t c) {
  constexpr uint32_t kModifier = 0x2BC, kLeftQuote = 0x2018, kRightQuote = 0x2019;
  return c == kModifier || c == kLeftQuote || c == kRightQuote;
}

void Normalize(const icu::Normalizer2* form, std::string_view word, std::string* result) {
  result->clear();
  icu::StringByteSink<std::string> sink(result);
  UErrorCode error = U_ZERO_ERROR;
  form->normalizeUTF8(0, icu::StringPiece(word.data(), static_cast<int32_t>(word.size())), sink,
                      nullptr, error);
  if (U_FAILURE(error)) result->assign(word);
}

struct NormalForms {
  const icu::Normalizer2* nfc;
  const icu::Normalizer2* nfd;
  const icu::Normalizer2* nfkc;
  const icu::Normalizer2* nfkc_casefold;
  bool complete = false;
};

const NormalForms& GetNormalForms() {
  static const NormalForms forms = [] {
    UErrorCode error = U_ZERO_ERROR;
    NormalForms result{
        icu::Normalizer2::getNFCInstance(error), icu::Normalizer2::getNFDInstance(error),
        icu::Normalizer2::getNFKCInstance(error), icu::Normalizer2::getNFKCCasefoldInstance(error)};
    result.complete = U_SUCCESS(error);
    return result;
  }();
  return forms;
}

// Letters that Unicode does not take apart, though people write them without the
// stroke, or as two, where a keyboard lacks them.
std::string_view PlainLetters(uint32_t c) {
  switch (c) {
    case 0xC6:
      return "AE";
    case 0xD0:
      return "D";
    case 0xD8:
      return "O";
    case 0xDE:
      return "TH";
    case 0xE6:
      return "ae";
    case 0xF0:
      return "d";
    case 0xF8:
      return "o";
    case 0xFE:
      return "th";
    case 0x110:
      return "D";
    case 0x111:
      return "d";
    case 0x126:
      return "H";
    case 0x127:
      return "h";
    case 0x131:
      return "i";
    case 0x141:
      return "L";
    case 0x142:
      return "l";
    case 0x152:
      return "OE";
    case 0x153:
      return "oe";
    case 0x166:
      return "T";
    case 0x167:
      return "t";
    default:
      return {};
  }
}

bool ScriptHasAccents(uint32_t c) {
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &error);
  return script == USCRIPT_LATIN || script == USCRIPT_GREEK || script == USCRIPT_CYRILLIC;
}

void StripAccentsByIcu(std::string_view word, std::string* stripped) {
  std::string apart, plain;
  Normalize(GetNormalForms().nfd, word, &apart);
  bool accents = false;
  ForEachCharacter(apart, [&](uint32_t c) {
    if (u_charType(static_cast<UChar32>(c)) == U_NON_SPACING_MARK) {
      if (!accents) AppendCharacter(c, &plain);
      return;
    }
    accents = ScriptHasAccents(c);
    const std::string_view letters = PlainLetters(c);
    if (letters.empty()) {
      AppendCharacter(c, &plain);
    } else {
      plain += letters;
    }
  });
  Normalize(GetNormalForms().nfc, plain, stripped);
}

// Of simple characters that are not marks themselves, what StripAccents makes of each.
class AccentTable {
 public:
  AccentTable() {
    for (size_t i = 0; i < kSimpleCount; ++i) {
      const uint32_t c = SimpleCharacter(i);
      std::string character, plain;
      AppendCharacter(c, &character);
      StripAccentsByIcu(character, &plain);
      const bool alone = u_getCombiningClass(static_cast<UChar32>(c)) == 0 &&
                         (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_M_MASK) == 0;
      if (!alone || plain.size() >= sizeof(Entry::bytes)) continue;
      std::memcpy(entries_[i].bytes, plain.data(), plain.size());
      entries_[i].size = static_cast<uint8_t>(plain.size());
    }
  }

  // False: the word has characters that are not in the table.
  bool Strip(std::string_view word, std::string* stripped) const {
    stripped->clear();
    const auto size = static_cast<int32_t>(word.size());
    for (int32_t at = 0; at < size;) {
      UChar32 c;
      U8_NEXT(word.data(), at, size, c);
      const size_t index = c < 0 ? kSimpleCount : SimpleIndex(static_cast<uint32_t>(c));
      if (index >= kSimpleCount || entries_[index].size == 0) return false;
      stripped->append(entries_[index].bytes, entries_[index].size);
    }
    return true;
  }

 private:
  struct Entry {
    char bytes[7] = {};
    uint8_t size = 0;
  };
  std::array<Entry, kSimpleCount> entries_;
};

}  // namespace

std::unique_ptr<const TermFolder> TermFolder::Create(const FoldingRules& rules) {
  if (!GetNormalForms().complete) return nullptr;
  std::unique_ptr<TermFolder> folder(new TermFolder(rules));
  std::string character, folded;
  for (size_t i = 0; i < kSimpleCount; ++i) {
    character.clear();
    AppendCharacter(SimpleCharacter(i), &character);
    folder->Fold(character, &folded);
    // What does not fit is punctuation, of which no word is made, and marks, which are
    // not simple.
    if (folded.size() > sizeof(Folded::bytes)) continue;
    std::memcpy(folder->simple_[i].bytes, folded.data(), folded.size());
    folder->simple_[i].size = static_cast<uint8_t>(folded.size());
    if (i < 128) folder->ascii_[i] = static_cast<uint8_t>(folded[0]);
  }
  return folder;
}

void TermFolder::Fold(std::string_view word, std::string* folded) const {
  const NormalForms& forms = GetNormalForms();
  std::string normal;
  if (!rules_.case_folding) {
    Normalize(forms.nfkc, word, &normal);
  } else if (rules_.turkic_case) {
    Normalize(forms.nfkc_casefold, FoldTurkicI(word), &normal);
  } else {
    Normalize(forms.nfkc_casefold, word, &normal);
  }
  folded->clear();
  ForEachCharacter(normal, [&](uint32_t c) {
    if (IsApostrophe(c)) c = '\'';
    if (rules_.comma_to_cedilla) c = CommaToCedilla(c);
    if (c >= 0x80 &&
        u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) {
      return;
    }
    AppendCharacter(c, folded);
  });
}

void TermFolder::FoldSimple(std::string_view word, std::string* folded) const {
  folded->clear();
  const auto size = static_cast<int32_t>(word.size());
  for (int32_t at = 0; at < size;) {
    UChar32 c;
    U8_NEXT_UNSAFE(word.data(), at, c);
    const Folded& entry = simple_[SimpleIndex(static_cast<uint32_t>(c))];
    folded->append(entry.bytes, entry.size);
  }
}

void StripAccents(std::string_view word, std::string* stripped) {
  static const auto* const table = new AccentTable;
  if (!table->Strip(word, stripped)) StripAccentsByIcu(word, stripped);
}

}  // namespace cookix::engine
