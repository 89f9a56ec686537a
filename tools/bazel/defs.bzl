"""C++ rules with the flags that all of the project's own code is built with."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    "-Wno-unused-parameter",
    # GCC 12 warns about std::string's own copies when it optimises.
    "-Wno-restrict",
    "-Wno-missing-field-initializers",
    "-Werror=unused-result",
]

def cookix_cc_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = COPTS + copts, **kwargs)

def cookix_cc_binary(name, copts = [], **kwargs):
    cc_binary(name = name, copts = COPTS + copts, **kwargs)

def _test(name, deps, copts, **kwargs):
    cc_test(
        name = name,
        copts = COPTS + copts,
        deps = deps + [
            "//third_party/tsan:suppressions",
            "@system//:gtest_main",
        ],
        **kwargs
    )

def cookix_cc_test(name, deps = [], size = "small", copts = [], threads = False, **kwargs):
    """A test. With threads, also NAME without _test and with _threads_test: its cases named
    *Threads*, for the thread sanitizer, which would take many minutes for the rest."""
    _test(name, deps, copts, size = size, **kwargs)
    if threads:
        _test(
            name[:-len("_test")] + "_threads_test",
            deps,
            copts,
            srcs = kwargs["srcs"],
            size = size,
            args = ["--gtest_filter=*Threads*"],
            tags = ["tsan"],
        )

def cookix_cc_benchmark(name, deps = [], **kwargs):
    cc_binary(
        name = name,
        testonly = True,
        copts = COPTS,
        tags = ["benchmark"],
        deps = deps + ["@system//:benchmark"],
        **kwargs
    )
