#include "engine/name_table.h"

#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

std::optional<std::pair<CollectionId, std::string>> Find(const NameTable::Reader& reader,
                                                         Ordinal ordinal) {
  NameTable::Name name;
  if (!reader.Find(ordinal, &name)) return std::nullopt;
  return std::pair(name.collection, std::string(name.key));
}

// What the name of an ordinal is in these tests: of all lengths, also none.
std::string KeyOf(Ordinal ordinal) {
  return std::string(ordinal * 7919 % 5000 % (ordinal % 3 == 0 ? 5000 : 20), 'k') +
         std::to_string(ordinal);
}

TEST(NameTableTest, NamesAreFoundUntilRemoved) {
  NameTable table(1 << 20);
  EXPECT_FALSE(Find(table.Read(1), 1).has_value());
  table.Put(1, 1, 300, "a");
  table.Put(1, 5000, 1, "");
  table.Put(2, 1, 2, std::string(100'000, 'x'));
  EXPECT_EQ(Find(table.Read(1), 1), std::pair(CollectionId{300}, std::string("a")));
  EXPECT_EQ(Find(table.Read(1), 5000), std::pair(CollectionId{1}, std::string()));
  EXPECT_EQ(Find(table.Read(2), 1), std::pair(CollectionId{2}, std::string(100'000, 'x')));
  EXPECT_FALSE(Find(table.Read(1), 2).has_value());
  EXPECT_FALSE(Find(table.Read(1), Ordinal{1} << 39).has_value());
  EXPECT_FALSE(Find(table.Read(3), 1).has_value());
  EXPECT_EQ(table.size(), 3);
  table.Remove(1, 1);
  table.Remove(1, 1);
  table.Remove(1, 999'999);
  table.Remove(9, 1);
  EXPECT_FALSE(Find(table.Read(1), 1).has_value());
  EXPECT_EQ(table.size(), 2);
}

TEST(NameTableTest, MemoryIsGivenBack) {
  NameTable table(64 << 20);
  for (Ordinal i = 1; i <= 20'000; ++i) table.Put(1, i, 1, KeyOf(i));
  const int64_t full = table.MemoryBytes();
  EXPECT_GT(full, 20'000 * 10);
  // What is young stays, what is old goes, as with objects that expire.
  for (Ordinal i = 1; i <= 15'000; ++i) table.Remove(1, i);
  EXPECT_LT(table.MemoryBytes(), full / 3);
  table.RemoveNamespace(1);
  EXPECT_EQ(table.MemoryBytes(), 0);
  EXPECT_EQ(table.size(), 0);
}

TEST(NameTableTest, KeepsNoMoreThanAllowed) {
  NameTable table(100'000);
  for (Ordinal i = 1; i <= 50'000; ++i) table.Put(1, i, 1, "some key");
  EXPECT_LT(table.MemoryBytes(), 110'000);
  EXPECT_GT(table.size(), 1000);
  EXPECT_LT(table.size(), 50'000);
  const NameTable::Reader reader = table.Read(1);
  EXPECT_TRUE(Find(reader, 1).has_value());
  EXPECT_FALSE(Find(reader, 50'000).has_value());
  // An ordinal far away would need a large directory.
  table.Put(2, Ordinal{1} << 39, 1, "far");
  EXPECT_FALSE(Find(table.Read(2), Ordinal{1} << 39).has_value());
}

TEST(NameTableTest, ReadersKeepWhatTheySee) {
  NameTable::Reader reader;
  NameTable::Name name;
  {
    NameTable table(64 << 20);
    for (Ordinal i = 1; i <= 2000; ++i) table.Put(1, i, 1, KeyOf(i));
    reader = table.Read(1);
    ASSERT_TRUE(reader.Find(7, &name));
    // All pages go, many generations later too.
    for (Ordinal i = 1; i <= 2000; ++i) table.Remove(1, i);
    for (Ordinal i = 10'000; i <= 200'000; i += 512) {
      table.Put(1, i, 1, "x");
      table.Remove(1, i);
    }
  }
  EXPECT_EQ(name.key, KeyOf(7));
}

TEST(NameTableTest, ReadersRunBesideChanges) {
  NameTable table(64 << 20);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  std::atomic<int64_t> found{0};
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      while (!done) {
        const NameTable::Reader reader = table.Read(1);
        std::vector<std::pair<Ordinal, NameTable::Name>> names;
        for (int i = 0; i < 200; ++i) {
          const Ordinal ordinal = 1 + random() % 8000;
          NameTable::Name name;
          if (reader.Find(ordinal, &name)) names.emplace_back(ordinal, name);
        }
        for (const auto& [ordinal, name] : names) {
          if (name.key != KeyOf(ordinal) || name.collection != ordinal % 400) {
            ADD_FAILURE() << ordinal;
            return;
          }
        }
        found += static_cast<int64_t>(names.size());
      }
    });
  }
  std::mt19937_64 random(42);
  for (int round = 0; round < 60 || found < 1000; ++round) {
    for (int i = 0; i < 500; ++i) {
      const Ordinal ordinal = 1 + random() % 8000;
      table.Put(1, ordinal, static_cast<CollectionId>(ordinal % 400), KeyOf(ordinal));
    }
    // Whole pages, so that they are freed.
    const Ordinal first = random() % 15 * 512;
    for (Ordinal i = 0; i < 512; ++i) table.Remove(1, first + i);
    if (round % 20 == 19) table.Clear();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace cookix::engine
