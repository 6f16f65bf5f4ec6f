// libaio: its control blocks are filled by macros and inline functions over a union.
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
static inline unsigned long clinux_aio_tag(const struct io_event *event) { return (unsigned long)event->data; }
static inline long clinux_aio_result(const struct io_event *event) { return (long)event->res; }
