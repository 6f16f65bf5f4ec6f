// libaio, whose inline functions fill control blocks through a union.
#pragma once

#include <libaio.h>
#include <sys/uio.h>

static inline void clinux_aio_prepare_readv(struct iocb *cb, int fd, const struct iovec *v, int n, long long offset) {
  io_prep_preadv(cb, fd, v, n, offset);
}
static inline void clinux_aio_prepare_writev(struct iocb *cb, int fd, const struct iovec *v, int n, long long offset) {
  io_prep_pwritev(cb, fd, v, n, offset);
}
static inline void clinux_aio_prepare_fdsync(struct iocb *cb, int fd) { io_prep_fdsync(cb, fd); }
static inline void clinux_aio_notify(struct iocb *cb, int eventfd, unsigned long tag) {
  io_set_eventfd(cb, eventfd);
  cb->data = (void *)tag;
}
/// The start of the ring that the kernel maps at a context's address. libaio reads it too, but hides its layout.
struct clinux_aio_ring {
  unsigned id, count, head, tail, magic;
};
/// Whether the context has completions, without a system call. Only the thread that takes completions may call it.
static inline int clinux_aio_has_completions(io_context_t context) {
  struct clinux_aio_ring *ring = (struct clinux_aio_ring *)context;
  return ring->magic == 0xa10a10a1 && __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) != ring->head;
}
static inline unsigned long clinux_aio_tag(const struct io_event *event) { return (unsigned long)event->data; }
static inline long clinux_aio_result(const struct io_event *event) { return (long)event->res; }
