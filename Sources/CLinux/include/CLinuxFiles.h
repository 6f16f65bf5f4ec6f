// Files, memory maps, eventfd, timerfd and epoll.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <linux/fs.h>
#include <unistd.h>

enum { CLINUX_O_DIRECT = 040000, CLINUX_O_DSYNC = O_DSYNC, CLINUX_SEEK_DATA = 3, CLINUX_SEEK_HOLE = 4 };

static inline int clinux_open(const char *path, int flags) { return open(path, flags | O_CLOEXEC, 0644); }

static inline int clinux_ioctl(int fd, unsigned long request, unsigned long argument) {
  return ioctl(fd, request, argument);
}
static inline int clinux_ioctl_pointer(int fd, unsigned long request, void *argument) {
  return ioctl(fd, request, argument);
}
/// Memory that can be mapped more than once, each time with a protection of its own. Returns -1 with errno.
int clinux_shared_memory(size_t size);
static inline void *clinux_map_failed(void) { return MAP_FAILED; }
static inline int clinux_block_device_size(int fd, uint64_t *size) { return ioctl(fd, BLKGETSIZE64, size); }
/// Locks a file with open-file-description locks that QEMU understands: exclusively, or for read-only use against
/// writers. Returns -1 with EWOULDBLOCK if another process has a conflicting lock.
int clinux_lock_file(int fd, int exclusive);
/// Releases the lock, even if another process still has the descriptor open, and closes the file.
int clinux_close_locked_file(int fd);
/// Discard or zero a range of a file. Return -1 with errno if the file system does not support it.
int clinux_punch_hole(int fd, off_t offset, off_t length);
int clinux_zero_range(int fd, off_t offset, off_t length);
/// Writes the page cache of the file system that holds `fd` to its device. Returns 0, or -1 with errno.
int clinux_sync_file_system(int fd);
/// The two parts of a device's number, as in /sys/dev/block.
unsigned clinux_device_major(dev_t device);
unsigned clinux_device_minor(dev_t device);
/// Gets the alignment in bytes that O_DIRECT requires of buffers and offsets; -1 if the kernel does not report it.
int clinux_direct_alignment(int fd, unsigned *memory, unsigned *offset);
