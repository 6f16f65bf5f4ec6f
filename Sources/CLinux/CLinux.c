// Functions that need _GNU_SOURCE, which a header cannot rely on. All others are inline in the headers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "CLinux.h"

int clinux_punch_hole(int fd, off_t offset, off_t length) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_zero_range(int fd, off_t offset, off_t length) {
  return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_sync_file_system(int fd) { return syncfs(fd); }

unsigned clinux_device_major(dev_t device) { return major(device); }
unsigned clinux_device_minor(dev_t device) { return minor(device); }

// QEMU holds a read lock on byte 100 + n of an image for each permission n that it uses, and on byte 200 + n for each
// permission that others must not use. Permission 0 is consistent reads, 1 is writes, 3 is changes of the size.
enum { qemu_used = 100, qemu_unshared = 200 };
static const int qemu_writes[] = {1, 3};

static int lock_byte(int fd, int byte) {
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_lock_file(int fd, int exclusive) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (exclusive) return fcntl(fd, F_OFD_SETLK, &lock);
  if (lock_byte(fd, qemu_used) < 0) return -1;
  for (int index = 0; index < 2; index++) {
    if (lock_byte(fd, qemu_unshared + qemu_writes[index]) < 0) return -1;
    struct flock writer = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = qemu_used + qemu_writes[index], .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &writer) < 0) return -1;
    if (writer.l_type != F_UNLCK) {
      errno = EWOULDBLOCK;
      return -1;
    }
  }
  return 0;
}

int clinux_close_locked_file(int fd) {
  // Unlock explicitly: after a close alone, a forked child that has not reached its exec would still hold the lock.
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  fcntl(fd, F_OFD_SETLK, &lock);
  return close(fd);
}

static volatile int signal_events[NSIG];

static void add_to_event(int signal) {
  int code = errno;
  uint64_t one = 1;
  ssize_t written = write(signal_events[signal], &one, sizeof one);
  (void)written;
  errno = code;
}

int clinux_signal_event(int signal, int eventfd) {
  if (signal < 0 || signal >= NSIG) return -1;
  signal_events[signal] = eventfd;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = add_to_event;
  action.sa_flags = SA_RESTART;
  return sigaction(signal, &action, 0);
}

int clinux_pin_current_thread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < 0 || cpu >= CPU_SETSIZE) return EINVAL;
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int clinux_direct_alignment(int fd, unsigned *memory, unsigned *offset) {
#ifdef STATX_DIOALIGN
  struct statx status;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return -1;
  if (!(status.stx_mask & STATX_DIOALIGN) || status.stx_dio_offset_align == 0) return -1;
  *memory = status.stx_dio_mem_align;
  *offset = status.stx_dio_offset_align;
  return 0;
#else
  (void)fd;
  (void)memory;
  (void)offset;
  return -1;
#endif
}

int clinux_shared_memory(size_t size) {
  int fd = memfd_create("swiftlet", MFD_CLOEXEC);
  if (fd < 0) return -1;
  if (ftruncate(fd, (off_t)size) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}
