// Locks in debug builds: the locks that a thread holds, and annotations for ThreadSanitizer.
#pragma once

#include <stdint.h>

/// Records that the calling thread holds `lock`. Ranks only rise, so a thread holds at most one lock of each rank.
void clinux_push_held_lock(const void *lock, uint8_t rank);
void clinux_pop_held_lock(void);
/// The rank of the calling thread's last lock; -1 if it holds none.
int clinux_highest_held_rank(void);
int clinux_holds_lock(const void *lock);

/// Tell ThreadSanitizer, if present, that this thread has taken `lock`, or is about to release it.
void clinux_sanitizer_acquire(void *lock);
void clinux_sanitizer_release(void *lock);
