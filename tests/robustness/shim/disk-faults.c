/*
 * Preloaded into a process (LD_PRELOAD), gives the files below one directory a bad disk, while the process runs:
 *
 *   SHIM_DIRECTORY  absolute path without symbolic links
 *   SHIM_CONTROL    a file outside of it that says what is wrong, read at every write and sync:
 *                     hold      a sync does not return until the file says something else
 *                     slow MS   a sync takes as much longer
 *                     full      writes fail with ENOSPC
 *                   anything else, or no file: nothing
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char directory[PATH_MAX];
static size_t directory_length;
static const char *control;

#define NEXT(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
  const char *dir = getenv("SHIM_DIRECTORY");
  control = getenv("SHIM_CONTROL");
  if (!dir || !control) return;
  snprintf(directory, sizeof directory, "%s", dir);
  directory_length = strlen(directory);
}

static int is_watched(int fd) {
  if (directory_length == 0) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, directory, directory_length) == 0 && path[directory_length] == '/';
}

/* What is wrong now, as a word and a number. */
static int fault(char *word, int *number) {
  char text[64];
  int saved = errno, fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text - 1);
  if (fd >= 0) syscall(SYS_close, fd);
  errno = saved;
  text[size > 0 ? size : 0] = 0;
  *number = 0;
  return sscanf(text, "%15s %d", word, number) >= 1;
}

static int is_full(int fd) {
  char word[16];
  int number;
  if (!is_watched(fd) || !fault(word, &number) || strcmp(word, "full") != 0) return 0;
  errno = ENOSPC;
  return 1;
}

static void wait_for_disk(int fd) {
  char word[16];
  int number;
  if (!is_watched(fd)) return;
  while (fault(word, &number) && strcmp(word, "hold") == 0) usleep(5000);
  if (fault(word, &number) && strcmp(word, "slow") == 0) usleep((useconds_t)number * 1000);
}

/* A write that is a sync as well: LMDB's last page of a transaction. */
static void wait_if_durable(int fd) {
  if (directory_length > 0 && (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC))) wait_for_disk(fd);
}

int fsync(int fd) {
  wait_for_disk(fd);
  return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
  wait_for_disk(fd);
  return (int)syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  if (is_full(fd)) return -1;
  wait_if_durable(fd);
  return syscall(SYS_write, fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *data, int count) {
  if (is_full(fd)) return -1;
  wait_if_durable(fd);
  return syscall(SYS_writev, fd, data, count);
}

#define PWRITE(name) \
  ssize_t name(int fd, const void *bytes, size_t size, off_t offset) { \
    if (is_full(fd)) return -1; \
    wait_if_durable(fd); \
    return syscall(SYS_pwrite64, fd, bytes, size, offset); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name) \
  ssize_t name(int fd, const struct iovec *data, int count, off_t offset) { \
    NEXT(name); \
    if (is_full(fd)) return -1; \
    wait_if_durable(fd); \
    return real(fd, data, count, offset); \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)
