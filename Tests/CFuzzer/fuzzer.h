// Entry points of libFuzzer, which is part of the toolchain's compiler runtime (LLVM, FuzzerInterface.h), and glibc's
// mallopt.
#pragma once
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*run)(const uint8_t *data, size_t size));
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t limit);
