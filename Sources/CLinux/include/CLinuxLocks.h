// Locks in debug builds: which ones the thread holds, and annotations for ThreadSanitizer.
#pragma once

#include <stdint.h>

/// Notes that the calling thread holds the lock at `lock`. Ranks rise, so that at most one lock of each rank is held.
void clinux_push_held_lock(const void *lock, uint8_t rank);
void clinux_pop_held_lock(void);
/// The rank of the lock that the calling thread took last; -1 while it holds none.
int clinux_highest_held_rank(void);
int clinux_holds_lock(const void *lock);

/// Tells ThreadSanitizer, where it runs, that this thread has taken the lock at `lock`, or is about to release it.
void clinux_sanitizer_acquire(void *lock);
void clinux_sanitizer_release(void *lock);
