// After HPCC's latency and bandwidth: ping-pong between two ranks, and rings in natural and in random order.
#include "Internal.h"

#define MAX_TIMES 65536
/// Messages up to this size are timed one by one.
#define SMALL 1024

/// The arrays of doubles of a rank hold its messages: out, from the left, from the right.
struct ring {
  uint32_t left, right;
};

/// The rank's neighbours. Every rank computes the same random order.
static struct ring neighbours(const struct hpcc_rank *r, uint32_t order) {
  uint32_t ranks[HPCC_MAX_RANKS], place = 0;
  for (uint32_t i = 0; i < r->ranks; i++) ranks[i] = i;
  for (uint32_t i = r->ranks; order == HPCC_RANDOM && i > 1; i--) {
    uint32_t other = mix(i + 5) % i, kept = ranks[other];
    ranks[other] = ranks[i - 1];
    ranks[i - 1] = kept;
  }
  while (ranks[place] != r->rank) place++;
  return (struct ring){ranks[(place + r->ranks - 1) % r->ranks], ranks[(place + 1) % r->ranks]};
}

static uint32_t *times_of(struct hpcc_rank *r) { return (uint32_t *)r->memory_of_times; }

static uint32_t prepare(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t size = command->size;
  if (r->ranks < 2 || command->variant > HPCC_RANDOM || size < 8 || size % 8 != 0) {
    return rank_fail(r, HPCC_USAGE, r->rank);
  }
  r->a = rank_allocate(r, size);
  r->b = rank_allocate(r, size);
  r->c = rank_allocate(r, size);
  r->memory_of_times = rank_allocate(r, 4 * MAX_TIMES);
  if (!r->a || !r->b || !r->c || !r->memory_of_times) return rank_fail(r, HPCC_USAGE, r->rank);
  for (uint64_t i = 0; i < size / 8; i++) ((uint64_t *)r->a)[i] = mix((uint64_t)r->rank << 32 | i);
  // Nothing of an earlier run may pass the check.
  clear_bytes(r->b, size);
  clear_bytes(r->c, size);
  return HPCC_OK;
}

/// The first and the last word of a message: sender and round.
static uint64_t stamp(uint32_t rank, uint64_t round) { return mix((uint64_t)(rank + 1) << 48 ^ round); }

static void put_stamp(struct hpcc_rank *r, uint64_t size, uint64_t round) {
  uint64_t *words = (uint64_t *)r->a;
  words[0] = words[size / 8 - 1] = stamp(r->rank, round);
}

static uint32_t check_stamp(struct hpcc_rank *r, const double *message, uint64_t size, uint32_t from, uint64_t round) {
  const uint64_t *words = (const uint64_t *)message;
  uint64_t wanted = stamp(from, round);
  return words[0] == wanted && words[size / 8 - 1] == wanted ? HPCC_OK : rank_fail(r, HPCC_ORDER, from);
}

static uint32_t one_round(struct hpcc_rank *r, const struct hpcc_command *command, struct ring ring, uint64_t round) {
  uint64_t size = command->size;
  put_stamp(r, size, round);
  if (command->variant == HPCC_PING_PONG) {
    uint32_t other = 1 - r->rank;
    if (r->rank == 0) TRY(rank_send(r, other, r->a, size));
    TRY(rank_receive(r, other, r->b, size));
    if (r->rank == 1) TRY(rank_send(r, other, r->a, size));
    return check_stamp(r, r->b, size, other, round);
  }
  TRY(rank_exchange(r, ring.right, r->a, size, ring.left, r->b, size));
  TRY(rank_exchange(r, ring.left, r->a, size, ring.right, r->c, size));
  TRY(check_stamp(r, r->b, size, ring.left, round));
  return check_stamp(r, r->c, size, ring.right, round);
}

/// Shell's sort.
static void sort(uint32_t *values, uint64_t count) {
  for (uint64_t gap = count / 2; gap > 0; gap /= 2) {
    for (uint64_t i = gap; i < count; i++) {
      uint32_t value = values[i];
      uint64_t place = i;
      for (; place >= gap && values[place - gap] > value; place -= gap) values[place] = values[place - gap];
      values[place] = value;
    }
  }
}

static uint32_t run(struct hpcc_rank *r, const struct hpcc_command *command) {
  struct ring ring = neighbours(r, command->variant);
  uint32_t *times = times_of(r);
  uint64_t count = 0;
  r->result = (struct hpcc_result){.operations = 2 * command->rounds, .bytes = 2 * command->rounds * command->size};
  if (command->variant == HPCC_PING_PONG && r->rank > 1) return HPCC_OK;
  for (uint64_t round = 0; round < command->rounds; round++) {
    uint64_t begin = r->now();
    TRY(one_round(r, command, ring, round));
    // A round has two messages after each other, and HPCC reports the time of one.
    uint64_t time = (r->now() - begin) / 2;
    if (count < MAX_TIMES) times[count++] = least(time, 0xFFFFFFFF);
  }
  r->columns = count;
  return HPCC_OK;
}

/// Checks all bytes of the last round, and reports the times of small messages.
static uint32_t verify(struct hpcc_rank *r, const struct hpcc_command *command) {
  struct ring ring = neighbours(r, command->variant);
  int is_pair = command->variant == HPCC_PING_PONG;
  if (is_pair && r->rank > 1) return HPCC_OK;
  const uint64_t *left = (const uint64_t *)r->b, *right = (const uint64_t *)r->c;
  uint64_t from = is_pair ? 1 - r->rank : ring.left;
  for (uint64_t i = 1; i + 1 < command->size / 8; i++) {
    int is_right = left[i] == mix(from << 32 | i) && (is_pair || right[i] == mix((uint64_t)ring.right << 32 | i));
    if (!is_right) return rank_fail(r, HPCC_WRONG, r->rank);
  }
  if (r->rank != 0 || command->size > SMALL || r->columns == 0) return HPCC_OK;
  uint64_t count = r->columns;
  uint32_t *times = times_of(r);
  sort(times, count);
  r->result.p50 = times[count / 2];
  r->result.p99 = times[count * 99 / 100];
  r->result.p999 = times[count * 999 / 1000];
  return HPCC_OK;
}

uint32_t ring_act(struct hpcc_rank *r, const struct hpcc_command *command) {
  switch (command->action) {
    case HPCC_PREPARE: return prepare(r, command);
    case HPCC_RUN: return run(r, command);
    default: return verify(r, command);
  }
}
