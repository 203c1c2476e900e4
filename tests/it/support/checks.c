/* Checks from the inside that it is confined: aborts with a line that names what is wrong. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "not so: %s (%s)\n", #what, strerror(errno)); \
    abort(); } } while (0)

int main(void) {
    /* An unprivileged user, without a way back. */
    CHECK(getuid() == 65532 && geteuid() == 65532 && getgid() == 65532 && getegid() == 65532);
    CHECK(setuid(0) != 0 && setgid(0) != 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    for (int capability = 0; capability < 41; capability++)
        CHECK(prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 0);
    unsigned header[2] = {0x20080522, 0}, data[6] = {1, 1, 1, 1, 1, 1};
    CHECK(syscall(SYS_capget, header, data) == 0);
    for (int word = 0; word < 6; word++) CHECK(data[word] == 0);

    /* No other processes. */
    CHECK(getppid() == 1 && getpid() < 10);
    CHECK(kill(1, SIGKILL) == 0 || errno == EPERM);
    CHECK(getppid() == 1);
    CHECK(open("/dev/tty", O_RDWR) < 0);

    /* No files but its own, none that can be written, and no way out. */
    DIR *root = opendir("/");
    CHECK(root);
    for (struct dirent *entry; (entry = readdir(root));)
        CHECK(entry->d_name[0] == '.' || !strcmp(entry->d_name, "program"));
    CHECK(access("/..", X_OK) == 0 && access("/proc", F_OK) != 0 && access("/tmp", F_OK) != 0);
    CHECK(open("/file", O_CREAT | O_WRONLY, 0644) < 0 && errno == EROFS);
    CHECK(open("/program", O_WRONLY) < 0 && chmod("/program", 0777) < 0);
    CHECK(unlink("/program") < 0 && rename("/program", "/other") < 0);
    CHECK(mkdir("x", 0755) < 0);
    CHECK(chroot("/") < 0 && errno == EPERM);
    CHECK(mount("none", "/", "tmpfs", 0, 0) < 0 && umount2("/", MNT_DETACH) < 0);
    CHECK(mount(0, "/", 0, MS_REMOUNT | MS_BIND, 0) < 0);
    for (int file = 3; file < 1024; file++)
        CHECK(file == dirfd(root) || fcntl(file, F_GETFD) < 0);
    CHECK(chdir("/..") == 0 && chdir("../../../..") == 0 && open(MARKER, O_CREAT | O_WRONLY, 0644) < 0);

    /* No network but a loopback device of its own, on which a server can listen. */
    struct ifaddrs *addresses;
    CHECK(getifaddrs(&addresses) == 0);
    for (; addresses; addresses = addresses->ifa_next) CHECK(!strcmp(addresses->ifa_name, "lo"));
    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    int server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(server >= 0 && bind(server, (void *)&address, sizeof address) == 0);
    address.sin_addr.s_addr = htonl(0xc0000201);
    address.sin_port = htons(80);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client, (void *)&address, sizeof address) < 0 && errno == ENETUNREACH);

    /* Limits. */
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_max <= 64 << 20);
    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max <= 4096);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max <= 1024);
    CHECK(getrlimit(RLIMIT_CPU, &limit) == 0 && limit.rlim_max != RLIM_INFINITY);
    return 0;
}
