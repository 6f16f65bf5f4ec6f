#include "CLinuxLocks.h"

#include <stdlib.h>

enum { most_held = 32 };
static _Thread_local struct {
  const void *locks[most_held];
  uint8_t ranks[most_held];
  int count;
} held;

void clinux_push_held_lock(const void *lock, uint8_t rank) {
  if (held.count == most_held) abort();
  held.locks[held.count] = lock;
  held.ranks[held.count++] = rank;
}

void clinux_pop_held_lock(void) { held.count--; }

int clinux_highest_held_rank(void) { return held.count ? held.ranks[held.count - 1] : -1; }

int clinux_holds_lock(const void *lock) {
  for (int index = 0; index < held.count; index++)
    if (held.locks[index] == lock) return 1;
  return 0;
}

// The sanitizer's runtime defines these. Without it they are null.
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

void clinux_sanitizer_acquire(void *lock) {
  if (__tsan_acquire) __tsan_acquire(lock);
}
void clinux_sanitizer_release(void *lock) {
  if (__tsan_release) __tsan_release(lock);
}
