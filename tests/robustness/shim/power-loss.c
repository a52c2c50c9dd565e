/*
 * Preloaded into a process (LD_PRELOAD), logs what it does to the files below one directory, in an order in which a sync
 * never covers a write that it may not cover; makes chosen syncs fail or slow. replay.ts builds from the log what a power
 * cut could have left.
 *
 *   SHIM_DIRECTORY  absolute path without symbolic links; files named lock.mdb are ignored (a shared memory map)
 *   SHIM_LOG        file the log is appended to; outside the directory
 *   SHIM_FAIL_SYNC  n: the n-th sync of a file in this process fails with EIO and does nothing; 0 or unset = none
 *   SHIM_NO_SYNC    1: no sync of a file happens or is logged, though all succeed: a test that does not fail then sees nothing
 *   SHIM_FULL_AT    n: the n-th write to a file in this process and all later ones fail with ENOSPC; 0 or unset = none
 *   SHIM_HOLD_MS    milliseconds every sync of a file takes longer
 *   SHIM_KILL_AT    n: the process is killed as soon as its n-th record is logged; 0 or unset = never
 *
 * A record is `struct header`, native byte order, then both paths and the data. Writes and changes of names are logged
 * after they are done, before the caller knows; a sync when it begins and again when it has ended.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATE = 1, MAKE_DIRECTORY, RENAME, UNLINK, REMOVE_DIRECTORY, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END };
enum { FLAG_DURABLE = 1, FLAG_FAILED = 2 };

struct header {
  uint32_t magic;
  uint8_t kind;
  uint8_t flags;
  uint16_t path_length;
  uint64_t time_ns; /* CLOCK_MONOTONIC, as process.hrtime has it */
  uint64_t inode;
  int64_t offset; /* of a write; the length a file is cut to; the number of a sync */
  uint32_t data_length;
  uint16_t second_path_length;
  uint16_t unused;
};

#define MAGIC 0x4c504c31u

static char directory[PATH_MAX];
static size_t directory_length;
static int log_fd = -1;
static int fail_sync;
static int hold_ms;
static int no_sync;
static int full_at;
static int writes;
static int kill_at;
static int records;
static int syncs;
static int64_t sync_numbers;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }
#define NEXT(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))next(#name)

__attribute__((constructor)) static void start(void) {
  const char *dir = getenv("SHIM_DIRECTORY"), *log = getenv("SHIM_LOG");
  if (!dir || !log) return;
  const char *fail = getenv("SHIM_FAIL_SYNC"), *hold = getenv("SHIM_HOLD_MS");
  const char *die = getenv("SHIM_KILL_AT");
  snprintf(directory, sizeof directory, "%s", dir);
  directory_length = strlen(directory);
  fail_sync = fail ? atoi(fail) : 0;
  hold_ms = hold ? atoi(hold) : 0;
  kill_at = die ? atoi(die) : 0;
  const char *none = getenv("SHIM_NO_SYNC"), *full = getenv("SHIM_FULL_AT");
  no_sync = none ? atoi(none) : 0;
  full_at = full ? atoi(full) : 0;
  log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  sync_numbers = (int64_t)getpid() << 32;
}

static int is_watched(const char *path) {
  if (log_fd < 0 || strncmp(path, directory, directory_length) != 0) return 0;
  if (path[directory_length] != '/' && path[directory_length] != 0) return 0;
  size_t length = strlen(path);
  return length < 8 || strcmp(path + length - 8, "lock.mdb") != 0;
}

/* The path as it is now; empty when it is not watched. */
static int path_of_fd(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_watched(path);
}

static int absolute(int at, const char *path, char *result) {
  char base[PATH_MAX] = "";
  if (path[0] != '/') {
    if (at == AT_FDCWD) {
      if (!getcwd(base, sizeof base)) return 0;
    } else if (!path_of_fd(at, base)) return 0;
  }
  if (snprintf(result, PATH_MAX, base[0] ? "%s/%s" : "%s%s", base, path) >= PATH_MAX) return 0;
  size_t length = strlen(result);
  while (length > 1 && result[length - 1] == '/') result[--length] = 0;
  return is_watched(result);
}

