// Messages between ranks with a NIC each: Ethernet frames over a switch that may drop or damage them.
//
// The bytes of a pair of ranks are in numbered frames with a checksum. A frame is lost only by a fault, since a sender
// stays in the window of frames that the receiver has buffers for. So nothing is sent again: a gap, a wrong checksum or
// silence ends the run.
#include "Internal.h"

enum frame_kind { DATA = 1, CREDIT, FAILURE };

/// A frame. An address is followed by the local experimental EtherType 0x88B5, in network byte order.
struct __attribute__((packed)) frame {
  uint8_t destination[6], source[6];
  uint16_t type;
  uint8_t kind, rank;
  /// The number of a data frame, or the status of a failure.
  uint32_t sequence;
  /// How many data frames of the destination the source has consumed.
  uint32_t consumed;
  uint32_t bytes, culprit;
  uint64_t sum;
  uint8_t payload[HPCC_PAYLOAD];
};

_Static_assert(offsetof(struct frame, payload) == HPCC_FRAME_HEADER, "HPCC_FRAME_HEADER");

#define TYPE 0xB588
#define SMALLEST 60
/// Frames between two kicks.
#define BATCH 32

/// A frame that came before the rank asked for it.
struct held {
  uint32_t bytes, offset;
  uint8_t payload[HPCC_PAYLOAD];
};

/// The state of the messages to and from one other rank.
struct link {
  uint32_t sent, acknowledged;
  uint32_t received, consumed, advertised;
  uint32_t held_first, held_count;
  struct held *held;
};

static struct link *link_to(struct hpcc_rank *r, uint32_t rank) { return (struct link *)r->links + rank; }

static uint32_t window(const struct hpcc_rank *r) {
  return r->ranks > 1 ? least(HPCC_WINDOW_TOTAL / (r->ranks - 1), HPCC_WINDOW_MAX) : 0;
}

uint32_t frames_start(struct hpcc_rank *r) {
  r->links = rank_allocate(r, r->ranks * sizeof(struct link));
  if (!r->links) return HPCC_USAGE;
  clear_bytes(r->links, r->ranks * sizeof(struct link));
  for (uint32_t rank = 0; rank < r->ranks; rank++) {
    if (rank == r->rank) continue;
    link_to(r, rank)->held = rank_allocate(r, window(r) * sizeof(struct held));
    if (!link_to(r, rank)->held) return HPCC_USAGE;
  }
  return HPCC_OK;
}

// MARK: The checksum

#define PRIME 0x9E3779B97F4A7C15u

/// Copies `bytes` and returns a checksum. A change of any word changes it, since each step is one-to-one.
static uint64_t copy_and_sum(uint8_t *restrict to, const uint8_t *restrict from, uint32_t bytes, uint64_t start) {
  uint64_t lanes[4] = {start, 1, 2, 3};
  uint32_t place = 0;
  for (; place + 32 <= bytes; place += 32) {
    for (int lane = 0; lane < 4; lane++) {
      uint64_t word = *(const uint64_t *)(from + place + 8 * lane);
      *(uint64_t *)(to + place + 8 * lane) = word;
      lanes[lane] = (lanes[lane] ^ word) * PRIME;
    }
  }
  for (; place + 8 <= bytes; place += 8) {
    uint64_t word = *(const uint64_t *)(from + place);
    *(uint64_t *)(to + place) = word;
    lanes[0] = (lanes[0] ^ word) * PRIME;
  }
  for (; place < bytes; place++) {
    to[place] = from[place];
    lanes[0] = (lanes[0] ^ from[place]) * PRIME;
  }
  return (((lanes[0] * PRIME ^ lanes[1]) * PRIME ^ lanes[2]) * PRIME ^ lanes[3]) * PRIME;
}

static uint64_t header_sum(const struct frame *f) {
  uint64_t sum = (uint64_t)f->kind << 8 | f->rank;
  sum = (sum ^ ((uint64_t)f->sequence << 32 | f->consumed)) * PRIME;
  return (sum ^ ((uint64_t)f->bytes << 32 | f->culprit)) * PRIME;
}

// MARK: Frames out

/// A buffer with everything but the payload and its checksum; null while the ring is full.
static struct frame *new_frame(struct hpcc_rank *r, uint32_t to, uint8_t kind, uint32_t sequence, uint32_t bytes) {
  struct frame *f = r->device->buffer(r->device->context);
  if (!f) return 0;
  struct link *l = link_to(r, to);
  uint64_t destination = hpcc_address(to), source = hpcc_address(r->rank);
  for (int i = 0; i < 6; i++) {
    f->destination[i] = destination >> 8 * i;
    f->source[i] = source >> 8 * i;
  }
  f->type = TYPE;
  f->kind = kind;
  f->rank = r->rank;
  f->sequence = sequence;
  f->consumed = l->consumed;
  f->bytes = bytes;
  f->culprit = r->culprit;
  l->advertised = l->consumed;
  return f;
}

static void transmit(struct hpcc_rank *r, struct frame *f, const uint8_t *data) {
  f->sum = copy_and_sum(f->payload, data, f->bytes, header_sum(f));
  uint32_t size = HPCC_FRAME_HEADER + f->bytes;
  // The padding goes to another machine too.
  if (size < SMALLEST) clear_bytes(f->payload + f->bytes, SMALLEST - size);
  r->device->transmit(r->device->context, size < SMALLEST ? SMALLEST : size);
}

