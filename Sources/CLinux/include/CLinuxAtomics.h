// Atomic access to memory that a guest, the kernel or another thread shares with us.
//
// The optimizer may hoist a plain Swift load out of a loop, but not these.
#pragma once

#include <stdint.h>

static inline uint16_t clinux_load_acquire_u16(const void *p) {
  return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}
static inline uint32_t clinux_load_acquire_u32(const void *p) {
  return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
}
static inline uint64_t clinux_load_relaxed_u64(const void *p) {
  return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}
static inline void clinux_store_release_u16(void *p, uint16_t v) {
  __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}
static inline void clinux_store_release_u32(void *p, uint32_t v) {
  __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE);
}
static inline void clinux_store_release_u8(void *p, uint8_t v) {
  __atomic_store_n((uint8_t *)p, v, __ATOMIC_RELEASE);
}
static inline int clinux_compare_exchange_u32(void *p, uint32_t expected, uint32_t value) {
  return __atomic_compare_exchange_n((uint32_t *)p, &expected, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline void clinux_store_relaxed_u64(void *p, uint64_t v) {
  __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED);
}
/// Orders our ring writes before our reads of the other side's notification flags.
static inline void clinux_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
