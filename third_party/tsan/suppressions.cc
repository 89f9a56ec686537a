// What the thread sanitizer reports about libraries that Debian builds without
// it: it sees their mutexes and what they ask of intercepted functions, but not their
// atomic variables. Each entry says why it is a false report. Our own code is never
// suppressed.
//
// Linked into every test; without the thread sanitizer nobody calls it.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_suppressions();

// A report is compared with the suppressions by its stacks; that of the earlier access
// is found only as long as the history of its thread goes back to it.
extern "C" const char* __tsan_default_options() { return "history_size=7"; }

extern "C" const char* __tsan_default_suppressions() {
  return
      // absl::Mutex is not built with the annotations, so that the happens-before
      // edges of its critical sections are unknown.
      "race:absl::*::Mutex\n"
      "race:absl::lts_20220623::*\n"
      "deadlock:absl::lts_20220623::*\n"
      // RocksDB: reads and writes inside the library, ordered by its own atomics. Not
      // "called_from_lib", which hides the mutexes that are locked there, too.
      "race:librocksdb.so\n"
      "mutex:librocksdb.so\n"
      "deadlock:librocksdb.so\n"
      // What it has decompressed goes from thread to thread through its cache.
      "called_from_lib:liblz4.so\n"
      // Tables of normalisation are made once, by whoever comes first.
      "called_from_lib:libicuuc.so\n"
      // Generated messages are created by one thread and freed by another inside
      // libprotobuf's arenas and default instances.
      "race:libprotobuf.so\n"
      "race:libgrpc.so\n"
      "race:libgrpc++.so\n"
      "race:libspdlog.so\n"
      "race:libprometheus-cpp-core.so\n";
}
