// Messages between ranks, over either transport, and what ranks do together.
#include "Internal.h"

uint32_t rank_fail(struct hpcc_rank *r, uint32_t status, uint32_t culprit) {
  if (r->status != HPCC_OK) return r->status;
  r->status = status;
  r->culprit = culprit;
  if (r->device) {
    frames_fail(r);
  } else if (r->shared) {
    shared_fail(r);
  }
  return status;
}

void *rank_allocate(struct hpcc_rank *r, uint64_t bytes) {
  uint64_t begin = (r->memory_used + 63) & ~(uint64_t)63;
  if (begin > r->memory_bytes || bytes > r->memory_bytes - begin) return 0;
  r->memory_used = begin + bytes;
  return (uint8_t *)r->memory + begin;
}

uint32_t rank_exchange(struct hpcc_rank *r, uint32_t to, const void *out, uint64_t out_bytes, uint32_t from, void *in,
                       uint64_t in_bytes) {
  const uint8_t *next_out = out;
  uint8_t *next_in = in;
  struct waiting waiting = {0, 0};
  while (r->status == HPCC_OK && out_bytes + in_bytes > 0) {
    uint64_t sent = 0, received = 0;
    if (out_bytes > 0) {
      sent = r->device ? frames_push(r, to, next_out, out_bytes) : shared_push(r, to, next_out, out_bytes);
    }
    // A sender without credit also looks at its frames.
    if (in_bytes > 0 || sent == 0) {
      received = r->device ? frames_pull(r, from, next_in, in_bytes) : shared_pull(r, from, next_in, in_bytes);
    }
    next_out += sent;
    out_bytes -= sent;
    next_in += received;
    in_bytes -= received;
    if (sent + received > 0) {
      if (!r->device) shared_end_wait(r, &waiting);
      waiting.since = 0;
      continue;
    }
    if (r->status != HPCC_OK) break;
    uint64_t now = r->now();
    if (waiting.since == 0) waiting.since = now;
    if (!r->is_idle && now - waiting.since > r->patience) {
      rank_fail(r, HPCC_TIMEOUT, in_bytes > 0 ? from : to);
      break;
    }
    if (r->device) {
      if (out_bytes == 0 || !frames_can_push(r, to)) r->device->wait(r->device->context);
    } else {
      shared_wait(r, &waiting, now - waiting.since);
    }
  }
  if (!r->device) shared_end_wait(r, &waiting);
  return r->status;
}

uint32_t rank_send(struct hpcc_rank *r, uint32_t to, const void *data, uint64_t bytes) {
  return rank_exchange(r, to, data, bytes, to, 0, 0);
}

uint32_t rank_receive(struct hpcc_rank *r, uint32_t from, void *data, uint64_t bytes) {
  return rank_exchange(r, from, 0, 0, from, data, bytes);
}

uint32_t rank_sum(struct hpcc_rank *r, uint64_t *number) {
  // The count of calls shows that all ranks are in the same one.
  uint64_t message[2] = {++r->collectives, *number};
  if (r->rank == 0) {
    for (uint32_t other = 1; other < r->ranks; other++) {
      uint64_t theirs[2];
      TRY(rank_receive(r, other, theirs, sizeof theirs));
      if (theirs[0] != r->collectives) return rank_fail(r, HPCC_ORDER, other);
      message[1] += theirs[1];
    }
    for (uint32_t other = 1; other < r->ranks; other++) TRY(rank_send(r, other, message, sizeof message));
  } else {
    TRY(rank_send(r, 0, message, sizeof message));
    TRY(rank_receive(r, 0, message, sizeof message));
    if (message[0] != r->collectives) return rank_fail(r, HPCC_ORDER, 0);
  }
  *number = message[1];
  return HPCC_OK;
}

uint32_t rank_barrier(struct hpcc_rank *r) {
  uint64_t nothing = 0;
  return rank_sum(r, &nothing);
}

static uint32_t act(struct hpcc_rank *r, const struct hpcc_command *command) {
  if (command->action == HPCC_PREPARE) r->memory_used = r->memory_of_program;
  switch (command->program) {
    case HPCC_STREAM: return stream_act(r, command);
    case HPCC_RING: return ring_act(r, command);
    case HPCC_PTRANS: return ptrans_act(r, command);
    case HPCC_HPL: return hpl_act(r, command);
    default: return rank_fail(r, HPCC_USAGE, r->rank);
  }
}

static uint32_t lead(struct hpcc_rank *r, const struct hpcc_command *command) {
  for (uint32_t other = 1; other < r->ranks; other++) TRY(rank_send(r, other, command, sizeof *command));
  if (command->action == HPCC_QUIT) return HPCC_OK;
  TRY(act(r, command));
  return rank_barrier(r);
}

static uint32_t follow(struct hpcc_rank *r) {
  while (1) {
    struct hpcc_command command;
    // The next command may take as long as the other sides of a comparison.
    r->is_idle = 1;
    TRY(rank_receive(r, 0, &command, sizeof command));
    r->is_idle = 0;
    if (command.action == HPCC_QUIT) return HPCC_OK;
    TRY(act(r, &command));
    TRY(rank_barrier(r));
  }
}

static uint32_t calibrate(struct hpcc_rank *r, struct hpcc_command *command, uint64_t duration) {
  command->rounds = 1;
  // The first run touches memory for the first time, so it does not count.
  for (int is_warm = 0;; is_warm = 1) {
    command->action = HPCC_PREPARE;
    TRY(lead(r, command));
    // A factorization is one round, and its size sets its time.
    if (command->program == HPCC_HPL) return HPCC_OK;
    command->action = HPCC_RUN;
    uint64_t begin = r->now();
    TRY(lead(r, command));
    uint64_t elapsed = r->now() - begin;
    if (!is_warm) continue;
    if (elapsed >= duration / 2 || command->rounds >= 1u << 24) {
      uint64_t rounds = command->rounds * (duration / 1000) / (elapsed / 1000 + 1);
      command->rounds = rounds > 0 ? rounds : 1;
      return HPCC_OK;
    }
    command->rounds *= 4;
  }
}

__attribute__((section(".hpcc.entry"), used)) uint32_t hpcc_call(uint32_t call, struct hpcc_rank *rank,
                                                                  struct hpcc_command *argument, uint64_t number) {
  switch (call) {
    case HPCC_START:
      rank->status = HPCC_OK;
      rank->memory_used = 0;
      if (rank->ranks == 0 || rank->ranks > HPCC_MAX_RANKS || rank->rank >= rank->ranks) return HPCC_USAGE;
      if (rank->device) TRY(frames_start(rank));
      rank->memory_of_program = rank->memory_used;
      return HPCC_OK;
    case HPCC_LEAD: return lead(rank, argument);
    case HPCC_FOLLOW: return follow(rank);
    case HPCC_CALIBRATE: return calibrate(rank, argument, number);
    default: return HPCC_USAGE;
  }
}
