// After HPCC's STREAM: four kernels over arrays larger than the caches. Each rank has its part of the arrays.
#include "Internal.h"

#define SCALAR 3.0

// Small integers without a pattern, so that a shifted result is wrong too. All sums are exact.
static inline double value(uint64_t i, uint32_t factor) { return (double)(int32_t)(1 + ((uint32_t)i * factor >> 22)); }
static inline double first(uint64_t i) { return value(i, 2654435761u); }
static inline double second(uint64_t i) { return value(i, 2246822519u); }
static inline double third(uint64_t i) { return value(i, 3266489917u); }

static uint32_t prepare(struct hpcc_rank *r, const struct hpcc_command *command) {
  if (command->variant > HPCC_TRIAD || command->size % r->ranks != 0) return rank_fail(r, HPCC_USAGE, r->rank);
  uint64_t count = r->columns = command->size / r->ranks;
  r->a = rank_allocate(r, 8 * count);
  r->b = rank_allocate(r, 8 * count);
  r->c = rank_allocate(r, 8 * count);
  if (!r->c || !r->a || !r->b) return rank_fail(r, HPCC_USAGE, r->rank);
  for (uint64_t i = 0; i < count; i++) {
    r->a[i] = first(i);
    r->b[i] = second(i);
    r->c[i] = third(i);
  }
  // The kernel must write each element of its result.
  double *result = command->variant == HPCC_SCALE ? r->b : command->variant == HPCC_TRIAD ? r->a : r->c;
  for (uint64_t i = 0; i < count; i++) result[i] = -1;
  return HPCC_OK;
}

static void run(struct hpcc_rank *r, uint32_t kernel) {
  double *restrict a = r->a, *restrict b = r->b, *restrict c = r->c;
  uint64_t count = r->columns;
  switch (kernel) {
    case HPCC_COPY:
      for (uint64_t i = 0; i < count; i++) c[i] = a[i];
      break;
    case HPCC_SCALE:
      for (uint64_t i = 0; i < count; i++) b[i] = SCALAR * c[i];
      break;
    case HPCC_ADD:
      for (uint64_t i = 0; i < count; i++) c[i] = a[i] + b[i];
      break;
    default:
      for (uint64_t i = 0; i < count; i++) a[i] = b[i] + SCALAR * c[i];
  }
  __asm__ volatile("" : : : "memory");
}

/// Compares all arrays with their closed form.
static uint32_t verify(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < r->columns; i++) {
    double a = first(i), b = second(i), c = third(i);
    switch (command->variant) {
      case HPCC_COPY: c = a; break;
      case HPCC_SCALE: b = SCALAR * c; break;
      case HPCC_ADD: c = a + b; break;
      default: a = b + SCALAR * c;
    }
    wrong += r->a[i] != a || r->b[i] != b || r->c[i] != c;
  }
  return wrong == 0 ? HPCC_OK : rank_fail(r, HPCC_WRONG, r->rank);
}

uint32_t stream_act(struct hpcc_rank *r, const struct hpcc_command *command) {
  if (command->action == HPCC_PREPARE) return prepare(r, command);
  if (command->action == HPCC_VERIFY) return verify(r, command);
  for (uint64_t round = 0; round < command->rounds; round++) run(r, command->variant);
  // STREAM counts each array that a kernel reads or writes.
  uint64_t arrays = command->variant == HPCC_COPY || command->variant == HPCC_SCALE ? 2 : 3;
  r->result = (struct hpcc_result){.operations = command->rounds};
  r->result.bytes = command->rounds * command->size * 8 * arrays;
  return HPCC_OK;
}
