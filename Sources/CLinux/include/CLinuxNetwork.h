// The tun/tap driver's ioctls and the vnet header it shares with virtio-net.
#pragma once

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

/// Attaches `fd` (an open /dev/net/tun) to the tap interface `name`, with a vnet header on every frame.
static inline int clinux_tap_attach(int fd, const char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  return ioctl(fd, TUNSETIFF, &request);
}
static inline int clinux_tap_set_header_size(int fd, int size) { return ioctl(fd, TUNSETVNETHDRSZ, &size); }
static inline int clinux_tap_set_offload(int fd, unsigned flags) {
  return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags);
}
enum {
  CLINUX_TUN_F_CSUM = TUN_F_CSUM,
  CLINUX_TUN_F_TSO4 = TUN_F_TSO4,
  CLINUX_TUN_F_TSO6 = TUN_F_TSO6,
  CLINUX_TUN_F_TSO_ECN = TUN_F_TSO_ECN,
};
