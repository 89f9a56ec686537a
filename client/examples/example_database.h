// What the examples run against: a database in memory, in this process. Against
// a server, ConnectRemote() gives the same interface.
#ifndef COOKIX_CLIENT_EXAMPLES_EXAMPLE_DATABASE_H_
#define COOKIX_CLIENT_EXAMPLES_EXAMPLE_DATABASE_H_

#include <memory>
#include <string>
#include <utility>

#include "client/client.h"
#include "client/examples/check.h"
#include "engine/database.h"

namespace cookix::client {

struct ExampleDatabase {
  std::unique_ptr<engine::Database> database;
  std::unique_ptr<Client> client;
};

inline ExampleDatabase OpenExample() {
  engine::DatabaseOptions options;
  options.storage.path = "example";
  options.storage.in_memory = true;
  auto database = engine::Database::Open(std::move(options));
  Check(database.status());
  ExampleDatabase example;
  example.database = *std::move(database);
  example.client = ConnectEmbedded(*example.database);
  return example;
}

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_EXAMPLES_EXAMPLE_DATABASE_H_
