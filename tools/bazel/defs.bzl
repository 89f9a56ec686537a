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

def cookix_cc_test(name, deps = [], size = "small", copts = [], **kwargs):
    cc_test(
        name = name,
        size = size,
        copts = COPTS + copts,
        deps = deps + [
            "//third_party/tsan:suppressions",
            "@system//:gtest_main",
        ],
        **kwargs
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
