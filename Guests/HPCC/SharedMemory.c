// Messages between ranks that share memory: threads of the host, or vCPUs of one machine.
//
// Each ordered pair of ranks has a ring of bytes with one writer and one reader.
#include "Internal.h"

/// Nanoseconds that a rank spins before it sleeps. A sleeping vCPU needs about 60 us to wake.
#define SPIN 20000

struct seat {
  /// 1 while the rank is about to sleep. Whoever changes it to 0 must wake the rank.
  uint32_t is_sleeping;
  uint8_t padding[60];
};

struct shared {
  uint32_t status, culprit;
  uint8_t padding[56];
  struct seat seats[HPCC_MAX_RANKS];
};

struct channel {
  uint64_t written;
  uint8_t padding[56];
  uint64_t read;
  uint8_t padding2[56];
  uint8_t bytes[HPCC_CHANNEL_BYTES];
};

_Static_assert(sizeof(struct channel) == HPCC_CHANNEL_BYTES + 128, "hpcc_shared_bytes");
_Static_assert(sizeof(struct shared) <= 4096, "hpcc_shared_bytes");

static struct channel *channel(struct hpcc_rank *r, uint32_t from, uint32_t to) {
  return (struct channel *)((uint8_t *)r->shared + 4096) + from * r->ranks + to;
}

static void wake(struct hpcc_rank *r, uint32_t rank) {
  uint32_t *is_sleeping = &((struct shared *)r->shared)->seats[rank].is_sleeping;
  // The rank sets the word before it looks at the channel for the last time.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (__atomic_load_n(is_sleeping, __ATOMIC_RELAXED) == 0) return;
  if (__atomic_exchange_n(is_sleeping, 0, __ATOMIC_SEQ_CST) != 0) r->wake(r->context, rank);
}

uint64_t shared_push(struct hpcc_rank *r, uint32_t to, const uint8_t *data, uint64_t bytes) {
  struct channel *c = channel(r, r->rank, to);
  uint64_t written = c->written;
  uint64_t room = HPCC_CHANNEL_BYTES - (written - __atomic_load_n(&c->read, __ATOMIC_ACQUIRE));
  // A quarter of the ring at a time, so that the reader copies while the writer does.
  uint64_t count = least(least(bytes, room), HPCC_CHANNEL_BYTES / 4);
  if (count == 0) return 0;
  uint64_t place = written % HPCC_CHANNEL_BYTES, first = least(count, HPCC_CHANNEL_BYTES - place);
  copy_bytes(c->bytes + place, data, first);
  if (count > first) copy_bytes(c->bytes, data + first, count - first);
  __atomic_store_n(&c->written, written + count, __ATOMIC_RELEASE);
  wake(r, to);
  return count;
}

uint64_t shared_pull(struct hpcc_rank *r, uint32_t from, uint8_t *data, uint64_t bytes) {
  struct shared *shared = r->shared;
  struct channel *c = channel(r, from, r->rank);
  uint64_t read = c->read;
  uint64_t count = least(bytes, __atomic_load_n(&c->written, __ATOMIC_ACQUIRE) - read);
  if (count == 0) {
    uint32_t status = __atomic_load_n(&shared->status, __ATOMIC_ACQUIRE);
    if (status != HPCC_OK && r->status == HPCC_OK) {
      r->status = status;
      r->culprit = shared->culprit;
    }
    return 0;
  }
  uint64_t place = read % HPCC_CHANNEL_BYTES, first = least(count, HPCC_CHANNEL_BYTES - place);
  copy_bytes(data, c->bytes + place, first);
  if (count > first) copy_bytes(data + first, c->bytes, count - first);
  __atomic_store_n(&c->read, read + count, __ATOMIC_RELEASE);
  wake(r, from);
  return count;
}

void shared_fail(struct hpcc_rank *r) {
  struct shared *shared = r->shared;
  shared->culprit = r->culprit;
  __atomic_store_n(&shared->status, r->status, __ATOMIC_RELEASE);
  for (uint32_t rank = 0; rank < r->ranks; rank++) {
    if (rank != r->rank) wake(r, rank);
  }
}

/// Spins at first. Then the rank says that it will sleep, looks once more at its channels, and sleeps.
void shared_wait(struct hpcc_rank *r, struct waiting *waiting, uint64_t elapsed) {
  struct seat *seat = &((struct shared *)r->shared)->seats[r->rank];
  if (waiting->is_armed) {
    waiting->is_armed = 0;
    // Woken in time, or too late: then the word is still 1, or a wake-up is on its way.
    if (r->sleep(r->context, r->rank)) return;
    if (__atomic_exchange_n(&seat->is_sleeping, 0, __ATOMIC_SEQ_CST) == 0) {
      while (!r->sleep(r->context, r->rank)) {}
    }
  } else if (elapsed < SPIN) {
    for (int i = 0; i < 8; i++) __builtin_ia32_pause();
  } else {
    __atomic_store_n(&seat->is_sleeping, 1, __ATOMIC_SEQ_CST);
    waiting->is_armed = 1;
  }
}

void shared_end_wait(struct hpcc_rank *r, struct waiting *waiting) {
  if (!waiting->is_armed) return;
  waiting->is_armed = 0;
  struct seat *seat = &((struct shared *)r->shared)->seats[r->rank];
  if (__atomic_exchange_n(&seat->is_sleeping, 0, __ATOMIC_SEQ_CST) == 0) {
    while (!r->sleep(r->context, r->rank)) {}
  }
}
