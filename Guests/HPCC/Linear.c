// After HPL: solves Ax = b by LU factorization with partial pivoting.
//
// Blocks of HPCC_BLOCK columns belong to the ranks in turn. A rank factors its block, and sends it to the others, which
// apply it to their columns behind it. The right-hand side b is column n, so its elimination needs no code of its own.
#include "Internal.h"

#define NB HPCC_BLOCK
typedef double pair __attribute__((vector_size(16), aligned(8)));

static uint64_t stride(uint64_t n) { return n + 8; }
static uint32_t owner(const struct hpcc_rank *r, uint64_t column) { return column / NB % r->ranks; }
/// Where the columns of a block begin on its owner, or where the next own block begins on another rank.
static uint64_t own_columns_before(const struct hpcc_rank *r, uint64_t block) {
  return block > r->rank ? (block - r->rank + r->ranks - 1) / r->ranks * NB : 0;
}
static double *column_of(const struct hpcc_rank *r, uint64_t n, uint64_t column) {
  return r->a + (own_columns_before(r, column / NB) + column % NB) * stride(n);
}

static double element(uint64_t n, uint64_t i, uint64_t j) {
  return (double)(int64_t)(mix(j * n + i) >> 11) * 0x1p-53 - 0.5;
}

/// r->a: own columns. r->b: a factored block. r->c: the solution, and vectors of the check.
static uint32_t prepare(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t n = command->size;
  if (n == 0 || n > 1 << 14 || n % NB != 0) return rank_fail(r, HPCC_USAGE, r->rank);
  uint64_t blocks = n / NB;
  r->columns = own_columns_before(r, blocks) + (owner(r, n) == r->rank);
  r->a = rank_allocate(r, 8 * stride(n) * (r->columns + 1));
  r->b = rank_allocate(r, 8 * (NB + NB * stride(n)));
  r->c = rank_allocate(r, 8 * 5 * n);
  if (!r->a || !r->b || !r->c) return rank_fail(r, HPCC_USAGE, r->rank);
  for (uint64_t j = 0; j <= n; j++) {
    if (owner(r, j) != r->rank) continue;
    double *column = column_of(r, n, j);
    for (uint64_t i = 0; i < n; i++) column[i] = element(n, i, j);
  }
  return HPCC_OK;
}

/// Factors the block of columns from k. r->b gets the pivot rows, and then the block's rows from k on.
static uint32_t factor(struct hpcc_rank *r, uint64_t n, uint64_t k) {
  uint64_t ld = stride(n);
  double *block = column_of(r, n, k);
  for (uint64_t c = 0; c < NB; c++) {
    double *column = block + c * ld, largest = 0;
    uint64_t pivot = k + c;
    for (uint64_t i = k + c; i < n; i++) {
      double size = __builtin_fabs(column[i]);
      if (size > largest) {
        largest = size;
        pivot = i;
      }
    }
    if (!(largest > 0)) return rank_fail(r, HPCC_SINGULAR, r->rank);
    r->b[c] = (double)pivot;
    for (uint64_t j = 0; j < NB; j++) {
      double *place = block + j * ld, kept = place[k + c];
      place[k + c] = place[pivot];
      place[pivot] = kept;
    }
    double inverse = 1 / column[k + c];
    for (uint64_t i = k + c + 1; i < n; i++) column[i] *= inverse;
    for (uint64_t j = c + 1; j < NB; j++) {
      double *restrict other = block + j * ld, factor = other[k + c];
      for (uint64_t i = k + c + 1; i < n; i++) other[i] -= factor * column[i];
    }
  }
  for (uint64_t c = 0; c < NB; c++) copy_bytes(r->b + NB + c * (n - k), block + c * ld + k, 8 * (n - k));
  return HPCC_OK;
}

/// Subtracts L U from four rows and four columns. `u` has each value twice, for the two halves of a register.
static inline void update_tile(double *c, uint64_t ld, const double *l, uint64_t rows, const pair (*u)[4]) {
  pair sums[4][2] = {{{0}}};
  for (int p = 0; p < NB; p++) {
    pair low = *(const pair *)(l + p * rows), high = *(const pair *)(l + p * rows + 2);
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
      sums[j][0] += low * u[p][j];
      sums[j][1] += high * u[p][j];
    }
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < 4; j++) {
    *(pair *)(c + j * ld) -= sums[j][0];
    *(pair *)(c + j * ld + 2) -= sums[j][1];
  }
}

