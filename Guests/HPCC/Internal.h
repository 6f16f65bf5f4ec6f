// What the files of this folder share.
#pragma once

#include "HPCC.h"

#pragma GCC visibility push(hidden)

/// Returns from the calling function unless `expression` is HPCC_OK.
#define TRY(expression)                     \
  do {                                      \
    uint32_t tried = (expression);          \
    if (tried != HPCC_OK) return tried;     \
  } while (0)

// A function, since an argument may be a word that another rank changes.
static inline uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static inline void copy_bytes(void *to, const void *from, uint64_t bytes) {
  if (bytes == 8) {
    *(uint64_t *)to = *(const uint64_t *)from;
    return;
  }
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static inline void clear_bytes(void *to, uint64_t bytes) {
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
}

/// A well mixed function of a number (splitmix64).
static inline uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

// Messages.c

/// Records the first failure of this rank and tells the other ranks. Returns the status that the rank has then.
uint32_t rank_fail(struct hpcc_rank *r, uint32_t status, uint32_t culprit);
uint32_t rank_send(struct hpcc_rank *r, uint32_t to, const void *data, uint64_t bytes);
uint32_t rank_receive(struct hpcc_rank *r, uint32_t from, void *data, uint64_t bytes);
/// Sends and receives at the same time, so that ranks which all send do not wait for each other.
uint32_t rank_exchange(struct hpcc_rank *r, uint32_t to, const void *out, uint64_t out_bytes, uint32_t from, void *in,
                       uint64_t in_bytes);
/// Waits until all ranks are here. The sum of their numbers replaces `*number` in all of them.
uint32_t rank_sum(struct hpcc_rank *r, uint64_t *number);
uint32_t rank_barrier(struct hpcc_rank *r);
/// Memory of the rank, aligned to 64 bytes; null if there is none left.
void *rank_allocate(struct hpcc_rank *r, uint64_t bytes);

/// A transport moves the bytes of a pair of ranks in order. Each call moves what it can without waiting.
uint64_t shared_push(struct hpcc_rank *r, uint32_t to, const uint8_t *data, uint64_t bytes);
uint64_t shared_pull(struct hpcc_rank *r, uint32_t from, uint8_t *data, uint64_t bytes);
void shared_fail(struct hpcc_rank *r);
/// State of a rank that waits.
struct waiting {
  uint64_t since;
  uint32_t is_armed;
};
void shared_wait(struct hpcc_rank *r, struct waiting *waiting, uint64_t elapsed);
void shared_end_wait(struct hpcc_rank *r, struct waiting *waiting);

uint32_t frames_start(struct hpcc_rank *r);
uint64_t frames_push(struct hpcc_rank *r, uint32_t to, const uint8_t *data, uint64_t bytes);
uint64_t frames_pull(struct hpcc_rank *r, uint32_t from, uint8_t *data, uint64_t bytes);
void frames_fail(struct hpcc_rank *r);
/// Whether the window to a rank has room.
uint32_t frames_can_push(struct hpcc_rank *r, uint32_t to);

// The programs. Each performs an action of all ranks together.
uint32_t stream_act(struct hpcc_rank *r, const struct hpcc_command *command);
uint32_t ring_act(struct hpcc_rank *r, const struct hpcc_command *command);
uint32_t ptrans_act(struct hpcc_rank *r, const struct hpcc_command *command);
uint32_t hpl_act(struct hpcc_rank *r, const struct hpcc_command *command);

#pragma GCC visibility pop
