// The experiments after HPCC: kernels, and the messages between the ranks that run them.
//
// The files of this folder become one section of the test guest, `.hpcc`, without relocations and without writable
// data. So the host can map the same bytes and call them. All state is in `struct hpcc_rank` and in memory that the
// caller provides.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HPCC_MAX_RANKS 16

/// Why a rank stopped. The first reason stays, and all ranks of a run learn it.
enum hpcc_status {
  HPCC_OK = 0,
  /// No message came from a rank for longer than the patience.
  HPCC_TIMEOUT,
  /// A frame's checksum is wrong.
  HPCC_CORRUPT,
  /// A frame is missing or came twice, or a message has the wrong number.
  HPCC_ORDER,
  /// The result failed its check.
  HPCC_WRONG,
  /// A pivot is zero.
  HPCC_SINGULAR,
  /// Sizes that the program does not support, or too little memory.
  HPCC_USAGE,
};

enum hpcc_program { HPCC_STREAM = 0, HPCC_RING, HPCC_PTRANS, HPCC_HPL };
enum hpcc_kernel { HPCC_COPY = 0, HPCC_SCALE, HPCC_ADD, HPCC_TRIAD };
enum hpcc_order { HPCC_PING_PONG = 0, HPCC_NATURAL, HPCC_RANDOM };
enum hpcc_action { HPCC_PREPARE = 0, HPCC_RUN, HPCC_VERIFY, HPCC_QUIT };

/// Rank 0 sends one to all others before they act together.
struct hpcc_command {
  uint32_t action;
  uint32_t program;
  /// A `hpcc_kernel` of STREAM, or a `hpcc_order` of RING.
  uint32_t variant;
  uint32_t reserved;
  /// Elements of each array of all ranks together (STREAM), bytes of a message (RING), or rows of the matrix.
  uint64_t size;
  uint64_t rounds;
};

/// A NIC for frames of up to 1514 bytes. Frames are in one piece.
struct hpcc_device {
  void *context;
  /// A buffer for the next frame; null while the ring is full.
  void *(*buffer)(void *context);
  /// Queues the frame in the last buffer.
  void (*transmit)(void *context, uint32_t bytes);
  void (*kick)(void *context);
  /// The next received frame; null if there is none. `recycle` returns its buffer.
  const void *(*receive)(void *context, uint32_t *bytes);
  void (*recycle)(void *context);
  /// Waits until a frame is received, or for about 100 ms.
  void (*wait)(void *context);
};

/// What a run measured. Rank 0 fills it.
struct hpcc_result {
  uint64_t operations, bytes;
  /// Nanoseconds of a message (RING with small messages); 0 otherwise.
  uint64_t p50, p99, p999;
  /// The residual of HPL in thousandths. It must be below 16 000.
  uint64_t residual;
};

/// One rank: a thread, a vCPU, or a virtual machine.
struct hpcc_rank {
  uint32_t rank, ranks;
  /// The first failure, and the rank that found it or that did not answer.
  uint32_t status, culprit;
  /// A monotonic clock in nanoseconds.
  uint64_t (*now)(void);
  /// Nanoseconds to wait for a message of a running program.
  uint64_t patience;

  /// The memory that ranks share, zeroed at first, of `hpcc_shared_bytes`; null for ranks with a NIC.
  void *shared;
  void *context;
  /// Sleeps until `wake` for this rank, or for about 100 ms; returns whether it was woken.
  uint32_t (*sleep)(void *context, uint32_t rank);
  void (*wake)(void *context, uint32_t rank);

  /// The NIC; null for ranks that share memory.
  const struct hpcc_device *device;

  /// The rank's own memory, of `hpcc_memory_bytes`.
  void *memory;
  uint64_t memory_bytes, memory_used;

  struct hpcc_result result;

  // The state of the messages and the program. Tests read and change the arrays.
  void *links;
  uint64_t is_idle, collectives, rounds_before;
  uint64_t memory_of_program;
  double *a, *b, *c;
  void *memory_of_times;
  uint64_t columns;
};

/// The functions of the section's first bytes. Returns a `hpcc_status`.
enum hpcc_call {
  /// Prepares a rank for messages.
  HPCC_START = 0,
  /// Rank 0: makes all ranks perform the command in `argument`.
  HPCC_LEAD,
  /// Other ranks: performs the commands of rank 0 until it says HPCC_QUIT.
  HPCC_FOLLOW,
  /// Rank 0: sets the rounds of the command in `argument` so that they take `number` nanoseconds.
  HPCC_CALIBRATE,
};
uint32_t hpcc_call(uint32_t call, struct hpcc_rank *rank, struct hpcc_command *argument, uint64_t number);

// Sizes of the messages between two ranks.
#define HPCC_CHANNEL_BYTES 65536
#define HPCC_PAYLOAD 1472
#define HPCC_FRAME_HEADER 40
/// All frames that other ranks may have in flight to one rank. Its receive ring has 1024 buffers.
#define HPCC_WINDOW_TOTAL 896
#define HPCC_WINDOW_MAX 256
/// Columns of a block of HPL.
#define HPCC_BLOCK 32

/// The bytes that ranks of one memory share.
static inline uint64_t hpcc_shared_bytes(uint32_t ranks) {
  return 4096 + (uint64_t)ranks * ranks * (HPCC_CHANNEL_BYTES + 128);
}

/// The bytes of memory that each of `ranks` needs for a program.
static inline uint64_t hpcc_memory_bytes(const struct hpcc_command *command, uint32_t ranks) {
  uint64_t n = command->size, own = (n + ranks - 1) / ranks;
  uint64_t links = (uint64_t)ranks * (HPCC_WINDOW_MAX * (HPCC_PAYLOAD + 16) + 256);
  uint64_t slack = 65536;
  switch (command->program) {
    case HPCC_STREAM: return links + slack + 3 * 8 * own;
    case HPCC_RING: return links + slack + 3 * (n + 64) + 4 * 65536;
    case HPCC_PTRANS: return links + slack + 16 * own * n + 16 * own * own;
    default:
      return links + slack + 8 * (n + 8) * (own + 2 * HPCC_BLOCK) + 8 * (HPCC_BLOCK + 1) * (n + 16) + 8 * 8 * n;
  }
}

/// The address of a rank with a NIC. The first byte is the lowest.
static inline uint64_t hpcc_address(uint32_t rank) { return 0x02 | (uint64_t)(0x20 + rank) << 40; }