/// Applies the block in r->b to the own columns from `from` on: swaps, then U := L⁻¹ A, then A -= L U below.
static void apply(struct hpcc_rank *r, uint64_t n, uint64_t k, uint64_t from) {
  uint64_t ld = stride(n), rows = n - k;
  const double *l = r->b + NB;
  for (uint64_t j = from; j < r->columns; j++) {
    double *column = r->a + j * ld;
    for (uint64_t c = 0; c < NB; c++) {
      uint64_t pivot = (uint64_t)r->b[c];
      double kept = column[k + c];
      column[k + c] = column[pivot];
      column[pivot] = kept;
    }
    for (uint64_t c = 0; c < NB; c++) {
      double factor = column[k + c];
      for (uint64_t i = c + 1; i < NB; i++) column[k + i] -= factor * l[c * rows + i];
    }
  }
  uint64_t j = from;
  for (; j + 4 <= r->columns; j += 4) {
    pair u[NB][4];
    for (int p = 0; p < NB; p++) {
      for (int q = 0; q < 4; q++) {
        double value = r->a[(j + q) * ld + k + p];
        u[p][q] = (pair){value, value};
      }
    }
    // n and NB are multiples of 4.
    for (uint64_t i = NB; i < rows; i += 4) update_tile(r->a + j * ld + k + i, ld, l + i, rows, u);
  }
  for (; j < r->columns; j++) {
    double *restrict column = r->a + j * ld + k;
    for (uint64_t p = 0; p < NB; p++) {
      double factor = column[p];
      for (uint64_t i = NB; i < rows; i++) column[i] -= factor * l[p * rows + i];
    }
  }
}

/// Solves Ux = y. The vector goes to the owner of each block in turn, from the last to the first.
static uint32_t substitute(struct hpcc_rank *r, uint64_t n) {
  double *y = r->c;
  uint32_t holder = owner(r, n);
  if (holder == r->rank) copy_bytes(y, column_of(r, n, n), 8 * n);
  for (uint64_t block = n / NB; block-- > 0;) {
    uint32_t next = owner(r, block * NB);
    if (next != holder) {
      if (holder == r->rank) TRY(rank_send(r, next, y, 8 * n));
      if (next == r->rank) TRY(rank_receive(r, holder, y, 8 * n));
      holder = next;
    }
    if (holder != r->rank) continue;
    for (uint64_t c = NB; c-- > 0;) {
      const double *column = column_of(r, n, block * NB + c);
      uint64_t place = block * NB + c;
      y[place] /= column[place];
      for (uint64_t i = 0; i < place; i++) y[i] -= y[place] * column[i];
    }
  }
  // The first block is on rank 0.
  for (uint32_t other = 1; other < r->ranks; other++) {
    if (r->rank == 0) TRY(rank_send(r, other, y, 8 * n));
  }
  return r->rank == 0 ? HPCC_OK : rank_receive(r, 0, y, 8 * n);
}

static uint32_t run(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t n = command->size;
  for (uint64_t k = 0; k < n; k += NB) {
    uint32_t from = owner(r, k);
    uint64_t bytes = 8 * (NB + NB * (n - k));
    if (from == r->rank) {
      TRY(factor(r, n, k));
      for (uint32_t step = 1; step < r->ranks; step++) TRY(rank_send(r, (from + step) % r->ranks, r->b, bytes));
    } else {
      TRY(rank_receive(r, from, r->b, bytes));
    }
    apply(r, n, k, own_columns_before(r, k / NB + 1));
  }
  TRY(substitute(r, n));
  // HPL's count.
  r->result = (struct hpcc_result){.operations = 2 * n * n * n / 3 + 3 * n * n / 2, .bytes = 8 * n * n};
  return HPCC_OK;
}

static double largest(const double *values, uint64_t count) {
  double result = 0;
  for (uint64_t i = 0; i < count; i++) {
    double size = __builtin_fabs(values[i]);
    // A NaN stays: no size is above it.
    if (size > result || size != size) result = size;
  }
  return result;
}

/// ‖Ax - b‖∞ / (ε (‖A‖∞ ‖x‖∞ + ‖b‖∞) n) must be below 16. Each rank generates its columns of A again.
static uint32_t verify(struct hpcc_rank *r, const struct hpcc_command *command) {
  uint64_t n = command->size;
  double *x = r->c, *product = x + n, *sums = x + 2 * n, *theirs = x + 3 * n;
  clear_bytes(product, 16 * n);
  for (uint64_t j = 0; j < n; j++) {
    if (owner(r, j) != r->rank) continue;
    for (uint64_t i = 0; i < n; i++) {
      double value = element(n, i, j);
      product[i] += value * x[j];
      sums[i] += __builtin_fabs(value);
    }
  }
  if (r->rank != 0) return rank_send(r, 0, product, 16 * n);
  for (uint32_t other = 1; other < r->ranks; other++) {
    TRY(rank_receive(r, other, theirs, 16 * n));
    for (uint64_t i = 0; i < 2 * n; i++) product[i] += theirs[i];
  }
  double *b = theirs;
  for (uint64_t i = 0; i < n; i++) {
    b[i] = element(n, i, n);
    product[i] -= b[i];
  }
  double scale = 0x1p-52 * (largest(sums, n) * largest(x, n) + largest(b, n)) * (double)n;
  double residual = largest(product, n) / scale;
  r->result.residual = residual < 1e12 ? (uint64_t)(residual * 1000) : UINT64_MAX;
  return residual < 16 ? HPCC_OK : rank_fail(r, HPCC_WRONG, r->rank);
}

uint32_t hpl_act(struct hpcc_rank *r, const struct hpcc_command *command) {
  switch (command->action) {
    case HPCC_PREPARE: return prepare(r, command);
    case HPCC_RUN: return run(r, command);
    default: return verify(r, command);
  }
}
