/* What the kernel alone takes for the calls of docs/benchmarks.md: nanoseconds, one "name value" a
 * line. Loopback, one process, medians of blocks; the receiver is emptied between blocks, untimed.
 * Compiled and run by tests/bench/socket_floor.py. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum { BLOCKS = 300, CALLS = 64, RUN = 54, RUNS = 4, LARGE = 1200, ROOM = 65536 };

static char data[ROOM];
static char rooms[CALLS][ROOM];
static int sender, receiver, coalescing;
static struct sockaddr_in to, to_coalescing;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e9 + at.tv_nsec;
}

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static int bound(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 8 << 20;
    socklen_t len = sizeof *address;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(fd, (struct sockaddr *)address, len) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)address, &len) == 0, "getsockname");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

static void drain(int fd) {
    while (recv(fd, rooms[0], ROOM, MSG_DONTWAIT) >= 0) {
    }
}

static void fill(int size) {
    for (int i = 0; i < CALLS; i++)
        must(sendto(sender, data, size, 0, (struct sockaddr *)&to, sizeof to) == size, "fill");
}

/* Each of the things below takes one block and says how many operations that was. */

static int send_64(void) {
    for (int i = 0; i < CALLS; i++)
        sendto(sender, data, 64, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
    return CALLS;
}

static int receive_64(void) {
    struct sockaddr_in from;
    for (int i = 0; i < CALLS; i++) {
        socklen_t len = sizeof from;
        must(recvfrom(receiver, rooms[0], 2048, MSG_DONTWAIT, (struct sockaddr *)&from, &len) >= 0,
             "recvfrom");
    }
    return CALLS;
}

static int set_blocking(void) {
    for (int i = 0; i < CALLS; i++) {
        int on = 1;
        ioctl(receiver, FIONBIO, &on);
    }
    return CALLS;
}

static int round_trips(void) {
    for (int i = 0; i < CALLS; i++) {
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        sendto(sender, data, 64, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
        recvfrom(receiver, rooms[0], 2048, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
    }
    return CALLS;
}

static int receive_many(int fd, int count) {
    static struct mmsghdr messages[CALLS];
    static struct iovec parts[CALLS];
    static struct sockaddr_in from[CALLS];
    static char control[CALLS][64];
    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){rooms[i], ROOM};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i],
                                              .msg_iov = &parts[i], .msg_iovlen = 1,
                                              .msg_control = control[i], .msg_controllen = 64};
    }
    int got = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL), bytes = 0;
    must(got > 0, "recvmmsg");
    for (int i = 0; i < got; i++) bytes += messages[i].msg_len;
    return bytes / LARGE;
}

static int receive_batch(void) { return receive_many(receiver, CALLS); }
static int receive_coalesced(void) { return receive_many(coalescing, RUNS + 1); }

static int send_runs(void) {
    static struct mmsghdr messages[RUNS];
    static struct iovec parts[RUN];
    static char control[CMSG_SPACE(sizeof(unsigned short))];
    for (int i = 0; i < RUN; i++) parts[i] = (struct iovec){data, LARGE};
    struct cmsghdr *head = (struct cmsghdr *)control;
    *head = (struct cmsghdr){CMSG_LEN(sizeof(unsigned short)), SOL_UDP, UDP_SEGMENT};
    *(unsigned short *)CMSG_DATA(head) = LARGE;
    for (int i = 0; i < RUNS; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_name = &to_coalescing,
                                              .msg_namelen = sizeof to_coalescing,
                                              .msg_iov = parts, .msg_iovlen = RUN,
                                              .msg_control = control,
                                              .msg_controllen = sizeof control};
    must(sendmmsg(sender, messages, RUNS, 0) == RUNS, "sendmmsg");
    return RUN * RUNS;
}

static void nothing(void) {}
static void fill_64(void) { fill(64); }
static void fill_large(void) { fill(LARGE); }
static void fill_runs(void) { send_runs(); }

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, void (*before)(void), int (*block)(void)) {
    static double spent[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        drain(receiver);
        drain(coalescing);
        before();
        double begin = now();
        int count = block();
        spent[i] = (now() - begin) / count;
    }
    qsort(spent, BLOCKS, sizeof spent[0], ascending);
    printf("%s %.1f\n", name, spent[BLOCKS / 2]);
}

int main(void) {
    int on = 1;
    sender = socket(AF_INET, SOCK_DGRAM, 0);
    receiver = bound(&to);
    coalescing = bound(&to_coalescing);
    must(setsockopt(coalescing, SOL_UDP, UDP_GRO, &on, sizeof on) == 0, "UDP_GRO");
    measure("sendto", nothing, send_64);
    measure("recvfrom", fill_64, receive_64);
    measure("setblocking", nothing, set_blocking);
    measure("round trip", nothing, round_trips);
    measure("recvmmsg 1200", fill_large, receive_batch);
    measure("sendmmsg GSO", nothing, send_runs);
    measure("recvmmsg GRO", fill_runs, receive_coalesced);
    return 0;
}
