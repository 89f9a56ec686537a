"""One fuzz target, as a test and as a libFuzzer program."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//tools/bazel:defs.bzl", "COPTS", "cookix_cc_library", "cookix_cc_test")

def cookix_fuzz_target(name, deps, runs = 100000, size = "medium"):
    """Builds <name>.cc into the test <name>_test and the program <name>_libfuzzer.

    Args:
      name: the target's file, without its suffix.
      deps: what it fuzzes.
      runs: how many mutated inputs the test tries.
      size: of the test.
    """
    cookix_cc_library(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        alwayslink = True,
        deps = deps + [":fuzz_target"],
    )
    cookix_cc_test(
        name = name + "_test",
        size = size,
        srcs = ["fuzz_driver.cc"],
        args = ["--runs=%d" % runs],
        deps = [":" + name],
    )
    cc_binary(
        name = name + "_libfuzzer",
        testonly = True,
        srcs = ["seed_writer.cc"],
        copts = COPTS,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name],
    )
