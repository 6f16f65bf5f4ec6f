// Interfaces, bridges and network namespaces.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CLinux.h"

static struct ifreq interface(const char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

/// An ioctl on any socket of the caller's network namespace.
static int network_ioctl(unsigned long command, void *argument) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int result = ioctl(fd, command, argument);
  int code = errno;
  close(fd);
  errno = code;
  return result;
}

int clinux_tap_attach(int fd, const char *name) {
  struct ifreq request = interface(name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  return ioctl(fd, TUNSETIFF, &request);
}

int clinux_tap_describe(int fd, char name[16], unsigned char address[6], unsigned *flags) {
  struct ifreq request = interface("");
  if (ioctl(fd, TUNGETIFF, &request) < 0) return -1;
  memcpy(name, request.ifr_name, IFNAMSIZ);
  name[IFNAMSIZ - 1] = 0;
  *flags = (unsigned short)request.ifr_flags;
  // The driver answers for the interface of the descriptor, whatever namespace that interface is in.
  if (ioctl(fd, SIOCGIFHWADDR, &request) < 0) return -1;
  memcpy(address, request.ifr_hwaddr.sa_data, 6);
  return 0;
}

int clinux_interface_set_up(const char *name) {
  struct ifreq request = interface(name);
  if (network_ioctl(SIOCGIFFLAGS, &request) < 0) return -1;
  request.ifr_flags |= IFF_UP;
  return network_ioctl(SIOCSIFFLAGS, &request);
}

int clinux_unshare_network(void) { return unshare(CLONE_NEWNET); }

int clinux_enter_network(int fd) { return setns(fd, CLONE_NEWNET); }

int clinux_tap_set_header_size(int fd, int size) { return ioctl(fd, TUNSETVNETHDRSZ, &size); }

int clinux_tap_set_offload(int fd, unsigned flags) { return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags); }