static void send_control(struct hpcc_rank *r, uint32_t to, uint8_t kind, uint32_t value) {
  struct frame *f;
  uint64_t begin = r->now();
  while (!(f = new_frame(r, to, kind, value, 0))) {
    // The device empties a full ring after a kick.
    r->device->kick(r->device->context);
    __builtin_ia32_pause();
    if (r->now() - begin > r->patience) return;
  }
  transmit(r, f, 0);
  r->device->kick(r->device->context);
}

void frames_fail(struct hpcc_rank *r) {
  if (!r->links) return;
  for (uint32_t rank = 0; rank < r->ranks; rank++) {
    if (rank != r->rank) send_control(r, rank, FAILURE, r->status);
  }
}

uint64_t frames_push(struct hpcc_rank *r, uint32_t to, const uint8_t *data, uint64_t bytes) {
  struct link *l = link_to(r, to);
  uint64_t pushed = 0;
  for (int count = 0; count < BATCH && pushed < bytes && l->sent - l->acknowledged < window(r); count++) {
    uint32_t size = least(bytes - pushed, HPCC_PAYLOAD);
    struct frame *f = new_frame(r, to, DATA, l->sent, size);
    if (!f) break;
    transmit(r, f, data + pushed);
    l->sent++;
    pushed += size;
  }
  r->device->kick(r->device->context);
  return pushed;
}

uint32_t frames_can_push(struct hpcc_rank *r, uint32_t to) {
  struct link *l = link_to(r, to);
  return l->sent - l->acknowledged < window(r);
}

// MARK: Frames in

static void consumed(struct hpcc_rank *r, uint32_t from) {
  struct link *l = link_to(r, from);
  l->consumed++;
  if (l->consumed - l->advertised >= window(r) / 2) send_control(r, from, CREDIT, 0);
}

/// Handles a received frame. Its payload goes to `data` if it is the next of rank `from`; returns how much of it.
static uint64_t take(struct hpcc_rank *r, const struct frame *f, uint32_t size, uint32_t from, uint8_t *data,
                     uint64_t room) {
  uint64_t own = hpcc_address(r->rank);
  if (size < SMALLEST || f->type != TYPE) return 0;
  for (int i = 0; i < 6; i++) {
    if (f->destination[i] != (uint8_t)(own >> 8 * i)) return 0;
  }
  uint32_t source = f->rank, bytes = f->bytes;
  if (source >= r->ranks || source == r->rank || bytes > HPCC_PAYLOAD || bytes > size - HPCC_FRAME_HEADER ||
      (f->kind != DATA && bytes > 0)) {
    rank_fail(r, HPCC_CORRUPT, r->rank);
    return 0;
  }
  struct link *l = link_to(r, source);
  // The payload goes to its place before the checksum is known: a wrong one ends the run anyway.
  int is_direct = f->kind == DATA && source == from && l->held_count == 0 && bytes <= room;
  struct held *slot = &l->held[(l->held_first + l->held_count) % window(r)];
  if (f->kind == DATA && !is_direct && l->held_count == window(r)) {
    rank_fail(r, HPCC_ORDER, source);
    return 0;
  }
  uint64_t sum = copy_and_sum(is_direct ? data : slot->payload, f->payload, bytes, header_sum(f));
  if (sum != f->sum) {
    rank_fail(r, HPCC_CORRUPT, source);
    return 0;
  }
  // A later frame may carry more, never less.
  if ((int32_t)(f->consumed - l->acknowledged) > 0) l->acknowledged = f->consumed;
  if (f->kind == FAILURE) {
    if (r->status == HPCC_OK) {
      r->status = f->sequence;
      r->culprit = source;
    }
    return 0;
  }
  if (f->kind != DATA) return 0;
  if (f->sequence != l->received) {
    rank_fail(r, HPCC_ORDER, source);
    return 0;
  }
  l->received++;
  if (is_direct) {
    consumed(r, source);
    return bytes;
  }
  slot->bytes = bytes;
  slot->offset = 0;
  l->held_count++;
  return 0;
}

uint64_t frames_pull(struct hpcc_rank *r, uint32_t from, uint8_t *data, uint64_t bytes) {
  struct link *l = link_to(r, from);
  uint64_t pulled = 0;
  while (r->status == HPCC_OK) {
    while (l->held_count > 0 && pulled < bytes) {
      struct held *first = &l->held[l->held_first % window(r)];
      uint64_t size = least(first->bytes - first->offset, bytes - pulled);
      copy_bytes(data + pulled, first->payload + first->offset, size);
      first->offset += size;
      pulled += size;
      if (first->offset < first->bytes) break;
      l->held_first = (l->held_first + 1) % window(r);
      l->held_count--;
      consumed(r, from);
    }
    // At the end of a message, later frames wait in the ring.
    if (pulled == bytes && bytes > 0) break;
    uint32_t size = 0;
    const struct frame *f = r->device->receive(r->device->context, &size);
    if (!f) break;
    pulled += take(r, f, size, from, data + pulled, bytes - pulled);
    r->device->recycle(r->device->context);
  }
  return pulled;
}
