// Counts heap allocations of the calling thread, by malloc and its relatives.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Allocations of this thread since it began.
uint64_t callocations_count(void);
/// Whether they are counted: not under a sanitizer, which has an allocator of its own.
bool callocations_are_counted(void);
