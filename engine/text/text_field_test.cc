#include "engine/text/text_field.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

v1::TextField Named(const std::string& name) {
  v1::TextField field;
  field.set_name(name);
  return field;
}

v1::TextField Resolved(const v1::TextField& given) {
  const absl::StatusOr<v1::TextField> field = ResolveTextField(given, "f");
  EXPECT_TRUE(field.ok()) << field.status();
  return field.value_or(v1::TextField());
}

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& reason,
                 const std::string& field) {
  EXPECT_EQ(status.code(), code) << status;
  const auto detail = GetErrorDetail(status);
  ASSERT_TRUE(detail.has_value()) << status;
  EXPECT_EQ(detail->reason, reason) << status;
  EXPECT_EQ(detail->field, field) << status;
  EXPECT_FALSE(detail->remedy.empty()) << status;
}

TEST(TextFieldTest, FillsInWhatIsNotSaid) {
  const v1::TextField field = Resolved(Named("title"));
  EXPECT_EQ(field.source(), "title");
  EXPECT_EQ(field.boost(), 1);
  EXPECT_TRUE(field.has_only_by_name());
  EXPECT_TRUE(field.has_analyzer());
  EXPECT_EQ(Resolved(Named("content")).source(), "$content");
  EXPECT_EQ(Resolved(Named("content")).SerializeAsString(), DefaultTextField().SerializeAsString());
  v1::TextField other = Named("content");
  other.set_source("content");
  EXPECT_EQ(Resolved(other).source(), "content");
}

TEST(TextFieldTest, ResolvingAgainChangesNothing) {
  v1::TextField field = Named("a.b_C9");
  field.set_source("meta.title");
  field.set_boost(2.5);
  field.mutable_analyzer()->set_language("de");
  for (const char* word : {"zwei", "eins", "zwei"}) {
    field.mutable_analyzer()->add_extra_stop_words(word);
  }
  const v1::TextField once = Resolved(field);
  EXPECT_EQ(once.analyzer().extra_stop_words_size(), 2);
  EXPECT_EQ(once.analyzer().extra_stop_words(0), "eins");
  EXPECT_EQ(Resolved(once).SerializeAsString(), once.SerializeAsString());
}