static uint64_t inode_of_fd(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void record(int kind, int flags, const char *path, const char *second, uint64_t inode, int64_t offset,
                   const struct iovec *data, int count, size_t data_length) {
  int saved = errno;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  struct header header = {.magic = MAGIC, .kind = (uint8_t)kind, .flags = (uint8_t)flags};
  header.path_length = (uint16_t)(path ? strlen(path) : 0);
  header.second_path_length = (uint16_t)(second ? strlen(second) : 0);
  header.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  header.inode = inode;
  header.offset = offset;
  header.data_length = (uint32_t)data_length;
  size_t size = sizeof header + header.path_length + header.second_path_length + data_length;
  char *bytes = malloc(size), *at = bytes;
  memcpy(at, &header, sizeof header), at += sizeof header;
  if (path) memcpy(at, path, header.path_length), at += header.path_length;
  if (second) memcpy(at, second, header.second_path_length), at += header.second_path_length;
  for (int i = 0; i < count && data_length > 0; i++) {
    size_t part = data[i].iov_len < data_length ? data[i].iov_len : data_length;
    memcpy(at, data[i].iov_base, part), at += part, data_length -= part;
  }
  /* One append is one record, whatever other threads and processes do. */
  if (syscall(SYS_write, log_fd, bytes, size) != (ssize_t)size) abort();
  free(bytes);
  if (__atomic_add_fetch(&records, 1, __ATOMIC_SEQ_CST) == kill_at) kill(getpid(), SIGKILL);
  errno = saved;
}

static void record_name(int kind, const char *path, uint64_t inode) {
  record(kind, 0, path, NULL, inode, 0, NULL, 0, 0);
}

static int opened(int fd, const char *path, int flags, int existed) {
  if (fd < 0) return fd;
  if (!existed) record_name(CREATE, path, inode_of_fd(fd));
  else if (flags & O_TRUNC) record(TRUNCATE, 0, path, NULL, inode_of_fd(fd), 0, NULL, 0, 0);
  return fd;
}

static int open_watched(int at, const char *path, int flags, mode_t mode, const char *full) {
  int existed = access(full, F_OK) == 0;
  return opened((int)syscall(SYS_openat, at, path, flags, mode), full, flags, existed);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list arguments; \
    va_start(arguments, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0; \
    va_end(arguments); \
    char full[PATH_MAX]; \
    if ((flags & (O_CREAT | O_TRUNC)) && absolute(AT_FDCWD, path, full)) \
      return open_watched(AT_FDCWD, path, flags, mode, full); \
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int at, const char *path, int flags, ...) { \
    va_list arguments; \
    va_start(arguments, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0; \
    va_end(arguments); \
    char full[PATH_MAX]; \
    if ((flags & (O_CREAT | O_TRUNC)) && absolute(at, path, full)) return open_watched(at, path, flags, mode, full); \
    return (int)syscall(SYS_openat, at, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

static void wrote(int fd, ssize_t written, const struct iovec *data, int count, off_t offset) {
  char path[PATH_MAX];
  if (written <= 0 || !path_of_fd(fd, path)) return;
  int flags = fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC) ? FLAG_DURABLE : 0;
  record(WRITE, flags, path, NULL, inode_of_fd(fd), offset, data, count, (size_t)written);
}

/* Whether the disk is full for a write to this file. */
static int is_full(int fd) {
  char path[PATH_MAX];
  if (full_at == 0 || log_fd < 0 || !path_of_fd(fd, path)) return 0;
  if (__atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST) < full_at) return 0;
  errno = ENOSPC;
  return 1;
}

/* Where a write without an offset has put its bytes. */
static off_t written_at(int fd, ssize_t written) { return lseek(fd, 0, SEEK_CUR) - written; }

ssize_t write(int fd, const void *bytes, size_t size) {
  if (is_full(fd)) return -1;
  ssize_t written = syscall(SYS_write, fd, bytes, size);
  if (log_fd >= 0 && written > 0) {
    char path[PATH_MAX];
    struct iovec data = {(void *)bytes, size};
    if (path_of_fd(fd, path)) wrote(fd, written, &data, 1, written_at(fd, written));
  }
  return written;
}

ssize_t writev(int fd, const struct iovec *data, int count) {
  if (is_full(fd)) return -1;
  ssize_t written = syscall(SYS_writev, fd, data, count);
  if (log_fd >= 0 && written > 0) {
    char path[PATH_MAX];
    if (path_of_fd(fd, path)) wrote(fd, written, data, count, written_at(fd, written));
  }
  return written;
}

#define PWRITE(name) \
  ssize_t name(int fd, const void *bytes, size_t size, off_t offset) { \
    if (is_full(fd)) return -1; \
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, offset); \
    struct iovec data = {(void *)bytes, size}; \
    if (log_fd >= 0) wrote(fd, written, &data, 1, offset); \
    return written; \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name) \
  ssize_t name(int fd, const struct iovec *data, int count, off_t offset) { \
    if (is_full(fd)) return -1; \
    NEXT(name); \
    ssize_t written = real(fd, data, count, offset); \
    if (log_fd >= 0) wrote(fd, written, data, count, offset); \
    return written; \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define FTRUNCATE(name) \
  int name(int fd, off_t length) { \
    int result = (int)syscall(SYS_ftruncate, fd, length); \
    char path[PATH_MAX]; \
    if (log_fd >= 0 && result == 0 && path_of_fd(fd, path)) \
      record(TRUNCATE, 0, path, NULL, inode_of_fd(fd), length, NULL, 0, 0); \
    return result; \
  }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

static int synced(int fd, long call) {
  char path[PATH_MAX];
  if (log_fd < 0 || !path_of_fd(fd, path)) return (int)syscall(call, fd);
  struct stat status;
  int is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  if (is_file && no_sync) return 0;
  int64_t number = __atomic_add_fetch(&sync_numbers, 1, __ATOMIC_SEQ_CST);
  record(SYNC_BEGIN, 0, path, NULL, status.st_ino, number, NULL, 0, 0);
  if (is_file && hold_ms > 0) usleep((useconds_t)hold_ms * 1000);
  int result, code = EIO;
  if (is_file && __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) == fail_sync) result = -1;
  else result = (int)syscall(call, fd), code = errno;
  record(SYNC_END, result == 0 ? 0 : FLAG_FAILED, path, NULL, status.st_ino, number, NULL, 0, 0);
  errno = code;
  return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int renameat(int from_at, const char *from, int to_at, const char *to) {
  char full[PATH_MAX], second[PATH_MAX];
  int is_from = absolute(from_at, from, full), is_to = absolute(to_at, to, second);
  int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
  if (result == 0 && is_from && is_to) record(RENAME, 0, full, second, 0, 0, NULL, 0, 0);
  return result;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int at, const char *path, int flags) {
  char full[PATH_MAX];
  int is_ours = absolute(at, path, full);
  int result = (int)syscall(SYS_unlinkat, at, path, flags);
  if (result == 0 && is_ours) record_name(flags & AT_REMOVEDIR ? REMOVE_DIRECTORY : UNLINK, full, 0);
  return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
  char full[PATH_MAX];
  int is_ours = absolute(at, path, full);
  int result = (int)syscall(SYS_mkdirat, at, path, mode);
  if (result == 0 && is_ours) record_name(MAKE_DIRECTORY, full, 0);
  return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
