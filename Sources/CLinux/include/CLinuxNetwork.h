// The tun/tap driver and network namespaces. The driver's ioctls take a struct ifreq, whose definitions in glibc and in
// the kernel conflict. So the functions are in CLinuxNetwork.c.
#pragma once

/// Attaches `fd` (an open /dev/net/tun) to the tap interface `name`, with a vnet header on every frame.
int clinux_tap_attach(int fd, const char *name);
/// Asks the tun driver for the interface that `fd` belongs to: its name, its hardware address, and the IFF_* flags of the
/// descriptor. Returns -1 with errno: ENOTTY or EINVAL if `fd` is something else, EBADFD if it has no interface.
int clinux_tap_describe(int fd, char name[16], unsigned char address[6], unsigned *flags);
/// Sets an interface up, which needs CAP_NET_ADMIN.
int clinux_interface_set_up(const char *name);
/// Sets the vnet header's size in bytes.
int clinux_tap_set_header_size(int fd, int size);
/// Moves the calling thread alone into a new network namespace. Needs CAP_SYS_ADMIN.
int clinux_unshare_network(void);
/// Moves the calling thread alone into the network namespace `fd`.
int clinux_enter_network(int fd);
/// Tells the kernel the offloads that the reader of `fd` accepts.
int clinux_tap_set_offload(int fd, unsigned flags);

enum {
  CLINUX_IFF_TAP = 0x0002,
  CLINUX_IFF_VNET_HDR = 0x4000,
  CLINUX_TUNSETOFFLOAD = 0x400454D0,
  CLINUX_TUN_F_CSUM = 0x01,
  CLINUX_TUN_F_TSO4 = 0x02,
  CLINUX_TUN_F_TSO6 = 0x04,
};