TEST(TextFieldTest, RefusesWhatCannotBe) {
  struct Case {
    std::function<void(v1::TextField*)> change;
    std::string reason, field;
  };
  const std::vector<Case> cases = {
      {[](auto* f) { f->set_name(""); }, "INVALID_FIELD", "f.name"},
      {[](auto* f) { f->set_name(std::string(257, 'a')); }, "LIMIT_EXCEEDED", "f.name"},
      {[](auto* f) { f->set_name("9a"); }, "INVALID_FIELD", "f.name"},
      {[](auto* f) { f->set_name(".a"); }, "INVALID_FIELD", "f.name"},
      {[](auto* f) { f->set_name("a b"); }, "INVALID_FIELD", "f.name"},
      {[](auto* f) { f->set_name("a:b"); }, "INVALID_FIELD", "f.name"},
      {[](auto* f) { f->set_name("stra\xc3\x9f"); }, "INVALID_FIELD", "f.name"},
      {[](auto* f) { f->set_source("$key"); }, "INVALID_FIELD", "f.source"},
      {[](auto* f) { f->set_source("a\xff"); }, "INVALID_FIELD", "f.source"},
      {[](auto* f) { f->set_source("a\nb"); }, "INVALID_FIELD", "f.source"},
      {[](auto* f) { f->set_source(std::string(1025, 'a')); }, "LIMIT_EXCEEDED", "f.source"},
      {[](auto* f) { f->set_boost(-1); }, "INVALID_FIELD", "f.boost"},
      {[](auto* f) { f->set_boost(1e-7); }, "INVALID_FIELD", "f.boost"},
      {[](auto* f) { f->set_boost(1e7); }, "INVALID_FIELD", "f.boost"},
      {[](auto* f) { f->set_boost(std::nan("")); }, "INVALID_FIELD", "f.boost"},
      {[](auto* f) { f->mutable_analyzer()->set_language("xx"); }, "INVALID_FIELD",
       "f.analyzer.language"},
      {[](auto* f) {
         f->mutable_analyzer()->add_extra_stop_words("one");
         f->mutable_analyzer()->add_extra_stop_words("two words");
       },
       "INVALID_FIELD", "f.analyzer.extra_stop_words[1]"},
      {[](auto* f) { f->mutable_analyzer()->add_extra_stop_words(""); }, "INVALID_FIELD",
       "f.analyzer.extra_stop_words[0]"},
      {[](auto* f) { f->mutable_analyzer()->add_extra_stop_words("\xff"); }, "INVALID_FIELD",
       "f.analyzer.extra_stop_words[0]"},
      {[](auto* f) {
         for (int i = 0; i <= 1000; ++i) {
           f->mutable_analyzer()->add_extra_stop_words("w" + std::to_string(i));
         }
       },
       "LIMIT_EXCEEDED", "f.analyzer.extra_stop_words"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    v1::TextField field = Named("name");
    cases[i].change(&field);
    ExpectError(ResolveTextField(field, "f").status(), absl::StatusCode::kInvalidArgument,
                cases[i].reason, cases[i].field);
  }
  for (const double boost : {1e-6, 1e6}) {
    v1::TextField field = Named("_");
    field.set_boost(boost);
    EXPECT_EQ(Resolved(field).boost(), boost);
  }
}

TEST(TextFieldTest, ChangesWhatCanBeChanged) {
  v1::TextField given = Named("t");
  given.set_boost(2);
  const v1::TextField existing = Resolved(given);
  v1::TextField change = Named("t");
  // Nothing is said, so nothing changes.
  EXPECT_EQ(ChangeTextField(existing, change, "f")->SerializeAsString(),
            existing.SerializeAsString());
  change.set_boost(3);
  change.set_only_by_name(true);
  const v1::TextField changed = *ChangeTextField(existing, change, "f");
  EXPECT_EQ(changed.boost(), 3);
  EXPECT_TRUE(changed.only_by_name());
  EXPECT_TRUE(SamePostings(existing, changed));
  // What is absent stays, what is said goes.
  EXPECT_TRUE(ChangeTextField(changed, Named("t"), "f")->only_by_name());
  change.set_only_by_name(false);
  EXPECT_FALSE(ChangeTextField(changed, change, "f")->only_by_name());
  change.set_boost(-3);
  ExpectError(ChangeTextField(existing, change, "f").status(), absl::StatusCode::kInvalidArgument,
              "INVALID_FIELD", "f.boost");
}

TEST(TextFieldTest, FreezesTheRest) {
  v1::TextField given = Named("t");
  given.mutable_analyzer()->set_language("en");
  given.mutable_analyzer()->add_extra_stop_words("b");
  given.mutable_analyzer()->add_extra_stop_words("a");
  const v1::TextField existing = Resolved(given);
  // The same in another order is the same.
  EXPECT_TRUE(ChangeTextField(existing, given, "f").ok());
  const std::vector<std::pair<std::string, std::function<void(v1::TextField*)>>> cases = {
      {"f.source", [](auto* f) { f->set_source("$content"); }},
      {"f.no_positions", [](auto* f) { f->set_no_positions(true); }},
      {"f.analyzer.language", [](auto* f) { f->mutable_analyzer()->set_language("de"); }},
      {"f.analyzer.no_stemming", [](auto* f) { f->mutable_analyzer()->set_no_stemming(true); }},
      {"f.analyzer.no_stop_words", [](auto* f) { f->mutable_analyzer()->set_no_stop_words(true); }},
      {"f.analyzer.no_case_folding",
       [](auto* f) { f->mutable_analyzer()->set_no_case_folding(true); }},
      {"f.analyzer.no_accent_folding",
       [](auto* f) { f->mutable_analyzer()->set_no_accent_folding(true); }},
      {"f.analyzer.extra_stop_words",
       [](auto* f) { f->mutable_analyzer()->add_extra_stop_words("a"); }},
  };
  for (const auto& [path, change] : cases) {
    SCOPED_TRACE(path);
    v1::TextField field = Named("t");
    change(&field);
    ExpectError(ChangeTextField(existing, field, "f").status(),
                absl::StatusCode::kFailedPrecondition, "FROZEN_SETTING", path);
    EXPECT_FALSE(SamePostings(existing, Resolved(field)));
  }
}

TEST(TextFieldTest, ReadsTheTextsOfAnObject) {
  internal::v1::ObjectRecord record;
  record.set_content("the content");
  auto& properties = *record.mutable_properties();
  properties["title"].set_string_value("a title");
  properties["number"].set_int_value(7);
  properties["empty"].set_string_value("");
  auto* list = properties["list"].mutable_list_value();
  list->add_values()->set_string_value("one");
  list->add_values()->set_bool_value(true);
  list->add_values()->set_string_value("two");
  list->add_values()->mutable_list_value()->add_values()->set_string_value("three");
  auto& nested = *properties["meta"].mutable_map_value()->mutable_fields();
  nested["title"].set_string_value("nested");
  properties["meta.title"].set_string_value("spelt out");
  const auto texts = [&](const std::string& source) {
    v1::TextField field = Named("f");
    field.set_source(source);
    std::vector<std::string> read;
    ForEachText(record, Resolved(field), [&](std::string_view text) { read.emplace_back(text); });
    return read;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts("$content"), Texts{"the content"});
  EXPECT_EQ(texts("title"), Texts{"a title"});
  EXPECT_EQ(texts("list"), (Texts{"one", "two", "three"}));
  EXPECT_EQ(texts("meta.title"), (Texts{"spelt out", "nested"}));
  EXPECT_EQ(texts("number"), Texts());
  EXPECT_EQ(texts("empty"), Texts());
  EXPECT_EQ(texts("meta"), Texts());
  EXPECT_EQ(texts("absent"), Texts());
}

TEST(TextFieldTest, GivesQueriesTheFieldsOfACollection) {
  v1::Collection collection;
  v1::TextField title = Named("title");
  title.set_boost(4);
  title.mutable_analyzer()->set_language("en");
  *collection.add_text_fields() = Resolved(title);
  v1::TextField note = Named("note");
  note.set_only_by_name(true);
  note.mutable_analyzer()->set_no_case_folding(true);
  *collection.add_text_fields() = Resolved(note);
  const auto fields = TextQueryFields(collection);
  ASSERT_TRUE(fields.ok()) << fields.status();
  ASSERT_EQ(fields->size(), 2u);
  EXPECT_EQ((*fields)[0].name, "title");
  EXPECT_EQ((*fields)[0].boost, 4);
  EXPECT_TRUE((*fields)[0].by_default);
  EXPECT_EQ((*fields)[0].analyzer->settings().language, "en");
  EXPECT_FALSE((*fields)[1].by_default);
  EXPECT_FALSE((*fields)[1].analyzer->settings().case_folding);
}

}  // namespace
}  // namespace cookix::engine
