// After HPCC's PTRANS: A := Aᵀ + C, a block of rows on each rank.
#include "Internal.h"

// Small integers, so that all sums are exact and the check needs no tolerance.
static double first(uint64_t n, uint64_t i, uint64_t j) { return (double)(mix(i * n + j) % 1000); }
static double second(uint64_t n, uint64_t i, uint64_t j) { return (double)(mix((i * n + j) ^ 1ull << 40) % 1000); }

static uint32_t prepare(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t n = command->size;
  if (n == 0 || n > 1 << 15 || n % r->ranks != 0) return rank_fail(r, HPCC_USAGE, r->rank);
  uint64_t rows = r->columns = n / r->ranks, begin = rows * r->rank;
  r->a = rank_allocate(r, 8 * rows * n);
  r->c = rank_allocate(r, 8 * rows * n);
  // Blocks on the way out and in.
  r->b = rank_allocate(r, 16 * rows * rows);
  if (!r->a || !r->b || !r->c) return rank_fail(r, HPCC_USAGE, r->rank);
  for (uint64_t i = 0; i < rows; i++) {
    for (uint64_t j = 0; j < n; j++) {
      r->a[i * n + j] = first(n, begin + i, j);
      r->c[i * n + j] = second(n, begin + i, j);
    }
  }
  r->rounds_before = 0;
  return HPCC_OK;
}

/// Side of a tile that fits the first cache, twice.
#define TILE 16

/// Replaces the block of columns from `column` by the transpose of `in` plus C.
static void add_transposed(struct hpcc_rank *r, uint64_t n, uint64_t column, const double *in) {
  uint64_t rows = r->columns;
  for (uint64_t i0 = 0; i0 < rows; i0 += TILE) {
    for (uint64_t j0 = 0; j0 < rows; j0 += TILE) {
      for (uint64_t i = i0; i < least(i0 + TILE, rows); i++) {
        for (uint64_t j = j0; j < least(j0 + TILE, rows); j++) {
          uint64_t place = i * n + column + j;
          r->a[place] = in[j * rows + i] + r->c[place];
        }
      }
    }
  }
}

static uint32_t transpose(struct hpcc_rank *r, uint64_t n) {
  uint64_t rows = r->columns;
  double *out = r->b, *in = r->b + rows * rows;
  // In step s, the ranks whose numbers have the sum s (modulo the count) exchange their blocks.
  for (uint32_t step = 0; step < r->ranks; step++) {
    uint32_t other = (step + r->ranks - r->rank) % r->ranks;
    for (uint64_t i = 0; i < rows; i++) copy_bytes(out + i * rows, r->a + i * n + other * rows, 8 * rows);
    if (other != r->rank) TRY(rank_exchange(r, other, out, 8 * rows * rows, other, in, 8 * rows * rows));
    add_transposed(r, n, other * rows, other == r->rank ? out : in);
  }
  return HPCC_OK;
}

/// Compares with the closed form: A + k (C + Cᵀ) after 2k rounds, and one transposition more after 2k + 1.
static uint32_t verify(struct hpcc_rank *r, uint64_t n, uint64_t rounds) {
  uint64_t rows = r->columns, begin = rows * r->rank, wrong = 0;
  double pairs = (double)(rounds / 2);
  for (uint64_t i = 0; i < rows; i++) {
    for (uint64_t j = 0; j < n; j++) {
      uint64_t row = begin + i;
      double c = second(n, row, j), sum = pairs * (c + second(n, j, row));
      double wanted = rounds % 2 == 0 ? first(n, row, j) + sum : first(n, j, row) + c + sum;
      wrong += r->a[i * n + j] != wanted;
    }
  }
  return wrong == 0 ? HPCC_OK : rank_fail(r, HPCC_WRONG, r->rank);
}

uint32_t ptrans_act(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t n = command->size;
  if (command->action == HPCC_PREPARE) return prepare(r, command);
  if (command->action == HPCC_VERIFY) return verify(r, n, r->rounds_before);
  for (uint64_t round = 0; round < command->rounds; round++) TRY(transpose(r, n));
  r->rounds_before += command->rounds;
  r->result = (struct hpcc_result){.operations = command->rounds, .bytes = command->rounds * n * n * 8};
  return HPCC_OK;
}
